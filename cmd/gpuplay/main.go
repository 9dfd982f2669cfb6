// Gpuplay measures what a GPU does for AI on this machine: run it without
// arguments.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/report"
)

// Exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // 128 + SIGINT, as shells have it
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is main with its surroundings as arguments; it returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program the hard way
	root := newRoot(&app{args: args, stdin: stdin, stdout: stdout, stderr: stderr, env: readEnvironment()})
	root.SetArgs(args)
	return exitCode(root.ExecuteContext(ctx), ctx, stderr)
}

// exitCode prints an error with its way out and says what to exit with.
func exitCode(err error, ctx context.Context, stderr io.Writer) int {
	var reported *reportedError
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &reported):
		return reported.code
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "gpuplay: interrupted")
		return exitInterrupted
	}
	fmt.Fprintf(stderr, "gpuplay: %v\n", err)
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(stderr, "  %s\n", hint)
	}
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

func hintOf(err error) string {
	var usage *usageError
	var e *fault.Error
	switch {
	case errors.As(err, &usage):
		return usage.hint
	case errors.As(err, &e):
		return report.Words(e.Remedies)
	}
	return ""
}

// A usageError is a mistake on the command line.
type usageError struct{ what, hint string }

func (e *usageError) Error() string { return e.what }

func usagef(hint, format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...), hint}
}

// A reportedError has been shown with the results already; only the exit code is
// left of it.
type reportedError struct{ code int }

func (e *reportedError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// app is what the commands share.
type app struct {
	args           []string // of the program
	stdin          io.Reader
	stdout, stderr io.Writer
	env            environment
}

// hintNear returns "did you mean …?" for the option nearest to a mistyped one,
// or the whole choice.
func hintNear(word string, options []string) string {
	if near := nearest(word, options); near != "" {
		return fmt.Sprintf("did you mean %s? there are: %s", near, strings.Join(options, ", "))
	}
	return "there are: " + strings.Join(options, ", ")
}
