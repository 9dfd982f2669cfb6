package main

import (
	"context"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/roof"
	"github.com/gpuplay/gpuplay/internal/stats"
)

// limits measures what the CPU can do at most and notes it in the lanes that ran
// there: what memory gives a reader of weights, and the peak of products in
// float32. A GPU's are left unknown rather than taken from a data sheet.
func (a *app) limits(ctx context.Context, t *teller, f llmFlags, results []*llm.Result) {
	var lanes []*llm.Result
	for _, r := range results {
		if r.Facts.Device.Kind == hardware.CPU && len(r.Samples) > 0 && !r.Has(llm.WarnNotGPU) {
			lanes = append(lanes, r)
		}
	}
	if len(lanes) == 0 || ctx.Err() != nil {
		return
	}
	t.show("measuring the memory's bandwidth and the CPU's peak")
	var limits llm.Limits
	const most = 2 << 30 // bytes of the arrays
	if b, err := roof.Memory(ctx, f.threads, most); err == nil && len(b.Read) > 0 {
		read := stats.Median(b.Read)
		limits.Bandwidth = &read
	}
	limits.Peak = a.peak(ctx, f)
	for _, r := range lanes {
		r.Limits = &limits
	}
	t.clear()
}

// peak returns the CPU's peak in float32 as the built-in engine measures it, nil
// when it cannot.
func (a *app) peak(ctx context.Context, f llmFlags) *float64 {
	list, err := selectEngines([]string{"gocpu"})
	if err != nil {
		return nil
	}
	found := a.discover(ctx, list, laneFlags{threads: f.threads}, f.timeout, func(contender) {})
	defer closeClients(found)
	if found[0].err != nil || len(found[0].found.Devices) == 0 {
		return nil
	}
	task, err := found[0].client.Prepare(ctx, found[0].found.Devices[0], bench.Square(256, matrix.Float32), 1)
	if err != nil {
		return nil
	}
	defer task.Close()
	return task.Facts().Peak
}
