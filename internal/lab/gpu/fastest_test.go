package gpu

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/lab/labtest"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
)

// scripted returns a GPU that is faster with longer sums, and twice as fast if C is 128×128.
func scripted(id string, speed float64) fake.Device {
	d := fake.NewDevice(id, hardware.GPU, speed)
	d.Time = func(g bench.GEMM, _ int) time.Duration {
		x := g.FLOP() / speed * (1 + 100/float64(g.K))
		if g.M == 128 && g.N == 128 {
			x /= 2
		}
		return time.Duration(x * float64(time.Second))
	}
	d.PrepareTime = 400 * time.Millisecond
	return d
}

// searched returns what a search through devices finds, each behind an engine of its own, and
// how long it took.
func searched(t *testing.T, ctx context.Context, o Options, devices ...fake.Device) *record.Fastest {
	t.Helper()
	clock := &fake.Clock{}
	var lanes []bench.Lane
	for _, d := range devices {
		lanes = append(lanes, bench.Lane{Engine: fake.New(d.ID, clock, nil, d), Device: d.Device})
	}
	lab.LaneIDs(lanes)
	watch := labtest.New(clock)
	f := findFastest(ctx, lab.Deps{}, o, watch.Stream, lanes)
	watch.Events()
	return f
}

// The fastest product of the fastest engine is found, measured in turns with others within the
// time, and once through the other engine. An engine that has no code for the type is left out.
func TestFastest(t *testing.T) {
	o := Options{Time: 30 * time.Second, DType: matrix.Float32}
	none := scripted("none", 1e12)
	none.DTypes = []matrix.DType{matrix.Float16}
	f := searched(t, t.Context(), o, scripted("slow", 1e9), scripted("fast", 2e9), none)
	best := f.Best()
	if f.Error != nil || best == nil || best.Engine != "fast" || best.GEMM.M != 128 || best.GEMM.N != 128 || best.GEMM.K != 1024 {
		t.Fatalf("%+v, %+v", f, best)
	}
	if speed, _ := best.Speed(); speed.Value < 3.6e9 || speed.Value > 3.7e9 {
		t.Errorf("the fastest product has %g FLOP/s, want 3.64e9", speed.Value)
	}
	engines := map[string]int{}
	for _, r := range f.Finals {
		engines[r.Engine]++
		if !r.Verified() || len(r.Warnings) > 0 || r.GEMM.In != matrix.Float32 {
			t.Errorf("%+v", r)
		}
	}
	if engines["fast"] != finalists || engines["slow"] != 1 || len(engines) != 2 {
		t.Errorf("measured in turns: %v", engines)
	}
	if f.Took > o.Time || len(f.Tried) < 20 || f.DType != matrix.Float32 || f.Sizes[0] != least || f.Sizes[len(f.Sizes)-1] != 16*least {
		t.Errorf("%d products of %v in %s", len(f.Tried), f.Sizes, f.Took)
	}
}

// The grid of a fast GPU has larger products, as far as its memory allows.
func TestFastestGrid(t *testing.T) {
	fast, small := scripted("fast", 1e12), scripted("small", 1e12)
	small.Memory = new(int64)
	*small.Memory = 12 << 20
	fast.PrepareTime, small.PrepareTime = time.Second, time.Second
	for want, d := range map[int]fake.Device{128: fast, 64: small} {
		if f := searched(t, t.Context(), Options{Time: 5 * time.Second, DType: matrix.Float32}, d); len(f.Sizes) == 0 || f.Sizes[0] != want {
			t.Errorf("%s: sizes %v, want %d first", d.ID, f.Sizes, want)
		}
	}
}

// Without a type, the first is taken that the GPU computes in.
func TestFastestType(t *testing.T) {
	d := scripted("old", 1e9)
	d.DTypes = []matrix.DType{matrix.Float16, matrix.Float32}
	if f := searched(t, t.Context(), Options{Time: 5 * time.Second}, d); f.DType != matrix.Float16 || f.Best() == nil {
		t.Errorf("%+v", f)
	}
	d.DTypes = []matrix.DType{matrix.Float64}
	if f := searched(t, t.Context(), Options{Time: 5 * time.Second}, d); f.Error == nil || f.Error.Code != fault.Unsupported || f.Best() != nil {
		t.Errorf("%+v", f)
	}
}

// A wrong product ends the search, and one for which there is no memory does not. After an
// interrupt, what was tried is kept.
func TestFastestFails(t *testing.T) {
	o := Options{Time: 30 * time.Second, DType: matrix.Float32}
	wrong := scripted("wrong", 1e9)
	wrong.Wrong = &fake.Wrong{Row: 300, Add: 1} // in products of more rows than those that a search begins with
	if f := searched(t, t.Context(), o, wrong); f.Error == nil || f.Error.Code != fault.Wrong || f.Best() != nil || len(f.Finals) > 0 || len(f.Tried) < 3 {
		t.Errorf("%+v", f)
	}
	full := scripted("full", 1e9)
	full.Hook = fake.FailAt(fake.Prepare, 5, fault.Errorf(fault.OutOfMemory, "no memory"))
	if f := searched(t, t.Context(), o, full); f.Error != nil || f.Best() == nil {
		t.Errorf("%+v", f)
	}
	ctx, cancel := context.WithCancel(t.Context())
	interrupted := scripted("interrupted", 1e9)
	interrupted.Hook = func(_ context.Context, s fake.Stage, k int) error {
		if s == fake.Prepare && k == 6 {
			cancel()
		}
		return nil
	}
	if f := searched(t, ctx, o, interrupted); f.Error != nil || len(f.Finals) > 0 || len(f.Tried) != 5 {
		t.Errorf("%+v", f)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Time: -1}, {Time: time.Second}, {DType: "float8"}} {
		if err := o.check(); !errors.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// Of equal cards, the first is searched, or the one that more engines reach.
func TestWorthSearching(t *testing.T) {
	on := func(api string, card int) hardware.Device {
		return hardware.Device{ID: fmt.Sprint(api, card), Name: "GPU", Kind: hardware.GPU, API: api, Card: &card}
	}
	all := []hardware.Device{on("cuda", 0), on("vulkan", 0), on("cuda", 1), on("vulkan", 1)}
	hidden := []hardware.Device{on("vulkan", 0), on("cuda", 1), on("vulkan", 1)} // card 0 from CUDA
	other := on("cuda", 1)
	other.Name = "another GPU"
	for _, tt := range []struct {
		name    string
		devices []hardware.Device
		want    []int
	}{{"equal", all, []int{0}}, {"hidden", hidden, []int{1}}, {"different", []hardware.Device{on("cuda", 0), other}, []int{0, 1}}} {
		var gpus []record.GPU
		var lanes []bench.Lane
		for _, d := range tt.devices {
			gpus, lanes = append(gpus, record.GPU{Device: d}), append(lanes, bench.Lane{Device: d})
		}
		var got []int
		for i := range gpus {
			if worthSearching(i, gpus, lanes) {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v are searched, want %v", tt.name, got, tt.want)
		}
	}
}
