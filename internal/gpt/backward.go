package gpt

import (
	"math"

	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/network"
)

// backward computes the gradient of the loss into grad, which is as long as Weights, after
// forward and loss of the same tokens.
func (n *Network[T]) backward(tokens []int32, grad []T) {
	length := n.passes[0].long
	n.passes[0].grad = grad
	n.team.each(len(tokens)/length, func(thread, from, to int) {
		p := n.passes[thread]
		p.grad = resize(p.grad, len(grad))
		p.backward(tokens[from*length : to*length])
	})
	n.team.each(len(grad), func(_, from, to int) {
		for _, p := range n.passes[1:] {
			if p.rows > 0 {
				add(grad[from:to], grad[from:to], p.grad[from:to])
			}
		}
	})
}

func (p *pass[T]) backward(tokens []int32) {
	if p.rows == 0 {
		return
	}
	c, grad := p.shape.Width, p.grad
	p.dx, p.some, p.wide = resize(p.dx, p.rows*c), resize(p.some, p.rows*c), resize(p.wide, 4*p.rows*c)
	dx, some, wide := p.dx, p.some, p.wide
	p.linearBack(p.logits, p.normed.out, p.at.tokens, grad, some)
	clear(dx)
	p.normaliseBack(dx, some, &p.normed, p.at.norm)
	// dx is the derivative by what a block returns, which is what it read and what its two halves
	// added: so each half adds the derivative by what it read.
	for i := len(p.layers) - 1; i >= 0; i-- {
		l, b := &p.layers[i], p.at.blocks[i]
		p.linearBack(dx, l.gelu, b.down, grad, wide)
		for i, slope := range l.up {
			wide[i] *= slope
		}
		p.linearBack(wide, l.norm2.out, b.up, grad, some)
		p.normaliseBack(dx, some, &l.norm2, b.norm2)

		p.linearBack(dx, l.heads, b.proj, grad, some)
		dqkv := wide[:3*p.rows*c]
		p.attendBack(l, some, dqkv)
		p.linearBack(dqkv, l.norm1.out, b.qkv, grad, some)
		p.normaliseBack(dx, some, &l.norm1, b.norm1)
	}
	// The token embeddings have the gradient of the output already.
	embedding, place := part(grad, p.at.tokens), part(grad, p.at.positions)
	clear(place)
	for row, token := range tokens {
		e, at, dx := embedding[int(token)*c:][:c], place[row%p.long*c:][:c], dx[row*c:][:c]
		add(e, e, dx)
		add(at, at, dx)
	}
}

// normaliseBack adds the derivative of normalise by x to dx, from that by its result, and
// computes the gradient of its weights.
func (p *pass[T]) normaliseBack(dx, dy []T, of *normed[T], t network.Tensor) {
	c, w, dw := p.shape.Width, part(p.weights, t), part(p.grad, t)
	clear(dw)
	for row := range p.rows {
		dx, dy, unit := dx[row*c:][:c], dy[row*c:][:c], of.unit[row*c:][:c]
		var mean, along T // of dy·w, and of its product with unit
		for i, u := range unit {
			dw[i] += dy[i] * u
			d := dy[i] * w[i]
			mean += d
			along += d * u
		}
		mean, along = mean/T(c), along/T(c)
		for i, u := range unit {
			dx[i] += (dy[i]*w[i] - mean - u*along) * of.invert[row]
		}
	}
}

// attendBack computes the derivatives by queries, keys and values from that by what the heads
// return.
func (p *pass[T]) attendBack(l *activations[T], dy, dqkv []T) {
	t, c, heads := p.long, p.shape.Width, p.shape.Heads
	size := c / heads
	scale := T(1 / math.Sqrt(float64(size)))
	p.scores = resize(p.scores, t*t)
	dshares := p.scores
	for i := range p.rows / t * heads {
		sequence, head := i/heads, i%heads
		first := sequence*t*3*c + head*size
		q, k, v := l.qkv[first:], l.qkv[first+c:], l.qkv[first+2*c:]
		dq, dk, dv := dqkv[first:], dqkv[first+c:], dqkv[first+2*c:]
		shares, dy := l.shares[i*t*t:][:t*t], dy[sequence*t*c+head*size:]
		multiply(p.pool, gemm.Problem{M: t, N: size, K: t, TransA: true, LDB: c, LDC: 3 * c}, shares, dy, dv)
		multiply(p.pool, gemm.Problem{M: t, N: t, K: size, TransB: true, LDA: c, LDB: 3 * c}, dy, v, dshares)
		for row := range t {
			softmaxBack(dshares[row*t:][:t], shares[row*t:][:t], row+1, scale)
		}
		multiply(p.pool, gemm.Problem{M: t, N: size, K: t, LDB: 3 * c, LDC: 3 * c}, dshares, k, dq)
		multiply(p.pool, gemm.Problem{M: t, N: size, K: t, TransA: true, LDB: 3 * c, LDC: 3 * c}, dshares, q, dk)
	}
}

// softmaxBack turns the derivative by the shares of a row into that by its scores.
func softmaxBack[T network.Real](d, shares []T, some int, scale T) {
	var along T
	for i, s := range shares[:some] {
		along += d[i] * s
	}
	for i, s := range shares[:some] {
		d[i] = s * (d[i] - along) * scale
	}
	clear(d[some:])
}
