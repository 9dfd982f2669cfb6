// Package card draws what a run came to as one picture to share: who was measured, how
// many times as fast, speeds to scale, what was checked, and the command that repeats it.
// Its words and figures are package judge's; layout makes a list of shapes of them, which
// is written as SVG and painted as PNG.
package card

import (
	"image/color"
	"strings"

	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
)

// The size of a card, which is what pages show of a link.
const (
	Width, Height = 1200, 630
	margin        = 64
	edge          = Width - margin
)

// Where the parts of a card are: a column for the claim, a picture beside it, what was
// measured below a line, and the foot.
const (
	headBase    = 88
	claimWidth  = 492
	pictureLeft = 604
	pictureTop  = 140
	lineAt      = 432
	rowsTop     = lineAt + 14
	rowHeight   = 50
	footBase    = 590
)

// New draws the card of a run. command repeats it, as it is typed; empty: none is shown.
// ok is false for a run of a kind that has no card: a diagnosis, and what another tool has
// measured.
func New(r *record.Run, t Theme, command string) (d *Drawing, ok bool) {
	h, ok := judge.NewHeadline(r)
	if !ok {
		return nil, false
	}
	c := &card{Drawing: &Drawing{Width: Width, Height: Height, Title: title(r, h)}, Theme: t, Headline: h}
	c.fill(t.surface, func(p *path) { p.box(rect{0, 0, Width, Height}, 0) })
	c.head()
	c.claim()
	c.picture()
	c.rows()
	c.foot(r, command)
	return c.Drawing, true
}

// title says in a sentence what a card shows.
func title(r *record.Run, h judge.Headline) string {
	words := []string{h.Subject + ": " + strings.TrimSpace(h.Figure+" "+h.Unit), h.Claim, h.Detail, h.Proof}
	for _, e := range h.Entries {
		words = append(words, e.Name+", "+e.By+", "+e.Speed)
	}
	words = append(words, "measured with gpuplay on "+r.Created.Format("2 January 2006"))
	var said []string
	for _, w := range words {
		if w = clean(w); w != "" {
			said = append(said, w)
		}
	}
	return strings.Join(said, "; ")
}

// A card is a drawing in the making.
type card struct {
	*Drawing
	Theme
	judge.Headline
}

// head names the program and what was measured.
func (c *card) head() {
	const x, y, cell, gap = margin, 61.0, 12.0, 3.0
	square := func(column, row float64) func(*path) {
		left, top := x+column*(cell+gap), y+row*(cell+gap)
		return func(p *path) { p.box(rect{left, top, left + cell, top + cell}, 3) }
	}
	c.fill(c.ink, square(0, 0))
	c.fill(c.cpu, square(1, 0))
	c.fill(c.ink, square(0, 1))
	c.fill(c.ink, square(1, 1))
	c.fill(c.gpu, func(p *path) { p.disc(point{x + 2*(cell+gap) + 5, y - 3}, 6.5) }) // the cell that has flown off
	wide := c.text(x+52, headBase, 300, left, c.ink, style{face: bold, size: 27, tracking: -0.015}, "AI GPU Playground")
	c.text(edge, headBase, edge-x-52-wide-48, right, c.ink2, style{face: medium, size: 25, least: 22}, c.Subject)
}

// claim is the figure that people come for, and what it says.
func (c *card) claim() {
	ink := c.ink
	if c.Winner != "" {
		_, ink = c.lane(c.Winner)
	}
	figure := style{face: bold, size: 186, tracking: -0.045, least: 54}
	room, y := float64(claimWidth), 290.0
	unit := style{face: bold, size: 44, tracking: -0.02}
	if c.Unit != "" {
		figure.size = 150
		room -= unit.width(c.Unit) + 18
	}
	reason := c.Winner == "" // why there is no figure, which may be long
	if c.Ratio == 0 && c.Unit == "" {
		figure.size, figure.tracking, y = 104, -0.035, 262
	}
	if reason {
		y = 236
	}
	const nudge = 8 // digits have room beside them, which shows at this size
	wide := c.text(margin-nudge*figure.size/186, y, room+nudge, left, ink, figure, c.Figure)
	if c.Unit != "" {
		c.text(margin+wide+12, y, unit.width(c.Unit)+6, left, c.ink, unit, c.Unit)
	}
	strong, small, most := style{face: bold, size: 34, tracking: -0.02, least: 30}, style{face: medium, size: 25}, 2
	if reason {
		strong, most = style{face: bold, size: 27, tracking: -0.015}, 4
	}
	y += 54
	claim := clean(c.Claim)
	lines := strong.wrap(claim, claimWidth, most)
	if _, s := strong.fit(claim, claimWidth); s.width(claim) <= claimWidth {
		strong, lines = s, []string{claim}
	}
	for _, l := range lines {
		c.text(margin, y, claimWidth, left, c.ink, strong, l)
		y += strong.size * 1.22
	}
	for _, l := range small.wrap(clean(c.Detail), claimWidth, 2) {
		if y > lineAt-14 {
			break
		}
		c.text(margin, y, claimWidth, left, c.ink2, small, l)
		y += small.size * 1.25
	}
}

// mark tells a kind of device by its form as well as by its colour.
func (c *card) mark(k hardware.Kind, x, middle float64) {
	area, _ := c.lane(k)
	c.fill(area, func(p *path) {
		switch k {
		case hardware.CPU:
			p.box(rect{x, middle - 10, x + 20, middle + 10}, 4)
		default:
			p.disc(point{x + 10, middle}, 10.5)
		}
	})
}

// rows name what was measured, with its speed.
func (c *card) rows() {
	c.fill(c.line, func(p *path) { p.box(rect{margin, lineAt, edge, lineAt + 1.5}, 0) })
	shown := c.Entries
	if c.Ratio == 0 && len(shown) > 1 && c.Winner != "" && len(c.Curves) == 0 { // the picture has the others
		shown = shown[:1]
	}
	shown = shown[:min(2, len(shown))]
	top := float64(rowsTop)
	if len(shown) == 1 {
		top += rowHeight / 2
	}
	name, by, speed := style{face: bold, size: 26, tracking: -0.015, least: 22}, style{face: medium, size: 23, least: 22}, style{face: bold, size: 30, tracking: -0.02, least: 24}
	for i, e := range shown {
		middle := top + rowHeight*(float64(i)+0.5)
		c.mark(e.Kind, margin, middle)
		_, ink := c.lane(e.Kind)
		if !e.Verified && c.Winner == "" && c.Trust == judge.Doubted {
			ink = c.warn
		}
		wide := c.text(edge, middle+11, 264, right, ink, speed, e.Speed)
		wideBy := min(by.width(clean(e.By)), 372)
		nameRoom := edge - wide - 24 - wideBy - 24 - (margin + 36)
		c.text(margin+36, middle+9, nameRoom, left, c.ink, name, tidy(e.Name))
		at := max(margin+36+min(name.width(clean(tidy(e.Name))), nameRoom)+24, 560)
		if at+wideBy > edge-wide-24 {
			at = edge - wide - 24 - wideBy
		}
		c.text(at, middle+9, edge-wide-24-at, left, c.ink2, by, e.By)
	}
}

// tidy leaves out of a processor's name what its maker writes for lawyers.
func tidy(name string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("(R)", "", "(TM)", "", "(r)", "", "(tm)", "", "®", "", "™", "").Replace(name)), " ")
}

// foot says how far to trust it, when it was measured, and how to repeat it.
func (c *card) foot(r *record.Run, command string) {
	x := float64(margin)
	const middle = footBase - 8.0
	proof, ink := style{face: bold, size: 23, tracking: -0.01, least: 22}, c.ink3
	disc := func(fill color.RGBA, sign func(*path)) {
		ink = fill
		c.fill(fill, func(p *path) { p.disc(point{x + 12, middle}, 12) })
		c.fill(c.surface, sign)
		x += 34
	}
	switch c.Trust {
	case judge.Proven:
		disc(c.good, func(p *path) {
			p.stroke([]point{{x + 6.8, middle + 0.4}, {x + 10.6, middle + 4.2}, {x + 17.4, middle - 4}}, 2.8)
		})
	case judge.Doubted:
		disc(c.warn, func(p *path) {
			p.stroke([]point{{x + 12, middle - 5.6}, {x + 12, middle + 1}}, 2.8)
			p.disc(point{x + 12, middle + 5.6}, 1.8)
		})
	}
	if c.Proof != "" {
		x += c.text(x, footBase, 360, left, ink, proof, c.Proof) + 22
	}
	date := style{face: medium, size: 23}
	x += c.text(x, footBase, 210, left, c.ink3, date, r.Created.Format("2 Jan 2006")) + 28
	if command == "" {
		return
	}
	code := style{face: mono, size: 22, least: 19}
	room := edge - x - 32
	lines := []string{clean(command)}
	if _, s := code.fit(lines[0], room); s.width(lines[0]) <= room {
		code = s
	} else {
		code.size = 19
		lines = code.wrap(lines[0], room, 2)
	}
	wide := 0.0
	for i, l := range lines {
		l, _ = code.fit(l, room)
		lines[i], wide = l, max(wide, code.width(l))
	}
	const pitch = 26
	top, base := footBase-31.0, footBase-1.0
	if len(lines) > 1 {
		top, base = top-pitch/2+3, base-pitch/2
	}
	c.fill(c.sunken, func(p *path) {
		p.box(rect{edge - wide - 32, top, edge, base + pitch*float64(len(lines)-1) + 14}, 10)
	})
	for i, l := range lines {
		c.text(edge-16-wide, base+pitch*float64(i), wide+1, left, c.ink, code, l)
	}
}

// picture is to scale: cells for a ratio, lines for a sweep or a training, bars for
// figures of several lanes.
func (c *card) picture() {
	switch {
	case len(c.Curves) > 0:
		c.curves()
	case c.Ratio > 0:
		c.cells()
	case len(c.Entries) == 1:
		c.samples()
	default:
		c.bars()
	}
	if c.History != nil && c.Ratio == 0 {
		const wide = 236
		bottom := float64(lineAt - 24)
		c.history(rect{pictureLeft, bottom - 56, edge - wide - 16, bottom - 6})
		c.text(edge, bottom-8, wide, right, c.ink3, style{face: medium, size: 22}, c.History.Says())
	}
}
