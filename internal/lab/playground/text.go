package playground

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/gpt"
	"github.com/gpuplay/gpuplay/internal/network"
	"github.com/gpuplay/gpuplay/internal/unit"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// TextOptions say which text a GPT learns to write, and how.
type TextOptions struct {
	Text string `json:"text,omitempty"` // empty: gpt.Coriolanus
	gpt.Size
	gpt.Settings
	DType string `json:"dtype,omitempty"` // float32, which is the usual one, or float64
	// Torch has PyTorch make the same steps, in turns, on as many threads of the CPU or on a GPU.
	Torch bool `json:"torch,omitempty"`
	// Device is PyTorch's, by a word that hardware.Pick knows; empty: its GPU if it has one, else
	// the CPU.
	Device string `json:"device,omitempty"`
	// Eager has PyTorch on a CUDA device make the steps a second time, launched from Python kernel
	// by kernel, in turns with its CUDA graphs.
	Eager bool `json:"eager,omitempty"`
	Steps int  `json:"steps,omitempty"` // how many steps to make; 0: until it is stopped
	// Continue has the last training go on, if it was of the same options; only Steps may differ.
	Continue bool `json:"continue,omitempty"`
}

// DefaultText are the options of Coriolanus.
func DefaultText() TextOptions {
	return TextOptions{Size: gpt.Usual, Settings: gpt.Settings{Rate: 0.002, Batch: 16, Seed: 1}}
}

// A TextTraining is options that were checked.
type TextTraining struct {
	options TextOptions
	text    *gpt.Text
	shape   gpt.Shape
	keeper  *TextKeeper
}

// A TextKeeper keeps the last training of a text, so that it can go on and be exported. It runs one
// at a time.
type TextKeeper struct {
	// Torch makes the parent's end of a worker for such networks in PyTorch, with that many
	// threads; nil: there is none.
	Torch   func(ctx context.Context, threads int) (*worker.Client, error)
	Threads int           // of the CPU; 0: one for each core
	Time    time.Duration // of one run at most; 0: no limit

	mu   sync.Mutex
	last *textState
}

// A textState is a GPT in training.
type textState struct {
	options TextOptions
	text    *gpt.Text
	shape   gpt.Shape
	team    *gpt.Team
	author  author
	check   Check
	busy    time.Duration
	peers   []*peer // PyTorch with the same network, in one or two ways; none: it does not take part
	parted  bool    // PyTorch has not made all steps: the training cannot go on with it
}

func (s *textState) close() {
	for _, p := range s.peers {
		p.link.Close()
	}
}

// New checks options.
func (k *TextKeeper) New(o TextOptions) (*TextTraining, error) {
	if o.Steps < 0 || o.Steps > MaxSteps {
		return nil, fault.Errorf(fault.Invalid, "%d steps: 0 to %d", o.Steps, MaxSteps)
	}
	if d := cmp.Or(o.DType, "float32"); d != "float32" && d != "float64" {
		return nil, fault.Errorf(fault.Invalid, "dtype %q: float32 or float64", o.DType)
	}
	if err := o.Size.Check(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "%v", err)
	}
	raw := []byte(o.Text)
	if o.Text == "" {
		raw = gpt.Coriolanus
	}
	text, err := gpt.ReadText(raw)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "%v", err)
	}
	shape := o.Shape(text)
	if err := gpt.Check(text, shape, o.Settings); err != nil {
		return nil, fault.Errorf(fault.Invalid, "%v", err)
	}
	return &TextTraining{options: o, text: text, shape: shape, keeper: k}, nil
}

// Close ends the last training.
func (k *TextKeeper) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.end()
}

func (k *TextKeeper) end() {
	if k.last != nil {
		k.last.close()
		k.last = nil
	}
}

// part ends PyTorch's part in a training, whose steps it has not made. What this program has learned
// can still be exported.
func (k *TextKeeper) part(s *textState) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s.close()
	s.peers, s.parted = nil, true
}

// TextStarted tells of a training of a text that begins or goes on.
type TextStarted struct {
	Shape      gpt.Shape `json:"shape"`
	Weights    int       `json:"weights"`    // their number
	Characters int       `json:"characters"` // of the text
	Threads    int       `json:"threads"`
	Steps      int       `json:"steps"` // made before
	Check      Check     `json:"check"`
}

// Written is text that the network wrote.
type Written struct {
	Steps int    `json:"steps"`
	Text  string `json:"text"`
}

const (
	TypeText    event.Type = "text"    // TextStarted
	TypeWritten event.Type = "written" // Written
)

func (TextStarted) EventType() event.Type { return TypeText }
func (Written) EventType() event.Type     { return TypeWritten }

const (
	textSlice  = 400 * time.Millisecond // of steps, until they are told
	writeEvery = 3 * time.Second
	writeLong  = 240 // characters
)

// Run trains until the steps are made, the time is over or ctx ends, and tells of it.
func (t *TextTraining) Run(ctx context.Context, sink event.Sink) error {
	k := t.keeper
	k.mu.Lock()
	s, err := k.take(t)
	k.mu.Unlock()
	if err != nil {
		return err
	}
	began := s.author.made()
	sink.Emit("", TextStarted{t.shape, t.shape.Weights(), len(t.text.Tokens), s.team.Threads(), began, s.check})
	if !s.check.OK {
		return fault.Errorf(fault.Wrong, "the gradients are wrong: they differ from finite differences by %.0e of the largest element, where at most %.0e is rounding", s.check.Worst, s.check.Limit)
	}
	sink.Emit(Lane, event.Lane{Name: fmt.Sprintf("this program, %s", unit.Plural(s.team.Threads(), "thread")), Engine: "gocpu", Device: "CPU"})
	if t.options.Torch {
		if s.peers == nil {
			sink.Emit("", event.Note{Text: "PyTorch is starting"})
			if err := k.dial(ctx, t, s); err != nil {
				k.Close()
				return err
			}
		}
		for _, p := range s.peers {
			sink.Emit(p.lane, p.about)
		}
	}
	sink.Emit(Lane, event.Phase{Phase: "measuring"})
	begun, next := sink.Now(), sink.Now()+writeEvery
	write := func() {
		before := sink.Now()
		text := s.author.Write(ctx, writeLong, t.options.Seed+uint64(s.author.made()))
		if ctx.Err() != nil {
			return
		}
		sink.Emit(Lane, Written{s.author.made(), text})
		now := sink.Now()
		next = now + max(writeEvery, 10*(now-before)) // a large network takes seconds to write
	}
	diverged := false
	for ctx.Err() == nil && (k.Time == 0 || sink.Now() < begun+k.Time) {
		most := MaxSteps
		if t.options.Steps > 0 {
			most = began + t.options.Steps - s.author.made()
		}
		for _, p := range s.peers { // a turn must not keep viewers waiting
			most = min(most, p.within(textSlice))
		}
		k.mu.Lock()
		learned, starts := s.steps(ctx, most)
		k.mu.Unlock()
		sink.Emit(Lane, learned)
		for _, p := range s.peers { // their turns, with the same sequences
			if len(starts) == 0 {
				break
			}
			first := p.made == 0
			theirs, err := p.steps(ctx, t.options.Rate, starts, t.options.Batch)
			if err != nil {
				k.part(s)
				return err
			}
			if first {
				if err := agreeAfter(theirs, learned); err != nil {
					k.Close()
					return err
				}
			}
			sink.Emit(p.lane, theirs)
		}
		diverged = learned.Diverged
		if diverged || t.options.Steps > 0 && s.author.made() >= began+t.options.Steps {
			break
		}
		if sink.Now() > next {
			write()
		}
	}
	if !diverged { // a network without numbers writes nothing of its own
		write()
	}
	sink.Emit(Lane, event.Phase{Phase: "finished"})
	return ctx.Err()
}

// take returns the training that t continues, or a new one in its place, whose gradients it
// checks.
func (k *TextKeeper) take(t *TextTraining) (*textState, error) {
	if k.last != nil && t.options.Continue {
		now, last := t.options, k.last.options
		now.Steps, now.Continue, last.Steps, last.Continue = 0, false, 0, false
		if now == last && !k.last.parted {
			return k.last, nil
		}
	}
	k.end()
	team, err := gpt.NewTeam(k.Threads)
	if err != nil {
		return nil, err
	}
	s := &textState{options: t.options, text: t.text, shape: t.shape, team: team}
	if t.options.DType == "float64" {
		s.author, err = newAuthor[float64](team, t)
	} else {
		s.author, err = newAuthor[float32](team, t)
	}
	var worst float64
	if err == nil {
		worst, err = s.author.Check()
	}
	if err != nil {
		return nil, err
	}
	s.check = checked(worst, gpt.Tolerance)
	k.last = s
	return s, nil
}

// Export returns the weights of the last training, and programs with the same network; nil if there
// was none.
func (k *TextKeeper) Export() (*Export, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.last
	if s == nil {
		return nil, nil
	}
	var weights bytes.Buffer
	if err := s.author.write(&weights); err != nil {
		return nil, err
	}
	torch, err := gpt.Code("torch", s.shape, s.text)
	if err != nil {
		return nil, err
	}
	mlx, err := gpt.Code("mlx", s.shape, s.text)
	return &Export{Steps: s.author.made(), Safetensors: weights.Bytes(), Torch: torch, MLX: mlx}, err
}

// steps makes up to most steps, and evaluates what was learned. starts are the sequences of all of
// them. Steps end when ctx does, but what was made is told.
func (s *textState) steps(ctx context.Context, most int) (l Learned, starts []int) {
	for begun := time.Now(); most > 0 && ctx.Err() == nil && time.Since(begun) < textSlice; most-- {
		some := s.author.Starts()
		step := time.Now()
		s.author.StepOn(some)
		s.busy += time.Since(step)
		starts = append(starts, some...)
	}
	l = Learned{Steps: s.author.made(), Loss: s.author.Evaluate(), Busy: s.busy.Nanoseconds()}
	if math.IsNaN(l.Loss) || math.IsInf(l.Loss, 0) {
		l.Loss, l.Diverged = -1, true
	}
	return l, starts
}

// graphs is how a worker's detail begins if its steps are CUDA graphs.
const graphs = "CUDA graphs"

// dial has PyTorch make the network of a training that has made no step yet, and make it again for
// eager steps if they were asked for and its own are CUDA graphs.
func (k *TextKeeper) dial(ctx context.Context, t *TextTraining, s *textState) error {
	detail, err := k.join(ctx, t, s, false)
	if err == nil && t.options.Eager && strings.HasPrefix(detail, graphs) {
		_, err = k.join(ctx, t, s, true)
	}
	return err
}

// join adds a peer to a training. detail says how its steps are launched.
func (k *TextKeeper) join(ctx context.Context, t *TextTraining, s *textState, eager bool) (detail string, err error) {
	var client func(context.Context) (*worker.Client, error)
	if k.Torch != nil {
		client = func(ctx context.Context) (*worker.Client, error) { return k.Torch(ctx, s.team.Threads()) }
	}
	p, d, err := connect(ctx, torchEngine, client, t.options.Device)
	if err != nil {
		return "", err
	}
	s.peers = append(s.peers, p)
	tokens := make([]byte, 0, 2*len(t.text.Tokens))
	for _, token := range t.text.Tokens {
		tokens = binary.LittleEndian.AppendUint16(tokens, uint16(token))
	}
	got, _, err := worker.Do(ctx, p.link, worker.GPT, worker.GPTArgs{
		Device: d.ID, Vocabulary: t.shape.Vocabulary, Context: t.shape.Context, Layers: t.shape.Layers, Heads: t.shape.Heads, Width: t.shape.Width,
		Rate: t.options.Rate, DType: cmp.Or(t.options.DType, "float32"), Batch: t.options.Batch, Eager: eager,
		Tokens: tokens, Weights: s.author.weights(), Held: s.author.HeldOut(),
	}, nil, 0)
	if err != nil {
		return "", p.named(err)
	}
	d.Detail = got.Detail
	p.about.Name = d.Label()
	if eager {
		p.lane += "#eager"
	}
	return got.Detail, agrees(p.name, lossOf(got.Loss), s.author.Evaluate())
}

// sameAfter is how far apart the losses of two engines may be after the first steps with the same
// sequences, in nats: rounding alone stays far below it, and a wrong gradient or
// optimizer does not.
const sameAfter = 1e-3

// agreeAfter returns an error if PyTorch has not learned the same in its first turn.
func agreeAfter(theirs, ours Learned) error {
	if theirs.Diverged != ours.Diverged || math.Abs(theirs.Loss-ours.Loss) > sameAfter {
		return fault.Errorf(fault.Wrong, "after the same %s PyTorch's loss is %.6g, that of this program %.6g", unit.Plural(ours.Steps, "step"), theirs.Loss, ours.Loss)
	}
	return nil
}

// An author is a gpt.Trainer of one of the types.
type author interface {
	Starts() []int
	StepOn(starts []int) (loss float64)
	Evaluate() (loss float64)
	HeldOut() []int
	Check() (worst float64, err error)
	Write(ctx context.Context, characters int, seed uint64) string
	made() int
	weights() []byte
	write(w io.Writer) error
}

type typedAuthor[T network.Real] struct{ *gpt.Trainer[T] }

func newAuthor[T network.Real](team *gpt.Team, t *TextTraining) (author, error) {
	trainer, err := gpt.NewTrainer[T](team, t.text, t.shape, t.options.Settings)
	return typedAuthor[T]{trainer}, err
}

func (a typedAuthor[T]) made() int { return a.Steps }

func (a typedAuthor[T]) write(w io.Writer) error { return a.Network.WriteSafetensors(w) }

// weights returns them as little-endian float32.
func (a typedAuthor[T]) weights() []byte {
	b := make([]byte, 0, 4*len(a.Network.Weights))
	for _, w := range a.Network.Weights {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(w)))
	}
	return b
}
