package fake

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// task is a product on a scripted device. C is computed when it is first asked
// for, and only if it is small: running costs nothing.
type task struct {
	device *Device
	clock  *Clock
	g      bench.GEMM
	seed   uint64
	calls  map[Stage]int
	c      [matrix.Sets][]float64
	set    int // of operands, of the latest run
	closed bool
	// poisoned: the latest run has left C as it was before, which is NaN.
	poisoned bool
}

// small is the number of multiplications up to which C is computed element by
// element.
const small = 1 << 21

func (t *task) Facts() bench.Facts { return t.device.Facts }

// call is the common beginning of every call on the task.
func (t *task) call(ctx context.Context, s Stage) error {
	if t.closed {
		return &fault.Error{Code: fault.Invalid, Message: "fake: the task is closed"}
	}
	t.calls[s]++
	return call(ctx, t.device.Hook, s, t.calls[s])
}

func (t *task) Run(ctx context.Context, n, set int) (bench.Sample, error) {
	if n < 1 {
		return bench.Sample{}, &fault.Error{Code: fault.Invalid, Message: fmt.Sprintf("fake: %d products", n)}
	}
	if err := t.call(ctx, Run); err != nil {
		return bench.Sample{}, err
	}
	if set < 0 || set >= matrix.Sets {
		return bench.Sample{}, fault.Errorf(fault.Invalid, "fake: no set %d of operands", set)
	}
	t.set = set
	if skip := t.device.Skip; skip == nil || !skip(t.calls[Run], n) {
		t.poisoned = false
	} else {
		t.poisoned = true
	}
	each := t.device.Time(t.g, t.calls[Run])
	for i := range n {
		if err := ctx.Err(); err != nil {
			t.clock.Advance(time.Duration(i) * each)
			return bench.Sample{}, err
		}
	}
	s := bench.Sample{Iters: n, Wall: time.Duration(n) * each}
	t.clock.Advance(s.Wall)
	if t.device.DeviceClock {
		s.Device = &s.Wall
	}
	return s, nil
}

// RoundTrip takes the time of a product and of its copies, of which launching is a tenth.
func (t *task) RoundTrip(ctx context.Context, set int) (bench.RoundTrip, error) {
	if t.device.CopyTime == 0 {
		return bench.RoundTrip{}, fault.Errorf(fault.Unsupported, "fake: no round trips")
	}
	if err := t.call(ctx, RoundTrip); err != nil {
		return bench.RoundTrip{}, err
	}
	s, err := t.Run(ctx, 1, set)
	if err != nil {
		return bench.RoundTrip{}, err
	}
	t.poisoned = t.poisoned || t.device.LosesCopies
	out := t.g
	out.K = 0 // C alone
	trip := bench.RoundTrip{Product: s.Wall, Out: per(t.device.CopyTime, out)}
	trip.In = per(t.device.CopyTime, t.g) - trip.Out
	if t.device.DeviceClock {
		device := s.Wall / 10 * 9
		trip.Device = &device
	}
	t.clock.Advance(trip.In + trip.Out)
	return trip, nil
}

func (t *task) MulVec(ctx context.Context, x []float64) ([]float64, error) {
	if err := t.call(ctx, MulVec); err != nil {
		return nil, err
	}
	if len(x) != t.g.N || t.calls[Run] == 0 {
		return nil, &fault.Error{Code: fault.Invalid, Message: fmt.Sprintf("fake: %d elements after %d runs", len(x), t.calls[Run])}
	}
	g := t.g
	t.clock.Advance(per(t.device.CheckTime, g))
	var y []float64
	if g.M*g.N*g.K <= small {
		if t.c[t.set] == nil {
			t.c[t.set] = t.product()
		}
		c := t.c[t.set]
		y = times(g.M, g.N, func(i, j int) float64 { return c[i*g.N+j] }, x)
	} else {
		y = slices.Clone(t.exact(x))
	}
	if t.poisoned {
		y[0] = math.NaN()
	}
	if w := t.device.Wrong; w != nil && t.calls[Run] >= w.From && w.Row < g.M && w.Col < g.N {
		y[w.Row] += w.Add * x[w.Col]
	}
	return y, nil
}

// products keeps those of big matrices with vectors: many tasks have the same operands.
var products sync.Map

// exact returns C·x = A·(B·x) with exact sums.
func (t *task) exact(x []float64) []float64 {
	sum := fnv.New64a()
	binary.Write(sum, binary.LittleEndian, x)
	key := fmt.Sprintf("%+v %d %d %s %x", t.g, t.seed, t.set, t.device.Operand, sum.Sum64())
	if y, ok := products.Load(key); ok {
		return y.([]float64)
	}
	a, b := t.operands()
	y := times(t.g.M, t.g.K, a, times(t.g.K, t.g.N, b, x))
	products.Store(key, y)
	return y
}

func (t *task) Close() error {
	if t.closed {
		return nil
	}
	err := t.call(context.Background(), Close)
	t.closed = true
	return err
}

// operands returns the elements of op(A) and op(B), cut to what is multiplied.
func (t *task) operands() (a, b func(i, j int) float64) {
	cut := t.device.Operand
	switch {
	case cut != "":
	case t.g.Acc == matrix.TF32:
		cut = matrix.TF32
	default:
		cut = t.g.In
	}
	element := func(o matrix.Operand, rows, cols int, trans bool) func(i, j int) float64 {
		s := t.g.Data.Stream(t.seed, o, t.g.In)
		if cut == t.g.In && !trans { // as the stream is
			return func(i, j int) float64 { return s.At(i*cols + j) }
		}
		if trans {
			return func(i, j int) float64 { return cut.Round(s.At(j*rows + i)) }
		}
		return func(i, j int) float64 { return cut.Round(s.At(i*cols + j)) }
	}
	return element(matrix.OfA(t.set), t.g.M, t.g.K, t.g.TransA), element(matrix.B, t.g.K, t.g.N, t.g.TransB)
}

// product returns C, every step of a sum rounded.
func (t *task) product() []float64 {
	acc := t.g.Acc
	if acc == matrix.TF32 {
		acc = matrix.Float32
	}
	if t.device.Acc != "" {
		acc = t.device.Acc
	}
	round := acc.Round
	switch acc {
	case matrix.Float32:
		round = func(x float64) float64 { return float64(float32(x)) } // the same, faster
	case matrix.Float64:
		round = func(x float64) float64 { return x }
	}
	m, n, k := t.g.M, t.g.N, t.g.K
	at, bt := t.operands()
	b := dense(k, n, bt)
	c := make([]float64, 0, m*n)
	for i := range m {
		row := make([]float64, n)
		for l := range k {
			ail, bl := at(i, l), b[l*n:][:n]
			for j := range row {
				row[j] = round(row[j] + ail*bl[j])
			}
		}
		c = append(c, row...)
	}
	for i, sum := range c {
		c[i] = t.g.Out.Round(sum)
	}
	return c
}

// dense returns the rows×cols elements of a matrix.
func dense(rows, cols int, at func(i, j int) float64) []float64 {
	x := make([]float64, 0, rows*cols)
	for i := range rows {
		for j := range cols {
			x = append(x, at(i, j))
		}
	}
	return x
}

// times returns the product of a rows×cols matrix and x.
func times(rows, cols int, at func(i, j int) float64, x []float64) []float64 {
	y := make([]float64, rows)
	if !slices.ContainsFunc(x, func(v float64) bool { return v != 0 }) {
		return y
	}
	for i := range rows {
		for j := range cols {
			y[i] += at(i, j) * x[j]
		}
	}
	return y
}
