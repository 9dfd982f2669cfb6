package gpu

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

const (
	finalists = 3   // products of the grid that are measured in turns after the climb
	climbing  = 0.6 // share of the time after which the climb ends
	sampling  = 0.2 // share of the time that the samples of the finalists may take
	memory    = 0.8 // share of a GPU's memory that a product may take

	leastTime = 5 * time.Second // of a search

	lookTime   = 20 * time.Millisecond  // of a sample during the climb
	looks      = 3                      // samples of a product during the climb, after one that warms up
	longest    = 100 * time.Millisecond // that the largest product of a grid may take
	least      = 64                     // smallest unit of a grid
	most       = 1024                   // largest
	searchSeed = 1
)

// A search is one for the fastest product of a card, through the engines that reach it.
type search struct {
	sink    event.Sink
	runner  *bench.Runner
	lanes   []bench.Lane // the fastest comes first once they were compared
	dtype   matrix.DType
	unit    int
	time    time.Duration
	begin   time.Duration
	limit   time.Duration // of one product; 0: none
	costs   []cost
	fastest *record.Fastest
}

// A cost is what it took to measure a product during the climb.
type cost struct {
	bytes, speed float64
	took         time.Duration
}

// findFastest searches a grid of products for the fastest one that a card computes, for about
// as long as o.Time. Every product that is tried is checked. An interrupted search, and one
// that fails, keeps what it has tried.
func findFastest(ctx context.Context, d lab.Deps, o Options, s *event.Stream, lanes []bench.Lane) *record.Fastest {
	x := &search{sink: s, runner: d.Runner(s.Quiet(), o.Timeout), lanes: lanes, time: o.Time, begin: s.Now(), limit: o.Timeout, fastest: &record.Fastest{}}
	err := x.choose(ctx, o.DType)
	if err == nil {
		climb(func(p point) float64 { return x.try(ctx, p, &err) }, func() bool { return err != nil || x.late(climbing) })
	}
	if err == nil {
		x.finals(ctx)
	}
	if ctx.Err() == nil {
		x.fastest.Error = fault.From(err)
	}
	x.fastest.Took = s.Now() - x.begin
	return x.fastest
}

// late reports whether a share of the time is over.
func (x *search) late(share float64) bool {
	return x.sink.Now()-x.begin > time.Duration(share*float64(x.time))
}

// choose sets the type, unless one was asked for, and the unit of the grid, and puts the lane
// of the fastest engine first. Lanes that cannot compute such products are left out.
func (x *search) choose(ctx context.Context, asked matrix.DType) error {
	types := []matrix.DType{matrix.BFloat16, matrix.Float16, matrix.Float32}
	if asked != "" {
		types = []matrix.DType{asked}
	}
	var err error
	for _, x.dtype = range types {
		var speeds map[string]float64
		if speeds, err = x.compare(ctx); len(speeds) > 0 {
			x.lanes = slices.DeleteFunc(x.lanes, func(l bench.Lane) bool { return speeds[l.ID] == 0 })
			slices.SortStableFunc(x.lanes, func(a, b bench.Lane) int { return cmp.Compare(speeds[b.ID], speeds[a.ID]) })
			break
		}
		if ctx.Err() != nil || !errors.Is(err, fault.Unsupported) {
			return err
		}
	}
	if err != nil {
		return err
	}
	x.fastest.DType = x.dtype
	for _, n := range multiples {
		x.fastest.Sizes = append(x.fastest.Sizes, n*x.unit)
	}
	return nil
}

// compare sets the unit of the grid, and returns the speed of the product in its middle in
// each lane, by ID. The error is that of the first lane, if no lane has a speed.
func (x *search) compare(ctx context.Context) (map[string]float64, error) {
	speeds := map[string]float64{}
	errs := map[string]error{}
	x.unit = least
	for _, l := range x.lanes {
		errs[l.ID] = x.size(ctx, l)
	}
	for _, l := range x.lanes {
		if errs[l.ID] == nil {
			var speed float64
			if speed, errs[l.ID] = x.look(ctx, l, x.gemm(middle)); errs[l.ID] == nil {
				speeds[l.ID] = speed
			}
		}
	}
	if len(speeds) > 0 {
		return speeds, nil
	}
	return nil, errs[x.lanes[0].ID]
}

// gemm is the product of a point.
func (x *search) gemm(p point) bench.GEMM {
	g := bench.Square(1, x.dtype)
	g.M, g.N, g.K = multiples[p[0]]*x.unit, multiples[p[1]]*x.unit, multiples[p[2]]*x.unit
	return g
}

// size makes the unit as large as a lane's speed and its memory allow: the largest product of
// the grid takes no longer than the constant. A slow GPU reaches its speed with small products.
func (x *search) size(ctx context.Context, l bench.Lane) error {
	for x.unit < most {
		speed, err := x.look(ctx, l, x.gemm(middle))
		if err != nil {
			return err
		}
		before := x.unit
		for x.unit < most {
			larger := *x
			larger.unit *= 2
			last := len(multiples) - 1
			g := larger.gemm(point{last, last, last})
			if g.FLOP()/speed > longest.Seconds() || !fits(l, g) {
				break
			}
			x.unit = larger.unit
		}
		if x.unit == before {
			break
		}
	}
	return nil
}

// fits reports whether a GPU has memory for a product.
func fits(l bench.Lane, g bench.GEMM) bool {
	return l.Device.Memory == nil || g.Footprint() <= memory*float64(*l.Device.Memory)
}

// try measures a point through the fastest engine; 0: there is no memory or no time for it.
// Any other reason not to measure it goes to err, and ends the climb.
func (x *search) try(ctx context.Context, p point, err *error) float64 {
	g := x.gemm(p)
	left := time.Duration(climbing*float64(x.time)) - (x.sink.Now() - x.begin)
	if !fits(x.lanes[0], g) || x.expected(g) > left {
		return 0
	}
	speed, failed := x.look(ctx, x.lanes[0], g)
	if failed != nil && !errors.Is(failed, fault.OutOfMemory) {
		*err = failed
	}
	return speed
}

// expected is how long it takes to measure a product, by the known one whose matrices are
// nearest in size.
func (x *search) expected(g bench.GEMM) time.Duration {
	var near cost
	for _, c := range x.costs {
		if near.bytes == 0 || math.Abs(math.Log(c.bytes/g.Bytes())) < math.Abs(math.Log(near.bytes/g.Bytes())) {
			near = c
		}
	}
	if near.bytes == 0 {
		return 0
	}
	computing := (2 + looks) * g.FLOP() / near.speed // most of it where a product takes longer than a sample should
	return time.Duration(float64(near.took)*max(1, g.Bytes()/near.bytes) + computing*float64(time.Second))
}

// look measures a product in a lane, once: the median of a few samples after one that warms
// up, of which the last is checked.
func (x *search) look(ctx context.Context, l bench.Lane, g bench.GEMM) (float64, error) {
	for _, t := range x.fastest.Tried { // a lane may be compared at a product that decided the unit
		if t.Error == nil && t.Engine == l.Engine.Name() && t.M == g.M && t.N == g.N && t.K == g.K && t.DType == x.dtype {
			return t.Speed, nil
		}
	}
	begin := x.sink.Now()
	limited, cancel := measure.Limit(ctx, x.limit, "no answer within")
	defer cancel()
	tried := record.Tried{Engine: l.Engine.Name(), DType: x.dtype, M: g.M, N: g.N, K: g.K}
	speed, err := look(limited, l, g)
	if err != nil {
		if err = measure.Because(limited, err); ctx.Err() == nil {
			tried.Error = fault.From(err)
			x.fastest.Tried = append(x.fastest.Tried, tried)
		}
		return 0, err
	}
	x.costs = append(x.costs, cost{g.Bytes(), speed, x.sink.Now() - begin})
	best := true
	for _, t := range x.fastest.Tried {
		best = best && t.Speed < speed
	}
	if best {
		lab.Note(x.sink, fmt.Sprintf("%s in %s through %s: %s", unit.Cube(g.M, g.N, g.K), x.dtype, l.Engine.Name(), g.Rate(speed)))
	}
	tried.Speed = speed
	x.fastest.Tried = append(x.fastest.Tried, tried)
	return speed, nil
}

func look(ctx context.Context, l bench.Lane, g bench.GEMM) (speed float64, err error) {
	task, err := l.Engine.Prepare(ctx, l.Device, g, searchSeed, func(bench.Tuning) {})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, task.Close()) }()
	n := 1
	var seconds []float64
	for i := range 2 + looks { // the first shows how long a product takes, the second warms up, the last has set 0
		s, err := task.Run(ctx, n, (1+looks-i)%matrix.Sets)
		if err != nil {
			return 0, err
		}
		if each := s.Seconds(); i < 2 && each > 0 {
			n = int(min(1e6, max(1, math.Ceil(lookTime.Seconds()/each))))
		}
		if i >= 2 {
			seconds = append(seconds, s.Seconds())
		}
	}
	ref, err := matrix.NewReference(ctx, matrix.Problem{M: g.M, N: g.N, K: g.K, In: g.In, Seed: searchSeed})
	if err != nil {
		return 0, err
	}
	check, err := ref.CheckProduct(func(v []float64) ([]float64, error) { return task.MulVec(ctx, v) }, g.Acc, g.Out)
	if err != nil {
		return 0, err
	}
	if !check.Passed {
		return 0, fault.Errorf(fault.Wrong, "a product of %s in %s is wrong", unit.Cube(g.M, g.N, g.K), g.In)
	}
	return g.FLOP() / stats.Median(seconds), nil
}

// finals measures the fastest products in turns, by all rules of a race; the fastest of all
// through each other engine, too.
func (x *search) finals(ctx context.Context) {
	var best []record.Tried
	for _, t := range x.fastest.Tried {
		if t.Error == nil && t.Engine == x.lanes[0].Engine.Name() && t.DType == x.dtype {
			best = append(best, t)
		}
	}
	slices.SortStableFunc(best, func(a, b record.Tried) int { return cmp.Compare(b.Speed, a.Speed) })
	best = best[:min(finalists, len(best))]
	var lanes []bench.Lane
	add := func(l bench.Lane, t record.Tried) {
		l.GEMM = bench.Square(1, x.dtype)
		l.GEMM.M, l.GEMM.N, l.GEMM.K = t.M, t.N, t.K
		lanes = append(lanes, l)
	}
	for _, t := range best {
		add(x.lanes[0], t)
	}
	for _, l := range x.lanes[1:] {
		add(l, best[0])
	}
	lab.LaneIDs(lanes)
	lab.Bound(lanes)
	lab.Note(x.sink, "measuring the fastest products in turns")
	lab.Reserve(ctx, lanes)
	stop := bench.Stop{Budget: time.Duration(sampling * float64(x.time)), Until: x.begin + x.time}
	for _, r := range x.runner.Race(ctx, lanes, searchSeed, stop) {
		if r == nil { // there was no time for it
			continue
		}
		r.Warnings = slices.DeleteFunc(r.Warnings, func(w measure.Warning) bool { return w.Code == measure.Smaller }) // they differ on purpose
		x.fastest.Finals = append(x.fastest.Finals, r)
	}
}
