package main

import (
	"context"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/lab/cpu"
	"github.com/gpuplay/gpuplay/internal/record"
)

// cpuFlags are cpu's.
type cpuFlags struct {
	outputFlags
	cpu.Options
}

func newCPU(a *app) *cobra.Command {
	var f cpuFlags
	c := &cobra.Command{
		Use:   "cpu",
		Short: "What this CPU can do: clock, peak, caches and memory",
		Long: `cpu measures, with one thread and with all, the sustained clock frequency, the
peak of multiply-adds in each type, and the bandwidth of every cache and of memory:
the limits of any product on this CPU. It takes a few seconds.`,
		Example: `  gpuplay cpu
  gpuplay cpu --threads 4
  gpuplay cpu --output cpu.json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			// Threads that wait for each other's CPU would each seem to have one.
			if err := checkThreads(c.Flags(), f.Threads, runtime.NumCPU(), "for one per core"); err != nil {
				return err
			}
			if err := f.outputFlags.check(); err != nil {
				return err
			}
			return a.run(c.Context(), f.outputFlags, func(ctx context.Context, s *event.Stream) (*record.Run, error) {
				return cpu.Run(ctx, a.deps(), f.Options, s)
			})
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.IntVar(&f.Threads, "threads", 0, "threads to measure with, besides one (default: one per core of the fastest kind)")
	f.outputFlags.add(fl, record.CPUs)
	return c
}
