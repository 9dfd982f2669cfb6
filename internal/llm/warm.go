package llm

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
)

// long returns the request of a long prompt.
func long(tokens int) Request { return Request{Filler: tokens, Tokens: 1, IgnoreEnd: true} }

// ask sends a request that shows nothing and files its error.
func (e *entry) ask(ctx context.Context, r Request) (g Generation, ok bool) {
	exceeded := "no answer within"
	if r.Filler > 0 {
		exceeded = "no answer to a long prompt within"
	}
	ok = e.step(ctx, exceeded, func(ctx context.Context) (err error) {
		g, err = e.session.Generate(ctx, r, nil)
		return err
	})
	return g, ok
}

// wake has a lane on a GPU answer, untimed, until the GPU has left the clock to which it
// falls while other lanes have their turns.
func (e *entry) wake(ctx context.Context) {
	if e.result.Facts.Device.Kind != hardware.GPU {
		return
	}
	each := max(time.Microsecond, e.wall/time.Duration(e.request.Tokens))
	warm := e.request
	warm.Tokens = int(measure.WarmTime(hardware.GPU)/each) + 1
	if c := cmp.Or(e.result.Facts.Context, e.Settings.Context); c > 0 {
		warm.Tokens = min(warm.Tokens, c/2)
	}
	e.ask(ctx, warm)
}

// shortPrompts are the lengths of long prompts of lanes that are too slow for longer ones.
var shortPrompts = []int{32, 128}

// warmUp fits a lane into its budget: with long prompts of at most that many tokens, with
// shorter ones, without them, and then in fewer rounds. It decides by runs that are warm,
// since the first run of each shape (an answer, a prompt of some length) may take a
// thousand times as long as the next: GPU backends compile kernels for it.
func (r *Runner) warmUp(ctx context.Context, e *entry, most int) {
	if e.result.Error != nil || e.result.Shown == nil || ctx.Err() != nil {
		return
	}
	r.phase(e, Warming)
	p, longest := &e.plan, min(e.plan.Filler, most)
	if c := cmp.Or(e.result.Facts.Context, e.Settings.Context); c > 0 {
		longest = min(longest, c/2) // a small context holds no more
	}
	p.Filler = 0
	defer func() { e.result.Filler = p.Filler }()
	// The answer that was shown has run this shape. A few tokens tell what all take.
	few := e.request
	few.Tokens = min(few.Tokens, 8)
	g, ok := e.ask(ctx, few)
	if !ok {
		return
	}
	e.wall = g.Wall
	if g.Tokens > 1 && g.Tokens == few.Tokens {
		e.wall += g.TokenTime / time.Duration(g.Tokens-1) * time.Duration(e.request.Tokens-g.Tokens)
	}
	each := g.PromptTime / time.Duration(max(1, g.PromptTokens)) // 0 where the runtime does not say how long a prompt is
	took := time.Duration(0)
	rounds := func(one time.Duration) time.Duration { return time.Duration(p.Repeat) * one }
	half := p.Budget / 2
	lengths := append(slices.DeleteFunc(slices.Clone(shortPrompts), func(n int) bool { return n >= longest }), longest)
	if rounds(each*time.Duration(longest)) <= half {
		lengths = lengths[len(lengths)-1:]
	}
	for _, n := range lengths {
		// A token of a longer prompt takes less time, so that this is at most what it will take.
		guess := each * time.Duration(n)
		fits := rounds(guess) <= half
		if n == 0 || !fits && 2*guess > half {
			break
		}
		if _, ok := e.ask(ctx, long(n)); !ok {
			return
		}
		g, ok := e.ask(ctx, long(n))
		if !ok {
			return
		}
		if !fits && rounds(g.PromptTime) > half {
			break
		}
		p.Filler, took, each = n, g.PromptTime, g.PromptTime/time.Duration(max(1, g.PromptTokens))
	}
	for !p.Exact && p.Repeat > 1 && rounds(e.wall+took) > p.Budget {
		p.Repeat--
	}
}

// compared reports whether a lane's prompts enter a ratio.
func (e *entry) compared() bool {
	return e.result.Error == nil && e.result.Facts.Device.Kind != hardware.SoftwareGPU
}

// shorten gives a lane the long prompts of another lane that is slower: all lanes are to
// do the same.
func (e *entry) shorten(ctx context.Context, tokens int) {
	if e.plan.Filler <= tokens || e.result.Error != nil || e.session == nil {
		return
	}
	e.plan.Filler, e.result.Filler = tokens, tokens
	e.ask(ctx, long(tokens)) // which it has not run yet
}
