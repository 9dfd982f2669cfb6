package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/lab/gpu"
	"github.com/gpuplay/gpuplay/internal/nvidia"
	"github.com/gpuplay/gpuplay/internal/probe"
	"github.com/gpuplay/gpuplay/internal/record"
)

func newGPU(a *app) *cobra.Command {
	var f outputFlags
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "gpu",
		Short: "What each GPU is: memory, driver, peaks, copies and launches",
		Long: `gpu shows each GPU's memory, driver, interfaces, features and published peaks, and
measures copies on the device, to it and back, and how long a launch takes. It needs
nothing but the driver, for CUDA or Vulkan, and takes a few seconds.`,
		Example: `  gpuplay gpu
  gpuplay gpu --format md
  gpuplay gpu --output gpu.json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return a.run(c.Context(), f, func(ctx context.Context, s *event.Stream) (*record.Run, error) {
				o := gpu.Options{Options: catalog.Options{Timeout: timeout}, Driver: func(ctx context.Context) string { return nvidia.Ask(ctx, probe.Ask).Version }}
				return gpu.Run(ctx, a.deps(), o, s)
			})
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.DurationVar(&timeout, "timeout", time.Minute, "how long one step may take: starting an engine, copies, launches")
	f.add(fl, record.GPUs)
	return c
}
