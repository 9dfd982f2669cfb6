package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/scaling"
	"github.com/gpuplay/gpuplay/internal/stats"
)

// options returns what a plan of a named model is asked for.
func options(t *testing.T, name string, gpus int, gpu string) Options {
	t.Helper()
	m, known := scaling.Lookup(name)
	g, err := LookupGPU(gpu)
	n, err2 := LookupNetwork("ib")
	if !known || err != nil || err2 != nil {
		t.Fatal(name, err, err2)
	}
	return Options{Model: name, Shape: m.Shape, GPU: g, Network: n, GPUs: gpus}
}

// The rule of docs/SCALING.md: what does not fit is never said to fit. What a card must have
// covers every peak of memory that others have measured, and nothing is among the best whose
// memory exceeds the card.
func TestRuleNeeds(t *testing.T) {
	covered := 0
	for _, c := range Compare() {
		if c.Published.Memory == 0 {
			continue
		}
		covered++
		if c.Modelled.Needs() < c.Published.Memory {
			t.Errorf("%s, %s: %.1f GB would be needed, and %.1f GB were", c.Model, c.Split, c.Modelled.Needs()/1e9, c.Published.Memory/1e9)
		}
		if small := (GPU{Memory: Figure{Value: c.Published.Memory - 1}}); c.Modelled.Fits(small) {
			t.Errorf("%s, %s: fits into less than what it took", c.Model, c.Split)
		}
	}
	if covered < 8 {
		t.Errorf("%d figures of memory were compared", covered)
	}
	for _, m := range scaling.Models() {
		for _, gpus := range []int{1, 8, 64, 1024} {
			for _, gpu := range GPUs() {
				p, err := New(options(t, m.Name, gpus, gpu))
				if err != nil {
					continue
				}
				for _, l := range p.Best {
					if !l.Fits(p.GPU) || l.Needs() > p.GPU.Memory.Value || l.Memory.Total() >= l.Needs() {
						t.Errorf("%s on %d %s: %s needs %.0f GB", m.Name, gpus, gpu, l.Name(), l.Needs()/1e9)
					}
				}
				for _, o := range p.Others {
					if o.Fits != (o.Needs() <= p.GPU.Memory.Value) || o.Fits == (o.Why == "does not fit") {
						t.Errorf("%s on %d %s: %s, which needs %.0f GB: %q", m.Name, gpus, gpu, o.Name(), o.Needs()/1e9, o.Why)
					}
				}
			}
		}
	}
}

// The rule of docs/SCALING.md: a plan says first that it is modelled, then how far the same
// model misses what others have measured, and every figure that it rests on has a source.
func TestRuleModelled(t *testing.T) {
	p, err := New(options(t, "llama3-8b", 64, "h100"))
	if err != nil {
		t.Fatal(err)
	}
	words, a := p.Sentences(), Missed()
	if !strings.HasPrefix(words[0], "Modelled: ") || !strings.Contains(words[1], fmt.Sprintf("misses %d published steps", a.Steps)) {
		t.Errorf("%q", words)
	}
	if a.Steps < 50 || a.Median <= 0 || a.Worst < a.Median || a.Faster > a.Steps || a.MemoryCovered != a.Memory {
		t.Errorf("%+v", a)
	}
	for _, f := range p.Assumptions() {
		if f.Source == "" || !slices.Contains([]Origin{Specified, Measured, Assumed}, f.Origin) || !(f.Value > 0) {
			t.Errorf("%+v", f)
		}
	}
}

// Every layout computes all sequences once, and its time is the sum of what it is spent on.
func TestLayouts(t *testing.T) {
	o := options(t, "llama3-70b", 128, "h100")
	n := 0
	o.cluster().each(o.Shape, o.space(o.GPUs, 512), func(l Layout) {
		n++
		if l.Ranks() != 128 || l.Data*l.Microbatch*l.Microbatches != 512 {
			t.Fatalf("%s: %d ranks, %d × %d sequences", l.Name(), l.Ranks(), l.Microbatches, l.Microbatch)
		}
		if d := math.Abs(l.Time.sum() - l.Seconds); d > 1e-9*l.Seconds || l.Unhidden < l.Seconds*(1-1e-9) {
			t.Fatalf("%s: %v of %v s, %v with nothing hidden", l.Name(), l.Time.sum(), l.Seconds, l.Unhidden)
		}
		for name, x := range map[string]float64{"products": l.Time.Products, "pipeline": l.Time.Pipeline, "data": l.Time.Data, "optimizer": l.Time.Optimizer, "recompute": l.Time.Recompute} {
			if x < -1e-9 || math.IsNaN(x) || math.IsInf(x, 0) {
				t.Fatalf("%s: %s %v", l.Name(), name, x)
			}
		}
		if l.Pipeline == 1 && math.Abs(l.Time.Pipeline) > 1e-9 || l.Tensor == 1 && l.Time.Tensor != 0 || l.Data == 1 && l.Time.Data != 0 {
			t.Fatalf("%s: %+v", l.Name(), l.Time)
		}
	})
	if n < 100 {
		t.Errorf("%d layouts", n)
	}
}

// One GPU computes at the share of its peak that is taken, no faster, and a pipeline of
// equal stages waits for (p − 1)/m of its work.
func TestSeconds(t *testing.T) {
	g, _ := LookupGPU("h200")
	c := cluster{g, networks()[0], Node}
	s := scaling.Shape{Layers: 16, Width: 8192, Heads: 64, Vocab: 64, Seq: 8192}
	one := c.layout(s, scaling.Split{Data: 1, Tensor: 1, Pipeline: 1, Microbatch: 1, Microbatches: 4, Recompute: scaling.RecomputeAttention}, 1, true)
	flops := 6 * 16 * 12 * 8192 * 8192 * 4 * 8192.0
	if want := flops / (989.4e12 * g.Products.Value); math.Abs(one.Time.Products/want-1) > 0.01 {
		t.Errorf("products take %v s, want %v", one.Time.Products, want)
	}
	eight := c.layout(s, scaling.Split{Data: 1, Tensor: 1, Pipeline: 8, Microbatch: 1, Microbatches: 4, Recompute: scaling.RecomputeAttention}, 1, true)
	work := one.Seconds - one.Time.Optimizer
	if want := work / 8 * (1 + 7./4); math.Abs((eight.Seconds-eight.Time.Optimizer)/want-1) > 0.02 {
		t.Errorf("a pipeline of 8 stages takes %v s, want about %v", eight.Seconds, want)
	}
	chunks := c.layout(s, scaling.Split{Data: 1, Tensor: 1, Pipeline: 8, Microbatch: 1, Microbatches: 8, Recompute: scaling.RecomputeAttention}, 2, true)
	if want := 2 * work / 8 * (1 + 7./16); math.Abs((chunks.Seconds-chunks.Time.Optimizer)/want-1) > 0.02 {
		t.Errorf("with two chunks it takes %v s, want about %v", chunks.Seconds, want)
	}
	again := c.layout(s, scaling.Split{Data: 1, Tensor: 1, Pipeline: 1, Microbatch: 1, Microbatches: 4, Recompute: scaling.RecomputeAll}, 1, true)
	if share := again.Time.Recompute / work; share < 0.30 || share > 0.34 {
		t.Errorf("computing the forward pass again takes %v of the rest", share)
	}
}

// A sharesRow is what testdata/shares.py measured.
type sharesRow struct {
	Kind    string    `json:"kind"`
	What    string    `json:"what"`
	Seconds []float64 `json:"seconds"` // one value per sample
	FLOPs   float64   `json:"flops"`
	Bytes   float64   `json:"bytes"`
}

func sharesRecord(t *testing.T) []sharesRow {
	t.Helper()
	text, err := os.ReadFile("testdata/h200.json")
	if err != nil {
		t.Fatal(err)
	}
	var run struct {
		Rows []sharesRow `json:"rows"`
	}
	if err := json.Unmarshal(text, &run); err != nil {
		t.Fatal(err)
	}
	return run.Rows
}

// The shares of the peak and of the bandwidth are those of the record that they are said to
// be from, which testdata/shares.py measured.
func TestMeasuredShares(t *testing.T) {
	g, _ := LookupGPU("h200")
	shares := map[string]float64{}
	var attention, streaming []float64
	for _, r := range sharesRecord(t) {
		seconds := stats.Median(r.Seconds)
		flops, bandwidth := r.FLOPs/seconds/g.Peak.Value, r.Bytes/seconds/g.Bandwidth.Value
		shares[r.What] = flops
		switch {
		case strings.HasPrefix(r.What, "forward and backward heads 32"):
			attention = append(attention, flops)
		case r.Kind == "stream" && !strings.Contains(r.What, "4096"): // which a cache holds
			streaming = append(streaming, bandwidth)
		}
	}
	near := func(what string, used, measured float64) {
		if math.Abs(used-measured) > 0.006 {
			t.Errorf("%s: %.2f is used, %.3f was measured", what, used, measured)
		}
	}
	for i, n := range productSizes {
		near(fmt.Sprintf("%.0f³", n), productShares[i], shares[fmt.Sprintf("%.0fx%[1]vx%[1]v", n)])
		if got := g.productShare(n * n * n); math.Abs(got-productShares[i]) > 1e-9 {
			t.Errorf("%.0f³: %v", n, got)
		}
	}
	near("attention", g.Attention.Value, stats.Median(attention))
	near("streaming", g.Streaming.Value, stats.Median(streaming))
	if a, b := g.productShare(1e6), g.productShare(1e15); a <= 0 || a >= productShares[0] || b != g.Products.Value {
		t.Errorf("small ones reach %v, large ones %v", a, b)
	}
}

// What is refused says what is possible, and that is.
func TestRefused(t *testing.T) {
	for what, tt := range map[string]struct {
		change func(*Options)
		want   string
		code   fault.Code
	}{
		"no GPUs":          {func(o *Options) { o.GPUs = 0 }, "from 1 to", fault.Invalid},
		"too many":         {func(o *Options) { o.GPUs = 1 << 20 }, "from 1 to", fault.Invalid},
		"half a node":      {func(o *Options) { o.GPUs = 12 }, "do not fill nodes of 8", fault.Invalid},
		"heads":            {func(o *Options) { o.Tensor = 3 }, "8 of keys and values", fault.Invalid},
		"beyond a node":    {func(o *Options) { o.Tensor = 16 }, "stays within a node", fault.Invalid},
		"stages":           {func(o *Options) { o.Pipeline = 33 }, "has 32 blocks", fault.Invalid},
		"groups":           {func(o *Options) { o.Pipeline = 3 }, "groups of 1 × 3", fault.Invalid},
		"no sequence":      {func(o *Options) { o.BatchTokens = 100 }, "one sequence, 8192", fault.Invalid},
		"sequences":        {func(o *Options) { o.BatchTokens, o.Tensor, o.Pipeline = 3*8192, 1, 1 }, "shares out equally", fault.Invalid},
		"too large":        {func(o *Options) { o.Shape, o.GPUs = named("llama3-405b"), 8 }, "fits in no way", fault.OutOfMemory},
		"no transformer":   {func(o *Options) { o.Shape.Heads = 7 }, "not divisible by 7 heads", fault.Invalid},
		"an MLP too wide":  {func(o *Options) { o.Shape.Hidden = 1 << 62 }, "width of the MLP", fault.Invalid},
		"too many blocks":  {func(o *Options) { o.Shape.Layers = 1 << 20 }, "at most 4096", fault.Invalid},
		"less than nobody": {func(o *Options) { o.Price = -1 }, "less than 0", fault.Invalid},
	} {
		o := options(t, "llama3-8b", 64, "h100")
		tt.change(&o)
		_, err := New(o)
		if !errors.Is(err, tt.code) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", what, err)
			continue
		}
		for _, r := range fault.From(err).Remedies {
			fixed := o
			n, err := strconv.Atoi(r.Value)
			if err != nil { // it says what kind of number is needed
				continue
			}
			switch r.Param {
			case "gpus":
				fixed.GPUs = n
			case "tp":
				fixed.Tensor = n
			case "batch-tokens":
				fixed.BatchTokens = n
			default:
				t.Errorf("%s: remedy %+v", what, r)
			}
			if _, err := New(fixed); err != nil {
				t.Errorf("%s: with %s %s: %v", what, r.Param, r.Value, err)
			}
		}
	}
	for _, err := range []error{second(LookupGPU("h10")), second(LookupNetwork("wifi"))} {
		if e := fault.From(err); e == nil || e.Code != fault.Invalid || len(e.Remedies) == 0 {
			t.Errorf("%v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// Any shape and number gives a plan or an error, never anything else.
func FuzzNew(f *testing.F) {
	f.Add(32, 4096, 32, 8, 14336, 128256, 8192, 64, 4<<20, true)
	f.Add(1, 1, 1, 0, 0, 1, 1, 1, 1, false)
	f.Add(126, 16384, 128, 8, 53248, 128256, 8192, 16384, 16<<20, true)
	f.Fuzz(func(t *testing.T, layers, width, heads, kv, hidden, vocab, seq, count, batch int, gated bool) {
		if count > 4096 || layers > 512 {
			t.Skip("takes long")
		}
		o := Options{Model: "x", Shape: scaling.Shape{Layers: layers, Width: width, Heads: heads, KVHeads: kv, Hidden: hidden, Vocab: vocab, Seq: seq, Gated: gated},
			GPU: gpus()[1], Network: networks()[0], GPUs: count, BatchTokens: batch, Tokens: 1e12, Price: 2}
		p, err := New(o)
		if err != nil {
			return
		}
		for _, l := range p.Best {
			if x := p.MFU(l); !(x >= 0 && x < 1) || !(l.Seconds > 0) || !(p.Cost(l) > 0) || !(l.Memory.Total() > 0) {
				t.Errorf("%s: %v s, MFU %v", l.Name(), l.Seconds, x)
			}
		}
		p.Sentences()
	})
}

func TestLaunch(t *testing.T) {
	var all []string
	for _, gpus := range []int{4, 64} {
		p, err := New(options(t, "gpt2-medium", gpus, "h100"))
		if err != nil {
			t.Fatal(err)
		}
		l := p.Launch()
		all = append(all, l.Torchrun, l.Slurm, l.Kubernetes)
	}
	golden.Compare(t, "launch.txt", strings.Join(all, "\n"))
}

// A plan of a model is most like a published one of the same kind.
func TestNearest(t *testing.T) {
	for name, want := range map[string]string{"llama3-8b": "Llama 3.1 8B", "gpt3-175b": "GPT 177B"} {
		p, err := New(options(t, name, 1024, "h100"))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Nearest().Model; got != want {
			t.Errorf("%s is most like %s, want %s", name, got, want)
		}
	}
}

// The best are sorted, and no way of dividing is listed twice.
func TestBest(t *testing.T) {
	p, err := New(options(t, "llama3-70b", 256, "h100"))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Best) != shown || !slices.IsSortedFunc(p.Best, func(a, b Layout) int { return int(math.Copysign(1, a.Seconds-b.Seconds)) }) {
		t.Errorf("%d layouts, %v", len(p.Best), p.Best)
	}
	seen := map[[3]int]bool{}
	for _, l := range p.Best {
		seen[[3]int{l.Zero, l.Tensor, l.Pipeline}] = true
	}
	for _, o := range p.Others {
		way := [3]int{o.Zero, o.Tensor, o.Pipeline}
		if seen[way] || o.Fits && o.Seconds < p.Best[shown-1].Seconds || o.Why == "" {
			t.Errorf("%s: %v s, %q", o.Name(), o.Seconds, o.Why)
		}
		seen[way] = true
	}
}
