package topology

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

func read() Topology { return fromSysctl(sysctl) }

// sysctl reads a kernel value of 4 or 8 bytes. This has not been run on a Mac.
func sysctl(name string) (int, bool) {
	b, err := unix.SysctlRaw(name)
	switch {
	case err != nil:
		return 0, false
	case len(b) == 8:
		return int(binary.LittleEndian.Uint64(b)), true
	case len(b) == 4:
		return int(binary.LittleEndian.Uint32(b)), true
	}
	return 0, false
}
