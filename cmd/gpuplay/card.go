package main

import (
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/card"
	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/record"
)

func newCard(a *app) *cobra.Command {
	var output, theme string
	var themes []string
	for _, t := range card.Themes {
		themes = append(themes, t.Name)
	}
	c := &cobra.Command{
		Use:   "card [RUN]",
		Short: "Draw a result as one picture to share",
		Long: `card draws the result of a run as one picture of 1200 by 630 pixels: how many times as
fast, to scale, on which machine, whether it was verified, and the command that repeats
it. The ending of --output chooses between SVG and PNG. Neither needs a browser or a font.

Without RUN the last run is taken. ` + naming,
		Example: `  gpuplay card -o card.png
  gpuplay card last~1 --theme dark
  gpuplay card race.json -o card.svg`,
		RunE: func(c *cobra.Command, args []string) error {
			name, err := lastRun(c, args)
			if err != nil {
				return err
			}
			i := slices.Index(themes, theme)
			if i < 0 {
				return mistyped(theme, themes, "--theme %s: unknown theme", theme)
			}
			write := (*card.Drawing).SVG
			switch ending := strings.ToLower(filepath.Ext(output)); ending {
			case ".svg":
			case ".png":
				write = (*card.Drawing).PNG
			case "":
				if output != standardOutput {
					return usagef("for example --output card.png", "--output %s: its ending must say which format it is, .svg or .png", output)
				}
			default:
				return usagef("for example --output card.png", "--output %s: a card is a .svg or a .png", output)
			}
			r, to, err := a.runInto(name, output)
			if err != nil {
				return err
			}
			drawing, ok := card.New(r, card.Themes[i], repeating(r))
			if !ok {
				what := "a diagnosis"
				if r.Kind == record.Imported {
					what = "what another tool has measured"
				}
				return usagef("gpuplay report shows it", "%s: %s has no card", name, what)
			}
			return a.writeTo(c, to, func(w io.Writer) error { return write(drawing, w) })
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVarP(&output, "output", "o", "card.svg", "the `file` to write, .svg or .png; - is stdout, as SVG")
	c.Flags().StringVar(&theme, "theme", themes[0], alternatives(themes))
	must(c.Flags().SetAnnotation("theme", valuesOf, themes))
	return c
}

func newReport(a *app) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "report [RUN]",
		Short: "Write a result as one page, with every sample",
		Long: `report writes a run as one HTML file: what was measured and what it means, every sample,
the machine, and how it was measured. The file loads nothing and runs no script. Every
command that measures writes the same page with --format html.

Without RUN the last run is taken. ` + naming,
		Example: `  gpuplay report
  gpuplay report race.json -o race.html
  gpuplay race --output race.html             measure, and write the page`,
		RunE: func(c *cobra.Command, args []string) error {
			name, err := lastRun(c, args)
			if err != nil {
				return err
			}
			if ending := strings.ToLower(filepath.Ext(output)); slices.Contains([]string{".svg", ".png", ".json", ".csv", ".md", ".pdf"}, ending) {
				return usagef("for example --output report.html; gpuplay card draws a picture, gpuplay results export has the other formats", "--output %s: a report is a page of HTML", output)
			}
			r, to, err := a.runInto(name, output)
			if err != nil {
				return err
			}
			return a.writeTo(c, to, func(w io.Writer) error { return encode.HTML(w, r, commandLine{}) })
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "report.html", "the `file` to write; - is stdout")
	return c
}

// lastRun returns the name of a run that a command was given; without one the latest is
// meant.
func lastRun(c *cobra.Command, args []string) (string, error) {
	switch len(args) {
	case 0:
		return "last", nil
	case 1:
		return args[0], nil
	}
	return "", usagef(listHint, "%s takes one run, not %d", c.CommandPath(), len(args))
}

// runInto returns the run of that name, and the destination that it is written to.
func (a *app) runInto(name, output string) (*record.Run, *destination, error) {
	to, err := newDestination("output", output)
	if err != nil {
		return nil, nil, err
	}
	r, err := a.loadRun(name)
	return r, to, err
}

// writeTo writes to a destination, nil being stdout, and says which file it is where
// nobody named one.
func (a *app) writeTo(c *cobra.Command, to *destination, write func(io.Writer) error) error {
	if to == nil {
		return write(a.stdout)
	}
	if err := to.write(write); err != nil {
		return err
	}
	if !c.Flags().Changed("output") {
		say(a.stderr, "%s is written\n", to.name)
	}
	return nil
}
