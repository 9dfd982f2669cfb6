package bench_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// small is a product whose check costs next to nothing.
var small = bench.Square(16, matrix.Float32)

// A rig is a runner on a clock of its own with scripted devices, and what was
// seen of them.
type rig struct {
	bench.Runner
	clock  *fake.Clock
	lanes  []bench.Lane
	events []bench.Event
	runs   []call // of all tasks, in order
}

// A call is one Run.
type call struct {
	id string
	n  int
}

func newRig(devices ...fake.Device) *rig {
	r := &rig{clock: &fake.Clock{}}
	r.Now = r.clock.Now
	r.Observe = func(e bench.Event) { r.events = append(r.events, e) }
	engine := recorder{fake.New("fake", r.clock, nil, devices...), r}
	for _, d := range devices {
		r.lanes = append(r.lanes, bench.Lane{Engine: engine, Device: d.Device, GEMM: small})
	}
	return r
}

func (r *rig) race(t *testing.T, stop bench.Stop) []*bench.Result {
	t.Helper()
	return r.Race(t.Context(), r.lanes, 1, stop)
}

// runsOf returns the products of each run of one device.
func (r *rig) runsOf(id string) []int {
	var n []int
	for _, c := range r.runs {
		if c.id == id {
			n = append(n, c.n)
		}
	}
	return n
}

// order returns the devices of the last n runs, a letter each.
func (r *rig) order(n int) string {
	var b strings.Builder
	for _, c := range r.runs[len(r.runs)-n:] {
		b.WriteString(c.id)
	}
	return b.String()
}

// recorder is an engine that a rig watches.
type recorder struct {
	*fake.Engine
	rig *rig
}

func (e recorder) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64) (bench.Task, error) {
	task, err := e.Engine.Prepare(ctx, d, g, seed)
	return recorded{task, e.rig, d.ID}, err
}

type recorded struct {
	bench.Task
	rig *rig
	id  string
}

func (t recorded) Run(ctx context.Context, n int) (bench.Sample, error) {
	t.rig.runs = append(t.rig.runs, call{t.id, n})
	return t.Task.Run(ctx, n)
}

// gpu returns a device that takes the same time for every product.
func gpu(id string, each time.Duration) fake.Device { return scripted(id, fake.Fixed(each)) }

func scripted(id string, time fake.Timing) fake.Device {
	d := fake.NewDevice(id, hardware.GPU, 1)
	d.Time = time
	return d
}

// budget is more than any test needs.
var budget = bench.Stop{Budget: time.Hour}

func codes(r *bench.Result) string {
	var c []string
	for _, w := range r.Warnings {
		c = append(c, string(w.Code))
	}
	return strings.Join(c, " ")
}

// verified fails the test unless the result can be compared with others.
func verified(t *testing.T, r *bench.Result) {
	t.Helper()
	if !r.Verified() || len(r.Samples) < 10 || len(r.Warnings) > 0 {
		t.Errorf("%s: %d samples, error %v, check %+v, warnings %v", r.Device.ID, len(r.Samples), r.Error, r.Check, r.Warnings)
	}
}

// failed fails the test unless the lane ended with that error at that stage.
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
