package telemetry

import (
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/gocpu"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/stats"
)

// BenchmarkBeside measures a product with the sampler of this machine beside it and
// without, in turns, and reports the ratio of the times with its interval: both should be
// the same within it.
//
//	go test -run '^$' -bench Beside -benchtime 20x ./internal/telemetry
func BenchmarkBeside(b *testing.B) {
	engine, err := gocpu.New(gocpu.Options{})
	if err != nil {
		b.Fatal(err)
	}
	found, err := engine.Devices(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	lane := bench.Lane{ID: "gocpu", Engine: engine, Device: found.Devices[0], GEMM: bench.Square(1024, matrix.Float32)}
	race := func(sources ...Source) float64 {
		s := event.NewStream("r1", nil)
		defer s.Close()
		sampler := Start(s, nil, sources...)
		defer sampler.Stop(nil)
		runner := bench.Runner{Sink: s}
		x := runner.Race(b.Context(), []bench.Lane{lane}, 1, bench.Stop{Budget: 2 * time.Second})[0]
		if x.Error != nil {
			b.Fatal(x.Error)
		}
		return stats.Median(x.Seconds())
	}
	var with, without []float64
	for i := 0; b.Loop(); i++ {
		if i%2 == 0 {
			with, without = append(with, race(Sources(nil)...)), append(without, race())
		} else {
			without, with = append(without, race()), append(with, race(Sources(nil)...))
		}
	}
	ratio := stats.Ratio(with, without)
	b.ReportMetric(ratio.Value, "with/without")
	b.ReportMetric(ratio.Low, "low")
	b.ReportMetric(ratio.High, "high")
}
