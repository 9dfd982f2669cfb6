package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/monitor"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/store"
	"github.com/gpuplay/gpuplay/internal/term"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// naming says how runs are named; all commands that read one explain it.
const naming = `A run is named by its short id, by last for the latest one measured on this machine,
last~1 for the one before, and so on; by its tag, the latest run that has it (before,
before~1); or by a file: a word that ends in .json or has a folder in it is one.`

// listHint is the way out where the name of a run is missing or is one too many.
const listHint = "gpuplay results list shows their names; last is the latest"

func newResults(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "results",
		Short: "List, show and share the runs that are kept on this machine",
		Long: `results works with the runs that are kept on this machine: each that a command has
measured, unless it had --no-store. They are in results.db in gpuplay's folder for data,
or in the folder that GPUPLAY_DATA names.

` + naming,
		Example: `  gpuplay results list
  gpuplay results show last
  gpuplay results export last~1 --format csv
  gpuplay results import race.json --tag laptop`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usagef("for example gpuplay results list", "gpuplay results needs to know what: list, show, compare, export, import or delete")
		},
	}
	c.PersistentFlags().BoolVar(&a.force, "force", false, "if the store is damaged, keep it aside and begin a new one")
	c.AddCommand(newCompare(a), newResultsList(a), newResultsShow(a), newResultsExport(a), newResultsImport(a), newResultsDelete(a))
	return c
}

func newResultsList(a *app) *cobra.Command {
	var f store.Filter
	var kind string
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the runs that are kept, the latest first",
		Long: `list shows the runs that are kept, the latest first, in the order in which they arrived.
The time is that of the clock of the machine that measured.`,
		Example: `  gpuplay results list
  gpuplay results list --kind race --limit 0
  gpuplay results list --tag before --json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if f.Limit < 0 {
				return usagef("--limit 0 lists all", "--limit %d: at least 0 is needed", f.Limit)
			}
			if kind != "" {
				if err := oneOf("kind", kind, kindNames()); err != nil {
					return err
				}
			}
			f.Kind = record.Kind(kind)
			return a.listResults(f, asJSON)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&kind, "kind", "", "only runs of this kind: "+strings.Join(kindNames(), ", "))
	fl.StringVar(&f.Tag, "tag", "", "only runs with this tag")
	fl.IntVar(&f.Limit, "limit", 20, "how many to list; 0: all")
	fl.BoolVar(&asJSON, "json", false, "print as JSON")
	return c
}

// kindNames are the kinds of runs that the store has. A diagnosis is there if it was
// imported.
func kindNames() []string {
	var names []string
	for _, k := range []record.Kind{record.Race, record.MatMul, record.Sweep, record.LLM, record.Generate, record.Finetune, record.CPUs, record.GPUs, record.Learn, record.Inputs, record.Scale, record.Doctor, record.Imported} {
		names = append(names, string(k))
	}
	return names
}

// listJSON is what list prints with --json.
type listJSON struct {
	Runs  []store.Entry `json:"runs"`
	Total int           `json:"total"` // without the limit
}

func (a *app) listResults(f store.Filter, asJSON bool) error {
	s, err := a.openStore(a.force)
	if err != nil {
		return err
	}
	defer s.Close()
	list, total, err := s.List(f)
	if err != nil {
		return err
	}
	if asJSON {
		return encode.Indented(a.stdout, listJSON{append([]store.Entry{}, list...), total})
	}
	style := a.env.style(a.stdout)
	if _, shown := terminal(a.stdout); !shown { // another program gets all of it
		style.Width = math.MaxInt
	}
	var b strings.Builder
	switch {
	case total == 0 && f != (store.Filter{Limit: f.Limit}):
		b.WriteString("No run matches. gpuplay results list lists all that are kept.\n")
	case total == 0:
		b.WriteString("No runs are kept. Every measurement is kept unless it has --no-store: gpuplay\n")
	default:
		resultsTable(&b, list, style)
	}
	if more := total - len(list); more > 0 {
		fmt.Fprintf(&b, "\n%s more: --limit 0 lists all\n", unit.Plural(more, "run"))
	}
	_, err = io.WriteString(a.stdout, style.Plain(b.String()))
	return err
}

// resultsTable lists runs in columns; what is least of use goes first where a terminal
// is narrow.
func resultsTable(b *strings.Builder, list []store.Entry, style term.Style) {
	type column struct {
		head string
		cell func(store.Entry) string
	}
	columns := []column{
		{"id", func(e store.Entry) string { return e.Name }},
		{"tag", func(e store.Entry) string { return e.Tag }},
		{"when", func(e store.Entry) string { return e.Created.Local().Format("2006-01-02 15:04") }},
		{"kind", func(e store.Entry) string { return string(e.Kind) }},
		{"what", func(e store.Entry) string { return e.Task }},
		{"result", func(e store.Entry) string { return e.Figure }},
		{"from", func(e store.Entry) string { return e.Origin }},
	}
	for _, head := range []string{"tag", "from"} { // without anything in it
		at := slices.IndexFunc(columns, func(c column) bool { return c.head == head })
		if !slices.ContainsFunc(list, func(e store.Entry) bool { return columns[at].cell(e) != "" }) {
			columns = slices.Delete(columns, at, at+1)
		}
	}
	cells := make([][]string, len(list)+1)
	width := make([]int, len(columns))
	for i := range cells {
		for j, c := range columns {
			text := c.head
			if i > 0 {
				text = ansi.Truncate(plain.Line(c.cell(list[i-1])), 40, "…")
			}
			cells[i] = append(cells[i], text)
			width[j] = max(width[j], ansi.StringWidth(text))
		}
	}
	total := -2
	for _, w := range width {
		total += w + 2
	}
	if last := len(columns) - 1; columns[last].head == "from" && total > style.Width { // of the least use; then long texts are cut
		columns, total = columns[:last], total-width[last]-2
	}
	for _, head := range []string{"what", "result"} {
		if j := slices.IndexFunc(columns, func(c column) bool { return c.head == head }); total > style.Width {
			cut := min(total-style.Width, max(0, width[j]-14))
			width[j], total = width[j]-cut, total-cut
		}
	}
	for _, row := range cells {
		line := ""
		for j, text := range row[:len(columns)] {
			text = ansi.Truncate(text, width[j], "…")
			line += text + strings.Repeat(" ", width[j]-ansi.StringWidth(text)+2)
		}
		b.WriteString(strings.TrimRight(ansi.Truncate(strings.TrimRight(line, " "), max(style.Width, 40), "…"), " ") + "\n")
	}
}

// addShown defines the format and the file of a command that writes a run that is there
// already, of whatever kind.
func (f *outputFlags) addShown(fl *pflag.FlagSet, usual string, names []string) {
	f.people, f.names = "table", names
	fl.SortFlags = false
	fl.StringVarP(&f.format, "format", "f", "", alternatives(names)+" (default: by --output's ending, else "+usual+")")
	must(fl.SetAnnotation("format", valuesOf, names))
	fl.StringVarP(&f.output, "output", "o", "", "write to this file, complete or not at all; - is stdout")
}

func newResultsShow(a *app) *cobra.Command {
	var f outputFlags
	c := &cobra.Command{
		Use:   "show RUN",
		Short: "Show a run as the command that measured it did",
		Long:  "show prints a run as the command that measured it did.\n\n" + naming,
		Example: `  gpuplay results show last
  gpuplay results show before --format md
  gpuplay results show 3f2a1c --format json`,
		Args: oneRun,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.showResult(f, args[0])
		},
	}
	f.addShown(c.Flags(), "table", append([]string{"table"}, encode.AllFormats()...))
	c.Flags().BoolVar(&f.watch, "watch", false, "show the history of the sensors below the table")
	c.Flags().BoolVar(&f.all, "verbose", false, "show every lane, even those that do not fit the screen")
	return c
}

func newResultsExport(a *app) *cobra.Command {
	var f outputFlags
	c := &cobra.Command{
		Use:   "export RUN",
		Short: "Write a run for another program or another machine",
		Long: `export writes a run: json is its complete record, which gpuplay results import takes on
another machine, benchfmt is what Go's benchstat reads.

` + naming,
		Example: `  gpuplay results export last --output run.json
  gpuplay results export before --output before.benchfmt
  gpuplay results export last --format csv`,
		Args: oneRun,
		RunE: func(_ *cobra.Command, args []string) error {
			var err error
			if f.format, err = formatFor(f.format, f.output, f.names, "json"); err != nil {
				return err
			}
			return a.showResult(f, args[0])
		},
	}
	f.addShown(c.Flags(), "json", encode.AllFormats())
	return c
}

// oneRun wants the name of one run.
func oneRun(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef(listHint, "%s needs one run, not %d", c.CommandPath(), len(args))
	}
	return nil
}

// showResult writes a run in a format.
func (a *app) showResult(f outputFlags, ref string) error {
	if err := f.check(); err != nil {
		return err
	}
	r, err := a.loadRun(ref)
	if err != nil {
		return err
	}
	if have := encode.Formats(r.Kind); f.format != "table" && !slices.Contains(have, f.format) {
		return usagef("", "--format %s: a run of %s has %s", f.format, judge.Command(r), strings.Join(have, ", "))
	}
	if f.watch {
		a.history = monitor.NewHistory()
		if err := monitor.OfRecord(r, a.history.Observe); err != nil {
			return fmt.Errorf("--watch: %w", err)
		}
	}
	if f.to != nil {
		return f.to.write(func(w io.Writer) error { return a.write(w, r, f, f.format) })
	}
	return a.write(a.stdout, r, f, f.format)
}

func newResultsDelete(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "delete RUN...",
		Short: "Delete runs from the store",
		Long:  "delete takes runs out of the store for good: all that are named, or none.\n\n" + naming,
		Example: `  gpuplay results delete 3f2a1c
  gpuplay results delete last last~1`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef(listHint, "%s needs a run", c.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := a.openStore(a.force)
			if err != nil {
				return err
			}
			defer s.Close()
			var list []store.Entry
			for _, ref := range args {
				e, err := s.Find(ref)
				if err != nil {
					return err
				}
				if !slices.ContainsFunc(list, func(o store.Entry) bool { return o.ID == e.ID }) {
					list = append(list, e)
				}
			}
			if err := s.Delete(list...); err != nil {
				return err
			}
			for _, e := range list {
				say(a.stdout, "Deleted %s: %s\n", e.Name, inWords(e))
			}
			return nil
		},
	}
	return c
}

// inWords is a run in words, on one line.
func inWords(e store.Entry) string {
	words := string(e.Kind)
	if e.Task != "" {
		words += " " + e.Task
	}
	return plain.Line(fmt.Sprintf("%s, %s", words, e.Created.Local().Format(time.DateTime)))
}

func newResultsImport(a *app) *cobra.Command {
	var tag string
	c := &cobra.Command{
		Use:   "import FILE...",
		Short: "Take in runs from other machines and other tools",
		Long: `import keeps the runs of files: JSON that gpuplay wrote on another machine, of any
version, and what llama-bench, nvbench and mlx-lm wrote. Figures of another tool say so
wherever they are shown, and are never compared with gpuplay's own. A file name of -
is stdin. A run that is in the store already is not kept twice.`,
		Example: `  gpuplay results import laptop.json --tag laptop
  llama-bench -m model.gguf -o json | gpuplay results import -
  ssh gpu-box gpuplay results export last | gpuplay results import -`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("for example gpuplay results import run.json; - is stdin", "%s needs a file", c.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if tag != "" {
				if err := store.CheckTag(tag); err != nil {
					return err
				}
			}
			return a.importResults(args, tag)
		},
	}
	c.Flags().StringVar(&tag, "tag", "", "keep the runs under this name too")
	return c
}

// importResults keeps the runs of files. Nothing is kept of a file that cannot be read to
// its end, which does not stop the others.
func (a *app) importResults(names []string, tag string) error {
	s, err := a.openStore(a.force)
	if err != nil {
		return err
	}
	defer s.Close()
	var failed error
	for _, name := range names {
		runs, err := a.given(name)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		for _, r := range runs {
			e, added, err := s.Keep(r, tag, plain.Line(name))
			switch {
			case err != nil:
				failed = errors.Join(failed, err)
			case added:
				say(a.stdout, "Kept as %s: %s\n", e.Name, inWords(e))
			default:
				say(a.stdout, "Already kept as %s: %s\n", e.Name, inWords(e))
			}
		}
	}
	return failed
}

// given reads the runs in a file, or from stdin.
func (a *app) given(name string) ([]*record.Run, error) {
	if name == standardOutput {
		return readFrom(a.stdin, name, time.Now())
	}
	return readRuns(name)
}
