package train

import (
	"context"
	"fmt"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Job is what is to be learned and how.
type Job struct {
	Data     Data
	Settings Settings
	Iters    int    // iterations of this run
	Prompt   string // asked before and after
	Tokens   int    // of the answer, at most
	Floor    int64  // bytes of memory that stay free
	// Free returns the bytes of available memory, 0 when that is not known:
	// host.Free.
	Free func() int64
}

// An End is why a training ended.
type End string

const (
	Complete    End = "complete"
	Interrupted End = "interrupted" // the context ended
	LowMemory   End = "memory"      // less than the floor was free
	Failed      End = "failed"
)

// A Result is a training: what was said before and after, and what happened between.
type Result struct {
	Plan     *Plan         `json:"plan,omitempty"`     // nil: it did not come so far
	Estimate int64         `json:"estimate,omitempty"` // bytes, made before it began
	Prompt   string        `json:"prompt"`
	Before   string        `json:"before"`
	After    string        `json:"after"`
	Steps    []Step        `json:"steps"`
	Peak     int64         `json:"peak,omitempty"`  // bytes, by the framework's account; 0 when not known
	Saved    int           `json:"saved,omitempty"` // the iteration whose adapter is on disk
	Wall     time.Duration `json:"wall_ns"`         // of the training alone
	End      End           `json:"end"`
}

// saveGrace is how long a training that is to stop may take to finish its iteration
// and to save.
const saveGrace = 2 * time.Minute

// smaller are the ways to need less memory.
func smaller() fault.Remedies {
	return fault.Remedies{fault.Change("batch", "a smaller {}"), fault.Change("layers", "fewer {}"), fault.Change("max-length", "a smaller {}")}
}

// Run asks, trains and asks again, and tells sink of it as what happens in a lane. The
// result holds what there is, also with an error. One that says fault.OutOfMemory was
// raised before the machine swapped.
func Run(ctx context.Context, m Model, j Job, lane string, sink event.Sink) (r Result, err error) {
	r = Result{Prompt: j.Prompt, Steps: []Step{}, End: Failed}
	defer func() {
		if ctx.Err() != nil {
			r.End = Interrupted
		}
	}()
	prompt := llm.Request{Prompt: j.Prompt, Tokens: j.Tokens, Chat: j.Data.Form != Text}
	ask := func() (llm.Generation, error) {
		sink.Emit(lane, llm.Asked{Prompt: prompt.Prompt, Chat: prompt.Chat})
		return m.Generate(ctx, prompt, func(p llm.Piece) { sink.Emit(lane, p) })
	}
	sink.Emit(lane, event.Phase{Phase: "asking before the training"})
	g, err := ask()
	if r.Before = g.Text; err != nil {
		return r, fmt.Errorf("asking before the training: %w", err)
	}
	plan, err := m.Tune(ctx, j.Settings)
	if err != nil {
		return r, err
	}
	r.Plan, r.Estimate = &plan, Estimate(m.About(), plan, j.Settings.Batch)
	sink.Emit(lane, Planned{Plan: plan, Estimate: r.Estimate, Free: j.Free(), Data: j.Data, Settings: j.Settings, Iters: j.Iters})
	if err := fits(m, j, r.Estimate); err != nil {
		return r, err
	}
	sink.Emit(lane, event.Phase{Phase: "training"})
	inner, left, stop := watch(ctx, j.Floor, j.Free)
	start := sink.Now()
	_, _, err = m.Train(inner, j.Iters, saveGrace, func(s Step) {
		s.At = sink.Now()
		r.Steps = append(r.Steps, s) // steps have ended when Train returns
		r.Saved, r.Peak = max(r.Saved, s.Saved), max(r.Peak, s.Peak)
		sink.Emit(lane, s)
	})
	r.Wall = sink.Now() - start
	stop()
	if n, low := left(); low && ctx.Err() == nil {
		r.End = LowMemory
		kept := "nothing was saved"
		if r.Saved > 0 {
			kept = fmt.Sprintf("the adapter of iteration %d is saved", r.Saved)
		}
		return r, fault.Errorf(fault.OutOfMemory, "stopped before the machine swaps: %s of memory is free, less than %s; %s", unit.Bytes(float64(n)), unit.Bytes(float64(j.Floor)), kept).
			With(append(smaller(), fault.Change("resume", "{} continues it"))...)
	}
	if err != nil || ctx.Err() != nil {
		return r, err
	}
	sink.Emit(lane, event.Phase{Phase: "asking after the training"})
	g, err = ask()
	if r.After = g.Text; err != nil {
		return r, fmt.Errorf("asking after the training: %w", err)
	}
	r.End = Complete
	return r, nil
}

// fits refuses a training that memory does not hold. The weights are there already.
func fits(m Model, j Job, estimate int64) error {
	free := j.Free() - j.Floor
	if d := m.Facts().Device; d.Kind == hardware.GPU && d.API != "metal" && d.API != "mps" && d.Memory != nil { // its own memory
		free = *d.Memory - m.About().Bytes
	} else if j.Free() <= 0 {
		return nil
	}
	if need := estimate - m.About().Bytes; need > free {
		return fault.Errorf(fault.OutOfMemory, "the training takes about %s in addition to the weights, %s is available", unit.Bytes(float64(need)), unit.Bytes(float64(max(free, 0)))).With(smaller()...)
	}
	return nil
}

// Losses returns the loss of each iteration of a run, and the first of them.
func (r *Result) Losses() (losses []float64, first int) {
	for _, s := range r.Steps {
		if s.Loss != nil {
			if len(losses) == 0 {
				first = s.Iteration
			}
			losses = append(losses, *s.Loss)
		}
	}
	return losses, first
}
