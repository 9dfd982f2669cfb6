package cpu

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/learn"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

const (
	// LadderSize is the usual n of the ladder's n×n×n product; on a slow CPU it is half
	// of that.
	LadderSize = 1024
	// LadderLimit is the largest: the first rung of a larger one would take days.
	LadderLimit = 16384
)

// LadderOptions say what Climb measures.
type LadderOptions struct {
	Size    int // n of an n×n×n product; 0: LadderSize, or half of it on a slow CPU
	Threads int // of the last rung; 0: one per core
}

// Climb measures one product in better and better ways: the ladder of package learn.
func Climb(ctx context.Context, d lab.Deps, o LadderOptions, s *event.Stream) (*record.Run, error) {
	if err := checkThreads(o.Threads); err != nil {
		return nil, err
	}
	if o.Size < 0 || o.Size > LadderLimit {
		return nil, fault.Errorf(fault.Invalid, "size %d: at least 1, and at most %d: the first rung of a larger one would take days", o.Size, LadderLimit).
			With(fault.Run("{} takes any size", "gpuplay", "matmul"))
	}
	rungs, end, err := learn.Ladder(o.Threads)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "%d threads: %v", o.Threads, err).With(fault.Change("threads", "leave {} out for one per core"))
	}
	defer end()
	r := d.Begin(ctx, s, record.Learn)
	r.Threads = o.Threads
	n := o.Size
	if n == 0 {
		n = usualSize(ctx, rungs)
	}
	g := bench.Square(n, matrix.Float32)
	if d.Free != nil {
		if need, free := g.Bytes(), float64(d.Free()); free > 0 && need > free {
			return nil, fault.Errorf(fault.OutOfMemory, "three matrices of %d×%d take %s: %s of memory is free", n, n, unit.Bytes(need), unit.Bytes(free)).
				With(fault.Change("size", "a smaller {}"))
		}
	}
	s.Emit("", event.Size{M: n, N: n, K: n})
	lab.Note(s, fmt.Sprintf("multiplying %s in %d ways, from the slowest to the fastest", unit.Cube(n, n, n), len(rungs)))
	var measured []record.Rung
	r.Ladder = &record.Ladder{Size: n}
	_, err = learn.Climb(ctx, rungs, n, func(step learn.Step) {
		measured = append(measured, record.Rung{Name: step.Name, Idea: step.Idea, Threads: step.Threads, Seconds: step.Seconds, Peak: step.Peak})
		r.Ladder = &record.Ladder{Size: n, Rungs: measured}
		tell(s, step)
		lab.Opened(s, r)
		lab.Note(s, fmt.Sprintf("%s: %s", step.Name, g.Rate(g.FLOP()/stats.Median(step.Seconds))))
	})
	if err != nil && (ctx.Err() == nil || !errors.Is(err, ctx.Err())) {
		return nil, err
	}
	return d.Finish(ctx, s, r), nil
}

// tell tells of a rung's samples and its check, in a lane of its own.
func tell(s *event.Stream, step learn.Step) {
	lane := "learn/" + strings.ReplaceAll(step.Name, " ", "-")
	zero := time.Now().Add(-s.Now()) // of the runner's clock
	for i, start := range step.Starts {
		wall := time.Duration(math.Round(step.Seconds[i] * float64(time.Second))) // the seconds are of whole nanoseconds
		at := start.Sub(zero)
		s.Emit(lane, bench.Sample{Iters: 1, Wall: wall, Start: at, End: at + wall})
	}
	s.Emit(lane, bench.Checked{Check: step.Check})
}

// usualSize returns a size at which the slowest rung takes some seconds at most: its
// time grows faster than n³ once B has outgrown the caches.
func usualSize(ctx context.Context, rungs []learn.Rung) int {
	const try, bearable = 256, 100 * time.Millisecond
	steps, err := learn.Climb(ctx, rungs[:1], try, func(learn.Step) {})
	if err == nil && len(steps) == 1 && slices.Min(steps[0].Seconds) > bearable.Seconds() {
		return LadderSize / 2
	}
	return LadderSize
}
