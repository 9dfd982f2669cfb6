package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Sweep is the same lanes at many sizes. Its first lane is the one that the
// others are compared with.
type Sweep struct {
	Points      []*Document // a size each; results in the lanes' order
	Interrupted bool
	Crossover   bool // from which size the GPU wins was asked for
}

// A point is one size as reports need it.
type point struct {
	gemm    bench.GEMM
	results []*bench.Result // by lane; nil where a lane has none
	peer    int             // the fastest verified lane but the first; -1 without
	ratio   bench.Comparison
}

// lanes lists the lanes of all points, in their order, by name.
func (s *Sweep) lanes() (names []string, devices []hardware.Device) {
	for _, d := range s.Points {
		for _, r := range d.Results {
			if name := laneName(r); !slices.Contains(names, name) {
				names, devices = append(names, name), append(devices, r.Device)
			}
		}
	}
	return names, devices
}

func (s *Sweep) points(lanes []string) []point {
	var points []point
	for _, d := range s.Points {
		if len(d.Results) == 0 {
			continue
		}
		p := point{gemm: d.Results[0].GEMM, results: make([]*bench.Result, len(lanes)), peer: -1}
		for _, r := range d.Results {
			p.results[slices.Index(lanes, laneName(r))] = r
		}
		first := p.results[0]
		for i, r := range p.results {
			if i > 0 && r != nil && r.Verified() && (p.peer < 0 || speed(r) > speed(p.results[p.peer])) {
				p.peer = i
			}
		}
		if p.peer > 0 && first != nil {
			p.ratio = bench.Compare(first, p.results[p.peer])
			if len(p.ratio.Differs) > 0 {
				p.peer = -1
			}
		} else {
			p.peer = -1
		}
		points = append(points, p)
	}
	return points
}

// peakOf returns the most that the first lane's device reached with bare
// multiply-adds, in any of the points; 0 where that is not known.
func peakOf(points []point) float64 {
	peak := 0.0
	for _, p := range points {
		if r := p.results[0]; r != nil && r.Facts.Peak != nil {
			peak = max(peak, *r.Facts.Peak)
		}
	}
	return peak
}

// scaleOfSweep returns the unit of a sweep's figures.
func scaleOfSweep(points []point) (scale float64, name string) {
	var all []*bench.Result
	for _, p := range points {
		for _, r := range p.results {
			if r != nil {
				all = append(all, r)
			}
		}
	}
	return scaleOf(all)
}

// short is a lane's name in a column's head: as few words as tell it from the others.
func short(devices []hardware.Device) []string {
	names := make([]string, len(devices))
	for i, d := range devices {
		names[i] = d.Library
		of := func(key func(hardware.Device) string) (n int) {
			for _, o := range devices {
				if o.Library == d.Library && key(o) == key(d) {
					n++
				}
			}
			return n
		}
		switch library := of(func(hardware.Device) string { return "" }); {
		case library == 1:
		case of(func(o hardware.Device) string { return o.API }) == 1:
			names[i] += " " + d.API
		default:
			names[i] += " " + d.ID
		}
	}
	return names
}

// legend says what the columns' names stand for, with threads.
func legend(points []point, devices []hardware.Device, names []string) []string {
	var out []string
	for i, d := range devices {
		text := Label(d)
		if !strings.HasPrefix(text, names[i]) {
			text = names[i] + ": " + text
		}
		if d.Detail != "" && d.Version != "" && !strings.Contains(text, d.Detail) {
			text += ", " + d.Detail
		}
		for _, p := range points {
			if r := p.results[i]; r != nil && r.Facts.Threads > 0 {
				text += ", " + threadsText(r.Facts.Threads)
				break
			}
		}
		out = append(out, text)
	}
	return out
}

// notes say why figures are missing or marked, each reason once with its sizes.
func (s *Sweep) notes(points []point, names []string) []string {
	var order []string
	at := map[string][]string{}
	add := func(text string, p point) {
		if at[text] == nil {
			order = append(order, text)
		}
		at[text] = append(at[text], unit.Cube(p.gemm.M, p.gemm.N, p.gemm.K))
	}
	var noisy []string
	marked := false
	for _, p := range points {
		for i, r := range p.results {
			if r == nil {
				continue
			}
			marked = marked || strings.HasSuffix(figure(r, 1), "*")
			if size := unit.Cube(p.gemm.M, p.gemm.N, p.gemm.K); r.Has(bench.WarnNoise) && !slices.Contains(noisy, size) {
				noisy = append(noisy, size)
			}
			if r.Error != nil {
				add(names[i]+": "+withHint(r.Error), p)
			}
			for _, w := range r.Warnings {
				if w.Code == bench.WarnArithmetic || w.Code == bench.WarnAbovePeak || w.Code == bench.WarnSoftwareGPU {
					add(names[i]+": "+w.Text, p)
				}
			}
			for _, n := range r.Facts.Notes {
				add(names[i]+": "+n, p)
			}
		}
	}
	where := func(sizes []string) string {
		switch {
		case len(sizes) == len(points):
			return ""
		case len(sizes) > 4:
			return fmt.Sprintf(" (at %d sizes)", len(sizes))
		}
		return " (at " + strings.Join(sizes, ", ") + ")"
	}
	var out []string
	for _, text := range order {
		out = append(out, text+where(at[text]))
	}
	if marked {
		out = append(out, "*: not verified, and in no ratio")
	}
	if len(noisy) > 0 {
		out = append(out, "noisy: something else used this machine, or its clock changed"+where(noisy))
	}
	return out
}

// sentences say what the sweep means.
func (s *Sweep) sentences(points []point, names []string) []string {
	var out []string
	if text := s.against(points, names); text != "" {
		out = append(out, text)
	}
	if text := s.crossover(); text != "" {
		out = append(out, text)
	}
	if s.Interrupted {
		out = append(out, interrupted)
	}
	return out
}

// against counts how the first lane does against the best of the others.
func (s *Sweep) against(points []point, names []string) string {
	faster, even, slower, worst := 0, 0, 0, -1
	for i, p := range points {
		if p.peer < 0 {
			continue
		}
		switch {
		case p.ratio.Even() || unit.Times(p.ratio.Ratio.Value) == "1.00":
			even++
		case p.ratio.Ratio.Value > 1:
			faster++
		default:
			slower++
		}
		if worst < 0 || p.ratio.Ratio.Value < points[worst].ratio.Ratio.Value {
			worst = i
		}
	}
	if worst < 0 {
		return ""
	}
	var parts []string
	for _, c := range []struct {
		word string
		n    int
	}{{"faster", faster}, {"level", even}, {"slower", slower}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%s at %d", c.word, c.n))
		}
	}
	p := points[worst]
	return fmt.Sprintf("%s against the best of the others: %s of %d sizes; least at %s: %s× %s (%s).",
		names[0], strings.Join(parts, ", "), faster+even+slower, unit.Cube(p.gemm.M, p.gemm.N, p.gemm.K),
		unit.Times(p.ratio.Ratio.Value), names[p.peer], interval(p.ratio.Ratio))
}

// A Crossing is where the GPU begins to win: it is slower at Below, or level, and
// faster at From and at all larger sizes that were measured.
type Crossing struct {
	Below, From int  // of square products; 0: none was measured that far
	Compared    bool // GPU and CPU were, at any size
}

// Crossing looks at the fastest verified lane of each kind at every square size.
func (s *Sweep) Crossing() Crossing {
	var c Crossing
	squares := slices.Clone(s.Points)
	squares = slices.DeleteFunc(squares, func(d *Document) bool {
		return len(d.Results) == 0 || d.Results[0].GEMM.M != d.Results[0].GEMM.N || d.Results[0].GEMM.N != d.Results[0].GEMM.K
	})
	slices.SortFunc(squares, func(a, b *Document) int { return cmp.Compare(b.Results[0].GEMM.M, a.Results[0].GEMM.M) })
	for _, d := range squares { // from the largest down
		cpu, gpu := d.best(hardware.CPU), d.best(hardware.GPU)
		if cpu == nil || gpu == nil {
			continue
		}
		r := bench.Compare(gpu, cpu)
		if len(r.Differs) > 0 {
			continue
		}
		c.Compared = true
		if r.Even() || r.Ratio.Value < 1 {
			c.Below = d.Results[0].GEMM.M
			return c
		}
		c.From = d.Results[0].GEMM.M
	}
	return c
}

func (s *Sweep) crossover() string {
	c := s.Crossing()
	switch {
	case !c.Compared && s.Crossover:
		return "No crossover: GPU and CPU do not both have verified results at any size."
	case !c.Compared:
		return ""
	case c.From == 0:
		return fmt.Sprintf("The CPU is as fast as the GPU or faster up to the largest size, %s.", unit.Cube(c.Below, c.Below, c.Below))
	case c.Below == 0:
		return fmt.Sprintf("The GPU wins at every size from %s on.", unit.Cube(c.From, c.From, c.From))
	}
	return fmt.Sprintf("The GPU wins from %s on; at %s it does not.", unit.Cube(c.From, c.From, c.From), unit.Cube(c.Below, c.Below, c.Below))
}
