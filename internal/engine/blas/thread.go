package blas

import (
	"context"
	"runtime"
)

// A thread runs functions one after the other on an operating-system thread of
// its own. Goroutines wander between threads, but OpenMP keeps a team of
// workers and their number for each thread that calls it, and so do
// Accelerate's BLASSetThreading and newer versions of BLIS.
type thread chan func()

func newThread() thread {
	t := make(thread)
	go func() {
		runtime.LockOSThread()
		for f := range t {
			f()
		}
	}()
	return t
}

// do returns what f returns, once it has run. A context that is cancelled
// before f's turn comes keeps it from running.
func (t thread) do(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	select {
	case t <- func() { done <- f() }:
		return <-done
	case <-ctx.Done():
		return ctx.Err()
	}
}
