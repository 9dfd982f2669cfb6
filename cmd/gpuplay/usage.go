package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A flagGroup is flags that the help shows together.
type flagGroup struct {
	title string
	names []string
}

// flagGroups are in the help's order; flags in none of them come last.
var flagGroups = []flagGroup{
	{"What is measured", []string{"engines", "engine", "device", "size", "sizes", "shapes", "crossover", "m", "n", "k", "trans-a", "trans-b", "dtype", "seed", "prompt", "ngl", "sweep", "tokens", "runtime", "raw"}},
	{"What is learned", []string{"data", "adapter", "iters", "batch", "layers", "rank", "lr", "scale", "dropout", "dora", "qlora", "max-length", "save-every", "eval-every"}},
	{"How", []string{"framework", "isa", "protocol", "repeat", "time", "resume", "bench", "threads", "ctx", "llama-cpp", "python", "model-dir", "yes", "timeout"}},
	{"Output", []string{"format", "output", "plot", "json", "verbose", "quiet", "no-reference"}},
}

// usage prints what follows a command's description: how it is called, examples
// that work by copying, subcommands, and flags in groups.
func usage(c *cobra.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage:\n  %s\n", c.UseLine())
	if c.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", c.Example)
	}
	if c.HasAvailableSubCommands() {
		b.WriteString("\nCommands:\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-*s %s\n", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	rest := pflag.NewFlagSet("", pflag.ContinueOnError)
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !slices.ContainsFunc(flagGroups, func(g flagGroup) bool { return slices.Contains(g.names, f.Name) }) {
			rest.AddFlag(f)
		}
	})
	for _, g := range flagGroups {
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		set.SortFlags = false
		for _, name := range g.names {
			if f := c.LocalFlags().Lookup(name); f != nil {
				set.AddFlag(f)
			}
		}
		if set.HasFlags() {
			fmt.Fprintf(&b, "\n%s:\n%s", g.title, set.FlagUsages())
		}
	}
	fmt.Fprintf(&b, "\nOther flags:\n%s", rest.FlagUsages())
	say(c.OutOrStdout(), "%s", b.String())
	return nil
}
