package cuda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/cuda"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// tryTime is how long each measurement of a variant takes about.
const tryTime = 3 * time.Millisecond

// A variant is one way to compute the product of a task: a kernel, or an algorithm of a
// library.
type variant struct {
	name      string
	workspace int                           // bytes of the task's workspace that it uses
	prepare   func(work cuda.Pointer) error // makes enqueue ready; on the GPU's thread
	enqueue   func(cuda.Stream) error       // puts one product into the stream; on the GPU's thread
}

// found is what came of a search.
type found struct {
	tried int
	first float64 // seconds of a product with the first variant; 0: it did not work
}

// search times variants, the first one whatever it takes and others while more says so, and
// lets the task compute with the fastest. It fails if none works.
func (t *task) search(ctx context.Context, list []variant, tell func(bench.Tuning), more func(spent time.Duration) bool) (found, error) {
	start := time.Now()
	list, err := t.workspace(ctx, list)
	if err != nil {
		return found{}, err
	}
	each := tryTime
	if len(list) == 1 || !more(0) {
		each = 0
	}
	var f found
	var told bench.Tuning
	var best variant
	var failed error
	least := math.Inf(1)
	for _, v := range list {
		if best.enqueue != nil && !more(time.Since(start)) {
			continue
		}
		seconds, err := t.try(ctx, v, each)
		if ctx.Err() != nil {
			return found{}, ctx.Err()
		}
		f.tried++
		told.Done, told.Variant, told.Speed = f.tried, v.name, t.gemm.FLOP()/seconds
		if err != nil {
			told.Speed, failed = 0, cmp.Or(failed, fmt.Errorf("%s: %w", v.name, err))
		} else if f.tried == 1 {
			f.first = seconds
		}
		told.Best = max(told.Best, told.Speed)
		tell(told)
		if err == nil && seconds < least {
			best, least = v, seconds
		}
	}
	if best.enqueue == nil {
		return f, failed
	}
	t.product, t.seconds = best, least
	return f, t.do(ctx, func() error { return t.clear(best) })
}

// clear fills a variant's scratch memory with zeros, which others have used. On the GPU's
// thread.
func (t *task) clear(v variant) error {
	if v.workspace == 0 {
		return nil
	}
	if err := t.gpu.check("MemsetD8", t.gpu.lib.MemsetD8(t.work, 0, uintptr(v.workspace))); err != nil {
		return err
	}
	return t.gpu.check("CtxSynchronize", t.gpu.lib.CtxSynchronize()) // the task's stream would not wait
}

// try prepares a variant, computes one product, which is not timed, and returns the seconds
// of one by the GPU's clock: the least of three measurements of about the given time each, or
// those of a second product if no time is given. They are for choosing, and no result.
func (t *task) try(ctx context.Context, v variant, each time.Duration) (float64, error) {
	least := math.Inf(1)
	err := t.do(ctx, func() error {
		if err := errors.Join(v.prepare(t.work), t.clear(v)); err != nil {
			return err
		}
		t.product, t.seconds = v, t.gemm.FLOP()/1e13 // as long as nothing is known: at 10 TFLOP/s
		if _, err := t.time(ctx, 1); err != nil {    // which may include loading
			return err
		}
		second, err := t.time(ctx, 1)
		if err != nil {
			return err
		}
		least = seconds(second)
		if each == 0 {
			t.seconds = least
			return nil
		}
		times := 1 + int(min(each.Seconds()/max(least, 1e-7), 1e4))
		for range 3 {
			s, err := t.time(ctx, times)
			if err != nil {
				return err
			}
			least = min(least, seconds(s))
		}
		t.seconds = least
		return nil
	})
	return least, err
}

// seconds returns those of one product, by the GPU's clock if that is known.
func seconds(s bench.Sample) float64 {
	if s.Device != nil {
		return s.Device.Seconds() / float64(s.Iters)
	}
	return s.Seconds()
}

// workspace allocates what the variants need at most. Where there is no memory for it, those
// that need some are left out.
func (t *task) workspace(ctx context.Context, list []variant) ([]variant, error) {
	most := 0
	for _, v := range list {
		most = max(most, v.workspace)
	}
	if most == 0 {
		return list, nil
	}
	err := t.do(ctx, func() error { return t.take(&t.work, most) })
	if !errors.Is(err, fault.OutOfMemory) {
		return list, err
	}
	var without []variant
	for _, v := range list {
		if v.workspace == 0 {
			without = append(without, v)
		}
	}
	if len(without) == 0 {
		return nil, fmt.Errorf("scratch memory of %s: %w", unit.Bytes(float64(most)), err)
	}
	return without, nil
}
