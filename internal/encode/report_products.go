package encode

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// products shows a race, or a single product: the lanes, and their samples.
func (p *report) products(r *record.Run, words fault.Wording) {
	if len(r.Results) == 0 {
		return
	}
	scale, name := judge.Scale(r.Results)
	head, boundOf := judge.Bound(r.Results)
	top := topSpeed(r.Results)
	s := p.section("Lanes")
	s.stackedHead("device", "engine", "size", "#"+name, "#±", "#"+head, "#starts in", "#ready in", "")
	for _, x := range r.Results {
		cells := []string{judge.PlaceWithCores(r, x.Device), x.Label(), unit.Cube(x.GEMM.M, x.GEMM.N, x.GEMM.K), "–", "–", "–", "–", "–", laneVerdict(x, words)}
		if speed, ok := x.Speed(); ok {
			copy(cells[3:], []string{unit.Digits3(speed.Value / scale), judge.Spread(speed), boundOf(x), unit.Seconds(x.Start), unit.Seconds(x.Ready())})
		}
		s.laneRow(x, cells, 3, top)
	}
	p.productSamples(r.Kind, r.Results)
}

// topSpeed returns the highest speed of verified lanes.
func topSpeed(results []*bench.Result) float64 {
	top := 0.0
	for _, x := range results {
		if x.Verified() {
			top = max(top, judge.Speed(x))
		}
	}
	return top
}

// laneRow adds the row of a lane, with a bar for its speed in one of the columns; the last
// column is its verdict.
func (s *section) laneRow(x *bench.Result, cells []string, speed int, top float64) {
	row := s.row(cells...)
	if x.Verified() {
		row[speed].setBar(judge.Speed(x)/top, kindClass(x.Device.Kind))
	}
	row[len(row)-1].Class = laneClass(x)
}

// laneClass is the class of a lane's verdict.
func laneClass(x *bench.Result) string {
	switch {
	case !x.Verified():
		return "bad"
	case len(x.Warnings) == 0:
		return "good"
	}
	return ""
}

// productSamples shows every sample of products: as a picture, and as a table.
func (p *report) productSamples(kind record.Kind, results []*bench.Result) {
	var when period
	for _, x := range results {
		for _, sample := range x.Samples {
			when.add(sample.Start, sample.End)
		}
	}
	s := &section{
		Title: "Every sample", Intro: "A dot is a sample, at the time when it was taken; the band is the 95 % interval of the median.", Axis: when.axis(),
		Folded: kind == record.Sweep || kind == record.Learn, // which have many lines: lanes and sizes, or runs
	}
	raw := numbers("Samples as numbers", "lane", "product", "#sample", "#products", "#seconds", "#"+results[0].GEMM.Op()+"/s", "#began after, s")
	for i, x := range results {
		label := x.Label()
		if kind == record.Learn { // one lane, again and again
			label = fmt.Sprintf("run %d", i+1)
		}
		g := x.GEMM
		median, ok := x.Speed() // which a wrong lane does not have
		var at, speeds []float64
		for j, sample := range x.Samples {
			cells := []string{label, unit.Cube(g.M, g.N, g.K), strconv.Itoa(j + 1), strconv.Itoa(sample.Iters), float(sample.Wall.Seconds()), "–", float(sample.Start.Seconds())}
			if ok {
				speed := g.FLOP() / sample.Seconds()
				at, speeds = append(at, sample.Start.Seconds()), append(speeds, speed)
				cells[5] = float(speed)
			}
			raw.row(cells...)
		}
		if !ok {
			continue
		}
		if kind == record.Sweep {
			label += ", " + unit.Cube(g.M, g.N, g.K)
		}
		s.strip(label, kindClass(x.Device.Kind), at, speeds, when, median, g.Rate)
	}
	p.add(s, raw)
}

// sweep shows a sweep as its plot, and as a table with a column for each lane.
func (p *report) sweep(r *record.Run, words fault.Wording) {
	if len(r.Results) == 0 {
		return
	}
	sweep := judge.NewSweep(r)
	var plot strings.Builder
	_ = SVG(&plot, r, words) // a strings.Builder takes everything
	p.section("Speed by size").Plot = template.HTML(plot.String())
	scale, name := judge.Scale(r.Results)
	s := p.section("Sizes, in " + name)
	heads := []string{"m×n×k"}
	for _, l := range sweep.Lanes {
		heads = append(heads, "#"+l.Name)
	}
	s.head(append(heads, "#GPU ÷ CPU")...)
	for _, point := range sweep.Points {
		cells := []string{point.Cube()}
		for _, x := range point.Results {
			cells = append(cells, judge.Figure(x, scale))
		}
		gain := "–"
		if point.CPU >= 0 && point.GPU >= 0 {
			gain = judge.Ratio(point.Gain)
		}
		row := s.row(append(cells, gain)...)
		if i := point.Fastest(); i >= 0 {
			row[i+1].Class = kindClass(sweep.Lanes[i].Device.Kind)
		}
	}
	if heads, rows := sweep.Trips(); len(rows) > 0 {
		trips := p.section("Where the time of one product goes")
		trips.Intro = judge.TripsNote + "."
		for i := 1; i < len(heads)-1; i++ {
			heads[i] = "#" + heads[i]
		}
		trips.head(heads...)
		for _, r := range rows {
			trips.row(r...)
		}
	}
	for _, t := range append(sweep.Legend(), sweep.Notes(words)...) {
		s.note(t)
	}
	p.productSamples(r.Kind, r.Results)
}

// ladder shows a product that becomes fast step by step.
func (p *report) ladder(r *record.Run) {
	l := r.Ladder
	if l == nil || len(l.Rungs) == 0 {
		return
	}
	g := bench.Square(max(1, l.Size), "float32")
	speeds, gains := judge.RungSpeeds(l), judge.RungGains(r)
	top := 0.0
	for _, v := range speeds {
		top = max(top, v)
	}
	s := p.section("Steps")
	kind := "cpu"
	switch {
	case l.Software:
		kind = "off" // as kindClass has it
	case l.GPU != "":
		kind = "gpu"
	}
	s.head("step", "idea", "#threads", "#speed", "#times the one before")
	raw := numbers("Samples as numbers", "step", "#sample", "#seconds")
	for i, rung := range l.Rungs {
		gain := ""
		if gains[i] > 0 {
			gain = unit.Times(gains[i]) + "×"
		}
		row := s.row(rung.Name, rung.Idea, strconv.Itoa(rung.Threads), g.Rate(speeds[i]), gain)
		row[3].setBar(speeds[i]/top, kind)
		for j, v := range rung.Seconds {
			raw.row(rung.Name, strconv.Itoa(j+1), float(v))
		}
	}
	p.add(raw)
}

// cpu shows what a CPU can do at most, one column for each number of threads.
func (p *report) cpu(r *record.Run) {
	c := r.CPU
	if c == nil {
		return
	}
	counts := judge.ThreadCounts(c)
	s := p.section("This CPU")
	heads := []string{""}
	for _, n := range counts {
		heads = append(heads, "#"+unit.Plural(n, "thread"))
	}
	s.head(heads...)
	line := func(name string, cell func(threads int) (string, bool)) {
		cells, any := []string{name}, false
		for _, n := range counts {
			text, ok := cell(n)
			if !ok {
				text = "–"
			}
			cells, any = append(cells, text), any || ok
		}
		if any {
			s.row(cells...)
		}
	}
	line("clock", func(n int) (string, bool) {
		hertz, ok := judge.Clock(c, n)
		return unit.Digits3(hertz/1e9) + " GHz", ok
	})
	raw := numbers("Samples as numbers", "what", "of", "#threads", "#values")
	series := func(what, of string, threads int, values []float64) {
		var list []string
		for _, v := range values {
			list = append(list, unit.Digits3(v))
		}
		raw.row(what, of, strconv.Itoa(threads), strings.Join(list, " "))
	}
	for _, x := range c.Clocks {
		series("clock, Hz", "", x.Threads, x.Hertz)
	}
	seen := map[string]bool{}
	for _, x := range c.Peaks {
		series("peak, "+bench.Square(1, x.DType).Op()+"/s", string(x.DType), x.Threads, x.Ops)
		if !seen[string(x.DType)] {
			line("peak in "+string(x.DType), func(n int) (string, bool) {
				ops, ok := judge.Peak(c, x.DType, n)
				return bench.Square(1, x.DType).Rate(ops), ok
			})
		}
		seen[string(x.DType)] = true
	}
	for _, x := range c.Bandwidths {
		series("read, bytes/s", x.Place, x.Threads, x.Read)
		series("triad, bytes/s", x.Place, x.Threads, x.Triad)
		if !seen[x.Place] {
			line(x.Place+", read and triad", func(n int) (string, bool) {
				read, triad, ok := judge.Bandwidth(c, x.Place, n)
				return unit.Digits3(read/1e9) + " and " + unit.Digits3(triad/1e9) + " GB/s", ok
			})
		}
		seen[x.Place] = true
	}
	for _, i := range c.Instructions {
		switch {
		case i.Found && i.Kernels:
			s.note(i.Name + ": found, used by gpuplay's kernels")
		case i.Found:
			s.note(i.Name + ": found")
		default:
			s.note(i.Name + ": not in this CPU")
		}
	}
	if c.Others != nil {
		s.note(fmt.Sprintf("Other processes kept %s CPUs busy meanwhile, on average.", unit.Digits3(*c.Others)))
	}
	p.add(raw)
}

// foreign shows what another tool has measured.
func (p *report) foreign(r *record.Run) {
	series := seriesOf(r)
	if len(series) == 0 {
		return
	}
	s := p.section("Figures")
	s.head("measured", "device", "#figure", "#samples")
	raw := numbers("Samples as numbers", "measured", "device", "unit", "#values")
	for _, x := range series {
		s.row(x.Name, x.Device, judge.SeriesFigure(x), judge.SeriesSamples(x))
		var values []string
		for _, v := range x.Values {
			values = append(values, float(v))
		}
		raw.row(x.Name, x.Device, x.Unit, strings.Join(values, " "))
	}
	p.add(raw)
}

// checks shows a diagnosis.
func (p *report) checks(r *record.Run, words fault.Wording) {
	class := map[record.Status]string{record.OK: "good", record.Failed: "bad", record.Warning: "bad"}
	var s *section
	for i, c := range r.Checks {
		if i == 0 || c.Group != r.Checks[i-1].Group {
			s = p.section(c.Group)
			s.stackedHead("", "check", "found", "why it matters", "how to fix it")
		}
		row := s.row(string(c.Status), c.Name, c.Seen, c.Why, c.Remedies.Words(words))
		row[0].Class = class[c.Status]
	}
}

// A strip is one line of samples over time.
type strip struct {
	Name, Value, Says, Class string
	High, Low                string // what is at its upper and lower edge
	Band                     []string
	Line, Dots               string
}

// A period is the time in which samples were taken. Older files do not say when.
type period struct{ from, to time.Duration }

func (p *period) add(start, end time.Duration) {
	if p.to == 0 {
		p.from = start
	}
	p.from, p.to = min(p.from, start), max(p.to, start, end)
}

// axis says what is at the two ends.
func (p period) axis() [2]string {
	if p.to == 0 {
		return [2]string{"the first sample", "the last one"}
	}
	return [2]string{unit.Seconds(p.from) + " after the start of the run", unit.Seconds(p.to)}
}

// strip adds values over a period. rate writes a value.
func (s *section) strip(name, class string, at, values []float64, when period, median stats.Interval, rate func(float64) string) {
	low, high := median.Value, median.Value
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	if !drawable(low) || !drawable(high) || !drawable(median.Value) {
		return
	}
	// A few per cent fill the height; less would make noise of nothing.
	const least = 0.02
	if room := least * median.Value; high-low < 2*room {
		low, high = median.Value-room, median.Value+room
	}
	y := func(v float64) float64 { return 100 * (high - v) / (high - low) }
	t := strip{Class: class, High: "+" + unit.Percent(high/median.Value-1), Low: "−" + unit.Percent(1-low/median.Value)}
	said := rate(median.Value)
	if median.Firm() {
		said += " ±" + judge.Spread(median)
		top, bottom := max(0, y(min(high, median.High))), min(100, y(max(low, median.Low)))
		t.Band = []string{short(top), short(max(0.5, bottom-top))}
	}
	said += ", " + unit.Plural(len(values), "sample")
	t.setNames(name, said)
	var dots strings.Builder
	for i, v := range values {
		x := (float64(i) + 0.5) / float64(len(values))
		if when.to > when.from && i < len(at) {
			x = min(1, max(0, (at[i]-when.from.Seconds())/(when.to-when.from).Seconds()))
		}
		fmt.Fprintf(&dots, "M%s %sh0", short(1000*x), short(y(v)))
	}
	t.Dots = dots.String()
	s.Strips = append(s.Strips, t)
}

// short writes a place in a plot.
func short(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) }
