package ptx

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/network"
)

// A training is a network with its data, as package network makes it.
type training struct {
	settings network.Settings
	data     *network.Data
}

// kernelOf generates the kernel of a training.
func (tr training) kernelOf(c Card, double bool) (*Trainer, error) {
	loss, _ := tr.data.Loss()
	return NewTrainer(c, Network{tr.settings.Shape(tr.data), loss, tr.settings.Optimizer, min(tr.settings.Batch, tr.data.Rows()), double}, tr.data.Rows())
}

// follow makes steps with package network and with the kernel in the interpreter, in two
// launches, and returns the largest difference of the weights.
func follow[T network.Real](t *testing.T, tr training, c Card, steps int) float64 {
	t.Helper()
	pool, err := gemm.NewPool(gemm.ISAs()[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	trainer, err := network.NewTrainer[T](pool, tr.data, tr.settings)
	if err != nil {
		t.Fatal(err)
	}
	d := matrix.Float32
	if _, double := any(T(0)).(float64); double {
		d = matrix.Float64
	}
	k, err := tr.kernelOf(c, d == matrix.Float64)
	if err != nil {
		t.Fatal(err)
	}
	n := tr.data.Rows()
	state := make([]float64, k.Memory/k.Size)
	for i := range state {
		state[i] = math.NaN()
	}
	clear(state[:3*k.Slots])
	for i, w := range trainer.Network.Weights {
		state[k.Slot[i]] = float64(w)
	}
	at := map[ParamKind]uint64{A: 1 << 40, B: 2 << 40, C: 3 << 40}
	memoryOfC := memory(d, state)
	data := memory(d, append(append([]float64{}, tr.data.X[:n*tr.data.Inputs]...), tr.data.Y[:n]...))
	made := 0
	for _, some := range []int{steps / 2, steps - steps/2} {
		factors := make([]float64, 3*MaxSteps)
		var rows []byte
		for s := range some {
			first, second := network.AdamShares(made + s + 1)
			copy(factors[3*s:], []float64{tr.settings.Rate, first, second})
			picked := trainer.Rows()
			for _, r := range picked {
				rows = append(rows, byte(r), byte(r>>8), 0, 0)
			}
			if _, err := trainer.StepOn(t.Context(), picked); err != nil {
				t.Fatal(err)
			}
		}
		made += some
		turn := append(memory(d, factors), rows...)
		in := interpreter{base: at, regions: []region{{at[A], data}, {at[B], turn}, {at[C], memoryOfC}}}
		l := k.Launches[0]
		l.Params = append([]Param{}, l.Params...)
		l.Params[3].Word = uint32(some)
		if err := in.launch(k.Text, l); err != nil {
			t.Fatal(err)
		}
	}
	worst := 0.0
	for i, w := range trainer.Network.Weights {
		worst = max(worst, math.Abs(number(d, memoryOfC, k.Slot[i])-float64(w)))
	}
	return worst
}

// smallCSV has three classes.
const smallCSV = "0,0,a\n1,1,b\n0.5,-1,c\n-0.3,0.2,a\n0.9,0.8,b\n0.4,-0.7,c\n0.1,0.1,a\n0.7,1,b\n0.6,-0.9,c\n-0.2,0.3,a\n"

// The kernel makes the steps of package network: for every activation, loss and optimizer, in
// shared and in global memory, in float64 to thirteen digits and in float32 to four. One case in
// three is tried, all of them where GPUPLAY_REQUIRE names cases, as in CI.
func TestTrainer(t *testing.T) {
	shared, global := Card{CC: 90, Shared: 227 << 10}, Card{CC: 50}
	for i, a := range network.Activations {
		for j, set := range []string{"moons", "plane", "csv"} { // logistic, squares, softmax
			for k, rule := range network.Rules {
				if (i+j+k)%3 > 0 && !enginetest.AllCases() {
					continue
				}
				data := dataOf(t, set)
				tr := training{network.Settings{Hidden: []int{5, 3}, Activation: a, Optimizer: rule, Rate: 0.05, Batch: 7, Seed: 4}, data}
				t.Run(fmt.Sprint(a, " ", set, " ", rule), func(t *testing.T) {
					t.Parallel()
					if worst := follow[float64](t, tr, shared, 5); !(worst < 1e-13) {
						t.Errorf("float64: the weights differ by %.1e", worst)
					}
					if worst := follow[float32](t, tr, global, 5); !(worst < 1e-4) {
						t.Errorf("float32: the weights differ by %.1e", worst)
					}
				})
			}
		}
	}
}

// A phase that has more numbers than the block has threads takes several rounds, and sums are
// longer than what is added up at once.
func TestTrainerLarge(t *testing.T) {
	d, err := network.Make("moons", 60, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range []network.Rule{network.Adam, network.Muon} {
		tr := training{network.Settings{Hidden: []int{13, 27}, Activation: network.Tanh, Optimizer: rule, Rate: 0.05, Batch: 60, Seed: 4}, d}
		if worst := follow[float64](t, tr, Card{CC: 90, Shared: 227 << 10}, 2); !(worst < 1e-13) {
			t.Errorf("%s: the weights differ by %.1e", rule, worst)
		}
	}
}

// A weight that is no number makes all those no number that it should: nothing hides it.
func TestTrainerKeepsNaN(t *testing.T) {
	for _, a := range network.Activations {
		for _, set := range []string{"moons", "plane", "csv"} {
			tr := training{network.Settings{Hidden: []int{3}, Activation: a, Optimizer: network.SGD, Rate: 1, Batch: 7, Seed: 4}, dataOf(t, set)}
			k, err := tr.kernelOf(Card{CC: 50}, false)
			if err != nil {
				t.Fatal(err)
			}
			state := make([]float64, k.Memory/k.Size)
			state[k.Slot[0]] = math.NaN() // of the first neuron
			at := map[ParamKind]uint64{A: 1 << 40, B: 2 << 40, C: 3 << 40}
			c := memory(matrix.Float32, state)
			data := memory(matrix.Float32, append(append([]float64{}, tr.data.X...), tr.data.Y...))
			factors := make([]float64, 3*MaxSteps)
			factors[0] = 1
			in := interpreter{base: at, regions: []region{{at[A], data}, {at[B], append(memory(matrix.Float32, factors), make([]byte, 4*7)...)}, {at[C], c}}}
			l := k.Launches[0]
			l.Params = append([]Param{}, l.Params...)
			l.Params[3].Word = 1
			if err := in.launch(k.Text, l); err != nil {
				t.Fatal(err)
			}
			last := k.Slot[len(k.Slot)-1] // the bias of the last output
			if x := number(matrix.Float32, c, last); !math.IsNaN(x) {
				t.Errorf("%s, %s: the last bias is %v", a, set, x)
			}
		}
	}
}

func dataOf(t *testing.T, set string) *network.Data {
	t.Helper()
	if set == "csv" {
		d, err := network.ReadCSV(strings.NewReader(smallCSV))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d, err := network.Make(set, 20, 3)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// assemble has ptxas read a text, if it is installed.
func assemble(t *testing.T, text, arch string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kernel.ptx")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool(t, "ptxas"), "-v", "-arch="+arch, file, "-o", file+".cubin").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
}

// ptxas takes them, half of them where GPUPLAY_REQUIRE does not name it.
func TestTrainerAssembles(t *testing.T) {
	for i, a := range network.Activations {
		for j, set := range []string{"moons", "plane", "csv"} {
			rule := network.Rules[(3*i+j)%len(network.Rules)]
			tr := training{network.Settings{Hidden: []int{8, 8}, Activation: a, Optimizer: rule, Rate: 0.05, Batch: 32, Seed: 4}, dataOf(t, set)}
			for k, c := range []Card{{CC: 90, Shared: 227 << 10}, {CC: 50}} {
				if (i+j+k)%2 > 0 && !enginetest.AllCases() {
					continue
				}
				kernel, err := tr.kernelOf(c, (i+k)%2 == 1)
				if err != nil {
					t.Fatal(err)
				}
				assemble(t, kernel.Text, []string{"sm_90", "sm_50"}[k])
			}
		}
	}
}
