package judge

import (
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
)

func TestChecked(t *testing.T) {
	right := &bench.Result{Samples: make([]bench.Sample, 3), Check: &matrix.Check{Passed: true}}
	cut := &bench.Result{Samples: right.Samples, Check: right.Check}
	cut.Warnings.Add(measure.Unchecked, "interrupted before its last product was checked")
	if got := Checked([]*bench.Result{right, nil}); got != "every result checked" {
		t.Errorf("all checked: %q", got)
	}
	for _, x := range []*bench.Result{cut, {Samples: right.Samples}} {
		if got := Checked([]*bench.Result{right, x}); got != "not every result checked" {
			t.Errorf("%+v: %q", x, got)
		}
	}
}
