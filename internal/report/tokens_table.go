package report

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// tokenRow is a line of the table: a lane, or the runtime's own benchmark of it.
type tokenRow struct {
	name, marks string
	cells       []string // one a column, in their order
	bar         float64  // share of the widest; 0: none
	failure     string   // in place of the figures
	best        bool
}

// tokenColumn is a column; those of the largest rank are dropped first.
type tokenColumn struct {
	head string
	rank int
}

var tokenColumns = []tokenColumn{
	{"generation", 0}, {"±95 %", 1}, {"prompt", 0}, {"±95 %", 2}, {"1st token", 3}, {"±95 %", 5}, {"load", 4},
}

var sweepColumns = []tokenColumn{
	{"memory", 1}, {"generation", 0}, {"±95 %", 2}, {"prompt", 0}, {"±95 %", 4}, {"1st token", 5},
}

// TokensTable writes the lanes, a group for each piece of hardware, and what they
// mean in sentences.
func TokensTable(w io.Writer, d *Tokens, s Style) error {
	p := &page{Style: s}
	p.title(d.headline()...)
	rows, groups, notes := d.rows(s)
	layout := layTokens(d, rows, groups, s)
	last := ""
	for i, r := range rows {
		if g := groups[i]; g != last {
			p.line("")
			head := "  " + fit(s.Plain(g), layout.lead()-4)
			if last == "" {
				head = pad(head, layout.lead()) + s.dim(layout.head(s))
				if lipgloss.Width(s.Plain(g)) > layout.lead()-4 { // a long name has a line of its own
					p.line("%s", strings.Repeat(" ", layout.lead())+s.dim(layout.head(s)))
					head = "  " + fit(s.Plain(g), s.Width-2)
				}
			} else {
				head = "  " + fit(s.Plain(g), s.Width-2)
			}
			p.line("%s", strings.TrimRight(head, " "))
			last = g
		}
		p.line("%s", layout.row(r, s))
	}
	p.notes(notes)
	for i, t := range d.sentences() {
		show := usual
		if i == 0 {
			p.line("")
			show = s.bold
		}
		p.paragraph(t, show)
	}
	var missing []string
	for _, m := range d.NotRaced {
		text := m.Reason
		if len(m.Remedies) > 0 {
			text += " (" + Words(m.Remedies) + ")"
		}
		missing = append(missing, text)
	}
	p.notes(missing)
	if d.Next != "" {
		p.line("")
		p.paragraph("Next: "+d.Next, usual)
	}
	return p.writeTo(w)
}

// headline says what was measured and how.
func (d *Tokens) headline() []string {
	parts := []string{strings.TrimSpace(d.Model.Name + " " + d.Model.Quantization)}
	if d.Model.Bytes > 0 {
		parts[0] += ", " + unit.Bytes(float64(d.Model.Bytes))
	}
	for _, l := range d.Results {
		if l.Facts.Runtime != "" {
			parts = append(parts, l.Facts.Runtime)
			break
		}
	}
	if len(d.Results) > 0 {
		parts = append(parts, fmt.Sprintf("%d tokens, always the likeliest", d.Results[0].Tokens))
		filler := 0
		for _, l := range d.Results {
			filler = max(filler, l.Filler)
		}
		if filler > 0 {
			parts = append(parts, fmt.Sprintf("prompts of %d tokens", filler))
		}
	}
	return append(parts, "tokens per second")
}

// rows returns the table's lines with each one's group, and the notes.
func (d *Tokens) rows(s Style) (rows []tokenRow, groups []string, notes []string) {
	top, longest := 0.0, 0
	for i := range d.Results {
		top, longest = max(top, rateOf(&d.Results[i], llm.Generating)), max(longest, d.Results[i].Filler)
	}
	note := func(r *tokenRow, text string) {
		at := -1
		for i, n := range notes {
			if strings.HasSuffix(n, " "+text) {
				at = i
			}
		}
		if at < 0 {
			at = len(notes)
			notes = append(notes, marker(at, s)+" "+text)
		}
		r.marks += " " + marker(at, s)
	}
	for i := range d.Results {
		l := &d.Results[i]
		r := tokenRow{name: l.label(), best: l == d.best(l.Facts.Device.Kind) && len(d.Results) > 1}
		switch {
		case len(l.Samples) > 0:
			r.cells = d.cells(l)
			r.bar = rateOf(l, llm.Generating) / top
			if n := l.Samples[0].PromptTokens; l.Filler < longest && n > 0 && n < longest {
				note(&r, fmt.Sprintf("prompts of %d tokens: longer ones would take too long", n))
			}
			if l.Error != nil {
				note(&r, "incomplete: "+withHint(l.Error))
			}
		case l.Error != nil:
			r.failure = withHint(l.Error)
			if l.Shown != nil && l.Shown.Tokens > 0 {
				r.failure += fmt.Sprintf("; %d tokens were generated before", l.Shown.Tokens)
			}
		default:
			r.failure = "not measured"
		}
		if c := l.Check; c != nil && !c.Passed {
			note(&r, "wrong: "+c.Reason)
		}
		for _, w := range l.Warnings {
			note(&r, w.Text)
		}
		for _, n := range l.Facts.Notes {
			note(&r, n)
		}
		rows, groups = append(rows, r), append(groups, l.device(d))
		if p, ok := d.peerRow(l); ok {
			note(&p, "llama.cpp's own benchmark, run for comparison: tg128 and pp512")
			rows, groups = append(rows, p), append(groups, l.device(d))
		}
	}
	return rows, groups, notes
}

// cells are a lane's figures in the order of the columns.
func (d *Tokens) cells(l *TokenLane) []string {
	figure := func(m llm.Metric) (value, off string) {
		f, ok := l.Figure(m)
		if !ok {
			return "–", ""
		}
		if m == llm.First {
			return unit.Seconds(time.Duration(f.Value * float64(time.Second))), spread(f)
		}
		return unit.Digits3(f.Value), spread(f)
	}
	g, gs := figure(llm.Generating)
	p, ps := figure(llm.Prompting)
	t, ts := figure(llm.First)
	if d.Sweep {
		memory := "–"
		if l.Facts.Memory != nil {
			memory = unit.Bytes(float64(*l.Facts.Memory))
		}
		return []string{memory, g, gs, p, ps, t}
	}
	return []string{g, gs, p, ps, t, ts, unit.Seconds(l.Facts.Load)}
}

// peerRow is what the runtime's own benchmark measured on a lane.
func (d *Tokens) peerRow(l *TokenLane) (tokenRow, bool) {
	if len(l.Peer) == 0 || d.Sweep {
		return tokenRow{}, false
	}
	r := tokenRow{name: "llama-bench", cells: []string{"–", "", "–", "", "", "", ""}}
	measured := false
	for _, p := range l.Peer {
		f, ok := p.Rate()
		if !ok {
			continue
		}
		measured = true
		at := 0
		if strings.HasPrefix(p.Name, "pp") {
			at = 2
		}
		r.cells[at], r.cells[at+1] = unit.Digits3(f.Value), spread(f)
	}
	return r, measured
}

// tokenLayout is the table's columns and their widths.
type tokenLayout struct {
	name, bar int
	columns   []tokenColumn
	keep      []int // indices of columns that are shown
	width     []int // of all columns
	dots      []int // digits after the point, of all columns
}

func layTokens(d *Tokens, rows []tokenRow, groups []string, s Style) tokenLayout {
	t := tokenLayout{columns: tokenColumns}
	if d.Sweep {
		t.columns = sweepColumns
	}
	for i, c := range t.columns {
		w, dots := lipgloss.Width(s.Plain(c.head)), 0
		for _, r := range rows {
			if i < len(r.cells) {
				dots = max(dots, decimals(r.cells[i]))
			}
		}
		for _, r := range rows {
			if i < len(r.cells) {
				w = max(w, lipgloss.Width(s.Plain(alignDot(r.cells[i], dots))))
			}
		}
		t.width, t.dots, t.keep = append(t.width, w), append(t.dots, dots), append(t.keep, i)
	}
	for _, r := range rows {
		t.name = max(t.name, lipgloss.Width(s.Plain(r.name)+r.marks))
	}
	fixed := func() int {
		w := 4 + t.name
		for _, i := range t.keep {
			w += 2 + t.width[i]
		}
		return w
	}
	room := 0
	if d.Sweep { // the curve is what the bars show
		room = minBar + 2
	}
	for rank := 9; rank > 0 && fixed()+room > s.Width; rank-- {
		var keep []int
		for _, i := range t.keep {
			if t.columns[i].rank < rank {
				keep = append(keep, i)
			}
		}
		t.keep = keep
	}
	// The first group's name stands beside the head where there is room for it.
	if more := lipgloss.Width(s.Plain(firstOf(groups))) - t.name; more > 0 && fixed()+more+room <= s.Width {
		t.name += more
	}
	if left := s.Width - fixed() - 2; left >= minBar && len(rows) > 1 && s.Width >= 60 {
		t.bar = min(left, maxBar)
	}
	if over := fixed() - s.Width; over > 0 {
		t.name = max(12, t.name-over)
	}
	return t
}

func firstOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// lead is the width of what comes before the figures.
func (t tokenLayout) lead() int {
	w := 4 + t.name
	if t.bar > 0 {
		w += 2 + t.bar
	}
	return w
}

func (t tokenLayout) head(s Style) string {
	h := ""
	for _, i := range t.keep {
		h += "  " + right(s.Plain(t.columns[i].head), t.width[i])
	}
	return h
}

func (t tokenLayout) row(r tokenRow, s Style) string {
	name := pad(fit(s.Plain(r.name), t.name-lipgloss.Width(r.marks))+r.marks, t.name)
	if r.best {
		name = s.bold(name)
	}
	out := "    " + name
	if r.failure != "" {
		indent := 6 + t.name
		out += "  "
		if s.Width-indent < 20 { // below the name
			indent = 6
			out = strings.TrimRight(out, " ") + "\n" + strings.Repeat(" ", indent)
		}
		lines := Wrap(s.Plain(plain.Line(r.failure)), s.Width-indent)
		for i, l := range lines {
			lines[i] = s.red(l)
		}
		return out + strings.Join(lines, "\n"+strings.Repeat(" ", indent))
	}
	if t.bar > 0 {
		filled := 0
		if r.bar > 0 {
			filled = max(1, int(math.Round(r.bar*float64(t.bar))))
		}
		out += "  " + pad(strings.Repeat(s.Plain("█"), filled), t.bar)
	}
	for _, i := range t.keep {
		cell := right(s.Plain(alignDot(r.cells[i], t.dots[i])), t.width[i])
		switch head := t.columns[i].head; {
		case r.best && head == "generation":
			cell = s.bold(cell)
		case head != "generation" && head != "prompt":
			cell = s.dim(cell)
		}
		out += "  " + cell
	}
	return strings.TrimRight(out, " ")
}

// decimals returns the digits after a plain number's point; 0 for what is none,
// such as a figure with a unit.
func decimals(cell string) int {
	_, part, _ := strings.Cut(cell, ".")
	if strings.Trim(part, "0123456789") != "" {
		return 0
	}
	return len(part)
}

// alignDot pads a plain number so that points stand below each other.
func alignDot(cell string, most int) string {
	if cell == "" || strings.Trim(cell, "0123456789.–") != "" {
		return cell
	}
	missing := most - decimals(cell)
	if missing > 0 && !strings.Contains(cell, ".") {
		missing++
	}
	return cell + strings.Repeat(" ", max(0, missing))
}
