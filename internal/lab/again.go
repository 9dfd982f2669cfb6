package lab

import (
	"context"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/record"
)

// againBudget is how long the samples of each run of Again take: about twelve of them,
// as many as most lanes of a race have.
const againBudget = 300 * time.Millisecond

// Again measures a lane again and again, each time prepared and warmed up anew, until
// there are as many results as runs, until the time limit is up, or until ctx ends; what
// was measured until then is kept. A lane that fails ends it. o.Budget is not used.
func (d Deps) Again(ctx context.Context, s event.Sink, lane bench.Lane, runs int, limit time.Duration, o Settings) *record.Noise {
	n := &record.Noise{Runs: runs}
	s.Emit(lane.ID, event.Phase{Phase: string(bench.Sampling)})
	runner := d.Runner(withoutProgress{s}, o.Timeout)
	begin := s.Now()
	for end := begin + limit; len(n.Results) < runs && s.Now() < end && ctx.Err() == nil; {
		x := runner.Race(ctx, []bench.Lane{lane}, o.Seed, bench.Stop{Budget: againBudget})[0]
		if x.Error != nil && ctx.Err() != nil {
			break // it was interrupted before it had a sample
		}
		n.Results = append(n.Results, x)
		if x.Error != nil {
			break
		}
		speed, _ := x.Speed()
		done, spent := len(n.Results), max(1, s.Now()-begin)
		fit := int(float64(done) * float64(limit) / float64(spent)) // as many as there is time for
		s.Emit(lane.ID, event.Progress{Done: done, Total: min(runs, max(done, fit)), Speed: speed.Value})
	}
	return n
}

// withoutProgress passes on what was measured: the phases and the progress of each single
// run are not those of the lane.
type withoutProgress struct{ event.Sink }

func (s withoutProgress) Emit(lane string, d event.Data) {
	switch d.EventType() {
	case event.TypePrepared, event.TypeSample, event.TypeCheck, event.TypeResult:
		s.Sink.Emit(lane, d)
	}
}
