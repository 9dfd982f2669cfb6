package matrix

import (
	"context"
	"errors"
	"math"
	"testing"
)

func TestParseDType(t *testing.T) {
	for s, want := range map[string]DType{
		"float64": Float64, "f64": Float64, "fp32": Float32, "tf32": TF32, "half": Float16, "bf16": BFloat16, "bfloat16": BFloat16, "int8": Int8, "i8": Int8,
	} {
		if got, err := ParseDType(s); err != nil || got != want {
			t.Errorf("ParseDType(%q) = %q, %v, want %q", s, got, err, want)
		}
	}
	for _, s := range []string{"float12", "int32"} { // int32 is a type of sums, not of operands
		if d, err := ParseDType(s); err == nil {
			t.Errorf("ParseDType(%q) = %q", s, d)
		}
	}
}

func TestRound(t *testing.T) {
	inf := math.Inf(1)
	tests := []struct {
		d       DType
		x, want float64
	}{
		{Float64, 0.1, 0.1},
		{Float32, 0.1, float64(float32(0.1))},
		{Float32, 0x1.fffffefp127, 0x1.fffffep127},
		{Float32, 0x1.ffffffp127, inf},
		{Float32, 0x1.8p-149, 0x1p-148}, // a tie between subnormal neighbours goes to the even one
		{Float32, 0x1p-150, 0},
		{TF32, 1 + 0x1p-11, 1},
		{TF32, 1 + 0x1.8p-10, 1 + 0x1p-9},
		{TF32, 1e38, 0x1.2dp126},
		{Float16, 65504, 65504},
		{Float16, 65519.99, 65504},
		{Float16, 65520, inf},
		{Float16, -1e9, -inf},
		{Float16, 1 + 0x1p-11, 1},
		{Float16, 1 + 0x1.004p-11, 1 + 0x1p-10},
		{Float16, 0x1p-24, 0x1p-24},
		{Float16, 0x1p-25, 0},
		{Float16, 0x1.8p-25, 0x1p-24},
		{Float16, 0x1.ffcp-15, 0x1.ff8p-15 + 0x1p-25 + 0x1p-25}, // 2045.5 steps: rounds to the even 2046
		{BFloat16, 1 + 0x1p-8, 1},
		{BFloat16, 1 + 0x1.8p-7, 1 + 0x1p-6},
		{BFloat16, 0x1.ffp127, inf},
		{BFloat16, inf, inf},
		{Int8, 126.5, 126},
		{Int32, 1<<31 - 1.4, 1<<31 - 1},
	}
	for _, tt := range tests {
		if got := tt.d.Round(tt.x); got != tt.want {
			t.Errorf("%s.Round(%x) = %x, want %x", tt.d, tt.x, got, tt.want)
		}
		if got := tt.d.Round(-tt.x); got != -tt.want {
			t.Errorf("%s.Round(%x) = %x, want %x", tt.d, -tt.x, got, -tt.want)
		}
	}
	for x, want := range map[float64]float64{-1e9: -128, -128.5: -128, 127.5: 127, inf: 127} { // the range has one more number below 0 than above
		if got := Int8.Round(x); got != want {
			t.Errorf("int8.Round(%v) = %v, want %v", x, got, want)
		}
	}
	for _, d := range DTypes {
		if d.Integer() {
			continue
		}
		if !math.IsNaN(d.Round(math.NaN())) {
			t.Errorf("%s.Round(NaN) is a number", d)
		}
		if got := d.Round(math.Copysign(0, -1)); !math.Signbit(got) {
			t.Errorf("%s.Round(−0) = %v", d, got)
		}
	}
}

// Go's own conversion to float32 is the reference for the general rounding.
func TestRoundAgreesWithHardware(t *testing.T) {
	s := NewStream(1, A, Float64)
	for i := range 200_000 {
		x := math.Ldexp(s.At(2*i), int(s.At(2*i+1)*160))
		if got, want := Float32.Round(x), float64(float32(x)); got != want {
			t.Fatalf("Float32.Round(%x) = %x, want %x", x, got, want)
		}
	}
}

// Every 16-bit pattern survives the conversion to a number and back.
func TestBits16RoundTrip(t *testing.T) {
	for _, d := range []DType{Float16, BFloat16} {
		for b := range 1 << 16 {
			x := d.From16(uint16(b))
			got := d.Bits16(x)
			if math.IsNaN(x) {
				if !math.IsNaN(d.From16(got)) {
					t.Fatalf("%s: NaN %#04x became %#04x", d, b, got)
				}
				continue
			}
			if got != uint16(b) || d.Round(x) != x {
				t.Fatalf("%s: %#04x is %v, which became %#04x", d, b, x, got)
			}
		}
	}
}

// The first elements are part of the worker protocol: other languages must generate
// the same ones.
func TestStreamIsFixed(t *testing.T) {
	tests := []struct {
		seed uint64
		o    Operand
		d    DType
		want [3]float64
	}{
		{1, A, Float64, [3]float64{streamA[0], streamA[1], streamA[2]}},
		{1, A, Float32, [3]float64{cut24(streamA[0]), cut24(streamA[1]), cut24(streamA[2])}},
		{1, A, BFloat16, [3]float64{BFloat16.Round(cut24(streamA[0])), BFloat16.Round(cut24(streamA[1])), BFloat16.Round(cut24(streamA[2]))}},
		{1, A, Int8, [3]float64{math.Floor(128 * streamA[0]), math.Floor(128 * streamA[1]), math.Floor(128 * streamA[2])}},
	}
	for _, tt := range tests {
		s := NewStream(tt.seed, tt.o, tt.d)
		for i, want := range tt.want {
			if got := s.At(i); got != want {
				t.Errorf("seed %d, operand %d, %s: element %d = %x, want %x", tt.seed, tt.o, tt.d, i, got, want)
			}
		}
	}
	a, b := NewStream(1, A, Float32), NewStream(1, B, Float32)
	if a.At(0) == b.At(0) || NewStream(2, A, Float32).At(0) == a.At(0) {
		t.Error("operands or seeds share a stream")
	}
}

// cut24 keeps the top 24 bits of a number that was made from 53.
func cut24(x float64) float64 { return math.Floor((x+1)*0x1p23)*0x1p-23 - 1 }

func TestFillAgrees(t *testing.T) {
	for _, d := range []DType{Float64, Float32, Float16, BFloat16, Int8} {
		s := NewStream(7, B, d)
		f64, f32, f16 := make([]float64, 100), make([]float32, 100), make([]uint16, 100)
		s.Fill64(f64, 50)
		s.Fill32(f32, 50)
		for i, x := range f64 {
			if !d.Integer() && (x < -1 || x > 1) || d.Round(x) != x {
				t.Fatalf("%s: element %d = %v is not in [-1, 1] or not of its type", d, i, x)
			}
			if d != Float64 && float64(f32[i]) != x {
				t.Fatalf("%s: Fill32 has %v, Fill64 %v", d, f32[i], x)
			}
		}
		if d == Int8 {
			i8 := make([]int8, 100)
			s.Fill8(i8, 50)
			for i, x := range f64 {
				if float64(i8[i]) != x {
					t.Fatalf("%s: Fill8 has %v, Fill64 %v", d, i8[i], x)
				}
			}
		}
		if d.Size() == 2 {
			s.Fill16(f16, 50)
			for i, x := range f64 {
				if d.From16(f16[i]) != x {
					t.Fatalf("%s: Fill16 has %v, Fill64 %v", d, d.From16(f16[i]), x)
				}
			}
		}
	}
}

// product computes op(A)·op(B) of seeded operands directly: every operand element
// is rounded to operand, every step of a sum to acc, and C to out.
func product(p Problem, operand, acc, out DType) []float64 {
	a, b := p.Data.Stream(p.Seed, OfA(p.Set), p.In), p.Data.Stream(p.Seed, B, p.In)
	c := make([]float64, p.M*p.N)
	for i := range p.M {
		for j := range p.N {
			sum := 0.0
			for l := range p.K {
				ai, bi := i*p.K+l, l*p.N+j
				if p.TransA {
					ai = l*p.M + i
				}
				if p.TransB {
					bi = j*p.K + l
				}
				sum = acc.Round(sum + cut(operand, a.At(ai))*cut(operand, b.At(bi)))
			}
			c[i*p.N+j] = out.Round(sum)
		}
	}
	return c
}

// saturated stands for int8 operands that are clamped to −64 … 63.
const saturated DType = "saturated"

func cut(operand DType, x float64) float64 {
	if operand == saturated {
		return max(-64, min(x, 63))
	}
	return operand.Round(x)
}

func times(c []float64, m, n int, vectors [][]float64) [][]float64 {
	y := make([][]float64, len(vectors))
	for v, x := range vectors {
		y[v] = make([]float64, m)
		for i := range m {
			for j := range n {
				y[v][i] += c[i*n+j] * x[j]
			}
		}
	}
	return y
}

func TestCheck(t *testing.T) {
	ctx := context.Background()
	big := Problem{M: 40, N: 64, K: 512, In: Float32, Seed: 3}
	half := Problem{M: 40, N: 64, K: 512, In: Float16, Seed: 3}
	tests := []struct {
		name       string
		p          Problem
		acc, out   DType // requested
		with       arithmetic
		operand    DType
		passed     bool
		arithmetic string
	}{
		{"float64", Problem{M: 17, N: 9, K: 33, In: Float64, Seed: 1}, Float64, Float64, arithmetic{acc: Float64, out: Float64}, Float64, true, "float64"},
		{"float32 posing as float64", Problem{M: 17, N: 9, K: 33, In: Float64, Seed: 1}, Float64, Float64, arithmetic{acc: Float32, out: Float32}, Float32, false, "float32"},
		{"float32", big, Float32, Float32, arithmetic{acc: Float32, out: Float32}, Float32, true, "float32"},
		{"tf32 asked for", big, TF32, Float32, arithmetic{acc: Float32, out: Float32}, TF32, true, "tf32"},
		{"tf32 posing as float32", big, Float32, Float32, arithmetic{acc: Float32, out: Float32}, TF32, false, "tf32"},
		{"bfloat16 posing as float32", big, Float32, Float32, arithmetic{acc: Float32, out: Float32}, BFloat16, false, "bfloat16"},
		{"float16", half, Float32, Float16, arithmetic{acc: Float32, out: Float16}, Float16, true, "float32"},
		{"float16 summed in float16", Problem{M: 20, N: 400, K: 1024, In: Float16, Seed: 3}, Float32, Float16, arithmetic{acc: Float16, out: Float16}, Float16, false, "float16 sums"},
		{"bfloat16", Problem{M: 40, N: 64, K: 512, In: BFloat16, Seed: 3}, Float32, BFloat16, arithmetic{acc: Float32, out: BFloat16}, BFloat16, true, "float32"},
		{"one element", Problem{M: 1, N: 1, K: 1, In: Float32, Seed: 4}, Float32, Float32, arithmetic{acc: Float32, out: Float32}, Float32, true, "float32"},
		{"transposed A", Problem{M: 5, N: 7, K: 11, In: Float32, TransA: true, Seed: 5}, Float32, Float32, arithmetic{acc: Float32, out: Float32}, Float32, true, "float32"},
		{"transposed B", Problem{M: 5, N: 7, K: 11, In: Float32, TransB: true, Seed: 5}, Float32, Float32, arithmetic{acc: Float32, out: Float32}, Float32, true, "float32"},
		{"int8", Problem{M: 40, N: 64, K: 512, In: Int8, Seed: 3}, Int32, Int32, arithmetic{acc: Int32, out: Int32}, Int8, true, "int32"},
		{"int8, both transposed", Problem{M: 5, N: 7, K: 11, In: Int8, TransA: true, TransB: true, Seed: 5}, Int32, Int32, arithmetic{acc: Int32, out: Int32}, Int8, true, "int32"},
		{"int8, sums that float32 cannot hold", Problem{M: 5, N: 4, K: 30_000, In: Int8, Seed: 1}, Int32, Int32, arithmetic{acc: Int32, out: Int32}, Int8, true, "int32"},
		{"int8, zeros", Problem{M: 300, N: 1, K: 1, In: Int8, Seed: 6}, Int32, Int32, arithmetic{acc: Int32, out: Int32}, Int8, true, "int32"},
		{"int8 summed in float16", Problem{M: 40, N: 64, K: 512, In: Int8, Seed: 3}, Int32, Int32, arithmetic{acc: Float16, out: Int32}, Int8, false, ""},
		{"int8 in bfloat16", Problem{M: 40, N: 64, K: 512, In: Int8, Seed: 3}, Int32, Int32, arithmetic{acc: Float32, out: BFloat16}, Int8, false, ""},
		{"int8 saturated at 7 bits", Problem{M: 40, N: 64, K: 512, In: Int8, Seed: 3}, Int32, Int32, arithmetic{acc: Int32, out: Int32}, saturated, false, ""},
		{"tiny float16", Problem{M: 300, N: 1, K: 1, In: Float16, Seed: 6}, Float32, Float16, arithmetic{acc: Float32, out: Float16}, Float16, true, "float32"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := NewReference(ctx, tt.p)
			if err != nil {
				t.Fatal(err)
			}
			c := product(tt.p, tt.operand, tt.with.acc, tt.with.out)
			got, err := r.Check(times(c, tt.p.M, tt.p.N, r.Vectors()), tt.acc, tt.out)
			if err != nil {
				t.Fatal(err)
			}
			if got.Passed != tt.passed || got.Arithmetic != tt.arithmetic {
				t.Errorf("check = %+v (error %g), want passed %v as %q", got, *got.Error, tt.passed, tt.arithmetic)
			}
		})
	}
}

// An integer that is off by one is wrong, even where a float32 would not show it.
func TestCheckSeesOneWrongInteger(t *testing.T) {
	p := Problem{M: 3, N: 5, K: 40_000, In: Int8, Seed: 9}
	r, err := NewReference(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	right := product(p, Int8, Int32, Int32)
	for i := range right {
		for _, off := range []float64{1, -1, 0x1p31, math.Inf(1)} {
			c := append([]float64(nil), right...)
			c[i] += off
			got, err := r.Check(times(c, p.M, p.N, r.Vectors()), Int32, Int32)
			if err != nil || got.Passed || got.Arithmetic != "" || got.Bound != 0 {
				t.Fatalf("element %d off by %v is not wrong: %+v, %v", i, off, got, err)
			}
		}
	}
}

// A single wrong element is detected, wherever it is.
func TestCheckSeesOneWrongElement(t *testing.T) {
	p := Problem{M: 30, N: 50, K: 200, In: Float32, Seed: 9}
	r, err := NewReference(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	right := product(p, Float32, Float32, Float32)
	for i := range right {
		for _, wrong := range []float64{right[i] + 0.05, right[i] + 0.5, 0, math.NaN(), math.Inf(1)} {
			c := append([]float64(nil), right...)
			c[i] = wrong
			got, err := r.Check(times(c, p.M, p.N, r.Vectors()), Float32, Float32)
			if err != nil || got.Passed || got.Arithmetic != "" {
				t.Fatalf("element %d = %v instead of %v is not wrong: %+v, %v", i, wrong, right[i], got, err)
			}
		}
	}
}

func TestShortCutExplainsTheWorstElementToo(t *testing.T) {
	p := Problem{M: 30, N: 50, K: 200, In: Float32, Seed: 9}
	r, err := NewReference(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	c := product(p, TF32, Float32, Float32)
	for _, tt := range []struct {
		add  float64
		want string
	}{{0, "tf32"}, {5, ""}} {
		c[0] += tt.add
		got, err := r.Check(times(c, p.M, p.N, r.Vectors()), Float32, Float32)
		if err != nil || got.Passed || got.Arithmetic != tt.want {
			t.Errorf("one element off by %v: %+v, %v, want arithmetic %q", tt.add, got, err, tt.want)
		}
	}
}

func TestBoundGrowsWithTheRootOfK(t *testing.T) {
	a := arithmetic{acc: Float32, out: Float64}
	short := Problem{M: 1, N: 1, K: 100, In: Float32}.bound(a)
	long := Problem{M: 1, N: 1, K: 10000, In: Float32}.bound(a)
	if ratio := long / short; math.Abs(ratio-10) > 0.01 {
		t.Errorf("a hundred times longer sums may be %.3g times less precise, want 10", ratio)
	}
}

func TestSetsOfOperandsDiffer(t *testing.T) {
	if OfA(0) == OfA(1) || OfA(1) == B {
		t.Errorf("A is operand %d of one set and %d of the other", OfA(0), OfA(1))
	}
}

func TestCheckRefusesWrongLengths(t *testing.T) {
	p := Problem{M: 3, N: 4, K: 5, In: Float32, Seed: 1}
	r, err := NewReference(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	for _, y := range [][][]float64{nil, {{1, 2, 3}}, {{1, 2, 3}, {1, 2}}} {
		if _, err := r.Check(y, Float32, Float32); err == nil {
			t.Errorf("Check took %v", y)
		}
	}
}

func TestReferenceEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := NewReference(ctx, Problem{M: 10, N: 10, K: 10, In: Float32}); !errors.Is(err, context.Canceled) {
		t.Errorf("NewReference = %v, want context.Canceled", err)
	}
}

func BenchmarkReference(b *testing.B) {
	for _, d := range []DType{Float32, Float16} {
		b.Run(string(d), func(b *testing.B) {
			for b.Loop() {
				NewReference(context.Background(), Problem{M: 2048, N: 2048, K: 2048, In: d, Seed: 1})
			}
			b.ReportMetric(2*2048*2048*float64(b.N)/b.Elapsed().Seconds(), "elements/s")
		})
	}
}

// streamA is the first elements of operand A with seed 1, from a Python version of
// the generator.
var streamA = [3]float64{-0x1.f75ebeb28b0f8p-2, 0x1.943251acc9596p-1, -0x1.0246e444e9320p-2}
