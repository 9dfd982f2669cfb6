package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/topology"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// CPUSchema names the version of the JSON form of CPU; docs/cpu.schema.json
// describes it.
const CPUSchema = "gpuplay/cpu/v1"

// CPU is what a CPU can do, measured: the roofs that every result on it is under.
// All series hold a value a sample.
type CPU struct {
	Schema       string            `json:"schema"`
	Created      time.Time         `json:"created"`
	Program      Program           `json:"program"`
	Command      []string          `json:"command"`
	Machine      host.Machine      `json:"machine"`
	Topology     topology.Topology `json:"topology"`
	Kernels      string            `json:"kernels"` // the instruction set that gpuplay computes with here
	Instructions []Instruction     `json:"instructions"`
	Clocks       []Clock           `json:"clocks"`
	Peaks        []Peak            `json:"peaks"`
	Bandwidths   []Bandwidth       `json:"bandwidths"`
	Others       *float64          `json:"others,omitempty"` // CPUs that others kept busy meanwhile, on average
	Elapsed      time.Duration     `json:"elapsed_ns"`
	Interrupted  bool              `json:"interrupted,omitempty"`
}

// An Instruction is a set of instructions for matrix products.
type Instruction struct {
	Name    string `json:"name"`
	Found   bool   `json:"found"`
	Kernels bool   `json:"kernels"` // gpuplay has kernels that use it
}

// A Clock is what so many threads' CPUs held together.
type Clock struct {
	Threads int       `json:"threads"`
	Hertz   []float64 `json:"hertz"` // of each CPU
}

// A Peak is what so many threads reach together with nothing but multiply-adds.
type Peak struct {
	DType   matrix.DType `json:"dtype"`
	Threads int          `json:"threads"`
	Ops     []float64    `json:"ops"` // FLOP/s, of integers OP/s
}

// A Bandwidth is what so many threads reach together in a cache or in memory.
type Bandwidth struct {
	Place   string    `json:"place"` // L1, L2, L3, memory
	Bytes   int       `json:"bytes"` // of each thread's arrays
	Threads int       `json:"threads"`
	Read    []float64 `json:"read"`  // bytes a second: a sum, 8 bytes an element
	Triad   []float64 `json:"triad"` // bytes a second: STREAM's, 24 bytes an element
}

// median is the middle of a series; ok is false of none.
func median(series []float64) (m float64, ok bool) {
	return stats.Median(series), len(series) > 0
}

// threadCounts are the columns: one thread, and all.
func (c *CPU) threadCounts() []int {
	var counts []int
	add := func(n int) {
		if !slices.Contains(counts, n) {
			counts = append(counts, n)
		}
	}
	for _, x := range c.Clocks {
		add(x.Threads)
	}
	for _, x := range c.Peaks {
		add(x.Threads)
	}
	for _, x := range c.Bandwidths {
		add(x.Threads)
	}
	slices.Sort(counts)
	return counts
}

// peak returns the best of all samples, since a neighbour can only make them
// smaller.
func (c *CPU) peak(d matrix.DType, threads int) (ops float64, ok bool) {
	for _, p := range c.Peaks {
		if p.DType == d && p.Threads == threads && len(p.Ops) > 0 {
			return slices.Max(p.Ops), true
		}
	}
	return 0, false
}

func (c *CPU) bandwidth(place string, threads int) *Bandwidth {
	for i, b := range c.Bandwidths {
		if b.Place == place && b.Threads == threads {
			return &c.Bandwidths[i]
		}
	}
	return nil
}

func threadsText(n int) string {
	if n == 1 {
		return "1 thread"
	}
	return fmt.Sprintf("%d threads", n)
}

// CPUTable writes what was measured, and what it means for products.
func CPUTable(w io.Writer, c *CPU, s Style) error {
	p := &page{Style: s}
	p.title(fmt.Sprintf("%s, %d CPUs", c.Machine.CPU, c.Machine.Cores), c.Kernels+" kernels", "measured in "+unit.Seconds(c.Elapsed.Round(10*time.Millisecond)))
	counts := c.threadCounts()
	const name, cell = 18, 15
	cells := func(of func(threads int) string) string {
		out := ""
		for _, n := range counts {
			out += right(s.Plain(of(n)), cell)
		}
		return out
	}
	if len(counts) > 0 {
		p.line("")
		p.line("  %s%s", pad("", name), s.dim(cells(threadsText)))
	}
	if len(c.Clocks) > 0 {
		p.line("  %s%s", pad("clock", name), cells(func(n int) string {
			for _, x := range c.Clocks {
				if m, ok := median(x.Hertz); ok && x.Threads == n {
					return unit.Digits3(m/1e9) + " GHz"
				}
			}
			return ""
		}))
	}
	for _, d := range matrix.DTypes {
		if !slices.ContainsFunc(c.Peaks, func(p Peak) bool { return p.DType == d }) {
			continue
		}
		p.line("  %s%s", pad("peak "+string(d), name), cells(func(n int) string {
			m, ok := c.peak(d, n)
			if !ok {
				return ""
			}
			return bench.Square(1, d).Rate(m)
		}))
	}
	c.places(p, counts)
	p.notes(append(c.instructions(), c.notes()...))
	p.sentences(c.sentences())
	return p.writeTo(w)
}

// places writes the bandwidths, nearest first.
func (c *CPU) places(page *page, counts []int) {
	var places []string
	for _, b := range c.Bandwidths {
		if !slices.Contains(places, b.Place) {
			places = append(places, b.Place)
		}
	}
	if len(places) == 0 {
		return
	}
	slices.Sort(places) // L1 to L3 come before memory by their letters
	const name, cell = 18, 15
	heads := ""
	for range counts {
		heads += right("read", cell-7) + right("triad", 7)
	}
	page.line("")
	page.line("  %s%s", pad("GB/s", name), page.dim(heads))
	for _, p := range places {
		label, row := p, ""
		for _, n := range counts {
			b := c.bandwidth(p, n)
			if b == nil {
				row += strings.Repeat(" ", cell)
				continue
			}
			text := func(series []float64) string {
				if m, ok := median(series); ok {
					return unit.Digits3(m / 1e9)
				}
				return ""
			}
			row += right(text(b.Read), cell-7) + right(text(b.Triad), 7)
		}
		if cache := c.cache(p); cache != "" {
			label += " " + cache
		}
		page.line("  %s%s", pad(page.Plain(label), name), row)
	}
}

// cache describes a cache by its size: "512 KiB".
func (c *CPU) cache(place string) string {
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

// instructions says what the CPU has and what is used of it.
func (c *CPU) instructions() []string {
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

// notes say how the figures were measured, and what disturbed them.
func (c *CPU) notes() []string {
	var out []string
	if len(c.Clocks) > 0 {
		out = append(out, "clock: by a chain of additions that need each other, one a cycle")
	}
	if len(c.Peaks) > 0 {
		out = append(out, "peak: the best of some runs of independent multiply-adds in registers, of the instructions that products of the type use")
	}
	if len(c.Bandwidths) > 0 {
		out = append(out, "GB/s: bytes as STREAM counts them, 8 an element of a sum, 24 of a[i] = b[i] + s·c[i]; /n: shared by n CPUs")
	}
	if c.Others != nil && *c.Others >= 0.05 {
		out = append(out, fmt.Sprintf("other processes kept %s CPUs busy meanwhile: this CPU may do more than is shown", unit.Digits3(*c.Others)))
	}
	return out
}

// sentences say where the roofline bends.
func (c *CPU) sentences() []string {
	var out []string
	counts := c.threadCounts()
	if len(counts) > 0 {
		all := counts[len(counts)-1]
		flops, known := c.peak(matrix.Float32, all)
		memory := c.bandwidth("memory", all)
		if known && memory != nil && len(memory.Read) > 0 {
			read, _ := median(memory.Read)
			out = append(out, fmt.Sprintf("With %s, float32 must do %s operations on each byte that it reads from memory to reach its peak (%s at %s GB/s). "+
				"A 4096³ product can do 683; a product with a vector, as a language model's every token needs, does 0.5 and waits for memory.",
				threadsText(all), unit.Digits3(flops/read), bench.Square(1, matrix.Float32).Rate(flops), unit.Digits3(read/1e9)))
		}
	}
	if c.Interrupted {
		out = append(out, interrupted)
	}
	return out
}

// CPUJSON writes everything with the raw samples.
func CPUJSON(w io.Writer, c *CPU) error {
	e := encoder(w)
	e.SetIndent("", "  ")
	return e.Encode(c)
}

// CPUCSV writes a row a figure, in base units.
func CPUCSV(w io.Writer, c *CPU) error {
	out := csv.NewWriter(w)
	out.Write([]string{"what", "of", "threads", "unit", "median", "low", "high", "confidence", "samples"})
	row := func(what, of string, threads int, unitName string, series []float64) {
		if len(series) == 0 {
			return
		}
		float := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
		m := stats.MedianInterval(series)
		out.Write([]string{what, of, strconv.Itoa(threads), unitName, float(m.Value), float(m.Low), float(m.High), float(m.Confidence), strconv.Itoa(len(series))})
	}
	for _, x := range c.Clocks {
		row("clock", "", x.Threads, "Hz", x.Hertz)
	}
	for _, x := range c.Peaks {
		row("peak", string(x.DType), x.Threads, bench.Square(1, x.DType).Op()+"/s", x.Ops)
	}
	for _, x := range c.Bandwidths {
		row("read", x.Place, x.Threads, "B/s", x.Read)
		row("triad", x.Place, x.Threads, "B/s", x.Triad)
	}
	out.Flush()
	return out.Error()
}
