//go:build unix

package main

import (
	"os"
	"syscall"
)

// nonblocking opens a pipe without waiting for its reader.
const nonblocking = syscall.O_NONBLOCK

// keepOwner gives f the owner of another file, as far as this user may.
func keepOwner(f *os.File, of os.FileInfo) {
	if s, ok := of.Sys().(*syscall.Stat_t); ok {
		f.Chown(int(s.Uid), int(s.Gid))
	}
}
