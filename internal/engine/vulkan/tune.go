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

// tuningLimit is how long kernels are tried out.
const tuningLimit = 2 * time.Second

// tune chooses the fastest kernel for the task's product. Each is compiled and tried out
// on the product itself, by the device's clock where it has one.
func (t *task) tune(ctx context.Context, tell func(bench.Tuning)) error {
	d, g := t.device, t.gemm
	list := d.kernels(g)
	best := slices.IndexFunc(list, func(k kernel) bool { return k.name == d.choices.won[product(g)] })
	if len(list) == 1 {
		best = 0
	}
	if best >= 0 {
		return t.use(ctx, list[best])
	}
	begin := time.Now()
	compiled, stop := d.compileAll(list, g)
	defer stop() // nothing compiles while products are timed
	var fastest time.Duration
	var failures []string
	for i, k := range list {
		if fastest > 0 && time.Since(begin) > tuningLimit {
			break
		}
		says := bench.Tuning{Done: i + 1, Total: len(list), Variant: k.name}
		took := time.Duration(0)
		err := compiled[i]()
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

// compileAll compiles kernels on as many threads as there are CPUs. It returns functions that
// wait for each, and one that waits for those that have begun and gives up the others.
func (d *device) compileAll(list []kernel, g bench.GEMM) (wait []func() error, stop func()) {
	free := make(chan bool, runtime.NumCPU())
	var stopped atomic.Bool
	for _, k := range list {
		key := k.key(g)
		if d.pipelines[key] != 0 {
			wait = append(wait, func() error { return nil })
			continue
		}
		var done sync.WaitGroup
		var p vk.Pipeline
		var r vk.Result
		done.Go(func() {
			free <- true
			defer func() { <-free }()
			if !stopped.Load() {
				p, r = d.compile(key)
			}
		})
		wait = append(wait, sync.OnceValue(func() error {
			done.Wait()
			if r != vk.SUCCESS {
				return d.failed("vkCreateComputePipelines", r)
			}
			if p != 0 {
				d.pipelines[key] = p
			}
			return nil
		}))
	}
	return wait, func() {
		stopped.Store(true)
		for _, w := range wait {
			_ = w() // what failed is not used
		}
	}
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
