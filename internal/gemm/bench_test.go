package gemm

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/topology"
)

// BenchmarkGEMM reports GFLOP/s and the share of the peak, which is measured just
// before. To select one: -bench 'GEMM/avx512/float32/2048/threads=1$'.
func BenchmarkGEMM(b *testing.B) {
	for _, isa := range ISAs() {
		for _, dtype := range []string{"float32", "float64", "float16", "bfloat16", "int8"} {
			for _, size := range []int{64, 256, 512, 1000, 1024, 2048, 4096} {
				for _, threads := range []int{1, 0} {
					p, err := NewPool(isa, threads)
					if err != nil {
						b.Fatal(err)
					}
					b.Run(fmt.Sprintf("%s/%s/%d/threads=%d", string(isa), dtype, size, p.Threads()), func(b *testing.B) {
						benchmark(b, p, dtype, size)
					})
					p.Close()
				}
			}
		}
	}
}

// BenchmarkCall computes small products, one per call, and shows what a call costs
// beyond its arithmetic.
func BenchmarkCall(b *testing.B) {
	p := newPool(b, "", 1, false)
	for _, n := range []int{1, 8, 16, 32, 64} {
		x, y, z := singles(noise(n*n, 1)), singles(noise(n*n, 2)), make([]float32, n*n)
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				if err := p.Float32(b.Context(), 1, Problem{M: n, N: n, K: n}, x, y, z); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchmark(b *testing.B, p *Pool, dtype string, size int) {
	products := productsOf(p, dtype, size)
	if err := products(1); err != nil {
		b.Fatal(err)
	}
	peak, known := p.Peak(Arithmetic(dtype))
	b.ResetTimer()
	if err := products(b.N); err != nil {
		b.Fatal(err)
	}
	flops := 2 * float64(size) * float64(size) * float64(size) * float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(flops/1e9, "GFLOP/s")
	if known {
		b.ReportMetric(flops/peak*100, "%peak")
	}
}

// productsOf returns a function that multiplies two size³ matrices a number of times.
func productsOf(p *Pool, dtype string, size int) func(times int) error {
	ctx, g := context.Background(), Problem{M: size, N: size, K: size}
	switch dtype {
	case "float64":
		x, y, z := noise(size*size, 1), noise(size*size, 2), make([]float64, size*size)
		return func(times int) error { return p.Float64(ctx, times, g, x, y, z) }
	case "float32":
		x, y, z := singles(noise(size*size, 1)), singles(noise(size*size, 2)), make([]float32, size*size)
		return func(times int) error { return p.Float32(ctx, times, g, x, y, z) }
	case "int8":
		x, y, z := make([]int8, size*size), make([]int8, size*size), make([]int32, size*size)
		for i, v := range noise(size*size, 1) {
			x[i], y[len(y)-1-i] = int8(128*v), int8(128*v)
		}
		return func(times int) error { return p.Int8(ctx, times, g, x, y, z) }
	}
	conv, run := p.set.float16, p.Float16
	if dtype == "bfloat16" {
		conv, run = p.set.bfloat16, p.BFloat16
	}
	x, y, z := make([]uint16, size*size), make([]uint16, size*size), make([]uint16, size*size)
	conv.narrow(x, singles(noise(size*size, 1)))
	conv.narrow(y, singles(noise(size*size, 2)))
	return func(times int) error { return run(ctx, times, g, x, y, z) }
}

// BenchmarkThreads compares pools of 1, 2, 4, … threads, up to all cores: it measures
// each in every round, for some milliseconds, so that whatever else uses the machine
// disturbs all of them alike, and reports the median of the rounds. To have 31 rounds:
// -bench Threads/float32 -benchtime 31x.
func BenchmarkThreads(b *testing.B) {
	cores := topology.Read().Cores()
	counts := []int{cores}
	for n := 1; n < cores; n *= 2 {
		counts = append(counts, n)
	}
	slices.Sort(counts)
	for _, dtype := range []string{"float32", "bfloat16", "int8"} {
		for _, size := range []int{16, 32, 48, 64, 96, 128, 256, 512, 1024, 2048, 4096, 8192} {
			b.Run(fmt.Sprintf("%s/%d", dtype, size), func(b *testing.B) {
				rates := make([][]float64, len(counts))
				var products []func(times int) error
				for _, n := range counts {
					p := newPool(b, "", n, false)
					products = append(products, productsOf(p, dtype, size))
				}
				times := 1
				for spent := time.Duration(0); spent < 4*time.Millisecond; times *= 2 {
					start := time.Now()
					if err := products[0](times); err != nil {
						b.Fatal(err)
					}
					spent = time.Since(start)
				}
				for range b.N {
					for i, f := range products {
						start := time.Now()
						if err := f(times); err != nil {
							b.Fatal(err)
						}
						rates[i] = append(rates[i], 2*math.Pow(float64(size), 3)*float64(times)/time.Since(start).Seconds()/1e9)
					}
				}
				b.ReportMetric(0, "ns/op") // of all pools together: of no interest
				for i, n := range counts {
					slices.Sort(rates[i])
					b.ReportMetric(rates[i][len(rates[i])/2], fmt.Sprintf("GFLOP/s@%03d", n))
				}
			})
		}
	}
}

// noise returns numbers that are uniform in [-1, 1) and the same for the same seed.
func noise(n int, seed uint64) []float64 {
	numbers := make([]float64, n)
	for i := range numbers {
		seed = seed*6364136223846793005 + 1442695040888963407
		numbers[i] = float64(int64(seed)>>11) * 0x1p-52
	}
	return numbers
}

func singles(xs []float64) []float32 {
	ys := make([]float32, len(xs))
	for i, x := range xs {
		ys[i] = float32(x)
	}
	return ys
}
