package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Lane is one engine and device with the product that it computes.
type Lane struct {
	ID     string // unique within the run; copied to the result and the events
	Engine Engine
	Device hardware.Device
	GEMM   GEMM
	Start  time.Duration // time that the engine took to start; copied to the result
}

// A Phase is what a lane is doing.
type Phase string

const (
	Preparing Phase = "preparing"
	Checking  Phase = "checking"
	WarmingUp Phase = "warming up"
	Sampling  Phase = "measuring"
	Finished  Phase = "finished"
)

// Stop says when a lane has enough samples.
type Stop struct {
	// Repeat is the exact number of samples, each of one product. With 0 the noise
	// decides: at least 10 samples and 0.5 s, until the interval of the median is
	// within 1 %.
	Repeat int
	// Budget limits the total time of the samples of all lanes, unless Repeat is
	// set. A lane always gets one sample.
	Budget time.Duration
}

// A Runner measures. The zero value is ready to use.
type Runner struct {
	// Sink receives the events and has the clock. If it is nil, events are
	// discarded and the clock starts with the program.
	Sink event.Sink
	// Free returns the bytes of available memory; nil or 0: not known.
	Free func() int64
	// StepLimit is the longest time that one step of a lane may take: preparing,
	// one sample, or one check. A lane that exceeds it is ended. 0 means no limit.
	StepLimit time.Duration
}

// entry is a lane while it is being measured.
type entry struct {
	Lane
	task   Task
	result *Result
	single Sample // the latest run of one product
	iters  int    // products per sample
	spent  time.Duration
	done   bool
}

// Race measures the lanes: it prepares them one after the other, checks their
// products, warms them up and takes their samples in turns, forwards and backwards,
// so that changes in temperature, clocks and other load affect them all. It returns
// one result per lane, in the order of the lanes, in any case: a lane that fails
// reports its error and the others continue; when ctx is cancelled, what was
// measured so far is kept.
func (r *Runner) Race(ctx context.Context, lanes []Lane, seed uint64, stop Stop) []*Result {
	entries, results := r.enter(ctx, lanes, seed, Steady)
	defer closeAll(entries)
	refs := references{}
	racing := r.checkAll(ctx, running(entries), refs)
	if len(racing) > 0 {
		share := stop.Budget / time.Duration(len(racing))
		for _, e := range racing {
			r.warmUp(ctx, e, stop, share)
		}
		racing = running(racing)
		r.sample(ctx, racing, stop)
		racing = r.checkAll(ctx, running(racing), refs) // the last product must be right as well
		for _, e := range racing {
			r.peakAgain(ctx, e)
		}
	}
	largest := GEMM{}
	for _, e := range racing {
		if e.GEMM.FLOP() > largest.FLOP() {
			largest = e.GEMM
		}
	}
	for _, e := range racing {
		r.finish(ctx, e, stop.Repeat, largest)
	}
	return results
}

// Classic times repeat products of every lane in a single sample, one lane after
// the other, after 3 products to warm up.
func (r *Runner) Classic(ctx context.Context, lanes []Lane, seed uint64, repeat int) []*Result {
	entries, results := r.enter(ctx, lanes, seed, Classic)
	defer closeAll(entries)
	for _, e := range r.checkAll(ctx, running(entries), references{}) {
		r.phase(e, WarmingUp)
		_, err := r.run(ctx, e, 3)
		if err != nil {
			r.fail(ctx, e, WarmingUp, err)
			continue
		}
		r.phase(e, Sampling)
		s, err := r.run(ctx, e, repeat)
		if err != nil {
			r.fail(ctx, e, Sampling, err)
			continue
		}
		e.result.Samples = []Sample{s}
		r.sink().Emit(e.ID, s)
	}
	for _, e := range running(entries) {
		r.finish(ctx, e, repeat, GEMM{})
	}
	return results
}

// enter prepares the lanes.
func (r *Runner) enter(ctx context.Context, lanes []Lane, seed uint64, p Protocol) ([]*entry, []*Result) {
	entries, results := make([]*entry, len(lanes)), make([]*Result, len(lanes))
	for i, l := range lanes {
		results[i] = &Result{Lane: l.ID, Engine: l.Engine.Name(), Device: l.Device, GEMM: l.GEMM, Seed: seed, Protocol: p, Start: l.Start, Samples: []Sample{}}
		entries[i] = &entry{Lane: l, result: results[i]}
	}
	for _, e := range entries {
		r.sink().Emit(e.ID, event.Size{M: e.GEMM.M, N: e.GEMM.N, K: e.GEMM.K})
		r.prepare(ctx, e, seed)
	}
	return entries, results
}

func closeAll(entries []*entry) {
	for _, e := range entries {
		if e.task != nil {
			e.task.Close()
		}
	}
}

// Checked is the event that reports the check of a product.
type Checked struct{ matrix.Check }

// EventType returns the type of the event.
func (Checked) EventType() event.Type { return event.TypeCheck }

// references are the references for the checks; lanes share them.
type references map[matrix.Problem]*matrix.Reference

// checkAll checks the latest products of the lanes and returns the lanes that may
// continue.
func (r *Runner) checkAll(ctx context.Context, entries []*entry, refs references) []*entry {
	for _, e := range entries {
		if ctx.Err() != nil {
			break
		}
		r.phase(e, Checking)
		g := e.GEMM
		p := matrix.Problem{M: g.M, N: g.N, K: g.K, In: g.In, TransA: g.TransA, TransB: g.TransB, Seed: e.result.Seed}
		if refs[p] == nil {
			ref, err := matrix.NewReference(ctx, p)
			if err != nil { // cancelled
				break
			}
			refs[p] = ref
		}
		r.check(ctx, e, refs[p])
	}
	return running(entries)
}

func running(entries []*entry) []*entry {
	var left []*entry
	for _, e := range entries {
		if e.result.Error == nil {
			left = append(left, e)
		}
	}
	return left
}

// finish completes the result of a lane that did not fail.
func (r *Runner) finish(ctx context.Context, e *entry, asked int, largest GEMM) {
	if err := ctx.Err(); err != nil {
		if len(e.result.Samples) == 0 { // it was never its turn
			r.fail(ctx, e, Sampling, err)
			return
		}
		e.result.Warnings.Add(measure.Interrupted, "interrupted")
	}
	e.result.judge(asked, largest)
	r.sink().Emit(e.ID, e.result)
}

// silent is the sink of a runner without one.
var silent = func() event.Sink {
	start := time.Now()
	return event.Discard(func() time.Duration { return time.Since(start) })
}()

func (r *Runner) sink() event.Sink {
	if r.Sink != nil {
		return r.Sink
	}
	return silent
}

func (r *Runner) phase(e *entry, p Phase) { r.sink().Emit(e.ID, event.Phase{Phase: string(p)}) }

// step returns ctx with the runner's time limit for one step.
func (r *Runner) step(ctx context.Context) (context.Context, context.CancelFunc) {
	return measure.Limit(ctx, r.StepLimit, "no answer")
}

// fail completes the result of a lane with an error, unless the user interrupted
// and there are samples to keep.
func (r *Runner) fail(ctx context.Context, e *entry, stage Phase, err error) {
	if ctx.Err() != nil {
		if len(e.result.Samples) > 0 {
			return
		}
		err = &fault.Error{Code: fault.Interrupted, Message: "interrupted"}
	}
	e.result.Stage, e.result.Error = stage, fault.From(err)
	r.sink().Emit(e.ID, e.result)
}

// run takes one sample within the time limit of a step.
func (r *Runner) run(ctx context.Context, e *entry, n int) (Sample, error) {
	ctx, cancel := r.step(ctx)
	defer cancel()
	start := r.sink().Now()
	s, err := e.task.Run(ctx, n)
	s.Start, s.End = start, r.sink().Now()
	if err == nil && (s.Iters != n || s.Wall < 0) {
		err = &fault.Error{Code: fault.Internal, Message: fmt.Sprintf("engine %s reports %s in %s where %d were asked for", e.Engine.Name(), plural(s.Iters, "product"), s.Wall, n)}
	}
	return s, measure.Because(ctx, err)
}

func (r *Runner) prepare(ctx context.Context, e *entry, seed uint64) {
	r.phase(e, Preparing)
	if err := r.fits(e.Device, e.GEMM); err != nil {
		r.fail(ctx, e, Preparing, err)
		return
	}
	start := r.sink().Now()
	step, cancel := r.step(ctx)
	defer cancel()
	task, err := e.Engine.Prepare(step, e.Device, e.GEMM, seed, func(t Tuning) { r.sink().Emit(e.ID, t) })
	if err != nil {
		r.fail(ctx, e, Preparing, measure.Because(step, err))
		return
	}
	e.task, e.result.Facts = task, task.Facts()
	e.result.Prepare = r.sink().Now() - start
	if e.single, err = r.run(ctx, e, 1); err != nil {
		r.fail(ctx, e, Preparing, err)
		return
	}
	e.result.First = e.single.Wall
}

// peakAgain measures the peak of a lane's device again, after the samples, if its
// engine can. The higher of the two values counts, since other load can only make
// it lower. An error here has no effect.
func (r *Runner) peakAgain(ctx context.Context, e *entry) {
	before := e.result.Facts.Peak
	if before == nil || ctx.Err() != nil {
		return
	}
	e.task.Close() // an engine may be limited to one task
	step, cancel := r.step(ctx)
	defer cancel()
	g := e.GEMM
	g.M, g.N, g.K = 1, 1, 1
	task, err := e.Engine.Prepare(step, e.Device, g, e.result.Seed, func(Tuning) {})
	if err != nil {
		return
	}
	defer task.Close()
	if after := task.Facts().Peak; after != nil && *after > *before {
		e.result.Facts.Peak = after
	}
}

// fits returns an error if g's matrices do not fit into the available memory.
func (r *Runner) fits(d hardware.Device, g GEMM) error {
	var limit float64
	switch {
	case d.Kind == hardware.GPU && d.Memory != nil:
		limit = float64(*d.Memory)
	case d.Kind != hardware.GPU && r.Free != nil:
		limit = float64(r.Free())
	}
	need := g.Bytes()
	if limit == 0 || need <= limit {
		return nil
	}
	// The matrices of a square product grow with the square of its size.
	largest := int(math.Sqrt(limit/float64(2*g.In.Size()+g.Out.Size()))) / 256 * 256
	err := &fault.Error{
		Code:    fault.OutOfMemory,
		Message: fmt.Sprintf("too big: %s in %s needs %s of memory, %s is available", unit.Cube(g.M, g.N, g.K), g.In, unit.Bytes(need), unit.Bytes(limit)),
	}
	if largest > 0 {
		err.Remedies = fault.Remedies{fault.Set("size", largest, "the largest size that fits")}
	}
	return err
}

func (r *Runner) check(ctx context.Context, e *entry, ref *matrix.Reference) {
	step, cancel := r.step(ctx)
	defer cancel()
	g := e.result.GEMM
	c, err := ref.CheckProduct(func(x []float64) ([]float64, error) { return e.task.MulVec(step, x) }, g.Acc, g.Out)
	if err != nil {
		r.fail(ctx, e, Checking, measure.Because(step, err))
		return
	}
	r.sink().Emit(e.ID, Checked{c})
	if first := e.result.Check; first == nil || first.Passed { // a failed check is kept
		e.result.Check = &c
	}
	switch {
	case c.Passed:
	case c.Arithmetic == "":
		saw := "NaN or infinity"
		if c.Error != nil {
			saw = fmt.Sprintf("error %.1e", *c.Error)
		}
		expected := fmt.Sprintf("at most %.1e is expected", c.Bound)
		if g.Out.Integer() {
			expected = "integer products are exact"
		}
		r.fail(ctx, e, Checking, &fault.Error{Code: fault.Wrong, Message: fmt.Sprintf("wrong result: %s where %s", saw, expected)})
	case !e.result.Has(measure.Arithmetic):
		e.result.Warnings.Add(measure.Arithmetic, "computed as %s, not %s: error %.1e where at most %.1e is expected", c.Arithmetic, g.Acc, *c.Error, c.Bound)
	}
}
