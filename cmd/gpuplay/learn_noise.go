package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/lab/noise"
	"github.com/gpuplay/gpuplay/internal/record"
)

// noiseFlags are learn noise's.
type noiseFlags struct {
	laneFlags
	outputFlags
	engine, device string
	size           size
	budget         time.Duration
}

func newLearnNoise(a *app) *cobra.Command {
	f := noiseFlags{size: noise.Size}
	c := &cobra.Command{
		Use:   "noise",
		Short: "How often do two runs of the same thing look different on this machine?",
		Long: fmt.Sprintf(`noise measures one lane %d times, each time prepared and warmed up anew, and compares each
run with the next: nothing changed, so every verdict of faster or slower is false. It shows
how far samples and runs are apart, how many verdicts are false, and how small a difference
can be seen. It takes two to three minutes and at most --time; after Ctrl-C, what was
measured until then is compared.`, noise.Runs),
		Example: `  gpuplay learn noise
  gpuplay learn noise --engine torch --device gpu --size 4096`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.budget <= 0 {
				return usagef("for example --time 1m", "--time %s: must be more than 0", f.budget)
			}
			if err := f.checkEngines([]string{f.engine}); err != nil {
				return err
			}
			if err := f.outputFlags.check(); err != nil {
				return err
			}
			o := noise.Options{Settings: lab.Settings{Options: f.options(), Budget: f.budget, Seed: 1}, Engine: f.engine, Device: cmp.Or(f.device, catalog.DefaultDevice(f.engine)), Size: int(f.size)}
			return a.run(c.Context(), f.outputFlags, func(ctx context.Context, s *event.Stream) (*record.Run, error) {
				return noise.Run(ctx, a.deps(), o, s)
			})
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.engine, "engine", "gocpu", "the engine, as listed by gpuplay engines")
	fl.StringVar(&f.device, "device", "", "its device: cpu, gpu, or a name such as mps, cuda, cuda:1, openblas (default: the CPU if the engine has one)")
	fl.Var(&f.size, "size", "n of an n×n×n product")
	fl.DurationVar(&f.budget, "time", 4*time.Minute, "how long to measure at most")
	fl.IntVar(&f.threads, "threads", 0, "CPU threads (default: the engine's own choice)")
	fl.StringVar(&f.python, "python", "", "Python interpreter or environment with the framework in it")
	fl.DurationVar(&f.timeout, "timeout", 2*time.Minute, "how long one step of an engine may take: starting, preparing, one sample")
	f.outputFlags.add(fl, record.Learn)
	return c
}
