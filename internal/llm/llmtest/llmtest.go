// Package llmtest is the conformance suite of runtimes: what package llm says of a
// session, as tests that every runtime passes with a real model; and where the
// real parts are that tests need. It measures no speed.
package llmtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/llm"
)

// LlamaCPP returns the folder or program that GPUPLAY_LLAMA_CPP names, or the
// llama-server on the path; "" if there is none.
func LlamaCPP() string {
	if dir := os.Getenv("GPUPLAY_LLAMA_CPP"); dir != "" {
		return dir
	}
	path, err := exec.LookPath("llama-server")
	if err != nil {
		return ""
	}
	return path
}

// LlamaVulkan returns the llama-server with a Vulkan backend that
// GPUPLAY_TEST_LLAMA_VULKAN names, or else the one that LlamaCPP returns.
func LlamaVulkan() string {
	if path := os.Getenv("GPUPLAY_TEST_LLAMA_VULKAN"); path != "" {
		return path
	}
	return LlamaCPP()
}

// GGUF returns the model that GPUPLAY_TEST_GGUF names, a small one such as Gemma 3
// 270M; "" if there is none.
func GGUF() string {
	path := os.Getenv("GPUPLAY_TEST_GGUF")
	if _, err := os.Stat(path); path == "" || err != nil {
		return ""
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	return abs
}

// Session tests a loaded model of at least 1024 tokens' context.
func Session(t *testing.T, s llm.Session) {
	const tokens = 12
	request := llm.Request{Prompt: "The capital of Finland is", Tokens: tokens, IgnoreEnd: true}
	var first llm.Generation
	t.Run("generates", func(t *testing.T) {
		var text strings.Builder
		last := time.Duration(0)
		g, err := s.Generate(t.Context(), request, func(p llm.Piece) {
			text.WriteString(p.Text)
			if p.At < last {
				t.Errorf("a piece at %v after one at %v", p.At, last)
			}
			last = p.At
		})
		if err != nil {
			t.Fatal(err)
		}
		if g.Text == "" || g.Text != text.String() {
			t.Errorf("text %q, in pieces %q", g.Text, text.String())
		}
		if g.Tokens != tokens || g.Finish != "length" || g.PromptTokens < 3 || g.PromptTokens > 30 {
			t.Errorf("%d tokens, finish %q, %d of the prompt", g.Tokens, g.Finish, g.PromptTokens)
		}
		if g.First <= 0 || g.First > g.Wall || last > g.Wall {
			t.Errorf("first token at %v, last piece at %v, end at %v", g.First, last, g.Wall)
		}
		// The runtime's own times lie within ours.
		if g.PromptTime <= 0 || g.TokenTime <= 0 || g.PromptTime+g.TokenTime > g.Wall {
			t.Errorf("prompt %v and tokens %v in %v", g.PromptTime, g.TokenTime, g.Wall)
		}
		if len(g.Sequence) > 0 && len(g.Sequence) != tokens {
			t.Errorf("%d tokens in the sequence", len(g.Sequence))
		}
		first = g
	})
	t.Run("generates the same again", func(t *testing.T) {
		g, err := s.Generate(t.Context(), request, nil)
		if err != nil {
			t.Fatal(err)
		}
		if g.Text != first.Text || g.PromptTokens != first.PromptTokens {
			t.Errorf("%q from %d tokens, and again %q from %d", first.Text, first.PromptTokens, g.Text, g.PromptTokens)
		}
	})
	t.Run("candidates", func(t *testing.T) {
		r := request
		r.Candidates = 5
		g, err := s.Generate(t.Context(), r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Sequence) != tokens {
			t.Fatalf("%d tokens in the sequence, want %d", len(g.Sequence), tokens)
		}
		for i, token := range g.Sequence {
			if len(token.Candidates) != 5 || token.Candidates[0].ID != token.ID {
				t.Errorf("token %d is %d with candidates %v, want it to be the most probable of 5", i, token.ID, token.Candidates)
			}
			for j, c := range token.Candidates {
				if *c.LogProb > 0 || j > 0 && *c.LogProb > *token.Candidates[j-1].LogProb {
					t.Errorf("token %d: log probabilities %v", i, token.Candidates)
				}
			}
		}
	})
	t.Run("a long prompt", func(t *testing.T) {
		g, err := s.Generate(t.Context(), llm.Request{Filler: 512, Tokens: 1, IgnoreEnd: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if g.PromptTokens < 400 || g.PromptTokens > 640 || g.Tokens != 1 {
			t.Errorf("%d tokens in the prompt, want about 512; %d generated", g.PromptTokens, g.Tokens)
		}
		if _, ok := g.Rate(); ok {
			t.Error("one token has a rate: there was no step")
		}
	})
}
