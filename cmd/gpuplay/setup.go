package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/probe"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/setup"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// setupFlags are those of setup.
type setupFlags struct {
	setup.Options
	dir, python   string
	dryRun, clear bool
	yes           bool // to more than was announced
	source        bool // llama.cpp from source
}

func newSetup(a *app) *cobra.Command {
	var f setupFlags
	names := append(python.FrameworkNames(), setup.LlamaCpp, setup.CuBLAS, "all")
	c := &cobra.Command{
		Use:   "setup [" + strings.Join(names, "|") + "]",
		Short: "Get a framework, llama.cpp or cuBLAS, in the build that fits",
		Long: `setup makes a Python environment for each framework, torch by default, with
uv if it is installed, otherwise with venv and pip. It first says what it will do, who
publishes it and about how much it will download, and asks before it downloads much
more than that. It can be interrupted and repeated.

llama.cpp comes from Homebrew on a Mac and as a prebuilt wheel with Vulkan on
Linux x86-64; --from-source builds it for the GPU of this machine, with Metal, CUDA,
HIP or Vulkan. It is run once before setup reports success.

cublas is NVIDIA's cuBLAS for the engine cublaslt, without a framework. "setup all"
installs every framework, but neither llama.cpp nor cublas.`,
		Example: `  gpuplay setup --dry-run
  gpuplay setup mlx
  gpuplay setup torch --cpu --dir .
  gpuplay setup llama.cpp --from-source`,
		ValidArgs: names,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("setup all installs every framework available for this machine", "one framework at a time: %s", strings.Join(args, " "))
			}
			if len(args) == 1 && !slices.Contains(names, args[0]) {
				return mistyped(args[0], names, "unknown framework %q", args[0])
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
				chosen = python.FrameworkNames()
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
	fl.BoolVar(&f.CPU, "cpu", false, "the build for the CPU, even if there is a GPU")
	fl.BoolVar(&f.GPU, "gpu", false, "the build for a GPU, even if none is found")
	fl.StringVar(&f.dir, "dir", "", "create .venv-torch and the like in this folder (default: a folder of gpuplay's own)")
	fl.BoolVar(&f.Full, "full", false, "also install torchvision and torchaudio")
	fl.BoolVar(&f.Models, "llm", false, "also install what gpuplay generate and finetune need: transformers and peft")
	fl.BoolVar(&f.source, "from-source", false, "build llama.cpp on this machine, for its GPU; takes several minutes")
	fl.StringVar(&f.python, "python", "", "Python interpreter to create the environment with")
	fl.BoolVar(&f.clear, "clear", false, "remove an existing environment and create it again")
	fl.BoolVarP(&f.yes, "yes", "y", false, "do not ask before downloading more than was announced")
	fl.BoolVar(&f.dryRun, "dry-run", false, "only show what would be done")
	return c
}

// setupPlace returns where each framework's environment goes: with --dir where the
// tutorial has it, else where python.Search looks for gpuplay's own.
func (a *app) setupPlace(f setupFlags) (func(framework string) string, error) {
	if f.dir == "" {
		if a.env.engines.Own == "" {
			return nil, usagef("--dir names a folder for it", "no folder for the environments of this user is known")
		}
		return func(framework string) string { return filepath.Join(a.env.engines.Own, framework) }, nil
	}
	dir := f.dir
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(a.env.engines.Folder, dir)
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
		Machine:  setup.Detect(ctx, setup.Run, a.env.engines.Children, probe.Ask),
		Exec:     setup.Run,
		LookPath: exec.LookPath,
		Free:     disk.Free,
		Env:      a.env.engines.Children,
		Log:      &plainly{Writer: a.stderr},
		Index:    setup.PyPI,
		Agree: func(ctx context.Context, question string) error {
			if f.yes {
				return nil
			}
			return a.ask(ctx, question)
		},
	}
	var failed bool
	for _, name := range frameworks {
		if name == setup.LlamaCpp && b.Machine.OS == "darwin" && !f.source {
			return a.brewLlama(ctx, b, f.dryRun)
		}
		p, err := planned(name, b.Machine, f)
		there := err == nil
		if there {
			err = a.setupOne(ctx, b, f, p, place(name))
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && len(frameworks) == 1:
			return err
		case err != nil:
			complain(a.stderr, err)
			failed = failed || there // what there is no build of is left out
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
		if dir := filepath.Dir(place("")); f.dir != "" && dir != a.env.engines.Folder {
			next = "cd " + quote(dir) + " && " + next
		}
		say(a.stdout, "Next: %s\n", next)
	}
	return nil
}

// planned plans one framework, llama.cpp or cuBLAS.
func planned(name string, m setup.Machine, f setupFlags) (*setup.Plan, error) {
	switch {
	case name == setup.CuBLAS:
		return setup.NewCuBLAS(m, f.Options)
	case name != setup.LlamaCpp:
		return setup.New(name, m, f.Options)
	case f.source:
		return setup.NewBuild(m, f.Options, exec.LookPath)
	}
	return setup.NewPrebuilt(m, f.Options)
}

// brewLlama has Homebrew install llama.cpp.
func (a *app) brewLlama(ctx context.Context, b *setup.Builder, dryRun bool) error {
	command, err := b.Homebrew()
	if err != nil {
		return err
	}
	out := a.stderr
	if dryRun {
		out = a.stdout
	}
	say(out, "llama.cpp from Homebrew\n")
	showCommand(out, command)
	if dryRun {
		return nil
	}
	defer a.work()()
	facts, err := b.Brew(ctx, command, a.env.engines.Folder)
	if err == nil {
		a.showFacts(facts)
	}
	return err
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
	done := a.work()
	facts, err := b.Make(ctx, j)
	done()
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
		say(w, "%s: complete in %s\n", p.Framework, j.Folder)
		showCommand(w, b.ModelsCommand(j))
		return
	}
	say(w, "%s into %s, %s free\n", p.Framework, j.Folder, unit.Bytes(float64(j.Free)))
	for i, s := range p.Sources {
		from, asked := "from", ""
		if i > 0 {
			from = "else from"
		}
		if p.Asks(s) {
			asked = "; asks first"
		}
		say(w, "  %s %s: about %s to download, %s on disk%s\n", from, s.Name, unit.Bytes(float64(s.Download)), unit.Bytes(float64(s.Disk)), asked)
	}
	if p.Publisher != "" {
		say(w, "  published by %s\n", p.Publisher)
	}
	if p.Pin != nil {
		say(w, "  exactly %s, SHA-256 %s\n", p.Pin.File, p.Pin.SHA256)
	}
	if p.Build != nil {
		backend := "no GPU"
		if p.Build.Backend != "" {
			backend = p.Build.Backend
		}
		say(w, "  built from source, for this CPU and %s: some minutes\n", backend)
	}
	for _, n := range p.Notes {
		say(w, "  note: %s\n", n)
	}
	for _, command := range append(b.Commands(j, p.Sources[0]), b.ModelsCommand(j)) {
		showCommand(w, command)
	}
}

// showCommand shows a command as it can be typed, if there is one.
func showCommand(w io.Writer, command []string) {
	if len(command) > 0 {
		say(w, "  $ %s\n", commandLine{}.Command(command))
	}
}

// showFacts shows what was set up says of itself.
func (a *app) showFacts(facts []string) {
	separator := " · "
	if !a.env.unicode {
		separator = " | "
	}
	say(a.stdout, "%s\n", a.env.style(a.stdout).Plain(strings.Join(facts, separator)))
}
