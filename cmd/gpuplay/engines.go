package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/unit"
)

func newEngines(a *app) *cobra.Command {
	var f laneFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "engines",
		Short: "Show which engines and devices were found, and how to get the others",
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
	fl.BoolVar(&asJSON, "json", false, "print as JSON")
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
	defer a.work()()
	found := a.catalog().Discover(ctx, catalog.Engines, f.options(), nil)
	defer catalog.Close(found)
	if err := ctx.Err(); err != nil {
		return err
	}
	catalog.Cards(host.Cards(), found)
	if asJSON {
		list := []engineJSON{}
		for _, c := range found {
			list = append(list, engineJSON{Engine: c.Name, About: c.About, Start: c.Start, Devices: c.Found.Devices, Missing: c.Found.Missing, Error: fault.From(c.Err)})
		}
		return encode.Indented(a.stdout, list)
	}
	say(a.stdout, "%s", enginesText(found, a.env.style(a.stdout).Width))
	return nil
}

// enginesText lists engines with their devices, and what is missing with how to get it.
func enginesText(found []catalog.Contender, width int) string {
	var b strings.Builder
	row := func(lead, format string, args ...any) {
		lines(&b, lead, plain.Line(fmt.Sprintf(format, args...)), width)
	}
	for _, c := range found {
		row(fmt.Sprintf("%-10s  ", c.Name), "%s", c.About)
		names := hardware.Names(c.Found.Devices)
		for i, d := range c.Found.Devices {
			row(fmt.Sprintf("  + %-10s ", names[i]), "%s on %s, ready in %s", d.Label(), about(d), unit.Seconds(c.Start))
			if d.File != "" {
				row("      ", "%s", d.File)
			}
		}
		for _, m := range catalog.Missing([]catalog.Contender{c}) {
			lead := "  - "
			if m.API != "" {
				lead = fmt.Sprintf("  - %-10s ", m.API)
			}
			row(lead, "%s", m.Reason)
			if len(m.Remedies) > 0 {
				row("      ", "%s", m.Remedies.Words(commandLine{}))
			}
		}
	}
	return b.String()
}

// about returns the hardware with its number on this machine and its memory.
func about(d hardware.Device) string {
	text := d.Name
	if d.Card != nil {
		text += fmt.Sprintf(", GPU %d", *d.Card)
		if d.Index != nil && *d.Index != *d.Card { // CUDA_VISIBLE_DEVICES hides some
			text += fmt.Sprintf(" (%s:%d)", d.API, *d.Index)
		}
	}
	if d.Memory != nil {
		text += ", " + unit.Bytes(float64(*d.Memory))
	}
	return text
}
