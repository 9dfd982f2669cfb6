package card

import (
	"image/color"
	"math"
)

// A Drawing is a picture as a list of filled shapes, each over those before it. What
// writes or paints it decides nothing: text is outlines by then.
type Drawing struct {
	Width, Height int
	Title         string // says the same in words
	Shapes        []Shape
}

// A Shape is an area of one colour. Where outlines of one direction overlap, the area is
// their union.
type Shape struct {
	Fill color.RGBA
	Text string // that the outlines show; empty: no text
	path path
	room rect    // that the layout gave to a text
	size float64 // of the text
}

type point struct{ x, y float64 }

type rect struct{ left, top, right, bottom float64 }

// An op is a part of a path, with as many points as the letter has in SVG.
type op struct {
	letter byte // M, L, Q, C or Z
	points [3]point
}

var count = map[byte]int{'M': 1, 'L': 1, 'Q': 2, 'C': 3, 'Z': 0}

// A path is outlines, each of which begins with a move.
type path []op

func (p *path) move(a point)       { *p = append(*p, op{letter: 'M', points: [3]point{a}}) }
func (p *path) line(a point)       { *p = append(*p, op{letter: 'L', points: [3]point{a}}) }
func (p *path) quad(a, b point)    { *p = append(*p, op{letter: 'Q', points: [3]point{a, b}}) }
func (p *path) cube(a, b, c point) { *p = append(*p, op{letter: 'C', points: [3]point{a, b, c}}) }
func (p *path) close()             { *p = append(*p, op{letter: 'Z'}) }

// arc is the distance of the control points of a Bézier curve that stands for a quarter
// of a circle, as a share of its radius: 4/3·(√2−1).
const arc = 0.5522847498

// box adds a rectangle with round corners.
func (p *path) box(r rect, round float64) {
	round = max(0, min(round, (r.right-r.left)/2, (r.bottom-r.top)/2))
	k := round * (1 - arc)
	p.move(point{r.left + round, r.top})
	p.line(point{r.right - round, r.top})
	p.cube(point{r.right - k, r.top}, point{r.right, r.top + k}, point{r.right, r.top + round})
	p.line(point{r.right, r.bottom - round})
	p.cube(point{r.right, r.bottom - k}, point{r.right - k, r.bottom}, point{r.right - round, r.bottom})
	p.line(point{r.left + round, r.bottom})
	p.cube(point{r.left + k, r.bottom}, point{r.left, r.bottom - k}, point{r.left, r.bottom - round})
	p.line(point{r.left, r.top + round})
	p.cube(point{r.left, r.top + k}, point{r.left + k, r.top}, point{r.left + round, r.top})
	p.close()
}

// disc adds a circle.
func (p *path) disc(at point, radius float64) {
	p.box(rect{at.x - radius, at.y - radius, at.x + radius, at.y + radius}, radius)
}

// stroke adds a line of some width through points, with round ends and corners.
func (p *path) stroke(points []point, width float64) {
	for i, b := range points {
		p.disc(b, width/2)
		if i == 0 {
			continue
		}
		a := points[i-1]
		length := math.Hypot(b.x-a.x, b.y-a.y)
		if length == 0 {
			continue
		}
		x, y := (b.y-a.y)/length*width/2, (a.x-b.x)/length*width/2 // to the left of the way from a to b
		p.move(point{a.x + x, a.y + y})
		p.line(point{b.x + x, b.y + y})
		p.line(point{b.x - x, b.y - y})
		p.line(point{a.x - x, a.y - y})
		p.close()
	}
}

// bounds returns the smallest rectangle that holds all points of a path, those that
// curves are only drawn to included.
func (p path) bounds() rect {
	r := rect{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
	for _, o := range p {
		for _, q := range o.points[:count[o.letter]] {
			r.left, r.right = min(r.left, q.x), max(r.right, q.x)
			r.top, r.bottom = min(r.top, q.y), max(r.bottom, q.y)
		}
	}
	return r
}

// fill adds a shape.
func (d *Drawing) fill(c color.RGBA, draw func(*path)) {
	s := Shape{Fill: c}
	draw(&s.path)
	d.Shapes = append(d.Shapes, s)
}

// An anchor says which part of a text is at its x.
type anchor int

const (
	left anchor = iota
	right
)

// text adds a line of text at x on a baseline, within a room of that width, and returns
// how wide it became.
func (d *Drawing) text(x, baseline, room float64, at anchor, c color.RGBA, s style, t string) float64 {
	t = clean(t)
	if t == "" || room <= 0 {
		return 0
	}
	t, s = s.fit(t, room)
	wide := s.width(t)
	shape := Shape{Fill: c, Text: t, size: s.size, room: rect{x, baseline - s.size*ascent, x + room, baseline + s.size*descent}}
	if at == right {
		shape.room.left, shape.room.right = x-room, x
		x -= wide
	}
	s.outline(&shape.path, t, x, baseline)
	d.Shapes = append(d.Shapes, shape)
	return wide
}

// How far letters reach above and below their baseline, in ems: an Å above, a g below.
const ascent, descent = 0.96, 0.26
