package llm

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/model"
)

// The tests of this file are named after the rules of docs/MEASURING.md.

// n tokens take n − 1 steps: in a sample too.
func TestRuleSteps(t *testing.T) {
	r := &Result{Samples: []Sample{{Tokens: 9, TokenTime: 4 * time.Second, PromptTokens: 9, PromptTime: 3 * time.Second, First: 2 * time.Second}}}
	for m, want := range map[Metric]float64{Generating: 2, Prompting: 3, First: 2} {
		if got := r.Values(m); len(got) != 1 || got[0] != want {
			t.Errorf("%s is %v, want %v", m, got, want)
		}
	}
	r.Samples[0].Tokens = 1
	if got := r.Values(Generating); len(got) > 0 {
		t.Errorf("one token has the speed %v: there was no step", got)
	}
}

// The CPU's probabilities decide, wherever in the list its lane is: it is never wrong
// because it came second.
func TestRuleCPUDecides(t *testing.T) {
	cpu := func() *fakeRuntime { return &fakeRuntime{device: fakeCPU, ids: []int{0, 1}, per: time.Millisecond} }
	gpu := func(ids ...int) *fakeRuntime { return &fakeRuntime{device: fakeGPU, ids: ids, per: time.Microsecond} }
	lost := func(ids ...int) *fakeRuntime { // meant for a GPU that it did not use
		return &fakeRuntime{device: hardware.Device{ID: "lost", Name: "lost", Kind: hardware.CPU}, ids: ids, per: time.Microsecond}
	}
	dead := func() *fakeRuntime { return &fakeRuntime{device: fakeCPU, load: errDied} }
	for name, tt := range map[string]struct {
		lanes  []*fakeRuntime
		base   int
		passed []bool
	}{
		"GPU first, right":        {[]*fakeRuntime{gpu(0, 1), cpu()}, 1, []bool{true, true}},
		"GPU first, wrong":        {[]*fakeRuntime{gpu(9), cpu()}, 1, []bool{false, true}},
		"CPU first":               {[]*fakeRuntime{cpu(), gpu(9)}, 0, []bool{true, false}},
		"between two":             {[]*fakeRuntime{gpu(9), cpu(), gpu(0, 1)}, 1, []bool{false, true, true}},
		"after one that lost":     {[]*fakeRuntime{lost(9), gpu(9), cpu()}, 2, []bool{false, false, true}},
		"one that lost its GPU":   {[]*fakeRuntime{gpu(9), lost(0, 1)}, 1, []bool{false, true}},
		"two GPUs":                {[]*fakeRuntime{gpu(0, 1), gpu(9)}, 0, []bool{true, false}},
		"a CPU without an answer": {[]*fakeRuntime{dead(), gpu(0, 1), gpu(9)}, 1, []bool{false, true, false}},
	} {
		results := run(t.Context(), plan, tt.lanes...)
		for i, r := range results {
			if c := r.Check; c == nil && tt.passed[i] || c != nil && (c.Passed != tt.passed[i] || c.Base != results[tt.base].Name) {
				t.Errorf("%s: lane %d: %+v, want it to pass %v by the %s lane", name, i, c, tt.passed[i], results[tt.base].Name)
			}
		}
		if c := results[tt.base].Check; c == nil || c.Difference != nil || c.Agree != c.Of {
			t.Errorf("%s: the lane that decides: %+v", name, c)
		}
	}
}

// No ratio of prompts that fill no batch, though both lanes read the same one.
func TestRulePromptRatio(t *testing.T) {
	lanes := func(budget time.Duration, per time.Duration) []*Result {
		p := plan
		p.Budget = budget
		return run(t.Context(), p, &fakeRuntime{device: fakeCPU, ids: []int{0}, per: per}, &fakeRuntime{device: fakeGPU, ids: []int{0}, per: per / 10})
	}
	refused := func(what string, r, base *Result, want bool) {
		t.Helper()
		for _, pair := range [][2]*Result{{r, base}, {base, r}} {
			c := Compare(pair[0], pair[1], Prompting)
			if says := slices.Contains(c.Differs, "no long prompts"); says != want || want && len(c.Differs) == 0 {
				t.Errorf("%s: differs %q, with %d and %d tokens of long prompts", what, c.Differs, r.Filler, base.Filler)
			}
			for _, m := range []Metric{Generating, First} {
				if c := Compare(pair[0], pair[1], m); len(c.Differs) > 0 {
					t.Errorf("%s: %s differs %q", what, m, c.Differs)
				}
			}
		}
	}
	r := lanes(time.Hour, time.Millisecond)
	refused("long prompts", r[1], r[0], false)
	both := lanes(time.Nanosecond, time.Millisecond)
	if both[0].Filler != 0 || both[1].Filler != 0 {
		t.Fatalf("%d and %d tokens of long prompts, want none: the budget is too large for this test", both[0].Filler, both[1].Filler)
	}
	for i, x := range both { // what is about rounds is not what is tested
		x.Samples = append([]Sample(nil), r[i].Samples...)
		for j := range x.Samples {
			x.Samples[j].PromptTokens = both[i].Shown.PromptTokens
		}
	}
	refused("both shrunk to the short prompt", both[1], both[0], true)
	for _, i := range []int{0, 1} {
		r := lanes(time.Hour, time.Millisecond)
		r[i].Filler = 0
		refused("one without long prompts", r[1], r[0], true)
		r = lanes(time.Hour, time.Millisecond)
		for _, x := range r {
			for j := range x.Samples {
				x.Samples[j].PromptTokens = x.Shown.PromptTokens
			}
		}
		refused("samples of the short prompt", r[1], r[0], true)
	}
	short := lanes(time.Hour, time.Millisecond)
	for _, x := range short { // 128 tokens are the same work in both, and fill a batch
		x.Filler = 128
		for j := range x.Samples {
			x.Samples[j].PromptTokens = 128
		}
	}
	refused("both shrunk to 128", short[1], short[0], false)
	r[0].Samples[0].PromptTokens = 6
	if c := Compare(r[1], r[0], Prompting); len(c.Differs) == 0 {
		t.Error("prompts of different lengths have a ratio")
	}
}

// A lane's long prompts are those that it was asked for, also where the runtime does
// not say how long a prompt is.
func TestRuleFillerIsSaid(t *testing.T) {
	r := run(t.Context(), plan, &fakeRuntime{device: fakeCPU, ids: []int{0}, per: time.Second, silent: true})
	if r[0].Filler != 512 {
		t.Errorf("long prompts of %d tokens", r[0].Filler)
	}
}

// What the first run of a shape takes decides neither the length of prompts nor the
// number of rounds, and is in no sample: it compiles.
func TestRuleWarmShapes(t *testing.T) {
	p := plan
	p.Budget, p.Tokens = time.Minute, 64
	for name, tt := range map[string]struct {
		per          time.Duration
		filler, runs int
	}{
		"fast":             {20 * time.Microsecond, 512, 6},
		"fits with 512":    {9 * time.Millisecond, 512, 6},
		"fits with 128":    {20 * time.Millisecond, 128, 6},
		"fits with 32":     {80 * time.Millisecond, 32, 6},
		"has fewer rounds": {100 * time.Millisecond, 32, 5},
		"too slow for 32":  {400 * time.Millisecond, 0, 2},
	} {
		for _, compile := range []time.Duration{0, time.Hour} {
			r := run(t.Context(), p, &fakeRuntime{device: fakeGPU, ids: []int{0}, per: tt.per, compile: compile})[0]
			if r.Filler != tt.filler || len(r.Samples) != tt.runs {
				t.Errorf("%s, compiling for %v: %d rounds with long prompts of %d tokens, want %d of %d", name, compile, len(r.Samples), r.Filler, tt.runs, tt.filler)
			}
			for _, s := range r.Samples {
				if s.PromptTime > time.Minute || s.First > time.Minute {
					t.Fatalf("%s: a sample with a compilation in it: %+v", name, s)
				}
			}
		}
	}
}

// A GPU falls to a low clock while another lane computes. What it computes until its clock
// is high again is in no sample.
func TestRuleAwake(t *testing.T) {
	p := plan
	p.Budget, p.Tokens = time.Minute, 64
	awake := time.Duration(0)
	r := run(t.Context(), p,
		&fakeRuntime{device: fakeCPU, ids: []int{0}, per: 5 * time.Millisecond, awake: &awake},
		&fakeRuntime{device: fakeGPU, ids: []int{0}, per: time.Millisecond, awake: &awake})
	if n := len(r[1].Samples); n != 6 {
		t.Errorf("%d samples", n)
	}
	for i, s := range r[1].Samples {
		if s.TokenTime != 63*time.Millisecond || s.PromptTime != time.Duration(s.PromptTokens)*time.Millisecond {
			t.Errorf("sample %d is at a low clock: %+v", i, s)
		}
	}
}

// A GPU takes as long for a prompt of 32 tokens as for one of 6: each length is judged
// by a run of its own and not by what one token of a shorter one takes.
func TestRuleEachLengthIsTried(t *testing.T) {
	p := plan
	p.Budget = time.Minute
	r := run(t.Context(), p, &fakeRuntime{device: fakeGPU, ids: []int{0}, per: time.Microsecond, launch: 2 * time.Second, compile: time.Hour})
	if r[0].Filler != 512 {
		t.Errorf("long prompts of %d tokens, though 512 take 2 s", r[0].Filler)
	}
}

// All lanes process prompts of the same length: that of the slowest that processes
// long ones at all, wherever in the list it is. It is warm in all of them.
func TestRuleSamePrompt(t *testing.T) {
	p := plan
	p.Budget = time.Minute
	lane := func(d hardware.Device, per time.Duration) *fakeRuntime {
		return &fakeRuntime{device: d, ids: []int{0}, per: per, compile: time.Hour}
	}
	fast, slow := 20*time.Microsecond, 20*time.Millisecond // 512 and 128 tokens
	for name, tt := range map[string]struct {
		lanes   []*fakeRuntime
		fillers []int
	}{
		"the CPU is slower":           {[]*fakeRuntime{lane(fakeCPU, slow), lane(fakeGPU, fast)}, []int{128, 128}},
		"and comes second":            {[]*fakeRuntime{lane(fakeGPU, fast), lane(fakeCPU, slow)}, []int{128, 128}},
		"the GPU is slower":           {[]*fakeRuntime{lane(fakeCPU, fast), lane(fakeGPU, slow)}, []int{128, 128}},
		"too slow for any":            {[]*fakeRuntime{lane(fakeCPU, time.Second), lane(fakeGPU, fast)}, []int{0, 512}},
		"a software GPU has no ratio": {[]*fakeRuntime{lane(fakeCPU, fast), lane(fakeSoft, slow)}, []int{512, 128}},
		"one that does not load":      {[]*fakeRuntime{{device: fakeCPU, load: errDied}, lane(fakeGPU, fast)}, []int{0, 512}},
	} {
		results := run(t.Context(), p, tt.lanes...)
		for i, r := range results {
			if r.Filler != tt.fillers[i] {
				t.Errorf("%s: lane %d has prompts of %d tokens, want %d", name, i, r.Filler, tt.fillers[i])
			}
			for _, s := range r.Samples {
				if s.PromptTime > time.Minute || r.Filler > 0 && s.PromptTokens != 5+r.Filler {
					t.Fatalf("%s: lane %d: %+v", name, i, s)
				}
			}
		}
		if c := Compare(results[1], results[0], Prompting); (len(c.Differs) == 0) != (tt.fillers[0] == 128) {
			t.Errorf("%s: differs %q", name, c.Differs)
		}
	}
	p.Turns = false // the second lane knows what the first did
	if r := run(t.Context(), p, lane(fakeCPU, slow), lane(fakeGPU, fast)); r[1].Filler != 128 {
		t.Errorf("one after the other: %d and %d tokens", r[0].Filler, r[1].Filler)
	}
}

// No lane that was cut short, failed, is wrong or is none of what it is called has a
// ratio, on whichever side it stands.
func TestRuleNoRatio(t *testing.T) {
	for name, spoil := range map[string]func(*Result){
		"interrupted":  func(r *Result) { r.Warnings.Add(measure.Interrupted, "interrupted") },
		"failed":       func(r *Result) { r.Error = errDied },
		"wrong":        func(r *Result) { r.Check.Passed = false },
		"software GPU": func(r *Result) { r.Facts.Device.Kind = hardware.SoftwareGPU },
		"another type": func(r *Result) { r.Facts.DType = "bfloat16" },
		"not on a GPU": func(r *Result) { r.Warnings.Add(measure.NotOnGPU, "no layer is on the GPU") },
		"no samples":   func(r *Result) { r.Samples = nil },
	} {
		for i := range 2 {
			r := run(t.Context(), plan, &fakeRuntime{device: fakeCPU, ids: []int{0}, per: time.Millisecond}, &fakeRuntime{device: fakeGPU, ids: []int{0}, per: time.Microsecond})
			for _, m := range []Metric{Generating, Prompting, First} {
				if c := Compare(r[1], r[0], m); len(c.Differs) > 0 || math.IsNaN(c.Ratio.Value) {
					t.Fatalf("without a fault %s differs: %q", m, c.Differs)
				}
			}
			spoil(r[i])
			for _, m := range []Metric{Generating, Prompting, First} {
				if c := Compare(r[1], r[0], m); len(c.Differs) == 0 {
					t.Errorf("lane %d %s: %s has a ratio", i, name, m)
				}
			}
		}
	}
}

// asked is a runtime that keeps what its sessions are asked.
type asked struct {
	fakeRuntime
	requests []Request
}

type askedSession struct {
	Session
	of *asked
}

func (a *asked) Load(ctx context.Context, path string, s Settings) (Session, error) {
	session, err := a.fakeRuntime.Load(ctx, path, s)
	return &askedSession{session, a}, err
}

func (s *askedSession) Generate(ctx context.Context, r Request, each func(Piece)) (Generation, error) {
	s.of.requests = append(s.of.requests, r)
	return s.Session.Generate(ctx, r, each)
}

// The first answer has candidates and is not timed; all that is timed has none, passes
// over the model's end, and long prompts ask for a single token.
func TestRuleRequests(t *testing.T) {
	a := &asked{fakeRuntime: fakeRuntime{device: fakeCPU, ids: []int{0}, per: time.Millisecond}}
	var timed []event.Event
	sink := &told{also: func(e event.Event) {
		if _, ok := e.Data.(Sample); ok {
			timed = append(timed, e)
		}
	}}
	p := plan
	p.Repeat = 2
	(&Runner{Sink: sink}).Run(t.Context(), model.Model{}, []Contender{{ID: "cpu", Name: "CPU", Runtime: a}}, p)
	if len(timed) != 2 || len(a.requests) != 1+3+2*2 { // an answer and two long prompts to warm up
		t.Fatalf("%d samples of %d requests", len(timed), len(a.requests))
	}
	for i, r := range a.requests {
		long := r.Filler > 0
		if !r.IgnoreEnd || (r.Candidates > 0) != (i == 0) || long && (r.Filler != 512 || r.Tokens != 1 || r.Prompt != "") || !long && (r.Prompt != "Hi" || r.Tokens != 8) {
			t.Errorf("request %d: %+v", i, r)
		}
	}
	if a.requests[0].Candidates != 10 || strings.TrimSpace(a.requests[0].Prompt) == "" {
		t.Errorf("the first: %+v", a.requests[0])
	}
}

// seen are sensors that need a block, and say that nothing moved on a GPU.
type seen struct {
	block time.Duration
	uses  map[string]measure.Use
}

func (s *seen) Block() time.Duration { return s.block }
func (s *seen) Sense(d hardware.Device, u measure.Use) *measure.Sensed {
	s.uses[d.ID] = u
	return &measure.Sensed{Source: "NVML", Large: u.Large, During: &measure.State{Utilization: new(0.0), Power: new(70.0)}, Rest: &measure.State{Power: new(70.0)}}
}

// Where there are sensors, a lane whose rounds are too short for them answers without turns
// for as long as they need; a GPU lane during which nothing moved is in no ratio.
func TestRuleTokensAndSensors(t *testing.T) {
	lanes := func(s *seen) (cpu, gpu *Result, log []string) {
		a := &fakeRuntime{device: fakeCPU, ids: []int{0, 1}, per: time.Millisecond, log: &log}
		b := &fakeRuntime{device: fakeGPU, ids: []int{0, 1}, per: time.Millisecond, log: &log}
		r := Runner{Sink: &told{}, Sensors: s}
		list := r.Run(t.Context(), model.Model{Path: "m"}, contenders(a, b), plan)
		return list[0], list[1], log
	}
	s := &seen{block: 100 * time.Millisecond, uses: map[string]measure.Use{}}
	cpu, gpu, with := lanes(s)
	if !cpu.Verified() || gpu.Verified() || !gpu.Has(measure.NotOnGPU) || gpu.Sensors == nil {
		t.Errorf("verified %v and %v, warnings %v", cpu.Verified(), gpu.Verified(), gpu.Warnings)
	}
	if d := Compare(gpu, cpu, Generating).Differs; len(d) == 0 {
		t.Error("a lane on which nothing moved has a ratio")
	}
	for _, r := range []*Result{cpu, gpu} {
		u := s.uses[r.Facts.Device.ID]
		w := u.Windows[len(u.Windows)-1]
		last := r.Samples[len(r.Samples)-1]
		if len(u.Windows) != len(r.Samples)+1 || w.End-w.Start < s.block || w.Start < last.End || w.Work < 20*float64(plan.Tokens) || u.End != w.End || u.Counted[len(u.Counted)-1] != w {
			t.Errorf("%s: asked of %+v", r.Name, u)
		}
		if first := u.Counted[0]; first.Start != r.Samples[0].Start+r.Samples[0].First || first.End-first.Start != r.Samples[0].TokenTime || first.Work != float64(plan.Tokens-1) {
			t.Errorf("%s: the energy of %+v", r.Name, first)
		}
	}
	s = &seen{uses: map[string]measure.Use{}} // which need no block
	_, _, without := lanes(s)
	if u := s.uses["gpu"]; len(with) < len(without)+40 || len(u.Windows) != len(u.Counted) || !u.Alone {
		t.Errorf("%d requests with a block, %d without; %+v", len(with), len(without), u)
	}
}
