package term

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A laneView is a lane as far as events have told of it.
type laneView struct {
	id     string
	name   string
	op     string // what its speed counts; empty: tokens
	card   *int   // the number of its GPU; nil when not known
	phase  string
	tuning bench.Tuning
	pace   pace    // of its samples
	speed  float64 // the median so far; 0: none yet
	result string  // what it came to; empty while it is measured
}

// active reports whether the lane is measured now.
func (l *laneView) active() bool { return l.phase != "" && l.result == "" }

// again forgets what was measured.
func (l *laneView) again() {
	l.phase, l.tuning, l.pace, l.speed, l.result = "", bench.Tuning{}, pace{}, 0, ""
}

// lane returns the lane of that id; one that was not announced has its id for a name.
// The run as a whole is none.
func (v *view) lane(id string) *laneView {
	if id == "" {
		return nil
	}
	for _, l := range v.lanes {
		if l.id == id {
			return l
		}
	}
	l := &laneView{id: id, name: id}
	v.lanes = append(v.lanes, l)
	return l
}

// gpu tells a lane from others of the same name by the GPU that it is on.
func (v *view) gpu(l *laneView) string {
	for _, other := range v.lanes {
		if other != l && other.name == l.name && l.card != nil {
			return fmt.Sprintf(", GPU %d", *l.card)
		}
	}
	return ""
}

// finished reports whether all lanes have results.
func (v *view) finished() bool {
	return !slices.ContainsFunc(v.lanes, func(l *laneView) bool { return l.result == "" })
}

// announce adds a lane. The first one after all have results begins another list: a
// sweep announces the lanes of each size.
func (v *view) announce(id string, d event.Lane) {
	if v.finished() {
		v.lanes = nil
	}
	if l := v.lane(id); l != nil {
		l.again()
		l.name, l.op, l.card = d.Name, d.Op, d.Card
	}
}

// size begins another product in a lane.
func (v *view) size(id string) {
	l := v.lane(id)
	if l == nil {
		return
	}
	if v.finished() {
		for _, l := range v.lanes {
			l.again()
		}
	}
	l.again()
}

// result replaces what was shown of a lane.
func (v *view) result(r *bench.Result) {
	l := v.lane(r.Lane)
	if l == nil {
		return
	}
	if l.name == l.id { // it was not announced
		l.name = r.Label()
	}
	l.result = laneResult(r)
	if !v.live {
		v.say(l.name + v.gpu(l) + ": " + l.result)
	}
}

// laneResult is a result in a few words.
func laneResult(r *bench.Result) string {
	s, measured := r.Speed()
	samples := "samples"
	if len(r.Samples) == 1 {
		samples = "sample"
	}
	switch {
	case r.Error != nil:
		return r.Error.Message
	case !measured:
		return "not measured"
	}
	return fmt.Sprintf("%s from %d %s", r.GEMM.Rate(s.Value), len(r.Samples), samples)
}

const (
	laneName  = 30 // columns of a lane's name at most
	laneBar   = 10
	laneSpeed = 12 // columns of most speeds: 1.92 TFLOP/s
	laneLeft  = 9  // columns of most times: 12 s left
)

// laneLines returns a line for every lane, up to a limit: those that are measured
// before those that wait or are done.
func (v *view) laneLines(columns, most int) []string {
	shown := v.lanes
	if most < 1 {
		return nil
	}
	if len(shown) > most {
		shown = nil
		for _, active := range []bool{true, false} {
			for _, l := range v.lanes {
				if l.active() == active && len(shown) < most-1 {
					shown = append(shown, l)
				}
			}
		}
	}
	width, names := 0, make([]string, len(v.lanes))
	for i, l := range v.lanes {
		gpu := v.gpu(l)
		names[i] = v.style.cut(l.name, min(laneName, columns*3/8)-len(gpu)) + gpu
		width = max(width, ansi.StringWidth(names[i]))
	}
	var list []string
	for i, l := range v.lanes {
		if slices.Contains(shown, l) {
			list = append(list, pad(names[i], width+2)+l.state(v.style, columns-width-5))
		}
	}
	if n := len(v.lanes) - len(shown); n > 0 {
		list = append(list, fmt.Sprintf("… and %d more", n))
	}
	return list
}

// state is what a lane does, or what it came to. What it has counted has as many words
// as there is room for in the columns.
func (l *laneView) state(style Style, columns int) string {
	switch p := l.pace; {
	case l.result != "":
		return l.result
	case l.phase == string(bench.Preparing) && l.tuning.Total > 0:
		return fmt.Sprintf("%s, variant %d of %d", l.phase, l.tuning.Done, l.tuning.Total)
	case l.phase == string(bench.Preparing) && l.tuning.Done > 0:
		return fmt.Sprintf("%s, variant %d", l.phase, l.tuning.Done)
	case l.phase == string(bench.Sampling) && p.total > 0:
		done, count, speed := bar(style, laneBar, laneBar*p.done/p.total)+"  ", fmt.Sprintf("%2d/%d", p.done, p.total), ""
		if l.speed > 0 && !math.IsInf(l.speed, 0) {
			speed = rate(l.speed, l.op)
		}
		speed, left := "  "+pad(speed, laneSpeed), "  "+pad(p.left(), laneLeft)
		text := count + speed
		for _, longer := range []string{count + speed + left, done + count + speed + left, done + count + " samples" + speed + left} {
			if ansi.StringWidth(longer) <= columns { // with room for what other lanes have
				text = longer
			}
		}
		return strings.TrimRight(text, " ")
	case l.phase != "":
		return l.phase
	}
	return "waiting"
}

// bar is a bar with a number of columns, filled of them full.
func bar(s Style, columns, filled int) string {
	full, empty := "█", "░"
	if !s.Unicode {
		full, empty = "#", "."
	}
	return strings.Repeat(full, filled) + strings.Repeat(empty, columns-filled)
}

// rate is a speed with what it counts, tokens if that is not said.
func rate(speed float64, op string) string {
	if op == "" {
		return unit.Digits3(speed) + " tokens/s"
	}
	return unit.Rate(speed, op)
}
