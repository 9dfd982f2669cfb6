package main

import (
	"cmp"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gpuplay/gpuplay/internal/term"
)

// A flagGroup is flags that the help shows together.
type flagGroup struct {
	title string
	names []string
}

const learned = "What is learned"

// flagGroups are in the help's order; flags in none of them come last.
var flagGroups = []flagGroup{
	{"What is measured", []string{"engines", "engine", "device", "all-gpus", "mamf", "size", "sizes", "shapes", "crossover", "m", "n", "k", "trans-a", "trans-b", "dtype", "data", "seed", "prompt", "ngl", "sweep", "tokens", "runtime", "raw"}},
	{learned, []string{"data", "adapter", "iters", "steps", "batch", "layers", "width", "context", "rank", "lr", "rate", "scale", "dropout", "dora", "qlora", "max-length", "save-every", "eval-every"}},
	{"How", []string{"framework", "torch", "eager", "isa", "protocol", "repeat", "time", "sustain", "resume", "bench", "threads", "ctx", "llama-cpp", "python", "model-dir", "yes", "timeout", "threshold", "fail-on"}},
	{"Output", []string{"format", "output", "plot", "save", "theme", "json", "verbose", "quiet", "no-reference", "kind", "limit", "tag", "no-store"}},
}

// helpWidth is how many columns help uses at most: longer lines are hard to read.
const helpWidth = 100

// help prints what a command does and how it is called.
func (a *app) help(c *cobra.Command, _ []string) {
	say(a.stdout, "%s", helpText(c, min(a.env.style(a.stdout).Width, helpWidth)))
}

// helpText is what a command does, then its usage, within a number of columns.
func helpText(c *cobra.Command, width int) string {
	var b strings.Builder
	for i, paragraph := range strings.Split(cmp.Or(c.Long, c.Short), "\n\n") {
		if i > 0 {
			b.WriteString("\n")
		}
		if strings.HasPrefix(paragraph, " ") || strings.HasPrefix(paragraph, "\t") { // a list, a command
			b.WriteString(paragraph + "\n")
			continue
		}
		lines(&b, "", strings.ReplaceAll(paragraph, "\n", " "), width)
	}
	return b.String() + "\n" + usageText(c, width)
}

// usage prints how a command is called.
func (a *app) usage(c *cobra.Command) error {
	say(a.stdout, "%s", usageText(c, min(a.env.style(a.stdout).Width, helpWidth)))
	return nil
}

// lines adds a text behind a lead: see term.Hanging.
func lines(b *strings.Builder, lead, text string, width int) {
	for _, l := range term.Hanging(lead, text, width) {
		b.WriteString(l + "\n")
	}
}

// described is a line of examples that says what the command in it does; a shellWord is
// a word of a command.
var (
	described = regexp.MustCompile(`^(  \S.*?)   +(\S.*)$`)
	shellWord = regexp.MustCompile(`(?:"[^"]*"|\S)+`)
)

// example adds a line of examples. What a command does goes below it where there is no
// room, and a command that is too long is continued as a shell has it, so that it can
// still be copied.
func example(b *strings.Builder, l string, width int) {
	command, does := l, ""
	if parts := described.FindStringSubmatch(l); parts != nil && ansi.StringWidth(l) > width {
		command, does = parts[1], parts[2]
	}
	if ansi.StringWidth(command) > width && runtime.GOOS != "windows" {
		at, indent := "", "  "
		words := shellWord.FindAllString(command, -1)
		for i, word := range words {
			more := ` \`
			if i == len(words)-1 {
				more = ""
			}
			switch {
			case at == "":
				at = indent + word
			case ansi.StringWidth(at+" "+word+more) <= width:
				at += " " + word
			default:
				b.WriteString(at + " \\\n")
				at = indent + "  " + word
			}
		}
		command = at
	}
	b.WriteString(command + "\n")
	if does != "" {
		lines(b, "      ", does, width)
	}
}

// usageText is how a command is called, examples that work by copying, subcommands, and
// flags in groups.
func usageText(c *cobra.Command, width int) string {
	var b strings.Builder
	b.WriteString("Usage:\n")
	lines(&b, "  ", c.UseLine(), width)
	if c.HasExample() {
		b.WriteString("\nExamples:\n")
		for l := range strings.SplitSeq(c.Example, "\n") {
			example(&b, l, width)
		}
	}
	if c.HasAvailableSubCommands() {
		b.WriteString("\nCommands:\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				lines(&b, fmt.Sprintf("  %-*s ", sub.NamePadding(), sub.Name()), sub.Short, width)
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
			if name == "data" && (c.Name() == "finetune") != (g.title == learned) { // elsewhere it is a kind of inputs
				continue
			}
			if f := c.LocalFlags().Lookup(name); f != nil {
				set.AddFlag(f)
			}
		}
		if set.HasFlags() {
			fmt.Fprintf(&b, "\n%s:\n", g.title)
			flagLines(&b, set, width)
		}
	}
	b.WriteString("\nOther flags:\n")
	flagLines(&b, rest, width)
	return b.String()
}

// flagLines adds a set's flags. The lines are pflag's, so that it says what the default
// is and when; it would break them only where there is much room.
func flagLines(b *strings.Builder, set *pflag.FlagSet, width int) {
	for l := range strings.Lines(set.FlagUsages()) {
		l = strings.TrimSuffix(l, "\n")
		lead := flagLead.FindString(l)
		lines(b, lead, l[len(lead):], width)
	}
}

// flagLead is what comes before what a flag does.
var flagLead = regexp.MustCompile(`^\s+-.*?\s{3,}`)
