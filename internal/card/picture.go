package card

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// bottom is where the room for the picture ends: above the line, and above the history
// of the GPU where there is one.
func (c *card) bottom() float64 {
	if c.History != nil && c.Ratio == 0 {
		return lineAt - 24 - 84
	}
	return lineAt - 24
}

// history draws what a sensor of the GPU said during the run, from zero.
func (c *card) history(box rect) {
	area, _ := c.lane(hardware.GPU)
	points := c.History.Points
	from, to := points[0].X, points[len(points)-1].X
	top := 0.0
	for _, q := range points {
		top = max(top, q.Y)
	}
	if to <= from || top == 0 {
		return
	}
	at := func(q judge.CurvePoint) point {
		return point{box.left + (q.X-from)/(to-from)*(box.right-box.left), box.bottom - q.Y/top*(box.bottom-box.top)}
	}
	step := max(1, len(points)/int(box.right-box.left)) // more would not be seen
	var line []point
	for i := 0; i < len(points); i += step {
		line = append(line, at(points[i]))
	}
	c.fill(c.soft, func(p *path) {
		p.move(point{box.left, box.bottom})
		for _, q := range line {
			p.line(q)
		}
		p.line(point{line[len(line)-1].x, box.bottom})
		p.close()
	})
	c.fill(area, func(p *path) { p.stroke(line, 2.5) })
}

// cells shows a ratio: what the faster does while the slower does one. Their areas are
// to scale, the last one cut where the ratio is no whole number.
func (c *card) cells() {
	const apart, width = 22, edge - pictureLeft // apart is between the cells and the single one
	height := c.bottom() - pictureTop - apart
	if c.History != nil {
		height -= 24 // for what is beside the single cell
	}
	fast, slow, text := hardware.GPU, hardware.CPU, "the CPU, in the same time"
	if c.Winner == slow {
		fast, slow, text = slow, fast, "the GPU, in the same time"
	}
	area, _ := c.lane(fast)
	largest := 96.0
	if c.History != nil {
		largest = 56
	}
	columns, rows, pitch := grid(c.Ratio, width, height, largest)
	cell := pitch - min(8, pitch*0.12)
	top := pictureTop + (height-float64(rows+1)*pitch)/2
	y := top + float64(rows)*pitch + apart
	if c.Ratio > mostCells { // they become one block, the single one a part of it
		top, cell = pictureTop, math.Sqrt(width*(height-30)/c.Ratio)
		y = pictureTop + height - 30 + apart
		c.fill(area, func(p *path) { p.box(rect{pictureLeft, top, edge, top + height - 30}, 6) })
	} else {
		c.fill(area, func(p *path) {
			whole := int(c.Ratio)
			for i := range whole + 1 {
				x, y := pictureLeft+float64(i%columns)*pitch, top+float64(i/columns)*pitch
				part := 1.0
				if i == whole {
					part = c.Ratio - float64(whole)
				}
				p.box(rect{x, y, x + part*cell, y + cell}, cell*0.15)
			}
		})
	}
	one, _ := c.lane(slow)
	cell = max(1, cell) // of which something is to be seen, also beyond what a pixel can be to scale
	c.fill(one, func(p *path) { p.box(rect{pictureLeft, y, pictureLeft + cell, y + cell}, cell*0.15) })
	x := pictureLeft + cell + 18
	if c.History == nil {
		c.text(x, max(y+cell/2+9, y+18), edge-x, left, c.ink2, style{face: medium, size: 25}, text)
		return
	}
	const wide = 220
	bottom := c.bottom()
	small := style{face: medium, size: 22}
	c.text(x, max(y+cell/2+9, y+18), edge-wide-24-x, left, c.ink2, style{face: medium, size: 25, least: 22}, strings.Replace(text, ", in the same time", " meanwhile", 1))
	c.history(rect{edge - wide, y + 2, edge, bottom - 26})
	c.text(edge, bottom, wide, right, c.ink3, small, c.History.Says())
}

// mostCells is how many cells can be told apart.
const mostCells = 800

// grid returns how many columns and rows of cells show a ratio, and with which pitch, so
// that they are as large as a room allows, with another row for a single cell.
func grid(ratio, width, height, largest float64) (columns, rows int, pitch float64) {
	n := int(math.Ceil(min(ratio, mostCells)))
	for r := 1; ; r++ {
		c := (n + r - 1) / r
		p := min(largest, width/float64(c), height/float64(r+1))
		if p < pitch || p == pitch && p == largest || r > n {
			return columns, rows, pitch
		}
		columns, rows, pitch = c, r, p
	}
}

// samples shows those of a single lane side by side, from zero.
func (c *card) samples() {
	list := c.Samples
	const most, caption = 60, 44
	if len(list) < 3 {
		return
	}
	text := unit.Plural(len(list), "sample") + ", in their order"
	if len(list) > most {
		list = list[:most]
		text = fmt.Sprintf("the first %d of %d samples", most, len(c.Samples))
	}
	top := slices.Max(list)
	bottom := c.bottom() - caption
	pitch := min(24, float64(edge-pictureLeft)/float64(len(list)))
	wide := pitch - max(1.5, pitch*0.2)
	area, _ := c.lane(c.Winner)
	c.fill(area, func(p *path) {
		for i, v := range list {
			x := pictureLeft + float64(i)*pitch
			p.box(rect{x, bottom - v/top*(bottom-pictureTop), x + wide, bottom}, min(4, wide/3))
		}
	})
	c.text(pictureLeft, bottom+34, edge-pictureLeft, left, c.ink3, style{face: medium, size: 22}, text)
}

// bars shows figures of several lanes by their lengths.
func (c *card) bars() {
	const height, thick = 54, 14
	most := int((c.bottom() - pictureTop + 4) / height)
	list := c.Entries
	top := 0.0
	for _, e := range list {
		top = max(top, e.Value)
	}
	if top == 0 {
		return
	}
	hidden := 0
	if len(list) > most {
		hidden = len(list) - (most - 1)
		list = list[:most-1]
	}
	y := pictureTop + max(0, (c.bottom()-pictureTop-float64(height*min(most, len(c.Entries))))/2)
	label, speed := style{face: medium, size: 22}, style{face: bold, size: 22, tracking: -0.01}
	for _, e := range list {
		area, ink := c.lane(e.Kind)
		by := e.By
		if e.Kind != c.Winner && c.Winner != "" && e.Kind != hardware.SoftwareGPU {
			by = e.Name
		}
		if !e.Verified && c.Winner == "" {
			ink = c.warn
		}
		wide := c.text(edge, y+22, 250, right, ink, speed, e.Speed)
		c.text(pictureLeft, y+22, edge-wide-20-pictureLeft, left, c.ink, label, by)
		c.fill(c.sunken, func(p *path) { p.box(rect{pictureLeft, y + 31, edge, y + 31 + thick}, 4) })
		if e.Value > 0 {
			c.fill(area, func(p *path) {
				p.box(rect{pictureLeft, y + 31, pictureLeft + max(2, e.Value/top*(edge-pictureLeft)), y + 31 + thick}, 4)
			})
		}
		y += height
	}
	if hidden > 0 {
		c.text(pictureLeft, y+24, edge-pictureLeft, left, c.ink3, label, fmt.Sprintf("and %d more", hidden))
	}
}

// curves draws lines over sizes or iterations. Sizes and speeds have logarithmic axes, a
// loss begins at 0.
func (c *card) curves() {
	logarithmic := len(c.Curves) > 1 || c.Curves[0].Name != "loss"
	list := chosen(c.Curves)
	scale := func(v float64) float64 {
		if logarithmic {
			return math.Log(v)
		}
		return v
	}
	x0, x1, y0, y1 := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, l := range list {
		for _, q := range l.Points {
			x0, x1 = min(x0, scale(q.X)), max(x1, scale(q.X))
			y0, y1 = min(y0, scale(q.Y)), max(y1, scale(q.Y))
		}
	}
	if !logarithmic {
		y0 = 0
	}
	const caption = 34
	bottom := c.bottom() - 42
	label := style{face: medium, size: 22}
	top := float64(pictureTop + 10)
	if logarithmic {
		top += float64(caption * len(list)) // for the names
	}
	at := func(q judge.CurvePoint) point {
		x, y := 0.5, 0.5
		if x1 > x0 {
			x = (scale(q.X) - x0) / (x1 - x0)
		}
		if y1 > y0 {
			y = (scale(q.Y) - y0) / (y1 - y0)
		}
		return point{pictureLeft + 4 + x*(edge-pictureLeft-8), bottom - y*(bottom-top)}
	}
	c.fill(c.line, func(p *path) { p.box(rect{pictureLeft, bottom + 8, edge, bottom + 9.5}, 0) })
	from, to := math.Inf(1), math.Inf(-1)
	for _, l := range slices.Backward(list) { // the best on top
		var points []point
		for _, q := range l.Points {
			points = append(points, at(q))
			from, to = min(from, q.X), max(to, q.X)
		}
		area, _ := c.lane(l.Kind)
		c.fill(area, func(p *path) { p.stroke(points, 5) })
		if len(points) == 1 {
			c.fill(area, func(p *path) { p.disc(points[0], 6) })
		}
	}
	before, after, about := "", "³", "logarithmic"
	if !logarithmic {
		before, after, about = "iteration ", "", "from 0"
	}
	tick := func(x float64) string { return before + strconv.FormatFloat(x, 'f', 0, 64) + after }
	const room = (edge - pictureLeft) / 3
	c.text(pictureLeft, bottom+38, room, left, c.ink3, label, tick(from))
	c.text(pictureLeft+room+room/2-label.width(about)/2, bottom+38, room, left, c.ink3, label, about)
	if to > from {
		c.text(edge, bottom+38, room, right, c.ink3, label, tick(to))
	}
	if !logarithmic {
		return
	}
	for i, l := range list {
		y := float64(pictureTop + 12 + caption*i)
		c.mark(l.Kind, pictureLeft, y-8)
		c.text(pictureLeft+32, y, edge-pictureLeft-32, left, c.ink2, label, l.Name)
	}
}

// chosen returns the fastest lane of each kind at the largest size.
func chosen(curves []judge.Curve) []judge.Curve {
	var list []judge.Curve
	for _, k := range []hardware.Kind{hardware.GPU, hardware.CPU, hardware.SoftwareGPU} {
		best := -1
		for i, l := range curves {
			if l.Kind == k && (best < 0 || last(l).X > last(curves[best]).X || last(l).X == last(curves[best]).X && last(l).Y > last(curves[best]).Y) {
				best = i
			}
		}
		if best >= 0 {
			list = append(list, curves[best])
		}
	}
	return list
}

func last(l judge.Curve) judge.CurvePoint { return l.Points[len(l.Points)-1] }
