package term

import (
	"math"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"github.com/gpuplay/gpuplay/internal/golden"
)

func TestCurve(t *testing.T) {
	falling := make([]float64, 60)
	for i := range falling {
		falling[i] = 6 * math.Exp(-float64(i)/12)
	}
	for _, tt := range []struct {
		name    string
		unicode bool
		golden  string
	}{{"braille", true, "curve.txt"}, {"ascii", false, "curve.ascii.txt"}} {
		t.Run(tt.name, func(t *testing.T) {
			golden.Compare(t, tt.golden, []byte(strings.Join(Curve(falling, 1, 48, 6, tt.unicode), "\n")+"\n"))
		})
	}
}

// Whatever the values and the space, no line is wider than it and none is missing.
func TestCurveFits(t *testing.T) {
	long := make([]float64, 10_000)
	for i := range long {
		long[i] = 1 + math.Sin(float64(i)/300)
	}
	for name, values := range map[string][]float64{
		"none": nil, "nothing but 0": {0, 0}, "one": {2}, "two": {2, 1}, "long": long, "with holes": {3, math.NaN(), math.Inf(1), 2, 1}, "no number": {math.NaN()}, "large": {123456, 1}, "negative": {-3, 2, -1}, "the whole range": {math.MaxFloat64, -math.MaxFloat64, 1, math.SmallestNonzeroFloat64},
	} {
		for _, width := range []int{0, 5, 10, 40, 76} {
			for _, height := range []int{0, 1, 2, 8} {
				for _, unicode := range []bool{true, false} {
					lines := Curve(values, 1, width, height, unicode)
					if len(lines) != 0 && len(lines) != height+1 {
						t.Errorf("%s in %d×%d: %d lines", name, width, height, len(lines))
					}
					for _, l := range lines {
						if ansi.StringWidth(l) > width {
							t.Errorf("%s in %d×%d: a line of %d columns: %q", name, width, height, ansi.StringWidth(l), l)
						}
						if !unicode && strings.ContainsFunc(l, func(r rune) bool { return r > '~' }) {
							t.Errorf("%s: %q is not ASCII", name, l)
						}
					}
				}
			}
		}
	}
}
