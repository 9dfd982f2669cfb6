package report

import (
	"fmt"
	"io"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// SweepTable writes a row a size: as many lanes as there is room for, what share of
// the peak the first reaches, and how it does against the best of the others.
func SweepTable(w io.Writer, s *Sweep, style Style) error {
	page := &page{Style: style}
	lanes, devices := s.lanes()
	points := s.points(lanes)
	if len(points) == 0 {
		page.line("Nothing was measured.")
		return page.writeTo(w)
	}
	names := short(devices)
	scale, unitName := scaleOfSweep(points)
	page.title("sweep", string(dtype(points[0].gemm)), s.Points[0].Machine.CPU, "medians of samples taken in turns", "every result checked")
	page.line("")
	t := newSweepTable(points, names, scale, style)
	page.line("  %s", style.dim(t.head(unitName)))
	for _, p := range points {
		page.line("  %s", t.row(p))
	}
	page.notes(append(legend(points, devices, names), s.notes(points, names)...))
	page.sentences(s.sentences(points, names))
	return page.writeTo(w)
}

// sweepTable is the columns that fit.
type sweepTable struct {
	names   []string
	scale   float64
	style   Style
	lanes   []int // that have a column of their own
	widths  []int // of size, each lane, peak, ratio
	peak    float64
	best    bool // a column for the best peer's figure, where not every lane has one
	ratio   bool
	ofPeak  bool
	peerLen int
}

const (
	cellWidth  = 8
	shareWidth = 9
	ratioWidth = 19 // "1.08 (1.06–1.10)"
)

func newSweepTable(points []point, names []string, scale float64, style Style) *sweepTable {
	t := &sweepTable{names: names, scale: scale, style: style, peak: peakOf(points)}
	size := len("TFLOP/s")
	for _, p := range points {
		size = max(size, lipgloss.Width(style.Plain(unit.Cube(p.gemm.M, p.gemm.N, p.gemm.K))))
	}
	for _, n := range names {
		t.peerLen = max(t.peerLen, lipgloss.Width(n))
	}
	t.widths = []int{size}
	t.ratio, t.ofPeak = len(names) > 1, t.peak > 0
	fixed := func() int {
		w := 2 + size
		if t.ofPeak {
			w += shareWidth
		}
		if t.ratio {
			w += ratioWidth + 1 + t.peerLen
		}
		return w
	}
	all := fixed()
	for i, n := range names {
		t.lanes = append(t.lanes, i)
		all += max(cellWidth, lipgloss.Width(n)+2)
	}
	if all > style.Width { // the first lane and the best of the others
		t.lanes, t.best = t.lanes[:1], t.ratio
	}
	narrow := func() int {
		w := fixed()
		for _, i := range t.lanes {
			w += t.cell(i)
		}
		if t.best {
			w += cellWidth
		}
		return w
	}
	if narrow() > style.Width {
		t.ofPeak = false
	}
	if narrow() > style.Width {
		t.best = false
	}
	if narrow() > style.Width {
		t.peerLen = 0
	}
	return t
}

func (t *sweepTable) cell(i int) int { return max(cellWidth, lipgloss.Width(t.names[i])+2) }

func (t *sweepTable) head(unitName string) string {
	out := pad(unitName, t.widths[0])
	for _, i := range t.lanes {
		out += right(t.style.Plain(t.names[i]), t.cell(i))
	}
	if t.best {
		out += right("best", cellWidth)
	}
	if t.ofPeak {
		out += right("of peak", shareWidth)
	}
	if t.ratio {
		out += "   " + t.style.Plain(pad("÷ best other", ratioWidth-2))
	}
	return out
}

func (t *sweepTable) row(p point) string {
	out := pad(t.style.Plain(unit.Cube(p.gemm.M, p.gemm.N, p.gemm.K)), t.widths[0])
	fastest := -1
	for i, r := range p.results {
		if r != nil && r.Verified() && (fastest < 0 || speed(r) > speed(p.results[fastest])) {
			fastest = i
		}
	}
	for _, i := range t.lanes {
		text := right(t.style.Plain(figure(p.results[i], t.scale)), t.cell(i))
		switch {
		case i == fastest:
			text = t.style.bold(text)
		case strings.HasSuffix(text, "wrong"):
			text = t.style.red(text)
		}
		out += text
	}
	if t.best {
		text := ""
		if p.peer > 0 {
			text = figure(p.results[p.peer], t.scale)
		}
		out += right(t.style.Plain(text), cellWidth)
	}
	if t.ofPeak {
		out += right(shareOfPeak(p.results[0]), shareWidth)
	}
	if t.ratio && p.peer > 0 {
		out += "   " + pad(t.style.Plain(ratioText(p.ratio)), ratioWidth-2)
		if t.peerLen > 0 {
			out += t.style.dim(t.style.Plain(t.names[p.peer]))
		}
	}
	return out
}

// shareOfPeak is what a lane reaches of the peak that was measured with its samples,
// empty where that is not known.
func shareOfPeak(r *bench.Result) string {
	if r == nil || r.Facts.Peak == nil || len(r.Samples) == 0 {
		return ""
	}
	return unit.Percent(speed(r) / *r.Facts.Peak)
}

// ratioText is a ratio with its interval: "1.08 (1.06–1.10)".
func ratioText(c bench.Comparison) string {
	text := unit.Times(c.Ratio.Value)
	if c.Ratio.Confidence > 0 {
		text += fmt.Sprintf(" (%s–%s)", unit.Times(c.Ratio.Low), unit.Times(c.Ratio.High))
	}
	return text
}

// figure is a lane's cell: its speed, marked where it is not verified, or why
// there is none in a word.
func figure(r *bench.Result, scale float64) string {
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
	text := unit.Digits3(speed(r) / scale)
	if !r.Verified() {
		text += "*"
	}
	return text
}
