package bench

import (
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
)

// Rule 5: samples that stay shorter than 20 ms, however many products they hold, are
// said to be.
func TestShortSamples(t *testing.T) {
	for wall, want := range map[time.Duration]bool{19 * time.Millisecond: true, 20 * time.Millisecond: false} {
		r := Result{GEMM: Square(64, matrix.Float32), Protocol: Steady}
		for range 10 {
			r.Samples = append(r.Samples, Sample{Iters: 5, Wall: wall})
		}
		if r.judge(0, GEMM{}); r.Has(measure.Short) != want {
			t.Errorf("samples of %s: warnings %v", wall, r.Warnings)
		}
	}
}
