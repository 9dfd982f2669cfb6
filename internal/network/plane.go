package network

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gpuplay/gpuplay/internal/gemm"
)

// Directions are how the two directions of a plane in weight space are chosen.
type Directions string

const (
	// Minima are the directions from one minimum, found by training, to two others. All three
	// are on the plane.
	Minima Directions = "minima"
	// Principal are the two principal directions of the weights during a training.
	Principal Directions = "principal"
	// Random are random directions from a trained minimum, with the row of weights of each
	// neuron scaled to the length of that neuron's own (filter normalisation, Li et al. 2018,
	// arXiv 1712.09913, section 4). They leave the biases alone.
	Random Directions = "random"
)

// AllDirections lists them.
var AllDirections = []Directions{Minima, Principal, Random}

// A Plane is a plane in weight space: the point (a, b) is Center + Scale·(a·U + b·V). U and V
// have length 1 and are at right angles to one another.
type Plane struct {
	Center, U, V []float64
	Scale        float64
	// Marks are points to be shown, in the plane's coordinates: the minima, or the weights
	// during the training.
	Marks [][2]float64
}

// At returns the weights of a point.
func (p *Plane) At(a, b float64) []float64 {
	w := make([]float64, len(p.Center))
	for i, c := range p.Center {
		w[i] = c + p.Scale*(a*p.U[i]+b*p.V[i])
	}
	return w
}

// Locate returns the point of the plane that is nearest to weights.
func (p *Plane) Locate(weights []float64) (at [2]float64) {
	for i, w := range weights {
		at[0] += (w - p.Center[i]) * p.U[i] / p.Scale
		at[1] += (w - p.Center[i]) * p.V[i] / p.Scale
	}
	return at
}

// The training that finds minima for a plane: a little weight decay keeps them at a finite
// distance even where the classes can be told apart without error.
const (
	planeSteps = 600
	planeRate  = 0.03
	planeDecay = 0.001
	planeEvery = 10 // steps between the weights from which principal directions are found
)

// FindPlane trains networks of this shape on d and returns a plane through what they find.
func FindPlane(ctx context.Context, pool *gemm.Pool, s Shape, d *Data, how Directions, seed uint64) (*Plane, error) {
	if !slices.Contains(AllDirections, how) {
		return nil, fmt.Errorf("unknown directions %q", string(how))
	}
	n, err := New[float64](pool, s)
	if err != nil {
		return nil, err
	}
	path, err := descend(ctx, n, d, seed)
	if err != nil {
		return nil, err
	}
	end := path[len(path)-1]
	switch how {
	case Minima:
		ends := [][]float64{end}
		for i := range uint64(2) {
			path, err := descend(ctx, n, d, seed+i+1)
			if err != nil {
				return nil, err
			}
			ends = append(ends, path[len(path)-1])
		}
		return spanned(mean(ends), minus(ends[1], ends[0]), minus(ends[2], ends[0]), ends)
	case Principal:
		middle := mean(path)
		u, v := principal(path, middle)
		return spanned(middle, u, v, path)
	}
	r := random(seed, 4)
	var uv [2][]float64
	for k := range uv {
		uv[k] = make([]float64, len(end))
		for _, t := range s.Tensors() {
			if len(t.Shape) != 2 {
				continue
			}
			for from := t.From; from < t.From+t.Len(); from += t.Shape[1] {
				row, own := uv[k][from:from+t.Shape[1]], end[from:from+t.Shape[1]]
				for i := range row {
					row[i] = r.NormFloat64()
				}
				scale(row, length(own)/length(row))
			}
		}
	}
	return spanned(end, uv[0], uv[1], [][]float64{end})
}

// descend trains a network on all rows at once and returns its weights on the way, the final
// ones last.
func descend(ctx context.Context, n *Network[float64], d *Data, seed uint64) (path [][]float64, err error) {
	n.Init(seed)
	kind, _ := d.Loss()
	o := NewOptimizer(n.pool, Adam, planeRate, n.Shape.Tensors())
	grad := make([]float64, len(n.Weights))
	for step := range planeSteps + 1 {
		if step%planeEvery == 0 {
			path = append(path, slices.Clone(n.Weights))
		}
		if _, err := n.Loss(ctx, kind, d.X, d.Y, grad); err != nil {
			return nil, err
		}
		for i, w := range n.Weights {
			grad[i] += planeDecay * w
		}
		if err := o.Step(ctx, n.Weights, grad); err != nil {
			return nil, err
		}
	}
	return path, nil
}

// spanned returns the plane through center along u and v, scaled so that the marks are within
// a distance of 1.
func spanned(center, u, v []float64, marks [][]float64) (*Plane, error) {
	span := length(u)
	scale(u, 1/length(u))
	along := dot(u, v)
	for i := range v {
		v[i] -= along * u[i]
	}
	scale(v, 1/length(v))
	p := &Plane{Center: center, U: u, V: v, Scale: 1}
	farthest := 0.0
	for _, m := range marks {
		at := p.Locate(m)
		farthest = max(farthest, math.Hypot(at[0], at[1]))
	}
	if p.Scale = farthest; len(marks) == 1 { // the center alone: u's own length counts
		p.Scale = span
	}
	if !(p.Scale > 0) || math.IsNaN(dot(u, v)) {
		return nil, fmt.Errorf("the two directions are one and the same: try another seed")
	}
	for _, m := range marks {
		p.Marks = append(p.Marks, p.Locate(m))
	}
	return p, nil
}

// principal returns the two directions in which points vary most about their mean, by power
// iteration.
func principal(points [][]float64, middle []float64) (u, v []float64) {
	var off [][]float64
	for _, p := range points {
		off = append(off, minus(p, middle))
	}
	find := func(without []float64) []float64 {
		d := slices.Clone(off[0])
		for range 200 {
			next := make([]float64, len(d))
			for _, p := range off {
				along := dot(p, d)
				for i, x := range p {
					next[i] += along * x
				}
			}
			if without != nil {
				along := dot(next, without)
				for i, x := range without {
					next[i] -= along * x
				}
			}
			scale(next, 1/length(next))
			d = next
		}
		return d
	}
	u = find(nil)
	return u, find(u)
}

func dot(a, b []float64) (sum float64) {
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

func length(a []float64) float64 { return math.Sqrt(dot(a, a)) }

func scale(a []float64, by float64) {
	for i := range a {
		a[i] *= by
	}
}

func minus(a, b []float64) []float64 {
	d := slices.Clone(a)
	for i, x := range b {
		d[i] -= x
	}
	return d
}

func mean(list [][]float64) []float64 {
	m := make([]float64, len(list[0]))
	for _, p := range list {
		for i, x := range p {
			m[i] += x / float64(len(list))
		}
	}
	return m
}
