package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/lab/gpu"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/nvidia"
	"github.com/gpuplay/gpuplay/internal/probe"
	"github.com/gpuplay/gpuplay/internal/record"
)

func newGPU(a *app) *cobra.Command {
	var f outputFlags
	var timeout, budget time.Duration
	var mamf bool
	var dtype string
	c := &cobra.Command{
		Use:   "gpu",
		Short: "What each GPU is: memory, driver, peaks, copies and launches",
		Long: `gpu shows each GPU's memory, driver, interfaces, features and published peaks, and
measures copies on the device, to it and back, and how long a launch takes. It needs
nothing but the driver, for CUDA, Vulkan or Metal, and takes a few seconds.

With --mamf it also searches for the product that each GPU computes fastest: its maximum
achievable matmul FLOPS. It tries sizes of a grid, checks every product, and measures the
fastest ones in turns, through the fastest of gpuplay's own kernels and cuBLASLt. Of
equal GPUs, the first is searched.`,
		Example: `  gpuplay gpu
  gpuplay gpu --mamf
  gpuplay gpu --mamf --dtype float32
  gpuplay gpu --format md
  gpuplay gpu --output gpu.json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			o := gpu.Options{}
			if mamf {
				if budget <= 0 {
					return usagef("for example --time 30s", "--time %s: must be more than 0", budget)
				}
				o.Time = budget
			} else if c.Flags().Changed("time") || c.Flags().Changed("dtype") {
				return usagef("add --mamf", "--time and --dtype say how the fastest product is searched, which --mamf asks for")
			}
			if dtype != "" {
				var err error
				if o.DType, err = matrix.ParseDType(dtype); err != nil {
					return mistyped(dtype, dtypeNames(), "unknown dtype %q", dtype)
				}
			}
			return a.run(c.Context(), f, func(ctx context.Context, s *event.Stream) (*record.Run, error) {
				o.Options = catalog.Options{Timeout: timeout}
				o.Driver = func(ctx context.Context) string { return nvidia.Ask(ctx, probe.Ask).Version }
				return gpu.Run(ctx, a.deps(), o, s)
			})
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.BoolVar(&mamf, "mamf", false, "search for the fastest product of each GPU")
	fl.DurationVar(&budget, "time", 30*time.Second, "about how long to search, for each GPU")
	fl.StringVar(&dtype, "dtype", "", "type of the products: float64, float32, tf32, float16, bfloat16 or int8 (default bfloat16, where the GPU has it)")
	fl.DurationVar(&timeout, "timeout", time.Minute, "how long one step may take: starting an engine, copies, launches")
	f.add(fl, record.GPUs)
	return c
}
