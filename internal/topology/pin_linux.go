package topology

import "golang.org/x/sys/unix"

// Pin pins the calling thread, which must be locked to its goroutine, to CPUs.
// Where that is forbidden, the thread runs unpinned, which is slower but never
// wrong.
func Pin(cpus ...int) {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	_ = unix.SchedSetaffinity(0, &set)
}
