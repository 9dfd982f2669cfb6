package llamacpp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/model"
)

// tiny writes a model of random weights with a chat template, "" for none, that was made
// for a number of tokens.
func tiny(t *testing.T, template string, context uint32) string {
	t.Helper()
	file := model.Tiny()
	key := []byte("llama.context_length")
	at := bytes.Index(file, key) + len(key) + 4 // after the type of the value
	binary.LittleEndian.PutUint32(file[at:], context)
	if template != "" {
		pair := func() []byte {
			const name = "tokenizer.chat_template"
			b := append(binary.LittleEndian.AppendUint64(nil, uint64(len(name))), name...)
			b = binary.LittleEndian.AppendUint32(b, 8) // a string
			return append(binary.LittleEndian.AppendUint64(b, uint64(len(template))), template...)
		}
		for len(pair())%32 != 0 { // so that the weights stay where they have to begin
			template += " "
		}
		const pairs, first = 16, 24 // where their number is, and the first of them
		binary.LittleEndian.PutUint64(file[pairs:], binary.LittleEndian.Uint64(file[pairs:])+1)
		file = slices.Concat(file[:first], pair(), file[first:])
	}
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// A chat template that llama.cpp cannot use costs the template, not the lane.
func TestChatTemplates(t *testing.T) {
	rt, _ := installed(t)
	const good = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
	want := 0 // tokens of a prompt without a template
	for _, tt := range []struct {
		name, template string
		usable         bool
	}{
		{"none", "", true},
		{"good", good, true},
		{"cut off", "{% for m in messages %}{{ m.content", false},
		{"unknown statement", "{% frobnicate x %}", false},
		{"refuses everybody", "{{ raise_exception('no users here') }}", false},
	} {
		s := load(t, rt, tiny(t, tt.template, 1024), llm.Settings{Context: 512})
		notes := strings.Join(s.Facts().Notes, "; ")
		if says := strings.Contains(notes, "the prompt is given without it"); says == tt.usable {
			t.Errorf("%s: notes %q", tt.name, notes)
		}
		bare, err := s.Generate(t.Context(), llm.Request{Prompt: "Moi", Tokens: 2, IgnoreEnd: true}, nil)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if want == 0 {
			want = bare.PromptTokens
		}
		chat, err := s.Generate(t.Context(), llm.Request{Prompt: "Moi", Chat: true, Tokens: 2, IgnoreEnd: true}, nil)
		if err != nil || bare.PromptTokens != want || (chat.PromptTokens > want) != tt.usable {
			t.Errorf("%s: %d tokens, and %d in a chat, want %d: %v", tt.name, bare.PromptTokens, chat.PromptTokens, want, err)
		}
		s.Close()
	}
}

// What a model cannot do is not advised.
func TestSmallModel(t *testing.T) {
	rt, _ := installed(t)
	s := load(t, rt, tiny(t, "", 128), llm.Settings{Context: 128})
	if got := s.Facts().Context; got != 128 {
		t.Errorf("a context of %d", got)
	}
	if g, err := s.Generate(t.Context(), llm.Request{Filler: 64, Tokens: 1, IgnoreEnd: true}, nil); err != nil || g.PromptTokens != 64 {
		t.Errorf("a prompt of %d tokens, %v", g.PromptTokens, err)
	}
	_, err := s.Generate(t.Context(), llm.Request{Filler: 300, Tokens: 1}, nil)
	code(t, err, fault.Invalid, "the prompt has 300 tokens, the context 128", "the model was made for 128 tokens: a shorter prompt")
}

// Variables by which llama-server would compute something else, or not be reached at
// all, do not reach it.
func TestEnvironment(t *testing.T) {
	env := []string{"HOME=/home/ada", "LLAMA_API_KEY=secret", "LLAMA_CACHE=/c", "LLAMA_ARG_THREADS=1", "LLAMA_GRAPH_REUSE_DISABLE=1", "GGML_VK_VISIBLE_DEVICES=0", "OMP_NUM_THREADS=1", "OMP_PROC_BIND=close", "GGML_CUDA_FORCE_CUBLAS=1"}
	kept, notes := Environment(env)
	if want := append([]string{env[0], env[2]}, env[5:]...); !slices.Equal(kept, want) {
		t.Errorf("kept %q", kept)
	}
	if want := []string{"OMP_PROC_BIND=close in the environment may change the speed", "GGML_CUDA_FORCE_CUBLAS=1 in the environment may change the speed", "not passed on to llama.cpp: LLAMA_ARG_THREADS, LLAMA_GRAPH_REUSE_DISABLE"}; !slices.Equal(notes, want) {
		t.Errorf("notes %q", notes)
	}
	if kept, notes := Environment(env[:1]); len(kept) != 1 || notes != nil {
		t.Errorf("%q, %q", kept, notes)
	}
	if os.Getenv("LLAMA_ARG_API_PREFIX") != "" {
		t.Skip("the environment of this test has one")
	}
	rt, _ := installed(t)
	rt.Env, rt.Notes = Environment(append(rt.Env, "LLAMA_ARG_API_PREFIX=/elsewhere", "LLAMA_ARG_CTX_SIZE=oops"))
	if _, err := (Search{Dir: rt.Server, Env: rt.Env}).Find(t.Context()); err != nil {
		t.Error(err)
	}
	s := load(t, rt, tiny(t, "", 1024), llm.Settings{Context: 512})
	if f := s.Facts(); f.Context != 512 || !strings.Contains(strings.Join(f.Notes, "; "), "LLAMA_ARG_API_PREFIX, LLAMA_ARG_CTX_SIZE") {
		t.Errorf("facts %+v", f)
	}
}

// A server's end is told of only when all of its log has been read: the reason is in the
// last lines.
func TestLogIsReadFirst(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the server is a shell script")
	}
	server := filepath.Join(t.TempDir(), "llama-server")
	script := "#!/bin/sh\nprintf '" + strings.Repeat("0.00.1 I loading\\n", 100) + "0.00.2 E the reason\\n'\nexit 1\n"
	if err := os.WriteFile(server, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(server).Output(); err == nil || !bytes.Contains(out, []byte("the reason")) {
		t.Fatalf("%s, %v", out, err)
	}
	for i := range 10 {
		rt := &Runtime{Installation: Installation{Server: server}, Trace: slow{}}
		_, err := rt.Load(t.Context(), "model.gguf", llm.Settings{})
		if want := "llama.cpp ended with exit code 1 while loading the model: “the reason”"; fmt.Sprint(err) != want {
			t.Fatalf("failure %d: %v, want %s", i, err, want)
		}
	}
}

// slow lets everything else run before it has written.
type slow struct{}

func (slow) Write(p []byte) (int, error) {
	for range 1000 {
		runtime.Gosched()
	}
	return len(p), nil
}
