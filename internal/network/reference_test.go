package network

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
)

// interpreter returns the Python of an environment that the project's own tests use.
func interpreter(t *testing.T, name, module string) string {
	path := filepath.Join("..", "..", ".venv-"+name, "bin", "python")
	if _, err := os.Stat(path); err != nil {
		enginetest.Require(t, name, "no "+name+" in .venv-"+name)
	}
	if out, err := exec.Command(path, "-c", "import "+module).CombinedOutput(); err != nil {
		enginetest.Require(t, name, string(out))
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Losses of 20 steps are PyTorch's, for every optimizer, activation and kind of loss.
func TestAgreesWithPyTorch(t *testing.T) {
	python := interpreter(t, "torch", "torch")
	type job struct {
		Inputs     int        `json:"inputs"`
		Hidden     []int      `json:"hidden"`
		Outputs    int        `json:"outputs"`
		Activation Activation `json:"activation"`
		Weights    []float64  `json:"weights"`
		X          []float64  `json:"x"`
		Y          []float64  `json:"y"`
		Loss       Loss       `json:"loss"`
		Rule       Rule       `json:"rule"`
		Rate       float64    `json:"rate"`
		Steps      int        `json:"steps"`
	}
	var jobs []job
	var got [][]float64
	pool := newPool(t)
	for _, d := range []*Data{makeData(t, "moons", 48), makeData(t, "hills", 48), three()} {
		for _, a := range Activations {
			for _, rule := range Rules {
				n, err := New[float64](pool, Shape{Inputs: 2, Hidden: []int{7, 5}, Outputs: max(1, d.Classes%2*3), Activation: a})
				if err != nil {
					t.Fatal(err)
				}
				n.Init(11)
				kind, outputs := d.Loss()
				j := job{2, n.Shape.Hidden, outputs, a, append([]float64{}, n.Weights...), d.X, d.Y, kind, rule, 0.02, 20}
				o := NewOptimizer(pool, rule, j.Rate, n.Shape.Tensors())
				grad := make([]float64, len(n.Weights))
				var losses []float64
				for range j.Steps {
					loss, err := n.Loss(t.Context(), kind, d.X, d.Y, grad)
					if err != nil {
						t.Fatal(err)
					}
					losses = append(losses, loss)
					if err := o.Step(t.Context(), n.Weights, grad); err != nil {
						t.Fatal(err)
					}
				}
				jobs, got = append(jobs, j), append(got, losses)
			}
		}
	}
	in, err := json.Marshal(jobs)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), python, "testdata/reference.py")
	c.Stdin, c.Stderr = bytes.NewReader(in), os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want [][]float64
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	for i, j := range jobs {
		tolerance := 1e-9
		if j.Rule == Muon {
			tolerance = 2e-2 // PyTorch orthogonalizes in bfloat16
		}
		for step, w := range want[i] {
			if g := got[i][step]; math.Abs(g-w) > tolerance*max(1e-3, w) {
				t.Errorf("%s, %s, %s: loss %v after %d steps, PyTorch's is %v", j.Loss, j.Activation, j.Rule, g, step, w)
				break
			}
		}
	}
}

var printed = regexp.MustCompile(`loss (\S+)\n(right )?`)

// The code that Code writes runs, and learns.
func TestCodeRuns(t *testing.T) {
	sets := []*Data{makeData(t, "moons", 96), three(), makeData(t, "plane", 96)}
	for _, framework := range []string{"torch", "mlx"} {
		t.Run(framework, func(t *testing.T) {
			python := interpreter(t, framework, map[string]string{"torch": "torch", "mlx": "mlx.core"}[framework])
			var programs []string
			for i, rule := range Rules {
				code, err := Code(framework, Settings{Hidden: []int{8, 8}, Activation: Activations[i%3], Optimizer: rule, Rate: 0.05, Batch: 32, Seed: 1}, sets[i%3], 100)
				if err != nil {
					t.Fatal(err)
				}
				programs = append(programs, code)
			}
			code, err := Code(framework, Settings{Hidden: []int{16}, Activation: Tanh, Optimizer: Adam, Rate: 0.01, Batch: 32, Seed: 1}, ReadDigits(), 300)
			if err != nil {
				t.Fatal(err)
			}
			programs = append(programs, code)
			in, err := json.Marshal(programs)
			if err != nil {
				t.Fatal(err)
			}
			// One process, since a framework takes seconds to start.
			c := exec.CommandContext(t.Context(), python, "-c", "import json, sys\nfor code in json.load(sys.stdin): exec(code, {})")
			c.Env = append(os.Environ(), "OMP_NUM_THREADS=1") // such small products are slower on several
			c.Stdin = bytes.NewReader(in)
			out, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			found := printed.FindAllSubmatch(out, -1)
			if len(found) != len(programs) {
				t.Fatalf("it printed %q", out)
			}
			for i, rule := range Rules {
				loss, err := strconv.ParseFloat(string(found[i][1]), 64)
				if err != nil || loss > 0.69 || (sets[i%3].Classes > 0) != (len(found[i][2]) > 0) {
					t.Errorf("%s printed %q", rule, found[i][0])
				}
			}
			var held float64
			if _, last, _ := strings.Cut(string(out), "test accuracy "); true {
				fmt.Sscanf(last, "%f%%", &held) //nolint:errcheck // 0 is too little
			}
			if held < 85 {
				t.Errorf("of the digits that were held out %.1f %% are right", held)
			}
		})
	}
}

// PyTorch loads the weights into the same network, and computes the same outputs.
func TestSafetensors(t *testing.T) {
	python := interpreter(t, "torch", "safetensors.torch")
	n, err := New[float32](newPool(t), Shape{Inputs: 2, Hidden: []int{8, 5}, Outputs: 1, Activation: Tanh})
	if err != nil {
		t.Fatal(err)
	}
	n.Init(4)
	file := filepath.Join(t.TempDir(), "weights.safetensors")
	var b bytes.Buffer
	if err := n.WriteSafetensors(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), python, "-c", `
import sys, torch
from torch import nn
from safetensors.torch import load_file
m = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 1))
m.load_state_dict(load_file(sys.argv[1]))
print(m(torch.tensor([0.25, -0.5])).item())`, file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	y, err := n.Forward(t.Context(), []float32{0.25, -0.5})
	if err != nil {
		t.Fatal(err)
	}
	var want float32
	if _, err := fmt.Sscan(string(out), &want); err != nil || math.Abs(float64(want-y[0])) > 1e-6 {
		t.Errorf("%v, PyTorch computes %s", y[0], out)
	}
}
