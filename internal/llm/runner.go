package llm

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Contender is a lane of a runtime.
type Contender struct {
	ID       string // unique within the run; goes into the result and the events
	Name     string // for people: "CPU", "GPU"
	Runtime  Runtime
	Settings Settings
}

// A Plan says what is measured.
type Plan struct {
	Prompt string
	Tokens int           // generated in each answer
	Filler int           // tokens of the long prompts that prompt speed is measured with
	Repeat int           // timed rounds
	Exact  bool          // Repeat was asked for: a slow lane has no fewer rounds, only shorter long prompts
	Budget time.Duration // what the rounds of a lane may take otherwise, half of it for long prompts
	Limit  time.Duration // what a step may take: loading, one answer; 0: no limit
	Turns  bool          // all lanes are in memory and take turns; else one after the other
}

// A Phase of a lane.
type Phase string

const (
	Loading   Phase = "loading"
	Answering Phase = "answering"
	Answered  Phase = "answered"
	Warming   Phase = "warming up"
	Measuring Phase = "measuring"
)

// A Runner measures lanes.
type Runner struct {
	Sink event.Sink // is told what goes on and keeps the clock
	// Throttled returns in how many periods of a container's CPU quota this machine has
	// run until now, and in how many it was stopped; nil: not known.
	Throttled func() (periods, throttled int64)
	Sensors   measure.Sensors // are read meanwhile; nil: they are not
	Cards     []hardware.Card // the GPUs of this machine, to which Run adds those that it finds: each lane's device says which one it is on
}

func (r *Runner) phase(e *entry, p Phase) { r.Sink.Emit(e.ID, event.Phase{Phase: string(p)}) }

// entry is a lane while it is measured.
type entry struct {
	Contender
	plan    Plan          // the lane's own
	asked   int           // rounds, before a slow lane's were cut
	wall    time.Duration // what a warm answer takes
	session Session
	request Request // of each round
	quota   measure.Quota
	begin   time.Duration   // when its model began to be loaded
	block   *measure.Window // in which it answered without turns; nil: it did not
	result  *Result
}

// Run measures a model on lanes and checks the answers of all against the CPU's. Every lane has a result; whatever fails or is interrupted keeps
// what was measured before.
func (r *Runner) Run(ctx context.Context, m model.Model, lanes []Contender, p Plan) []*Result {
	list := make([]*entry, len(lanes))
	results := make([]*Result, len(lanes))
	for i, c := range lanes {
		results[i] = &Result{Lane: c.ID, Name: c.Name, Runtime: c.Runtime.Name(), Settings: c.Settings, Tokens: p.Tokens, Round: p.Turns && len(lanes) > 1, Samples: []Sample{}}
		list[i] = &entry{Contender: c, plan: p, asked: p.Repeat, result: results[i]}
	}
	groups := [][]*entry{list}
	if !p.Turns {
		groups = nil
		for i := range list {
			groups = append(groups, list[i:i+1])
		}
	}
	same := p.Filler // the long prompts of all lanes, as far as they have any
	for _, g := range groups {
		for _, e := range g {
			r.load(ctx, m, e)
			r.warmUp(ctx, e, same)
			if n := e.plan.Filler; n > 0 && e.compared() {
				same = min(same, n)
			}
		}
		for _, e := range g {
			e.shorten(ctx, same)
		}
		r.rounds(ctx, g)
		for _, e := range g {
			r.block(ctx, e)
		}
		for _, e := range g {
			if e.session != nil {
				e.session.Close()
			}
		}
	}
	check(list)
	for _, e := range list {
		r.sense(e, list)
		e.judge(ctx)
		if e.result.Check != nil {
			r.Sink.Emit(e.ID, *e.result.Check)
		}
		r.Sink.Emit(e.ID, e.result)
	}
	return results
}

// step runs one step within its time limit and files its error. exceeded is the message
// if it reaches the limit.
func (e *entry) step(ctx context.Context, exceeded string, do func(context.Context) error) bool {
	limited, cancel := measure.Limit(ctx, e.plan.Limit, exceeded)
	defer cancel()
	err := measure.Because(limited, do(limited))
	if err != nil && ctx.Err() == nil { // else judge says that it was interrupted
		e.result.Error = fault.From(err)
	}
	return err == nil
}

// load brings the model into memory and has it answer for the first time: that
// answer is shown and checked, and warms the lane up.
func (r *Runner) load(ctx context.Context, m model.Model, e *entry) {
	if ctx.Err() != nil {
		return
	}
	r.phase(e, Loading)
	e.begin = r.Sink.Now()
	if !e.step(ctx, "loading the model took longer than", func(ctx context.Context) (err error) {
		e.session, err = e.Runtime.Load(ctx, m.Path, e.Settings)
		return err
	}) {
		return
	}
	e.result.Facts = e.session.Facts()
	if d := &e.result.Facts.Device; d.Kind == hardware.GPU && d.Card == nil && e.result.Facts.Host == "" {
		r.Cards = hardware.Cards(r.Cards, *d)
		d.Card = hardware.CardOf(*d, r.Cards)
	}
	r.Sink.Emit(e.ID, Loaded{Model: m.Name, Settings: e.Settings, Facts: e.result.Facts})
	r.phase(e, Answering)
	r.Sink.Emit(e.ID, Asked{e.plan.Prompt, m.Chat})
	e.step(ctx, "no first answer within", func(ctx context.Context) error {
		g, err := e.session.Generate(ctx, Request{Prompt: e.plan.Prompt, Chat: m.Chat, Tokens: e.plan.Tokens, IgnoreEnd: true, Candidates: Candidates}, func(p Piece) {
			r.Sink.Emit(e.ID, p)
		})
		if g.Tokens > 0 || err == nil {
			e.result.Shown = &g
		}
		return err
	})
	e.request = Request{Prompt: e.plan.Prompt, Chat: m.Chat, Tokens: e.plan.Tokens, IgnoreEnd: true}
	r.phase(e, Answered)
}

// rounds takes the samples: every round goes through all lanes, forwards and
// backwards, so that heat, clocks and neighbours are shared.
func (r *Runner) rounds(ctx context.Context, list []*entry) {
	most := 0
	for _, e := range list {
		most = max(most, e.plan.Repeat)
	}
	var last *entry
	for round := range most {
		for i := range measure.Turns(len(list), round) {
			e := list[i]
			if ctx.Err() != nil || e.session == nil || e.result.Error != nil || e.result.Shown == nil || round >= e.plan.Repeat {
				continue
			}
			if round == 0 {
				r.phase(e, Measuring)
			}
			r.Sink.Emit(e.ID, event.Progress{Done: round, Total: e.plan.Repeat})
			if e != last {
				e.wake(ctx)
			}
			last = e
			r.round(ctx, e)
		}
	}
}

// round takes one sample of a lane.
func (r *Runner) round(ctx context.Context, e *entry) {
	defer e.quota.Count(r.Throttled)()
	s := Sample{Start: r.Sink.Now()}
	g, ok := e.ask(ctx, e.request)
	if !ok {
		return
	}
	s.First, s.Tokens, s.TokenTime = g.First, g.Tokens, g.TokenTime
	if e.plan.Filler > 0 { // without its long prompt, the answer was measured all the same
		g, ok = e.ask(ctx, long(e.plan.Filler))
	}
	if ok {
		s.PromptTokens, s.PromptTime = g.PromptTokens, g.PromptTime
	}
	s.End = r.Sink.Now()
	e.result.Samples = append(e.result.Samples, s)
	r.Sink.Emit(e.ID, s)
}

// check compares every lane's first answer with the CPU's, wherever in the list that
// lane is.
func check(list []*entry) {
	list = slices.DeleteFunc(slices.Clone(list), func(e *entry) bool {
		return e.result.Shown == nil || len(e.result.Shown.Sequence) == 0
	})
	base := authority(list)
	for _, e := range list {
		c := Agree(base.Name, base.result.Shown.Sequence, e.result.Shown.Sequence)
		if len(list) > 1 || !c.Passed { // the base itself passes as far as anybody can say
			e.result.Check = c
		}
	}
}

// authority returns the lane whose probabilities decide: the CPU's, whose arithmetic
// is the least likely to be wrong. Where none has answered that was meant for the CPU,
// a lane that lost its GPU will do, and on a machine without either, the first.
func authority(list []*entry) *entry {
	var second *entry
	for _, e := range list {
		switch {
		case e.result.Facts.Device.Kind != hardware.CPU:
		case !e.result.OnGPU():
			return e
		case second == nil:
			second = e
		}
	}
	if second == nil && len(list) > 0 {
		second = list[0]
	}
	return second
}

// judge adds the warnings that follow from what was measured.
func (e *entry) judge(ctx context.Context) {
	res := e.result
	if res.OnGPU() && res.Facts.Device.Kind == hardware.CPU && res.Facts.Runtime != "" {
		res.Warnings.Add(measure.NotOnGPU, "no layer is on the GPU: this is the CPU's figure")
	}
	if res.Facts.Device.Kind == hardware.SoftwareGPU {
		res.Warnings.Add(measure.SoftwareGPU, "a CPU does the work behind this GPU interface")
	}
	if ctx.Err() != nil {
		res.Warnings.Add(measure.Interrupted, "interrupted")
		return
	}
	if res.Error != nil {
		return
	}
	if n := len(res.Samples); n > 0 && n < e.asked {
		res.Warnings.Add(measure.FewSamples, "%d of %d rounds: each takes %s", n, e.asked, unit.Seconds(e.wall))
	}
	if res.work(Generating) >= 0 && len(res.Samples) > 0 && res.Samples[0].Tokens < res.Tokens {
		why := fmt.Sprintf("the context of %d is full", res.Facts.Context)
		if res.Shown.Finish == "stop" { // of a runtime that cannot continue past it
			why = "the model ended its answer there; a prompt that asks for more is measured longer"
		}
		res.Warnings.Add(measure.ShortAnswer, "%d tokens instead of %d: %s", res.Samples[0].Tokens, res.Tokens, why)
	}
	e.quota.Warn(&res.Warnings)
	for _, m := range []Metric{Generating, Prompting} {
		if f, ok := res.Figure(m); ok && !res.Warnings.Has(measure.Throttled) && f.Firm() && f.Spread() > measure.Noisy {
			res.Warnings.Add(measure.Noise, "noisy: something else uses this machine, or its clock changes")
			break
		}
	}
}
