package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/forecast"
	"github.com/gpuplay/gpuplay/internal/hub"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/term"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// modelFlags say where models are looked for.
type modelFlags struct {
	dirs []string
}

func (f *modelFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.dirs, "model-dir", nil, "look for models in this folder too; can be repeated")
}

func newModels(a *app) *cobra.Command {
	var f modelFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "models",
		Short: "Show the language models on this machine, or get one",
		Long: `models lists the language models that llama.cpp, Ollama, LM Studio, MLX and the
Hugging Face libraries keep on this machine, with what their files say about them and
about how many tokens per second each will generate here. gpuplay llm takes the name in
the first column.`,
		Example: `  gpuplay models
  gpuplay models --model-dir ~/Downloads
  gpuplay models get ` + hub.Defaults[0].Name,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.showModels(c.Context(), f.dirs, asJSON)
		},
	}
	c.Flags().SortFlags = false
	f.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print as JSON, with everything known about each")
	c.AddCommand(newModelsGet(a))
	return c
}

func newModelsGet(a *app) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "get [OWNER/NAME[:QUANTIZATION]]",
		Short: "Download a model from Hugging Face",
		Long: `get downloads a model from Hugging Face into the cache that llama.cpp, MLX and the
Hugging Face libraries share, and prints its path. Without a name it takes a small
chat model, ` + hub.Defaults[0].Name + `.
The same command resumes an interrupted download. Every file is checked against the
size and the hash that Hugging Face publishes.

What the cache has in full is not asked for again. HF_TOKEN (or the token saved by hf
auth login), HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE
are honoured.`,
		Example: `  gpuplay models get
  gpuplay models get Qwen/Qwen2.5-1.5B-Instruct-GGUF:Q8_0
  gpuplay models get mlx-community/Qwen2.5-0.5B-Instruct-4bit --yes`,
		ValidArgsFunction: modelsToGet,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("", "one model at a time: %s", strings.Join(args, " "))
			}
			if len(args) == 1 && !hub.Named(args[0]) {
				e := hub.NotNamed(args[0])
				return usagef(hintOf(e), "%s", e.Message)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			path, err := a.download(c.Context(), append(args, hub.Defaults[0].Name)[0], yes)
			if err == nil {
				a.printPath(path)
			}
			return err
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "download without asking, however large it is")
	return c
}

// printPath prints a path alone on a line: to a program as it is, which may hold what a
// terminal must not get.
func (a *app) printPath(path string) {
	if _, shown := terminal(a.stdout); shown {
		path = plain.Line(path)
	}
	io.WriteString(a.stdout, path+"\n")
}

// A listedModel is a model with how fast it generates here, nil where that is not known.
type listedModel struct {
	model.Model
	CPU *forecast.Forecast `json:"cpu_generation,omitempty"`
	GPU *forecast.Forecast `json:"gpu_generation,omitempty"`
}

// modelsJSON is what models prints with --json.
type modelsJSON struct {
	Models   []listedModel  `json:"models"`
	Unusable []*fault.Error `json:"unusable,omitempty"`
}

func (a *app) showModels(ctx context.Context, dirs []string, asJSON bool) error {
	places := a.places(dirs)
	found, unusable := model.Find(ctx, places)
	if err := ctx.Err(); err != nil {
		return err
	}
	var known speeds
	if len(found) > 0 {
		known = a.speeds(ctx)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if asJSON {
		doc := modelsJSON{Models: []listedModel{}}
		for _, m := range found {
			doc.Models = append(doc.Models, listedModel{m, known.of(m, false), known.of(m, true)})
		}
		for _, err := range unusable {
			var e *fault.Error
			if errors.As(err, &e) {
				doc.Unusable = append(doc.Unusable, e)
			}
		}
		return encode.Indented(a.stdout, doc)
	}
	style := a.env.style(a.stdout)
	var b strings.Builder
	d := hub.Defaults[0]
	next := fmt.Sprintf("gpuplay models get   %s, %s, %s", d.Name, unit.Bytes(float64(d.Bytes)), d.License)
	if len(found) == 0 {
		b.WriteString("No language models were found on this machine.\n")
	} else {
		modelTable(&b, found, places.Free, known, style)
		next = commandLine{}.Command([]string{"gpuplay", "llm", found[0].Ref})
	}
	leftOut(&b, unusable)
	for _, err := range unusable {
		if _, ok := model.Another(err); ok {
			continue
		}
		fmt.Fprintf(&b, "\nCannot be used: %s\n", plain.Line(err.Error()))
		if hint := hintOf(err); hint != "" {
			fmt.Fprintf(&b, "  %s\n", plain.Line(hint))
		}
	}
	fmt.Fprintf(&b, "\nNext: %s\n", next)
	say(a.stdout, "%s", style.Plain(b.String()))
	return nil
}

// leftOut says in one line how many files hold something else than a language model, and
// what. --json names each.
func leftOut(b *strings.Builder, unusable []error) {
	times := map[string]int{}
	total := 0
	for _, err := range unusable {
		if what, ok := model.Another(err); ok {
			times[what]++
			total++
		}
	}
	if total == 0 {
		return
	}
	var kinds []string
	for _, what := range slices.Sorted(maps.Keys(times)) {
		if n := times[what]; n > 1 {
			what += fmt.Sprintf(" ×%d", n)
		}
		kinds = append(kinds, plain.Line(what))
	}
	fmt.Fprintf(b, "\nLeft out, since they generate no text: %s\n", strings.Join(kinds, "; "))
}

// A modelColumn is one of modelTable's.
type modelColumn struct {
	head  string
	width int
	right bool // its cells are numbers
	of    func(model.Model) string
}

// modelTable lists models by the program that keeps them, and within it what is
// best to try first.
func modelTable(b *strings.Builder, found []model.Model, free int64, known speeds, style term.Style) {
	const gap = 2
	mark := "[1]"
	if style.Unicode {
		mark = "¹"
	}
	names := ansi.StringWidth("model")
	for _, m := range found {
		names = max(names, ansi.StringWidth(shownRef(m)))
	}
	large := false
	columns := []modelColumn{{"size", 8, true, func(m model.Model) string {
		if free > 0 && !m.Fits(free) {
			large = true
			return unit.Bytes(float64(m.Bytes)) + mark
		}
		return unit.Bytes(float64(m.Bytes))
	}}}
	for i, name := range []string{"CPU tok/s", "GPU tok/s"} {
		gpu := i == 1
		if slices.ContainsFunc(found, func(m model.Model) bool { return known.of(m, gpu) != nil }) {
			columns = append(columns, modelColumn{name, len(name), true, func(m model.Model) string { return cell(known.of(m, gpu)) }})
		}
	}
	speeds := len(columns) > 1
	columns = append(columns,
		modelColumn{"parameters", 10, true, func(m model.Model) string {
			if m.Parameters == 0 {
				return ""
			}
			return unit.Count(float64(m.Parameters))
		}},
		modelColumn{"quantization", 12, false, func(m model.Model) string { return m.Quantization }},
		modelColumn{"runs with", 22, false, func(m model.Model) string { return strings.Join(m.Runtimes, ", ") }})
	taken := func() int {
		sum := names + 4
		for _, c := range columns {
			sum += gap + c.width
		}
		return sum
	}
	for len(columns) > 1 && taken() > style.Width { // what is least of use goes first
		at := -1
		if speeds { // the size says nearly the same as the parameters
			at = slices.IndexFunc(columns, func(c modelColumn) bool { return c.head == "parameters" })
		}
		if at < 0 {
			at = len(columns) - 1
		}
		columns = slices.Delete(columns, at, at+1)
	}
	row := func(indent, name string, text func(modelColumn) string) {
		line := indent + name + strings.Repeat(" ", max(0, names+4-len(indent)-ansi.StringWidth(name)))
		for _, c := range columns {
			t := text(c)
			pad := strings.Repeat(" ", max(0, c.width-ansi.StringWidth(t)))
			if c.right {
				line += strings.Repeat(" ", gap) + pad + t
			} else {
				line += strings.Repeat(" ", gap) + t + pad
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	var shown []string
	for i, m := range found {
		if slices.Contains(shown, m.Place) {
			continue
		}
		shown = append(shown, m.Place)
		if i == 0 {
			row("  ", m.Place, func(c modelColumn) string { return c.head })
		} else {
			b.WriteString("  " + m.Place + "\n")
		}
		for _, m := range found[i:] {
			if m.Place != shown[len(shown)-1] {
				continue
			}
			row("    ", shownRef(m), func(c modelColumn) string { return c.of(m) })
		}
	}
	if large {
		fmt.Fprintf(b, "\n  %s needs more than the memory that is free, %s, with up to %d tokens of context\n", mark, unit.Bytes(float64(free)), model.UsualContext)
	}
	if text := known.legend(found); text != "" && speeds && len(columns) > 1 {
		b.WriteString("\n")
		for _, line := range term.Wrap(text, style.Width-2) {
			b.WriteString("  " + line + "\n")
		}
	}
}

// shownRef is a model's name without what would command a terminal.
func shownRef(m model.Model) string { return plain.Line(m.Ref) }

// resolveModel returns the model that a person names, for a runtime; without a
// word the first that the runtime, or any, can run. What is not here and has a
// name that Hugging Face could know is downloaded, unless it is a path into a folder
// that is here.
func (a *app) resolveModel(ctx context.Context, word string, dirs []string, runtime string, yes bool) (model.Model, error) {
	places := a.places(dirs)
	if word != "" {
		m, err := model.Resolve(ctx, places, word)
		var e *fault.Error
		if errors.As(err, &e) && e.Code == fault.Unavailable && hub.Named(word) && !isFolder(filepath.Dir(word)) {
			return a.fetched(ctx, word, yes)
		}
		if err == nil && runtime != "" && !slices.Contains(m.Runtimes, runtime) {
			return m, fault.Errorf(fault.Unsupported, "%s cannot run %s", runtime, m.Ref).With(fault.Set("runtime", m.Runtimes[0], strings.Join(m.Runtimes, " or ")+" can"))
		}
		return m, err
	}
	found, _ := model.Find(ctx, places)
	if err := ctx.Err(); err != nil {
		return model.Model{}, err
	}
	for _, m := range found {
		if runtime == "" || slices.Contains(m.Runtimes, runtime) {
			return m, nil
		}
	}
	d := hub.DefaultFor(runtime)
	if yes {
		return a.fetched(ctx, d.Name, true)
	}
	what := "no language model was found on this machine"
	if runtime != "" {
		what = "no language model that " + runtime + " can run was found on this machine"
	}
	return model.Model{}, fault.Errorf(fault.Unavailable, "%s", what).With(fault.Run(
		fmt.Sprintf("{} downloads a small one: about %s, license %s", unit.Bytes(float64(d.Bytes)), d.License), "gpuplay", "models", "get", d.Name))
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// fetched downloads a model and opens it.
func (a *app) fetched(ctx context.Context, word string, yes bool) (model.Model, error) {
	path, err := a.download(ctx, word, yes)
	if err != nil {
		return model.Model{}, err
	}
	m, err := model.Open(path)
	m.Ref = word
	return m, err
}
