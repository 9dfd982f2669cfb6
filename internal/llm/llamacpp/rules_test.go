package llamacpp

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
)

// The tests of this file are named after the rules of docs/MEASURING.md.

// answer is what a fake llama-server streams: 4 tokens in 30 s after a prompt of 7 in
// 70 s, which no test takes.
const answer = `data: {"content":"a","stop":false}` + "\n\n" + `data: {"content":"b","stop":false}` + "\n\n" +
	`data: {"content":"","stop":true,"stop_type":"limit","timings":{"cache_n":%d,"prompt_n":7,"prompt_ms":70000,"predicted_n":4,"predicted_ms":30000}}` + "\n\n"

// fakeServer returns a session of a server that answers so, and the bodies of all that
// it is asked by path.
func fakeServer(t *testing.T, vocab, cached int) (*server, map[string][]map[string]any) {
	t.Helper()
	bodies := map[string][]map[string]any{}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		if r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("%s: authorization %q", r.URL.Path, r.Header.Get("Authorization"))
		}
		bodies[r.URL.Path] = append(bodies[r.URL.Path], body)
		if r.URL.Path == "/apply-template" {
			io.WriteString(w, `{"prompt":"<user>Hi</user>"}`)
			return
		}
		fmt.Fprintf(w, answer, cached)
	}))
	t.Cleanup(h.Close)
	nobody := &exec.Cmd{Process: &os.Process{Pid: math.MaxInt32}} // no process has that number
	return &server{url: h.URL, key: "secret", client: h.Client(), cmd: nobody, log: &serverLog{}, exited: make(chan struct{}), vocab: vocab}, bodies
}

// No caching and no sampling, in any request; the model's end is passed over where that
// is asked for; candidates, which take time, come only where they are asked for.
func TestRuleRequests(t *testing.T) {
	for name, tt := range map[string]struct {
		request llm.Request
		prompt  any // nil: the filler
		tokens  float64
	}{
		"shown":   {llm.Request{Prompt: "Hi", Tokens: 64, IgnoreEnd: true, Candidates: 10}, "Hi", 64},
		"timed":   {llm.Request{Prompt: "Hi", Tokens: 64, IgnoreEnd: true}, "Hi", 64},
		"chat":    {llm.Request{Prompt: "Hi", Chat: true, Tokens: 64, IgnoreEnd: true}, "<user>Hi</user>", 64},
		"long":    {llm.Request{Filler: 512, Tokens: 1, IgnoreEnd: true}, nil, 1},
		"to read": {llm.Request{Prompt: "Hi", Tokens: 64}, "Hi", 64},
	} {
		s, bodies := fakeServer(t, 1000, 0)
		g, err := s.Generate(t.Context(), tt.request, nil)
		if err != nil || len(bodies["/completion"]) != 1 {
			t.Fatalf("%s: %v after %d requests", name, err, len(bodies["/completion"]))
		}
		if rate, ok := g.Rate(); !ok || g.Tokens != 4 || math.Abs(rate-0.1) > 1e-9 {
			t.Errorf("%s: %d tokens at %g tokens/s, want 3 steps in 30 s", name, g.Tokens, rate)
		}
		if rate, ok := g.PromptRate(); !ok || math.Abs(rate-0.1) > 1e-9 {
			t.Errorf("%s: a prompt at %g tokens/s, want 7 in 70 s", name, rate)
		}
		b := bodies["/completion"][0]
		prompt, want := b["prompt"], map[string]any{
			"n_predict": tt.tokens, "temperature": 0.0, "top_k": 1.0, "seed": 1.0, "cache_prompt": false, "ignore_eos": tt.request.IgnoreEnd,
			"stream": true, "return_tokens": tt.request.Candidates > 0, "n_probs": float64(tt.request.Candidates),
		}
		delete(b, "prompt")
		if fmt.Sprint(b) != fmt.Sprint(want) {
			t.Errorf("%s: asked for %v, want %v", name, b, want)
		}
		if tt.prompt != nil && prompt != tt.prompt {
			t.Errorf("%s: the prompt is %v", name, prompt)
		}
	}
}

// A long prompt is made of many different tokens that the model has, the same ones each
// time and in each lane.
func TestRuleFiller(t *testing.T) {
	for _, vocab := range []int{0, 1000, 262144} {
		var first []any
		for range 2 {
			s, bodies := fakeServer(t, vocab, 0)
			for range 2 {
				if _, err := s.Generate(t.Context(), llm.Request{Filler: 512, Tokens: 1, IgnoreEnd: true}, nil); err != nil {
					t.Fatal(err)
				}
			}
			for _, b := range bodies["/completion"] {
				ids, _ := b["prompt"].([]any)
				distinct := map[any]bool{}
				for _, id := range ids {
					distinct[id] = true
					if n, ok := id.(float64); !ok || n < 0 || n >= float64(max(vocab, 1000)) {
						t.Fatalf("a vocabulary of %d: token %v", vocab, id)
					}
				}
				if len(ids) != 512 || len(distinct) < 350 {
					t.Errorf("a vocabulary of %d: %d tokens, %d different ones", vocab, len(ids), len(distinct))
				}
				if first == nil {
					first = ids
				}
				if !slices.Equal(first, ids) {
					t.Errorf("a vocabulary of %d: another prompt in another request", vocab)
				}
			}
		}
	}
}

// A prompt of which a part comes from a cache was not computed: no figure.
func TestRuleNoCache(t *testing.T) {
	s, _ := fakeServer(t, 1000, 1)
	g, err := s.Generate(t.Context(), llm.Request{Prompt: "Hi", Tokens: 4, IgnoreEnd: true}, nil)
	code(t, err, fault.Internal, "took 1 tokens of the prompt from its cache")
	if _, ok := g.PromptRate(); ok || g.TokenTime != 0 {
		t.Errorf("it has figures: %+v", g)
	}
}

// The CPU lane does not touch the GPU, not even for large batches; a GPU lane names its
// device.
func TestRuleArguments(t *testing.T) {
	rt := &Runtime{GPU: &GPU{Name: "CUDA0"}}
	for layers, want := range map[int][]string{0: {"--device", "none", "-ngl", "0"}, 12: {"--device", "CUDA0", "-ngl", "12"}, llm.AllLayers: {"--device", "CUDA0", "-ngl", "99"}} {
		args := rt.arguments("m.gguf", llm.Settings{Layers: layers, Threads: 3, Context: 1024}, 4242, false)
		at := slices.Index(args, "--device")
		if at < 0 || len(args) < at+4 || !slices.Equal(args[at:at+4], want) || slices.Contains(args[at+1:], "--device") {
			t.Errorf("%d layers: %q", layers, args)
		}
		for _, pair := range [][]string{{"-m", "m.gguf"}, {"--host", "127.0.0.1"}, {"--port", "4242"}, {"-np", "1"}, {"-t", "3"}, {"-c", "1024"}} {
			if i := slices.Index(args, pair[0]); i < 0 || args[i+1] != pair[1] {
				t.Errorf("%d layers: %s is not %s in %q", layers, pair[0], pair[1], args)
			}
		}
	}
	args := strings.Join((&Runtime{}).arguments("m.gguf", llm.Settings{}, 1, false), " ")
	if !strings.Contains(args, "--device none -ngl 0") || strings.Contains(args, " -t ") || strings.Contains(args, " -c ") {
		t.Errorf("without a GPU: %s", args)
	}
}

// A GPU lane is one as far as the log proves it: without a layer on the GPU it is a
// CPU's.
func TestRuleNotOnGPU(t *testing.T) {
	gpu := &GPU{Name: "CUDA0", Device: hardware.Device{ID: "CUDA0", Name: "a GPU", Kind: hardware.GPU, API: "cuda"}}
	for _, tt := range []struct {
		log    string
		layers int
		kind   hardware.Kind
		note   string
	}{
		{"load_tensors: offloaded 25/25 layers to GPU\n", 99, hardware.GPU, ""},
		{"load_tensors: offloaded 1/25 layers to GPU\n", 1, hardware.GPU, ""},
		{"load_tensors: offloaded 0/25 layers to GPU\n", 99, hardware.CPU, "not on the GPU: llama.cpp put no layer there"},
		{"", 99, hardware.GPU, "llama.cpp did not say how many layers are on the GPU"},
		{"load_tensors: offloaded 0/25 layers to GPU\n", 0, hardware.CPU, ""},
	} {
		s := &server{log: &serverLog{}}
		s.log.read(strings.NewReader(tt.log))
		(&Runtime{GPU: gpu, CPU: "a CPU"}).describe(s, llm.Settings{Layers: tt.layers})
		if f := s.Facts(); f.Device.Kind != tt.kind || strings.Join(f.Notes, "; ") != tt.note || tt.layers == 0 && f.Device.Name != "a CPU" {
			t.Errorf("%d layers, %q: %+v", tt.layers, tt.log, f)
		}
		if gpu.Device.Kind != hardware.GPU {
			t.Fatal("the GPU itself lost its kind")
		}
	}
}

// The first token's time is ours, and the runtime's clock begins after it: the two are
// not mixed.
func TestRuleClocks(t *testing.T) {
	s, _ := fakeServer(t, 1000, 0)
	g, err := s.Generate(t.Context(), llm.Request{Prompt: "Hi", Tokens: 4, IgnoreEnd: true}, nil)
	if err != nil || g.PromptTime != 70*time.Second || g.TokenTime != 30*time.Second || g.First <= 0 || g.First > g.Wall || g.Wall >= 30*time.Second {
		t.Errorf("%+v, %v: the server's own times are 70 and 30 s, and it took much less", g, err)
	}
}
