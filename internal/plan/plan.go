package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/scaling"
)

// Options are what a plan is asked for.
type Options struct {
	Model   string // its name, as people know it
	Shape   scaling.Shape
	Source  string // where the shape is from
	GPU     GPU
	Network Network
	GPUs    int
	// BatchTokens are the tokens of a step over all GPUs; 0: UsualBatch.
	BatchTokens int
	Tokens      float64 // to train on; 0: not asked
	Price       float64 // of a GPU for an hour, in any currency; 0: not asked
	Tensor      int     // GPUs that divide each block; 0: the plan's choice
	Pipeline    int     // stages; 0: the plan's choice
}

// UsualBatch is how many tokens a step has if nothing else is asked for: about what Llama 3
// began with.
const UsualBatch = 4 << 20

// A Plan is what the layouts of a model on a number of GPUs come to.
type Plan struct {
	Options
	Sequences int // of a step
	Nodes     int
	// Best are the fastest layouts that fit, the fastest first: of each way to divide data,
	// blocks and stages, the best size of a microbatch, number of chunks and recomputation.
	Best []Layout
	// Others are the ways that are slower or do not fit, each with the reason.
	Others  []Other
	Layouts int // that were looked at
}

// An Other is a layout that was not chosen.
type Other struct {
	Layout
	Fits bool
	Why  string
}

// shown is how many of the best layouts a plan has.
const shown = 3

// New makes a plan. Its errors are fault.Errors that say what is possible.
func New(o Options) (*Plan, error) {
	if err := check(&o); err != nil {
		return nil, err
	}
	p := &Plan{Options: o, Sequences: o.BatchTokens / o.Shape.Seq, Nodes: (o.GPUs + Node - 1) / Node}
	c := o.cluster()
	ways := map[[3]int]Layout{}
	c.each(o.Shape, o.space(o.GPUs, p.Sequences), func(l Layout) {
		p.Layouts++
		way := [3]int{l.Zero, l.Tensor, l.Pipeline}
		if best, ok := ways[way]; !ok || c.better(l, best) {
			ways[way] = l
		}
	})
	if len(ways) == 0 {
		return nil, o.indivisible(p.Sequences)
	}
	var list []Layout
	for _, l := range ways {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b Layout) int {
		switch {
		case c.better(a, b):
			return -1
		case c.better(b, a):
			return 1
		}
		return cmp.Or(cmp.Compare(a.Zero, b.Zero), cmp.Compare(a.Tensor, b.Tensor), cmp.Compare(a.Pipeline, b.Pipeline))
	})
	if !list[0].Fits(o.GPU) {
		return nil, o.tooLarge(list[0])
	}
	for _, l := range list {
		fits := l.Fits(o.GPU)
		if fits && len(p.Best) < shown {
			p.Best = append(p.Best, l)
			continue
		}
		p.Others = append(p.Others, Other{l, fits, why(l, p.Best[0], o.GPU)})
	}
	return p, nil
}

func (o Options) cluster() cluster { return cluster{o.GPU, o.Network, min(Node, o.GPUs)} }

func (o Options) space(gpus, sequences int) space {
	w := space{ranks: gpus, sequences: sequences, fused: true}
	if o.Tensor > 0 {
		w.tensor = []int{o.Tensor}
	}
	if o.Pipeline > 0 {
		w.pipeline = []int{o.Pipeline}
	}
	return w
}

// The limits of a plan: a search over more takes seconds and means nothing.
const (
	mostGPUs   = 1 << 17
	mostTokens = 1 << 30 // of a step
)

// sensible refuses shapes that no model has, with whose parameters one could not calculate.
func sensible(s scaling.Shape) error {
	if err := s.Check(); err != nil {
		return err
	}
	for _, x := range []struct {
		name        string
		value, most int
	}{{"layers", s.Layers, 1 << 12}, {"width", s.Width, 1 << 18}, {"width of the MLP", s.MLP(), 1 << 20}} {
		if x.value > x.most {
			return fault.Errorf(fault.Invalid, "%s %d: at most %d is possible", x.name, x.value, x.most)
		}
	}
	return nil
}

// check refuses what cannot be planned, and sets what was left out.
func check(o *Options) error {
	if err := sensible(o.Shape); err != nil {
		return err
	}
	switch {
	case o.GPUs < 1 || o.GPUs > mostGPUs:
		return fault.Errorf(fault.Invalid, "%d GPUs: from 1 to %d are possible", o.GPUs, mostGPUs).With(fault.Set("gpus", 64, ""))
	case o.GPUs > Node && o.GPUs%Node != 0:
		return fault.Errorf(fault.Invalid, "%d GPUs do not fill nodes of %d", o.GPUs, Node).With(
			fault.Set("gpus", o.GPUs/Node*Node, ""), fault.Set("gpus", (o.GPUs/Node+1)*Node, ""))
	case o.Tensor < 0 || o.Tensor > min(Node, o.GPUs):
		return fault.Errorf(fault.Invalid, "tensor parallelism over %d GPUs: it stays within a node, which has %d", o.Tensor, min(Node, o.GPUs)).With(
			fault.Set("tp", min(Node, o.GPUs), ""))
	case o.Tensor > 0 && !divides(o.Shape, o.Tensor):
		e := fault.Errorf(fault.Invalid, "%s has %s, which %d GPUs cannot divide equally", o.Model, parts(o.Shape), o.Tensor)
		for _, t := range divisors(Node) {
			if t > 1 && divides(o.Shape, t) && o.GPUs%t == 0 {
				e.With(fault.Set("tp", t, ""))
			}
		}
		return e.With(fault.Set("tp", 1, ""))
	case o.Pipeline < 0 || o.Pipeline > o.Shape.Layers:
		return fault.Errorf(fault.Invalid, "%d stages: %s has %d blocks", o.Pipeline, o.Model, o.Shape.Layers).With(fault.Change("pp", "at most that many"))
	case max(1, o.Tensor)*max(1, o.Pipeline) > o.GPUs || o.GPUs%(max(1, o.Tensor)*max(1, o.Pipeline)) != 0:
		return fault.Errorf(fault.Invalid, "%d GPUs cannot be divided into groups of %d × %d", o.GPUs, max(1, o.Tensor), max(1, o.Pipeline)).With(
			fault.Change("gpus", "a multiple of "+fmt.Sprint(max(1, o.Tensor)*max(1, o.Pipeline))))
	case o.Tokens < 0 || o.Price < 0:
		return fault.Errorf(fault.Invalid, "tokens and price cannot be less than 0")
	}
	if o.BatchTokens == 0 {
		o.BatchTokens = max(UsualBatch/o.Shape.Seq, 1) * o.Shape.Seq
	}
	if o.BatchTokens < o.Shape.Seq || o.BatchTokens > mostTokens {
		return fault.Errorf(fault.Invalid, "a step of %d tokens: from one sequence, %d, to %d are possible", o.BatchTokens, o.Shape.Seq, mostTokens).With(
			fault.Set("batch-tokens", UsualBatch, ""))
	}
	return nil
}

func parts(s scaling.Shape) string {
	heads := fmt.Sprintf("%d heads", s.Heads)
	if s.KVHeads > 0 {
		heads += fmt.Sprintf(", %d of keys and values", s.KVHeads)
	}
	return fmt.Sprintf("%s, and an MLP of width %d", heads, s.MLP())
}

// indivisible says why no layout divides the work: data parallelism needs as many sequences
// as it has groups, or a multiple.
func (o Options) indivisible(sequences int) error {
	e := fault.Errorf(fault.Invalid, "%d tokens are %d sequences of %d, which no way to divide %d GPUs shares out equally", o.BatchTokens, sequences, o.Shape.Seq, o.GPUs)
	if n := (sequences + o.GPUs - 1) / o.GPUs * o.GPUs * o.Shape.Seq; n <= mostTokens {
		e.With(fault.Set("batch-tokens", n, "one or more sequences for each GPU"))
	}
	return e
}

// tooLarge says that nothing fits, and from how many GPUs on something does.
func (o Options) tooLarge(least Layout) error {
	e := fault.Errorf(fault.OutOfMemory, "%s fits in no way on %d × %s: the least that each would need is %.0f GB (%s), and each has %.0f GB",
		o.Model, o.GPUs, o.GPU.Title, least.Needs()/1e9, least.Name(), o.GPU.Memory.Value/1e9)
	for n := 2 * o.GPUs; n <= mostGPUs; n *= 2 {
		if n > Node && n%Node != 0 {
			continue
		}
		more, fits := o, false
		more.GPUs = n
		more.cluster().each(o.Shape, o.space(n, max(n, o.BatchTokens/o.Shape.Seq)), func(l Layout) { fits = fits || l.Fits(o.GPU) })
		if fits {
			return e.With(fault.Set("gpus", n, "it fits from there on"))
		}
	}
	return e
}

// Name says how a layout divides the model: "fsdp×64", "tp4 zero1×16", "tp8 pp4 dp×2".
func (l Layout) Name() string {
	var words []string
	if l.Tensor > 1 {
		words = append(words, fmt.Sprintf("tp%d", l.Tensor))
	}
	if l.Pipeline > 1 {
		words = append(words, fmt.Sprintf("pp%d", l.Pipeline))
	}
	if l.Data > 1 {
		words = append(words, fmt.Sprintf("%s×%d", []string{"dp", "zero1", "zero2", "fsdp"}[l.Zero], l.Data))
	}
	if len(words) == 0 {
		return "one GPU"
	}
	return strings.Join(words, " ")
}

// Again says what a layout computes again to save memory.
func (l Layout) Again() string {
	if l.Recompute == scaling.RecomputeAll {
		return "all"
	}
	return "nothing"
}

// why says what makes a layout worse than the best: what it lacks in memory, or what most of
// the additional time is spent on.
func why(l, best Layout, g GPU) string {
	if !l.Fits(g) {
		return "does not fit"
	}
	reason, most := "about the same", 0.0
	for _, r := range []struct {
		more float64
		what string
	}{
		{l.Time.Recompute - best.Time.Recompute, "computes more again"},
		{l.Time.Tensor - best.Time.Tensor, "more tp messages"},
		{l.Time.Pipeline - best.Time.Pipeline, "waits in the pipeline"},
		{l.Time.Data - best.Time.Data, "more dp messages"},
		{l.Time.Products - best.Time.Products, "smaller products"},
		{l.Time.Optimizer - best.Time.Optimizer, "a whole optimizer each"},
	} {
		if r.more > most {
			reason, most = r.what, r.more
		}
	}
	return reason
}

// FLOPs returns the work of a step, with causal attention; what is computed again is not
// counted.
func (p *Plan) FLOPs() float64 { return p.Shape.FLOPs(p.Sequences, true) }

// MFU returns the share of the GPUs' peak that a layout's useful work is.
func (p *Plan) MFU(l Layout) float64 {
	return scaling.MFU(p.FLOPs(), l.Seconds, p.GPUs, p.GPU.Peak.Value)
}

// Rate returns the tokens per second of a layout, over all GPUs.
func (p *Plan) Rate(l Layout) float64 {
	return float64(p.Sequences) * float64(p.Shape.Seq) / l.Seconds
}

// Days returns how long all tokens take, 0 where they were not asked for.
func (p *Plan) Days(l Layout) float64 { return p.Tokens / p.Rate(l) / 86400 }

// Cost returns what all tokens cost, 0 where tokens or a price were not asked for.
func (p *Plan) Cost(l Layout) float64 { return p.Days(l) * 24 * float64(p.GPUs) * p.Price }
