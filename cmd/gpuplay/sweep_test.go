package main

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/report"
	"github.com/gpuplay/gpuplay/internal/sweep"
)

// picky has a GPU that crashes at these sizes.
type picky struct {
	bench.Engine
	refused []int
}

func (e picky) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64) (bench.Task, error) {
	if d.Kind == hardware.GPU && slices.Contains(e.refused, g.N) {
		return nil, &fault.Error{Code: fault.Crashed, Message: "gone"}
	}
	return e.Engine.Prepare(ctx, d, g, seed)
}

// The search for the crossover ends: between two sizes that are near to each other,
// and at one where the GPU cannot be measured.
func TestCrossover(t *testing.T) {
	cpu := fake.NewDevice("cpu", hardware.CPU, 1e11)
	gpu := fake.NewDevice("gpu", hardware.GPU, 1e12)
	launch := gpu.Time
	gpu.Time = func(g bench.GEMM, run int) time.Duration { return launch(g, run) + time.Millisecond } // as fast at 381³
	for _, tt := range []struct {
		name    string
		refused []int
		want    []int
	}{
		{"found", nil, []int{256, 512, 384, 320, 352}},
		{"the GPU fails in between", []int{384}, []int{256, 512, 384}},
		{"the GPU fails everywhere", []int{256, 512}, []int{256, 512}},
	} {
		engine := picky{fake.New("fake", &fake.Clock{}, nil, cpu, gpu), tt.refused}
		s := &sweeper{
			f:     sweepFlags{crossover: true, measureFlags: measureFlags{repeat: 6, budget: time.Second}},
			p:     newProgress(io.Discard, true, report.Style{}),
			dtype: matrix.Float32, head: &report.Document{Schema: report.Schema},
			lanes: []bench.Lane{{Engine: engine, Device: cpu.Device}, {Engine: engine, Device: gpu.Device}},
		}
		err := s.run(t.Context(), []sweep.Shape{{M: 256, N: 256, K: 256}, {M: 512, N: 512, K: 512}})
		s.p.close()
		var sizes []int
		for _, d := range s.out.Points {
			sizes = append(sizes, d.Results[0].GEMM.N)
		}
		if err != nil || !slices.Equal(sizes, tt.want) {
			t.Errorf("%s: measured %v, %v; want %v", tt.name, sizes, err, tt.want)
		}
	}
}
