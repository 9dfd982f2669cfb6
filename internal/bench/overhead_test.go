package bench_test

import (
	"context"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// idle computes nothing, n times over, by the real clock: what its samples last
// is what a sample holds besides the products.
type idle struct{ bench.Engine }

func (e idle) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64) (bench.Task, error) {
	task, err := e.Engine.Prepare(ctx, d, g, seed)
	return idleTask{task}, err
}

type idleTask struct{ bench.Task }

func (t idleTask) Run(ctx context.Context, n int) (bench.Sample, error) {
	if _, err := t.Task.Run(ctx, 1); err != nil { // a C for the check
		return bench.Sample{}, err
	}
	start := time.Now()
	for range n {
		if err := ctx.Err(); err != nil {
			return bench.Sample{}, err
		}
	}
	return bench.Sample{Iters: n, Wall: time.Since(start)}, nil
}

// BenchmarkOverhead reports what measuring adds to a sample of 20 ms, from
// inside it, and what it takes between samples.
func BenchmarkOverhead(b *testing.B) {
	const samples = 100
	var inside, around time.Duration
	var taken int
	engine := idle{fake.New("fake", &fake.Clock{}, nil, gpu("A", 0))}
	for b.Loop() {
		var sampling time.Time
		r := bench.Runner{Observe: func(e bench.Event) {
			if e.Phase == bench.Sampling && e.Done == 1 {
				sampling = time.Now()
			}
			if e.Phase == bench.Sampling && e.Done == samples {
				around += time.Since(sampling)
			}
		}}
		result := r.Race(b.Context(), []bench.Lane{{Engine: engine, Device: gpu("A", 0).Device, GEMM: small}}, 1, bench.Stop{Repeat: samples})[0]
		if !result.Verified() {
			b.Fatal(result.Error)
		}
		iters, wall := result.Total()
		taken += iters
		inside += wall
	}
	each := float64(inside) / float64(taken)
	b.ReportMetric(each, "ns-inside/sample")
	b.ReportMetric(each/float64(20*ms)*100, "%-of-20ms")
	b.ReportMetric(float64(around-inside)/float64(taken), "ns-between/sample")
}
