package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// told returns a stream on a clock that stands at a time, and what ends it and returns
// its events.
func told(at time.Duration) (*event.Stream, func() []event.Event) {
	s := event.NewStream("run-1", func() time.Duration { return at })
	var list []event.Event
	s.Subscribe(func(e event.Event) { list = append(list, e) })
	return s, func() []event.Event { s.Close(); return list }
}

func TestBeginAndFinish(t *testing.T) {
	s, events := told(3 * time.Second)
	d := Deps{Program: record.Program{Version: "1"}, Command: []string{"gpuplay", "race"}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r := d.Begin(ctx, s, record.Race)
	if r.Schema != record.Schema || r.ID != "run-1" || r.Kind != record.Race || r.Created.Nanosecond() != 0 || time.Since(r.Created) > time.Hour || r.Program != d.Program || !slices.Equal(r.Command, d.Command) || r.Machine.OS == "" {
		t.Errorf("it begins as %+v", r)
	}
	stop()
	if got := d.Finish(ctx, s, r); got != r || !r.Interrupted || r.Elapsed != 3*time.Second {
		t.Errorf("it ends as %+v", got)
	}
	list := events()
	if d := cmp.Diff(event.Begin{Schema: event.Schema, Kind: "race", Command: d.Command}, list[0].Data); d != "" || list[1].Data != event.Data(r) {
		t.Errorf("told %+v", list)
	}
}

// After Ctrl-C nothing is told of engines that it kept from starting.
func TestStartInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	s, events := told(0)
	found := (Deps{Catalog: &catalog.Catalog{}}).Start(ctx, s, catalog.Engines[:1], catalog.Options{})
	if len(found) != 1 || !errors.Is(found[0].Err, fault.Interrupted) {
		t.Errorf("found %+v", found)
	}
	if list := events(); len(list) != 1 || list[0].Data != event.Data(event.Note{Text: "starting gocpu"}) {
		t.Errorf("told %+v", list)
	}
}

func TestIDs(t *testing.T) {
	taken := map[string]bool{}
	for _, want := range []string{"torch/cpu", "torch/cpu~2", "torch/cpu~3"} {
		if got := ID("torch", "cpu", taken); got != want || !taken[want] {
			t.Errorf("%s, want %s", got, want)
		}
	}
	a, b := fake.New("a", nil, nil), fake.New("b", nil, nil)
	lanes := []bench.Lane{{Engine: a, Device: hardware.Device{ID: "x"}}, {Engine: b, Device: hardware.Device{ID: "x"}}, {Engine: a, Device: hardware.Device{ID: "x"}}}
	LaneIDs(lanes)
	var ids []string
	for _, l := range lanes {
		ids = append(ids, l.ID)
	}
	if !slices.Equal(ids, []string{"a/x", "b/x", "a/x~2"}) {
		t.Errorf("ids %v", ids)
	}
}

func TestAnnounce(t *testing.T) {
	s, events := told(0)
	card := 1
	Announce(s, []bench.Lane{{
		ID: "torch/cuda", Engine: fake.New("torch", nil, nil), GEMM: bench.Square(8, matrix.Int8),
		Device: hardware.Device{Name: "Card 9000", API: "cuda", Library: "PyTorch", Version: "2.15.0", Card: &card},
	}})
	list := events()
	want := event.Lane{Name: "PyTorch 2.15 cuda", Engine: "torch", Device: "Card 9000", Card: &card, Op: "OP"}
	if d := cmp.Diff(want, list[0].Data); d != "" || list[0].Lane != "torch/cuda" {
		t.Errorf("lane %q: %s", list[0].Lane, d)
	}
}

// reserving counts what is reserved.
type reserving struct {
	bench.Engine
	mu *sync.Mutex
	n  *int
}

func (r *reserving) Reserve(_ context.Context, n int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	*r.n = n
	return errors.New("which is reported elsewhere")
}

func TestReserve(t *testing.T) {
	n := 0
	e := &reserving{fake.New("a", nil, nil), &sync.Mutex{}, &n}
	Reserve(t.Context(), []bench.Lane{{Engine: e}, {Engine: fake.New("b", nil, nil)}, {Engine: e}})
	if n != 2 {
		t.Errorf("%d workers are reserved for 2 lanes", n)
	}
}

func TestChoose(t *testing.T) {
	list, err := catalog.Select([]string{"torch"})
	if err != nil {
		t.Fatal(err)
	}
	remedy := fault.Run("", "gpuplay", "setup", "torch")
	c := catalog.Contender{Entry: list[0], Err: fault.Errorf(fault.Unavailable, "not installed").With(remedy)}
	_, err = Choose(c, "cpu")
	if e := fault.From(err); e == nil || e.Code != fault.Unavailable || e.Message != "torch: not installed" || !cmp.Equal(e.Remedies, fault.Remedies{remedy}) {
		t.Errorf("an engine that is not there: %+v", err)
	}
	c = catalog.Contender{Entry: list[0], Start: time.Second, Found: hardware.Inventory{Devices: []hardware.Device{{ID: "cpu", Kind: hardware.CPU, API: "cpu"}}}}
	if lane, err := Choose(c, "cpu"); err != nil || lane.Device.ID != "cpu" || lane.Start != time.Second {
		t.Errorf("%+v, %v", lane, err)
	}
	if _, err := Choose(c, "gpu"); err == nil || err.Error() != `torch has no device "gpu"` {
		t.Errorf("a device that is not there: %v", err)
	}
}

func TestNothing(t *testing.T) {
	err := Nothing([]record.Missing{{Engine: "a", Reason: "is not there"}, {Engine: "b", Reason: "neither", Remedies: fault.Advice("buy one")}})
	if e := fault.From(err); e.Message != "nothing to measure with: a: is not there; b: neither" || e.Remedies.String() != "buy one" || e.Code != fault.Unavailable {
		t.Errorf("%+v", e)
	}
}

// Starting says what became of each engine.
func TestStart(t *testing.T) {
	list, err := catalog.Select([]string{"torch"})
	if err != nil {
		t.Fatal(err)
	}
	s, events := told(0)
	d := Deps{Catalog: &catalog.Catalog{}}
	if found := d.Start(t.Context(), s, list, catalog.Options{Python: "no/such/python"}); len(found) != 1 || found[0].Err == nil {
		t.Errorf("found %+v", found)
	}
	if found := d.Start(t.Context(), s, nil, catalog.Options{}); found != nil {
		t.Errorf("found %+v", found)
	}
	var notes []string
	for _, e := range events() {
		notes = append(notes, e.Data.(event.Note).Text)
	}
	if len(notes) != 2 || notes[0] != "starting torch" || notes[1][:7] != "torch: " {
		t.Errorf("notes %q", notes)
	}
}

// Of equal GPUs the one with the lowest number has a lane in every engine, also where an
// engine knows no memory; GPUs that differ have lanes of their own.
func TestRacingEqualGPUs(t *testing.T) {
	gpu := func(api string, card int, memory int64) hardware.Device {
		d := hardware.Device{ID: fmt.Sprintf("%s:%d", api, card), Kind: hardware.GPU, API: api, Name: "Card"}
		if card >= 0 {
			d.Card = &card
		}
		if memory > 0 {
			d.Memory = &memory
		}
		return d
	}
	cpu := hardware.Device{ID: "cpu", Kind: hardware.CPU, API: "cpu", Name: "Card"}
	for _, tt := range []struct {
		name       string
		torch, jax []hardware.Device
		all        bool
		want, out  []string
	}{
		{"four", []hardware.Device{cpu, gpu("cuda", 0, 150), gpu("cuda", 1, 150), gpu("cuda", 2, 150)}, []hardware.Device{cpu, gpu("cuda", 0, 0), gpu("cuda", 1, 0)}, false,
			[]string{"torch/cpu", "torch/cuda:0", "jax/cpu", "jax/cuda:0"}, []string{"torch/cuda:1 0", "torch/cuda:2 0", "jax/cuda:1 0"}},
		{"all of them", []hardware.Device{cpu, gpu("cuda", 0, 150), gpu("cuda", 1, 150)}, []hardware.Device{gpu("cuda", 0, 0), gpu("cuda", 1, 0)}, true,
			[]string{"torch/cpu", "torch/cuda:0", "torch/cuda:1", "jax/cuda:0", "jax/cuda:1"}, nil},
		{"in another order", []hardware.Device{gpu("cuda", 2, 150), gpu("cuda", 1, 150)}, []hardware.Device{gpu("cuda", 1, 0), gpu("cuda", 2, 0)}, false,
			[]string{"torch/cuda:1", "jax/cuda:1"}, []string{"torch/cuda:2 1", "jax/cuda:2 1"}},
		{"other memory, which one engine knows", []hardware.Device{gpu("cuda", 0, 150), gpu("cuda", 1, 80), gpu("cuda", 2, 80)}, []hardware.Device{gpu("cuda", 0, 0), gpu("cuda", 1, 0), gpu("cuda", 2, 0)}, false,
			[]string{"torch/cuda:0", "torch/cuda:1", "jax/cuda:0", "jax/cuda:1"}, []string{"torch/cuda:2 1", "jax/cuda:2 1"}},
		{"two interfaces", []hardware.Device{gpu("cuda", 0, 150), gpu("vulkan", 0, 150)}, nil, false, []string{"torch/cuda:0", "torch/vulkan:0"}, nil},
		{"not known which", []hardware.Device{gpu("cuda", -1, 150), gpu("cuda", -2, 150)}, nil, false, []string{"torch/cuda:-1"}, []string{"torch/cuda:-2 -1"}},
	} {
		lanes, out := Racing([]catalog.Contender{
			{Client: &worker.Client{Engine: "torch"}, Entry: catalog.Entry{Name: "torch"}, Found: hardware.Inventory{Devices: tt.torch}},
			{Client: &worker.Client{Engine: "jax"}, Entry: catalog.Entry{Name: "jax"}, Found: hardware.Inventory{Devices: tt.jax}},
		}, tt.all)
		var ids, left []string
		for _, l := range lanes {
			ids = append(ids, l.ID)
		}
		for _, o := range out {
			instead := -1
			if o.Instead != nil {
				instead = *o.Instead
			}
			left = append(left, fmt.Sprintf("%s/%s %d", o.Engine, o.Device.ID, instead))
		}
		if !slices.Equal(ids, tt.want) || !slices.Equal(left, tt.out) {
			t.Errorf("%s: lanes %v, left out %v; want %v, %v", tt.name, ids, left, tt.want, tt.out)
		}
	}
}

// Without a GPU the error has all reasons, and each remedy once.
func TestNoGPU(t *testing.T) {
	doctor := fault.Remedies{fault.Run("{} says what is missing", "gpuplay", "doctor")}
	limit := fault.Change("timeout", "{} gives it longer")
	err := NoGPU([]record.Missing{{Engine: "cuda", Reason: "no driver", Remedies: append(doctor, limit)}, {Engine: "vulkan", Reason: "no loader", Remedies: append(doctor, fault.Change("device", limit.Text))}})
	if err.Code != fault.Unavailable || !strings.Contains(err.Message, "(cuda: no driver; vulkan: no loader)") || len(err.Remedies) != 3 {
		t.Errorf("%+v", err)
	}
}
