// Package cuda computes matrix products on NVIDIA GPUs, with nothing but the driver, by two
// engines: Engine with gpuplay's own kernels, which package ptx generates and the driver
// compiles, and Lt with NVIDIA's cuBLASLt, if it is installed.
//
// Everything that concerns a GPU runs on one thread of the operating system, on which the
// GPU's primary context is current. A kernel that fails in the middle leaves the context,
// and so the process, of no use: an engine belongs in a process of its own.
package cuda

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/cuda"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/ptx"
)

// Options say where an engine finds and keeps files. The JSON form is what travels in a
// worker's hello.
type Options struct {
	Cache string   `json:"cache,omitempty"` // folder that keeps which kernel was the fastest; empty: nothing is kept
	Dirs  []string `json:"dirs,omitempty"`  // folders searched for cuBLASLt before the system's: lib and site-packages of Python environments
}

// An Engine is a bench.Engine with gpuplay's own kernels. It sums no elements of C.
type Engine struct {
	options Options
	machine machine
	// kernels returns those worth timing, the one that is expected to be the fastest first.
	kernels    func(ptx.Card, ptx.Problem) ([]ptx.Kernel, error)
	searchTime time.Duration // see the constants
	searchFLOP float64
}

var _ bench.Engine = (*Engine)(nil)

// New returns an engine that has not asked the driver for anything yet.
func New(o Options) *Engine { return NewWith(o, ptx.Candidates) }

// NewWith returns an engine that chooses among other kernels than those of New.
func NewWith(o Options, kernels func(ptx.Card, ptx.Problem) ([]ptx.Kernel, error)) *Engine {
	return &Engine{options: o, machine: machine{open: cuda.Open}, kernels: kernels, searchTime: searchTime, searchFLOP: searchFLOP}
}

// Name is "cuda".
func (e *Engine) Name() string { return "cuda" }

// Devices returns the GPUs that the driver lets this process use, in its order. A machine
// without a driver or a GPU is fault.Unavailable.
func (e *Engine) Devices(ctx context.Context) (hardware.Inventory, error) {
	gpus, err := e.machine.find(ctx)
	if err != nil {
		return hardware.Inventory{}, err
	}
	var inv hardware.Inventory
	for _, g := range gpus {
		d := g.device
		d.Library, d.Detail = "gpuplay", "built in, sm_"+fmt.Sprint(g.card.CC)
		inv.Devices = append(inv.Devices, d)
	}
	return inv, nil
}

// Prepare fills the operands, compiles kernels and times those that are worth it.
func (e *Engine) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	gpu, err := e.machine.gpu(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	if err := check(g); err != nil {
		return nil, err
	}
	p := ptx.Problem{M: g.M, N: g.N, K: g.K, In: g.In, Acc: g.Acc, Out: g.Out, TransA: g.TransA, TransB: g.TransB}
	list, err := e.kernels(gpu.card, p)
	if err != nil {
		return nil, err
	}
	t, err := newTask(ctx, gpu, g, seed, "gpuplay")
	if err != nil {
		return nil, err
	}
	if err := t.choose(ctx, e, p, list, tell); err != nil {
		return nil, closing(t, err)
	}
	if err := t.capture(ctx); err != nil {
		return nil, closing(t, err)
	}
	return t, nil
}

// closing closes a task that could not be prepared.
func closing(t *task, err error) error {
	_ = t.Close() // the reason is err
	return err
}

// check refuses what there is no code for in either engine, and what makes no sense.
func check(g bench.GEMM) error {
	want := bench.Square(1, g.In)
	if !slices.Contains(matrix.DTypes, g.In) || g.Out != want.Out || g.Acc != want.Acc && !(g.In == matrix.Float32 && g.Acc == matrix.TF32) {
		return fault.Errorf(fault.Unsupported, "no code for %s operands with sums in %s and results in %s", g.In, g.Acc, g.Out).
			With(fault.Change("dtype", "{} can be float64, float32, tf32, float16, bfloat16 or int8"))
	}
	if g.Sum {
		return fault.Errorf(fault.Unsupported, "the elements of C are not summed on the GPU").With(fault.Set("protocol", string(bench.Steady), ""))
	}
	if !g.Data.Known() {
		return fault.Errorf(fault.Invalid, "no inputs of the kind %q", g.Data)
	}
	const most = 1<<31 - 1 // kernels and libraries count rows and columns in 32 bits
	for _, n := range []int{g.M, g.N, g.K} {
		if n < 1 || n > most {
			return fault.Errorf(fault.Invalid, "product of %d×%d and %d×%d: sizes must be from 1 to %d", g.M, g.K, g.K, g.N, most)
		}
	}
	return nil
}
