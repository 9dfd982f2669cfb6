// Package gocpu is the engine that is always there: the CPU, computing with
// gpuplay's own package gemm. It needs no library and no driver.
//
// It computes float64 and float32, float16 and bfloat16 with sums in float32, and
// int8 with sums and results in int32. It refuses operands and results of different
// types, and TF32, which no CPU has.
package gocpu

import (
	"context"
	"fmt"
	"runtime"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Options choose how to compute. The zero value is the best that this CPU can do. The
// JSON form is what travels in a worker's hello, which has the threads itself.
type Options struct {
	ISA     string `json:"isa,omitempty"` // instruction set: avx512, avx2, neon or portable; empty for the CPU's best
	Threads int    `json:"-"`             // 0 for every CPU that the process may use
}

// An Engine computes on the CPU. Its tasks share one pool of threads and wait
// for each other.
type Engine struct {
	pool *gemm.Pool
}

var _ bench.Engine = (*Engine)(nil)

// New returns the engine and starts its threads, which sleep until there is work.
// Its error is fault.Invalid: options that this CPU cannot follow.
func New(opts Options) (*Engine, error) {
	isa, err := gemm.ParseISA(opts.ISA)
	if err != nil {
		return nil, invalid("gocpu: %v", err)
	}
	pool, err := gemm.NewPool(isa, opts.Threads)
	if err != nil {
		return nil, invalid("gocpu: %v", err)
	}
	return &Engine{pool}, nil
}

// Close ends the engine's threads. Its tasks then return errors.
func (e *Engine) Close() error {
	e.pool.Close()
	return nil
}

// Name returns "gocpu".
func (e *Engine) Name() string { return "gocpu" }

const deviceID = "cpu"

// Devices returns the CPU.
func (e *Engine) Devices(ctx context.Context) (hardware.Inventory, error) {
	if err := ctx.Err(); err != nil {
		return hardware.Inventory{}, err
	}
	return hardware.Inventory{Devices: []hardware.Device{{
		ID: deviceID, Name: host.CPU(), Kind: hardware.CPU, API: "cpu",
		Library: "gpuplay", Detail: "built in, " + e.pool.ISA().String(),
	}}}, nil
}

// Prepare fills A of both sets and B from the seed. It has nothing to try out.
func (e *Engine) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	if d.ID != deviceID {
		return nil, invalid("gocpu: no device %q: there is only %q", d.ID, deviceID)
	}
	if err := check(g, host.Free()); err != nil {
		return nil, err
	}
	facts := func() bench.Facts { return e.facts(g.In) }
	switch g.In {
	case matrix.Float64:
		return prepare(ctx, g, seed, facts, e.pool.Float64, storage[float64, float64]{
			stream: g.In, fill: matrix.Stream.Fill64, from: func(x float64) float64 { return x }, none: nan})
	case matrix.Float32:
		return prepare(ctx, g, seed, facts, e.pool.Float32, storage[float32, float32]{
			stream: g.In, fill: matrix.Stream.Fill32, from: func(x float32) float64 { return float64(x) }, none: float32(nan)})
	case matrix.Int8:
		return prepare(ctx, g, seed, facts, e.pool.Int8, storage[int8, int32]{
			stream: g.In, fill: matrix.Stream.Fill8, from: func(x int32) float64 { return float64(x) }, none: none32})
	case matrix.Float16:
		return prepare(ctx, g, seed, facts, e.pool.Float16, bits16(g.In, gemm.NarrowFloat16))
	default:
		return prepare(ctx, g, seed, facts, e.pool.BFloat16, bits16(g.In, gemm.NarrowBFloat16))
	}
}

// check refuses what there is no code for, what makes no sense, and what cannot
// fit into the free memory: Go ends the process when it is refused memory.
func check(g bench.GEMM, free int64) error {
	switch g.In {
	case matrix.Float64, matrix.Float32, matrix.Float16, matrix.BFloat16, matrix.Int8:
	default:
		return fault.Errorf(fault.Unsupported, "gocpu: no code for %q operands", string(g.In)).
			With(fault.Change("dtype", "{} can be float64, float32, float16, bfloat16 or int8"))
	}
	want := bench.Square(1, g.In)
	if g.Acc != want.Acc || g.Out != want.Out {
		return fault.Errorf(fault.Unsupported, "gocpu: no code for %s operands with sums in %q and results in %q", g.In, string(g.Acc), string(g.Out)).
			With(fault.Advice(fmt.Sprintf("use sums in %s and results in %s", want.Acc, want.Out))...)
	}
	if g.M < 1 || g.N < 1 || g.K < 1 {
		return invalid("gocpu: %d×%d×%d: each size must be at least 1", g.M, g.N, g.K)
	}
	if !g.Data.Known() {
		return invalid("gocpu: no inputs of the kind %q", g.Data)
	}
	limit := float64(free)
	if free == 0 { // not known
		limit = 1 << 40
	}
	if need := g.Footprint() + 2*matrix.GuardBytes; need > limit {
		return fault.Errorf(fault.OutOfMemory, "gocpu: %s in %s takes %s of memory, %s is available", unit.Cube(g.M, g.N, g.K), g.In, unit.Bytes(need), unit.Bytes(limit)).
			With(fault.Change("size", "a smaller {}"))
	}
	return nil
}

// facts measures the peak, which takes some hundredths of a second: the clock of
// minutes ago says nothing about a product of today. Threads that wait for each
// other's CPU have no peak: each would seem to have one of its own.
func (e *Engine) facts(d matrix.DType) bench.Facts {
	facts := bench.Facts{Threads: e.pool.Threads()}
	if note := e.pool.Note(gemm.Arithmetic(d)); note != "" {
		facts.Notes = []string{note}
	}
	if e.pool.Threads() > runtime.NumCPU() {
		return facts
	}
	if peak, ok := e.pool.Peak(gemm.Arithmetic(d)); ok {
		facts.Peak = &peak
	}
	return facts
}

func invalid(format string, args ...any) error {
	return fault.Errorf(fault.Invalid, format, args...)
}
