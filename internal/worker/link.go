package worker

import (
	"context"
	"encoding/json"
	"time"

	"github.com/gpuplay/gpuplay/internal/hardware"
)

// A Link is a worker process for what is no matrix product, such as language
// models: operations with arguments of their own, which may tell of events before
// they answer. Its methods are called one at a time.
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

// Call has the worker do op and decodes its answer into result. Each event goes to
// each as it comes, on another goroutine and never after Call has returned; each
// must not block.
//
// When ctx ends the worker is asked to stop and given patience to answer with what
// it has: stopped is true then, and the result is as good as it came to be. One
// that does not answer in time is killed, at once when patience is 0.
func (l *Link) Call(ctx context.Context, op string, args, result any, each func(event json.RawMessage), patience time.Duration) (stopped bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	ch := l.child
	ch.last++
	req := request{ID: ch.last, Op: op, Args: args}
	ch.listen(req.ID, each)
	defer ch.listen(0, nil)
	if err := ch.send(req); err != nil {
		return false, err
	}
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	stops := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
		case <-ended:
			return
		}
		close(stops)
		if patience > 0 && ch.send(request{ID: req.ID, Op: "stop"}) == nil {
			select {
			case <-time.After(patience):
			case <-ended:
				return
			}
		}
		cancel()
	}()
	err = ch.await(inner, req, result)
	select {
	case <-stops:
		stopped = true
	default:
	}
	return stopped, err
}

// Close ends the worker.
func (l *Link) Close() { l.client.Close() }
