package judge

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// sweepHeadline says from which size on the GPU wins, or what the fastest lane reached
// at its best.
func sweepHeadline(r *record.Run) Headline {
	var h Headline
	s := NewSweep(r)
	if len(s.Points) == 0 {
		return h
	}
	h.Subject = fmt.Sprintf("matrix multiply by size, %s", Operands(s.Points[0].GEMM))
	h.Curves = sweepCurves(s)
	var best *bench.Result
	for _, x := range r.Results {
		if x.Verified() && finite(Speed(x)) && x.Device.Kind != hardware.SoftwareGPU && (best == nil || Speed(x) > Speed(best)) {
			best = x
		}
	}
	if best == nil {
		h.Proof, h.Trust = "not verified", Doubted
		return h
	}
	h.Proof, h.Trust = sweepProof(r.Results)
	h.Entries = []Entry{productEntry(r, best)}
	other := hardware.CPU
	if best.Device.Kind == other {
		other = hardware.GPU
	}
	g := best.GEMM
	for _, p := range s.Points {
		if i := p.fastest(other, 0); i >= 0 && p.GEMM == g {
			h.Entries = append(h.Entries, productEntry(r, p.Results[i]))
		}
	}
	at := "at " + unit.Cube(g.M, g.N, g.K)
	h.Winner, h.Detail = best.Device.Kind, "speeds below: "+at
	switch c := Crosses(r); {
	case c.From > 0:
		h.Figure, h.Claim, h.Winner = unit.Cube(c.From, c.From, c.From), "from here on the GPU wins", hardware.GPU
	case c.Compared:
		h.Figure, h.Claim, h.Winner = unit.Cube(c.Below, c.Below, c.Below), "up to here the CPU wins, or is level", hardware.CPU
	default:
		h.Figure, h.Unit, _ = strings.Cut(g.Rate(Speed(best)), " ")
		h.Claim, h.Detail = "the highest speed, "+at, ""
	}
	return h
}

// sweepProof says how many results of a sweep are not to be believed.
func sweepProof(results []*bench.Result) (text string, trust Trust) {
	wrong, doubtful := 0, 0
	for _, x := range results {
		switch {
		case x.Error != nil && x.Error.Code == fault.Wrong:
			wrong++
		case len(x.Samples) > 0 && !x.Verified():
			doubtful++
		}
	}
	switch {
	case wrong > 0:
		return unit.Plural(wrong, "wrong result"), Doubted
	case doubtful > 0:
		return unit.Plural(doubtful, "result") + " not verified", Doubted
	}
	return "every result verified", Proven
}

// sweepCurves are the verified square products of each lane.
func sweepCurves(s *Sweep) []Curve {
	var curves []Curve
	for i, l := range s.Lanes {
		c := Curve{Kind: l.Device.Kind, Name: l.Name}
		for _, p := range s.Points {
			g, x := p.GEMM, p.Results[i]
			if x != nil && x.Verified() && g.M == g.N && g.N == g.K && finite(Speed(x)) {
				c.Points = append(c.Points, CurvePoint{float64(g.N), Speed(x)})
			}
		}
		slices.SortStableFunc(c.Points, func(a, b CurvePoint) int { return cmp.Compare(a.X, b.X) })
		if len(c.Points) > 0 {
			curves = append(curves, c)
		}
	}
	return curves
}

// tokenHeadline is that of a language model on several lanes.
func tokenHeadline(r *record.Run) Headline {
	var h Headline
	t := r.Tokens
	if t == nil {
		return h
	}
	h.Subject = strings.TrimSpace(cmp.Or(t.Model.Name, t.Model.Ref) + " " + t.Model.Quantization)
	cpu, gpu := BestTokens(t, hardware.CPU), BestTokens(t, hardware.GPU)
	if cpu != nil && gpu != nil {
		c := llm.Compare(gpu, cpu, llm.Generating)
		h.Entries = []Entry{tokenEntry(r, gpu), tokenEntry(r, cpu)}
		h.claim(c, llm.Compare(cpu, gpu, llm.Generating), c.Even(), " at generation")
		h.Proof, h.Trust = sameAnswer(gpu, cpu)
		h.History = historyOf(r, gpu.Facts.Device)
		return h
	}
	for _, x := range t.Results {
		h.Entries = append(h.Entries, tokenEntry(r, x))
	}
	slices.SortStableFunc(h.Entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(trusted(b), trusted(a)), cmp.Compare(b.Value, a.Value))
	})
	if len(h.Entries) == 0 {
		return h
	}
	one := cmp.Or(cpu, gpu, BestTokens(t, unnamed))
	lost := slices.IndexFunc(t.Results, func(x *llm.Result) bool { return x.OnGPU() && x != gpu })
	switch {
	case one == nil:
		h.Proof, h.Trust, h.Figure, h.Claim = "not verified", Doubted, "No result", "no lane has a result that can be quoted"
		if BestTokens(t, hardware.SoftwareGPU) != nil {
			h.Claim = "the only lane is a software GPU, whose work a CPU does"
		}
	case gpu == nil && lost >= 0:
		h.Proof, h.Trust, h.Figure = "no comparison", Doubted, "No ratio"
		h.Claim = "the GPU lane has no verified result"
		switch x := t.Results[lost]; {
		case x.Error != nil:
			h.Claim += ": " + x.Error.Message
		case x.Has(measure.NotOnGPU):
			h.Claim = "nothing ran on the GPU"
		case x.Facts.Device.Kind == hardware.SoftwareGPU:
			h.Claim = "the only GPU is a software one, whose work a CPU does"
		case x.Check != nil && !x.Check.Passed:
			h.Claim += ": " + x.Check.Reason
		}
	default:
		h.Proof = "nothing to check it with"
		if len(h.Entries) == 1 {
			h.Samples = one.Values(llm.Generating)
		}
		h.History = historyOf(r, one.Facts.Device)
		h.Winner, h.Claim = one.Facts.Device.Kind, "at generation on the "+kindName(one.Facts.Device.Kind)
		if h.Winner == unnamed {
			h.Claim = "at generation by the server at " + TokenPlace(r, one)
		}
		speed, _ := one.Figure(llm.Generating)
		h.Figure, h.Unit, h.Detail = unit.Digits3(speed.Value), "tokens/s", certainty(speed)
	}
	return h
}

// sameAnswer says whether two lanes made the same tokens.
func sameAnswer(a, b *llm.Result) (text string, trust Trust) {
	for _, x := range []*llm.Result{a, b} {
		switch c := x.Check; {
		case c == nil:
			return "not checked", Doubted
		case c.Difference != nil:
			return fmt.Sprintf("same first %d of %d tokens", c.Agree, c.Of), Proven
		}
	}
	return fmt.Sprintf("both made the same %d tokens", a.Check.Of), Proven
}

// trusted ranks entries: those of real devices that were verified come first.
func trusted(e Entry) int {
	switch {
	case e.Value > 0 && e.Kind != hardware.SoftwareGPU:
		return 2
	case e.Value > 0:
		return 1
	}
	return 0
}

// tokenEntry is a lane of a language model as a headline shows it.
func tokenEntry(r *record.Run, x *llm.Result) Entry {
	e := Entry{Kind: x.Facts.Device.Kind, Name: TokenPlace(r, x), By: TokenLane(x), Verified: x.Verified()}
	if x.Facts.Runtime != "" {
		e.By = x.Facts.Runtime + ", " + e.By
	}
	speed := TokenRate(x, llm.Generating)
	switch {
	case x.Error != nil:
		e.Speed = strings.ReplaceAll(string(x.Error.Code), "_", " ")
	case x.Check != nil && !x.Check.Passed:
		e.Speed = "wrong tokens"
	case x.Has(measure.NotOnGPU):
		e.Speed = "not on the GPU"
	case finite(speed):
		e.Value, e.Speed = speed, unit.Digits3(speed)+" tokens/s"
	default:
		e.Speed = "not measured"
	}
	return e
}

// generationHeadline is that of a text that a model continued.
func generationHeadline(r *record.Run) Headline {
	var h Headline
	g := r.Generation
	if g == nil {
		return h
	}
	h.Subject = lastName(g.Model)
	d := g.Facts.Device
	rate, ok := g.Answer.Rate()
	if !ok {
		return h
	}
	h.Winner, h.Figure, h.Unit = d.Kind, unit.Digits3(rate), "tokens/s"
	h.Claim = "at generation on the " + kindName(d.Kind)
	h.Proof = "a single answer"
	if g.Answer.First > 0 {
		h.Detail = "the first token after " + unit.Seconds(g.Answer.First)
	}
	add := func(by string, rate float64, ok bool) {
		if ok && finite(rate) {
			h.Entries = append(h.Entries, Entry{Kind: d.Kind, Name: deviceName(r, d), By: by, Speed: unit.Digits3(rate) + " tokens/s", Value: rate})
		}
	}
	add(strings.TrimPrefix(g.Facts.Runtime+", generation", ", "), rate, true)
	prompt, ok := g.Answer.PromptRate()
	add("reading the prompt", prompt, ok)
	if g.Eager != nil {
		eager, ok := g.Eager.Rate()
		add("generation without a CUDA graph", eager, ok)
	}
	return h
}

// trainingHeadline is that of a training.
func trainingHeadline(r *record.Run) Headline {
	var h Headline
	t := r.Training
	if t == nil {
		return h
	}
	h.Subject = "fine-tuning " + cmp.Or(t.Name, lastName(t.Model))
	losses, _ := t.Result.Losses()
	d := t.Facts.Device
	if len(losses) == 0 {
		return h
	}
	first, last := Losses(losses)
	h.Winner = d.Kind
	h.Figure = fmt.Sprintf("%.2f → %.2f", first, last)
	h.Claim = "loss in " + unit.Plural(len(losses), "iteration") + " on the " + kindName(d.Kind)
	if held := HeldLosses(&t.Result); len(held) > 1 {
		h.Detail = fmt.Sprintf("%.2f → %.2f on rows not trained on", held[0], held[len(held)-1])
	}
	h.Proof = "a single run"
	e := Entry{Kind: d.Kind, Name: deviceName(r, d), By: t.Facts.Runtime, Speed: "not measured"}
	if speed := TrainingSpeed(&t.Result); finite(speed) {
		e.Value, e.Speed = speed, unit.Digits3(speed)+" tokens/s"
	}
	h.Entries = []Entry{e}
	c := Curve{Kind: d.Kind, Name: "loss"}
	for i, x := range losses {
		if finite(x) {
			c.Points = append(c.Points, CurvePoint{float64(i + 1), x})
		}
	}
	if len(c.Points) > 1 {
		h.Curves = []Curve{c}
	}
	return h
}

// cpuHeadline is that of a CPU's roofs: its peak in float32, and all others.
func cpuHeadline(r *record.Run) Headline {
	h := Headline{Subject: "what this CPU can do at most"}
	c := r.CPU
	if c == nil {
		return h
	}
	counts := ThreadCounts(c)
	if len(counts) == 0 {
		return h
	}
	h.Winner = hardware.CPU
	all := counts[len(counts)-1]
	threads := "with " + unit.Plural(all, "thread")
	name := Processor(r, r.Machine.CPU)
	for _, d := range matrix.DTypes {
		ops, ok := Peak(c, d, all)
		if !ok || !finite(ops) {
			continue
		}
		e := Entry{Kind: hardware.CPU, Name: name, By: "peak in " + string(d), Speed: bench.Square(1, d).Rate(ops), Value: ops}
		if d == matrix.Float32 {
			h.Figure, h.Unit, _ = strings.Cut(e.Speed, " ")
			h.Claim = "peak in float32 " + threads
			h.Entries = append([]Entry{e}, h.Entries...)
			continue
		}
		h.Entries = append(h.Entries, e)
	}
	if read, _, ok := Bandwidth(c, "memory", all); ok && finite(read) {
		h.Detail = unit.Digits3(read/1e9) + " GB/s from memory"
	}
	h.Proof = "measured with bare multiply-adds"
	return h
}

// ladderHeadline is that of a ladder of better and better products.
func ladderHeadline(r *record.Run) Headline {
	var h Headline
	l := r.Ladder
	if l == nil || len(l.Rungs) == 0 {
		return h
	}
	h.Subject = fmt.Sprintf("matrix multiply %s, step by step", unit.Cube(l.Size, l.Size, l.Size))
	speeds := RungSpeeds(l)
	last := len(speeds) - 1
	kind, name, here := hardware.CPU, Processor(r, r.Machine.CPU), "this CPU"
	if l.GPU != "" {
		kind, name, here = hardware.GPU, l.GPU, "this GPU"
		if l.Software {
			kind, here = hardware.SoftwareGPU, "a software GPU, whose work a CPU does"
		}
		for last > 0 && l.Rungs[last].DType != l.Rungs[0].DType { // the rungs of one task
			last--
		}
	}
	for i, x := range l.Rungs[:last+1] {
		e := Entry{Kind: kind, Name: name, By: x.Name, Speed: "not measured"}
		if finite(speeds[i]) {
			e.Value, e.Speed = speeds[i], bench.Square(1, matrix.Float32).Rate(speeds[i])
		}
		h.Entries = append([]Entry{e}, h.Entries...)
	}
	if !climbed(r) || last < 1 || !finite(speeds[0]) || !finite(speeds[last]) {
		if finite(speeds[last]) {
			h.Winner, h.Claim = kind, "on "+here
			if r.Interrupted || !l.Software {
				h.Claim += ", as far as it got"
			}
			h.Figure, h.Unit, _ = strings.Cut(h.Entries[0].Speed, " ")
		}
		return h
	}
	h.Winner, h.Figure = kind, unit.Times(speeds[last]/speeds[0])+"×"
	h.Claim = "as fast, with the same multiplications"
	h.Detail = "from " + l.Rungs[0].Name + " to " + l.Rungs[last].Name
	h.Proof = "medians on " + here
	return h
}

// inputsHeadline is that of a lane on inputs of every kind. Its figure is the one with random
// inputs: the fastest is not what the device is worth.
func inputsHeadline(r *record.Run) Headline {
	var h Headline
	if len(r.Results) == 0 {
		return h
	}
	g := r.Results[0].GEMM
	g.Data = matrix.Random
	h.Subject = Product(g) + ", by inputs"
	for _, x := range r.Results {
		e := productEntry(r, x)
		e.By = x.GEMM.Data.String()
		h.Entries = append(h.Entries, e)
	}
	h.Proof, h.Trust = verification(r.Results)
	base := randomInputs(r)
	if base == nil {
		h.Figure, h.Claim = "No result", "there is no verified result with random inputs"
		return h
	}
	h.quote(base)
	h.Claim = "on random inputs, on the " + kindName(base.Device.Kind)
	h.Detail += "; " + base.Label()
	return h
}

// noiseHeadline is that of a lane that is compared with itself.
func noiseHeadline(r *record.Run) Headline {
	var h Headline
	x, tests := NoiseLane(r.Noise), SelfTests(r.Noise)
	if x == nil {
		return h
	}
	h.Subject = Product(x.GEMM) + ", compared with itself"
	if len(tests) == 0 {
		return h
	}
	t := tests[0]
	h.Winner = x.Device.Kind
	h.Figure, h.Claim = fmt.Sprintf("%d of %d", t.Wrong, t.N), "comparisons found a difference"
	h.Detail = fmt.Sprintf("%d same, %d undecided", t.Same, t.Unknown)
	h.Entries = []Entry{productEntry(r, x)}
	h.Proof, h.Trust = verification([]*bench.Result{x})
	return h
}

// deviceName names the hardware of a lane that has a run to itself.
func deviceName(r *record.Run, d hardware.Device) string {
	if d.Kind == hardware.CPU || d.Name == "" {
		return Processor(r, cmp.Or(d.Name, r.Machine.CPU))
	}
	return Place(r, d)
}

// lastName returns what a folder or a file is called.
func lastName(path string) string {
	return filepath.Base(strings.ReplaceAll(path, `\`, "/"))
}
