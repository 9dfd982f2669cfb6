package playground

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/gpt"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/worker"
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

// fewSteps are the options of the tests.
func fewSteps(steps int) TextOptions {
	o := DefaultText()
	o.Size = gpt.Size{Layers: 1, Width: 32, Context: 16}
	o.Rate, o.Batch, o.Steps = 0.01, 4, steps
	return o
}

// A training tells what it begins with, its steps with their time, and what the network writes
// at the end; it goes on from there, and starts anew with another seed.
func TestText(t *testing.T) {
	k := TextKeeper{Threads: 1}
	defer k.Close()
	o := fewSteps(30)
	var last Learned
	for i, want := range []struct {
		begins, ends, weights int
		change                func(*TextOptions)
	}{
		{0, 30, 14848, func(*TextOptions) {}},
		{30, 60, 14848, func(o *TextOptions) { o.Continue, o.Steps = true, 30 }},
		{0, 30, 14848, func(o *TextOptions) { o.Seed = 2 }},
		{0, 30, 14592, func(o *TextOptions) { o.Context = 8 }},
		{0, 30, 14848, func(o *TextOptions) { o.Continue, o.Context = false, 16 }},
	} {
		want.change(&o)
		list := learn(t, &k, o)
		started, learned, written := payloads[TextStarted](list), payloads[Learned](list), payloads[Written](list)
		if len(started) != 1 || started[0].Steps != want.begins || !started[0].Check.OK || started[0].Weights != want.weights || started[0].Threads != 1 {
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

// What is exported is the last training, also while it goes on.
func TestTextExport(t *testing.T) {
	k := TextKeeper{Threads: 1}
	defer k.Close()
	if e, err := k.Export(); e != nil || err != nil {
		t.Errorf("before a training: %+v, %v", e, err)
	}
	training, err := k.New(fewSteps(30))
	if err != nil {
		t.Fatal(err)
	}
	stream := event.NewStream("test", nil)
	var seen []*Export
	stream.Subscribe(func(e event.Event) {
		if e.Type == TypeLearned {
			x, err := k.Export()
			if err != nil {
				t.Error(err)
			}
			seen = append(seen, x)
		}
	})
	if err := training.Run(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	stream.Close()
	if len(seen) == 0 {
		t.Fatal("nothing was learned")
	}
	last := seen[len(seen)-1]
	if header := binary.LittleEndian.Uint64(last.Safetensors); last.Steps != 30 || len(last.Safetensors) != 8+int(header)+4*14848 {
		t.Errorf("%d bytes of weights after %d steps", len(last.Safetensors), last.Steps)
	}
	if !strings.Contains(last.Torch, "import torch") || !strings.Contains(last.MLX, "import mlx") || !strings.Contains(last.MLX, "context, layers, heads, width = 16, 1, 1, 32") {
		t.Errorf("%s\n%s", last.Torch, last.MLX)
	}
}

func TestTextIsCanceled(t *testing.T) {
	k := TextKeeper{Threads: 1}
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
	k := TextKeeper{Threads: 1}
	defer k.Close()
	learn(t, &k, fewSteps(1))
	k.last.author.(typedAuthor[float32]).Network.Weights[0] = float32(math.NaN())
	o := fewSteps(1e6) // it ends after its first turn, long before that
	o.Continue = true
	list := learn(t, &k, o)
	learned := payloads[Learned](list)
	if last := learned[len(learned)-1]; !last.Diverged || last.Loss != -1 || last.Steps > 1e6 {
		t.Errorf("%+v", last)
	}
	if written := payloads[Written](list); len(written) > 0 {
		t.Errorf("wrote %+v", written)
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
		{func(o *TextOptions) { o.Layers = 9 }, "9 layers: must be between 1 and 6"},
		{func(o *TextOptions) { o.Width = 48 }, "a width of 48"},
		{func(o *TextOptions) { o.Width = 0 }, "a width of 0"},
		{func(o *TextOptions) { o.Context = 1 << 40 }, "a context of 1099511627776 characters"},
		{func(o *TextOptions) { o.Batch = 65 }, "a batch of 65 sequences: must be between 1 and 64"},
		{func(o *TextOptions) { o.Size, o.Batch = gpt.Size{Layers: 6, Width: 256, Context: 128}, 64 }, "4.5 times what is allowed"},
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
	k := TextKeeper{Threads: 1}
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

// PyTorch makes the same steps with the same sequences: its losses are ours, however they are
// launched. Where there is no CUDA, Python makes the steps that a graph would repeat, which shows
// that everything they need is in their tensors, and that recording leaves no trace.
func TestTextPeer(t *testing.T) {
	const onCUDA = `self.device.type != "cuda"`
	for _, tt := range []struct {
		want    string
		lanes   int // of PyTorch
		changes []string
	}{
		{"CUDA graphs", 2, []string{onCUDA, "False", "self.record(device)", "self.step(); self.replay = self.step", "table = 1024", "table = 3"}},
		{"without CUDA graphs: no luck", 1, []string{onCUDA, "False", "self.record(device)", "self.step(); raise RuntimeError('no luck')"}},
	} {
		t.Run(tt.want, func(t *testing.T) {
			start := torchWorker(t, python.GPT)
			k := TextKeeper{Threads: 1, Torch: func(ctx context.Context, threads int) (*worker.Client, error) {
				c, err := start(ctx, threads)
				long := slices.Index(c.Args, strconv.Itoa(len(c.Source)))
				c.Source = []byte(strings.NewReplacer(tt.changes...).Replace(string(c.Source)))
				c.Args[long] = strconv.Itoa(len(c.Source))
				return c, err
			}}
			defer k.Close()
			o := fewSteps(12)
			o.Torch, o.Device, o.DType, o.Eager = true, "cpu", "float64", true
			list := learn(t, &k, o)
			turns := map[string][]Learned{}
			for _, e := range list {
				if l, ok := e.Data.(Learned); ok {
					turns[e.Lane] = append(turns[e.Lane], l)
				}
			}
			ours := turns[Lane]
			if len(turns) != 1+tt.lanes || len(ours) < 2 {
				t.Fatalf("%d lanes, %d turns", len(turns), len(ours))
			}
			for lane, theirs := range turns {
				limit := 1e-9
				if tt.lanes == 2 && lane == "torch/cpu" {
					limit = 1e-6 // a graph's learning rate is a float32
				}
				if len(theirs) != len(ours) || theirs[len(theirs)-1].Steps != 12 {
					t.Fatalf("%s has %d turns, this program %d", lane, len(theirs), len(ours))
				}
				for i, l := range theirs {
					if l.Steps != ours[i].Steps || l.Busy <= 0 || !(math.Abs(l.Loss-ours[i].Loss) <= limit) {
						t.Errorf("%s after %d and %d steps losses of %v and %v", lane, ours[i].Steps, l.Steps, ours[i].Loss, l.Loss)
					}
				}
			}
			if about := of[event.Lane](list); !strings.Contains(about[0].Name, " cpu, "+tt.want) {
				t.Errorf("%+v", about)
			}
		})
	}
}

// An engine that computes another network, or makes other steps, is noticed before any of its
// figures is shown.
func TestWrongTextPeer(t *testing.T) {
	for _, change := range [][]string{
		{"x = x + self.proj", "x = x - self.proj"}, // each as long as what it replaces
		{"betas=(0.9, 0.99)", "betas=(0.0, 0.99)"},
	} {
		k := TextKeeper{Threads: 1, Torch: torchWorker(t, python.GPT, change...)}
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
