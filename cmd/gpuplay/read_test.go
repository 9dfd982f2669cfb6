package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
)

// A file that is no record is refused with its name, the reason and a way out.
func TestReadRunRefuses(t *testing.T) {
	const head = `{"schema": "gpuplay/result/v1", "results": `
	const gemm = `"gemm": {"m": 8, "n": 8, "k": 8, "in": "float32", "acc": "float32", "out": "float32"}`
	dir := t.TempDir()
	refused := func(file, want string) {
		_, err := readRun(file)
		var e *fault.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, want) || !strings.HasPrefix(e.Message, file) || len(e.Remedies) == 0 {
			t.Errorf("got %v, want …%s…", err, want)
		}
	}
	for text, want := range map[string]string{
		"":                             "it is neither gpuplay's JSON nor",
		"engine,device\n":              "it is neither gpuplay's JSON nor",
		`{}`:                           "it is neither gpuplay's JSON nor",
		`[]`:                           "llama-bench's output holds no figures",
		head:                           "record 1 cannot be read: unexpected EOF",
		head + "[]}\n" + head + " []}": "holds 2 runs, where one is needed",
		`{"schema": "gpuplay/llm/v1"}`: `its schema is "gpuplay/llm/v1", not "gpuplay/run/v2"`,
		head + `3}`:                    "cannot unmarshal number",
		head + `[null]}`:               "is null",
		head + `[{"gemm": {"m": 1, "n": 1, "k": 1, "in": "int3", "out": "float32"}}]}`: `unknown dtype "int3"`,
		head + `[{` + gemm + `, "samples": [{"iters": 0, "wall_ns": 5}]}]}`:            "sample 1 has 0 products",
	} {
		file := filepath.Join(dir, "result.json")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		refused(file, want)
	}
	refused(filepath.Join(dir, "none.json"), "no such file")
	refused(dir, "is a directory")
}

// A file that Windows PowerShell has redirected is read like any other.
func TestInUTF8(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "",
		"\xff":                       "\xff",
		"{\"µ\"}":                    "{\"µ\"}",
		"\xef\xbb\xbf{\"µ\"}":        "{\"µ\"}",
		"\xff\xfe{\x00\xb5\x00}\x00": "{µ}",
		"\xfe\xff\x00{\x00\xb5\x00}": "{µ}",
		"\xff\xfe\x3d\xd8\x00\xde":   "😀",
		"\xff\xfe":                   "",
		"\xff\xfe{\x00\xb5":          "{",
		"\xff\xfe\x00\xd8":           "\ufffd",
	} {
		if got := string(inUTF8([]byte(in))); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
