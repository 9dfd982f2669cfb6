package term

import (
	"strings"

	"github.com/charmbracelet/x/vt"
)

// A screen is what a terminal shows of what was written to it.
type screen struct{ emulator *vt.Emulator }

func newScreen(columns, rows int) *screen { return &screen{vt.NewEmulator(columns, rows)} }

// Write writes as a terminal's driver does: a line feed also returns the cursor.
func (s *screen) Write(text []byte) (int, error) {
	_, err := s.emulator.WriteString(strings.ReplaceAll(string(text), "\n", "\r\n"))
	return len(text), err
}

// narrow makes the window narrower, as terminals do that wrap the lines on it again.
func (s *screen) narrow(columns int) {
	text, rows := s.text(), s.emulator.Height()
	s.emulator = vt.NewEmulator(columns, rows)
	s.Write([]byte(text))
}

// text is what can be seen, with what has scrolled off the screen above it.
func (s *screen) text() string {
	var b strings.Builder
	for y := range s.emulator.ScrollbackLen() {
		for x := 0; x < s.emulator.Width(); {
			c := s.emulator.ScrollbackCellAt(x, y)
			if c == nil { // the rest is blank
				break
			}
			b.WriteString(c.Content)
			x += max(1, c.Width)
		}
		b.WriteString("\n")
	}
	return lines(b.String() + s.emulator.String())
}

// lines is a text without blanks at the end of its lines and without empty lines at its
// own.
func lines(text string) string {
	list := strings.Split(text, "\n")
	for i, l := range list {
		list[i] = strings.TrimRight(l, " ")
	}
	return strings.TrimRight(strings.Join(list, "\n"), "\n") + "\n"
}
