package gpt

import (
	"context"
	"sync"

	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/network"
)

// A Team is how many threads compute one network at a time. Each computes a part of the
// sequences of a step, from the embeddings to the gradient, so that threads wait for each other
// only when the gradients are summed.
type Team struct {
	isa     gemm.ISA
	threads int
}

// NewTeam returns a team of threads; 0: one for each core.
func NewTeam(threads int) (*Team, error) {
	threads, err := gemm.Threads(threads)
	if err != nil {
		return nil, err
	}
	return &Team{gemm.ISAs()[0], threads}, nil
}

// Threads returns the number of threads.
func (t *Team) Threads() int { return t.threads }

// each divides n items evenly among the threads, the first of which gets one if there is any,
// and returns when all have been handled.
func (t *Team) each(n int, do func(thread, from, to int)) {
	from := func(thread int) int { return (n*thread + t.threads - 1) / t.threads }
	var rest sync.WaitGroup
	for i := 1; i < t.threads; i++ {
		rest.Go(func() { do(i, from(i), from(i+1)) })
	}
	do(0, 0, from(1))
	rest.Wait()
}

// multiply computes a product in the type of its operands. Its shape follows from that of the
// network, so that an error is one of this package; products are not interrupted.
func multiply[T network.Real](pool *gemm.Pool, g gemm.Problem, a, b, c []T) {
	var err error
	switch a := any(a).(type) {
	case []float32:
		err = pool.Float32(context.Background(), 1, g, a, any(b).([]float32), any(c).([]float32))
	case []float64:
		err = pool.Float64(context.Background(), 1, g, a, any(b).([]float64), any(c).([]float64))
	}
	if err != nil {
		panic(err)
	}
}

// linear computes y = x·Wᵀ for a matrix with a row for each output.
func (p *pass[T]) linear(x []T, t network.Tensor, y []T) {
	out, in := t.Shape[0], t.Shape[1]
	multiply(p.pool, gemm.Problem{M: len(y) / out, N: out, K: in, TransB: true}, x, part(p.weights, t), y)
}

// linearBack computes the derivatives of linear from that by y: by W into grad, and by x into dx.
func (p *pass[T]) linearBack(dy, x []T, t network.Tensor, grad, dx []T) {
	out, in := t.Shape[0], t.Shape[1]
	rows := len(dy) / out
	multiply(p.pool, gemm.Problem{M: out, N: in, K: rows, TransA: true}, dy, x, part(grad, t))
	multiply(p.pool, gemm.Problem{M: rows, N: in, K: out}, dy, part(p.weights, t), dx)
}
