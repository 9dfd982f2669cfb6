package playground

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/network"
)

// told runs f and returns what it told.
func told(t *testing.T, f func(event.Sink) error) []event.Event {
	t.Helper()
	var list []event.Event
	s := event.NewStream("test", nil)
	s.Subscribe(func(e event.Event) { list = append(list, e) })
	if err := f(s); err != nil {
		t.Fatal(err)
	}
	s.Close()
	return list
}

func payloads[T any](list []event.Event) (of []T) {
	for _, e := range list {
		if d, ok := e.Data.(T); ok {
			of = append(of, d)
		}
	}
	return of
}

func floats(b []byte) []float32 {
	x := make([]float32, len(b)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}

// Every tile is told once, after the plane; neighbours agree on their edge, and the losses are
// those of the network.
func TestSurface(t *testing.T) {
	s, err := NewSurface(SurfaceOptions{Points: Points{Set: "moons"}, Directions: network.Minima, Seed: 22}, nil)
	if err != nil {
		t.Fatal(err)
	}
	list := told(t, func(sink event.Sink) error { return s.Run(t.Context(), sink) })
	planes, tiles := payloads[Plane](list), payloads[Tile](list)
	if len(planes) != 1 || len(tiles) != columns*rows {
		t.Fatalf("%d planes, %d tiles", len(planes), len(tiles))
	}
	p := planes[0]
	if !p.Check.OK || p.Check.Worst <= 0 || !(p.Low < p.LossAt && p.LossAt < p.High) {
		t.Errorf("%+v", p)
	}
	grid := map[int][]float32{}
	for _, tile := range tiles {
		if grid[tile.Index] != nil || tile.Took <= 0 {
			t.Errorf("tile %d once more, or in %d ns", tile.Index, tile.Took)
		}
		if grid[tile.Index] = floats(tile.Losses); len(grid[tile.Index]) != p.Points*p.Points {
			t.Fatalf("tile %d has %d losses", tile.Index, len(grid[tile.Index]))
		}
	}
	for i := range columns*rows - 1 {
		if i%columns == columns-1 {
			continue
		}
		for y := range p.Points {
			if a, b := grid[i][y*p.Points+p.Points-1], grid[i+1][y*p.Points]; math.Abs(float64(a-b)) > 1e-4*float64(a) {
				t.Fatalf("tiles %d and %d: %v and %v on their edge", i, i+1, a, b)
			}
		}
	}
	if right := p.Left + p.Step*float64(p.Columns*(p.Points-1)); math.Abs(right+p.Left) > 1e-9 {
		t.Errorf("the map goes from %v to %v", p.Left, right)
	}
}

func TestSurfaceIsCanceled(t *testing.T) {
	s, err := NewSurface(SurfaceOptions{Points: Points{Set: "moons"}, Directions: network.Random, Seed: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stream := event.NewStream("test", nil)
	stream.Subscribe(func(e event.Event) {
		if e.Type == TypeTile {
			cancel()
		}
	})
	if err := s.Run(ctx, stream); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

var options = TrainOptions{Points: Points{Set: "circle"}, Settings: network.Settings{Hidden: []int{8}, Activation: network.Tanh, Optimizer: network.Adam, Rate: 0.02, Batch: 32, Seed: 1}, Steps: 40}

func train(t *testing.T, k *Keeper, o TrainOptions) []event.Event {
	t.Helper()
	training, err := k.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return told(t, func(sink event.Sink) error { return training.Run(t.Context(), sink) })
}

// A training makes its steps, tells its weights, and goes on where it stopped: in two parts it
// comes to the same weights as in one.
func TestTraining(t *testing.T) {
	for _, dtype := range []string{"", "float64"} {
		var k, whole Keeper
		o := options
		o.DType = dtype
		list := train(t, &k, o)
		started, learned := payloads[Started](list), payloads[Learned](list)
		if len(started) != 1 || !started[0].Check.OK || started[0].Continued || started[0].Steps != 0 {
			t.Fatalf("%+v", started)
		}
		if last := learned[len(learned)-1]; last.Steps != 40 || last.Busy <= 0 || len(last.Weights) != 4*started[0].Weights {
			t.Errorf("%+v", last)
		}
		o.Continue, o.Pace = true, 1000
		list = train(t, &k, o)
		if s := payloads[Started](list)[0]; !s.Continued || s.Steps != 40 || s.Check != started[0].Check {
			t.Errorf("%+v", s)
		}
		learned = payloads[Learned](list)
		half := learned[len(learned)-1]
		o.Continue, o.Steps = true, 80 // there is nothing to continue
		learned = payloads[Learned](train(t, &whole, o))
		if one := learned[len(learned)-1]; one.Steps != half.Steps || one.Loss != half.Loss || !slices.Equal(one.Weights, half.Weights) {
			t.Errorf("after %d and %d steps losses of %v and %v", half.Steps, one.Steps, half.Loss, one.Loss)
		}
		o.Hidden, o.Look = []int{9}, true
		list = train(t, &k, o)
		if s := payloads[Started](list)[0]; s.Continued || s.Steps != 0 {
			t.Errorf("another network goes on: %+v", s)
		}
		if l := payloads[Learned](list); len(l) != 1 || l[0].Steps != 0 {
			t.Errorf("looking made steps: %+v", l)
		}
	}
}

// A training without an end ends when it is stopped, and takes another learning rate on the way.
func TestTrainingChanges(t *testing.T) {
	var k Keeper
	o := options
	o.Steps, o.Pace = 0, 100
	training, err := k.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	huge, fast := 1e4, 0
	s := event.NewStream("test", nil)
	var last Learned
	s.Subscribe(func(e event.Event) {
		l, ok := e.Data.(Learned)
		if !ok {
			return
		}
		if last = l; l.Steps < 10 {
			if err := training.Change(Change{Rate: &huge, Pace: &fast}); err != nil {
				t.Error(err)
			}
		} else if l.Loss > 10 {
			cancel()
		}
	})
	if err := training.Run(ctx, s); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.Close()
	if last.Loss <= 10 {
		t.Errorf("%+v: the rate did not change", last)
	}
	if e, err := k.Export(); err != nil || e.Steps != last.Steps {
		t.Errorf("%+v was told last, and %d steps were made (%v)", last, e.Steps, err)
	}
	if err := training.Change(Change{Rate: new(float64)}); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// A loss that is no number ends a training, and says so.
func TestDiverged(t *testing.T) {
	o := options
	o.Activation, o.Optimizer, o.Rate, o.Steps, o.Hidden = network.Identity, network.SGD, 1e4, 10000, []int{8, 8}
	o.Set = "plane"
	learned := payloads[Learned](train(t, new(Keeper), o))
	if last := learned[len(learned)-1]; !last.Diverged || last.Loss != -1 || last.Steps == 10000 {
		t.Errorf("%+v", last)
	}
}

func TestExport(t *testing.T) {
	var k Keeper
	if e, err := k.Export(); e != nil || err != nil {
		t.Error(e, err)
	}
	o := options
	o.Points = Points{Set: CSV, CSV: "0,0,a\n1,1,b\n0.5,0,a\n"}
	train(t, &k, o)
	e, err := k.Export()
	if err != nil {
		t.Fatal(err)
	}
	if e.Steps != 40 || !strings.Contains(string(e.Safetensors), `"0.weight"`) || !strings.Contains(e.Torch, "torch.optim.Adam") || !strings.Contains(e.MLX, "(0.5, 0, 0),") {
		t.Errorf("%+v", e)
	}
}

func TestRefused(t *testing.T) {
	for want, change := range map[string]func(*TrainOptions){
		"1000001 steps: 0 to 1000000":                                func(o *TrainOptions) { o.Steps = MaxSteps + 1 },
		"a pace of -1 steps a second: 0 to 1000000":                  func(o *TrainOptions) { o.Pace = -1 },
		`dtype "int8": float32 or float64`:                           func(o *TrainOptions) { o.DType = "int8" },
		`unknown data set "../x"`:                                    func(o *TrainOptions) { o.Set = "../x" },
		"the points: line 1 has 1 fields: it needs x, y and a label": func(o *TrainOptions) { o.Set, o.CSV = CSV, "a\n" },
		"6000 points: 2 to 5000":                                     func(o *TrainOptions) { o.Rows = 6000 },
		"a learning rate of 0: must be above 0 and at most 10000":    func(o *TrainOptions) { o.Rate = 0 },
		"hidden layer 1 has 1000 neurons: must be between 1 and 128": func(o *TrainOptions) { o.Hidden = []int{1000} },
	} {
		o := options
		change(&o)
		if _, err := new(Keeper).New(o); err == nil || err.Error() != want || !errors.Is(err, fault.Invalid) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for want, o := range map[string]SurfaceOptions{
		`unknown directions "up"`:                          {Points: Points{Set: "moons"}, Directions: "up"},
		`data set "plane": one with two classes is needed`: {Points: Points{Set: "plane"}, Directions: network.Minima},
	} {
		if _, err := NewSurface(o, nil); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
