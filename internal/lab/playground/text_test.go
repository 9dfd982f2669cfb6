package playground

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/gpt"
	"github.com/gpuplay/gpuplay/internal/python"
)

// learn runs a training of a text and returns what it told.
func learn(t *testing.T, k *TextKeeper, o TextOptions) []event.Event {
	t.Helper()
	training, err := k.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return told(t, func(sink event.Sink) error { return training.Run(t.Context(), sink) })
}

// small is the shape of the networks of the tests.
func small(t *gpt.Text) gpt.Shape {
	return gpt.Shape{Vocabulary: len(t.Characters), Context: 16, Layers: 1, Heads: 2, Width: 16}
}

// fewSteps are the options of the tests.
func fewSteps(steps int) TextOptions {
	o := DefaultText()
	o.Rate, o.Batch, o.Steps = 0.01, 4, steps
	return o
}

// A training tells what it begins with, its steps with their time, and what the network writes
// at the end; it goes on from there, and starts anew with another seed.
func TestText(t *testing.T) {
	k := TextKeeper{shape: small, Threads: 1}
	defer k.Close()
	o := fewSteps(30)
	var last Learned
	for i, want := range []struct {
		begins, ends int
		change       func(*TextOptions)
	}{
		{0, 30, func(*TextOptions) {}},
		{30, 60, func(o *TextOptions) { o.Continue, o.Steps = true, 30 }},
		{0, 30, func(o *TextOptions) { o.Seed = 2 }},
		{0, 30, func(o *TextOptions) { o.Continue = false }},
	} {
		want.change(&o)
		list := learn(t, &k, o)
		started, learned, written := payloads[TextStarted](list), payloads[Learned](list), payloads[Written](list)
		if len(started) != 1 || started[0].Steps != want.begins || !started[0].Check.OK || started[0].Weights != 4352 || started[0].Threads != 1 {
			t.Errorf("training %d: %+v", i, started)
		}
		before := last
		last = learned[len(learned)-1]
		if last.Steps != want.ends || last.Busy <= 0 || last.Loss <= 0 || last.Diverged {
			t.Errorf("training %d: %+v", i, last)
		}
		if want.begins > 0 && (last.Loss >= before.Loss || last.Busy <= before.Busy) {
			t.Errorf("training %d goes on from %+v with %+v", i, before, last)
		}
		if n := len(written); n < 1 || written[n-1].Steps != want.ends || len(written[n-1].Text) != writeLong {
			t.Errorf("training %d wrote %+v", i, written)
		}
	}
}

func TestTextIsCanceled(t *testing.T) {
	k := TextKeeper{shape: small, Threads: 1}
	defer k.Close()
	training, err := k.New(fewSteps(0))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stream := event.NewStream("test", nil)
	steps := 0
	stream.Subscribe(func(e event.Event) {
		if l, ok := e.Data.(Learned); ok {
			steps = l.Steps
			cancel()
		}
	})
	if err := training.Run(ctx, stream); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	stream.Close()
	if steps == 0 || steps != k.last.author.made() {
		t.Errorf("told %d steps of %d", steps, k.last.author.made())
	}
}

// A loss that is no number ends a training, and is told as such.
func TestTextDiverges(t *testing.T) {
	k := TextKeeper{shape: small, Threads: 1}
	defer k.Close()
	learn(t, &k, fewSteps(1))
	k.last.author.(typedAuthor[float32]).Network.Weights[0] = float32(math.NaN())
	o := fewSteps(1e6) // it ends after its first turn, long before that
	o.Continue = true
	learned := payloads[Learned](learn(t, &k, o))
	if last := learned[len(learned)-1]; !last.Diverged || last.Loss != -1 || last.Steps > 1e6 {
		t.Errorf("%+v", last)
	}
}

func TestTextRefuses(t *testing.T) {
	for _, tt := range []struct {
		change func(*TextOptions)
		want   string
	}{
		{func(o *TextOptions) { o.Text = "short" }, "the text has 5 characters: it needs at least 1000"},
		{func(o *TextOptions) { o.Steps = -1 }, "-1 steps"},
		{func(o *TextOptions) { o.DType = "int8" }, `dtype "int8"`},
		{func(o *TextOptions) { o.Rate = 0 }, "a learning rate of 0"},
	} {
		o := DefaultText()
		tt.change(&o)
		if _, err := new(TextKeeper).New(o); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}

// A text can be learned without PyTorch, and not with it, where there is none.
func TestTextWithoutTorch(t *testing.T) {
	k := TextKeeper{shape: small, Threads: 1}
	defer k.Close()
	o := fewSteps(1)
	o.Torch = true
	training, err := k.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := training.Run(t.Context(), event.NewStream("test", nil)); !errors.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	learn(t, &k, fewSteps(1))
}

// PyTorch makes the same steps with the same sequences: its losses are ours.
func TestTextPeer(t *testing.T) {
	k := TextKeeper{shape: small, Threads: 1, Torch: torchWorker(t, python.GPT)}
	defer k.Close()
	o := fewSteps(12)
	o.Torch, o.Device, o.DType = true, "cpu", "float64"
	list := learn(t, &k, o)
	var ours []Learned
	for _, e := range list {
		if l, ok := e.Data.(Learned); ok && e.Lane == Lane {
			ours = append(ours, l)
		}
	}
	theirs := of[Learned](list)
	if len(theirs) < 2 || len(theirs) != len(ours) {
		t.Fatalf("%d and %d turns", len(ours), len(theirs))
	}
	for i, l := range theirs {
		if l.Steps != ours[i].Steps || l.Busy <= 0 || !(math.Abs(l.Loss-ours[i].Loss) <= 1e-9) {
			t.Errorf("after %d and %d steps losses of %v and %v", ours[i].Steps, l.Steps, ours[i].Loss, l.Loss)
		}
	}
	if last := theirs[len(theirs)-1]; last.Steps != 12 {
		t.Errorf("%d steps", last.Steps)
	}
}

// An engine that computes another network, or makes other steps, is noticed before any of its
// figures is shown.
func TestWrongTextPeer(t *testing.T) {
	for _, change := range [][]string{
		{"x = x + self.proj", "x = x - self.proj"}, // each as long as what it replaces
		{"betas=(0.9, 0.99)", "betas=(0.0, 0.99)"},
	} {
		k := TextKeeper{shape: small, Threads: 1, Torch: torchWorker(t, python.GPT, change...)}
		o := fewSteps(8)
		o.Torch, o.Device = true, "cpu"
		training, err := k.New(o)
		if err != nil {
			t.Fatal(err)
		}
		stream := event.NewStream("test", nil)
		shown := 0
		stream.Subscribe(func(e event.Event) {
			if e.Type == TypeLearned && e.Lane != Lane {
				shown++
			}
		})
		err = training.Run(t.Context(), stream)
		stream.Close()
		k.Close()
		if !errors.Is(err, fault.Wrong) || shown > 0 {
			t.Errorf("%s: %d turns were shown, error %v", slices.Concat(change), shown, err)
		}
	}
}
