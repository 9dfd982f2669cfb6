package matrix

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// What engines do with matrices in main memory, on all cores, outside the timed
// section. S is the type in which an element is stored; value returns its numeric
// value.

// Fill calls fill for parts of dst; from is the index in dst at which a part
// begins.
func Fill[S any](ctx context.Context, dst []S, fill func(part []S, from int)) error {
	const part = 1 << 16
	return parallel(ctx, (len(dst)+part-1)/part, func(i int) {
		from := i * part
		fill(dst[from:min(from+part, len(dst))], from)
	})
}

// MulVec returns C·x in float64 for a row-major C with len(x) columns.
func MulVec[S any](ctx context.Context, c []S, x []float64, value func(S) float64) ([]float64, error) {
	y := make([]float64, len(c)/len(x))
	err := parallel(ctx, len(y), func(i int) {
		sum := 0.0
		for j, e := range c[i*len(x):][:len(x)] {
			sum += value(e) * x[j]
		}
		y[i] = sum
	})
	return y, err
}

// Sum returns the sum of all elements, which is what (a@b).sum().item() returns.
func Sum[S any](ctx context.Context, c []S, value func(S) float64) (float64, error) {
	const part = 1 << 16
	sums := make([]float64, (len(c)+part-1)/part)
	err := parallel(ctx, len(sums), func(i int) {
		for _, e := range c[i*part : min((i+1)*part, len(c))] {
			sums[i] += value(e)
		}
	})
	total := 0.0
	for _, s := range sums {
		total += s
	}
	return total, err
}

// parallel calls fn(0) … fn(n-1) on all cores.
func parallel(ctx context.Context, n int, fn func(i int)) error {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				fn(i)
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}
