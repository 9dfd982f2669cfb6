// Package blas is an engine over the BLAS libraries that a machine has for its
// CPU: OpenBLAS, Intel MKL, oneDNN, BLIS and Apple's Accelerate, found and
// loaded at run time.
//
// It multiplies float32 and float64, whose interface all of them share, and
// refuses the 16-bit types, which few have and none with a 16-bit result, and
// int8, for which each that has it has an interface of its own. It
// works around no library's choice of code for a CPU. Loading a library may
// start threads and change the process, so it belongs in a process of its own.
package blas

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Options say where an engine looks for libraries and how they run. The JSON form is
// what travels in a worker's hello, which has the threads itself.
type Options struct {
	Dirs      []string `json:"dirs,omitempty"`      // folders searched before the system's: lib and site-packages of Python environments
	Libraries []string `json:"libraries,omitempty"` // exact files that a person named, before all others
	Threads   int      `json:"-"`                   // of every library; 0 leaves the number to the library
	Settings  []string `json:"settings,omitempty"`  // variables of the environment that set threads, as NAME=value
}

// An Engine is a bench.Engine with one device for each BLAS library. It calls
// them all from one thread, one product at a time.
type Engine struct {
	options Options
	thread  dl.Thread

	// Known to the thread only.
	inventory *hardware.Inventory
	failed    error               // of Libraries
	libraries map[string]*library // by device ID
}

// New returns an engine that has not looked for libraries yet.
func New(o Options) *Engine {
	return &Engine{options: o, thread: dl.NewThread(), libraries: map[string]*library{}}
}

// Name is "blas".
func (e *Engine) Name() string { return "blas" }

// Devices loads every library it can find. The order is fixed: by kind, then
// Libraries, Dirs, the system's folders. The first OpenBLAS has the ID
// "openblas", the second "openblas-2". A file that is no library or lacks what
// it should have is reported as missing; with no library at all the error is
// fault.Unavailable, and the inventory still says why. One of Libraries that cannot be
// used is fault.Invalid, and no other library stands in for it.
func (e *Engine) Devices(ctx context.Context) (hardware.Inventory, error) {
	var inv hardware.Inventory
	err := e.thread.Do(ctx, func() error {
		var err error
		inv, err = e.load()
		return err
	})
	if err == nil && len(inv.Devices) == 0 {
		err = unavailable(inv.Missing)
	}
	return inv, err
}

// load finds and loads the libraries once.
func (e *Engine) load() (hardware.Inventory, error) {
	if e.inventory != nil {
		return *e.inventory, e.failed
	}
	found, missing, err := find(e.options)
	inv := hardware.Inventory{Missing: missing}
	name := host.CPU()
	count := map[string]int{}
	for _, l := range found {
		d := &l.device
		d.ID, d.Name, d.Kind, d.API, d.Library = l.kind.api, name, hardware.CPU, l.kind.api, l.kind.library
		if count[d.API]++; count[d.API] > 1 {
			d.ID = fmt.Sprintf("%s-%d", d.API, count[d.API])
		}
		e.libraries[d.ID] = l
		inv.Devices = append(inv.Devices, *d)
	}
	e.inventory, e.failed = &inv, err
	return inv, err
}

func unavailable(missing []hardware.Missing) error {
	var why []string
	for _, m := range missing {
		why = append(why, m.Reason)
	}
	return fault.Errorf(fault.Unavailable, "no BLAS library for the CPU: %s", strings.Join(why, "; ")).With(fixes["openblas"]...)
}

// Prepare fills A and B for one product of a library. Everything but float32 and
// float64 throughout is fault.Unsupported, float64 with oneDNN too. There is nothing to
// try out.
func (e *Engine) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	var lib *library
	err := e.thread.Do(ctx, func() error {
		inv, err := e.load()
		if lib = e.libraries[d.ID]; lib != nil || err != nil {
			return err
		}
		if len(inv.Devices) == 0 {
			return unavailable(inv.Missing)
		}
		var has []string
		for _, d := range inv.Devices {
			has = append(has, d.ID)
		}
		return fault.Errorf(fault.Invalid, "no BLAS library %q on this machine: it has %s", d.ID, strings.Join(has, ", "))
	})
	if err != nil {
		return nil, err
	}
	if err := check(lib, g); err != nil {
		return nil, err
	}
	if g.In == matrix.Float64 {
		return prepare[float64](ctx, e.thread, lib, g, seed)
	}
	return prepare[float32](ctx, e.thread, lib, g, seed)
}

// check says whether lib can compute g here.
func check(lib *library, g bench.GEMM) error {
	if lib.products[g.In] == nil || g.Acc != g.In || g.Out != g.In {
		return fault.Errorf(fault.Unsupported, "%s multiplies %s, not %s summed in %s to %s", lib.kind.library, lib.types(), g.In, g.Acc, g.Out).
			With(fault.Change("dtype", "{} can be "+lib.types()))
	}
	if !g.Data.Known() {
		return fault.Errorf(fault.Invalid, "no inputs of the kind %q", g.Data)
	}
	for _, n := range []int{g.M, g.N, g.K} {
		if n < 1 || n > math.MaxInt32 { // most builds count in 32 bits
			return fault.Errorf(fault.Invalid, "product of %d×%d and %d×%d: sizes must be from 1 to %d", g.M, g.K, g.K, g.N, math.MaxInt32)
		}
	}
	// Asked before allocating, because Go cannot survive a refusal.
	// There are two matrices A.
	need, free := g.Footprint()+2*matrix.GuardBytes+3*lineBytes, float64(host.Free())
	if free > 0 && need > free {
		return fault.Errorf(fault.OutOfMemory, "four matrices of %s take %s: %s of memory is free", g.In, unit.Bytes(need), unit.Bytes(free)).
			With(fault.Change("size", "a smaller {}"))
	}
	return nil
}
