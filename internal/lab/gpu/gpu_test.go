package gpu

import (
	"errors"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
)

// A launch has its samples, alone and in succession, if every product is right.
func TestLaunch(t *testing.T) {
	right, wrong, skips := fake.NewDevice("right", hardware.GPU, 1e9), fake.NewDevice("wrong", hardware.GPU, 1e9), fake.NewDevice("skips", hardware.GPU, 1e9)
	right.Time = fake.Fixed(3 * time.Microsecond)
	right.Facts = bench.Facts{Notes: []string{"kernel: one"}}
	wrong.Wrong = &fake.Wrong{Add: 1}
	skips.Skip = func(run, _ int) bool { return run == 9 }
	for _, d := range []fake.Device{right, wrong, skips} {
		var g record.GPU
		err := launch(t.Context(), fake.New("fake", &fake.Clock{}, nil, d), d.Device, &g)
		if d.ID != "right" {
			if !errors.Is(err, fault.Wrong) || g.Launch != nil || g.Launches != nil {
				t.Errorf("%s: %v, %v, %v", d.ID, err, g.Launch, g.Launches)
			}
			continue
		}
		if err != nil || len(g.Launch) != launchSamples || len(g.Launches) != manySamples || len(g.Notes) != 1 {
			t.Fatalf("%v, %+v", err, g)
		}
		for _, x := range append(g.Launch, g.Launches...) {
			if x != 3e-6 {
				t.Errorf("a launch of 3 µs takes %g s", x)
			}
		}
	}
}
