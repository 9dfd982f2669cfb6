//go:build unix

package disk

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// Writable returns nil if files can be created in the folder, and the reason if not. It
// asks the system and creates none: a dry run leaves no trace.
func Writable(folder string) error {
	if err := unix.Access(folder, unix.W_OK|unix.X_OK); err != nil {
		return &fs.PathError{Op: "access", Path: folder, Err: err}
	}
	return nil
}
