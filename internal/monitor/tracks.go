package monitor

import (
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/term"
)

// doing is what a lane does for some time; the larger one is drawn where both fall into one
// column.
type doing int

const (
	waiting   doing = iota
	readying        // loading, preparing, warming up, checking
	taking          // samples, in turns with other lanes
	sustained       // computing without turns, for the sensors
)

// A track is what a lane did, when.
type track struct {
	id, name string
	spans    []stretch // in order
	phase    doing     // since
	since    time.Duration
}

type stretch struct {
	from, to time.Duration
	doing    doing
}

// doings are what phases of lanes stand for. What is measured is told by its samples.
var doings = map[string]doing{
	string(bench.Preparing): readying, string(bench.Checking): readying, string(bench.WarmingUp): readying, string(bench.InBlock): sustained,
	string(bench.InTrips): taking,
	string(llm.Loading):   readying, string(llm.Answering): readying,
}

// observeLane takes an event of a lane.
func (h *History) observeLane(e event.Event) {
	switch d := e.Data.(type) {
	case event.Lane:
		if e.Lane != "" {
			h.track(e.Lane).name = d.Name
		}
	case event.Phase:
		if e.Lane != "" {
			t := h.track(e.Lane)
			t.add(t.since, e.At, t.phase)
			t.phase, t.since = doings[d.Phase], e.At
		}
	case bench.Sample:
		h.track(e.Lane).add(d.Start, d.End, taking)
	case llm.Sample:
		h.track(e.Lane).add(d.Start, d.End, taking)
	}
}

// track returns the track of a lane.
func (h *History) track(id string) *track {
	for _, t := range h.tracks {
		if t.id == id {
			return t
		}
	}
	t := &track{id: id, name: id}
	h.tracks = append(h.tracks, t)
	return t
}

// add adds a stretch. One that follows another of its kind at once is joined with it.
func (t *track) add(from, to time.Duration, d doing) {
	if d == waiting || to < from {
		return
	}
	if n := len(t.spans); n > 0 && t.spans[n-1].doing == d && from-t.spans[n-1].to < fine/2 && from >= t.spans[n-1].from {
		t.spans[n-1].to = max(t.spans[n-1].to, to)
		return
	}
	t.spans = append(t.spans, stretch{from, to, d})
}

// draw returns a character for each column of a plot.
func (t *track) draw(p plot, marks []rune) string {
	list := make([]doing, p.columns)
	width := p.span / time.Duration(p.columns)
	mark := func(s stretch) {
		a := int((s.from - (p.until - p.span)) / max(width, 1))
		b := int((s.to - (p.until - p.span)) / max(width, 1))
		for i := max(0, a); i <= min(b, p.columns-1); i++ {
			list[i] = max(list[i], s.doing)
		}
	}
	for _, s := range t.spans {
		mark(s)
	}
	if t.phase != waiting {
		mark(stretch{t.since, p.until, t.phase})
	}
	var b strings.Builder
	for _, d := range list {
		b.WriteRune(marks[d])
	}
	return b.String()
}

// shortestRun is how much of a run is shown at least, so that its beginning does not fill
// the columns.
const shortestRun = 10 * time.Second

// watched are what Watch shows of a device, the most important one first.
var watched = []event.Quantity{event.Utilization, event.Power, event.Clock, event.Temperature, event.Memory}

// Watch draws the history of a run, all of it, in at most as many lines as s has room for: a row for each
// quantity of each device, and one for each lane that says when it computed. It returns
// nothing where nothing was read, or where there is too little room.
func (h *History) Watch(s term.Style, until time.Duration) []string {
	v := View{Style: s, Until: until, Span: max(until, shortestRun), Chosen: -1}
	h.mu.Lock()
	defer h.mu.Unlock()
	const (
		left  = 27 // columns of what stands beside graphs
		least = 20 // columns of a graph
		most  = 3  // lines of a graph
	)
	columns := v.Style.Width
	l := layout{columns: left, axis: 10}
	p := plot{columns: columns - left - l.axis, until: v.Until, span: v.Span, unicode: v.Style.Unicode}
	if p.columns < least || len(h.devices) == 0 {
		return nil
	}
	tracks := h.tracks[:min(len(h.tracks), max(0, v.Style.Lines/3))]
	room := v.Style.Lines - 1 - len(tracks)
	if len(tracks) > 0 {
		room-- // what the marks mean
	}
	perDevice, lines := 0, most
	for lines > 0 && perDevice == 0 {
		for n := len(watched); n > 0; n-- {
			used := 0
			for _, d := range h.devices {
				used += 1 + lines*min(n, len(v.rows(d)))
			}
			if used <= room {
				perDevice = n
				break
			}
		}
		if perDevice < 3 && lines > 1 { // more of them, in fewer lines
			perDevice = 0
		}
		if perDevice == 0 {
			lines--
		}
	}
	if perDevice == 0 {
		return nil
	}
	p.lines, l.lines = lines, lines
	var text []string
	for at, d := range h.devices {
		list := v.rows(d)
		if len(list) == 0 {
			continue
		}
		text = append(text, v.title(d, at, columns))
		for _, f := range list[:min(perDevice, len(list))] {
			text = append(text, v.row(d, f, l, p)...)
		}
	}
	text = append(text, v.beside("", left+l.axis)+v.show(timeLine(v, p), faint))
	marks := []rune(v.glyph(" ▁▄█", " .=#"))
	for _, t := range tracks {
		name := ansi.Truncate(v.clean(t.name), left+l.axis-2, v.glyph("…", "..."))
		text = append(text, v.beside(name, left+l.axis)+t.draw(p, marks))
	}
	if len(tracks) > 0 {
		text = append(text, v.beside("", left+l.axis)+v.show(ansi.Truncate(v.glyph("▁ starting  ▄ in turns  █ for the sensors", ". starting  = in turns  # for the sensors"), p.columns, ""), faint))
	}
	return text
}

// rows are the fields of a device in the order of Watch.
func (v View) rows(d *device) []field {
	var list []field
	for _, q := range watched {
		for _, f := range v.fields(d) {
			if f.quantity == q {
				list = append(list, f)
			}
		}
	}
	return list
}

// beside fills a text up to a number of columns.
func (v View) beside(text string, columns int) string {
	return text + strings.Repeat(" ", max(0, columns-ansi.StringWidth(text)))
}

// row is a graph with its caption at its left.
func (v View) row(d *device, f field, l layout, p plot) []string {
	wide := l
	wide.columns = p.columns + l.axis
	list := v.graph(d, f, wide)
	short := v.caption(f, d.series[f.quantity], layout{columns: l.columns - 1})
	var lines []string
	for i, g := range list[1:] {
		left := v.beside("", l.columns)
		if i == 0 {
			left = short + " "
		}
		lines = append(lines, left+g)
	}
	return lines
}

// timeLine is the scale of times of a run, from its beginning.
func timeLine(v View, p plot) string {
	from := max(0, v.Until-v.Span)
	a, b := span(from), span(v.Until)
	return a + strings.Repeat(" ", max(1, p.columns-len(a)-len(b))) + b
}
