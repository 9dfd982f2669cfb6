package term

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
)

// A table is rows of figures below their heads, in groups: the one layout of races,
// sweeps and tokens. It fits itself to the terminal: columns and bars are dropped by
// their ranks, then names are shortened.
type table struct {
	corner  string // the head of the rows' names; groups with titles have none
	columns []column
	bars    bars
	groups  []group
}

// A column is a figure of every row.
type column struct {
	head string
	rank int  // those of the largest rank are dropped first where the table is too wide; 0: never
	from int  // columns that a terminal must have for it to be shown
	look look // of its cells: dim for what is secondary
	left bool // words, aligned at the left; else figures, aligned at their decimal points
	key  bool // the figure that makes a row the best: bold there
}

// Bars show a figure to scale, between the names and the figures. They take the space
// that is left, and are dropped where it is too little.
type bars struct {
	on   bool
	rank int // as a column's
	from int // likewise
}

// A group is rows below a title: the lanes of one piece of hardware.
type group struct {
	title string
	rows  []row
}

// A row is a lane, or a size of a sweep.
type row struct {
	name    string
	cells   []string     // one per column
	looks   map[int]look // of single cells, by column
	bar     float64      // share of the longest; 0: none
	hatched bool         // the bar is of what was not measured
	failure string       // in place of the figures
	notes   []string     // below the table; marks behind the name lead to them
	best    bool         // in bold
}

const (
	maxBar    = 24
	minBar    = 6
	minName   = 12
	wideGap   = 3 // where what is shown leaves room for it
	narrowGap = 2
	// minFailure is the width that a failure must have to stand beside the name.
	minFailure = 20
)

// layout is a table with its texts cleaned, and the widths that fit.
type layout struct {
	*page
	table
	marks  [][]string // of each group's rows
	notes  []string
	shown  []int // the columns that fit
	width  []int // of every column
	least  []int // of every column, without its head
	dots   []int // of every column, the width of what is right of the decimal point
	indent int   // of names
	gap    int   // before each figure
	name   int
	bar    int  // 0: no bars
	beside bool // the first title has room beside the heads
}

// table adds a table and the notes that its marks lead to.
func (p *page) table(t table) {
	l := &layout{page: p, table: t}
	l.prepare()
	l.measure()
	l.fit()
	for i, g := range l.groups {
		l.line()
		l.head(i, g)
		for j, r := range g.rows {
			l.row(r, l.marks[i][j])
		}
	}
	p.notes(l.notes)
}

// natural is the width that a table takes with all its columns and no bars.
func (p *page) natural(t table) int {
	l := &layout{page: p, table: t, gap: narrowGap}
	l.prepare()
	l.measure()
	return l.total()
}

// prepare cleans the texts, since what is cleaned can be wider, and numbers the notes
// in their order; the same note has one number.
func (l *layout) prepare() {
	var notes []string
	l.indent = 2
	l.columns = slices.Clone(l.columns)
	for i := range l.columns {
		l.columns[i].head = l.clean(l.columns[i].head)
	}
	l.corner = l.clean(l.corner)
	l.groups = slices.Clone(l.groups)
	l.marks = make([][]string, len(l.groups))
	for i := range l.groups {
		g := &l.groups[i]
		if g.title = l.clean(g.title); g.title != "" {
			l.indent = 4
		}
		g.rows = slices.Clone(g.rows)
		l.marks[i] = make([]string, len(g.rows))
		for j := range g.rows {
			r := &g.rows[j]
			r.name, r.failure = l.clean(r.name), l.clean(r.failure)
			cells := make([]string, len(l.columns))
			for k := range min(len(cells), len(r.cells)) {
				cells[k] = l.clean(r.cells[k])
			}
			r.cells = cells
			var marks []int // in order, also where an earlier row has the same note
			for _, n := range r.notes {
				at := slices.Index(notes, n)
				if at < 0 {
					at = len(notes)
					notes = append(notes, n)
				}
				marks = append(marks, at)
			}
			slices.Sort(marks)
			for _, at := range marks {
				l.marks[i][j] += " " + l.mark(at)
			}
		}
	}
	for i, n := range notes {
		l.notes = append(l.notes, l.mark(i)+" "+n)
	}
}

func (l *layout) mark(i int) string {
	superscripts := []string{"¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"}
	if l.Unicode && i < len(superscripts) {
		return superscripts[i]
	}
	return fmt.Sprintf("[%d]", i+1)
}

// each calls f for every row.
func (l *layout) each(f func(r *row, marks string)) {
	for i := range l.groups {
		for j := range l.groups[i].rows {
			f(&l.groups[i].rows[j], l.marks[i][j])
		}
	}
}

// measure finds the widths that names and columns need.
func (l *layout) measure() {
	l.name = lipgloss.Width(l.corner)
	l.each(func(r *row, marks string) { l.name = max(l.name, lipgloss.Width(r.name+marks)) })
	for i, c := range l.columns {
		dots, width := 0, 0
		l.each(func(r *row, _ string) {
			if _, part, ok := number(r.cells[i]); ok && !c.left {
				dots = max(dots, lipgloss.Width(part))
			}
		})
		l.dots = append(l.dots, dots)
		l.each(func(r *row, _ string) { width = max(width, lipgloss.Width(l.aligned(r.cells[i], i))) })
		l.least = append(l.least, width)
		l.width = append(l.width, max(width, lipgloss.Width(c.head)))
		l.shown = append(l.shown, i)
	}
}

// fit drops what the terminal has no room for, and gives the bars what is left.
func (l *layout) fit() {
	shortest, barred := minName, 0
	l.each(func(r *row, marks string) {
		shortest = max(shortest, lipgloss.Width(marks)+4)
		if r.bar > 0 {
			barred++
		}
	})
	if l.bars.on && barred > 1 && l.Width >= l.bars.from {
		l.bar = minBar
	}
	l.shown = slices.DeleteFunc(l.shown, func(i int) bool { return l.Width < l.columns[i].from })
	l.gap = narrowGap
	for l.total() > l.Width && l.drop() {
	}
	if l.gap = wideGap; l.total() > l.Width {
		l.gap = narrowGap
	}
	spare := l.Width - l.total()
	if spare < 0 {
		l.name = max(min(l.name, shortest), l.name+spare)
		l.shorten(l.total() - l.Width)
	}
	if l.bar > 0 {
		more := min(spare, maxBar-minBar)
		l.bar += more
		spare -= more
	}
	if len(l.groups) > 0 {
		title := 2 + lipgloss.Width(l.groups[0].title)
		if more := title - l.lead(); more > 0 && more <= spare {
			l.name += more
		}
		l.beside = title <= l.lead()
	}
}

// aligned pads a number so that decimal points stand below each other.
func (l *layout) aligned(cell string, i int) string {
	whole, part, ok := number(cell)
	if !ok || l.columns[i].left {
		return cell
	}
	return whole + pad(part, l.dots[i])
}

// number splits a figure before its decimal point; ok is false for what is none, such
// as one with a unit behind it, which is aligned by its end. A dash stands for a
// figure; an asterisk behind one is a mark.
func number(cell string) (whole, part string, ok bool) {
	digits := strings.TrimSuffix(cell, "*")
	if digits == "" || strings.Trim(digits, "0123456789.") != "" && digits != "–" && digits != "-" {
		return "", "", false
	}
	whole, part = digits, ""
	if at := strings.IndexByte(digits, '.'); at >= 0 {
		whole, part = digits[:at], digits[at:]
	}
	return whole, part + cell[len(digits):], true
}

// total is the width that the table takes with what is shown.
func (l *layout) total() int {
	w := l.indent + l.name
	if l.bar > 0 {
		w += 2 + l.bar
	}
	for _, i := range l.shown {
		w += l.gap + l.width[i]
	}
	return w
}

// lead is the width of what comes before the figures.
func (l *layout) lead() int {
	w := l.indent + l.name
	if l.bar > 0 {
		w += 2 + l.bar
	}
	return w
}

// drop leaves out what has the largest rank; false if nothing may be.
func (l *layout) drop() bool {
	rank := 0
	if l.bar > 0 {
		rank = l.bars.rank
	}
	for _, i := range l.shown {
		rank = max(rank, l.columns[i].rank)
	}
	if rank == 0 {
		return false
	}
	if l.bars.rank == rank {
		l.bar = 0
	}
	l.shown = slices.DeleteFunc(l.shown, func(i int) bool { return l.columns[i].rank == rank })
	return true
}

// shorten removes the given number of columns from heads that are wider than what is
// below them, the widest first.
func (l *layout) shorten(over int) {
	for ; over > 0; over-- {
		widest := -1
		for _, i := range l.shown {
			if l.width[i] > l.least[i] && (widest < 0 || l.width[i]-l.least[i] > l.width[widest]-l.least[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		l.width[widest]--
	}
}

// head adds the line above group i: its title and, above the first, the columns'
// heads. A title that has no room beside them has a line of its own.
func (l *layout) head(i int, g group) {
	title := func() {
		if g.title != "" {
			l.paragraph(g.title, usual)
		}
	}
	if i > 0 {
		title()
		return
	}
	lead := span{strings.Repeat(" ", l.lead()), usual}
	switch {
	case g.title == "":
		lead = span{pad("  "+l.corner, l.lead()), dim}
	case l.beside:
		lead.text = pad("  "+g.title, l.lead())
	}
	heads := ""
	for _, k := range l.shown {
		heads += strings.Repeat(" ", l.gap) + l.cell(fit(l.columns[k].head, l.width[k]), k)
	}
	l.line(lead, span{heads, dim})
	if !l.beside {
		title()
	}
}

// cell pads a cell of column i.
func (l *layout) cell(text string, i int) string {
	if l.columns[i].left {
		return pad(text, l.width[i])
	}
	return right(text, l.width[i])
}

func (l *layout) row(r row, marks string) {
	name := pad(fit(r.name, l.name-lipgloss.Width(marks))+marks, l.name)
	spans := []span{{strings.Repeat(" ", l.indent), usual}, {name, usual}}
	if r.best {
		spans[1].look = bold
	}
	if r.failure != "" {
		if indent := l.indent + l.name + 2; l.Width-indent >= minFailure {
			l.failed(append(spans, span{"  ", usual}), indent, r.failure)
			return
		}
		spans[1].text = fit(r.name, l.Width-l.indent-lipgloss.Width(marks)) + marks
		l.line(spans...)
		l.failed([]span{{strings.Repeat(" ", l.indent+2), usual}}, l.indent+2, r.failure)
		return
	}
	if l.bar > 0 {
		spans = append(spans, span{"  " + l.drawn(r), usual})
	}
	for _, i := range l.shown {
		look := l.columns[i].look
		if r.best && l.columns[i].key {
			look = bold
		}
		if own, ok := r.looks[i]; ok {
			look = own
		}
		spans = append(spans, span{strings.Repeat(" ", l.gap) + l.cell(l.aligned(r.cells[i], i), i), look})
	}
	l.line(spans...)
}

// filled returns the bar of a share, in eighths of a column, so that what is small looks
// as small as it is. In ASCII it has whole columns, and a point if it is shorter than half
// a column.
func (l *layout) filled(share float64) string {
	eighths := 0
	if share > 0 {
		eighths = min(8*l.bar, max(1, int(math.Round(share*float64(8*l.bar)))))
	}
	text := strings.Repeat("█", eighths/8)
	switch rest := eighths % 8; {
	case rest == 0:
	case l.Unicode || eighths < 8 || rest >= 4: // ASCII has one character for all from a half on
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return pad(text, l.bar)
}

// drawn returns the bar of a row.
func (l *layout) drawn(r row) string {
	if !r.hatched {
		return l.filled(r.bar)
	}
	mark := "░"
	if !l.Unicode {
		mark = ":"
	}
	return pad(strings.Repeat(mark, int(math.Round(r.bar*float64(l.bar)))), l.bar)
}

// failed adds what stands in place of a row's figures: beside the name, or below it
// where that would be too narrow.
func (l *layout) failed(lead []span, indent int, failure string) {
	for i, t := range Wrap(failure, l.Width-indent) {
		if i > 0 {
			lead = []span{{strings.Repeat(" ", indent), usual}}
		}
		l.line(append(lead, span{t, red})...)
	}
}
