package encode

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// JSON keeps a model's text as it came.
func TestJSONKeepsRawText(t *testing.T) {
	raw := "\x1b[2J\u202eHei\x00"
	r := recordtest.Language(recordtest.Lane(recordtest.LlamaCPU, 0, 40, 300, func(r *llm.Result) { r.Shown.Text = raw }))
	var back struct {
		Tokens struct {
			Results []struct{ Shown struct{ Text string } }
		}
	}
	if err := json.Unmarshal(encoded(t, r, "json"), &back); err != nil {
		t.Fatal(err)
	}
	if got := back.Tokens.Results[0].Shown.Text; got != raw {
		t.Errorf("text %q, want %q", got, raw)
	}
}

// One line per lane, whatever became of it.
func TestTokenLines(t *testing.T) {
	for name, r := range recordtest.Tokens() {
		for format, head := range map[string]int{"line": 0, "jsonl": 0, "csv": 1} {
			if got, want := bytes.Count(encoded(t, r, format), []byte("\n")), head+len(r.Tokens.Results); got != want {
				t.Errorf("%s.%s: %d lines, want %d", name, format, got, want)
			}
		}
	}
}

// A share of what the CPU can do is known of lanes on the CPU alone.
func TestTokenShares(t *testing.T) {
	var got struct {
		Tokens struct {
			Results []struct {
				Bandwidth *float64 `json:"bandwidth_share"`
				Peak      *float64 `json:"peak_share"`
			}
		}
	}
	if err := json.Unmarshal(encoded(t, recordtest.Tokens()["tokens.gpu"], "json"), &got); err != nil {
		t.Fatal(err)
	}
	cpu, gpu := got.Tokens.Results[0], got.Tokens.Results[1]
	if cpu.Bandwidth == nil || *cpu.Bandwidth < 0.46 || *cpu.Bandwidth > 0.48 || cpu.Peak == nil || *cpu.Peak < 0.56 || *cpu.Peak > 0.57 {
		t.Errorf("of the CPU: %+v", cpu)
	}
	if gpu.Bandwidth != nil || gpu.Peak != nil {
		t.Errorf("of the GPU: %+v", gpu)
	}
}

// One line per step of a training, then the run, which has them all.
func TestTrainingLines(t *testing.T) {
	r := recordtest.Trainings()["training"]
	lines := slices.Collect(bytes.Lines(encoded(t, r, "jsonl")))
	steps := r.Training.Result.Steps
	if len(lines) != len(steps)+1 {
		t.Fatalf("%d lines of %d steps", len(lines), len(steps))
	}
	for i, line := range lines[:len(steps)] {
		want, err := json.Marshal(steps[i])
		if err != nil {
			t.Fatal(err)
		}
		if string(line) != string(want)+"\n" {
			t.Errorf("line %d: %s, want %s", i+1, line, want)
		}
	}
	back, err := record.Parse(lines[len(steps)])
	if err != nil || len(back.Training.Result.Steps) != len(steps) {
		t.Errorf("%+v: %v", back, err)
	}
}

func TestIndented(t *testing.T) {
	e := &record.Explanation{
		Subject: "512³", Fair: 0.7, Lanes: []record.Verdict{{Lane: "a/b", Label: "A", Speed: 1e9, Op: "FLOP", Standing: "<1>", Slow: true, Causes: []record.Cause{{Code: "noise", Claim: "noisy", Evidence: "±5 %", Remedies: fault.Advice("again"), Factor: 1.5}}}},
		Missing: []record.Missing{{Engine: "torch", API: "cuda", Code: fault.Unavailable, Reason: "none"}},
	}
	var b bytes.Buffer
	if err := Indented(&b, e); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "explain.json", b.Bytes())
}
