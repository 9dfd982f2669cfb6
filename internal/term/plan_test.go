package term

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"

	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/plan"
	"github.com/gpuplay/gpuplay/internal/scaling"
)

// somePlan returns a plan of a model with a name.
func somePlan(t *testing.T, model string, gpus int) *plan.Plan {
	t.Helper()
	m, _ := scaling.Lookup(model)
	g, err := plan.LookupGPU("h100")
	if err != nil {
		t.Fatal(err)
	}
	n, err := plan.LookupNetwork("ib")
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(plan.Options{Model: m.Name, Shape: m.Shape, GPU: g, Network: n, GPUs: gpus, Tokens: 15e12, Price: 2.5})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlan(t *testing.T) {
	for name, p := range map[string]*plan.Plan{"one": somePlan(t, "gpt2", 1), "many": somePlan(t, "llama3-70b", 512)} {
		for _, s := range styles {
			file := fmt.Sprintf("plan.%s.%d.txt", name, s.Width)
			if !s.Unicode {
				file = fmt.Sprintf("plan.%s.%d.ascii.txt", name, s.Width)
			}
			var b bytes.Buffer
			if err := Plan(&b, p, s); err != nil {
				t.Fatal(err)
			}
			if s.Width == 40 || s.Width == 80 {
				golden.Compare(t, file, b.Bytes())
			}
			page, _, _ := strings.Cut(b.String(), "torchrun (") // commands are not broken
			for line := range strings.Lines(page) {
				if line = strings.TrimRight(line, "\n"); lipgloss.Width(line) > s.Width {
					t.Errorf("%s: a line is %d columns wide: %q", file, lipgloss.Width(line), line)
				}
			}
		}
	}
}

// Bars are to scale: a part that is a quarter of the card takes a quarter of it, and the
// card's end is marked.
func TestMemoryBars(t *testing.T) {
	for _, tt := range []struct {
		m     scaling.Memory
		scale float64
		want  string
	}{
		{scaling.Memory{Weights: 25, Gradients: 25, Optimizer: 25, Activations: 10, Buffers: 10}, 100, "WWWWWGGGGGOOOOOAABB|"},
		{scaling.Memory{Weights: 50}, 100, "WWWWWWWWWW·········|"},
		{scaling.Memory{Weights: 50}, 200, "WWWWW····|          "},
		{scaling.Memory{Weights: 50, Activations: 100}, 200, "WWWWWAAAA|AAAAA     "},
		{scaling.Memory{Weights: 50, Activations: 150}, 200, "WWWWWAAAA|AAAAAAAAAA"},
		{scaling.Memory{}, 100, "···················|"},
	} {
		if got, _ := (memoryBars{room: 20, card: 100, scale: tt.scale}).of(tt.m); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.m, got, tt.want)
		}
	}
}
