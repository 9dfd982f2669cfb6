package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// sentences say in plain words what the results mean: first the one that people
// came for.
func sentences(d *Document) []string {
	cpu, gpu := d.best(hardware.CPU), d.best(hardware.GPU)
	switch {
	case cpu != nil && gpu != nil:
		return []string{against(gpu, cpu)}
	case d.Interrupted:
		return []string{interrupted}
	}
	if !d.Race {
		return nil
	}
	out := without(d, cpu, gpu)
	if cpu != nil {
		if t := amongCPUs(d, cpu); t != "" {
			out = append(out, t)
		}
	}
	return out
}

// against compares the best of each kind.
func against(gpu, cpu *bench.Result) string {
	c := bench.Compare(gpu, cpu)
	g := gpu.GEMM
	if len(c.Differs) > 0 {
		return fmt.Sprintf("No ratio of GPU and CPU: they differ in %s.", strings.Join(c.Differs, ", "))
	}
	same := fmt.Sprintf("same matrices, same %s, %s, both verified", dtype(g), unit.Cube(g.M, g.N, g.K))
	if c.Even() || unit.Times(c.Ratio.Value) == "1.00" {
		return fmt.Sprintf("No difference that can be seen between the GPU and the CPU (%s): %s.", interval(c.Ratio), same)
	}
	if c.Ratio.Value < 1 {
		c = bench.Compare(cpu, gpu)
		return fmt.Sprintf("The CPU is %s× as fast as the GPU (%s): %s.", unit.Times(c.Ratio.Value), interval(c.Ratio), same)
	}
	return fmt.Sprintf("The GPU is %s× as fast as the CPU (%s): %s.", unit.Times(c.Ratio.Value), interval(c.Ratio), same)
}

// interval prints a ratio's range, and how far to trust it when that is less
// than usual.
func interval(r stats.Interval) string {
	low, high := unit.Times(r.Low), unit.Times(r.High)
	switch {
	case r.Confidence == 0:
		return "from a single pair of samples"
	case !r.Firm():
		return fmt.Sprintf("%s–%s×, from few samples", low, high)
	case low == high:
		return "±" + unit.Percent(r.Spread())
	}
	return fmt.Sprintf("%s–%s×", low, high)
}

// without says why there is no ratio of GPU and CPU.
func without(d *Document, cpu, gpu *bench.Result) []string {
	switch {
	case gpu == nil && has(d, hardware.GPU):
		return []string{"No comparison: no GPU lane has a verified result at this size."}
	case cpu == nil && has(d, hardware.CPU):
		return []string{"No comparison: no CPU lane has a verified result at this size."}
	case cpu == nil || gpu != nil:
		return nil // only one kind was asked for
	}
	var looked []string
	seen := map[string]bool{}
	for _, m := range d.NotRaced {
		if m.Kind == hardware.GPU && !seen[m.API] { // the first reason will do: engines come in the order of their worth
			looked = append(looked, fmt.Sprintf("%s (%s)", apiName(m.API), m.Reason))
			seen[m.API] = true
		}
	}
	text := "No GPU was found."
	if has(d, hardware.SoftwareGPU) {
		text = "No GPU was found, only a software one: a CPU behind a GPU's interface."
	}
	if len(looked) > 0 {
		text += " Looked for: " + strings.Join(looked, ", ") + "."
	}
	return []string{text + " If this machine has one: gpuplay doctor"}
}

func has(d *Document, kind hardware.Kind) bool {
	for _, r := range d.Results {
		if r.Device.Kind == kind {
			return true
		}
	}
	return false
}

// apiName writes an interface as its maker does.
func apiName(api string) string {
	switch api {
	case "cuda", "mps", "xpu", "rocm":
		return strings.ToUpper(api)
	case "vulkan":
		return "Vulkan"
	case "metal":
		return "Metal"
	}
	return api
}

// amongCPUs compares the fastest CPU lane with the others.
func amongCPUs(d *Document, best *bench.Result) string {
	var parts []string
	bySpeed := slices.SortedFunc(slices.Values(d.Results), func(a, b *bench.Result) int { return cmp.Compare(speed(b), speed(a)) })
	for _, r := range bySpeed {
		if r == best || r.Device.Kind != hardware.CPU || !r.Verified() {
			continue
		}
		c := bench.Compare(best, r)
		switch {
		case len(c.Differs) > 0:
		case c.Even() || unit.Times(c.Ratio.Value) == "1.00":
			parts = append(parts, fmt.Sprintf("level with %s (%s)", Label(r.Device), interval(c.Ratio)))
		default:
			parts = append(parts, fmt.Sprintf("%s× %s (%s)", unit.Times(c.Ratio.Value), Label(r.Device), interval(c.Ratio)))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	g := best.GEMM
	return fmt.Sprintf("Fastest on this CPU is %s: %s; same matrices, same %s, %s, all verified.",
		Label(best.Device), strings.Join(parts, ", "), dtype(g), unit.Cube(g.M, g.N, g.K))
}

// notRaced lists engines that are missing, each with the way to it. Devices that
// are missing are in the sentence already.
func notRaced(d *Document) []string {
	var list []string
	for _, m := range d.NotRaced {
		if m.API != "" {
			continue
		}
		text := "Not raced: "
		if !strings.Contains(strings.ToLower(m.Reason), m.Engine) {
			text += m.Engine + ": "
		}
		text += m.Reason
		if len(m.Remedies) > 0 {
			text += " (" + Words(m.Remedies) + ")"
		}
		list = append(list, text)
	}
	return list
}
