// Package screen is a terminal without a window: what is written to it can be looked at
// as text, and drawn. Tests look at what the program shows, and scripts/screenshot draws
// the picture of the README. It draws the cells of a terminal, whatever is in them;
// encode's SVG is a diagram of a sweep's figures.
package screen

import (
	"slices"
	"strings"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/vt"
)

// A Screen is what a terminal shows of what was written to it.
type Screen struct{ emulator *vt.Emulator }

// New returns an empty screen.
func New(columns, rows int) *Screen { return &Screen{vt.NewEmulator(columns, rows)} }

// Write writes as a terminal's driver does: a line feed also returns the cursor.
func (s *Screen) Write(text []byte) (int, error) {
	_, err := s.emulator.WriteString(strings.ReplaceAll(string(text), "\n", "\r\n"))
	return len(text), err
}

// Size returns the columns and rows.
func (s *Screen) Size() (columns, rows int) { return s.emulator.Width(), s.emulator.Height() }

// Narrow makes the window narrower, as terminals do that wrap the lines on it again. The
// looks of the text are lost.
func (s *Screen) Narrow(columns int) {
	text, rows := s.Text(), s.emulator.Height()
	s.emulator = vt.NewEmulator(columns, rows)
	s.Write([]byte(text))
}

// Above returns how many lines have scrolled off the screen.
func (s *Screen) Above() int { return s.emulator.ScrollbackLen() }

// Text returns what can be seen below what has scrolled off, without blanks at the end
// of lines and empty lines at its own.
func (s *Screen) Text() string {
	var list []string
	for _, row := range s.rows() {
		var b strings.Builder
		for x := 0; x < len(row); x += max(1, row[x].Width) {
			b.WriteString(row[x].Content)
		}
		list = append(list, strings.TrimRight(b.String(), " "))
	}
	return strings.TrimRight(strings.Join(list, "\n"), "\n") + "\n"
}

// Window returns Text with a line above what is in the window, if anything has scrolled
// off it.
func (s *Screen) Window() string {
	list := strings.SplitAfter(s.Text(), "\n")
	if above := s.Above(); above > 0 {
		list = slices.Insert(list, min(above, len(list)), strings.Repeat("┄", s.emulator.Width())+"\n")
	}
	return strings.Join(list, "")
}

// rows returns the cells of all lines, those first that have scrolled off.
func (s *Screen) rows() [][]uv.Cell {
	var list [][]uv.Cell
	columns, rows := s.Size()
	above := s.Above()
	for y := range above + rows {
		row := make([]uv.Cell, columns)
		for x := range row {
			cell := s.emulator.CellAt(x, y-above)
			if y < above {
				cell = s.emulator.ScrollbackCellAt(x, y)
			}
			row[x] = uv.EmptyCell
			if cell != nil && !cell.IsZero() {
				row[x] = *cell
			}
		}
		list = append(list, row)
	}
	return list
}
