package gpt

import (
	"math"

	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/network"
)

// backward computes the gradient of the loss into grad, which is as long as Weights, after
// forward and loss of the same tokens.
func (n *Network[T]) backward(tokens []int32, grad []T) {
	c := n.Shape.Width
	n.dx, n.some, n.wide = resize(n.dx, n.rows*c), resize(n.some, n.rows*c), resize(n.wide, 4*n.rows*c)
	dx, some, wide := n.dx, n.some, n.wide
	n.linearBack(n.logits, n.normed.out, n.at.tokens, grad, some)
	clear(dx)
	n.normaliseBack(dx, some, &n.normed, n.at.norm, grad)
	// dx is the derivative by what a block returns, which is what it read and what its two halves
	// added: so each half adds the derivative by what it read.
	for i := len(n.layers) - 1; i >= 0; i-- {
		l, b := &n.layers[i], n.at.blocks[i]
		n.linearBack(dx, l.gelu, b.down, grad, wide)
		n.team.each(len(wide), func(_, from, to int) {
			dy, slope := wide[from:to], l.up[from:to]
			for i := range dy {
				dy[i] *= slope[i]
			}
		})
		n.linearBack(wide, l.norm2.out, b.up, grad, some)
		n.normaliseBack(dx, some, &l.norm2, b.norm2, grad)

		n.linearBack(dx, l.heads, b.proj, grad, some)
		dqkv := wide[:3*n.rows*c]
		n.attendBack(l, some, dqkv)
		n.linearBack(dqkv, l.norm1.out, b.qkv, grad, some)
		n.normaliseBack(dx, some, &l.norm1, b.norm1, grad)
	}
	// The token embeddings have the gradient of the output already.
	embedding, place := part(grad, n.at.tokens), part(grad, n.at.positions)
	clear(place)
	for row, token := range tokens {
		e, p, dx := embedding[int(token)*c:][:c], place[row%n.long*c:][:c], dx[row*c:][:c]
		for i, d := range dx {
			e[i] += d
			p[i] += d
		}
	}
}

// normaliseBack adds the derivative of normalise by x to dx, from that by its result, and
// computes the gradient of its weights.
func (n *Network[T]) normaliseBack(dx, dy []T, of *normed[T], t network.Tensor, grad []T) {
	c, w, dw := n.Shape.Width, part(n.Weights, t), part(grad, t)
	n.team.each(c, func(_, from, to int) { // each thread has columns of its own
		dw := dw[from:to]
		clear(dw)
		for at := 0; at < len(dy); at += c {
			dy, unit := dy[at+from:at+to], of.unit[at+from:at+to]
			for i := range dw {
				dw[i] += dy[i] * unit[i]
			}
		}
	})
	n.team.each(n.rows, func(_, from, to int) {
		for row := from; row < to; row++ {
			dx, dy, unit := dx[row*c:][:c], dy[row*c:][:c], of.unit[row*c:][:c]
			var mean, along T // of dy·w, and of its product with unit
			for i, u := range unit {
				d := dy[i] * w[i]
				mean += d
				along += d * u
			}
			mean, along = mean/T(c), along/T(c)
			for i, u := range unit {
				dx[i] += (dy[i]*w[i] - mean - u*along) * of.invert[row]
			}
		}
	})
}

// attendBack computes the derivatives by queries, keys and values from that by what the heads
// return.
func (n *Network[T]) attendBack(l *activations[T], dy, dqkv []T) {
	t, c, heads := n.long, n.Shape.Width, n.Shape.Heads
	size := c / heads
	scale := T(1 / math.Sqrt(float64(size)))
	scratch := make([]T, len(n.team.own)*t*t)
	n.team.each(n.rows/t*heads, func(thread, from, to int) {
		pool, dshares := n.team.own[thread], scratch[thread*t*t:][:t*t]
		for i := from; i < to; i++ {
			sequence, head := i/heads, i%heads
			first := sequence*t*3*c + head*size
			q, k, v := l.qkv[first:], l.qkv[first+c:], l.qkv[first+2*c:]
			dq, dk, dv := dqkv[first:], dqkv[first+c:], dqkv[first+2*c:]
			shares, dy := l.shares[i*t*t:][:t*t], dy[sequence*t*c+head*size:]
			multiply(pool, gemm.Problem{M: t, N: size, K: t, TransA: true, LDB: c, LDC: 3 * c}, shares, dy, dv)
			multiply(pool, gemm.Problem{M: t, N: t, K: size, TransB: true, LDA: c, LDB: 3 * c}, dy, v, dshares)
			for row := range t {
				softmaxBack(dshares[row*t:][:t], shares[row*t:][:t], row+1, scale)
			}
			multiply(pool, gemm.Problem{M: t, N: size, K: t, LDB: 3 * c, LDC: 3 * c}, dshares, k, dq)
			multiply(pool, gemm.Problem{M: t, N: size, K: t, TransA: true, LDB: 3 * c, LDC: 3 * c}, dshares, q, dk)
		}
	})
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
