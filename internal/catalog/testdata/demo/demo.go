// Package demo is the smallest engine: three loops on one core. The test of package
// catalog adds it to the program as a reader of docs/ADDING-AN-ENGINE.md would add their own.
package demo

import (
	"context"
	"math"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// An Engine is a bench.Engine.
type Engine struct{}

// New returns one.
func New() Engine { return Engine{} }

// Name returns its name in the list of engines.
func (Engine) Name() string { return "demo" }

// Devices returns the CPU.
func (Engine) Devices(context.Context) (hardware.Inventory, error) {
	return hardware.Inventory{Devices: []hardware.Device{{ID: "cpu", Name: "any CPU", Kind: hardware.CPU, API: "cpu", Library: "demo", Version: "1.0"}}}, nil
}

// Prepare fills A and B.
func (Engine) Prepare(_ context.Context, _ hardware.Device, g bench.GEMM, seed uint64, _ func(bench.Tuning)) (bench.Task, error) {
	if g != bench.Square(g.N, matrix.Float32) {
		return nil, fault.Errorf(fault.Unsupported, "only square products in float32")
	}
	t := &task{n: g.N, b: make([]float32, g.K*g.N), c: make([]float32, g.M*g.N)}
	for set := range t.a {
		t.a[set] = make([]float32, g.M*g.K)
		g.Data.Stream(seed, matrix.OfA(set), g.In).Fill32(t.a[set], 0)
	}
	g.Data.Stream(seed, matrix.B, g.In).Fill32(t.b, 0)
	return t, nil
}

type task struct {
	bench.InMainMemory

	n    int
	a    [matrix.Sets][]float32
	b, c []float32
}

func (*task) Facts() bench.Facts { return bench.Facts{Threads: 1} }

// Run times the loops alone.
func (t *task) Run(ctx context.Context, products, set int) (bench.Sample, error) {
	t.c[0] = float32(math.NaN()) // what is not computed is seen
	start := time.Now()
	for range products {
		if err := ctx.Err(); err != nil {
			return bench.Sample{}, err
		}
		clear(t.c)
		for i := range t.n {
			row := t.c[i*t.n:][:t.n]
			for l := range t.n {
				a := t.a[set][i*t.n+l]
				for j, b := range t.b[l*t.n:][:t.n] {
					row[j] += a * b
				}
			}
		}
	}
	return bench.Sample{Iters: products, Wall: time.Since(start)}, nil
}

// MulVec returns C·x, from which the product is checked.
func (t *task) MulVec(_ context.Context, x []float64) ([]float64, error) {
	y := make([]float64, t.n)
	for i := range y {
		for j, c := range t.c[i*t.n:][:t.n] {
			y[i] += float64(c) * x[j]
		}
	}
	return y, nil
}

func (*task) Close() error { return nil }
