package screen

import (
	"encoding/xml"
	"fmt"
	"image/color"
	"io"
	"strings"
	"unicode/utf8"

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
.s{fill:#fbfbfd;stroke:#d9dbe3}.t{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#1d2130;white-space:pre}.bold{font-weight:700}.b{fill:#3866e0}.faint{fill:#6b7186}.red{fill:#c02637}.green{fill:#1d7f43}.yellow{fill:#8f6400}.blue{fill:#3866e0}.magenta{fill:#9c3aa6}.cyan{fill:#0f7c8c}
@media (prefers-color-scheme:dark){.s{fill:#12141c;stroke:#2a2e3d}.t{fill:#e7e9f2}.b{fill:#6f96ff}.faint{fill:#8d93a8}.red{fill:#ff7b89}.green{fill:#4fc99c}.yellow{fill:#f0b040}.blue{fill:#6f96ff}.magenta{fill:#d68be0}.cyan{fill:#4cc3d4}}
</style>
`

// colors are the classes of the colours that the program uses.
var colors = map[color.Color]string{ansi.Red: "red", ansi.Green: "green", ansi.Yellow: "yellow", ansi.Blue: "blue", ansi.Magenta: "magenta", ansi.Cyan: "cyan"}

// SVG draws what can be seen and what has scrolled off, as high as the text on it; label
// says what it is to those who cannot see it.
func (s *Screen) SVG(w io.Writer, label string) error {
	used := strings.Count(strings.TrimSuffix(s.Text(), "\n"), "\n") + 1
	columns, _ := s.Size()
	width, height := float64(columns)*cellWidth+2*margin, used*lineHeight+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" viewBox="0 0 %.0f %d" role="img" aria-label="%s">`+"\n%s", width, height, width, height, escape(label), svgStyle)
	fmt.Fprintf(&b, `<rect class="s" x=".5" y=".5" width="%.0f" height="%d" rx="10"/>`+"\n", width-1, height-1)
	for y, row := range s.rows()[:used] {
		for x := 0; x < len(row); {
			end := x
			for end < len(row) && row[end].Content != " " && look(row[end]) == look(row[x]) && drawn(row[end]) == drawn(row[x]) {
				end += max(1, row[end].Width)
			}
			if end == x { // a blank
				x++
				continue
			}
			// Words of one look are one text.
			for next := end; drawn(row[x]) == text && next < len(row); {
				for next < len(row) && row[next].Content == " " && next-end < 2 {
					next++
				}
				from := next
				for next < len(row) && row[next].Content != " " && look(row[next]) == look(row[x]) && drawn(row[next]) == text {
					next += max(1, row[next].Width)
				}
				if next == from {
					break
				}
				end = next
			}
			left, top := margin+float64(x)*cellWidth, margin+y*lineHeight
			switch drawn(row[x]) {
			case bar:
				fmt.Fprintf(&b, `<rect class="b" x="%.1f" y="%d" width="%.1f" height="12"/>`+"\n", left, top+3, float64(end-x)*cellWidth)
			case dots:
				fmt.Fprintf(&b, `<path class="%s" d="%s"/>`+"\n", look(row[x]), braille(row[x:end], left, float64(top)))
			default:
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

// A drawing is how a cell gets into a picture.
type drawing int

const (
	text drawing = iota
	bar          // a piece of a bar
	dots         // Braille, which some fonts lack, and others show with a circle for each missing dot
)

func drawn(c uv.Cell) drawing {
	r, _ := utf8.DecodeRuneInString(c.Content)
	switch {
	case r == '█':
		return bar
	case r >= 0x2800 && r < 0x2900:
		return dots
	}
	return text
}

// braille returns the outline of the dots of cells, those above one another as one column.
func braille(cells []uv.Cell, left, top float64) string {
	bits := [2][4]rune{{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}} // by column and row (Unicode, Braille Patterns)
	const dot = lineHeight / 4.
	var b strings.Builder
	for i, c := range cells {
		r, _ := utf8.DecodeRuneInString(c.Content)
		for column, list := range bits {
			x := left + (float64(i)+float64(column)/2)*cellWidth
			for row := 0; row < len(list); row++ {
				from := row
				for row < len(list) && r&list[row] != 0 {
					row++
				}
				if row > from {
					fmt.Fprintf(&b, "M%.1f %.1fh%.1fv%.1fh-%.1fz", x, top+float64(from)*dot, cellWidth/2-.6, float64(row-from)*dot, cellWidth/2-.6)
				}
			}
		}
	}
	return b.String()
}

// escape makes a text one of XML.
func escape(t string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(t))
	return b.String()
}
