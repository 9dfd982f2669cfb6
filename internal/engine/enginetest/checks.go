package enginetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// checks are the rules beyond right products. Each returns what is broken.
var checks = []struct {
	name string
	run  func(s *subject, ctx context.Context) error
}{
	{"seeds", (*subject).seeds},
	{"run", (*subject).samples},
	{"mulvec", (*subject).vectors},
	{"refusals", (*subject).refusals},
	{"too big", (*subject).tooBig},
	{"tuning", (*subject).tuning},
	{"prepared", (*subject).outlivesPrepare},
	{"cancel", (*subject).cancel},
	{"close", (*subject).close},
	{"memory", (*subject).memory},
	{"two tasks", (*subject).twoTasks},
	{"sum", (*subject).sum},
	{"round trip", (*subject).roundTrip},
}

// seeds: every seed has its operands, the same each time.
func (s *subject) seeds(ctx context.Context) error {
	for _, seed := range []uint64{0, 1, seed, 1} {
		if err := s.product(ctx, s.square(33), seed); err != nil {
			return fmt.Errorf("seed %#x: %w", seed, err)
		}
	}
	return nil
}

// samples: a sample says what was asked for, and was timed.
func (s *subject) samples(ctx context.Context) error {
	task, err := s.prepare(ctx, s.square(64), seed)
	if err != nil {
		return err
	}
	defer task.Close()
	for _, n := range []int{0, -1} {
		if _, err := task.Run(ctx, n, 0); !errors.Is(err, fault.Invalid) {
			return fmt.Errorf("run of %d products: %v instead of %q", n, err, fault.Invalid)
		}
	}
	for _, set := range []int{-1, matrix.Sets} {
		if _, err := task.Run(ctx, 1, set); !errors.Is(err, fault.Invalid) {
			return fmt.Errorf("run with set %d of operands: %v instead of %q", set, err, fault.Invalid)
		}
	}
	for _, n := range []int{1, 5} {
		got, err := task.Run(ctx, n, 0)
		switch {
		case err != nil:
			return fmt.Errorf("run of %d products: %w", n, err)
		case got.Iters != n || got.Wall <= 0:
			return fmt.Errorf("run of %d products: sample %+v", n, got)
		case got.Device != nil && (*got.Device <= 0 || *got.Device > got.Wall*3/2):
			return fmt.Errorf("run of %d products: device time %v, wall time %v", n, *got.Device, got.Wall)
		}
	}
	return verify(ctx, task, s.square(64), seed)
}

// vectors: C·x is of the latest run, for an x of the right length.
func (s *subject) vectors(ctx context.Context) error {
	g := s.square(17)
	g.M, g.K = 5, 9
	task, err := s.prepare(ctx, g, seed)
	if err != nil {
		return err
	}
	defer task.Close()
	if err := verify(ctx, task, g, seed); err != nil {
		return err
	}
	for _, n := range []int{0, g.N - 1, g.N + 1, g.M, g.K} {
		if _, err := task.MulVec(ctx, make([]float64, n)); !errors.Is(err, fault.Invalid) {
			return fmt.Errorf("mulvec with %d of %d elements: %v instead of %q", n, g.N, err, fault.Invalid)
		}
	}
	if _, err := task.Run(ctx, 3, 1); err != nil {
		return err
	}
	return inspect(ctx, task, g, seed, 1)
}

// refusals: what makes no sense is invalid, what there is no code for
// unsupported.
func (s *subject) refusals(ctx context.Context) error {
	for _, size := range []int{0, -1} {
		for dim := range 3 {
			g := s.square(8)
			*[]*int{&g.M, &g.N, &g.K}[dim] = size
			if err := s.refused(ctx, s.device, g, fault.Invalid); err != nil {
				return err
			}
		}
	}
	unknown := s.square(4)
	unknown.Data = "of another version"
	if err := s.refused(ctx, s.device, unknown, fault.Invalid); err != nil {
		return err
	}
	for _, g := range []bench.GEMM{
		{M: 4, N: 4, K: 4, In: matrix.Float32, Acc: matrix.Float32, Out: matrix.BFloat16},
		{M: 4, N: 4, K: 4, In: matrix.Float16, Acc: matrix.Float64, Out: matrix.Float16},
		{M: 4, N: 4, K: 4, In: matrix.Int8, Acc: matrix.Int8, Out: matrix.Int8},
		{M: 4, N: 4, K: 4, In: matrix.Int32, Acc: matrix.Int32, Out: matrix.Int32},
		{M: 4, N: 4, K: 4, In: matrix.Float64, Acc: matrix.TF32, Out: matrix.Float64},
	} {
		if err := s.refused(ctx, s.device, g, fault.Unsupported); err != nil {
			return err
		}
	}
	stranger := s.device
	stranger.ID += "-stranger"
	if err := s.refused(ctx, stranger, s.square(4), fault.Invalid, fault.Unavailable); err != nil {
		return fmt.Errorf("unknown device: %w", err)
	}
	return s.product(ctx, s.square(8), seed)
}

// refused returns an error unless preparing fails with one of the codes and
// says why.
func (s *subject) refused(ctx context.Context, d hardware.Device, g bench.GEMM, codes ...fault.Code) error {
	task, err := s.engine.Prepare(ctx, d, g, seed, func(bench.Tuning) {})
	if err == nil {
		return errors.Join(fmt.Errorf("prepare %s to %s on %s: done instead of %q", describe(g), g.Out, d.ID, codes), task.Close())
	}
	is := func(c fault.Code) bool { return errors.Is(err, c) }
	if !slices.ContainsFunc(codes, is) || err.Error() == "" {
		return fmt.Errorf("prepare %s to %s on %s: error %q instead of %q", describe(g), g.Out, d.ID, err, codes)
	}
	return nil
}

// tooBig: a product that fits nowhere, or whose size overflows, is refused and
// harms nothing.
func (s *subject) tooBig(ctx context.Context) error {
	for _, n := range []int{1 << 20, 1 << 30, math.MaxInt} {
		if err := s.refused(ctx, s.device, s.square(n), fault.OutOfMemory, fault.Invalid); err != nil {
			return err
		}
	}
	return s.product(ctx, s.square(8), seed)
}

// tuning: every variant that is tried out while preparing is told of in its turn, and
// nothing is told afterwards.
func (s *subject) tuning(ctx context.Context) error {
	var mu sync.Mutex // an engine in a worker tells on another goroutine
	var told []bench.Tuning
	task, err := s.engine.Prepare(ctx, s.device, s.square(64), seed, func(t bench.Tuning) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, t)
	})
	if err != nil {
		return err
	}
	mu.Lock()
	before := len(told)
	mu.Unlock()
	err = errors.Join(verify(ctx, task, s.square(64), seed), task.Close())
	mu.Lock()
	defer mu.Unlock()
	if len(told) > before {
		return errors.Join(err, fmt.Errorf("%d tunings were told after preparing", len(told)-before))
	}
	for i, t := range told {
		if t.Done != i+1 || t.Total != 0 && t.Total < t.Done || t.Variant == "" || t.Speed < 0 || t.Best < t.Speed {
			return errors.Join(err, fmt.Errorf("tuning number %d is %+v", i+1, t))
		}
	}
	return err
}

// outlivesPrepare: the context of Prepare is for preparing; it may end after.
func (s *subject) outlivesPrepare(ctx context.Context) error {
	step, cancel := context.WithCancel(ctx)
	task, err := s.prepare(step, s.square(8), seed)
	cancel()
	if err != nil {
		return err
	}
	return errors.Join(verify(ctx, task, s.square(8), seed), task.Close())
}

// untilCancelled is long enough for a run to be under way, wherever it is.
const untilCancelled = 20 * time.Millisecond

// cancel: a cancelled context ends every call with its error, a long run too,
// and the engine continues to work.
func (s *subject) cancel(ctx context.Context) error {
	over, cancel := context.WithCancel(ctx)
	cancel()
	if task, err := s.engine.Prepare(over, s.device, s.square(64), seed, func(bench.Tuning) {}); err == nil {
		return errors.Join(errors.New("prepare with a cancelled context: done"), task.Close())
	} else if !errors.Is(err, context.Canceled) {
		return fmt.Errorf("prepare with a cancelled context: %w", err)
	}
	task, err := s.prepare(ctx, s.square(64), seed)
	if err != nil {
		return err
	}
	if _, err := task.Run(over, 1, 0); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("run with a cancelled context: %v", err)
	}
	if err := task.Close(); err != nil {
		return err
	}
	if task, err = s.prepare(ctx, s.square(64), seed); err != nil {
		return err
	}
	middle, cancel := context.WithCancel(ctx)
	defer cancel()
	time.AfterFunc(untilCancelled, cancel)
	if _, err := task.Run(middle, math.MaxInt32, 0); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("run cancelled midway: %v", err)
	}
	_ = task.Close() // the process that held the task may be gone
	return s.product(ctx, s.square(64), seed)
}

// close: closing twice is fine, using what is closed is an error.
func (s *subject) close(ctx context.Context) error {
	task, err := s.prepare(ctx, s.square(8), seed)
	if err != nil {
		return err
	}
	if _, err := task.Run(ctx, 1, 0); err != nil {
		return err
	}
	for range 2 {
		if err := task.Close(); err != nil {
			return fmt.Errorf("close: %w", err)
		}
	}
	if _, err := task.Run(ctx, 1, 0); err == nil {
		return errors.New("run after close: done")
	}
	if _, err := task.MulVec(ctx, make([]float64, 8)); err == nil {
		return errors.New("mulvec after close: done")
	}
	return s.product(ctx, s.square(8), seed)
}

// memory: what preparing takes, closing gives back.
func (s *subject) memory(ctx context.Context) error {
	const warm, rounds, slack = 4, 32, 8
	g := s.square(256)
	var before uint64
	for i := range warm + rounds {
		if i == warm {
			before = s.inUse()
		}
		task, err := s.prepare(ctx, g, seed)
		if err != nil {
			return err
		}
		_, err = task.Run(ctx, 1, 0)
		if err := errors.Join(err, task.Close()); err != nil {
			return err
		}
	}
	if after, limit := s.inUse(), uint64(slack*g.Bytes()); after > before+limit {
		return fmt.Errorf("memory in use grew by %d bytes over %d products of %.0f bytes", after-before, rounds, g.Bytes())
	}
	return nil
}

// twoTasks: tasks do not disturb one another, in turns or at the same time.
func (s *subject) twoTasks(ctx context.Context) error {
	var tasks [2]bench.Task
	gemms := [2]bench.GEMM{s.square(17), s.square(17)}
	gemms[1].M = 40
	for i, g := range gemms {
		task, err := s.prepare(ctx, g, uint64(i))
		if err != nil {
			return err
		}
		defer task.Close()
		tasks[i] = task
	}
	if err := verify(ctx, tasks[0], gemms[0], 0); err != nil {
		return err
	}
	if err := verify(ctx, tasks[1], gemms[1], 1); err != nil {
		return err
	}
	if err := inspect(ctx, tasks[0], gemms[0], 0, 0); err != nil {
		return fmt.Errorf("after another task's run: %w", err)
	}
	errs := make(chan error)
	for i, g := range gemms {
		go func() {
			for range 5 {
				if err := verify(ctx, tasks[i], g, uint64(i)); err != nil {
					errs <- fmt.Errorf("at the same time: %w", err)
					return
				}
			}
			errs <- nil
		}()
	}
	return errors.Join(<-errs, <-errs)
}

// sum: adding up C after each product is supported and leaves C right, or is not
// supported.
func (s *subject) sum(ctx context.Context) error {
	g := s.square(64)
	g.Sum = true
	if err := s.product(ctx, g, seed); !errors.Is(err, fault.Unsupported) {
		return err
	}
	return nil
}

// roundTrip: a product whose matrices are in main memory is right and was timed, and so is
// what is computed after it, or round trips are not supported.
func (s *subject) roundTrip(ctx context.Context) error {
	g := s.square(33)
	g.M, g.K = 40, 65
	task, err := s.prepare(ctx, g, seed)
	if err != nil {
		return err
	}
	defer task.Close()
	if _, err := task.RoundTrip(ctx, 0); errors.Is(err, fault.Unsupported) {
		return nil
	}
	for _, set := range []int{-1, matrix.Sets} {
		if _, err := task.RoundTrip(ctx, set); !errors.Is(err, fault.Invalid) {
			return fmt.Errorf("round trip with set %d of operands: %v instead of %q", set, err, fault.Invalid)
		}
	}
	for _, set := range []int{0, 1, 1, 0} {
		got, err := task.RoundTrip(ctx, set)
		switch {
		case err != nil:
			return fmt.Errorf("round trip with set %d: %w", set, err)
		case got.In <= 0 || got.Product <= 0 || got.Out <= 0:
			return fmt.Errorf("round trip with set %d: %+v", set, got)
		case got.Device != nil && (*got.Device <= 0 || *got.Device > got.Product*3/2):
			return fmt.Errorf("round trip with set %d: device time %v, product %v", set, *got.Device, got.Product)
		}
		if err := inspect(ctx, task, g, seed, set); err != nil {
			return fmt.Errorf("after a round trip: %w", err)
		}
		other := (set + 1) % matrix.Sets
		if _, err := task.Run(ctx, 2, other); err != nil {
			return fmt.Errorf("run after a round trip: %w", err)
		}
		if err := inspect(ctx, task, g, seed, other); err != nil {
			return fmt.Errorf("run after a round trip: %w", err)
		}
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := task.RoundTrip(over, 0); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("round trip with a cancelled context: %v", err)
	}
	_ = task.Close() // the process that held the task may be gone
	if _, err := task.RoundTrip(ctx, 0); err == nil {
		return errors.New("round trip after close: done")
	}
	return s.product(ctx, s.square(8), seed)
}
