package judge

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/train"
)

func TestCPUFigures(t *testing.T) {
	c := recordtest.Roofs()["roofs"].CPU
	if got := ThreadCounts(c); !slices.Equal(got, []int{1, 16}) {
		t.Errorf("threads %d", got)
	}
	if hertz, ok := Clock(c, 16); !ok || hertz != 0.99*2.25e9 {
		t.Errorf("clock %g", hertz)
	}
	if ops, ok := Peak(c, matrix.Float32, 16); !ok || ops != 140e9*16 { // the best: neighbours only make it smaller
		t.Errorf("peak %g", ops)
	}
	if read, triad, ok := Bandwidth(c, "L2", 1); !ok || read != 0.99*100e9 || triad != 0.99*125e9 {
		t.Errorf("bandwidth %g, %g", read, triad)
	}
	if _, ok := Clock(c, 2); ok {
		t.Error("a clock that was not measured")
	}
	if _, ok := Peak(c, matrix.Float64, 1); ok {
		t.Error("a peak that was not measured")
	}
	if _, _, ok := Bandwidth(c, "L4", 1); ok {
		t.Error("a bandwidth that was not measured")
	}
}

// firstSentences are what people are told of examples, each beginning with want.
func firstSentences(t *testing.T, runs map[string]*record.Run, want map[string][]string) {
	t.Helper()
	if len(runs) != len(want) {
		t.Errorf("%d examples, %d expected", len(runs), len(want))
	}
	for name, r := range runs {
		got := Sentences(r)
		if len(got) != len(want[name]) {
			t.Errorf("%s: %q, want %q", name, got, want[name])
			continue
		}
		for i, text := range got {
			if !strings.HasPrefix(text, want[name][i]) {
				t.Errorf("%s: %q, want %q", name, text, want[name][i])
			}
		}
	}
}

// What limits a rung follows from what it reads and multiplies, not from its speed. Where the
// GPU's arithmetic is not known, it is that of a typical one, or what was counted.
func TestRungBound(t *testing.T) {
	cuda, vulkan := &record.Ladder{GPU: "Card"}, &record.Ladder{GPU: "Card", API: "vulkan"}
	software := &record.Ladder{GPU: "llvmpipe", API: "vulkan", Software: true}
	for _, c := range []struct {
		want string
		l    *record.Ladder
		r    record.Rung
	}{
		{"", cuda, record.Rung{}},
		{"calculated limit: reads of memory and caches, which take 10.0 times", cuda, record.Rung{Global: 5, PerClock: 128}},
		{"calculated limit: reads of shared memory, which take 8.00 times", cuda, record.Rung{Global: 0.25, Shared: 8, PerClock: 128}},
		{"calculated limit: arithmetic; reads of shared memory take 50 %", cuda, record.Rung{Global: 0.1, Shared: 0.5, PerClock: 128}},
		{"calculated limit of a typical compute unit: reads of memory and caches, which take 10.0 times", vulkan, record.Rung{DType: matrix.Float32, Global: 5}},
		{"counted for each multiplication: 0.0300 bytes from memory and caches, 0.0600 from shared memory", vulkan, record.Rung{DType: matrix.Float16, Global: 0.03, Shared: 0.06}},
		{"counted for each multiplication: 5.00 bytes from memory and caches", software, record.Rung{DType: matrix.Float32, Global: 5}},
	} {
		if got := RungBound(c.l, c.r); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%+v: %q, want %q", c.r, got, c.want)
		}
	}
}

// A share is the median of ratios of samples in turns; samples that do not pair up have none.
func TestRungShare(t *testing.T) {
	r := record.Rung{Seconds: []float64{2, 4, 10}, Library: []float64{1, 1, 5}}
	if got := RungShare(r); got != 0.5 {
		t.Error(got)
	}
	r.Library = r.Library[:2]
	if got := RungShare(r); got != 0 {
		t.Error(got)
	}
}

func TestMachineSentences(t *testing.T) {
	const interrupted = "Interrupted: what was measured until then is shown."
	firstSentences(t, recordtest.Roofs(), map[string][]string{
		"roofs":             {"With 16 threads, float32 must do 2.83 operations on each byte that it reads from memory to reach its peak (2.24 TFLOP/s at 792 GB/s)."},
		"roofs.interrupted": {interrupted},
		"roofs.nothing":     {interrupted},
	})
	firstSentences(t, recordtest.Ladders(), map[string][]string{
		"ladder":             {"From naive to threads: 2098× as fast, with the same multiplications. One thread reaches 89 % of the most that it can multiply and add, 16 threads 70 % of theirs."},
		"ladder.alone":       {"From naive to threads: 179× as fast, with the same multiplications. One thread reaches 89 % of the most that it can multiply and add."},
		"ladder.gpu":         {"In float32 from coalesced to tiled: 2.0× as fast, 17 % of cuBLASLt."},
		"ladder.interrupted": {interrupted},
		"ladder.software":    {"llvmpipe (LLVM 19.1.7, 256 bits) is a software GPU: a CPU does the work behind a GPU's interface, so these speeds show nothing about GPUs."},
		"ladder.vulkan":      {"In float32 from naive to blocked: 67× as fast.", "A typical compute unit is assumed to multiply 128 times in a clock, and to read 64 bytes from caches and 128 from shared memory, as many of NVIDIA's do."},
		"ladder.nothing":     {interrupted},
	})
	firstSentences(t, recordtest.Diagnoses(), map[string][]string{
		"doctor":         {"1 thing must be fixed (✗); 1 warning (!)."},
		"doctor.warning": {"A race can run; 1 thing limits or changes its results."},
		"doctor.limited": {"A race can run; 2 things limit or change its results."},
		"doctor.broken":  {"1 thing must be fixed (✗)."},
		"doctor.well":    {"A race can run; nothing was found that limits it."},
	})
	firstSentences(t, recordtest.Generations(), map[string][]string{
		"generation":      {"78.8 tokens per second at generation, 100 at the prompt; the first token after 63.0 ms."},
		"generation.chat": nil,
		"generation.graph": {"630 tokens per second at generation, 100 at the prompt; the first token after 63.0 ms.",
			"With the kernels of each token launched as one CUDA graph, generation is 8.0× as fast as with every kernel launched from Python (78.8 tokens per second). A small model's kernels are done before the CPU has launched the next: the CPU sets the pace."},
	})
	firstSentences(t, recordtest.Trainings(), map[string][]string{
		"training":         {"loss 3.08 → 0.30 in 40 iterations of 4 rows; on 8 rows not trained on 3.20 → 1.11"},
		"training.stopped": {"loss 3.08 → 0.99 in 22 iterations of 4 rows; on 8 rows not trained on 3.20 → 1.94"},
		"training.memory":  {"loss 3.50 → 3.18 in 2 iterations of 4 rows"},
		"training.early":   nil,
	})
}

func TestLaunches(t *testing.T) {
	of := func(tokenTime time.Duration, text string) *llm.Generation {
		return &llm.Generation{Text: text, Tokens: 101, TokenTime: tokenTime}
	}
	for name, tt := range map[string]struct {
		eager *llm.Generation
		want  string
	}{
		"not measured":  {nil, ""},
		"cut off":       {&llm.Generation{Tokens: 1}, ""},
		"a large model": {of(1050*time.Millisecond, "Hei"), "With the kernels of each token launched as one CUDA graph, generation is 1.05× as fast as with every kernel launched from Python (95.2 tokens per second)."},
		"another text":  {of(1050*time.Millisecond, "Moi"), "rounded in another order."},
	} {
		got := strings.Join(Launches(&record.Generation{Answer: *of(time.Second, "Hei"), Eager: tt.eager}), " ")
		if !strings.HasSuffix(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestTrainingFigures(t *testing.T) {
	r := &recordtest.Trainings()["training"].Training.Result
	if got := TrainingSpeed(r); got != 413 {
		t.Errorf("%g tokens per second", got)
	}
	if got := HeldLosses(r); !slices.Equal(got, []float64{3.2, 3.2 * math.Exp(-0.5), 1.11}) {
		t.Errorf("losses on rows that were held back: %g", got)
	}
	for _, tt := range []struct {
		losses      []float64
		first, last float64
	}{
		{[]float64{4}, 4, 4},
		{[]float64{4, 2}, 4, 2},
		{[]float64{8, 6, 5, 5, 5, 5, 3, 1}, 7, 2},
		{slices.Concat(slices.Repeat([]float64{9}, 5), slices.Repeat([]float64{5}, 90), slices.Repeat([]float64{1}, 5)), 9, 1},
	} {
		if first, last := Losses(tt.losses); first != tt.first || last != tt.last {
			t.Errorf("%g: from %g to %g", tt.losses, first, last)
		}
	}
	if first, last := Losses(nil); !math.IsNaN(first) || !math.IsNaN(last) {
		t.Errorf("of none: from %g to %g", first, last)
	}
	if got := TrainingSpeed(&train.Result{}); !math.IsNaN(got) {
		t.Errorf("of no iteration: %g", got)
	}
}

func TestTrainingNext(t *testing.T) {
	next := Next(recordtest.Trainings()["training"])
	if next == nil || next.Words(recordtest.Flags{}) != "what the model says with its adapter: gpuplay generate /models/gemma-3-270m --adapter /home/ada/adapters" {
		t.Errorf("%+v", next)
	}
	for _, name := range []string{"training.stopped", "training.memory", "training.early"} {
		if next := Next(recordtest.Trainings()[name]); next != nil {
			t.Errorf("%s: %+v", name, next)
		}
	}
}
