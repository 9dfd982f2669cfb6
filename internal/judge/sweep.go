package judge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Sweep is a run's results by size and lane. Its first lane is compared with the best of
// the others of its kind, CPUs with CPUs, and the fastest GPU lane with the fastest CPU
// lane.
type Sweep struct {
	Lanes  []SweepLane // in the order of the run
	Points []Point     // in the order in which sizes were measured
	run    *record.Run
}

// A SweepLane is a lane of a sweep.
type SweepLane struct {
	ID     string
	Name   string // as few words as tell it from the others, for a column's head
	Device hardware.Device
}

// A Point is one size of a sweep.
type Point struct {
	GEMM    bench.GEMM
	Results []*bench.Result    // by lane; nil where a lane has none
	Peer    int                // the fastest verified lane but the first of its kind of device; -1 where the two cannot be compared
	Ratio   measure.Comparison // of the first lane to Peer, if there is one
	CPU     int                // the fastest verified CPU lane; -1 where it and GPU cannot be compared
	GPU     int                // the fastest verified GPU lane; likewise
	Gain    measure.Comparison // of GPU to CPU, if there are both
	Trip    int                // the verified GPU lane with the shortest round trip, a software GPU if no other has one; -1: none was timed
	// WithCopies compares the round trip with the fastest verified CPU lane. It has no ratio
	// where it has no interval, as without a CPU lane.
	WithCopies measure.Comparison
}

// NewSweep sorts a run's results by size and lane.
func NewSweep(r *record.Run) *Sweep {
	s := &Sweep{run: r}
	at := map[string]int{}
	for _, x := range r.Results {
		if _, known := at[x.Lane]; !known {
			at[x.Lane] = len(s.Lanes)
			s.Lanes = append(s.Lanes, SweepLane{ID: x.Lane, Device: x.Device})
		}
	}
	name(s.Lanes)
	for _, results := range r.Points() {
		p := Point{GEMM: results[0].GEMM, Results: make([]*bench.Result, len(s.Lanes))}
		for _, x := range results {
			p.Results[at[x.Lane]] = x
		}
		p.compare(s.Lanes[0].Device.Kind)
		s.Points = append(s.Points, p)
	}
	return s
}

// compare holds the first lane against the fastest of the others of its kind, and the
// kinds against each other.
func (p *Point) compare(kind hardware.Kind) {
	p.CPU, p.GPU = p.fastest(hardware.CPU, 0), p.fastest(hardware.GPU, 0)
	if p.CPU >= 0 && p.GPU >= 0 {
		p.Gain = Compare(p.Results[p.GPU], p.Results[p.CPU])
	}
	if p.CPU < 0 || p.GPU < 0 || len(p.Gain.Differs) > 0 {
		p.CPU, p.GPU = -1, -1
	}
	if p.Trip = shortestTrip(p.Results, hardware.GPU); p.Trip < 0 {
		p.Trip = shortestTrip(p.Results, hardware.SoftwareGPU)
	}
	if cpu := p.fastest(hardware.CPU, 0); p.Trip >= 0 && cpu >= 0 {
		p.WithCopies, _ = WithCopies(p.Results[p.Trip], p.Results[cpu])
	}
	p.Peer = p.fastest(kind, 1)
	first := p.Results[0]
	if p.Peer < 0 || first == nil {
		p.Peer = -1
		return
	}
	if p.Ratio = Compare(first, p.Results[p.Peer]); len(p.Ratio.Differs) > 0 {
		p.Peer = -1
	}
}

// fastest returns the fastest verified lane of a kind, not before lane from; -1 if there
// is none.
func (p *Point) fastest(kind hardware.Kind, from int) int {
	fastest := -1
	for i, r := range p.Results {
		if i >= from && r != nil && r.Device.Kind == kind && r.Verified() && (fastest < 0 || Speed(r) > Speed(p.Results[fastest])) {
			fastest = i
		}
	}
	return fastest
}

// Cube returns the size: "4096³".
func (p Point) Cube() string { return unit.Cube(p.GEMM.M, p.GEMM.N, p.GEMM.K) }

// Fastest returns the fastest verified lane; -1 if there is none.
func (p Point) Fastest() int {
	fastest := -1
	for i, r := range p.Results {
		if r != nil && r.Verified() && (fastest < 0 || Speed(r) > Speed(p.Results[fastest])) {
			fastest = i
		}
	}
	return fastest
}

// name gives each lane a name of as few words as tell it from the others: its library,
// with the interface and then with the GPU where another lane has the same.
func name(lanes []SweepLane) {
	names := func(d hardware.Device) []string {
		list := []string{d.Library, d.Library + " " + d.API}
		switch {
		case d.Card != nil:
			list = append(list, fmt.Sprintf("%s GPU %d", d.Library, *d.Card))
		case d.Index != nil:
			list = append(list, fmt.Sprintf("%s %s:%d", d.Library, d.API, *d.Index))
		}
		return append(list, d.Library+" "+d.ID)
	}
	shared := func(name string) bool {
		n := 0
		for _, l := range lanes {
			if slices.Contains(names(l.Device), name) {
				n++
			}
		}
		return n > 1
	}
	for i := range lanes {
		list := names(lanes[i].Device)
		lanes[i].Name = list[len(list)-1]
		if at := slices.IndexFunc(list, func(name string) bool { return !shared(name) }); at >= 0 {
			lanes[i].Name = list[at]
		}
	}
}

// Peak returns the most FLOP/s that the first lane's device reached with bare
// multiply-adds at any of the sizes; 0 where that is not known.
func (s *Sweep) Peak() float64 {
	peak := 0.0
	for _, p := range s.Points {
		if r := p.Results[0]; r != nil && r.Peak() != nil {
			peak = max(peak, *r.Peak())
		}
	}
	return peak
}

// Legend says what the lanes' names stand for, with their threads and their GPUs.
func (s *Sweep) Legend() []string {
	var out []string
	for i, l := range s.Lanes {
		d := l.Device
		text := d.Label()
		if !strings.HasPrefix(text, l.Name) {
			text = l.Name + ": " + text
		}
		if d.Detail != "" && d.Version != "" && !strings.Contains(text, d.Detail) {
			text += ", " + d.Detail
		}
		for _, p := range s.Points {
			if r := p.Results[i]; r != nil && r.Facts.Threads > 0 {
				text += ", " + unit.Plural(r.Facts.Threads, "thread")
				break
			}
		}
		if d.Kind == hardware.GPU {
			text += ", on " + Place(s.run, d)
			if other := d.Renumbered(); other != "" {
				text += " (" + other + ")"
			}
		}
		out = append(out, text)
	}
	return out
}

// Notes say why figures are missing or marked, each reason once with its sizes.
func (s *Sweep) Notes(words fault.Wording) []string {
	type note struct { // lanes of one name may say the same
		lane int
		text string
	}
	var order []note
	var noisy, throttled []string
	at := map[note][]string{}
	marked := false
	for _, p := range s.Points {
		add := func(i int, text string) {
			n := note{i, text}
			if at[n] == nil {
				order = append(order, n)
			}
			if !slices.Contains(at[n], p.Cube()) {
				at[n] = append(at[n], p.Cube())
			}
		}
		for i, r := range p.Results {
			if r == nil {
				continue
			}
			marked = marked || doubtful(r)
			if r.Has(measure.Noise) && !slices.Contains(noisy, p.Cube()) {
				noisy = append(noisy, p.Cube())
			}
			if r.Has(measure.Throttled) && !slices.Contains(throttled, p.Cube()) {
				throttled = append(throttled, p.Cube())
			}
			if r.Error != nil {
				add(i, r.Error.Words(words))
			}
			for _, w := range r.Warnings {
				if w.Code == measure.Arithmetic || w.Code == measure.AbovePeak || w.Code == measure.Unchecked || w.Code == measure.SoftwareGPU {
					add(i, w.Text)
				}
			}
			for _, n := range r.Facts.Notes {
				add(i, n)
			}
		}
	}
	where := func(sizes []string) string {
		switch {
		case len(sizes) == len(s.Points):
			return ""
		case len(sizes) > 4:
			return fmt.Sprintf(" (at %d sizes)", len(sizes))
		}
		return " (at " + strings.Join(sizes, ", ") + ")"
	}
	var out []string
	for _, n := range order {
		out = append(out, s.Lanes[n.lane].Name+": "+n.text+where(at[n]))
	}
	if marked {
		out = append(out, "*: not verified, and in no ratio")
	}
	if len(noisy) > 0 {
		out = append(out, "noisy: something else used this machine, or its clock changed"+where(noisy))
	}
	if len(throttled) > 0 {
		out = append(out, "throttled: the CPU quota of this container is what was measured"+where(throttled))
	}
	return out
}

// Figure returns a lane's speed at one size, marked where it is not verified, or why
// there is none in a word.
func Figure(r *bench.Result, scale float64) string {
	switch {
	case r == nil:
		return "–"
	case r.Error != nil && r.Error.Code == fault.Wrong:
		return "wrong"
	case len(r.Samples) == 0 && r.Error != nil && r.Error.Code == fault.Unsupported:
		return "–"
	case len(r.Samples) == 0:
		return "none"
	}
	text := unit.Digits3(Speed(r) / scale)
	if doubtful(r) {
		text += "*"
	}
	return text
}

// doubtful reports whether a lane has a figure that is not verified.
func doubtful(r *bench.Result) bool {
	return len(r.Samples) > 0 && !(r.Error != nil && r.Error.Code == fault.Wrong) && !r.Verified()
}

// Sentences say what the sweep means.
func (s *Sweep) Sentences() []string {
	var out []string
	for _, text := range []string{s.against(), crossover(s.run), crossoverWithCopies(s.run)} {
		if text != "" {
			out = append(out, text)
		}
	}
	if s.run.Interrupted {
		out = append(out, interrupted)
	}
	return out
}

// against counts how the first lane does against the best of the others of its kind.
func (s *Sweep) against() string {
	faster, level, slower, worst := 0, 0, 0, -1
	for i, p := range s.Points {
		if p.Peer < 0 {
			continue
		}
		switch {
		case even(p.Ratio):
			level++
		case p.Ratio.Ratio.Value > 1:
			faster++
		default:
			slower++
		}
		if worst < 0 || p.Ratio.Ratio.Value < s.Points[worst].Ratio.Ratio.Value {
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
	}{{"faster", faster}, {"level", level}, {"slower", slower}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%s at %d", c.word, c.n))
		}
	}
	others := "others"
	if slices.ContainsFunc(s.Lanes, func(l SweepLane) bool { return l.Device.Kind != s.Lanes[0].Device.Kind }) {
		others = "other " + strings.ToUpper(string(s.Lanes[0].Device.Kind)) + " lanes"
	}
	p := s.Points[worst]
	return fmt.Sprintf("%s against the best of the %s: %s of %d sizes; least at %s: %s× %s (%s).",
		s.Lanes[0].Name, others, strings.Join(parts, ", "), faster+level+slower, p.Cube(), unit.Times(p.Ratio.Ratio.Value), s.Lanes[p.Peer].Name, Range(p.Ratio.Ratio))
}
