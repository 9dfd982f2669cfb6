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
			golden.Compare(t, file, b.Bytes())
			page, _, _ := strings.Cut(b.String(), "torchrun (") // commands are not broken
			for line := range strings.Lines(page) {
				if line = strings.TrimRight(line, "\n"); lipgloss.Width(line) > s.Width {
					t.Errorf("%s: a line is %d columns wide: %q", file, lipgloss.Width(line), line)
				}
			}
		}
	}
}

// Bars are to scale: a part that is a quarter of the card takes a quarter of the bar.
func TestHoldings(t *testing.T) {
	for _, tt := range []struct {
		m    scaling.Memory
		want string
	}{
		{scaling.Memory{Weights: 25, Gradients: 25, Optimizer: 25, Activations: 12.5, Buffers: 12.5}, "WWWWWWWWWWWWWWWGGGGGGGGGGGGGGGOOOOOOOOOOOOOOOAAAAAAAABBBBBBB"},
		{scaling.Memory{Weights: 50}, strings.Repeat("W", 30) + strings.Repeat("·", 30)},
		{scaling.Memory{Weights: 50, Activations: 1000}, strings.Repeat("W", 30) + strings.Repeat("A", 30)},
		{scaling.Memory{}, strings.Repeat("·", 60)},
	} {
		p := &page{Style: Style{Width: 100, Unicode: true}}
		p.holdings([]string{"x"}, []scaling.Memory{tt.m}, 100)
		if got := strings.Fields(p.text.String())[1]; got != tt.want {
			t.Errorf("%+v: %q", tt.m, got)
		}
	}
}
