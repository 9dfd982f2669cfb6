//go:build unix

package worker

import (
	"os"

	"golang.org/x/sys/unix"
)

// divert returns a file that writes to where standard output leads now, and leads file
// descriptor 1, to which libraries print, to standard error. A file that is not
// standard output is returned as it is.
func divert(f *os.File) (*os.File, error) {
	if f.Fd() != 1 {
		return f, nil
	}
	fd, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	if err := unix.Dup2(2, 1); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}
