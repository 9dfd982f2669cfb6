package gpt

import (
	"math"

	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/network"
)

// forward computes the logits of the character after each one in sequences of a length, one
// behind the other in tokens. The length is at most the context.
func (n *Network[T]) forward(tokens []int32, length int) {
	n.team.each(len(tokens)/length, func(thread, from, to int) {
		n.passes[thread].forward(tokens[from*length:to*length], length)
	})
}

func (p *pass[T]) forward(tokens []int32, length int) {
	c := p.shape.Width
	p.rows, p.long = len(tokens), length
	if p.rows == 0 { // there are more threads than sequences
		return
	}
	x := resize(p.layers[0].in, p.rows*c)
	p.layers[0].in = x
	embedding, place := part(p.weights, p.at.tokens), part(p.weights, p.at.positions)
	for row, token := range tokens {
		add(x[row*c:][:c], embedding[int(token)*c:][:c], place[row%length*c:][:c])
	}
	for i := range p.layers {
		l, b := &p.layers[i], p.at.blocks[i]
		p.normalise(&l.norm1, l.in, b.norm1)
		l.qkv = resize(l.qkv, 3*p.rows*c)
		p.linear(l.norm1.out, b.qkv, l.qkv)
		p.attend(l)
		p.some = resize(p.some, p.rows*c)
		p.linear(l.heads, b.proj, p.some)
		l.middle = resize(l.middle, p.rows*c)
		add(l.middle, l.in, p.some)

		p.normalise(&l.norm2, l.middle, b.norm2)
		l.up, l.gelu = resize(l.up, 4*p.rows*c), resize(l.gelu, 4*p.rows*c)
		p.linear(l.norm2.out, b.up, l.up)
		gelu(l.gelu, l.up)
		p.linear(l.gelu, b.down, p.some)
		next := &p.last
		if i+1 < len(p.layers) {
			next = &p.layers[i+1].in
		}
		*next = resize(*next, p.rows*c)
		add(*next, l.middle, p.some)
	}
	p.normalise(&p.normed, p.last, p.at.norm)
	p.logits = resize(p.logits, p.rows*p.shape.Vocabulary)
	p.linear(p.normed.out, p.at.tokens, p.logits)
}

// add computes dst = a + b.
func add[T network.Real](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

// normed is what a normalisation computed for rows of numbers.
type normed[T network.Real] struct {
	unit   []T // with a mean of 0 and a variance of 1
	invert []T // what each row's differences from its mean were multiplied by
	out    []T // unit times the weights
}

// normalise gives each row a mean of 0 and a variance of 1, and multiplies it by weights.
func (p *pass[T]) normalise(to *normed[T], x []T, t network.Tensor) {
	const epsilon = 1e-5 // PyTorch's
	c, w := p.shape.Width, part(p.weights, t)
	to.unit, to.out, to.invert = resize(to.unit, len(x)), resize(to.out, len(x)), resize(to.invert, p.rows)
	for row := range p.rows {
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
}

// attend computes the attention of each head: every character looks at itself and at those
// before it, and gets the mean of their values, weighted by how well their keys fit its query.
func (p *pass[T]) attend(l *activations[T]) {
	t, c, heads := p.long, p.shape.Width, p.shape.Heads
	size := c / heads
	scale := T(1 / math.Sqrt(float64(size)))
	l.shares, l.heads = resize(l.shares, p.rows*heads*t), resize(l.heads, p.rows*c)
	for i := range p.rows / t * heads {
		sequence, head := i/heads, i%heads
		q := l.qkv[sequence*t*3*c+head*size:]
		k, v := q[c:], q[2*c:]
		shares := l.shares[i*t*t:][:t*t]
		multiply(p.pool, gemm.Problem{M: t, N: t, K: size, TransB: true, LDA: 3 * c, LDB: 3 * c}, q, k, shares)
		for row := range t {
			softmax(shares[row*t:][:t], row+1, scale)
		}
		multiply(p.pool, gemm.Problem{M: t, N: size, K: t, LDB: 3 * c, LDC: c}, shares, v, l.heads[sequence*t*c+head*size:])
	}
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
	length := n.passes[0].long
	n.team.each(len(targets)/length, func(thread, from, to int) {
		n.passes[thread].sum(targets[from*length:to*length], 1/T(len(targets)), derive)
	})
	sum := 0.0
	for _, p := range n.passes {
		sum += p.loss
	}
	return sum / float64(len(targets))
}

// sum sets loss to the sum over the rows. Each has a share in the derivative.
func (p *pass[T]) sum(targets []int32, share T, derive bool) {
	size := p.shape.Vocabulary
	p.loss = 0
	for row, target := range targets {
		z := p.logits[row*size:][:size]
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
		p.loss += math.Log(float64(sum)) - float64(right)
		if derive {
			for i := range z {
				z[i] *= share / sum
			}
			z[target] -= share
		}
	}
}
