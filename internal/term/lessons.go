package term

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/plan"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/scaling"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Lessons writes what each way to divide a model means: what the GPUs hold, as bars to one
// scale with the card's end marked, what they send, and how long a step takes. real is a
// measured run whose timeline is drawn below; nil: there is none.
func Lessons(w io.Writer, l *plan.Lessons, real *record.Run, s Style) error {
	p := &page{Style: s}
	p.title("many GPUs", l.Model, fmt.Sprintf("%d × %s", l.GPUs, l.GPU.Title), fmt.Sprintf("%s of %d tokens in a step", unit.Plural(l.Sequences, "sequence"), l.Shape.Seq), "modelled, not measured")
	p.line()
	p.paragraph("What a GPU holds: Weights, Gradients, Optimizer, Activations, Buffers; to scale, the card ends at |", usual)
	card, most := l.GPU.Memory.Value, l.GPU.Memory.Value
	for _, x := range l.List {
		for _, m := range x.Holds {
			most = max(most, m.Total())
		}
	}
	const name, figure = 9, 9
	b := memoryBars{room: max(6, p.Width-4-name-figure), card: card, scale: most}
	for _, x := range l.List {
		p.line()
		for _, t := range Hanging("  "+pad(x.Name, name), p.clean(x.Idea), p.Width) {
			rest, whole := strings.CutPrefix(t, "  "+x.Name)
			if whole {
				p.line(span{"  ", usual}, span{x.Name, bold}, span{rest, usual})
				continue
			}
			p.line(span{t, usual})
		}
		if x.Cannot != "" {
			for _, t := range Wrap(p.clean(x.Cannot), p.Width-2-name) {
				p.line(span{strings.Repeat(" ", 2+name), usual}, span{t, red})
			}
			continue
		}
		for i, m := range x.Holds {
			label := ""
			if len(x.Holds) > 1 {
				label = fmt.Sprintf("GPU %d", i)
			}
			bar, l := b.of(m)
			p.line(span{"  " + pad(label, name), dim}, span{bar, l}, span{right(unit.Bytes(m.Total()), figure), usual})
		}
		sends := "sends nothing"
		if x.Sends > 0 {
			sends = fmt.Sprintf("sends %s a step: %s", unit.Bytes(x.Sends), x.What)
		}
		sends += "; a step takes " + unit.Seconds(time.Duration(x.Step*float64(time.Second)))
		if x.Faster != 1 {
			sends += fmt.Sprintf(", %s× as fast", unit.Times(x.Faster))
		}
		if !x.Fits {
			sends += " if it fitted"
		}
		for _, t := range Wrap(p.clean(sends), p.Width-2-name) {
			p.line(span{strings.Repeat(" ", 2+name) + t, dim})
		}
	}
	p.sentences(l.Sentences())
	if real != nil {
		p.timelines(real)
	} else {
		p.line()
		p.paragraph("There is no timeline of a real step: "+fault.Run("{} measures one", "gpuplay", "scale", "run").Words(p.Words), dim)
	}
	p.next(&fault.Remedy{Command: []string{"gpuplay", "scale", "plan"}, Text: "more GPUs, several ways together, days and cost"})
	return p.writeTo(w)
}

// memoryBars are bars of one scale.
type memoryBars struct {
	room  int     // columns
	card  float64 // bytes of a card
	scale float64 // bytes of all columns
}

// of returns a bar. Behind what is held, the rest of the card is dotted.
func (b memoryBars) of(m scaling.Memory) (string, look) {
	column := func(bytes float64) int { return min(b.room, int(math.Round(bytes/b.scale*float64(b.room)))) }
	bar, sum := strings.Builder{}, 0.0
	for _, part := range []struct {
		letter string
		bytes  float64
	}{{"W", m.Weights}, {"G", m.Gradients}, {"O", m.Optimizer}, {"A", m.Activations}, {"B", m.Buffers}} {
		sum += part.bytes
		bar.WriteString(strings.Repeat(part.letter, max(0, column(sum)-bar.Len())))
	}
	cells, end := []rune(bar.String()), max(0, column(b.card)-1)
	for len(cells) < b.room {
		cells = append(cells, ' ')
		if n := len(cells); n <= end {
			cells[n-1] = '·'
		}
	}
	cells[end] = '|'
	look := usual
	if m.Total() > b.card {
		look = red
	}
	return string(cells), look
}
