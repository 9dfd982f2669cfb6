package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/lora"
	"github.com/gpuplay/gpuplay/internal/model"
)

// finetuneFlags are finetune's.
type finetuneFlags struct {
	languageFlags
	data, adapter, prompt      string
	resume                     bool
	iters, tokens              int
	batch, layers, rank        int
	lr, scale, dropout         float64
	dora, qlora                bool
	seed                       uint64
	maxLength, saveEvery, eval int
	format, output             string
	quiet                      bool
}

func newFinetune(a *app) *cobra.Command {
	var f finetuneFlags
	c := &cobra.Command{
		Use:   "finetune [MODEL]",
		Short: "Teach a small language model a few rows, and watch its loss fall",
		Long: `finetune trains a LoRA adapter: two thin matrices beside each large one, which stays
as it is. It asks the model a question before and after, and shows the loss while it
falls. Without --data it learns 40 questions about this playground, with answers
that begin and end alike.

--data is a folder with train.jsonl, and valid.jsonl if there is one: rows of
{"text": …}, or for chat models {"prompt": …, "completion": …} or {"messages": […]}.
All of them are checked before anything is started. The adapter is saved every
--save-every iterations, at the end and on Ctrl-C, in the framework's own form:
mlx_lm.generate --adapter-path and peft load it too.`,
		Example: `  gpuplay finetune models/gemma-3-270m
  gpuplay finetune models/Qwen2.5-0.5B-Instruct --data my-rows --iters 200 --adapter my-adapter
  gpuplay finetune models/gemma-3-270m --resume --iters 40`,
		Args: oneModel,
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(c.Flags()); err != nil {
				return err
			}
			return a.finetune(c.Context(), f, c.Flags(), args)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.data, "data", "", "folder with train.jsonl (default: rows that are built in)")
	fl.IntVar(&f.iters, "iters", 40, "iterations: steps of the optimizer")
	fl.IntVar(&f.batch, "batch", 4, "rows an iteration")
	fl.IntVar(&f.layers, "layers", 16, "the last so many layers get an adapter; 0: all")
	fl.IntVar(&f.rank, "rank", 8, "rank of the adapter")
	fl.Float64Var(&f.lr, "lr", 1e-4, "learning rate of Adam")
	fl.Float64Var(&f.scale, "scale", 20, "of what the adapter adds: alpha/rank")
	fl.Float64Var(&f.dropout, "dropout", 0, "share of the adapter's inputs that are left out at random")
	fl.BoolVar(&f.dora, "dora", false, "DoRA: lengths and directions apart")
	fl.BoolVar(&f.qlora, "qlora", false, "QLoRA: the model's own weights cut to 4 bits (mlx)")
	fl.Uint64Var(&f.seed, "seed", 1, "of the adapter's first values and the order of rows")
	fl.IntVar(&f.maxLength, "max-length", 512, "tokens of a row; the rest is cut off")
	fl.StringVar(&f.adapter, "adapter", "adapters", "folder that gets the adapter")
	fl.BoolVar(&f.resume, "resume", false, "go on with the adapter that is there, for --iters more")
	fl.IntVar(&f.saveEvery, "save-every", 20, "iterations between saves")
	fl.IntVar(&f.eval, "eval-every", 20, "iterations between looks at rows that are not trained on")
	fl.StringVarP(&f.prompt, "prompt", "p", "", "asked before and after (default: what the first row begins with)")
	fl.IntVarP(&f.tokens, "tokens", "n", 40, "at most so many tokens are generated before and after")
	f.add(c)
	fl.StringVarP(&f.format, "format", "f", "text", "text, json, jsonl (an event a line, as they come) or csv (an iteration a line)")
	fl.StringVarP(&f.output, "output", "o", "", "write the json, jsonl or csv to this file, all of it or nothing")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "only the result")
	return c
}

// check looks for mistakes that need no framework.
func (f *finetuneFlags) check(fl *pflag.FlagSet) error {
	if err := f.languageFlags.check(); err != nil {
		return err
	}
	for _, n := range []struct {
		name       string
		value, min int
	}{{"iters", f.iters, 1}, {"batch", f.batch, 1}, {"layers", f.layers, 0}, {"rank", f.rank, 1}, {"tokens", f.tokens, 1},
		{"max-length", f.maxLength, 2}, {"save-every", f.saveEvery, 1}, {"eval-every", f.eval, 1}} {
		if n.value < n.min {
			return usagef("leave it out for "+fl.Lookup(n.name).DefValue, "--%s %d: at least %d", n.name, n.value, n.min)
		}
	}
	for _, x := range []struct {
		name  string
		value float64
		max   float64
	}{{"lr", f.lr, 1}, {"scale", f.scale, 1e4}} {
		if !(x.value > 0 && x.value <= x.max) {
			return usagef("leave it out for "+fl.Lookup(x.name).DefValue, "--%s %g: more than 0, at most %g", x.name, x.value, x.max)
		}
	}
	if !(f.dropout >= 0 && f.dropout < 1) {
		return usagef("leave it out for none", "--dropout %g: at least 0, less than 1", f.dropout)
	}
	if f.adapter == "" {
		return usagef("for example --adapter adapters", "--adapter: is empty")
	}
	if f.qlora && f.framework == "" {
		f.framework = "mlx"
	}
	if f.qlora && f.framework != "mlx" {
		return usagef("leave one of them out", "--qlora --framework %s: mlx alone can cut weights to 4 bits", f.framework)
	}
	return f.checkOutput()
}

// settings returns how the adapter is trained, from the flags or as it was begun.
func (a *app) settings(f finetuneFlags, fl *pflag.FlagSet, found model.Model, d lora.Data) (framework.Settings, lora.State, error) {
	s := framework.Settings{
		Adapter: a.absolute(f.adapter), Batch: f.batch, Layers: f.layers, Rank: f.rank, Scale: f.scale, Dropout: f.dropout, LR: f.lr, DoRA: f.dora,
		Seed: f.seed, MaxLength: f.maxLength, SaveEvery: f.saveEvery, EvalEvery: f.eval,
	}
	s.Train, s.Valid = d.Files()
	if d.Rows < f.batch {
		return s, lora.State{}, usagef(fmt.Sprintf("--batch %d", d.Rows), "--batch %d: there are only %d rows", f.batch, d.Rows)
	}
	bits := 0
	if f.qlora {
		bits = 4
	}
	if !f.resume {
		return s, lora.State{Bits: bits}, lora.Claim(s.Adapter)
	}
	state, err := lora.Resume(s.Adapter)
	if err != nil {
		return s, state, err
	}
	if state.Weights != found.Bytes {
		return s, state, usagef("name the model that it was trained on", "%s was trained on %s, not on %s", f.adapter, state.Model, found.Path)
	}
	for name, differs := range map[string]bool{
		"layers": f.layers != state.Layers, "rank": f.rank != state.Rank, "scale": f.scale != state.Scale, "dropout": f.dropout != state.Dropout,
		"dora": f.dora != state.DoRA, "qlora": bits != state.Bits,
	} {
		if fl.Changed(name) && differs {
			return s, state, usagef("leave it out, or begin another --adapter", "--%s %s: %s was begun with another", name, fl.Lookup(name).Value, f.adapter)
		}
	}
	state.Apply(&s)
	return s, state, nil
}

func (a *app) finetune(ctx context.Context, f finetuneFlags, fl *pflag.FlagSet, args []string) error {
	found, err := a.findModel(ctx, f.languageFlags, args)
	if err != nil {
		return err
	}
	data, remove, err := a.rows(f, found)
	defer remove()
	if err != nil {
		return err
	}
	settings, state, err := a.settings(f, fl, found, data)
	if err != nil {
		return err
	}
	if f.resume {
		if err := f.follow(f.adapter, state.Runtime); err != nil {
			return err
		}
	}
	t := newTraining(a, f)
	m, err := a.open(ctx, t.progress, f.languageFlags, found, framework.Options{Device: f.device, Threads: f.threads, Bits: state.Bits})
	if err != nil {
		t.progress.close()
		return err
	}
	defer m.Close()
	if !f.resume {
		state = lora.State{
			Schema: lora.StateSchema, Model: found.Path, Weights: found.Bytes, Bits: state.Bits, Runtime: framework.Transformers,
			Layers: min(settings.Layers, m.About.Layers), Rank: settings.Rank, Scale: settings.Scale, Dropout: settings.Dropout, DoRA: settings.DoRA,
		}
		if f.runsMLX(m) {
			state.Runtime = framework.MLX
		}
		if state.Layers == 0 {
			state.Layers = m.About.Layers
		}
	}
	if settings.State, err = state.Keep(); err != nil {
		return err
	}
	j := lora.Job{
		Data: data, Settings: settings, Iters: f.iters, Prompt: f.prompt, Tokens: f.tokens,
		Floor: lora.Floor(host.Total()), Free: host.Free,
	}
	if j.Prompt == "" {
		j.Prompt = data.Prompt
	}
	t.begin(m, found, j)
	result, err := lora.Run(ctx, m, j, t.observer())
	t.progress.close()
	return t.deliver(ctx, result, err)
}

// runsMLX reports whether MLX runs the model.
func (f *finetuneFlags) runsMLX(m *framework.Model) bool {
	return m.Facts().Device.Library == "MLX"
}

// rows returns the checked data and what removes what was written for it.
func (a *app) rows(f finetuneFlags, found model.Model) (lora.Data, func(), error) {
	if f.data != "" {
		folder := a.absolute(f.data)
		info, err := os.Stat(folder)
		if err == nil && !info.IsDir() {
			err = errors.New("is a file, not a folder with train.jsonl")
		}
		if err != nil {
			return lora.Data{}, func() {}, usagef("a folder with train.jsonl, or leave it out for the rows that are built in", "--data %s: %v", f.data, cause(err))
		}
		d, err := lora.Read(folder, found.Chat)
		return d, func() {}, err
	}
	folder, err := os.MkdirTemp("", "gpuplay-rows-")
	if err != nil {
		return lora.Data{}, func() {}, err
	}
	d, err := lora.BuiltIn(folder)
	return d, func() { os.RemoveAll(folder) }, err
}

// lossOf returns the mean of the first or the last few losses: one alone is of few
// rows.
func lossOf(losses []float64, last bool) float64 {
	const few = 5
	n := min(few, max(1, len(losses)/4))
	if len(losses) == 0 {
		return math.NaN()
	}
	part := losses[:n]
	if last {
		part = losses[len(losses)-n:]
	}
	sum := 0.0
	for _, l := range part {
		sum += l
	}
	return sum / float64(len(part))
}
