package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
)

// Checked is the event that reports the check of a product.
type Checked struct{ matrix.Check }

// EventType returns the type of the event.
func (Checked) EventType() event.Type { return event.TypeCheck }

// references are the references for the checks; lanes share them.
type references struct {
	of map[matrix.Problem]*matrix.Reference
}

// get returns the reference for a product of a set of operands.
func (refs *references) get(ctx context.Context, g GEMM, seed uint64, set int) (*matrix.Reference, error) {
	p := matrix.Problem{M: g.M, N: g.N, K: g.K, In: g.In, TransA: g.TransA, TransB: g.TransB, Data: g.Data, Seed: seed}
	first := refs.of[p]
	if first == nil {
		var err error
		if first, err = matrix.NewReference(ctx, p); err != nil {
			return nil, err
		}
		refs.of[p] = first
	}
	if set == 0 {
		return first, nil
	}
	p.Set = set
	if refs.of[p] == nil {
		other, err := first.Other(ctx, set)
		if err != nil {
			return nil, err
		}
		refs.of[p] = other
	}
	return refs.of[p], nil
}

// closing checks what the last timed sample of each lane left behind. Of a lane whose
// samples hold several products it checks two more, each computed alone, one from each
// set of operands: of two products in succession one is missing if every second one is.
// Results that cannot be checked, since the user interrupted in the middle of a
// product, say so.
func (r *Runner) closing(ctx context.Context, entries []*entry, refs *references) {
	for _, e := range entries {
		if len(e.result.Samples) == 0 {
			continue
		}
		within, cancel := ctx, context.CancelFunc(func() {})
		if ctx.Err() != nil {
			if e.sound == len(e.result.Samples) {
				continue
			}
			within, cancel = context.WithTimeout(context.WithoutCancel(ctx), closingLimit)
		}
		r.phase(e, Checking)
		checked := r.check(within, e, refs)
		several := slices.ContainsFunc(e.result.Samples, func(s Sample) bool { return s.Iters > 1 })
		for i := 0; checked && several && ctx.Err() == nil && e.result.Error == nil && i < matrix.Sets; i++ {
			if _, err := r.run(ctx, e, 1); err != nil {
				r.fail(ctx, e, Checking, err)
				break
			}
			checked = r.check(within, e, refs)
		}
		if ctx.Err() != nil && !checked && (e.result.Error == nil || e.result.Error.Code != fault.Wrong) {
			e.result.Error, e.result.Stage = nil, ""
			e.result.Warnings.Add(measure.Unchecked, "interrupted before its last product was checked")
		}
		cancel()
	}
}

// check checks the product of a lane's latest run, and reports whether it could.
func (r *Runner) check(ctx context.Context, e *entry, refs *references) bool {
	if e.broken {
		return false
	}
	step, cancel := r.step(ctx)
	defer cancel()
	g := e.result.GEMM
	g.Data = e.data
	ref, err := refs.get(step, g, e.result.Seed, e.set)
	var c matrix.Check
	if err == nil {
		begin := r.sink().Now()
		c, err = ref.CheckProduct(func(x []float64) ([]float64, error) { return e.task.MulVec(step, x) }, g.Acc, g.Out)
		e.check = r.sink().Now() - begin
	}
	if errors.Is(err, fault.Lost) { // with another lane, whose fault it is
		if len(e.result.Samples) > 0 {
			e.result.Warnings.Add(measure.Unchecked, "its last product could not be checked: %v", err)
			return false
		}
		if _, err = r.run(ctx, e, 1); err == nil { // one product is as good as another before any is timed
			return r.check(ctx, e, refs)
		}
	}
	if err != nil {
		r.fail(ctx, e, Checking, measure.Because(step, err))
		return false
	}
	r.sink().Emit(e.ID, Checked{c})
	if first := e.result.Check; first == nil || first.Passed { // a failed check is kept
		e.result.Check = &c
	}
	switch {
	case c.Passed:
		e.right = true
	case c.Arithmetic == "" || e.right: // one arithmetic does not become another
		saw := "NaN or infinity"
		if c.Error != nil {
			saw = fmt.Sprintf("error %.1e", *c.Error)
		}
		expected := fmt.Sprintf("at most %.1e is expected", c.Bound)
		switch {
		case g.Out.Integer():
			expected = "integer products are exact"
		case c.Bound == 0:
			expected = fmt.Sprintf("products of %s are exact", g.Data)
		}
		r.fail(ctx, e, Checking, &fault.Error{Code: fault.Wrong, Message: fmt.Sprintf("wrong result: %s where %s", saw, expected)})
	case !e.result.Has(measure.Arithmetic):
		e.result.Warnings.Add(measure.Arithmetic, "computed as %s, not %s: error %.1e where at most %.1e is expected", c.Arithmetic, g.Acc, *c.Error, c.Bound)
	}
	e.sound = len(e.result.Samples)
	return true
}
