package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/lab/race"
	"github.com/gpuplay/gpuplay/internal/record"
)

// learnDataFlags are learn data's.
type learnDataFlags struct {
	measureFlags
	engines []string
}

func newLearnData(a *app) *cobra.Command {
	var f learnDataFlags
	c := &cobra.Command{
		Use:   "data",
		Short: "What the numbers in the matrices change: speed and power on five kinds of inputs",
		Long: `data multiplies matrices of random numbers, normally distributed ones, zeros, ones and
a ramp, in turns, with the fastest engine and device of this machine. The work is the
same, but a device at its limit of power or heat may be faster on some of them. It takes
about a minute.`,
		Example: `  gpuplay learn data
  gpuplay learn data --dtype bfloat16 --engines torch`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			dtype, err := f.check(c.Flags())
			if err != nil {
				return err
			}
			if err := f.checkEngines(f.engines); err != nil {
				return err
			}
			o := race.InputsOptions{Settings: f.settings(), Engines: f.engines, Size: int(f.size), DType: dtype}
			return a.run(c.Context(), f.outputFlags, func(ctx context.Context, s *event.Stream) (*record.Run, error) {
				return race.Inputs(ctx, a.deps(), o, s)
			})
		},
	}
	c.Flags().StringSliceVar(&f.engines, "engines", nil, "only these, separated by commas: "+strings.Join(catalog.Names(), ", "))
	f.add(c, record.Inputs, time.Minute)
	f.budget = time.Minute // a turn of each kind takes seconds
	c.Flags().Lookup("time").DefValue = f.budget.String()
	return c
}
