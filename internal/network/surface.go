package network

import (
	"context"
	"math"

	"github.com/gpuplay/gpuplay/internal/gemm"
)

// A Surface is the loss of a network over a plane of its weights. The losses of a tile are
// computed in float32, since they are looked at; those of a ball and its gradients in float64.
type Surface struct {
	Plane *Plane
	Data  *Data

	loss   Loss
	map32  *Network[float32]
	x32    []float32
	y32    []float32
	exact  *Network[float64]
	grad   []float64
	center []float32
	u, v   []float32
}

// NewSurface returns the surface over a plane of networks of this shape.
func NewSurface(pool *gemm.Pool, s Shape, d *Data, p *Plane) (*Surface, error) {
	n, err := New[float32](pool, s)
	if err != nil {
		return nil, err
	}
	exact, err := New[float64](pool, s)
	if err != nil {
		return nil, err
	}
	kind, _ := d.Loss()
	return &Surface{
		Plane: p, Data: d, loss: kind,
		map32: n, x32: convert[float32](d.X), y32: convert[float32](d.Y),
		exact: exact, grad: make([]float64, len(exact.Weights)),
		center: convert[float32](p.Center), u: convert[float32](p.U), v: convert[float32](p.V),
	}, nil
}

// Products returns how many matrix products the loss of one point takes: one for each layer.
func (s *Surface) Products() int { return len(s.map32.layers) }

// Losses computes the losses of n×n points: those of row j and column i at (a + i·step,
// b − j·step), so that the first row is the uppermost of a picture.
func (s *Surface) Losses(ctx context.Context, a, b, step float64, n int) ([]float32, error) {
	losses := make([]float32, 0, n*n)
	for j := range n {
		for i := range n {
			ka := float32(s.Plane.Scale * (a + float64(i)*step))
			kb := float32(s.Plane.Scale * (b - float64(j)*step))
			for k, c := range s.center {
				s.map32.Weights[k] = c + ka*s.u[k] + kb*s.v[k]
			}
			l, err := s.map32.Loss(ctx, s.loss, s.x32, s.y32, nil)
			if err != nil {
				return nil, err
			}
			losses = append(losses, float32(l))
		}
	}
	return losses, nil
}

// At returns the loss of a point and its gradient by the two coordinates. The gradient is that
// of the network, by the chain rule.
func (s *Surface) At(ctx context.Context, at [2]float64) (loss float64, gradient [2]float64, err error) {
	s.exact.Weights = s.Plane.At(at[0], at[1])
	loss, err = s.exact.Loss(ctx, s.loss, s.Data.X, s.Data.Y, s.grad)
	scale := s.Plane.Scale
	return loss, [2]float64{scale * dot(s.grad, s.Plane.U), scale * dot(s.grad, s.Plane.V)}, err
}

// Check compares the gradient that the network computes in float32 at a point with differences:
// see CheckGradient.
func (s *Surface) Check(ctx context.Context, at [2]float64) (worst float64, err error) {
	s.map32.Weights = convert[float32](s.Plane.At(at[0], at[1]))
	return CheckGradient(ctx, s.map32, s.loss, s.x32, s.y32)
}

// Along returns the losses of n points from a point on, distance apart, in a direction.
func (s *Surface) Along(ctx context.Context, from, direction [2]float64, distance float64, n int) ([]float64, error) {
	losses := make([]float64, 0, n)
	for i := range n {
		t := distance * float64(i)
		s.exact.Weights = s.Plane.At(from[0]+t*direction[0], from[1]+t*direction[1])
		l, err := s.exact.Loss(ctx, s.loss, s.Data.X, s.Data.Y, nil)
		if err != nil {
			return nil, err
		}
		losses = append(losses, l)
	}
	return losses, nil
}

// A Path is where a rule went.
type Path struct {
	Rule   Rule         `json:"rule"`
	Points [][2]float64 `json:"points"` // the start first
	Losses []float64    `json:"losses"` // at each point
	// Diverged says that it ended before its steps did, since it went beyond Edge or its loss
	// was no number.
	Diverged bool `json:"diverged,omitempty"`
}

// Edge is the distance from the center of a plane at which a path has diverged.
const Edge = 6.0

// Roll lets a rule take steps from a point. What it moves are the two coordinates, with the
// gradient of the network: the ball stays on the plane. To Muon they are a matrix of one row.
func (s *Surface) Roll(ctx context.Context, rule Rule, rate float64, start [2]float64, steps int) (Path, error) {
	p := Path{Rule: rule}
	if err := rule.Check(); err != nil {
		return p, err
	}
	o := NewOptimizer(s.exact.pool, rule, rate, []Tensor{{Shape: []int{1, 2}}})
	at := start
	for step := 0; ; step++ {
		loss, gradient, err := s.At(ctx, at)
		if err != nil {
			return p, err
		}
		if math.IsNaN(loss) || math.IsInf(loss, 0) || !(math.Hypot(at[0], at[1]) <= Edge) {
			p.Diverged = true
			return p, nil
		}
		p.Points, p.Losses = append(p.Points, at), append(p.Losses, loss)
		if step == steps {
			return p, nil
		}
		if err := o.Step(ctx, at[:], gradient[:]); err != nil {
			return p, err
		}
	}
}
