package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/monitor"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/store"
	"github.com/gpuplay/gpuplay/internal/term"
)

// outputFlags say where a result goes and how it looks.
type outputFlags struct {
	format string
	output string
	quiet  bool
	all    bool // also what has no room on the screen

	keep    bool   // the run is kept in the store
	noStore bool   // but not this time
	tag     string // of the run in the store; empty: none

	watch bool // the history of the sensors is shown while something is measured, and below the table

	references []*record.Run // shown beside a race, as term.Style has it

	people string   // what the form for people is called; empty: table
	names  []string // the formats that there are

	to *destination // what output stands for, once check has been called; nil: stdout

	// answer is what writes to stdout the text that a model generates, as it comes,
	// where that is the result itself; nil: nothing does.
	answer *term.Answer
}

// events is the format that is written while it happens, not in the end.
const events = "events"

// add defines the flags of a command that measures a kind of thing.
func (f *outputFlags) add(fl *pflag.FlagSet, kind record.Kind) {
	if f.people == "" {
		f.people = "table"
	}
	f.names = append(append([]string{f.people}, encode.Formats(kind)...), events)
	fl.StringVarP(&f.format, "format", "f", "", alternatives(f.names)+" (default: by --output's ending, else "+f.people+")")
	must(fl.SetAnnotation("format", valuesOf, f.names))
	fl.StringVarP(&f.output, "output", "o", "", "write the result to this file, complete or not at all, but events as they happen; - is stdout")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "only the result")
	f.keep = true
	fl.StringVar(&f.tag, "tag", "", "keep the run under this name too, such as before; gpuplay results takes it")
	fl.BoolVar(&f.noStore, "no-store", false, "do not keep the run")
}

// check settles the format and sees early that the file can be written: a result
// must not be lost after it was measured.
func (f *outputFlags) check() error {
	var err error
	if f.format, err = formatFor(f.format, f.output, f.names, f.people); err != nil {
		return err
	}
	if f.tag != "" {
		if f.noStore {
			return usagef("leave one of them out", "--tag %s and --no-store: a run that is not kept has no tag", f.tag)
		}
		if err := store.CheckTag(f.tag); err != nil {
			return err
		}
	}
	if f.output == "" {
		return nil
	}
	f.to, err = newDestination("output", f.output)
	return err
}

// formatFor returns the format that was asked for, else that of the file's ending, else the
// usual one. An ending that stands for a format that this result does not have is refused:
// a table does not belong into a file that is called x.csv.
func formatFor(asked, file string, names []string, usual string) (string, error) {
	ending := strings.ToLower(strings.TrimPrefix(filepath.Ext(file), "."))
	switch {
	case asked != "" && !slices.Contains(names, asked):
		return "", mistyped(asked, names, "unknown format %q", asked)
	case asked != "":
		return asked, nil
	case slices.Contains(names, ending):
		return ending, nil
	case slices.Contains(encode.AllFormats(), ending) || ending == "png" || ending == "pdf":
		return "", usagef("there are: "+strings.Join(names, ", ")+"; with --format the file may have any ending", "--output %s: %s is not a format of this command", file, ending)
	}
	return usual, nil
}

// A measurement is a lab with its options: it tells what happens and returns what was
// measured.
type measurement func(context.Context, *event.Stream) (*record.Run, error)

// run measures, delivers the record and returns the error to exit with. watch are
// further subscribers to the events.
func (a *app) run(ctx context.Context, f outputFlags, measure measurement, watch ...func(event.Event)) error {
	r, err := a.measure(ctx, f, measure, watch...)
	return a.conclude(f, r, err, false)
}

// measure runs a lab while progress is shown on stderr, and events go where the flags
// say.
func (a *app) measure(ctx context.Context, f outputFlags, measure measurement, watch ...func(event.Event)) (*record.Run, error) {
	s := event.NewStream(record.NewID(), nil)
	_, live := terminal(a.stderr)
	_, shown := terminal(a.stdout)
	told := f.format == events && f.to == nil && shown // both would write into one picture
	p := term.NewProgress(a.stderr, live, f.quiet || told, a.env.style(a.stderr))
	p.Size = func() (columns, lines int) { return window(a.stderr) }
	p.Answer = f.answer
	if f.watch {
		a.history = monitor.NewHistory()
		s.Subscribe(a.history.Observe)
		p.Watch = func(columns, lines int) []string {
			style := a.env.style(a.stderr)
			style.Width, style.Lines = columns, lines
			return a.history.Watch(style, s.Now())
		}
	}
	s.Subscribe(p.Observe)
	for _, w := range watch {
		s.Subscribe(w)
	}
	keeping := a.keeping(f, s)
	written := func() error { return nil }
	if f.format == events {
		each, end, err := a.events(f.to)
		if err != nil {
			p.Close()
			keeping.forget()
			return nil, err
		}
		s.Subscribe(each)
		written = end
	}
	end := func() {}
	if live {
		end = suspending(p.Suspend)
	}
	done := a.work()
	ctx, cancel := context.WithCancel(ctx) // what a lab has begun ends with it
	defer cancel()
	r, err := measure(ctx, s)
	keeping.put(r)
	done()
	s.Close()
	a.kept = keeping.end(r)
	p.Close()
	end()
	return r, errors.Join(err, written())
}

// events returns what writes events to a file, stdout for none, as they come; end
// says whether that went well.
func (a *app) events(to *destination) (each func(event.Event), end func() error, err error) {
	if to == nil {
		each, end = encode.Events(a.stdout)
		return each, end, nil
	}
	file, err := to.stream()
	if err != nil {
		return nil, nil, err
	}
	each, failed := encode.Events(file)
	return each, func() error {
		if err := errors.Join(failed(), to.close()); err != nil {
			return fmt.Errorf("--output %s: %w", to.name, cause(err))
		}
		return nil
	}, nil
}

// conclude delivers a record, if there is one, and returns the error to exit with: what
// failed beside it, what stopped it, or what its results come to. asked: engines were
// asked for by name, so that one that is missing is a failure.
func (a *app) conclude(f outputFlags, r *record.Run, err error, asked bool) error {
	if r == nil {
		return err
	}
	err = errors.Join(err, a.deliver(f, r))
	a.sayKept(f.quiet)
	if r.Error != nil {
		err = errors.Join(err, r.Error)
	}
	switch {
	case r.Interrupted:
		if err != nil {
			complain(a.stderr, err)
		}
		return &reportedError{exitInterrupted}
	case err != nil:
		return err
	case !judge.Outcome(r, asked):
		for _, m := range r.Missing {
			if asked && m.API == "" {
				complain(a.stderr, fault.Errorf(m.Code, "%s: %s", m.Engine, m.Reason).With(m.Remedies...))
			}
		}
		return &reportedError{exitFailed}
	}
	return nil
}

// write writes a record in a format.
func (a *app) write(w io.Writer, r *record.Run, f outputFlags, format string) error {
	if format == f.people && f.answer != nil && w == a.stdout { // which has the text already
		return a.writeFigures(r, f.quiet)
	}
	if format == f.people {
		s := a.env.style(w)
		s.References = f.references
		if f.all {
			s.Lines = 0
		}
		if err := term.Table(w, r, s); err != nil || a.history == nil {
			return err
		}
		return a.writeHistory(w)
	}
	return encode.Write(w, r, format, commandLine{})
}

// deliver writes a record where the flags say: with --output the file gets the format
// and people on stdout the table. A file that fails costs nothing that was measured:
// it goes to stdout then.
func (a *app) deliver(f outputFlags, r *record.Run) error {
	switch {
	case f.format == "": // it is where it belongs
		return nil
	case f.format == events: // they have been written
		if f.to == nil || f.quiet {
			return nil
		}
	case f.to == nil:
		return a.write(a.stdout, r, f, f.format)
	default:
		err := f.to.write(func(w io.Writer) error { return a.write(w, r, f, f.format) })
		if err != nil {
			return errors.Join(err, a.write(a.stdout, r, f, f.format))
		}
		if f.quiet {
			return nil
		}
	}
	return a.write(a.stdout, r, f, f.people)
}
