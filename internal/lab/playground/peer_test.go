package playground

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/network"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// torch returns what makes workers of a real PyTorch for small networks: see torchWorker.
func torch(t *testing.T, changes ...string) func(context.Context) (*worker.Client, error) {
	start := torchWorker(t, python.Network, changes...)
	return func(ctx context.Context) (*worker.Client, error) { return start(ctx, 1) }
}

// torchWorker returns what makes workers of a real PyTorch, with changes of their program: what
// is replaced, and by what.
func torchWorker(t *testing.T, name string, changes ...string) func(context.Context, int) (*worker.Client, error) {
	path, err := filepath.Abs("../../../.venv-torch/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		enginetest.Require(t, "torch", "no PyTorch in .venv-torch")
	}
	return func(_ context.Context, threads int) (*worker.Client, error) {
		args, source, err := python.Worker(path, python.Isolated, name)
		source = []byte(strings.NewReplacer(changes...).Replace(string(source)))
		return &worker.Client{Engine: name, Path: path, Args: args, Source: source, Env: os.Environ(), Hello: worker.Hello{Threads: threads}}, err
	}
}

// of returns the payloads of a lane of PyTorch.
func of[T any](list []event.Event) (data []T) {
	for _, e := range list {
		if d, ok := e.Data.(T); ok && e.Lane != Lane && e.Lane != "" {
			data = append(data, d)
		}
	}
	return data
}

// PyTorch makes the same steps with the same rows: its losses are ours, also when a training
// goes on and the learning rate changes, and when rows are held out.
func TestPeer(t *testing.T) {
	for _, set := range []string{options.Set, network.Digits} {
		t.Run(set, func(t *testing.T) {
			k := Keeper{Torch: torch(t)}
			defer func() { k.last.close() }()
			for i := range 2 {
				o := options
				o.Set, o.Torch, o.Continue, o.Steps, o.DType = set, true, i == 1, 20, "float64"
				o.Rate *= float64(i + 1)
				list := train(t, &k, o)
				var ours []Learned
				for _, e := range list {
					if l, ok := e.Data.(Learned); ok && e.Lane == Lane && l.Steps > 0 {
						ours = append(ours, l)
					}
				}
				theirs := of[Learned](list)
				if len(theirs) == 0 || len(theirs) != len(ours) {
					t.Fatalf("%d and %d turns", len(ours), len(theirs))
				}
				for i, l := range theirs {
					if l.Steps != ours[i].Steps || l.Busy <= 0 || math.Abs(l.Loss-ours[i].Loss) > 1e-9 {
						t.Errorf("after %d and %d steps losses of %v and %v", ours[i].Steps, l.Steps, ours[i].Loss, l.Loss)
					}
				}
				if last := theirs[len(theirs)-1]; last.Steps != 20*(i+1) {
					t.Errorf("%d steps", last.Steps)
				}
			}
		})
	}
}

// An engine whose gradients are wrong says so and makes no step; this program goes on alone.
func TestPeerWithWrongGradients(t *testing.T) {
	for change, ok := range map[string]bool{"p.grad.flatten() for": true, "p.grad.flatten() * 1.001 for": false} {
		k := Keeper{Torch: torch(t, "p.grad.flatten() for", change)}
		o := options
		o.Torch, o.Steps = true, 10
		list := train(t, &k, o)
		k.last.close()
		checks, theirs := of[Check](list), of[Learned](list)
		if len(checks) != 1 || checks[0].OK != ok || (len(theirs) > 0) != ok {
			t.Errorf("with %q: checks %v, %d turns", change, checks, len(theirs))
		}
		if last := payloads[Learned](list); last[len(last)-1].Steps != 10 {
			t.Errorf("with %q the training ended early", change)
		}
	}
}

// PyTorch computes the same map.
func TestSurfaceInTorch(t *testing.T) {
	s, err := NewSurface(SurfaceOptions{Points: Points{Set: "moons"}, Directions: network.Minima, Seed: 22, Torch: true}, torch(t))
	if err != nil {
		t.Fatal(err)
	}
	list := told(t, func(sink event.Sink) error { return s.Run(t.Context(), sink) })
	ours := map[int][]float32{}
	for _, tile := range payloads[Tile](list)[:columns*rows] {
		ours[tile.Index] = floats(tile.Losses)
	}
	theirs := of[Tile](list)
	if len(theirs) != columns*rows {
		t.Fatalf("%d tiles", len(theirs))
	}
	for _, tile := range theirs {
		for i, l := range floats(tile.Losses) {
			if want := ours[tile.Index][i]; math.Abs(float64(l-want)) > 1e-4*float64(want) {
				t.Fatalf("tile %d: %v at %d, ours is %v", tile.Index, l, i, want)
			}
		}
	}
}

// A map of PyTorch's is not shown if its first tile is not this program's.
func TestWrongSurfaceInTorch(t *testing.T) {
	s, err := NewSurface(SurfaceOptions{Points: Points{Set: "moons"}, Directions: network.Minima, Seed: 22, Torch: true},
		torch(t, "found = torch.nan_to_num(found,", "found = torch.nan_to_num(found * 1.001,"))
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	stream := event.NewStream("test", nil)
	stream.Subscribe(func(e event.Event) {
		if e.Type == TypeTile && e.Lane != Lane {
			shown++
		}
	})
	err = s.Run(t.Context(), stream)
	stream.Close()
	if !errors.Is(err, fault.Wrong) || shown > 0 {
		t.Errorf("%d tiles, error %v", shown, err)
	}
}

func TestAgrees(t *testing.T) {
	for _, tt := range []struct {
		theirs, ours float64
		want         bool
	}{
		{0.5, 0.5, true},
		{0.50005, 0.5, true},
		{0.502, 0.5, false},
		{100.005, 100, true},
		{100.2, 100, false},
		{math.NaN(), 0.5, false},
		{0.5, math.NaN(), false},
	} {
		if err := agrees("PyTorch", tt.theirs, tt.ours); (err == nil) != tt.want {
			t.Errorf("%v and %v: %v", tt.theirs, tt.ours, err)
		}
	}
}
