package matrix

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
)

var patterns = []Data{Zeros, Ones, Ramp}

func TestParseData(t *testing.T) {
	for _, d := range Kinds {
		if got, err := ParseData(d.String()); err != nil || got != d || !d.Known() {
			t.Errorf("ParseData(%q) = %q, %v", d.String(), got, err)
		}
	}
	for _, name := range []string{"", "sparse"} {
		if d, err := ParseData(name); err == nil {
			t.Errorf("ParseData(%q) = %q", name, d)
		}
	}
	if Data("sparse").Known() {
		t.Error("sparse inputs are known")
	}
}

// The first elements are part of the worker protocol. Those of normal inputs are from a Python
// version of the generator.
func TestDataIsFixed(t *testing.T) {
	for _, tt := range []struct {
		k    Data
		o    Operand
		d    DType
		want [3]float64
	}{
		{Normal, A, Float64, normalA},
		{Normal, A, Float32, [3]float64{float64(float32(normalA[0])), float64(float32(normalA[1])), float64(float32(normalA[2]))}},
		{Normal, A, Float16, [3]float64{Float16.Round(normalA[0]), Float16.Round(normalA[1]), Float16.Round(normalA[2])}},
		{Normal, A, Int8, normalA8},
		{Zeros, B, Float32, [3]float64{}},
		{Ones, OtherA, Int8, [3]float64{1, 1, 1}},
		{Ramp, A, BFloat16, [3]float64{-1, -0.875, -0.75}},
		{Ramp, B, Float64, [3]float64{-1, -0.875, -0.75}},
		{Ramp, OtherA, Float16, [3]float64{1, 0.875, 0.75}},
		{Ramp, A, Int8, [3]float64{-8, -7, -6}},
	} {
		s := tt.k.Stream(1, tt.o, tt.d)
		for i, want := range tt.want {
			if got := s.At(i); got != want {
				t.Errorf("%s, operand %d, %s: element %d = %x, want %x", tt.k, tt.o, tt.d, i, got, want)
			}
		}
	}
	if s := Ramp.Stream(1, A, Float32); s.At(15) != 0.875 || s.At(16) != -1 {
		t.Errorf("the ramp ends at %v, and begins again at %v", s.At(15), s.At(16))
	}
}

// What is called normal has the moments of a normal distribution, nearly, and of int8 all
// numbers occur.
func TestNormal(t *testing.T) {
	const n = 1 << 20
	for _, d := range []DType{Float64, Float32, Float16, Int8} {
		s := Normal.Stream(5, B, d)
		var mean, square, fourth, top, low float64
		for i := range n {
			x := s.At(i)
			mean, square, fourth = mean+x/n, square+x*x/n, fourth+x*x*x*x/n
			top, low = max(top, x), min(low, x)
		}
		unit, shift := 1.0, 0.0
		if d == Int8 {
			unit, shift = 36.95, -0.5
			if top > 127 || low < -128 || top < 120 || low > -120 {
				t.Errorf("int8: from %v to %v", low, top)
			}
		}
		if math.Abs(mean-shift) > 0.005*unit || math.Abs(math.Sqrt(square)/unit-1) > 0.005 || math.Abs(fourth/(square*square)-2.7) > 0.03 || top/unit > 3.47 {
			t.Errorf("%s: mean %.4f, standard deviation %.4f, kurtosis %.4f, largest %.4f", d, mean, math.Sqrt(square), fourth/(square*square), top)
		}
	}
}

// A pattern is exact in every type, whatever rounds its sums to a float32, and the reference
// knows its product from few elements.
func TestPatternsAreExact(t *testing.T) {
	for _, k := range patterns {
		for _, d := range []DType{Float64, Float32, TF32, Float16, BFloat16, Int8} {
			acc, out := Float32, d
			switch d {
			case Float64:
				acc = Float64
			case TF32:
				acc, out = TF32, Float32
			case Int8:
				acc, out = Int32, Int32
			}
			for trans := range 4 {
				for _, set := range []int{0, 1} {
					p := Problem{M: 19, N: 21, K: 67, In: d, TransA: trans&1 != 0, TransB: trans&2 != 0, Data: k, Set: set}
					t.Run(fmt.Sprintf("%s, %s, %d, set %d", k, d, trans, set), func(t *testing.T) {
						r := reference(t, p)
						sums := acc
						if acc == TF32 {
							sums = Float32
						}
						c := product(p, d, sums, out)
						got, err := r.Check(times(c, p.M, p.N, r.Vectors()), acc, out)
						if err != nil || !got.Passed || got.Arithmetic != string(acc) || out.Size() > 2 && *got.Error != 0 {
							t.Errorf("check = %+v, %v", got, err)
						}
						if k == Zeros {
							return
						}
						step := 0x1p-20 // less than a rounding of random inputs
						if out.Size() == 2 {
							step = 16 * out.Unit() * math.Sqrt(float64(p.N)) * max(1, slices.Max(c), -slices.Min(c))
						}
						c[5] += step
						if got, err = r.Check(times(c, p.M, p.N, r.Vectors()), acc, out); err != nil || got.Passed || got.Arithmetic != "" {
							t.Errorf("with an element that is off: %+v, %v", got, err)
						}
						if set == 1 && k == Ramp { // a result of the other set is wrong
							other := p
							other.Set = 0
							if got, _ := r.Check(times(product(other, d, sums, out), p.M, p.N, r.Vectors()), acc, out); got.Passed {
								t.Error("the product of the other set passes")
							}
						}
					})
				}
			}
		}
	}
}

// Zeros are wrong in the place of anything else, and NaN in theirs.
func TestPatternsOfNothing(t *testing.T) {
	for _, k := range patterns {
		r := reference(t, Problem{M: 20, N: 30, K: 64, In: Float32, Data: k})
		nothing, nan := make([]float64, 20*30), make([]float64, 20*30)
		for i := range nan {
			nan[i] = math.NaN()
		}
		for _, c := range [][]float64{nothing, nan} {
			got, err := r.Check(times(c, 20, 30, r.Vectors()), Float32, Float32)
			if want := k == Zeros && c[0] == 0; err != nil || got.Passed != want || got.Error != nil && math.IsInf(*got.Error, 0) {
				t.Errorf("%s: C of %v: %+v, %v", k, c[0], got, err)
			}
		}
	}
}

// Up to MaxK no sum leaves its type or is rounded.
func TestMaxK(t *testing.T) {
	for _, k := range patterns {
		for _, tt := range []struct{ d, acc, out DType }{{Float16, Float32, Float16}, {BFloat16, Float32, BFloat16}, {Float32, Float32, Float32}, {Int8, Int32, Int32}} {
			p := Problem{M: 1, N: 1, K: min(k.MaxK(tt.d), 1<<18), In: tt.d, Data: k}
			r := reference(t, p)
			c := product(p, tt.d, tt.acc, tt.out)
			if got, err := r.Check(times(c, 1, 1, r.Vectors()), tt.acc, tt.out); err != nil || !got.Passed {
				t.Errorf("%s, %s, k = %d: C is %v, %+v, %v", k, tt.d, p.K, c[0], got, err)
			}
		}
	}
	if Random.MaxK(Float16) != math.MaxInt || Normal.MaxK(Float16) != math.MaxInt || math.IsInf(Float16.Round(float64(Ones.MaxK(Float16))), 0) || !math.IsInf(Float16.Round(float64(Ones.MaxK(Float16)+16)), 0) {
		t.Error("limits of k")
	}
}

func reference(t *testing.T, p Problem) *Reference {
	t.Helper()
	r, err := NewReference(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	if p.Set == 1 { // as package bench makes it
		first := p
		first.Set = 0
		of, err := NewReference(context.Background(), first)
		if err == nil {
			r, err = of.Other(context.Background(), 1)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// normalA is the first elements of normal operand A with seed 1, and normalA8 those of int8.
var (
	normalA  = [3]float64{-0x1.73fde2ace9c09p+0, 0x1.f4900c04bae8cp-6, -0x1.2a2b7aa59d09ep-1}
	normalA8 = [3]float64{-54, 1, -22}
)
