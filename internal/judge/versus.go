package judge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
	"github.com/gpuplay/gpuplay/internal/verdict"
)

// A Versus compares a run, B, with one that was measured at another time or on another
// machine, A: each lane that both have, and what changed between them.
type Versus struct {
	A, B      *record.Run
	Names     [2]string // what A and B were called by whoever asked; may be empty
	Threshold float64   // the difference that matters, as a share
	Rows      []VersusRow
	Alone     [2][]string // the lanes that only A has, and those that only B has
	Changes   []Change

	lost []string // of those that only A has: those whose figures may be quoted
}

// A VersusRow compares a lane with itself: of a sweep at one size, of a language model at
// one of its two speeds.
type VersusRow struct {
	Lane  string // for people
	Place string // the hardware, in B
	Task  string // "4096³ float32", "generation"
	Unit  string // of the speeds: "FLOP/s", "OP/s", "tok/s"
	A, B  VersusSide
	// Differs names what keeps the two from being compared; then there is no verdict.
	Differs []string
	Doubts  []string // what makes a figure doubtful, of either run
	verdict.Verdict

	products [2]*bench.Result // what is compared: of products
	lanes    [2]*llm.Result   // or of a language model
}

// A VersusSide is one of the two lanes.
type VersusSide struct {
	Lane  string         // its id
	N     int            // samples
	Speed stats.Interval // the median with its interval; zero without samples
}

// side names the first or the second of two runs.
func side(i int) string { return string(rune('A' + i)) }

// Compared reports whether the row has a verdict.
func (r VersusRow) Compared() bool { return len(r.Differs) == 0 }

// NewVersus compares two runs of products or of language models. threshold is the
// difference that matters, as a share. Runs that have no lane to compare are an error that
// says why.
func NewVersus(a, b *record.Run, threshold float64) (*Versus, error) {
	for i, r := range []*record.Run{a, b} {
		if r.Kind == record.Imported {
			return nil, fault.Errorf(fault.Invalid, "%s was measured by %s, not by gpuplay: figures of other tools are not compared", side(i), ForeignTool(r.Foreign)).
				With(fault.Advice("measure both with gpuplay; gpuplay results show prints what another tool measured")...)
		}
		if !slices.Contains([]record.Kind{record.Race, record.MatMul, record.Sweep, record.LLM}, r.Kind) {
			return nil, fault.Errorf(fault.Invalid, "%s is a run of %s: only runs of race, matmul, sweep and llm can be compared", side(i), Command(r)).
				With(fault.Run("{} shows of which kind each run is", "gpuplay", "results", "list"))
		}
	}
	v := &Versus{A: a, B: b, Threshold: threshold}
	switch {
	case a.Tokens != nil && b.Tokens != nil:
		v.tokens()
	case a.Tokens == nil && b.Tokens == nil:
		v.products()
	default:
		return nil, fault.Errorf(fault.Invalid, "these are different tasks: %s and %s", a.Kind, b.Kind).
			With(fault.Run("{} shows of which kind each run is", "gpuplay", "results", "list"))
	}
	if len(v.Rows) == 0 {
		return nil, fault.Errorf(fault.Invalid, "the runs have no lane in common: A has %s, B has %s", listed(v.Alone[0]), listed(v.Alone[1]))
	}
	if !slices.ContainsFunc(v.Rows, VersusRow.Compared) {
		return nil, fault.Errorf(fault.Invalid, "the runs cannot be compared: %s", strings.Join(v.reasons(), "; "))
	}
	v.changes()
	return v, nil
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, "; ")
}

// reasons are why rows have no verdict, each reason once, with the rows that it applies to
// unless it applies to all.
func (v *Versus) reasons() []string {
	of := map[string][]string{}
	var order []string
	for _, r := range v.Rows {
		for _, d := range r.Differs {
			if of[d] == nil {
				order = append(order, d)
			}
			of[d] = append(of[d], r.Lane)
		}
	}
	for i, d := range order {
		if names := slices.Compact(of[d]); len(of[d]) < len(v.Rows) {
			order[i] = fmt.Sprintf("%s (%s)", d, strings.Join(names, "; "))
		}
	}
	return order
}

// A lane is what identifies one in both runs: exactly on the same machine, and by its
// engine and interface on another.
type lane struct{ exact, alike string }

// pairs returns the indices of lanes of two runs that belong together, in B's order: those
// that are exactly the same, then those that are alike in their order. Those that are left
// are returned as well.
func pairs(a, b []lane) (both [][2]int, onlyA, onlyB []int) {
	to, taken := make([]int, len(b)), make([]bool, len(a))
	for i := range to {
		to[i] = -1
	}
	for _, same := range []func(x, y lane) bool{
		func(x, y lane) bool { return x.exact == y.exact },
		func(x, y lane) bool { return x.alike == y.alike },
	} {
		for j := range b {
			for i := range a {
				if to[j] < 0 && !taken[i] && same(a[i], b[j]) {
					to[j], taken[i] = i, true
				}
			}
		}
	}
	for j, i := range to {
		if i >= 0 {
			both = append(both, [2]int{i, j})
		} else {
			onlyB = append(onlyB, j)
		}
	}
	for i, yes := range taken {
		if !yes {
			onlyA = append(onlyA, i)
		}
	}
	return both, onlyA, onlyB
}

// products compares lanes of products. The lanes of a race have one size; where a sweep is
// among the runs, lanes belong together at the same size.
func (v *Versus) products() {
	sized := v.A.Kind == record.Sweep || v.B.Kind == record.Sweep
	lanes := func(r *record.Run) (list []lane) {
		for _, x := range r.Results {
			task := string(x.Protocol)
			if sized {
				task += unit.Cube(x.GEMM.M, x.GEMM.N, x.GEMM.K)
			}
			list = append(list, lane{strings.Join([]string{x.Engine, x.Device.ID, task}, "\n"), strings.Join([]string{x.Engine, x.Device.API, string(x.Device.Kind), task}, "\n")})
		}
		return list
	}
	both, onlyA, onlyB := pairs(lanes(v.A), lanes(v.B))
	for _, at := range both {
		v.Rows = append(v.Rows, v.product(v.A.Results[at[0]], v.B.Results[at[1]]))
	}
	name := func(x *bench.Result) string {
		if sized {
			return x.Label() + " at " + unit.Cube(x.GEMM.M, x.GEMM.N, x.GEMM.K)
		}
		return x.Label()
	}
	for _, i := range onlyA {
		x := v.A.Results[i]
		v.Alone[0] = append(v.Alone[0], name(x))
		if x.Verified() {
			v.lost = append(v.lost, name(x))
		}
	}
	for _, i := range onlyB {
		v.Alone[1] = append(v.Alone[1], name(v.B.Results[i]))
	}
}

// product compares two results of products.
func (v *Versus) product(a, b *bench.Result) VersusRow {
	g := b.GEMM
	row := VersusRow{Lane: b.Label(), Place: Place(v.B, b.Device), Task: fmt.Sprintf("%s %s", unit.Cube(g.M, g.N, g.K), Operands(g)), Unit: g.Op() + "/s", products: [2]*bench.Result{a, b}}
	row.A, row.B = VersusSide{Lane: a.Lane, N: len(a.Samples)}, VersusSide{Lane: b.Lane, N: len(b.Samples)}
	row.A.Speed, _ = a.Speed()
	row.B.Speed, _ = b.Speed()
	row.Differs = Compare(named(b, "B"), named(a, "A")).Differs
	for i, x := range []*bench.Result{a, b} {
		name := side(i)
		at := slices.Index(row.Differs, name+" is not verified")
		switch {
		case at < 0:
		case x.Error != nil:
			row.Differs[at] = name + " failed: " + x.Error.Message
		case len(x.Samples) == 0:
			row.Differs[at] = name + " was not measured"
		default:
			row.Differs[at] += ": " + Doubt(x)
		}
	}
	if short := a.Has(measure.Short) || b.Has(measure.Short); short && row.A.N > 0 && row.B.N > 0 {
		if x, y := a.Samples[0].Iters, b.Samples[0].Iters; max(x, y) > 2*min(x, y) {
			row.Differs = append(row.Differs, fmt.Sprintf("samples of %s against %d, which are so short that a wait for the device counts", unit.Plural(x, "product"), y))
		}
	}
	row.Doubts = doubts(a.Warnings, b.Warnings)
	row.decide(a.Seconds(), b.Seconds(), v.Threshold)
	return row
}

// named returns a result for bench.Compare, as one of two runs. What sets lanes of one run
// apart says nothing here: another number of threads is a change that is shown, and a
// smaller product is smaller in both runs, or differs.
func named(r *bench.Result, name string) *bench.Result {
	n := *r
	n.Device.Library, n.Device.Name = name, name
	n.Facts.Threads = 0
	n.Warnings = slices.DeleteFunc(slices.Clone(n.Warnings), func(w measure.Warning) bool { return w.Code == measure.Smaller })
	return &n
}

// doubts are the warnings that say how far to trust the speeds of A and B. A warning
// that both have is listed once.
func doubts(a, b measure.Warnings) []string {
	var out []string
	for _, w := range slices.Concat(a, b) {
		switch w.Code {
		case measure.Noise, measure.Drift, measure.Throttled, measure.Busy, measure.Outliers, measure.Stalled:
		default:
			continue
		}
		of := "B: "
		switch inA, inB := slices.Contains(a, w), slices.Contains(b, w); {
		case inA && inB:
			of = "A and B: "
		case inA:
			of = "A: "
		}
		if text := of + w.Text; !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// decide gives the verdict on two series of seconds, unless there is something against it.
func (r *VersusRow) decide(a, b []float64, threshold float64) {
	for i, values := range [][]float64{a, b} {
		if len(values) == 0 && r.Compared() {
			r.Differs = append(r.Differs, "no sample in "+side(i))
		}
	}
	for _, s := range slices.Concat(a, b) {
		if s <= 0 && r.Compared() {
			r.Differs = append(r.Differs, "a sample took no time that its clock can measure")
		}
	}
	if r.Compared() {
		r.Verdict = verdict.Of(a, b, threshold)
	}
}

// tokens compares lanes of language models at generation and at prompts.
func (v *Versus) tokens() {
	lanes := func(r *record.Run) (list []lane) {
		for _, x := range r.Tokens.Results {
			d := x.Facts.Device
			list = append(list, lane{strings.Join([]string{x.Runtime, d.ID, layers(x)}, "\n"), strings.Join([]string{x.Runtime, string(d.Kind), layers(x)}, "\n")})
		}
		return list
	}
	both, onlyA, onlyB := pairs(lanes(v.A), lanes(v.B))
	for _, at := range both {
		a, b := v.A.Tokens.Results[at[0]], v.B.Tokens.Results[at[1]]
		v.Rows = append(v.Rows, v.token(a, b, llm.Generating), v.token(a, b, llm.Prompting))
	}
	for _, i := range onlyA {
		x := v.A.Tokens.Results[i]
		v.Alone[0] = append(v.Alone[0], TokenLane(x))
		if Quotable(x) {
			v.lost = append(v.lost, TokenLane(x))
		}
	}
	for _, i := range onlyB {
		v.Alone[1] = append(v.Alone[1], TokenLane(v.B.Tokens.Results[i]))
	}
}

// layers says how much of a model is on the GPU; the number that stands for all of them is
// not always the same.
func layers(r *llm.Result) string {
	if f := r.Facts; r.OnGPU() && f.Layers != nil && f.Total != nil && *f.Layers == *f.Total {
		return "all"
	}
	return fmt.Sprint(r.Settings.Layers)
}

// token compares two lanes of a language model at one of their speeds.
func (v *Versus) token(a, b *llm.Result, m llm.Metric) VersusRow {
	row := VersusRow{Lane: TokenLane(b), Place: TokenPlace(v.B, b), Task: string(m), Unit: "tok/s", lanes: [2]*llm.Result{a, b}}
	x, y := a.Values(m), b.Values(m)
	row.A, row.B = VersusSide{Lane: a.Lane, N: len(x)}, VersusSide{Lane: b.Lane, N: len(y)}
	row.A.Speed, _ = a.Figure(m)
	row.B.Speed, _ = b.Figure(m)
	if p, q := modelOf(v.A), modelOf(v.B); p != q {
		row.Differs = append(row.Differs, fmt.Sprintf("model %s against %s", p, q))
	}
	if m == llm.Generating && v.A.Tokens.Prompt != v.B.Tokens.Prompt {
		row.Differs = append(row.Differs, "prompt")
	}
	row.Differs = append(row.Differs, llm.Compare(namedTokens(b, a, "B"), namedTokens(a, b, "A"), m).Differs...)
	row.Doubts = doubts(a.Warnings, b.Warnings)
	for _, rates := range [][]float64{x, y} {
		for i := range rates {
			rates[i] = 1 / rates[i]
		}
	}
	row.decide(x, y, v.Threshold)
	return row
}

// modelOf names the model of a run so that two of one name are told apart.
func modelOf(r *record.Run) string {
	m := r.Tokens.Model
	text := m.Name
	if m.Quantization != "" {
		text += " " + m.Quantization
	}
	if m.Bytes > 0 {
		text += fmt.Sprintf(" of %d bytes", m.Bytes)
	}
	return text
}

// namedTokens returns a result for llm.Compare, as one of two runs. A lane that was alone
// in its run was not checked against another: then neither needs to be.
func namedTokens(r, other *llm.Result, name string) *llm.Result {
	n := *r
	n.Facts.Device.Name = name
	if r.Check == nil && other.Check == nil && r.Error == nil {
		n.Check = &llm.Check{Passed: true}
	}
	return &n
}

// Lost returns the lanes whose figures in A may be quoted and that have no verdict.
func (v *Versus) Lost() []string {
	list := slices.Clone(v.lost)
	for _, r := range v.Rows {
		if a := r.products[0]; a != nil && a.Verified() && !r.Compared() {
			list = append(list, r.Lane)
		}
		if a := r.lanes[0]; a != nil && Quotable(a) && r.A.N > 0 && !r.Compared() {
			list = append(list, r.Lane+", "+r.Task)
		}
	}
	return list
}

// sameMachine reports whether both runs are known to be of one machine.
func (v *Versus) sameMachine() bool {
	return v.A.Machine.ID != "" && v.A.Machine.ID == v.B.Machine.ID
}

// otherMachine reports whether the runs are known to be of two machines.
func (v *Versus) otherMachine() bool {
	return v.A.Machine.ID != "" && v.B.Machine.ID != "" && v.A.Machine.ID != v.B.Machine.ID
}

// count returns how many rows have each verdict.
func (v *Versus) count() map[verdict.Word]int {
	count := map[verdict.Word]int{}
	for _, r := range v.Rows {
		if r.Compared() {
			count[r.Word]++
		}
	}
	return count
}
