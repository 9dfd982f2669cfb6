package gpt

import (
	"math"
	"testing"
)

func TestExp(t *testing.T) {
	for x := float32(-86.99); x < 88; x += 0.00317 {
		got, want := float64(exp(x)), math.Exp(float64(x))
		if math.Abs(got-want) > 2.5e-7*want {
			t.Fatalf("e^%v is %v, got %v", x, want, got)
		}
	}
	for _, tt := range [][2]float32{{0, 1}, {-88, 0}, {-inf, 0}, {inf, inf}, {100, inf}} {
		if got := exp(tt[0]); got != tt[1] {
			t.Errorf("e^%v is %v, got %v", tt[0], tt[1], got)
		}
	}
	if got := exp(float32(math.NaN())); got == got {
		t.Errorf("e^NaN is %v", got)
	}
}
