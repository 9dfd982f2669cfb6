package main

import (
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/doctor"
	"github.com/gpuplay/gpuplay/internal/nvidia"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/probe"
)

// probes are what package probe has another process of this program find out.
var probes = map[string]func() any{
	nvidia.Probe: func() any { return nvidia.NVML() },
	doctor.Probe: func() any { return doctor.ProbeVulkan() },
}

func init() {
	if runtime.GOOS == "darwin" {
		probes[doctor.MetalProbe] = func() any { return doctor.ProbeMetal() }
	}
}

// newProbe makes the hidden command that answers one probe.
func newProbe(a *app) *cobra.Command {
	var names []string
	for name := range probes {
		names = append(names, name)
	}
	slices.Sort(names)
	return &cobra.Command{
		Use:       "probe " + strings.Join(names, "|"),
		Short:     "Ask a driver in a process of its own and print its answer as JSON",
		Hidden:    true,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: names,
		RunE: func(_ *cobra.Command, args []string) error {
			return probe.Answer(plain.JSON(a.stdout), probes[args[0]]())
		},
	}
}
