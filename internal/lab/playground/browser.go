package playground

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/network"
)

// Browser is the lane of the page that started a training and makes the same steps through
// WebGPU. What it measures stays there: this program cannot know whether it is true.
const Browser = "webgpu/browser"

// A Join gives the page what it needs to take part: it makes the network, checks its gradients
// and answers with the number of the turn.
type Join struct {
	Turn    int              `json:"turn"`
	Batch   int              `json:"batch"`   // rows of a step
	X       []byte           `json:"x"`       // float32, rows to learn from × inputs
	Y       []byte           `json:"y"`       // float32
	Weights []byte           `json:"weights"` // float32, before the first step
	Shaders []network.Shader `json:"shaders"` // one in the workgroup's memory, and one for any size
}

// A Turn has the page make the steps that this program has just made, and answer then.
type Turn struct {
	Turn  int     `json:"turn"`
	Steps int     `json:"steps"` // made before
	Rate  float64 `json:"rate"`
	Rows  []byte  `json:"rows"` // uint16, which holds network.MaxRows, of one step after the other
}

// Left says that the page no longer takes part. The training goes on without it.
type Left struct {
	Why string `json:"why"`
}

func (Join) EventType() event.Type { return TypeJoin }
func (Turn) EventType() event.Type { return TypeTurn }
func (Left) EventType() event.Type { return TypeLeft }

const (
	// patience is how long the page may take to answer. Compiling the network's program is
	// what takes longest.
	patience = 15 * time.Second
	// pageTurn is about how long a turn of the page may take.
	pageTurn = 100 * time.Millisecond
)

// A guest is the page that takes part.
type guest struct {
	most int  // steps of its next turn
	left bool // it takes part no longer
}

func (g *guest) here() bool { return g != nil && !g.left }

// next sets how many steps the page makes in its next turn, after some that it has made: by its
// own clock, since the way there and back can take longer than the steps.
func (g *guest) next(steps int, took, roundTrip time.Duration) {
	if took <= 0 || took > roundTrip {
		took = roundTrip
	}
	g.most = max(1, min(4*steps, int(float64(steps)*float64(pageTurn)/float64(took))))
}

// An answer is that of the page to a turn.
type answer struct {
	leaves bool
	took   time.Duration
}

// awaited is the turn whose answer is awaited.
type awaited struct {
	turn   int
	answer chan answer
}

// invite has the page join a training that has made no step yet.
func (t *Training) invite(ctx context.Context, sink event.Sink, s *state) (*guest, error) {
	g, n := &guest{most: firstTurn}, t.data.Rows()
	batch, shape := min(t.options.Batch, n), t.options.Shape(t.data)
	kind, _ := t.data.Loss()
	var shaders []network.Shader
	for _, shared := range []bool{true, false} {
		shaders = append(shaders, network.NewShader(shape, kind, t.options.Optimizer, batch, shared))
	}
	t.ask(ctx, sink, g, func(turn int) event.Data {
		return Join{turn, batch, single(t.data.X[:n*t.data.Inputs]), single(t.data.Y[:n]), single(s.learner.weights()), shaders}
	})
	return g, ctx.Err()
}

// turn has the page make the steps with those rows, batch of them each, which this program has
// made last.
func (t *Training) turn(ctx context.Context, sink event.Sink, s *state, rate float64, rows []int, batch int) {
	steps, begun := len(rows)/batch, time.Now()
	took := t.ask(ctx, sink, s.guest, func(turn int) event.Data {
		b := make([]byte, 0, 2*len(rows))
		for _, row := range rows {
			b = binary.LittleEndian.AppendUint16(b, uint16(row))
		}
		return Turn{turn, s.learner.made() - steps, rate, b}
	})
	if ctx.Err() == nil { // else the time is that until the training was stopped
		s.guest.next(steps, took, time.Since(begun))
	}
}

// ask tells the page what to do, waits for its answer, and returns how long it took by the
// page's clock. If ctx ends, the page does it nevertheless.
func (t *Training) ask(ctx context.Context, sink event.Sink, g *guest, what func(turn int) event.Data) (took time.Duration) {
	t.keeper.mu.Lock()
	t.keeper.turns++
	wait := awaited{t.keeper.turns, make(chan answer, 1)}
	t.keeper.mu.Unlock()
	t.await(wait)
	defer t.await(awaited{})
	sink.Emit(Browser, what(wait.turn))
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-ctx.Done():
	case a := <-wait.answer:
		took, g.left = a.took, a.leaves
		if g.left {
			sink.Emit(Browser, Left{"The page left."})
		}
	case <-late.C:
		g.left = true
		sink.Emit(Browser, Left{fmt.Sprintf("The page did not answer within %.0f s.", patience.Seconds())})
	}
	return took
}

func (t *Training) await(a awaited) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.awaited = a
}

// answered takes the page's answer to a turn; the caller holds mu.
func (t *Training) answered(turn int, a answer) error {
	if t.awaited.answer == nil || t.awaited.turn != turn {
		return fault.Errorf(fault.Invalid, "an answer to turn %d, which is not awaited", turn)
	}
	t.awaited.answer <- a
	t.awaited = awaited{}
	return nil
}
