package judge

import (
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// An effect of the inputs is reported only for verified lanes, where the intervals show it.
func TestInputs(t *testing.T) {
	run := func(change ...func(*record.Run)) *record.Run {
		r := recordtest.Inputs()["inputs"]
		for _, c := range change {
			c(r)
		}
		return r
	}
	lane := func(i int, change func(*bench.Result)) func(*record.Run) {
		return func(r *record.Run) { change(r.Results[i]) }
	}
	for name, tt := range map[string]struct {
		r    *record.Run
		says string
	}{
		"zeros":                {run(), "a product of zeros is 1.15× as fast as one of random numbers"},
		"zeros are wrong":      {run(lane(2, failing(fault.Wrong, "wrong result"))), "a product of ones is 1.12×"},
		"zeros not verified":   {run(lane(2, recordtest.Doubtful(true))), "a product of ones is 1.12×"},
		"random inputs failed": {run(lane(0, failing(fault.Crashed, "ended"))), "no verified result with random inputs"},
		"few samples": {run(func(r *record.Run) {
			for _, x := range r.Results {
				x.Samples = x.Samples[:3]
			}
		}), "too few for an interval"},
		"interrupted":   {run(func(r *record.Run) { r.Interrupted = true }), "Interrupted"},
		"no difference": {recordtest.Inputs()["inputs.even"], "No difference on this machine: no kind of inputs is faster or slower than random numbers by 1.0 % or more."},
		"noise": {run(func(r *record.Run) {
			for n, x := range r.Results {
				for i := range x.Samples {
					x.Samples[i].Wall = r.Results[0].Samples[0].Wall
					if (i/2+n)%2 == 0 { // of both, so that the ratio is above 1 as often as below
						x.Samples[i].Wall = x.Samples[i].Wall * 5 / 4
					}
				}
			}
		}), "No difference can be seen: this machine is noisy now, and one below 78 % would not show"},
	} {
		if got := strings.Join(Sentences(tt.r), " "); !strings.Contains(got, tt.says) {
			t.Errorf("%s: %q, want one that says %q", name, got, tt.says)
		}
	}
	// Nobody trains on zeros.
	for _, data := range matrix.Kinds {
		r := recordtest.Races()["gpu"]
		for _, x := range r.Results {
			x.GEMM.Data = data
		}
		if got := strings.Join(Sentences(r), " "); strings.Contains(got, "GPT-2") == data.Patterned() || strings.Contains(got, "same float32 "+data.String()) != (data != matrix.Random) {
			t.Errorf("%s: %q", data, got)
		}
	}
}

// In a list of runs, other inputs are named, and a comparison of them shows the figure of
// random ones.
func TestSummaryOfInputs(t *testing.T) {
	for name, want := range map[string]string{
		"zeros":  "4096³ float32 zeros: GPU 25.1 TFLOP/s, CPU 1.01 TFLOP/s",
		"inputs": "8192³ bfloat16: GPU 771 TFLOP/s",
	} {
		if task, figure := Summary(recordtest.Inputs()[name]); task+": "+figure != want {
			t.Errorf("%s: %q, %q, want %q", name, task, figure, want)
		}
	}
}
