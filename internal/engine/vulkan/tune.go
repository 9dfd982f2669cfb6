package vulkan

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	vk "github.com/gpuplay/gpuplay/internal/ffi/vulkan"
)

const (
	tuningLimit  = 2 * time.Second // how long kernels are tried out, with compiling them
	compileLimit = time.Second     // after which no further one is compiled
)

// tune chooses the fastest kernel of a list for the task's product. Those that are compiled
// in time are tried out on the product itself, by the device's clock where it has one;
// nothing compiles meanwhile.
func (t *task) tune(ctx context.Context, list []kernel, tell func(bench.Tuning)) error {
	d, g := t.device, t.gemm
	best := slices.IndexFunc(list, func(k kernel) bool { return k.name == d.choices.won[product(g)] })
	if len(list) == 1 {
		best = 0
	}
	if best >= 0 {
		return t.use(ctx, list[best])
	}
	begin := time.Now()
	compiled := d.compileAll(ctx, list, g)
	var fastest time.Duration
	var failures []string
	for i, k := range list {
		if fastest > 0 && (i >= len(compiled) || time.Since(begin) > tuningLimit) {
			break
		}
		says := bench.Tuning{Done: i + 1, Total: len(list), Variant: k.name}
		var took time.Duration
		var err error
		if i < len(compiled) {
			err = compiled[i]
		}
		if err == nil {
			took, err = t.try(ctx, k)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if d.lost {
			return err
		}
		if err != nil {
			failures = append(failures, fmt.Sprintf("%s: %v", k.name, err))
		} else {
			says.Speed = g.FLOP() / took.Seconds()
			if fastest == 0 || took < fastest {
				fastest, best = took, i
			}
		}
		if fastest > 0 {
			says.Best = g.FLOP() / fastest.Seconds()
		}
		tell(says)
	}
	if fastest == 0 {
		return fault.Errorf(fault.Internal, "no kernel works on %s: %s", d.about.Name, strings.Join(failures, "; "))
	}
	d.choices.keep(g, list[best])
	return t.use(ctx, list[best])
}

// compileAll compiles kernels on as many threads as there are CPUs, and begins none after
// compileLimit. It returns an error or nil for each that was begun, in the list's order.
func (d *device) compileAll(ctx context.Context, list []kernel, g bench.GEMM) []error {
	begin := time.Now()
	pipelines, results := make([]vk.Pipeline, len(list)), make([]vk.Result, len(list))
	var begun atomic.Int64
	var threads sync.WaitGroup
	for range min(runtime.NumCPU(), len(list)) {
		threads.Go(func() {
			for ctx.Err() == nil && time.Since(begin) < compileLimit {
				i := int(begun.Add(1)) - 1
				if i >= len(list) {
					return
				}
				key := list[i].key(g)
				if pipelines[i] = d.pipelines[key]; pipelines[i] == 0 {
					pipelines[i], results[i] = d.compile(key)
				}
			}
		})
	}
	threads.Wait()
	errs := make([]error, min(int(begun.Load()), len(list)))
	for i := range errs {
		if results[i] != vk.SUCCESS {
			errs[i] = d.failed("vkCreateComputePipelines", results[i])
			continue
		}
		d.pipelines[list[i].key(g)] = pipelines[i]
	}
	return errs
}

// use makes a kernel the one that computes, and finds out how long it takes.
func (t *task) use(ctx context.Context, k kernel) error {
	takes, err := t.try(ctx, k)
	if err != nil {
		return err
	}
	t.kernel = k
	t.plan = newPlan(k.blocks(t.gemm), takes)
	t.pipeline, err = t.device.pipeline(k.key(t.gemm))
	return err
}

// try returns how long a product takes with a kernel. Since it is not known beforehand, a
// few blocks are computed first, then more; a long product is estimated from its parts.
func (t *task) try(ctx context.Context, k kernel) (time.Duration, error) {
	p, err := t.device.pipeline(k.key(t.gemm))
	if err != nil {
		return 0, err
	}
	blocks := k.blocks(t.gemm)
	const start = 1e8 // FLOP, a tenth of a second on the slowest devices
	n := min(blocks, 1+int(float64(blocks)*start/t.gemm.FLOP()))
	for {
		took, err := t.timed(ctx, p, plan{[]piece{{0, n}}, 1})
		if err != nil {
			return 0, err
		}
		whole := time.Duration(float64(took) * float64(blocks) / float64(n))
		if n == blocks && took < longest/5 { // the first one warmed up
			for range 2 {
				again, err := t.timed(ctx, p, plan{[]piece{{0, n}}, 1})
				if err != nil {
					return 0, err
				}
				whole = min(whole, again)
			}
		}
		if n == blocks || took > longest/5 {
			return max(1, whole), nil
		}
		n = min(blocks, n*int(max(2, min(64, longest/5/max(1, took)))))
	}
}

// timed computes once.
func (t *task) timed(ctx context.Context, p vk.Pipeline, how plan) (time.Duration, error) {
	start := time.Now()
	took, err := t.products(ctx, p, 0, 1, how)
	if took == nil {
		return time.Since(start), err
	}
	return *took, err
}
