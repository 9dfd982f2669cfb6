//go:build unix

package worker

import (
	"os"
	"syscall"
)

// pollable returns a file that reads the same pipe by the runtime's poller; f
// itself if it is no pipe, such as a terminal, whose modes others share.
//
// A blocking read keeps one of Go's processors until the runtime notices, up to
// 10 ms later: as many threads as CPUs would take turns on the others for the
// first half of a sample.
func pollable(f *os.File) *os.File {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return f
	}
	fd, err := syscall.Dup(int(f.Fd())) // each of the two files closes its own
	if err != nil || syscall.SetNonblock(fd, true) != nil {
		return f
	}
	return os.NewFile(uintptr(fd), f.Name())
}
