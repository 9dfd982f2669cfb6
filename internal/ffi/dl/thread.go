package dl

import (
	"context"
	"runtime"
)

// A Thread runs functions one after the other on an operating-system thread of its own.
// Goroutines wander between threads, but libraries keep state for each: OpenMP a team of
// workers and their number for each thread that calls it, and so do Accelerate's
// BLASSetThreading and newer versions of BLIS; CUDA has a current context on each.
type Thread chan func()

// NewThread starts a thread, which lasts as long as the process.
func NewThread() Thread {
	t := make(Thread)
	go func() {
		runtime.LockOSThread()
		for f := range t {
			f()
		}
	}()
	return t
}

// Do returns what f returns, once it has run. A context that is cancelled before f's turn
// comes keeps it from running.
func (t Thread) Do(ctx context.Context, f func() error) error {
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
