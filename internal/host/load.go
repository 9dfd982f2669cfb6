package host

import (
	"os"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/process"
)

// A Load is the CPU time that was used up to a moment.
type Load struct {
	at     time.Time
	others float64 // seconds, of other processes and other virtual machines
}

// ReadLoad asks the system; ok is false where it does not report it.
func ReadLoad() (l Load, ok bool) {
	all, err := cpu.Times(false)
	if err != nil || len(all) == 0 {
		return l, false
	}
	self, err := process.NewProcess(int32(os.Getpid()))
	if err != nil {
		return l, false
	}
	own, err := self.Times()
	if err != nil {
		return l, false
	}
	t := all[0]
	return Load{time.Now(), t.User + t.System + t.Nice + t.Irq + t.Softirq + t.Steal - own.User - own.System}, true
}

// Others returns how many CPUs were busy, on average since an earlier moment, with
// what is not this process: other programs, and other virtual machines on the same
// CPUs where the system knows of them.
func (l Load) Others(since Load) float64 {
	seconds := l.at.Sub(since.at).Seconds()
	if seconds <= 0 {
		return 0
	}
	return max(0, (l.others-since.others)/seconds)
}
