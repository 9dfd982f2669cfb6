package playground

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/network"
	"github.com/gpuplay/gpuplay/internal/unit"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// A peer is another engine with the same network, which makes the same steps when it is its turn.
type peer struct {
	link  *worker.Link
	name  string // of the engine, for people
	lane  string
	about event.Lane
	check Check // of its gradients
	made  int   // steps
	busy  time.Duration
}

// Torch returns a function that starts the worker of that name in PyTorch, with that many threads
// of the CPU (0: as many as there are), in the interpreter or environment that was asked for, or
// else the usual one.
func Torch(c *catalog.Catalog, name, asked string) func(ctx context.Context, threads int) (*worker.Client, error) {
	return func(ctx context.Context, threads int) (*worker.Client, error) {
		found, err := c.Interpreter(ctx, "torch", asked)
		if err != nil {
			return nil, err
		}
		return c.Language(name, found)(ctx, threads)
	}
}

// The engines that can be peers.
const (
	torchEngine = "torch"
	cudaEngine  = "cuda"
)

var peerNames = map[string]string{torchEngine: "PyTorch", cudaEngine: "the CUDA kernel"}

// connect starts an engine and finds a device of it, as hardware.Pick does.
func connect(ctx context.Context, engine string, client func(context.Context) (*worker.Client, error), device string) (*peer, hardware.Device, error) {
	name := peerNames[engine]
	if client == nil {
		return nil, hardware.Device{}, fault.Errorf(fault.Unavailable, "%s cannot be started here", name)
	}
	c, err := client(ctx)
	if err != nil {
		return nil, hardware.Device{}, err
	}
	link, err := c.Dial(ctx)
	if err != nil {
		return nil, hardware.Device{}, err
	}
	d, err := hardware.Pick(link.Inventory(), engine, device)
	if err != nil {
		link.Close()
		return nil, d, err
	}
	about := event.Lane{Name: d.Label(), Engine: engine, Device: d.Name, Card: d.Card}
	return &peer{link: link, name: name, lane: engine + "/" + d.ID, about: about}, d, nil
}

// description is a network as a worker is told of it.
func description(d hardware.Device, s network.Shape, data *network.Data) worker.NetworkArgs {
	kind, _ := data.Loss()
	return worker.NetworkArgs{
		Device: d.ID, Inputs: s.Inputs, Hidden: slices.Concat([]int{}, s.Hidden), Outputs: s.Outputs, Activation: string(s.Activation),
		Loss: string(kind), Optimizer: string(network.SGD), Rate: 1, DType: "float32",
		X: data.X[:data.Rows()*data.Inputs], Y: data.Y[:data.Rows()],
	}
}

// sameLoss is how far apart two engines' losses of the same network may be, as a part of the
// loss, or of 1 if the loss is smaller.
const sameLoss = 1e-4

// lossOf returns the loss that a worker tells, which is nil when it is no number.
func lossOf(told *float64) float64 {
	if told == nil {
		return math.NaN()
	}
	return *told
}

// agrees returns an error if an engine's loss of a network is not that of this program.
func agrees(engine string, theirs, ours float64) error {
	if math.Abs(theirs-ours) <= sameLoss*max(1, ours) {
		return nil
	}
	return fault.Errorf(fault.Wrong, "the loss of the network is %.6g by %s, and %.6g by this program on the CPU", theirs, engine, ours)
}

// join starts the engines that were asked for, and tells which take part.
func (k *Keeper) join(ctx context.Context, t *Training, s *state, sink event.Sink) error {
	if !s.joined && t.options.peers() {
		learned, _, err := s.steps(ctx, t.options.Rate, 0, 0) // engines take seconds to start: the network is shown meanwhile
		if err != nil {
			return err
		}
		sink.Emit(Lane, learned)
		peers, err := k.dial(ctx, t, s)
		var page *guest
		if err == nil && t.options.Browser {
			page, err = t.invite(ctx, sink, s)
		}
		k.mu.Lock()
		s.peers, s.guest, s.joined = peers, page, true
		k.mu.Unlock()
		if err != nil {
			k.part(s)
			return err
		}
	}
	for _, p := range s.peers {
		sink.Emit(p.lane, p.about)
		sink.Emit(p.lane, p.check)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s.peers = slices.DeleteFunc(s.peers, func(p *peer) bool { // whose gradients are wrong goes no further
		if !p.check.OK {
			p.link.Close()
		}
		return !p.check.OK
	})
	return nil
}

// part ends the engines of a training, one of which has not made its steps. What this program has
// learned can still be exported, but the training cannot go on with all of them.
func (k *Keeper) part(s *state) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range s.peers {
		p.link.Close()
	}
	s.peers, s.guest, s.joined = nil, nil, false
}

// dial has the engines that were asked for make the network of a training that has made no step
// yet.
func (k *Keeper) dial(ctx context.Context, t *Training, s *state) (peers []*peer, err error) {
	defer func() {
		if err != nil {
			for _, p := range peers {
				p.link.Close()
			}
			peers = nil
		}
	}()
	for _, e := range []struct {
		name  string
		asked bool
		start func(context.Context) (*worker.Client, error)
	}{{torchEngine, t.options.Torch, k.Torch}, {cudaEngine, t.options.CUDA, k.CUDA}} {
		if !e.asked {
			continue
		}
		p, d, err := connect(ctx, e.name, e.start, "")
		if err != nil {
			return peers, err
		}
		peers = append(peers, p)
		if err := p.prepare(ctx, d, t, s); err != nil {
			return peers, err
		}
	}
	return peers, nil
}

// prepare has an engine make the network of a training, whose loss has to be that of this program,
// and checks the gradient that it computes.
func (p *peer) prepare(ctx context.Context, d hardware.Device, t *Training, s *state) error {
	args := description(d, t.options.Shape(t.data), t.data)
	args.Optimizer, args.Rate, args.DType, args.Weights = string(t.options.Optimizer), t.options.Rate, cmp.Or(t.options.DType, "float32"), s.learner.weights()
	args.Batch = min(t.options.Batch, t.data.Rows())
	got, _, err := worker.Do(ctx, p.link, worker.Network, args, nil, 0)
	if err != nil {
		return p.named(err)
	}
	want, err := s.learner.evaluate(ctx)
	if err != nil {
		return err
	}
	if err := agrees(p.name, lossOf(got.Loss), want.Loss); err != nil {
		return err
	}
	if got.Detail != "" {
		p.about.Name = "gpuplay on " + got.Detail + " of " + d.Name
	}
	task := network.Task{Shape: t.options.Shape(t.data), Loss: network.Loss(args.Loss), Batch: args.Batch, Double: args.DType == "float64", X: args.X, Y: args.Y, Weights: args.Weights}
	worst, err := task.CheckOf(ctx, s.pool, got.Gradient)
	p.check = checked(worst, s.learner.limit())
	return err
}

// named returns an error of an engine with its name in front, which it needs where several take
// part.
func (p *peer) named(err error) error {
	var e *fault.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	named := *e // with its code and remedies, which fault.From does not find around a wrapped error
	named.Message = p.name + ": " + e.Message
	return &named
}

// firstTurn is how many steps are made while nothing is known of their speed: the first ones take
// long.
const firstTurn = 4

// within returns how many steps fit into a time, by the steps so far.
func (p *peer) within(d time.Duration) int {
	if p.busy == 0 { // also where the clock is too coarse for the first steps
		return firstTurn
	}
	return max(1, int(float64(p.made)*d.Seconds()/p.busy.Seconds()))
}

// turnGrace is how long an engine may take to finish its turn after the training was stopped. What a
// driver or a framework never finishes must not keep the training from ending.
var turnGrace = 10 * time.Second

// steps makes steps with those rows.
func (p *peer) steps(ctx context.Context, rate float64, rows []int, batch int) (Learned, error) {
	// A turn that is under way when ctx ends may be finished, since ending it would cost the worker.
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	grace := turnGrace
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()
	got, _, err := worker.Do(working, p.link, worker.Steps, worker.StepsArgs{Rows: rows, Batch: batch, Rate: rate}, nil, 0)
	if err != nil && working.Err() != nil {
		err = fault.Errorf(fault.Timeout, "did not finish its turn within %s after the training was stopped", unit.Seconds(grace))
	}
	if err != nil {
		return Learned{}, p.named(err)
	}
	p.made += len(rows) / batch
	p.busy += got.Wall
	l := Learned{Steps: p.made, Loss: -1, Busy: p.busy.Nanoseconds(), Diverged: got.Loss == nil}
	if got.Loss != nil {
		l.Loss = *got.Loss
	}
	return l, nil
}
