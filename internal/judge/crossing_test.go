package judge

import (
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// pair is a size of a sweep whose CPU lane has 1 TFLOP/s.
func pair(n int, gpu float64, change ...func(*bench.Result)) []*bench.Result {
	size := recordtest.Size(n, n, n)
	return []*bench.Result{result(torchCPU, 1e12, size), result(torchGPU, gpu, append(change, size)...)}
}

func sweep(points ...[]*bench.Result) *record.Run {
	r := recordtest.Run(record.Sweep)
	for _, p := range points {
		r.Results = append(r.Results, p...)
	}
	return r
}

func TestCrosses(t *testing.T) {
	thin := recordtest.Size(5, 64, 64)
	for _, tt := range []struct {
		name string
		r    *record.Run
		want Crossing
	}{
		{"in the middle", sweep(pair(64, 0.1e12), pair(256, 0.9e12), pair(512, 2e12), pair(1024, 9e12)), Crossing{256, 512, true}},
		{"in any order", sweep(pair(512, 2e12), pair(64, 0.1e12)), Crossing{64, 512, true}},
		{"always", sweep(pair(64, 2e12), pair(512, 2e12)), Crossing{0, 64, true}},
		{"never", sweep(pair(64, 0.2e12), pair(512, 0.2e12)), Crossing{512, 0, true}},
		{"level is no win", sweep(pair(64, 1e12)), Crossing{64, 0, true}},
		{"it loses again", sweep(pair(64, 2e12), pair(512, 0.2e12), pair(1024, 2e12)), Crossing{512, 1024, true}},
		{"a wrong GPU", sweep(pair(64, 2e12, failing(fault.Wrong, "wrong"))), Crossing{}},
		{"other shapes", sweep([]*bench.Result{result(torchCPU, 1e12, thin), result(torchGPU, 2e12, thin)}), Crossing{}},
	} {
		if got := Crosses(tt.r); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestCrossoverSentence(t *testing.T) {
	alone := []*bench.Result{result(torchCPU, 1e12, recordtest.Size(64, 64, 64))}
	asked := sweep(alone)
	asked.Crossover = true
	for want, r := range map[string]*record.Run{
		"The GPU wins from 512³ on; at 64³ it does not.":                           sweep(pair(64, 0.1e12), pair(512, 2e12)),
		"The GPU wins at every size from 64³ on.":                                  sweep(pair(64, 2e12), pair(512, 2e12)),
		"The CPU is as fast as the GPU or faster up to the largest size, 512³.":    sweep(pair(64, 0.1e12), pair(512, 0.1e12)),
		"No crossover: GPU and CPU do not both have verified results at any size.": asked,
	} {
		if got := Sentences(r); got[len(got)-1] != want {
			t.Errorf("%q, want %q in the end", got, want)
		}
	}
	if got := Sentences(sweep(alone)); got != nil {
		t.Errorf("one lane, and no crossover asked for: %q", got)
	}
}

func TestSweepSentences(t *testing.T) {
	r := recordtest.Sweeps()["sweep"]
	r.Interrupted = true
	got := strings.Join(Sentences(r), "\n")
	want := "gpuplay against the best of the others: faster at 3, level at 2, slower at 1 of 6 sizes; least at 256³: 0.95× OpenBLAS (±0.0 %).\n" + interrupted
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
