package telemetry

import (
	"cmp"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// sysfs reads one GPU of AMD's or Intel's, whose drivers have files for it below its
// address on the PCI bus. What they hold is documented with the kernel:
// gpu/amdgpu/thermal.rst and driver-misc.rst for amdgpu, ABI/testing/sysfs-driver-intel-i915-hwmon
// and sysfs-driver-intel-xe-hwmon, and gt/sysfs.rst and xe_gt_idle.c for the rest.
// None of it has been run on such a GPU yet.
type sysfs struct {
	driver string
	card   hardware.Card
	dir    string
	reads  []func() float64
	open   clients // the processes that use it
}

// drivers are those of the kernel whose files are known here.
var drivers = []string{"amdgpu", "i915", "xe"}

// Sysfs returns the sources of AMD's and Intel's GPUs among cards, one for each: a driver
// that hangs for one of them may answer for the others. root is the folder below which
// Linux has its files, "/".
func Sysfs(root string, cards []hardware.Card) []Source {
	var list []Source
	for _, c := range cards {
		dir := filepath.Join(root, "sys/bus/pci/devices", c.PCI)
		link, _ := os.Readlink(filepath.Join(dir, "driver"))
		for _, d := range drivers {
			if c.PCI != "" && filepath.Base(link) == d {
				list = append(list, &sysfs{driver: d, card: c, dir: dir, open: clients{root: root, pci: c.PCI}})
			}
		}
	}
	return list
}

func (s *sysfs) Name() string { return s.driver }

// first returns the first file that matches any of the patterns below the GPU's folder and
// holds a number; empty if none does.
func (s *sysfs) first(patterns ...string) string {
	for _, p := range patterns {
		files, _ := filepath.Glob(filepath.Join(s.dir, p))
		for _, f := range files {
			if !math.IsNaN(number(f)) {
				return f
			}
		}
	}
	return ""
}

// labelled is first for a sensor of hwmon that has a label, if there is one with that
// label.
func (s *sysfs) labelled(pattern, label string) string {
	files, _ := filepath.Glob(filepath.Join(s.dir, pattern))
	for _, f := range files {
		if labelOf(f) == label && !math.IsNaN(number(f)) {
			return f
		}
	}
	return s.first(pattern)
}

// labelOf returns the label of a sensor of hwmon: energy1_label of energy1_input.
func labelOf(file string) string {
	base, _, _ := strings.Cut(filepath.Base(file), "_")
	text, _ := os.ReadFile(filepath.Join(filepath.Dir(file), base+"_label"))
	return strings.TrimSpace(string(text))
}

// Open finds the files. AMD's firmware reports averages, of up to a second, and the driver
// reads it every 100 ms at most. Intel's drivers count how long the GPU was asleep, so
// that its utilisation is that of the time between two rounds.
func (s *sysfs) Open() (Found, error) {
	var found Found
	most := map[event.Quantity]*float64{}
	add := func(q event.Quantity, file, scope string, unit float64) {
		if file == "" {
			return
		}
		found.Sensors = append(found.Sensors, Sensor{Sensor: event.Sensor{Quantity: q, Scope: scope}, GPU: &s.card, Max: most[q]})
		s.reads = append(s.reads, func() float64 { return number(file) * unit })
	}
	switch s.driver {
	case "amdgpu":
		found.Settle, found.Step = time.Second, 100*time.Millisecond
		most[event.Power] = positive(number(s.first("hwmon/hwmon*/power1_cap")) * 1e-6)
		most[event.Memory] = positive(number(s.first("mem_info_vram_total")))
		power := s.first("hwmon/hwmon*/power1_average", "hwmon/hwmon*/power1_input")
		add(event.Power, power, cmp.Or(labelOf(power), "GPU"), 1e-6) // "PPT": with the CPU on the same chip, if there is one
		add(event.Utilization, s.first("gpu_busy_percent"), "", 1)
		add(event.Memory, s.first("mem_info_vram_used"), "", 1)
		add(event.Clock, s.first("hwmon/hwmon*/freq1_input"), "", 1)
		add(event.MemoryClock, s.first("hwmon/hwmon*/freq2_input"), "", 1)
		add(event.Temperature, s.labelled("hwmon/hwmon*/temp*_input", "edge"), "", 1e-3)
		if read := amdThrottling(filepath.Join(s.dir, "gpu_metrics")); read != nil {
			found.Sensors = append(found.Sensors, Sensor{Sensor: event.Sensor{Quantity: event.Throttle}, GPU: &s.card})
			s.reads = append(s.reads, read)
		}
	case "i915", "xe":
		found.Settle, found.Step = interval, 10*time.Millisecond
		energy := s.labelled("hwmon/hwmon*/energy*_input", "card")
		add(event.Energy, energy, cmp.Or(labelOf(energy), "GPU"), 1e-6)
		add(event.Clock, s.first("tile0/gt0/freq0/act_freq", "drm/card*/gt/gt0/rps_act_freq_mhz", "drm/card*/gt_act_freq_mhz"), "", 1e6)
		add(event.Temperature, s.labelled("hwmon/hwmon*/temp*_input", "pkg"), "", 1e-3)
		if asleep := s.first("tile0/gt0/gtidle/idle_residency_ms", "drm/card*/gt/gt0/rc6_residency_ms", "drm/card*/power/rc6_residency_ms"); asleep != "" {
			found.Sensors = append(found.Sensors, Sensor{Sensor: event.Sensor{Quantity: event.Utilization, Scope: "awake"}, GPU: &s.card})
			s.reads = append(s.reads, awake(asleep))
		}
		if reasons := s.reasons(); len(reasons) > 0 {
			found.Sensors = append(found.Sensors, Sensor{Sensor: event.Sensor{Quantity: event.Throttle}, GPU: &s.card})
			s.reads = append(s.reads, func() float64 { return throttledBy(reasons) })
		}
	}
	if len(found.Sensors) > 0 {
		found.Processes = s.processes
	}
	return found, nil
}

// processes lists the processes that use the GPU.
func (s *sysfs) processes() []Process {
	var list []Process
	for _, p := range s.open.list() {
		list = append(list, Process{Process: p, GPU: &s.card})
	}
	return list
}

// reasons returns the files in which Intel's drivers say why a clock is held down, with what
// each stands for: xe_gt_throttle.c, and throttle_reason_* in intel_gt_sysfs_pm.c. PL1, PL2
// and PL4 are limits of power; RATL and PROCHOT are about heat.
func (s *sysfs) reasons() map[string]event.Throttling {
	list := map[string]event.Throttling{}
	for _, r := range []struct {
		name string
		is   event.Throttling
	}{
		{"pl1", event.PowerCap}, {"pl2", event.PowerCap}, {"pl4", event.PowerCap}, {"iccmax", event.PowerCap}, {"vr_tdc", event.PowerCap},
		{"thermal", event.Heat}, {"soc_thermal", event.Heat}, {"mem_thermal", event.Heat}, {"prochot", event.Heat},
		{"ratl", event.Heat}, {"vr_thermalert", event.Heat}, {"vr_thermal", event.Heat},
	} {
		if f := s.first("tile0/gt0/freq0/throttle/reason_"+r.name, "drm/card*/gt/gt0/throttle_reason_"+r.name); f != "" {
			list[f] = r.is
		}
	}
	return list
}

// throttledBy returns the reasons whose files hold a 1, as bits; NaN where none can be read.
func throttledBy(reasons map[string]event.Throttling) float64 {
	var bits event.Throttling
	read := false
	for f, is := range reasons {
		v := number(f)
		read = read || !math.IsNaN(v)
		if v > 0 {
			bits |= is
		}
	}
	if !read {
		return math.NaN()
	}
	return float64(bits)
}

// positive returns what a sensor can read at most; nil for what is no such limit.
func positive(v float64) *float64 {
	if !(v > 0) { // NaN, too
		return nil
	}
	return rounded(v)
}

func (s *sysfs) Read(values []float64) {
	for i, read := range s.reads {
		values[i] = read()
	}
}

// awake returns what reads for how much of the time since the last round a GPU was not
// asleep, in percent. The file counts the milliseconds of sleep.
func awake(file string) func() float64 {
	last, at := number(file), time.Now()
	return func() float64 {
		ms, now := number(file), time.Now()
		share := 100 * (1 - (ms-last)/(float64(now.Sub(at))/float64(time.Millisecond)))
		last, at = ms, now
		if math.IsNaN(share) || math.IsInf(share, 0) {
			return math.NaN()
		}
		return min(100, max(0, share))
	}
}
