package gemm

import (
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
)

// thin lists shapes that have code paths of their own: a matrix-vector product, few
// rows, one panel of columns, a long k. Each is tested with and without gaps
// between the rows.
var thin = []Problem{
	{M: 1, N: 3000, K: 7}, {M: 1, N: 2100, K: 1}, {M: 900, N: 1, K: 67}, {M: 33, N: 1, K: 9}, {M: 3, N: 1, K: 129}, {M: 1, N: 2, K: 64},
	{M: 5, N: 1300, K: 90}, {M: 11, N: 700, K: 131}, {M: 300, N: 16, K: 500}, {M: 301, N: 5, K: 33},
	{M: 9, N: 11, K: 2000}, {M: 64, N: 33, K: 777}, {M: 2, N: 1, K: 3000},
}

func TestThin(t *testing.T) {
	products := exact{}
	eachISA(t, func(t *testing.T, isa ISA) {
		for _, threads := range []int{1, 2, 3} {
			for _, small := range []bool{false, true} {
				if testing.Short() && (threads != 2 || !small || isa == Portable) || !enginetest.AllCases() && threads != 2 {
					continue
				}
				p := newPool(t, isa, threads, small)
				for i := range lanes {
					for _, g := range thin {
						if g.K > 1500 && (lanes[i].name == "float16" || lanes[i].name == "bfloat16") {
							continue // sums of more terms may be rounded before the end
						}
						for _, apart := range []int{0, 3} {
							if !enginetest.AllCases() && apart == 0 {
								continue
							}
							for _, trans := range transposes {
								g.TransA, g.TransB = trans.TransA, trans.TransB
								if apart > 0 {
									g.LDA, g.LDB, g.LDC = max(g.M, g.K)+apart, max(g.K, g.N)+apart, g.N+apart
								} else {
									g.LDA, g.LDB, g.LDC = 0, 0, 0
								}
								products.test(t, p, &lanes[i], g)
							}
						}
					}
				}
			}
		}
	})
}

// TestWays checks which way each shape takes, so that the tests above are known to
// cover them all.
func TestWays(t *testing.T) {
	if ISAs()[0] == Portable || ISAs()[0] == NEON {
		t.Skip("portable Go and NEON know fewer ways")
	}
	p := newPool(t, "", 2, false)
	for _, tt := range []struct {
		m, n, k int
		trans   bool
		way     way
		threads int
	}{
		{16, 16, 16, false, inPlace, 1},
		{100, 100, 100, false, inPlace, 2},
		{100, 100, 100, true, packed, 2},
		{2000, 2000, 600, false, packed, 2},
		{5, 2000, 2000, false, inPlace, 2},
		{2000, 16, 2000, false, inPlace, 2},
		{64, 64, 10_000, false, split, 2},
		{1, 1000, 1000, false, matrixVector, 2},
		{1000, 1, 1000, true, matrixVector, 2},
	} {
		d := &p.driver
		d.prepare(&p.set.float32s, product{m: tt.m, n: tt.n, depth: tt.k, lda: 4 * tt.k, ldb: 4 * tt.n, ldc: 4 * tt.n, transB: tt.trans}, 1)
		if d.way != tt.way || d.threads != tt.threads {
			t.Errorf("%d×%d×%d, transposed %v: way %d on %d threads, not %d on %d", tt.m, tt.n, tt.k, tt.trans, d.way, d.threads, tt.way, tt.threads)
		}
		d.release()
	}
}

// TestSameBitsThin checks that sums shared by several threads are the same on every
// run with the same number of threads, with garbage collections in the middle.
func TestSameBitsThin(t *testing.T) {
	stop := make(chan struct{})
	var collector sync.WaitGroup
	collector.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	for _, g := range []Problem{{M: 20, N: 30, K: 20_000}, {M: 1, N: 2000, K: 300}, {M: 700, N: 1, K: 900}, {M: 5, N: 900, K: 400}} {
		a, b := singles(noise(g.M*g.K, 5)), singles(noise(g.K*g.N, 6))
		for _, threads := range []int{1, 2, 3} {
			p := newPool(t, "", threads, false)
			var first []float32
			for range 5 {
				c := make([]float32, g.M*g.N)
				if err := p.Float32(t.Context(), 2, g, a, b, c); err != nil {
					t.Fatal(err)
				}
				if first == nil {
					first = c
				}
				if !slices.Equal(c, first) {
					t.Fatalf("%+v: %d threads give different bits", g, threads)
				}
			}
		}
	}
	close(stop)
	collector.Wait()
}
