package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/learn"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/report"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// newLearn makes the command whose subcommands show how something works.
func newLearn(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "learn",
		Short:   "See on this machine how a matrix multiply becomes fast",
		Long:    `learn runs what it explains, on this machine.`,
		Example: "  gpuplay learn matmul",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return usagef("for example gpuplay learn matmul", "learn needs to know what: %s", "matmul")
		},
	}
	c.AddCommand(newLearnMatmul(a))
	return c
}

// learnFlags are learn matmul's.
type learnFlags struct {
	size    size
	threads int
	quiet   bool
}

const (
	learnSize  = 1024
	learnLimit = 16384 // the naive rung would take days
)

func newLearnMatmul(a *app) *cobra.Command {
	var f learnFlags
	c := &cobra.Command{
		Use:   "matmul",
		Short: "The ladder from the textbook's three loops to all cores at their peak",
		Long: `matmul multiplies the same matrices in six ways, each with one idea more than the
one before, and shows what each idea brings here. It takes about ten seconds at the
usual size. internal/learn has the code of each, docs/CPU-GEMM.md the story.`,
		Example: `  gpuplay learn matmul
  gpuplay learn matmul --size 512`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkThreads(c.Flags(), f.threads, runtime.NumCPU(), "for one a core"); err != nil {
				return err
			}
			if f.size > learnLimit {
				return usagef("gpuplay matmul takes any size", "--size %d: the first rung would take days: at most %d", f.size, learnLimit)
			}
			return a.learnMatmul(c.Context(), f)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.Var(&f.size, "size", fmt.Sprintf("n of an n×n×n product (default %d, or 512 on a slow CPU)", learnSize))
	fl.IntVar(&f.threads, "threads", 0, "threads of the last rung (default: one a core)")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "only the result")
	return c
}

func (a *app) learnMatmul(ctx context.Context, f learnFlags) error {
	rungs, end, err := learn.Ladder(f.threads)
	if err != nil {
		return usagef("leave it out for one a core", "--threads %d: %v", f.threads, err)
	}
	defer end()
	p := newProgress(a.stderr, f.quiet, a.env.style(a.stderr))
	n := int(f.size)
	if n == 0 {
		n = usualLearnSize(ctx, rungs)
	}
	if need, free := bench.Square(n, matrix.Float32).Bytes(), float64(host.Free()); free > 0 && need > free {
		p.close()
		return &fault.Error{Code: fault.OutOfMemory, Message: fmt.Sprintf("three matrices of %d×%d take %s: %s of memory is free", n, n, unit.Bytes(need), unit.Bytes(free)), Remedies: fault.Advice("a smaller --size")}
	}
	g := bench.Square(n, matrix.Float32)
	p.say("multiplying %s in %d ways, from the slowest to the fastest", unit.Cube(n, n, n), len(rungs))
	steps, err := learn.Climb(ctx, rungs, n, func(s learn.Step) {
		p.say("%s: %s", s.Name, g.Rate(g.FLOP()/stats.Median(s.Seconds)))
	})
	p.close()
	if err != nil && (ctx.Err() == nil || !errors.Is(err, ctx.Err())) {
		return err
	}
	l := &report.Ladder{CPU: host.CPU(), Size: n, Interrupted: ctx.Err() != nil}
	for _, s := range steps {
		l.Rungs = append(l.Rungs, report.Rung{Name: s.Name, Idea: s.Idea, Threads: s.Threads, Seconds: s.Seconds, Peak: s.Peak})
	}
	if err := report.LadderTable(a.stdout, l, a.env.style(a.stdout)); err != nil {
		return err
	}
	if l.Interrupted {
		return &reportedError{exitInterrupted}
	}
	return nil
}

// usualLearnSize returns a size at which the slowest rung takes some seconds at most:
// its time grows faster than n³ once B has outgrown the caches.
func usualLearnSize(ctx context.Context, rungs []learn.Rung) int {
	const try, bearable = 256, 100 * time.Millisecond
	steps, err := learn.Climb(ctx, rungs[:1], try, func(learn.Step) {})
	if err == nil && len(steps) == 1 && slices.Min(steps[0].Seconds) > bearable.Seconds() {
		return 512
	}
	return learnSize
}
