//go:build unix

package main

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// suspending has Ctrl-Z stop the program through suspend, which takes what changes off
// the terminal, calls stop and puts it back, until end is called.
func suspending(suspend func(stop func())) (end func()) {
	// A shell with job control runs a command in a process group of its own. Without one
	// nobody could continue the program, and the system does not stop it either.
	if session, err := unix.Getsid(0); err != nil || session == unix.Getpgrp() || signal.Ignored(unix.SIGTSTP) {
		return func() {}
	}
	pressed, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(pressed, unix.SIGTSTP)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-pressed:
				suspend(stop)
			}
		}
	}()
	return func() {
		signal.Stop(pressed)
		close(done)
	}
}

// stop stops the program until it is continued. SIGTSTP itself would not do: Go's
// runtime never gives its usual effect back.
func stop() {
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, unix.SIGCONT)
	defer signal.Stop(continued)
	if unix.Kill(os.Getpid(), unix.SIGSTOP) == nil {
		<-continued
	}
}
