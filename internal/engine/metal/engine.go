// Package metal is an engine over the GPU of a Mac, with three ways to multiply matrices as
// its devices: MPSGraph, MPSMatrixMultiplication, and a kernel of gpuplay's own, which shows
// what the others do.
//
// It has not been run on a Mac. On Linux its tests run it against a stand-in for Apple's
// frameworks, which checks every message and computes on the CPU; the README in
// testdata/standin says what that cannot prove.
//
// A failed assertion in Metal ends the process, and so does an Objective-C exception.
// Therefore sizes are checked first, and the engine belongs in a process of its own.
package metal

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/ffi/objc"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// An Engine computes on the default GPU, one call at a time, on one thread.
type Engine struct {
	files  files
	thread dl.Thread

	// Known to the thread only.
	gpu       *gpu
	inventory hardware.Inventory
	failed    error
	looked    bool
}

var _ bench.Engine = (*Engine)(nil)

// New returns an engine that has not looked for a GPU yet.
func New() *Engine { return &Engine{files: apple, thread: dl.NewThread()} }

// Name returns "metal".
func (e *Engine) Name() string { return "metal" }

// A lane is one way to multiply matrices.
type lane struct {
	id, library string
	types       []matrix.DType
	// front reports whether C can begin in the middle of a buffer, so that there is a zone
	// in front of it that nothing may write to.
	front bool
	// graph reports whether commands are encoded into an MPSCommandBuffer.
	graph   bool
	prepare func(t *task) error
}

// lanes returns what this GPU can run, the best first, and what it cannot, with reasons.
func (g *gpu) lanes() (lanes []lane, missing []hardware.Missing) {
	lack := func(format string, args ...any) {
		missing = append(missing, hardware.Missing{API: "metal", Kind: hardware.GPU, Reason: fmt.Sprintf(format, args...)})
	}
	types := []matrix.DType{matrix.Float32, matrix.Float16}
	more := types
	if g.system.Major >= 14 { // MPSGraph and Metal's language have bfloat16 since macOS 14: docs/METAL.md has the sources
		more = append(slices.Clone(types), matrix.BFloat16)
	}
	if g.mps {
		lanes = append(lanes,
			lane{id: "mpsgraph", library: "MPSGraph", types: more, graph: true, prepare: (*task).prepareGraph},
			lane{id: "mps", library: "MPSMatrixMultiplication", types: types, front: true, prepare: (*task).prepareMPS})
	} else {
		lack("Metal Performance Shaders do not support %s", g.name)
	}
	if g.simdgroups {
		lanes = append(lanes, lane{id: "gpuplay", library: "gpuplay", types: more, front: true, prepare: (*task).prepareKernel})
	} else {
		lack("gpuplay's kernel needs a GPU of Apple's with simdgroup matrices, M1 or newer: this is %s", g.name)
	}
	return lanes, missing
}

// Devices lists the ways to multiply matrices on the GPU. What the GPU does not support is
// missing, such as Metal Performance Shaders on a virtual Mac; if nothing is left, or Metal
// reaches no GPU, the error is fault.Unavailable.
func (e *Engine) Devices(ctx context.Context) (hardware.Inventory, error) {
	var inv hardware.Inventory
	err := e.thread.Do(ctx, func() error {
		e.look()
		inv = e.inventory
		return e.failed
	})
	return inv, err
}

// look opens the GPU once. It runs on the engine's thread.
func (e *Engine) look() {
	if e.looked {
		return
	}
	e.looked = true
	if e.gpu, e.failed = openGPU(e.files); e.failed != nil {
		return
	}
	lanes, missing := e.gpu.lanes()
	e.inventory.Missing = missing
	for _, l := range lanes {
		e.inventory.Devices = append(e.inventory.Devices, e.gpu.describe(l))
	}
	if len(lanes) == 0 {
		e.failed = fault.Errorf(fault.Unavailable, "Metal on %s has nothing that multiplies matrices", e.gpu.name)
	}
}

// describe returns a lane as a device. The version is that of macOS, which the frameworks
// are a part of.
func (g *gpu) describe(l lane) hardware.Device {
	name := g.name
	if g.simdgroups { // as the frameworks' workers name it
		name += " GPU"
	}
	version := fmt.Sprintf("macOS %d.%d", g.system.Major, g.system.Minor)
	d := hardware.Device{ID: "metal:" + l.id, Name: name, Kind: hardware.GPU, API: "metal", Library: l.library, Versions: map[string]string{"macOS": strings.TrimPrefix(version, "macOS ")}}
	if l.id == "gpuplay" {
		d.Detail = "Metal"
	} else {
		d.Version = version
	}
	if g.memory > 0 {
		d.Memory = &g.memory
	}
	return d
}

// Prepare fills A of both sets and B from the seed, compiles what is to be compiled, and
// computes two products to see how long they take.
func (e *Engine) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, _ func(bench.Tuning)) (bench.Task, error) {
	var t *task
	err := e.thread.Do(ctx, func() error {
		e.look()
		if e.failed != nil {
			return e.failed
		}
		lanes, _ := e.gpu.lanes()
		i := slices.IndexFunc(lanes, func(l lane) bool { return e.gpu.describe(l).ID == d.ID })
		if i < 0 {
			var has []string
			for _, d := range e.inventory.Devices {
				has = append(has, d.ID)
			}
			return fault.Errorf(fault.Invalid, "no Metal device %q: there is %s", d.ID, strings.Join(has, ", "))
		}
		if err := e.gpu.check(lanes[i], g); err != nil {
			return err
		}
		t = &task{thread: e.thread, gpu: e.gpu, lane: lanes[i], gemm: g, together: 1}
		return objc.WithPool(func() error {
			err := t.prepare(ctx, seed)
			if err != nil {
				t.release()
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// check refuses what a lane has no code for, what makes no sense, and what is larger than
// the GPU allows, which would fail an assertion in Metal.
func (u *gpu) check(l lane, g bench.GEMM) error {
	want := bench.Square(1, g.In)
	if !slices.Contains(l.types, g.In) || g.Acc != want.Acc || g.Out != want.Out || g.Sum {
		what := fmt.Sprintf("%s with sums in %s and results in %s", g.In, g.Acc, g.Out)
		if g.Sum {
			what += " followed by their sum"
		}
		var names []string
		for _, t := range l.types {
			names = append(names, string(t))
		}
		return fault.Errorf(fault.Unsupported, "%s on %s has no code for %s", l.library, u.name, what).
			With(fault.Change("dtype", "{} can be "+unit.List(names)))
	}
	if g.M < 1 || g.N < 1 || g.K < 1 || max(g.M, g.N, g.K) > math.MaxInt32 {
		return fault.Errorf(fault.Invalid, "%d×%d×%d: each size must be from 1 to %d", g.M, g.N, g.K, math.MaxInt32)
	}
	if !g.Data.Known() {
		return fault.Errorf(fault.Invalid, "no inputs of the kind %q", g.Data)
	}
	m, n, k := float64(g.M), float64(g.N), float64(g.K)
	largest := max(m*k*float64(g.In.Size()), k*n*float64(g.In.Size()), m*n*float64(g.Out.Size())) + 2*matrix.GuardBytes
	if largest > float64(u.largest) {
		return fault.Errorf(fault.OutOfMemory, "%s in %s has a matrix of %s: Metal on %s takes at most %s", unit.Cube(g.M, g.N, g.K), g.In, unit.Bytes(largest), u.name, unit.Bytes(float64(u.largest))).
			With(fault.Change("size", "a smaller {}"))
	}
	if need := g.Footprint(); u.memory > 0 && need > float64(u.memory) {
		return fault.Errorf(fault.OutOfMemory, "%s in %s takes %s of memory: Metal on %s can use %s", unit.Cube(g.M, g.N, g.K), g.In, unit.Bytes(need), u.name, unit.Bytes(float64(u.memory))).
			With(fault.Change("size", "a smaller {}"))
	}
	return nil
}
