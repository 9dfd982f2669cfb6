package llm

import (
	"context"

	"github.com/gpuplay/gpuplay/internal/measure"
)

// block has a lane answer again and again without turns, for as long as the sensors need,
// where no round was that long. No figure follows from it but that of energy. A failure
// ends it: the lane was measured before.
func (r *Runner) block(ctx context.Context, e *entry) {
	if r.Sensors == nil || e.session == nil || e.result.Error != nil || len(e.result.Samples) == 0 {
		return
	}
	long := r.Sensors.Block()
	for _, s := range e.result.Samples {
		if s.End-s.Start >= long {
			return
		}
	}
	w := measure.Window{Start: r.Sink.Now()}
	for w.End = w.Start; w.End-w.Start < long; w.End = r.Sink.Now() {
		limited, cancel := measure.Limit(ctx, e.plan.Limit, "no answer within")
		g, err := e.session.Generate(limited, e.request, nil)
		cancel()
		if err != nil || g.Tokens == 0 {
			return
		}
		w.Work += float64(g.Tokens)
	}
	e.block = &w
}

// sense adds what the sensors read during a lane to its result, and what follows from it. The
// energy is that of generating: in rounds from the first token to the last, by the
// runtime's clock, and in a block with reading the prompt, which is short beside it.
func (r *Runner) sense(e *entry, list []*entry) {
	res := e.result
	if r.Sensors == nil || len(res.Samples) == 0 || res.Facts.Host != "" {
		return
	}
	u := measure.Use{Start: e.begin, Alone: true, Large: true, Counted: []measure.Window{}}
	for _, s := range res.Samples {
		u.Windows = append(u.Windows, measure.Window{Start: s.Start, End: s.End})
		if s.Tokens > 1 {
			first := s.Start + s.First
			u.Counted = append(u.Counted, measure.Window{Start: first, End: first + s.TokenTime, Work: float64(s.Tokens - 1)})
		}
		u.End = s.End
	}
	if e.block != nil {
		u.Windows, u.Counted, u.End = append(u.Windows, *e.block), append(u.Counted, *e.block), e.block.End
	}
	for _, o := range list {
		if o != e && o.result.OnGPU() {
			u.Alone = false
		}
	}
	res.Sensors = r.Sensors.Sense(res.Facts.Device, u)
	res.Sensors.Warn(res.Facts.Device.Kind, &res.Warnings)
}
