package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/lab/diagnose"
	"github.com/gpuplay/gpuplay/internal/probe"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/term"
)

// doctorFlags are the doctor's.
type doctorFlags struct {
	json, deep, verbose bool
	whySlow             string
	python              string
	timeout             time.Duration
}

func newDoctor(a *app) *cobra.Command {
	var f doctorFlags
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Find what keeps this machine from measuring well, and how to fix it",
		Long: `doctor looks at the machine, its GPUs, the engines, the Python frameworks and the
environment, and says what it found, why it matters and how to fix it.
It takes about a second and imports no framework. --deep starts them all and then measures
a lane on the CPU 21 times, for at most 25 s, to see whether gpuplay compare can be relied on
here.

  ✓ fine
  ! limits or changes results
  ✗ broken
  – not present
  ? not known

The exit code is 1 if something is broken. --why-slow RUN explains the speeds of a run of
race, matmul or sweep instead. ` + naming,
		Example: `  gpuplay doctor
  gpuplay doctor --deep
  gpuplay doctor --why-slow last`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("why-slow") {
				return a.whySlow(f.whySlow, f.json)
			}
			o := diagnose.Options{Deep: f.deep, Python: f.python, Variables: a.env.doctor, Probe: probe.Ask, Timeout: f.timeout}
			if f.deep {
				o.Again = againRuns
			}
			switch asked := c.Flags().Changed("timeout"); {
			case !f.deep && !asked:
				o.Timeout = promptly
			case !f.deep: // with it, the time is meant for the frameworks
				o.Limit = f.timeout
			}
			return a.doctor(c.Context(), f, o)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.BoolVar(&f.deep, "deep", false, "start every framework and see which devices it finds; see whether verdicts hold here")
	fl.StringVar(&f.whySlow, "why-slow", "", "explain the speeds of this `run` instead: last, a tag, an id or a file")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "explain every finding, and show what is not known")
	fl.BoolVar(&f.json, "json", false, "print as JSON")
	fl.StringVar(&f.python, "python", "", "Python interpreter or environment to look at")
	fl.DurationVar(&f.timeout, "timeout", time.Minute, "how long an engine may take to start; without --deep, "+promptly.String()+" unless given")
	return c
}

// promptly is how long the built-in engines may take when nobody said otherwise: a
// diagnosis that is read at once is worth more than one that waits for a slow disk.
const promptly = 900 * time.Millisecond

// againRuns is how often a deep diagnosis measures a lane: 20 comparisons of a run with the
// next.
const againRuns = 21

func (a *app) doctor(ctx context.Context, f doctorFlags, o diagnose.Options) error {
	r, err := a.measure(ctx, outputFlags{quiet: true}, func(ctx context.Context, s *event.Stream) (*record.Run, error) {
		return diagnose.Run(ctx, a.deps(), o, s)
	})
	switch {
	case err != nil:
		return err
	case f.json:
		err = a.write(a.stdout, r, outputFlags{}, "json")
	default:
		err = term.Diagnosis(a.stdout, r, a.env.style(a.stdout), f.verbose)
	}
	if err == nil && !judge.Outcome(r, false) {
		err = &reportedError{exitFailed}
	}
	return err
}

// whySlow explains a run that is kept, or a result file.
func (a *app) whySlow(ref string, asJSON bool) error {
	if ref == "" {
		return usagef(listHint, "--why-slow: a run is needed")
	}
	r, err := a.loadRun(ref)
	if err != nil {
		return err
	}
	if err := diagnose.Check(r); err != nil {
		return fault.Errorf(fault.Invalid, "%s: %v", ref, err).With(fault.Run("{} measures a run whose speeds can be explained", "gpuplay", "race"))
	}
	e := diagnose.Explain(r)
	if !asJSON {
		return term.Explain(a.stdout, &e, a.env.style(a.stdout))
	}
	return encode.Indented(a.stdout, e)
}
