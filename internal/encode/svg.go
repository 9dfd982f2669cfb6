package encode

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// The plot's frame, in the units of its viewBox.
const (
	plotWidth, plotHeight = 960, 560
	plotLeft, plotRight   = 64, 770 // right of it stand the lanes' names
	plotTop, plotBottom   = 92, 500
	labelApart            = 19
)

// plotColors are told apart by people who see red and green alike, on white and on
// black (after Okabe and Ito, "Color Universal Design", lightened or darkened).
var plotColors = []struct{ light, dark string }{
	{"#d1495b", "#ff7b89"}, {"#00629b", "#5fb4f0"}, {"#2a7f62", "#4fc99c"}, {"#b06f00", "#f0b040"},
	{"#7a4fa3", "#c39bee"}, {"#5b6470", "#a8b3bf"}, {"#8c3b00", "#e08e5a"}, {"#00707a", "#4fd0d8"},
}

// SVG draws the square sizes of a sweep: speed over size, both logarithmic, one line
// per lane with the range of its median, and the peaks that were measured as a roof. It
// reads on light and dark pages.
func SVG(w io.Writer, r *record.Run, _ fault.Wording) error {
	s := judge.NewSweep(r)
	s.Points = slices.DeleteFunc(s.Points, func(p judge.Point) bool { return p.GEMM.M != p.GEMM.N || p.GEMM.N != p.GEMM.K })
	slices.SortFunc(s.Points, func(a, b judge.Point) int { return cmp.Compare(a.GEMM.N, b.GEMM.N) })
	points := s.Points
	var b strings.Builder
	text := func(x, y float64, class, anchor, t string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`+"\n", x, y, class, anchor, escape(t))
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" font-family="system-ui, -apple-system, 'Segoe UI', sans-serif">`+"\n", plotWidth, plotHeight)
	b.WriteString("<style>" + plotStyle(len(s.Lanes)) + "</style>\n" + `<rect class="b" width="100%" height="100%" rx="8"/>` + "\n")
	c := newChart(s)
	if c == nil {
		text(plotWidth/2, plotHeight/2, "t", "middle", "No square product was measured and found right.")
		b.WriteString("</svg>\n")
		_, err := io.WriteString(w, b.String())
		return err
	}
	title := fmt.Sprintf("Matrix multiply by size, %s", judge.Operands(points[0].GEMM))
	fmt.Fprintf(&b, "<title>%s</title>\n", escape(title))
	text(plotLeft, 32, "h", "start", title)
	sub := r.Machine.CPU
	if x := points[0].Results[0]; x != nil && x.Facts.Threads > 0 {
		sub += " · " + unit.Plural(x.Facts.Threads, "thread")
	}
	text(plotLeft, 54, "s", "start", sub+" · medians with their 95 % ranges, "+judge.Checked(r.Results))

	for _, y := range ticks(c.low, c.high) {
		fmt.Fprintf(&b, `<line class="g" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`+"\n", plotLeft, plotRight, c.y(y), c.y(y))
		text(plotLeft-8, c.y(y)+4, "t", "end", trim(unit.Digits3(y/c.scale)))
	}
	text(plotLeft-8, plotTop-12, "s", "end", c.unit)
	last := math.Inf(-1)
	for _, p := range points {
		x := c.x(p.GEMM.N)
		fmt.Fprintf(&b, `<line class="a" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`+"\n", x, x, plotBottom, plotBottom+5)
		if x-last > 34 {
			text(x, plotBottom+20, "t", "middle", fmt.Sprint(p.GEMM.N))
			last = x
		}
	}
	text((plotLeft+plotRight)/2, plotBottom+44, "s", "middle", "n of an n×n×n product")
	fmt.Fprintf(&b, `<line class="a" x1="%d" x2="%d" y1="%d" y2="%d"/>`+"\n", plotLeft, plotRight, plotBottom, plotBottom)

	var labels []label
	if peak := c.roof(&b, points); peak > 0 {
		labels = append(labels, label{c.y(peak), "t", "peak " + trim(unit.Digits3(peak/c.scale)), -1})
	}
	for i, l := range slices.Backward(s.Lanes) { // the first lane on top
		if end, ok := c.line(&b, points, i); ok {
			labels = append(labels, label{end, fmt.Sprintf("n c%d", i), l.Name, i})
		}
	}
	spreadOut(labels)
	for _, l := range labels {
		text(plotRight+10, l.y+4, l.class, "start", l.text)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// plotStyle has the colours, for light pages and for dark ones.
func plotStyle(lanes int) string {
	var light, dark strings.Builder
	for i := range lanes {
		c := plotColors[i%len(plotColors)]
		fmt.Fprintf(&light, ".c%d{stroke:%s;fill:%s}", i, c.light, c.light)
		fmt.Fprintf(&dark, ".c%d{stroke:%s;fill:%s}", i, c.dark, c.dark)
	}
	return `
.b{fill:#fff}.h{font-size:19px;font-weight:600;fill:#16191d}.t,.s{font-size:13px;fill:#4a525c}.n{font-size:14px;font-weight:600;stroke:none!important}
.g{stroke:#e3e6ea}.a{stroke:#8a939e}.r{stroke:#4a525c;stroke-dasharray:6 5;fill:none}.l{fill:none!important;stroke-width:2.2;stroke-linejoin:round}.e{stroke-width:1.2;opacity:.55}.p{stroke:none!important}
` + light.String() + `
@media(prefers-color-scheme:dark){.b{fill:#0f1216}.h{fill:#f1f3f5}.t,.s{fill:#b4bcc6}.g{stroke:#2a3038}.a{stroke:#6b7580}.r{stroke:#b4bcc6}` + dark.String() + `}
`
}

// A chart maps sizes and speeds to the frame.
type chart struct {
	low, high   float64 // FLOP/s
	first, last float64 // logarithms of sizes
	scale       float64
	unit        string
}

func newChart(s *judge.Sweep) *chart {
	c := &chart{low: math.Inf(1)}
	var all []*bench.Result
	for _, p := range s.Points {
		for _, r := range p.Results {
			if r != nil {
				all = append(all, r)
			}
			if r == nil || !r.Verified() {
				continue
			}
			if v, ok := r.Speed(); ok && drawable(v.Value) && drawable(v.High) {
				c.low, c.high = min(c.low, v.Value), max(c.high, v.High)
			}
		}
	}
	if c.high == 0 {
		return nil
	}
	c.scale, c.unit = judge.Scale(all)
	c.high = max(c.high, s.Peak()) * 1.15
	c.low = min(c.low*0.7, c.high/4) // by the medians: one that was disturbed may reach down to nothing
	c.first, c.last = math.Log(float64(s.Points[0].GEMM.N)), math.Log(float64(s.Points[len(s.Points)-1].GEMM.N))
	return c
}

func (c *chart) x(n int) float64 {
	if c.last == c.first {
		return (plotLeft + plotRight) / 2
	}
	const inset = 16
	return plotLeft + inset + (math.Log(float64(n))-c.first)/(c.last-c.first)*(plotRight-plotLeft-2*inset)
}

func (c *chart) y(speed float64) float64 {
	return plotBottom - (math.Log(max(speed, c.low))-math.Log(c.low))/(math.Log(c.high)-math.Log(c.low))*(plotBottom-plotTop)
}

// roof draws the peak that was measured with each size, from side to side, and
// returns the last; 0 where none is known.
func (c *chart) roof(b *strings.Builder, points []judge.Point) (last float64) {
	var path []string
	for _, p := range points {
		r := p.Results[0]
		if r == nil || r.Peak() == nil || !drawable(*r.Peak()) {
			continue
		}
		last = *r.Peak()
		if len(path) == 0 {
			path = append(path, fmt.Sprintf("%d,%.1f", plotLeft, c.y(last)))
		}
		path = append(path, fmt.Sprintf("%.1f,%.1f", c.x(p.GEMM.N), c.y(last)))
	}
	if len(path) > 0 {
		path = append(path, fmt.Sprintf("%d,%.1f", plotRight, c.y(last)))
		fmt.Fprintf(b, `<polyline class="r" points="%s"/>`+"\n", strings.Join(path, " "))
	}
	return last
}

// line draws lane i and returns the height at which it ends.
func (c *chart) line(b *strings.Builder, points []judge.Point, i int) (end float64, ok bool) {
	var path []string
	for _, p := range points {
		r := p.Results[i]
		if r == nil || !r.Verified() {
			continue
		}
		v, _ := r.Speed()
		if !drawable(v.Value) {
			continue
		}
		x, y := c.x(p.GEMM.N), c.y(v.Value)
		path = append(path, fmt.Sprintf("%.1f,%.1f", x, y))
		fmt.Fprintf(b, `<line class="e c%d" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, i, x, x, c.y(v.Low), c.y(v.High))
		fmt.Fprintf(b, `<circle class="p c%d" cx="%.1f" cy="%.1f" r="2.8"/>`+"\n", i, x, y)
		end, ok = y, true
	}
	if len(path) > 1 {
		fmt.Fprintf(b, `<polyline class="l c%d" points="%s"/>`+"\n", i, strings.Join(path, " "))
	}
	return end, ok
}

// ticks returns 1, 2 and 5 times the powers of ten from low to high, only the powers
// where those would be many, and more where they would be few.
func ticks(low, high float64) []float64 {
	steps := []float64{1, 2, 5}
	switch {
	case high/low > 1e4:
		steps = steps[:1]
	case high/low < 10:
		steps = []float64{1, 1.5, 2, 3, 4, 5, 6, 8}
	}
	var out []float64
	for e := math.Floor(math.Log10(low)); e <= math.Log10(high); e++ {
		for _, s := range steps {
			if y := s * math.Pow(10, e); y >= low && y <= high {
				out = append(out, y)
			}
		}
	}
	return out
}

// trim drops the zeros behind a decimal point: 10.0 is 10.
func trim(t string) string {
	if strings.Contains(t, ".") {
		t = strings.TrimRight(strings.TrimRight(t, "0"), ".")
	}
	return t
}

type label struct {
	y     float64
	class string
	text  string
	lane  int
}

// spreadOut moves labels apart that would lie on each other.
func spreadOut(labels []label) {
	slices.SortStableFunc(labels, func(a, b label) int { return cmp.Or(cmp.Compare(a.y, b.y), cmp.Compare(a.lane, b.lane)) })
	for range 50 {
		moved := false
		for i := 1; i < len(labels); i++ {
			if over := labelApart - (labels[i].y - labels[i-1].y); over > 0.01 {
				labels[i-1].y -= over / 2
				labels[i].y += over / 2
				moved = true
			}
		}
		if !moved {
			return
		}
	}
}

// escape makes a text one of XML, of which it leaves out the characters that XML does
// not have.
func escape(t string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(plain.Line(t)))
	return b.String()
}

// drawable reports whether a figure can be drawn on a logarithmic axis.
func drawable(x float64) bool { return x > 0 && !math.IsInf(x, 0) && !math.IsNaN(x) }
