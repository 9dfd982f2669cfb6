package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// A signalled is why a context ended: the signal that the program was sent.
type signalled struct{ syscall.Signal }

func (s signalled) Error() string { return "ended by " + s.Signal.String() }

// endings are the signals that end the program after it has kept what was measured. A
// program started with nohup has SIGHUP ignored, and outlives its terminal.
func endings() []os.Signal {
	list := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}

// signals returns a context that ends with the first signal to end; a second one ends
// the program at once.
func signals() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	sent := make(chan os.Signal, 1)
	signal.Notify(sent, endings()...)
	go func() {
		select {
		case s := <-sent:
			signal.Stop(sent)
			number, _ := s.(syscall.Signal)
			cancel(signalled{number})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(sent)
		cancel(nil)
	}
}

// exitSignalled returns the code of a program that was interrupted, as shells have it:
// 128 and the number of the signal.
func exitSignalled(ctx context.Context) int {
	var s signalled
	if errors.As(context.Cause(ctx), &s) && s.Signal > 0 {
		return 128 + int(s.Signal)
	}
	return exitInterrupted
}

// lastWait is how long what no context can interrupt may take once a signal was sent,
// such as writing into a pipe that nobody reads or reading one that nobody writes.
const lastWait = time.Second

// work begins something that ends by itself once the context has ended, and that may take
// longer than lastWait for it, since it ends workers and keeps what was measured. done is
// called at its end, before any other work begins.
func (a *app) work() (done func()) {
	a.working <- struct{}{}
	return func() { <-a.working }
}

// withSignals runs a command and returns its exit code, or that of the signal where the
// command does not end.
func (a *app) withSignals(ctx context.Context, command func() int) int {
	ended := make(chan int, 1)
	go func() { ended <- command() }()
	select {
	case code := <-ended:
		return code
	case <-ctx.Done():
	}
	measured := len(a.working) > 0
	a.work()() // waits until it has ended
	late := time.After(lastWait)
	if measured && exitSignalled(ctx) == exitInterrupted { // the reader may be slow, and whoever pressed Ctrl-C can do so again
		late = nil
	}
	select {
	case code := <-ended:
		return code
	case <-late:
		say(a.stderr, "gpuplay: interrupted\n")
		return exitSignalled(ctx)
	}
}
