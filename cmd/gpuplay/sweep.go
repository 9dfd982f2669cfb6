package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/lab/sweep"
	"github.com/gpuplay/gpuplay/internal/record"
)

// sweepFlags are sweep's.
type sweepFlags struct {
	measureFlags
	engines   []string
	sizes     string
	shapes    string
	resume    string
	plot      string
	crossover bool
	kept      string // the file that each size goes to once it is measured; empty: none
	picture   *destination
}

const usualSizes = "64:4096"

func newSweep(a *app) *cobra.Command {
	var f sweepFlags
	c := &cobra.Command{
		Use:   "sweep",
		Short: "Measure engines over a range of sizes, side by side",
		Long: `sweep measures the same products in every engine, one size after another; at each size
the engines take turns. It compares the first engine with the best of the others of its
kind, CPU with CPU, and the fastest GPU with the fastest CPU. Engines that can (cuda,
cublaslt, vulkan) also time products whose matrices are in main memory: copying them to the
GPU, launching, computing, and copying the result back.

--sizes takes ranges in powers of two (64:8192) or in steps (64:8192:+256,
64:8192:*1.5), single sizes, and lists of these; --shapes takes m×n×k. With --output
FILE.jsonl each size is written as soon as it is measured; --resume FILE.jsonl continues
after Ctrl-C or a crash, if the conditions are the same. --plot FILE.svg draws a diagram.`,
		Example: `  gpuplay sweep
  gpuplay sweep --engines gocpu,blas:openblas,blas:mkl --threads 1 --sizes 16:1024 --output f32.jsonl
  gpuplay sweep --shapes 5x4096x4096,64x64x100000 --time 30s
  gpuplay sweep --crossover --plot crossover.svg`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := f.parse(c.Flags())
			if err != nil {
				return err
			}
			return a.sweep(c.Context(), f, o)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringSliceVar(&f.engines, "engines", nil, "these, in this order, with a device if the engine has several: gocpu,blas:openblas,torch:cpu")
	fl.StringVar(&f.sizes, "sizes", "", "n of n×n×n products: 64:8192, 64:8192:+256, 64,100,1k (default "+usualSizes+")")
	fl.StringVar(&f.shapes, "shapes", "", "other products: 5x4096x4096,64x64x100000")
	fl.BoolVar(&f.crossover, "crossover", false, "find the size from which the GPU wins, without and with copies")
	f.addCommon(fl, record.Sweep, time.Minute)
	fl.StringVar(&f.resume, "resume", "", "continue this file of an earlier --output FILE.jsonl")
	fl.StringVar(&f.plot, "plot", "", "draw the sweep into this SVG file")
	fl.Lookup("time").Usage = "about how long to measure each size"
	fl.Lookup("output").Usage = "write the sweep to this file: size by size if it is .jsonl, otherwise complete or not at all"
	return c
}

// parse returns what the lab is told, all but the file.
func (f *sweepFlags) parse(fl *pflag.FlagSet) (sweep.Options, error) {
	o := sweep.Options{Engines: f.engines, Crossover: f.crossover}
	var err error
	if o.DType, err = f.checkCommon(fl); err != nil {
		return o, err
	}
	if o.Shapes, err = f.shapeList(); err != nil {
		return o, err
	}
	if err := f.checkOutput(); err != nil {
		return o, err
	}
	var names []string
	for _, e := range f.engines {
		name, _, _ := strings.Cut(e, ":")
		names = append(names, name)
	}
	o.Settings = f.settings()
	return o, f.checkEngines(names)
}

// shapeList returns the sizes that the flags ask for.
func (f *sweepFlags) shapeList() ([]sweep.Shape, error) {
	if f.sizes == "" && f.shapes == "" {
		f.sizes = usualSizes
	}
	var shapes []sweep.Shape
	for _, part := range []struct {
		flag, text string
		parse      func(string) ([]sweep.Shape, error)
	}{{"sizes", f.sizes, sweep.ParseSizes}, {"shapes", f.shapes, sweep.ParseShapes}} {
		if part.text == "" {
			continue
		}
		more, err := part.parse(part.text)
		if err != nil {
			return nil, usagef("", "--%s: %v", part.flag, err)
		}
		shapes = append(shapes, more...)
	}
	return shapes, nil
}

// checkOutput settles where the sweep goes. Sizes go into a file as they come, of which
// people on stdout see the table; all else is written in the end.
func (f *sweepFlags) checkOutput() error {
	if f.resume != "" {
		if f.output != "" && f.output != f.resume {
			return usagef("leave --output out: with --resume, --format goes to stdout and --plot to a file", "--resume %s and --output %s: a sweep is continued in its own file", f.resume, f.output)
		}
		f.kept, f.output = f.resume, "" // never to be written whole
	}
	if err := f.outputFlags.check(); err != nil {
		return err
	}
	if f.to != nil && f.to.open == nil && f.format == "jsonl" {
		f.kept, f.to, f.format = f.to.path, nil, f.people
	}
	if f.plot == "" {
		return nil
	}
	var err error
	if f.picture, err = newDestination("plot", f.plot); err == nil && f.picture == nil {
		err = usagef("--format svg writes the picture to stdout", "--plot %s: is stdout, which has the table", f.plot)
	}
	return err
}

// open opens the file that the sweep is kept in, nil if there is to be none.
func (f *sweepFlags) open() (*sweep.File, error) {
	switch {
	case f.resume != "":
		file, err := sweep.Resume(f.resume)
		if err != nil {
			return nil, usagef("it must be a file that --output FILE.jsonl wrote", "--resume %s: %v", f.resume, cause(err))
		}
		return file, nil
	case f.kept != "":
		file, err := sweep.Create(f.kept)
		switch {
		case errors.Is(err, fs.ErrExist):
			return nil, usagef(commandLine{}.Param("resume", f.output)+" continues it; or name another file", "--output %s: already exists", f.output)
		case err != nil:
			return nil, fmt.Errorf("--output %s: %w", f.output, cause(err))
		}
		return file, nil
	}
	return nil, nil
}

func (a *app) sweep(ctx context.Context, f sweepFlags, o sweep.Options) error {
	var err error
	if o.File, err = f.open(); err != nil {
		return err
	}
	if o.File != nil {
		defer o.File.Close()
	}
	r, err := a.measure(ctx, f.outputFlags, func(ctx context.Context, s *event.Stream) (*record.Run, error) {
		return sweep.Run(ctx, a.deps(), o, s)
	})
	if r == nil {
		return err
	}
	err = errors.Join(err, a.plot(f.picture, r))
	if f.kept != "" && f.format == f.people && f.quiet { // it is in its file
		f.format = ""
	}
	return a.conclude(f.outputFlags, r, err, false)
}

// plot draws a sweep into a file, if there is one and anything to draw.
func (a *app) plot(to *destination, r *record.Run) error {
	if to == nil || len(r.Results) == 0 {
		return nil
	}
	return to.write(func(w io.Writer) error { return encode.Write(w, r, "svg", commandLine{}) })
}
