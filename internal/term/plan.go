package term

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/plan"
	"github.com/gpuplay/gpuplay/internal/scaling"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// worstShown is how many of the layouts that were not chosen have a row.
const worstShown = 8

// Plan writes a plan: the best layouts, the others and why they are not chosen, what the
// fullest GPU holds, and the lines that start it.
func Plan(w io.Writer, p *plan.Plan, s Style) error {
	o := &page{Style: s}
	o.title("a plan", p.Model, fmt.Sprintf("%d × %s", p.GPUs, p.GPU.Title), fmt.Sprintf("%s of %d tokens", unit.Plural(p.Sequences, "sequence"), p.Shape.Seq), "modelled, not measured")
	t := table{columns: []column{{head: "step", key: true}, {head: "tok/s", from: 72}, {head: "MFU"}, {head: "GB"}, {head: "again", rank: 2, left: true}, {head: "µbatch", rank: 1}, {head: "why not", left: true, from: 60}}}
	figures := func(l plan.Layout, why string) row {
		again := l.Again()
		if again == "nothing" {
			again = "–"
		}
		return row{name: l.Name(), cells: []string{unit.Seconds(time.Duration(l.Seconds * float64(time.Second))), unit.Count(p.Rate(l)), unit.Percent(p.MFU(l)), fmt.Sprintf("%.0f", l.Needs()/1e9), again, fmt.Sprintf("%d×%d", l.Microbatches, l.Microbatch), why}}
	}
	best := group{title: "the fastest"}
	for i, l := range p.Best {
		r := figures(l, "")
		r.best = i == 0
		best.rows = append(best.rows, r)
	}
	t.groups = append(t.groups, best)
	others := group{title: "the others"}
	for _, x := range p.Others[:min(len(p.Others), worstShown)] {
		others.rows = append(others.rows, figures(x.Layout, x.Why))
	}
	if len(others.rows) > 0 {
		t.groups = append(t.groups, others)
	}
	o.table(t)
	o.notes([]string{
		fmt.Sprintf("GB: what a card must have, of %.0f. again: what is computed again to save memory. µbatch: microbatches of each rank × sequences of each.", p.GPU.Memory.Value/1e9) + left(len(p.Others)-worstShown),
	})

	o.line()
	o.paragraph("What the fullest GPU holds: Weights, Gradients, Optimizer, Activations, Buffers", usual)
	var names []string
	for _, l := range p.Best {
		names = append(names, l.Name())
	}
	holds := make([]scaling.Memory, len(p.Best))
	for i, l := range p.Best {
		holds[i] = l.Memory
	}
	o.holdings(names, holds, p.GPU.Memory.Value)
	o.sentences(p.Sentences())
	l := p.Launch()
	for _, part := range []struct{ name, text string }{{"torchrun", l.Torchrun}, {"Slurm", l.Slurm}, {"Kubernetes, with Kubeflow Trainer", l.Kubernetes}} {
		o.line()
		o.paragraph(part.name+" (train.py is your program; not run here):", dim)
		for line := range strings.Lines(part.text) {
			o.linef("%s", strings.TrimSuffix(line, "\n"))
		}
	}
	return o.writeTo(w)
}

// left says that more are not shown.
func left(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" %d more are in the JSON form.", n)
}

// holdings draws bars of what GPUs hold, to the scale of a card of that size.
func (p *page) holdings(names []string, holds []scaling.Memory, card float64) {
	width := 0
	for _, n := range names {
		width = max(width, len(p.clean(n)))
	}
	const figure = 9
	b := memoryBars{room: max(6, min(60, p.Width-2-width-2-figure)), card: card, scale: card}
	for i, m := range holds {
		bar, look := b.of(m)
		p.line(span{"  " + pad(p.clean(names[i]), width) + "  ", usual}, span{bar, look}, span{right(unit.Bytes(m.Total()), figure), usual})
	}
}
