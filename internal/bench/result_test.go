package bench_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
)

// series returns a correct result with one sample of one product per time.
func series(library string, walls ...time.Duration) *bench.Result {
	r := &bench.Result{Engine: "fake", Device: hardware.Device{Library: library, Name: "Chip", Kind: hardware.GPU}, GEMM: small, Protocol: bench.Steady, Check: &matrix.Check{Passed: true}}
	for _, w := range walls {
		r.Samples = append(r.Samples, bench.Sample{Iters: 1, Wall: w})
	}
	return r
}

// When both lanes slow down together, their ratio stays the same.
func TestCompareIsPairedByRound(t *testing.T) {
	var fast, slow []time.Duration
	for i := range 10 {
		fast = append(fast, time.Duration(10+i)*ms)
		slow = append(slow, time.Duration(10+i)*3*ms)
	}
	c := bench.Compare(series("fast", fast...), series("slow", slow...))
	if math.Abs(c.Ratio.Low-3) > 1e-9 || math.Abs(c.Ratio.High-3) > 1e-9 || math.Abs(c.Ratio.Value-3) > 1e-9 || c.Differs != nil || c.Even() {
		t.Errorf("comparison %+v", c)
	}
	if c := bench.Compare(series("slow", slow...), series("fast", fast...)); math.Abs(c.Ratio.Value*3-1) > 1e-12 {
		t.Errorf("the other way round: %+v", c)
	}
}

func TestEven(t *testing.T) {
	a := series("a", 10*ms, 11*ms, 10*ms, 11*ms, 10*ms, 11*ms)
	b := series("b", 11*ms, 10*ms, 11*ms, 10*ms, 11*ms, 10*ms)
	if c := bench.Compare(a, b); !c.Even() {
		t.Errorf("comparison %+v", c)
	}
	if c := bench.Compare(a, series("c")); c.Even() || len(c.Differs) == 0 {
		t.Errorf("comparison with nothing: %+v", c)
	}
}

func TestCompareSaysWhatDiffers(t *testing.T) {
	tests := []struct {
		name   string
		change func(r *bench.Result)
		want   []string
	}{
		{"nothing", func(*bench.Result) {}, nil},
		{"size", func(r *bench.Result) { r.GEMM.M = 8 }, []string{"size 8×16×16 against 16³"}},
		{"transposes", func(r *bench.Result) { r.GEMM.TransB = true }, []string{"transposes"}},
		{"dtype", func(r *bench.Result) { r.GEMM = bench.Square(16, matrix.Float16) }, []string{"dtype float16 against float32"}},
		{"tf32", func(r *bench.Result) { r.GEMM = bench.Square(16, matrix.TF32) }, []string{"sums in tf32 against float32"}},
		{"out", func(r *bench.Result) { r.GEMM.Out = matrix.Float64 }, []string{"results in float64 against float32"}},
		{"sum", func(r *bench.Result) { r.GEMM.Sum = true }, []string{"protocol"}},
		{"protocol", func(r *bench.Result) { r.Protocol = bench.Classic }, []string{"protocol"}},
		{"seed", func(r *bench.Result) { r.Seed = 2 }, []string{"seed"}},
		{"wrong", func(r *bench.Result) { r.Check.Passed = false }, []string{"Lib is not verified"}},
		{"a thread on half of the cores", func(r *bench.Result) { r.Facts = bench.Facts{Threads: 1, Cores: 2} }, []string{"cores: Lib has 1 thread, Base has 2 threads"}},
		{"two threads on each core", func(r *bench.Result) { r.Facts = bench.Facts{Threads: 4, Cores: 2} }, nil},
		{"threads not known", func(r *bench.Result) { r.Facts = bench.Facts{Cores: 2} }, nil},
		{"an older record, without cores", func(r *bench.Result) { r.Facts = bench.Facts{Threads: 1} }, nil},
		{"software GPU", func(r *bench.Result) { r.Device.Kind = hardware.SoftwareGPU }, []string{"Chip is a software GPU"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := series("Lib", ms, ms)
			tt.change(r)
			base := series("Base", ms, ms)
			base.Facts = bench.Facts{Threads: 2, Cores: 2}
			if diff := cmp.Diff(tt.want, bench.Compare(r, base).Differs); diff != "" {
				t.Error(diff)
			}
			if n := len(bench.Compare(base, r).Differs); n != len(tt.want) {
				t.Errorf("%d differences the other way round", n)
			}
		})
	}
}

func TestVerified(t *testing.T) {
	tests := []struct {
		name   string
		change func(r *bench.Result)
		want   bool
	}{
		{"right", func(*bench.Result) {}, true},
		{"error", func(r *bench.Result) { r.Error = &fault.Error{} }, false},
		{"no samples", func(r *bench.Result) { r.Samples = nil }, false},
		{"not checked", func(r *bench.Result) { r.Check = nil }, false},
		{"check failed", func(r *bench.Result) { r.Check.Passed = false }, false},
		{"above peak", func(r *bench.Result) { r.Warnings = measure.Warnings{{Code: measure.AbovePeak}} }, false},
		{"noisy", func(r *bench.Result) { r.Warnings = measure.Warnings{{Code: measure.Noise}} }, true},
	}
	for _, tt := range tests {
		r := series("Lib", ms)
		tt.change(r)
		if r.Verified() != tt.want {
			t.Errorf("%s: verified is %v", tt.name, r.Verified())
		}
	}
}

func TestFigures(t *testing.T) {
	r := series("Lib")
	if _, ok := r.Speed(); ok {
		t.Error("a speed without samples")
	}
	r.Samples = []bench.Sample{{Iters: 2, Wall: 20 * ms}, {Iters: 1, Wall: 40 * ms}, {Iters: 1, Wall: 20 * ms}}
	if speed, ok := r.Speed(); !ok || math.Abs(speed.Value-small.FLOP()/0.02) > 1e-6 {
		t.Errorf("speed %+v, %v", speed, ok)
	}
	if iters, wall := r.Total(); iters != 4 || wall != 80*ms {
		t.Errorf("total %d, %v", iters, wall)
	}
}

func TestGEMM(t *testing.T) {
	tests := []struct {
		g     bench.GEMM
		flop  float64
		bytes float64
	}{
		{bench.Square(10, matrix.Float32), 2000, 1200},
		{bench.Square(10, matrix.TF32), 2000, 1200},
		{bench.Square(10, matrix.BFloat16), 2000, 600},
		{bench.GEMM{M: 2, N: 3, K: 5, In: matrix.Float16, Out: matrix.Float32}, 60, 2*(10+15) + 4*6},
		{bench.Square(1e9, matrix.Float32), 2e27, 12e18},
	}
	for _, tt := range tests {
		if tt.g.FLOP() != tt.flop || tt.g.Bytes() != tt.bytes {
			t.Errorf("%+v: %g FLOP, %g bytes, want %g, %g", tt.g, tt.g.FLOP(), tt.g.Bytes(), tt.flop, tt.bytes)
		}
	}
	for d, acc := range map[matrix.DType]matrix.DType{matrix.Float16: matrix.Float32, matrix.BFloat16: matrix.Float32, matrix.TF32: matrix.TF32, matrix.Float64: matrix.Float64} {
		if g := bench.Square(1, d); g.Acc != acc {
			t.Errorf("%s is summed in %s", d, g.Acc)
		}
	}
}
