package main

import (
	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/catalog"
)

// newWorker makes the hidden command that hosts one engine in this process. All that
// the engine must know comes with the first request.
func newWorker(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "worker ENGINE",
		Short:  "Host an engine and answer requests on stdin",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return catalog.Serve(args[0], a.stdin, a.stdout)
		},
	}
}
