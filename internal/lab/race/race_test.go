package race

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/lab/labtest"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
)

// rig is a race of two engines that a test scripts: one that starts at once, and one
// that does not.
type rig struct {
	clock         fake.Clock
	quick, slow   []fake.Device
	missing       []record.Missing // of the slow one
	before, after func()           // the slow one is started
}

// lanes returns those of a fake engine.
func (g *rig) lanes(name string, devices []fake.Device) []bench.Lane {
	var lanes []bench.Lane
	for _, d := range devices { // an engine each, since ids may be the same
		lanes = append(lanes, bench.Lane{Engine: fake.New(name, &g.clock, nil, d), Device: d.Device})
	}
	return lanes
}

// race runs it.
func (g *rig) race(ctx context.Context, t *testing.T, o Options) (*record.Run, *labtest.Watch, error) {
	t.Helper()
	entries, err := catalog.Select([]string{"gocpu", "torch"})
	if err != nil || !entries[0].Quick() || entries[1].Quick() {
		t.Fatal("the list of engines is not what this test takes it for")
	}
	w := labtest.New(&g.clock)
	d := lab.Deps{Program: record.Program{Version: "1"}}
	var all []bench.Lane
	r, err := run(ctx, d, o, w.Stream, d.Begin(ctx, w.Stream, record.Race), entries, func(_ context.Context, list []catalog.Entry) entered {
		if list[0].Quick() {
			all = g.lanes("gocpu", g.quick)
			lab.LaneIDs(all)
			return entered{lanes: all}
		}
		if g.before != nil {
			g.before()
		}
		all = append(all, g.lanes("torch", g.slow)...)
		lab.LaneIDs(all)
		if g.after != nil {
			g.after()
		}
		return entered{lanes: all, missing: g.missing}
	})
	return r, w, err
}

func options() Options {
	return Options{Settings: lab.Settings{Repeat: 2, Budget: time.Second, Seed: 1}, Size: 32, DType: matrix.Float32}
}

func TestRace(t *testing.T) {
	g := &rig{
		quick:   []fake.Device{fake.NewDevice("cpu", hardware.CPU, 1e9)},
		slow:    []fake.Device{fake.NewDevice("gpu", hardware.GPU, 1e12), fake.NewDevice("gpu", hardware.GPU, 1e11)},
		missing: []record.Missing{{Engine: "torch", API: "xpu", Reason: "not there"}},
	}
	g.slow[1].Hook = fake.FailAt(fake.MulVec, 1, fault.Errorf(fault.Crashed, "gone"))
	g.slow[0].Tunings = 2
	o := options()
	o.Preliminary, o.Repeat, o.Threads = true, 2, 3
	r, w, err := g.race(t.Context(), t, o)
	if err != nil {
		t.Fatal(err)
	}
	events := w.Events()
	labtest.Agrees(t, events, r)
	want := `begin
note: Library cpu 1 fake: 1.00 GFLOP/s, preliminary, at 1024³
opened
lane gocpu/cpu
lane torch/gpu
lane torch/gpu~2
note: measuring 32³
size gocpu/cpu: 32×32×32
phase gocpu/cpu: preparing
prepared gocpu/cpu
phase gocpu/cpu: checking
check gocpu/cpu
size torch/gpu: 32×32×32
phase torch/gpu: preparing
tuning torch/gpu
prepared torch/gpu
phase torch/gpu: checking
check torch/gpu
size torch/gpu~2: 32×32×32
phase torch/gpu~2: preparing
prepared torch/gpu~2
phase torch/gpu~2: checking
result torch/gpu~2
phase gocpu/cpu: warming up
check gocpu/cpu
phase gocpu/cpu: measuring
phase torch/gpu: warming up
check torch/gpu
phase torch/gpu: measuring
sample gocpu/cpu
progress gocpu/cpu
check gocpu/cpu
sample torch/gpu
progress torch/gpu
check torch/gpu
sample torch/gpu
progress torch/gpu
sample gocpu/cpu
progress gocpu/cpu
phase gocpu/cpu: checking
check gocpu/cpu
phase torch/gpu: checking
check torch/gpu
result gocpu/cpu
result torch/gpu
record
`
	if d := cmp.Diff(want, labtest.Lines(events)); d != "" {
		t.Errorf("events (+) are not as they should be: %s", d)
	}
	if r.Kind != record.Race || r.ID != "run-1" || r.Interrupted || r.Threads != 3 || r.Repeat != 2 || r.Elapsed <= 0 || r.Program.Version != "1" || r.Machine.OS == "" {
		t.Errorf("the record's envelope is %+v", r)
	}
	if d := cmp.Diff(g.missing, r.Missing); d != "" {
		t.Errorf("missing: %s", d)
	}
	for i, code := range []fault.Code{"", "", fault.Crashed} {
		if x := r.Results[i]; x.Verified() != (code == "") || x.Error != nil && x.Error.Code != code {
			t.Errorf("result %d: %+v", i, x)
		}
	}
}

// A GPU that is there at once has the first figure, of a product on which it is busy, without
// the half second of a warm-up; the CPU's follows. Neither is a result.
func TestPreliminary(t *testing.T) {
	g := &rig{quick: []fake.Device{fake.NewDevice("cpu", hardware.CPU, 1e11), fake.NewDevice("gpu", hardware.GPU, 1e13)}}
	o := options()
	o.Preliminary = true
	var first time.Duration
	g.before = func() { first = g.clock.Now().Sub(time.Time{}) }
	r, w, err := g.race(t.Context(), t, o)
	if err != nil {
		t.Fatal(err)
	}
	want := "note: Library gpu 1 fake: 10.0 TFLOP/s, preliminary, at 2048³\nnote: Library cpu 1 fake: 100 GFLOP/s, preliminary, at 1024³\nopened\n"
	if got := labtest.Lines(w.Events()); !strings.Contains(got, want) {
		t.Errorf("%s\nlacks\n%s", got, want)
	}
	if first == 0 || first > 450*time.Millisecond {
		t.Errorf("both are known after %v", first)
	}
	for _, x := range r.Results {
		if x.GEMM.M != o.Size {
			t.Errorf("a result of %d³", x.GEMM.M)
		}
	}
}

// Left to choose, the race takes the largest size that the time allows.
func TestChoosesTheSize(t *testing.T) {
	g := &rig{quick: []fake.Device{fake.NewDevice("cpu", hardware.CPU, 1e11)}}
	o := options()
	o.Size, o.Repeat = 0, 0
	r, w, err := g.race(t.Context(), t, o)
	if err != nil {
		t.Fatal(err)
	}
	events := w.Events()
	labtest.Agrees(t, events, r)
	if n := r.Results[0].GEMM.N; n < 512 || !strings.Contains(labtest.Lines(events), "note: measuring "+map[int]string{512: "512³", 1024: "1024³", 2048: "2048³"}[n]) {
		t.Errorf("measured %d³:\n%s", n, labtest.Lines(events))
	}
}

// Ctrl-C at any moment keeps what was measured.
func TestInterrupted(t *testing.T) {
	for _, tt := range []struct {
		name    string
		when    func(g *rig, stop func())
		samples int // of the CPU, at least
		size    int
		fails   bool
	}{
		{"in mid-race", func(g *rig, stop func()) {
			g.slow[0].Hook = func(_ context.Context, s fake.Stage, k int) error {
				if s == fake.Run && k == 200 {
					stop()
				}
				return nil
			}
		}, 1, 32, false},
		{"while engines start", func(g *rig, stop func()) { g.before = stop }, 1, preliminarySize, false},
		{"before the first sample of the race", func(g *rig, stop func()) { g.after = stop }, 1, preliminarySize, false},
		{"with nothing measured", func(g *rig, stop func()) { g.quick, g.slow = nil, nil; g.after = stop }, 0, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &rig{quick: []fake.Device{fake.NewDevice("cpu", hardware.CPU, 1e9)}, slow: []fake.Device{fake.NewDevice("gpu", hardware.GPU, 1e12)}}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			tt.when(g, stop)
			o := options()
			o.Preliminary, o.Repeat = true, 1000
			r, w, err := g.race(ctx, t, o)
			events := w.Events()
			if tt.fails {
				if !errors.Is(err, context.Canceled) || r != nil {
					t.Errorf("it returned %+v, %v", r, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			labtest.Agrees(t, events, r)
			x := r.Results[0]
			if !r.Interrupted || len(x.Samples) < tt.samples || x.GEMM.N != tt.size {
				t.Errorf("interrupted %t, %d samples of %d³, want %d of %d³", r.Interrupted, len(x.Samples), x.GEMM.N, tt.samples, tt.size)
			}
			if tt.size == 32 && !x.Has(measure.Interrupted) {
				t.Errorf("the result has no warning: %v", x.Warnings)
			}
		})
	}
}

func TestNothingToMeasureWith(t *testing.T) {
	g := &rig{missing: []record.Missing{{Engine: "torch", Code: fault.Unavailable, Reason: "is not installed", Remedies: fault.Remedies{fault.Run("", "gpuplay", "setup", "torch")}}}}
	r, _, err := g.race(t.Context(), t, options())
	if r != nil || !errors.Is(err, fault.Unavailable) || err.Error() != "nothing to measure with: torch: is not installed" || fault.From(err).Remedies.String() != "gpuplay setup torch" {
		t.Errorf("it returned %+v, %v", r, err)
	}
}

func TestRefusesNonsense(t *testing.T) {
	clock := &fake.Clock{}
	for says, change := range map[string]func(*Options){
		`unknown engine "tosch"`: func(o *Options) { o.Engines = []string{"tosch"} },
		"-1 is not a size":       func(o *Options) { o.Size = -1 },
		"-2 timed runs":          func(o *Options) { o.Repeat = -2 },
		"0s to measure":          func(o *Options) { o.Budget = 0 },
		"-1 threads":             func(o *Options) { o.Threads = -1 },
	} {
		o := options()
		change(&o)
		w := labtest.New(clock)
		if _, err := Run(t.Context(), lab.Deps{}, o, w.Stream); !errors.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("error %v, want one that says %q", err, says)
		}
		if len(w.Events()) > 0 {
			t.Error("a run began")
		}
	}
	for says, o := range map[string]MatmulOptions{
		`unknown protocol "clasic"`: {Settings: options().Settings, Engine: "gocpu", GEMM: bench.Square(8, matrix.Float32), Protocol: "clasic"},
		"0³ is not a product":       {Settings: options().Settings, Engine: "gocpu", Protocol: bench.Steady},
		`unknown engine ""`:         {Settings: options().Settings, Protocol: bench.Steady},
	} {
		if _, err := Matmul(t.Context(), lab.Deps{}, o, nil); !errors.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("error %v, want one that says %q", err, says)
		}
	}
}

func TestMatmul(t *testing.T) {
	for _, tt := range []struct {
		protocol bench.Protocol
		repeat   int
		ids      []string
		iters    []int // products in all samples, 0: until the result is precise
	}{
		{bench.Steady, 3, []string{"fake/cpu"}, []int{3}},
		{bench.Classic, 0, []string{"fake/cpu"}, []int{6}},
		{bench.Classic, 4, []string{"fake/cpu"}, []int{4}},
		{Both, 4, []string{"fake/cpu", "fake/cpu#classic"}, []int{0, 4}},
	} {
		g := &rig{}
		lane := g.lanes("fake", []fake.Device{fake.NewDevice("cpu", hardware.CPU, 1e9)})[0]
		w := labtest.New(&g.clock)
		d := lab.Deps{}
		o := MatmulOptions{Settings: options().Settings, Engine: "fake", GEMM: bench.Square(32, matrix.Float32), Protocol: tt.protocol}
		o.Repeat = tt.repeat
		r, err := matmul(t.Context(), d, o, w.Stream, d.Begin(t.Context(), w.Stream, record.MatMul), lane)
		if err != nil {
			t.Fatal(err)
		}
		labtest.Agrees(t, w.Events(), r)
		announced := map[string]string{}
		for _, e := range w.Events() {
			if l, ok := e.Data.(event.Lane); ok {
				announced[e.Lane] = l.Name
			}
		}
		var ids []string
		for i, x := range r.Results {
			if want := x.Device.Label() + map[bool]string{true: ", classic"}[x.Protocol == bench.Classic]; x.Label() != want || announced[x.Lane] != want {
				t.Errorf("%s is called %q and announced as %q, want %q", x.Lane, x.Label(), announced[x.Lane], want)
			}
			ids = append(ids, x.Lane)
			n, _ := x.Total()
			if want := tt.iters[i]; want > 0 && n != want || want == 0 && n < 10 || x.GEMM.Sum != (x.Protocol == bench.Classic) || !x.Verified() {
				t.Errorf("%s with repeat %d: %d products, want %d: %+v", tt.protocol, tt.repeat, n, want, x)
			}
		}
		if !slices.Equal(ids, tt.ids) || r.Kind != record.MatMul {
			t.Errorf("%s: lanes %v, want %v", tt.protocol, ids, tt.ids)
		}
	}
}

// The classic loop is not begun after Ctrl-C.
func TestMatmulInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	device := fake.NewDevice("cpu", hardware.CPU, 1e9)
	device.Hook = func(_ context.Context, s fake.Stage, k int) error {
		if s == fake.Run && k == 12 {
			stop()
		}
		return nil
	}
	g := &rig{}
	w := labtest.New(&g.clock)
	d := lab.Deps{}
	o := MatmulOptions{Settings: options().Settings, Engine: "fake", GEMM: bench.Square(32, matrix.Float32), Protocol: Both}
	o.Budget = time.Hour
	device.Time = fake.Fixed(100*time.Millisecond).Jitter(0.5, 1)
	r, err := matmul(ctx, d, o, w.Stream, d.Begin(ctx, w.Stream, record.MatMul), g.lanes("fake", []fake.Device{device})[0])
	if err != nil {
		t.Fatal(err)
	}
	labtest.Agrees(t, w.Events(), r)
	if len(r.Results) != 1 || !r.Interrupted {
		t.Errorf("interrupted %t with %d results", r.Interrupted, len(r.Results))
	}
}
