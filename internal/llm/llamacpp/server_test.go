package llamacpp

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/llm/llmtest"
)

// installed returns the machine's llama.cpp with a real model.
func installed(t *testing.T) (rt *Runtime, model string) {
	t.Helper()
	dir, model := llmtest.LlamaCPP(), llmtest.GGUF()
	if dir == "" {
		enginetest.Require(t, "llama.cpp", "no llama-server in GPUPLAY_LLAMA_CPP or on the path")
	}
	if model == "" {
		enginetest.Require(t, "gguf", "no model in GPUPLAY_TEST_GGUF")
	}
	found, err := Search{Dir: dir}.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &Runtime{Installation: found, CPU: "this CPU", Env: os.Environ()}, model
}

func load(t *testing.T, rt *Runtime, model string, l llm.Settings) *server {
	t.Helper()
	s, err := rt.Load(t.Context(), model, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*server)
}

func code(t *testing.T, err error, want fault.Code, says ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want one of code %s", err, want)
	}
	var e *fault.Error
	errors.As(err, &e)
	for _, s := range says {
		if !strings.Contains(e.Message+" | "+e.Remedies.String(), s) {
			t.Errorf("error %q (%s) does not say %q", e.Message, e.Remedies.String(), s)
		}
	}
}

// The real server: one session passes what package llm says of a session.
func TestServer(t *testing.T) {
	rt, model := installed(t)
	s := load(t, rt, model, llm.Settings{Context: 1024})
	t.Run("conforms", func(t *testing.T) { llmtest.Session(t, s) })

	t.Run("facts", func(t *testing.T) {
		f := s.Facts()
		if f.Device.Kind != hardware.CPU || f.Device.Name != "this CPU" || f.Context != 1024 || f.Load <= 0 || f.Runtime != "llama.cpp "+rt.Version {
			t.Errorf("facts %+v", f)
		}
		if f.Memory == nil || *f.Memory < 100e6 {
			t.Errorf("memory %v: the log's lines about buffers are not understood any more", f.Memory)
		}
	})

	t.Run("a prompt longer than the context", func(t *testing.T) {
		g, err := s.Generate(t.Context(), llm.Request{Filler: 2000, Tokens: 4}, nil)
		code(t, err, fault.Invalid, "the prompt has 2000 tokens, the context 1024", "a larger context: ctx 2560")
		if g.Tokens != 0 {
			t.Errorf("%d tokens of a refused prompt", g.Tokens)
		}
	})

	t.Run("cut off in mid-stream", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var text strings.Builder
		g, err := s.Generate(ctx, llm.Request{Prompt: "Once upon a time", Tokens: 900, IgnoreEnd: true}, func(p llm.Piece) {
			text.WriteString(p.Text)
			if text.Len() > 20 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want the context's", err)
		}
		if g.Text != text.String() || g.Tokens == 0 || g.Tokens > 800 || g.Finish != "" {
			t.Errorf("kept %d tokens, %q, of %q; finish %q", g.Tokens, g.Text, text.String(), g.Finish)
		}
		if g, err = s.Generate(t.Context(), llm.Request{Prompt: "One", Tokens: 2, IgnoreEnd: true}, nil); err != nil || g.Tokens != 2 {
			t.Errorf("the next request: %d tokens, %v", g.Tokens, err)
		}
	})

	t.Run("another server on its port", func(t *testing.T) {
		_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.url, "http://"))
		n, _ := strconv.Atoi(port)
		_, err := rt.start(t.Context(), model, llm.Settings{Context: 512}, n, false)
		var taken *portError
		if !errors.As(err, &taken) {
			t.Errorf("error %v, want one that has another port tried", err)
		}
	})

	t.Run("killed in mid-stream", func(t *testing.T) {
		pieces := 0
		g, err := s.Generate(t.Context(), llm.Request{Prompt: "Once upon a time", Tokens: 900, IgnoreEnd: true}, func(llm.Piece) {
			if pieces++; pieces == 5 {
				s.cmd.Process.Kill()
			}
		})
		code(t, err, fault.Crashed, "llama.cpp was killed while generating")
		if g.Tokens < 5 || g.Text == "" {
			t.Errorf("kept %d tokens, %q", g.Tokens, g.Text)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A lane that cannot be is refused before anything is started.
func TestRefused(t *testing.T) {
	rt := &Runtime{NoGPU: fault.Errorf(fault.Unavailable, "there is no GPU")}
	_, err := rt.Load(t.Context(), "model.gguf", llm.Settings{Layers: 99})
	code(t, err, fault.Unavailable, "there is no GPU")
	rt = &Runtime{Bytes: 40e9, Free: 8e9}
	_, err = rt.Load(t.Context(), "model.gguf", llm.Settings{})
	code(t, err, fault.OutOfMemory, "the model needs 40.0 GB of memory, 8.0 GB is available")
}

func TestServerThatDoesNotStart(t *testing.T) {
	rt, model := installed(t)
	whole, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tt := range map[string]struct{ path, says, hint string }{
		"no GGUF":              {write("a.gguf", []byte("once upon a time")), "invalid magic", ""},
		"truncated":            {write("b.gguf", whole[:len(whole)/10]), "corrupted or incomplete", ""},
		"unknown architecture": {write("c.gguf", []byte(strings.Replace(string(whole[:1<<20]), "gemma3", "gemma9", 1)+string(whole[1<<20:]))), "unknown model architecture: 'gemma9'", "a newer llama.cpp"},
		"no file":              {filepath.Join(dir, "none.gguf"), "No such file", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rt.Load(t.Context(), tt.path, llm.Settings{})
			code(t, err, fault.Crashed, "llama.cpp ended with exit code 1 while loading the model", tt.says, tt.hint)
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := rt.Load(ctx, model, llm.Settings{}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("no program", func(t *testing.T) {
		bad := &Runtime{Installation: Installation{Server: filepath.Join(dir, "none")}}
		_, err := bad.Load(t.Context(), model, llm.Settings{})
		code(t, err, fault.Unavailable, "did not start")
	})
}

// llama-bench's JSON holds a sample for each repetition.
func TestBenchmark(t *testing.T) {
	rt, model := installed(t)
	if rt.Bench == "" {
		enginetest.Require(t, "llama-bench", "no llama-bench beside llama-server")
	}
	if testing.Short() {
		t.Skip("llama-bench takes seconds")
	}
	list, err := rt.Benchmark(t.Context(), model, llm.Settings{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Name != "pp512" || list[1].Name != "tg128" {
		t.Fatalf("tests %+v", list)
	}
	for _, p := range list {
		if rate, ok := p.Rate(); !ok || rate.Value <= 0 || len(p.Samples) != 1 {
			t.Errorf("%s: %d samples, %v tokens/s", p.Name, len(p.Samples), rate.Value)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := rt.Benchmark(ctx, model, llm.Settings{}, 1000); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cut off: %v", err)
	}
}

// A software GPU, where llama.cpp has one: named as such, and as many layers on it
// as the log proves.
func TestSoftwareGPU(t *testing.T) {
	rt, model := installed(t)
	found, err := Search{Dir: llmtest.LlamaVulkan()}.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(found.Server) == "llama-server-vulkan" && !slices.Contains(found.Backends, "Vulkan") {
		t.Errorf("a wheel's backends are %q", found.Backends)
	}
	rt.Installation = found
	env := append(os.Environ(), "GGML_VK_VISIBLE_DEVICES=0")
	gpus, err := rt.GPUs(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if len(gpus) == 0 || gpus[0].Device.Kind != hardware.SoftwareGPU {
		enginetest.Require(t, "llama.cpp-vulkan", "this llama.cpp has no Vulkan backend, or there is no lavapipe")
	}
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	rt.GPU, rt.Env = &gpus[0], env
	session, err := rt.Load(t.Context(), model, llm.Settings{Layers: 99, Context: 512})
	if err != nil && strings.Contains(err.Error(), "more instruction sets") {
		enginetest.Require(t, "llama.cpp-vulkan", err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	s := session
	f := s.Facts()
	if f.Device.Kind != hardware.SoftwareGPU || f.Layers == nil || f.Total == nil || *f.Layers != *f.Total || *f.Layers == 0 {
		t.Errorf("facts %+v", f)
	}
	if f.Memory == nil || *f.Memory < 50e6 {
		t.Errorf("memory on the device: %v", f.Memory)
	}
	g, err := s.Generate(t.Context(), llm.Request{Prompt: "Hi", Tokens: 2, IgnoreEnd: true}, nil)
	if err != nil || g.Tokens != 2 {
		t.Errorf("%d tokens, %v", g.Tokens, err)
	}
}
