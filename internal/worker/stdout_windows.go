package worker

import (
	"os"

	"golang.org/x/sys/windows"
)

// divert returns f and has standard output lead to standard error for whoever asks for
// it from now on: this program's own prints, and libraries whose C runtime starts
// later. A C runtime that is there already keeps the handle that it has asked for;
// there is no file descriptor below all of them as on Unix. What such a library prints
// between two responses is taken for noise, what it prints in the middle of a frame
// makes the frame wrong.
func divert(f *os.File) (*os.File, error) {
	if f != os.Stdout {
		return f, nil
	}
	if err := windows.SetStdHandle(windows.STD_OUTPUT_HANDLE, windows.Handle(os.Stderr.Fd())); err != nil {
		return nil, err
	}
	os.Stdout = os.Stderr
	return f, nil
}
