package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// newWorker makes the hidden command that hosts one engine in this process.
func newWorker(a *app) *cobra.Command {
	var f workerFlags
	c := &cobra.Command{
		Use:    "worker ENGINE",
		Short:  "Host an engine and answer requests on stdin",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			for _, e := range engines {
				if e.name == args[0] && e.open != nil {
					return worker.Serve(a.stdin, a.stdout, func(h worker.Hello) (bench.Engine, error) { return e.open(h, f) })
				}
			}
			return fmt.Errorf("no engine %q is built in", args[0])
		},
	}
	c.Flags().StringArrayVar(&f.dirs, "dir", nil, "folder to look for libraries in")
	c.Flags().StringArrayVar(&f.libraries, "library", nil, "library file")
	c.Flags().StringVar(&f.isa, "isa", "", "instruction set")
	return c
}
