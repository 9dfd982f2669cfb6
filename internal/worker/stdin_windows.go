package worker

import "os"

// pollable returns f: standard input is no file that Windows could poll.
func pollable(f *os.File) *os.File { return f }
