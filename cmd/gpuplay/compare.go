package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/term"
	"github.com/gpuplay/gpuplay/internal/verdict"
)

// exitVerdict is the exit code of compare where a verdict is one that the user asked to
// fail on.
const exitVerdict = 3

// compareFlags are compare's.
type compareFlags struct {
	threshold share
	failOn    []string
	format    string
	output    string
}

func newCompare(a *app) *cobra.Command {
	f := compareFlags{threshold: verdict.Threshold}
	formats := append([]string{"table"}, encode.VersusFormats...)
	var words []string
	for _, w := range verdict.Words {
		words = append(words, string(w))
	}
	c := &cobra.Command{
		Use:   "compare A B",
		Short: "Compare two runs: is B faster, slower or the same, and what changed?",
		Long: `compare looks at each lane that two runs have in common, such as the same race before
and after a new driver, or on two machines. A and B are runs of race, matmul, sweep or llm.
Each lane gets one of four words. It is faster or slower if
the difference is larger than the threshold; it is the same if a difference as large as the
threshold is excluded; else it is undecided, with an estimate of how many samples would
decide.

It also shows what changed between the runs: the machine, versions, the driver, settings,
threads. Different tasks are not compared. gpuplay learn noise measures how far verdicts
hold on this machine.

The exit code is 0, or 3 if a lane has a verdict that --fail-on names. With --fail-on, it
is 1 if a lane that was verified in A has no counterpart in B that can be compared.

` + naming,
		Example: `  gpuplay compare before after
  gpuplay compare last~1 last
  gpuplay compare before.json after.json --fail-on slower --threshold 5%`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("for example gpuplay compare before.json after.json", "%s needs two runs, not %d", c.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			for _, w := range f.failOn {
				if !slices.Contains(words, w) {
					return mistyped(w, words, "--fail-on %s: unknown verdict", w)
				}
			}
			return a.compare(args, f, formats)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.Var(&f.threshold, "threshold", "the difference that matters: 2%, 0.5%")
	fl.StringSliceVar(&f.failOn, "fail-on", nil, "exit with 3 if a lane is "+strings.Join(words, ", ")+"; several with commas")
	fl.StringVarP(&f.format, "format", "f", "", alternatives(formats)+" (default: by --output's ending, else table)")
	fl.StringVarP(&f.output, "output", "o", "", "write the comparison to this file, complete or not at all; - is stdout")
	must(fl.SetAnnotation("format", valuesOf, formats))
	must(fl.SetAnnotation("fail-on", valuesOf, words))
	return c
}

// compare compares two runs.
func (a *app) compare(names []string, f compareFlags, formats []string) error {
	var err error
	if f.format, err = formatFor(f.format, f.output, formats, formats[0]); err != nil {
		return err
	}
	var to *destination
	if f.output != "" {
		if to, err = newDestination("output", f.output); err != nil {
			return err
		}
	}
	var runs [2]*record.Run
	for i, name := range names {
		if runs[i], err = a.loadRun(name); err != nil {
			return err
		}
	}
	v, err := judge.NewVersus(runs[0], runs[1], float64(f.threshold))
	if refused := fault.From(err); refused != nil {
		if len(refused.Remedies) == 0 { // the tasks differ, or a result is none
			refused.With(fault.Advice("measure again with the settings of A: " + repeating(runs[0]))...)
		}
		return refused
	}
	v.Names = [2]string(names)
	write := func(w io.Writer) error {
		switch f.format {
		case "json":
			return encode.VersusJSON(w, v)
		case "md":
			return encode.VersusMarkdown(w, v)
		}
		return term.Versus(w, v, a.env.style(w))
	}
	if to == nil {
		err = write(a.stdout)
	} else {
		err = to.write(write)
	}
	if err != nil {
		return err
	}
	return a.failOn(v, f.failOn)
}

// failOn returns the error to exit with where somebody, such as a CI job, wants to know.
func (a *app) failOn(v *judge.Versus, words []string) error {
	if len(words) == 0 {
		return nil
	}
	if slices.ContainsFunc(v.Rows, func(r judge.VersusRow) bool { return r.Compared() && slices.Contains(words, string(r.Word)) }) {
		return &reportedError{exitVerdict}
	}
	if lost := v.Lost(); len(lost) > 0 {
		return fmt.Errorf("no verdict on %s: B has nothing that can be compared", strings.Join(lost, ", "))
	}
	return nil
}

// share is a flag for a part of a whole, more than 0 and less than 1: 2%, 0.02.
type share float64

func (s *share) String() string { return strconv.FormatFloat(100*float64(*s), 'g', 3, 64) + "%" }

func (s *share) Set(text string) error {
	number, percent := strings.CutSuffix(strings.ReplaceAll(text, " ", ""), "%")
	x, err := strconv.ParseFloat(number, 64)
	if percent {
		x /= 100
	}
	if err != nil || !(x > 0 && x < 1) { // NaN is neither
		return usagef("", "%q is not a share: more than 0%% and less than 100%% is needed, such as 2%%", text)
	}
	*s = share(x)
	return nil
}

func (s *share) Type() string { return "share" }
