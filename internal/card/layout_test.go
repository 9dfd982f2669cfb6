package card

import (
	"fmt"
	"image/color"
	"math"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

func (r rect) holds(in rect, slack float64) bool {
	return in.left >= r.left-slack && in.top >= r.top-slack && in.right <= r.right+slack && in.bottom <= r.bottom+slack
}

func (r rect) meets(o rect) bool {
	return r.left < o.right && o.left < r.right && r.top < o.bottom && o.top < r.bottom
}

// Every text is inside of its room, is not on another one, and can be read at half of
// the size; nothing is outside of the card.
func TestTextFits(t *testing.T) {
	canvas := rect{0, 0, Width, Height}
	for name, r := range runs(t) {
		d := drawn(t, r, Themes[0], "gpuplay llm "+strings.Repeat("model", 30))
		var texts []Shape
		for _, s := range d.Shapes {
			b := s.path.bounds()
			if len(s.path) == 0 {
				continue
			}
			if math.IsNaN(b.left+b.top+b.right+b.bottom) || !canvas.holds(b, 0.01) {
				t.Errorf("%s: %q is at %v", name, s.Text, b)
			}
			if s.Text == "" {
				continue
			}
			if !s.room.holds(b, 1) {
				t.Errorf("%s: %q at %v is not within its room %v", name, s.Text, b, s.room)
			}
			if s.size < 18 {
				t.Errorf("%s: %q has a size of %.1f", name, s.Text, s.size)
			}
			for _, o := range texts {
				if b.meets(o.path.bounds()) {
					t.Errorf("%s: %q is on %q", name, s.Text, o.Text)
				}
			}
			texts = append(texts, s)
		}
	}
}

// Themes differ in their colours alone.
func TestThemesHaveOneLayout(t *testing.T) {
	r := recordtest.Examples()["gpu"]
	light, dark := drawn(t, r, Themes[0], command), drawn(t, r, Themes[1], command)
	if a, b := listing(light, false), listing(dark, false); a != b {
		t.Errorf("light:\n%s\ndark:\n%s", a, b)
	}
}

// listing writes where the shapes of a drawing are.
func listing(d *Drawing, colours bool) string {
	var b strings.Builder
	fmt.Fprintln(&b, d.Title)
	for _, s := range d.Shapes {
		at := s.path.bounds()
		if colours {
			b.WriteString(hex(s.Fill) + " ")
		}
		fmt.Fprintf(&b, "%.0f,%.0f to %.0f,%.0f %d %s\n", at.left, at.top, at.right, at.bottom, len(s.path), s.Text)
	}
	return b.String()
}

// Layouts are those of their golden files.
func TestLayouts(t *testing.T) {
	all := runs(t)
	for _, name := range []string{"gpu", "cpu", "troubled", "classic", "cards", "tokens.gpu", "tokens.troubled", "tokens.soft", "mixed", "training", "generation", "roofs", "ladder", "nothing", "many", "ratio/0.4", "sensed/ratio/38"} {
		golden.Compare(t, strings.ReplaceAll(name, "/", "-")+".txt", listing(drawn(t, all[name], Themes[0], command), true))
	}
}

// painted returns how much of a colour is painted in the room for pictures.
func painted(d *Drawing, c color.RGBA) int {
	n, canvas := 0, d.paint()
	for y := pictureTop; y < lineAt; y++ {
		for x := pictureLeft; x <= edge; x++ {
			if canvas.RGBAAt(x, y) == c {
				n++
			}
		}
	}
	return n
}

// The cells of a ratio are to scale, also where a part of one is left.
func TestCellsAreToScale(t *testing.T) {
	for _, times := range []float64{1.5, 2, 9.5, 25, 101} {
		d := drawn(t, ratioOf(times), Themes[0], command)
		got := float64(painted(d, Themes[0].gpu)) / float64(painted(d, Themes[0].cpu))
		if math.Abs(got/times-1) > 0.08 { // corners are round, and edges smooth
			t.Errorf("%g times as fast is painted as %.2f", times, got)
		}
	}
}
