package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// TestRuleMeaning: what a ratio means follows from the measured speeds alone, the
// training run is labelled as an estimate and counts 6·N·D operations, and nothing is
// said of what may not be compared.
func TestRuleMeaning(t *testing.T) {
	if TrainingFLOP != 7.44e16 {
		t.Errorf("training takes %g operations, want 6 · 124e6 · 1e8", float64(TrainingFLOP))
	}
	typed := func(d matrix.DType) func(*bench.Result) {
		return func(r *bench.Result) { r.GEMM = bench.Square(4096, d) }
	}
	for _, tt := range []struct {
		name string
		gpu  *bench.Result
		cpu  *bench.Result
		want string
	}{
		{"float32", result(torchGPU, 50e12), result(builtIn, 1e12), "What the CPU does in a minute, the GPU does in 1.2 s. Estimate from these speeds: GPT-2 small is trained on 100 M tokens in 25 min instead of 21 h, counting its matrix products alone."},
		{"bfloat16", result(torchGPU, 744e12, typed(matrix.BFloat16)), result(builtIn, 7.44e12, typed(matrix.BFloat16)), "What the CPU does in a minute, the GPU does in 0.6 s. Estimate from these speeds: GPT-2 small is trained on 100 M tokens in 1.7 min instead of 2.8 h, counting its matrix products alone."},
		{"float64", result(torchGPU, 50e12, typed(matrix.Float64)), result(builtIn, 1e12, typed(matrix.Float64)), "What the CPU does in a minute, the GPU does in 1.2 s."},
		{"int8", result(torchGPU, 50e12, typed(matrix.Int8)), result(builtIn, 1e12, typed(matrix.Int8)), "What the CPU does in a minute, the GPU does in 1.2 s."},
		{"the CPU wins", result(torchGPU, 1e12), result(builtIn, 2e12), ""},
		{"level", result(torchGPU, 1.0005e12), result(builtIn, 1e12), ""},
		{"few samples", result(torchGPU, 50e12), result(builtIn, 1e12, recordtest.First(4)), ""},
		{"not verified", result(torchGPU, 50e12, recordtest.Doubtful(true)), result(builtIn, 1e12), ""},
		{"other sizes", result(torchGPU, 50e12, recordtest.Size(8192, 8192, 8192)), result(builtIn, 1e12), ""},
	} {
		if got := meaning(tt.gpu, tt.cpu); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if said := strings.Join(Sentences(race(tt.cpu, tt.gpu)), " "); tt.want != "" && !strings.HasSuffix(said, tt.want) {
			t.Errorf("%s: a race says %q", tt.name, said)
		}
	}
}

// TestRuleLeftOut: what is there and was not measured is named in one line, with what
// has it measured.
func TestRuleLeftOut(t *testing.T) {
	card := func(n int) *int { return &n }
	gpu := func(n int) hardware.Device {
		d := torchGPU
		d.Card = card(n)
		return d
	}
	cards := []hardware.Card{{Number: 0, Name: "Card"}, {Number: 1, Name: "Card"}, {Number: 2, Name: "Card"}, {Number: 3, Name: "Card"}}
	out := func(d hardware.Device, why record.Why, instead *int) record.LeftOut {
		return record.LeftOut{Engine: "engine", Device: d, Why: why, Instead: instead, Start: time.Second}
	}
	for _, tt := range []struct {
		name   string
		out    []record.LeftOut
		budget time.Duration
		want   string
		place  string // of GPU 0
	}{
		{"nothing", nil, time.Second, "", "Card, GPU 0"},
		{"time", []record.LeftOut{out(recordtest.OpenBLAS, record.NoTime, nil), out(gpu(2), record.NoTime, nil), out(gpu(1), record.NoTime, nil)}, 0,
			"Left out: for lack of time (a longer --time) OpenBLAS 0.3.34, PyTorch 2.15 cuda, eager on GPU 1 and 2.", "Card, GPU 0"},
		{"equal", []record.LeftOut{out(gpu(1), record.EqualCard, card(0)), out(gpu(2), record.EqualCard, card(0)), out(gpu(3), record.EqualCard, card(0)), out(gpu(3), record.EqualCard, card(0))}, 0,
			"Left out: GPU 1, 2 and 3, equal to GPU 0 (--all-gpus).", "Card (GPU 0 of 4 equal)"},
		{"equal to another", []record.LeftOut{out(gpu(3), record.EqualCard, card(2))}, 0, "Left out: GPU 3, equal to GPU 2 (--all-gpus).", "Card, GPU 0"},
		{"equal, not known which", []record.LeftOut{out(torchGPU, record.EqualCard, nil)}, 0,
			"Left out: 1 more GPU, equal to one that was measured (--all-gpus).", "Card, GPU 0"},
		{"equal, not known which, in two engines", []record.LeftOut{out(torchGPU, record.EqualCard, nil), out(torchGPU, record.EqualCard, nil), {Engine: "other", Device: torchGPU, Why: record.EqualCard}}, 0,
			"Left out: 2 more GPUs, each equal to one that was measured (--all-gpus).", "Card, GPU 0"},
		{"a slow start", nil, 10 * time.Millisecond, "Starting PyTorch alone took 20.0 ms.", "Card, GPU 0"},
		{"of what was left out", []record.LeftOut{out(recordtest.OpenBLAS, record.NoTime, nil)}, 500 * time.Millisecond,
			"Left out: for lack of time (a longer --time) OpenBLAS 0.3.34. Starting OpenBLAS alone took 1.00 s.", "Card, GPU 0"},
	} {
		r := race(result(torchGPU, 1e12))
		r.Cards, r.LeftOut, r.Budget = cards, tt.out, tt.budget
		if got := LeftOut(r, recordtest.Flags{}); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if got := Place(r, gpu(0)); got != tt.place {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.place)
		}
	}
}
