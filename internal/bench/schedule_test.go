package bench_test

import (
	"slices"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
)

// With little time lanes first have fewer samples, never below those that an interval
// needs, and then fewer lanes are measured: the fastest of each kind always. The race
// ends in time.
func TestUntil(t *testing.T) {
	const s = time.Second
	cpu, gpu := hardware.CPU, hardware.GPU
	each := func(id string, kind hardware.Kind, took time.Duration, change ...func(*fake.Device)) fake.Device {
		d := device(id, kind, 1, change...)
		d.Time = fake.Fixed(took).Jitter(0.1, 1) // too noisy for few samples to be enough
		return d
	}
	checks := func(took time.Duration) func(*fake.Device) {
		return func(d *fake.Device) {
			d.CheckTime = time.Duration(float64(took) / 2 / (small.Bytes() / (1 << 20)))
		}
	}
	for _, tt := range []struct {
		name    string
		stop    bench.Stop
		devices []fake.Device
		samples []int // of each lane, 0: left out
	}{
		{"time for all", bench.Stop{Budget: 60 * s, Until: 100 * s}, []fake.Device{each("A", cpu, 400*ms), each("B", gpu, ms), each("C", cpu, 500*ms)}, []int{16, 20, 16}},
		{"fewer samples", bench.Stop{Budget: 8 * s, Until: 14 * s}, []fake.Device{each("A", cpu, 400*ms), each("B", gpu, ms), each("C", cpu, 500*ms)}, []int{9, 20, 7}},
		{"an interval's samples beyond the budget", bench.Stop{Budget: 2 * s, Until: 14 * s}, []fake.Device{each("A", cpu, 400*ms), each("B", gpu, ms), each("C", cpu, 500*ms)}, []int{6, 6, 6}},
		{"fewer lanes", bench.Stop{Budget: 8 * s, Until: 9 * s}, []fake.Device{each("A", cpu, 400*ms), each("B", gpu, ms), each("C", cpu, 500*ms), each("D", gpu, ms)}, []int{10, 20, 0, 20}},
		{"the first of each kind", bench.Stop{Budget: s, Until: s}, []fake.Device{each("A", cpu, 30*ms), each("B", cpu, 30*ms), each("C", gpu, ms), each("D", gpu, ms)}, []int{2, 0, 2, 0}},
		{"checks take their time", bench.Stop{Budget: 8 * s, Until: 10 * s}, []fake.Device{each("A", cpu, 100*ms, checks(500*ms)), each("B", gpu, ms), each("C", cpu, 100*ms, checks(500*ms))}, []int{16, 20, 0}},
		{"one product takes longer", bench.Stop{Budget: s, Until: s}, []fake.Device{each("A", cpu, 3*s), each("B", gpu, ms)}, []int{1, 1}},
		{"the number is fixed", bench.Stop{Repeat: 30, Budget: s}, []fake.Device{each("A", cpu, 100*ms), each("B", cpu, 100*ms)}, []int{30, 30}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(tt.devices...)
			results := r.race(t, tt.stop)
			var got []int
			for _, x := range results {
				if x == nil {
					got = append(got, 0)
					continue
				}
				if x.Error != nil || x.Has(measure.FewSamples) != (len(x.Samples) < 6) {
					t.Errorf("%s: %d samples, warnings %v, error %v", x.Lane, len(x.Samples), x.Warnings, x.Error)
				}
				got = append(got, len(x.Samples))
			}
			if !slices.Equal(got, tt.samples) {
				t.Errorf("%v samples, want %v", got, tt.samples)
			}
			if took := r.Now(); tt.stop.Until > s && took > tt.stop.Until {
				t.Errorf("it took %v of %v", took, tt.stop.Until)
			}
		})
	}
}

// What Plan has learnt decides who is left out: who is far from the fastest of its kind,
// wherever in the list.
func TestLeftOutByWorth(t *testing.T) {
	r := newRig(device("slow", hardware.CPU, 1e9), device("fast", hardware.CPU, 2e9), device("near", hardware.CPU, 1.8e9),
		device("gpu", hardware.GPU, 80e9), device("other", hardware.GPU, 78e9))
	stop := bench.Stop{Budget: 10 * time.Second, Until: 14 * time.Second}
	r.Plan(t.Context(), r.lanes, float32s, 1, stop)
	if n := r.lanes[0].GEMM.N; n != 768 {
		t.Fatalf("size %d", n)
	}
	for i, x := range r.race(t, stop) {
		if (x == nil) != (r.lanes[i].ID == "slow") {
			t.Errorf("%s: %+v", r.lanes[i].ID, x)
		}
	}
	if took := r.Now(); took > stop.Until {
		t.Errorf("it took %v of %v", took, stop.Until)
	}
}

// A lane whose worker ended because of another lane goes on, with what is checked
// checked.
func TestLostWithAnotherLane(t *testing.T) {
	lost := fault.Errorf(fault.Lost, "ended because of another lane")
	for _, tt := range []struct {
		name     string
		at       int // call of MulVec
		verified bool
		codes    string
	}{
		{"its first product", 1, true, ""},
		{"its last sample", 2*9 + 1, false, "unchecked"},
	} {
		r := newRig(device("A", hardware.CPU, 1, func(d *fake.Device) {
			d.Time, d.Hook = fake.Fixed(100*ms), fake.FailAt(fake.MulVec, tt.at, lost)
		}))
		for _, x := range r.race(t, budget) {
			if x.Verified() != tt.verified || codes(x) != tt.codes || x.Error != nil || len(x.Samples) != 10 {
				t.Errorf("%s: %d samples, check %+v, warnings %v, error %v", tt.name, len(x.Samples), x.Check, x.Warnings, x.Error)
			}
		}
	}
}
