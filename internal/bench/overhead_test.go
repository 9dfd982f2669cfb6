package bench_test

import (
	"context"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// idle is an engine that computes nothing, n times over, and times that on the real
// clock: the duration of its samples is what a sample contains besides the
// products.
type idle struct{ bench.Engine }

func (e idle) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	task, err := e.Engine.Prepare(ctx, d, g, seed, tell)
	return idleTask{task}, err
}

type idleTask struct{ bench.Task }

func (t idleTask) Run(ctx context.Context, n, set int) (bench.Sample, error) {
	if _, err := t.Task.Run(ctx, 1, set); err != nil { // so that there is a C to check
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

// watched is a stream that also calls a function with each event.
type watched struct {
	*event.Stream
	told func(event.Data)
}

func (w watched) Emit(lane string, d event.Data) {
	w.Stream.Emit(lane, d)
	w.told(d)
}

// BenchmarkOverhead reports the overhead of measuring: what it adds inside a sample
// of 20 ms, and the time it takes between samples.
func BenchmarkOverhead(b *testing.B) {
	const samples = 100
	var inside, around time.Duration
	var taken int
	engine := idle{fake.New("fake", &fake.Clock{}, nil, gpu("A", 0))}
	for b.Loop() {
		var sampling time.Time
		stream := event.NewStream("overhead", nil)
		stream.Subscribe(func(event.Event) {})
		r := bench.Runner{Sink: watched{stream, func(d event.Data) {
			if p, ok := d.(event.Progress); ok && p.Done == 1 {
				sampling = time.Now()
			} else if ok && p.Done == samples {
				around += time.Since(sampling)
			}
		}}}
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
