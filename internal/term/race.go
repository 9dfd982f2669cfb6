package term

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// raceTable writes the lanes of a race or a single product, one group for each piece of
// hardware, and what they mean in a sentence. Where the screen cannot show all of it, the
// other sentences are left out first, and then the lanes that matter least.
func raceTable(w io.Writer, r *record.Run, s Style) error {
	hidden := map[*bench.Result]bool{}
	p := racePage(r, s, hidden, false)
	fits := func() bool { return s.Lines == 0 || strings.Count(p.text.String(), "\n") < s.Lines } // the prompt takes the last one
	if fits() {
		return p.writeTo(w)
	}
	p = racePage(r, s, hidden, true)
	var order []*bench.Result
	for _, x := range leastFirst(r.Results) {
		if fits() {
			break
		}
		hidden[x] = true
		order = append(order, x)
		p = racePage(r, s, hidden, true)
	}
	for _, x := range slices.Backward(order) { // a row alone takes less than a piece of hardware with its title
		if !fits() {
			break
		}
		whole := p
		delete(hidden, x)
		if p = racePage(r, s, hidden, true); !fits() {
			hidden[x], p = true, whole
		}
	}
	return p.writeTo(w)
}

// leastFirst returns the lanes that a table can do without, the least important first:
// those that are slowest beside the best of their kind. That itself is never among them,
// nor is what failed or is doubtful.
func leastFirst(results []*bench.Result) []*bench.Result {
	share := func(x *bench.Result) float64 {
		best := judge.Best(results, x.Device.Kind)
		if best == nil {
			return 0
		}
		return judge.Speed(x) / judge.Speed(best)
	}
	var list []*bench.Result
	for _, x := range results {
		if x.Verified() && x != judge.Best(results, x.Device.Kind) {
			list = append(list, x)
		}
	}
	slices.SortStableFunc(list, func(a, b *bench.Result) int { return cmp.Compare(share(a), share(b)) })
	return list
}

// racePage is the page of a race without the rows of some lanes; a brief one is without
// what makers publish and what sensors said, and beside reference cards without the
// comparison of CPU lanes.
func racePage(r *record.Run, s Style, hidden map[*bench.Result]bool, brief bool) *page {
	p := &page{Style: s}
	p.title(raceTitle(r.Results)...)
	references := judge.References(r, s.References)
	compared := slices.Clone(r.Results) // in one unit, with bars to one scale
	for _, ref := range references {
		compared = append(compared, ref.Lane)
	}
	scale, unitName := judge.Scale(compared)
	boundHead, boundOf := judge.Bound(r.Results)
	t := table{
		columns: []column{
			{head: unitName, key: true},
			{head: "±", look: dim},
			{head: boundHead, rank: 1},
			{head: "starts in", rank: 3, from: 100, look: dim},
			{head: "ready in", rank: 2, look: dim},
		},
		bars: bars{on: true, rank: 4, from: 72},
	}
	top := 0.0
	for _, x := range compared {
		top = max(top, judge.Speed(x))
	}
	best := map[*bench.Result]bool{judge.Best(r.Results, hardware.CPU): true, judge.Best(r.Results, hardware.GPU): true, judge.Best(r.Results, hardware.SoftwareGPU): true}
	for _, part := range byHardware(r) {
		g := group{title: part.title}
		for _, x := range part.results {
			if hidden[x] {
				continue
			}
			lane := row{name: x.Label(), best: best[x]}
			s, measured := x.Speed()
			switch {
			case measured:
				lane.cells = []string{unit.Digits3(s.Value / scale), judge.Spread(s), boundOf(x), unit.Seconds(x.Start), unit.Seconds(x.Ready())}
				lane.bar = s.Value / top
				lane.notes = p.laneNotes(x)
			case x.Error != nil:
				lane.failure = x.Error.Words(p.Words)
				if x.Error.Code == fault.Wrong {
					lane.failure += "; left out of the comparison"
				}
			default:
				lane.failure = "not measured"
				lane.notes = p.laneNotes(x)
			}
			g.rows = append(g.rows, lane)
		}
		if len(g.rows) > 0 {
			t.groups = append(t.groups, g)
		}
	}
	if len(references) > 0 {
		g := group{title: "Reference, measured with gpuplay on other machines"}
		for _, ref := range references {
			speed, _ := ref.Lane.Speed()
			g.rows = append(g.rows, row{
				name: ref.Lane.Device.Name, bar: speed.Value / top, looks: map[int]look{0: dim},
				cells: []string{unit.Digits3(speed.Value / scale), judge.Spread(speed), "", "", ""},
			})
		}
		t.groups = append(t.groups, g)
	}
	p.table(t)
	if n := len(hidden); n > 0 {
		p.line()
		p.paragraph(fault.Change("verbose", lanes(n)+" without room here: {} shows all").Words(p.Words), dim)
	}
	sentences := judge.Sentences(r)
	if len(references) > 0 { // after the first, which says that there is no GPU
		sentences = slices.Insert(sentences, min(1, len(sentences)), references[0].Sentence())
		if brief { // the next one compares CPU lanes, as the table does
			sentences = sentences[:min(2, len(sentences))]
		}
	}
	if brief {
		lines := judge.SensorLines(r)
		sentences = slices.DeleteFunc(sentences, func(s string) bool { return slices.Contains(lines, s) })
	}
	p.sentences(sentences)
	if text := judge.LeftOut(r, p.Words); text != "" {
		p.notes([]string{text})
	}
	p.notes(p.beyond(r, brief))
	p.next(judge.Next(r))
	return p
}

// lanes counts lanes that are not shown.
func lanes(n int) string {
	if n == 1 {
		return "1 more lane"
	}
	return fmt.Sprintf("%d more lanes", n)
}

// raceTitle says what was measured and how.
func raceTitle(results []*bench.Result) []string {
	if len(results) == 0 {
		return nil
	}
	largest := judge.Largest(results)
	g := largest.GEMM
	what := "matrix multiply " + unit.Cube(g.M, g.N, g.K)
	switch {
	case g.TransA && g.TransB:
		what += " (Aᵀ·Bᵀ)"
	case g.TransA:
		what += " (Aᵀ·B)"
	case g.TransB:
		what += " (A·Bᵀ)"
	}
	inputs := fmt.Sprintf("%s inputs, seed %d", g.Data, largest.Seed)
	if g.Data.Patterned() {
		inputs = fmt.Sprintf("inputs: %s", g.Data)
	}
	return []string{what, string(judge.DType(g)), inputs, judge.Checked(results)}
}

// hardwareResults are the lanes of one piece of hardware.
type hardwareResults struct {
	title   string
	results []*bench.Result
}

// byHardware puts CPUs first, GPUs by their numbers and, within a piece of hardware,
// verified lanes by speed. Lanes on the same card are together, whatever their
// interfaces call it.
func byHardware(r *record.Run) []hardwareResults {
	rank := map[hardware.Kind]int{hardware.CPU: 0, hardware.GPU: 1, hardware.SoftwareGPU: 2}
	card := func(x *bench.Result) int {
		switch {
		case x.Device.Card != nil:
			return *x.Device.Card
		case len(r.Cards) > 1: // which of them is not known: they come last
			return len(r.Cards)
		}
		return 0
	}
	title := func(x *bench.Result) string { return judge.PlaceWithCores(r, x.Device) }
	sorted := slices.SortedStableFunc(slices.Values(r.Results), func(a, b *bench.Result) int {
		return cmp.Or(
			cmp.Compare(rank[a.Device.Kind], rank[b.Device.Kind]),
			cmp.Compare(card(a), card(b)),
			strings.Compare(title(a), title(b)),
			cmp.Compare(truth(b), truth(a)),
			cmp.Compare(judge.Speed(b), judge.Speed(a)))
	})
	var parts []hardwareResults
	for i, x := range sorted {
		if i == 0 || title(x) != parts[len(parts)-1].title || x.Device.Kind != sorted[i-1].Device.Kind {
			parts = append(parts, hardwareResults{title: title(x)})
		}
		last := &parts[len(parts)-1]
		last.results = append(last.results, x)
	}
	return parts
}

// truth ranks lanes by how far their figures can be trusted.
func truth(r *bench.Result) int {
	switch {
	case r.Verified():
		return 2
	case len(r.Samples) > 0:
		return 1
	}
	return 0
}

// laneNotes are a lane's caveats.
func (p *page) laneNotes(r *bench.Result) []string {
	notes := slices.Clone(r.Facts.Notes)
	if r.Protocol == bench.Classic {
		notes = append(notes, "classic loop: (a@b).sum().item() inside the clock")
	}
	for _, w := range r.Warnings {
		notes = append(notes, w.Text)
	}
	if text := r.Device.Renumbered(); text != "" {
		notes = append(notes, text)
	}
	if r.Error != nil && len(r.Samples) > 0 {
		notes = append(notes, "incomplete: "+r.Error.Words(p.Words))
	}
	return notes
}

// beyond says what could be had beside what was measured: which engines broke, which are not
// there, and what makers publish of GPUs. Devices that are missing are in the sentences
// already.
func (p *page) beyond(r *record.Run, brief bool) []string {
	var list []string
	for _, m := range r.Missing {
		if m.API != "" || m.Code == fault.Unavailable {
			continue
		}
		text := "Not raced: "
		if !strings.Contains(strings.ToLower(m.Reason), m.Engine) {
			text += m.Engine + ": "
		}
		text += m.Reason
		if len(m.Remedies) > 0 {
			text += " (" + m.Remedies.Words(p.Words) + ")"
		}
		list = append(list, text)
	}
	if text := judge.Published(r); text != "" && p.References != nil && !brief {
		list = append(list, text)
	}
	if names := judge.Possible(r); len(names) > 0 {
		list = append(list, "Also possible: "+strings.Join(names, ", ")+": gpuplay engines shows how")
	}
	return list
}
