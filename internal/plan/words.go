package plan

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/unit"
)

// An Assumption is a figure that a plan rests on.
type Assumption struct {
	Name string `json:"name"`
	Figure
}

// Assumptions returns the figures that a plan rests on, beside the shape of the model.
func (p *Plan) Assumptions() []Assumption {
	return []Assumption{
		{"peak of a GPU, FLOP/s", p.GPU.Peak},
		{"memory of a GPU, bytes", p.GPU.Memory},
		{"bandwidth of that memory, bytes/s", p.GPU.Bandwidth},
		{"large products, share of the peak", p.GPU.Products},
		{"attention, share of the peak", p.GPU.Attention},
		{"other kernels, share of the bandwidth", p.GPU.Streaming},
		{"NVLink, bytes/s in one direction", p.GPU.NVLink},
		{"collectives over NVLink, share of it", nvlinkShare},
		{"start of a collective, seconds", nvlinkAlpha},
		{"network, bytes/s of a GPU", p.Network.Bandwidth},
		{"collectives over the network, share of it", networkShare},
		{"step of a ring over the network, seconds", networkAlpha},
	}
}

// Accuracy is how far the model missed the steps that others have published.
type Accuracy struct {
	Steps  int     `json:"steps"`  // that were compared
	Median float64 `json:"median"` // of the errors' absolute values, as shares
	Worst  float64 `json:"worst"`  // of the same
	Faster int     `json:"faster"` // steps that the model takes to be faster than they were

	Memory        int     `json:"memory"` // published figures of memory that were compared
	MemoryMedian  float64 `json:"memory_median"`
	MemoryWorst   float64 `json:"memory_worst"`
	MemoryCovered int     `json:"memory_covered"` // those that are at most what a layout needs
}

// Missed returns how far the model misses what was published.
func Missed() Accuracy {
	var a Accuracy
	var times, memories []float64
	for _, c := range Compare() {
		a.Steps++
		times, memories = append(times, c.Time), append(memories, c.Memory)
		if c.Time < 0 {
			a.Faster++
		}
		if c.Published.Memory > 0 {
			a.Memory++
			if c.Modelled.Needs() >= c.Published.Memory {
				a.MemoryCovered++
			}
		}
	}
	a.Median, a.Worst = Errors(times)
	a.MemoryMedian, a.MemoryWorst = Errors(memories)
	return a
}

// Nearest returns the published step that is most like a layout of this plan: on the same
// GPU if there is one, with a model of the same kind and about the same size.
func (p *Plan) Nearest() Comparison {
	apart := func(c Comparison) float64 {
		d := math.Abs(math.Log(float64(c.shape.Params())/float64(p.Shape.Params()))) + math.Abs(math.Log(float64(c.GPUs)/float64(p.GPUs)))/2
		if c.cluster.gpu.Name != p.GPU.Name {
			d += 5
		}
		if c.shape.Gated != p.Shape.Gated {
			d++
		}
		return d
	}
	return slices.MinFunc(Compare(), func(a, b Comparison) int { return cmp.Compare(apart(a), apart(b)) })
}

// Sentences say what a plan comes to, how far it can be believed, and what it rests on.
func (p *Plan) Sentences() []string {
	best, a, near := p.Best[0], Missed(), p.Nearest()
	first := fmt.Sprintf("Modelled: a step of %s takes %s on %d × %s with %s; %s tokens/s, %s of the peak (MFU)", p.Model, seconds(best.Seconds), p.GPUs, p.GPU.Title, best.Name(), unit.Count(p.Rate(best)), unit.Percent(p.MFU(best)))
	took := fmt.Sprintf("The most similar one, %s on %d × %s (%s), took %s times as long as modelled", near.Model, near.GPUs, near.cluster.gpu.Title, near.Study.Name, unit.Times(1/(1+near.Time)))
	if p.Tokens > 0 {
		whole := func(factor float64) string {
			days := p.Days(best) * factor
			text := fmt.Sprintf("%s, %s GPU-hours", unit.Span(days*86400), unit.Count(days*24*float64(p.GPUs)))
			if p.Price > 0 {
				text += fmt.Sprintf(", a price of %s", unit.Count(p.Cost(best)*factor))
			}
			return text
		}
		first += fmt.Sprintf("; %s tokens take %s", unit.Count(p.Tokens), whole(1))
		took += fmt.Sprintf("; if this one does too, all tokens take %s", whole(1/(1+near.Time)))
	}
	sentences := []string{
		first + ".",
		fmt.Sprintf("The same model misses %d published steps by %s (median) and %s (worst); %d of them took longer than modelled. %s.", a.Steps, unit.Percent(a.Median), unit.Percent(a.Worst), a.Faster, took),
	}
	if best.Unhidden > 1.02*best.Seconds {
		sentences = append(sentences, fmt.Sprintf("If no communication of data parallelism were hidden behind computing, a step would take %s.", seconds(best.Unhidden)))
	}
	var given []string
	for _, f := range p.Assumptions() {
		name, _, share := strings.Cut(f.Name, ", share of")
		if share && (p.Nodes > 1 || f.Figure != networkShare) {
			given = append(given, fmt.Sprintf("%s %s (%s)", name, unit.Percent(f.Value), f.Origin))
		}
	}
	return append(sentences,
		"Speeds used, as shares of the published ones: "+unit.List(given)+".",
		fmt.Sprintf("Memory: bfloat16 with gradients, weights and Adam's moments in float32; a tenth and 2 GB more are kept free. MFU counts causal attention and nothing that is computed again. %d layouts were considered.", p.Layouts))
}

// seconds formats a time of a step.
func seconds(s float64) string { return unit.Seconds(time.Duration(s * float64(time.Second))) }
