package screen

import (
	"encoding/xml"
	"fmt"
	"image/color"
	"io"
	"strings"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

// The measures of a picture, in pixels.
const (
	cellWidth  = 8.43 // of the fonts below at 14 pixels
	lineHeight = 19
	margin     = 22
	baseline   = 14
)

// svgStyle has the looks on light pages and on dark ones. A bar (b) is drawn, since the
// blocks of many fonts leave gaps.
const svgStyle = `<style>
.s{fill:#fbfbfd;stroke:#d9dbe3}.t{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#1d2130;white-space:pre}.bold{font-weight:700}.b{fill:#3866e0}.faint{fill:#6b7186}.red{fill:#c02637}.green{fill:#1d7f43}.yellow{fill:#8f6400}
@media (prefers-color-scheme:dark){.s{fill:#12141c;stroke:#2a2e3d}.t{fill:#e7e9f2}.b{fill:#6f96ff}.faint{fill:#8d93a8}.red{fill:#ff7b89}.green{fill:#4fc99c}.yellow{fill:#f0b040}}
</style>
`

// colors are the classes of the colours that the program uses.
var colors = map[color.Color]string{ansi.Red: "red", ansi.Green: "green", ansi.Yellow: "yellow"}

// SVG draws what can be seen and what has scrolled off, as high as the text on it; label
// says what it is to those who cannot see it.
func (s *Screen) SVG(w io.Writer, label string) error {
	text := strings.TrimSuffix(s.Text(), "\n")
	used := strings.Count(text, "\n") + 1
	columns, _ := s.Size()
	width, height := float64(columns)*cellWidth+2*margin, used*lineHeight+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" viewBox="0 0 %.0f %d" role="img" aria-label="%s">`+"\n%s", width, height, width, height, escape(label), svgStyle)
	fmt.Fprintf(&b, `<rect class="s" x=".5" y=".5" width="%.0f" height="%d" rx="10"/>`+"\n", width-1, height-1)
	for y, row := range s.rows()[:used] {
		for x := 0; x < len(row); {
			end := x
			for end < len(row) && row[end].Content != " " && look(row[end]) == look(row[x]) && bar(row[end]) == bar(row[x]) {
				end += max(1, row[end].Width)
			}
			if end == x { // a blank
				x++
				continue
			}
			// Words of one look are one text.
			for next := end; !bar(row[x]) && next < len(row); {
				for next < len(row) && row[next].Content == " " && next-end < 2 {
					next++
				}
				from := next
				for next < len(row) && row[next].Content != " " && look(row[next]) == look(row[x]) && !bar(row[next]) {
					next += max(1, row[next].Width)
				}
				if next == from {
					break
				}
				end = next
			}
			left, top := margin+float64(x)*cellWidth, margin+y*lineHeight
			if bar(row[x]) {
				fmt.Fprintf(&b, `<rect class="b" x="%.1f" y="%d" width="%.1f" height="12"/>`+"\n", left, top+3, float64(end-x)*cellWidth)
			} else {
				var t strings.Builder
				for i := x; i < end; i += max(1, row[i].Width) {
					t.WriteString(row[i].Content)
				}
				fmt.Fprintf(&b, `<text xml:space="preserve" class="%s" x="%.1f" y="%d" textLength="%.1f">%s</text>`+"\n", look(row[x]), left, top+baseline, float64(end-x)*cellWidth, escape(t.String()))
			}
			x = end
		}
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// look returns the classes of a cell's text.
func look(c uv.Cell) string {
	class := "t"
	if c.Style.Attrs&uv.AttrBold != 0 {
		class += " bold"
	}
	if c.Style.Attrs&uv.AttrFaint != 0 {
		class += " faint"
	}
	if name := colors[c.Style.Fg]; name != "" {
		class += " " + name
	}
	return class
}

// bar reports whether a cell is a piece of a bar.
func bar(c uv.Cell) bool { return c.Content == "█" }

// escape makes a text one of XML.
func escape(t string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(t))
	return b.String()
}
