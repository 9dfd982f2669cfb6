package bench

import (
	"context"
)

// usePattern gives a lane that computes right on random inputs those that it is measured
// with, and checks their product. A pattern shows neither the arithmetic that was used nor,
// of zeros and ones, a remembered result; so a lane is only verified if it was right on
// random inputs, from both sets of operands, just before. What its timed products left
// behind is checked against the pattern.
func (r *Runner) usePattern(ctx context.Context, e *entry, seed uint64, refs *references) {
	again := func() bool {
		if e.result.Error != nil || ctx.Err() != nil {
			return false
		}
		var err error
		if e.single, err = r.run(ctx, e, 1); err != nil {
			r.fail(ctx, e, Checking, err)
			return false
		}
		return r.check(ctx, e, refs) && e.result.Error == nil
	}
	if !again() { // from the other set
		return
	}
	e.task.Close() // an engine may be limited to one task
	e.data = e.GEMM.Data
	if r.open(ctx, e, seed) {
		again()
	}
}
