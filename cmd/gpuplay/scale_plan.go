package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/plan"
	"github.com/gpuplay/gpuplay/internal/scaling"
	"github.com/gpuplay/gpuplay/internal/term"
)

// scalePlanFlags are scale plan's.
type scalePlanFlags struct {
	plan.Options
	gpu    string
	link   string
	batch  tokenCount
	tokens tokenCount
	seq    size
	format string
	output string
}

func newScalePlan(a *app) *cobra.Command {
	f := scalePlanFlags{gpu: "h100", link: "nvlink,ib"}
	f.GPUs = 64
	formats := append([]string{"table"}, encode.PlanFormats...)
	c := &cobra.Command{
		Use:   "plan",
		Short: "Model a training before renting GPUs: what fits, how fast it is, what it costs",
		Long: `plan models a training run on many GPUs: every combination of data, tensor and pipeline
parallelism, what each GPU then holds, and how long a step takes. It shows the three fastest
combinations that fit, why the others were not chosen, and the commands that start the training
with torchrun, Slurm and Kubernetes. Nothing is measured: the output names the basis of every
figure, and how far the same model misses published training runs (docs/SCALING.md).

The model is one of ` + strings.Join(modelNames(), ", ") + `; a
GGUF file; or a config.json or the folder that contains it.`,
		Example: `  gpuplay scale plan --model llama3-8b --gpus 64
  gpuplay scale plan --model llama3-70b --gpus 512 --gpu h100 --link nvlink,ib --tokens 15T --price 2.50
  gpuplay scale plan --model ./config.json --gpus 8 --gpu a100 --batch-tokens 512k --format json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.scalePlan(f, formats) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.Model, "model", "llama3-8b", "what to train: a name, a GGUF file, a config.json or its folder")
	fl.IntVar(&f.GPUs, "gpus", f.GPUs, fmt.Sprintf("how many GPUs, in nodes of %d", plan.Node))
	fl.StringVar(&f.gpu, "gpu", f.gpu, alternatives(plan.GPUs()))
	fl.StringVar(&f.link, "link", f.link, "links within a node and between nodes: nvlink, and "+alternatives(plan.Networks()))
	fl.Var(&f.batch, "batch-tokens", "tokens per step, over all GPUs (default 4M)")
	fl.Var(&f.seq, "seq", "tokens per sequence (default: the model's own, 8192 at most)")
	fl.Var(&f.tokens, "tokens", "tokens to train on, such as 15T; shows how many days that takes")
	fl.Float64Var(&f.Price, "price", 0, "price of one GPU-hour, in any currency; shows what all tokens cost")
	fl.IntVar(&f.Tensor, "tp", 0, "GPUs that divide each block (default: the fastest)")
	fl.IntVar(&f.Pipeline, "pp", 0, "stages of a pipeline (default: the fastest)")
	fl.StringVarP(&f.format, "format", "f", "", alternatives(formats)+" (default: by --output's ending, else table)")
	fl.StringVarP(&f.output, "output", "o", "", "write the plan to this file, complete or not at all; - is stdout")
	must(fl.SetAnnotation("format", valuesOf, formats))
	must(fl.SetAnnotation("gpu", valuesOf, plan.GPUs()))
	must(fl.SetAnnotation("model", valuesOf, modelNames()))
	return c
}

// scalePlan makes a plan and writes it.
func (a *app) scalePlan(f scalePlanFlags, formats []string) error {
	var err error
	if f.format, err = formatFor(f.format, f.output, formats, formats[0]); err != nil {
		return err
	}
	if err := f.options(); err != nil {
		return err
	}
	p, err := plan.New(f.Options)
	if err != nil {
		return err
	}
	return a.put(f.output, func(w io.Writer) error {
		switch f.format {
		case "json":
			return encode.PlanJSON(w, p)
		case "md":
			return encode.PlanMarkdown(w, p)
		}
		return term.Plan(w, p, a.env.style(w))
	})
}

// put writes to a file, complete or not at all, or to stdout if it is "".
func (a *app) put(output string, write func(io.Writer) error) error {
	if output == "" {
		return write(a.stdout)
	}
	to, err := newDestination("output", output)
	if err != nil {
		return err
	}
	return to.write(write)
}

// options turns words into what a plan is made from.
func (f *scalePlanFlags) options() (err error) {
	if f.Shape, f.Source, err = shapeOf(f.Model); err != nil {
		return err
	}
	if f.seq > 0 {
		f.Shape.Seq = int(f.seq)
	}
	if f.GPU, err = plan.LookupGPU(f.gpu); err != nil {
		return err
	}
	inside, between, both := strings.Cut(f.link, ",")
	if inside != "nvlink" || !both {
		return usagef("for example --link nvlink,ib", "--link %s: a link inside a node and one between nodes are needed, such as nvlink,ib", f.link)
	}
	if f.Network, err = plan.LookupNetwork(between); err != nil {
		return err
	}
	if f.Price < 0 || math.IsNaN(f.Price) || math.IsInf(f.Price, 0) {
		return usagef("for example --price 2.50", "--price %v is not a price", f.Price)
	}
	if f.Price > 0 && f.tokens == 0 {
		return usagef("for example --tokens 15T", "--price needs --tokens: without them nothing ends")
	}
	f.BatchTokens, f.Tokens = int(f.batch), float64(f.tokens)
	return nil
}

// shapeOf returns the shape of a model that is named or that a file describes.
func shapeOf(name string) (scaling.Shape, string, error) {
	if m, ok := scaling.Lookup(name); ok {
		return m.Shape, m.Source, nil
	}
	if _, err := os.Stat(name); err != nil {
		return scaling.Shape{}, "", mistyped(name, modelNames(), "--model %s is neither a file nor one of the models that are known", name)
	}
	s, err := model.ReadShape(name)
	if e := fault.From(err); e != nil {
		return s, "", e
	}
	return s, name, nil
}

// modelNames are the models that have names.
func modelNames() (names []string) {
	for _, m := range scaling.Models() {
		names = append(names, m.Name)
	}
	return names
}

// tokenCount is a flag for a number of tokens: 4M and 512k, which are 4·1024² and 512·1024, and
// 300B and 15T, which are billions and trillions; 0 when not given.
type tokenCount float64

func (t *tokenCount) String() string {
	if *t == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(*t), 'f', -1, 64)
}

func (t *tokenCount) Set(text string) error {
	number, factor := strings.TrimSpace(text), 1.0
	for suffix, f := range map[string]float64{"k": 1 << 10, "M": 1 << 20, "B": 1e9, "T": 1e12} {
		if n, ok := strings.CutSuffix(number, suffix); ok {
			number, factor = n, f
			break
		}
	}
	x, err := strconv.ParseFloat(number, 64)
	if err != nil || !(x*factor >= 1 && x*factor <= 1e15) || x*factor != math.Trunc(x*factor) {
		return usagef("", "%q is not a number of tokens: for example 512k, 4M, 300B or 15T is needed", text)
	}
	*t = tokenCount(x * factor)
	return nil
}

func (t *tokenCount) Type() string { return "tokens" }
