package card

import (
	"image/color"
	"math"
	"testing"
)

// Colours of text are told from what they are on, by 4.5:1 (WCAG 2.2, 1.4.3).
func TestContrast(t *testing.T) {
	luminance := func(c color.RGBA) float64 {
		l := 0.0
		for i, v := range []uint8{c.R, c.G, c.B} {
			s := float64(v) / 255
			if s <= 0.04045 {
				s /= 12.92
			} else {
				s = math.Pow((s+0.055)/1.055, 2.4)
			}
			l += []float64{0.2126, 0.7152, 0.0722}[i] * s
		}
		return l
	}
	for _, theme := range Themes {
		ground := luminance(theme.surface)
		for i, c := range []color.RGBA{theme.ink, theme.ink2, theme.ink3, theme.good, theme.warn, theme.cpuInk, theme.gpuInk} {
			if ratio := (max(ground, luminance(c)) + 0.05) / (min(ground, luminance(c)) + 0.05); ratio < 4.5 {
				t.Errorf("%s: text %d has a contrast of %.2f", theme.Name, i, ratio)
			}
		}
		if theme.cpu == theme.gpu {
			t.Errorf("%s: devices have one colour", theme.Name)
		}
	}
}
