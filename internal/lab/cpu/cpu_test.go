package cpu

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/lab/labtest"
	"github.com/gpuplay/gpuplay/internal/record"
)

var deps = lab.Deps{Program: record.Program{Version: "1"}}

// watch runs a lab and returns what it told.
func watch(f func(s *event.Stream) (*record.Run, error), each func(event.Event)) (*record.Run, []event.Event, error) {
	var events []event.Event
	s := event.NewStream("r1", nil)
	s.Subscribe(func(e event.Event) {
		events = append(events, e)
		each(e)
	})
	r, err := f(s)
	s.Close()
	return r, events, err
}

// readBack fails the test unless a record is read as it was written.
func readBack(t *testing.T, r *record.Run) {
	t.Helper()
	labtest.ReadsBack(t, r)
}

// Each sample of a rung is told as it is in the record.
func TestClimb(t *testing.T) {
	r, events, err := watch(func(s *event.Stream) (*record.Run, error) {
		return Climb(t.Context(), deps, LadderOptions{Size: 48, Threads: 1}, s)
	}, func(event.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	told := map[string][]float64{}
	checks, steps := 0, 0
	var last time.Duration
	for _, e := range events {
		switch d := e.Data.(type) {
		case bench.Sample:
			told[e.Lane] = append(told[e.Lane], d.Wall.Seconds())
			if d.Start < last || d.End != d.Start+d.Wall || d.End > e.At || d.Iters != 1 {
				t.Errorf("%s: %+v, after %s, told at %s", e.Lane, d, last, e.At)
			}
			last = d.Start
		case record.Opened: // what would be left if the process were killed now
			if steps++; len(d.Ladder.Rungs) != steps || d.Machine.CPU != r.Machine.CPU {
				t.Errorf("after step %d: %+v", steps, d.Ladder)
			}
		case bench.Checked:
			checks++
			if !d.Passed {
				t.Errorf("%s: %+v", e.Lane, d)
			}
		case event.Size:
			if d != (event.Size{M: 48, N: 48, K: 48}) {
				t.Errorf("size %+v", d)
			}
		}
	}
	if r.Ladder.Size != 48 || len(r.Ladder.Rungs) != 6 || checks != 6 || steps != 6 || r.Kind != record.Learn {
		t.Fatalf("%d checks, %+v", checks, r.Ladder)
	}
	for _, rung := range r.Ladder.Rungs {
		lane := "learn/" + strings.ReplaceAll(rung.Name, " ", "-")
		if !slices.Equal(rung.Seconds, told[lane]) {
			t.Errorf("%s: %v in the record, %v told", rung.Name, rung.Seconds, told[lane])
		}
	}
	if events[0].Type != event.TypeBegin || events[len(events)-1].Data != event.Data(r) {
		t.Errorf("the stream begins with %s and ends with %s", events[0].Type, events[len(events)-1].Type)
	}
	readBack(t, r)
}

// Ctrl-C keeps the rungs until then.
func TestClimbInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, _, err := watch(func(s *event.Stream) (*record.Run, error) {
		return Climb(ctx, deps, LadderOptions{Size: 800, Threads: 1}, s)
	}, func(e event.Event) {
		if e.Type == event.TypeCheck {
			cancel()
		}
	})
	if err != nil || !r.Interrupted || len(r.Ladder.Rungs) == 0 || len(r.Ladder.Rungs) == 6 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestRefuses(t *testing.T) {
	d := deps
	d.Free = func() int64 { return 1000 }
	for says, f := range map[string]func(*event.Stream) (*record.Run, error){
		"threads: at least 1 and at most ": func(s *event.Stream) (*record.Run, error) {
			return Run(t.Context(), d, Options{Threads: runtime.NumCPU() + 1}, s)
		},
		"-1 threads: at least 1 and at most ": func(s *event.Stream) (*record.Run, error) {
			return Climb(t.Context(), d, LadderOptions{Threads: -1}, s)
		},
		"size 20000: at least 1, and at most 16384": func(s *event.Stream) (*record.Run, error) {
			return Climb(t.Context(), d, LadderOptions{Size: 20000}, s)
		},
		"three matrices of 100×100 take 120 kB: 1.00 kB of memory is free": func(s *event.Stream) (*record.Run, error) {
			return Climb(t.Context(), d, LadderOptions{Size: 100}, s)
		},
	} {
		r, _, err := watch(f, func(event.Event) {})
		if r != nil || err == nil || !strings.Contains(err.Error(), says) || len(fault.From(err).Remedies) == 0 || !errors.Is(err, fault.Invalid) && !errors.Is(err, fault.OutOfMemory) {
			t.Errorf("error %v, want %s", err, says)
		}
	}
}

// A run that is ended while it measures has what was measured until then.
func TestRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, events, err := watch(func(s *event.Stream) (*record.Run, error) {
		return Run(ctx, deps, Options{Threads: 1}, s)
	}, func(e event.Event) {
		if n, ok := e.Data.(event.Note); ok && n.Text == "measuring multiply-adds" {
			cancel()
		}
	})
	if err != nil || !r.Interrupted || r.CPU.Kernels == "" || len(r.CPU.Bandwidths) > 0 || r.CPU.Elapsed <= 0 || r.Kind != record.CPUs {
		t.Errorf("%+v, %v", r, err)
	}
	if runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64" {
		if len(r.CPU.Instructions) == 0 {
			t.Error("no instruction sets are known")
		}
	}
	clocks := 0
	for _, e := range events {
		if d, ok := e.Data.(record.Opened); ok && d.CPU != nil {
			clocks++
			if len(d.CPU.Clocks) != clocks || d.CPU.Elapsed <= 0 || d.CPU.Kernels == "" {
				t.Errorf("after figure %d: %+v", clocks, d.CPU)
			}
		}
	}
	if clocks != len(r.CPU.Clocks) {
		t.Errorf("%d of %d clocks were told", clocks, len(r.CPU.Clocks))
	}
	if last := events[len(events)-1]; last.Data != event.Data(r) {
		t.Errorf("the stream ends with %s", last.Type)
	}
	readBack(t, r)
}
