package gemm

import (
	"math"
	"testing"
)

// TestConverters compares the conversions of every instruction set with arithmetic,
// for all 16-bit numbers and for the float32 numbers around the ties.
func TestConverters(t *testing.T) {
	for _, set := range instructionSets {
		for _, tt := range []struct {
			name string
			conv converter
			from func(uint16) float64
			to   func(float64) uint16
		}{
			{"float16", set.float16, fromFloat16, toFloat16},
			{"bfloat16", set.bfloat16, fromBFloat16, toBFloat16},
		} {
			all := make([]uint16, 1<<16)
			for i := range all {
				all[i] = uint16(i)
			}
			wide := make([]float32, len(all))
			tt.conv.widen(wide, all)
			var exact []float32
			for i, x := range wide {
				if want := tt.from(all[i]); float64(x) != want && !(math.IsNaN(want) && x != x) || math.Signbit(float64(x)) != math.Signbit(want) && x == x {
					t.Fatalf("%v %s: %#04x widened is %v, not %v", set.isa, tt.name, i, x, want)
				}
				if i%0x8000 == 0x7fff {
					continue
				}
				tie := float32((tt.from(all[i]) + tt.from(all[i]+1)) / 2)
				for _, y := range []float32{x, tie} {
					exact = append(exact, y, math.Nextafter32(y, 1e38), math.Nextafter32(y, -1e38))
				}
			}
			exact = append(exact, 65504, 65519.996, 65520, -65520, math.MaxFloat32, math.Float32frombits(0x7f800001), math.Float32frombits(0xffffffff))
			narrow := make([]uint16, len(exact))
			tt.conv.narrow(narrow, exact)
			for i, h := range narrow {
				want := tt.to(float64(exact[i]))
				if exact[i] != exact[i] {
					if !math.IsNaN(tt.from(h)) {
						t.Fatalf("%v %s: not a number narrowed is %#04x", set.isa, tt.name, h)
					}
				} else if h != want {
					t.Fatalf("%v %s: %v narrowed is %#04x, not %#04x", set.isa, tt.name, exact[i], h, want)
				}
			}
		}
	}
}

// TestConverterEnds converts slices of every small length, with a sentinel after
// the end.
func TestConverterEnds(t *testing.T) {
	for _, set := range instructionSets {
		for _, conv := range []converter{set.float16, set.bfloat16} {
			for n := range 50 {
				half, wide := make([]uint16, n+1), make([]float32, n+1)
				for i := range half {
					half[i], wide[i] = 0x3f80, 7
				}
				conv.widen(wide[:n], half[:n])
				for i := range half {
					half[i] = 9
				}
				wide[n] = 7
				conv.narrow(half[:n], wide[:n])
				for i, h := range half {
					if want := map[bool]uint16{true: 0x3f80, false: 9}[i < n]; h != want {
						t.Fatalf("%v: element %d of %d is %#04x, not %#04x", set.isa, i, n, h, want)
					}
				}
			}
		}
	}
}
