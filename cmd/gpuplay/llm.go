package main

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/lab/tokens"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/record"
)

// llmFlags are llm's.
type llmFlags struct {
	tokens.Options
	outputFlags
	modelFlags
	yes   bool
	model string
	ngl   []string
	bench string
}

// runtimes are what --runtime can be.
var runtimes = []string{model.LlamaCpp, model.MLX, model.Torch, model.Ollama, model.OpenAI}

var benchChoices = []string{string(tokens.Auto), string(tokens.Always), string(tokens.Never)}

func newLLM(a *app) *cobra.Command {
	var f llmFlags
	c := &cobra.Command{
		Use:   "llm [MODEL]",
		Short: "Tokens per second of a language model, CPU against GPU",
		Long: `llm answers a prompt with a language model on the CPU and on the GPU, shows both
answers as they are generated, checks that they are the same, and says how much faster
the GPU is at generating and at reading prompts, which are two different things.

MODEL is a .gguf file, or a name shown by gpuplay models (default: the first one found).
--ngl sets how many of its layers go to the GPU in each lane: 0 is the CPU alone, 99
all of them. --sweep measures several numbers of layers in between.

--url measures a server with OpenAI's interface instead, such as llama-server, vLLM,
LM Studio, mlx_lm.server or Ollama, wherever it runs. MODEL is then the server's name
for the model. The variable OPENAI_API_KEY holds the server's key, if it wants one.`,
		Example: `  gpuplay llm
  gpuplay llm model.gguf --prompt "Say hello in Finnish." --tokens 128
  gpuplay llm model.gguf --sweep --output layers.json
  gpuplay llm --url http://127.0.0.1:8080/v1`,
		Args: oneModel,
		RunE: func(c *cobra.Command, args []string) error {
			f.Exact = c.Flags().Changed("repeat")
			if err := f.server(args); err != nil {
				return err
			}
			if err := f.check(c.Flags().Changed("ngl")); err != nil {
				return err
			}
			return a.llm(c.Context(), f, strings.Join(append(args, f.model), ""))
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	f.modelFlags.add(c)
	fl.BoolVar(&f.yes, "yes", false, "download a missing model without asking")
	fl.StringVar(&f.Runtime, "runtime", "", "llama.cpp, mlx, torch, ollama or openai (default: one that runs the model)")
	fl.StringVar(&f.URL, "url", "", "measure the server at this address, with --runtime openai")
	fl.StringVar(&f.model, "model", "", "what the server at --url calls the model (default: its only one)")
	fl.StringVar(&f.Prompt, "prompt", "Say hello in Finnish.", "what the model is asked")
	fl.StringSliceVar(&f.ngl, "ngl", []string{"0", "99"}, "layers on the GPU, one lane each: 0 is the CPU alone, 99 all")
	fl.BoolVar(&f.Sweep, "sweep", false, "about six lanes from no layer to all")
	fl.IntVar(&f.Tokens, "tokens", 64, "tokens in each answer")
	fl.StringVar(&f.Device, "device", "", "the GPU, as named by llama-server --list-devices, or a name such as cuda:1 with mlx and torch (default: the first one)")
	fl.IntVar(&f.Repeat, "repeat", 6, "timed rounds; an interval of 95 % needs 6")
	fl.DurationVar(&f.Budget, "time", time.Minute, "about how long a lane may take; a slow one has fewer rounds")
	fl.StringVar(&f.bench, "bench", benchChoices[0], "llama-bench's pp512 and tg128 for comparison: auto (if it takes less than a minute), always, never")
	fl.IntVar(&f.Threads, "threads", 0, "CPU threads (default: the runtime's own choice)")
	fl.IntVar(&f.Context, "ctx", 0, "tokens that prompt and answer may take together (default: what is needed, at least 1024)")
	fl.StringVar(&f.LlamaCPP, "llama-cpp", "", "folder with llama-server in it, or in its bin or build/bin")
	fl.StringVar(&f.Python, "python", "", "Python interpreter or environment for --runtime mlx and torch")
	fl.DurationVar(&f.Timeout, "timeout", 10*time.Minute, "how long one step may take: loading, one answer")
	f.outputFlags.add(fl, record.LLM)
	f.addWatch(fl)
	return c
}

// server settles what concerns a server with OpenAI's interface: --url alone asks for it,
// and its model is named by --model or as the argument.
func (f *llmFlags) server(args []string) error {
	if f.URL != "" && f.Runtime == "" {
		f.Runtime = model.OpenAI
	}
	switch {
	case f.model == "":
	case f.Runtime != model.OpenAI:
		return usagef("name the model as the argument: gpuplay llm "+commandLine{}.Command([]string{f.model}), "--model is for the server at --url")
	case len(args) > 0:
		return usagef("leave one of them out", "the model is named twice: %s and --model %s", args[0], f.model)
	}
	return nil
}

// check looks for mistakes that need no model. named: --ngl was given.
func (f *llmFlags) check(named bool) error {
	if named {
		for _, word := range f.ngl {
			n, err := strconv.Atoi(strings.TrimSpace(word))
			if err != nil {
				return usagef("for example --ngl 0,99", "--ngl %s: layers are a whole number, 0 or more", word)
			}
			f.Layers = append(f.Layers, n)
		}
	}
	if err := oneOf("bench", f.bench, benchChoices); err != nil {
		return err
	}
	f.Bench = tokens.Bench(f.bench)
	if f.Runtime != "" {
		if err := oneOf("runtime", f.Runtime, runtimes); err != nil {
			return err
		}
	}
	if err := f.Check(); err != nil {
		return err
	}
	return f.outputFlags.check()
}

func (a *app) llm(ctx context.Context, f llmFlags, word string) error {
	if f.Name = word; f.Runtime != model.Ollama && f.Runtime != model.OpenAI {
		m, err := a.resolveModel(ctx, word, f.dirs, f.Runtime, f.yes)
		if err != nil {
			return err
		}
		if m.Path, err = filepath.Abs(m.Path); err != nil {
			return err
		}
		f.Model = m
	}
	return a.run(ctx, f.outputFlags, func(ctx context.Context, s *event.Stream) (*record.Run, error) {
		return tokens.Run(ctx, a.deps(f.dirs...), f.Options, s)
	})
}
