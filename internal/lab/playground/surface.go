package playground

import (
	"cmp"
	"context"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/network"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// The map: tiles of 16 by 16 cells, whose corners are the points that are computed.
const (
	columns, rows = 12, 10
	cells         = 16
	reach         = 2.15 // the coordinate of the right edge
	step          = 2 * reach / (columns * cells)
)

// corner returns the first point of a tile.
func corner(tile int) (a, b float64) {
	return -reach + float64(tile%columns*cells)*step, reach*rows/columns - float64(tile/columns*cells)*step
}

// SurfaceOptions say which surface to compute.
type SurfaceOptions struct {
	Points
	Directions network.Directions `json:"directions"`
	Seed       uint64             `json:"seed"`
	// Torch has PyTorch compute the same map afterwards: on its GPU if it has one, else on the
	// CPU.
	Torch bool `json:"torch,omitempty"`
}

// surfaceShape is the network whose loss is mapped.
var surfaceShape = network.Shape{Inputs: 2, Hidden: []int{6, 6}, Outputs: 1, Activation: network.Tanh}

// surfacePoints is how many points the network is to tell apart.
const surfacePoints = 96

// A Surface is a map to be computed.
type Surface struct {
	o     SurfaceOptions
	data  *network.Data
	torch func(context.Context) (*worker.Client, error)
}

// NewSurface checks options. torch makes the parent's end of a worker for networks in PyTorch;
// nil: there is none.
func NewSurface(o SurfaceOptions, torch func(context.Context) (*worker.Client, error)) (*Surface, error) {
	o.Rows = surfacePoints
	d, err := o.read()
	switch {
	case err != nil:
		return nil, err
	case d.Classes != 2:
		return nil, fault.Errorf(fault.Invalid, "data set %q: one with two classes is needed", o.Set)
	case !slices.Contains(network.AllDirections, o.Directions):
		return nil, fault.Errorf(fault.Invalid, "unknown directions %q", string(o.Directions))
	}
	return &Surface{o, d, torch}, nil
}

// Run finds the plane and computes its tiles, from the middle to the edge, on every core:
// each has a network of its own. It tells the plane and then each tile when it is known.
func (s *Surface) Run(ctx context.Context, sink event.Sink) error {
	pool, err := newPool()
	if err != nil {
		return err
	}
	defer pool.Close()
	begun := time.Now()
	plane, err := network.FindPlane(ctx, pool, surfaceShape, s.data, s.o.Directions, s.o.Seed)
	if err != nil {
		return err
	}
	found := time.Since(begun)
	surface, err := network.NewSurface(pool, surfaceShape, s.data, plane)
	if err != nil {
		return err
	}
	threads := runtime.GOMAXPROCS(0)
	p := Plane{
		Drawn: drawn(surfaceShape, s.data), Directions: s.o.Directions, Center: plane.Center, U: plane.U, V: plane.V, Scale: plane.Scale, Marks: plane.Marks,
		Columns: columns, Rows: rows, Points: cells + 1, Left: -reach, Top: reach * rows / columns, Step: step,
		Products: surface.Products(), Threads: threads, Found: found.Nanoseconds(), At: [2]float64{0.1, -0.6},
	}
	if p.LossAt, p.GradientAt, err = surface.At(ctx, p.At); err != nil {
		return err
	}
	if p.Low, p.High, err = extent(ctx, surface); err != nil {
		return err
	}
	worst, err := surface.Check(ctx, p.At)
	if err != nil {
		return err
	}
	p.Check = checked(worst, network.Tolerance[float32]())
	sink.Emit("", p)
	sink.Emit(Lane, event.Lane{Name: "this program, CPU", Engine: "gocpu", Device: "CPU"})
	sink.Emit(Lane, event.Phase{Phase: "measuring"})
	if err := s.paint(ctx, sink, plane, threads); err != nil {
		return err
	}
	sink.Emit(Lane, event.Phase{Phase: "finished"})
	if s.o.Torch {
		return s.again(ctx, sink, surface)
	}
	return nil
}

// again has PyTorch compute the tiles, each as one batch of products for each layer. Its first
// one must be the same as surface's.
func (s *Surface) again(ctx context.Context, sink event.Sink, surface *network.Surface) error {
	p, d, err := connect(ctx, torchEngine, s.torch, "")
	if err != nil {
		return err
	}
	defer p.link.Close()
	sink.Emit(p.lane, p.about)
	sink.Emit(p.lane, event.Phase{Phase: "preparing"})
	plane := surface.Plane
	scaled := func(d []float64) []float64 {
		x := slices.Clone(d)
		for i := range x {
			x[i] *= plane.Scale
		}
		return x
	}
	args := description(d, surfaceShape, s.data)
	args.Weights, args.U, args.V = plane.Center, scaled(plane.U), scaled(plane.V)
	if _, _, err := worker.Do(ctx, p.link, worker.Network, args, nil, 0); err != nil {
		return err
	}
	tile := func(i int) (worker.Mapped, error) {
		a, b := corner(i)
		got, _, err := worker.Do(ctx, p.link, worker.Losses, worker.LossesArgs{A: a, B: b, Step: step, N: cells + 1}, nil, 0)
		return got, err
	}
	first, err := tile(0) // which also loads the kernels
	if err != nil {
		return err
	}
	a, b := corner(0)
	ours, err := surface.Losses(ctx, a, b, step, cells+1)
	if err != nil {
		return err
	}
	if len(first.Losses) != len(ours) {
		return fault.Errorf(fault.Wrong, "PyTorch computed %d losses of a tile that has %d", len(first.Losses), len(ours))
	}
	for i, loss := range first.Losses {
		if err := agrees(p.name, float64(loss), float64(ours[i])); err != nil {
			return err
		}
	}
	sink.Emit(p.lane, event.Phase{Phase: "measuring"})
	for _, i := range outwards() {
		got, err := tile(i)
		if err != nil {
			return err
		}
		sink.Emit(p.lane, Tile{i, bytesOf(got.Losses), got.Wall.Nanoseconds()})
	}
	sink.Emit(p.lane, event.Phase{Phase: "finished"})
	return nil
}

// extent returns about the lowest and the highest loss of the map, from its marks and a grid
// as coarse as the tiles. The highest hundredth is left out.
func extent(ctx context.Context, s *network.Surface) (low, high float64, err error) {
	var losses []float64
	look := func(a, b float64) {
		if err == nil {
			var l float64
			l, _, err = s.At(ctx, [2]float64{a, b})
			losses = append(losses, l)
		}
	}
	for _, m := range s.Plane.Marks {
		look(m[0], m[1])
	}
	for y := range rows + 1 {
		for x := range columns + 1 {
			look(-reach+2*reach*float64(x)/columns, (reach-2*reach*float64(y)/rows)*rows/columns)
		}
	}
	slices.Sort(losses)
	return losses[0], losses[len(losses)*99/100], err
}

// paint computes all tiles, on that many threads.
func (s *Surface) paint(ctx context.Context, sink event.Sink, plane *network.Plane, threads int) error {
	order := outwards()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var painters sync.WaitGroup
	for range threads {
		painters.Go(func() {
			err := func() error {
				pool, err := newPool()
				if err != nil {
					return err
				}
				defer pool.Close()
				surface, err := network.NewSurface(pool, surfaceShape, s.data, plane)
				if err != nil {
					return err
				}
				for {
					i := int(next.Add(1)) - 1
					if i >= len(order) {
						return nil
					}
					a, b := corner(order[i])
					begun := time.Now()
					losses, err := surface.Losses(ctx, a, b, step, cells+1)
					if err != nil {
						return err
					}
					sink.Emit(Lane, Tile{order[i], bytesOf(losses), time.Since(begun).Nanoseconds()})
				}
			}()
			if err != nil {
				cancel(err)
			}
		})
	}
	painters.Wait()
	return context.Cause(ctx)
}

// outwards returns the tiles from the middle to the edge.
func outwards() []int {
	order := make([]int, columns*rows)
	for i := range order {
		order[i] = i
	}
	distance := func(i int) float64 {
		return math.Hypot(float64(i%columns)-(columns-1)/2., float64(i/columns)-(rows-1)/2.)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(distance(a), distance(b)) })
	return order
}
