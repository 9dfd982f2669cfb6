package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/engine/blas"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/hub"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/store"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// promptness is how long models are looked for. The shell waits for completions while
// the user waits for the shell, so nothing here starts an engine: values come from lists
// in this program, and cards from the driver's files.
const promptness = 500 * time.Millisecond

// valuesOf is the annotation of a flag that names the values that it can have.
const valuesOf = "values"

// completions tells cobra what a shell can offer for the flags and the arguments of a
// command and of all below it.
func (a *app) completions(c *cobra.Command) {
	for name, values := range map[string]func(c *cobra.Command, typed string) []cobra.Completion{
		"dtype":     fixed(dtypeNames()...),
		"engine":    func(*cobra.Command, string) []cobra.Completion { return engineNames() },
		"engines":   listed(engineNames),
		"device":    deviceNames,
		"isa":       fixed(isaNames()...),
		"runtime":   fixed(runtimes...),
		"framework": fixed(model.MLX, model.Torch),
		"bench":     fixed(benchChoices...),
		"format":    annotated("format"),
		"protocol":  annotated("protocol"),
		"kind":      fixed(kindNames()...),
		"tag":       func(*cobra.Command, string) []cobra.Completion { return a.tags() },
		"data":      annotated("data"), // of finetune it is a folder
		"theme":     annotated("theme"),
		"fail-on":   annotated("fail-on"),
	} {
		if f := c.Flags().Lookup(name); name == "data" && f != nil && f.Annotations[valuesOf] == nil {
			continue
		}
		if _, set := c.GetFlagCompletionFunc(name); c.Flags().Lookup(name) == nil || set { // the root has those of race
			continue
		}
		directive := cobra.ShellCompDirectiveNoFileComp
		if name == "engines" { // a comma may follow
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		must(c.RegisterFlagCompletionFunc(name, func(c *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return values(c, typed), directive
		}))
	}
	if c.Flags().Lookup("why-slow") != nil {
		must(c.RegisterFlagCompletionFunc("why-slow", a.runNames))
	}
	c.Flags().VisitAll(func(f *pflag.Flag) { // a number is not the name of a file
		if _, set := c.GetFlagCompletionFunc(f.Name); !set && slices.Contains([]string{"int", "uint", "uint64", "float64", "duration", "n"}, f.Value.Type()) {
			must(c.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions))
		}
	})
	if c.ValidArgsFunction == nil && len(c.ValidArgs) == 0 {
		c.ValidArgsFunction = cobra.NoFileCompletions
		switch {
		case strings.Contains(c.Use, "[MODEL]"):
			c.ValidArgsFunction = a.modelNames
		case strings.Contains(c.Use, "RUN"), c.Name() == "compare":
			c.ValidArgsFunction = a.runNames
		case strings.Contains(c.Use, "FILE..."):
			c.ValidArgsFunction = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
		}
	}
	for _, sub := range c.Commands() {
		a.completions(sub)
	}
}

// must panics on an error that only a mistake in this program can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func dtypeNames() []string {
	var names []string
	for _, d := range matrix.DTypes {
		names = append(names, string(d))
	}
	return names
}

func dataNames() []string {
	var names []string
	for _, d := range matrix.Kinds {
		names = append(names, d.String())
	}
	return names
}

func engineNames() []cobra.Completion {
	var list []cobra.Completion
	for _, e := range catalog.Engines {
		list = append(list, cobra.CompletionWithDesc(e.Name, e.About))
	}
	return list
}

// fixed are values that are always the same.
func fixed(values ...string) func(*cobra.Command, string) []cobra.Completion {
	return func(*cobra.Command, string) []cobra.Completion { return values }
}

// annotated are the values that a flag itself names, since they differ by command.
func annotated(flag string) func(*cobra.Command, string) []cobra.Completion {
	return func(c *cobra.Command, _ string) []cobra.Completion {
		return c.Flags().Lookup(flag).Annotations[valuesOf]
	}
}

// listed are values of a list with commas, of which those that are typed are not
// offered again.
func listed(values func() []cobra.Completion) func(*cobra.Command, string) []cobra.Completion {
	return func(_ *cobra.Command, typed string) []cobra.Completion {
		before := typed[:strings.LastIndexByte(typed, ',')+1]
		var list []cobra.Completion
		for _, v := range values() {
			name, _, _ := strings.Cut(v, "\t")
			if !slices.Contains(strings.Split(before, ","), name) {
				list = append(list, before+v)
			}
		}
		return list
	}
}

// deviceNames are what --device can be, as far as that is known without the engine.
func deviceNames(c *cobra.Command, _ string) []cobra.Completion {
	engine := ""
	for _, name := range []string{"engine", "framework"} {
		if f := c.Flags().Lookup(name); f != nil {
			engine = f.Value.String()
		}
	}
	switch {
	case c.Name() == "llm": // its names are llama.cpp's own
		return nil
	case engine == "gocpu":
		return []cobra.Completion{"cpu"}
	case engine == "blas":
		return blas.APIs()
	}
	list := []cobra.Completion{"cpu", "gpu"}
	if runtime.GOOS == "darwin" && engine != "mlx" {
		list = append(list, "mps")
	}
	for _, card := range host.Cards() {
		if card.Vendor == "NVIDIA" {
			list = append(list, cobra.CompletionWithDesc(fmt.Sprintf("cuda:%d", card.Number), card.Name))
		}
	}
	return list
}

// modelNames are the models on this machine that the command can run. A path will do
// too, so that the shell offers files where there are none.
func (a *app) modelNames(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(c.Context(), promptness)
	defer cancel()
	dirs, _ := c.Flags().GetStringArray("model-dir")
	found, _ := model.Find(ctx, a.places(dirs))
	var list []cobra.Completion
	for _, m := range found {
		if c.Name() == "llm" || slices.Contains(m.Runtimes, model.MLX) || slices.Contains(m.Runtimes, model.Torch) {
			list = append(list, cobra.CompletionWithDesc(shownRef(m), unit.Bytes(float64(m.Bytes))))
		}
	}
	return list, cobra.ShellCompDirectiveDefault
}

// modelsToGet are the models that gpuplay offers by itself.
func modelsToGet(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var list []cobra.Completion
	for _, d := range hub.Defaults {
		list = append(list, cobra.CompletionWithDesc(d.Name, unit.Bytes(float64(d.Bytes))))
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// runNames are the latest runs that are kept, by tag and by id, as long as the command
// takes another one. A file will do too.
func (a *app) runNames(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	takes := strings.Count(c.Use, " ") // as "compare A B"
	if takes > 0 && len(args) >= takes && !strings.HasSuffix(c.Use, "...") {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list := []cobra.Completion{cobra.CompletionWithDesc(store.Last, "the latest run")}
	for _, tag := range a.tags() {
		list = append(list, cobra.CompletionWithDesc(tag, "a tag"))
	}
	if s, err := a.openStore(false); err == nil {
		defer s.Close()
		entries, _, _ := s.List(store.Filter{Limit: 20})
		for _, e := range entries {
			list = append(list, cobra.CompletionWithDesc(e.Name, inWords(e)))
		}
	}
	return list, cobra.ShellCompDirectiveDefault
}

// tags are those that runs have, the latest first.
func (a *app) tags() []cobra.Completion {
	s, err := a.openStore(false)
	if err != nil {
		return nil
	}
	defer s.Close()
	tags, _ := s.Tags()
	return tags
}
