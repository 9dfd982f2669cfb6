// Package bench is the domain of matrix products: engines with devices, a GEMM
// prepared on a device, samples of its run time, and the runner that warms up,
// interleaves, checks and stops. It imports no engine; its callers supply them.
package bench

import (
	"context"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
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
	Acc    matrix.DType `json:"acc"` // of the sums; TF32 means float32 operands rounded to TF32
	Out    matrix.DType `json:"out"` // of C
	TransA bool         `json:"trans_a,omitempty"`
	TransB bool         `json:"trans_b,omitempty"`
	Data   matrix.Data  `json:"data,omitempty"` // what A and B hold
	Sum    bool         `json:"sum,omitempty"`  // after each product, sum its elements and bring the sum to the host, as (a@b).sum().item() does
}

// Square returns the n×n×n product that is usually meant by "float16 matmul": C has
// the type of the operands, and 16-bit types are summed in float32. With Int8
// operands, the sums and C are int32.
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

// FLOP returns the number of operations in one product, 2·m·n·k: multiplications
// and additions of floating-point numbers or of integers.
func (g GEMM) FLOP() float64 { return 2 * float64(g.M) * float64(g.N) * float64(g.K) }

// Op names what FLOP counts: "FLOP", or "OP" for integer operands.
func (g GEMM) Op() string {
	if g.In.Integer() {
		return "OP"
	}
	return "FLOP"
}

// Rate formats a speed with its prefix and unit: "13.8 TFLOP/s".
func (g GEMM) Rate(speed float64) string { return unit.Rate(speed, g.Op()) }

// MemoryBound reports whether memory bandwidth, not arithmetic, limits the speed:
// in a matrix-vector product, which uses every element of the matrix once, that is
// too large for caches.
func (g GEMM) MemoryBound() bool {
	const caches = 64e6 // size of the last-level cache of most CPUs and GPUs
	return (g.M == 1 || g.N == 1) && g.Bytes() >= caches
}

// Bytes returns the memory that A, B and C take together. It is a float64 because a
// mistyped size can exceed every integer type.
func (g GEMM) Bytes() float64 {
	m, n, k := float64(g.M), float64(g.N), float64(g.K)
	return (m*k+k*n)*float64(g.In.Size()) + m*n*float64(g.Out.Size())
}

// Footprint returns the memory that a task takes: A twice, since there are two sets of
// operands, B and C.
func (g GEMM) Footprint() float64 {
	return g.Bytes() + float64(g.M)*float64(g.K)*float64(g.In.Size())
}

// An Engine computes GEMMs on the devices that it supports.
//
// Errors carry codes of package fault, for errors.Is: fault.Unavailable from
// Devices when the engine cannot work here at all; fault.Unsupported from Prepare
// for a GEMM that it has no code for, fault.Invalid for one that makes no sense,
// and fault.OutOfMemory.
type Engine interface {
	// Name is the name by which users select the engine: one word in lower case.
	Name() string
	// Devices returns the devices that the engine can compute on, and those that it
	// looked for but did not find.
	Devices(ctx context.Context) (hardware.Inventory, error)
	// Prepare puts a GEMM on a device: it fills the operands with g.Data from the
	// seed, as matrix.Stream defines, compiles code and chooses an algorithm. None of this
	// is timed. The context is only for the call; the task outlives it. An engine
	// that tries out variants calls tell for each, outside its own measurements;
	// tell is never nil and returns at once.
	Prepare(ctx context.Context, d hardware.Device, g GEMM, seed uint64, tell func(Tuning)) (Task, error)
}

// A Task is a GEMM that resides on one device. Its methods are not called
// concurrently.
type Task interface {
	// Facts returns what became known during preparation. An engine that can
	// measure the peak of its device does so for each task, within a few hundredths
	// of a second.
	Facts() Facts
	// Run computes C n times in succession from the operands of a set, 0 or 1, waits
	// until the device has finished, and returns when none of the engine's threads is
	// busy any more. The sets differ in A alone. An engine that keeps one C fills it
	// with NaN, or with a pattern that no product has, before its clock starts, so that
	// a product that was not computed does not look like the one before. A cancelled
	// context ends it early with the context's error. A worker whose products stall
	// computes fewer than n and says so in Iters.
	Run(ctx context.Context, n, set int) (Sample, error)
	// RoundTrip computes C once from operands of a set that begin in ordinary main memory,
	// copies C to ordinary main memory, and times each part. Before its clock starts, it
	// overwrites the operands on the device, and C on both sides, with what no product has,
	// so that what was not copied leaves a C that is wrong. An engine that computes in main
	// memory, or does not time copies, returns fault.Unsupported.
	RoundTrip(ctx context.Context, set int) (RoundTrip, error)
	// MulVec returns C·x in float64, for the C of the latest Run, or for the C that the
	// latest RoundTrip brought to main memory if that came later: x has n elements, the
	// result m. It is only called after one of the two.
	MulVec(ctx context.Context, x []float64) ([]float64, error)
	// Close frees what Prepare allocated; a second call does nothing.
	Close() error
}

// Facts are what an engine knows about a task once it is prepared.
type Facts struct {
	Threads int      `json:"threads,omitempty"` // CPU threads that compute; 0: not known, or not a CPU
	Cores   int      `json:"cores,omitempty"`   // on which a CPU lane must have a thread to use the whole CPU; 0: not known
	Peak    *float64 `json:"peak,omitempty"`    // measured FLOP/s that the device can reach with this arithmetic; nil: not known
	// Published is the FLOP/s that the maker of the device publishes for this
	// arithmetic; nil when not known, and for CPUs.
	Published *float64 `json:"published,omitempty"`
	Notes     []string `json:"notes,omitempty"` // caveats for readers of the figure
}

// A Sample is one timing: n products back to back and one synchronisation. The
// engine fills in the measurement, the Runner the start and the end.
type Sample struct {
	Iters  int            `json:"iters"`
	Wall   time.Duration  `json:"wall_ns"`             // on the clock of the engine's process, around the products alone
	Device *time.Duration `json:"device_ns,omitempty"` // on the device's own clock; nil if it has none
	// Busy says that the engine's threads went on using CPU time for longer than it
	// waits for them before it answers: what runs next may be slowed by them.
	Busy  bool          `json:"busy,omitempty"`
	Start time.Duration `json:"start_ns"` // when the engine was called, on the runner's clock, since the start of the run
	End   time.Duration `json:"end_ns"`   // when the engine's answer arrived, on the same clock
}

// EventType returns the type of the event that reports a sample.
func (Sample) EventType() event.Type { return event.TypeSample }

// A Tuning is a variant that an engine tried out while preparing a task.
type Tuning struct {
	Done    int     `json:"done"`            // variants tried so far
	Total   int     `json:"total,omitempty"` // variants in all; 0: not known
	Variant string  `json:"variant"`         // the engine's name for the variant
	Speed   float64 `json:"speed,omitempty"` // FLOP/s, or OP/s of integers; 0: the variant did not work
	Best    float64 `json:"best,omitempty"`  // the highest speed so far
}

// EventType returns the type of the event that reports a tuning step.
func (Tuning) EventType() event.Type { return event.TypeTuning }

// Seconds returns the wall time of one product.
func (s Sample) Seconds() float64 { return s.Wall.Seconds() / float64(s.Iters) }
