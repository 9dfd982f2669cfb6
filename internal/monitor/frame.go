package monitor

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/term"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A View is what of a history is shown.
type View struct {
	Style  term.Style    // of the terminal, with its columns and lines
	Until  time.Duration // the time at the right edge
	Span   time.Duration // how long back it reaches
	Chosen int           // the device that is marked; -1: none is
	Alone  bool          // only that one is shown
	Keys   bool          // a line says which keys there are
	State  string        // "paused", for example; empty: nothing is to be said
}

// A Frame is what is on the screen.
type Frame struct {
	Lines   []string
	devices []int // for each line, the device that it belongs to; -1: none
}

// A look is how a text is shown where there is colour, as parameters of SGR. The colours are
// those that a terminal has names for, so that they fit its theme.
type look string

const (
	usual   look = ""
	bold    look = "1"
	faint   look = "2"
	red     look = "1;31"
	green   look = "32"
	yellow  look = "33"
	blue    look = "34"
	magenta look = "35"
	cyan    look = "36"
)

func (v View) show(text string, l look) string {
	if !v.Style.Color || l == usual || strings.TrimSpace(text) == "" {
		return text
	}
	return "\x1b[" + string(l) + "m" + text + "\x1b[m"
}

// clean makes a text harmless that comes from elsewhere.
func (v View) clean(t string) string { return v.Style.Plain(plain.Line(t)) }

// glyph returns one of two texts, by what the terminal can show.
func (v View) glyph(unicode, ascii string) string {
	if v.Style.Unicode {
		return unicode
	}
	return ascii
}

// A field is a quantity as it is shown.
type field struct {
	quantity event.Quantity
	name     string
	color    look
	format   func(float64) string // with the unit
	width    int                  // columns of what format returns, for most values
}

// fields are the quantities that are drawn, in their order.
var fields = []field{
	{event.Utilization, "Utilisation", green, func(v float64) string { return fmt.Sprintf("%.0f %%", v) }, 5},
	{event.Memory, "Memory", cyan, unit.Bytes, 7},
	{event.Power, "Power", yellow, func(v float64) string { return thousands(v) + " W" }, 7},
	{event.Temperature, "Temperature", magenta, func(v float64) string { return fmt.Sprintf("%.0f °C", v) }, 6},
	{event.Clock, "Clock", blue, func(v float64) string { return thousands(v/1e6) + " MHz" }, 9},
}

// narrow is a terminal on which a line may be too long.
const narrow = 64

// Frame draws a history.
func (h *History) Frame(v View) Frame {
	h.mu.Lock()
	defer h.mu.Unlock()
	columns, lines := max(v.Style.Width, 1), max(v.Style.Lines, 1)
	var f Frame
	add := func(device int, text ...string) {
		for _, t := range text {
			f.Lines, f.devices = append(f.Lines, t), append(f.devices, device)
		}
	}
	room := lines
	if lines >= 8 {
		add(-1, v.head(h, columns))
		room--
	}
	var foot []string
	if v.Keys && lines >= 6 {
		foot = []string{v.keys(columns)}
	}
	if n := len(h.notes); n > 0 && lines >= 16 {
		foot = append([]string{v.show(ansi.Truncate(v.clean(h.notes[n-1]), columns, v.glyph("…", "...")), yellow)}, foot...)
	}
	room -= len(foot)
	shown := v.devices(h)
	table := v.processes(h, shown, columns, room/4)
	if lines < 16 {
		table = nil
	}
	l := v.layout(h, shown, columns, room-len(table))
	if l.lines == 0 && table != nil && room > len(shown) {
		table = v.processes(h, shown, columns, room-len(shown))
	}
	room -= len(table)
	labels := 0
	for _, at := range shown {
		labels = max(labels, len(h.devices[at].label()))
	}
	for i, at := range shown {
		d := h.devices[at]
		switch {
		case l.lines > 0:
			add(at, v.block(h, d, at, l)...)
		case i == room-1 && len(shown) > room:
			add(-1, v.show(fmt.Sprintf("%s %d more", v.glyph("…", "..."), len(shown)-i), faint))
		case i < room:
			add(at, v.strip(d, at, labels, columns))
		}
	}
	add(-1, table...)
	if v.Keys {
		for len(f.Lines) < lines-len(foot) {
			add(-1, "")
		}
	}
	add(-1, foot...)
	for i := range f.Lines {
		if columns < narrow && ansi.StringWidth(f.Lines[i]) > columns {
			f.Lines[i] = ansi.Truncate(f.Lines[i], columns, "")
		}
	}
	return f
}

// devices returns the indices of the devices that are shown.
func (v View) devices(h *History) []int {
	if v.Alone && v.Chosen >= 0 && v.Chosen < len(h.devices) {
		return []int{v.Chosen}
	}
	list := make([]int, len(h.devices))
	for i := range list {
		list[i] = i
	}
	return list
}

// head is the first line.
func (v View) head(h *History, columns int) string {
	parts := []string{span(v.Span) + " shown"}
	if !h.created.IsZero() {
		parts = append([]string{h.created.Add(v.Until).Local().Format(time.TimeOnly)}, parts...)
	}
	left, right := "gpuplay monitor", strings.Join(parts, v.glyph(" · ", " - "))
	text := v.show(left, bold)
	if v.State != "" {
		left += "  " + v.State
		text += "  " + v.show(v.State, red)
	}
	return text + v.right(right, columns-len(left), faint)
}

// right returns a text at the end of a number of columns, if there is room for it.
func (v View) right(text string, columns int, l look) string {
	gap := columns - ansi.StringWidth(text)
	if gap < 2 {
		return ""
	}
	return strings.Repeat(" ", gap) + v.show(text, l)
}

// keys says which keys there are, as many as there is room for.
func (v View) keys(columns int) string {
	var text string
	width := 0
	for _, k := range [][2]string{{"q", "quit"}, {"space", "pause"}, {v.glyph("← →", "<- ->"), "move"}, {"+ -", "zoom"}, {v.glyph("↑ ↓ ↵", "up down enter"), "one device"}, {"end", "now"}} {
		gap := min(3, width*3)
		n := gap + ansi.StringWidth(k[0]) + 1 + len(k[1])
		if width+n > columns {
			break
		}
		text += strings.Repeat(" ", gap) + v.show(k[0], bold) + " " + v.show(k[1], faint)
		width += n
	}
	return text
}

// A layout is how graphs are arranged: how many beside one another, and how many columns and
// lines each has. With no lines there is room for one line for each device.
type layout struct {
	across, columns, lines int
	axis                   int  // columns of the scale
	times                  bool // a line below the graphs says which time they are of
}

// layout arranges graphs in a number of columns and lines, so that their proportions are
// good.
func (v View) layout(h *History, shown []int, columns, room int) (best layout) {
	const (
		least = 22 // columns of a graph with its scale
		most  = 12 // lines of a graph
		gap   = 2  // between graphs
	)
	score := math.Inf(1)
	for across := 1; across <= len(fields); across++ {
		width := (columns - gap*(across-1)) / across
		if width < least {
			break
		}
		used, rows, empty := 0, 0, 0
		for _, at := range shown {
			n := len(v.fields(h.devices[at]))
			used++ // its title
			down := (n + across - 1) / across
			rows += down
			empty += down*across - n
		}
		if rows == 0 {
			return layout{}
		}
		lines := min(most, (room-used)/rows-1)
		times := lines >= 3 && (room-used-len(shown))/rows-1 >= 3
		if times {
			lines = min(most, (room-used-len(shown))/rows-1)
		}
		if lines < 1 {
			continue
		}
		s := math.Abs(math.Log(float64(width)/float64(lines)/6)) + 0.1*float64(empty)
		if s < score {
			score, best = s, layout{across, width, lines, 10, times}
			if width < 32 {
				best.axis = 5
			}
		}
	}
	return best
}

// fields are those of a device that have readings.
func (v View) fields(d *device) []field {
	return slices.DeleteFunc(slices.Clone(fields), func(f field) bool {
		s := d.series[f.quantity]
		return s == nil || s.fine.last < 0
	})
}

// name is a device's short name.
func (d *device) label() string {
	if d.card == nil {
		return "CPU"
	}
	return fmt.Sprintf("GPU %d", *d.card)
}

// block returns the lines of a device: a title, and its graphs.
func (v View) block(h *History, d *device, at int, l layout) []string {
	lines := []string{v.title(d, at, l.across*(l.columns+2)-2)}
	list := v.fields(d)
	for len(list) > 0 {
		row := list[:min(l.across, len(list))]
		list = list[len(row):]
		var graphs [][]string
		for _, f := range row {
			graphs = append(graphs, v.graph(d, f, l))
		}
		for i := range l.lines + 1 {
			var b strings.Builder
			for j, g := range graphs {
				if j > 0 {
					b.WriteString("  ")
				}
				b.WriteString(g[i])
			}
			lines = append(lines, strings.TrimRight(b.String(), " "))
		}
	}
	if l.times {
		across := min(l.across, len(v.fields(d)))
		lines = append(lines, v.show(strings.TrimRight(strings.Repeat(v.times(h, l)+"  ", across), " "), faint))
	}
	return lines
}

// times is the scale of times below a graph.
func (v View) times(h *History, l layout) string {
	from, to := span(v.Span)+" ago", "now"
	if v.State != "" {
		from, to = v.moment(h, v.Until-v.Span), v.moment(h, v.Until)
	}
	room := l.columns - l.axis
	if room < len(from)+len(to)+2 {
		return strings.Repeat(" ", l.columns)
	}
	return strings.Repeat(" ", l.axis) + from + strings.Repeat(" ", room-len(from)-len(to)) + to
}

// moment is a time of a history as people say it.
func (v View) moment(h *History, at time.Duration) string {
	switch {
	case at < 0:
		return ""
	case h.created.IsZero():
		return span(at)
	}
	return h.created.Add(at).Local().Format(time.TimeOnly)
}

// Once returns what the sensors read at the end of a history, without graphs.
func (h *History) Once(s term.Style) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := View{Style: s, Until: h.now, Chosen: -1}
	columns := max(s.Width, 1)
	var lines []string
	for at, d := range h.devices {
		lines = append(lines, v.title(d, at, columns))
		text, width := "", 0
		for _, f := range v.fields(d) {
			l := layout{columns: columns - 4}
			caption := strings.TrimRight(v.caption(f, d.series[f.quantity], l), " ")
			n := ansi.StringWidth(caption)
			if width > 0 && width+3+n > columns {
				lines = append(lines, text)
				text, width = "", 0
			}
			if width == 0 {
				text, width = "    "+caption, 4+n
			} else {
				text, width = text+"   "+caption, width+3+n
			}
		}
		lines = append(lines, text)
	}
	table := v.processes(h, v.devices(h), columns, math.MaxInt)
	lines = append(lines, table...)
	for _, n := range h.notes {
		lines = append(lines, v.show(v.clean(n), yellow))
	}
	return strings.Join(lines, "\n") + "\n"
}
