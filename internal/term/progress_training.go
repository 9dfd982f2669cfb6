package term

import (
	"fmt"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/train"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A trainingView is a training as far as events have told of it.
type trainingView struct {
	loaded llm.Loaded
	iters  int // of this run
	losses []float64
	first  int        // iteration of the first loss
	latest train.Step // with a loss
	pace   pace       // of iterations
}

// planned says what is about to be trained.
func (v *view) planned(p train.Planned) {
	v.training.iters = p.Iters
	for _, text := range trainingPlan(v.training.loaded, p, v.style.Words) {
		v.say(text)
	}
}

// step takes an iteration. On a terminal its loss becomes a part of the curve; elsewhere
// about ten of a training's are said.
func (v *view) step(at time.Duration, s train.Step) {
	t := &v.training
	if s.Loss == nil {
		return
	}
	if len(t.losses) == 0 {
		t.first = s.Iteration
	}
	t.losses, t.latest = append(t.losses, *s.Loss), s
	t.pace.see(at, len(t.losses), t.iters)
	n, every := len(t.losses), max(1, t.iters/10)
	if !v.live && (n == 1 || n%every == 0 || n == t.iters) {
		v.say(t.now())
	}
}

// now is the latest iteration in a line.
func (t *trainingView) now() string {
	s := t.latest
	text := fmt.Sprintf("iteration %d/%d  loss %.3f  %s tokens/s", s.Iteration, t.first-1+t.iters, *s.Loss, unit.Digits3(s.Speed))
	if s.Peak > 0 {
		text += "  memory " + unit.Bytes(float64(s.Peak))
	}
	return text
}

// picture is the curve of losses with the latest iteration below it, as much of it as
// there is room for.
func (t *trainingView) picture(s Style, columns, most int) []string {
	if len(t.losses) == 0 || most < 1 {
		return nil
	}
	const around = 4 // its axis, a line above and two below
	height, now := min(curveHeight, most-around), t.now()
	if left := t.pace.left(); left != "" {
		now += "  " + left
	}
	if height < 2 {
		return []string{now}
	}
	list := append([]string{""}, Curve(t.losses, t.first, min(columns-4, curveWidth), height, s.Unicode)...)
	return append(list, "", now)
}

// trainingHead names the model and what runs it, on a machine with a number of cards, with
// its caveats.
func trainingHead(d llm.Loaded, cards int) []string {
	head := d.Runtime + " on " + place(d.Device, cards)
	if name := modelName(d); name != "" {
		head = name + ", " + head
	}
	list := []string{head}
	for _, n := range d.Notes {
		list = append(list, "note: "+n)
	}
	return list
}

// leastCards is how many cards there are at least: events do not say how many.
func leastCards(d llm.Loaded) int {
	if d.Device.Card == nil {
		return 1
	}
	return 1 + *d.Device.Card
}

// modelName names a model with its size; it is empty where the runtime says neither.
func modelName(d llm.Loaded) string {
	name := d.Model
	if a := d.About; a != nil {
		if name != "" {
			name += ", "
		}
		name += fmt.Sprintf("%sM parameters in %s", unit.Digits3(float64(a.Parameters)/1e6), a.DType)
	}
	return name
}

// trainingPlan says what will be trained and the memory that it is expected to take.
func trainingPlan(l llm.Loaded, p train.Planned, words fault.Wording) []string {
	var about llm.About
	if l.About != nil {
		about = *l.About
	}
	rows := fmt.Sprintf("%d rows of at most %d tokens", p.Rows, p.Longest)
	if p.Data.Folder == "" {
		rows += ", built in"
	}
	adapter := fmt.Sprintf("adapter of rank %d on %d layers: %sM parameters", p.Settings.Rank, p.Layers, unit.Digits3(float64(p.Trainable)/1e6))
	if about.Parameters > 0 {
		adapter = fmt.Sprintf("adapter of rank %d on %d of %d layers: %sM parameters, %s of all", p.Settings.Rank, p.Layers, about.Layers,
			unit.Digits3(float64(p.Trainable)/1e6), unit.Percent(float64(p.Trainable)/float64(about.Parameters)))
	}
	memory := fmt.Sprintf("memory: about %s expected, %s of it weights", unit.Bytes(float64(p.Estimate)), unit.Bytes(float64(about.Bytes)))
	if p.Free > 0 {
		memory += fmt.Sprintf("; %s free", unit.Bytes(float64(p.Free)))
	}
	list := []string{rows, adapter, memory}
	if p.Cut > 0 {
		list = append(list, fault.Set("max-length", p.Settings.MaxLength, fmt.Sprintf("note: %d rows are longer than {} tokens: their rest is not learned", p.Cut)).Words(words))
	}
	if held := p.Data.Held; held > 0 && held < p.Settings.Batch {
		list = append(list, fault.Set("batch", p.Settings.Batch, fmt.Sprintf("note: valid.jsonl has %d rows, fewer than {}: they are not looked at", held)).Words(words))
	}
	return list
}
