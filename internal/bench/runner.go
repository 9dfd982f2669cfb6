package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Lane is one contender of a measurement.
type Lane struct {
	Engine Engine
	Device hardware.Device
	GEMM   GEMM
	Start  time.Duration // what the engine took to start; goes into the result
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

// An Event tells an observer what goes on. It is sent between samples, never
// inside one.
type Event struct {
	Lane        int // index of the lane in what Race was given
	Phase       Phase
	Done, Total int     // samples, while Sampling; Total is an estimate
	Speed       float64 // median FLOP/s so far; 0 before the first sample
	Result      *Result // set when Finished
}

// Stop says when a lane has enough samples.
type Stop struct {
	// Repeat asks for exactly so many samples of one product each; 0 leaves it to
	// the noise: at least 10 samples and 0.5 s, until the median's interval is
	// within 1 %.
	Repeat int
	// Budget limits the time that all lanes spend in samples together, unless
	// Repeat is set. A lane always gets one sample.
	Budget time.Duration
}

// A Runner measures. The zero value works.
type Runner struct {
	// Observe is told what goes on; it must return at once.
	Observe func(Event)
	// Free returns the bytes of memory that can be had; nil or 0: not known.
	Free func() int64
	// StepLimit ends a lane that takes longer for one step: preparing, one
	// sample, one check. 0 means no limit.
	StepLimit time.Duration
	// Now replaces time.Now in tests.
	Now func() time.Time
}

// entry is a lane while it is measured.
type entry struct {
	Lane
	index  int
	task   Task
	result *Result
	single Sample // the latest run of one product
	iters  int    // products in a sample
	spent  time.Duration
	done   bool
}

// Race measures the lanes: prepares them one after the other, checks their
// products, warms them up and takes their samples in turns, forwards and
// backwards, so that heat, clocks and neighbours are shared. It returns a result
// a lane, in the lanes' order, whatever happened: a lane that fails says so and
// the others go on; when ctx is cancelled, what was measured so far is kept.
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
		racing = r.checkAll(ctx, running(racing), refs) // the last product must be as right as the first
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

// Classic times repeat products in one sample of every lane, one lane after the
// other, after 3 products to warm up.
func (r *Runner) Classic(ctx context.Context, lanes []Lane, seed uint64, repeat int) []*Result {
	entries, results := r.enter(ctx, lanes, seed, Classic)
	defer closeAll(entries)
	for _, e := range r.checkAll(ctx, running(entries), references{}) {
		r.emit(Event{Lane: e.index, Phase: WarmingUp})
		_, err := r.run(ctx, e, 3)
		if err != nil {
			r.fail(ctx, e, WarmingUp, err)
			continue
		}
		r.emit(Event{Lane: e.index, Phase: Sampling, Total: 1})
		s, err := r.run(ctx, e, repeat)
		if err != nil {
			r.fail(ctx, e, Sampling, err)
			continue
		}
		e.result.Samples = []Sample{s}
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
		results[i] = &Result{Engine: l.Engine.Name(), Device: l.Device, GEMM: l.GEMM, Seed: seed, Protocol: p, Start: l.Start, Samples: []Sample{}}
		entries[i] = &entry{Lane: l, index: i, result: results[i]}
	}
	for _, e := range entries {
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

// references are what products are checked against; lanes share them.
type references map[matrix.Problem]*matrix.Reference

// checkAll checks the lanes' latest products and returns those that may go on.
func (r *Runner) checkAll(ctx context.Context, entries []*entry, refs references) []*entry {
	for _, e := range entries {
		if ctx.Err() != nil {
			break
		}
		r.emit(Event{Lane: e.index, Phase: Checking})
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

// finish closes the result of a lane that did not fail.
func (r *Runner) finish(ctx context.Context, e *entry, asked int, largest GEMM) {
	if err := ctx.Err(); err != nil {
		if len(e.result.Samples) == 0 { // its turn never came
			r.fail(ctx, e, Sampling, err)
			return
		}
		e.result.warn(WarnInterrupted, "interrupted")
	}
	e.result.judge(asked, largest)
	r.emit(Event{Lane: e.index, Phase: Finished, Result: e.result})
}

func (r *Runner) emit(e Event) {
	if r.Observe != nil {
		r.Observe(e)
	}
}

func (r *Runner) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

// step returns ctx with the runner's limit for one step.
func (r *Runner) step(ctx context.Context) (context.Context, context.CancelFunc) {
	if r.StepLimit == 0 {
		return context.WithCancel(ctx)
	}
	cause := &fault.Error{Code: fault.Timeout, Message: fmt.Sprintf("no answer within %s", unit.Seconds(r.StepLimit)), Remedies: fault.Advice("--timeout gives it longer")}
	return context.WithTimeoutCause(ctx, r.StepLimit, cause)
}

// fail closes a lane's result with what went wrong, unless the user ended it
// and there are samples, which stand.
func (r *Runner) fail(ctx context.Context, e *entry, stage Phase, err error) {
	if ctx.Err() != nil {
		if len(e.result.Samples) > 0 {
			return
		}
		err = &fault.Error{Code: fault.Interrupted, Message: "interrupted"}
	}
	e.result.Stage, e.result.Error = stage, asError(err)
	r.emit(Event{Lane: e.index, Phase: Finished, Result: e.result})
}

// asError returns err as this package's type.
func asError(err error) *fault.Error {
	var e *fault.Error
	if errors.As(err, &e) {
		return e
	}
	return &fault.Error{Code: fault.Internal, Message: err.Error()}
}

// run takes one sample within the step's limit.
func (r *Runner) run(ctx context.Context, e *entry, n int) (Sample, error) {
	ctx, cancel := r.step(ctx)
	defer cancel()
	s, err := e.task.Run(ctx, n)
	if err == nil && (s.Iters != n || s.Wall < 0) {
		err = &fault.Error{Code: fault.Internal, Message: fmt.Sprintf("engine %s says it did %s in %s when asked for %d", e.Engine.Name(), plural(s.Iters, "product"), s.Wall, n)}
	}
	return s, because(ctx, err)
}

// because returns why ctx ended if that is what err says.
func because(ctx context.Context, err error) error {
	if err != nil && errors.Is(err, ctx.Err()) {
		return context.Cause(ctx)
	}
	return err
}

func (r *Runner) prepare(ctx context.Context, e *entry, seed uint64) {
	r.emit(Event{Lane: e.index, Phase: Preparing})
	if err := r.fits(e.Device, e.GEMM); err != nil {
		r.fail(ctx, e, Preparing, err)
		return
	}
	start := r.now()
	step, cancel := r.step(ctx)
	defer cancel()
	task, err := e.Engine.Prepare(step, e.Device, e.GEMM, seed)
	if err != nil {
		r.fail(ctx, e, Preparing, because(step, err))
		return
	}
	e.task, e.result.Facts = task, task.Facts()
	e.result.Prepare = r.now().Sub(start)
	if e.single, err = r.run(ctx, e, 1); err != nil {
		r.fail(ctx, e, Preparing, err)
		return
	}
	e.result.First = e.single.Wall
}

// peakAgain measures the peak of a lane's device once more, behind its samples as
// it was before them, if its engine knows one. The better counts: a neighbour can
// only make it smaller. What fails here changes nothing.
func (r *Runner) peakAgain(ctx context.Context, e *entry) {
	before := e.result.Facts.Peak
	if before == nil || ctx.Err() != nil {
		return
	}
	e.task.Close() // an engine may hold but one
	step, cancel := r.step(ctx)
	defer cancel()
	g := e.GEMM
	g.M, g.N, g.K = 1, 1, 1
	task, err := e.Engine.Prepare(step, e.Device, g, e.result.Seed)
	if err != nil {
		return
	}
	defer task.Close()
	if after := task.Facts().Peak; after != nil && *after > *before {
		e.result.Facts.Peak = after
	}
}

// fits reports whether g's matrices fit into the memory that can be had.
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
		Message: fmt.Sprintf("too big: %s in %s needs %s of memory, %s can be had", unit.Cube(g.M, g.N, g.K), g.In, unit.Bytes(need), unit.Bytes(limit)),
	}
	if largest > 0 {
		err.Remedies = fault.Advice(fmt.Sprintf("the largest size that fits: --size %d", largest))
	}
	return err
}

func (r *Runner) check(ctx context.Context, e *entry, ref *matrix.Reference) {
	step, cancel := r.step(ctx)
	defer cancel()
	g := e.result.GEMM
	c, err := ref.CheckProduct(func(x []float64) ([]float64, error) { return e.task.MulVec(step, x) }, g.Acc, g.Out)
	if err != nil {
		r.fail(ctx, e, Checking, because(step, err))
		return
	}
	if first := e.result.Check; first == nil || first.Passed { // a failed check is not made good
		e.result.Check = &c
	}
	switch {
	case c.Passed:
	case c.Arithmetic == "":
		saw := "values that are no numbers"
		if c.Error != nil {
			saw = fmt.Sprintf("error %.1e", *c.Error)
		}
		expected := fmt.Sprintf("at most %.1e is expected", c.Bound)
		if g.Out.Integer() {
			expected = "integers have none"
		}
		r.fail(ctx, e, Checking, &fault.Error{Code: fault.Wrong, Message: fmt.Sprintf("wrong result: %s where %s", saw, expected)})
	case !e.result.Has(WarnArithmetic):
		e.result.warn(WarnArithmetic, "computed as %s, not %s: error %.1e where at most %.1e is expected", c.Arithmetic, g.Acc, *c.Error, c.Bound)
	}
}
