package main

import (
	"github.com/spf13/cobra"
)

// newScale makes the command whose subcommands are about training on many GPUs.
func newScale(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "scale",
		Short:   "Many GPUs: plan a training run",
		Long:    `scale is about training on many GPUs.`,
		Example: "  gpuplay scale plan --model llama3-8b --gpus 64",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usagef("for example gpuplay scale plan --model llama3-8b --gpus 64", "gpuplay scale needs to know what: plan")
		},
	}
	c.AddCommand(newScalePlan(a))
	return c
}
