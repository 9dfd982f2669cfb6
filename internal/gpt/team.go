package gpt

import (
	"context"
	"sync"

	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/network"
)

// A Team is the threads that compute one network at a time. They share each large product; of the
// small products of the attention, and of everything that is not a product, each computes a part.
type Team struct {
	all *gemm.Pool
	own []*gemm.Pool // one for each thread, for products that are not worth several
}

// NewTeam starts threads; 0: one for each core.
func NewTeam(threads int) (*Team, error) {
	isa := gemm.ISAs()[0]
	all, err := gemm.NewPool(isa, threads)
	if err != nil {
		return nil, err
	}
	t := &Team{all: all}
	for range all.Threads() {
		own, err := gemm.NewPool(isa, 1)
		if err != nil {
			t.Close()
			return nil, err
		}
		t.own = append(t.own, own)
	}
	return t, nil
}

// Threads returns the number of threads.
func (t *Team) Threads() int { return len(t.own) }

// Close ends the threads.
func (t *Team) Close() {
	t.all.Close()
	for _, p := range t.own {
		p.Close()
	}
}

// each divides n items evenly among the threads, and returns when all have been handled.
func (t *Team) each(n int, do func(thread, from, to int)) {
	threads := len(t.own)
	var rest sync.WaitGroup
	for i := 1; i < threads; i++ {
		rest.Go(func() { do(i, n*i/threads, n*(i+1)/threads) })
	}
	do(0, 0, n/threads)
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
func (n *Network[T]) linear(x []T, t network.Tensor, y []T) {
	out, in := t.Shape[0], t.Shape[1]
	multiply(n.team.all, gemm.Problem{M: len(y) / out, N: out, K: in, TransB: true}, x, part(n.Weights, t), y)
}

// linearBack computes the derivatives of linear from that by y: by W into grad, and by x into dx
// unless that is nil.
func (n *Network[T]) linearBack(dy, x []T, t network.Tensor, grad, dx []T) {
	out, in := t.Shape[0], t.Shape[1]
	rows := len(dy) / out
	multiply(n.team.all, gemm.Problem{M: out, N: in, K: rows, TransA: true}, dy, x, part(grad, t))
	multiply(n.team.all, gemm.Problem{M: rows, N: in, K: out}, dy, part(n.Weights, t), dx)
}
