package ollama

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/llm"
)

// The tests of this file are named after the rules of docs/MEASURING.md.

// fakeOllama returns the address of an Ollama that has llama3.2, and what /api/generate
// was asked since its model was loaded. A prompt of more words than its context has is
// refused, as Ollama refuses it.
func fakeOllama(t *testing.T, words int) (host string, asked *[]map[string]any) {
	t.Helper()
	loaded := false
	asked = new([]map[string]any)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/version":
			io.WriteString(w, `{"version":"0.17.4"}`)
		case "/api/tags":
			io.WriteString(w, tags)
		case "/api/ps":
			models := ""
			if loaded {
				models = `{"name":"llama3.2:latest","size":100,"context_length":4096}`
			}
			io.WriteString(w, `{"models":[`+models+`]}`)
		case "/api/generate":
			var q map[string]any
			if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
				t.Error(err)
			}
			prompt, _ := q["prompt"].(string)
			if prompt == "" { // loads or unloads
				loaded = q["keep_alive"] != 0.0
			} else {
				*asked = append(*asked, q)
			}
			switch {
			case len(strings.Fields(prompt)) > words:
				w.WriteHeader(http.StatusBadRequest)
				io.WriteString(w, `{"error":"the input length exceeds the context length"}`)
				return
			case q["stream"] == true:
				io.WriteString(w, `{"response":"a","done":false}`+"\n"+`{"response":"b","done":false}`+"\n")
			}
			io.WriteString(w, `{"response":"","done":true,"done_reason":"length","prompt_eval_count":7,"prompt_eval_duration":70000000000,"eval_count":4,"eval_duration":30000000000}`+"\n")
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), asked
}

// Every prompt is asked for without sampling, after one that makes Ollama's cache
// useless for it: Ollama counts what it takes from there as computed.
func TestRuleRequests(t *testing.T) {
	host, asked := fakeOllama(t, 1000)
	s, err := (&Runtime{Host: host}).Load(t.Context(), "llama3.2", llm.Settings{Threads: 3, Context: 1024})
	if err != nil {
		t.Fatal(err)
	}
	if len(*asked) != 0 {
		t.Errorf("loading has a prompt: %v", *asked)
	}
	requests := []llm.Request{
		{Prompt: "Why is the sky blue?", Chat: true, Tokens: 64, IgnoreEnd: true, Candidates: 10},
		{Prompt: "Why is the sky blue?", Chat: true, Tokens: 64, IgnoreEnd: true},
		{Filler: 512, Tokens: 1, IgnoreEnd: true},
		{Filler: 512, Tokens: 1, IgnoreEnd: true},
		{Prompt: "Why is the sky blue?", Tokens: 64, IgnoreEnd: true},
	}
	for i, r := range requests {
		before := len(*asked)
		g, err := s.Generate(t.Context(), r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if g.PromptTime != 70*time.Second || g.TokenTime != 30*time.Second || g.First <= 0 || g.First > g.Wall || g.Wall >= 30*time.Second {
			t.Errorf("%+v: Ollama's own times are 70 and 30 s, and it took much less", g)
		}
		if rate, ok := g.Rate(); !ok || rate != 0.1 {
			t.Errorf("4 tokens at %g tokens/s, want 3 steps in 30 s", rate)
		}
		since := (*asked)[before:]
		if len(since) != 2 {
			t.Fatalf("request %d: %d requests, want one that breaks the cache and itself", i, len(since))
		}
		breaks, timed := since[0], since[1]
		prompt := timed["prompt"].(string)
		if own := breaks["prompt"].(string); breaks["raw"] != true || breaks["stream"] != false || strings.HasPrefix(prompt, own) || strings.HasPrefix(own, prompt) || len(strings.Fields(own)) > 4 {
			t.Errorf("request %d: the cache is broken by %v before %.40q", i, breaks, prompt)
		}
		for j, q := range since {
			o, _ := q["options"].(map[string]any)
			tokens := []float64{1, float64(r.Tokens)}[j]
			want := map[string]any{"num_gpu": 0.0, "num_thread": 3.0, "num_ctx": 1024.0, "num_predict": tokens, "temperature": 0.0, "top_k": 1.0, "seed": 1.0, "repeat_penalty": 1.0}
			if fmt.Sprint(o) != fmt.Sprint(want) {
				t.Errorf("request %d: options %v, want %v", i, o, want)
			}
		}
		if timed["truncate"] != false || timed["shift"] != false || timed["stream"] != true {
			t.Errorf("request %d: %v", i, timed)
		}
		if raw := timed["raw"] == true; raw == r.Chat {
			t.Errorf("request %d: without a template %v", i, raw)
		}
		if (timed["logprobs"] == true) != (r.Candidates > 0) {
			t.Errorf("request %d: log probabilities %v", i, timed["logprobs"])
		}
		if r.Filler == 0 && prompt != r.Prompt {
			t.Errorf("request %d: the prompt is %q", i, prompt)
		}
		if words := strings.Fields(prompt); r.Filler > 0 {
			distinct := map[string]bool{}
			for _, w := range words {
				distinct[w] = true
			}
			if len(words) != 512 || len(distinct) < 90 {
				t.Errorf("request %d: a long prompt of %d words, %d different ones", i, len(words), len(distinct))
			}
		}
	}
	if a, b := (*asked)[5]["prompt"], (*asked)[7]["prompt"]; a == b {
		t.Error("a long prompt is the one before: a cache may hold it")
	}
}

// A long prompt that has to be shorter breaks the cache each time that it is tried.
func TestRuleCacheIsBrokenAgain(t *testing.T) {
	host, asked := fakeOllama(t, 200)
	s, err := (&Runtime{Host: host}).Load(t.Context(), "llama3.2", llm.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Generate(t.Context(), llm.Request{Filler: 512, Tokens: 1}, nil); err != nil {
		t.Fatal(err)
	}
	var lengths []int
	for _, q := range *asked {
		lengths = append(lengths, len(strings.Fields(q["prompt"].(string))))
	}
	if fmt.Sprint(lengths) != "[2 512 2 256 2 128]" {
		t.Errorf("prompts of %d words, want one of 2 before each", lengths)
	}
}
