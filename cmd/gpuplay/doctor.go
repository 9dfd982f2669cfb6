package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/doctor"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/python"
)

// doctorFlags are the doctor's.
type doctorFlags struct {
	laneFlags
	json, deep, verbose bool
	whySlow             string
}

func newDoctor(a *app) *cobra.Command {
	var f doctorFlags
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Find what keeps this machine from measuring well, and the command that mends it",
		Long: `doctor looks at the machine, its GPUs, the engines, the Python frameworks and the
environment, and says for each what was seen, why it matters and what mends it.
It takes about a second and imports no framework; --deep starts them all.

  ✓ in order   ! limits or changes results   ✗ broken   – not there   ? not known

It ends with exit code 1 when something is broken. --why-slow explains a result
that race or matmul wrote with --format json.`,
		Example: `  gpuplay doctor
  gpuplay doctor --deep
  gpuplay race --output race.json && gpuplay doctor --why-slow race.json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("why-slow") {
				return a.whySlow(f.whySlow, f.json)
			}
			if !f.deep && !c.Flags().Changed("timeout") {
				f.timeout = promptly
			}
			return a.doctor(c.Context(), f)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.BoolVar(&f.deep, "deep", false, "start every framework and see which devices it finds")
	fl.StringVar(&f.whySlow, "why-slow", "", "explain the speeds in this result `file` instead")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "say of everything why it matters, and show what is not known")
	fl.BoolVar(&f.json, "json", false, "the same as JSON")
	fl.StringVar(&f.python, "python", "", "Python interpreter or environment to look at")
	fl.DurationVar(&f.timeout, "timeout", time.Minute, "how long an engine may take to start, at most "+promptly.String()+" without --deep unless given")
	return c
}

// promptly is how long the built-in engines may take when nobody said otherwise: a
// diagnosis that is read at once is worth more than one that waits for a slow disk.
const promptly = 900 * time.Millisecond

func (a *app) doctor(ctx context.Context, f doctorFlags) error {
	list := engines
	if !f.deep {
		list = slices.DeleteFunc(slices.Clone(engines), func(e engine) bool { return e.open == nil })
	}
	limit := f.timeout
	if f.deep || limit == promptly { // meant for engines, or nobody said anything
		limit = 0
	}
	var facts doctor.Facts
	var found []contender
	var wg sync.WaitGroup
	wg.Go(func() {
		facts = doctor.Gather(ctx, doctor.Options{Variables: a.env.doctor, Find: a.finder(f.python), Limit: limit})
	})
	wg.Go(func() { found = a.discover(ctx, list, f.laneFlags, f.timeout, func(contender) {}) })
	wg.Wait()
	defer closeClients(found)
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, c := range found {
		facts.Engines = append(facts.Engines, diagnosed(c))
	}
	checks := doctor.Examine(facts)
	var err error
	if f.json {
		err = doctor.JSON(a.stdout, checks)
	} else {
		err = doctor.Print(a.stdout, checks, a.env.style(a.stdout), f.verbose)
	}
	if err == nil && doctor.Count(checks, doctor.Failed) > 0 {
		err = &reportedError{exitFailed}
	}
	return err
}

// finder returns how a framework's interpreter is chosen.
func (a *app) finder(flag string) func(context.Context, string, func(context.Context, string, string) bool) (python.Interpreter, error) {
	return func(ctx context.Context, framework string, has func(context.Context, string, string) bool) (python.Interpreter, error) {
		return a.interpreter(ctx, framework, flag, has)
	}
}

// diagnosed is what became of a contender, for the doctor.
func diagnosed(c contender) doctor.Engine {
	e := doctor.Engine{Name: c.engine.name, BuiltIn: c.engine.open != nil, Start: c.start, Found: c.found}
	if c.err != nil {
		e.Error = &fault.Error{Code: fault.Internal, Message: c.err.Error()}
		errors.As(c.err, &e.Error)
	}
	return e
}

// whySlow explains a result file.
func (a *app) whySlow(file string, asJSON bool) error {
	if file == "" {
		return usagef("gpuplay race --output race.json writes one", "--why-slow: a result file is needed")
	}
	r, err := doctor.ReadResult(file)
	if err != nil {
		return err
	}
	e := doctor.Explain(r)
	if asJSON {
		return doctor.ExplainJSON(a.stdout, e)
	}
	return doctor.PrintExplanation(a.stdout, e, a.env.style(a.stdout))
}
