package topology

import "golang.org/x/sys/unix"

// Pin ties the calling thread, which must be locked to its goroutine, to CPUs.
// Where that is forbidden it runs untied: slower, never wrong.
func Pin(cpus ...int) {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	_ = unix.SchedSetaffinity(0, &set)
}
