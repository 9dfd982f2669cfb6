package judge

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

var (
	builtIn  = recordtest.BuiltIn
	blas     = recordtest.OpenBLAS
	torchCPU = recordtest.TorchCPU
	torchGPU = recordtest.TorchGPU
	software = recordtest.Software
	result   = recordtest.Result
	failing  = recordtest.Failed
)

func race(results ...*bench.Result) *record.Run { return recordtest.Run(record.Race, results...) }

func TestBest(t *testing.T) {
	smaller := recordtest.Warned(measure.Smaller, "measured at 512³")
	slow, quick := result(builtIn, 1e12), result(blas, 2e12)
	for _, tt := range []struct {
		name    string
		results []*bench.Result
		kind    hardware.Kind
		want    *bench.Result
	}{
		{"none", nil, hardware.CPU, nil},
		{"the fastest", []*bench.Result{slow, quick}, hardware.CPU, quick},
		{"of its kind", []*bench.Result{slow, result(torchGPU, 9e12)}, hardware.CPU, slow},
		{"not a failed one", []*bench.Result{slow, result(blas, 9e12, failing(fault.Crashed, "broke"))}, hardware.CPU, slow},
		{"not one that is not believed", []*bench.Result{slow, result(blas, 9e12, recordtest.Doubtful(true))}, hardware.CPU, slow},
		{"not one of another size", []*bench.Result{slow, result(blas, 9e12, smaller)}, hardware.CPU, slow},
	} {
		if got := Best(tt.results, tt.kind); got != tt.want {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	gpu := result(torchGPU, 9e12)
	if got := Base([]*bench.Result{gpu, slow, quick}); got != quick {
		t.Errorf("the base is %+v, want the fastest CPU lane", got)
	}
	if got := Base([]*bench.Result{gpu}); got != gpu {
		t.Errorf("the base is %+v, want the GPU where there is no CPU", got)
	}
}

func TestScale(t *testing.T) {
	for _, tt := range []struct {
		results []*bench.Result
		scale   float64
		name    string
	}{
		{nil, 1e9, "GFLOP/s"},
		{[]*bench.Result{result(builtIn, 20e9), result(blas, 900e9)}, 1e9, "GFLOP/s"},
		{[]*bench.Result{result(builtIn, 20e9), result(blas, 1.5e12)}, 1e12, "TFLOP/s"},
		{[]*bench.Result{result(builtIn, 1.5e12, recordtest.Integer)}, 1e12, "TOP/s"},
	} {
		if scale, name := Scale(tt.results); scale != tt.scale || name != tt.name {
			t.Errorf("%g %s, want %g %s", scale, name, tt.scale, tt.name)
		}
	}
}

func TestComparisons(t *testing.T) {
	type pair struct {
		Lane, Base string
		Size       *[3]int
		Differs    int
	}
	of := func(r *record.Run) (list []pair) {
		for _, c := range Comparisons(r) {
			list = append(list, pair{c.Lane, c.Base, c.Size, len(c.Differs)})
			if len(c.Differs) == 0 && !(c.Ratio.Low <= c.Ratio.Value && c.Ratio.Value <= c.Ratio.High) {
				t.Errorf("%s: %+v", c.Lane, c.Ratio)
			}
		}
		return list
	}
	gpu := recordtest.Races()["gpu"]
	want := []pair{{"torch/cuda:0", "gocpu/cpu:0", nil, 0}, {"torch/cpu:0", "gocpu/cpu:0", nil, 0}, {"blas/openblas:0", "gocpu/cpu:0", nil, 0}}
	if d := cmp.Diff(want, of(gpu)); d != "" {
		t.Error(d)
	}
	want = nil
	for _, n := range []int{64, 512, 4096} {
		want = append(want, pair{"torch/cuda:0", "torch/cpu:0", &[3]int{n, n, n}, 0})
	}
	if d := cmp.Diff(want, of(recordtest.Sweeps()["crossing"])); d != "" {
		t.Error(d)
	}
	troubled := of(recordtest.Races()["troubled"])
	if len(troubled) != 2 || troubled[0].Differs == 0 || troubled[1].Differs == 0 {
		t.Errorf("lanes that are not verified: %+v, want the reasons in place of ratios", troubled)
	}
	if got := of(race(result(torchGPU, 1e12, failing(fault.Wrong, "wrong")))); got != nil {
		t.Errorf("without a base: %+v", got)
	}
}

// A record that was read gives the same answers, and random ones none that panic.
func TestAnyRun(t *testing.T) {
	runs := recordtest.Older(t)
	for _, kind := range recordtest.Kinds {
		for seed := range uint64(100) {
			r := recordtest.Random(kind, seed)
			runs[r.ID+string(kind)] = r
		}
		runs["empty "+string(kind)] = &record.Run{Kind: kind}
	}
	for _, r := range runs {
		Sentences(r)
		Next(r)
		Comparisons(r)
		Crosses(r)
		Outcome(r, true)
		Protocols(r)
	}
}
