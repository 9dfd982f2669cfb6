package main

import (
	"os/signal"

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
			signal.Reset(endings()...) // nothing here is worth keeping: a signal ends it at once
			out := a.stdout
			if f := fileOf(out); f != nil {
				out = f
			}
			return catalog.Serve(args[0], a.stdin, out)
		},
	}
}
