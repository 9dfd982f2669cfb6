package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/unit"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// languageFlags say which framework runs a language model, and where.
type languageFlags struct {
	framework string
	device    string
	threads   int
	python    string
	dirs      []string // with models in them
	yes       bool     // a model may be downloaded
}

// frameworks are those that run language models, by what --framework calls them.
var frameworks = []string{"mlx", "torch"}

// check looks for mistakes that need no framework.
func (f *languageFlags) check() error {
	if f.framework != "" {
		if err := oneOf("framework", f.framework, frameworks); err != nil {
			return err
		}
	}
	if f.threads < 0 {
		return usagef("leave it out to use what the framework chooses", "--threads %d: at least 1 thread is needed", f.threads)
	}
	return nil
}

// A part is what a framework needs to run language models: its own module and the
// one that stands on it.
type part struct{ runtime, module, models string }

var parts = map[string]part{
	"mlx":   {framework.MLX, "mlx", "mlx_lm"},
	"torch": {framework.Transformers, "torch", "transformers"},
}

// follow takes the framework that made an adapter: the other one cannot read it.
func (f *languageFlags) follow(adapter, runtime string) error {
	for name, p := range parts {
		switch {
		case p.runtime != runtime:
		case f.framework == "":
			f.framework = name
		case f.framework != name:
			return usagef("leave it out", "--framework %s: %s was made with %s", f.framework, adapter, name)
		}
	}
	return nil
}

// usualFrameworks are those to try, in order.
func usualFrameworks() []string {
	if runtime.GOOS == "darwin" && runtime.GOARCH == "arm64" {
		return []string{"mlx", "torch"}
	}
	return []string{"torch", "mlx"}
}

// runtime returns the framework that runs language models and the interpreter that
// has it. Left to choose it takes MLX on Apple silicon and PyTorch elsewhere, but
// rather the other one than one that is not there or cannot load the model.
func (a *app) runtime(ctx context.Context, f languageFlags, m model.Model) (*framework.Runtime, error) {
	order := usualFrameworks()
	if f.framework != "" {
		order = []string{f.framework}
	}
	order = slices.DeleteFunc(order, func(name string) bool { return !slices.Contains(m.Runtimes, name) })
	if len(order) == 0 {
		return nil, &fault.Error{Code: fault.Unsupported, Message: fmt.Sprintf("%s cannot load %s weights", f.framework, m.Quantization), Remedies: fault.Advice("--framework " + strings.Join(m.Runtimes, " or "))}
	}
	var first *framework.Runtime
	var failed error
	for _, name := range order {
		p := parts[name]
		found, err := a.interpreter(ctx, p.module, f.python, func(ctx context.Context, interpreter, module string) bool {
			return python.HasModule(ctx, interpreter, module) && python.HasModule(ctx, interpreter, p.models)
		})
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		r := &framework.Runtime{Runtime: p.runtime, Client: a.languageClient(p.runtime, found.Path)}
		if python.HasModule(ctx, found.Path, p.models) {
			return r, nil
		}
		if first == nil {
			first = r
		}
	}
	if first == nil {
		return nil, &fault.Error{Code: fault.Unavailable, Message: failed.Error(), Remedies: fault.Advice("--python names an interpreter, gpuplay setup " + order[0] + " makes one")}
	}
	return first, nil // its worker says what is missing
}

// languageClient returns what makes the parent's end of a worker for a runtime.
func (a *app) languageClient(runtime, interpreter string) func(context.Context, int) (*worker.Client, error) {
	return func(_ context.Context, threads int) (*worker.Client, error) {
		args, source, err := python.Worker(interpreter, runtime)
		if err != nil {
			return nil, err
		}
		c := &worker.Client{Engine: runtime, Path: interpreter, Args: args, Source: source, Env: a.env.children, Hello: worker.Hello{Threads: threads, CPU: host.CPU()}}
		if a.env.trace {
			c.Trace = &prefixWriter{out: a.stderr, prefix: runtime + ": "}
		}
		return c, nil
	}
}

// findModel returns the model that a person named, or else the first one here, if
// MLX or PyTorch can load it and memory holds it.
func (a *app) findModel(ctx context.Context, f languageFlags, args []string) (model.Model, error) {
	word, wanted := "", f.framework
	switch {
	case len(args) > 0:
		word, wanted = args[0], ""
	case wanted == "":
		wanted = usualFrameworks()[0]
	}
	m, err := a.resolveModel(ctx, word, f.dirs, wanted, f.yes)
	switch {
	case err != nil:
		return m, err
	case m.Format != model.Safetensors:
		return m, &fault.Error{Code: fault.Unsupported, Message: fmt.Sprintf("%s is a GGUF file, which is llama.cpp's form", m.Path), Remedies: fault.Advice("gpuplay llm runs it; MLX and PyTorch need the model as its maker published it: config.json, *.safetensors, tokenizer.json")}
	}
	if m.Path, err = filepath.Abs(m.Path); err != nil {
		return m, err
	}
	if free := host.Free(); free > 0 && m.Bytes > free {
		return m, &fault.Error{Code: fault.OutOfMemory, Message: fmt.Sprintf("%s has %s of weights, %s of memory is free", m.Ref, unit.Bytes(float64(m.Bytes)), unit.Bytes(float64(free))), Remedies: fault.Advice("a smaller model, or the same with 4-bit weights for MLX")}
	}
	return m, nil
}

// absolute returns a path from the working folder on; "" stays.
func (a *app) absolute(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(a.env.folder, path)
}
