package gpt

import (
	"math"

	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/network"
)

// forward computes the logits of the character after each one in sequences of a length, one
// behind the other in tokens. The length is at most the context.
func (n *Network[T]) forward(tokens []int32, length int) {
	s := n.Shape
	c := s.Width
	n.rows, n.long = len(tokens), length
	x := resize(n.layers[0].in, n.rows*c)
	n.layers[0].in = x
	embedding, place := part(n.Weights, n.at.tokens), part(n.Weights, n.at.positions)
	n.team.each(n.rows, func(_, from, to int) {
		for row := from; row < to; row++ {
			e, p, x := embedding[int(tokens[row])*c:][:c], place[row%length*c:][:c], x[row*c:][:c]
			for i := range x {
				x[i] = e[i] + p[i]
			}
		}
	})
	for i := range n.layers {
		l, b := &n.layers[i], n.at.blocks[i]
		n.normalise(&l.norm1, l.in, b.norm1)
		l.qkv = resize(l.qkv, 3*n.rows*c)
		n.linear(l.norm1.out, b.qkv, l.qkv)
		n.attend(l)
		n.some = resize(n.some, n.rows*c)
		n.linear(l.heads, b.proj, n.some)
		l.middle = resize(l.middle, n.rows*c)
		n.add(l.middle, l.in, n.some)

		n.normalise(&l.norm2, l.middle, b.norm2)
		l.up, l.gelu = resize(l.up, 4*n.rows*c), resize(l.gelu, 4*n.rows*c)
		n.linear(l.norm2.out, b.up, l.up)
		n.team.each(len(l.up), func(_, from, to int) { gelu(l.gelu[from:to], l.up[from:to]) })
		n.linear(l.gelu, b.down, n.some)
		next := &n.last
		if i+1 < len(n.layers) {
			next = &n.layers[i+1].in
		}
		*next = resize(*next, n.rows*c)
		n.add(*next, l.middle, n.some)
	}
	n.normalise(&n.normed, n.last, n.at.norm)
	n.logits = resize(n.logits, n.rows*s.Vocabulary)
	n.linear(n.normed.out, n.at.tokens, n.logits)
}

// add computes dst = a + b.
func (n *Network[T]) add(dst, a, b []T) {
	n.team.each(len(dst), func(_, from, to int) {
		dst, a, b := dst[from:to], a[from:to], b[from:to]
		for i := range dst {
			dst[i] = a[i] + b[i]
		}
	})
}

// normed is what a normalisation computed for rows of numbers.
type normed[T network.Real] struct {
	unit   []T // with a mean of 0 and a variance of 1
	invert []T // what each row's differences from its mean were multiplied by
	out    []T // unit times the weights
}

// normalise gives each row a mean of 0 and a variance of 1, and multiplies it by weights.
func (n *Network[T]) normalise(to *normed[T], x []T, t network.Tensor) {
	const epsilon = 1e-5 // PyTorch's
	c, w := n.Shape.Width, part(n.Weights, t)
	to.unit, to.out, to.invert = resize(to.unit, len(x)), resize(to.out, len(x)), resize(to.invert, n.rows)
	n.team.each(n.rows, func(_, first, end int) {
		for row := first; row < end; row++ {
			x, unit, out := x[row*c:][:c], to.unit[row*c:][:c], to.out[row*c:][:c]
			var sum, squares T
			for _, v := range x {
				sum += v
			}
			mean := sum / T(c)
			for _, v := range x {
				squares += (v - mean) * (v - mean)
			}
			invert := T(1 / math.Sqrt(float64(squares)/float64(c)+epsilon))
			to.invert[row] = invert
			for i, v := range x {
				u := (v - mean) * invert
				unit[i], out[i] = u, u*w[i]
			}
		}
	})
}

// attend computes the attention of each head: every character looks at itself and at those
// before it, and gets the mean of their values, weighted by how well their keys fit its query.
func (n *Network[T]) attend(l *activations[T]) {
	t, c, heads := n.long, n.Shape.Width, n.Shape.Heads
	size := c / heads
	scale := T(1 / math.Sqrt(float64(size)))
	l.shares, l.heads = resize(l.shares, n.rows*heads*t), resize(l.heads, n.rows*c)
	n.team.each(n.rows/t*heads, func(thread, from, to int) {
		for i := from; i < to; i++ {
			sequence, head := i/heads, i%heads
			q := l.qkv[sequence*t*3*c+head*size:]
			k, v := q[c:], q[2*c:]
			shares := l.shares[i*t*t:][:t*t]
			multiply(n.team.own[thread], gemm.Problem{M: t, N: t, K: size, TransB: true, LDA: 3 * c, LDB: 3 * c}, q, k, shares)
			for row := range t {
				softmax(shares[row*t:][:t], row+1, scale)
			}
			multiply(n.team.own[thread], gemm.Problem{M: t, N: size, K: t, LDB: 3 * c, LDC: c}, shares, v, l.heads[sequence*t*c+head*size:])
		}
	})
}

// softmax turns the first some scores of a row, times scale, into shares whose sum is 1, and
// the others into 0.
func softmax[T network.Real](row []T, some int, scale T) {
	most := row[0]
	for _, v := range row[:some] {
		most = max(most, v)
	}
	var sum T
	for i, v := range row[:some] {
		row[i] = exp((v - most) * scale)
		sum += row[i]
	}
	invert := 1 / sum
	for i := range row[:some] {
		row[i] *= invert
	}
	clear(row[some:])
}

// gelu computes y = x·Φ(x) with GPT-2's approximation of Φ, ½(1 + tanh(√(2/π)(x + 0.044715x³))),
// and replaces x by the derivative there.
func gelu[T network.Real](y, x []T) {
	const a, b = 2 * 0.7978845608028654, 0.044715 // ½(1 + tanh u) is 1/(1 + e^−2u)
	for i, v := range x {
		p := 1 / (1 + exp(-a*(v+b*v*v*v)))
		y[i] = v * p
		x[i] = p + v*p*(1-p)*a*(1+3*b*v*v)
	}
}

// loss returns the mean cross-entropy of the targets, the character that really follows each,
// and, if derive is set, replaces the logits by its derivative by them.
func (n *Network[T]) loss(targets []int32, derive bool) float64 {
	size := n.Shape.Vocabulary
	n.losses = resize(n.losses, n.rows)
	share := 1 / T(n.rows)
	n.team.each(n.rows, func(_, from, to int) {
		for row := from; row < to; row++ {
			z, target := n.logits[row*size:][:size], targets[row]
			most := z[0]
			for _, v := range z {
				most = max(most, v)
			}
			var sum T
			right := z[target] - most
			for i, v := range z {
				z[i] = exp(v - most)
				sum += z[i]
			}
			n.losses[row] = math.Log(float64(sum)) - float64(right)
			if derive {
				for i := range z {
					z[i] *= share / sum
				}
				z[target] -= share
			}
		}
	})
	sum := 0.0
	for _, l := range n.losses {
		sum += l
	}
	return sum / float64(n.rows)
}
