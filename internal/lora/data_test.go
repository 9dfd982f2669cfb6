package lora

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/train"
)

// folder writes files and returns where they are.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const text = `{"text": "Question: What is it? Answer: A test."}` + "\n"

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name, train, valid string
		chat               bool
		form               train.Form
		rows, held         int
		prompt             string
	}{
		{"text", text + text, "", false, train.Text, 2, 0, "Question: What is it?"},
		{"blank lines, a mark, Windows' ends, no last end", "\ufeff" + text + "\r\n\n" + strings.TrimSpace(text), text, false, train.Text, 2, 1, "Question: What is it?"},
		{"one word", `{"text": "Hei!"}`, "", false, train.Text, 1, 0, "Hei!"},
		{"further fields", `{"text": "a b", "source": 3}`, "", false, train.Text, 1, 0, "a"},
		{"prompt and completion", `{"prompt": "Why?", "completion": "So."}`, "", true, train.Completion, 1, 0, "Why?"},
		{"chat", `{"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]}`, "", true, train.Chat, 1, 0, "Why?"},
		{"chat with tools", `{"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "why"}}]}], "tools": []}`, "", true, train.Chat, 1, 0, "Why?"},
		{"parts of a message", `{"messages": [{"role": "user", "content": [{"type": "text", "text": "Why"}, {"type": "text", "text": "?"}]}]}`, "", true, train.Chat, 1, 0, "Why?"},
		{"a whole surrogate pair, and a backslash before u", `{"text": "\ud83d\ude00 \\ud83d"}`, "", false, train.Text, 1, 0, "😀"},
		{"fields that are null", `{"text": "a b", "prompt": null, "messages": null}`, "", false, train.Text, 1, 0, "a"},
		{"all three: mlx-lm's order", `{"text": "a b", "prompt": "Why?", "completion": "So.", "messages": []}`, "", true, train.Completion, 1, 0, "Why?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"train.jsonl": tt.train}
			if tt.valid != "" {
				files["valid.jsonl"] = tt.valid
			}
			d, err := Read(folder(t, files), tt.chat)
			if err != nil {
				t.Fatal(err)
			}
			if d.Form != tt.form || d.Data.Rows != tt.rows || d.Held != tt.held || d.Prompt != tt.prompt || d.Train == "" || (d.Valid != "") != (tt.held > 0) {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	for _, tt := range []struct{ name, train, valid, says string }{
		{"nothing", "", "", "train.jsonl: is empty"},
		{"blank lines", "\n \n", "", "train.jsonl: is empty"},
		{"cut off", text + `{"text": "cut`, "", "train.jsonl:2: is cut off: no JSON object"},
		{"no JSON", text + "\n" + `{"text": oops}`, "", "train.jsonl:3: is no JSON at column 10: "},
		{"two objects", `{"text": "a"} {"text": "b"}`, "", "train.jsonl:1: is no JSON at column 15: "},
		{"a list", text + `["text"]`, "", "train.jsonl:2: is a JSON array, not an object"},
		{"a number for text", `{"text": 3}`, "", `train.jsonl:1: "text" is a JSON number`},
		{"an upper-case key", text + `{"Text": "a"}`, "", `train.jsonl:2: has "Text" where "text" is meant`},
		{"an upper-case key beside another", `{"prompt": "a", "Completion": "b"}`, "", `train.jsonl:1: has "Completion" where "completion" is meant`},
		{"half a surrogate pair", text + `{"text": "a \ud83d b"}`, "", `train.jsonl:2: has \ud83d, half of a surrogate pair`},
		{"the other half", `{"text": "\\\\ \uDE00"}`, "", `train.jsonl:1: has \uDE00, half of a surrogate pair`},
		{"two first halves", `{"text": "\ud83d\ud83d\ude00"}`, "", `train.jsonl:1: has \ud83d, half`},
		{"half a pair in a tool", `{"messages": [{"role": "user", "content": "a"}], "tools": [{"a": "\ud83d"}]}`, "", `train.jsonl:1: has \ud83d, half`},
		{"null for content", `{"messages": [{"role": "user", "content": null}]}`, "", `train.jsonl:1: message 1 has null for "content"`},
		{"null for content and no calls", `{"messages": [{"role": "assistant", "content": null, "tool_calls": []}]}`, "", `train.jsonl:1: message 1 has null for "content"`},
		{"a number for content", `{"messages": [{"role": "user", "content": 3}]}`, "", `train.jsonl:1: "content" of message 1 is a JSON number`},
		{"upper-case content", `{"messages": [{"role": "user", "Content": "a"}]}`, "", `train.jsonl:1: message 1 has no "content"`},
		{"messages that are none", `{"messages": ["a"]}`, "", `train.jsonl:1: message 1 is a JSON string, not an object`},
		{"an object for messages", `{"messages": {"role": "user"}}`, "", `train.jsonl:1: "messages" is a JSON object, not an array`},
		{"a space that is none of JSON's", "\u00a0" + text, "", `train.jsonl:1: is no JSON at column 1`},
		{"nothing known", `{"words": "a"}`, "", `train.jsonl:1: has no "text", no "prompt" with "completion", no "messages"`},
		{"half a pair", `{"prompt": "a"}`, "", `train.jsonl:1: "prompt" and "completion" belong together, one is missing`},
		{"an empty pair", `{"prompt": "a", "completion": ""}`, "", `train.jsonl:1: "prompt" or "completion" is empty`},
		{"empty text", `{"text": ""}`, "", `train.jsonl:1: "text" is empty`},
		{"no messages", `{"messages": []}`, "", `train.jsonl:1: "messages" is empty`},
		{"no role", `{"messages": [{"role": "user", "content": "a"}, {"content": "b"}]}`, "", `train.jsonl:1: message 2 has no "role"`},
		{"no content", `{"messages": [{"role": "user"}]}`, "", `train.jsonl:1: message 1 has no "content"`},
		{"two forms", text + `{"prompt": "a", "completion": "b"}`, "", "train.jsonl:2: a prompt/completion row among text rows"},
		{"no UTF-8", text + "{\"text\": \"\xff\"}", "", "train.jsonl:2: is not UTF-8"},
		{"too long", text + `{"text": "` + strings.Repeat("a", maxRow) + `"}`, "", "train.jsonl:2: the row is longer than 1.05 MB"},
		{"valid is malformed", text, "{", "valid.jsonl:1: is cut off"},
		{"valid has another form", text, `{"prompt": "a", "completion": "b"}`, "valid.jsonl has prompt/completion rows, train.jsonl has text rows"},
		{"a model without a chat template", `{"prompt": "a", "completion": "b"}`, "", "has prompt/completion rows, and this model has no chat template"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"train.jsonl": tt.train}
			if tt.valid != "" {
				files["valid.jsonl"] = tt.valid
			}
			_, err := Read(folder(t, files), false)
			var e *fault.Error
			if !errors.As(err, &e) || e.Code != fault.Invalid || !strings.Contains(e.Message, tt.says) || len(e.Remedies) == 0 {
				t.Errorf("error %#v, want %s", err, tt.says)
			}
		})
	}
	if _, err := Read(t.TempDir(), false); err == nil || !strings.Contains(err.Error(), "there is no train.jsonl") {
		t.Errorf("error %v of an empty folder", err)
	}
}

func TestBuiltIn(t *testing.T) {
	d, err := BuiltIn(t.TempDir())
	if err != nil || d.Form != train.Text || d.Data.Rows != 40 || d.Held != 4 || d.Folder != "" || d.Prompt == "" {
		t.Errorf("%+v, %v", d, err)
	}
}

// No line makes the parser panic, and what it takes has a form and a prompt.
func FuzzParseRow(f *testing.F) {
	for _, line := range []string{text, `{"prompt": "a", "completion": "b"}`, `{"messages": [{"role": "user", "content": [{"type": "text"}]}]}`, `{"text": " "}`, `{"text": "\ud83d"}`, "{}", "null", "[]"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseRow(line)
		if err != nil {
			return
		}
		if r.form() == "" {
			t.Errorf("%q has no form", line)
		}
		r.question()
	})
}
