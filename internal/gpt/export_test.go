package gpt

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/network"
)

// interpreter returns the Python of an environment that the project's own tests use.
func interpreter(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", ".venv-"+name, "bin", "python"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		enginetest.Require(t, name, "no "+name+" in .venv-"+name)
	}
	return path
}

// odd is a text whose characters need care in a program.
var odd = strings.Repeat("\"It's {context} of \\n, \ttwo \\x: é, ∞, 😀 and \u2028!\"\n", 40)

// exported trains a network a little and writes what is exported of it into a folder, with a
// program that also prints the logits of a text. It returns the name of the program, and these
// logits.
func exported[T network.Real](t *testing.T, folder, framework, logits string) (program string, want []float64) {
	t.Helper()
	team, err := NewTeam(1)
	if err != nil {
		t.Fatal(err)
	}
	text, err := ReadText([]byte(odd))
	if err != nil {
		t.Fatal(err)
	}
	shape := Size{Layers: 2, Width: 64, Context: 16}.Shape(text)
	trainer, err := NewTrainer[T](team, text, shape, Settings{Rate: 0.01, Batch: 4, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	losses(trainer, 30)
	seen := text.Tokens[3:14] // fewer than the context
	trainer.Network.forward(seen, len(seen))
	var weights bytes.Buffer
	if err := trainer.Network.WriteSafetensors(&weights); err != nil {
		t.Fatal(err)
	}
	code, err := Code(framework, shape, text)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := json.Marshal(seen)
	if err != nil {
		t.Fatal(err)
	}
	code += "import json\nprint(json.dumps([characters, " + strings.Replace(logits, "TOKENS", "["+string(tokens)+"]", 1) + ".flatten().tolist()]))\n"
	program = filepath.Join(folder, "gpt.py")
	for name, content := range map[string][]byte{program: []byte(code), filepath.Join(folder, WeightsFile): weights.Bytes()} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range trainer.Network.passes[0].logits {
		want = append(want, float64(l))
	}
	return program, want
}

// The programs run with the exported weights, write text, and compute the same logits.
func TestExport(t *testing.T) {
	for _, framework := range []struct {
		name, logits string
		export       func(t *testing.T, folder, framework, logits string) (string, []float64)
	}{
		{"torch", "model(torch.tensor(TOKENS))", exported[float64]},
		{"mlx", "model(mx.array(TOKENS))", exported[float32]},
	} {
		t.Run(framework.name, func(t *testing.T) {
			python := interpreter(t, framework.name)
			program, want := framework.export(t, t.TempDir(), framework.name, framework.logits)
			c := exec.CommandContext(t.Context(), python, program)
			c.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8", "OMP_NUM_THREADS=1") // such small products are slower on several
			out, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			wrote, printed, _ := strings.Cut(string(out), "\n[\"")
			var got struct {
				characters string
				logits     []float64
			}
			if err := json.Unmarshal([]byte("[\""+printed), &[]any{&got.characters, &got.logits}); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			text, _ := ReadText([]byte(odd))
			if got.characters != string(text.Characters) {
				t.Errorf("the characters are %q", got.characters)
			}
			if n := utf8.RuneCountInString(wrote); n != 500 || strings.Trim(wrote, odd) != "" {
				t.Errorf("wrote %d characters: %q", n, wrote)
			}
			if len(got.logits) != len(want) {
				t.Fatalf("%d logits, want %d", len(got.logits), len(want))
			}
			for i, w := range want {
				if math.Abs(got.logits[i]-w) > 1e-4 {
					t.Fatalf("logit %d is %v, want %v", i, got.logits[i], w)
				}
			}
		})
	}
	if _, err := Code("jax", Usual.Shape(readText(t)), readText(t)); err == nil {
		t.Error("there is code for jax")
	}
}
