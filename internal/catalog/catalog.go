// Package catalog is the one list of engines, and how each comes to life on this
// machine: as a worker process that hosts an engine of this binary, or as a Python
// interpreter that has the framework. It finds interpreters and libraries, starts
// workers side by side and asks for their devices. Labs and the doctor call it; it
// measures nothing.
package catalog

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/blas"
	"github.com/gpuplay/gpuplay/internal/engine/cuda"
	"github.com/gpuplay/gpuplay/internal/engine/gocpu"
	"github.com/gpuplay/gpuplay/internal/engine/metal"
	"github.com/gpuplay/gpuplay/internal/engine/vulkan"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/ptx"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// An Entry is an engine of the list.
type Entry struct {
	Name  string // lower case, one word; of a Python framework its module's
	About string // for people
	// open makes an engine that is built into this binary, in its worker's process;
	// nil for a Python framework.
	open func(worker.Hello) (bench.Engine, error)
	// options are what open needs besides, and finds in hello; nil for none.
	options func(Environment, Options) any
	// env is added to the environment of its worker.
	env []string
	// compiles says that NVIDIA's driver compiles code for it, which is kept.
	compiles bool
	// quick engines start in well under a second.
	quick bool
	// gpus says that it computes on nothing else.
	gpus bool
	// os is the only system that it exists on; empty: all.
	os string
}

// Engines are all that there are on this system. A new one is a package and a line here.
var Engines = slices.DeleteFunc([]Entry{
	{Name: "gocpu", About: "gpuplay's own CPU kernels", open: openGoCPU, options: goCPUOptions, quick: true},
	// OpenBLAS's threads spin for 2^26 cycles after a call, which every sample would
	// have to wait for (driver/others/blas_server.c); 2^20 still bridges the gap
	// between two products of a sample.
	{Name: "blas", About: "OpenBLAS, MKL, oneDNN, BLIS or Accelerate, whichever is installed", open: openBLAS, options: blasOptions, env: []string{"OPENBLAS_THREAD_TIMEOUT=20"}},
	{Name: "cuda", About: "gpuplay's own kernels on NVIDIA GPUs, with nothing but the driver", open: openCUDA, options: cudaOptions, compiles: true, quick: true, gpus: true},
	{Name: "cublaslt", About: "NVIDIA's cuBLASLt, if it is installed", open: openCuBLASLt, options: cudaOptions, gpus: true},
	{Name: "vulkan", About: "gpuplay's own kernels on any GPU that has a driver for Vulkan", open: openVulkan, options: vulkanOptions, quick: true, gpus: true},
	{Name: "metal", About: "MPSGraph, MPSMatrixMultiplication and gpuplay's own kernel on the GPU of a Mac", open: openMetal, gpus: true, os: "darwin"},
	{Name: "torch", About: "PyTorch, if it is installed"},
	{Name: "tensorflow", About: "TensorFlow, if it is installed"},
	{Name: "mlx", About: "MLX, if it is installed"},
	{Name: "jax", About: "JAX, if it is installed"},
}, func(e Entry) bool { return e.os != "" && e.os != runtime.GOOS })

// BuiltIn reports whether the engine is a part of this binary, not a framework that
// needs a Python.
func (e Entry) BuiltIn() bool { return e.open != nil }

// DefaultDevice returns what Pick takes where nobody has chosen: the CPU, or the GPU of an
// engine without a CPU.
func DefaultDevice(engine string) string {
	if slices.ContainsFunc(Engines, func(e Entry) bool { return e.Name == engine && e.gpus }) {
		return string(hardware.GPU)
	}
	return string(hardware.CPU)
}

// Quick reports whether the engine starts in well under a second, so that it can be
// measured before the others are started.
func (e Entry) Quick() bool { return e.quick }

// Options say how engines are started. The zero value leaves everything to them.
type Options struct {
	Threads int           // CPU threads to compute with; 0: the engine's own choice
	ISA     string        // instruction set of gocpu; empty: this CPU's best
	Rung    string        // of the ladder of vulkan, whose kernel alone it uses; empty: the fastest kernel
	Python  string        // interpreter, or environment, that has the framework; empty: the first that is found
	Timeout time.Duration // for starting an engine; 0: no limit
}

// openGoCPU makes the engine in the worker; goCPUOptions is what the parent sends it.
func openGoCPU(h worker.Hello) (bench.Engine, error) {
	o := gocpu.Options{Threads: h.Threads}
	if err := decode(h.Options, &o); err != nil {
		return nil, err
	}
	return gocpu.New(o)
}

func goCPUOptions(_ Environment, o Options) any { return gocpu.Options{ISA: o.ISA} }

// openBLAS and blasOptions are the same for blas.
func openBLAS(h worker.Hello) (bench.Engine, error) {
	o := blas.Options{Threads: h.Threads}
	if err := decode(h.Options, &o); err != nil {
		return nil, err
	}
	return blas.New(o), nil
}

func blasOptions(e Environment, o Options) any {
	return blas.Options{Dirs: e.libraryDirs(), Libraries: e.BLAS, Settings: e.threadSettings()}
}

// openCUDA, openCuBLASLt and cudaOptions are the same for cuda and cublaslt.
func openCUDA(h worker.Hello) (bench.Engine, error) {
	var o cuda.Options
	if err := decode(h.Options, &o); err != nil {
		return nil, err
	}
	return cuda.New(o), nil
}

func openCuBLASLt(h worker.Hello) (bench.Engine, error) {
	var o cuda.Options
	if err := decode(h.Options, &o); err != nil {
		return nil, err
	}
	return cuda.NewLt(o), nil
}

// CUDA returns the engines for NVIDIA GPUs in this process, not in workers: gpuplay's own
// with the kernels that are given, and cuBLASLt.
func (c *Catalog) CUDA(kernels func(ptx.Card, ptx.Problem) ([]ptx.Kernel, error)) (own, library bench.Engine) {
	o := cuda.Options{Cache: c.Env.Cache, Dirs: c.Env.libraryDirs()}
	return cuda.NewWith(o, kernels), cuda.NewLt(o)
}

func cudaOptions(e Environment, _ Options) any {
	return cuda.Options{Cache: e.Cache, Dirs: e.libraryDirs()}
}

// openVulkan and vulkanOptions are the same for vulkan.
func openVulkan(h worker.Hello) (bench.Engine, error) {
	var o vulkan.Options
	if err := decode(h.Options, &o); err != nil {
		return nil, err
	}
	return vulkan.New(o), nil
}

func vulkanOptions(e Environment, o Options) any {
	return vulkan.Options{Cache: e.Cache, Rung: o.Rung}
}

// openMetal makes the engine in the worker. It has no options.
func openMetal(worker.Hello) (bench.Engine, error) { return metal.New(), nil }

// decode reads an engine's options from hello, of which there may be none.
func decode(text json.RawMessage, into any) error {
	if len(text) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fault.Errorf(fault.Invalid, "the engine's options are not understood: %v", err)
	}
	return nil
}

// Names returns the names of all engines.
func Names() []string {
	names := make([]string, len(Engines))
	for i, e := range Engines {
		names[i] = e.Name
	}
	return names
}

// Select returns the engines of those names, in the list's order; all when there are
// none.
func Select(names []string) ([]Entry, error) {
	if len(names) == 0 {
		return slices.Clone(Engines), nil
	}
	for _, n := range names {
		if !slices.Contains(Names(), n) {
			return nil, fault.Errorf(fault.Invalid, "unknown engine %q", n).With(fault.DidYouMean(n, Names()))
		}
	}
	var chosen []Entry
	for _, e := range Engines {
		if slices.Contains(names, e.Name) {
			chosen = append(chosen, e)
		}
	}
	return chosen, nil
}

// Serve hosts a built-in engine in this process and answers requests for it until in
// ends.
func Serve(name string, in io.Reader, out io.Writer) error {
	for _, e := range Engines {
		if e.Name == name && e.BuiltIn() {
			return worker.Serve(in, out, e.open)
		}
	}
	return fmt.Errorf("no engine %q is built in", name)
}
