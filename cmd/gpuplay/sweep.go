package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/report"
	"github.com/gpuplay/gpuplay/internal/sweep"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// sweepFlags are sweep's.
type sweepFlags struct {
	measureFlags
	engines   []string
	sizes     string
	shapes    string
	resume    string
	plot      string
	crossover bool
	kept      string // the file that each size goes to once it is measured; empty: none
}

const usualSizes = "64:4096"

func newSweep(a *app) *cobra.Command {
	var f sweepFlags
	c := &cobra.Command{
		Use:   "sweep",
		Short: "Measure engines over a range of sizes, side by side",
		Long: `sweep measures the same products in every engine, size after size, the samples of
each size in turns, and compares the first engine with the best of the others.

Sizes are a range by powers of two (64:8192), with steps (64:8192:+256, 64:8192:*1.5),
a list of such, or shapes m×n×k. With --output FILE.jsonl each size is written once it
is measured; --resume FILE.jsonl continues after Ctrl-C or a crash, under the same
conditions or not at all. --plot FILE.svg draws it.`,
		Example: `  gpuplay sweep
  gpuplay sweep --engines gocpu,blas:openblas,blas:mkl --threads 1 --sizes 16:1024 --output f32.jsonl
  gpuplay sweep --shapes 5x4096x4096,64x64x100000 --time 30s
  gpuplay sweep --crossover --plot crossover.svg`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.sweep(c.Context(), c.Flags(), f) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringSliceVar(&f.engines, "engines", nil, "these, in this order, each with a device if it has more: gocpu,blas:openblas,torch:cpu")
	fl.StringVar(&f.sizes, "sizes", "", "n of n×n×n products: 64:8192, 64:8192:+256, 64,100,1k (default "+usualSizes+")")
	fl.StringVar(&f.shapes, "shapes", "", "other products: 5x4096x4096,64x64x100000")
	fl.BoolVar(&f.crossover, "crossover", false, "find the size from which the GPU wins")
	f.addCommon(fl, time.Minute)
	fl.StringVar(&f.resume, "resume", "", "continue this file of an earlier --output FILE.jsonl")
	fl.StringVar(&f.plot, "plot", "", "draw the sweep into this SVG file")
	fl.Lookup("time").Usage = "about how long to measure each size"
	fl.Lookup("format").Usage = "table, json, jsonl, csv, md or svg (default: by --output's ending, else table)"
	fl.Lookup("output").Usage = "write the sweep to this file: as .jsonl size by size, else all of it or nothing"
	return c
}

// sweepFormats are the ways to write a sweep.
var sweepFormats = map[string]func(io.Writer, *report.Sweep) error{
	"json":  report.SweepJSON,
	"jsonl": report.SweepJSONL,
	"csv":   report.SweepCSV,
	"md":    report.SweepMarkdown,
	"svg":   report.SweepSVG,
}

var sweepFormatNames = []string{"table", "json", "jsonl", "csv", "md", "svg"}

// shapeList returns the sizes that the flags ask for.
func (f *sweepFlags) shapeList() ([]sweep.Shape, error) {
	if f.sizes == "" && f.shapes == "" {
		f.sizes = usualSizes
	}
	var shapes []sweep.Shape
	for _, part := range []struct {
		flag, text string
		parse      func(string) ([]sweep.Shape, error)
	}{{"sizes", f.sizes, sweep.ParseSizes}, {"shapes", f.shapes, sweep.ParseShapes}} {
		if part.text == "" {
			continue
		}
		more, err := part.parse(part.text)
		if err != nil {
			return nil, usagef("", "--%s: %v", part.flag, err)
		}
		shapes = append(shapes, more...)
	}
	return shapes, nil
}

// A wanted lane is what --engines names: an engine, and a device of it or all that
// a race would have.
type wanted struct{ engine, device string }

func parseWanted(names []string) ([]wanted, []engine, error) {
	var list []wanted
	var engines []string
	for _, n := range names {
		e, device, _ := strings.Cut(n, ":")
		list = append(list, wanted{e, device})
		engines = append(engines, e)
	}
	chosen, err := selectEngines(engines)
	return list, chosen, err
}

// wantedLanes returns the lanes in the order in which they were asked for.
func wantedLanes(list []wanted, found []contender) ([]bench.Lane, error) {
	if len(list) == 0 {
		return lanes(found), nil
	}
	var out []bench.Lane
	for _, w := range list {
		c := found[slices.IndexFunc(found, func(c contender) bool { return c.engine.name == w.engine })]
		if w.device == "" && c.err == nil {
			out = append(out, lanes([]contender{c})...)
			continue
		}
		lane, err := choose(c, w.device)
		if err != nil {
			return nil, err
		}
		out = append(out, lane)
	}
	for i, l := range out {
		if slices.ContainsFunc(out[:i], func(o bench.Lane) bool { return o.Engine.Name() == l.Engine.Name() && o.Device.ID == l.Device.ID }) {
			return nil, usagef("name each once", "--engines names %s:%s twice", l.Engine.Name(), l.Device.API)
		}
	}
	return out, nil
}

func (a *app) sweep(ctx context.Context, fl *pflag.FlagSet, f sweepFlags) error {
	dtype, err := f.checkCommon(fl)
	if err != nil {
		return err
	}
	shapes, err := f.shapeList()
	if err != nil {
		return err
	}
	if err := f.checkOutput(); err != nil {
		return err
	}
	list, chosen, err := parseWanted(f.engines)
	if err != nil {
		return err
	}
	if err := f.checkISA(chosen); err != nil {
		return err
	}
	record, err := f.record()
	if err != nil {
		return err
	}
	if record != nil {
		defer record.Close()
	}

	p := newProgress(a.stderr, f.quiet, a.env.style(a.stderr))
	found := a.start(ctx, p, chosen, f.laneFlags)
	defer func() { closeClients(found) }()
	contenders, err := wantedLanes(list, found)
	if err == nil && len(contenders) == 0 {
		err = a.nothing(ctx, &report.Document{NotRaced: missing(found)})
	}
	if err == nil && f.crossover && !slices.ContainsFunc(contenders, func(l bench.Lane) bool { return l.Device.Kind == hardware.GPU }) {
		err = &fault.Error{Code: fault.Unavailable, Message: "--crossover: no GPU to compare with the CPU", Remedies: fault.Advice("if this machine has one: gpuplay doctor")}
	}
	d := a.document(ctx)
	d.Threads = f.threads
	if err == nil && record != nil {
		if err = record.Mismatch(d, contenders, bench.Square(1, dtype), f.seed); err != nil {
			err = usagef("the same machine, program and flags continue it; --output starts another", "--resume %s: %v", f.resume, err)
		}
	}
	if err != nil {
		p.close()
		return err
	}
	s := &sweeper{app: a, f: f, p: p, dtype: dtype, lanes: contenders, head: d, record: record}
	s.out.Crossover = f.crossover
	if record != nil {
		s.out.Points = record.Points
	}
	reserveFor(ctx, found, contenders)
	err = s.run(ctx, shapes)
	p.close()
	if err := errors.Join(err, a.deliverSweep(ctx, f, &s.out)); err != nil {
		return err
	}
	return sweepOutcome(ctx, &s.out)
}

// checkOutput settles where the sweep goes. Sizes go into a record as they come, of
// which people on stdout see the table; all else is written in the end.
func (f *sweepFlags) checkOutput() error {
	if f.resume != "" {
		if f.output != "" && f.output != f.resume {
			return usagef("leave --output out: with --resume, --format goes to stdout and --plot to a file", "--resume %s and --output %s: a sweep is continued in its own file", f.resume, f.output)
		}
		f.kept, f.output = f.resume, "" // never to be written whole
	}
	if err := f.outputFlags.checkAs(sweepFormatNames); err != nil {
		return err
	}
	if f.output != "" && f.format == "jsonl" {
		f.kept, f.output, f.format = f.output, "", "table"
	}
	if f.plot == "" {
		return nil
	}
	return writable("plot", f.plot)
}

// record opens the file that the sweep is kept in, if there is to be one.
func (f *sweepFlags) record() (*sweep.Record, error) {
	switch {
	case f.resume != "":
		r, err := sweep.Resume(f.resume)
		if err != nil {
			return nil, usagef("it must be a file that --output FILE.jsonl wrote", "--resume %s: %v", f.resume, cause(err))
		}
		return r, nil
	case f.kept != "":
		r, err := sweep.Create(f.kept)
		switch {
		case errors.Is(err, fs.ErrExist):
			return nil, usagef("--resume "+f.kept+" continues it; or name another file", "--output %s: is there already", f.kept)
		case err != nil:
			return nil, fmt.Errorf("--output %s: %w", f.kept, cause(err))
		}
		return r, nil
	}
	return nil, nil
}

// reserveFor starts the workers that the lanes need beyond one an engine.
func reserveFor(ctx context.Context, found []contender, lanes []bench.Lane) {
	for _, c := range found {
		n := 0
		for _, l := range lanes {
			if c.err == nil && l.Engine == bench.Engine(c.client) {
				n++
			}
		}
		if n > 1 {
			c.client.Reserve(ctx, n)
		}
	}
}

// A sweeper measures size after size.
type sweeper struct {
	*app
	f      sweepFlags
	p      *progress
	dtype  matrix.DType
	lanes  []bench.Lane
	head   *report.Document // what all sizes have in common
	record *sweep.Record
	out    report.Sweep
}

func (s *sweeper) run(ctx context.Context, shapes []sweep.Shape) error {
	for i, shape := range shapes {
		if sweep.Has(s.out.Points, shape) {
			continue
		}
		s.p.say("measuring %s, %d of %d", shape, i+1, len(shapes))
		if err := s.measure(ctx, shape); err != nil || ctx.Err() != nil {
			return err
		}
	}
	if !s.f.crossover {
		return nil
	}
	for {
		n, more := between(s.out.Crossing())
		shape := sweep.Shape{M: n, N: n, K: n}
		if !more || sweep.Has(s.out.Points, shape) { // a lane that failed there would fail again
			return nil
		}
		s.p.say("looking closer: measuring %s", shape)
		if err := s.measure(ctx, shape); err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// between returns the size, a multiple of 32, in the middle of where the GPU loses
// and where it wins; none when the two are within 15 %.
func between(c report.Crossing) (n int, more bool) {
	if c.Below == 0 || c.From == 0 || float64(c.From) <= 1.15*float64(c.Below) {
		return 0, false
	}
	n = (c.Below + c.From) / 2 / 32 * 32
	return n, n > c.Below && n < c.From
}

// patience is how many times --time one product may take.
const patience = 4

// measure measures one size, and keeps it if any lane has samples.
func (s *sweeper) measure(ctx context.Context, shape sweep.Shape) error {
	g := bench.Square(1, s.dtype)
	g.M, g.N, g.K = shape.M, shape.N, shape.K
	var running []bench.Lane
	results := make([]*bench.Result, len(s.lanes))
	var at []int
	for i, l := range s.lanes {
		l.GEMM = g
		if takes := s.expected(i, g); takes > patience*s.f.budget {
			results[i] = &bench.Result{Engine: l.Engine.Name(), Device: l.Device, GEMM: g, Seed: s.f.seed, Protocol: bench.Steady, Samples: []bench.Sample{}, Stage: bench.Preparing,
				Error: &fault.Error{Code: fault.Timeout, Message: fmt.Sprintf("left out: one product would take about %s", unit.Seconds(takes)), Remedies: fault.Advice("--time gives it longer")}}
			continue
		}
		running, at = append(running, l), append(at, i)
	}
	s.p.race(running)
	r := s.f.runner(host.Free, s.p.observe)
	for i, result := range r.Race(ctx, running, s.f.seed, s.f.stop()) {
		results[at[i]] = result
	}
	if !measured(results) && ctx.Err() != nil {
		return nil
	}
	d := *s.head
	d.Created = time.Now().UTC().Truncate(time.Second)
	d.Results = results
	d.Interrupted = ctx.Err() != nil
	s.out.Points = append(s.out.Points, &d)
	s.p.resay("%s: %s", shape, summary(results))
	if s.record == nil || d.Interrupted { // half a size would be skipped when it is continued
		return nil
	}
	if err := s.record.Append(&d); err != nil {
		return fmt.Errorf("keeping %s in %s: %w", shape, s.f.kept, cause(err))
	}
	return nil
}

// expected returns about how long lane i takes for one product, by the largest
// that it has done; 0 when it has done none that says much: small ones run at a
// fraction of the speed.
func (s *sweeper) expected(i int, g bench.GEMM) time.Duration {
	l := s.lanes[i]
	var best *bench.Result
	for _, d := range s.out.Points {
		for _, r := range d.Results {
			if r.Engine == l.Engine.Name() && r.Device.ID == l.Device.ID && len(r.Samples) > 0 && (best == nil || r.GEMM.FLOP() > best.GEMM.FLOP()) {
				best = r
			}
		}
	}
	if best == nil || best.GEMM.FLOP() > g.FLOP() || 100*best.GEMM.FLOP() < g.FLOP() {
		return 0
	}
	speed, _ := best.Speed()
	return time.Duration(g.FLOP() / speed.Value * float64(time.Second))
}

// summary is a size in a line while the sweep goes on: the first lane, the best of
// the others, and those that failed.
func summary(results []*bench.Result) string {
	var parts, failed []string
	best, top := "", 0.0
	for i, r := range results {
		v, ok := r.Speed()
		text := r.Device.Library + " " + r.GEMM.Rate(v.Value)
		switch {
		case r.Error != nil:
			failed = append(failed, fmt.Sprintf("%s %s", r.Device.Library, r.Error.Code))
		case ok && i == 0:
			parts = append(parts, text)
		case ok && v.Value > top:
			best, top = text, v.Value
		}
	}
	if best != "" {
		parts = append(parts, best)
	}
	return strings.Join(append(parts, failed...), ", ")
}

// deliverSweep writes the sweep where the flags say, and the plot.
func (a *app) deliverSweep(ctx context.Context, f sweepFlags, s *report.Sweep) error {
	s.Interrupted = ctx.Err() != nil
	write := func(w io.Writer, format string) error {
		if format == "table" {
			return report.SweepTable(w, s, a.env.style(w))
		}
		return sweepFormats[format](w, s)
	}
	var drawn error
	if f.plot != "" && len(s.Points) > 0 {
		if drawn = writeFile(f.plot, func(w io.Writer) error { return report.SweepSVG(w, s) }); drawn != nil {
			drawn = fmt.Errorf("--plot %s: %w", f.plot, drawn)
		}
	}
	if f.kept != "" && f.format == "table" && f.quiet {
		return drawn
	}
	return errors.Join(drawn, a.deliverAs(f.outputFlags, write))
}

// sweepOutcome is the error that a finished sweep exits with.
func sweepOutcome(ctx context.Context, s *report.Sweep) error {
	if ctx.Err() != nil {
		return &reportedError{exitInterrupted}
	}
	for _, d := range s.Points {
		for _, r := range d.Results {
			if r.Error != nil && !slices.Contains([]fault.Code{fault.Unsupported, fault.Timeout, fault.OutOfMemory}, r.Error.Code) {
				return &reportedError{exitFailed}
			}
		}
	}
	if !slices.ContainsFunc(s.Points, func(d *report.Document) bool { return measured(d.Results) }) {
		return &reportedError{exitFailed}
	}
	return nil
}
