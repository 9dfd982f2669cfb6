package judge

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

type change = func(*llm.Result)

func onCPU(c ...change) *llm.Result { return recordtest.Lane(recordtest.LlamaCPU, 0, 40, 300, c...) }

func onGPU(rate, prompt float64, c ...change) *llm.Result {
	return recordtest.Lane(recordtest.LlamaGPU, 99, rate, prompt, c...)
}

func wrong(r *llm.Result) { r.Check.Passed, r.Check.Reason = false, "garbage" }

func crashed(r *llm.Result) { r.Error = fault.Errorf(fault.Crashed, "ended") }

// short makes a lane one that read no long prompts.
func short(r *llm.Result) {
	r.Filler = 0
	for i := range r.Samples {
		r.Samples[i].PromptTokens = r.Shown.PromptTokens
	}
}

func unmeasured(r *llm.Result) { r.Samples = []llm.Sample{} }

// No sentence holds a ratio that must not be drawn.
func TestTokenSentence(t *testing.T) {
	for name, tt := range map[string]struct {
		lanes []*llm.Result
		want  string
	}{
		"faster":        {[]*llm.Result{onCPU(), onGPU(240, 3000)}, "The GPU is 6.0× as fast at generation (5.9–6.1×), 10× at prompts (9.9–10×): same model, same prompt, 64 tokens each."},
		"slower":        {[]*llm.Result{onCPU(), onGPU(20, 150)}, "The CPU is 2.0× as fast as the GPU at generation"},
		"even":          {[]*llm.Result{onCPU(), onGPU(40, 300)}, "No difference between the GPU and the CPU that can be seen at generation"},
		"fewer tokens":  {[]*llm.Result{onCPU(), onGPU(240, 3000, func(r *llm.Result) { r.Samples[2].Tokens = 40 })}, "No ratio of GPU and CPU"},
		"software":      {[]*llm.Result{onCPU(), recordtest.Lane(recordtest.LlamaSoftware, 99, 1, 3)}, "No comparison: the only GPU here is a software one"},
		"wrong":         {[]*llm.Result{onCPU(), onGPU(240, 3000, wrong)}, "No comparison: the GPU lane has no verified result"},
		"failed":        {[]*llm.Result{onCPU(), onGPU(240, 3000, crashed)}, "No comparison: the GPU lane has no verified result"},
		"not on it":     {[]*llm.Result{onCPU(), onGPU(240, 3000, recordtest.LaneWarned(measure.NotOnGPU, "no layer is on the GPU"))}, "No comparison: nothing ran on the GPU."},
		"other prompts": {[]*llm.Result{onCPU(), onGPU(240, 3000, func(r *llm.Result) { r.Samples[0].PromptTokens = 6 })}, "at generation (5.9–6.1×): same model"},
		"short prompts": {[]*llm.Result{onCPU(short), onGPU(240, 3000, short)}, "The GPU is 6.0× as fast at generation (5.9–6.1×): same model, same prompt, 64 tokens each."},
		"one of them":   {[]*llm.Result{onCPU(), onGPU(240, 3000, short)}, "The GPU is 6.0× as fast at generation (5.9–6.1×): same model, same prompt, 64 tokens each."},
		"alone":         {[]*llm.Result{onCPU(func(r *llm.Result) { r.Check = nil })}, ""},
		"nothing":       {nil, ""},
	} {
		got := append(Sentences(recordtest.Language(tt.lanes...)), "")[0]
		if !strings.HasPrefix(got, tt.want) && !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		if strings.HasPrefix(tt.want, "No") && strings.Contains(got, "as fast") {
			t.Errorf("%s: %q holds a ratio", name, got)
		}
	}
	cut := recordtest.Language(onCPU(recordtest.LaneWarned(measure.Interrupted, "interrupted")), onGPU(240, 3000, recordtest.LaneWarned(measure.Interrupted, "interrupted")))
	cut.Interrupted = true
	if got := Sentences(cut); len(got) == 0 || got[0] != interrupted || strings.Contains(strings.Join(got, " "), "×") {
		t.Errorf("interrupted: %q", got)
	}
	stopped := recordtest.Language(onCPU(unmeasured))
	stopped.Interrupted = true
	if got := Sentences(stopped); len(got) != 1 || !strings.HasPrefix(got[0], "Interrupted") {
		t.Errorf("interrupted: %q", got)
	}
	if got := Sentences(&record.Run{Kind: record.LLM}); len(got) != 0 {
		t.Errorf("of nothing: %q", got)
	}
}

// What the lanes made of the same prompt.
func TestSameTokens(t *testing.T) {
	for name, tt := range map[string]struct {
		lanes []*llm.Result
		want  []string
	}{
		"one":   {[]*llm.Result{onCPU()}, nil},
		"both":  {[]*llm.Result{onCPU(), onGPU(240, 3000)}, []string{"Both lanes made the same 64 tokens."}},
		"all":   {[]*llm.Result{onCPU(), onGPU(240, 3000), onGPU(240, 3000)}, []string{"All lanes made the same 64 tokens."}},
		"wrong": {[]*llm.Result{onCPU(), onGPU(240, 3000, wrong)}, []string{"GPU, all 25 layers is wrong: garbage. It is left out of the comparison."}},
		"differing": {[]*llm.Result{onCPU(), onGPU(240, 3000, func(r *llm.Result) {
			base, lane := -1.0, -2.0
			r.Check = &llm.Check{Base: "CPU", Agree: 3, Of: 64, Passed: true, Difference: &llm.Difference{Base: " the", Lane: "\n", BaseLogProb: &base, LaneLogProb: &lane}}
		})}, []string{`GPU, all 25 layers makes the same 3 tokens as the CPU lane, then "\n" instead of “the” (14 % and 37 % likely there: rounding decides).`}},
		"GPU first":             {[]*llm.Result{onGPU(240, 3000), onCPU()}, []string{"Both lanes made the same 64 tokens."}},
		"GPU first and shorter": {[]*llm.Result{onGPU(240, 3000, func(r *llm.Result) { r.Check.Agree, r.Check.Of = 40, 40 }), onCPU()}, []string{"Both lanes made the same 40 tokens."}},
		"GPU first and wrong":   {[]*llm.Result{onGPU(240, 3000, wrong), onCPU()}, []string{"GPU, all 25 layers is wrong: garbage. It is left out of the comparison."}},
		"GPU first and differing": {[]*llm.Result{onGPU(240, 3000, func(r *llm.Result) {
			r.Check = &llm.Check{Base: "CPU", Agree: 3, Of: 64, Passed: true, Difference: &llm.Difference{Base: "a", Lane: "b"}}
		}), onCPU(), onGPU(200, 3000)}, []string{"GPU, all 25 layers makes the same 3 tokens as the CPU lane, then “b” instead of “a”."}},
		"no candidates": {[]*llm.Result{onCPU(), onGPU(240, 3000, func(r *llm.Result) {
			r.Check = &llm.Check{Base: "CPU", Agree: 3, Of: 64, Passed: true, Difference: &llm.Difference{Base: "a", Lane: "b"}}
		})}, []string{"GPU, all 25 layers makes the same 3 tokens as the CPU lane, then “b” instead of “a”."}},
	} {
		if d := cmp.Diff(tt.want, sameTokens(recordtest.Language(tt.lanes...).Tokens)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestBestTokens(t *testing.T) {
	fast, slow := onGPU(240, 3000), onGPU(100, 9000)
	for name, tt := range map[string]struct {
		lanes []*llm.Result
		want  *llm.Result
	}{
		"the fastest at generation": {[]*llm.Result{slow, fast, onCPU()}, fast},
		"not a wrong one":           {[]*llm.Result{slow, onGPU(240, 3000, wrong)}, slow},
		"not one that failed":       {[]*llm.Result{onGPU(240, 3000, crashed), slow}, slow},
		"not one off the GPU":       {[]*llm.Result{slow, onGPU(240, 3000, recordtest.LaneWarned(measure.NotOnGPU, ""))}, slow},
		"not one without samples":   {[]*llm.Result{onGPU(240, 3000, unmeasured)}, nil},
		"none":                      {[]*llm.Result{onCPU()}, nil},
	} {
		if got := BestTokens(recordtest.Language(tt.lanes...).Tokens, hardware.GPU); got != tt.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if BestTokens(nil, hardware.CPU) != nil {
		t.Error("the best of nothing")
	}
}

func TestTokenComparisons(t *testing.T) {
	list := TokenComparisons(recordtest.Tokens()["tokens.gpu"].Tokens)
	if len(list) != 1 || list[0].Lane != "llama.cpp/gpu/99" || list[0].Base != "llama.cpp/cpu" {
		t.Fatalf("%+v", list)
	}
	if r := list[0].Generation.Ratio; !(6 < r.Low && r.Low < r.Value && r.Value < r.High && r.High < 6.2) {
		t.Errorf("generation %+v", r)
	}
	if r := list[0].First.Ratio; r.Value < 31 || r.Value > 32 { // seconds: less is faster
		t.Errorf("first token %+v", r)
	}
	only := recordtest.Language(onGPU(100, 900), onGPU(240, 3000)).Tokens
	if list := TokenComparisons(only); len(list) != 1 || list[0].Generation.Ratio.Value > 1 {
		t.Errorf("without a CPU: %+v", list)
	}
}

func TestTokenNames(t *testing.T) {
	bare := func(r *llm.Result) { r.Facts.Layers, r.Facts.Total = nil, nil }
	threads := func(n int) change { return func(r *llm.Result) { r.Facts.Threads = n } }
	card := 1
	two := recordtest.Language()
	two.Cards = make([]hardware.Card, 2)
	for _, tt := range []struct {
		lane        *llm.Result
		name, place string
	}{
		{onCPU(), "CPU", "Example CPU 9000, 16 cores"},
		{onCPU(threads(1)), "CPU, 1 thread", "Example CPU 9000, 16 cores"},
		{onCPU(threads(8)), "CPU, 8 threads", "Example CPU 9000, 16 cores"},
		{onGPU(1, 1), "GPU, all 25 layers", "Example GPU X, GPU not known"},
		{onGPU(1, 1, func(r *llm.Result) { r.Facts.Device.Card = &card }), "GPU, all 25 layers", "Example GPU X, GPU 1"},
		{onGPU(1, 1, func(r *llm.Result) { *r.Facts.Layers = 3 }), "GPU, 3 of 25 layers", "Example GPU X, GPU not known"},
		{onGPU(1, 1, bare), "GPU, ngl 99", "Example GPU X, GPU not known"},
		{onGPU(1, 1, bare, func(r *llm.Result) { r.Facts = llm.Facts{} }), "GPU, ngl 99", "GPU"},
		{recordtest.Lane(recordtest.LlamaSoftware, 9, 1, 1), "GPU, 9 of 25 layers", "llvmpipe (LLVM 15.0.6, 256 bits), a software GPU"},
		{onCPU(func(r *llm.Result) { r.Facts = llm.Facts{} }), "CPU", "Example CPU 9000, 16 cores"},
		{onCPU(remote), "CPU", "a CPU at box:11434"},
	} {
		if name, place := TokenLane(tt.lane), TokenPlace(two, tt.lane); name != tt.name || place != tt.place {
			t.Errorf("%q on %q, want %q on %q", name, place, tt.name, tt.place)
		}
	}
}

// remote makes a lane one that another machine computed.
func remote(r *llm.Result) { r.Facts.Host, r.Facts.Device.Name = "box:11434", "a CPU at box:11434" }

// Only the CPU's limits are known; a lane that should have been on a GPU has none.
func TestTokenBounds(t *testing.T) {
	run := recordtest.Tokens()["tokens.gpu"]
	cpu, gpu := run.Tokens.Results[0], run.Tokens.Results[1]
	got := tokenBounds(run.Tokens, cpu)
	if len(got) != 2 || !strings.Contains(got[0], "47 % of what its memory gives (60.0 GB/s)") || !strings.Contains(got[1], "56 % of its peak in float32 (1.10 TFLOP/s)") {
		t.Errorf("CPU: %q", got)
	}
	if got := tokenBounds(run.Tokens, gpu); got != nil {
		t.Errorf("GPU: %q", got)
	}
	for _, x := range []*llm.Result{gpu, onGPU(1, 1, func(r *llm.Result) { *r.Facts.Layers = 1 }), recordtest.Lane(recordtest.LlamaSoftware, 99, 1, 1), onCPU(remote)} {
		if l := TokenLimits(run.Tokens, x); l != nil {
			t.Errorf("%s has the CPU's limits: %+v", TokenLane(x), l)
		}
	}
	if l := TokenLimits(run.Tokens, cpu); l != run.Tokens.Limits {
		t.Errorf("the CPU has the limits %+v", l)
	}
	lost := onCPU(func(r *llm.Result) { r.Settings.Layers = 99 }, recordtest.LaneWarned(measure.NotOnGPU, ""))
	if got := tokenBounds(run.Tokens, lost); got != nil {
		t.Errorf("meant for a GPU: %q", got)
	}
}

func TestTokenNext(t *testing.T) {
	gpu := recordtest.Tokens()["tokens.gpu"]
	next := Next(gpu)
	if next == nil || next.Words(recordtest.Flags{}) != "how speed and memory grow with the layers on the GPU: gpuplay llm m.gguf --sweep" {
		t.Fatalf("%+v", next)
	}
	for runtime, want := range map[string]string{
		model.Ollama: "with the same command: how speed and memory grow with the layers on the GPU: --sweep", model.Torch: "", model.MLX: "",
	} {
		for _, x := range gpu.Tokens.Results {
			x.Runtime = runtime
		}
		got := ""
		if next := Next(gpu); next != nil {
			got = next.Words(recordtest.Flags{})
		}
		if got != want {
			t.Errorf("%s: %q, want %q", runtime, got, want)
		}
	}
	gpu = recordtest.Tokens()["tokens.gpu"]
	gpu.Interrupted = true
	for name, r := range map[string]*record.Run{
		"interrupted": gpu, "layers": recordtest.Tokens()["tokens.layers"], "no GPU": recordtest.Tokens()["tokens.cpu"], "a wrong GPU": recordtest.Tokens()["tokens.troubled"], "nothing": {Kind: record.LLM},
	} {
		if next := Next(r); next != nil {
			t.Errorf("%s: %+v", name, next)
		}
	}
}
