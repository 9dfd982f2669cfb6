// Package race measures one product in several engines and devices side by side, and
// in a single one by name. It finds the lanes, chooses the size, has package bench
// measure them in turns, and returns the record. Who won, and by how much, package
// judge says.
package race

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Options are a race's.
type Options struct {
	lab.Settings
	Engines []string     // their names; none: all
	Size    int          // n of an n×n×n product; 0: so that measuring takes about Budget
	DType   matrix.DType // of the product, as bench.Square means it
	// AllGPUs has each of several equal GPUs measured, not one in the place of all.
	AllGPUs bool
	// Preliminary has the engines that start at once measured before the others are
	// started, so that there is a first figure within a second.
	Preliminary bool
}

const (
	// preliminarySize is small enough to be measured at once on any machine and large
	// enough to mean something; preliminaryGPU is the same for GPUs. The times are for the
	// samples: of all CPU lanes together, and of a GPU.
	preliminarySize    = 1024
	preliminaryTime    = 300 * time.Millisecond
	preliminaryGPU     = 2048
	preliminaryGPUTime = 60 * time.Millisecond
)

// enter starts engines and returns what came of all that were started until now.
type enter func(context.Context, []catalog.Entry) entered

// entered is what can race, what is there and does not, and what is missing.
type entered struct {
	lanes   []bench.Lane
	leftOut []record.LeftOut
	missing []record.Missing
}

// Run finds every engine and device, and races them.
func Run(ctx context.Context, d lab.Deps, o Options, s *event.Stream) (*record.Run, error) {
	entries, err := catalog.Select(o.Engines)
	if err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	r := d.Begin(ctx, s, record.Race)
	listed := r.Cards
	var found []catalog.Contender
	defer func() { catalog.Close(found) }()
	return run(ctx, d, o, s, r, entries, func(ctx context.Context, list []catalog.Entry) entered {
		found = append(found, d.Start(ctx, s, list, o.Settings.Options)...)
		r.Cards = catalog.Cards(listed, found)
		lanes, leftOut := lab.Racing(found, o.AllGPUs)
		return entered{lanes, leftOut, catalog.Missing(found)}
	})
}

func (o Options) check() error {
	if o.Size < 0 {
		return fault.Errorf(fault.Invalid, "%d is not a size: at least 1 is needed", o.Size).With(fault.Change("size", "leave {} out to have it chosen"))
	}
	return o.Settings.Check()
}

// run is Run with the engines' start as an argument.
func run(ctx context.Context, d lab.Deps, o Options, s *event.Stream, r *record.Run, entries []catalog.Entry, start enter) (*record.Run, error) {
	of := func(n int) bench.GEMM { return o.Square(n, o.DType) }
	var quick, slow []catalog.Entry
	for _, e := range entries {
		if e.Quick() {
			quick = append(quick, e)
		} else {
			slow = append(slow, e)
		}
	}
	in := start(ctx, quick)
	first, early := in.lanes, []*bench.Result(nil)
	// When nothing else has to start, a race of small products is as quick itself.
	if small := o.Size > 0 && o.Size <= preliminarySize; o.Preliminary && len(first) > 0 && (len(slow) > 0 || !small) {
		early = preliminary(ctx, d, o, s, first, of)
	}
	if len(slow) > 0 {
		in = start(ctx, slow)
	}
	lanes := in.lanes
	r.Missing, r.LeftOut = in.missing, in.leftOut
	if len(lanes) == 0 {
		return nil, cmp.Or(ctx.Err(), lab.Nothing(r.Missing))
	}
	lab.Reserve(ctx, lanes)

	for i := range lanes {
		lanes[i].GEMM = of(cmp.Or(o.Size, preliminarySize)) // the kind of product is known, if not its size
	}
	stop := o.Stop()
	r.Threads, r.Repeat = o.Threads, o.Repeat
	if o.Repeat == 0 {
		r.Budget = o.Budget
	}
	lab.Opened(s, r)
	lab.Announce(s, lanes)
	runner := d.Runner(s, o.Timeout)
	runner.Peak, runner.Sensors = d.Peak(o.Settings.Options), d.Sensors()
	// What is beside the time to measure, such as the checks at the end, stays within as
	// much again.
	if o.Repeat == 0 {
		stop.Until, stop.Latest = s.Now()+o.Budget*8/5, s.Now()+o.Budget*9/5
	}
	if o.Size == 0 {
		runner.Plan(ctx, lanes, of, o.Seed, stop)
	}
	largest := slices.MaxFunc(lanes, func(a, b bench.Lane) int { return cmp.Compare(a.GEMM.FLOP(), b.GEMM.FLOP()) }).GEMM
	lab.Note(s, "measuring "+unit.Cube(largest.M, largest.N, largest.K))
	lab.Bound(lanes)
	for i, x := range runner.Race(ctx, lanes, o.Seed, stop) {
		if x == nil {
			r.LeftOut = append(r.LeftOut, record.LeftOut{Engine: lanes[i].Engine.Name(), Device: lanes[i].Device, Why: record.NoTime, Start: lanes[i].Start})
			continue
		}
		r.Results = append(r.Results, x)
	}
	if ctx.Err() != nil && !r.Measured() {
		r.Results = fallback(s, first, early, r.Results)
	}
	return d.Finish(ctx, s, r), nil
}

// preliminary notes a first figure of the engines that are there at once, GPUs first and
// software GPUs not at all, each as soon as it is known: verified, but not warmed up, and so in
// no ratio.
func preliminary(ctx context.Context, d lab.Deps, o Options, s *event.Stream, lanes []bench.Lane, of func(n int) bench.GEMM) []*bench.Result {
	results := make([]*bench.Result, len(lanes))
	measure := func(i int, g bench.GEMM, limit time.Duration) {
		lanes[i].GEMM = g
		results[i] = d.Runner(s.Quiet(), o.Timeout).Race(ctx, lanes[i:i+1], o.Seed, bench.Stop{Budget: limit, Cold: true})[0]
		if results[i] == nil { // no time
			return
		}
		if speed, ok := results[i].Speed(); ok {
			lab.Note(s, results[i].Label()+": "+g.Rate(speed.Value)+", preliminary, at "+unit.Cube(g.M, g.N, g.K))
		}
	}
	for i := range lanes {
		if lanes[i].Device.Kind == hardware.GPU {
			measure(i, of(preliminaryGPU), preliminaryGPUTime)
		}
	}
	for i := range lanes {
		if lanes[i].Device.Kind == hardware.CPU {
			measure(i, of(preliminarySize), preliminaryTime/time.Duration(len(lanes)))
		}
	}
	return slices.DeleteFunc(results, func(x *bench.Result) bool { return x == nil })
}

// fallback returns the preliminary results in the place of a race that was interrupted
// before it measured anything, if there are any: they are the only figures then, and
// are told of now.
func fallback(s *event.Stream, lanes []bench.Lane, early, results []*bench.Result) []*bench.Result {
	if !slices.ContainsFunc(early, func(x *bench.Result) bool { return len(x.Samples) > 0 }) {
		return results
	}
	lab.Announce(s, lanes)
	for _, x := range early {
		s.Emit(x.Lane, event.Size{M: x.GEMM.M, N: x.GEMM.N, K: x.GEMM.K})
		for _, sample := range x.Samples {
			s.Emit(x.Lane, sample)
		}
		if x.Check != nil {
			s.Emit(x.Lane, bench.Checked{Check: *x.Check})
		}
		s.Emit(x.Lane, x)
	}
	return early
}
