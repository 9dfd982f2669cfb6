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
	"github.com/gpuplay/gpuplay/internal/reference"
)

// raceFlags are the race's.
type raceFlags struct {
	measureFlags
	engines     []string
	allGPUs     bool
	noReference bool
}

func newRace(a *app) *cobra.Command {
	var f raceFlags
	c := &cobra.Command{
		Use:   "race",
		Short: "Race the CPU against every GPU on the same matrix multiply",
		Long: `race finds every engine and device, measures the same product on all of them in
turns, checks every result and says how much faster the GPU is. Without --size it
chooses one that keeps a GPU busy: a product takes up to a second on the CPU.

It ends within twice --time, plus the start of the slowest engine. If there is not
enough time for all lanes, the fastest CPU and the fastest GPU are measured, and the
lanes left out are named. Of several equal GPUs one is measured, unless --all-gpus is
given.`,
		Example: `  gpuplay race
  gpuplay race --size 4096 --dtype float16
  gpuplay race --engines gocpu,torch --output race.json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			dtype, err := f.check(c.Flags())
			if err != nil {
				return err
			}
			if err := f.checkEngines(f.engines); err != nil {
				return err
			}
			if !f.noReference {
				f.references = reference.Records()
			}
			o := race.Options{Settings: f.settings(), Engines: f.engines, Size: int(f.size), DType: dtype, AllGPUs: f.allGPUs, Preliminary: !f.quiet}
			r, err := a.measure(c.Context(), f.outputFlags, func(ctx context.Context, s *event.Stream) (*record.Run, error) {
				return race.Run(ctx, a.deps(), o, s)
			})
			return a.conclude(f.outputFlags, r, err, len(f.engines) > 0)
		},
	}
	c.Flags().StringSliceVar(&f.engines, "engines", nil, "only these, separated by commas: "+strings.Join(catalog.Names(), ", "))
	c.Flags().BoolVar(&f.allGPUs, "all-gpus", false, "measure each of several equal GPUs, not only one")
	f.add(c, record.Race, time.Minute)
	f.addWatch(c.Flags())
	c.Flags().BoolVar(&f.noReference, "no-reference", false, "without a GPU: do not show GPUs of other machines")
	c.Flags().BoolVar(&f.all, "verbose", false, "show every lane, even those that do not fit the screen")
	return c
}
