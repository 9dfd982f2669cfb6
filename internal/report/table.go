package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Label names what computes, short enough for a table: "OpenBLAS 0.3.34",
// "PyTorch 2.15 cpu, eager", "gpuplay (built in, AVX-512)".
func Label(d hardware.Device) string {
	if d.Version == "" {
		return fmt.Sprintf("%s (%s)", d.Library, d.Detail)
	}
	label := d.Library + " " + shortVersion(d.Version)
	if strings.EqualFold(d.API, d.Library) {
		return label
	}
	label += " " + d.API
	if d.Detail != "" {
		label += ", " + d.Detail
	}
	return label
}

// shortVersion keeps three parts of a version, two when the third is 0.
func shortVersion(v string) string {
	parts := strings.SplitN(v, ".", 4)
	parts = parts[:min(3, len(parts))]
	if len(parts) == 3 && parts[2] == "0" {
		parts = parts[:2]
	}
	return strings.Join(parts, ".")
}

// scaleOf returns the unit in which the results' speeds are easy to read.
func scaleOf(results []*bench.Result) (scale float64, name string) {
	top := 0.0
	for _, r := range results {
		top = max(top, speed(r))
	}
	what := bench.GEMM{}.Op()
	if len(results) > 0 { // of one type
		what = results[0].GEMM.Op()
	}
	if top >= 1e12 {
		return 1e12, "T" + what + "/s"
	}
	return 1e9, "G" + what + "/s"
}

// spread returns an interval's half width as a share; a dash where the samples
// are too few for one.
func spread(s stats.Interval) string {
	if !s.Firm() {
		return "–"
	}
	return unit.Percent(s.Spread())
}

// bound returns the head of the column that compares a result with what bounds it,
// and its figures: GB/s where that is memory, else the share of the peak.
func bound(results []*bench.Result) (head string, figure func(*bench.Result) string) {
	if slices.ContainsFunc(results, func(r *bench.Result) bool { return r.GEMM.MemoryBound() }) {
		return "GB/s", func(r *bench.Result) string {
			bytes, ok := r.Bandwidth()
			if !ok {
				return "–"
			}
			return unit.Digits3(bytes / 1e9)
		}
	}
	return "of peak", func(r *bench.Result) string {
		if r.Facts.Peak == nil {
			return "–"
		}
		return unit.Percent(speed(r) / *r.Facts.Peak)
	}
}

// row is a lane as the table shows it.
type row struct {
	name, marks           string // marks lead to notes
	figure, spread, bound string
	start, ready          string
	bar                   float64 // share of the widest
	failure               string  // in place of the figures
	notes                 []string
	best                  bool
}

// group is the lanes of one piece of hardware.
type group struct {
	name string
	kind hardware.Kind
	rows []row
}

// Table writes the results, a group for each piece of hardware, and what they
// mean in a sentence.
func Table(w io.Writer, d *Document, s Style) error {
	p := &page{Style: s}
	p.title(headline(d)...)
	scale, unitName := scaleOf(d.Results)
	groups := groupByDevice(d, scale)
	notes := number(groups, s)
	boundHead, _ := bound(d.Results)
	c := columnsFor(groups, boundHead, s)
	for i, g := range groups {
		p.line("")
		head := fit(s.Plain("  "+g.name), c.lead())
		if i == 0 {
			head = pad(head, c.lead()) + s.dim(c.head(unitName, s))
		}
		p.line("%s", head)
		for _, r := range g.rows {
			p.line("%s", c.row(r, s))
		}
	}
	p.notes(notes)
	p.sentences(sentences(d))
	p.notes(notRaced(d))
	if d.Next != "" {
		p.line("")
		p.paragraph("Next: "+d.Next, usual)
	}
	return p.writeTo(w)
}

// headline says what was measured and how.
func headline(d *Document) []string {
	if len(d.Results) == 0 {
		return nil
	}
	r := largest(d.Results)
	g := r.GEMM
	what := "matrix multiply " + unit.Cube(g.M, g.N, g.K)
	switch {
	case g.TransA && g.TransB:
		what += " (Aᵀ·Bᵀ)"
	case g.TransA:
		what += " (Aᵀ·B)"
	case g.TransB:
		what += " (A·Bᵀ)"
	}
	return []string{what, string(dtype(g)), fmt.Sprintf("random inputs, seed %d", r.Seed), "every result checked"}
}

// largest returns the result with the largest product.
func largest(results []*bench.Result) *bench.Result {
	return slices.MaxFunc(results, func(a, b *bench.Result) int { return cmp.Compare(a.GEMM.FLOP(), b.GEMM.FLOP()) })
}

// groupByDevice puts CPUs first and, within a device, verified lanes by speed.
func groupByDevice(d *Document, scale float64) []group {
	sorted := slices.Clone(d.Results)
	rank := map[hardware.Kind]int{hardware.CPU: 0, hardware.GPU: 1, hardware.SoftwareGPU: 2}
	slices.SortStableFunc(sorted, func(a, b *bench.Result) int {
		return cmp.Or(
			cmp.Compare(rank[a.Device.Kind], rank[b.Device.Kind]),
			cmp.Compare(a.Device.Name, b.Device.Name),
			cmp.Compare(truth(b), truth(a)),
			cmp.Compare(speed(b), speed(a)))
	})
	_, boundOf := bound(d.Results)
	top := 0.0
	for _, r := range d.Results {
		if len(r.Samples) > 0 {
			top = max(top, speed(r))
		}
	}
	var groups []group
	for _, r := range sorted {
		name := r.Device.Name
		if r.Device.Kind == hardware.CPU && d.Machine.Cores > 0 {
			name += fmt.Sprintf(", %d cores", d.Machine.Cores)
		}
		if n := len(groups); n == 0 || groups[n-1].name != name || groups[n-1].kind != r.Device.Kind {
			groups = append(groups, group{name: name, kind: r.Device.Kind})
		}
		g := &groups[len(groups)-1]
		x := row{name: Label(r.Device), best: r == d.best(r.Device.Kind), notes: slices.Clone(r.Facts.Notes)}
		if r.Protocol == bench.Classic {
			x.notes = append(x.notes, "classic loop: (a@b).sum().item() inside the clock")
		}
		for _, w := range r.Warnings {
			x.notes = append(x.notes, w.Text)
		}
		if s, ok := r.Speed(); ok {
			x.figure, x.spread, x.bound = unit.Digits3(s.Value/scale), spread(s), boundOf(r)
			x.bar, x.start, x.ready = s.Value/top, unit.Seconds(r.Start), unit.Seconds(r.Ready())
			if r.Error != nil {
				x.notes = append(x.notes, "incomplete: "+withHint(r.Error))
			}
		} else if r.Error != nil {
			x.failure = failed(r)
			x.notes = nil
		} else {
			x.failure = "not measured"
		}
		g.rows = append(g.rows, x)
	}
	return groups
}

// truth ranks lanes by how much their figure is worth.
func truth(r *bench.Result) int {
	switch {
	case r.Verified():
		return 2
	case len(r.Samples) > 0:
		return 1
	}
	return 0
}

func failed(r *bench.Result) string {
	text := withHint(r.Error)
	if r.Error.Code == fault.Wrong {
		text += "; left out of the comparison"
	}
	return text
}

func withHint(e *fault.Error) string {
	if len(e.Remedies) == 0 {
		return e.Message
	}
	return e.Message + " (" + Words(e.Remedies) + ")"
}

// number marks the rows that have notes and returns the notes; the same note has
// one number.
func number(groups []group, s Style) []string {
	var notes []string
	for gi := range groups {
		for ri := range groups[gi].rows {
			r := &groups[gi].rows[ri]
			for _, n := range r.notes {
				at := slices.IndexFunc(notes, func(have string) bool { return strings.HasSuffix(have, " "+n) })
				if at < 0 {
					at = len(notes)
					notes = append(notes, marker(at, s)+" "+n)
				}
				r.marks += " " + marker(at, s)
			}
		}
	}
	return notes
}

func marker(i int, s Style) string {
	superscripts := []string{"¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"}
	if s.Unicode && i < len(superscripts) {
		return superscripts[i]
	}
	return fmt.Sprintf("[%d]", i+1)
}

// columns is the table's layout.
type columns struct {
	name, bar, whole, decimals int // widths; 0: the column is dropped
	bound, start, ready        bool
	boundHead                  string
}

const (
	spreadWidth = 8
	boundWidth  = 10
	startWidth  = 11
	readyWidth  = 11
	wide        = 100 // columns from which a framework's own start is shown too
	maxBar      = 24
	minBar      = 6
)

// columnsFor fits the table into the terminal: it gives up "starts in" and the bar
// first, then "ready in", then "of peak" or "GB/s".
func columnsFor(groups []group, boundHead string, s Style) columns {
	c := columns{bound: true, boundHead: boundHead, start: s.Width >= wide, ready: true}
	for _, g := range groups {
		for _, r := range g.rows {
			c.name = max(c.name, lipgloss.Width(s.Plain(r.name)+r.marks))
			whole, part, _ := strings.Cut(r.figure, ".")
			c.whole, c.decimals = max(c.whole, len(whole)), max(c.decimals, len(part))
		}
	}
	fixed := func() int {
		w := 4 + c.name + 2 + c.figureWidth() + spreadWidth
		if c.bound {
			w += boundWidth
		}
		if c.start {
			w += startWidth
		}
		if c.ready {
			w += readyWidth
		}
		return w
	}
	if room := s.Width - fixed() - 2; s.Width >= 72 && room >= minBar {
		c.bar = min(room, maxBar)
	}
	c.start = c.start && fixed() <= s.Width
	c.ready = fixed() <= s.Width
	c.bound = fixed() <= s.Width
	if over := fixed() - s.Width; over > 0 {
		c.name = max(12, c.name-over)
	}
	return c
}

// figureWidth is the width of the speeds, whose head is 7 wide.
func (c columns) figureWidth() int { return max(7, c.whole+1+c.decimals) + 1 }

// lead is the width of what comes before the figures.
func (c columns) lead() int {
	w := 4 + c.name + 2
	if c.bar > 0 {
		w += c.bar + 2
	}
	return w
}

func (c columns) head(unitName string, s Style) string {
	h := right(unitName, c.figureWidth()) + right(s.Plain("±95 %"), spreadWidth)
	if c.bound {
		h += right(c.boundHead, boundWidth)
	}
	if c.start {
		h += right("starts in", startWidth)
	}
	if c.ready {
		h += right("ready in", readyWidth)
	}
	return h
}

func (c columns) row(r row, s Style) string {
	name := fit(s.Plain(r.name), c.name-lipgloss.Width(r.marks)) + r.marks
	out := "    " + pad(name, c.name) + "  "
	if r.best {
		out = "    " + s.bold(pad(name, c.name)) + "  "
	}
	if r.failure != "" {
		lines := Wrap(s.Plain(r.failure), max(12, s.Width-6-c.name))
		for i, l := range lines {
			lines[i] = s.red(l)
		}
		return out + strings.Join(lines, "\n"+strings.Repeat(" ", 6+c.name))
	}
	if c.bar > 0 {
		filled := max(1, int(math.Round(r.bar*float64(c.bar))))
		block := s.Plain("█")
		out += pad(strings.Repeat(block, filled), c.bar) + "  "
	}
	whole, part, dot := strings.Cut(r.figure, ".")
	figure := fmt.Sprintf("%*s", c.whole, whole)
	if dot {
		figure += "." + part
	}
	figure = pad(figure, c.whole+1+c.decimals)
	if c.decimals == 0 {
		figure = figure[:c.whole]
	}
	figure = fmt.Sprintf("%*s", c.figureWidth(), figure)
	if r.best {
		figure = s.bold(figure)
	}
	out += figure + s.dim(right(s.Plain(r.spread), spreadWidth))
	if c.bound {
		out += right(s.Plain(r.bound), boundWidth)
	}
	if c.start {
		out += s.dim(right(s.Plain(r.start), startWidth))
	}
	if c.ready {
		out += s.dim(right(s.Plain(r.ready), readyWidth))
	}
	return out
}

// Words writes remedies as the command line does.
func Words(r fault.Remedies) string { return r.Words(commandLine{}) }

type commandLine struct{}

func (commandLine) Param(name, value string) string {
	return strings.TrimSpace("--" + name + " " + value)
}
func (commandLine) Command(words []string) string { return strings.Join(words, " ") }
