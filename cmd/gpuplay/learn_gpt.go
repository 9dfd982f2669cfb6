package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/gpt"
	"github.com/gpuplay/gpuplay/internal/lab/playground"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/term"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// gptFlags are learn gpt's.
type gptFlags struct {
	playground.TextOptions
	threads int
	python  string
	out     outputFlags
	save    string // a folder
	files   []*destination
}

// gptFiles are what --save writes into the folder: the weights, and a program for each framework.
var gptFiles = []string{gpt.WeightsFile, "gpt_torch.py", "gpt_mlx.py"}

func newLearnGPT(a *app) *cobra.Command {
	f := gptFlags{TextOptions: playground.DefaultText()}
	f.Steps = 1000
	c := &cobra.Command{
		Use:   "gpt [FILE]",
		Short: "Train a small GPT to write like a text, character by character",
		Long: `gpt trains a transformer, usually of 0.4 million weights, on the text in a file, or on
Shakespeare's Coriolanus, with gpuplay's own engine on the CPU. Its gradients are first checked against
finite differences. Every few seconds it shows the loss of text that is not learned, the speed,
and what the network writes. Ctrl-C ends it with what was reached.

With --torch, PyTorch makes the same steps from the same weights, in turns, on the same
number of threads or on a GPU. Its losses must be gpuplay's. On a CUDA device each of its steps
is launched as one CUDA graph; --eager shows what that is worth.`,
		Example: `  gpuplay learn gpt
  gpuplay learn gpt book.txt --steps 5000 --layers 3 --context 128
  gpuplay learn gpt --save play && python play/gpt_torch.py
  gpuplay learn gpt --torch --device cpu
  gpuplay learn gpt --torch --eager -o gpt.events`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("for example gpuplay learn gpt book.txt", "gpuplay learn gpt takes one text, not %d", len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case f.Steps < 1 || f.Steps > playground.MaxSteps:
				return usagef("for example --steps 1000", "--steps %d: must be between 1 and %d", f.Steps, playground.MaxSteps)
			case !(f.Rate > 0 && f.Rate <= 1):
				return usagef("for example --rate 0.002", "--rate %v: must be above 0 and at most 1", f.Rate)
			case !f.Torch && c.Flags().Changed("device"):
				return usagef("add --torch", "--device is PyTorch's, which takes part only with --torch")
			case !f.Torch && f.Eager:
				return usagef("add --torch", "--eager is for PyTorch, which takes part only with --torch")
			case !f.Torch && c.Flags().Changed("python"):
				return usagef("add --torch", "--python is for PyTorch, which takes part only with --torch")
			}
			if err := oneOf("dtype", f.DType, []string{"float32", "float64"}); err != nil {
				return err
			}
			if err := checkThreads(c.Flags(), f.threads, runtime.NumCPU(), "for one per core"); err != nil {
				return err
			}
			if err := f.out.check(); err != nil {
				return err
			}
			if f.out.format != events && f.out.to != nil {
				return usagef("for example --output gpt.events", "--output %s: only events are written to a file", f.out.output)
			}
			name := "Shakespeare's Coriolanus"
			if len(args) > 0 {
				name = args[0]
				text, err := readText(a.stdin, name)
				if err != nil {
					return err
				}
				f.Text = text
			}
			if f.save != "" {
				if err := os.MkdirAll(f.save, 0o777); err != nil {
					return usagef("name a folder that may be written to", "--save %s: %v", f.save, cause(err))
				}
				for _, name := range gptFiles {
					d, err := newDestination("save", filepath.Join(f.save, name))
					if err != nil {
						return err
					}
					f.files = append(f.files, d)
				}
			}
			return a.learnGPT(c.Context(), f, name)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.IntVar(&f.Steps, "steps", f.Steps, "steps")
	fl.IntVar(&f.Layers, "layers", f.Layers, fmt.Sprintf("layers, at most %d", gpt.MaxLayers))
	fl.IntVar(&f.Width, "width", f.Width, fmt.Sprintf("width, a multiple of %d up to %d; each %d are a head of attention", gpt.HeadSize, gpt.MaxWidth, gpt.HeadSize))
	fl.IntVar(&f.Context, "context", f.Context, fmt.Sprintf("characters of a sequence, which the network sees at most: up to %d", gpt.MaxContext))
	fl.IntVar(&f.Batch, "batch", f.Batch, fmt.Sprintf("sequences of a step, at most %d", gpt.MaxBatch))
	fl.Float64Var(&f.Rate, "rate", f.Rate, "learning rate of AdamW")
	fl.StringVar(&f.DType, "dtype", "float32", "float32 or float64")
	fl.Uint64Var(&f.Seed, "seed", f.Seed, "seed of the weights, the sequences and what is written")
	fl.IntVar(&f.threads, "threads", 0, "CPU threads (default: one per core)")
	fl.BoolVar(&f.Torch, "torch", false, "have PyTorch make the same steps, in turns")
	fl.StringVar(&f.Device, "device", "", "PyTorch's device: cpu, gpu, or a name such as mps, cuda or cuda:1 (default: the GPU if there is one)")
	fl.BoolVar(&f.Eager, "eager", false, "have PyTorch on a CUDA device also make the steps without CUDA graphs, in turns")
	fl.StringVar(&f.python, "python", "", "Python interpreter or environment with PyTorch in it")
	fl.StringVar(&f.save, "save", "", "write the weights, and programs for PyTorch and MLX that write text with them, into this `folder`")
	f.out = outputFlags{people: "text", names: []string{"text", events}}
	fl.StringVarP(&f.out.format, "format", "f", "", alternatives(f.out.names)+" (default: by --output's ending, else text)")
	must(fl.SetAnnotation("format", valuesOf, f.out.names))
	fl.StringVarP(&f.out.output, "output", "o", "", "write the events to this file as they happen: every turn of each engine, and what is written")
	return c
}

// readText reads the text that is to be learned; "-" is standard input.
func readText(stdin io.Reader, name string) (string, error) {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return "", fault.Errorf(fault.Invalid, "%s: %v", name, cause(err))
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, gpt.MaxText+1))
	if err == nil {
		text = inUTF8(text)
		_, err = gpt.ReadText(text)
	}
	if err != nil {
		return "", fault.Errorf(fault.Invalid, "%s: %v", name, cause(err))
	}
	return string(text), nil
}

func (a *app) learnGPT(ctx context.Context, f gptFlags, name string) error {
	defer a.work()()
	keeper := playground.TextKeeper{Threads: f.threads, Torch: playground.Torch(a.catalog(), python.GPT, f.python)}
	defer keeper.Close()
	training, err := keeper.New(f.TextOptions)
	if err != nil {
		return err
	}
	v := gptView{app: a, name: name, steps: f.Steps, out: a.stdout}
	stream := event.NewStream(record.NewID(), nil)
	written := func() error { return nil }
	if f.out.format == events {
		each, end, err := a.events(f.out.to)
		if err != nil {
			return err
		}
		stream.Subscribe(each)
		written = end
		if f.out.to == nil { // the events are what goes to stdout
			v.out = io.Discard
		}
	}
	stream.Subscribe(v.show)
	err = training.Run(ctx, stream)
	stream.Close()
	v.sum()
	return errors.Join(err, written(), v.save(&keeper, f))
}

// save writes what was learned where --save says, unless it is nothing.
func (v *gptView) save(keeper *playground.TextKeeper, f gptFlags) error {
	if len(f.files) == 0 {
		return nil
	}
	e, err := keeper.Export()
	if err != nil || e == nil || e.Steps == 0 {
		return err
	}
	if v.lanes[0].now.Diverged {
		say(v.out, "\n%s: nothing is written, since the weights are no finite numbers.\n", plain.Line(f.save))
		return nil
	}
	for i, content := range [][]byte{e.Safetensors, []byte(e.Torch), []byte(e.MLX)} {
		if err := f.files[i].write(func(w io.Writer) error { _, err := w.Write(content); return err }); err != nil {
			return err
		}
	}
	say(v.out, "\n%s: the weights, and programs that write text with them: %s.\n", plain.Line(f.save), unit.List(gptFiles))
	return nil
}

// A gptView shows a training of a text as it goes.
type gptView struct {
	*app
	name  string
	steps int
	out   io.Writer
	lanes []gptLane
}

// A gptLane is an engine of the training, and what it has reached.
type gptLane struct {
	id, name string
	now      playground.Learned
	turns    []float64 // steps per second of each
}

// speed returns an engine's steps per second.
func (l gptLane) speed() float64 { return float64(l.now.Steps) / time.Duration(l.now.Busy).Seconds() }

// loss returns the loss of text that was not learned, for people.
func (l gptLane) loss() string {
	if l.now.Diverged {
		return "not a finite number"
	}
	return fmt.Sprintf("%.3f", l.now.Loss)
}

func (v *gptView) show(e event.Event) {
	switch d := e.Data.(type) {
	case playground.TextStarted:
		say(v.out, "A GPT of %d weights learns %s: %d characters, %d different ones.\n", d.Weights, plain.Line(v.name), d.Characters, d.Shape.Vocabulary)
		say(v.out, "Its gradients were checked: worst %.0e.\n", d.Check.Worst)
	case event.Note:
		say(v.stderr, "%s\n", d.Text)
	case event.Phase:
		if d.Phase == "measuring" {
			say(v.stderr, "training for %s; Ctrl-C ends it with what was reached\n", unit.Plural(v.steps, "step"))
		}
	case event.Lane:
		v.lanes = append(v.lanes, gptLane{id: e.Lane, name: d.Name})
	case playground.Learned:
		for i := range v.lanes {
			if v.lanes[i].id == e.Lane {
				before := v.lanes[i].now
				if steps := d.Steps - before.Steps; steps > 0 {
					v.lanes[i].turns = append(v.lanes[i].turns, float64(steps)/time.Duration(d.Busy-before.Busy).Seconds())
				}
				v.lanes[i].now = d
			}
		}
	case playground.Written:
		say(v.out, "\n")
		for _, l := range v.lanes {
			if l.now.Steps > 0 {
				say(v.out, "%s, loss %s, %s steps/s: %s\n", unit.Plural(l.now.Steps, "step"), l.loss(), unit.Digits3(l.speed()), plain.Line(l.name))
			}
		}
		for l := range strings.SplitSeq(strings.Trim(plain.Text(d.Text), "\n"), "\n") {
			for _, l := range term.Hanging("  | ", l, v.env.style(v.stdout).Width) {
				say(v.out, "%s\n", l)
			}
		}
	}
}

// sum says what was reached.
func (v *gptView) sum() {
	if len(v.lanes) == 0 || v.lanes[0].now.Steps == 0 {
		return
	}
	own := v.lanes[0]
	took := unit.Seconds(time.Duration(own.now.Busy))
	if own.now.Diverged {
		say(v.out, "\nAfter %s the loss is not a finite number: the training diverged. Lower the learning rate with --rate.\n", unit.Plural(own.now.Steps, "step"))
		return
	}
	say(v.out, "\n%s took %s: %s steps/s by %s. Loss of text that was not learned: %s.\n", unit.Plural(own.now.Steps, "step"), took, unit.Digits3(own.speed()), own.name, own.loss())
	others := v.lanes[1:]
	for _, other := range others {
		if other.now.Steps > 0 {
			say(v.out, "%s: %s steps/s, %s times the speed of this program. Its loss: %s.\n",
				plain.Line(other.name), unit.Digits3(other.speed()), unit.Times(other.speed()/own.speed()), other.loss())
		}
	}
	if len(others) == 0 || !stats.MedianInterval(own.turns).Firm() {
		return
	}
	say(v.out, "\nMedians of %s, with their 95 %% intervals:\n", unit.Plural(len(own.turns), "turn"))
	for _, l := range v.lanes {
		i := stats.MedianInterval(l.turns)
		say(v.out, "  %s steps/s, %s to %s: %s\n", unit.Digits3(i.Value), unit.Digits3(i.Low), unit.Digits3(i.High), plain.Line(l.name))
	}
}
