package framework_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/llm/framework/frameworktest"
	"github.com/gpuplay/gpuplay/internal/train"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// edit changes a JSON file in a folder.
func edit(t *testing.T, folder, name string, change func(map[string]any)) {
	t.Helper()
	path := filepath.Join(folder, name)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	change(m)
	if text, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// dial starts a worker, which takes a framework many times as long as what it is asked here.
func dial(t *testing.T, r *framework.Runtime) *worker.Link {
	t.Helper()
	c, err := r.Client(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	link, err := c.Dial(frameworktest.Limit(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	return link
}

// Program code that comes with a model is neither run nor asked about.
func TestProgramsOfModels(t *testing.T) {
	each(t, func(t *testing.T, r *framework.Runtime, folder string) {
		link := dial(t, r)
		for name, change := range map[string]func(t *testing.T, folder string){
			"of an architecture": func(t *testing.T, folder string) {
				edit(t, folder, "config.json", func(c map[string]any) {
					c["architectures"], c["model_type"] = []string{"AbacusForCausalLM"}, "abacus"
					c["auto_map"] = map[string]any{"AutoConfig": "trap.AbacusConfig", "AutoModelForCausalLM": "trap.AbacusForCausalLM"}
				})
			},
			"of a tokenizer": func(t *testing.T, folder string) {
				edit(t, folder, "tokenizer_config.json", func(c map[string]any) {
					c["tokenizer_class"] = "AbacusTokenizer"
					c["auto_map"] = map[string]any{"AutoTokenizer": []any{"trap.AbacusTokenizer", nil}}
				})
			},
			"of an architecture for MLX": func(t *testing.T, folder string) {
				if r.Runtime != framework.MLX {
					t.Skip("PyTorch passes over model_file")
				}
				edit(t, folder, "config.json", func(c map[string]any) { c["model_file"] = "trap.py" })
			},
		} {
			t.Run(name, func(t *testing.T) {
				trapped := filepath.Join(t.TempDir(), "model")
				sprung := filepath.Join(t.TempDir(), "sprung")
				code := "open(" + string(must(json.Marshal(sprung))) + ", 'w').close()\n"
				if err := errors.Join(os.CopyFS(trapped, os.DirFS(folder)), os.WriteFile(filepath.Join(trapped, "trap.py"), []byte(code), 0o644)); err != nil {
					t.Fatal(err)
				}
				change(t, trapped)
				_, _, err := worker.Do(frameworktest.Limit(t), link, worker.Load, worker.LoadArgs{Device: "cpu", Model: trapped}, nil, 0)
				if !errors.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "needs program code of its own (trap.py)") {
					t.Errorf("error %v", err)
				}
				if _, err := os.Stat(sprung); err == nil {
					t.Error("the model's code was run")
				}
			})
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// strict is a chat template as Gemma's and Mistral's are: it takes no system message, and
// user and assistant take turns.
const strict = `{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}` +
	`{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}` +
	`{{ m.role + ': ' + m.content + '\n' }}{% endfor %}`

// Every row is made into tokens by the model's own tokenizer and chat template before the
// model is loaded; the one that they refuse is named by its file and line.
func TestRows(t *testing.T) {
	each(t, func(t *testing.T, r *framework.Runtime, folder string) {
		chat := filepath.Join(t.TempDir(), "chat")
		if err := os.CopyFS(chat, os.DirFS(folder)); err != nil {
			t.Fatal(err)
		}
		edit(t, chat, "tokenizer_config.json", func(c map[string]any) { c["chat_template"] = strict })
		bare := filepath.Join(t.TempDir(), "bare") // a tokenizer that ends no row
		if err := os.CopyFS(bare, os.DirFS(folder)); err != nil {
			t.Fatal(err)
		}
		edit(t, bare, "tokenizer_config.json", func(c map[string]any) { delete(c, "eos_token") })
		for _, folder := range []string{chat, bare} { // nothing can be loaded of it
			if err := os.Remove(filepath.Join(folder, "model.safetensors")); err != nil {
				t.Fatal(err)
			}
		}
		link := dial(t, r)
		const fine = `{"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]}`
		for name, tt := range map[string]struct{ model, train, valid, says string }{
			"a system message":           {chat, fine + "\n\n" + `{"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Why?"}]}`, "", "train.jsonl:3: the model's chat template refuses this row: System role not supported"},
			"an order of roles":          {chat, `{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}`, "", "train.jsonl:1: the model's chat template refuses this row: Conversation roles must alternate"},
			"in the rows to measure on":  {chat, fine, fine + "\n" + `{"messages": [{"role": "assistant", "content": "b"}]}`, "valid.jsonl:2: the model's chat template refuses"},
			"a call in place of content": {chat, `{"messages": [{"role": "user", "content": null, "tool_calls": [{}]}]}`, "", "train.jsonl:1: the model's chat template refuses"},
			"one token":                  {bare, `{"text": "ab"}` + "\r\n" + `{"text": "a"}`, "", "train.jsonl:2: there is nothing to learn in 1 token: each is learned from those before it"},
		} {
			t.Run(name, func(t *testing.T) {
				data := t.TempDir()
				rows := worker.RowsArgs{Model: tt.model, Train: filepath.Join(data, "train.jsonl"), Limit: 9}
				if err := os.WriteFile(rows.Train, []byte(tt.train), 0o644); err != nil {
					t.Fatal(err)
				}
				if tt.valid != "" {
					rows.Valid = filepath.Join(data, "valid.jsonl")
					if err := os.WriteFile(rows.Valid, []byte(tt.valid), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				var e *fault.Error
				if _, _, err := worker.Do(frameworktest.Limit(t), link, worker.Rows, rows, nil, 0); !errors.As(err, &e) || e.Code != fault.Invalid || !strings.HasPrefix(e.Message, filepath.Join(data, tt.says)) || len(e.Remedies) == 0 {
					t.Errorf("error %#v", err)
				}
			})
		}
	})
}

// A prompt that is the beginning of a row is cut to what there is room for.
func TestPromptIsCut(t *testing.T) {
	for _, name := range frameworktest.Runtimes {
		t.Run(name, func(t *testing.T) {
			link, folder := dial(t, frameworktest.Real(t, name)), frameworktest.TinyModel(t, name, "--chat")
			for _, tt := range []struct {
				row, prompt string
				limit       int
				want        string // its tokens are bytes; the chat template adds 18
			}{
				{`{"text": "ab"}`, "What is it?", 11, "What is it?"},
				{`{"text": "ab"}`, strings.Repeat("What is it? ", 1000), 7, "What is"},
				{`{"text": "ab"}`, "hyvää", 4, "hyv"}, // not half a letter
				{`{"prompt": "a", "completion": "b"}`, strings.Repeat("What is it? ", 1000), 25, "What is"},
			} {
				rows := worker.RowsArgs{Model: folder, Train: filepath.Join(t.TempDir(), "train.jsonl"), Prompt: tt.prompt, Limit: tt.limit}
				if err := os.WriteFile(rows.Train, []byte(tt.row+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				if got, _, err := worker.Do(frameworktest.Limit(t), link, worker.Rows, rows, nil, 0); err != nil || got.Prompt != tt.want {
					t.Errorf("%.20q in %d tokens is %q, %v, want %q", tt.prompt, tt.limit, got.Prompt, err, tt.want)
				}
			}
		})
	}
}

// A loss that is no number before anything was learned is not blamed on the learning rate.
func TestLossIsNoNumber(t *testing.T) {
	for _, name := range frameworktest.Runtimes {
		t.Run(name, func(t *testing.T) {
			m := open(t, frameworktest.Real(t, name), frameworktest.TinyModel(t, name, "--nan"), "")
			s := settings(t)
			if _, err := m.Tune(frameworktest.Limit(t), s); err != nil {
				t.Fatal(err)
			}
			_, _, err := m.Train(frameworktest.Limit(t), 3, time.Minute, func(train.Step) {})
			if err == nil || !strings.Contains(err.Error(), " is nan before anything was trained: model.norm.weight in the model holds values that are not numbers") ||
				strings.Contains(fault.From(err).Remedies.String(), "lr") {
				t.Errorf("error %v, %v", err, fault.From(err).Remedies)
			}
		})
	}
}

// An adapter that does not fit is blamed, not the model, with both shapes.
func TestAdapterOfAnotherModel(t *testing.T) {
	each(t, func(t *testing.T, r *framework.Runtime, folder string) {
		m, s := open(t, r, folder, ""), settings(t)
		if _, err := m.Tune(frameworktest.Limit(t), s); err != nil {
			t.Fatal(err)
		}
		if _, _, err := m.Train(frameworktest.Limit(t), 1, time.Minute, func(train.Step) {}); err != nil {
			t.Fatal(err)
		}
		wide := frameworktest.TinyModel(t, r.Runtime, "--wide")
		_, err := r.Open(frameworktest.Limit(t), wide, framework.Options{Device: "cpu", Adapter: s.Adapter})
		if !errors.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), "the adapter in "+s.Adapter+" does not fit this model: ") || strings.Count(err.Error(), "shape") != 2 {
			t.Errorf("error %v", err)
		}
	})
}

// Where a vocabulary lies in tokenizer.model alone, the packages that read it are named.
func TestSentencePiece(t *testing.T) {
	each(t, func(t *testing.T, r *framework.Runtime, folder string) {
		interpreter := frameworktest.Interpreter(t, r.Runtime)
		if exec.Command(interpreter, "-c", "import sentencepiece, google.protobuf").Run() == nil {
			t.Skip("it has both packages")
		}
		if err := os.Rename(filepath.Join(folder, "tokenizer.json"), filepath.Join(folder, "tokenizer.model")); err != nil {
			t.Fatal(err)
		}
		_, err := r.Open(frameworktest.Limit(t), folder, framework.Options{Device: "cpu"})
		if !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "has its vocabulary in tokenizer.model alone, which is read with ") || !strings.Contains(fault.From(err).Remedies.String(), "protobuf") {
			t.Errorf("error %v, %v", err, fault.From(err).Remedies)
		}
	})
}
