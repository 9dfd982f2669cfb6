package bench_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/stats"
)

// carrier is a GPU whose products take 10 ms, and the copy of a matrix 1 ms.
func carrier(id string) fake.Device {
	d := gpu(id, 10*ms)
	d.DeviceClock, d.CopyTime = true, (1<<20)/(16*16*4)*ms
	return d
}

// trips is budget with round trips.
var trips = bench.Stop{Budget: time.Hour, RoundTrips: true}

// Round trips are timed where that was asked for and where there is something to copy, and
// their parts are what was timed.
func TestRuleRoundTrips(t *testing.T) {
	cpu := carrier("CPU")
	cpu.Kind = hardware.CPU
	r := newRig(carrier("A"), gpu("B", ms), cpu)
	results := r.race(t, trips)
	for i, want := range []int{7, 0, 0} {
		if verified(t, results[i]); len(results[i].RoundTrips) != want || len(results[i].Facts.Notes) > 0 {
			t.Errorf("%s: %d round trips instead of %d, notes %q", results[i].Device.ID, len(results[i].RoundTrips), want, results[i].Facts.Notes)
		}
	}
	for _, x := range results[0].RoundTrips {
		if x.In != 2*ms || x.Product != 10*ms || *x.Device != 9*ms || x.Out != ms {
			t.Errorf("round trip %+v", x)
		}
	}
	p, ok := results[0].Parts()
	second := func(d time.Duration) float64 { return d.Seconds() }
	if !ok || p.In.Value != second(2*ms) || p.Launch.Value != second(ms) || p.Compute.Value != second(9*ms) || p.Out.Value != second(ms) || p.Total.Value != second(13*ms) || !p.Total.Firm() {
		t.Errorf("parts %+v", p)
	}
	if _, ok := results[1].Parts(); ok {
		t.Error("parts of a lane without round trips")
	}
	if x := newRig(carrier("A")).race(t, budget)[0]; x.RoundTrips != nil {
		t.Errorf("%d round trips that nobody asked for", len(x.RoundTrips))
	}
	if x := newRig(carrier("A")).race(t, bench.Stop{Repeat: 2, Budget: time.Hour, RoundTrips: true})[0]; len(x.RoundTrips) != 2 {
		t.Errorf("%d round trips where each figure has 2 samples", len(x.RoundTrips))
	}
}

// What a device did is not told apart from launching where its clock says more than passed.
func TestPartsWithoutDeviceClock(t *testing.T) {
	long := 3 * ms
	for name, device := range map[string]*time.Duration{"no clock": nil, "a clock that is ahead": &long} {
		x := bench.Result{RoundTrips: []bench.RoundTrip{{In: ms, Product: 2 * ms, Device: device, Out: ms}}}
		if p, ok := x.Parts(); !ok || p.Launch != nil || p.Compute != nil || p.Product.Value != 2e-3 || p.Total.Value != 4e-3 {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// A round trip whose product is wrong leaves no figure: the copies are verified by it.
func TestRuleRoundTripsAreChecked(t *testing.T) {
	d := carrier("A")
	d.LosesCopies = true
	x := newRig(d).race(t, trips)[0]
	if x.Error == nil || x.Error.Code != fault.Wrong || x.Verified() || x.RoundTrips != nil {
		t.Errorf("error %v, %d round trips", x.Error, len(x.RoundTrips))
	}
	x.RoundTrips = []bench.RoundTrip{{Product: ms}}
	if _, ok := x.Parts(); ok {
		t.Error("a wrong product has parts")
	}
}

// The first round trip does not count, and each of the others begins behind a sample that is
// not timed: the device was idle during the check.
func TestRuleRoundTripsWarmUp(t *testing.T) {
	var slow int
	d := carrier("A")
	each := d.Time
	d.Hook = func(_ context.Context, s fake.Stage, k int) error {
		if s == fake.RoundTrip {
			slow = k
		}
		return nil
	}
	d.Time = func(g bench.GEMM, run int) time.Duration {
		if slow == 1 { // until the second begins
			return time.Second
		}
		return each(g, run)
	}
	r := newRig(d)
	x := r.race(t, trips)[0]
	seconds := func(t bench.RoundTrip) float64 { return t.Product.Seconds() }
	var all []float64
	for _, x := range x.RoundTrips {
		all = append(all, seconds(x))
	}
	if len(all) != 7 || slices.Max(all) != 0.01 || stats.Median(all) != 0.01 {
		t.Errorf("products of round trips took %v s", all)
	}
	runs := r.runsOf("A")
	if last := runs[len(runs)-7:]; slices.Min(last) < 2 {
		t.Errorf("samples before round trips had %v products", last)
	}
}

// Round trips take no more than a quarter of the time, but one is timed in any case.
func TestRuleRoundTripsEnd(t *testing.T) {
	for want, limit := range map[int]time.Duration{1: time.Second, 3: 16 * time.Second} {
		d := carrier("A")
		d.CopyTime = time.Second << 20 / (3 * 16 * 16 * 4) // for a second in all
		if x := newRig(d).race(t, bench.Stop{Budget: limit, RoundTrips: true})[0]; len(x.RoundTrips) != want {
			t.Errorf("%d round trips of a second in a quarter of %s", len(x.RoundTrips), limit)
		}
	}
}

// What fails in round trips takes nothing from the samples before, but is told.
func TestRoundTripsFail(t *testing.T) {
	d := carrier("A")
	d.Hook = fake.FailAt(fake.RoundTrip, 3, fault.Errorf(fault.Crashed, "gone"))
	r := newRig(d)
	x := r.race(t, trips)[0]
	if verified(t, x); len(x.RoundTrips) != 1 || len(x.Facts.Notes) != 1 || x.Facts.Notes[0] != "not timed with the copies of its matrices: gone" {
		t.Errorf("%d round trips, notes %q", len(x.RoundTrips), x.Facts.Notes)
	}

	r = newRig(carrier("A"))
	r.Free = func() int64 { return 4 * 16 * 16 * 4 }
	if x = r.race(t, trips)[0]; !x.Verified() || x.RoundTrips != nil || len(x.Facts.Notes) != 1 || !strings.Contains(x.Facts.Notes[0], "4.10 kB of main memory") {
		t.Errorf("in a small memory: %d round trips, error %v, notes %q", len(x.RoundTrips), x.Error, x.Facts.Notes)
	}

	// Interrupted: what was timed is kept, and nothing is wrong.
	ctx, cancel := context.WithCancel(t.Context())
	d = carrier("A")
	d.Hook = func(_ context.Context, s fake.Stage, k int) error {
		if s == fake.RoundTrip && k == 4 {
			cancel()
		}
		return nil
	}
	r = newRig(d)
	x = r.Race(ctx, r.lanes, 1, trips)[0]
	if !x.Verified() || len(x.RoundTrips) != 2 || len(x.Facts.Notes) > 0 {
		t.Errorf("interrupted: %d round trips, error %v, notes %q", len(x.RoundTrips), x.Error, x.Facts.Notes)
	}
}

// Every round trip is checked, in a phase of their own.
func TestRuleEachRoundTripIsChecked(t *testing.T) {
	r := newRig(carrier("A"))
	r.race(t, trips)
	at := slices.IndexFunc(r.events, func(e event.Event) bool { return e.Data == event.Phase{Phase: string(bench.InTrips)} })
	checks := 0
	for _, e := range r.events[max(0, at):] {
		if _, ok := e.Data.(bench.Checked); ok {
			checks++
		}
	}
	if at < 0 || checks != 8 {
		t.Errorf("the phase is event %d, with %d checks", at, checks)
	}
}
