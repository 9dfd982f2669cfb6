package worker

import (
	"context"
	"errors"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
)

// A run of several products is ended when it takes many times as long as they took
// before: then other programs have the CPUs that its threads wait for, and a sample that
// is planned for 20 ms could take a minute.
const (
	stalled   = 10                     // times as long as planned
	leastWait = 250 * time.Millisecond // for a run that is planned to be short
	fewer     = 64                     // what the number of products is divided by then
)

// sample runs n products, fewer of them if they stall. How many of those that were ended
// had been computed is not known, so fewer are run anew.
func (s *server) sample(ctx context.Context, n, set int) (bench.Sample, error) {
	for {
		run, cancel := ctx, func() {}
		if s.best > 0 && n > 1 {
			planned := time.Duration(s.best * float64(n) * float64(time.Second))
			run, cancel = context.WithTimeout(ctx, max(leastWait, stalled*planned))
		}
		sample, err := s.task.Run(run, n, set)
		cancel()
		switch {
		case err == nil && sample.Iters > 0 && (s.best == 0 || sample.Seconds() < s.best):
			s.best = sample.Seconds()
			return sample, nil
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && n > 1:
			n = max(1, n/fewer)
		default:
			return sample, err
		}
	}
}
