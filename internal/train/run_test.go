package train

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
)

// fakeModel is a model by a script; the tests of package framework train real ones.
type fakeModel struct {
	facts   llm.Facts
	about   llm.About
	plan    Plan
	fails   string                                   // the method that fails: "Generate", "Tune", "Train"
	asked   []llm.Request                            //
	trained int                                      // iterations
	each    func(ctx context.Context, iteration int) // is called before an iteration is told
	closed  bool                                     //
	tuned   Settings                                 //
}

var errBroken = fault.Errorf(fault.Crashed, "the worker is gone")

func (m *fakeModel) Facts() llm.Facts { return m.facts }
func (m *fakeModel) About() llm.About { return m.about }
func (m *fakeModel) Close() error     { m.closed = true; return nil }

func (m *fakeModel) Generate(_ context.Context, r llm.Request, each func(llm.Piece)) (llm.Generation, error) {
	m.asked = append(m.asked, r)
	text := fmt.Sprintf("after %d iterations", m.trained)
	for _, word := range strings.SplitAfter(text, " ") {
		each(llm.Piece{Text: word})
	}
	if m.fails == fmt.Sprintf("Generate %d", len(m.asked)) {
		return llm.Generation{Text: text}, errBroken
	}
	return llm.Generation{Text: text, Tokens: 3}, nil
}

func (m *fakeModel) Tune(_ context.Context, s Settings) (Plan, error) {
	m.tuned = s
	if m.fails == "Tune" {
		return Plan{}, errBroken
	}
	return m.plan, nil
}

// Train takes a second for an iteration, looks at rows that are not trained on every
// other iteration, and saves every third and at the end.
func (m *fakeModel) Train(ctx context.Context, iters int, _ time.Duration, each func(Step)) (Trained, bool, error) {
	from := m.tuned.From
	for i := from + 1; i <= from+iters; i++ {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			each(Step{Saved: i - 1})
			return Trained{Iterations: i - 1}, true, nil
		}
		if m.each != nil {
			m.each(ctx, i)
		}
		m.trained = i
		loss := 3 / float64(i)
		each(Step{Iteration: i, Loss: &loss, Speed: 100, Peak: int64(1000 + i)})
		if m.fails == "Train" && i == from+2 {
			return Trained{Iterations: i}, false, errBroken
		}
		if i%2 == 0 {
			each(Step{Iteration: i, Validation: &loss})
		}
		if i%3 == 0 || i == from+iters {
			each(Step{Saved: i})
		}
	}
	return Trained{Iterations: from + iters}, false, nil
}

// told is a sink that keeps what it is told.
type told struct {
	start  time.Time
	events []event.Event
}

func (s *told) Now() time.Duration { return time.Since(s.start) }

func (s *told) Emit(lane string, d event.Data) {
	s.events = append(s.events, event.Event{At: s.Now(), Lane: lane, Type: d.EventType(), Data: d})
}

// story is the events in a few words.
func (s *told) story() string {
	var words []string
	for _, e := range s.events {
		switch d := e.Data.(type) {
		case event.Phase:
			words = append(words, d.Phase+":")
		case llm.Asked:
			words = append(words, d.Prompt)
		case llm.Piece:
			words = append(words, strings.TrimSpace(d.Text))
		case Planned:
			words = append(words, "plan")
		case Step:
			switch {
			case d.Loss != nil:
				words = append(words, fmt.Sprint("step ", d.Iteration))
			case d.Validation != nil:
				words = append(words, fmt.Sprint("held ", d.Iteration))
			default:
				words = append(words, fmt.Sprint("saved ", d.Saved))
			}
		}
	}
	return strings.Join(words, " ")
}

func newModel() *fakeModel {
	return &fakeModel{
		facts: llm.Facts{Device: hardware.Device{Kind: hardware.CPU, API: "cpu"}},
		about: llm.About{Bytes: 1000, DType: "float32", Hidden: 10, Heads: 2, Vocabulary: 100, Layers: 4},
		plan:  Plan{Rows: 40, Longest: 18, Padded: 20, Trainable: 50, Layers: 3},
	}
}

func newJob() Job {
	return Job{
		Data: Data{Form: Text, Rows: 40, Held: 4}, Settings: Settings{Batch: 2, Rank: 4}, Iters: 4,
		Prompt: "Why?", Tokens: 16, Floor: 1000, Free: func() int64 { return 1 << 40 },
	}
}

// run trains on virtual time.
func run(t *testing.T, m *fakeModel, j Job, then func(r Result, err error, sink *told)) {
	t.Helper()
	runUntil(t, m, j, func(context.CancelFunc) {}, then)
}

func runUntil(t *testing.T, m *fakeModel, j Job, prepare func(context.CancelFunc), then func(r Result, err error, sink *told)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		prepare(cancel)
		sink := &told{start: time.Now()}
		r, err := Run(ctx, m, j, "lane", sink)
		then(r, err, sink)
	})
}

// A training from end to end: what is told is what comes back, in order.
func TestRun(t *testing.T) {
	m, j := newModel(), newJob()
	run(t, m, j, func(r Result, err error, sink *told) {
		losses, first := r.Losses()
		if err != nil || r.End != Complete || len(losses) != 4 || first != 1 || r.Saved != 4 || r.Wall != 4*time.Second || r.Peak != 1004 {
			t.Errorf("error %v, %+v", err, r)
		}
		if r.Prompt != "Why?" || r.Before != "after 0 iterations" || r.After != "after 4 iterations" {
			t.Errorf("asked %q, before %q, after %q", r.Prompt, r.Before, r.After)
		}
		const want = "asking before the training: Why? after 0 iterations plan training: " +
			"step 1 step 2 held 2 step 3 saved 3 step 4 held 4 saved 4 asking after the training: Why? after 4 iterations"
		if got := sink.story(); got != want {
			t.Errorf("told\n%s\nwant\n%s", got, want)
		}
		var steps []Step
		for _, e := range sink.events {
			if e.Lane != "lane" {
				t.Errorf("%s in lane %q", e.Type, e.Lane)
			}
			switch d := e.Data.(type) {
			case Step:
				steps = append(steps, d)
			case Planned:
				want := Planned{Plan: m.plan, Estimate: r.Estimate, Free: 1 << 40, Data: j.Data, Settings: j.Settings, Iters: 4}
				if diff := cmp.Diff(want, d); diff != "" {
					t.Error(diff)
				}
			}
		}
		if diff := cmp.Diff(r.Steps, steps); diff != "" {
			t.Errorf("steps returned and told: %s", diff)
		}
		if at := steps[0].At; at != time.Second {
			t.Errorf("the first step at %s", at)
		}
		if m.asked[0] != (llm.Request{Prompt: "Why?", Tokens: 16}) || m.asked[1] != m.asked[0] {
			t.Errorf("asked %+v", m.asked)
		}
	})
}

// Rows of a chat are learned with the model's template, so it is asked with it too.
func TestRunAsksAsItLearns(t *testing.T) {
	for form, chat := range map[Form]bool{Text: false, Completion: true, Chat: true} {
		m, j := newModel(), newJob()
		j.Data.Form = form
		run(t, m, j, func(Result, error, *told) {
			if m.asked[0].Chat != chat {
				t.Errorf("%s: asked with the template: %v", form, m.asked[0].Chat)
			}
		})
	}
}

// What memory does not hold is refused before it is trained.
func TestRunRefuses(t *testing.T) {
	memory := int64(50_000)
	for name, tt := range map[string]struct {
		free   int64
		device hardware.Device
		says   string // "": it is trained
	}{
		"too little":             {10_000, hardware.Device{Kind: hardware.CPU}, "the training takes about 194 kB in addition to the weights, 9.00 kB is available"},
		"not known":              {0, hardware.Device{Kind: hardware.CPU}, ""},
		"a GPU's own":            {10_000, hardware.Device{Kind: hardware.GPU, API: "cuda", Memory: &memory}, "the training takes about 194 kB in addition to the weights, 49.0 kB is available"},
		"Apple's, which is both": {1 << 40, hardware.Device{Kind: hardware.GPU, API: "mps", Memory: &memory}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, j := newModel(), newJob()
			m.facts.Device = tt.device
			j.Free = func() int64 { return tt.free }
			run(t, m, j, func(r Result, err error, sink *told) {
				if tt.says == "" {
					if err != nil || r.End != Complete {
						t.Errorf("error %v, %s", err, r.End)
					}
					return
				}
				if !errors.Is(err, fault.OutOfMemory) || err.Error() != tt.says || r.End != Failed || len(r.Steps) > 0 || r.Before == "" || m.trained > 0 {
					t.Errorf("error %v, %+v", err, r)
				}
				if got, want := fault.From(err).Remedies.String(), "a smaller batch; fewer layers; a smaller max-length"; got != want {
					t.Errorf("remedies %q, want %q", got, want)
				}
				if !strings.HasSuffix(sink.story(), "plan") {
					t.Errorf("told %s, want the plan last", sink.story())
				}
			})
		})
	}
}

// A training ends before the machine swaps, and keeps what was saved.
func TestRunWatchesMemory(t *testing.T) {
	m, j := newModel(), newJob()
	j.Iters = 1_000_000
	var low atomic.Bool
	m.each = func(_ context.Context, iteration int) { low.Store(iteration >= 3) }
	j.Free = func() int64 {
		if low.Load() {
			return 5
		}
		return 1 << 40
	}
	run(t, m, j, func(r Result, err error, _ *told) {
		if !errors.Is(err, fault.OutOfMemory) || r.End != LowMemory || r.Saved != 3 || r.After != "" {
			t.Errorf("error %v, %s after %d steps, saved %d", err, r.End, len(r.Steps), r.Saved)
		}
		if want := "stopped before the machine swaps: 5.00 B of memory is free, less than 1.00 kB; the adapter of iteration 3 is saved"; err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
		if got := fault.From(err).Remedies.String(); !strings.HasSuffix(got, "; resume continues it") {
			t.Errorf("remedies %q", got)
		}
	})
}

func TestRunInterrupted(t *testing.T) {
	m, j := newModel(), newJob()
	j.Iters = 1_000_000
	runUntil(t, m, j, func(cancel context.CancelFunc) {
		m.each = func(_ context.Context, iteration int) {
			if iteration == 2 {
				cancel()
			}
		}
	}, func(r Result, err error, _ *told) {
		if r.End != Interrupted || r.Saved != 2 || err != nil || len(r.Steps) == 0 || len(m.asked) != 1 {
			t.Errorf("error %v, %s after %d steps, saved %d, asked %d times", err, r.End, len(r.Steps), r.Saved, len(m.asked))
		}
	})
}

// Whatever fails keeps what there is.
func TestRunFails(t *testing.T) {
	for fails, tt := range map[string]struct {
		says  string
		steps int
	}{
		"Generate 1": {"asking before the training: the worker is gone", 0},
		"Tune":       {"the worker is gone", 0},
		"Train":      {"the worker is gone", 2},
		"Generate 2": {"asking after the training: the worker is gone", 4},
	} {
		m, j := newModel(), newJob()
		m.fails = fails
		run(t, m, j, func(r Result, err error, _ *told) {
			losses, _ := r.Losses()
			if !errors.Is(err, fault.Crashed) || err.Error() != tt.says || r.End != Failed || len(losses) != tt.steps || r.Before == "" {
				t.Errorf("%s: error %v, %s after %d steps, before %q", fails, err, r.End, len(losses), r.Before)
			}
		})
	}
}

func TestEstimate(t *testing.T) {
	about := newModel().about
	plan := newModel().plan
	// weights + 16·50 + 3·40·(34·10 + 5·2·20)·2 + 40·100·16
	if got, want := Estimate(about, plan, 2), int64(1000+800+129600+64000); got != want {
		t.Errorf("estimate %d, want %d", got, want)
	}
	plan.Padded = 10
	if half := Estimate(about, plan, 2); half >= 195400 {
		t.Errorf("shorter rows take %d, no less", half)
	}
}

func TestFloor(t *testing.T) {
	for total, want := range map[int64]int64{0: 256 << 20, 8 << 30: 512 << 20, 128 << 30: 2 << 30} {
		if got := Floor(total); got != want {
			t.Errorf("floor of %d: %d, want %d", total, got, want)
		}
	}
}

func TestLosses(t *testing.T) {
	one, two := 3.0, 2.0
	r := Result{Steps: []Step{{Validation: &one}, {Iteration: 7, Loss: &one}, {Saved: 7}, {Iteration: 8, Loss: &two}}}
	losses, first := r.Losses()
	if diff := cmp.Diff([]float64{3, 2}, losses); diff != "" || first != 7 {
		t.Errorf("from %d: %s", first, diff)
	}
}
