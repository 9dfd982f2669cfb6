package train

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/lab/labtest"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/lora"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/model/modeltest"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/train"
)

// fakeModel learns at once; package train's tests have one that takes its time.
type fakeModel struct {
	fails bool
	step  func() // if not nil, is called before an iteration
}

func (fakeModel) Facts() llm.Facts {
	return llm.Facts{Device: hardware.Device{ID: "cpu", Kind: hardware.CPU}, Runtime: "fake 1"}
}
func (fakeModel) About() llm.About { return llm.About{Layers: 4, Parameters: 100} }
func (fakeModel) Close() error     { return nil }

func (fakeModel) Generate(_ context.Context, r llm.Request, each func(llm.Piece)) (llm.Generation, error) {
	each(llm.Piece{Text: "I see."})
	return llm.Generation{Text: "I see."}, nil
}

func (fakeModel) Tune(context.Context, train.Settings) (train.Plan, error) {
	return train.Plan{Rows: 2, Longest: 9, Padded: 9, Layers: 2}, nil
}

func (m fakeModel) Train(ctx context.Context, iters int, _ time.Duration, each func(train.Step)) (train.Trained, bool, error) {
	for i := 1; i <= iters && ctx.Err() == nil; i++ {
		if m.step != nil {
			m.step()
		}
		loss := 1 / float64(i)
		each(train.Step{Iteration: i, Loss: &loss})
		each(train.Step{Saved: i})
		if m.fails {
			return train.Trained{Iterations: i}, false, fault.Errorf(fault.Crashed, "the worker is gone")
		}
	}
	return train.Trained{Iterations: iters}, ctx.Err() != nil, nil
}

// run teaches a fake model and returns the record with the events.
func run(ctx context.Context, m fakeModel) (*record.Run, []event.Event) {
	var events []event.Event
	s := event.NewStream("r1", nil)
	s.Subscribe(func(e event.Event) { events = append(events, e) })
	d := lab.Deps{Program: record.Program{Version: "1"}}
	r := d.Begin(ctx, s, record.Finetune)
	loaded := &lab.Loaded{Model: m, Facts: m.Facts(), Lane: "fake/cpu"}
	j := train.Job{
		Data: train.Data{Form: train.Text, Rows: 2, Prompt: "What is it?"}, Iters: 3, Tokens: 4,
		Settings: train.Settings{Batch: 1, Rank: 2, Adapter: "/adapters", State: map[string]any{"schema": "x"}},
	}
	teach(ctx, s, r, loaded, model.Model{Path: "/m", Name: "M"}, j)
	r = d.Finish(ctx, s, r)
	s.Close()
	return r, events
}

// What a training tells is what its record holds, and the record is read back as it is.
func TestTeach(t *testing.T) {
	r, events := run(t.Context(), fakeModel{})
	tr := r.Training
	if r.Error != nil || tr.Model != "/m" || tr.Name != "M" || tr.Iters != 3 || tr.Result.End != train.Complete || tr.Result.Prompt != "What is it?" || tr.Facts.Runtime != "fake 1" {
		t.Errorf("error %v, %+v", r.Error, tr)
	}
	var steps []train.Step
	for _, e := range events {
		if s, ok := e.Data.(train.Step); ok {
			steps = append(steps, s)
			if e.Lane != "fake/cpu" {
				t.Errorf("a step in lane %q", e.Lane)
			}
		}
	}
	if d := cmp.Diff(tr.Result.Steps, steps); d != "" || len(steps) != 6 {
		t.Errorf("%d steps, in the record and told: %s", len(steps), d)
	}
	if events[0].Type != event.TypeBegin || events[len(events)-1].Data != event.Data(r) {
		t.Errorf("the stream begins with %s and ends with %s", events[0].Type, events[len(events)-1].Type)
	}
	labtest.ReadsBack(t, r)
}

// What was trained before an error, or before the user ended it, is in the record.
func TestTeachKeepsWhatThereIs(t *testing.T) {
	r, _ := run(t.Context(), fakeModel{fails: true})
	if !errors.Is(r.Error, fault.Crashed) || r.Training.Result.Saved != 1 || r.Training.Result.End != train.Failed || r.Interrupted {
		t.Errorf("error %v, %+v", r.Error, r.Training.Result)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, _ = run(ctx, fakeModel{step: cancel})
	if r.Error != nil || !r.Interrupted || r.Training.Result.Saved != 1 || r.Training.Result.End != train.Interrupted {
		t.Errorf("interrupted: error %v, %+v", r.Error, r.Training.Result)
	}
}

func options(t *testing.T) Options {
	return Options{
		Language: lab.Language{Model: model.Model{Path: "/m", Bytes: 1000, Chat: false}},
		Adapter:  filepath.Join(t.TempDir(), "adapters"),
		Iters:    3, Batch: 2, Layers: 16, Rank: 8, LR: 1e-4, Scale: 20, MaxLength: 512, SaveEvery: 20, EvalEvery: 20, Tokens: 40,
	}
}

func TestCheck(t *testing.T) {
	if err := options(t).Check(); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*Options){
		"iters 0: at least 1":                 func(o *Options) { o.Iters = 0 },
		"layers -1: at least 0":               func(o *Options) { o.Layers = -1 },
		"max-length 1: at least 2":            func(o *Options) { o.MaxLength = 1 },
		"lr 2: more than 0, at most 1":        func(o *Options) { o.LR = 2 },
		"scale 0: more than 0, at most 10000": func(o *Options) { o.Scale = 0 },
		"dropout 1: at least 0, less than 1":  func(o *Options) { o.Dropout = 1 },
		"no folder for the adapter":           func(o *Options) { o.Adapter = "" },
		"-1 threads: at least 1 is needed":    func(o *Options) { o.Threads = -1 },
		"torch cannot cut weights to 4 bits: mlx alone can": func(o *Options) {
			o.QLoRA, o.Framework = true, "torch"
		},
	} {
		o := options(t)
		change(&o)
		err := o.Check()
		if !errors.Is(err, fault.Invalid) || err.Error() != says || len(fault.From(err).Remedies) == 0 {
			t.Errorf("error %v, want %s", err, says)
		}
		if _, err := Run(t.Context(), lab.Deps{}, o, event.NewStream("r1", nil)); err == nil || err.Error() != says {
			t.Errorf("Run: error %v, want %s", err, says)
		}
	}
}

func TestRows(t *testing.T) {
	o := options(t)
	rows, remove, err := o.rows()
	if err != nil || rows.Data.Rows != 40 || rows.Folder != "" {
		t.Errorf("built in: %+v, %v", rows, err)
	}
	if _, err := os.Stat(rows.Train); err != nil {
		t.Error(err)
	}
	remove()
	if _, err := os.Stat(rows.Train); err == nil {
		t.Errorf("%s is left behind", rows.Train)
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "train.jsonl")
	if err := os.WriteFile(file, []byte(`{"text": "a b"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for data, says := range map[string]string{
		folder:                        "",
		filepath.Join(folder, "none"): "none: no such file",
		file:                          "it is a file, not a folder with train.jsonl",
		t.TempDir():                   "there is no train.jsonl",
	} {
		o.Data = data
		_, remove, err := o.rows()
		remove()
		if (err != nil) != (says != "") || err != nil && (!errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) || len(fault.From(err).Remedies) == 0) {
			t.Errorf("%s: %v, want %s", data, err, says)
		}
	}
}

// begun writes the adapter of an earlier training.
func begun(t *testing.T, folder string, s lora.State) {
	t.Helper()
	text, err := json.Marshal(s)
	if err := errors.Join(err, os.MkdirAll(folder, 0o755), os.WriteFile(filepath.Join(folder, "gpuplay.json"), text, 0o644),
		os.WriteFile(filepath.Join(folder, "adapters.safetensors"), modeltest.Safetensors(nil, 0), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// A new adapter is made as chosen; one that is continued as it was begun.
func TestSettings(t *testing.T) {
	rows := lora.Rows{Data: train.Data{Rows: 2}, Train: "/rows/train.jsonl"}
	o := options(t)
	o.QLoRA = true
	s, state, err := o.settings(rows)
	if err != nil || s.Resume || s.Rank != 8 || s.Train != rows.Train || state.Bits != 4 {
		t.Errorf("a new one: %+v, %+v, %v", s, state, err)
	}
	if name, err := o.framework(); name != model.MLX || err != nil {
		t.Errorf("cut weights: %q, %v", name, err)
	}
	weights := func(value byte) model.Model {
		m := model.Model{Path: t.TempDir(), Format: model.Safetensors, Bytes: 1000}
		file := modeltest.Safetensors([]modeltest.Tensor{{Name: "a.weight", Shape: []uint64{4, 4}}}, value)
		if err := os.WriteFile(filepath.Join(m.Path, "model.safetensors"), file, 0o644); err != nil {
			t.Fatal(err)
		}
		return m
	}
	o.Model = weights(1)
	base, err := model.Fingerprint(o.Model.Path)
	if err != nil {
		t.Fatal(err)
	}
	state = lora.State{Schema: lora.StateSchema, Runtime: "mlx_lm", Model: "/m", Weights: 1000, Base: base, Iterations: 7, Layers: 2, Rank: 4, Scale: 10}
	begun(t, o.Adapter, state)
	if _, _, err = o.settings(rows); err == nil || !strings.Contains(err.Error(), "holds an adapter already") {
		t.Errorf("a new one where one is: %v", err)
	}
	o.QLoRA, o.Resume = false, true
	o.Chosen = []string{"iters", "rank"}
	o.Rank = 4
	s, got, err := o.settings(rows)
	if err != nil || !s.Resume || s.From != 7 || s.Rank != 4 || s.Layers != 2 || s.Scale != 10 || got != state {
		t.Errorf("continued: %+v, %+v, %v", s, got, err)
	}
	for asked, says := range map[string]string{"": "", "mlx": "", "torch": "was made with mlx"} {
		o.Framework = asked
		if name, err := o.framework(); (err != nil) != (says != "") || err == nil && name != "mlx" || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("asked for %q: %q, %v", asked, name, err)
		}
	}
	another := o
	another.Model = weights(2)
	if _, _, err := another.settings(rows); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), o.Adapter+" was trained on the weights of /m (sha256:") {
		t.Errorf("other weights: error %v", err)
	}
	for says, change := range map[string]func(*Options){
		"batch 3: there are only 2 rows":                       func(o *Options) { o.Batch = 3 },
		"rank 8: " + o.Adapter + " was begun with 4":           func(o *Options) { o.Rank, o.Chosen = 8, []string{"rank"} },
		"qlora true: " + o.Adapter + " was begun with false":   func(o *Options) { o.QLoRA, o.Chosen = true, []string{"qlora"} },
		"dropout 0.5: " + o.Adapter + " was begun with 0":      func(o *Options) { o.Dropout, o.Chosen = 0.5, []string{"dropout"} },
		"/nowhere has no adapter to continue: no gpuplay.json": func(o *Options) { o.Adapter = "/nowhere" },
	} {
		o := o
		change(&o)
		_, _, err := o.settings(rows)
		if !errors.Is(err, fault.Invalid) || err.Error() != says || len(fault.From(err).Remedies) == 0 {
			t.Errorf("error %v, want %s", err, says)
		}
	}
}

// The energy of a training is that of the tokens learned between two iterations.
func TestUse(t *testing.T) {
	loss := 1.0
	steps := []train.Step{{Validation: &loss, At: time.Second}, {Iteration: 1, Loss: &loss, Tokens: 100, At: 3 * time.Second}, {Iteration: 2, Loss: &loss, Tokens: 250, At: 8 * time.Second}, {Saved: 2, At: 9 * time.Second}}
	if u := use(steps); len(u.Windows) != 1 || u.Windows[0] != (measure.Window{Start: 3 * time.Second, End: 8 * time.Second, Work: 150}) {
		t.Errorf("%+v", u)
	}
	if u := use(steps[:2]); u.Windows != nil {
		t.Errorf("one iteration: %+v", u)
	}
}
