package card

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"image/color"
	"io"
	"math"
	"strconv"
	"strings"
)

// SVG writes a drawing as SVG. It needs no font and loads nothing.
func (d *Drawing) SVG(w io.Writer) error {
	b := bufio.NewWriter(w)
	title := escape(d.Title)
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`+"\n<title>%s</title>\n", d.Width, d.Height, d.Width, d.Height, title, title)
	for _, s := range d.Shapes {
		label := ""
		if s.Text != "" {
			label = fmt.Sprintf(` aria-label="%s"`, escape(s.Text))
		}
		fmt.Fprintf(b, `<path fill="%s"%s d="%s"/>`+"\n", hex(s.Fill), label, s.path.svg())
	}
	b.WriteString("</svg>\n")
	return b.Flush()
}

// svg returns the data of a path, in hundredths of a pixel from point to point, which
// takes half of the room that places would.
func (p path) svg() string {
	var b strings.Builder
	var x, y, startX, startY int // in hundredths
	for _, o := range p {
		b.WriteByte(o.letter | 0x20) // in lower case: from point to point
		toX, toY := x, y
		for i, q := range o.points[:count[o.letter]] {
			toX, toY = int(math.Round(q.x*100)), int(math.Round(q.y*100))
			for j, v := range []int{toX - x, toY - y} {
				if t := hundredths(v); t[0] != '-' && i+j > 0 {
					b.WriteString(" " + t)
				} else {
					b.WriteString(t)
				}
			}
		}
		switch o.letter {
		case 'M':
			startX, startY = toX, toY
		case 'Z':
			toX, toY = startX, startY
		}
		x, y = toX, toY
	}
	return b.String()
}

// hundredths writes a number of hundredths with as few characters as SVG takes.
func hundredths(n int) string {
	t := strconv.FormatFloat(float64(n)/100, 'f', -1, 64)
	t = strings.TrimPrefix(t, "0.")
	if len(t) > 0 && n > 0 && n < 100 {
		return "." + t
	}
	if strings.HasPrefix(t, "-0.") {
		return "-" + t[2:]
	}
	return t
}

func hex(c color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

func escape(t string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(t))
	return b.String()
}
