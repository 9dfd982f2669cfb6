// Package learn shows the way from the textbook's matrix multiplication to a fast
// one, as a ladder with one new idea per rung. The first rungs (rungs.go) are as
// short as they can be while still readable; the last two are package gemm. Climb
// measures every rung and checks its product.
//
// The rungs in Go are meant to be read, not to be used.
package learn

import (
	"context"
	"fmt"
	"time"

	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// A Rung is the previous rung with one more idea.
type Rung struct {
	Name    string
	Idea    string // in one sentence
	Threads int

	multiply func(ctx context.Context, m, n, k int, a, b, c []float32) error
	pool     *gemm.Pool // computes the product; nil for the rungs in Go
}

// Ladder returns the rungs. The last one uses the given number of threads, 0 for
// one per core. close ends the threads.
func Ladder(threads int) (rungs []Rung, close func(), err error) {
	isa := gemm.ISAs()[0]
	one, err := gemm.NewPool(isa, 1)
	if err != nil {
		return nil, nil, err
	}
	all, err := gemm.NewPool(isa, threads)
	if err != nil {
		one.Close()
		return nil, nil, err
	}
	plain := func(f func(m, n, k int, a, b, c []float32)) func(context.Context, int, int, int, []float32, []float32, []float32) error {
		return func(_ context.Context, m, n, k int, a, b, c []float32) error {
			f(m, n, k, a, b, c)
			return nil
		}
	}
	fast := func(p *gemm.Pool) func(context.Context, int, int, int, []float32, []float32, []float32) error {
		return func(ctx context.Context, m, n, k int, a, b, c []float32) error {
			return p.Float32(ctx, 1, gemm.Problem{M: m, N: n, K: k}, a, b, c)
		}
	}
	return []Rung{
		{"naive", "a row of A times a column of B, as in the textbook", 1, plain(naive), nil},
		{"loop order", "the same sums in another order, so that memory is read sequentially", 1, plain(reordered), nil},
		{"blocked", "B in blocks, each of which stays in a cache while all of A is multiplied by it", 1, plain(blocked), nil},
		{"packed", "blocks copied into the order in which they are used; the sums of a small tile stay in registers", 1, plain(packed), nil},
		{"vector", fmt.Sprintf("%s: several multiplications and additions per instruction, in assembly", isa), 1, fast(one), one},
		{"threads", "every core computes a share of the rows", all.Threads(), fast(all), all},
	}, func() { one.Close(); all.Close() }, nil
}

// A Step is the measurement of a rung.
type Step struct {
	Rung
	Seconds []float64   // of one product, one value per sample
	Starts  []time.Time // of each sample
	Peak    *float64    // FLOP/s of as many threads that execute only multiply-adds, measured before and after the samples; nil: not known
	Check   matrix.Check
}

const (
	// Seed is the seed of the inputs.
	Seed = 1
	// patience is roughly how long a rung is measured.
	patience = 400 * time.Millisecond
	samples  = 9 // at most
)

// Climb multiplies n×n matrices on every rung, checks each product against float64
// and calls observe with each step. A wrong product is an error. When ctx ends,
// Climb returns at once with the steps so far; the current rung keeps running until
// its product is done.
func Climb(ctx context.Context, rungs []Rung, n int, observe func(Step)) ([]Step, error) {
	a, b, c := make([]float32, n*n), make([]float32, n*n), make([]float32, n*n)
	for _, f := range []struct {
		dst []float32
		of  matrix.Operand
	}{{a, matrix.A}, {b, matrix.B}} {
		s := matrix.NewStream(Seed, f.of, matrix.Float32)
		if err := matrix.Fill(ctx, f.dst, s.Fill32); err != nil {
			return nil, err
		}
	}
	ref, err := matrix.NewReference(ctx, matrix.Problem{M: n, N: n, K: n, In: matrix.Float32, Seed: Seed})
	if err != nil {
		return nil, err
	}
	var steps []Step
	for _, r := range rungs {
		type outcome struct {
			step Step
			err  error
		}
		done := make(chan outcome, 1)
		go func() {
			step, err := measure(ctx, r, ref, n, a, b, c)
			done <- outcome{step, err}
		}()
		select {
		case <-ctx.Done():
			return steps, ctx.Err()
		case o := <-done:
			if o.err != nil {
				return steps, o.err
			}
			steps = append(steps, o.step)
			observe(o.step)
		}
	}
	return steps, nil
}

// measure times one rung: once if that takes long, otherwise after a product that
// is not counted.
func measure(ctx context.Context, r Rung, ref *matrix.Reference, n int, a, b, c []float32) (Step, error) {
	step := Step{Rung: r}
	var total time.Duration
	for i := range c { // so that the result of the previous rung cannot pass for this one's
		c[i] = -1
	}
	step.seePeak()
	for {
		start := time.Now()
		if err := r.multiply(ctx, n, n, n, a, b, c); err != nil {
			return step, err
		}
		wall := time.Since(start)
		if total == 0 && wall < patience/4 {
			total = 1 // not counted: it was the warm-up
			continue
		}
		total += wall
		step.Seconds, step.Starts = append(step.Seconds, wall.Seconds()), append(step.Starts, start)
		if total+wall > patience && len(step.Seconds) > 0 || len(step.Seconds) == samples {
			break
		}
	}
	step.seePeak()
	var err error
	step.Check, err = ref.CheckProduct(func(x []float64) ([]float64, error) {
		return matrix.MulVec(ctx, c, x, func(x float32) float64 { return float64(x) })
	}, matrix.Float32, matrix.Float32)
	if err == nil && !step.Check.Passed {
		err = fmt.Errorf("learn: the product of %q is wrong", r.Name)
	}
	return step, err
}

// seePeak measures the peak of the rung's threads. The highest value counts, since
// other programs can only make it lower.
func (s *Step) seePeak() {
	if s.pool == nil {
		return
	}
	if peak, ok := s.pool.Peak(gemm.Float32); ok && (s.Peak == nil || peak > *s.Peak) {
		s.Peak = &peak
	}
}
