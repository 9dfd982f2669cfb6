package tokens

import (
	"context"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/llm/llamacpp"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/roof"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// limits measures what this machine's CPU can do at most, if a lane was measured there:
// what memory gives a reader of weights, and the peak of multiply-adds in float32. A
// GPU's are left unknown rather than taken from a data sheet. It returns nil for unknown.
func limits(ctx context.Context, s *event.Stream, threads int, results []*llm.Result) *llm.Limits {
	onCPU := func(r *llm.Result) bool {
		return r.Facts.Device.Kind == hardware.CPU && r.Facts.Host == "" && len(r.Samples) > 0 && !r.Has(measure.NotOnGPU)
	}
	if ctx.Err() != nil || !slices.ContainsFunc(results, onCPU) {
		return nil
	}
	s.Emit("", event.Note{Text: "measuring the memory's bandwidth and the CPU's peak", Transient: true})
	var l llm.Limits
	const most = 2 << 30 // bytes of the arrays
	if b, err := roof.Memory(ctx, threads, most); err == nil && len(b.Read) > 0 {
		read := stats.Median(b.Read)
		l.Bandwidth = &read
	}
	if ctx.Err() == nil {
		l.Peak = peak(threads)
	}
	if l.Bandwidth == nil && l.Peak == nil {
		return nil
	}
	return &l
}

// peak returns the CPU's peak in float32, nil when it cannot be measured.
func peak(threads int) *float64 {
	pool, err := gemm.NewPool(gemm.ISAs()[0], threads)
	if err != nil {
		return nil
	}
	defer pool.Close()
	ops, ok := pool.Peak(gemm.Float32)
	if !ok {
		return nil
	}
	return &ops
}

// Bench says when a runtime's own benchmark measures the same lanes.
type Bench string

const (
	Auto   Bench = "auto" // if it takes less than a minute per lane
	Always Bench = "always"
	Never  Bench = "never"
)

// benchLimit is how long a runtime's own benchmark may take for a lane, if nobody asked
// for it.
const benchLimit = time.Minute

// peers has a runtime's own benchmark measure the lanes that were measured.
func (o Options) peers(ctx context.Context, s *event.Stream, b bencher, m model.Model, lanes []llm.Contender, results []*llm.Result) []record.Peer {
	if o.Bench == Never {
		return nil
	}
	var peers []record.Peer
	for i, res := range results {
		if ctx.Err() != nil || res.Error != nil || len(res.Samples) == 0 {
			continue
		}
		if would := benchTime(res, o.Repeat); o.Bench != Always && would > benchLimit {
			lab.Note(s, "llama-bench left out for "+lanes[i].Name+": it would take about "+unit.Seconds(would)+"; set bench to always to have it")
			continue
		}
		lab.Note(s, "llama-bench: "+lanes[i].Name)
		list, err := b.Benchmark(ctx, m.Path, lanes[i].Settings, o.Repeat)
		if err != nil && ctx.Err() == nil {
			lab.Note(s, "llama-bench: "+err.Error())
		}
		if len(list) > 0 {
			peers = append(peers, record.Peer{Lane: res.Lane, Name: "llama-bench", Results: list})
		}
	}
	return peers
}

// benchTime estimates what llama-bench takes for a lane, with its warm-up.
func benchTime(r *llm.Result, repeat int) time.Duration {
	seconds := 0.0
	for m, tokens := range map[llm.Metric]float64{llm.Prompting: llamacpp.BenchPrompt, llm.Generating: llamacpp.BenchTokens} {
		if rates := r.Values(m); len(rates) > 0 {
			seconds += tokens / stats.Median(rates)
		}
	}
	return time.Duration(seconds * float64(repeat+1) * float64(time.Second))
}
