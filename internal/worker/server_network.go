package worker

import (
	"context"
	"math"

	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/network"
)

// A Networker is a bench.Engine that also trains small networks.
type Networker interface {
	// Network prepares the training of a network on a device.
	Network(ctx context.Context, d hardware.Device, t network.Task) (network.Stepper, error)
}

// netTask is the network of a server.
type netTask struct {
	network.Task
	stepper network.Stepper
	pool    *gemm.Pool // computes the loss
}

// task returns what arguments say.
func (a NetworkArgs) task() (network.Task, error) {
	t := network.Task{
		Shape: network.Shape{Inputs: a.Inputs, Hidden: a.Hidden, Outputs: a.Outputs, Activation: network.Activation(a.Activation)},
		Loss:  network.Loss(a.Loss), Rule: network.Rule(a.Optimizer), Batch: a.Batch, Double: a.DType == "float64", X: a.X, Y: a.Y, Weights: a.Weights,
	}
	if !t.Double && a.DType != "float32" {
		return t, invalid("dtype %q: float32 or float64", a.DType)
	}
	if len(a.U)+len(a.V) > 0 {
		return t, invalid("this worker computes no losses along directions")
	}
	if err := t.Check(); err != nil {
		return t, invalid("%v", err)
	}
	return t, nil
}

func (s *server) network(ctx context.Context, m message) (n Networked, err error) {
	args, err := Network.arguments(m.Args)
	if err != nil {
		return n, err
	}
	e, ok := s.engine.(Networker)
	if !ok {
		return n, invalid("%s has no operation %s", s.engine.Name(), Network.name)
	}
	t, err := args.task()
	if err != nil {
		return n, err
	}
	for _, d := range s.devices {
		if d.ID != args.Device {
			continue
		}
		start := func(t network.Task) (network.Stepper, error) { return e.Network(ctx, d, t) }
		if n.Gradient, err = t.Gradient(ctx, start); err != nil {
			return n, err
		}
		if err := s.netClose(); err != nil {
			return n, err
		}
		// Without a thread: one would be pinned to the CPU of the one that trains in the parent.
		pool, err := gemm.NewInline(gemm.ISAs()[0])
		if err != nil {
			return n, err
		}
		stepper, err := start(t)
		if err != nil {
			return n, err
		}
		s.net = &netTask{t, stepper, pool}
		n.Detail = stepper.Place()
		n.Loss, err = s.net.loss(ctx)
		return n, err
	}
	return n, invalid("%s has no device %q", s.engine.Name(), args.Device)
}

// netClose frees the network that there was.
func (s *server) netClose() error {
	if s.net == nil {
		return nil
	}
	err := s.net.stepper.Close()
	s.net = nil
	return err
}

func (s *server) steps(ctx context.Context, m message) (r Stepped, err error) {
	args, err := Steps.arguments(m.Args)
	switch {
	case err != nil:
		return r, err
	case s.net == nil:
		return r, invalid("%s without a network", Steps.name)
	case args.Batch != s.net.Batch:
		return r, invalid("steps of %d rows: the network was prepared for %d", args.Batch, s.net.Batch)
	}
	if r.Wall, err = s.net.stepper.Steps(ctx, args.Rows, args.Rate); err != nil {
		return r, err
	}
	r.Loss, err = s.net.loss(ctx)
	return r, err
}

// loss returns the loss of all rows with the weights that the engine has now; nil when it is no
// number.
func (n *netTask) loss(ctx context.Context) (*float64, error) {
	w, err := n.stepper.Weights(ctx)
	if err != nil {
		return nil, err
	}
	loss, err := n.LossAt(ctx, n.pool, w)
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return nil, err
	}
	return &loss, err
}
