package main

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/plan"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/term"
)

// learnGPUsFlags are learn gpus'.
type learnGPUsFlags struct {
	model string
	gpu   string
	gpus  int
	seq   size

	format string
	output string
}

func newLearnGPUs(a *app) *cobra.Command {
	f := learnGPUsFlags{model: "llama3-8b", gpu: "h100", gpus: plan.Node}
	formats := []string{"table", "json"}
	c := &cobra.Command{
		Use:   "gpus [RUN]",
		Short: "What each of several GPUs holds and sends, for each way to divide a model",
		Long: `gpus draws what each GPU of a node holds when a model is trained on several of them, to
the scale of the card's memory, and says what it sends: with data parallelism, ZeRO and
FSDP, tensor parallelism and a pipeline, each alone. Try another model, number of GPUs or
card to see what helps when. This part is modelled, like gpuplay scale plan. Below it is
a timeline of one real step for each rank, from a run of gpuplay scale run: the one that
is named, or else the last stored one that has a timeline.

` + naming,
		Example: `  gpuplay learn gpus
  gpuplay learn gpus --gpus 2
  gpuplay learn gpus last
  gpuplay learn gpus --model gpt2-xl --gpus 4 --gpu a100`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("for example gpuplay learn gpus last", "%s takes one run, not %d", c.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return a.learnGPUs(c.Context(), f, formats, strings.Join(args, ""))
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.model, "model", f.model, "what to train: a name, a GGUF file, a config.json or its folder")
	fl.IntVar(&f.gpus, "gpus", f.gpus, "how many GPUs, from 2 to 8")
	fl.StringVar(&f.gpu, "gpu", f.gpu, alternatives(plan.GPUs()))
	fl.Var(&f.seq, "seq", "tokens per sequence (default: the model's own, 8192 at most)")
	fl.StringVarP(&f.format, "format", "f", "", alternatives(formats)+" (default: by --output's ending, else table)")
	fl.StringVarP(&f.output, "output", "o", "", "write the result to this file, complete or not at all; - is stdout")
	must(fl.SetAnnotation("format", valuesOf, formats))
	must(fl.SetAnnotation("gpu", valuesOf, plan.GPUs()))
	must(fl.SetAnnotation("model", valuesOf, modelNames()))
	return c
}

// learnGPUs shows what each GPU holds and sends, and the timeline of a run.
func (a *app) learnGPUs(ctx context.Context, f learnGPUsFlags, formats []string, run string) error {
	format, err := formatFor(f.format, f.output, formats, formats[0])
	if err != nil {
		return err
	}
	shape, _, err := shapeOf(f.model)
	if err != nil {
		return err
	}
	if f.seq > 0 {
		shape.Seq = int(f.seq)
	}
	gpu, err := plan.LookupGPU(f.gpu)
	if err != nil {
		return err
	}
	l, err := plan.Learn(f.model, shape, gpu, f.gpus)
	if err != nil {
		return err
	}
	r, err := a.timeline(ctx, run)
	if err != nil {
		return err
	}
	return a.put(f.output, func(w io.Writer) error {
		if format == "json" {
			return encode.LessonsJSON(w, l)
		}
		return term.Lessons(w, l, r, a.env.style(w))
	})
}

// timeline returns the run of that name, which must have a timeline; without a name the last
// one that has, nil where there is none.
func (a *app) timeline(ctx context.Context, name string) (*record.Run, error) {
	if name != "" {
		r, err := a.loadRun(name)
		if err == nil && !term.HasTimeline(r) {
			err = fault.Errorf(fault.Invalid, "%s is a run of %s without a timeline", name, r.Kind).With(
				fault.Run("{} measures one", "gpuplay", "scale", "run"), fault.Run("{} shows of which kind each run is", "gpuplay", "results", "list"))
		}
		return r, err
	}
	for _, r := range a.latest(ctx, record.Scale, timelineRuns) {
		if term.HasTimeline(r) {
			return r, nil
		}
	}
	return nil, nil
}

// timelineRuns is how many of the latest runs are looked at for a timeline.
const timelineRuns = 20
