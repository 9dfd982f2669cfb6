package term

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/train"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A view is what there is to show of a run, by the events so far. It is text that may
// be anybody's: say, show and picture make it harmless.
type view struct {
	style   Style
	live    bool
	answers bool // what is generated is the result and shown, whatever is measured

	kind      record.Kind
	news      []news // what stays and is not yet written
	answering bool   // an answer has begun and not ended
	notes     []string
	status    string // in the place of the next note
	lanes     []*laneView
	training  trainingView
}

// news is a line that stays, or a part of an answer.
type news struct {
	what newsKind
	text string
}

type newsKind int

const (
	line newsKind = iota
	answerText
	answerEnd
)

// keptNotes is how many notes a view remembers: more than fit onto a screen.
const keptNotes = 100

// apply takes an event.
func (v *view) apply(e event.Event) {
	switch d := e.Data.(type) {
	case event.Begin:
		v.kind = record.Kind(d.Kind)
	case event.Lane:
		v.announce(e.Lane, d)
	case event.Note:
		if d.Transient && v.live { // elsewhere nothing can be replaced
			v.show(d.Text)
		} else {
			v.say(d.Text)
		}
	case llm.Loaded:
		v.loaded(e.Lane, d)
	case llm.Asked:
		if v.kind == record.Generate && !d.Chat { // the answer continues it
			v.piece(d.Prompt)
		}
	case llm.Piece:
		v.piece(d.Text)
	case *llm.Result:
		v.tokenResult(d)
	case train.Planned:
		v.planned(d)
	case train.Step:
		v.step(e.At, d)
	case event.Phase:
		v.phase(e.Lane, d.Phase)
	case event.Progress:
		v.progress(e.Lane, e.At, d)
	case event.Size:
		v.size(e.Lane)
	case bench.Tuning:
		if l := v.lane(e.Lane); l != nil {
			l.tuning = d
		}
	case *bench.Result:
		if v.kind != record.Learn && v.kind != record.Doctor { // there, the lane is measured again and again
			v.result(d)
		}
	case *record.Run:
		v.endAnswer()
		v.status = ""
	}
}

// say adds a line. On a terminal it goes with the lines that change, unless there are
// answers that it belongs to.
func (v *view) say(text string) {
	v.endAnswer()
	v.status = ""
	text = v.style.clean(text)
	if !v.live || v.kind == record.LLM {
		v.keep(text)
		return
	}
	v.notes = append(v.notes, text)
	if n := len(v.notes); n > keptNotes {
		v.notes = slices.Delete(v.notes, 0, n-keptNotes)
	}
}

// keep adds a line that stays on a terminal too.
func (v *view) keep(text string) { v.news = append(v.news, news{line, text}) }

// show shows a line on a terminal until there is another.
func (v *view) show(text string) {
	if !v.live {
		return
	}
	v.endAnswer()
	v.status = text
}

// piece shows a piece of an answer.
func (v *view) piece(text string) {
	if !v.answers && v.kind != record.LLM {
		return
	}
	v.status = ""
	v.answering = true
	v.news = append(v.news, news{answerText, text})
}

func (v *view) endAnswer() {
	if v.answering {
		v.answering = false
		v.news = append(v.news, news{what: answerEnd})
	}
}

// phase takes what a lane does from now on.
func (v *view) phase(lane, phase string) {
	switch v.kind {
	case record.LLM:
		v.tokenPhase(lane, llm.Phase(phase))
	case record.Generate:
	case record.Finetune:
		if phase != "training" { // that has a picture of its own
			v.say(phase)
		}
	default:
		if l := v.lane(lane); l != nil {
			if l.phase = phase; phase == string(bench.LeftOut) {
				l.result = "left out for lack of time"
			}
		}
	}
}

// progress takes how far a lane is at a time on the runner's clock.
func (v *view) progress(lane string, at time.Duration, d event.Progress) {
	l := v.lane(lane)
	if l == nil {
		return
	}
	l.pace.see(at, d.Done, max(d.Total, d.Done))
	if v.kind == record.LLM {
		text := fmt.Sprintf("%s: measuring, round %d of %d", l.name, d.Done+1, d.Total)
		if left := l.pace.left(); left != "" {
			text += ", " + left
		}
		v.show(text)
		return
	}
	l.speed = d.Speed
}

// tokenPhase says what a lane of llm does.
func (v *view) tokenPhase(lane string, phase llm.Phase) {
	l := v.lane(lane)
	if l == nil {
		return
	}
	switch phase {
	case llm.Loading:
		v.show(l.name + ": loading the model")
	case llm.Answered:
		v.endAnswer()
	case llm.Warming:
		v.show(l.name + ": warming up")
	case llm.Measuring:
		if !v.live {
			v.say(l.name + ": measuring")
		}
	}
}

// loaded says which model runs where.
func (v *view) loaded(lane string, d llm.Loaded) {
	switch v.kind {
	case record.LLM:
		if l := v.lane(lane); l != nil {
			if d.Load == 0 { // a server, which does not tell when it loads
				v.say(l.name + ": " + d.Runtime)
				return
			}
			where := d.Device.Name
			if d.Settings.Layers > 0 && d.Device.Kind == hardware.CPU {
				where = "no layer is on the GPU"
			}
			v.say(fmt.Sprintf("%s: %s, model loaded in %s", l.name, where, unit.Seconds(d.Load)))
		}
	case record.Generate:
		v.generating(d)
	case record.Finetune:
		v.training.loaded = d
		for _, text := range trainingHead(d, leastCards(d)) {
			v.say(text)
		}
	}
}

// generating says above the text what generates it. It stays: the text alone does not
// say so.
func (v *view) generating(d llm.Loaded) {
	v.notes, v.status = nil, ""
	dot := v.style.clean(" · ")
	parts := []string{d.Runtime + " on " + place(d.Device, leastCards(d)), "loaded in " + unit.Seconds(d.Load)}
	if model := modelName(d); model != "" {
		parts = append([]string{model}, parts...)
	}
	for _, text := range Wrap(v.style.clean(strings.Join(parts, dot)), v.style.Width) {
		v.keep(text)
	}
	for _, n := range d.Notes {
		v.keep(v.style.clean("  note: " + n))
	}
	v.keep("")
}

// tokenResult says why a lane has nothing else to show.
func (v *view) tokenResult(r *llm.Result) {
	v.endAnswer()
	v.status = ""
	if r.Error != nil && len(r.Samples) == 0 {
		v.say(r.Name + ": " + r.Error.Message)
	}
}

// picture returns the lines that change, within a number of columns and lines.
// What does not fit is left out: notes first, the oldest before the others, then lanes
// that do nothing.
func (v *view) picture(columns, most int) []string {
	notes := v.notes
	if v.status != "" {
		notes = append(slices.Clip(notes), v.status)
	}
	room := most
	if len(notes) > 0 && most > 2 {
		room-- // for the latest
	}
	var below []string
	if v.kind == record.Finetune {
		below = v.training.picture(v.style, columns, room)
	} else if v.kind != record.LLM && v.kind != record.Generate {
		below = v.laneLines(columns, room)
	}
	notes = notes[len(notes)-min(len(notes), most-len(below)):]
	var list []string
	for _, text := range append(slices.Clip(notes), below...) {
		list = append(list, v.style.cut("  "+text, columns-1))
	}
	return list
}

// cut makes a text that is too long for the columns end in an ellipsis.
func (s Style) cut(text string, columns int) string {
	return strings.TrimRight(ansi.Truncate(s.clean(text), columns, s.clean("…")), " ")
}
