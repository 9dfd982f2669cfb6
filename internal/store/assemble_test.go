package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/train"
)

// A journal that ends anywhere gives what it has, and a whole one the record itself.
func TestAssemble(t *testing.T) {
	r := race()
	var all []event.Event
	tell(r, func(e event.Event) { all = append(all, e) })
	first := len(r.Results[0].Samples)
	for n := 0; n <= len(all); n++ {
		if n%4 != 0 && n < len(all)-len(r.Results)-2 { // one sample is like another
			continue
		}
		dir := t.TempDir()
		told, finished := map[string]int{}, map[string]bool{}
		journal(t, dir, r, "before", func(each func(event.Event)) {
			for _, e := range all[:n] {
				each(e)
				switch e.Data.(type) {
				case bench.Sample:
					told[e.Lane]++
				case *bench.Result:
					finished[e.Lane] = true
				}
			}
		})
		if len(told) == 0 {
			if _, total, err := opened(t, dir).List(Filter{}); total != 0 || err != nil {
				t.Errorf("%d events without a sample came to %d runs, %v", n, total, err)
			}
			continue
		}
		got, e := only(t, dir)
		if e.Tag != "before" || e.Origin != "" || got.ID != r.ID {
			t.Fatalf("%+v", e)
		}
		if n == len(all) {
			if d := cmp.Diff(r, got); d != "" {
				t.Errorf("a whole journal (-told +kept):\n%s", d)
			}
			continue
		}
		if !got.Interrupted || got.Machine.CPU != r.Machine.CPU || got.Elapsed == 0 {
			t.Errorf("%d events: %+v", n, got)
		}
		for _, x := range got.Results {
			if len(x.Samples) != told[x.Lane] {
				t.Errorf("%d events: %s has %d samples of %d", n, x.Lane, len(x.Samples), told[x.Lane])
			}
			if x.Verified() != finished[x.Lane] || x.Has(measure.Interrupted) == finished[x.Lane] {
				t.Errorf("%d events: %s is verified: %v, %v", n, x.Lane, x.Verified(), x.Warnings)
			}
		}
	}
	if first == 0 {
		t.Fatal("no samples")
	}
}

// What is not measured in lanes side by side is kept as far as it was told: the steps of a
// run, and the results of a lane that is measured again and again.
func TestAssembleSteps(t *testing.T) {
	for _, r := range []*record.Run{victims[1](), victims[2]()} {
		var all []event.Event
		tell(r, func(e event.Event) { all = append(all, e) })
		told, whole := 0, 0
		for i, e := range all[:len(all)-1] {
			switch d := e.Data.(type) {
			case record.Opened:
				told = figures(d.Run)
			case bench.Sample:
				told++
			case *bench.Result:
				whole++
			case event.Progress: // no journal has it
				continue
			}
			dir := t.TempDir()
			journal(t, dir, r, "", func(each func(event.Event)) {
				for _, e := range all[:i+1] {
					each(e)
				}
			})
			if told == 0 {
				if _, total, err := opened(t, dir).List(Filter{}); total != 0 || err != nil {
					t.Errorf("event %d: %d runs without a figure, %v", i, total, err)
				}
				continue
			}
			got, _ := only(t, dir)
			if n := figures(got); n != told || !got.Interrupted || got.Elapsed == 0 {
				t.Errorf("event %d: %d figures of %d, interrupted: %v, after %s", i, n, told, got.Interrupted, got.Elapsed)
			}
			if got.Noise == nil {
				continue
			}
			if d := cmp.Diff(r.Noise.Results[:whole], got.Noise.Results[:whole]); d != "" {
				t.Errorf("event %d: a result that was told (-told +kept):\n%s", i, d)
			}
			for _, x := range got.Noise.Results[whole:] {
				if x.Verified() || !x.Has(measure.Interrupted) {
					t.Errorf("event %d: the result in flight is verified: %v, %v", i, x.Verified(), x.Warnings)
				}
			}
		}
	}
}

// Rounds of a language model and steps of a training are kept too.
func TestAssembleOthers(t *testing.T) {
	for name, r := range recordtest.Tokens() {
		if !r.Measured() {
			continue
		}
		r.ID = record.NewID()
		dir := t.TempDir()
		journal(t, dir, r, "", func(each func(event.Event)) {
			emit := func(lane string, d event.Data) {
				each(event.Event{Run: r.ID, Seq: 1, At: time.Second, Lane: lane, Type: d.EventType(), Data: d})
			}
			head, tokens := *r, *r.Tokens
			tokens.Results = []*llm.Result{}
			head.Tokens = &tokens
			emit("", record.Opened{Run: &head})
			for _, x := range r.Tokens.Results {
				emit(x.Lane, event.Lane{Name: x.Name, Engine: x.Runtime})
				emit(x.Lane, llm.Loaded{Model: r.Tokens.Model.Name, Settings: x.Settings, Facts: x.Facts})
				for _, s := range x.Samples {
					emit(x.Lane, s)
				}
			}
		})
		got, _ := only(t, dir)
		for i, x := range got.Tokens.Results {
			want := r.Tokens.Results[i]
			if d := cmp.Diff(want.Samples, x.Samples); d != "" || x.Name != want.Name || x.Runtime != want.Runtime || !x.Has(measure.Interrupted) || !cmp.Equal(x.Facts, want.Facts) {
				t.Errorf("%s, %s: %+v\n%s", name, x.Lane, x, d)
			}
		}
	}
	for name, r := range recordtest.Trainings() {
		if r.Training == nil || len(r.Training.Result.Steps) == 0 {
			continue
		}
		r.ID = record.NewID()
		dir := t.TempDir()
		journal(t, dir, r, "", func(each func(event.Event)) {
			emit := func(d event.Data) {
				each(event.Event{Run: r.ID, Seq: 1, At: time.Second, Lane: "torch/cpu", Type: d.EventType(), Data: d})
			}
			head, training := *r, *r.Training
			training.Result = train.Result{Steps: []train.Step{}, End: train.Interrupted}
			head.Training = &training
			emit(record.Opened{Run: &head})
			emit(train.Planned{Plan: *r.Training.Result.Plan, Estimate: r.Training.Result.Estimate})
			for _, s := range r.Training.Result.Steps {
				emit(s)
			}
		})
		got, _ := only(t, dir)
		want := r.Training.Result
		if d := cmp.Diff(want.Steps, got.Training.Result.Steps); d != "" || !cmp.Equal(got.Training.Result.Plan, want.Plan) || got.Training.Result.End != train.Interrupted || !got.Interrupted {
			t.Errorf("%s:\n%s", name, d)
		}
	}
}
