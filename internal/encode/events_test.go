package encode

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/train"
)

func pointer[T any](x T) *T { return &x }

// payloads are what events carry, with all that they can have.
var payloads = []struct {
	lane string
	data event.Data
}{
	{"", event.Begin{Schema: event.Schema, Kind: string(record.Race), Command: []string{"gpuplay", "race", "--size", "4096"}}},
	{"", record.Opened{Run: &record.Run{Schema: record.Schema, ID: "r1", Kind: record.Race, Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Threads: 4}}},
	{"cuda/0", event.Lane{Name: "CUDA 13.1", Engine: "cuda", Device: "NVIDIA H100", Card: pointer(0), Op: "FLOP"}},
	{"cuda/0", bench.Prepared{
		Lane: "cuda/0", Engine: "cuda", Device: hardware.Device{ID: "GPU-1", Name: "NVIDIA H100", Kind: hardware.GPU}, GEMM: bench.Square(4096, matrix.Float32),
		Protocol: bench.Steady, Facts: bench.Facts{Peak: pointer(60e12)}, Prepare: time.Second, Samples: []bench.Sample{},
	}},
	{"cuda/0", event.Phase{Phase: "preparing"}},
	{"cuda/0", event.Size{M: 4096, N: 4096, K: 4096}},
	{"cuda/0", bench.Tuning{Done: 3, Total: 20, Variant: "128×256", Speed: 50e12, Best: 51e12}},
	{"cuda/0", bench.Checked{Check: matrix.Check{Passed: true, Error: pointer(1.2e-7), Bound: 2.4e-6, Arithmetic: "float32"}}},
	{"cuda/0", bench.Sample{Iters: 8, Wall: 21 * time.Millisecond, Device: pointer(20 * time.Millisecond), Start: time.Second, End: 1021 * time.Millisecond}},
	{"cuda/0", event.Progress{Done: 1, Total: 10, Speed: 52.3e12}},
	{"", event.Note{Text: "<b>starting</b> & measuring\x1b[1m", Transient: true}},
	{"cuda/0", &bench.Result{
		Lane: "cuda/0", Engine: "cuda", Device: hardware.Device{ID: "GPU-1", Name: "NVIDIA H100", Kind: hardware.GPU, Memory: pointer(int64(80e9))}, GEMM: bench.Square(4096, matrix.Float32),
		Facts: bench.Facts{Peak: pointer(60e12)}, Samples: []bench.Sample{{Iters: 8, Wall: 21 * time.Millisecond}}, Warnings: measure.Warnings{{Code: measure.Noise, Text: "noisy"}},
		Error: fault.Errorf(fault.OutOfMemory, "too big").With(fault.Set("size", 8192, "the largest size that fits")), Stage: bench.Preparing,
	}},
	{"gpu", llm.Loaded{Model: "gemma", Settings: llm.Settings{Layers: 99}, Facts: llm.Facts{Runtime: "llama.cpp b11434", Load: time.Second, Layers: pointer(19)}, About: &llm.About{Parameters: 268e6}}},
	{"gpu", llm.Asked{Prompt: "Say hello.", Chat: true}},
	{"gpu", llm.Piece{Text: "Hei ", At: 12 * time.Millisecond}},
	{"gpu", llm.Sample{First: 12 * time.Millisecond, Tokens: 64, TokenTime: time.Second, PromptTokens: 512, PromptTime: time.Second}},
	{"gpu", llm.Check{Base: "CPU", Agree: 3, Of: 64, Difference: &llm.Difference{At: 3, Base: "a", Lane: "b", BaseLogProb: pointer(-0.1)}, Passed: true}},
	{"gpu", &llm.Result{Lane: "gpu", Name: "GPU", Samples: []llm.Sample{{Tokens: 64}}}},
	{"torch", train.Planned{Plan: train.Plan{Rows: 40, Trainable: 1.2e6}, Estimate: 2.8e9, Free: 64e9, Iters: 40}},
	{"torch", train.Step{Iteration: 1, Loss: pointer(2.5), LR: 1e-4, Speed: 108, Tokens: 240, Peak: 2.8e9, At: time.Second}},
	{"torch", train.Step{Saved: 10}},
	{"", &record.Run{Schema: record.Schema, ID: "r1", Kind: record.Race, Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Command: []string{"gpuplay"}}},
	{"", event.Dropped{Count: 3}},
}

// eventLines returns what Events writes of events, line by line.
func eventLines(t *testing.T, text []byte) []map[string]any {
	t.Helper()
	var list []map[string]any
	for line := range strings.Lines(string(text)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("%q: %v", line, err)
		}
		list = append(list, m)
	}
	return list
}

// Events of all types come through a stream as lines, and with them the record, whole.
// That the published schema describes them is tested with the other schemas.
func TestEvents(t *testing.T) {
	var out bytes.Buffer
	each, failed := Events(&out)
	at := time.Duration(0)
	s := event.NewStream("r1", func() time.Duration { at += time.Millisecond; return at })
	s.Subscribe(each)
	for _, p := range payloads {
		s.Emit(p.lane, p.data)
	}
	s.Close()
	if err := failed(); err != nil {
		t.Fatal(err)
	}
	list := eventLines(t, out.Bytes())
	if len(list) != len(payloads) {
		t.Fatalf("%d lines of %d events", len(list), len(payloads))
	}
	for i, line := range list {
		p := payloads[i]
		text, err := json.Marshal(p.data)
		if err != nil {
			t.Fatal(err)
		}
		var data any
		if err := json.Unmarshal(text, &data); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"run": "r1", "seq": float64(i + 1), "at_ns": float64(i+1) * 1e6, "type": string(p.data.EventType()), "data": data}
		if p.lane != "" {
			want["lane"] = p.lane
		}
		if d := cmp.Diff(want, line); d != "" {
			t.Errorf("%s (-want +got):\n%s", p.data.EventType(), d)
		}
	}
	if bytes.Contains(out.Bytes(), []byte(`\u003c`)) {
		t.Error("HTML is escaped")
	}
	var whole bytes.Buffer
	if err := record.Write(&whole, payloads[len(payloads)-2].data.(*record.Run)); err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSuffix(whole.String(), "\n"); !strings.Contains(out.String(), `"type":"record","data":`+want+"}\n") {
		t.Errorf("the record is not written as %s", want)
	}
}

// A loss that is no number, and a speed of products that took no time, are null; they
// do not end the stream, and the payload stays as it was.
func TestEventsWithoutNumbers(t *testing.T) {
	diverged := train.Step{Iteration: 7, Loss: pointer(math.NaN()), Speed: math.Inf(1)}
	run := &record.Run{
		Schema: record.Schema, ID: "r1", Kind: record.Finetune, Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Results:  []*bench.Result{{GEMM: bench.Square(64, matrix.Float32), Facts: bench.Facts{Peak: pointer(math.Inf(-1))}, Samples: []bench.Sample{}}},
		Training: &record.Training{Result: train.Result{Steps: []train.Step{diverged}}},
	}
	run.Training.Settings.State = map[string]any{"scale": math.NaN(), "rank": 8}
	var out bytes.Buffer
	each, failed := Events(&out)
	for i, d := range []event.Data{diverged, event.Progress{Done: 1, Total: 2, Speed: math.Inf(1)}, run, event.Note{Text: "and so on"}} {
		each(event.Event{Run: "r1", Seq: uint64(i + 1), Type: d.EventType(), Data: d})
	}
	if err := failed(); err != nil {
		t.Fatal(err)
	}
	list := eventLines(t, out.Bytes())
	if len(list) != 4 {
		t.Fatalf("%d lines", len(list))
	}
	if err := compile(t, "event.schema.json").Validate(list[1]); err != nil {
		t.Errorf("the schema refuses it: %v", err)
	}
	if step := list[0]["data"].(map[string]any); step["loss"] != nil || step["tokens_per_second"] != nil || step["iteration"] != 7.0 {
		t.Errorf("the step is %v", step)
	}
	if _, has := list[0]["data"].(map[string]any)["loss"]; !has {
		t.Error("a loss that is no number looks like none")
	}
	if p := list[1]["data"].(map[string]any); p["speed"] != nil || p["done"] != 1.0 {
		t.Errorf("the progress is %v", p)
	}
	got, err := json.Marshal(list[2]["data"])
	if err != nil {
		t.Fatal(err)
	}
	back, err := record.Parse(got)
	if err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	if !back.Created.Equal(run.Created) || back.Results[0].Facts.Peak != nil || back.Training.Result.Steps[0].Loss != nil || back.Training.Settings.State["rank"] != 8.0 {
		t.Errorf("the record is %s", got)
	}
	if !math.IsNaN(*diverged.Loss) || !math.IsInf(*run.Results[0].Facts.Peak, -1) || !math.IsNaN(run.Training.Settings.State["scale"].(float64)) {
		t.Error("the payload was changed")
	}
}

// pieces keeps what each write got and fails from the one on whose number is left.
type pieces struct {
	left   int
	writes []string
}

func (p *pieces) Write(text []byte) (int, error) {
	if p.left--; p.left < 0 {
		return 0, io.ErrClosedPipe
	}
	p.writes = append(p.writes, string(text))
	return len(text), nil
}

// Each line is one write. A reader that is gone ends the writing and nothing else.
func TestEventsToBrokenPipe(t *testing.T) {
	w := &pieces{left: 2}
	each, failed := Events(w)
	s := event.NewStream("r1", nil)
	s.Subscribe(each)
	for range 5 {
		s.Emit("", event.Note{Text: "on and on"})
	}
	s.Close()
	if err := failed(); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("it is told as %v", err)
	}
	if len(w.writes) != 2 || w.left != -1 {
		t.Errorf("%d lines written, and %d attempts after the end", len(w.writes), -1-w.left)
	}
	for _, text := range w.writes {
		eventLines(t, []byte(text))
	}
}

// unencodable is a payload that no JSON holds.
type unencodable struct{ F func() }

func (unencodable) EventType() event.Type { return event.TypeNote }

func TestEventsOfNoJSON(t *testing.T) {
	var out bytes.Buffer
	each, failed := Events(&out)
	each(event.Event{Data: unencodable{}})
	if failed() == nil || out.Len() > 0 {
		t.Errorf("%v, wrote %q", failed(), out.String())
	}
}
