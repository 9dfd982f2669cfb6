package term

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Widths of a CPU's table: a row's name, and what each number of threads takes.
const (
	cpuName = 18
	cpuCell = 15
	cpuHalf = 7 // of the second of two figures
)

// cpuTable writes what a CPU can do, one column for each number of threads, and what
// that means for products.
func cpuTable(w io.Writer, r *record.Run, s Style) error {
	p := &page{Style: s}
	c := r.CPU
	if c == nil {
		c = &record.CPU{}
	}
	p.title(judge.Processor(r, r.Machine.CPU), c.Kernels+" kernels", "measured in "+unit.Seconds(c.Elapsed.Round(10*time.Millisecond)))
	counts := judge.ThreadCounts(c)
	for len(counts) > 1 && 2+cpuName+len(counts)*cpuCell > s.Width { // all threads say more than one
		counts = counts[1:]
	}
	line := func(name string, l look, cell func(threads int) string) {
		cells := ""
		for _, n := range counts {
			cells += right(p.clean(cell(n)), cpuCell)
		}
		p.line(span{"  " + pad(p.clean(name), cpuName), usual}, span{cells, l})
	}
	if len(counts) > 0 {
		p.line()
		line("", dim, func(n int) string { return unit.Plural(n, "thread") })
	}
	if len(c.Clocks) > 0 {
		line("clock", usual, func(n int) string {
			hertz, ok := judge.Clock(c, n)
			if !ok {
				return ""
			}
			return unit.Digits3(hertz/1e9) + " GHz"
		})
	}
	for _, d := range matrix.DTypes {
		if !slices.ContainsFunc(c.Peaks, func(x record.Peak) bool { return x.DType == d }) {
			continue
		}
		line("peak "+string(d), usual, func(n int) string {
			ops, ok := judge.Peak(c, d, n)
			if !ok {
				return ""
			}
			return bench.Square(1, d).Rate(ops)
		})
	}
	var places []string
	for _, b := range c.Bandwidths {
		places = append(places, b.Place)
	}
	slices.Sort(places) // L1 to L3 come before memory by their letters
	for i, place := range slices.Compact(places) {
		if i == 0 {
			p.line()
			line("GB/s", dim, func(int) string { return "read" + right("triad", cpuHalf) })
		}
		name := place
		if cache := cacheSize(c, place); cache != "" {
			name += " " + cache
		}
		line(name, usual, func(n int) string {
			read, triad, ok := judge.Bandwidth(c, place, n)
			if !ok {
				return ""
			}
			return giga(read) + right(giga(triad), cpuHalf)
		})
	}
	p.notes(append(instructionNotes(c), cpuNotes(c)...))
	p.sentences(judge.Sentences(r))
	return p.writeTo(w)
}

// giga returns a number of 10⁹; nothing for what is no number.
func giga(x float64) string {
	if math.IsNaN(x) {
		return ""
	}
	return unit.Digits3(x / 1e9)
}

// cacheSize describes a cache by its size: "512 KiB".
func cacheSize(c *record.CPU, place string) string {
	level, err := strconv.Atoi(strings.TrimPrefix(place, "L"))
	if err != nil {
		return ""
	}
	x, ok := c.Topology.Cache(level)
	if !ok {
		return ""
	}
	size, name := float64(x.Size)/1024, "KiB"
	if size >= 1024 {
		size, name = size/1024, "MiB"
	}
	text := strconv.FormatFloat(size, 'g', 4, 64) + " " + name
	if x.Shared != nil && *x.Shared > 1 {
		text += fmt.Sprintf(" /%d", *x.Shared)
	}
	return text
}

// instructionNotes say what the CPU has and what is used of it.
func instructionNotes(c *record.CPU) []string {
	var used, idle, missing []string
	for _, i := range c.Instructions {
		switch {
		case i.Found && i.Kernels:
			used = append(used, i.Name)
		case i.Found:
			idle = append(idle, i.Name)
		default:
			missing = append(missing, i.Name)
		}
	}
	var out []string
	for _, l := range []struct {
		what  string
		names []string
	}{{"Instructions found, with kernels here: ", used}, {"Found, without kernels: ", idle}, {"Not in this CPU: ", missing}} {
		if len(l.names) > 0 {
			out = append(out, l.what+strings.Join(l.names, ", "))
		}
	}
	return out
}

// cpuNotes say how the figures were measured, and what disturbed them.
func cpuNotes(c *record.CPU) []string {
	var out []string
	if len(c.Clocks) > 0 {
		out = append(out, "clock: by a chain of dependent additions, one per cycle")
	}
	if len(c.Peaks) > 0 {
		out = append(out, "peak: the best of several runs of independent multiply-adds in registers, with the instructions that products of the type use")
	}
	if len(c.Bandwidths) > 0 {
		out = append(out, "GB/s: bytes as STREAM counts them, 8 per element of a sum, 24 per element of a[i] = b[i] + s·c[i]; /n: shared by n CPUs")
	}
	const much = 0.05
	if c.Others != nil && *c.Others >= much {
		out = append(out, fmt.Sprintf("other processes kept %s CPUs busy meanwhile: this CPU may do more than is shown", unit.Digits3(*c.Others)))
	}
	return out
}
