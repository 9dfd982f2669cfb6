package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/lab/tokens"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/term"
)

// tutorialPrompt asks in Finnish why GPUs make the training of neural networks
// faster.
const tutorialPrompt = "Miksi GPU nopeuttaa neuroverkkojen opetusta?"

// generateFlags are generate's.
type generateFlags struct {
	languageFlags
	outputFlags
	prompt  string
	tokens  int
	adapter string
	raw     bool
}

func newGenerate(a *app) *cobra.Command {
	f := generateFlags{outputFlags: outputFlags{people: "text"}}
	c := &cobra.Command{
		Use:   "generate [MODEL]",
		Short: "Generate text with a small language model, on the CPU or the GPU",
		Long: `generate continues a prompt with a language model in MLX or PyTorch, and reports the
tokens per second of prompt and generation and the memory used. MODEL is a folder in
the Hugging Face format or a name shown by gpuplay models (default: the one that the
adapter was trained on, or else the first one found). Decoding is greedy, without
sampling, so the same model generates the same text again. Without --device it runs on
the GPU if the framework has one, and says which.`,
		Example: `  gpuplay generate models/Qwen2.5-0.5B-Instruct
  gpuplay generate models/gemma-3-270m --prompt "The capital of Finland is" --device cpu
  gpuplay generate models/gemma-3-270m --adapter adapters --prompt "Question: What is gpuplay?"`,
		Args: oneModel,
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return a.generate(c.Context(), f, args)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVarP(&f.prompt, "prompt", "p", tutorialPrompt, "what to continue, or to answer where the model has a chat template")
	fl.IntVarP(&f.tokens, "tokens", "n", 64, "maximum number of tokens to generate")
	fl.StringVar(&f.adapter, "adapter", "", "folder of an adapter from gpuplay finetune, mlx-lm or peft")
	fl.BoolVar(&f.raw, "raw", false, "continue the prompt as it stands, without the model's chat template")
	f.languageFlags.add(c)
	f.outputFlags.add(fl, record.Generate)
	return c
}

// options returns what the flags ask for.
func (f *generateFlags) options(a *app) tokens.GenerateOptions {
	return tokens.GenerateOptions{Language: f.Language, Adapter: a.absolute(f.adapter), Prompt: f.prompt, Tokens: f.tokens, Raw: f.raw}
}

// check looks for mistakes that need no model.
func (f *generateFlags) check() error {
	if err := f.languageFlags.check(); err != nil {
		return err
	}
	if err := (&tokens.GenerateOptions{Language: f.Language, Prompt: f.prompt, Tokens: f.tokens}).Check(); err != nil {
		return err
	}
	return f.outputFlags.check()
}

func (a *app) generate(ctx context.Context, f generateFlags, args []string) error {
	var err error
	if f.adapter != "" { // its framework decides which model is the first
		if f.Framework, _, err = lab.Made(a.absolute(f.adapter), f.Framework); err != nil {
			return err
		}
		if len(args) == 0 {
			args = trainedOn(a.absolute(f.adapter))
		}
	}
	if f.Model, err = a.find(ctx, f.languageFlags, args); err != nil {
		return err
	}
	f.answer = a.answer(f.outputFlags)
	return f.languageFlags.run(ctx, a, f.outputFlags, func(ctx context.Context, s *event.Stream) (*record.Run, error) {
		return tokens.Generate(ctx, a.deps(f.dirs...), f.options(a), s)
	})
}

// answer returns what writes a text to stdout while it is generated: nil if something
// else goes there.
func (a *app) answer(f outputFlags) *term.Answer {
	if f.to == nil && f.format != f.people || f.to != nil && f.quiet {
		return nil
	}
	style := a.env.style(a.stdout)
	_, live := terminal(a.stdout)
	if !live {
		style.Width = 0 // a file or another program gets lines as they are
	}
	return term.NewAnswer(a.stdout, live, 0, style)
}

// writeFigures writes to stdout how fast a text came that is there already.
func (a *app) writeFigures(r *record.Run, quiet bool) error {
	if quiet {
		return nil
	}
	say(a.stdout, "\n")
	return term.Figures(a.stdout, r, a.env.style(a.stdout))
}
