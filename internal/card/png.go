package card

import (
	"image"
	"image/draw"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/vector"
)

// PNG writes a drawing as PNG, in one pixel for each unit.
func (d *Drawing) PNG(w io.Writer) error { return png.Encode(w, d.paint()) }

// paint paints the shapes one after the other, with smooth edges.
func (d *Drawing) paint() *image.RGBA {
	canvas := image.NewRGBA(image.Rect(0, 0, d.Width, d.Height))
	for _, s := range d.Shapes {
		b := s.path.bounds()
		area := image.Rect(int(math.Floor(b.left)), int(math.Floor(b.top)), int(math.Ceil(b.right)), int(math.Ceil(b.bottom)))
		if area = area.Intersect(canvas.Bounds()); area.Empty() {
			continue
		}
		r := vector.NewRasterizer(area.Dx(), area.Dy())
		at := func(p point) (x, y float32) {
			return float32(p.x - float64(area.Min.X)), float32(p.y - float64(area.Min.Y))
		}
		for _, o := range s.path {
			ax, ay := at(o.points[0])
			bx, by := at(o.points[1])
			cx, cy := at(o.points[2])
			switch o.letter {
			case 'M':
				r.MoveTo(ax, ay)
			case 'L':
				r.LineTo(ax, ay)
			case 'Q':
				r.QuadTo(ax, ay, bx, by)
			case 'C':
				r.CubeTo(ax, ay, bx, by, cx, cy)
			case 'Z':
				r.ClosePath()
			}
		}
		r.DrawOp = draw.Over
		r.Draw(canvas, area, image.NewUniform(s.Fill), image.Point{})
	}
	return canvas
}
