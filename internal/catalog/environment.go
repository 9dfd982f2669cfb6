package catalog

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/engine/blas"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// Environment is what engines are found by. Empty fields are skipped.
type Environment struct {
	Folder     string            // the working folder, for the Python environments in it
	Own        string            // where gpuplay's own Python environments are
	VirtualEnv string            // an active Python environment
	Pythons    map[string]string // interpreters of frameworks, by python.Variable
	BLAS       []string          // library files to try before all others
	LlamaCPP   string            // a folder with llama-server
	Cache      string            // where compiled GPU kernels are kept, and which of them are the fastest
	Children   []string          // what child processes inherit, as NAME=value
	Trace      io.Writer         // gets the traffic with workers, each line marked with the engine's name; nil: nobody
}

// A Catalog starts engines as an environment has them.
type Catalog struct {
	Env     Environment
	pythons python.Asker
}

// cardOrder has CUDA number cards by their PCI addresses, as nvidia-smi and
// hardware.Cards do, so that cuda:1 is GPU 1. It is set whatever the user has set:
// CUDA's own order, by speed, would make the numbers of two tools mean different
// cards. CUDA_VISIBLE_DEVICES is left alone; a number in it is read in this order too.
const cardOrder = "CUDA_DEVICE_ORDER=PCI_BUS_ID"

// Environ returns the environment of a child process that may use GPUs. Later entries
// replace earlier ones of the same name.
func (c *Catalog) Environ(more ...string) []string {
	return append(append(slices.Clip(c.Env.Children), cardOrder), more...)
}

// client returns the parent's end of an engine's worker, which has yet to start, and the
// interpreter of a framework: not one of those, by their paths, in which the framework
// has failed before, if there is another.
func (c *Catalog) client(ctx context.Context, e Entry, o Options, failed map[string]string) (*worker.Client, python.Interpreter, error) {
	w := &worker.Client{Engine: e.Name, Env: c.Environ(e.env...), Hello: worker.Hello{Threads: cmp.Or(o.Threads, host.Threads()), CPU: host.CPU()}, Trace: c.trace(e.Name)}
	if e.compiles {
		w.Env = append(w.Env, c.Env.codeCache()...)
	}
	if e.options != nil {
		text, err := json.Marshal(e.options(c.Env, o))
		if err != nil {
			return nil, python.Interpreter{}, fmt.Errorf("options of %s: %w", e.Name, err)
		}
		w.Hello.Options = text
	}
	if e.BuiltIn() {
		self, err := os.Executable()
		if err != nil {
			return nil, python.Interpreter{}, fmt.Errorf("finding this program to start it again: %w", err)
		}
		w.Path, w.Args = self, []string{"gpuplay", "worker", e.Name}
		return w, python.Interpreter{}, nil
	}
	search := c.Search(e.Name, o.Python)
	search.Failed = failed
	found, err := c.find(ctx, search, e.Name)
	if err != nil {
		return nil, found, err
	}
	w.Path = found.Path
	w.Args, w.Source, err = python.Worker(found.Path, found.Mode, e.Name)
	return w, found, err
}

// BuiltIn returns the parent's end of the worker of an engine that is a part of this binary.
func (c *Catalog) BuiltIn(ctx context.Context, name string) (*worker.Client, error) {
	list, err := Select([]string{name})
	if err != nil {
		return nil, err
	}
	w, _, err := c.client(ctx, list[0], Options{}, nil)
	return w, err
}

// Search returns where the Python for a framework is looked for.
func (c *Catalog) Search(framework, asked string) python.Search {
	return python.Search{
		Asked:      asked,
		Variable:   c.Env.Pythons[python.Variable(framework)],
		Folder:     c.Env.Folder,
		Own:        c.Env.Own,
		VirtualEnv: c.Env.VirtualEnv,
		LookPath:   exec.LookPath,
		Ask:        c.pythons.Ask,
	}
}

// Ask asks an interpreter for itself, once.
func (c *Catalog) Ask(ctx context.Context, interpreter string, m python.Mode) python.Environment {
	return c.pythons.Ask(ctx, interpreter, m)
}

// Interpreter returns the Python for a framework and modules beside it: the one that was
// asked for, or else the first in which they are and nothing is known to be wrong.
func (c *Catalog) Interpreter(ctx context.Context, framework, asked string, modules ...string) (python.Interpreter, error) {
	return c.find(ctx, c.Search(framework, asked), framework, modules...)
}

func (c *Catalog) find(ctx context.Context, s python.Search, framework string, modules ...string) (python.Interpreter, error) {
	found, err := s.Find(ctx, framework, modules...)
	if err == nil {
		return found, nil
	}
	remedy := fault.Run("{} makes one", "gpuplay", "setup", framework)
	switch {
	case s.Asked != "":
		remedy = fault.Change("python", "{} names an interpreter")
	case s.Variable != "":
		remedy = fault.Remedy{Text: "let " + python.Variable(framework) + " name an interpreter, or unset it"}
	}
	return found, fault.Errorf(fault.Unavailable, "%v", err).With(remedy)
}

// Language returns what makes the parent's end of a worker for a runtime of language
// models, mlx_lm or transformers, in an interpreter that has it.
func (c *Catalog) Language(runtime string, interpreter python.Interpreter) func(ctx context.Context, threads int) (*worker.Client, error) {
	return func(_ context.Context, threads int) (*worker.Client, error) {
		args, source, err := python.Worker(interpreter.Path, interpreter.Mode, runtime)
		if err != nil {
			return nil, err
		}
		return &worker.Client{
			Engine: runtime, Path: interpreter.Path, Args: args, Source: source, Env: c.Environ(),
			Hello: worker.Hello{Threads: cmp.Or(threads, host.Threads()), CPU: host.CPU()}, Trace: c.trace(runtime),
		}, nil
	}
}

// libraryDirs returns the folders in which Python environments keep native
// libraries: `pip install mkl` puts them into lib, scipy-openblas32 into a folder
// of its own below site-packages.
func (e Environment) libraryDirs() []string {
	roots := []string{e.VirtualEnv}
	roots = append(roots, disk.Match(e.Folder, ".venv*")...)
	roots = append(roots, disk.Match(e.Own, "*")...)
	var dirs []string
	for _, root := range roots {
		if root == "" {
			continue
		}
		for _, inside := range []string{"lib", "lib/python*/site-packages", "Library/bin", "Lib/site-packages"} { // the last two on Windows
			dirs = append(dirs, disk.Match(root, inside)...)
		}
	}
	return dirs
}

// codeCache returns the variable that names the folder in which NVIDIA's driver keeps what it
// compiles, unless the user has set it.
func (e Environment) codeCache() []string {
	const variable = "CUDA_CACHE_PATH="
	set := slices.ContainsFunc(e.Children, func(pair string) bool { return strings.HasPrefix(pair, variable) })
	if set || e.Cache == "" {
		return nil
	}
	return []string{variable + filepath.Join(e.Cache, "code")}
}

// threadSettings returns the variables of child processes that set threads of BLAS
// libraries.
func (e Environment) threadSettings() []string {
	var set []string
	for _, pair := range e.Children {
		name, _, _ := strings.Cut(pair, "=")
		for _, names := range blas.ThreadVariables {
			if slices.Contains(names, name) && !slices.Contains(set, pair) {
				set = append(set, pair)
			}
		}
	}
	return set
}

// trace returns what takes a worker's traffic, nil if nobody does.
func (c *Catalog) trace(engine string) io.Writer {
	if c.Env.Trace == nil {
		return nil
	}
	return &marked{out: c.Env.Trace, mark: engine + ": "}
}

// marked puts a mark before each line.
type marked struct {
	mu   sync.Mutex // several workers of an engine share it
	out  io.Writer
	mark string
}

func (w *marked) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for line := range bytes.Lines(p) {
		if _, err := fmt.Fprintf(w.out, "%s%s\n", w.mark, bytes.TrimRight(line, "\n")); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
