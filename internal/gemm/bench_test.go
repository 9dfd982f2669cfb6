package gemm

import (
	"context"
	"fmt"
	"strconv"
	"testing"
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
	ctx, g := context.Background(), Problem{M: size, N: size, K: size}
	var products func(times int) error
	switch dtype {
	case "float64":
		x, y, z := noise(size*size, 1), noise(size*size, 2), make([]float64, size*size)
		products = func(times int) error { return p.Float64(ctx, times, g, x, y, z) }
	case "float32":
		x, y, z := singles(noise(size*size, 1)), singles(noise(size*size, 2)), make([]float32, size*size)
		products = func(times int) error { return p.Float32(ctx, times, g, x, y, z) }
	case "int8":
		x, y, z := make([]int8, size*size), make([]int8, size*size), make([]int32, size*size)
		for i, v := range noise(size*size, 1) {
			x[i], y[len(y)-1-i] = int8(128*v), int8(128*v)
		}
		products = func(times int) error { return p.Int8(ctx, times, g, x, y, z) }
	default:
		conv, run := p.set.float16, p.Float16
		if dtype == "bfloat16" {
			conv, run = p.set.bfloat16, p.BFloat16
		}
		x, y, z := make([]uint16, size*size), make([]uint16, size*size), make([]uint16, size*size)
		conv.narrow(x, singles(noise(size*size, 1)))
		conv.narrow(y, singles(noise(size*size, 2)))
		products = func(times int) error { return run(ctx, times, g, x, y, z) }
	}
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
