package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/network"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// gradientFlags are learn gradient's.
type gradientFlags struct {
	rate  float64
	steps int
	start []float64
	seed  uint64
}

// maxSteps is how many steps of each optimizer are computed at most: a second's work.
const maxSteps = 5000

func newLearnGradient(a *app) *cobra.Command {
	var f gradientFlags
	c := &cobra.Command{
		Use:   "gradient",
		Short: "Six optimizers on the loss of a small network, from one start",
		Long: `gradient trains a network of 67 weights three times, lays a plane through the three
minima in weight space, and lets six optimizers descend from one point of this plane by the
network's own gradients, which are first checked against finite differences. It takes a
second. gpuplay serve shows the same as a map on which the start can be moved.`,
		Example: `  gpuplay learn gradient
  gpuplay learn gradient --rate 0.3 --start 0.5,-1`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case !(f.rate > 0 && f.rate <= 1e4):
				return usagef("for example --rate 0.035", "--rate %v: must be above 0 and at most 10000", f.rate)
			case f.steps < 1 || f.steps > maxSteps:
				return usagef("for example --steps 120", "--steps %d: must be between 1 and %d", f.steps, maxSteps)
			case len(f.start) != 2:
				return usagef("for example --start 0,-0.6", "--start has %d numbers: it needs two", len(f.start))
			case !(math.Hypot(f.start[0], f.start[1]) < network.Edge):
				return usagef("for example --start 0,-0.6", "--start %v,%v: must be less than %v from the middle", f.start[0], f.start[1], network.Edge)
			}
			return a.learnGradient(c.Context(), f)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.Float64Var(&f.rate, "rate", 0.035, "learning rate")
	fl.IntVar(&f.steps, "steps", 120, "steps of each optimizer")
	fl.Float64SliceVar(&f.start, "start", []float64{0, -0.6}, "the `point` of the plane at which they start, as two coordinates")
	fl.Lookup("start").DefValue = "0,-0.6"
	fl.Uint64Var(&f.seed, "seed", 22, "seed of the weights that training starts from")
	return c
}

// ruleNames are the optimizers as people write them.
var ruleNames = map[network.Rule]string{network.SGD: "SGD", network.Momentum: "momentum", network.Nesterov: "Nesterov", network.RMSProp: "RMSProp", network.Adam: "Adam", network.Muon: "Muon"}

func (a *app) learnGradient(ctx context.Context, f gradientFlags) error {
	pool, err := gemm.NewPool(gemm.ISAs()[0], 1)
	if err != nil {
		return err
	}
	defer pool.Close()
	shape := network.Shape{Inputs: 2, Hidden: []int{6, 6}, Outputs: 1, Activation: network.Tanh}
	data, err := network.Make("moons", 96, 3)
	if err != nil {
		return err
	}
	plane, err := network.FindPlane(ctx, pool, shape, data, network.Minima, f.seed)
	if err != nil {
		return err
	}
	surface, err := network.NewSurface(pool, shape, data, plane)
	if err != nil {
		return err
	}
	start := [2]float64{f.start[0], f.start[1]}
	worst, err := surface.Check(ctx, start)
	if err != nil {
		return err
	}
	if most := network.Tolerance[float32](); !(worst <= most) {
		return fault.Errorf(fault.Wrong, "the gradients are wrong: they differ from finite differences by %.0e of the largest element, where at most %.0e is rounding", worst, most)
	}
	loss, gradient, err := surface.At(ctx, start)
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "A network of %d weights. Its gradients were checked: worst %.0e.\n", shape.Weights(), worst)
	fmt.Fprintf(&b, "Start (%.2f, %.2f): loss %.3f, gradient (%.2f, %.2f), learning rate %v\n\n", start[0], start[1], loss, gradient[0], gradient[1], f.rate)
	fmt.Fprintf(&b, "%-10s %6s  %7s  %15s  %s\n", "", "steps", "loss", "at", "nearest minimum")
	begun, made := time.Now(), 0
	for _, rule := range network.Rules {
		p, err := surface.Roll(ctx, rule, f.rate, start, f.steps)
		if err != nil {
			return err
		}
		last := len(p.Points) - 1
		if p.Diverged {
			made += last + 1
			fmt.Fprintf(&b, "%-10s %6d  diverged: lower the learning rate\n", ruleNames[rule], last+1)
			continue
		}
		made += last
		at := p.Points[last]
		fmt.Fprintf(&b, "%-10s %6d  %7.3f  (%5.2f, %5.2f)  %c\n", ruleNames[rule], last, p.Losses[last], at[0], at[1], 'A'+nearest(at, plane.Marks))
	}
	took := time.Since(begun)
	fmt.Fprintf(&b, "\n%d steps took %s on one thread.\n", made, unit.Seconds(took))
	say(a.stdout, "%s", b.String())
	return nil
}

// nearest returns which mark is nearest to a point.
func nearest(at [2]float64, marks [][2]float64) rune {
	best, least := 0, 0.0
	for i, m := range marks {
		dx, dy := m[0]-at[0], m[1]-at[1]
		if d := dx*dx + dy*dy; i == 0 || d < least {
			best, least = i, d
		}
	}
	return rune(best)
}
