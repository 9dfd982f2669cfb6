package worker

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// A Client is an engine whose work is done by child processes, one for each task
// that is open at a time.
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
	idle  []*child
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

// Reserve starts workers until n are idle, side by side, so that as many tasks
// can be prepared without waiting for one to start.
func (c *Client) Reserve(ctx context.Context, n int) error {
	c.mu.Lock()
	n -= len(c.idle)
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
	ch.capabilities = w.Capabilities
	c.mu.Lock()
	c.found = &w.Inventory
	c.mu.Unlock()
	return ch, nil
}

// take returns an idle worker, or a new one.
func (c *Client) take(ctx context.Context) (*child, error) {
	for {
		c.mu.Lock()
		n := len(c.idle)
		if n == 0 {
			c.mu.Unlock()
			return c.start(ctx)
		}
		ch := c.idle[n-1]
		c.idle = c.idle[:n-1]
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
	if c.all[ch] {
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
}

// Prepare prepares g in an idle worker, or in a new one. It calls tell on another
// goroutine.
func (c *Client) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ch, err := c.take(ctx)
	if err != nil {
		return nil, err
	}
	t := &task{client: c, child: ch, gemm: g}
	got, err := ask(ctx, ch, prepare, PrepareArgs{Device: d.ID, GEMM: g, Seed: seed}, exchange[bench.Tuning]{each: tell})
	if err != nil {
		t.finish()
		return nil, err
	}
	t.facts = got.result
	return t, nil
}

// task is a task in a worker.
type task struct {
	client *Client
	child  *child // nil once closed
	gemm   bench.GEMM
	facts  bench.Facts
}

var errClosed = fault.Errorf(fault.Invalid, "the task is closed")

func (t *task) Facts() bench.Facts { return t.facts }

func (t *task) Run(ctx context.Context, n, set int) (s bench.Sample, err error) {
	if t.child == nil {
		return s, errClosed
	}
	got, err := ask(ctx, t.child, run, RunArgs{n, set}, exchange[None]{})
	if err != nil {
		return s, err
	}
	r := got.result
	if r.Iters < 1 || r.Iters > n || r.Wall <= 0 {
		return s, fault.Errorf(fault.Internal, "worker reports %d products in %v where %d were asked for", r.Iters, r.Wall, n)
	}
	return bench.Sample{Iters: r.Iters, Wall: r.Wall, Device: r.Device, Busy: r.Busy}, nil
}

func (t *task) MulVec(ctx context.Context, x []float64) ([]float64, error) {
	if t.child == nil {
		return nil, errClosed
	}
	got, err := ask(ctx, t.child, mulvec, None{}, exchange[None]{frame: pack(x), bytes: elementSize * int64(t.gemm.M)})
	if err != nil {
		return nil, err
	}
	return unpack(got.frame), nil
}

// Close frees the worker for the next task.
func (t *task) Close() error {
	if t.child == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), endLimit)
	defer cancel()
	_, err := ask(ctx, t.child, release, None{}, exchange[None]{})
	if err != nil {
		t.client.drop(t.child)
		t.child = nil
		return err
	}
	t.finish()
	return nil
}

// finish gives a worker without an open task back, if it lives.
func (t *task) finish() {
	if t.child.usable() {
		t.client.release(t.child)
	} else {
		t.client.drop(t.child)
	}
	t.child = nil
}
