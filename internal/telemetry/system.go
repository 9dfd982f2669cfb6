package telemetry

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/mem"

	"github.com/gpuplay/gpuplay/internal/event"
)

// system reads what the operating system says of the CPUs and of memory.
type system struct {
	root   string   // below which Linux's files are
	clocks []string // files with the clock of a CPU in kHz
	last   []cpu.TimesStat
	swap   bool
}

// System returns the source of the CPUs and of memory. root is the folder below which
// Linux has its files, "/".
func System(root string) Source { return &system{root: root} }

func (s *system) Name() string { return "system" }

// Open finds the CPUs. Their clocks are files of Linux alone, which virtual machines
// lack. At most eight are read: the CPUs that compute together have the same clock.
func (s *system) Open() (Found, error) {
	name := ""
	if info, err := cpu.Info(); err == nil && len(info) > 0 {
		name = strings.TrimSpace(info[0].ModelName)
	}
	sensors := []Sensor{
		{Sensor: event.Sensor{Quantity: event.Utilization, Scope: "all CPUs"}, Processor: name},
		{Sensor: event.Sensor{Quantity: event.Memory}},
	}
	if m, err := mem.VirtualMemory(); err == nil {
		sensors[1].Max = positive(float64(m.Total))
	}
	if _, there := swapped(nil); there {
		s.swap = true
		sensors = append(sensors, Sensor{Sensor: event.Sensor{Quantity: event.Swap}})
	}
	s.clocks, _ = filepath.Glob(filepath.Join(s.root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"))
	s.clocks = s.clocks[:min(8, len(s.clocks))]
	if len(s.clocks) > 0 {
		sensors = append(sensors, Sensor{Sensor: event.Sensor{Quantity: event.Clock, Scope: "CPUs on average"}})
	}
	s.last, _ = cpu.Times(true)
	for i := range s.last {
		sensors = append(sensors, Sensor{Sensor: event.Sensor{Quantity: event.Utilization, CPU: &i}})
	}
	return Found{Sensors: sensors}, nil
}

func (s *system) Read(values []float64) {
	for i := range values {
		values[i] = math.NaN()
	}
	m, err := mem.VirtualMemory()
	if err == nil {
		values[1] = float64(m.Total - m.Available)
	}
	rest := values[2:]
	if s.swap {
		if used, there := swapped(m); there {
			rest[0] = used
		}
		rest = rest[1:]
	}
	if len(s.clocks) > 0 {
		rest[0] = meanClock(s.clocks)
		rest = rest[1:]
	}
	now, err := cpu.Times(true)
	if err != nil || len(now) != len(s.last) { // a CPU was taken away or added
		s.last = now
		return
	}
	sum, n := 0.0, 0
	for i := range now {
		if share := busyShare(s.last[i], now[i]); !math.IsNaN(share) {
			if i < len(rest) {
				rest[i] = share
			}
			sum += share
			n++
		}
	}
	if n > 0 {
		values[0] = sum / float64(n)
	}
	s.last = now
}

// swapped returns the bytes that are swapped out; there is false on a machine without
// swap. On Linux m, where it is known, has them.
func swapped(m *mem.VirtualMemoryStat) (used float64, there bool) {
	if m != nil && m.SwapTotal > 0 {
		return float64(m.SwapTotal - m.SwapFree), true
	}
	if swap, err := mem.SwapMemory(); err == nil && swap.Total > 0 {
		return float64(swap.Used), true
	}
	return 0, false
}

// busyShare returns for how much of the time between two readings a CPU was busy, in
// percent. The counters go in steps of 10 ms, so that a little may be missing.
func busyShare(a, b cpu.TimesStat) float64 {
	idle := func(t cpu.TimesStat) float64 { return t.Idle + t.Iowait }
	total := func(t cpu.TimesStat) float64 {
		return t.User + t.System + t.Nice + t.Irq + t.Softirq + t.Steal + idle(t)
	}
	all := total(b) - total(a)
	if all <= 0 {
		return math.NaN()
	}
	return 100 * min(1, max(0, 1-(idle(b)-idle(a))/all))
}

// meanClock returns the mean of clocks in files in kHz.
func meanClock(files []string) float64 {
	sum, n := 0.0, 0
	for _, f := range files {
		if khz := number(f); khz > 0 {
			sum += khz * 1000
			n++
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return sum / float64(n)
}

// number returns the number in a file, NaN where there is none.
func number(file string) float64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return math.NaN()
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	if err != nil || math.IsInf(v, 0) {
		return math.NaN()
	}
	return v
}
