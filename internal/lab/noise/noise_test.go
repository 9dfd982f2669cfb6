package noise

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/lab/labtest"
	"github.com/gpuplay/gpuplay/internal/record"
)

// measured measures a scripted device until a time limit on its clock.
func measured(ctx context.Context, t *testing.T, limit time.Duration, d fake.Device, watch func(event.Event)) (*record.Run, []event.Event) {
	t.Helper()
	clock := &fake.Clock{}
	w := labtest.New(clock)
	w.Subscribe(watch)
	deps := lab.Deps{Program: record.Program{Version: "1"}}
	lane := bench.Lane{Engine: fake.New("fake", clock, nil, d), Device: d.Device}
	r := deps.Begin(ctx, w.Stream, record.Learn)
	r, err := run(ctx, deps, Options{Settings: lab.Settings{Budget: limit, Seed: 1}, Size: 16}, w.Stream, r, lane)
	if err != nil {
		t.Fatal(err)
	}
	events := w.Events()
	labtest.ReadsBack(t, r)
	return r, events
}

func steady() fake.Device {
	d := fake.NewDevice("d", hardware.CPU, 1)
	d.Time = fake.Fixed(25 * time.Millisecond)
	return d
}

// All runs are measured, each anew, and the samples are told as they are in the record.
func TestRun(t *testing.T) {
	r, events := measured(t.Context(), t, time.Hour, steady(), func(event.Event) {})
	if r.Kind != record.Learn || r.Noise.Runs != Runs || len(r.Noise.Results) != Runs || r.Interrupted {
		t.Fatalf("%d of %d runs", len(r.Noise.Results), r.Noise.Runs)
	}
	told, kept, done := 0, 0, 0
	var results []*bench.Result
	open := false
	for _, e := range events {
		switch d := e.Data.(type) {
		case bench.Sample:
			told++
		case event.Progress:
			done = d.Done
		case record.Opened:
			open = d.Noise != nil && d.Noise.Runs == Runs && len(d.Noise.Results) == 0
		case bench.Prepared:
			if !open {
				t.Fatal("a run is prepared before it is told what the runs are of")
			}
		case *bench.Result:
			results = append(results, d)
		}
	}
	for i, x := range r.Noise.Results {
		kept += len(x.Samples)
		if len(x.Samples) < 10 || !x.Verified() || i > 0 && x.Samples[0].Start <= r.Noise.Results[i-1].Samples[0].Start {
			t.Fatalf("run %d: %+v", i, x)
		}
	}
	if d := cmp.Diff(r.Noise.Results, results); d != "" {
		t.Errorf("results in the record and told (+): %s", d)
	}
	if told != kept || done != Runs {
		t.Errorf("%d samples were told and %d kept, progress up to %d", told, kept, done)
	}
}

// The time limit is kept, to within one run, and so is what was measured until then.
func TestRuleNoiseEnds(t *testing.T) {
	const limit = 20 * time.Second
	r, _ := measured(t.Context(), t, limit, steady(), func(event.Event) {})
	if n := len(r.Noise.Results); n < 20 || n >= Runs || r.Elapsed < limit || r.Elapsed > limit+time.Second {
		t.Errorf("%d runs in %s", n, r.Elapsed)
	}
}

// Ctrl-C keeps what was measured until then.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := measured(ctx, t, time.Hour, steady(), func(e event.Event) {
		if p, ok := e.Data.(event.Progress); ok && p.Done == 5 {
			cancel()
		}
	})
	if n := len(r.Noise.Results); !r.Interrupted || n < 5 || n == Runs {
		t.Errorf("%d runs, interrupted %t", n, r.Interrupted)
	}
}

// A lane that fails ends it, and says why.
func TestFails(t *testing.T) {
	d := steady()
	d.Hook = fake.FailAt(fake.Prepare, 3, fault.Errorf(fault.Crashed, "gone"))
	r, _ := measured(t.Context(), t, time.Hour, d, func(event.Event) {})
	if n := len(r.Noise.Results); n != 3 || r.Noise.Results[2].Error == nil {
		t.Errorf("%d runs", n)
	}
	if _, err := Run(t.Context(), lab.Deps{}, Options{Settings: lab.Settings{Budget: time.Second}, Engine: "gocpu"}, event.NewStream("r", nil)); !errors.Is(err, fault.Invalid) {
		t.Errorf("no size: %v", err)
	}
}
