package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/model"
)

// The figures below are made up: they exercise the layout and say nothing of the
// devices' speed.

func tokenResult(d hardware.Device, layers int, rate, prompt float64, change ...func(*llm.Result)) *llm.Result {
	const total = 25
	r := &llm.Result{
		Runtime: "llama.cpp", Lane: llm.Lane{Layers: layers, Context: 1024}, Tokens: 64, Filler: 512, Round: true,
		Facts: llm.Facts{Device: d, Runtime: "llama.cpp b9000", Load: 1200 * time.Millisecond, Memory: ptr(int64(400e6 + 20e6*float64(layers))), Context: 1024},
		Shown: &llm.Generation{Text: "Hei!", Tokens: 64, PromptTokens: 6, Finish: "length", Sequence: []llm.Token{{ID: 1, Text: "Hei"}}},
		Check: &llm.Check{Base: "CPU", Agree: 64, Of: 64, Passed: true},
	}
	if layers > 0 {
		r.Facts.Layers, r.Facts.Total = ptr(min(layers, total)), ptr(total)
	}
	for i := range 6 {
		wiggle := 1 + 0.01*float64((i*5+layers)%6-3)/3
		r.Samples = append(r.Samples, llm.Sample{
			First: time.Duration(wiggle * 6 / prompt * 5e9), Tokens: 64, TokenTime: time.Duration(63 / rate * wiggle * 1e9),
			PromptTokens: 512, PromptTime: time.Duration(512 / prompt * wiggle * 1e9),
		})
	}
	for _, c := range change {
		c(r)
	}
	return r
}

func bounded(bandwidth, peak float64) func(*llm.Result) {
	return func(r *llm.Result) { r.Limits = &llm.Limits{Bandwidth: &bandwidth, Peak: &peak} }
}

func benched(tg, pp float64) func(*llm.Result) {
	return func(r *llm.Result) {
		times := func(tokens int, rate float64) (list []time.Duration) {
			for i := range 6 {
				list = append(list, time.Duration(float64(tokens)/rate*(1+0.003*float64(i))*1e9))
			}
			return list
		}
		r.Peer = []llm.PeerResult{{Name: "pp512", Tokens: 512, Samples: times(512, pp)}, {Name: "tg128", Tokens: 128, Samples: times(128, tg)}}
	}
}

func differing(at int, base, lane float64) func(*llm.Result) {
	return func(r *llm.Result) {
		r.Check = &llm.Check{Base: "CPU", Agree: at, Of: 64, Passed: true, Difference: &llm.Difference{At: at, Base: " the", Lane: " a\x1b[2J", BaseLogProb: &base, LaneLogProb: &lane, Among: 10}}
	}
}

func failing(message string) func(*llm.Result) {
	return func(r *llm.Result) {
		r.Samples = []llm.Sample{}
		r.Error = &fault.Error{Code: fault.Crashed, Message: message}
		r.Check = nil
	}
}

func doubted(code bench.WarningCode, text string) func(*llm.Result) {
	return func(r *llm.Result) { r.Warnings = append(r.Warnings, bench.Warning{Code: code, Text: text}) }
}

func tokenDocument(results ...*llm.Result) *Tokens {
	d := &Tokens{
		Schema: TokensSchema, Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Program: Program{Version: "0.1.0", Commit: "0123abc", Go: "go1.26.0"}, Command: []string{"gpuplay", "llm", "m.gguf"},
		Machine: host.Machine{OS: "linux", Arch: "amd64", CPU: chip, Cores: 16, Memory: ptr(uint64(64e9))},
		Model:   model.Model{Ref: "m.gguf", Name: "Example 1B", Path: "/m.gguf", Format: model.GGUF, Architecture: "llama", Quantization: "Q4_K_M", Bytes: 800e6, Parameters: 1.2e9, TokenBytes: 700e6, PromptParameters: 1e9, Layers: 25, Runtimes: []string{model.LlamaCpp}},
		Prompt:  "Say hello in Finnish.",
	}
	for _, r := range results {
		d.Results = append(d.Results, NewTokenLane(r))
	}
	return d
}

var (
	llamaCPU  = hardware.Device{ID: "cpu", Name: chip, Kind: hardware.CPU, API: "cpu", Library: "llama.cpp", Version: "b9000"}
	llamaCUDA = hardware.Device{ID: "CUDA0", Name: card, Kind: hardware.GPU, API: "cuda", Library: "llama.cpp", Version: "b9000"}
	llamaSoft = hardware.Device{ID: "Vulkan0", Name: "llvmpipe (LLVM 15.0.6, 256 bits)", Kind: hardware.SoftwareGPU, API: "vulkan", Library: "llama.cpp", Version: "b9000"}
)

// tokenDocuments are what golden files exist for.
func tokenDocuments() map[string]*Tokens {
	gpu := tokenDocument(
		tokenResult(llamaCPU, 0, 40.2, 310, bounded(60e9, 1.1e12), benched(40.5, 312)),
		tokenResult(llamaCUDA, 99, 245, 9800, differing(41, -1.2, -1.25), benched(247, 9900)))
	gpu.Next = "gpuplay llm m.gguf --sweep   how the speed grows with the layers on the GPU"

	cpu := tokenDocument(tokenResult(llamaCPU, 0, 40.2, 310, bounded(60e9, 1.1e12), func(r *llm.Result) { r.Check = nil }))
	cpu.NotRaced = []NotRaced{{Engine: "llama.cpp", API: "gpu", Kind: hardware.GPU, Code: fault.Unavailable, Reason: "No GPU lane: llama.cpp b9000 lists no GPU.", Remedies: fault.Advice("gpuplay setup llama.cpp")}}

	soft := tokenDocument(
		tokenResult(llamaCPU, 0, 40.2, 310),
		tokenResult(llamaSoft, 99, 1.02, 3.1, doubted(bench.WarnSoftwareGPU, "a CPU does the work behind this GPU interface"), func(r *llm.Result) {
			r.Samples, r.Filler = r.Samples[:1], 32
			r.Samples[0].PromptTokens, r.Samples[0].PromptTime = 32, r.Samples[0].PromptTime/16
		}))

	troubled := tokenDocument(
		tokenResult(llamaCPU, 0, 40.2, 310, doubted(bench.WarnNoise, "noisy: something else uses this machine, or its clock changes")),
		tokenResult(llamaCUDA, 99, 500, 9800, func(r *llm.Result) {
			r.Check = &llm.Check{Base: "CPU", Of: 64, Reason: "token 1, \"\x1b]0;x\x07\", is not among the 10 that the CPU lane holds likeliest", Difference: &llm.Difference{Base: "Hei", Lane: "\x1b]0;x\x07", BaseLogProb: ptr(-0.5), Among: 10}}
		}),
		tokenResult(llamaCUDA, 12, 90, 900, failing("llama.cpp ended by signal 11 (segmentation fault) while generating: “some last\x1b[2J words”")))

	sweep := tokenDocument()
	for i, n := range []int{0, 5, 10, 15, 20, 25} {
		d := llamaCUDA
		if n == 0 {
			d = llamaCPU
		}
		sweep.Results = append(sweep.Results, NewTokenLane(tokenResult(d, n, 40+41*float64(i), 300+1900*float64(i), func(r *llm.Result) { r.Round = false })))
	}
	sweep.Sweep = true

	none := tokenDocument(tokenResult(llamaCPU, 0, 1, 1, func(r *llm.Result) { *r = llm.Result{Runtime: "llama.cpp", Tokens: 64, Samples: []llm.Sample{}} }))
	none.Interrupted = true
	return map[string]*Tokens{"gpu": gpu, "cpu": cpu, "soft": soft, "troubled": troubled, "sweep": sweep, "none": none}
}

func TestTokensTables(t *testing.T) {
	for name, d := range tokenDocuments() {
		for _, s := range []Style{{Width: 100, Unicode: true}, {Width: 80, Unicode: true}, {Width: 80}, {Width: 60, Unicode: true}, {Width: 40, Unicode: true}} {
			file := fmt.Sprintf("tokens.%s.%d", name, s.Width)
			if !s.Unicode {
				file += ".ascii"
			}
			t.Run(file, func(t *testing.T) {
				var b bytes.Buffer
				if err := TokensTable(&b, d, s); err != nil {
					t.Fatal(err)
				}
				golden(t, file+".txt", b.Bytes())
				for line := range strings.Lines(b.String()) {
					line = strings.TrimSuffix(line, "\n")
					if w := lipgloss.Width(line); w > s.Width {
						t.Errorf("a line of %d columns: %q", w, line)
					}
					if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f || !s.Unicode && r > 0x7f }) {
						t.Errorf("a line with what the terminal must not get: %q", line)
					}
					if line != strings.TrimRight(line, " ") {
						t.Errorf("a line that ends in blanks: %q", line)
					}
				}
			})
		}
	}
}

func TestTokensFormats(t *testing.T) {
	schemaText, err := os.ReadFile("../../docs/tokens.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaText))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("tokens", parsed); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("tokens")
	if err != nil {
		t.Fatal(err)
	}
	keeps := func(t *testing.T, text []byte) {
		t.Helper()
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%v", err)
		}
	}
	for name, d := range tokenDocuments() {
		for format, write := range map[string]func(io.Writer, *Tokens) error{"json": TokensJSON, "jsonl": TokensJSONL, "csv": TokensCSV, "line.txt": TokensLine, "md": TokensMarkdown} {
			t.Run(name+"."+format, func(t *testing.T) {
				var b bytes.Buffer
				if err := write(&b, d); err != nil {
					t.Fatal(err)
				}
				golden(t, "tokens."+name+"."+format, b.Bytes())
				switch format {
				case "json":
					keeps(t, b.Bytes())
				case "jsonl":
					for line := range bytes.Lines(b.Bytes()) {
						keeps(t, line)
					}
				case "line.txt":
					if n := bytes.Count(b.Bytes(), []byte("\n")); n != len(d.Results) {
						t.Errorf("%d lines for %d lanes", n, len(d.Results))
					}
				}
			})
		}
	}
}

// JSON keeps a model's text as it came.
func TestTokensJSONKeepsRawText(t *testing.T) {
	raw := "\x1b[2J\u202eHei\x00"
	d := tokenDocument(tokenResult(llamaCPU, 0, 40, 300, func(r *llm.Result) { r.Shown.Text = raw }))
	var b bytes.Buffer
	if err := TokensJSON(&b, d); err != nil {
		t.Fatal(err)
	}
	var back struct {
		Results []struct{ Shown struct{ Text string } }
	}
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if got := back.Results[0].Shown.Text; got != raw {
		t.Errorf("text %q, want %q", got, raw)
	}
}

// No sentence holds a ratio that must not be drawn.
func TestTokensSentence(t *testing.T) {
	cpu := func(change ...func(*llm.Result)) *llm.Result { return tokenResult(llamaCPU, 0, 40, 300, change...) }
	gpu := func(rate, prompt float64, change ...func(*llm.Result)) *llm.Result {
		return tokenResult(llamaCUDA, 99, rate, prompt, change...)
	}
	for name, tt := range map[string]struct {
		results []*llm.Result
		want    string
	}{
		"faster":        {[]*llm.Result{cpu(), gpu(240, 3000)}, "The GPU is 6.0× as fast at generation"},
		"slower":        {[]*llm.Result{cpu(), gpu(20, 150)}, "The CPU is 2.0× as fast as the GPU at generation"},
		"even":          {[]*llm.Result{cpu(), gpu(40, 300)}, "No difference between the GPU and the CPU that can be seen at generation"},
		"fewer tokens":  {[]*llm.Result{cpu(), gpu(240, 3000, func(r *llm.Result) { r.Samples[2].Tokens = 40 })}, "No ratio of GPU and CPU"},
		"software":      {[]*llm.Result{cpu(), tokenResult(llamaSoft, 99, 1, 3)}, "No comparison: the only GPU here is a software one"},
		"wrong":         {[]*llm.Result{cpu(), gpu(240, 3000, func(r *llm.Result) { r.Check.Passed, r.Check.Reason = false, "garbage" })}, "No comparison: the GPU lane has no verified result"},
		"not on it":     {[]*llm.Result{cpu(), gpu(240, 3000, doubted(llm.WarnNotGPU, "no layer is on the GPU"))}, ""},
		"other prompts": {[]*llm.Result{cpu(), gpu(240, 3000, func(r *llm.Result) { r.Samples[0].PromptTokens = 6 })}, "at generation (5.9–6.1×): same model"},
	} {
		got := append(tokenDocument(tt.results...).sentences(), "")[0]
		if !strings.Contains(got, tt.want) || tt.want == "" && strings.Contains(got, "×") {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
