package playground

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"math"
	"reflect"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/network"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// Limits of a training.
const (
	MaxSteps = 1_000_000
	MaxTime  = 2 * time.Minute // of one run; it can be continued
)

// A training is told of in slices: after each, its weights are told. Those of a large network
// are told less often.
const (
	slice      = 40 * time.Millisecond
	largeSlice = 200 * time.Millisecond
	large      = 3000 // weights
)

// TrainOptions say what to train and how.
type TrainOptions struct {
	Points
	network.Settings
	DType string `json:"dtype,omitempty"` // float32, which is the usual one, or float64
	// Torch has PyTorch make the same steps, in turns: on its first GPU if it has one, else on
	// one thread of the CPU.
	Torch bool `json:"torch,omitempty"`
	// CUDA has this program's kernel make them on the first NVIDIA GPU.
	CUDA bool `json:"cuda,omitempty"`
	// Browser has the page that starts the training make them through WebGPU.
	Browser bool `json:"browser,omitempty"`
	// Steps is how many steps to make; 0: until it is stopped.
	Steps int `json:"steps,omitempty"`
	// Pace is how many steps a second are made at most, so that one can follow them; 0: as
	// many as possible. The speed that is told is that of the steps alone.
	Pace int `json:"pace,omitempty"`
	// Continue has the last training go on, if it was of the same options: only the learning
	// rate, the steps, the pace and Look may differ.
	Continue bool `json:"continue,omitempty"`
	// Look makes no step: it tells the network and its data as they are before the first one.
	Look bool `json:"look,omitempty"`
}

// same reports whether a training of these options can go on as one of o.
func (t TrainOptions) same(o TrainOptions) bool {
	o.Rate, o.Steps, o.Pace, o.Continue, o.Look = t.Rate, t.Steps, t.Pace, t.Continue, t.Look
	return reflect.DeepEqual(t, o)
}

// peers reports whether other engines take part.
func (t TrainOptions) peers() bool { return t.Torch || t.CUDA || t.Browser }

// A Change is what can change while a training runs; what is nil stays.
type Change struct {
	Rate *float64 `json:"rate"`
	Pace *int     `json:"pace"`
	// Turn is the turn that the page answers: it has made the steps, or it Leaves.
	Turn   *int  `json:"turn"`
	Leaves bool  `json:"leaves"`
	Took   int64 `json:"took_ns"` // by the page's clock; it only decides how long the next turn is
}

// A Training is options that were checked.
type Training struct {
	options TrainOptions
	data    *network.Data
	keeper  *Keeper

	mu      sync.Mutex
	rate    float64
	pace    int
	awaited awaited
}

// A Keeper keeps the last training, so that it can go on and be exported.
type Keeper struct {
	// Torch and CUDA make the parent's ends of workers for networks, in PyTorch and on an NVIDIA
	// GPU; nil: there is none.
	Torch, CUDA func(ctx context.Context) (*worker.Client, error)

	mu    sync.Mutex
	last  *state
	turns int // of pages, so far
}

// A state is a network in training.
type state struct {
	options TrainOptions
	data    *network.Data
	drawn   Drawn
	learner learner
	check   Check         // of its gradients before the first step
	busy    time.Duration // spent on steps
	pool    *gemm.Pool
	peers   []*peer // other engines with the same network
	joined  bool    // whether all of them that were asked for take part
	guest   *guest  // the page, if it was asked to take part
}

func (s *state) close() {
	s.pool.Close()
	for _, p := range s.peers {
		p.link.Close()
	}
}

// New checks options.
func (k *Keeper) New(o TrainOptions) (*Training, error) {
	if o.Steps < 0 || o.Steps > MaxSteps {
		return nil, fault.Errorf(fault.Invalid, "%d steps: 0 to %d", o.Steps, MaxSteps)
	}
	if d := cmp.Or(o.DType, "float32"); d != "float32" && d != "float64" {
		return nil, fault.Errorf(fault.Invalid, "dtype %q: float32 or float64", o.DType)
	}
	if o.Browser && o.DType == "float64" {
		return nil, fault.Errorf(fault.Invalid, "WebGPU has no float64: train in float32, or without this browser")
	}
	d, err := o.read()
	if err != nil {
		return nil, err
	}
	t := &Training{options: o, data: d, keeper: k}
	if err := t.Change(Change{Rate: &o.Rate, Pace: &o.Pace}); err != nil {
		return nil, err
	}
	if err := cmp.Or(o.Settings.Check(), o.Shape(d).Check()); err != nil {
		return nil, fault.Errorf(fault.Invalid, "%v", err)
	}
	return t, nil
}

// Change changes a training, also while it runs.
func (t *Training) Change(c Change) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.Rate != nil {
		s := t.options.Settings
		s.Rate = *c.Rate
		if err := s.Check(); err != nil {
			return fault.Errorf(fault.Invalid, "%v", err)
		}
		t.rate = *c.Rate
	}
	if c.Pace != nil {
		if *c.Pace < 0 || *c.Pace > MaxSteps {
			return fault.Errorf(fault.Invalid, "a pace of %d steps a second: 0 to %d", *c.Pace, MaxSteps)
		}
		t.pace = *c.Pace
	}
	if c.Turn != nil {
		return t.answered(*c.Turn, answer{c.Leaves, time.Duration(c.Took)})
	}
	return nil
}

// Started tells of a training that begins or goes on.
type Started struct {
	Drawn
	Steps     int   `json:"steps"` // made before
	Check     Check `json:"check"`
	Continued bool  `json:"continued"`
}

// Learned tells how far a training is.
type Learned struct {
	Steps   int     `json:"steps"`
	Loss    float64 `json:"loss"`              // over all points to learn from; -1 when it is no number
	Right   float64 `json:"right"`             // share of these whose class is right
	Held    float64 `json:"held,omitempty"`    // the same of those that are held out
	Busy    int64   `json:"busy_ns"`           // time that all steps took
	Weights []byte  `json:"weights,omitempty"` // float32; of this program's own engine
	// Diverged says that the loss is no number: the training ends.
	Diverged bool `json:"diverged,omitempty"`
}

func (Started) EventType() event.Type { return TypeNetwork }
func (Learned) EventType() event.Type { return TypeLearned }

// Run trains until the steps are made, the time is over or ctx ends, and tells of it.
func (t *Training) Run(ctx context.Context, sink event.Sink) error {
	k := t.keeper
	k.mu.Lock()
	s, err := k.take(ctx, t)
	k.mu.Unlock()
	if err != nil {
		return err
	}
	began := s.learner.made()
	sink.Emit("", Started{s.drawn, began, s.check, t.options.Continue && began > 0})
	sink.Emit(Lane, event.Lane{Name: "this program on one thread of the CPU", Engine: "gocpu", Device: "CPU"})
	if !t.options.Look {
		if err := k.join(ctx, t, s, sink); err != nil {
			return err
		}
	}
	sink.Emit(Lane, event.Phase{Phase: "measuring"})
	every := slice
	if s.drawn.Weights > large {
		every = largeSlice
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for end := sink.Now() + MaxTime; sink.Now() < end && ctx.Err() == nil; {
		t.mu.Lock()
		rate, pace := t.rate, t.pace
		t.mu.Unlock()
		most := MaxSteps
		if pace > 0 {
			most = max(1, int(float64(pace)*every.Seconds()))
		}
		if t.options.Steps > 0 {
			most = min(most, began+t.options.Steps-s.learner.made())
		}
		for _, p := range s.peers { // a turn must not keep viewers waiting
			most = min(most, p.within(100*time.Millisecond))
		}
		if s.guest.here() {
			most = min(most, s.guest.most)
		}
		if t.options.Look {
			most = 0
		}
		k.mu.Lock()
		// A slice is finished and told even if ctx ends in it: what is told is what was made.
		learned, rows, err := s.steps(context.WithoutCancel(ctx), rate, most, every*4/5)
		k.mu.Unlock()
		if err != nil {
			return err
		}
		sink.Emit(Lane, learned)
		for _, p := range s.peers { // their turns, with the same rows
			if len(rows) == 0 {
				break
			}
			learned, err := p.steps(ctx, rate, rows, min(s.options.Batch, s.data.Rows()))
			if err != nil {
				k.part(s)
				return err
			}
			sink.Emit(p.lane, learned)
		}
		if s.guest.here() && len(rows) > 0 {
			t.turn(ctx, sink, s, rate, rows, min(s.options.Batch, s.data.Rows()))
		}
		if learned.Diverged || t.options.Look || t.options.Steps > 0 && s.learner.made() >= began+t.options.Steps {
			break
		}
		if pace > 0 {
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}
	sink.Emit(Lane, event.Phase{Phase: "finished"})
	return ctx.Err()
}

// take returns the training that t continues, or a new one in its place, whose gradients it
// checks. Those of a network that has learned are so small that rounding would look like an error.
func (k *Keeper) take(ctx context.Context, t *Training) (*state, error) {
	if t.options.Continue && k.last != nil && k.last.options.same(t.options) && k.last.joined == t.options.peers() {
		k.last.options.Rate = t.options.Rate
		return k.last, nil
	}
	pool, err := newPool()
	if err != nil {
		return nil, err
	}
	s := &state{options: t.options, data: t.data, drawn: drawn(t.options.Shape(t.data), t.data), pool: pool}
	if t.options.DType == "float64" {
		s.learner, err = newLearner[float64](pool, t)
	} else {
		s.learner, err = newLearner[float32](pool, t)
	}
	var worst float64
	if err == nil {
		worst, err = s.learner.check(ctx)
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	s.check = checked(worst, s.learner.limit())
	if k.last != nil {
		k.last.close()
	}
	k.last = s
	return s, nil
}

// steps makes up to most steps in up to that time, and then looks at what was learned. rows are
// those of all steps, for peers to make the same.
func (s *state) steps(ctx context.Context, rate float64, most int, within time.Duration) (l Learned, rows []int, err error) {
	s.learner.setRate(rate)
	begun := time.Now()
	for made := 0; made < most; made++ {
		if made%16 == 0 && time.Since(begun) > within {
			break
		}
		some := s.learner.rows()
		stepping := time.Now() // other engines receive the rows, so that choosing them is not timed
		if err := s.learner.step(ctx, some); err != nil {
			return l, nil, err
		}
		s.busy += time.Since(stepping)
		if len(s.peers) > 0 || s.guest.here() {
			rows = append(rows, some...)
		}
	}
	score, err := s.learner.evaluate(ctx)
	if err != nil {
		return l, nil, err
	}
	l = Learned{
		Steps: s.learner.made(), Loss: score.Loss, Right: score.Right, Held: score.Held, Busy: s.busy.Nanoseconds(),
		Weights: single(s.learner.weights()),
	}
	if math.IsNaN(score.Loss) || math.IsInf(score.Loss, 0) {
		l.Loss, l.Diverged = -1, true
	}
	return l, rows, nil
}

// An Export is what can be taken from a training.
type Export struct {
	Steps       int    `json:"steps"`
	Safetensors []byte `json:"safetensors"`
	Torch       string `json:"torch"`
	MLX         string `json:"mlx"`
}

// Export returns the weights of the last training, and programs that train the same network;
// nil if there was none.
func (k *Keeper) Export() (*Export, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last == nil {
		return nil, nil
	}
	s := k.last
	var weights bytes.Buffer
	if err := s.learner.write(&weights); err != nil {
		return nil, err
	}
	e := &Export{Steps: s.learner.made(), Safetensors: weights.Bytes()}
	steps := max(e.Steps, 1000)
	var err error
	if e.Torch, err = network.Code("torch", s.options.Settings, s.data, steps); err != nil {
		return nil, err
	}
	e.MLX, err = network.Code("mlx", s.options.Settings, s.data, steps)
	return e, err
}

// A learner is a network.Trainer of one of the types.
type learner interface {
	rows() []int
	step(ctx context.Context, rows []int) error
	evaluate(ctx context.Context) (network.Score, error)
	check(ctx context.Context) (worst float64, err error)
	limit() float64
	setRate(rate float64)
	made() int
	weights() []float64
	write(w io.Writer) error
}

type typed[T network.Real] struct{ t *network.Trainer[T] }

func newLearner[T network.Real](pool *gemm.Pool, t *Training) (learner, error) {
	trainer, err := network.NewTrainer[T](pool, t.data, t.options.Settings)
	return typed[T]{trainer}, err
}

func (l typed[T]) rows() []int                                         { return l.t.Rows() }
func (l typed[T]) evaluate(ctx context.Context) (network.Score, error) { return l.t.Evaluate(ctx) }
func (l typed[T]) check(ctx context.Context) (float64, error)          { return l.t.Check(ctx) }
func (l typed[T]) limit() float64                                      { return network.Tolerance[T]() }
func (l typed[T]) setRate(rate float64)                                { l.t.Optimizer.Rate = T(rate) }
func (l typed[T]) made() int                                           { return l.t.Steps }
func (l typed[T]) write(w io.Writer) error                             { return l.t.Network.WriteSafetensors(w) }

func (l typed[T]) step(ctx context.Context, rows []int) error {
	_, err := l.t.StepOn(ctx, rows)
	return err
}

func (l typed[T]) weights() []float64 {
	w := make([]float64, len(l.t.Network.Weights))
	for i, x := range l.t.Network.Weights {
		w[i] = float64(x)
	}
	return w
}
