package plan

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/scaling"
)

func TestLearn(t *testing.T) {
	g, _ := LookupGPU("h100")
	s := named("llama3-8b")
	l, err := Learn("llama3-8b", s, g, 8)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]Lesson{}
	for _, x := range l.List {
		by[x.Name] = x
	}
	one, n := by["one GPU"].Holds[0], float64(s.Params())
	if one.Weights != 2*n || one.Gradients != 4*n || one.Optimizer != 12*n {
		t.Errorf("one GPU holds %+v", one)
	}
	states := func(m scaling.Memory) float64 { return m.Weights + m.Gradients + m.Optimizer }
	for name, want := range map[string]float64{"dp": 18 * n, "zero1": (6 + 12./8) * n, "fsdp": 18 * n / 8, "tp": 18 * n / 8} {
		if got := states(by[name].Holds[0]); math.Abs(got/want-1) > 1e-9 {
			t.Errorf("%s holds %.1f GB of states, want %.1f", name, got/1e9, want/1e9)
		}
	}
	sum := 0.0
	for _, m := range by["pp"].Holds {
		sum += states(m)
	}
	if len(by["pp"].Holds) != 8 || math.Abs(sum/(18*n)-1) > 1e-9 {
		t.Errorf("the stages hold %.1f GB of states in all", sum/1e9)
	}
	// 2·(p−1)/p of 4 bytes for each parameter; (p−1)/p of 4 + 2 + 2; two messages of all tokens.
	for name, want := range map[string]float64{"one GPU": 0, "dp": 7 * n, "fsdp": 7 * n, "zero1": 7. / 8 * 6 * n, "pp": 2 * 8 * 8192 * 4096 * 2} {
		if got := by[name].Sends; math.Abs(got-want) > 1e-6*want {
			t.Errorf("%s sends %v, want %v", name, got, want)
		}
	}
	for _, x := range l.List {
		if x.Fits != (Layout{Memory: fullest(x.Holds)}).Fits(g) || x.Faster > 8.3 || x.Cannot != "" {
			t.Errorf("%s: %+v", x.Name, x)
		}
	}
	if words := l.Sentences(); !strings.HasPrefix(words[0], "Modelled: ") || !strings.HasSuffix(words[0], "these fit: fsdp, tp, pp.") {
		t.Errorf("%q", words)
	}
}

func fullest(list []scaling.Memory) (m scaling.Memory) {
	for _, x := range list {
		if x.Total() > m.Total() {
			m = x
		}
	}
	return m
}

func TestLearnWhatCannotBe(t *testing.T) {
	g, _ := LookupGPU("h100")
	l, err := Learn("gpt2-xl", named("gpt2-xl"), g, 4)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range l.List {
		if (x.Cannot != "") != (x.Name == "tp") || x.Cannot != "" && (x.Holds != nil || x.Fits || !strings.Contains(x.Cannot, "25 heads")) {
			t.Errorf("%+v", x)
		}
	}
	for _, gpus := range []int{-1, 0, 1, 9, 64} {
		if _, err := Learn("gpt2", named("gpt2"), g, gpus); !errors.Is(err, fault.Invalid) {
			t.Errorf("%d GPUs: %v", gpus, err)
		}
	}
	if _, err := Learn("x", scaling.Shape{}, g, 2); !errors.Is(err, fault.Invalid) {
		t.Errorf("no shape: %v", err)
	}
}
