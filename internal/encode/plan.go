package encode

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/plan"
	"github.com/gpuplay/gpuplay/internal/scaling"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// PlanSchema names the version of the JSON form of a plan, which docs/plan.schema.json
// describes.
const PlanSchema = "gpuplay/plan/v1"

// PlanFormats are the formats of a plan, beside the table.
var PlanFormats = []string{"json", "md"}

type planDocument struct {
	Schema      string            `json:"schema"`
	Basis       string            `json:"basis"` // always "modelled": nothing in it was measured here
	Model       string            `json:"model"`
	Source      string            `json:"source,omitempty"` // of the shape
	Shape       scaling.Shape     `json:"shape"`
	Parameters  int64             `json:"parameters"`
	GPU         string            `json:"gpu"`
	GPUs        int               `json:"gpus"`
	Nodes       int               `json:"nodes"`
	Network     string            `json:"network"`
	BatchTokens int               `json:"batch_tokens"`
	Sequences   int               `json:"sequences"`
	Tokens      float64           `json:"tokens,omitempty"`
	Price       float64           `json:"price,omitempty"`
	Assumptions []plan.Assumption `json:"assumptions"`
	Accuracy    plan.Accuracy     `json:"accuracy"`
	Layouts     int               `json:"layouts"` // that were looked at
	Best        []planLayout      `json:"best"`
	Others      []planLayout      `json:"others,omitempty"`
	Launch      plan.Launch       `json:"launch"`
	Sentences   []string          `json:"sentences"`
}

type planLayout struct {
	Name             string         `json:"name"`
	Data             int            `json:"data"`
	Tensor           int            `json:"tensor"`
	Pipeline         int            `json:"pipeline"`
	Zero             int            `json:"zero"`
	SequenceParallel bool           `json:"sequence_parallel"`
	Chunks           int            `json:"chunks"`
	Microbatch       int            `json:"microbatch"`
	Microbatches     int            `json:"microbatches"`
	Recompute        string         `json:"recompute"`
	Memory           scaling.Memory `json:"memory"` // bytes
	Needs            float64        `json:"needs"`  // bytes
	Fits             bool           `json:"fits"`
	Seconds          float64        `json:"seconds"`
	Unhidden         float64        `json:"seconds_unhidden"`
	Time             plan.Time      `json:"time"` // seconds
	Rate             float64        `json:"tokens_per_second"`
	MFU              float64        `json:"mfu"`
	Days             float64        `json:"days,omitempty"`
	Cost             float64        `json:"cost,omitempty"`
	Why              string         `json:"why,omitempty"`
}

func layoutOf(p *plan.Plan, l plan.Layout, why string) planLayout {
	x := planLayout{
		Name: l.Name(), Data: l.Data, Tensor: l.Tensor, Pipeline: l.Pipeline, Zero: l.Zero, SequenceParallel: l.Sequence, Chunks: l.Chunks,
		Microbatch: l.Microbatch, Microbatches: l.Microbatches, Recompute: l.Again(), Memory: l.Memory, Needs: l.Needs(), Fits: l.Fits(p.GPU),
		Seconds: l.Seconds, Unhidden: l.Unhidden, Time: l.Time, Rate: p.Rate(l), MFU: p.MFU(l), Days: p.Days(l), Cost: p.Cost(l), Why: why,
	}
	roundMemory(&x.Memory)
	t := &x.Time
	round(&x.Needs, &x.Seconds, &x.Unhidden, &x.Rate, &x.MFU, &x.Days, &x.Cost,
		&t.Products, &t.Attention, &t.Streaming, &t.Recompute, &t.Tensor, &t.Pipeline, &t.Data, &t.Optimizer)
	return x
}

// round leaves six digits of modelled figures: more would say nothing, and differ between
// processors, some of which multiply and add in one step.
func round(figures ...*float64) {
	for _, f := range figures {
		*f, _ = strconv.ParseFloat(strconv.FormatFloat(*f, 'g', 6, 64), 64)
		if math.Abs(*f) < 1e-12 { // the rest of a difference
			*f = 0
		}
	}
}

func roundMemory(m *scaling.Memory) {
	round(&m.Weights, &m.Gradients, &m.Optimizer, &m.Activations, &m.Buffers)
}

// PlanJSON writes a plan as one indented object.
func PlanJSON(w io.Writer, p *plan.Plan) error {
	d := planDocument{
		Schema: PlanSchema, Basis: "modelled", Model: p.Model, Source: p.Source, Shape: p.Shape, Parameters: p.Shape.Params(), GPU: p.GPU.Title, GPUs: p.GPUs, Nodes: p.Nodes,
		Network: p.Network.Title, BatchTokens: p.BatchTokens, Sequences: p.Sequences, Tokens: p.Tokens, Price: p.Price,
		Assumptions: p.Assumptions(), Accuracy: plan.Missed(), Layouts: p.Layouts, Launch: p.Launch(), Sentences: p.Sentences(),
	}
	round(&d.Accuracy.Median, &d.Accuracy.Worst, &d.Accuracy.MemoryMedian, &d.Accuracy.MemoryWorst)
	for _, l := range p.Best {
		d.Best = append(d.Best, layoutOf(p, l, ""))
	}
	for _, o := range p.Others {
		d.Others = append(d.Others, layoutOf(p, o.Layout, o.Why))
	}
	return Indented(w, d)
}

// PlanMarkdown writes a plan as tables to paste, with the lines that start it.
func PlanMarkdown(w io.Writer, p *plan.Plan) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %d × %s, %s of %d tokens in a step. Modelled, not measured.\n\n", cell(p.Model), p.GPUs, cell(p.GPU.Title), unit.Plural(p.Sequences, "sequence"), p.Shape.Seq)
	b.WriteString("| divided | step | tokens/s | MFU | weights | gradients | optimizer | activations | buffers | needs | again | why not |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|---|\n")
	row := func(l plan.Layout, why string) {
		fmt.Fprintf(&b, "| %s | %s s | %s | %s |", l.Name(), unit.Digits3(l.Seconds), unit.Count(p.Rate(l)), unit.Percent(p.MFU(l)))
		for _, bytes := range []float64{l.Memory.Weights, l.Memory.Gradients, l.Memory.Optimizer, l.Memory.Activations, l.Memory.Buffers, l.Needs()} {
			fmt.Fprintf(&b, " %s |", unit.Bytes(bytes))
		}
		fmt.Fprintf(&b, " %s | %s |\n", l.Again(), why)
	}
	for _, l := range p.Best {
		row(l, "")
	}
	for _, o := range p.Others {
		row(o.Layout, o.Why)
	}
	sentences(&b, p.Sentences())
	b.WriteString("\n| basis | value | is | source |\n|---|--:|---|---|\n")
	for _, f := range p.Assumptions() {
		fmt.Fprintf(&b, "| %s | %g | %s | %s |\n", cell(f.Name), f.Value, f.Origin, cell(f.Source))
	}
	l := p.Launch()
	for _, block := range []string{l.Torchrun, l.Slurm, l.Kubernetes} {
		fmt.Fprintf(&b, "\n```\n%s```\n", plain.Text(block))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// LessonsSchema names the version of the JSON form of what GPUs hold and send, which
// docs/learn-gpus.schema.json describes.
const LessonsSchema = "gpuplay/learn-gpus/v1"

// LessonsJSON writes what GPUs hold and send as one indented object.
func LessonsJSON(w io.Writer, l *plan.Lessons) error {
	lessons := slices.Clone(l.List)
	for i := range lessons {
		x := &lessons[i]
		x.Holds = slices.Clone(x.Holds)
		for j := range x.Holds {
			roundMemory(&x.Holds[j])
		}
		round(&x.Sends, &x.Step, &x.Faster)
	}
	return Indented(w, struct {
		Schema     string        `json:"schema"`
		Basis      string        `json:"basis"` // always "modelled"
		Model      string        `json:"model"`
		Parameters int64         `json:"parameters"`
		GPU        string        `json:"gpu"`
		Card       float64       `json:"card"` // bytes
		GPUs       int           `json:"gpus"`
		Sequences  int           `json:"sequences"`
		Seq        int           `json:"seq"`
		Lessons    []plan.Lesson `json:"lessons"`
		Sentences  []string      `json:"sentences"`
	}{LessonsSchema, "modelled", l.Model, l.Shape.Params(), l.GPU.Title, l.GPU.Memory.Value, l.GPUs, l.Sequences, l.Shape.Seq, lessons, l.Sentences()})
}
