package llm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Contender is a lane of a runtime.
type Contender struct {
	Name    string // "CPU", "GPU, all layers"
	Runtime Runtime
	Lane    Lane
}

// A Plan says what is measured.
type Plan struct {
	Prompt string
	Tokens int           // generated in each answer
	Filler int           // tokens of the long prompts that prompt speed is measured with
	Repeat int           // timed rounds
	Exact  bool          // Repeat was asked for: a slow lane has no fewer rounds, only shorter long prompts
	Budget time.Duration // what a lane may take otherwise
	Limit  time.Duration // what a step may take: loading, one answer
	Turns  bool          // all lanes are in memory and take turns; else one after the other
}

// An Event tells what goes on.
type Event struct {
	Lane   int
	Phase  Phase
	Text   string  // Answering: a piece of the answer
	Done   int     // Measuring: rounds so far
	Total  int     // Measuring
	Result *Result // Loaded: with its facts; Finished
}

// A Phase of a lane.
type Phase string

const (
	Loading   Phase = "loading"
	Loaded    Phase = "loaded"
	Answering Phase = "answering"
	Answered  Phase = "answered"
	Measuring Phase = "measuring"
	Finished  Phase = "finished"
)

// A Runner measures lanes.
type Runner struct {
	Observe func(Event) // gets all events, from one goroutine; must not block; may be nil
}

func (r *Runner) emit(e Event) {
	if r.Observe != nil {
		r.Observe(e)
	}
}

// entry is a lane while it is measured.
type entry struct {
	Contender
	index   int
	plan    Plan // the lane's own
	asked   int  // rounds, before a slow lane's were cut
	session Session
	request Request // of each round
	result  *Result
}

const (
	// WarnShortAnswer marks an answer that ended before its number of tokens.
	WarnShortAnswer bench.WarningCode = "short_answer"
	noisy                             = 0.05 // as in package bench
)

// Run measures a model on lanes; the first lane that works is what the others are
// checked against. Every lane has a result; whatever fails or is interrupted keeps
// what was measured before.
func (r *Runner) Run(ctx context.Context, m model.Model, lanes []Contender, p Plan) []*Result {
	list := make([]*entry, len(lanes))
	results := make([]*Result, len(lanes))
	for i, c := range lanes {
		results[i] = &Result{Runtime: c.Runtime.Name(), Lane: c.Lane, Tokens: p.Tokens, Round: p.Turns && len(lanes) > 1, Samples: []Sample{}}
		list[i] = &entry{Contender: c, index: i, plan: p, asked: p.Repeat, result: results[i]}
	}
	groups := [][]*entry{list}
	if !p.Turns {
		groups = nil
		for i := range list {
			groups = append(groups, list[i:i+1])
		}
	}
	for _, g := range groups {
		for _, e := range g {
			r.load(ctx, m, e)
		}
		r.rounds(ctx, g)
		for _, e := range g {
			if e.session != nil {
				e.session.Close()
			}
		}
	}
	check(list)
	for _, e := range list {
		e.judge(ctx)
		r.emit(Event{Lane: e.index, Phase: Finished, Result: e.result})
	}
	return results
}

// step runs one step within its time limit and files its error.
func (e *entry) step(ctx context.Context, doing string, do func(context.Context) error) bool {
	limited, cancel := context.WithTimeout(ctx, e.plan.Limit)
	defer cancel()
	err := do(limited)
	switch {
	case err == nil:
		return true
	case ctx.Err() != nil: // judge says so
	case errors.Is(err, context.DeadlineExceeded):
		e.result.Error = &fault.Error{Code: fault.Timeout, Message: fmt.Sprintf("%s took longer than %s", doing, e.plan.Limit), Remedies: fault.Advice("--timeout allows more")}
	default:
		var known *fault.Error
		if !errors.As(err, &known) {
			known = &fault.Error{Code: fault.Internal, Message: err.Error()}
		}
		e.result.Error = known
	}
	return false
}

// load brings the model into memory and has it answer for the first time: that
// answer is shown and checked, and warms the lane up.
func (r *Runner) load(ctx context.Context, m model.Model, e *entry) {
	if ctx.Err() != nil {
		return
	}
	r.emit(Event{Lane: e.index, Phase: Loading, Result: e.result})
	if !e.step(ctx, "loading the model", func(ctx context.Context) (err error) {
		e.session, err = e.Runtime.Load(ctx, m.Path, e.Lane)
		return err
	}) {
		return
	}
	e.result.Facts = e.session.Facts()
	r.emit(Event{Lane: e.index, Phase: Loaded, Result: e.result})
	e.step(ctx, "the first answer", func(ctx context.Context) error {
		g, err := e.session.Generate(ctx, Request{Prompt: e.plan.Prompt, Chat: m.Chat, Tokens: e.plan.Tokens, IgnoreEnd: true, Candidates: Candidates}, func(p Piece) {
			r.emit(Event{Lane: e.index, Phase: Answering, Text: p.Text})
		})
		if g.Tokens > 0 || err == nil {
			e.result.Shown = &g
		}
		return err
	})
	e.request = Request{Prompt: e.plan.Prompt, Chat: m.Chat, Tokens: e.plan.Tokens, IgnoreEnd: true}
	r.emit(Event{Lane: e.index, Phase: Answered, Result: e.result})
	e.trim()
}

// fillers are what a slow lane's long prompts may shrink to.
var fillers = []int{128, 32, 0}

// trim fits a lane that is too slow for its budget into it, by what its first
// answer took: shorter long prompts, then none, then fewer rounds.
func (e *entry) trim() {
	g := e.result.Shown
	if e.result.Error != nil || g == nil || g.PromptTokens == 0 {
		return
	}
	cost := func(filler, rounds int) time.Duration {
		each := g.PromptTime / time.Duration(g.PromptTokens)
		return time.Duration(rounds) * (g.Wall + each*time.Duration(filler))
	}
	p := &e.plan
	for _, f := range fillers {
		if cost(p.Filler, p.Repeat) <= p.Budget {
			break
		}
		if f < p.Filler {
			p.Filler = f
		}
	}
	for !p.Exact && p.Repeat > 1 && cost(p.Filler, p.Repeat) > p.Budget {
		p.Repeat--
	}
	e.result.Filler = p.Filler
}

// rounds takes the samples: every round goes through all lanes, forwards and
// backwards, so that heat, clocks and neighbours are shared.
func (r *Runner) rounds(ctx context.Context, list []*entry) {
	most := 0
	for _, e := range list {
		most = max(most, e.plan.Repeat)
	}
	for round := range most {
		for i := range list {
			e := list[i]
			if round%2 == 1 {
				e = list[len(list)-1-i]
			}
			if ctx.Err() != nil || e.session == nil || e.result.Error != nil || e.result.Shown == nil || round >= e.plan.Repeat {
				continue
			}
			r.emit(Event{Lane: e.index, Phase: Measuring, Done: round, Total: e.plan.Repeat, Result: e.result})
			r.round(ctx, e, round == 0)
		}
	}
}

// round takes one sample of a lane.
func (r *Runner) round(ctx context.Context, e *entry, cold bool) {
	var s Sample
	ok := e.step(ctx, "an answer", func(ctx context.Context) error {
		g, err := e.session.Generate(ctx, e.request, nil)
		s.First, s.Tokens, s.TokenTime = g.First, g.Tokens, g.TokenTime
		s.PromptTokens, s.PromptTime = g.PromptTokens, g.PromptTime
		return err
	})
	long := func(ctx context.Context) error {
		g, err := e.session.Generate(ctx, Request{Filler: e.plan.Filler, Tokens: 1, IgnoreEnd: true}, nil)
		s.PromptTokens, s.PromptTime = g.PromptTokens, g.PromptTime
		return err
	}
	if !ok {
		return
	}
	if e.plan.Filler > 0 {
		s.PromptTokens, s.PromptTime = 0, 0
		if cold { // batches of this size have not been computed yet: a GPU compiles, a CPU touches memory
			ok = e.step(ctx, "a long prompt", long)
		}
		if !ok || !e.step(ctx, "a long prompt", long) {
			s.PromptTokens, s.PromptTime = 0, 0 // the answer was measured all the same
		}
	}
	e.result.Samples = append(e.result.Samples, s)
}

// check compares every lane's first answer with that of the first lane that has
// one, which on all machines but one without a working CPU lane is the CPU's.
func check(list []*entry) {
	var base *entry
	for _, e := range list {
		if e.result.Shown == nil || len(e.result.Shown.Sequence) == 0 {
			continue
		}
		if base == nil {
			base = e
			continue
		}
		e.result.Check = Agree(base.Name, base.result.Shown.Sequence, e.result.Shown.Sequence)
		if base.result.Check == nil { // it passed as far as anybody can say
			base.result.Check = &Check{Base: base.Name, Agree: len(base.result.Shown.Sequence), Of: len(base.result.Shown.Sequence), Passed: true}
		}
	}
}

// judge adds the warnings that follow from what was measured.
func (e *entry) judge(ctx context.Context) {
	res := e.result
	if res.OnGPU() && res.Facts.Device.Kind == hardware.CPU && res.Facts.Runtime != "" {
		res.warn(WarnNotGPU, "no layer is on the GPU: this is the CPU's figure")
	}
	if res.Facts.Device.Kind == hardware.SoftwareGPU {
		res.warn(bench.WarnSoftwareGPU, "a CPU does the work behind this GPU interface")
	}
	if ctx.Err() != nil {
		res.warn(bench.WarnInterrupted, "interrupted")
		return
	}
	if res.Error != nil {
		return
	}
	if n := len(res.Samples); n > 0 && n < e.asked {
		res.warn(bench.WarnFewSamples, "%d of %d rounds: each takes %s", n, e.asked, unit.Seconds(res.Shown.Wall))
	}
	if res.work(Generating) >= 0 && len(res.Samples) > 0 && res.Samples[0].Tokens < res.Tokens {
		why := fmt.Sprintf("the context of %d is full", res.Facts.Context)
		if res.Shown.Finish == "stop" { // of a runtime that cannot go on past it
			why = "the model ended its answer there; a --prompt that asks for more is measured longer"
		}
		res.warn(WarnShortAnswer, "%d tokens instead of %d: %s", res.Samples[0].Tokens, res.Tokens, why)
	}
	for _, m := range []Metric{Generating, Prompting} {
		if f, ok := res.Figure(m); ok && f.Firm() && f.Spread() > noisy {
			res.warn(bench.WarnNoise, "noisy: something else uses this machine, or its clock changes")
			break
		}
	}
}
