package framework_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/llm/framework/frameworktest"
	"github.com/gpuplay/gpuplay/internal/python"
)

//go:embed testdata/fixed.py
var fixed string

// With a cache of a fixed size the same tokens are generated as without, one that goes
// wrong is noticed, and what cannot be recorded is generated all the same. The graph
// itself needs a GPU.
func TestFixedCache(t *testing.T) {
	for name, folder := range map[string]func(*testing.T) string{
		"random": func(t *testing.T) string { return frameworktest.TinyModel(t, framework.Transformers) },
		"gemma":  func(t *testing.T) string { return frameworktest.Gemma(t) }, // whose attention has a sliding window
	} {
		t.Run(name, func(t *testing.T) {
			interpreter := frameworktest.Interpreter(t, framework.Transformers)
			args, source, err := python.Worker(interpreter, python.Isolated, framework.Transformers)
			if err != nil {
				t.Fatal(err)
			}
			source = append(source, "\nFOLDER = "+strconv.Quote(folder(t))+"\n"+fixed...)
			args[slices.Index(args, "-c")+2] = strconv.Itoa(len(source))
			cmd := exec.CommandContext(frameworktest.Limit(t), interpreter, args[1:]...)
			cmd.Stdin, cmd.Stderr = bytes.NewReader(source), os.Stderr
			text, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			var said map[string]bool
			if err := json.Unmarshal(text, &said); err != nil || len(said) == 0 {
				t.Fatalf("%v: %s", err, text)
			}
			for what, ok := range said {
				if !ok {
					t.Errorf("%s: not as it should be", what)
				}
			}
		})
	}
}
