package sweep

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/lab/labtest"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// picky has a GPU that crashes at these sizes.
type picky struct {
	bench.Engine
	refused []int
}

func (e picky) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	if d.Kind == hardware.GPU && slices.Contains(e.refused, g.N) {
		return nil, fault.Errorf(fault.Crashed, "gone")
	}
	return e.Engine.Prepare(ctx, d, g, seed, tell)
}

// measured runs a sweep of lanes and checks that its events agree with its record.
func measured(ctx context.Context, t *testing.T, clock *fake.Clock, o Options, lanes []bench.Lane) (*record.Run, string, error) {
	t.Helper()
	o.Repeat, o.DType, o.Seed = 6, matrix.Float32, 1
	if o.Budget == 0 {
		o.Budget = time.Second
	}
	lab.LaneIDs(lanes)
	w := labtest.New(clock)
	d := lab.Deps{Program: record.Program{Version: "1"}}
	r, err := run(ctx, d, o, w.Stream, d.Begin(ctx, w.Stream, record.Sweep), lanes)
	events := w.Events()
	if r != nil && o.File == nil {
		labtest.Agrees(t, events, r)
	}
	return r, labtest.Lines(events), err
}

func sizes(r *record.Run) []int {
	var list []int
	for _, p := range r.Points() {
		list = append(list, p[0].GEMM.N)
	}
	return list
}

func TestSweep(t *testing.T) {
	clock := &fake.Clock{}
	cpu, gpu := fake.NewDevice("cpu", hardware.CPU, 1e8), fake.NewDevice("gpu", hardware.GPU, 1e12)
	engine := picky{fake.New("fake", clock, nil, cpu, gpu), []int{64}}
	lanes := []bench.Lane{{Engine: engine.Engine, Device: cpu.Device}, {Engine: engine, Device: gpu.Device}}
	o := Options{Shapes: squares(64, 128, 256)}
	o.Budget = 20 * time.Millisecond // of which one product of the CPU's takes many at 256³
	r, lines, err := measured(t.Context(), t, clock, o, lanes)
	if err != nil || !slices.Equal(sizes(r), []int{64, 128, 256}) || len(r.Results) != 6 || r.Kind != record.Sweep || r.Repeat != 6 {
		t.Fatalf("%v, measured %+v", err, r)
	}
	for i, code := range []fault.Code{"", fault.Crashed, "", "", fault.Timeout, ""} {
		x := r.Results[i]
		if (x.Error == nil) != (code == "") || x.Error != nil && x.Error.Code != code {
			t.Errorf("result %d: %+v, want %q", i, x.Error, code)
		}
	}
	if e := r.Results[4].Error; e.Message != "left out: one product would take about 336 ms" || e.Remedies.String() != "time gives it longer" {
		t.Errorf("left out with %+v", e)
	}
	for _, want := range []string{
		"note: measuring 64³, 1 of 3\n", "note: 64³: Library cpu 100 MFLOP/s, Library gpu crashed\n",
		"note: 128³: Library cpu 100 MFLOP/s, Library gpu ", "note: 256³: Library gpu 1", "Library cpu timeout\nrecord\n",
	} {
		if !strings.Contains(lines, want) {
			t.Errorf("%q is not in\n%s", want, lines)
		}
	}
}

// The search for the crossover ends: between two sizes that are near to each other,
// and at one where the GPU cannot be measured.
func TestCrossover(t *testing.T) {
	cpu := fake.NewDevice("cpu", hardware.CPU, 1e11)
	gpu := fake.NewDevice("gpu", hardware.GPU, 1e12)
	launch := gpu.Time
	gpu.Time = func(g bench.GEMM, run int) time.Duration { return launch(g, run) + time.Millisecond } // as fast at 381³
	for _, tt := range []struct {
		name    string
		refused []int
		want    []int
	}{
		{"found", nil, []int{256, 512, 384, 320, 352}},
		{"the GPU fails in between", []int{384}, []int{256, 512, 384}},
		{"the GPU fails everywhere", []int{256, 512}, []int{256, 512}},
	} {
		clock := &fake.Clock{}
		engine := picky{fake.New("fake", clock, nil, cpu, gpu), tt.refused}
		lanes := []bench.Lane{{Engine: engine.Engine, Device: cpu.Device}, {Engine: engine, Device: gpu.Device}}
		r, _, err := measured(t.Context(), t, clock, Options{Crossover: true, Shapes: squares(256, 512)}, lanes)
		if err != nil || !slices.Equal(sizes(r), tt.want) || !r.Crossover {
			t.Errorf("%s: measured %v, %v; want %v", tt.name, sizes(r), err, tt.want)
		}
	}
	// Where copies are timed, the search goes on for where the GPU wins even with them: here
	// the CPU is as fast at about 520³.
	gpu.CopyTime = 500 * time.Microsecond
	clock := &fake.Clock{}
	engine := fake.New("fake", clock, nil, cpu, gpu)
	r, _, err := measured(t.Context(), t, clock, Options{Crossover: true, Shapes: squares(256, 512, 1024)}, []bench.Lane{{Engine: engine, Device: cpu.Device}, {Engine: engine, Device: gpu.Device}})
	if want := []int{256, 512, 1024, 384, 320, 352, 768, 640, 576}; err != nil || !slices.Equal(sizes(r), want) || len(r.Results[1].RoundTrips) == 0 || r.Results[0].RoundTrips != nil {
		t.Errorf("with copies: measured %v, %v; want %v", sizes(r), err, want)
	}
	clock = &fake.Clock{}
	_, _, err = measured(t.Context(), t, clock, Options{Crossover: true, Shapes: squares(256)}, []bench.Lane{{Engine: fake.New("fake", clock, nil, cpu), Device: cpu.Device}})
	if !errors.Is(err, fault.Unavailable) || fault.From(err).Remedies.String() != "if this machine has one: gpuplay doctor" {
		t.Errorf("without a GPU: %v", err)
	}
}

// Each size is kept once it is measured, and one that is kept is not measured again.
func TestKeptAndContinued(t *testing.T) {
	clock := &fake.Clock{}
	device := fake.NewDevice("cpu", hardware.CPU, 1e9)
	lanes := func() []bench.Lane {
		return []bench.Lane{{Engine: fake.New("fake", clock, nil, device), Device: device.Device}}
	}
	name := filepath.Join(t.TempDir(), "s.jsonl")
	file, err := Create(name)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	device.Time = func(g bench.GEMM, run int) time.Duration {
		if g.N == 48 && run > 14 { // in the samples of the third size
			stop()
		}
		return time.Millisecond
	}
	r, _, err := measured(ctx, t, clock, Options{File: file, Shapes: squares(16, 32, 48, 64)}, lanes())
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	if got := sizes(r); !r.Interrupted || !slices.Equal(got, []int{16, 32, 48}) || len(r.Results[2].Samples) == 0 {
		t.Errorf("interrupted %t with %v", r.Interrupted, got)
	}
	first := r

	if file, err = Resume(name); err != nil || !holds(file, 16, 32) {
		t.Fatalf("the file holds %+v, %v", file, err)
	}
	for i, x := range file.Runs {
		if x.ID != first.ID || x.Kind != record.Sweep || x.Repeat != 6 || x.Interrupted {
			t.Errorf("line %d is %+v", i, x)
		}
		if d := cmp.Diff(first.Results[i:i+1], x.Results); d != "" {
			t.Errorf("line %d does not hold what was measured: %s", i, d)
		}
	}
	file.Runs[0].Results[0].Lane = "" // as in a file of an earlier version
	device.Time = fake.Speed(1e9)
	r, lines, err := measured(t.Context(), t, clock, Options{File: file, Shapes: squares(16, 48)}, lanes())
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(sizes(r), []int{16, 32, 48}) || r.Results[0].Lane != "fake/cpu" || strings.Contains(lines, "measuring 16³") || !strings.Contains(lines, "measuring 48³, 2 of 2") {
		t.Errorf("continued with %v:\n%s", sizes(r), lines)
	}
	if file, err = Resume(name); err != nil || !holds(file, 16, 32, 48) {
		t.Errorf("the file holds %+v, %v", file, err)
	}

	// Other conditions end it before anything is measured.
	o := Options{File: file, Shapes: squares(96)}
	file.Runs[0].Repeat = 7
	if r, _, err := measured(t.Context(), t, clock, o, lanes()); r != nil || !errors.Is(err, fault.Invalid) {
		t.Errorf("with another number of runs: %+v, %v", r, err)
	}
	file.Runs[0].Repeat = 6

	// A file that cannot be written costs nothing that was measured.
	file.Close()
	r, _, err = measured(t.Context(), t, clock, o, lanes())
	if err != nil || r.Error == nil || !strings.HasPrefix(r.Error.Message, "keeping 96³: write "+name) || !slices.Equal(sizes(r), []int{16, 32, 48, 96}) {
		t.Errorf("with a file that is closed: %+v, %v", r, err)
	}
}

func TestChoose(t *testing.T) {
	entries, err := catalog.Select([]string{"gocpu", "torch", "mlx"})
	if err != nil {
		t.Fatal(err)
	}
	found := []catalog.Contender{
		{Entry: entries[0], Found: hardware.Inventory{Devices: []hardware.Device{{ID: "cpu", Kind: hardware.CPU, API: "cpu"}}}},
		{Entry: entries[1], Found: hardware.Inventory{Devices: []hardware.Device{{ID: "cpu", Kind: hardware.CPU, API: "cpu"}, {ID: "cuda:GPU-a", Kind: hardware.GPU, API: "cuda"}}}},
		{Entry: entries[2], Err: fault.Errorf(fault.Unavailable, "is not installed")},
	}
	for i := range found {
		found[i].Client = &worker.Client{Engine: found[i].Name}
	}
	for _, tt := range []struct{ names, ids, err string }{
		{"", "gocpu/cpu torch/cpu torch/cuda:GPU-a", ""},
		{"torch,gocpu", "torch/cpu torch/cuda:GPU-a gocpu/cpu", ""},
		{"torch:cuda,gocpu:cpu", "torch/cuda:GPU-a gocpu/cpu", ""},
		{"torch:cuda:0", "torch/cuda:GPU-a", ""},
		{"gocpu:gpu", "", `gocpu has no device "gpu"`},
		{"mlx", "", "mlx: is not installed"},
		{"gocpu,gocpu:cpu", "", "gocpu:cpu is named twice"},
		{"gocpy", "", `unknown engine "gocpy"`},
	} {
		var names []string
		if tt.names != "" {
			names = strings.Split(tt.names, ",")
		}
		wanted, _, err := parse(names)
		var lanes []bench.Lane
		if err == nil {
			lanes, _, err = choose(wanted, found)
		}
		var ids []string
		for _, l := range lanes {
			ids = append(ids, l.ID)
		}
		if got := strings.Join(ids, " "); got != tt.ids || tt.err == "" && err != nil || tt.err != "" && (err == nil || err.Error() != tt.err) {
			t.Errorf("%s: %s, %v; want %s, %s", tt.names, got, err, tt.ids, tt.err)
		}
	}
}

// Of equal GPUs one is measured, and the record names the others.
func TestChooseEqual(t *testing.T) {
	entries, err := catalog.Select([]string{"torch"})
	if err != nil {
		t.Fatal(err)
	}
	var devices []hardware.Device
	for card := range 3 {
		devices = append(devices, hardware.Device{ID: fmt.Sprintf("cuda:%d", card), Name: "Card", Kind: hardware.GPU, API: "cuda", Card: &card})
	}
	found := []catalog.Contender{{Entry: entries[0], Client: &worker.Client{Engine: "torch"}, Found: hardware.Inventory{Devices: devices}}}
	for _, list := range [][]want{nil, {{engine: "torch"}}} {
		lanes, out, err := choose(list, found)
		if err != nil || len(lanes) != 1 || len(out) != 2 || *out[0].Device.Card != 1 || *out[0].Instead != 0 {
			t.Errorf("%v: lanes %+v, left out %+v, %v", list, lanes, out, err)
		}
	}
	if lanes, out, err := choose([]want{{"torch", "cuda:2"}}, found); err != nil || len(lanes) != 1 || len(out) != 0 {
		t.Errorf("one that is named: lanes %+v, left out %+v, %v", lanes, out, err)
	}
}

func TestRefusesNonsense(t *testing.T) {
	o := Options{Settings: lab.Settings{Budget: time.Second}}
	if _, err := Run(t.Context(), lab.Deps{}, o, nil); !errors.Is(err, fault.Invalid) || err.Error() != "no size to measure" {
		t.Errorf("no size: %v", err)
	}
	o.Shapes, o.Budget = squares(16), 0
	if _, err := Run(t.Context(), lab.Deps{}, o, nil); !errors.Is(err, fault.Invalid) {
		t.Errorf("no time: %v", err)
	}
}
