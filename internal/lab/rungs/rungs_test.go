package rungs

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/lab/labtest"
	"github.com/gpuplay/gpuplay/internal/ptx"
	"github.com/gpuplay/gpuplay/internal/record"
)

// only has no kernel for a rung.
type only struct{ bench.Engine }

func (e only) Prepare(context.Context, hardware.Device, bench.GEMM, uint64, func(bench.Tuning)) (bench.Task, error) {
	return nil, fault.Errorf(fault.Unsupported, "no clusters")
}

// ladder is that of package ptx, on a scripted engine that has no clusters.
func ladder(own bench.Engine) (out []rung) {
	for _, r := range ptx.Ladder {
		e := own
		if r.Name == "clusters" {
			e = only{own}
		}
		out = append(out, rung{
			Rung: record.Rung{Name: r.Name, Threads: 1, DType: r.DType},
			open: func(context.Context) (bench.Engine, func(), error) { return e, func() {}, nil },
		})
	}
	return out
}

func watch(ctx context.Context, own, library fake.Device, heard func(event.Event)) (*record.Run, []event.Event, error) {
	clock := &fake.Clock{}
	w := labtest.New(clock)
	w.Subscribe(heard)
	e := fake.New("cuda", clock, nil, own)
	found, err := e.Devices(ctx)
	if err != nil {
		return nil, nil, err
	}
	c := &climb{rungs: ladder(e), device: found.Devices[0], library: fake.New("cublaslt", clock, nil, library), stream: w.Stream, size: 32, skipped: []string{"another: not here"}}
	r, err := c.run(ctx, lab.Deps{})
	return r, w.Events(), err
}

func gpu() fake.Device { return fake.NewDevice("gpu", hardware.GPU, 1e9) }

// Every rung that the card has is measured in turns with the library, checked, and kept in
// the journal as soon as it is known.
func TestClimb(t *testing.T) {
	r, events, err := watch(t.Context(), gpu(), gpu(), func(event.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Ladder.Rungs) != len(ptx.Ladder)-1 || r.Ladder.GPU == "" || r.Ladder.Size != 32 {
		t.Fatalf("%+v", r.Ladder)
	}
	for i, rung := range r.Ladder.Rungs {
		if rung.Name != ptx.Ladder[i].Name || rung.DType != ptx.Ladder[i].DType || len(rung.Seconds) != samples || len(rung.Library) != samples {
			t.Errorf("rung %d: %+v", i, rung)
		}
	}
	opened, checks := 0, 0
	for _, e := range events {
		switch d := e.Data.(type) {
		case record.Opened:
			if opened++; len(d.Ladder.Rungs) != opened {
				t.Errorf("after rung %d: %+v", opened, d.Ladder)
			}
		case bench.Checked:
			checks++
		}
	}
	if opened != len(r.Ladder.Rungs) || checks != opened {
		t.Errorf("%d steps and %d checks of %d rungs", opened, checks, len(r.Ladder.Rungs))
	}
	if lines := labtest.Lines(events); !strings.Contains(lines, "left out: no clusters") || !strings.Contains(lines, "not through another: not here") {
		t.Error(lines)
	}
}

// Without cuBLASLt the rungs stand alone.
func TestWithoutLibrary(t *testing.T) {
	missing := gpu()
	missing.Hook = fake.FailAt(fake.Prepare, 1, fault.Errorf(fault.Unavailable, "not installed"))
	r, events, err := watch(t.Context(), gpu(), missing, func(event.Event) {})
	if err != nil || len(r.Ladder.Rungs) == 0 || r.Ladder.Rungs[0].Library != nil {
		t.Errorf("%+v, %v", r, err)
	}
	if lines := labtest.Lines(events); !strings.Contains(lines, "without cuBLASLt beside it: not installed") {
		t.Error(lines)
	}
}

// The usual size is the largest of which the first rung takes at most half a second.
func TestUsualSize(t *testing.T) {
	for flops, want := range map[float64]int{1e12: 4096, 200e9: 2048, 5e9: 1024, 1e9: 512, 1e6: 256} {
		e := fake.New("vulkan", &fake.Clock{}, nil, fake.NewDevice("gpu", hardware.GPU, flops))
		found, err := e.Devices(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n, err := usualSize(t.Context(), e, found.Devices[0]); err != nil || n != want {
			t.Errorf("%g FLOP/s: %d, want %d (%v)", flops, n, want, err)
		}
	}
}

// A wrong product ends the climb.
func TestWrong(t *testing.T) {
	wrong := gpu()
	wrong.Wrong = &fake.Wrong{Row: 1, Col: 1, Add: 100}
	if _, _, err := watch(t.Context(), wrong, gpu(), func(event.Event) {}); !errors.Is(err, fault.Wrong) {
		t.Errorf("%v", err)
	}
}

// Ctrl-C keeps what was measured.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, _, err := watch(ctx, gpu(), gpu(), func(e event.Event) {
		if e.Type == event.TypeCheck {
			cancel()
		}
	})
	if err != nil || !r.Interrupted || len(r.Ladder.Rungs) == len(ptx.Ladder)-1 {
		t.Errorf("%+v, %v", r, err)
	}
}
