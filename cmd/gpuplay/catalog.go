package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/agext/levenshtein"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/blas"
	"github.com/gpuplay/gpuplay/internal/engine/gocpu"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// An engine is a line in the list of engines: how its worker comes to life.
type engine struct {
	name  string
	about string
	// open makes an engine that is built into this binary; nil for a Python
	// framework, whose module has the engine's name.
	open func(worker.Hello, workerFlags) (bench.Engine, error)
	// env is added to the environment of its worker.
	env []string
	// quick engines start in well under a second: they are measured at once,
	// before the others are started.
	quick bool
}

// engines are all there are. A new one is a package and a line here.
var engines = []engine{
	{name: "gocpu", about: "gpuplay's own CPU kernels", quick: true, open: func(h worker.Hello, f workerFlags) (bench.Engine, error) {
		return gocpu.New(gocpu.Options{Threads: h.Threads, ISA: f.isa})
	}},
	// OpenBLAS's threads spin for 2^26 cycles after a call, which every sample would
	// have to wait for (driver/others/blas_server.c); 2^20 still bridges the gap
	// between two products of a sample.
	{name: "blas", about: "OpenBLAS, MKL, oneDNN, BLIS or Accelerate, whichever is there", env: []string{"OPENBLAS_THREAD_TIMEOUT=20"}, open: func(h worker.Hello, f workerFlags) (bench.Engine, error) {
		return blas.New(blas.Options{Dirs: f.dirs, Libraries: f.libraries, Threads: h.Threads}), nil
	}},
	{name: "torch", about: "PyTorch, as it is installed"},
	{name: "tensorflow", about: "TensorFlow, as it is installed"},
	{name: "mlx", about: "MLX, as it is installed"},
	{name: "jax", about: "JAX, as it is installed"},
}

func engineNames() []string {
	names := make([]string, len(engines))
	for i, e := range engines {
		names[i] = e.name
	}
	return names
}

// selectEngines returns the engines of those names, in the list's order; all
// when there are none.
func selectEngines(names []string) ([]engine, error) {
	if len(names) == 0 {
		return engines, nil
	}
	for _, n := range names {
		if !slices.Contains(engineNames(), n) {
			return nil, usagef(hintNear(n, engineNames()), "unknown engine %q", n)
		}
	}
	var chosen []engine
	for _, e := range engines {
		if slices.Contains(names, e.name) {
			chosen = append(chosen, e)
		}
	}
	return chosen, nil
}

// nearest returns the option that a mistyped word is closest to, if any is close.
func nearest(word string, options []string) string {
	best, near := "", 0.5
	for _, o := range options {
		if s := levenshtein.Similarity(word, o, nil); s > near {
			best, near = o, s
		}
	}
	return best
}

// workerFlags are what `gpuplay worker` is told on its command line.
type workerFlags struct {
	dirs, libraries []string
	isa             string
}

// client returns the parent's end of e's worker.
func (a *app) client(ctx context.Context, e engine, opts laneFlags) (*worker.Client, error) {
	c := &worker.Client{Engine: e.name, Env: append(slices.Clip(a.env.children), e.env...), Hello: worker.Hello{Threads: opts.threads, CPU: host.CPU()}}
	if a.env.trace {
		c.Trace = &prefixWriter{out: a.stderr, prefix: e.name + ": "}
	}
	if e.open != nil {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("finding this program to start it again: %w", err)
		}
		c.Path, c.Args = self, []string{"gpuplay", "worker", e.name}
		if e.name == "gocpu" && opts.isa != "" {
			c.Args = append(c.Args, "--isa", opts.isa)
		}
		for _, l := range a.env.blas {
			c.Args = append(c.Args, "--library", l)
		}
		for _, d := range a.libraryDirs() {
			c.Args = append(c.Args, "--dir", d)
		}
		return c, nil
	}
	found, err := a.interpreter(ctx, e.name, opts.python, python.HasModule)
	if err != nil {
		return nil, &fault.Error{Code: fault.Unavailable, Message: err.Error(), Remedies: fault.Advice("--python names an interpreter")}
	}
	args, source, err := python.Worker(found.Path, e.name)
	if err != nil {
		return nil, err
	}
	c.Path, c.Args, c.Source = found.Path, args, source
	return c, nil
}

// interpreter returns the Python for a framework; has finds out whether one has it.
func (a *app) interpreter(ctx context.Context, framework, flag string, has func(ctx context.Context, interpreter, module string) bool) (python.Interpreter, error) {
	s := python.Search{
		Flag:       flag,
		Variable:   a.env.pythons[python.Variable(framework)],
		Folder:     a.env.folder,
		Own:        a.env.own,
		VirtualEnv: a.env.virtualEnv,
		LookPath:   exec.LookPath,
		Has:        has,
	}
	return s.Find(ctx, framework)
}

// libraryDirs returns the folders in which Python environments keep native
// libraries: `pip install mkl` puts them into lib, scipy-openblas32 into a folder
// of its own below site-packages.
func (a *app) libraryDirs() []string {
	roots := []string{a.env.virtualEnv}
	for _, pattern := range []string{filepath.Join(a.env.folder, ".venv*"), filepath.Join(a.env.own, "*")} {
		found, _ := filepath.Glob(pattern)
		roots = append(roots, found...)
	}
	var dirs []string
	for _, root := range roots {
		if root == "" {
			continue
		}
		for _, inside := range []string{"lib", "lib/python*/site-packages", "Library/bin", "Lib/site-packages"} { // the last two on Windows
			found, _ := filepath.Glob(filepath.Join(root, inside))
			dirs = append(dirs, found...)
		}
	}
	return dirs
}

// A contender is an engine that was started, with what it found or why it did not.
type contender struct {
	engine engine
	client *worker.Client // nil when it could not even be tried
	found  hardware.Inventory
	err    error
	start  time.Duration
}

// discover starts engines side by side, each within the limit, and asks for
// their devices.
func (a *app) discover(ctx context.Context, list []engine, opts laneFlags, limit time.Duration, report func(contender)) []contender {
	out := make([]contender, len(list))
	var wg sync.WaitGroup
	for i, e := range list {
		wg.Go(func() {
			start := time.Now()
			c := contender{engine: e}
			step, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			if c.client, c.err = a.client(step, e, opts); c.err == nil {
				c.found, c.err = c.client.Devices(step)
			}
			var failed *fault.Error
			if errors.As(c.err, &failed) && failed.Code == fault.Crashed && len(failed.Remedies) == 0 && e.open == nil {
				failed.Remedies = fault.Advice(fmt.Sprintf("it was started by %s: --python names another interpreter, gpuplay setup %s makes one", c.client.Path, e.name))
			}
			if errors.Is(c.err, context.DeadlineExceeded) {
				c.err = &fault.Error{Code: fault.Timeout, Message: fmt.Sprintf("did not start within %s", limit), Remedies: fault.Advice("--timeout gives it longer")}
			}
			c.start = time.Since(start)
			out[i] = c
			report(c)
		})
	}
	wg.Wait()
	return out
}

func closeClients(list []contender) {
	for _, c := range list {
		if c.client != nil {
			c.client.Close()
		}
	}
}

// racing returns the devices that a race gives a lane: all but further copies of
// a CPU library, of which the environments on a machine hold many.
func (c contender) racing() []hardware.Device {
	var out []hardware.Device
	for _, d := range c.found.Devices {
		copied := func(o hardware.Device) bool { return o.API == d.API && o.Kind == hardware.CPU }
		if d.Kind != hardware.CPU || !slices.ContainsFunc(out, copied) {
			out = append(out, d)
		}
	}
	return out
}

// lanes returns the contenders' lanes in a race.
func lanes(list []contender) []bench.Lane {
	var out []bench.Lane
	for _, c := range list {
		for _, d := range c.racing() {
			out = append(out, bench.Lane{Engine: c.client, Device: d, Start: c.start})
		}
	}
	return out
}

// deviceNames returns what --device accepts for the devices: the interface, or the
// id where an interface leads to several.
func deviceNames(devices []hardware.Device) []string {
	var names []string
	for i, d := range devices {
		if !slices.Contains(names, d.API) {
			names = append(names, d.API)
		}
		if slices.ContainsFunc(devices[:i], func(o hardware.Device) bool { return o.API == d.API }) {
			names = append(names, d.ID)
		}
	}
	return names
}

// pick returns the device that --device asks for: cpu and gpu are the engine's
// first of that kind, anything else is an interface, an id, or an interface with
// an index such as cuda:1.
func pick(c contender, want string) (hardware.Device, error) {
	of := map[string]int{}
	for _, d := range c.found.Devices {
		kind := string(d.Kind)
		index := d.API + ":" + strconv.Itoa(of[d.API])
		of[d.API]++
		if want == kind || want == d.API || want == d.ID || want == index {
			return d, nil
		}
	}
	for _, m := range c.found.Missing {
		if m.API == want || want == "gpu" {
			return hardware.Device{}, &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("%s has no device %s: %s", c.engine.name, want, m.Reason), Remedies: m.Remedies}
		}
	}
	there := hintNear(want, deviceNames(c.found.Devices))
	if want == string(hardware.GPU) { // to which cpu is near, and no answer
		there = "there are: " + strings.Join(deviceNames(c.found.Devices), ", ")
	}
	return hardware.Device{}, &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("%s has no device %q", c.engine.name, want), Remedies: fault.Advice(there)}
}
