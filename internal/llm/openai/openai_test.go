package openai

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/llm/llmtest"
	"github.com/gpuplay/gpuplay/internal/llm/ollama/ollamatest"
	"github.com/gpuplay/gpuplay/internal/model"
)

func TestBase(t *testing.T) {
	for text, want := range map[string]string{
		"http://127.0.0.1:8080/v1":                "http://127.0.0.1:8080/v1",
		"https://example.com/openai/v1/":          "https://example.com/openai/v1",
		"127.0.0.1:8080":                          "http://127.0.0.1:8080/v1",
		" http://[::1]:1234/v1/chat/completions ": "http://[::1]:1234/v1",
		"http://example.com/v1/models":            "http://example.com/v1",
		"http://ada:secret@example.com/v1":        "the server's URL holds a user name or a password, which would be kept with the result",
		"http://example.com/v1?key=secret":        "the server's URL has something after its path: example.com",
		"ftp://example.com":                       "the server's URL is no address of a web server",
		"http://":                                 "the server's URL is no address of a web server",
		"http://exa mple.com:port":                "the server's URL is no address of a web server",
		"":                                        "the server's URL is no address of a web server",
	} {
		u, err := base(text)
		got := fmt.Sprint(u)
		if err != nil {
			got = err.Error()
		}
		if got != want || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

// piece is an event with a token of text.
func piece(text string) string {
	return `data: {"choices":[{"index":0,"delta":{"content":"` + text + `"}}]}` + "\n\n"
}

const (
	end   = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}` + "\n\n"
	count = `data: {"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}` + "\n\ndata: [DONE]\n\n"
)

// whole is a good answer of n tokens to a prompt of 20.
func whole(n int) string { return strings.Repeat(piece("a"), n) + end + fmt.Sprintf(count, 20, n) }

// answering starts a server with the model m, or with the list given, that answers with a
// status and a text.
func answering(t *testing.T, list string, status int, text string, header ...string) *Runtime {
	t.Helper()
	if list == "" {
		list = `{"object":"list","data":[{"id":"m","owned_by":"somebody","max_model_len":4096}]}`
	}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/models" && status != http.StatusUnauthorized && !strings.HasPrefix(list, "<") {
			io.WriteString(w, list)
			return
		}
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		if strings.HasPrefix(list, "<") {
			text = list
		}
		io.WriteString(w, text)
	}))
	t.Cleanup(h.Close)
	return &Runtime{URL: h.URL, Key: "sk-secret"}
}

// says wants an error of a code whose message and remedies hold some words, and never the
// key.
func says(t *testing.T, what string, err error, code fault.Code, words ...string) {
	t.Helper()
	var e *fault.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("%s: error %v, want one of code %s", what, err, code)
		return
	}
	text := e.Message + " | " + e.Remedies.String()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s: %q does not say %q", what, text, w)
		}
	}
	if strings.Contains(text, "secret") {
		t.Errorf("%s: the key is in %q", what, text)
	}
}

// ask has a server answer a prompt.
func ask(t *testing.T, r *Runtime, request llm.Request) (llm.Generation, error) {
	t.Helper()
	s, err := r.Load(t.Context(), "m", llm.Settings{})
	if err != nil {
		return llm.Generation{}, err
	}
	defer s.Close()
	return s.Generate(t.Context(), request, nil)
}

// A wrong address, key or name is reported before anything is measured.
func TestFind(t *testing.T) {
	two := `{"data":[{"id":"one"},{"id":"two"}]}`
	for _, tt := range []struct {
		what, list, name string
		status           int
		text             string
		code             fault.Code
		words            []string
	}{
		{"no such model", "", "other", 200, "", fault.Unavailable, []string{"has no model other", "it has m"}},
		{"two", two, "", 200, "", fault.Invalid, []string{"has 2 models: which one?", "it has one, two", "model one"}},
		{"none", `{"data":null}`, "", 200, "", fault.Unavailable, []string{"has no model"}},
		{"a web page", "<!doctype html>", "m", 200, "", fault.Unavailable, []string{"web page", "url"}},
		{"no JSON", "hello", "m", 200, "", fault.Unavailable, []string{"does not answer in JSON: “hello”"}},
		{"another key", "", "m", 401, `{"error":{"message":"Incorrect API key provided: sk-secret"}}`, fault.Unavailable, []string{"refuses the key: “Incorrect API key provided: …”", "OPENAI_API_KEY"}},
	} {
		_, err := answering(t, tt.list, tt.status, tt.text).Find(t.Context(), tt.name)
		says(t, tt.what, err, tt.code, tt.words...)
	}
	r := answering(t, "", 401, `{"detail":"Unauthorized"}`)
	r.Key = ""
	_, err := r.Find(t.Context(), "m")
	says(t, "no key", err, fault.Unavailable, "wants a key: “Unauthorized” (401 Unauthorized)", "the variable OPENAI_API_KEY holds it")
	m, err := answering(t, "", 200, "").Find(t.Context(), "")
	if err != nil || m.Ref != "m" || m.Context != 4096 || m.Bytes != 0 {
		t.Errorf("the only model is %+v, %v", m, err)
	}
	h := httptest.NewServer(http.RedirectHandler("http://elsewhere.example/v1/models?token=secret", http.StatusFound))
	defer h.Close()
	_, err = (&Runtime{URL: h.URL, Key: "sk-secret"}).Find(t.Context(), "m")
	says(t, "redirected", err, fault.Unavailable, "sends requests on to another address", "url http://elsewhere.example/v1")
	gone := httptest.NewServer(http.NotFoundHandler())
	_, err = (&Runtime{URL: gone.URL + "/api"}).Find(t.Context(), "")
	says(t, "no list", err, fault.Unavailable, "has no list of models", "url "+gone.URL+"/v1")
	gone.Close()
	_, err = (&Runtime{URL: gone.URL}).Find(t.Context(), "m")
	says(t, "nobody there", err, fault.Unavailable, "no server answers at", "refused", "is it running, and is url right?")
}

// What is no good answer is an error that says what it is, and no figure.
func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		what   string
		status int
		text   string
		code   fault.Code
		words  string
	}{
		{"not streamed", 200, `{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}`, fault.Unsupported, "does not stream"},
		{"a web page", 200, "<html><title>Log in</title>", fault.Unavailable, "web page"},
		{"broken JSON", 200, "data: {\"choices\":[\n\n", fault.Internal, "is not understood: “{\"choices\":[”"},
		{"an error in the stream", 200, piece("a") + `data: {"error":{"message":"CUDA out of memory\u001b[31m"}}` + "\n\n", fault.Crashed, "CUDA out of memory^[[31m"},
		{"an error as a text", 200, `data: {"error":"oops"}` + "\n\n", fault.Crashed, "oops"},
		{"cut off", 200, piece("a") + piece("b"), fault.Crashed, "broke off before its end"},
		{"empty", 200, "", fault.Crashed, "broke off before its end"},
		{"no usage", 200, piece("a") + end + "data: [DONE]\n\n", fault.Unsupported, "does not count the tokens"},
		{"all at once", 200, whole(16), fault.Unsupported, "holds the answer back and sends all 16 tokens at once"},
		{"in two pieces", 200, piece("aaaaaaaa") + piece("aaaaaaaa") + end + fmt.Sprintf(count, 20, 16), fault.Unsupported, "holds the answer back"},
		{"no such model", 404, `{"error":{"message":"The model m does not exist."}}`, fault.Unavailable, "The model m does not exist"},
		{"no such path", 404, `404 page not found`, fault.Unavailable, "has no chat completions at"},
		{"too long", 400, `{"error":{"message":"maximum context length is 16 tokens"}}`, fault.Invalid, "maximum context length"},
		{"overloaded", 429, `{"error":"queue is full"}`, fault.Unavailable, "is busy: “queue is full”"},
		{"failed", 500, `{"error":{"message":"EngineCore died"}}`, fault.Crashed, "EngineCore died"},
		{"a proxy", 502, `<html>Bad Gateway`, fault.Unavailable, "web page"},
	} {
		g, err := ask(t, answering(t, "", tt.status, tt.text), llm.Request{Prompt: "Hi", Tokens: 16, IgnoreEnd: true})
		says(t, tt.what, err, tt.code, tt.words)
		if _, ok := g.PromptRate(); ok || g.TokenTime != 0 {
			t.Errorf("%s: it has figures: %+v", tt.what, g)
		}
	}
}

// A server that sends half of an answer and stops ends with the context; what came is
// kept.
func TestStalls(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/models" {
			io.WriteString(w, `{"data":[{"id":"m"}]}`)
			return
		}
		io.WriteString(w, piece("Moi"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer h.Close()
	s, err := (&Runtime{URL: h.URL}).Load(t.Context(), "m", llm.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	g, err := s.Generate(ctx, llm.Request{Prompt: "Hi", Tokens: 16}, func(llm.Piece) { cancel() })
	if !errors.Is(err, context.Canceled) || g.Text != "Moi" || g.Tokens != 1 || g.First <= 0 {
		t.Errorf("%+v, %v", g, err)
	}
}

// A server that is still loading its model is waited for, and one that never answers
// ends with the context.
func TestLoading(t *testing.T) {
	asked := 0
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, `{"error":{"message":"Loading model"}}`)
			return
		}
		io.WriteString(w, `{"data":[{"id":"m"}]}`)
	}))
	defer h.Close()
	if m, err := (&Runtime{URL: h.URL}).Find(t.Context(), ""); err != nil || m.Ref != "m" || asked != 3 {
		t.Errorf("%+v after %d requests, %v", m, asked, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&Runtime{URL: h.URL}).Load(ctx, "m", llm.Settings{}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// The real llama-server and the real Ollama: one session passes what package llm says of a
// session, as far as a server without token numbers can.
func TestRealServers(t *testing.T) {
	t.Run("llama-server", func(t *testing.T) {
		url, err := llmtest.Serve(t, tinyModel(t))
		if err != nil {
			enginetest.Require(t, "llama.cpp", err.Error())
		}
		real(t, &Runtime{URL: url}, "", 1024, 200) // about 30 ms
	})
	t.Run("Ollama", func(t *testing.T) {
		program := ollamatest.Program()
		if program == "" {
			enginetest.Require(t, "ollama", "no ollama in GPUPLAY_TEST_OLLAMA or on the path")
		}
		s, err := ollamatest.Serve(program, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		real(t, &Runtime{URL: "http://" + s.Host + "/v1"}, "tiny", 0, 24) // it ends an answer that repeats a token more often
	})
}

func tinyModel(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	if err := os.WriteFile(path, model.Tiny(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func real(t *testing.T, r *Runtime, name string, context, tokens int) {
	m, err := r.Find(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Load(t.Context(), m.Path, llm.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if f := s.Facts(); f.Host != "" || f.Context != context || f.Device.Name != "" || f.Load != 0 || f.Memory != nil || f.Threads != 0 {
		t.Errorf("facts %+v: a server says nothing of this machine", f)
	}
	var text strings.Builder
	g, err := s.Generate(t.Context(), llm.Request{Prompt: "Hello", Tokens: tokens, IgnoreEnd: true}, func(p llm.Piece) { text.WriteString(p.Text) })
	// The answer takes this model a few milliseconds. On a busy machine all of it may wait to be
	// read, as if the server had sent it at once.
	for again := 0; again < 9 && errors.Is(err, fault.Unsupported); again++ {
		text.Reset()
		g, err = s.Generate(t.Context(), llm.Request{Prompt: "Hello", Tokens: tokens, IgnoreEnd: true}, func(p llm.Piece) { text.WriteString(p.Text) })
	}
	if err != nil {
		t.Fatal(err)
	}
	if g.Text != text.String() || g.Tokens < 8 || g.Tokens > tokens || g.Finish == "" || g.First <= 0 || g.First+g.TokenTime > 2*g.Wall {
		t.Errorf("%+v, in pieces %q", g, text.String())
	}
	if rate, ok := g.Rate(); !ok || rate <= 0 {
		t.Errorf("generation at %g tokens/s", rate)
	}
	for i := range 3 {
		long, err := s.Generate(t.Context(), llm.Request{Filler: 40, Tokens: 1, IgnoreEnd: true}, nil)
		// A prompt takes this model so little time that on a busy machine one may look as
		// if a cache had served it.
		for again := 0; again < 4 && errors.Is(err, fault.Internal); again++ {
			long, err = s.Generate(t.Context(), llm.Request{Filler: 40, Tokens: 1, IgnoreEnd: true}, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		// A token of this model is a letter, which is known after the first prompt.
		least, most := 100, 400
		if i > 0 {
			least, most = 20, 100
		}
		if rate, ok := long.PromptRate(); !ok || rate <= 0 || long.PromptTokens < least || long.PromptTokens > most {
			t.Errorf("long prompt %d has %d tokens at %g tokens/s", i, long.PromptTokens, rate)
		}
	}
	_, err = r.Find(t.Context(), "large")
	says(t, "a model that is not there", err, fault.Unavailable, "has no model large", "it has ")
}
