package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/python"
)

// An environment is what an interpreter says of itself.
type environment struct {
	Version string   `json:"version"`
	Machine string   `json:"machine"`
	Path    []string `json:"path"` // where it looks for modules
	err     error
}

// ask starts an interpreter; it imports nothing but what is loaded or tiny.
func ask(ctx context.Context, interpreter string) environment {
	const question = `import sys, json, os
m = os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", "")
print(json.dumps({"version": sys.version.split()[0], "machine": m, "path": [p for p in sys.path if p]}))`
	var e environment
	if why := stub(ctx, interpreter); why != nil {
		return environment{err: why}
	}
	out, err := output(ctx, interpreter, "-c", question)
	if err == nil {
		err = json.Unmarshal([]byte(out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:]), &e) // a banner may come first
	}
	e.err = err
	return e
}

// frameworks finds each framework's interpreter and packages. Every interpreter is
// asked once.
func frameworks(ctx context.Context, o Options) []Framework {
	var mu sync.Mutex
	asked := map[string]func() environment{}
	env := func(interpreter string) environment {
		mu.Lock()
		once, known := asked[interpreter]
		if !known {
			once = sync.OnceValue(func() environment { return ask(ctx, interpreter) })
			asked[interpreter] = once
		}
		mu.Unlock()
		return once()
	}
	has := func(_ context.Context, interpreter, module string) bool { return env(interpreter).has(module) }
	list := make([]Framework, len(python.Frameworks))
	var wg sync.WaitGroup
	for i, f := range python.Frameworks {
		name := f.Name
		wg.Go(func() {
			w := Framework{Name: name}
			defer func() { list[i] = w }()
			found, err := o.Find(ctx, name, has)
			var named *exec.Error // of looking up an interpreter that was asked for
			if errors.As(err, &named) {
				w.Error = err.Error()
			}
			if err != nil {
				return
			}
			e := env(found.Path)
			w.Python = Python{Path: found.Path, Why: found.Why, Version: e.Version, Machine: e.Machine, Pip: e.has("pip"), Managed: e.managed(found.Path)}
			if e.err != nil {
				w.Python.Error = e.err.Error()
				return
			}
			w.Installed = e.has(name)
			w.Packages = e.packages(name)
			w.CUDA, w.ROCm = e.builtFor(name, w.Packages)
		})
	}
	wg.Wait()
	return list
}

// has reports whether a module is there, as a folder or a file.
func (e environment) has(module string) bool {
	for _, dir := range e.Path {
		for _, name := range []string{module, module + ".py"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				return true
			}
		}
	}
	return false
}

// managed reports whether the packages of the system own an interpreter, which marks it so
// (packaging.python.org/en/latest/specifications/externally-managed-environments); the
// virtual environments on it are free.
func (e environment) managed(interpreter string) bool {
	if disk.Exists(filepath.Join(filepath.Dir(filepath.Dir(interpreter)), "pyvenv.cfg")) {
		return false
	}
	return slices.ContainsFunc(e.Path, func(dir string) bool { return disk.Exists(filepath.Join(dir, "EXTERNALLY-MANAGED")) })
}

// packages returns the versions of a framework's packages, by the names of their
// metadata's folders: torch-2.15.0.dist-info.
func (e environment) packages(framework string) map[string]string {
	found := map[string]string{}
	for _, dir := range e.Path {
		entries, _ := os.ReadDir(dir)
		for _, entry := range entries {
			stem, ok := strings.CutSuffix(entry.Name(), ".dist-info")
			if !ok {
				stem, ok = strings.CutSuffix(entry.Name(), ".egg-info")
			}
			name, version, _ := strings.Cut(stem, "-")
			name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
			matters := strings.HasPrefix(name, framework) || strings.HasPrefix(name, "nvidia-cuda-runtime") || name == "numpy"
			if _, shadowed := found[name]; ok && matters && !shadowed {
				found[name], _, _ = strings.Cut(version, "-py") // an egg's Python
			}
		}
	}
	return found
}

// builtFor returns the CUDA or ROCm version that a framework is built for. PyTorch
// writes it into torch/version.py; the others bring CUDA as packages, which may also be
// there for another framework.
func (e environment) builtFor(framework string, packages map[string]string) (cuda, rocm string) {
	if framework == "torch" {
		for _, dir := range e.Path {
			if text, err := os.ReadFile(filepath.Join(dir, "torch", "version.py")); err == nil {
				return assigned(string(text), "cuda"), assigned(string(text), "hip")
			}
		}
		return "", ""
	}
	bridge := map[string]string{"jax": "jax-cuda", "mlx": "mlx-cuda", "tensorflow": "tensorflow"}[framework]
	there := func(name string) bool { return strings.HasPrefix(name, bridge) && name != "tensorflow-cpu" }
	if !slices.ContainsFunc(slices.Collect(maps.Keys(packages)), there) {
		return "", ""
	}
	for name, version := range packages {
		switch {
		case strings.HasPrefix(name, "nvidia-cuda-runtime"): // …-cu12 up to CUDA 12
			return major(version), ""
		case strings.HasPrefix(name, "jax-cuda") && strings.HasSuffix(name, "-plugin"):
			cuda = strings.TrimSuffix(strings.TrimPrefix(name, "jax-cuda"), "-plugin")
		case strings.HasPrefix(name, "mlx-cuda-"):
			cuda = strings.TrimPrefix(name, "mlx-cuda-")
		}
	}
	return cuda, ""
}

// major keeps two parts of a version: "12.9" of 12.9.79.
func major(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// assigned returns the string that a line of Python assigns to a name, with or
// without a type: cuda: Optional[str] = '13.2'.
func assigned(source, name string) string {
	for line := range strings.Lines(source) {
		left, value, ok := strings.Cut(line, "=")
		if left, _, _ = strings.Cut(left, ":"); ok && strings.TrimSpace(left) == name {
			return strings.Trim(strings.TrimSpace(strings.Replace(value, "None", "", 1)), `'"`)
		}
	}
	return ""
}
