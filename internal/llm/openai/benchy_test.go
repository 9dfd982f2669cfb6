package openai

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/llm/llmtest"
	"github.com/gpuplay/gpuplay/internal/stats"
)

// benchy is the part of llama-benchy's report that is compared.
type benchy struct {
	Benchmarks []struct {
		Prompt     series `json:"pp_throughput"`
		Generation series `json:"tg_throughput"`
		First      series `json:"e2e_ttft"` // ms
	} `json:"benchmarks"`
}

type series struct {
	Values []float64 `json:"values"`
}

// TestAgainstLlamaBenchy measures the same llama-server with gpuplay and with llama-benchy
// (https://pypi.org/project/llama-benchy), in turns. GPUPLAY_TEST_LLAMA_BENCHY names its
// program.
//
// llama-benchy subtracts from a prompt's time what a request without computing takes, so
// that is left at 0 here.
func TestAgainstLlamaBenchy(t *testing.T) {
	program, gguf := os.Getenv("GPUPLAY_TEST_LLAMA_BENCHY"), llmtest.GGUF()
	if _, err := os.Stat(program); program == "" || err != nil {
		enginetest.Require(t, "llama-benchy", "no llama-benchy in GPUPLAY_TEST_LLAMA_BENCHY")
	}
	if gguf == "" {
		enginetest.Require(t, "gguf", "no model in GPUPLAY_TEST_GGUF")
	}
	if testing.Short() {
		t.Skip("it takes up to a minute")
	}
	// llama-benchy takes the server's count of a prompt's tokens only if its own, which the
	// tokens of the chat template do not enter, is less than a fifth away. With 256 tokens
	// it is not.
	const prompt, tokens, turns, runs = 512, 32, 2, 4
	url, err := llmtest.Serve(t, gguf, append([]string{"-c", "2048"}, strings.Fields(os.Getenv("GPUPLAY_TEST_LLAMA_ARGS"))...)...)
	if err != nil {
		enginetest.Require(t, "llama.cpp", err.Error())
	}
	book, tokenizer := material(t)
	s, err := (&Runtime{URL: url}).Load(t.Context(), "", llm.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ask := func(r llm.Request) llm.Generation {
		g, err := s.Generate(t.Context(), r, nil)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	name := s.(*session).model
	long := llm.Request{Filler: prompt, Tokens: tokens, IgnoreEnd: true}
	ask(long)
	var ours, theirs struct{ prompt, generation, first []float64 }
	for turn := range turns {
		for range runs {
			g := ask(long)
			p, _ := g.PromptRate()
			r, _ := g.Rate()
			ours.prompt, ours.generation, ours.first = append(ours.prompt, p), append(ours.generation, r), append(ours.first, g.First.Seconds())
		}
		report := filepath.Join(t.TempDir(), fmt.Sprint(turn, ".json"))
		cmd := exec.CommandContext(t.Context(), program, "--base-url", url, "--model", name, "--tokenizer", tokenizer, "--book-url", book, "--pp", fmt.Sprint(prompt), "--tg", fmt.Sprint(tokens),
			"--runs", fmt.Sprint(runs), "--no-cache", "--exact-tg", "--skip-coherence", "--latency-mode", "none", "--save-result", report, "--format", "json")
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "HF_HUB_OFFLINE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("llama-benchy: %v\n%s", err, out)
		}
		text, err := os.ReadFile(report)
		if err != nil {
			t.Fatal(err)
		}
		var b benchy
		if err := json.Unmarshal(text, &b); err != nil || len(b.Benchmarks) != 1 {
			t.Fatalf("llama-benchy's report: %v\n%s", err, text)
		}
		x := b.Benchmarks[0]
		theirs.prompt, theirs.generation = append(theirs.prompt, x.Prompt.Values...), append(theirs.generation, x.Generation.Values...)
		for _, ms := range x.First.Values {
			theirs.first = append(theirs.first, ms/1000)
		}
	}
	for _, m := range []struct {
		name         string
		ours, theirs []float64
		wider        float64
	}{
		{"prompt, tokens/s", ours.prompt, theirs.prompt, 1.1},
		{"generation, tokens/s", ours.generation, theirs.generation, 1.1},
		{"first token, s", ours.first, theirs.first, 1.2}, // its prompts have about 7 % more tokens, those of the chat template
	} {
		a, b := stats.MedianInterval(m.ours), stats.MedianInterval(m.theirs)
		t.Logf("%s: gpuplay %.4g (%.4g to %.4g), llama-benchy %.4g (%.4g to %.4g)", m.name, a.Value, a.Low, a.High, b.Value, b.Low, b.High)
		// Both intervals are widened: two turns of a few runs each see little
		// of what else a machine does.
		if a.Low > b.High*m.wider || b.Low > a.High*m.wider {
			t.Errorf("%s: gpuplay %.4g and llama-benchy %.4g are apart", m.name, a.Value, b.Value)
		}
	}
}

// material returns the address of a text, and a file with a tokenizer that makes one token
// of each of its words, as most models' tokenizers do: llama-benchy cuts prompts of a
// length with it.
func material(t *testing.T) (book, tokenizer string) {
	text := llm.Words(rand.New(rand.NewPCG(1, 2)), 20000)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }))
	t.Cleanup(h.Close)
	vocabulary := map[string]int{"[UNK]": 0}
	for _, w := range strings.Fields(text) {
		if _, known := vocabulary[w]; !known {
			vocabulary[w] = len(vocabulary)
		}
	}
	file, err := json.Marshal(map[string]any{
		"version": "1.0", "added_tokens": []any{}, "pre_tokenizer": map[string]string{"type": "Whitespace"},
		"model": map[string]any{"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
	})
	if err != nil {
		t.Fatal(err)
	}
	tokenizer = filepath.Join(t.TempDir(), "tokenizer.json")
	if err := os.WriteFile(tokenizer, file, 0o644); err != nil {
		t.Fatal(err)
	}
	return h.URL, tokenizer
}
