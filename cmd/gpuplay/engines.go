package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/report"
	"github.com/gpuplay/gpuplay/internal/unit"
)

func newEngines(a *app) *cobra.Command {
	var f laneFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "engines",
		Short: "Show which engines and devices are here, and the way to those that are not",
		Example: `  gpuplay engines
  gpuplay engines --json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.showEngines(c.Context(), f, asJSON)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.python, "python", "", "Python interpreter or environment with the framework in it")
	fl.DurationVar(&f.timeout, "timeout", time.Minute, "how long an engine may take to start")
	fl.BoolVar(&asJSON, "json", false, "the same as JSON")
	return c
}

// engineJSON is an engine as --json shows it.
type engineJSON struct {
	Engine  string             `json:"engine"`
	About   string             `json:"about"`
	Start   time.Duration      `json:"start_ns"`
	Devices []hardware.Device  `json:"devices"`
	Missing []hardware.Missing `json:"missing,omitempty"`
	Error   *fault.Error       `json:"error,omitempty"`
}

func (a *app) showEngines(ctx context.Context, f laneFlags, asJSON bool) error {
	found := a.discover(ctx, engines, f, f.timeout, func(contender) {})
	defer closeClients(found)
	if err := ctx.Err(); err != nil {
		return err
	}
	if asJSON {
		list := []engineJSON{}
		for _, c := range found {
			e := engineJSON{Engine: c.engine.name, About: c.engine.about, Start: c.start, Devices: c.found.Devices, Missing: c.found.Missing}
			for _, m := range missing([]contender{{engine: c.engine, err: c.err}}) {
				e.Error = &fault.Error{Code: m.Code, Message: m.Reason, Remedies: m.Remedies}
			}
			list = append(list, e)
		}
		enc := json.NewEncoder(a.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(list)
	}
	for _, c := range found {
		fmt.Fprintf(a.stdout, "%-10s  %s\n", c.engine.name, c.engine.about)
		for _, d := range c.found.Devices {
			fmt.Fprintf(a.stdout, "  + %-10s %s on %s%s, ready in %s\n", d.API, report.Label(d), d.Name, memory(d), unit.Seconds(c.start))
		}
		for _, m := range missing([]contender{c}) {
			if m.API == "" {
				fmt.Fprintf(a.stdout, "  - %s\n", m.Reason)
			} else {
				fmt.Fprintf(a.stdout, "  - %-10s %s\n", m.API, m.Reason)
			}
			if len(m.Remedies) > 0 {
				fmt.Fprintf(a.stdout, "      %s\n", report.Words(m.Remedies))
			}
		}
	}
	return nil
}

func memory(d hardware.Device) string {
	if d.Memory == nil {
		return ""
	}
	return ", " + unit.Bytes(float64(*d.Memory))
}
