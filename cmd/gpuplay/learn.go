package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/lab/cpu"
	"github.com/gpuplay/gpuplay/internal/lab/rungs"
	"github.com/gpuplay/gpuplay/internal/record"
)

// newLearn makes the command whose subcommands show how something works.
func newLearn(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "learn",
		Short:   "Learn what makes a product fast, how training works, what is noise, what many GPUs do",
		Long:    `learn explains with measurements on this machine; only gpus is modelled.`,
		Example: "  gpuplay learn matmul\n  gpuplay learn gradient\n  gpuplay learn gpt\n  gpuplay learn data\n  gpuplay learn noise\n  gpuplay learn gpus",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usagef("for example gpuplay learn matmul", "gpuplay learn needs to know what: matmul, gradient, gpt, data, noise or gpus")
		},
	}
	c.AddCommand(newLearnMatmul(a), newLearnGradient(a), newLearnGPT(a), newLearnData(a), newLearnNoise(a), newLearnGPUs(a))
	return c
}

// learnFlags are learn matmul's.
type learnFlags struct {
	outputFlags
	size    size
	threads int
	gpu     bool
	engine  string
}

func newLearnMatmul(a *app) *cobra.Command {
	var f learnFlags
	c := &cobra.Command{
		Use:   "matmul",
		Short: "From the textbook's three loops to all cores or a whole GPU, step by step",
		Long: `matmul multiplies the same matrices in six ways, each adding one idea to the
one before, and shows how much faster each is here. It takes about ten seconds at the
default size. The code is in internal/learn, the explanation in docs/CPU-GEMM.md.

With --gpu it does so on a GPU: on an NVIDIA GPU in up to eight ways, each beside
NVIDIA's cuBLASLt if that is installed, and on another through Vulkan in up to seven.
The code is in internal/ptx and internal/engine/vulkan, the explanation in
docs/GPU-GEMM.md.`,
		Example: `  gpuplay learn matmul
  gpuplay learn matmul --size 512
  gpuplay learn matmul --gpu
  gpuplay learn matmul --gpu --engine vulkan`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkThreads(c.Flags(), f.threads, runtime.NumCPU(), "for one per core"); err != nil {
				return err
			}
			if err := f.outputFlags.check(); err != nil {
				return err
			}
			if f.gpu && c.Flags().Changed("threads") {
				return usagef("leave --threads out", "--threads is for the steps on the CPU, and cannot be combined with --gpu")
			}
			if f.engine != "" && !f.gpu {
				return usagef("add --gpu", "--engine is for the steps on a GPU")
			}
			return a.run(c.Context(), f.outputFlags, func(ctx context.Context, s *event.Stream) (*record.Run, error) {
				if f.gpu {
					return rungs.Climb(ctx, a.deps(), rungs.Options{Size: int(f.size), Engine: f.engine}, s)
				}
				return cpu.Climb(ctx, a.deps(), cpu.LadderOptions{Size: int(f.size), Threads: f.threads}, s)
			})
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.Var(&f.size, "size", fmt.Sprintf("n of an n×n×n product (default %d, or %d on a slow CPU)", cpu.LadderSize, cpu.LadderSize/2))
	fl.BoolVar(&f.gpu, "gpu", false, fmt.Sprintf("run the steps on a GPU (default size %d, smaller on a slow one)", rungs.Size))
	fl.StringVar(&f.engine, "engine", "", "with --gpu: "+strings.Join(rungs.Engines, " or ")+" (default: the first that reaches a GPU)")
	fl.IntVar(&f.threads, "threads", 0, "threads of the last rung (default: one per core)")
	f.outputFlags.add(fl, record.Learn)
	must(c.RegisterFlagCompletionFunc("engine", cobra.FixedCompletions(rungs.Engines, cobra.ShellCompDirectiveNoFileComp)))
	return c
}
