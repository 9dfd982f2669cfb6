package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A RoundTrip is one product whose operands begin in main memory and whose result ends
// there. Its parts follow one after the other, and each is waited for.
type RoundTrip struct {
	In      time.Duration  `json:"in_ns"`               // copying A and B to the device
	Product time.Duration  `json:"product_ns"`          // from launching the product until the process knows that it is done
	Device  *time.Duration `json:"device_ns,omitempty"` // of Product, by the device's own clock; nil if it has none
	Out     time.Duration  `json:"out_ns"`              // copying C to main memory
}

// InMainMemory is embedded by tasks whose matrices are in main memory anyway: they have no
// round trips.
type InMainMemory struct{}

// RoundTrip is not supported.
func (InMainMemory) RoundTrip(context.Context, int) (RoundTrip, error) {
	return RoundTrip{}, fault.Errorf(fault.Unsupported, "the matrices are in main memory: there is nothing to copy")
}

// Total returns the sum of the parts.
func (t RoundTrip) Total() time.Duration { return t.In + t.Product + t.Out }

// Parts says where the time of a round trip goes: medians of seconds, each with its
// interval. The median of the total is not exactly the sum of the others.
type Parts struct {
	In      stats.Interval  `json:"in"`
	Product stats.Interval  `json:"product"`
	Launch  *stats.Interval `json:"launch,omitempty"`  // of Product: what the device did not compute; nil where its own clock is not known
	Compute *stats.Interval `json:"compute,omitempty"` // of Product: by the device's own clock; nil likewise
	Out     stats.Interval  `json:"out"`
	Total   stats.Interval  `json:"total"`
}

// Parts returns where the time of a lane's round trips goes; ok is false where none was
// timed, and for a wrong product.
func (r *Result) Parts() (p Parts, ok bool) {
	if len(r.RoundTrips) == 0 || r.Error != nil && r.Error.Code == fault.Wrong {
		return p, false
	}
	known := true
	for _, t := range r.RoundTrips {
		known = known && t.Device != nil && *t.Device <= t.Product
	}
	of := func(part func(RoundTrip) time.Duration) stats.Interval {
		var seconds []float64
		for _, t := range r.RoundTrips {
			seconds = append(seconds, part(t).Seconds())
		}
		return stats.MedianInterval(seconds)
	}
	p.In = of(func(t RoundTrip) time.Duration { return t.In })
	p.Product = of(func(t RoundTrip) time.Duration { return t.Product })
	p.Out = of(func(t RoundTrip) time.Duration { return t.Out })
	p.Total = of(RoundTrip.Total)
	if known {
		launch := of(func(t RoundTrip) time.Duration { return t.Product - *t.Device })
		compute := of(func(t RoundTrip) time.Duration { return *t.Device })
		p.Launch, p.Compute = &launch, &compute
	}
	return p, true
}

// roundTrips is how many round trips of a lane are timed, after one that is not: it
// includes what happens once, such as mapping pages of memory.
const roundTrips = 7

// trips times round trips of the lanes whose matrices are not in main memory, one lane
// after the other.
func (r *Runner) trips(ctx context.Context, entries []*entry, stop Stop, refs *references) {
	for _, e := range entries {
		if !stop.RoundTrips || e.Device.Kind == hardware.CPU || len(e.result.Samples) == 0 {
			continue
		}
		if err := r.tripsOf(ctx, e, stop, refs); err != nil && ctx.Err() == nil && !errors.Is(err, fault.Unsupported) {
			// The samples before it are as good as they were.
			e.result.Facts.Notes = append(slices.Clip(e.result.Facts.Notes), fmt.Sprintf("not timed with the copies of its matrices: %v", err))
		}
	}
}

// tripsOf times the round trips of a lane, until they took a quarter of the time of all
// samples, and checks the product that each of them brings back.
func (r *Runner) tripsOf(ctx context.Context, e *entry, stop Stop, refs *references) error {
	if need, free := e.GEMM.Footprint(), r.free(); free > 0 && need > 0.7*free {
		return fault.Errorf(fault.OutOfMemory, "they take %s of main memory, more than 70 %% of the %s that is available", unit.Bytes(need), unit.Bytes(free))
	}
	r.phase(e, InTrips)
	want := roundTrips
	if stop.Repeat > 0 {
		want = min(want, stop.Repeat)
	}
	begin := r.sink().Now()
	for i := range 1 + want {
		if i > 1 && r.sink().Now()-begin > stop.Budget/4 {
			break
		}
		if i > 0 { // the device was idle during the check, and may have lowered its clock
			if _, err := r.run(ctx, e, e.iters); err != nil {
				return err
			}
		}
		t, err := r.roundTrip(ctx, e)
		if err != nil {
			return err
		}
		if !r.check(ctx, e, refs) || e.result.Error != nil {
			return nil
		}
		if i > 0 {
			e.result.RoundTrips = append(e.result.RoundTrips, t)
		}
	}
	return nil
}
