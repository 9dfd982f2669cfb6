package term

import (
	"fmt"
	"io"

	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// scalingTable writes how fast each strategy trains on more and more ranks beside what
// the model says, what messages cost, and where the time goes.
func scalingTable(w io.Writer, r *record.Run, s Style) error {
	p := &page{Style: s}
	c := r.Scaling
	if c == nil || !r.Measured() {
		p.linef("Nothing was measured.")
		p.sentences(judge.Sentences(r))
		return p.writeTo(w)
	}
	p.title(judge.ScalingTitle(c)...)
	list := judge.ScaledOf(c)
	p.table(speeds(list))
	if t, ok := whereTime(list); ok {
		p.table(t)
	}
	if t, ok := messages(c); ok {
		p.table(t)
	}
	p.sentences(judge.Sentences(r))
	return p.writeTo(w)
}

// speeds is the table of strategies, in a group for each number of ranks.
func speeds(list []judge.Scaled) table {
	t := table{bars: bars{on: true, rank: 1}, columns: []column{
		{head: "speed-up", key: true}, {head: "step"}, {head: "±", rank: 5, look: dim}, {head: "modelled", rank: 3}, {head: "off", rank: 2}, {head: "memory", rank: 4}, {head: "check", left: true, rank: 6},
	}}
	most := 0.0
	for _, x := range list {
		most = max(most, x.Speedup)
	}
	for i, x := range list {
		if i == 0 || x.Ranks != list[i-1].Ranks {
			title := unit.Plural(x.Ranks, "rank")
			if x.Step == nil {
				title += ", modelled, not measured; off: the largest error where it could be checked"
			}
			t.groups = append(t.groups, group{title: title})
		}
		g := &t.groups[len(t.groups)-1]
		one := row{name: string(x.Strategy), bar: x.Speedup / max(most, 1e-300)}
		if x.Step != nil && x.Step.Error != nil {
			one.failure = x.Step.Error.Words(nil)
			g.rows = append(g.rows, one)
			continue
		}
		speedup, memory := "", ""
		if x.Speedup > 0 {
			speedup = unit.Times(x.Speedup) + "×"
		}
		switch {
		case x.Peak > 0:
			memory = unit.Bytes(float64(x.Peak))
		case x.Predicted != nil && x.Predicted.Memory > 0:
			memory = unit.Bytes(x.Predicted.Memory)
		}
		one.cells = []string{speedup, judge.StepTime(x), judge.StepSpread(x), judge.ModelledTime(x), judge.ModelledOff(x), memory, x.Checked}
		if x.Step == nil {
			one.looks = map[int]look{0: dim, 3: dim, 4: dim, 5: dim}
			one.hatched = true
		}
		if x.Wrong {
			one.cells[6], one.looks = "wrong", map[int]look{6: red}
		}
		g.rows = append(g.rows, one)
	}
	return t
}

// whereTime is the table of what the ranks do during a step.
func whereTime(list []judge.Scaled) (table, bool) {
	t := table{corner: "time of a step", columns: []column{{head: "computes"}, {head: "waits for messages"}, {head: "idle, bubble"}}}
	g := group{}
	for _, x := range list {
		if x.Step == nil || x.Compute == 0 || x.Ranks < 2 {
			continue
		}
		g.rows = append(g.rows, row{name: fmt.Sprintf("%s over %d", x.Strategy, x.Ranks), cells: []string{unit.Percent(x.Compute), unit.Percent(x.Exposed), unit.Percent(x.Idle)}})
	}
	t.groups = []group{g}
	return t, len(g.rows) > 0
}

// messages is the table of what operations cost.
func messages(c *record.Scaling) (table, bool) {
	t := table{corner: "messages", columns: []column{{head: "start"}, {head: "bus bandwidth"}, {head: "at"}}}
	for i := range c.Worlds {
		w := &c.Worlds[i]
		g := group{title: unit.Plural(w.Ranks, "rank") + ", " + w.Backend}
		for _, x := range judge.MessageCosts(w) {
			g.rows = append(g.rows, row{name: x[0], cells: x[1:]})
		}
		if len(g.rows) > 0 {
			t.groups = append(t.groups, g)
		}
	}
	return t, len(t.groups) > 0
}
