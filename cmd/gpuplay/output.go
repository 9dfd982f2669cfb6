package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/gpuplay/gpuplay/internal/report"
)

// outputFlags say where results go and how they look.
type outputFlags struct {
	format string
	output string
	quiet  bool
}

// formats are the ways to write a document, by their names.
var formats = map[string]func(io.Writer, *report.Document) error{
	"line":  report.Line,
	"json":  report.JSON,
	"jsonl": report.JSONL,
	"csv":   report.CSV,
	"md":    report.Markdown,
}

var formatNames = []string{"table", "line", "json", "jsonl", "csv", "md"}

func (f *outputFlags) add(fl *pflag.FlagSet) {
	fl.StringVarP(&f.format, "format", "f", "", "table, line, json, jsonl, csv or md (default: by --output's ending, else table)")
	fl.StringVarP(&f.output, "output", "o", "", "write the result to this file, all of it or nothing")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "only the result")
}

// check settles the format and sees early that the file can be written: a result
// must not be lost after it was measured.
func (f *outputFlags) check() error { return f.checkAs(formatNames) }

// checkAs is check for a command with formats of its own.
func (f *outputFlags) checkAs(names []string) error {
	if f.format == "" {
		f.format = "table"
		if ending := strings.TrimPrefix(filepath.Ext(f.output), "."); slices.Contains(names, ending) {
			f.format = ending
		}
	}
	if !slices.Contains(names, f.format) {
		return usagef(hintNear(f.format, names), "unknown format %q", f.format)
	}
	if f.output == "" {
		return nil
	}
	return writable("output", f.output)
}

// writable sees whether the file that a flag names can be written.
func writable(flag, name string) error {
	info, err := os.Stat(name)
	if err == nil && info.IsDir() {
		return usagef("name a file in it", "--%s %s: is a folder", flag, name)
	}
	if err == nil && !info.Mode().IsRegular() { // a pipe, /dev/null
		return nil
	}
	probe, err := os.CreateTemp(filepath.Dir(name), ".gpuplay-*")
	if err != nil {
		return usagef("name a file in a folder that is there and may be written to", "--%s %s: %v", flag, name, cause(err))
	}
	probe.Close()
	os.Remove(probe.Name())
	return nil
}

// cause strips the path that an os error repeats.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// write puts the document into w in a format.
func (a *app) write(w io.Writer, d *report.Document, format string) error {
	if format == "table" {
		return report.Table(w, d, a.env.style(w))
	}
	return formats[format](w, d)
}

// deliver writes the document where the flags say.
func (a *app) deliver(ctx context.Context, f outputFlags, d *report.Document) error {
	d.Interrupted = ctx.Err() != nil
	return a.deliverAs(f, func(w io.Writer, format string) error { return a.write(w, d, format) })
}

// deliverAs writes a result where the flags say: with --output the file gets the
// format and people on stdout the table. A file that fails costs nothing that was
// measured: it goes to stdout then.
func (a *app) deliverAs(f outputFlags, write func(w io.Writer, format string) error) error {
	if f.output == "" {
		return write(a.stdout, f.format)
	}
	err := writeFile(f.output, func(w io.Writer) error { return write(w, f.format) })
	switch {
	case err != nil:
		err = errors.Join(fmt.Errorf("--output %s: %w", f.output, err), write(a.stdout, f.format))
	case !f.quiet:
		err = write(a.stdout, "table")
	}
	return err
}

// writeFile writes a file whole or not at all.
func writeFile(name string, write func(io.Writer) error) (err error) {
	if info, statErr := os.Stat(name); statErr == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return cause(err)
		}
		return errors.Join(write(f), f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".gpuplay-*")
	if err != nil {
		return cause(err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := errors.Join(write(f), f.Sync(), f.Chmod(0o644), f.Close()); err != nil {
		return cause(err)
	}
	return os.Rename(f.Name(), name)
}
