package rungs

import (
	"cmp"
	"context"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/ptx"
	"github.com/gpuplay/gpuplay/internal/record"
)

// onCUDA returns the ladder of package ptx on the first NVIDIA GPU, beside cuBLASLt, for a
// product of a size, 0 for the usual one.
func onCUDA(ctx context.Context, d lab.Deps, size int) (*climb, error) {
	var now ptx.Rung  // whose kernel the engine takes
	var card ptx.Card // as the engine has found it
	own, library := d.Catalog.CUDA(func(c ptx.Card, p ptx.Problem) ([]ptx.Kernel, error) {
		card = c
		return now.Kernels(c, p)
	})
	found, err := own.Devices(ctx)
	if err != nil {
		return nil, err
	}
	c := &climb{device: found.Devices[0], sms: func() int { return card.SMs }, library: library, size: cmp.Or(size, Size)}
	for _, r := range ptx.Ladder {
		c.rungs = append(c.rungs, rung{
			Rung: record.Rung{Name: r.Name, Idea: r.Idea, Threads: 1, DType: r.DType, Global: r.Global, Shared: r.Shared},
			open: func(context.Context) (bench.Engine, func(), error) {
				now = r
				return own, func() {}, nil
			},
			perClock: func() float64 { return r.PerClock(card) },
		})
	}
	return c, nil
}
