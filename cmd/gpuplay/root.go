package main

import (
	"regexp"

	"github.com/spf13/cobra"
)

func newRoot(a *app) *cobra.Command {
	race := newRace(a)
	page := false
	root := &cobra.Command{
		Use:   "gpuplay",
		Short: "Measure and feel what a GPU does for AI on this machine",
		Long: `gpuplay races the CPU against every GPU it finds on the same matrix multiply,
checks every result, and says in a sentence how much faster the GPU is.`,
		Example: `  gpuplay                                     the race, on every device found
  gpuplay race --dtype bfloat16 --size 4096   another type, another size
  gpuplay matmul --engine torch --device gpu --size 8192 --dtype float16`,
		Args: noArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if page {
				return a.serve(c.Context(), serveFlags{listen: loopback, open: true})
			}
			return race.RunE(c, args)
		},
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       program().Version,
	}
	root.SetIn(a.stdin)
	root.SetOut(&plainly{Writer: a.stdout})
	root.SetErr(&plainly{Writer: a.stderr})
	root.SetHelpFunc(a.help)
	root.SetUsageFunc(a.usage)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef(c.CommandPath()+" --help lists the flags", "%s", parsing.ReplaceAllString(err.Error(), ""))
	})
	root.Flags().AddFlagSet(race.Flags())
	root.Flags().BoolVar(&page, "web", false, "open the playground in the browser, as gpuplay serve --open does")
	root.AddCommand(
		race, newMatmul(a), newSweep(a), newCPU(a), newGPU(a), newLearn(a), newScale(a),
		newCompare(a), newLLM(a), newGenerate(a), newFinetune(a), newModels(a), newResults(a),
		newCard(a), newReport(a), newEngines(a), newSetup(a), newDoctor(a), newMonitor(a), newWorker(a), newProbe(a),
		newVersion(a), newReference(), newServe(a),
	)
	a.completions(root)
	return root
}

// parsing is what Go's packages write before the reason why a flag's value is refused.
var parsing = regexp.MustCompile(`strconv\.\w+: parsing "[^"]*": |^pflag: `)

// noArgs refuses words that are no flags, with the nearest command.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range c.Commands() {
		if !sub.Hidden && sub.Name() != "help" {
			names = append(names, sub.Name())
		}
	}
	if len(names) == 0 {
		return usagef(c.CommandPath()+" --help shows how it is used", "%s takes no argument %q", c.CommandPath(), args[0])
	}
	return mistyped(args[0], names, "unknown command %q", args[0])
}
