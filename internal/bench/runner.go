package bench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
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
	// Published is the FLOP/s that the device's maker publishes; nil when not known.
	Published *float64
	// Bounded lanes compute with what the Runner's Peak was measured with, so that they
	// cannot be faster.
	Bounded bool
	// Cores are those of the CPU, of its fastest kind, that a CPU lane can compute on; 0:
	// not known.
	Cores int
	// Notes are added to what the engine notes.
	Notes []string
	Start time.Duration // time that the engine took to start; copied to the result

	estimate *estimate // set by Plan; nil: nothing is known
}

// A Phase is what a lane is doing.
type Phase string

const (
	Preparing Phase = "preparing"
	Checking  Phase = "checking"
	WarmingUp Phase = "warming up"
	Sampling  Phase = "measuring"
	InTrips   Phase = "copying"    // timing products with the copies of their matrices
	InBlock   Phase = "sustaining" // computing without turns
	Finished  Phase = "finished"
	LeftOut   Phase = "left out" // there is no time to measure the lane
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
	// Sample is how long a sample lasts at least, unless Repeat is set; 0: 20 ms.
	Sample time.Duration
	// Until is when all is to be measured, on the Sink's clock; 0: there is no such
	// time. Each lane then gets the 6 samples that an interval needs, also beyond its
	// share of Budget, and lanes that there is no time for are left out. The first CPU
	// lane and the first GPU lane are measured in any case.
	Until time.Duration
	// Latest is until when those 6 samples may be taken if all takes longer than was
	// estimated, and until when the sensors may watch the fastest GPU lane; 0: Until.
	Latest time.Duration
	// Sustain is how long the fastest lane of each kind of device computes without a
	// break after the samples, beyond Budget and Until; 0: it does not.
	Sustain time.Duration
	// RoundTrips has products timed together with the copies of their matrices after the
	// samples, for up to a quarter of Budget more for each lane that is not on the CPU.
	RoundTrips bool
	// Cold leaves out the time in which a device reaches its clock frequency: for a first
	// figure, which is no result.
	Cold bool
}

// A Runner measures. The zero value is ready to use.
type Runner struct {
	// Sink receives the events and has the clock. If it is nil, events are
	// discarded and the clock starts with the program.
	Sink event.Sink
	// Free returns the bytes of available memory; nil or 0: not known.
	Free func() int64
	// Throttled returns in how many periods of a container's CPU quota this machine has
	// run until now, and in how many it was stopped; nil: not known.
	Throttled func() (periods, throttled int64)
	// StepLimit is the longest time that one step of a lane may take: preparing,
	// one sample, or one check. A lane that exceeds it is ended. 0 means no limit.
	StepLimit time.Duration
	// Peak measures the FLOP/s that this machine's CPU reaches at most in the
	// arithmetic of a product; ok is false when it cannot. nil: not known.
	Peak func(ctx context.Context, g GEMM) (flops float64, ok bool)
	// Sensors are read meanwhile; nil: they are not.
	Sensors measure.Sensors
}

// entry is a lane while it is being measured.
type entry struct {
	Lane
	task   Task
	data   matrix.Data // that the task has
	result *Result
	single Sample // the latest run of one product
	iters  int    // products per sample
	spent  time.Duration
	done   bool
	out    bool          // there is no time for it
	before time.Duration // what it took to prepare it and to check its first product
	check  time.Duration // what its latest check took
	set    int           // of operands, of the latest run
	stalls int           // runs that were ended early
	broken bool          // the latest run failed: nobody knows what C holds
	right  bool          // a product of it was as precise as it must be
	sound  int           // samples until the latest whose product was checked
	due    int           // samples until the next one that is checked
	random *rand.Rand    // decides due
	quota  measure.Quota
	begin  time.Duration // when it was prepared
}

// Race measures the lanes: it prepares them one after the other and checks their
// first products, warms them up and takes their samples in turns, forwards and
// backwards, so that changes in temperature, clocks and other load affect them all. It
// returns one result per lane, in the order of the lanes, in any case: a lane that fails
// reports its error and the others continue; when ctx is cancelled, what was
// measured so far is kept. The result of a lane that stop.Until leaves no time for is nil.
func (r *Runner) Race(ctx context.Context, lanes []Lane, seed uint64, stop Stop) []*Result {
	refs := &references{of: map[matrix.Problem]*matrix.Reference{}}
	entries, results := r.enter(ctx, lanes, seed, Steady, stop, refs)
	defer closeAll(entries)
	racing := running(entries)
	if len(racing) > 0 {
		stop.Budget = r.budget(racing, stop)
		share := stop.Budget / time.Duration(len(racing))
		if !r.hurried(racing, stop) {
			share = math.MaxInt64 // there is time to warm up, however long a product takes
		}
		for _, e := range racing {
			r.warmUp(ctx, e, stop, share, refs)
		}
		racing = running(racing)
		r.sample(ctx, racing, stop, refs)
		r.closing(ctx, running(racing), refs)
		r.trips(ctx, running(racing), stop, refs)
		r.blocks(ctx, running(racing), stop)
		racing = running(racing)
		for _, e := range racing {
			r.peakAgain(ctx, e, racing)
		}
		r.bound(ctx, racing)
	}
	largest := GEMM{}
	for _, e := range racing {
		if e.GEMM.FLOP() > largest.FLOP() {
			largest = e.GEMM
		}
	}
	for _, e := range racing {
		r.finish(ctx, e, entries, stop.Repeat, largest)
	}
	for i, e := range entries {
		if e.out {
			results[i] = nil
		}
	}
	return results
}

// Classic times repeat products of every lane in a single sample, one lane after
// the other, after 3 products to warm up.
func (r *Runner) Classic(ctx context.Context, lanes []Lane, seed uint64, repeat int) []*Result {
	refs := &references{of: map[matrix.Problem]*matrix.Reference{}}
	entries, results := r.enter(ctx, lanes, seed, Classic, Stop{}, refs)
	defer closeAll(entries)
	for _, e := range running(entries) {
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
	r.closing(ctx, running(entries), refs)
	racing := running(entries)
	r.bound(ctx, racing)
	for _, e := range racing {
		r.finish(ctx, e, entries, repeat, GEMM{})
	}
	return results
}

// enter prepares the lanes and checks their first products, those of the most worth
// first where there may not be time for all.
func (r *Runner) enter(ctx context.Context, lanes []Lane, seed uint64, p Protocol, stop Stop, refs *references) ([]*entry, []*Result) {
	entries, results := make([]*entry, len(lanes)), make([]*Result, len(lanes))
	for i, l := range lanes {
		results[i] = &Result{Lane: l.ID, Engine: l.Engine.Name(), Device: l.Device, GEMM: l.GEMM, Seed: seed, Protocol: p, Start: l.Start, Samples: []Sample{}}
		entries[i] = &entry{Lane: l, data: l.GEMM.Data, result: results[i], set: matrix.Sets - 1, random: rand.New(rand.NewPCG(seed, uint64(i)))}
	}
	order := entries
	if stop.Until > 0 {
		order = byWorth(entries)
	}
	var in []*entry
	for _, e := range order {
		if e.out = !r.timeFor(e, running(in), stop); e.out {
			r.phase(e, LeftOut)
			continue
		}
		e.begin = r.sink().Now()
		r.sink().Emit(e.ID, event.Size{M: e.GEMM.M, N: e.GEMM.N, K: e.GEMM.K})
		if e.data.Patterned() {
			e.data = matrix.Random // first: see usePattern
		}
		r.prepare(ctx, e, seed, beside(in, e.Device))
		in = append(in, e)
		if e.result.Error != nil || ctx.Err() != nil {
			continue
		}
		if e.estimate == nil && r.sink().Now()+e.single.Wall < stop.Until { // the first product may have been slow only because of loading
			if s, err := r.run(ctx, e, 1); err == nil && s.Wall < e.single.Wall {
				e.single = s
			}
		}
		r.phase(e, Checking)
		r.check(ctx, e, refs)
		if e.data != e.GEMM.Data {
			r.usePattern(ctx, e, seed, refs)
		}
		e.before = r.sink().Now() - e.begin
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

// closingLimit is how long the closing checks of a lane may take once the user has
// interrupted.
const closingLimit = 2 * time.Second

// bound fills in the peak of the CPU for lanes that cannot be faster and whose engines
// do not know it: from the other lanes of the same arithmetic, else by Peak.
func (r *Runner) bound(ctx context.Context, entries []*entry) {
	type arithmetic struct{ in, acc matrix.DType }
	peaks := map[arithmetic]*float64{}
	for _, e := range entries {
		if p, of := e.result.Facts.Peak, (arithmetic{e.GEMM.In, e.GEMM.Acc}); e.Device.Kind == hardware.CPU && p != nil && (peaks[of] == nil || *p > *peaks[of]) {
			peaks[of] = p
		}
	}
	for _, e := range entries {
		of := arithmetic{e.GEMM.In, e.GEMM.Acc}
		if !e.Bounded || e.result.Facts.Peak != nil {
			continue
		}
		if _, asked := peaks[of]; !asked && r.Peak != nil && ctx.Err() == nil {
			peaks[of] = r.askPeak(ctx, e.GEMM, topSpeed(e, entries)) // nil: not again for every lane
		}
		e.result.Facts.Peak = peaks[of]
	}
}

// askPeak has the peak of an arithmetic measured, and again while lanes have reached more. The
// highest value counts; nil: it is not known.
func (r *Runner) askPeak(ctx context.Context, g GEMM, reached float64) (peak *float64) {
	step, cancel := r.step(ctx)
	defer cancel()
	for try := 0; step.Err() == nil && try < peakTries && (peak == nil || reached > *peak); try++ {
		flops, ok := r.Peak(step, g)
		if !ok {
			break
		}
		if peak == nil || flops > *peak {
			peak = &flops
		}
	}
	return peak
}

// topSpeed returns the highest speed, in FLOP/s, of the lanes on e's kind of device with e's
// arithmetic.
func topSpeed(e *entry, entries []*entry) float64 {
	most := 0.0
	for _, x := range entries {
		if x.Device.Kind == e.Device.Kind && x.GEMM.In == e.GEMM.In && x.GEMM.Acc == e.GEMM.Acc {
			speed, _ := x.result.Speed()
			most = max(most, speed.Value)
		}
	}
	return most
}

func running(entries []*entry) []*entry {
	var left []*entry
	for _, e := range entries {
		if e.result.Error == nil && !e.out {
			left = append(left, e)
		}
	}
	return left
}

// finish completes the result of a lane that did not fail.
func (r *Runner) finish(ctx context.Context, e *entry, entries []*entry, asked int, largest GEMM) {
	if err := ctx.Err(); err != nil {
		if len(e.result.Samples) == 0 { // it was never its turn
			r.fail(ctx, e, Sampling, err)
			return
		}
		e.result.Warnings.Add(measure.Interrupted, "interrupted")
	}
	if e.stalls > 0 {
		why := "other programs have the CPUs"
		if e.quota.Throttled > 0 {
			why = "the CPU quota was used up"
		}
		e.result.Warnings.Add(measure.Stalled, "%s took ten times as long as planned and ended early: %s", unit.Plural(e.stalls, "run"), why)
	}
	e.quota.Warn(&e.result.Warnings)
	r.sense(e, entries)
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
	return measure.Limit(ctx, r.StepLimit, "no answer within")
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

// run takes one sample within the time limit of a step, with the set of operands that
// the run before did not have.
func (r *Runner) run(ctx context.Context, e *entry, n int) (Sample, error) {
	ctx, cancel := r.step(ctx)
	defer cancel()
	e.set = (e.set + 1) % matrix.Sets
	start := r.sink().Now()
	s, err := e.task.Run(ctx, n, e.set)
	s.Start, s.End = start, r.sink().Now()
	if err == nil && (s.Iters < 1 || s.Iters > n || s.Wall < 0) {
		err = &fault.Error{Code: fault.Internal, Message: fmt.Sprintf("engine %s reports %s in %s where %d were asked for", e.Engine.Name(), unit.Plural(s.Iters, "product"), s.Wall, n)}
	}
	e.broken = err != nil
	if err == nil && s.Iters < n {
		e.stalls++
	}
	return s, measure.Because(ctx, err)
}

// roundTrip times a round trip within the time limit of a step, with the set of operands
// that the run before did not have.
func (r *Runner) roundTrip(ctx context.Context, e *entry) (RoundTrip, error) {
	ctx, cancel := r.step(ctx)
	defer cancel()
	e.set = (e.set + 1) % matrix.Sets
	t, err := e.task.RoundTrip(ctx, e.set)
	if err == nil && (t.In < 0 || t.Product <= 0 || t.Out < 0) {
		err = fault.Errorf(fault.Internal, "engine %s reports a round trip of %s, %s and %s", e.Engine.Name(), t.In, t.Product, t.Out)
	}
	e.broken = err != nil
	return t, measure.Because(ctx, err)
}

// prepare prepares a lane; taken bytes of its device are other lanes'.
func (r *Runner) prepare(ctx context.Context, e *entry, seed uint64, taken float64) {
	r.phase(e, Preparing)
	if err := r.fits(e.Device, e.GEMM, taken); err != nil {
		r.fail(ctx, e, Preparing, err)
		return
	}
	start := r.sink().Now()
	if !r.open(ctx, e, seed) {
		return
	}
	e.result.Facts = e.task.Facts()
	e.result.Facts.Published = e.Published
	if e.Device.Kind == hardware.CPU {
		e.result.Facts.Cores = e.Cores
	}
	if len(e.Notes) > 0 {
		e.result.Facts.Notes = append(slices.Clip(e.result.Facts.Notes), e.Notes...)
	}
	e.result.Prepare = r.sink().Now() - start
	var err error
	if e.single, err = r.run(ctx, e, 1); err != nil {
		r.fail(ctx, e, Preparing, err)
		return
	}
	e.result.First = e.single.Wall
	r.sink().Emit(e.ID, Prepared(*e.result))
}

// open has the engine prepare the lane's product of the inputs that e.data says.
func (r *Runner) open(ctx context.Context, e *entry, seed uint64) (ok bool) {
	step, cancel := r.step(ctx)
	defer cancel()
	g := e.GEMM
	g.Data = e.data
	task, err := e.Engine.Prepare(step, e.Device, g, seed, func(t Tuning) { r.sink().Emit(e.ID, t) })
	if err != nil {
		r.fail(ctx, e, Preparing, measure.Because(step, err))
		return false
	}
	e.task = task
	return true
}

// peakTries is how often the peak is measured again at most while a lane is above it.
const peakTries = 5

// peakAgain measures the peak of a lane's device again, after the samples, if its
// engine can, and then until no lane of its arithmetic is above it. The highest value
// counts, since other load can only make it lower. An error here has no effect.
func (r *Runner) peakAgain(ctx context.Context, e *entry, racing []*entry) {
	if e.result.Facts.Peak == nil {
		return
	}
	reached := topSpeed(e, racing)
	e.task.Close() // an engine may be limited to one task
	step, cancel := r.step(ctx)
	defer cancel()
	g := e.GEMM
	g.M, g.N, g.K = 1, 1, 1
	for try := 0; ctx.Err() == nil && try < peakTries && (try == 0 || reached > *e.result.Facts.Peak); try++ {
		task, err := e.Engine.Prepare(step, e.Device, g, e.result.Seed, func(Tuning) {})
		if err != nil {
			return
		}
		after := task.Facts().Peak
		task.Close()
		if after == nil {
			return
		}
		if *after > *e.result.Facts.Peak {
			e.result.Facts.Peak = after
		}
	}
}
