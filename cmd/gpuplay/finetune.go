package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/lab/train"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/record"
)

// finetuneFlags are finetune's.
type finetuneFlags struct {
	train.Options
	languageFlags
	outputFlags
}

func newFinetune(a *app) *cobra.Command {
	f := finetuneFlags{outputFlags: outputFlags{people: "text"}}
	c := &cobra.Command{
		Use:   "finetune [MODEL]",
		Short: "Teach a small language model a few rows, and watch its loss fall",
		Long: `finetune trains a LoRA adapter: two thin matrices beside each large one, which stays
unchanged. It asks the model a question before and after, and shows the loss while it
falls. Without --data it learns 40 questions about this playground, whose answers
all begin and end in the same way.

--data is a folder with train.jsonl, and optionally valid.jsonl: rows of
{"text": …}, or for chat models {"prompt": …, "completion": …} or {"messages": […]}.
All of them are checked before training starts. The adapter is saved every
--save-every iterations, at the end and on Ctrl-C, in the framework's own format:
mlx_lm.generate --adapter-path and peft load it too.`,
		Example: `  gpuplay finetune models/gemma-3-270m
  gpuplay finetune models/Qwen2.5-0.5B-Instruct --data my-rows --iters 200 --adapter my-adapter
  gpuplay finetune models/gemma-3-270m --resume --iters 40`,
		Args: oneModel,
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(a, c.Flags()); err != nil {
				return err
			}
			return a.finetune(c.Context(), f, args)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.Data, "data", "", "folder with train.jsonl (default: built-in rows)")
	fl.IntVar(&f.Iters, "iters", 40, "iterations: steps of the optimizer")
	fl.IntVar(&f.Batch, "batch", 4, "rows per iteration")
	fl.IntVar(&f.Layers, "layers", 16, "how many layers get an adapter, counted from the last; 0: all")
	fl.IntVar(&f.Rank, "rank", 8, "rank of the adapter")
	fl.Float64Var(&f.LR, "lr", 1e-4, "learning rate of Adam")
	fl.Float64Var(&f.Scale, "scale", 20, "scale of the adapter's output: alpha/rank")
	fl.Float64Var(&f.Dropout, "dropout", 0, "share of the adapter's inputs to drop at random")
	fl.BoolVar(&f.DoRA, "dora", false, "DoRA: train magnitude and direction separately")
	fl.BoolVar(&f.QLoRA, "qlora", false, "QLoRA: quantize the model's own weights to 4 bits (mlx)")
	fl.Uint64Var(&f.Seed, "seed", 1, "seed of the adapter's initial values and of the order of rows")
	fl.IntVar(&f.MaxLength, "max-length", 512, "tokens per row; the rest is cut off")
	fl.StringVar(&f.Adapter, "adapter", "adapters", "folder to save the adapter in")
	fl.BoolVar(&f.Resume, "resume", false, "continue training an existing adapter, for --iters more iterations")
	fl.IntVar(&f.SaveEvery, "save-every", 20, "iterations between saves")
	fl.IntVar(&f.EvalEvery, "eval-every", 20, "iterations between measurements on rows not trained on")
	fl.StringVarP(&f.Prompt, "prompt", "p", "", "question asked before and after training (default: the beginning of the first row)")
	fl.IntVarP(&f.Tokens, "tokens", "n", 40, "maximum number of tokens to generate before and after")
	f.languageFlags.add(c)
	f.outputFlags.add(fl, record.Finetune)
	return c
}

// check looks for mistakes that need no model.
func (f *finetuneFlags) check(a *app, fl *pflag.FlagSet) error {
	if err := f.languageFlags.check(); err != nil {
		return err
	}
	f.Options.Language = f.languageFlags.Language
	f.Data, f.Adapter = a.absolute(f.Data), a.absolute(f.Adapter)
	fl.Visit(func(given *pflag.Flag) { f.Chosen = append(f.Chosen, given.Name) })
	if err := f.Options.Check(); err != nil {
		return err
	}
	if f.QLoRA {
		f.languageFlags.Framework = model.MLX
	}
	return f.outputFlags.check()
}

func (a *app) finetune(ctx context.Context, f finetuneFlags, args []string) error {
	if f.Resume && len(args) == 0 {
		args = trainedOn(f.Adapter)
	}
	m, err := a.find(ctx, f.languageFlags, args)
	if err != nil {
		return err
	}
	f.Options.Model = m
	return f.languageFlags.run(ctx, a, f.outputFlags, func(ctx context.Context, s *event.Stream) (*record.Run, error) {
		return train.Run(ctx, a.deps(f.dirs...), f.Options, s)
	})
}
