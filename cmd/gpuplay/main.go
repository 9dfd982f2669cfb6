// Gpuplay measures what a GPU does for AI on this machine: run it without
// arguments.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/lab"
	_ "github.com/gpuplay/gpuplay/internal/limits" // with too little, the program ends at once
	"github.com/gpuplay/gpuplay/internal/monitor"
	"github.com/gpuplay/gpuplay/internal/telemetry"
)

// Exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // 128 + SIGINT, as shells have it; see exitSignalled
)

func main() {
	host.HeedQuota()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main with its surroundings as arguments; it returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signals()
	defer stop()
	out := &checked{Writer: stdout}
	a := &app{args: args, stdin: stdin, stdout: out, stderr: stderr, env: readEnvironment(), working: make(chan struct{}, 1)}
	root := newRoot(a)
	root.SetArgs(args)
	return a.withSignals(ctx, func() int {
		err := root.ExecuteContext(ctx)
		code := exitCode(err, ctx, stderr)
		if lost := out.failed(); lost != nil && !errors.Is(err, lost) {
			complain(stderr, fmt.Errorf("writing the output: %w", cause(lost)))
		}
		if code == 0 && out.failed() != nil {
			code = exitFailed
		}
		return code
	})
}

// exitCode prints an error with its remedies and returns the code to exit with.
func exitCode(err error, ctx context.Context, stderr io.Writer) int {
	var reported *reportedError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &reported) && reported.code == exitInterrupted:
		return exitSignalled(ctx)
	case errors.As(err, &reported):
		return reported.code
	case ctx.Err() != nil:
		say(stderr, "gpuplay: interrupted\n")
		return exitSignalled(ctx)
	}
	complain(stderr, err)
	var usage *usageError
	if errors.As(err, &usage) || errors.Is(err, fault.Invalid) {
		return exitUsage
	}
	return exitFailed
}

// complain prints an error and how to fix it.
func complain(stderr io.Writer, err error) {
	say(stderr, "gpuplay: %v\n", err)
	if hint := hintOf(err); hint != "" {
		say(stderr, "  %s\n", strings.ReplaceAll(hint, "\n", "\n  "))
	}
}

// hintOf returns how to fix an error, as the command line says it.
func hintOf(err error) string {
	var usage *usageError
	var e *fault.Error
	switch {
	case errors.As(err, &usage):
		return usage.hint
	case errors.As(err, &e):
		return e.Remedies.Words(commandLine{})
	}
	return ""
}

// A usageError is a mistake on the command line.
type usageError struct{ what, hint string }

func (e *usageError) Error() string { return e.what }

func usagef(hint, format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...), hint}
}

// mistyped returns the error for a word that is none of the options.
func mistyped(word string, options []string, format string, args ...any) error {
	return usagef(fault.DidYouMean(word, options).Text, format, args...)
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
	working        chan struct{}    // holds one while something works, see work
	force          bool             // a damaged store is kept aside, and a new one begun
	history        *monitor.History // of what is measured, if somebody watches
	kept           kept             // what became of the run that was measured last
}

// catalog returns the engines as the environment has them.
func (a *app) catalog() *catalog.Catalog {
	e := a.env.engines
	if a.env.trace {
		e.Trace = &plainly{Writer: a.stderr}
	}
	return &catalog.Catalog{Env: e}
}

// deps returns what labs stand on; dirs are folders with language models beside the
// usual ones.
func (a *app) deps(dirs ...string) lab.Deps {
	return lab.Deps{
		Catalog: a.catalog(),
		Program: program(),
		Command: append([]string{"gpuplay"}, a.args...),
		Free:    host.Free,
		Sources: telemetry.Sources,
		Models:  lab.Models{Places: a.places(dirs), Hub: a.hub(), Ollama: a.env.models.ollama, Key: a.env.models.key},
	}
}
