package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/lora"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/report"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// tutorialPrompt asks in Finnish why GPUs make the training of neural networks
// faster.
const tutorialPrompt = "Miksi GPU nopeuttaa neuroverkkojen opetusta?"

// generateFlags are generate's.
type generateFlags struct {
	languageFlags
	prompt  string
	tokens  int
	adapter string
	raw     bool
	format  string
	quiet   bool
}

func newGenerate(a *app) *cobra.Command {
	var f generateFlags
	c := &cobra.Command{
		Use:   "generate [MODEL]",
		Short: "Generate text with a small language model, on the CPU or the GPU",
		Long: `generate continues a prompt with a language model in MLX or PyTorch and says how
fast: prompt and generation in tokens a second, and the memory it took. MODEL is a
folder as Hugging Face has it or a name that gpuplay models shows; without it the
first one here. The likeliest token is always taken, so that the same model says the
same again. Without --device it runs on the GPU if the framework has one, and says
which.`,
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
	fl.IntVarP(&f.tokens, "tokens", "n", 64, "at most so many tokens are generated")
	fl.StringVar(&f.adapter, "adapter", "", "folder of an adapter from gpuplay finetune, mlx-lm or peft")
	fl.BoolVar(&f.raw, "raw", false, "continue the prompt as it stands, without the model's chat template")
	f.add(c)
	fl.StringVarP(&f.format, "format", "f", "text", "text or json")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "only the text")
	return c
}

// add adds the flags of the framework.
func (f *languageFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&f.framework, "framework", "", "mlx or torch (default: mlx on Apple silicon, else torch, as far as they are there)")
	fl.StringVar(&f.device, "device", "", "cpu, gpu, or a name such as mps or cuda (default: the GPU if there is one)")
	fl.IntVar(&f.threads, "threads", 0, "CPU threads (default: the framework's own choice)")
	fl.StringVar(&f.python, "python", "", "Python interpreter or environment with the framework in it")
	fl.StringArrayVar(&f.dirs, "model-dir", nil, "folder to look for models in too; may be repeated")
	fl.BoolVarP(&f.yes, "yes", "y", false, "download the model if it is not here")
}

// oneModel wants one model at most: without a name the first that is found.
func oneModel(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef("quote words that belong to --prompt", "%s takes one model, not %d", c.CommandPath(), len(args))
	}
	return nil
}

func (f *generateFlags) check() error {
	if err := f.languageFlags.check(); err != nil {
		return err
	}
	if f.tokens < 1 {
		return usagef("for example --tokens 64", "--tokens %d: at least 1 is needed", f.tokens)
	}
	if strings.TrimSpace(f.prompt) == "" {
		return usagef("--prompt with some words in it", "--prompt: is empty")
	}
	return oneOf("format", f.format, []string{"text", "json"})
}

// generationJSON is a generation with all that is needed to judge it.
type generationJSON struct {
	Schema  string          `json:"schema"`
	Created time.Time       `json:"created"`
	Program report.Program  `json:"program"`
	Machine host.Machine    `json:"machine"`
	Model   string          `json:"model"`
	Prompt  string          `json:"prompt"`
	Facts   llm.Facts       `json:"facts"`
	About   framework.About `json:"about"`
	framework.Generation
	PromptRate *float64 `json:"prompt_tokens_per_second"` // null when nothing was generated
	Rate       *float64 `json:"tokens_per_second"`        // likewise
}

func (a *app) generate(ctx context.Context, f generateFlags, args []string) error {
	o := framework.Options{Device: f.device, Threads: f.threads, Adapter: a.absolute(f.adapter)}
	if f.adapter != "" {
		runtime, bits, err := lora.Made(o.Adapter)
		if err == nil {
			err = f.follow(f.adapter, runtime)
		}
		if err != nil {
			return err
		}
		o.Bits = bits
	}
	found, err := a.findModel(ctx, f.languageFlags, args)
	if err != nil {
		return err
	}
	p := newProgress(a.stderr, f.quiet, a.env.style(a.stderr))
	m, err := a.open(ctx, p, f.languageFlags, found, o)
	p.close()
	if err != nil {
		return err
	}
	defer m.Close()
	facts := m.Facts()
	if !f.quiet {
		a.sayModel(m, found)
	}
	prompt := llm.Request{Prompt: f.prompt, Tokens: f.tokens, Chat: m.About.Chat && !f.raw}
	var show func(llm.Piece)
	t := newTeller(a.stdout, false, a.env.style(a.stdout))
	if f.format == "text" {
		t.indent = 0
		tell := t.answer
		if !t.live { // a file or another program gets lines as they are
			tell = func(text string) {
				io.WriteString(a.stdout, text)
				t.open, t.begun = true, !strings.HasSuffix(text, "\n")
			}
		}
		if !prompt.Chat { // the text goes on where the prompt ends
			tell(plain.Text(f.prompt))
		}
		show = func(p llm.Piece) { tell(plain.Text(p.Text)) }
	}
	g, err := m.Say(ctx, prompt, show)
	if f.format == "json" {
		d := generationJSON{
			Schema: "gpuplay/generation/v1", Created: time.Now().UTC(), Program: program(), Machine: host.Describe(context.WithoutCancel(ctx)),
			Model: found.Path, Prompt: f.prompt, Facts: facts, About: m.About, Generation: g,
		}
		d.PromptRate, d.Rate = rate(g.PromptRate()), rate(g.Rate())
		e := json.NewEncoder(a.stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return errors.Join(err, e.Encode(d))
	}
	t.clear()
	if !f.quiet {
		fmt.Fprintf(a.stdout, "\n%s", figuresOf(g))
	}
	return err
}

func rate(r float64, ok bool) *float64 {
	if !ok {
		return nil
	}
	return &r
}

// figuresOf is a generation in lines for people; what was not measured is not said.
func figuresOf(g framework.Generation) string {
	var b strings.Builder
	if r, ok := g.PromptRate(); ok {
		fmt.Fprintf(&b, "  prompt      %5d tokens  %8s tok/s\n", g.PromptTokens, unit.Digits3(r))
	}
	if r, ok := g.Rate(); ok {
		fmt.Fprintf(&b, "  generation  %5d tokens  %8s tok/s\n", g.Tokens, unit.Digits3(r))
	}
	if g.First > 0 {
		fmt.Fprintf(&b, "  first token after %s\n", unit.Seconds(g.First))
	}
	if g.Peak > 0 {
		fmt.Fprintf(&b, "  memory at most %s, of %s\n", unit.Bytes(float64(g.Peak)), g.PeakOf)
	}
	return b.String()
}

// open starts the framework and loads the model.
func (a *app) open(ctx context.Context, p *progress, f languageFlags, found model.Model, o framework.Options) (*framework.Model, error) {
	r, err := a.runtime(ctx, f, found)
	if err != nil {
		return nil, err
	}
	p.say("starting %s, loading %s of weights", r.Name(), unit.Bytes(float64(found.Bytes)))
	m, err := r.Open(ctx, found.Path, o)
	if failed := (*fault.Error)(nil); errors.As(err, &failed) && len(failed.Remedies) == 0 {
		failed.Remedies = fault.Advice("--python names another interpreter, gpuplay setup " + r.Name() + " makes one")
	}
	return m, err
}

// sayModel says on stderr what runs where.
func (a *app) sayModel(m *framework.Model, found model.Model) {
	facts, dot := m.Facts(), " · "
	if !a.env.unicode {
		dot = " | "
	}
	head := strings.Join([]string{
		fmt.Sprintf("%s, %s parameters in %s", found.Name, unit.Digits3(float64(m.About.Parameters)/1e6)+"M", m.About.DType),
		fmt.Sprintf("%s on %s", facts.Runtime, place(facts.Device)),
		"loaded in " + unit.Seconds(facts.Load),
	}, dot)
	for _, line := range report.Wrap(head, a.env.style(a.stderr).Width) {
		fmt.Fprintln(a.stderr, line)
	}
	for _, n := range facts.Notes {
		fmt.Fprintf(a.stderr, "  note: %s\n", n)
	}
	fmt.Fprintln(a.stderr)
}

// place names a device for people.
func place(d hardware.Device) string {
	if d.Kind == hardware.CPU {
		return "the CPU"
	}
	return fmt.Sprintf("%s (%s)", d.Name, d.API)
}
