// Package bench is the domain: engines with devices, a GEMM prepared on one of
// them, samples of its run time, and the runner that warms up, interleaves,
// checks and stops. It imports no engine; whoever calls it brings them.
package bench

import (
	"context"
	"time"

	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A GEMM specifies C = op(A)·op(B): row-major, alpha 1, beta 0, no padding
// between rows. A is m×k in memory, or k×m when TransA is set; B likewise.
type GEMM struct {
	M      int          `json:"m"`
	N      int          `json:"n"`
	K      int          `json:"k"`
	In     matrix.DType `json:"in"`  // of A and B
	Acc    matrix.DType `json:"acc"` // of the sums; TF32 here means float32 operands cut to TF32
	Out    matrix.DType `json:"out"` // of C
	TransA bool         `json:"trans_a,omitempty"`
	TransB bool         `json:"trans_b,omitempty"`
	Sum    bool         `json:"sum,omitempty"` // after each product its elements are added up and the sum is brought to the host, as (a@b).sum().item() does
}

// Square returns the n×n×n product that people mean by "float16 matmul": C has
// the type of the operands, and 16-bit types are summed in float32. Int8 has sums
// and a C of int32.
func Square(n int, d matrix.DType) GEMM {
	g := GEMM{M: n, N: n, K: n, In: d, Acc: d, Out: d}
	switch d {
	case matrix.Float16, matrix.BFloat16:
		g.Acc = matrix.Float32
	case matrix.TF32:
		g.In, g.Out = matrix.Float32, matrix.Float32
	case matrix.Int8:
		g.Acc, g.Out = matrix.Int32, matrix.Int32
	}
	return g
}

// FLOP returns the operations of one product, 2·m·n·k: multiplications and
// additions of floating-point numbers, or of integers.
func (g GEMM) FLOP() float64 { return 2 * float64(g.M) * float64(g.N) * float64(g.K) }

// Op is what FLOP counts: "FLOP", or "OP" where the operands are integers.
func (g GEMM) Op() string {
	if g.In.Integer() {
		return "OP"
	}
	return "FLOP"
}

// Rate prints a speed with its prefix and unit: "13.8 TFLOP/s".
func (g GEMM) Rate(speed float64) string { return unit.Rate(speed, g.Op()) }

// MemoryBound reports whether memory, not arithmetic, sets the pace: a product
// with a vector, which uses every element of the matrix once, of more than caches
// hold.
func (g GEMM) MemoryBound() bool {
	const caches = 64e6 // of most CPUs and GPUs, the last level
	return (g.M == 1 || g.N == 1) && g.Bytes() >= caches
}

// Bytes returns the memory that A, B and C take together. It is a float64
// because a size that somebody mistyped can exceed every integer.
func (g GEMM) Bytes() float64 {
	m, n, k := float64(g.M), float64(g.N), float64(g.K)
	return (m*k+k*n)*float64(g.In.Size()) + m*n*float64(g.Out.Size())
}

// An Engine computes GEMMs on the devices that it reaches.
//
// Its errors are told apart by errors.Is with the codes of this package:
// fault.Unavailable from Devices when the engine cannot work here at all,
// fault.Unsupported from Prepare for a GEMM that it has no code for, fault.Invalid for
// one that makes no sense, fault.OutOfMemory.
type Engine interface {
	// Name is what --engine calls it: lower case, one word.
	Name() string
	// Devices finds what there is to compute on.
	Devices(ctx context.Context) (hardware.Inventory, error)
	// Prepare puts a GEMM on a device: operands filled from the seed as
	// matrix.Stream says, code compiled, algorithm chosen. None of it is timed. The
	// task outlives ctx, which ends with the call.
	Prepare(ctx context.Context, d hardware.Device, g GEMM, seed uint64) (Task, error)
}

// A Task is a GEMM resident on one device. Its methods are called one at a time.
type Task interface {
	// Facts says what preparing found out. An engine that knows its device's peak
	// measures it for each task, within some hundredths of a second.
	Facts() Facts
	// Run computes C n times back to back, waits until the device has finished,
	// and returns when none of the engine's threads is busy any more. A cancelled
	// context ends it early with the context's error.
	Run(ctx context.Context, n int) (Sample, error)
	// MulVec returns C·x in float64 for the C of the latest Run, of which there has
	// been one: n numbers in, m out.
	MulVec(ctx context.Context, x []float64) ([]float64, error)
	// Close frees what Prepare took; a second call does nothing.
	Close() error
}

// Facts are what an engine knows of a task once it is prepared.
type Facts struct {
	Threads int      `json:"threads,omitempty"` // CPU threads that compute; 0 when not known or not a CPU
	Peak    *float64 `json:"peak,omitempty"`    // FLOP/s that the device can reach with this arithmetic, measured; nil when not known
	Notes   []string `json:"notes,omitempty"`   // what a reader must know to read the figure right
}

// A Sample is one timing: n products back to back and one synchronisation.
type Sample struct {
	Iters  int            `json:"iters"`
	Wall   time.Duration  `json:"wall_ns"`
	Device *time.Duration `json:"device_ns,omitempty"` // by the device's own clock; nil when it has none
}

// Seconds returns the wall time of one product.
func (s Sample) Seconds() float64 { return s.Wall.Seconds() / float64(s.Iters) }
