package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/lab/scale"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/scaling"
)

// newScale makes the command whose subcommands are about several GPUs.
func newScale(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "scale",
		Short:   "Train on several GPUs: how much faster it is, measured or modelled",
		Long:    `scale measures and models training a transformer on several devices.`,
		Example: "  gpuplay scale run\n  gpuplay scale plan --model llama3-8b --gpus 64",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usagef("for example gpuplay scale run", "gpuplay scale needs to know what: run or plan")
		},
	}
	c.AddCommand(newScaleRun(a), newScalePlan(a))
	return c
}

// scaleFlags are scale run's.
type scaleFlags struct {
	outputFlags
	scale.Options
	strategies []string
	model      string
	shape      scaling.Shape
	protocol   string
	device     string
	print      bool
}

func newScaleRun(a *app) *cobra.Command {
	var f scaleFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "Train a transformer on 1, 2, 4, … devices with each strategy, and check it",
		Long: `run trains a transformer for a few steps, first on one device and then on several, with
data parallelism (dp: one all-reduce; ddp: in buckets), sharding (fsdp), tensor
parallelism (tp) and a pipeline (pp). The loss and the gradients of each strategy are
checked against those of one device. run also measures communication between the devices,
and shows what a model predicts from one device and from communication, and its error.

The torchrun of the installed PyTorch starts the ranks, with NCCL on NVIDIA GPUs. Without
a GPU, the run is a rehearsal: processes on the CPU that communicate through gloo.

--hosts starts ranks on several machines through ssh, which must work without a password;
PyTorch must be at the same path on each. --print instead prints what to start where.`,
		Example: `  gpuplay scale run
  gpuplay scale run --strategy ddp,fsdp --world 1,2,4 --model gpt2 --dtype bfloat16
  gpuplay scale run --layers 8 --width 2048 --heads 16 --seq 1024 --protocol weak
  gpuplay scale run --hosts node1,node2 --world 1,8,16`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := f.parse(c.Flags())
			if err != nil {
				return err
			}
			if f.print {
				return a.printScale(o)
			}
			if err := f.outputFlags.check(); err != nil {
				return err
			}
			return a.run(c.Context(), f.outputFlags, func(ctx context.Context, s *event.Stream) (*record.Run, error) {
				return scale.Run(ctx, a.deps(), o, s)
			})
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringSliceVar(&f.strategies, "strategy", []string{"all"}, "any of dp, ddp, fsdp, tp, pp; or all that can divide the model")
	fl.IntSliceVar(&f.Worlds, "world", nil, "numbers of ranks (default: 1, 2, 4, … up to the number of devices)")
	fl.StringVar(&f.model, "model", "", alternatives(trainable())+" (default: small, or tiny on CPUs)")
	fl.IntVar(&f.shape.Layers, "layers", 0, "blocks; this and --width, --heads, --seq and --vocab change the named model")
	fl.IntVar(&f.shape.Width, "width", 0, "width of the model")
	fl.IntVar(&f.shape.Heads, "heads", 0, "attention heads")
	fl.IntVar(&f.shape.Seq, "seq", 0, "tokens per sequence")
	fl.IntVar(&f.shape.Vocab, "vocab", 0, "size of the vocabulary")
	fl.IntVar(&f.Batch, "batch", 0, "sequences per step; with --protocol weak, per rank (default 8)")
	fl.StringVar(&f.DType, "dtype", "float32", "float32 or bfloat16, for weights, gradients, moments and activations")
	fl.StringVar(&f.protocol, "protocol", "strong", "strong: the batch is divided over the ranks; weak: it grows with them")
	must(fl.SetAnnotation("protocol", valuesOf, []string{"strong", "weak"}))
	fl.StringVar(&f.device, "device", "gpu", "gpu: NVIDIA GPUs, or CPUs if there are none; cpu: a rehearsal")
	fl.StringSliceVar(&f.Hosts, "hosts", nil, "machines to train on, as named for ssh, such as node1,me@node2; the first one coordinates")
	fl.IntVar(&f.Port, "master-port", 0, "port on which the first of several hosts listens (default: a free one)")
	fl.BoolVar(&f.print, "print", false, "print what to start on each host, and start nothing")
	fl.StringVar(&f.Python, "python", "", "the Python with PyTorch, or its environment's folder")
	fl.DurationVar(&f.Budget, "time", 2*time.Second, "about how long to time each strategy")
	fl.DurationVar(&f.Timeout, "timeout", time.Minute, "how long ranks wait for each other, and how long PyTorch may take to start")
	f.outputFlags.add(fl, record.Scale)
	return c
}

// trainable are the names of the models that run trains: those of the form of GPT-2.
func trainable() []string {
	var names []string
	for _, m := range scaling.Models() {
		if !m.Shape.Gated && m.Name != "gpt3-175b" {
			names = append(names, m.Name)
		}
	}
	return names
}

// parse returns what the lab is told.
func (f *scaleFlags) parse(fl *pflag.FlagSet) (scale.Options, error) {
	o := f.Options
	o.Seed = 1
	for _, name := range f.strategies {
		switch s := scaling.Strategy(name); {
		case name == "all":
			o.All, o.Strategies = true, scaling.Strategies
		case !slices.Contains(scaling.Strategies, s):
			return o, mistyped(name, append(words(scaling.Strategies), "all"), "unknown strategy %q", name)
		case !slices.Contains(o.Strategies, s):
			o.Strategies = append(o.Strategies, s)
		}
	}
	if err := oneOf("protocol", f.protocol, []string{"strong", "weak"}); err != nil {
		return o, err
	}
	if err := oneOf("device", f.device, []string{"gpu", "cpu"}); err != nil {
		return o, err
	}
	o.Weak, o.CPU = f.protocol == "weak", f.device == "cpu"
	if f.model != "" {
		if err := oneOf("model", f.model, trainable()); err != nil {
			return o, err
		}
		m, _ := scaling.Lookup(f.model)
		o.Model, o.Shape = m.Name, m.Shape
	}
	for _, x := range []struct {
		name  string
		given int
		field *int
	}{{"layers", f.shape.Layers, &o.Shape.Layers}, {"width", f.shape.Width, &o.Shape.Width}, {"heads", f.shape.Heads, &o.Shape.Heads}, {"seq", f.shape.Seq, &o.Shape.Seq}, {"vocab", f.shape.Vocab, &o.Shape.Vocab}} {
		if !fl.Changed(x.name) {
			continue
		}
		if x.given < 1 {
			return o, usagef("", "--%s %d: at least 1 is needed", x.name, x.given)
		}
		if o.Shape == (scaling.Shape{}) {
			m, _ := scaling.Lookup("small")
			o.Shape = m.Shape
		}
		*x.field, o.Model = x.given, ""
	}
	o.Shape.Tied = false // a matrix that two stages of a pipeline share would have to be kept equal
	if fl.Changed("batch") && o.Batch < 1 {
		return o, usagef("", "--batch %d: at least 1 sequence is needed", o.Batch)
	}
	return o, o.Check()
}

// words returns names as text.
func words[T ~string](names []T) []string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = string(n)
	}
	return list
}

// printScale prints what to start on each host.
func (a *app) printScale(o scale.Options) error {
	lines, err := scale.Commands(o)
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.stdout, plain.Text(strings.Join(lines, "\n"))+"\n") // not wrapped: a shell reads it
	return err
}
