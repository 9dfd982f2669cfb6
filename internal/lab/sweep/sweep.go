// Package sweep measures the same products in several lanes over a range of sizes, one
// size after the other: which sizes, what was measured at each as a line of a file that
// can be continued, and the search for the size from which on the GPU wins. The samples
// of each size are package bench's, the verdict on a crossing package judge's.
package sweep

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Options are a sweep's. Its Budget is that of each size.
type Options struct {
	lab.Settings
	// Engines are compared in this order, each with the device that is wanted behind a
	// colon, or else with all lanes that it has in a race: "gocpu", "blas:mkl". None
	// stands for the lanes of a race.
	Engines []string
	DType   matrix.DType // of the products, as bench.Square means it
	Shapes  []Shape
	// Crossover has sizes added until it is clear from which on the GPU wins.
	Crossover bool
	// File, if not nil, gets each size once it is measured; sizes that it has are not
	// measured again. Whoever opened it closes it.
	File *File
}

// Run measures size after size.
func Run(ctx context.Context, d lab.Deps, o Options, s *event.Stream) (*record.Run, error) {
	wanted, entries, err := parse(o.Engines)
	if err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	r := d.Begin(ctx, s, record.Sweep)
	found := d.Start(ctx, s, entries, o.Settings.Options)
	defer catalog.Close(found)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.Cards, r.Missing = catalog.Cards(r.Cards, found), catalog.Missing(found)
	lanes, leftOut, err := choose(wanted, found)
	if err != nil {
		return nil, err
	}
	r.LeftOut = leftOut
	return run(ctx, d, o, s, r, lanes)
}

func (o Options) check() error {
	if len(o.Shapes) == 0 {
		return fault.Errorf(fault.Invalid, "no size to measure").With(fault.Set("sizes", "64:4096", ""))
	}
	return o.Settings.Check()
}

// A want is what Options.Engines names: an engine, and a device of it or all that a
// race would have.
type want struct{ engine, device string }

func parse(names []string) ([]want, []catalog.Entry, error) {
	var list []want
	var engines []string
	for _, n := range names {
		e, device, _ := strings.Cut(n, ":")
		list = append(list, want{e, device})
		engines = append(engines, e)
	}
	chosen, err := catalog.Select(engines)
	return list, chosen, err
}

// choose returns the lanes in the order in which they were asked for, and the GPUs that
// equal ones stand for.
func choose(list []want, found []catalog.Contender) (lanes []bench.Lane, leftOut []record.LeftOut, err error) {
	if len(list) == 0 {
		lanes, leftOut = lab.Racing(found, false)
		return lanes, leftOut, nil
	}
	for _, w := range list {
		c := found[slices.IndexFunc(found, func(c catalog.Contender) bool { return c.Name == w.engine })]
		if w.device == "" && c.Err == nil {
			its, equal := lab.Racing([]catalog.Contender{c}, false)
			lanes, leftOut = append(lanes, its...), append(leftOut, equal...)
			continue
		}
		lane, err := lab.Choose(c, w.device)
		if err != nil {
			return nil, nil, err
		}
		lanes = append(lanes, lane)
	}
	for i, l := range lanes {
		if slices.ContainsFunc(lanes[:i], func(o bench.Lane) bool { return o.Engine.Name() == l.Engine.Name() && o.Device.ID == l.Device.ID }) {
			return nil, nil, fault.Errorf(fault.Invalid, "%s:%s is named twice", l.Engine.Name(), l.Device.API).With(fault.Change("engines", "name each once in {}"))
		}
	}
	lab.LaneIDs(lanes)
	return lanes, leftOut, nil
}

// run is Run with the lanes as an argument.
func run(ctx context.Context, d lab.Deps, o Options, s *event.Stream, r *record.Run, lanes []bench.Lane) (*record.Run, error) {
	switch {
	case len(lanes) == 0:
		return nil, lab.Nothing(r.Missing)
	case o.Crossover && !slices.ContainsFunc(lanes, func(l bench.Lane) bool { return l.Device.Kind == hardware.GPU }):
		return nil, fault.Errorf(fault.Unavailable, "no GPU to compare with the CPU").With(fault.Run("if this machine has one: {}", "gpuplay", "doctor"))
	}
	r.Threads, r.Repeat, r.Crossover = o.Threads, o.Repeat, o.Crossover
	w := &sweeper{Deps: d, o: o, stream: s, run: r, lanes: lanes, gemm: o.Square(1, o.DType)}
	if err := w.resume(); err != nil {
		return nil, err
	}
	lab.Opened(s, r)
	lab.Reserve(ctx, lanes)
	r.Error = fault.From(w.measureAll(ctx))
	return d.Finish(ctx, s, r), nil
}

// A sweeper measures size after size.
type sweeper struct {
	lab.Deps
	o      Options
	stream *event.Stream
	run    *record.Run // with the sizes that have been measured
	lanes  []bench.Lane
	gemm   bench.GEMM // the types and the inputs of the products
}

// resume takes over the sizes that the file has.
func (w *sweeper) resume() error {
	if w.o.File == nil {
		return nil
	}
	if err := w.o.File.mismatch(w.run, w.lanes, w.gemm, w.o.Seed); err != nil {
		return err
	}
	for _, one := range w.o.File.Runs {
		for i, x := range one.Results { // as many as lanes and in their order, or it were a mismatch
			x.Lane = w.lanes[i].ID // which a file of an earlier version does not have
			w.run.Results = append(w.run.Results, x)
		}
	}
	return nil
}

// has reports whether a size has been measured.
func (w *sweeper) has(s Shape) bool {
	return slices.ContainsFunc(w.run.Results, func(x *bench.Result) bool { return shapeOf(x) == s })
}

// measureAll measures what is missing, until ctx ends.
func (w *sweeper) measureAll(ctx context.Context) error {
	began, measured, missing := w.stream.Now(), 0, 0
	for _, shape := range w.o.Shapes {
		if !w.has(shape) {
			missing++
		}
	}
	for i, shape := range w.o.Shapes {
		if w.has(shape) {
			continue
		}
		doing := fmt.Sprintf("measuring %s, %d of %d", shape, i+1, len(w.o.Shapes))
		if measured > 0 { // most of a size's time does not depend on it
			doing += ", about " + unit.Left((w.stream.Now()-began)/time.Duration(measured)*time.Duration(missing-measured))
		}
		measured++
		if err := w.measure(ctx, shape, doing); err != nil || ctx.Err() != nil {
			return err
		}
	}
	if !w.o.Crossover {
		return nil
	}
	for _, crosses := range []func(*record.Run) judge.Crossing{judge.Crosses, judge.CrossesWithCopies} {
		if err := w.lookCloser(ctx, crosses); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// lookCloser measures sizes between where the GPU loses and where it wins, until the two
// are near to each other.
func (w *sweeper) lookCloser(ctx context.Context, crosses func(*record.Run) judge.Crossing) error {
	for {
		n, more := between(crosses(w.run))
		shape := Shape{M: n, N: n, K: n}
		if !more || w.has(shape) { // a lane that failed there would fail again
			return nil
		}
		if err := w.measure(ctx, shape, fmt.Sprintf("looking closer: measuring %s", shape)); err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// between returns the size, a multiple of 32, in the middle of where the GPU loses
// and where it wins; none when the two are within 15 %.
func between(c judge.Crossing) (n int, more bool) {
	if c.Below == 0 || c.From == 0 || float64(c.From) <= 1.15*float64(c.Below) {
		return 0, false
	}
	n = (c.Below + c.From) / 2 / 32 * 32
	return n, n > c.Below && n < c.From
}

// patience is how many times Budget one product may take.
const patience = 4

// measure measures one size, and keeps it if any lane has samples.
func (w *sweeper) measure(ctx context.Context, shape Shape, doing string) error {
	w.stream.Emit("", event.Note{Text: doing, Transient: true})
	g := w.gemm
	g.M, g.N, g.K = shape.M, shape.N, shape.K
	lanes := slices.Clone(w.lanes)
	for i := range lanes {
		lanes[i].GEMM = g
	}
	lab.Announce(w.stream, lanes)
	results := make([]*bench.Result, len(lanes))
	var running []bench.Lane
	var at []int
	for i, l := range lanes {
		takes := w.expected(l)
		if takes <= patience*w.o.Budget {
			running, at = append(running, l), append(at, i)
			continue
		}
		results[i] = &bench.Result{
			Lane: l.ID, Engine: l.Engine.Name(), Device: l.Device, GEMM: g, Seed: w.o.Seed, Protocol: bench.Steady, Samples: []bench.Sample{}, Stage: bench.Preparing,
			Error: fault.Errorf(fault.Timeout, "left out: one product would take about %s", unit.Seconds(takes)).With(fault.Change("time", "{} gives it longer")),
		}
		w.stream.Emit(l.ID, results[i])
	}
	runner := w.Runner(w.stream, w.o.Timeout)
	runner.Peak = w.Peak(w.o.Settings.Options)
	lab.Bound(running)
	stop := w.o.Stop()
	stop.RoundTrips = true
	for i, x := range runner.Race(ctx, running, w.o.Seed, stop) {
		results[at[i]] = x
	}
	if ctx.Err() != nil && !slices.ContainsFunc(results, func(x *bench.Result) bool { return len(x.Samples) > 0 }) {
		return nil
	}
	w.run.Results = append(w.run.Results, results...)
	lab.Note(w.stream, fmt.Sprintf("%s: %s", shape, summary(w.run, results)))
	if w.o.File == nil || ctx.Err() != nil { // half a size would be skipped when it is continued
		return nil
	}
	one := *w.run
	one.Created, one.Elapsed, one.Results = time.Now().UTC().Truncate(time.Second), w.stream.Now(), results
	if err := w.o.File.Append(&one); err != nil {
		return fmt.Errorf("keeping %s: %w", shape, err) // which names the file
	}
	return nil
}

// expected returns about how long a lane takes for its product, by the largest that it
// has done; 0 when it has done none that says much: small ones run at a fraction of
// the speed.
func (w *sweeper) expected(l bench.Lane) time.Duration {
	g := l.GEMM
	var best *bench.Result
	for _, x := range w.run.Results {
		if x.Lane == l.ID && len(x.Samples) > 0 && (best == nil || x.GEMM.FLOP() > best.GEMM.FLOP()) {
			best = x
		}
	}
	if best == nil || best.GEMM.FLOP() > g.FLOP() || 100*best.GEMM.FLOP() < g.FLOP() {
		return 0
	}
	return time.Duration(g.FLOP() / judge.Speed(best) * float64(time.Second))
}

// summary is a size in a line while the sweep continues: the first lane, the best of the
// others of each kind of device, and those that failed.
func summary(run *record.Run, results []*bench.Result) string {
	one := *run
	one.Results = results
	s := judge.NewSweep(&one)
	var parts, failed []string
	best := map[hardware.Kind]int{}
	speed := func(i int) string { return s.Lanes[i].Name + " " + results[i].GEMM.Rate(judge.Speed(results[i])) }
	for i, r := range results {
		_, measured := r.Speed()
		switch other, ok := best[r.Device.Kind]; {
		case r.Error != nil:
			failed = append(failed, fmt.Sprintf("%s %s", s.Lanes[i].Name, r.Error.Code))
		case !measured:
		case i == 0:
			parts = append(parts, speed(i))
		case !ok || judge.Speed(r) > judge.Speed(results[other]):
			best[r.Device.Kind] = i
		}
	}
	for _, kind := range []hardware.Kind{hardware.CPU, hardware.GPU, hardware.SoftwareGPU} {
		if i, ok := best[kind]; ok {
			parts = append(parts, speed(i))
		}
	}
	return strings.Join(append(parts, failed...), ", ")
}
