package bench_test

import (
	"slices"
	"testing"
	"testing/synctest"
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
	cpu, gpu := hardware.CPU, hardware.GPU
	many := []fake.Device{device("A", cpu, 2.78e12), device("B", gpu, 50e12)}
	for i := range 10 {
		many = append(many, device(string(rune('C'+i)), []hardware.Kind{cpu, gpu}[i%2], []float64{1e12, 40e12}[i%2]))
	}
	same := func(n, lanes int) []int { return slices.Repeat([]int{n}, lanes) }
	tests := []struct {
		name    string
		until   time.Duration // 0: no limit
		free    int64         // -1: no function to ask
		devices []fake.Device
		want    []int
	}{
		{"64 cores beside an H200", 0, -1, many[:2], same(8192, 2)},
		{"the same with many lanes", 0, -1, many, same(8192, 12)},
		{"many lanes and little time", 10 * s, -1, many, same(8192, 12)},
		{"16 cores", 0, -1, []fake.Device{device("A", cpu, 1.5e12), device("B", gpu, 50e12)}, same(8192, 2)},
		{"a laptop", 0, -1, []fake.Device{device("A", cpu, 2e11), device("B", gpu, 5e12)}, same(4096, 2)},
		{"a product takes 0.3 s at least", 0, -1, []fake.Device{device("A", cpu, 137e9), device("B", gpu, 5e12)}, same(3072, 2)},
		{"no GPU", 0, -1, []fake.Device{device("A", cpu, 2e11)}, same(2048, 1)},
		{"no CPU", 0, -1, []fake.Device{device("A", gpu, 1e13)}, same(6144, 1)},
		{"a software GPU", 0, -1, []fake.Device{device("A", hardware.SoftwareGPU, 1e10)}, same(1024, 1)},
		{"time for the best of each kind at half the size", 4 * s, -1, many, same(6144, 12)},
		{"hardly any time", ms, -1, many[:2], same(256, 2)},
		{"GPU memory", 0, -1, []fake.Device{device("A", cpu, 1e13), device("B", gpu, 1e13, memory(1100e6))}, same(8192, 2)},
		{"host memory for two", 0, 300e6, []fake.Device{device("A", cpu, 1e12), device("B", cpu, 1e12)}, same(2048, 2)},
		{"host memory for one", 0, 400e6, []fake.Device{device("A", cpu, 1e12), device("B", gpu, 1e12)}, same(4096, 2)},
		{"host memory not known", 0, 0, []fake.Device{device("A", cpu, 1e12)}, same(4096, 1)},
		{"slow neighbour of the same kind", 0, -1, []fake.Device{device("A", cpu, 1e11), device("B", cpu, 1e9)}, []int{2048, 512}},
		{"very slow neighbour", 0, -1, []fake.Device{device("A", cpu, 1e11), device("B", cpu, 1e6)}, []int{2048, 256}},
		{"slower neighbour that keeps up", 0, -1, []fake.Device{device("A", cpu, 1e11), device("B", cpu, 1e10)}, same(2048, 2)},
		{"a GPU that is slower than the CPU", 20 * s, -1, []fake.Device{device("A", cpu, 1e12), device("B", gpu, 1e11)}, same(4096, 2)},
		{"slow to load", 0, -1, []fake.Device{device("A", gpu, 1e13, func(d *fake.Device) { d.Time = d.Time.First(5 * s) })}, same(6144, 1)},
		{"slow with small products", 0, -1, []fake.Device{device("A", cpu, 1, func(d *fake.Device) {
			d.Time = func(g bench.GEMM, _ int) time.Duration { return fake.Speed(2.78e12)(g, 1) + 4*ms }
		}), device("B", gpu, 1e13)}, same(8192, 2)},
		{"lane that fails", 0, -1, []fake.Device{device("A", gpu, 1e13), device("B", gpu, 1e3, hook(fake.FailAt(fake.Prepare, 1, refuse)))}, same(6144, 2)},
		{"lane whose second try fails", 0, -1, []fake.Device{device("A", gpu, 1e13, hook(fake.FailAt(fake.Prepare, 2, refuse)))}, same(6144, 1)},
		{"preparing takes its time too", 10 * s, -1, []fake.Device{device("A", cpu, 2.78e12, func(d *fake.Device) { d.FillTime = 8 * ms }), device("B", gpu, 1e13)}, same(6144, 2)},
		{"and so do the checks", 10 * s, -1, []fake.Device{device("A", cpu, 2.78e12, func(d *fake.Device) { d.CheckTime = 2 * ms }), device("B", gpu, 1e13)}, same(4096, 2)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(tt.devices...)
			if tt.free >= 0 {
				r.Free = func() int64 { return tt.free }
			}
			r.Plan(t.Context(), r.lanes, float32s, 1, bench.Stop{Budget: 10 * s, Until: tt.until})
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

// A size that keeps a GPU busy may take some of the time that is left for checks.
func TestPlanBusyGPU(t *testing.T) {
	for kind, want := range map[hardware.Kind]int{hardware.GPU: 4096, hardware.CPU: 2048} {
		r := newRig(device("A", hardware.CPU, 2e11), device("B", kind, 2e11))
		r.Plan(t.Context(), r.lanes, float32s, 1, bench.Stop{Budget: time.Second, Until: 2 * time.Second, Latest: 20 * time.Second})
		if got := r.lanes[0].GEMM.N; got != want {
			t.Errorf("beside a %s: %d³, want %d³", kind, got, want)
		}
	}
}

// Lanes are probed so that each kind of device has an estimate before the time for that
// is spent.
func TestProbesKindsFirst(t *testing.T) {
	slow := func(d *fake.Device) { d.Time = d.Time.First(3 * time.Second) }
	r := newRig(device("A", hardware.CPU, 1e12), device("B", hardware.CPU, 2e12, slow), device("C", hardware.CPU, 2e12, slow), device("D", hardware.GPU, 1e13, slow))
	r.Plan(t.Context(), r.lanes, float32s, 1, bench.Stop{Budget: 10 * time.Second, Until: 16 * time.Second, Latest: 18 * time.Second})
	if len(r.runsOf("D")) == 0 || len(r.runsOf("B"))+len(r.runsOf("C")) > 0 {
		t.Errorf("probed %v", r.runs)
	}
}

// A lane that compiles for a long time leaves half of the time to measure the others.
func TestProbesWithinHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // steps have their limits in the time of the bubble
		hangs := device("C", hardware.GPU, 1e13)
		hangs.Hook = fake.HangAt(fake.Prepare, 1)
		r := newRig(device("A", hardware.CPU, 2e12), device("B", hardware.GPU, 1e13), hangs)
		begin := time.Now()
		r.Plan(t.Context(), r.lanes, float32s, 1, bench.Stop{Budget: 10 * time.Second, Until: 16 * time.Second, Latest: 18 * time.Second})
		if took := time.Since(begin); took < 7*time.Second || took > 8*time.Second {
			t.Errorf("probing took %v, want half of 16 s", took)
		}
		if got := r.lanes[0].GEMM.N; got < 4096 {
			t.Errorf("products of %d³", got)
		}
	})
}

// A lane with a smaller product of its own says so.
func TestSmallerProduct(t *testing.T) {
	r := newRig(device("A", hardware.CPU, 1e10), device("B", hardware.CPU, 2e8))
	stop := bench.Stop{Budget: 5 * time.Second, Until: 7 * time.Second}
	r.Plan(t.Context(), r.lanes, float32s, 1, stop)
	results := r.race(t, stop)
	if a, b := results[0].GEMM.N, results[1].GEMM.N; a != 1024 || b != 256 {
		t.Errorf("sizes %d and %d", a, b)
	}
	verified(t, results[0])
	if b := results[1]; codes(b) != "smaller" || b.Warnings[0].Text != "measured at 256³: one product at 1024³ would take 10.7 s" {
		t.Errorf("warnings %v", b.Warnings)
	}
}
