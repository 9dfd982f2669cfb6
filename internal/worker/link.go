package worker

import (
	"context"
	"time"

	"github.com/gpuplay/gpuplay/internal/hardware"
)

// A Link is a worker process for what is no matrix product, such as language models.
// It is asked one thing at a time; Close may be called meanwhile.
type Link struct {
	client *Client
	child  *child
	found  hardware.Inventory
}

// Dial starts a worker and says hello.
func (c *Client) Dial(ctx context.Context) (*Link, error) {
	ch, err := c.start(ctx)
	if err != nil {
		return nil, err
	}
	return &Link{c, ch, *c.inventory()}, nil
}

// Inventory is what the worker said of its devices.
func (l *Link) Inventory() hardware.Inventory { return l.found }

// Do has the worker do an operation. Each event goes to each as it comes, on another
// goroutine and never after Do has returned; each must not block, and may be nil.
//
// When ctx ends, the worker is asked to stop and given patience to answer with what it
// has: stopped is true then, and the result is as good as it came to be. One that does
// not answer in time is killed, at once when patience is 0.
func Do[A, E, R any](ctx context.Context, l *Link, o Operation[A, E, R], args A, each func(E), patience time.Duration) (result R, stopped bool, err error) {
	got, err := ask(ctx, l.child, o, args, exchange[E]{each: each, patience: patience})
	return got.result, got.stopped, err
}

// Close ends this worker and no other of its Client's. A second call does nothing.
func (l *Link) Close() {
	l.client.forget(l.child)
	l.child.end()
}
