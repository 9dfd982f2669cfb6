package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/report"
	"github.com/gpuplay/gpuplay/internal/setup"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// raceFlags are the race's.
type raceFlags struct {
	measureFlags
	engines []string
}

func newRace(a *app) *cobra.Command {
	var f raceFlags
	c := &cobra.Command{
		Use:   "race",
		Short: "Race the CPU against every GPU on the same matrix multiply",
		Long: `race finds every engine and device, measures the same product in all of them in
turns, checks every result and says how much faster the GPU is. Without --size it
chooses the size so that measuring takes about --time.`,
		Example: `  gpuplay race
  gpuplay race --size 4096 --dtype float16
  gpuplay race --engines gocpu,torch --output race.json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			dtype, err := f.check(c.Flags())
			if err != nil {
				return err
			}
			list, err := selectEngines(f.engines)
			if err != nil {
				return err
			}
			if err := f.checkISA(list); err != nil {
				return err
			}
			return a.race(c.Context(), f, dtype, list)
		},
	}
	c.Flags().StringSliceVar(&f.engines, "engines", nil, "only these: "+strings.Join(engineNames(), ","))
	f.add(c, time.Minute)
	return c
}

// preliminarySize is small enough to be measured at once on any machine and large
// enough to mean something.
const preliminarySize = 1024

func (a *app) race(ctx context.Context, f raceFlags, dtype matrix.DType, list []engine) error {
	p := newProgress(a.stderr, f.quiet, a.env.style(a.stderr))
	of := func(n int) bench.GEMM { return bench.Square(n, dtype) }
	d := a.document(ctx)
	d.Race = true

	var quick, slow []engine
	for _, e := range list {
		if e.quick {
			quick = append(quick, e)
		} else {
			slow = append(slow, e)
		}
	}
	found := a.start(ctx, p, quick, f.laneFlags)
	defer func() { closeClients(found) }()
	preliminary := a.preliminary(ctx, p, f, lanes(found), of)
	found = append(found, a.start(ctx, p, slow, f.laneFlags)...)
	d.NotRaced = missing(found)
	contenders := lanes(found)
	if len(contenders) == 0 {
		p.close()
		return a.nothing(ctx, d)
	}
	reserve(ctx, found)

	for i := range contenders {
		contenders[i].GEMM = of(int(firstOf(f.size, preliminarySize)))
	}
	p.race(contenders)
	r := f.runner(host.Free, p.observe)
	if f.size == 0 {
		r.Plan(ctx, contenders, of, f.seed, f.budget)
	}
	largest := slices.MaxFunc(contenders, func(a, b bench.Lane) int { return cmp.Compare(a.GEMM.FLOP(), b.GEMM.FLOP()) }).GEMM
	p.say("measuring %s", unit.Cube(largest.M, largest.N, largest.K))
	d.Results = r.Race(ctx, contenders, f.seed, f.stop())
	p.close()
	if ctx.Err() != nil && !measured(d.Results) && measured(preliminary) {
		d.Results = preliminary // the only figures there are
	}
	if ctx.Err() == nil {
		d.Next = next(d, dtype)
	}
	if err := a.deliver(ctx, f.outputFlags, d); err != nil {
		return err
	}
	return outcome(ctx, d, len(f.engines) > 0)
}

// document returns an empty document about this machine and program.
func (a *app) document(ctx context.Context) *report.Document {
	return &report.Document{
		Schema:  report.Schema,
		Created: time.Now().UTC().Truncate(time.Second),
		Program: program(),
		Command: append([]string{"gpuplay"}, a.args...),
		Machine: host.Describe(ctx),
	}
}

// start starts engines side by side and says what became of each.
func (a *app) start(ctx context.Context, p *progress, list []engine, f laneFlags) []contender {
	if len(list) == 0 {
		return nil
	}
	var names []string
	for _, e := range list {
		names = append(names, e.name)
	}
	p.say("starting %s", strings.Join(names, ", "))
	return a.discover(ctx, list, f, f.timeout, func(c contender) {
		if c.err != nil {
			p.say("%s: %v", c.engine.name, c.err)
			return
		}
		var found []string
		for _, d := range c.racing() {
			found = append(found, report.Label(d))
		}
		p.say("%s: %s, ready in %s", c.engine.name, strings.Join(found, ", "), unit.Seconds(c.start))
	})
}

// preliminary shows a first figure of the engines that are there at once, before
// anything else is started.
func (a *app) preliminary(ctx context.Context, p *progress, f raceFlags, lanes []bench.Lane, of func(int) bench.GEMM) []*bench.Result {
	if f.quiet || len(lanes) == 0 {
		return nil
	}
	for i := range lanes {
		lanes[i].GEMM = of(preliminarySize)
	}
	results := f.runner(host.Free, nil).Race(ctx, lanes, f.seed, bench.Stop{Budget: 300 * time.Millisecond})
	for _, r := range results {
		if s, ok := r.Speed(); ok {
			p.say("%s: %s, preliminary, at %s", report.Label(r.Device), r.GEMM.Rate(s.Value), unit.Cube(r.GEMM.M, r.GEMM.N, r.GEMM.K))
		}
	}
	return results
}

// measured reports whether any lane has samples.
func measured(results []*bench.Result) bool {
	return slices.ContainsFunc(results, func(r *bench.Result) bool { return len(r.Samples) > 0 })
}

// reserve starts the workers that a race needs beyond one an engine, side by
// side. What fails here fails again, and is reported, when the lane is prepared.
func reserve(ctx context.Context, list []contender) {
	done := make(chan struct{})
	for _, c := range list {
		go func() {
			defer func() { done <- struct{}{} }()
			if c.err == nil {
				c.client.Reserve(ctx, len(c.racing()))
			}
		}()
	}
	for range list {
		<-done
	}
}

// missing lists what was looked for and is not there.
func missing(list []contender) []report.NotRaced {
	var out []report.NotRaced
	for _, c := range list {
		if c.err != nil {
			e := &fault.Error{Code: fault.Internal, Message: c.err.Error()}
			errors.As(c.err, &e)
			out = append(out, report.NotRaced{Engine: c.engine.name, Code: e.Code, Reason: e.Message, Remedies: e.Remedies})
		}
		for _, m := range c.found.Missing {
			out = append(out, report.NotRaced{Engine: c.engine.name, API: m.API, Kind: m.Kind, Code: fault.Unavailable, Reason: m.Reason, Remedies: m.Remedies})
		}
	}
	return out
}

// nothing reports a race without lanes.
func (a *app) nothing(ctx context.Context, d *report.Document) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var reasons []string
	var remedies fault.Remedies
	for _, m := range d.NotRaced {
		reasons = append(reasons, m.Engine+": "+m.Reason)
		remedies = m.Remedies
	}
	return &fault.Error{Code: fault.Unavailable, Message: "nothing to measure with: " + strings.Join(reasons, "; "), Remedies: remedies}
}

// next suggests one thing that was not tried and can be run here.
func next(d *report.Document, dtype matrix.DType) string {
	for _, m := range d.NotRaced {
		if m.API == "" && m.Code == fault.Unavailable && slices.Contains(setup.Frameworks, m.Engine) {
			return fmt.Sprintf("gpuplay setup %s   to have %[1]s in the race", m.Engine)
		}
	}
	if dtype == matrix.Float32 {
		return "gpuplay race --dtype bfloat16   what half the bits bring"
	}
	return ""
}

// outcome is the error that a finished measurement exits with: results have been
// shown already.
func outcome(ctx context.Context, d *report.Document, byName bool) error {
	if ctx.Err() != nil {
		return &reportedError{exitInterrupted}
	}
	if byName {
		for _, m := range d.NotRaced {
			if m.API == "" {
				return &reportedError{exitFailed}
			}
		}
	}
	for _, r := range d.Results {
		if r.Error != nil && r.Error.Code != fault.Unsupported {
			return &reportedError{exitFailed}
		}
	}
	if !measured(d.Results) {
		return &reportedError{exitFailed}
	}
	return nil
}

// prefixWriter marks each line of a worker's traffic with the engine's name.
type prefixWriter struct {
	out    interface{ Write([]byte) (int, error) }
	prefix string
}

func (w *prefixWriter) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		if _, err := fmt.Fprintf(w.out, "%s%s\n", w.prefix, strings.TrimRight(line, "\n")); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
