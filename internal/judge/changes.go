package judge

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Change is a difference between two records that may affect a speed. What only one of
// them holds is no change.
type Change struct {
	What  string
	A, B  string
	Lanes []string // that it is a change of; nil: of the run, or of all lanes
}

// String returns "driver 570.1 → 580.2".
func (c Change) String() string { return fmt.Sprintf("%s %s → %s", c.What, c.A, c.B) }

// changes fills in what changed: first of the machine and the program, then of lanes.
func (v *Versus) changes() {
	add := func(lane, what, a, b string) {
		if a == "" || b == "" || a == b {
			return
		}
		i := slices.IndexFunc(v.Changes, func(c Change) bool { return c.What == what && c.A == a && c.B == b })
		if i < 0 {
			v.Changes = append(v.Changes, Change{What: what, A: a, B: b})
			i = len(v.Changes) - 1
		}
		if c := &v.Changes[i]; lane != "" && !slices.Contains(c.Lanes, lane) {
			c.Lanes = append(c.Lanes, lane)
		}
	}
	m, n := v.A.Machine, v.B.Machine
	add("", "CPU", m.CPU, n.CPU)
	add("", "cores", m.Processors(), n.Processors())
	add("", "memory", memory(m), memory(n))
	add("", "system", m.System, n.System)
	add("", "kernel", m.Kernel, n.Kernel)
	add("", "gpuplay", programName(v.A.Program), programName(v.B.Program))
	add("", "threads asked for", asked(v.A.Threads, "the engine's choice"), asked(v.B.Threads, "the engine's choice"))
	add("", "timed runs asked for", asked(v.A.Repeat, "as precision needs"), asked(v.B.Repeat, "as precision needs"))
	names := map[string]bool{}
	for _, r := range v.Rows {
		names[r.Lane] = true
		of := func(what, a, b string) { add(r.Lane, what, a, b) }
		if a, b := r.products[0], r.products[1]; a != nil {
			v.productChanges(a, b, of)
		}
		if a, b := r.lanes[0], r.lanes[1]; a != nil {
			deviceChanges(a.Facts.Device, b.Facts.Device, of)
			of("runtime", a.Facts.Runtime, b.Facts.Runtime)
			sensorChanges(a.Sensors, b.Sensors, v.Threshold, of)
			of("threads", known(a.Facts.Threads), known(b.Facts.Threads))
			of("context", known(a.Facts.Context), known(b.Facts.Context))
		}
	}
	for i := range v.Changes {
		if len(v.Changes[i].Lanes) == len(names) {
			v.Changes[i].Lanes = nil
		}
	}
}

// productChanges tells what changed of a lane of products.
func (v *Versus) productChanges(a, b *bench.Result, of func(what, a, b string)) {
	deviceChanges(a.Device, b.Device, of)
	if a.Device.Library == b.Device.Library {
		of(a.Device.Library, a.Device.Version, b.Device.Version)
	} else {
		of("library", a.Device.Label(), b.Device.Label())
	}
	of("variant", a.Device.Detail, b.Device.Detail)
	of("threads", known(a.Facts.Threads), known(b.Facts.Threads))
	sensorChanges(a.Sensors, b.Sensors, v.Threshold, of)
	// The peak is a clock that the record holds of the CPU: it is measured around the samples.
	if p, q := a.Peak(), b.Peak(); p != nil && q != nil && math.Abs(math.Log(*q / *p)) > math.Log1p(v.Threshold) {
		of("measured peak", a.GEMM.Rate(*p), b.GEMM.Rate(*q))
	}
}

// deviceChanges tells what changed of a device and of what its library stands on.
func deviceChanges(a, b hardware.Device, of func(what, a, b string)) {
	if a.Kind != hardware.CPU { // which is the machine's
		of("GPU", a.Name, b.Name)
	}
	for _, key := range slices.Sorted(maps.Keys(a.Versions)) {
		of(key, a.Versions[key], b.Versions[key])
	}
}

// sensorChanges tells what the sensors of a lane's device read differently while it
// computed: clocks by more than the threshold, watts and degrees by more than they vary
// anyway; and settings, whenever they differ.
func sensorChanges(a, b *measure.Sensed, threshold float64, of func(what, a, b string)) {
	if a == nil || b == nil || a.Source == "" || b.Source == "" {
		return
	}
	if p, q := a.During, b.During; p != nil && q != nil {
		const heat, power = 5, 0.05
		far := func(x, y *float64, share float64) bool {
			return x != nil && y != nil && *x > 0 && *y > 0 && math.Abs(math.Log(*y / *x)) > math.Log1p(share)
		}
		if x, y := p.Clock, q.Clock; far(x, y, threshold) {
			of("clock", unit.Digits3(*x/1e9)+" GHz", unit.Digits3(*y/1e9)+" GHz")
		}
		if x, y := p.Power, q.Power; far(x, y, max(power, threshold)) {
			of("power", unit.Digits3(*x)+" W", unit.Digits3(*y)+" W")
		}
		if x, y := p.Temperature, q.Temperature; x != nil && y != nil && math.Abs(*y-*x) >= heat {
			of("temperature", fmt.Sprintf("%.0f °C", *x), fmt.Sprintf("%.0f °C", *y))
		}
	}
	if x, y := a.PowerLimit, b.PowerLimit; x != nil && y != nil {
		of("power limit", fmt.Sprintf("%.4g W", *x), fmt.Sprintf("%.4g W", *y))
	}
	of("throttled by", reasons(a.Throttle), reasons(b.Throttle))
}

// reasons lists why a device was throttled.
func reasons(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return unit.List(list)
}

func memory(m host.Machine) string {
	if m.Memory == nil {
		return ""
	}
	return unit.Bytes(float64(*m.Memory))
}

// programName names a gpuplay with its source, as far as that is known.
func programName(p record.Program) string {
	commit, changed, _ := strings.Cut(p.Commit, "+")
	switch {
	case commit == "":
		return p.Version
	case changed != "":
		changed = "+" + changed
	}
	return fmt.Sprintf("%s (%s%s)", p.Version, commit[:min(12, len(commit))], changed)
}

func asked(n int, otherwise string) string {
	if n == 0 {
		return otherwise
	}
	return strconv.Itoa(n)
}

func known(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
