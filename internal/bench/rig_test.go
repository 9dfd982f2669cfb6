package bench_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// small is a product that costs next to nothing to check.
var small = bench.Square(16, matrix.Float32)

// A rig is a runner with a virtual clock and scripted devices, and a recording of
// what happened to them.
type rig struct {
	bench.Runner
	clock  *fake.Clock
	lanes  []bench.Lane
	events []event.Event
	runs   []call                          // of all tasks, in order
	told   func(lane string, d event.Data) // if not nil, is called with each event
}

// A call is one Run.
type call struct {
	id string
	n  int
}

func newRig(devices ...fake.Device) *rig {
	r := &rig{clock: &fake.Clock{}}
	r.Sink = r
	engine := recorder{fake.New("fake", r.clock, nil, devices...), r}
	for _, d := range devices {
		r.lanes = append(r.lanes, bench.Lane{ID: d.ID, Engine: engine, Device: d.Device, GEMM: small})
	}
	return r
}

// Emit records an event; the rig is its runner's sink.
func (r *rig) Emit(lane string, d event.Data) {
	r.events = append(r.events, event.Event{At: r.Now(), Lane: lane, Type: d.EventType(), Data: d})
	if r.told != nil {
		r.told(lane, d)
	}
}

// Now returns the time on the virtual clock.
func (r *rig) Now() time.Duration { return r.clock.Now().Sub(time.Time{}) }

func (r *rig) race(t *testing.T, stop bench.Stop) []*bench.Result {
	t.Helper()
	return r.Race(t.Context(), r.lanes, 1, stop)
}

// runsOf returns the number of products of each run on one device.
func (r *rig) runsOf(id string) []int {
	var n []int
	for _, c := range r.runs {
		if c.id == id {
			n = append(n, c.n)
		}
	}
	return n
}

// order returns the devices of the last n runs, one letter each.
func (r *rig) order(n int) string {
	var b strings.Builder
	for _, c := range r.runs[len(r.runs)-n:] {
		b.WriteString(c.id)
	}
	return b.String()
}

// recorder is an engine whose runs are recorded by a rig.
type recorder struct {
	*fake.Engine
	rig *rig
}

func (e recorder) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	task, err := e.Engine.Prepare(ctx, d, g, seed, tell)
	return recorded{task, e.rig, d.ID}, err
}

type recorded struct {
	bench.Task
	rig *rig
	id  string
}

func (t recorded) Run(ctx context.Context, n, set int) (bench.Sample, error) {
	t.rig.runs = append(t.rig.runs, call{t.id, n})
	return t.Task.Run(ctx, n, set)
}

// gpu returns a device on which every product takes the same time.
func gpu(id string, each time.Duration) fake.Device { return scripted(id, fake.Fixed(each)) }

func scripted(id string, time fake.Timing) fake.Device {
	d := fake.NewDevice(id, hardware.GPU, 1)
	d.Time = time
	return d
}

// budget is more time than any test needs.
var budget = bench.Stop{Budget: time.Hour}

func codes(r *bench.Result) string {
	var c []string
	for _, w := range r.Warnings {
		c = append(c, string(w.Code))
	}
	return strings.Join(c, " ")
}

// verified fails the test unless the result may be compared with others.
func verified(t *testing.T, r *bench.Result) {
	t.Helper()
	if !r.Verified() || len(r.Samples) < 10 || len(r.Warnings) > 0 {
		t.Errorf("%s: %d samples, error %v, check %+v, warnings %v", r.Device.ID, len(r.Samples), r.Error, r.Check, r.Warnings)
	}
}

// failed fails the test unless the lane ended with the given error in the given
// phase.
func failed(t *testing.T, r *bench.Result, code fault.Code, stage bench.Phase, samples int) {
	t.Helper()
	switch {
	case r.Error == nil:
		t.Errorf("%s: no error instead of %q", r.Device.ID, code)
	case !errors.Is(r.Error, code) || r.Stage != stage || len(r.Samples) != samples:
		t.Errorf("%s: error %q (%s) while %s, %d samples; want %q while %s, %d samples", r.Device.ID, r.Error, r.Error.Code, r.Stage, len(r.Samples), code, stage, samples)
	case r.Verified():
		t.Errorf("%s failed and is verified", r.Device.ID)
	}
}
