package gemm

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/topology"
)

// TestShapes tests shapes around the size of a tile, which exercise every edge of
// every kernel.
func TestShapes(t *testing.T) {
	products := exact{}
	eachISA(t, func(t *testing.T, isa ISA) {
		for _, small := range []bool{false, true} {
			p := newPool(t, isa, 2, small)
			for i := range lanes {
				kn := &p.set.float32s
				if lanes[i].name == "float64" {
					kn = &p.set.float64s
				}
				mr, nr := len(kn.tiles[kn.vecs])-1, kn.vecs*kn.lanes
				ms := []int{1, mr - 1, mr, mr + 1, 4*mr + 3}
				ns := []int{1, nr - 1, nr, nr + 1, 2*nr + 3}
				ks := []int{1, 2, 3, 4, 16, 33}
				if testing.Short() {
					ms, ns, ks = ms[1:4], ns[1:4], []int{1, 4, 17}
				}
				for _, m := range ms {
					for _, n := range ns {
						for _, k := range ks {
							for _, g := range transposes {
								g.M, g.N, g.K = m, n, k
								products.test(t, p, &lanes[i], g)
							}
						}
					}
				}
			}
		}
	})
}

// TestOdd tests shapes that take other paths through the loops: thin, long, with
// gaps between rows, with several blocks and spans.
func TestOdd(t *testing.T) {
	shapes := []Problem{
		{M: 1, N: 700, K: 40}, {M: 700, N: 1, K: 40}, {M: 1, N: 1, K: 1500}, {M: 3, N: 5, K: 900},
		{M: 500, N: 3, K: 2}, {M: 2, N: 600, K: 300}, {M: 127, N: 129, K: 65},
		{M: 37, N: 41, K: 43, LDA: 101, LDB: 103, LDC: 107}, {M: 256, N: 64, K: 64, LDC: 65},
	}
	products := exact{}
	eachISA(t, func(t *testing.T, isa ISA) {
		for _, threads := range []int{1, 2} {
			for _, small := range []bool{false, true} {
				p := newPool(t, isa, threads, small)
				for i := range lanes {
					for _, g := range shapes {
						if testing.Short() && (threads == 1 || g.M*g.N*g.K > 30_000) {
							continue
						}
						for _, trans := range transposes {
							g.TransA, g.TransB = trans.TransA, trans.TransB
							products.test(t, p, &lanes[i], g)
						}
					}
				}
			}
		}
	})
}

// TestRounding uses full mantissas, so that sums are not exact, and default blocks,
// with more than one block of k.
func TestRounding(t *testing.T) {
	eachISA(t, func(t *testing.T, isa ISA) {
		p := newPool(t, isa, 2, false)
		for _, l := range lanes {
			for _, g := range transposes {
				g.M, g.N, g.K = 31, 37, 500
				a, b := noise(g.M*g.K, 3), noise(g.K*g.N, 4)
				for _, xs := range [][]float64{a, b} {
					for i, x := range xs {
						xs[i] = l.operand(x)
					}
				}
				got, err := l.product(p, g, a, b)
				if err != nil {
					t.Fatal(err)
				}
				want, size := reference(g, a, b)
				for i := range want {
					bound := 2 * float64(g.K) * l.unit * size[i]
					if got[i] < l.round(want[i]-bound) || got[i] > l.round(want[i]+bound) || math.IsNaN(got[i]) {
						t.Fatalf("%s %+v: element %d is %v, not %v ± %.2g", l.name, g, i, got[i], want[i], bound)
					}
				}
			}
		}
	})
}

// TestRoundedOnce computes sums that lie between two float16 numbers: rounding the
// sum of each block, or rounding towards zero, would give a different result.
func TestRoundedOnce(t *testing.T) {
	for _, isa := range ISAs() {
		p := newPool(t, isa, 1, true)
		for _, tt := range []struct{ terms, float16, bfloat16 float64 }{
			{2049, 2048, 2048}, {2051, 2052, 2048}, {257, 257, 256}, {259, 259, 260}, {4097, 4096, 4096},
		} {
			k := int(tt.terms)
			ones := make([]float64, k)
			for i := range ones {
				ones[i] = 1
			}
			for i, want := range map[int]float64{2: tt.float16, 3: tt.bfloat16} {
				if got, err := lanes[i].product(p, Problem{M: 1, N: 1, K: k}, ones, ones); err != nil || got[0] != want {
					t.Errorf("%v: %d ones summed in %s are %v, not %v (%v)", isa, k, lanes[i].name, got, want, err)
				}
			}
		}
	}
}

func TestSpecialValues(t *testing.T) {
	inf, nan, negative := math.Inf(1), math.NaN(), math.Copysign(0, -1)
	tiny := map[string]float64{"float64": 0x1p-1074, "float32": 0x1p-149, "float16": 0x1p-24, "bfloat16": 0x1p-133}
	eachISA(t, func(t *testing.T, isa ISA) {
		p := newPool(t, isa, 1, false)
		for _, l := range lanes[:4] {
			least := tiny[l.name]
			for _, tt := range []struct{ a, b, want float64 }{
				{nan, 0, nan}, {0, nan, nan}, {inf, 0, nan}, {inf, -1, -inf}, {inf, inf, inf}, {0, 1, 0}, {negative, 1, 0},
				{least, 1, least}, {-3 * least, 1, -3 * least}, {least, 0.5, 0},
			} {
				if tt.b == 0.5 && (l.name == "float16" || l.name == "bfloat16") {
					tt.want = l.round(least / 2) // exact in float32 before it is rounded
				}
				if p.set.kernel(l.arithmetic).group > 1 && (tt.a == least || tt.a == -3*least) {
					tt.want = 0 // VDPBF16PS and BFDOT treat subnormal numbers as zeros
				}
				// One special element in A meets one in B; all other elements are
				// zeros.
				const size = 35
				a, b := make([]float64, size*size), make([]float64, size*size)
				a[17*size+5], b[5*size+33] = tt.a, tt.b
				got, err := l.product(p, Problem{M: size, N: size, K: size}, a, b)
				if err != nil {
					t.Fatal(err)
				}
				want, _ := reference(Problem{M: size, N: size, K: size}, a, b)
				want[17*size+33] = tt.want
				for i := range want {
					if math.Float64bits(got[i]) != math.Float64bits(want[i]) && !(math.IsNaN(got[i]) && math.IsNaN(want[i])) {
						t.Fatalf("%s: %v times %v: C[%d,%d] is %v, not %v", l.name, tt.a, tt.b, i/size, i%size, got[i], want[i])
					}
				}
			}
		}
	})
}

// TestSameBits computes the same product repeatedly. The number of threads makes a
// difference only where they share k.
func TestSameBits(t *testing.T) {
	eachISA(t, func(t *testing.T, isa ISA) {
		for _, tt := range []struct {
			g       Problem
			sharesK bool
		}{{Problem{M: 70, N: 80, K: 600, TransB: true}, false}, {Problem{M: 30, N: 40, K: 1500}, true}} {
			for _, l := range lanes {
				a, b := noise(tt.g.M*tt.g.K, 5), noise(tt.g.K*tt.g.N, 6)
				for _, xs := range [][]float64{a, b} {
					for i, x := range xs {
						xs[i] = l.operand(x)
					}
				}
				var first []float64
				for _, threads := range []int{1, 2, 2} {
					p := newPool(t, isa, threads, false)
					if tt.sharesK {
						first = nil
					}
					for range 3 {
						c, err := l.product(p, tt.g, a, b)
						if err != nil {
							t.Fatal(err)
						}
						if first == nil {
							first = c
						}
						if !slices.Equal(c, first) {
							t.Fatalf("%s %+v: %d threads give different bits", l.name, tt.g, threads)
						}
					}
				}
			}
		}
	})
}

// TestInline computes large products on the caller's thread.
func TestInline(t *testing.T) {
	eachISA(t, func(t *testing.T, isa ISA) {
		own, err := NewInline(isa)
		if err != nil {
			t.Fatal(err)
		}
		one := newPool(t, isa, 1, false)
		g := Problem{M: 150, N: 130, K: 600, TransA: true}
		a, b := noise(g.M*g.K, 5), noise(g.K*g.N, 6)
		for _, l := range lanes {
			want, err := l.product(one, g, a, b)
			got, failed := l.product(own, g, a, b)
			if err != nil || failed != nil || !slices.Equal(got, want) {
				t.Errorf("%s: errors %v and %v, the same bits: %v", l.name, err, failed, slices.Equal(got, want))
			}
		}
		if n, _ := own.Peak(Float32); own.Threads() != 0 || n != 0 {
			t.Errorf("%d threads, a peak of %v", own.Threads(), n)
		}
		own.Close()
		if _, err := lanes[0].product(own, g, a, b); !errors.Is(err, ErrClosed) {
			t.Errorf("a closed pool: got %v", err)
		}
	})
}

// TestCollector runs garbage collections in the middle of products, while other
// goroutines wait for the same pool.
func TestCollector(t *testing.T) {
	p := newPool(t, "", 2, true)
	stop := make(chan struct{})
	var collector, products sync.WaitGroup
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
	for range 2 {
		products.Go(func() {
			for range 5 {
				for i := range lanes {
					g := Problem{M: 90, N: 110, K: 70, TransB: true}
					got, err := lanes[i].product(p, g, wholes(g.M*g.K, 1), wholes(g.K*g.N, 2))
					if err != nil {
						t.Error(err)
						return
					}
					want, _ := reference(g, wholes(g.M*g.K, 1), wholes(g.K*g.N, 2))
					for j := range want {
						if got[j] != lanes[i].round(want[j]) {
							t.Errorf("%s: element %d is %v, not %v", lanes[i].name, j, got[j], want[j])
							return
						}
					}
				}
			}
		})
	}
	products.Wait()
	close(stop)
	collector.Wait()
}

func TestNoAllocation(t *testing.T) {
	p := newPool(t, "", 0, false)
	g := Problem{M: 65, N: 66, K: 67, TransA: true, TransB: true}
	a, b, c := make([]float32, g.M*g.K), make([]float32, g.K*g.N), make([]float32, g.M*g.N)
	halfA, halfB, halfC := make([]uint16, len(a)), make([]uint16, len(b)), make([]uint16, len(c))
	int8A, int8B, int32C := make([]int8, len(a)), make([]int8, len(b)), make([]int32, len(c))
	multiply := func() {
		ctx := context.Background()
		if err := errors.Join(p.Float32(ctx, 1, g, a, b, c), p.Float16(ctx, 1, g, halfA, halfB, halfC),
			p.BFloat16(ctx, 1, g, halfA, halfB, halfC), p.Int8(ctx, 1, g, int8A, int8B, int32C)); err != nil {
			t.Fatal(err)
		}
	}
	multiply()
	if n := testing.AllocsPerRun(10, multiply); n > 0 {
		t.Errorf("a product allocates %v times", n)
	}
}

func TestErrors(t *testing.T) {
	p := newPool(t, "", 1, false)
	ten := make([]float32, 10)
	for _, tt := range []struct {
		times int
		g     Problem
		want  string
	}{
		{0, Problem{M: 1, N: 1, K: 1}, "0 products"},
		{MaxTimes + 1, Problem{M: 1, N: 1, K: 1}, "1099511627777 products"},
		{1, Problem{M: 0, N: 1, K: 1}, "m is 0"},
		{1, Problem{M: 1, N: -2, K: 1}, "n is -2"},
		{1, Problem{M: 1, N: 1}, "k is 0"},
		{1, Problem{M: 3, N: 1, K: 4}, "a has 10 elements"},
		{1, Problem{M: 1, N: 4, K: 3}, "b has 10 elements"},
		{1, Problem{M: 4, N: 3, K: 1}, "c has 10 elements"},
		{1, Problem{M: 2, N: 1, K: 3, LDA: 2}, "stride of a is 2"},
		{1, Problem{M: 2, N: 1, K: 3, LDA: -1}, "stride of a is -1"},
		{1, Problem{M: 2, N: 1, K: 3, LDA: math.MaxInt}, "a has 10 elements"},
		{1, Problem{M: math.MaxInt, N: 1, K: math.MaxInt}, "a has 10 elements"},
	} {
		err := p.Float32(context.Background(), tt.times, tt.g, ten, ten, ten)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v, want it to say %q", tt.g, err, tt.want)
		}
	}
	if _, err := ParseISA("sse9"); err == nil || !strings.Contains(err.Error(), "portable") {
		t.Errorf("an unknown instruction set: got %v, want what there is", err)
	}
	if isa, err := ParseISA(""); err != nil || isa != ISAs()[0] {
		t.Errorf("the best instruction set is %v (%v)", isa, err)
	}
	if _, err := NewPool(Portable, -1); err == nil {
		t.Error("-1 threads were accepted")
	}
}

func TestStop(t *testing.T) {
	p := newPool(t, "", 2, false)
	one := []float64{1}
	g := Problem{M: 1, N: 1, K: 1}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Float64(ctx, 1, g, one, one, []float64{0}); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: got %v", err)
	}
	if err := p.Float64(context.Background(), 1, g, one, one, []float64{0}); err != nil {
		t.Errorf("after an ended context: got %v", err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	time.AfterFunc(time.Millisecond, cancel)
	if err := p.Float64(ctx, MaxTimes, g, one, one, []float64{0}); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that ended on the way: got %v", err)
	}
	p.Close()
	p.Close()
	if err := p.Float64(context.Background(), 1, g, one, one, []float64{0}); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed pool: got %v", err)
	}
	if _, ok := p.Peak(Float64); ok {
		t.Error("a closed pool has a peak")
	}
}

func TestPeak(t *testing.T) {
	eachISA(t, func(t *testing.T, isa ISA) {
		p := newPool(t, isa, 2, false)
		for _, a := range []Arithmetic{Float64, Float32, Float16, BFloat16} {
			if flops, ok := p.Peak(a); ok != (isa != Portable) || ok != (flops > 1e6) {
				t.Errorf("%s: got %v, %v", a, flops, ok)
			}
		}
		if ops, ok := p.Peak("int4"); ok {
			t.Errorf("int4 has a peak of %v", ops)
		}
	})
}

// FuzzShapes varies shapes, gaps between rows, types, instruction sets and numbers
// of threads.
func FuzzShapes(f *testing.F) {
	for _, seed := range [][8]uint8{
		{0, 0, 0}, {3, 4, 5, 0, 1, 2, 3, 1}, {29, 65, 17, 5, 0, 0, 12, 2}, {1, 200, 255, 0, 0, 0, 4, 3}, {255, 0, 3, 1, 1, 1, 0x13, 4},
		{47, 48, 4, 0, 0, 0, 0x21, 0x80}, {8, 15, 129, 3, 0, 7, 0x32, 0x84}, {12, 31, 63, 0, 9, 0, 3, 0x43},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4], seed[5], seed[6], seed[7])
	}
	f.Fuzz(func(t *testing.T, m, n, k, gapA, gapB, gapC, how, lane uint8) {
		isas := ISAs()
		p := newPool(t, isas[int(how>>4)%len(isas)], 1+int(lane>>7), how&4 == 0)
		g := transposes[how&3]
		g.M, g.N, g.K = 1+int(m), 1+int(n), 1+int(k)
		g.LDA, g.LDB, g.LDC = max(g.M, g.K)+int(gapA), max(g.K, g.N)+int(gapB), g.N+int(gapC)
		exact{}.test(t, p, &lanes[int(lane&0x7f)%len(lanes)], g)
	})
}

// TestFit checks that blocks are reduced to small caches, and that large or unknown
// caches leave the numbers of the table.
func TestFit(t *testing.T) {
	table := blocking{vecs: 3, mc: 108, kc: 1024, nc: 2048, small: 4 << 20}
	caches := func(sizes ...int) topology.Topology {
		k := topology.Kind{CPUs: 1}
		for i, size := range sizes {
			k.Caches = append(k.Caches, topology.Cache{Level: i + 1, Size: size, Ways: new(4 * (i + 2))})
		}
		return topology.Topology{Kinds: []topology.Kind{k}}
	}
	for _, tt := range []struct {
		name    string
		machine topology.Topology
		want    blocking
	}{
		{"nothing known", topology.Topology{}, blocking{3, 108, 1024, 2048, 4 << 20, 4, 384 << 10, 1 << 20, 8}},
		{"large", caches(48<<10, 2<<20, 64<<20), blocking{3, 108, 1024, 2048, 4 << 20, 4, 768 << 10, 2 << 20, 8}},
		{"small", caches(32<<10, 256<<10, 8<<20), blocking{3, 108, 303, 1730, 1 << 20, 4, 96 << 10, 256 << 10, 8}},
		{"tiny", caches(16<<10, 64<<10, 128<<10), blocking{3, 108, 128, 256, 16 << 10, 4, 24 << 10, 64 << 10, 8}},
		{"no third level", caches(128<<10, 12<<20), blocking{3, 108, 1024, 2048, 4 << 20, 4, 4608 << 10, 12 << 20, 8}},
	} {
		if got := table.fit(4, tt.machine); got != tt.want {
			t.Errorf("%s: %+v, not %+v", tt.name, got, tt.want)
		}
	}
}
