package judge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// trip gives a result round trips of a time in all, of which the product is a tenth.
func trip(total time.Duration) func(*bench.Result) {
	return func(r *bench.Result) {
		product := total / 10
		device := product / 2
		r.RoundTrips = slices.Repeat([]bench.RoundTrip{{In: total / 2, Product: product, Device: &device, Out: total - total/2 - product}}, 7)
	}
}

// carried is a size of a sweep whose products take 10 ms on the CPU, 1 ms on the GPU, and
// there in round trips some time.
func carried(n int, total time.Duration, change ...func(*bench.Result)) []*bench.Result {
	g := bench.Square(n, "float32")
	size := recordtest.Size(n, n, n)
	return []*bench.Result{result(torchCPU, g.FLOP()/10e-3, size), result(torchGPU, g.FLOP()/1e-3, append([]func(*bench.Result){size, trip(total)}, change...)...)}
}

const ms = time.Millisecond

// From where the GPU wins with copies is a matter of its round trips alone, measured and
// verified ones.
func TestRuleCrossesWithCopies(t *testing.T) {
	for _, tt := range []struct {
		name string
		r    *record.Run
		want Crossing
	}{
		{"in the middle", sweep(carried(64, 30*ms), carried(256, 20*ms), carried(512, 5*ms), carried(1024, 2*ms)), Crossing{256, 512, true}},
		{"always", sweep(carried(64, 5*ms), carried(512, 5*ms)), Crossing{0, 64, true}},
		{"never", sweep(carried(64, 20*ms)), Crossing{64, 0, true}},
		{"level is no win", sweep(carried(64, 10*ms)), Crossing{64, 0, true}},
		{"no round trips", sweep(pair(64, 2e12)), Crossing{}},
		{"none at one size", sweep(carried(64, 5*ms), pair(512, 2e12)), Crossing{0, 64, true}},
		{"a wrong GPU", sweep(carried(64, 5*ms, failing(fault.Wrong, "wrong"))), Crossing{}},
		{"a software GPU", sweep(carried(64, 5*ms, func(r *bench.Result) { r.Device.Kind = hardware.SoftwareGPU })), Crossing{}},
	} {
		if got := CrossesWithCopies(tt.r); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
		if got := Crosses(tt.r); got.Compared && got.From != tt.r.Results[0].GEMM.N {
			t.Errorf("%s: without copies, %+v", tt.name, got)
		}
	}
}

func TestCopiesSentence(t *testing.T) {
	for want, r := range map[string]*record.Run{
		"From 512³ on, the GPU wins even with the copies of matrices that are in main memory; at 64³ it does not.": sweep(carried(64, 20*ms), carried(512, 5*ms)),
		"From 64³ on, the GPU wins even with the copies of matrices that are in main memory.":                      sweep(carried(64, 5*ms)),
		"With the copies of matrices that are in main memory, the GPU does not win up to the largest size, 512³.":  sweep(carried(64, 20*ms), carried(512, 20*ms)),
		"The GPU wins at every size from 64³ on.":                                                                  sweep(pair(64, 2e12)),
	} {
		if got := Sentences(r); len(got) == 0 || got[len(got)-1] != want {
			t.Errorf("%q, want %q in the end", got, want)
		}
	}
}

// The ratio is of medians, with an interval that allows for those of both.
func TestWithCopies(t *testing.T) {
	p := carried(512, 5*ms)
	c, ok := WithCopies(p[1], p[0])
	if !ok || len(c.Differs) > 0 || c.Ratio.Value < 1.99 || c.Ratio.Value > 2.01 || c.Ratio.Low >= c.Ratio.Value || c.Ratio.High <= c.Ratio.Value || !c.Ratio.Firm() {
		t.Errorf("%+v, %t", c, ok)
	}
	p[0].GEMM.TransB = true
	if c, ok = WithCopies(p[1], p[0]); !ok || len(c.Differs) != 1 || c.Ratio.Value != 0 {
		t.Errorf("of another product: %+v, %t", c, ok)
	}
}

// The table has the lane with the shortest round trip at each size, and tells launching from
// computing only if it can everywhere.
func TestTrips(t *testing.T) {
	own := func(total time.Duration) *bench.Result {
		return result(recordtest.Own, 1e9, recordtest.Size(64, 64, 64), trip(total), recordtest.Engine("cuda"))
	}
	r := sweep(append(carried(64, 20*ms), own(16*ms)), pair(128, 1e12), carried(512, 5*ms))
	heads, rows := NewSweep(r).Trips()
	if d := cmp.Diff([]string{"one product", "copy in", "launch", "compute", "copy out", "in all", "GPU ÷ CPU", "by"}, heads); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([][]string{
		{"64³", "8.00 ms", "800 µs", "800 µs", "6.40 ms", "16.0 ms", "0.62 (0.62–0.63)", "gpuplay"},
		{"512³", "2.50 ms", "250 µs", "250 µs", "2.00 ms", "5.00 ms", "2.0 (1.99–2.0)", "PyTorch cuda"},
	}, rows); d != "" {
		t.Error(d)
	}
	r.Results[len(r.Results)-1].RoundTrips[3].Device = nil
	heads, rows = NewSweep(r).Trips()
	if got := strings.Join(heads, " "); got != "one product copy in product copy out in all GPU ÷ CPU by" || rows[1][2] != "500 µs" {
		t.Errorf("%s: %q", got, rows)
	}
	if _, rows := NewSweep(sweep(pair(64, 1e12))).Trips(); rows != nil {
		t.Errorf("rows of no round trips: %q", rows)
	}
	soft := carried(64, 20*ms, func(r *bench.Result) { r.Device.Kind = hardware.SoftwareGPU })
	if heads, rows = NewSweep(sweep(soft)).Trips(); len(rows) != 1 || slices.Contains(heads, "GPU ÷ CPU") {
		t.Errorf("a software GPU: %q, %q", heads, rows)
	}
}
