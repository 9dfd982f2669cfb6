package ollama

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/llm/ollama/ollamatest"
)

func TestBase(t *testing.T) {
	for host, want := range map[string]string{
		"": "http://127.0.0.1:11434", "0.0.0.0": "http://127.0.0.1:11434", "box:1234": "http://box:1234", "https://box": "https://box:443",
		"http://box": "http://box:80", "[::1]:9": "http://[::1]:9", "box:1/ollama": "http://box:1/ollama",
	} {
		if u, err := base(host); err != nil || u.String() != want {
			t.Errorf("%q is %v, %v, want %s", host, u, err, want)
		}
	}
	for _, host := range []string{"ftp://box", "a b:%zz"} {
		if u, err := base(host); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q is %v, %v", host, u, err)
		}
	}
}

// real starts an Ollama of this machine with nothing in it but a tiny model, and
// returns its address.
func real(t *testing.T) string {
	t.Helper()
	program := ollamatest.Program()
	if program == "" {
		enginetest.Require(t, "ollama", "no ollama on the path, nor in GPUPLAY_TEST_OLLAMA")
	}
	s, err := ollamatest.Serve(program, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		if t.Failed() {
			t.Log(s.Log())
		}
	})
	return s.Host
}

// Both lanes of a real Ollama, on a machine where it has no GPU.
func TestReal(t *testing.T) {
	r := &Runtime{Host: real(t), CPU: "a CPU"}
	var texts []string
	for _, layers := range []int{0, llm.AllLayers} {
		s, err := r.Load(t.Context(), "tiny", llm.Settings{Layers: layers, Context: 512})
		if err != nil {
			t.Fatal(err)
		}
		f := s.Facts()
		if !strings.HasPrefix(f.Runtime, "Ollama ") || f.Load <= 0 || f.Memory == nil || *f.Memory <= 0 || f.Context != 512 || f.Device.Version == "" {
			t.Errorf("facts %+v", f)
		}
		if f.Device.Kind == hardware.CPU && (len(f.Notes) > 0) != (layers > 0) {
			t.Errorf("%d layers on the GPU: notes %q", layers, f.Notes)
		}
		var first, second llm.Generation
		for i, g := range []*llm.Generation{&first, &second} {
			var pieces strings.Builder
			*g, err = s.Generate(t.Context(), llm.Request{Prompt: "Hello there, how are you?", Tokens: 12, Candidates: 5 * i}, func(p llm.Piece) { pieces.WriteString(p.Text) })
			if err != nil || pieces.String() != g.Text || g.First <= 0 || g.First > g.Wall || g.Tokens < 1 || g.Tokens > 12 || g.TokenTime < 0 || g.PromptTokens < 10 || g.PromptTime <= 0 || g.Finish == "" {
				t.Fatalf("%+v, %v", *g, err)
			}
		}
		if first.Text != second.Text || first.PromptTokens != second.PromptTokens {
			t.Errorf("the second answer differs: %+v, %+v", first, second)
		}
		if len(first.Sequence) > 0 || len(second.Sequence) == 0 || len(second.Sequence[0].Candidates) != 5 {
			t.Errorf("sequences of %d and %d tokens", len(first.Sequence), len(second.Sequence))
		}
		long, err := s.Generate(t.Context(), llm.Request{Filler: 40, Tokens: 1}, nil)
		if err != nil || long.PromptTokens < 40 {
			t.Errorf("a filler of 40: %+v, %v", long, err)
		}
		long, err = s.Generate(t.Context(), llm.Request{Filler: 512, Tokens: 1}, nil) // a byte a token: 512 words are too many
		if err != nil || long.PromptTokens < 200 {
			t.Errorf("a filler of 512: %+v, %v", long, err)
		}
		_, err = s.Generate(t.Context(), llm.Request{Prompt: strings.Repeat("x", 2000), Tokens: 1}, func(llm.Piece) {})
		if !errors.Is(err, fault.Invalid) {
			t.Errorf("a prompt longer than the context: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cut, err := s.Generate(ctx, llm.Request{Prompt: "Hello", Tokens: 400}, func(llm.Piece) { cancel() })
		if !errors.Is(err, context.Canceled) || cut.Text == "" {
			t.Errorf("interrupted: %+v, %v", cut, err)
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
		if m, err := s.(*session).loaded(t.Context()); m != nil || err != nil {
			t.Errorf("closed, it is still loaded: %+v, %v", m, err)
		}
		texts = append(texts, first.Text)
	}
	if texts[0] != texts[1] {
		t.Errorf("the lanes say %q", texts)
	}
	if _, err := r.Load(t.Context(), "large", llm.Settings{}); !errors.Is(err, fault.Unavailable) || err.Error() != "Ollama has no model large" {
		t.Errorf("error %v of a model that is not there", err)
	}
	for _, word := range []string{"", "tiny", "tiny:latest"} {
		m, err := r.Find(t.Context(), word)
		if err != nil || m.Ref != "tiny:latest" || m.Path != m.Ref || m.Bytes < 100_000 || m.Architecture != "llama" || !m.Chat {
			t.Errorf("%q is %+v, %v", word, m, err)
		}
	}
	if _, err := r.Find(t.Context(), "large"); !errors.Is(err, fault.Unavailable) {
		t.Errorf("error %v of a model that is not there", err)
	}
}

// answers is an Ollama as docs/api.md of https://github.com/ollama/ollama shows its
// answers, with those of /api/ps and /api/generate as given: for what a machine
// without a GPU cannot show, and for servers that fail.
func answers(t *testing.T, tags, ps, generate string) string {
	loaded := false
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/version":
			io.WriteString(w, `{"version":"0.17.4"}`)
		case "/api/tags":
			io.WriteString(w, tags)
		case "/api/ps":
			if !loaded {
				ps := `{"models":[]}`
				io.WriteString(w, ps)
				return
			}
			io.WriteString(w, ps)
		case "/api/generate":
			var q request
			json.NewDecoder(r.Body).Decode(&q)
			loaded = q.KeepAlive != 0.0
			if q.Stream {
				io.WriteString(w, generate)
			} else {
				io.WriteString(w, `{"model":"llama3.2","response":"","done":true,"done_reason":"load"}`)
			}
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

const tags = `{"models":[{"name":"llama3.2:latest","size":2019393189},{"name":"big:cloud","remote_host":"https://ollama.com:443"}]}`

func TestPlace(t *testing.T) {
	for _, tt := range []struct {
		layers     int
		size, vram int64
		kind       hardware.Kind
		memory     int64
		note       string
	}{
		{0, 100, 0, hardware.CPU, 100, ""},
		{99, 100, 100, hardware.GPU, 100, ""},
		{99, 100, 40, hardware.GPU, 40, "40% of the model is on the GPU, the rest on the CPU"},
		{8, 100, 40, hardware.GPU, 40, ""},
		{99, 100, 0, hardware.CPU, 100, "not on the GPU: Ollama put no byte of the model there (size_vram 0)"},
		{0, 2e9, 1e9, hardware.GPU, 1e9, "not on the CPU alone: Ollama put 1.00 GB on the GPU"},
	} {
		host := answers(t, tags, fmt.Sprintf(`{"models":[{"name":"llama3.2:latest","size":%d,"size_vram":%d,"context_length":4096}]}`, tt.size, tt.vram), "")
		s, err := (&Runtime{Host: host}).Load(t.Context(), "llama3.2", llm.Settings{Layers: tt.layers})
		if err != nil {
			t.Fatal(err)
		}
		if f := s.Facts(); f.Device.Kind != tt.kind || *f.Memory != tt.memory || strings.Join(f.Notes, "\n") != tt.note {
			t.Errorf("%d layers, %d of %d bytes: %+v", tt.layers, tt.vram, tt.size, f)
		}
	}
}

// An Ollama on another machine is named with its address, and nothing of this machine
// stands for it. An address of this machine's own is none of another.
func TestRemote(t *testing.T) {
	hosts := map[string]string{"": "", "localhost": "", "127.0.0.1:9": "", "[::1]:9": "", "192.0.2.7": "192.0.2.7:11434", "https://192.0.2.7": "192.0.2.7:443"} // RFC 5737: nobody's
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range own {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
			hosts[n.IP.String()] = ""
		}
	}
	for host, want := range hosts {
		if got := (&Runtime{Host: host}).Remote(t.Context()); got != want {
			t.Errorf("%q runs at %q, want %q", host, got, want)
		}
	}
	for vram, name := range map[int]string{0: "a CPU at 192.0.2.7:11434", 100: "a GPU at 192.0.2.7:11434"} {
		u, err := base(answers(t, tags, fmt.Sprintf(`{"models":[{"name":"llama3.2:latest","size":100,"size_vram":%d}]}`, vram), ""))
		if err != nil {
			t.Fatal(err)
		}
		s := &session{url: u, model: "llama3.2:latest", lane: llm.Settings{Layers: vram}, facts: llm.Facts{Host: "192.0.2.7:11434"}}
		if _, err := s.ask(t.Context(), request{Model: s.model, KeepAlive: "1m"}, nil); err != nil {
			t.Fatal(err)
		}
		err = s.place(t.Context(), &Runtime{CPU: "this CPU", GPU: "this GPU"})
		if f := s.facts; err != nil || f.Device.Name != name || strings.Join(f.Notes, "\n") != "not this machine: Ollama runs at 192.0.2.7:11434" {
			t.Errorf("%d bytes on the GPU: %+v, %v", vram, f, err)
		}
	}
}

func TestFails(t *testing.T) {
	const ps = `{"models":[{"name":"llama3.2:latest","size":100,"size_vram":0}]}`
	const piece = `{"model":"llama3.2","response":"The","done":false}` + "\n"
	for _, tt := range []struct {
		name, generate string
		code           fault.Code
		says           string
	}{
		{"breaks off", piece, fault.Crashed, "Ollama's answer broke off: it ended early"},
		{"an error in the middle", piece + `{"error":"an error was encountered while running the model: \u001b[31mCUDA error"}` + "\n", fault.Internal, "Ollama: an error was encountered while running the model: ^[[31mCUDA error"},
		{"no memory", piece + `{"error":"model requires more system memory (5 GiB) than is available"}`, fault.OutOfMemory, "more system memory"},
		{"another language", piece + "<html>\n", fault.Internal, "Ollama's answer is not understood"},
	} {
		s, err := (&Runtime{Host: answers(t, tags, ps, tt.generate)}).Load(t.Context(), "llama3.2", llm.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		g, err := s.Generate(t.Context(), llm.Request{Prompt: "Why is the sky blue?", Tokens: 4}, func(llm.Piece) {})
		if !errors.Is(err, tt.code) || !strings.Contains(err.Error(), tt.says) || g.Text != "The" {
			t.Errorf("%s: %q, %v, want what was generated and %q", tt.name, g.Text, err, tt.says)
		}
	}
	for _, tt := range []struct{ tags, word, ref, says string }{
		{tags, "", "llama3.2:latest", ""},
		{tags, "big:cloud", "big:cloud", "not on this machine"},
		{tags, "llama3.3", "", "Ollama has no model llama3.3"},
		{`{"models":[{"name":"big:cloud","remote_host":"https://ollama.com:443"}]}`, "", "", "Ollama has no model"},
		{`{"models":null}`, "", "", "Ollama has no model"},
	} {
		m, err := (&Runtime{Host: answers(t, tt.tags, ps, "")}).Find(t.Context(), tt.word)
		if m.Ref != tt.ref || (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q of %s is %q, %v", tt.word, tt.tags, m.Ref, err)
		}
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }))
	defer page.Close()
	for _, tt := range []struct{ host, model, says string }{
		{closed.Listener.Addr().String(), "llama3.2", "no Ollama answers at 127.0.0.1:"},
		{page.Listener.Addr().String(), "llama3.2", "is no Ollama: invalid character '<'"},
		{answers(t, tags, ps, ""), "big:cloud", "big:cloud runs at https://ollama.com:443, not on this machine"},
	} {
		_, err := (&Runtime{Host: tt.host}).Load(t.Context(), tt.model, llm.Settings{})
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s on %s: %v, want %q", tt.model, tt.host, err, tt.says)
		}
	}
}
