package bench_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

func float32s(n int) bench.GEMM { return bench.Square(n, matrix.Float32) }

func device(id string, kind hardware.Kind, speed float64, change ...func(d *fake.Device)) fake.Device {
	d := fake.NewDevice(id, kind, speed)
	for _, c := range change {
		c(&d)
	}
	return d
}

func TestPlan(t *testing.T) {
	memory := func(n int64) func(d *fake.Device) { return func(d *fake.Device) { d.Memory = &n } }
	hook := func(h fake.Hook) func(d *fake.Device) { return func(d *fake.Device) { d.Hook = h } }
	refuse := &fault.Error{Code: fault.OutOfMemory, Message: "full"}
	const s = time.Second
	tests := []struct {
		name    string
		budget  time.Duration
		free    int64 // -1: no function to ask
		devices []fake.Device
		want    []int
	}{
		{"budget", 10 * s, -1, []fake.Device{device("A", hardware.GPU, 1e13)}, []int{8192}},
		{"more budget", 12 * s, -1, []fake.Device{device("A", hardware.GPU, 1e13)}, []int{16384}},
		{"tiny budget", ms, -1, []fake.Device{device("A", hardware.GPU, 1e13)}, []int{256}},
		{"two share a budget", 12 * s, -1, []fake.Device{device("A", hardware.GPU, 1e13), device("B", hardware.GPU, 1e13)}, []int{8192, 8192}},
		{"GPU memory", time.Hour, -1, []fake.Device{device("A", hardware.GPU, 1e13), device("B", hardware.GPU, 1e13, memory(1100e6))}, []int{8192, 8192}},
		{"host memory for two", time.Hour, 300e6, []fake.Device{device("A", hardware.CPU, 1e12), device("B", hardware.CPU, 1e12)}, []int{2048, 2048}},
		{"host memory for one", time.Hour, 400e6, []fake.Device{device("A", hardware.CPU, 1e12), device("B", hardware.GPU, 1e12)}, []int{4096, 4096}},
		{"host memory not known", time.Hour, 0, []fake.Device{device("A", hardware.CPU, 1e12)}, []int{16384}},
		{"slow neighbour of the same kind", 10 * s, -1, []fake.Device{device("A", hardware.CPU, 1e11), device("B", hardware.CPU, 1e9)}, []int{2048, 512}},
		{"very slow neighbour", 10 * s, -1, []fake.Device{device("A", hardware.CPU, 1e11), device("B", hardware.CPU, 1e6)}, []int{2048, 256}},
		{"slower neighbour that keeps up", 20 * s, -1, []fake.Device{device("A", hardware.CPU, 1e11), device("B", hardware.CPU, 1e10)}, []int{1024, 1024}},
		{"CPU beside a GPU", 20 * s, -1, []fake.Device{device("A", hardware.GPU, 1e13), device("B", hardware.CPU, 1e11)}, []int{4096, 4096}},
		{"slow neighbour and no time", ms, -1, []fake.Device{device("A", hardware.GPU, 1e13), device("B", hardware.GPU, 1e11)}, []int{256, 256}},
		{"slow, but the fastest of its kind", 60 * s, -1, []fake.Device{device("A", hardware.GPU, 1e13), device("B", hardware.GPU, 1e13), device("C", hardware.GPU, 1e13), device("D", hardware.GPU, 1e13), device("E", hardware.CPU, 3.35e10)}, []int{4096, 4096, 4096, 4096, 4096}},
		{"slow to load", 10 * s, -1, []fake.Device{device("A", hardware.GPU, 1e13, func(d *fake.Device) { d.Time = d.Time.First(5 * s) })}, []int{8192}},
		{"lane that fails", 10 * s, -1, []fake.Device{device("A", hardware.GPU, 1e13), device("B", hardware.GPU, 1e3, hook(fake.FailAt(fake.Prepare, 1, refuse)))}, []int{8192, 8192}},
		{"lane whose second try fails", 10 * s, -1, []fake.Device{device("A", hardware.GPU, 1e13, hook(fake.FailAt(fake.Prepare, 2, refuse)))}, []int{8192}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(tt.devices...)
			if tt.free >= 0 {
				r.Free = func() int64 { return tt.free }
			}
			r.Plan(t.Context(), r.lanes, float32s, 1, tt.budget)
			var got []int
			for _, l := range r.lanes {
				if l.GEMM != float32s(l.GEMM.N) {
					t.Errorf("product %+v", l.GEMM)
				}
				got = append(got, l.GEMM.N)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Race takes as long as Plan estimated, and a lane with a smaller product says so.
func TestPlanThenRace(t *testing.T) {
	r := newRig(device("A", hardware.CPU, 1e10), device("B", hardware.CPU, 2e8))
	const budget = 5 * time.Second
	r.Plan(t.Context(), r.lanes, float32s, 1, budget)
	start := r.clock.Now()
	results := r.race(t, bench.Stop{Budget: budget})
	if took := r.clock.Now().Sub(start); took > budget*5/4 {
		t.Errorf("race of %v took %v", budget, took)
	}
	if a, b := results[0].GEMM.N, results[1].GEMM.N; a != 1024 || b != 256 {
		t.Errorf("sizes %d and %d", a, b)
	}
	verified(t, results[0])
	if b := results[1]; codes(b) != "smaller" && codes(b) != "smaller few_samples" || b.Warnings[0].Text != "measured at 256³: one product at 1024³ would take 10.7 s" {
		t.Errorf("warnings %v", b.Warnings)
	}
}
