// Package rungs is the laboratory that climbs a ladder: one product on a GPU in better and
// better ways, through CUDA beside NVIDIA's cuBLASLt, if it is installed, or through Vulkan.
package rungs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/learn"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

const (
	// Size is the usual n of the n×n×n product: large enough to keep every GPU busy. It is
	// smaller on a device on which the first rung of it would take too long.
	Size = 4096
	// Limit is the largest: the first rung of a larger one would take seconds.
	Limit = 16384
)

// Engines have a ladder each. The first that reaches a GPU is climbed.
var Engines = []string{"cuda", "vulkan"}

// Options say what Climb measures.
type Options struct {
	Size   int    // n of an n×n×n product; 0: Size
	Engine string // one of Engines; empty: the first that reaches a GPU
}

// A climb is a ladder while it is measured.
type climb struct {
	rungs   []rung
	device  hardware.Device
	size    int
	sms     func() int   // multiprocessors of the GPU, once a product was prepared; nil: not known
	library bench.Engine // what the rungs are measured beside; nil: nothing
	skipped []string     // engines that came first and reach no GPU, with why
	stream  *event.Stream
}

// A rung is what is known of a step before it is measured.
type rung struct {
	record.Rung
	// open returns an engine that computes with the rung's kernel alone, and what ends it.
	open     func(ctx context.Context) (bench.Engine, func(), error)
	perClock func() float64 // record.Rung's PerClock, once a product was prepared; nil: not known
}

// Climb measures the rungs on the first GPU. One that the GPU has no instructions for is
// left out. Without cuBLASLt, the rungs are measured alone.
func Climb(ctx context.Context, d lab.Deps, o Options, s *event.Stream) (*record.Run, error) {
	if o.Size < 0 || o.Size > Limit {
		return nil, fault.Errorf(fault.Invalid, "size %d: at least 1, and at most %d: the first rung of a larger one would take seconds for a product", o.Size, Limit).
			With(fault.Run("{} takes any size", "gpuplay", "matmul"))
	}
	if o.Engine != "" && !slices.Contains(Engines, o.Engine) {
		return nil, fault.Errorf(fault.Invalid, "engine %q has no ladder on a GPU", o.Engine).With(fault.DidYouMean(o.Engine, Engines))
	}
	c, err := find(ctx, d, o)
	if err != nil {
		return nil, err
	}
	c.stream = s
	return c.run(ctx, d)
}

// find returns the ladder of the first engine that reaches a GPU, or of the one that was
// asked for.
func find(ctx context.Context, d lab.Deps, o Options) (*climb, error) {
	var reasons []string
	var missing []record.Missing
	for _, e := range []struct {
		name string
		find func(ctx context.Context, d lab.Deps, size int) (*climb, error)
	}{{"cuda", onCUDA}, {"vulkan", onVulkan}} {
		if o.Engine != "" && o.Engine != e.name {
			continue
		}
		c, err := e.find(ctx, d, o.Size)
		if err == nil {
			c.skipped = reasons
		}
		if err == nil || ctx.Err() != nil {
			return c, err
		}
		reasons = append(reasons, fmt.Sprintf("%s: %v", e.name, err))
		missing = append(missing, record.Missing{Engine: e.name, Reason: err.Error(), Remedies: fault.From(err).Remedies})
	}
	return nil, lab.NoGPU(missing).With(fault.Run("{} measures the steps on the CPU", "gpuplay", "learn", "matmul"))
}

// run measures the rungs.
func (c *climb) run(ctx context.Context, d lab.Deps) (*record.Run, error) {
	r := d.Begin(ctx, c.stream, record.Learn)
	for _, reason := range c.skipped {
		lab.Note(c.stream, "not through "+reason)
	}
	l := record.Ladder{Size: c.size, GPU: c.device.Name, API: c.device.API, Software: c.device.Kind == hardware.SoftwareGPU}
	c.stream.Emit("", event.Size{M: c.size, N: c.size, K: c.size})
	if err := c.measure(ctx, func(rung record.Rung) {
		if c.sms != nil {
			l.SMs = c.sms()
		}
		l.Rungs = append(slices.Clone(l.Rungs), rung)
		now := l
		r.Ladder = &now
		lab.Opened(c.stream, r)
	}); err != nil && ctx.Err() == nil {
		return nil, err
	}
	if r.Ladder == nil {
		r.Ladder = &l
	}
	return d.Finish(ctx, c.stream, r), nil
}

// measure measures every rung.
func (c *climb) measure(ctx context.Context, observe func(record.Rung)) error {
	for rest := c.rungs; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(r rung) bool { return r.DType != rest[0].DType })
		if n < 0 {
			n = len(rest)
		}
		if err := c.measureType(ctx, rest[:n], observe); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// measureType measures rungs of one type beside one task of the library.
func (c *climb) measureType(ctx context.Context, rungs []rung, observe func(record.Rung)) (err error) {
	g := bench.Square(c.size, rungs[0].DType)
	ref, err := matrix.NewReference(ctx, matrix.Problem{M: g.M, N: g.N, K: g.K, In: g.In, Seed: learn.Seed})
	if err != nil {
		return err
	}
	library, err := c.prepareLibrary(ctx, g)
	if err != nil {
		return err
	}
	if library != nil {
		defer func() { err = errors.Join(err, library.Close()) }()
	}
	for _, r := range rungs {
		rung, err := c.one(ctx, r, g, library, ref)
		if errors.Is(err, fault.Unsupported) {
			lab.Note(c.stream, fmt.Sprintf("left out: %v", err))
			continue
		}
		if err != nil {
			return err
		}
		observe(rung)
		lab.Note(c.stream, fmt.Sprintf("%s: %s", rung.Name, g.Rate(g.FLOP()/stats.Median(rung.Seconds))))
	}
	return nil
}

func ignore(bench.Tuning) {}

// prepareLibrary returns cuBLASLt's task, or nil where it cannot be had.
func (c *climb) prepareLibrary(ctx context.Context, g bench.GEMM) (bench.Task, error) {
	if c.library == nil {
		return nil, nil
	}
	t, err := c.library.Prepare(ctx, c.device, g, learn.Seed, ignore)
	if err != nil && ctx.Err() == nil {
		lab.Note(c.stream, fmt.Sprintf("without cuBLASLt beside it: %v", err))
		return nil, nil
	}
	return t, err
}

const (
	// A sample is as many products as take about this long.
	sampleTime = 20 * time.Millisecond
	samples    = 9
)

// one measures a rung: samples in turns with the library's, then the check of its product.
func (c *climb) one(ctx context.Context, r rung, g bench.GEMM, library bench.Task, ref *matrix.Reference) (rung record.Rung, err error) {
	engine, end, err := r.open(ctx)
	if err != nil {
		return rung, err
	}
	defer end()
	task, err := engine.Prepare(ctx, c.device, g, learn.Seed, ignore)
	if err != nil {
		return rung, err
	}
	defer func() { err = errors.Join(err, task.Close()) }()
	rung = r.Rung
	if r.perClock != nil {
		rung.PerClock = r.perClock()
	}
	lane := "learn/" + strings.ReplaceAll(rung.Name, " ", "-")
	times := 0 // in a sample
	if _, err := c.sample(ctx, task, &times); err != nil {
		return rung, err
	}
	libraryTimes := 0
	if library != nil {
		if _, err := c.sample(ctx, library, &libraryTimes); err != nil {
			return rung, err
		}
	}
	for range samples {
		if library != nil {
			s, err := c.sample(ctx, library, &libraryTimes)
			if err != nil {
				return rung, err
			}
			rung.Library = append(rung.Library, seconds(s))
		}
		own, err := c.sample(ctx, task, &times)
		if err != nil {
			return rung, err
		}
		c.stream.Emit(lane, own)
		rung.Seconds = append(rung.Seconds, seconds(own))
	}
	check, err := ref.CheckProduct(func(x []float64) ([]float64, error) { return task.MulVec(ctx, x) }, g.Acc, g.Out)
	if err != nil {
		return rung, err
	}
	c.stream.Emit(lane, bench.Checked{Check: check})
	if !check.Passed {
		return rung, fault.Errorf(fault.Wrong, "the product of %q is wrong on %s", rung.Name, c.device.Name).
			With(fault.Advice(fmt.Sprintf("report it, with the GPU's name and what gpuplay doctor says: %s", unit.Cube(g.M, g.N, g.K)))...)
	}
	return rung, nil
}

// sample computes products for about sampleTime. The first call, with times 0, finds out
// how many that are.
func (c *climb) sample(ctx context.Context, t bench.Task, times *int) (bench.Sample, error) {
	if *times == 0 {
		s, err := t.Run(ctx, 1, 0)
		if err != nil {
			return s, err
		}
		*times = max(1, min(10000, int(sampleTime.Seconds()/seconds(s))))
	}
	start := c.stream.Now()
	s, err := t.Run(ctx, *times, 0)
	s.Start, s.End = start, c.stream.Now()
	return s, err
}

// seconds is the time of one product, by the GPU's clock where it has one.
func seconds(s bench.Sample) float64 {
	if s.Device != nil {
		return s.Device.Seconds() / float64(s.Iters)
	}
	return s.Seconds()
}
