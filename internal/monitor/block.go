package monitor

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// title is the first line of a device's block: what it is, and what is no graph.
func (v View) title(d *device, at, columns int) string {
	label := d.label()
	mark := "  "
	if at == v.Chosen {
		mark = v.glyph("▸ ", "> ")
	}
	name := v.clean(d.name)
	state, l := v.state(d, columns/3)
	left := label + mark
	if room := columns - len(label) - len("  ") - ansi.StringWidth(state) - 4; room > 8 {
		name = ansi.Truncate(name, room, v.glyph("…", "..."))
	} else {
		name = ""
	}
	text, width := v.show(left, bold), ansi.StringWidth(left)+ansi.StringWidth(name)
	text += name
	if name == "" {
		text, width = strings.TrimRight(text, " "), ansi.StringWidth(strings.TrimRight(left, " "))
	}
	rule := columns - width - 1
	if state != "" {
		rule -= ansi.StringWidth(state) + 1
	}
	if rule > 0 {
		text += " " + v.show(strings.Repeat(v.glyph("─", "-"), rule), faint)
	}
	if state != "" {
		text += " " + v.show(state, l)
	}
	return text
}

// state says what a driver does with a GPU's clocks and how much goes over its links, or
// shows how busy each CPU is, in at most that number of columns.
func (v View) state(d *device, columns int) (string, look) {
	if d.card == nil {
		text := unit.Plural(len(d.cpus), "CPU")
		switch {
		case len(d.cpus) == 0:
			return "", usual
		case v.State != "": // they have no history
			return text, faint
		}
		return text + " " + v.each(d.cpus, columns), green
	}
	var parts []string
	for _, link := range []struct {
		name      string
		out, back event.Quantity
	}{{"PCIe", event.PCIeSent, event.PCIeReceived}, {"NVLink", event.NVLinkSent, event.NVLinkReceived}} {
		out, back := d.series[link.out].at(v.Until), d.series[link.back].at(v.Until)
		if out+back > 1e6 { // below a megabyte per second it is not in use
			parts = append(parts, fmt.Sprintf("%s %s/s in, %s/s out", link.name, unit.Bytes(back), unit.Bytes(out)))
		}
	}
	l := faint
	if t := d.series[event.Throttle].at(v.Until); !math.IsNaN(t) {
		words := "no throttling"
		if t > 0 {
			if list := event.Throttling(t).Words(); list != nil {
				words, l = "throttled: "+strings.Join(list, ", "), red
			}
		}
		parts = append(parts, words)
	}
	for len(parts) > 1 && ansi.StringWidth(strings.Join(parts, " · ")) > 2*columns {
		parts = parts[1:]
	}
	return strings.Join(parts, v.glyph(" · ", " - ")), l
}

// each shows a value of 0 to 100 for each of many as one character, or for groups of them
// where there are more than columns.
func (v View) each(values []float64, columns int) string {
	levels := []rune(v.glyph("▁▂▃▄▅▆▇█", "_.-:=+*#"))
	n := min(len(values), max(columns, 1))
	var b strings.Builder
	for i := range n {
		sum, count := 0.0, 0
		for _, x := range values[i*len(values)/n : (i+1)*len(values)/n] {
			if !math.IsNaN(x) {
				sum, count = sum+x, count+1
			}
		}
		if count == 0 {
			b.WriteByte(' ')
			continue
		}
		level := int(sum / float64(count) / 100 * float64(len(levels)))
		b.WriteRune(levels[min(len(levels)-1, max(0, level))])
	}
	return b.String()
}

// graph returns a line that names a quantity and says what it is now, and the lines of its
// history with its scale.
func (v View) graph(d *device, f field, l layout) []string {
	s := d.series[f.quantity]
	p := plot{columns: l.columns - l.axis, lines: l.lines, until: v.Until, span: v.Span, unicode: v.Style.Unicode}
	values := p.sample(s, false)
	p.high = ceiling(f.quantity, s.most, values)
	throttled := make([]bool, p.columns)
	if f.quantity == event.Clock {
		throttled = p.throttledIn(d.series[event.Throttle])
	}
	lines := []string{v.caption(f, s, l)}
	for i, text := range p.draw(values) {
		scale := ""
		switch {
		case i == 0:
			scale = v.scale(f, p.high, l)
		case i == l.lines-1:
			scale = "0"
		case l.lines >= 5 && i == l.lines/2 && l.lines%2 == 1 && f.quantity == event.Utilization:
			scale = v.scale(f, p.high/2, l)
		}
		edge := v.glyph("┤", "|")
		if scale == "" {
			edge = v.glyph("│", "|")
		}
		left := strings.Repeat(" ", max(0, l.axis-1-ansi.StringWidth(scale))) + scale + edge
		lines = append(lines, v.show(left, faint)+v.colored(text, f.color, throttled))
	}
	return lines
}

// colored shows a line of a graph, red where the driver held the clock down.
func (v View) colored(text string, l look, throttled []bool) string {
	if !v.Style.Color {
		return text
	}
	var b strings.Builder
	runes := []rune(text)
	for i := 0; i < len(runes); {
		end := i
		for end < len(runes) && throttled[end] == throttled[i] {
			end++
		}
		now := l
		if throttled[i] {
			now = red
		}
		b.WriteString(v.show(string(runes[i:end]), now))
		i = end
	}
	return b.String()
}

// caption names a quantity and says what it is at the right edge of the graph.
func (v View) caption(f field, s *series, l layout) string {
	now := v.glyph("–", "-")
	if x := s.at(v.Until); !math.IsNaN(x) {
		now = v.Style.Plain(f.format(x))
	}
	name := f.name
	var of, scope string
	if s.most > 0 && f.quantity != event.Utilization {
		of = " of " + v.Style.Plain(f.format(s.most))
	}
	if s.scope != "" && f.quantity == event.Power {
		scope = ", " + v.clean(s.scope)
	}
	rest := of + scope
	width := func() int { return ansi.StringWidth(name + " " + now + rest) }
	for _, shorter := range []string{of, ""} {
		if width() > l.columns {
			rest = shorter
		}
	}
	text := name + " " + v.show(now, bold) + v.show(rest, faint)
	return text + strings.Repeat(" ", max(0, l.columns-width()))
}

// scale writes a value beside a graph, without its unit where there is little room.
func (v View) scale(f field, x float64, l layout) string {
	text := v.Style.Plain(f.format(x))
	if ansi.StringWidth(text) >= l.axis {
		text, _, _ = strings.Cut(text, " ")
		if f.quantity == event.Clock {
			text = strconv.FormatFloat(x/1e9, 'f', 1, 64) + "G"
		}
	}
	return text
}

// strip is a device in one line: its utilisation as a small graph, and what else there is
// room for.
func (v View) strip(d *device, at, labels, columns int) string {
	const graph = 8
	label := v.beside(d.label(), labels)
	text, width := v.show(label, bold), labels
	if at == v.Chosen {
		text, width = text+v.glyph("▸", ">"), width+1
	}
	list := v.fields(d)
	numbers, taken := "", 0
	// The least important one is left out first.
	for _, f := range list {
		if width+graph+1+taken+2+f.width > columns && taken > 0 {
			continue
		}
		now := v.glyph("–", "-")
		if x := d.series[f.quantity].at(v.Until); !math.IsNaN(x) {
			now = v.Style.Plain(f.format(x))
		}
		l := usual
		if t := d.series[event.Throttle].at(v.Until); f.quantity == event.Clock && t > 0 && event.Throttling(t).Words() != nil {
			l = red
		}
		numbers += "  " + strings.Repeat(" ", max(0, f.width-ansi.StringWidth(now))) + v.show(now, l)
		taken += 2 + max(f.width, ansi.StringWidth(now))
	}
	room := min(40, columns-width-1-taken)
	s := d.series[event.Utilization]
	if s != nil && s.fine.last >= 0 && room >= 4 {
		p := plot{columns: room, lines: 1, until: v.Until, span: v.Span, high: 100, unicode: v.Style.Unicode}
		text += " " + v.show(p.draw(p.sample(s, false))[0], green)
	}
	return text + numbers
}

// thousands writes a whole number with commas: 1,755.
func thousands(v float64) string {
	text := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// span writes a length of time: "60 s", "5 min", "6 h".
func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}
