// Package gpu is the lab of this machine's GPUs: Run asks the engines that need nothing but
// a driver what each GPU is, and measures what it takes to reach it.
package gpu

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
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
)

// engines reach GPUs with nothing but their drivers; libraries compute on GPUs that these reach.
var (
	engines   = known("cuda", "vulkan", "metal")
	libraries = known("cublaslt")
)

// known returns the engines that this system has.
func known(names ...string) []string {
	return slices.DeleteFunc(names, func(n string) bool { return !slices.Contains(catalog.Names(), n) })
}

// Options say how GPUs are reached.
type Options struct {
	catalog.Options
	// Driver returns the version of NVIDIA's driver, which CUDA does not tell; empty if it is
	// not known. Nil: it is left out.
	Driver func(context.Context) string
	// Time is about how long the fastest product of each card is searched for, from when the
	// engines have started; 0: it is not.
	Time time.Duration
	// DType is that of the products that are searched; empty: bfloat16, or the first of
	// float16 and float32 that the GPU computes in.
	DType matrix.DType
}

// Run describes and measures every GPU through every engine that reaches it, one after the
// other. Software GPUs are measured where there is no other. A machine without a GPU has a
// record with the reasons, and its Error.
func Run(ctx context.Context, d lab.Deps, o Options, s *event.Stream) (*record.Run, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	names := engines
	if o.Time > 0 {
		names = slices.Concat(engines, libraries)
	}
	list, err := catalog.Select(names)
	if err != nil {
		return nil, err
	}
	r := d.Begin(ctx, s, record.GPUs)
	lab.Note(s, "looking for GPUs")
	found := d.Catalog.Discover(ctx, list, o.Options, nil)
	defer catalog.Close(found)
	r.Cards, r.Missing = catalog.Cards(r.Cards, found), catalog.Missing(found)
	type lane struct {
		catalog.Contender
		device hardware.Device
	}
	var lanes []lane
	var computing []bench.Lane
	for _, c := range found {
		computing = append(computing, lab.Lanes(c, c.Racing()...)...)
		if slices.Contains(libraries, c.Name) {
			continue
		}
		for _, device := range c.Racing() {
			lanes = append(lanes, lane{c, device})
		}
	}
	hard := func(l lane) bool { return l.device.Kind == hardware.GPU }
	if slices.ContainsFunc(lanes, hard) {
		lanes = slices.DeleteFunc(lanes, func(l lane) bool { return !hard(l) })
	}
	slices.SortStableFunc(lanes, func(a, b lane) int { return cmp.Compare(number(a.device), number(b.device)) })
	driver := ""
	if o.Driver != nil && slices.ContainsFunc(lanes, func(l lane) bool { return l.device.API == "cuda" }) {
		driver = o.Driver(ctx)
	}
	var gpus []record.GPU
	for _, l := range lanes {
		if ctx.Err() != nil {
			break
		}
		lab.Note(s, fmt.Sprintf("measuring %s through %s", l.device.Name, l.Name))
		if l.device.API == "cuda" && driver != "" && l.device.Versions != nil {
			l.device.Versions = maps.Clone(l.device.Versions)
			l.device.Versions["driver"] = "NVIDIA " + driver
		}
		g := examine(ctx, l.Contender, l.device, o.Timeout)
		if ctx.Err() != nil {
			g.Error = nil // the run was interrupted, and says so
		}
		gpus = append(gpus, g)
		r.GPUs = slices.Clone(gpus)
		lab.Opened(s, r)
	}
	lab.LaneIDs(computing)
	for i := range gpus {
		if o.Time == 0 || ctx.Err() != nil || !worthSearching(i, gpus, computing) {
			continue
		}
		its := reaching(gpus[i].Device, computing)
		lab.Note(s, "searching for the fastest product of "+gpus[i].Device.Name)
		gpus[i].Fastest = findFastest(ctx, d, o, s, its)
		r.GPUs = slices.Clone(gpus)
		lab.Opened(s, r)
	}
	if len(gpus) == 0 && ctx.Err() == nil {
		r.Error = lab.NoGPU(r.Missing)
	}
	return d.Finish(ctx, s, r), nil
}

// reaching returns the lanes that compute on the card of a device.
func reaching(d hardware.Device, lanes []bench.Lane) []bench.Lane {
	return slices.DeleteFunc(slices.Clone(lanes), func(l bench.Lane) bool { return !same(l.Device, d) })
}

// worthSearching reports whether a GPU is the one that is searched of those that are the same card
// or equal: the one that most lanes reach, since CUDA_VISIBLE_DEVICES hides a card from some of
// them, and else the first.
func worthSearching(i int, gpus []record.GPU, lanes []bench.Lane) bool {
	mine := len(reaching(gpus[i].Device, lanes))
	for j, g := range gpus {
		if j == i || !same(g.Device, gpus[i].Device) && !hardware.Equal(g.Device, gpus[i].Device) {
			continue
		}
		if its := len(reaching(g.Device, lanes)); its > mine || its == mine && j < i {
			return false
		}
	}
	return true
}

// same reports whether two devices are one card, or one device of none.
func same(a, b hardware.Device) bool {
	if a.Card == nil || b.Card == nil {
		return a.Card == b.Card && a.API == b.API && a.ID == b.ID
	}
	return *a.Card == *b.Card
}

func (o Options) check() error {
	switch {
	case o.Time < 0 || o.Time > 0 && o.Time < leastTime:
		return fault.Errorf(fault.Invalid, "%s are too short to search for the fastest product: at least %s are needed", o.Time, leastTime).With(fault.Set("time", "30s", ""))
	case o.DType != "" && !slices.Contains(matrix.DTypes, o.DType):
		return fault.Errorf(fault.Invalid, "unknown type %q", o.DType).With(fault.Change("dtype", "{} can be float64, float32, tf32, float16, bfloat16 or int8"))
	}
	return nil
}

// number sorts devices by their cards; those of no card come last.
func number(d hardware.Device) int {
	if d.Card == nil {
		return math.MaxInt
	}
	return *d.Card
}

// examine describes and measures one GPU through an engine. What was measured before an
// error is kept.
func examine(ctx context.Context, c catalog.Contender, d hardware.Device, timeout time.Duration) record.GPU {
	g := record.GPU{Engine: c.Name, Device: d}
	for _, t := range matrix.DTypes {
		p := bench.Square(1, t)
		if ops, source, ok := hardware.PublishedPeak(d.Name, string(p.In), string(p.Acc)); ok && d.Kind == hardware.GPU {
			g.Published = append(g.Published, record.Published{DType: t, Ops: ops, Source: source})
		}
	}
	limited := func(f func(context.Context) error) error {
		step, cancel := ctx, context.CancelFunc(func() {})
		if timeout > 0 {
			step, cancel = context.WithTimeout(ctx, timeout)
		}
		defer cancel()
		err := f(step)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = fault.Errorf(fault.Timeout, "not measured within %s", timeout).With(fault.Change("timeout", "{} gives it longer"))
		}
		return err
	}
	err := limited(func(ctx context.Context) (err error) {
		g.Description, err = c.Client.Describe(ctx, d)
		return err
	})
	if errors.Is(err, fault.Unsupported) { // such an engine has no copies to time
		err = nil
	}
	if err == nil {
		err = limited(func(ctx context.Context) error { return launch(ctx, c.Client, d, &g) })
	}
	g.Error = fault.From(err)
	return g
}

// How the launch of a kernel is measured.
const (
	launchSamples = 25
	manyLaunches  = 2048
	manySamples   = 7
)

// launch measures how long a product of 1×1×1 takes, of which launching is nearly all: alone,
// with a wait, and many in succession. The product that each sample leaves is checked.
func launch(ctx context.Context, e bench.Engine, d hardware.Device, g *record.GPU) (err error) {
	const seed = 1
	p := bench.Square(1, matrix.Float32)
	var refs [matrix.Sets]*matrix.Reference
	if refs[0], err = matrix.NewReference(ctx, matrix.Problem{M: p.M, N: p.N, K: p.K, In: p.In, Seed: seed}); err != nil {
		return err
	}
	if refs[1], err = refs[0].Other(ctx, 1); err != nil {
		return err
	}
	task, err := e.Prepare(ctx, d, p, seed, func(bench.Tuning) {})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, task.Close()) }()
	g.Notes = task.Facts().Notes
	sample := func(n, set int) (float64, error) {
		s, err := task.Run(ctx, n, set)
		if err != nil {
			return 0, err
		}
		check, err := refs[set].CheckProduct(func(x []float64) ([]float64, error) { return task.MulVec(ctx, x) }, p.Acc, p.Out)
		if err == nil && !check.Passed {
			err = fault.Errorf(fault.Wrong, "a product of 1×1×1 is wrong")
		}
		return s.Seconds(), err
	}
	for _, series := range []struct {
		n, samples int
		into       *[]float64
	}{{1, launchSamples, &g.Launch}, {manyLaunches, manySamples, &g.Launches}} {
		var seconds []float64
		for i := range 1 + series.samples {
			x, err := sample(series.n, i%matrix.Sets)
			if err != nil {
				return err
			}
			if i > 0 { // the first warms up
				seconds = append(seconds, x)
			}
		}
		*series.into = seconds
	}
	return nil
}
