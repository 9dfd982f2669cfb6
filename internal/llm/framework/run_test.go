package framework_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/llm/framework/frameworktest"
	"github.com/gpuplay/gpuplay/internal/lora"
	"github.com/gpuplay/gpuplay/internal/train"
)

// steps is a sink that is told of the steps of a training.
type steps func(train.Step)

func (steps) Now() time.Duration { return time.Duration(time.Now().UnixNano()) }

func (each steps) Emit(_ string, d event.Data) {
	if s, ok := d.(train.Step); ok {
		each(s)
	}
}

// job is a training of the rows that are built in.
func job(t *testing.T) train.Job {
	t.Helper()
	rows, err := lora.BuiltIn(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := train.Settings{
		Train: rows.Train, Valid: rows.Valid, Adapter: t.TempDir(),
		Batch: 4, Layers: 2, Rank: 4, Scale: 10, LR: 1e-2, MaxLength: 128, SaveEvery: 5, EvalEvery: 10,
	}
	if s.State, err = (lora.State{Schema: lora.StateSchema, Rank: 4, Layers: 2}).Keep(); err != nil {
		t.Fatal(err)
	}
	return train.Job{Data: rows.Data, Settings: s, Iters: 10, Prompt: rows.Prompt, Tokens: 16, Floor: 1, Free: func() int64 { return 1 << 40 }}
}

// A training from end to end, ended by its user, and stopped before memory runs out.
func TestRun(t *testing.T) {
	each(t, func(t *testing.T, r *framework.Runtime, folder string) {
		t.Run("complete", func(t *testing.T) {
			j := job(t)
			result, err := train.Run(frameworktest.Limit(t), open(t, r, folder, ""), j, "", steps(func(train.Step) {}))
			losses, first := result.Losses()
			if err != nil || result.End != train.Complete || len(losses) != 10 || first != 1 || result.Saved != 10 || result.Wall <= 0 || result.Peak <= 0 {
				t.Errorf("error %v, %+v", err, result)
			}
		})
		t.Run("interrupted", func(t *testing.T) {
			j := job(t)
			j.Iters = 1_000_000
			ctx, cancel := context.WithCancel(frameworktest.Limit(t))
			result, err := train.Run(ctx, open(t, r, folder, ""), j, "", steps(func(s train.Step) {
				if s.Iteration == 2 {
					cancel()
				}
			}))
			if result.End != train.Interrupted || result.Saved < 2 || err != nil {
				t.Errorf("error %v, %s after %d steps, saved %d", err, result.End, len(result.Steps), result.Saved)
			}
			if s, err := lora.Resume(j.Settings.Adapter); err != nil || s.Iterations != result.Saved {
				t.Errorf("to continue: %+v, %v", s, err)
			}
		})
		t.Run("memory runs low", func(t *testing.T) {
			j := job(t)
			j.Iters, j.Floor = 1_000_000, 10
			var low atomic.Bool
			j.Free = func() int64 {
				if low.Load() {
					return 5
				}
				return 1 << 40
			}
			result, err := train.Run(frameworktest.Limit(t), open(t, r, folder, ""), j, "", steps(func(s train.Step) { low.Store(low.Load() || s.Iteration == 3) }))
			if !errors.Is(err, fault.OutOfMemory) || result.End != train.LowMemory || result.Saved < 3 {
				t.Errorf("error %v, %s after %d steps, saved %d", err, result.End, len(result.Steps), result.Saved)
			}
		})
	})
}
