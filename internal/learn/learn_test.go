package learn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

func ladder(t testing.TB) []Rung {
	t.Helper()
	rungs, end, err := Ladder(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	return rungs
}

// Integers make the sums exact in any order, so that all rungs agree to the last
// bit.
func TestRungs(t *testing.T) {
	for _, r := range ladder(t) {
		for _, s := range [][3]int{{1, 1, 1}, {1, 7, 3}, {5, 1, 9}, {3, 4, 130}, {17, 33, 65}, {4, 300, 5}, {7, 259, 131}, {64, 64, 64}} {
			m, n, k := s[0], s[1], s[2]
			const guard = -1e30
			a, b, c := make([]float32, m*k), make([]float32, k*n), make([]float32, m*n+1)
			for i := range a {
				a[i] = float32(i*7%11 - 5)
			}
			for i := range b {
				b[i] = float32(i*5%13 - 6)
			}
			for i := range c {
				c[i] = guard
			}
			if err := r.multiply(t.Context(), m, n, k, a, b, c[:m*n]); err != nil {
				t.Fatal(err)
			}
			for i := range m {
				for j := range n {
					var want float64
					for p := range k {
						want += float64(a[i*k+p]) * float64(b[p*n+j])
					}
					if got := float64(c[i*n+j]); got != want {
						t.Fatalf("%s %d×%d×%d: C[%d,%d] is %v, not %v", r.Name, m, n, k, i, j, got, want)
					}
				}
			}
			if c[m*n] != guard {
				t.Errorf("%s %d×%d×%d wrote behind C", r.Name, m, n, k)
			}
		}
	}
}

func TestClimb(t *testing.T) {
	var seen []string
	rungs := ladder(t)
	steps, err := Climb(t.Context(), rungs, 33, func(s Step) { seen = append(seen, s.Name) })
	if err != nil || len(steps) != len(rungs) {
		t.Fatalf("%d steps, %v", len(steps), err)
	}
	for i, s := range steps {
		if s.Name != rungs[i].Name || s.Name != seen[i] || len(s.Seconds) == 0 || len(s.Starts) != len(s.Seconds) || slices.Min(s.Seconds) <= 0 || !s.Check.Passed || s.Threads < 1 {
			t.Errorf("got %+v", s)
		}
		if known := s.Name == "vector" || s.Name == "threads"; (s.Peak != nil) != (known && gemm.ISAs()[0] != gemm.Portable) {
			t.Errorf("%s has the peak %v", s.Name, s.Peak)
		}
	}
}

func TestClimbFindsWrongProducts(t *testing.T) {
	wrong := Rung{Name: "wrong", multiply: func(context.Context, int, int, int, []float32, []float32, []float32) error { return nil }}
	if steps, err := Climb(t.Context(), []Rung{ladder(t)[0], wrong}, 16, func(Step) {}); err == nil || len(steps) != 1 {
		t.Errorf("%d steps, %v", len(steps), err)
	}
}

func TestClimbEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	steps, err := Climb(ctx, ladder(t), 16, func(Step) { cancel() })
	if !errors.Is(err, context.Canceled) || len(steps) == 0 || len(steps) > 2 {
		t.Errorf("%d steps, %v", len(steps), err)
	}
}

func BenchmarkRungs(b *testing.B) {
	for _, r := range ladder(b) {
		for _, n := range []int{256, 1024} {
			b.Run(fmt.Sprintf("%s/%d", r.Name, n), func(b *testing.B) {
				x, y, z := make([]float32, n*n), make([]float32, n*n), make([]float32, n*n)
				matrix.NewStream(1, matrix.A, matrix.Float32).Fill32(x, 0)
				matrix.NewStream(1, matrix.B, matrix.Float32).Fill32(y, 0)
				for b.Loop() {
					if err := r.multiply(b.Context(), n, n, n, x, y, z); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(2*float64(n)*float64(n)*float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
