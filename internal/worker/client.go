package worker

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"syscall"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// A Client is an engine whose work is done by child processes: one for all its tasks
// where the worker can hold several, as those in Python do, which take long to start;
// else one for each task that is open at a time.
type Client struct {
	// Engine is the engine's name, which the worker must have too.
	Engine string
	// Path is the program that is a worker, Args its arguments, the program's own
	// name first.
	Path string
	Args []string
	// Env is the child's environment.
	Env []string
	// Source is written to the child's stdin before the first request: the program
	// of an interpreter that takes it from there.
	Source []byte
	// Hello says how the worker is to compute; its Protocol is filled in.
	Hello Hello
	// Trace, if not nil, gets a copy of all that is said and of the child's log.
	Trace io.Writer

	mu    sync.Mutex
	found *hardware.Inventory
	idle  []*child // that can be given a task
	all   map[*child]bool
}

// Name returns the engine's name.
func (c *Client) Name() string { return c.Engine }

// Devices starts a worker unless one has told its devices before.
func (c *Client) Devices(ctx context.Context) (hardware.Inventory, error) {
	if found := c.inventory(); found != nil {
		return *found, nil
	}
	ch, err := c.start(ctx)
	if err != nil {
		return hardware.Inventory{}, err
	}
	c.release(ch)
	return *c.inventory(), nil
}

// inventory returns what a worker has told, nil before one has.
func (c *Client) inventory() *hardware.Inventory {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.found
}

// Reserve starts workers until n tasks can be prepared without waiting for one to
// start: the first, and if each holds but one task the others side by side.
func (c *Client) Reserve(ctx context.Context, n int) error {
	if _, err := c.Devices(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	n -= len(c.idle)
	if slices.ContainsFunc(c.idle, func(ch *child) bool { return ch.many }) {
		n = 0
	}
	c.mu.Unlock()
	errs := make([]error, max(0, n))
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			ch, err := c.start(ctx)
			if errs[i] = err; err == nil {
				c.release(ch)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Close ends all workers.
func (c *Client) Close() {
	c.mu.Lock()
	all := c.all
	c.all, c.idle = nil, nil
	c.mu.Unlock()
	var wg sync.WaitGroup
	for ch := range all {
		wg.Go(ch.end)
	}
	wg.Wait()
}

// start starts a worker and says hello.
func (c *Client) start(ctx context.Context) (*child, error) {
	ch, err := startChild(c)
	if err != nil {
		e := fault.Errorf(fault.Unavailable, "worker did not start: %v", err)
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.EMFILE) {
			e.Remedies = limited
		}
		return nil, e
	}
	c.mu.Lock()
	if c.all == nil {
		c.all = map[*child]bool{}
	}
	c.all[ch] = true
	c.mu.Unlock()
	args := c.Hello
	args.Protocol = Protocol
	if len(args.Options) == 0 {
		args.Options = []byte("{}")
	}
	got, err := ask(ctx, ch, hello, args, exchange[None]{})
	w := got.result
	switch {
	case err != nil:
	case w.Protocol != Protocol:
		err = fault.Errorf(fault.Unavailable, "worker speaks protocol %d, this gpuplay speaks %d", w.Protocol, Protocol).With(fault.Advice("use the worker that comes with this version")...)
	case w.Engine != c.Engine:
		err = fault.Errorf(fault.Unavailable, "worker is engine %q, not %q", w.Engine, c.Engine)
	}
	if err != nil {
		c.drop(ch)
		return nil, err
	}
	ch.capabilities, ch.many = w.Capabilities, w.Many
	c.mu.Lock()
	c.found = &w.Inventory
	c.mu.Unlock()
	return ch, nil
}

// take returns a worker that can hold another task, or a new one.
func (c *Client) take(ctx context.Context) (*child, error) {
	for {
		c.mu.Lock()
		n := len(c.idle)
		if n == 0 {
			c.mu.Unlock()
			ch, err := c.start(ctx)
			if err == nil && ch.many {
				c.release(ch)
			}
			return ch, err
		}
		ch := c.idle[n-1]
		if !ch.many {
			c.idle = c.idle[:n-1]
		}
		c.mu.Unlock()
		if ch.usable() {
			return ch, nil
		}
		c.drop(ch)
	}
}

// release makes a worker idle.
func (c *Client) release(ch *child) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all[ch] && !slices.Contains(c.idle, ch) {
		c.idle = append(c.idle, ch)
	}
}

// drop ends a worker that is of no use any more and waits until it is gone.
func (c *Client) drop(ch *child) {
	c.forget(ch)
	ch.kill()
	ch.ends()
}

// forget leaves a worker to whoever ends it.
func (c *Client) forget(ch *child) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, ch)
	c.idle = slices.DeleteFunc(c.idle, func(other *child) bool { return other == ch })
}

// Prepare prepares g in a worker that has room for it, or in a new one. It calls tell on
// another goroutine.
func (c *Client) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t := &task{client: c, gemm: g, args: PrepareArgs{Device: d.ID, GEMM: g, Seed: seed, Data: g.Data}}
	t.args.GEMM.Data = matrix.Random
	if err := t.prepare(ctx, tell); err != nil {
		return nil, err
	}
	return t, nil
}

// Describe returns what a worker knows of a GPU and measured of it; with an error of the
// engine's, what came before it. A worker that has no such operation is fault.Unsupported.
func (c *Client) Describe(ctx context.Context, d hardware.Device) (hardware.Description, error) {
	ch, err := c.take(ctx)
	if err != nil {
		return hardware.Description{}, err
	}
	got, err := ask(ctx, ch, describe, DescribeArgs{d.ID}, exchange[None]{})
	if ch.usable() {
		c.release(ch)
	} else {
		c.drop(ch)
	}
	if err == nil && got.result.Error != nil {
		err = got.result.Error
	}
	return got.result.Description, err
}

// task is a task in a worker.
type task struct {
	client *Client
	child  *child // nil once closed
	args   PrepareArgs
	gemm   bench.GEMM
	facts  bench.Facts
	failed bool // its worker ended while it did something for this task
}

var errClosed = fault.Errorf(fault.Invalid, "the task is closed")

// prepare has a worker prepare the task.
func (t *task) prepare(ctx context.Context, tell func(bench.Tuning)) error {
	ch, err := t.client.take(ctx)
	if err != nil {
		return err
	}
	if t.child = ch; ch.many {
		t.args.Task = int(ch.tasks.Add(1))
	}
	got, err := ask(ctx, ch, prepare, t.args, exchange[bench.Tuning]{each: tell})
	if err != nil {
		t.finish()
		return err
	}
	t.facts = got.result
	return nil
}

// lost reports whether the worker ended because of another task that it held.
func (t *task) lost() bool { return t.child.many && !t.failed && !t.child.usable() }

func (t *task) Facts() bench.Facts { return t.facts }

// Run prepares the task again first if its worker ended because of another one.
func (t *task) Run(ctx context.Context, n, set int) (s bench.Sample, err error) {
	if t.child == nil {
		return s, errClosed
	}
	if t.lost() {
		t.client.drop(t.child)
		if err := t.prepare(ctx, func(bench.Tuning) {}); err != nil {
			return s, err
		}
	}
	got, err := ask(ctx, t.child, run, RunArgs{t.args.Task, n, set}, exchange[None]{})
	if err != nil {
		t.failed = !t.child.usable()
		return s, err
	}
	r := got.result
	if r.Iters < 1 || r.Iters > n || r.Wall <= 0 {
		return s, fault.Errorf(fault.Internal, "worker reports %d products in %v where %d were asked for", r.Iters, r.Wall, n)
	}
	return bench.Sample{Iters: r.Iters, Wall: r.Wall, Device: r.Device, Busy: r.Busy}, nil
}

// RoundTrip asks the worker, which may have no such operation, or may have ended because of
// another task that it held: fault.Unsupported.
func (t *task) RoundTrip(ctx context.Context, set int) (bench.RoundTrip, error) {
	if t.child == nil {
		return bench.RoundTrip{}, errClosed
	}
	if t.lost() {
		return bench.RoundTrip{}, fault.Errorf(fault.Unsupported, "the worker that held the product ended because of another lane")
	}
	got, err := ask(ctx, t.child, trip, TripArgs{t.args.Task, set}, exchange[None]{})
	if err != nil {
		t.failed = !t.child.usable()
	}
	return got.result, err
}

func (t *task) MulVec(ctx context.Context, x []float64) ([]float64, error) {
	if t.child == nil {
		return nil, errClosed
	}
	if t.lost() {
		return nil, fault.Errorf(fault.Lost, "the worker that held the product ended because of another lane")
	}
	got, err := ask(ctx, t.child, mulvec, TaskArgs{t.args.Task}, exchange[None]{frame: pack(x), bytes: elementSize * int64(t.gemm.M)})
	if err != nil {
		t.failed = !t.child.usable()
		return nil, err
	}
	return unpack(got.frame), nil
}

// Close frees the worker for the next task.
func (t *task) Close() error {
	if t.child == nil {
		return nil
	}
	if t.lost() {
		t.finish()
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), endLimit)
	defer cancel()
	_, err := ask(ctx, t.child, release, TaskArgs{t.args.Task}, exchange[None]{})
	if err != nil {
		t.client.drop(t.child)
		t.child = nil
		return err
	}
	t.finish()
	return nil
}

// finish gives a worker back that lives and forgets one that does not.
func (t *task) finish() {
	if t.child.usable() {
		t.client.release(t.child)
	} else {
		t.client.drop(t.child)
	}
	t.child = nil
}
