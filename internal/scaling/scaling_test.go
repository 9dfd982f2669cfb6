package scaling

import (
	"errors"
	"math"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
)

func close(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance*math.Abs(want) {
		t.Errorf("%s: %g, want %g", what, got, want)
	}
}

func shape(t *testing.T, name string) Shape {
	t.Helper()
	m, ok := Lookup(name)
	if !ok {
		t.Fatalf("no model %s", name)
	}
	if err := m.Shape.Check(); err != nil {
		t.Fatal(err)
	}
	return m.Shape
}

// Numbers of parameters as the models' makers publish them.
func TestParams(t *testing.T) {
	for name, want := range map[string]int64{
		"gpt2":          124439808 + 47*768, // with 50304 instead of 50257 tokens
		"gpt2-xl":       1557611200 + 47*1600,
		"llama3-8b":     8030261248,
		"llama3-70b":    70553706496,
		"llama3-405b":   405853388800,
		"no such model": 0,
	} {
		m, ok := Lookup(name)
		if want == 0 {
			if ok {
				t.Errorf("%s is known", name)
			}
			continue
		}
		if got := m.Shape.Params(); got != want {
			t.Errorf("%s has %d parameters, want %d", name, got, want)
		}
	}
	for _, m := range Models() {
		if err := m.Shape.Check(); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
}

// Narayanan et al. 2021 count 96·B·s·l·h²·(1 + s/6h + V/16lh) with full recomputation, a
// fourth pass of the blocks: three quarters of the blocks' part are counted here.
func TestFLOPs(t *testing.T) {
	s := shape(t, "gpt3-175b")
	const batch = 7
	B, l, h, q, V := float64(batch), float64(s.Layers), float64(s.Width), float64(s.Seq), float64(s.Vocab)
	close(t, "full attention", s.FLOPs(batch, false), 72*B*q*l*h*h*(1+q/(6*h)+V/(12*l*h)), 1e-12)
	close(t, "causal attention", s.FLOPs(batch, true), 72*B*q*l*h*h*(1+q/(12*h)+V/(12*l*h)), 1e-12)
}

func TestShapeCheck(t *testing.T) {
	good := shape(t, "tiny")
	for name, spoil := range map[string]func(*Shape){
		"no layers":                       func(s *Shape) { s.Layers = 0 },
		"too many":                        func(s *Shape) { s.Vocab = math.MaxInt },
		"heads that do not divide":        func(s *Shape) { s.Heads = 3 },
		"heads of keys that do not share": func(s *Shape) { s.KVHeads = 3 },
		"an MLP of negative width":        func(s *Shape) { s.Hidden = -1 },
	} {
		s := good
		spoil(&s)
		if err := s.Check(); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// mixed is training with Adam in 16 bits, with weights and moments of the optimizer in float32:
// 16 bytes for each parameter (Rajbhandari et al. 2020, arXiv:1910.02054).
var mixed = Precision{2, 2, 12, 2}

// Korthikanti et al. 2022 keep s·b·h·(34 + 5·a·s/h) bytes in each layer, with dropout.
func TestActivations(t *testing.T) {
	s := shape(t, "gpt3-175b")
	q, h, a := float64(s.Seq), float64(s.Width), float64(s.Heads)
	one := Split{Data: 1, Tensor: 1, Pipeline: 1, Microbatch: 1, Microbatches: 1}
	close(t, "all", s.BlockActivations(one, mixed), q*h*(32+2*a*q/h), 1e-12)
	for _, x := range []struct {
		name string
		set  func(*Split)
		want float64
	}{
		{"tensor", func(x *Split) { x.Tensor, x.Recompute = 8, RecomputeAttention }, q * h * (8 + 24./8)},
		{"and sequence", func(x *Split) { x.Tensor, x.Recompute, x.Sequence = 8, RecomputeAttention, true }, q * h * 32 / 8},
		{"recomputed", func(x *Split) { x.Recompute = RecomputeAll }, 2 * q * h},
		{"two sequences", func(x *Split) { x.Recompute, x.Microbatch = RecomputeAll, 2 }, 4 * q * h},
	} {
		split := one
		x.set(&split)
		close(t, x.name, s.BlockActivations(split, mixed), x.want, 1e-12)
	}
}

// ZeRO's table (Rajbhandari et al. 2020, figure 1): 7.5 G parameters over 64 ranks take
// 120, 31.4, 16.6 and 1.9 GB.
func TestStates(t *testing.T) {
	s := Shape{Layers: 1, Width: 1, Heads: 1, Vocab: 7_500_000_000, Seq: 1, Gated: true, Tied: true}
	for zero, want := range []float64{120e9, 31.4e9, 16.6e9, 1.9e9} {
		m := s.Memory(Split{Data: 64, Tensor: 1, Pipeline: 1, Zero: zero, Microbatch: 1, Microbatches: 1}, mixed)
		close(t, "states", m.Weights+m.Gradients+m.Optimizer, want, 0.02)
	}
}

func TestInFlight(t *testing.T) {
	x := Split{Pipeline: 4, Microbatches: 8}
	for stage, want := range []int{4, 3, 2, 1} {
		if got := x.InFlight(stage); got != want {
			t.Errorf("1F1B, stage %d: %d", stage, got)
		}
	}
	if got := (Split{Pipeline: 1, Microbatches: 8}).InFlight(0); got != 1 {
		t.Errorf("one stage: %d", got)
	}
}

// A layer belongs to one stage, and so does each parameter.
func TestStages(t *testing.T) {
	s := shape(t, "llama3-405b")
	x := Split{Data: 1, Tensor: 1, Pipeline: 16, Microbatch: 1, Microbatches: 1}
	blocks, params := 0, 0.0
	for stage := range x.Pipeline {
		blocks += s.Blocks(x.Pipeline, stage)
		params += s.StageParams(x, stage)
	}
	if blocks != s.Layers || params != float64(s.Params()) {
		t.Errorf("%d blocks of %d, %.0f parameters of %d", blocks, s.Layers, params, s.Params())
	}
}

func TestLink(t *testing.T) {
	l := Link{Alpha: 2, Beta: 3}
	for _, x := range []struct {
		what      string
		got, want float64
	}{
		{"all-reduce", l.Seconds(AllReduce, 4, 100), 6*2 + 1.5*100*3},
		{"all-gather", l.Seconds(AllGather, 4, 100), 3*2 + 0.75*100*3},
		{"reduce-scatter", l.Seconds(ReduceScatter, 4, 100), 3*2 + 0.75*100*3},
		{"send", l.Seconds(SendRecv, 2, 100), 2 + 300},
		{"flat", Link{Alpha: 2, Beta: 3, Flat: true}.Seconds(AllReduce, 4, 100), 2 + 1.5*100*3},
		{"one rank", l.Seconds(AllReduce, 1, 100), 0},
		{"equal stages", Pipeline([]float64{5, 5, 5, 5}, 8, 0.5), 11*5 + 3},
		{"unequal stages", Pipeline([]float64{5, 7}, 3, 0), 12 + 14},
		{"one stage", Pipeline([]float64{5}, 3, 9), 15},
		{"nothing hidden", Exposed(10, 7, 0), 10},
		{"all hidden that can be", Exposed(10, 7, 1), 3},
		{"half", Exposed(4, 7, 0.5), 2},
		{"MFU", MFU(1000, 2, 5, 200), 0.5},
	} {
		close(t, x.what, x.got, x.want, 1e-12)
	}
}
