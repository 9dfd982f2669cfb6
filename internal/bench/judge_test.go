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

// Rule 11: a lane whose threads did not come to rest says so.
func TestBusyThreads(t *testing.T) {
	for busy, want := range map[int]string{0: "", 3: "its threads went on using the CPU after 3 of 10 samples: what ran next may be slower for it"} {
		r := Result{GEMM: Square(64, matrix.Float32), Protocol: Steady}
		for i := range 10 {
			r.Samples = append(r.Samples, Sample{Iters: 5, Wall: 20 * time.Millisecond, Busy: i < busy})
		}
		r.judge(0, GEMM{})
		got := ""
		for _, w := range r.Warnings {
			if w.Code == measure.Busy {
				got = w.Text
			}
		}
		if got != want {
			t.Errorf("%d busy samples: %q", busy, got)
		}
	}
}
