package gemm

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// usableCPUs returns the CPUs of the process's affinity mask, or nothing when
// the system does not say.
func usableCPUs() []int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	var cpus []int
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// pinThread ties the calling thread to CPUs. Where that is forbidden it runs
// untied: slower, never wrong.
func pinThread(cpus ...int) {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	_ = unix.SchedSetaffinity(0, &set)
}

// yield lets another thread have the CPU, if one waits for it. Go's own way,
// runtime.Gosched, puts a goroutine that is tied to its thread to sleep.
func yield() { _, _, _ = syscall.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
