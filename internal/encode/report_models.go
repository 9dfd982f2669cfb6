package encode

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// setNames says in words what a strip shows.
func (t *strip) setNames(name, value string) {
	t.Name, t.Value = plain.Line(name), plain.Line(value)
	t.Says = t.Name + ": " + t.Value
}

// tokens shows a language model's lanes, their samples and their answers.
func (p *report) tokens(r *record.Run, words fault.Wording) {
	t, lanes := lanesOf(r)
	if len(lanes) == 0 {
		return
	}
	var when period
	top := 0.0
	for _, x := range lanes {
		if judge.Quotable(x) {
			top = max(top, judge.TokenRate(x, llm.Generating))
		}
		for _, sample := range x.Samples {
			when.add(sample.Start, sample.End)
		}
	}
	s := p.section("Lanes")
	s.stackedHead("device", "lane", "#generation, tokens/s", "#±", "#prompt, tokens/s", "#±", "#first token", "#load", "#memory", "")
	strips := &section{Title: "Every sample of generation", Intro: "A dot is a round, at the time when it began; the band is the 95 % interval of the median.", Axis: when.axis()}
	answers := &section{Title: "Answers"}
	raw := numbers("Samples as numbers", "lane", "#round", "#first token, s", "#tokens", "#generation, s", "#prompt tokens", "#prompt, s", "#began after, s")
	answers.quote("asked", t.Prompt)
	for _, x := range lanes {
		cells := []string{judge.TokenPlace(r, x), judge.TokenLane(x), "–", "–", "–", "–", "–", judge.LoadTime(x), "–", tokenVerdict(x, words)}
		generation, ok := x.Figure(llm.Generating)
		if ok {
			copy(cells[2:], []string{unit.Digits3(generation.Value), judge.Spread(generation)})
		}
		if prompt, ok := x.Figure(llm.Prompting); ok {
			copy(cells[4:], []string{unit.Digits3(prompt.Value), judge.Spread(prompt)})
		}
		if first, ok := x.Figure(llm.First); ok {
			cells[6] = unit.Seconds(time.Duration(first.Value * float64(time.Second)))
		}
		if x.Facts.Memory != nil {
			cells[8] = unit.Bytes(float64(*x.Facts.Memory))
		}
		row := s.row(cells...)
		class := kindClass(x.Facts.Device.Kind)
		if ok && judge.Quotable(x) {
			row[2].setBar(generation.Value/top, class)
		}
		switch {
		case x.Verified():
			row[9].Class = "good"
		case !judge.Quotable(x):
			row[9].Class = "bad"
		}
		if x.Shown != nil {
			answers.quote(judge.TokenPlace(r, x)+", "+judge.TokenLane(x), x.Shown.Text)
		}
		var at []float64
		for i, sample := range x.Samples {
			at = append(at, sample.Start.Seconds())
			raw.row(judge.TokenLane(x), strconv.Itoa(i+1), float(sample.First.Seconds()), strconv.Itoa(sample.Tokens), float(sample.TokenTime.Seconds()),
				strconv.Itoa(sample.PromptTokens), float(sample.PromptTime.Seconds()), float(sample.Start.Seconds()))
		}
		if ok {
			strips.strip(judge.TokenPlace(r, x)+", "+judge.TokenLane(x), class, at, x.Values(llm.Generating), when, generation, tokensPerSecond)
		}
	}
	for _, peer := range t.Peers {
		for _, x := range peer.Results {
			if rate, ok := x.Rate(); ok {
				s.note(fmt.Sprintf("%s on %s, for comparison: %s in %s", peer.Name, peer.Lane, tokensPerSecond(rate.Value), x.Name))
			}
		}
	}
	p.add(strips, answers, raw)
	m := p.section("Model")
	m.fact("name", t.Model.Name)
	m.fact("format", strings.TrimSpace(string(t.Model.Format)+" "+t.Model.Quantization))
	if t.Model.Parameters > 0 {
		m.fact("parameters", unit.Count(float64(t.Model.Parameters)))
	}
	if t.Model.Bytes > 0 {
		m.fact("weights", unit.Bytes(float64(t.Model.Bytes)))
	}
	m.fact("licence", t.Model.License)
}

func tokensPerSecond(x float64) string { return unit.Digits3(x) + " tokens/s" }

// generation shows a text that a model continued.
func (p *report) generation(r *record.Run) {
	g := r.Generation
	if g == nil {
		return
	}
	s := p.section("Text")
	s.quote("asked", g.Prompt)
	s.quote("answer", g.Answer.Text)
	s = p.section("Speed")
	s.head("", "#tokens", "#time", "#tokens/s")
	add := func(name string, tokens int, took time.Duration, rate float64, ok bool) {
		if ok {
			s.row(name, strconv.Itoa(tokens), unit.Seconds(took), unit.Digits3(rate))
		}
	}
	rate, ok := g.Answer.PromptRate()
	add("prompt", g.Answer.PromptTokens, g.Answer.PromptTime, rate, ok)
	rate, ok = g.Answer.Rate()
	add("generation", g.Answer.Tokens, g.Answer.TokenTime, rate, ok)
	if g.Eager != nil {
		rate, ok = g.Eager.Rate()
		add("generation, every kernel launched from Python", g.Eager.Tokens, g.Eager.TokenTime, rate, ok)
	}
	p.about("Model", r, g.Model, g.Facts, g.About).fact("adapter", g.Adapter)
}

// about shows a model as a framework loaded it.
func (p *report) about(title string, r *record.Run, name string, f llm.Facts, a llm.About) *section {
	s := p.section(title)
	s.fact("model", name)
	s.fact("on", judge.PlaceWithCores(r, f.Device))
	s.fact("by", f.Runtime)
	if a.Parameters > 0 {
		s.fact("parameters", unit.Count(float64(a.Parameters)))
	}
	s.fact("type", a.DType)
	for _, n := range slices.Concat(f.Notes, a.Notes) {
		s.note(n)
	}
	return s
}

// training shows what a model was taught: the curve of its loss, and what it said before
// and after.
func (p *report) training(r *record.Run) {
	t := r.Training
	if t == nil {
		return
	}
	losses, first := t.Result.Losses()
	if len(losses) > 0 {
		s := p.section("Loss")
		s.Intro = "Cross entropy in nats per token, from 0 up; dots are on rows that were not trained on."
		s.lossCurve(t.Name, kindClass(t.Facts.Device.Kind), losses, first, t)
	}
	s := &section{Title: "Before and after"}
	s.quote("asked", t.Result.Prompt)
	s.quote("before", t.Result.Before)
	s.quote("after", t.Result.After)
	p.add(s)
	s = p.about("Training", r, t.Model, t.Facts, t.About)
	s.fact("rows", fmt.Sprintf("%d, and %d to measure with", t.Data.Rows, t.Data.Held))
	s.fact("iterations", fmt.Sprintf("%d of %d, with %d rows each", len(losses), t.Iters, t.Settings.Batch))
	s.fact("adapter", fmt.Sprintf("rank %d, learning rate %s", t.Settings.Rank, strconv.FormatFloat(t.Settings.LR, 'g', 3, 64)))
	if speed := judge.TrainingSpeed(&t.Result); drawable(speed) {
		s.fact("speed", tokensPerSecond(speed)+", the median of the iterations")
	}
	s.fact("time", unit.Seconds(t.Result.Wall))
	if t.Result.Peak > 0 {
		s.fact("memory at most", unit.Bytes(float64(t.Result.Peak))+" of "+t.About.PeakOf)
	}
	raw := numbers("Iterations as numbers", "#iteration", "#loss", "#loss on rows not trained on", "#learning rate", "#tokens/s")
	for _, x := range t.Result.Steps {
		switch {
		case x.Loss != nil:
			raw.row(strconv.Itoa(x.Iteration), float(*x.Loss), "", float(x.LR), float(x.Speed))
		case x.Validation != nil:
			raw.row(strconv.Itoa(x.Iteration), "", float(*x.Validation))
		}
	}
	p.add(raw)
}

// lossCurve adds a curve from 0 up.
func (s *section) lossCurve(name, class string, losses []float64, first int, t *record.Training) {
	top := 0.0
	for _, v := range losses {
		if drawable(v) {
			top = max(top, v)
		}
	}
	for _, v := range judge.HeldLosses(&t.Result) {
		if drawable(v) {
			top = max(top, v)
		}
	}
	if top == 0 {
		return
	}
	span := max(1, len(losses)-1)
	place := func(iteration int, loss float64) string {
		return short(min(1000, max(0, 1000*float64(iteration-first)/float64(span)))) + " " + short(100-100*loss/top)
	}
	var line, dots strings.Builder
	for i, v := range losses {
		if !drawable(v) {
			continue
		}
		letter := "L"
		if line.Len() == 0 {
			letter = "M"
		}
		line.WriteString(letter + place(first+i, v))
	}
	for _, x := range t.Result.Steps {
		if x.Validation != nil && drawable(*x.Validation) {
			dots.WriteString("M" + place(x.Iteration, *x.Validation) + "h0")
		}
	}
	before, after := judge.Losses(losses)
	curve := strip{Class: class + " tall", High: unit.Digits3(top), Low: "0", Line: line.String(), Dots: dots.String()}
	curve.setNames(name, fmt.Sprintf("%.2f → %.2f", before, after))
	s.Strips = append(s.Strips, curve)
	s.Axis = [2]string{"iteration " + strconv.Itoa(first), strconv.Itoa(first + len(losses) - 1)}
}

// sensors shows what the machine's sensors read during a run.
func (p *report) sensors(r *record.Run) {
	histories := judge.Histories(r)
	var problems []string
	if r.Telemetry != nil {
		for _, s := range r.Telemetry.Sources {
			if s.Problem != "" {
				problems = append(problems, s.Name+": "+s.Problem)
			}
		}
	}
	if len(histories)+len(problems) == 0 {
		return
	}
	s := p.section("Sensors")
	for _, t := range problems {
		s.note(t)
	}
	end := 0.0
	for _, h := range histories {
		end = max(end, h.Points[len(h.Points)-1].X)
	}
	if end == 0 {
		return
	}
	s.Intro = "What the machine's sensors read during the whole run, from 0 up."
	if _, elsewhere := judge.Server(r); elsewhere {
		s.Intro = "What the sensors of the machine that asked the server read during the whole run, from 0 up."
	}
	for _, h := range histories {
		top := 0.0
		for _, q := range h.Points {
			top = max(top, q.Y)
		}
		var line strings.Builder
		for i, q := range h.Points {
			letter := "L"
			if i == 0 {
				letter = "M"
			}
			y := 100.0
			if top > 0 {
				y -= 100 * q.Y / top
			}
			line.WriteString(letter + short(1000*q.X/end) + " " + short(y))
		}
		curve := strip{Class: "off", High: plain.Line(h.Most), Low: "0", Line: line.String()}
		if h.OfGPU() {
			curve.Class = "gpu"
		}
		curve.setNames(h.Name, h.Least+" to "+h.Most)
		s.Strips = append(s.Strips, curve)
	}
	s.Axis = [2]string{"0 s", unit.Seconds(time.Duration(end * float64(time.Second)))}
}

// machine shows what a run was measured on.
func (p *report) machine(r *record.Run) {
	m := r.Machine
	s := p.section("Machine")
	if _, elsewhere := judge.Server(r); elsewhere {
		s.Intro = "It asked the server, of whose machine nothing is known."
	}
	s.fact("CPU", judge.Processor(r, m.CPU))
	for _, c := range r.Cards {
		s.fact(fmt.Sprintf("GPU %d", c.Number), c.Name)
	}
	if m.Memory != nil {
		s.fact("memory", unit.Bytes(float64(*m.Memory)))
	}
	s.fact("system", strings.Join(strings.Fields(m.System+" "+m.Kernel+" "+m.OS+"/"+m.Arch), " "))
	s.fact("runs in", m.Virtual)
	s.fact("instruction sets", strings.Join(m.Features, ", "))
	seen := map[string]bool{}
	for _, x := range r.Results {
		var versions []string
		for _, name := range slices.Sorted(maps.Keys(x.Device.Versions)) {
			versions = append(versions, name+" "+x.Device.Versions[name])
		}
		if text := strings.Join(versions, ", "); text != "" && !seen[x.Device.Library+text] {
			seen[x.Device.Library+text] = true
			s.fact(x.Device.Library+" with", text)
		}
	}
}

// method says how a run was measured, and what was not.
func (p *report) method(r *record.Run, words fault.Wording) {
	s := p.section("How it was measured")
	if len(r.Command) > 0 {
		s.fact("command", fault.Run("", r.Command...).Words(words))
	}
	s.fact("by", strings.TrimSpace("gpuplay "+r.Program.Version+" "+r.Program.Commit))
	s.fact("began", r.Created.Format("2006-01-02 15:04:05 UTC"))
	if r.Elapsed > 0 {
		s.fact("took", unit.Seconds(r.Elapsed))
	}
	s.fact("run", r.ID)
	for _, t := range methodOf(r) {
		s.note(t)
	}
	s.note(judge.LeftOut(r, words))
	for _, m := range r.Missing {
		text := "Not there: " + m.Engine
		if m.API != "" {
			text += ", " + m.API
		}
		text += ": " + m.Reason
		if len(m.Remedies) > 0 {
			text += " (" + m.Remedies.Words(words) + ")"
		}
		s.note(text)
	}
	if r.Error != nil {
		s.note(r.Error.Words(words))
	}
}

// methodOf says how a kind of run is measured.
func methodOf(r *record.Run) []string {
	const medians = "Figures are medians; ± is half of the 95 % interval of the median, from order statistics. All samples are kept."
	switch r.Kind {
	case record.Race, record.MatMul, record.Sweep, record.Inputs:
		if len(r.Results) == 0 {
			return nil
		}
		first := r.Results[0]
		matrices := "the same " + first.GEMM.Data.String() + " matrices"
		switch {
		case r.Kind == record.Inputs:
			matrices = "matrices of another kind of inputs"
		case first.GEMM.Data != matrix.Random:
			matrices = "the same matrices, of the inputs " + first.GEMM.Data.String()
		}
		if !first.GEMM.Data.Patterned() {
			matrices += fmt.Sprintf(", seed %d", first.Seed)
		}
		return []string{
			"Every lane multiplies " + matrices + ", in a process of its own.",
			"A sample is many products back to back with one wait for the device. Starting, loading, filling and compiling are not part of it. Lanes are warmed up and take turns.",
			"Products are checked against float64. A lane with a wrong product has no figure, and one that is not verified is part of no ratio.",
			medians,
		}
	case record.LLM:
		return []string{
			"Every lane gets the same prompt and must generate the same tokens, greedily. A lane that generates others is part of no ratio.",
			"Generation and prompts are different workloads: the first is limited by memory bandwidth, the second by arithmetic.",
			medians,
		}
	case record.Scale:
		return []string{
			"torchrun starts the ranks. Each strategy trains the same model from the same weights on the same tokens, and its loss and gradients are compared with those of one device.",
			"A sample is one step of the slowest rank: forward, backward and optimizer. Messages are timed one after the other without waiting for each, as nccl-tests does; their bandwidth is its bus bandwidth.",
			"What the model predicts is made from the part of each rank, measured on one device with no messages, and from messages between the fewest ranks. It is not fitted to the steps.",
			medians,
		}
	case record.CPUs:
		return []string{"A peak is the best of several runs of independent multiply-adds in registers; bandwidths and clocks are medians."}
	case record.GPUs:
		return []string{
			"A sample of a copy is several copies in succession, and what it copied is compared with the source. A launch is a product of 1×1×1, which is checked.",
			medians,
		}
	case record.Learn:
		if r.Noise != nil {
			return []string{
				"One lane is measured again and again, each time prepared and warmed up anew, and each run is compared with the next. Nothing changes between them.",
				medians,
			}
		}
		return []string{"Every step computes the same product of float32, and each is checked. Speeds are medians."}
	}
	return nil
}
