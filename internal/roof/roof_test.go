package roof

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/gpuplay/gpuplay/internal/topology"
)

// TestKernels compares every loop that this CPU can run with the one in its
// comment, using guards around the arrays.
func TestKernels(t *testing.T) {
	for _, set := range kernelSets() {
		for _, n := range []int{block, 2 * block, 5 * block} {
			for passes := 1; passes <= 3; passes++ {
				const guard = -77
				all := make([]float64, 3*n+4)
				for i := range all {
					all[i] = guard
				}
				a, b, c := all[1:][:n], all[n+2:][:n], all[2*n+3:][:n]
				want, sum := make([]float64, n), 0.0
				for i := range n {
					b[i], c[i] = float64(i), float64(3*i%7)
					want[i] = b[i] + 2*c[i]
					sum += b[i] * float64(passes)
				}
				set.triad(&a[0], &b[0], &c[0], n, 2, passes)
				if !slices.Equal(a, want) {
					t.Errorf("%s: the triad of %d elements is wrong: %v", set.name, n, a)
				}
				if got := set.sum(&b[0], n, passes); got != sum {
					t.Errorf("%s: %d sums of %d elements are %v, not %v", set.name, passes, n, got, sum)
				}
				for i, at := range []int{0, n + 1, 2*n + 2, 3*n + 3} {
					if all[at] != guard {
						t.Errorf("%s: guard %d was overwritten", set.name, i)
					}
				}
			}
		}
	}
}

// Arrays that are larger than a kernel processes per call are walked to the end,
// piece by piece.
func TestLargeArrays(t *testing.T) {
	const elems = 2*some + block
	var a arrays
	a.allocate(elems)
	want := 0.0
	for _, x := range a.all[:3*elems] {
		want += x
	}
	a.read(3*elems, 2)
	if a.sum != 2*want {
		t.Errorf("two sums of %d elements are %v, not %v", 3*elems, a.sum, 2*want)
	}
	a.triad(elems, 1)
	for i := range elems {
		if a.a[i] != 1.5 || a.b[i] != 1 || a.c[i] != 1 {
			t.Fatalf("element %d: a %v, b %v, c %v", i, a.a[i], a.b[i], a.c[i])
		}
	}
}

func TestPlaces(t *testing.T) {
	n := func(n int) *int { return &n }
	epyc := topology.Topology{Kinds: []topology.Kind{{CPUs: 2, Cores: [][]int{{0}, {1}}, Caches: []topology.Cache{
		{Level: 1, Size: 32 << 10, Domains: [][]int{{0}, {1}}},
		{Level: 2, Size: 512 << 10, Domains: [][]int{{0}, {1}}},
		{Level: 3, Size: 32 << 20, Domains: [][]int{{0, 1}}},
	}}}}
	m1 := topology.Topology{Kinds: []topology.Kind{{CPUs: 4, Caches: []topology.Cache{
		{Level: 1, Size: 128 << 10}, {Level: 2, Size: 12 << 20, Shared: n(4)},
	}}}}
	for _, tt := range []struct {
		name           string
		t              topology.Topology
		threads, limit int
		want           []Place
	}{
		{"one thread", epyc, 1, 0, []Place{{"L1", 16 << 10}, {"L2", 256 << 10}, {"L3", 16 << 20}, {"memory", 384 << 20}}},
		{"two threads share the third level", epyc, 2, 0, []Place{{"L1", 16 << 10}, {"L2", 256 << 10}, {"L3", 8 << 20}, {"memory", 192 << 20}}},
		{"little memory", epyc, 1, 100 << 20, []Place{{"L1", 16 << 10}, {"L2", 256 << 10}, {"L3", 16 << 20}, {"memory", 100 << 20}}},
		{"no room", epyc, 1, 64 << 20, []Place{{"L1", 16 << 10}, {"L2", 256 << 10}, {"L3", 16 << 20}}},
		{"CPUs without numbers", m1, 4, 0, []Place{{"L1", 64 << 10}, {"L2", 3 << 19}, {"memory", 48 << 20}}},
		{"a third level no larger than the second", topology.Topology{Kinds: []topology.Kind{{CPUs: 1, Caches: []topology.Cache{
			{Level: 1, Size: 32 << 10}, {Level: 2, Size: 1 << 20}, {Level: 3, Size: 1408 << 10}}}}}, 1, 0,
			[]Place{{"L1", 16 << 10}, {"L2", 512 << 10}, {"memory", 192 << 20}}},
		{"nothing known", topology.Topology{}, 1, 0, []Place{{"memory", 192 << 20}}},
	} {
		if got := Places(tt.t, tt.threads, tt.limit); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestMeasure(t *testing.T) {
	for _, threads := range []int{1, 2} {
		b, err := Measure(t.Context(), Place{"L1", 16 << 10}, threads)
		if err != nil {
			t.Fatal(err)
		}
		for _, series := range [][]float64{b.Read, b.Triad} {
			if len(series) != samples || slices.Min(series) <= 0 || slices.Max(series) > 1e14 {
				t.Errorf("%d threads: got %v", threads, series)
			}
		}
	}
}

func TestMeasureEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if b, err := Measure(ctx, Place{"L1", 16 << 10}, 2); !errors.Is(err, context.Canceled) || len(b.Read) > 0 || b.Threads != 2 {
		t.Errorf("got %+v, %v", b, err)
	}
	if rates, err := Clock(ctx, 2); chain != nil && (!errors.Is(err, context.Canceled) || len(rates) > 0) {
		t.Errorf("clock: got %v, %v", rates, err)
	}
	if _, err := Memory(t.Context(), 1, 1); !errors.Is(err, ErrNoRoom) {
		t.Errorf("no room: got %v", err)
	}
}

func TestClock(t *testing.T) {
	rates, err := Clock(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if chain == nil {
		if rates != nil {
			t.Errorf("a clock without a chain: %v", rates)
		}
		return
	}
	if len(rates) == 0 || slices.Min(rates) <= 0 || slices.Max(rates) > 20e9 {
		t.Errorf("got %v", rates)
	}
}

func BenchmarkMeasure(b *testing.B) {
	for _, threads := range []int{1, Threads()} {
		for _, p := range Places(topology.Read(), threads, 0) {
			b.Run(p.Name, func(b *testing.B) {
				for b.Loop() {
					w, err := Measure(b.Context(), p, threads)
					if err != nil {
						b.Fatal(err)
					}
					slices.Sort(w.Read)
					slices.Sort(w.Triad)
					b.ReportMetric(w.Read[len(w.Read)/2]/1e9, "read-GB/s")
					b.ReportMetric(w.Triad[len(w.Triad)/2]/1e9, "triad-GB/s")
				}
			})
		}
	}
}
