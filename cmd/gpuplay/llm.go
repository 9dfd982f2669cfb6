package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/llm/llamacpp"
	"github.com/gpuplay/gpuplay/internal/llm/ollama"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/report"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// llmFlags are llm's.
type llmFlags struct {
	outputFlags
	modelFlags
	yes      bool
	python   string
	prompt   string
	ngl      []string
	sweep    bool
	tokens   int
	repeat   int
	exact    bool // repeat was given
	named    bool // ngl was given
	runtime  string
	llamaCPP string
	device   string
	bench    string
	threads  int
	context  int
	budget   time.Duration
	timeout  time.Duration

	layers []int // ngl as numbers
}

// allLayers is what people write for "all of them" with -ngl.
const allLayers = 99

// runtimes are what --runtime can be.
var runtimes = []string{model.LlamaCpp, model.MLX, model.Torch, model.Ollama}

var benchChoices = []string{"auto", "always", "never"}

func newLLM(a *app) *cobra.Command {
	var f llmFlags
	c := &cobra.Command{
		Use:   "llm [MODEL]",
		Short: "Tokens per second of a language model, CPU against GPU",
		Long: `llm answers a prompt with a language model on the CPU and on the GPU, shows both
answers as they are made, checks that they are the same, and says how much faster
the GPU is at generating and at reading prompts, which are two different things.

MODEL is a .gguf file, or what gpuplay models calls it; without one the first that
is found. --ngl says how many of its layers go to the GPU in each lane: 0 is the CPU
alone, 99 all of them. --sweep shows the curve between.`,
		Example: `  gpuplay llm
  gpuplay llm model.gguf --prompt "Say hello in Finnish." --tokens 128
  gpuplay llm model.gguf --sweep --output layers.json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("a prompt with spaces needs quotes: --prompt \"Say hello\"", "%s takes one model, not %d", c.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			f.exact = c.Flags().Changed("repeat")
			f.named = c.Flags().Changed("ngl")
			if err := f.check(); err != nil {
				return err
			}
			return a.llm(c.Context(), f, args)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	f.modelFlags.add(c)
	fl.BoolVar(&f.yes, "yes", false, "download a model that is not here without asking")
	fl.StringVar(&f.runtime, "runtime", "", "llama.cpp, mlx, torch or ollama (default: what runs the model)")
	fl.StringVar(&f.prompt, "prompt", "Say hello in Finnish.", "what the model is asked")
	fl.StringSliceVar(&f.ngl, "ngl", []string{"0", "99"}, "layers on the GPU, a lane each: 0 is the CPU alone, 99 all")
	fl.BoolVar(&f.sweep, "sweep", false, "about six lanes from no layer to all")
	fl.IntVar(&f.tokens, "tokens", 64, "tokens that each answer has")
	fl.StringVar(&f.device, "device", "", "the GPU, as llama-server --list-devices calls it (default: its first)")
	fl.IntVar(&f.repeat, "repeat", 6, "timed rounds; an interval of 95 % needs 6")
	fl.DurationVar(&f.budget, "time", time.Minute, "about how long a lane may take; a slow one has fewer rounds")
	fl.StringVar(&f.bench, "bench", "auto", "llama-bench's pp512 and tg128 beside our figures: auto (if it takes less than a minute), always, never")
	fl.IntVar(&f.threads, "threads", 0, "CPU threads (default: the runtime's own choice)")
	fl.IntVar(&f.context, "ctx", 0, "tokens that prompt and answer may take together (default: what is needed, at least 1024)")
	fl.StringVar(&f.llamaCPP, "llama-cpp", "", "folder with llama-server in it, or in its bin or build/bin")
	fl.StringVar(&f.python, "python", "", "Python interpreter or environment for --runtime mlx and torch")
	fl.DurationVar(&f.timeout, "timeout", 10*time.Minute, "how long one step may take: loading, one answer")
	f.outputFlags.add(fl)
	return c
}

// usual reports whether nobody chose the lanes: a GPU that is missing is then worth
// a line and no failure.
func (f *llmFlags) usual() bool { return !f.sweep && !f.named }

// check looks for mistakes that need no model.
func (f *llmFlags) check() error {
	if f.sweep && f.named {
		return usagef("leave one of them out", "--ngl and --sweep: a sweep chooses the layers itself")
	}
	for _, word := range f.ngl {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 0 {
			return usagef("for example --ngl 0,99", "--ngl %s: layers are a whole number, 0 or more", word)
		}
		if !slices.Contains(f.layers, n) {
			f.layers = append(f.layers, n)
		}
	}
	for name, n := range map[string]int{"tokens": f.tokens, "repeat": f.repeat} {
		if n < 1 {
			return usagef("leave it out for the usual number", "--%s %d: at least 1 is needed", name, n)
		}
	}
	for name, n := range map[string]int{"threads": f.threads, "ctx": f.context} {
		if n < 0 {
			return usagef("leave it out for the usual number", "--%s %d: must not be negative", name, n)
		}
	}
	for name, d := range map[string]time.Duration{"time": f.budget, "timeout": f.timeout} {
		if d <= 0 {
			return usagef("for example --"+name+" 30s", "--%s %s: must be more than 0", name, d)
		}
	}
	if f.prompt == "" {
		return usagef("for example --prompt \"Say hello in Finnish.\"", "--prompt is empty")
	}
	if err := oneOf("bench", f.bench, benchChoices); err != nil {
		return err
	}
	if f.runtime != "" {
		if err := oneOf("runtime", f.runtime, runtimes); err != nil {
			return err
		}
	}
	return f.outputFlags.check()
}

func (a *app) llm(ctx context.Context, f llmFlags, args []string) error {
	m, err := a.llmModel(ctx, f, strings.Join(args, ""))
	if err != nil {
		return err
	}
	t := newTeller(a.stderr, f.quiet, a.env.style(a.stderr))
	d := a.tokens(ctx, m, f)
	rt, err := a.languageRuntime(ctx, f, t, d)
	if err != nil {
		return err
	}
	lanes := f.lanes(rt, m)
	filler := longPrompt
	if f.context > 0 { // a small one holds no more
		filler = min(filler, f.context/2)
	}
	plan := llm.Plan{Prompt: f.prompt, Tokens: f.tokens, Filler: filler, Repeat: f.repeat, Exact: f.exact, Budget: f.budget, Limit: f.timeout,
		Turns: len(lanes) > 1 && !f.sweep && f.runtime != model.Ollama && together(m, len(lanes))}
	if len(lanes) > 1 && !f.sweep && !plan.Turns && f.runtime != model.Ollama {
		t.say("one lane after the other: the model does not fit into memory twice")
	}
	t.lanes = lanes
	r := llm.Runner{Observe: t.observe}
	results := r.Run(ctx, m, lanes, plan)
	a.limits(ctx, t, f, results)
	for _, res := range results {
		if e := res.Error; f.usual() && res.OnGPU() && e != nil && e.Code == fault.Unavailable { // nobody asked for it by name
			d.NotRaced = append(d.NotRaced, report.NotRaced{Engine: res.Runtime, API: "gpu", Kind: hardware.GPU, Code: e.Code, Reason: "No GPU lane: " + e.Message + ".", Remedies: e.Remedies})
			continue
		}
		d.Results = append(d.Results, report.NewTokenLane(res))
	}
	if ctx.Err() == nil && !f.sweep && slices.ContainsFunc(results, func(r *llm.Result) bool { return r.Facts.Device.Kind == hardware.GPU && r.Verified() }) {
		d.Next = fmt.Sprintf("gpuplay llm %s --sweep   how speed and memory grow with the layers on the GPU", strings.Join(args, ""))
	}
	if own, ok := rt.Runtime.(*llamacpp.Runtime); ok && !f.sweep {
		a.benchmark(ctx, f, t, own, m, lanes, results)
	}
	t.clear()
	if err := a.deliverAs(f.outputFlags, func(w io.Writer, format string) error {
		d.Interrupted = ctx.Err() != nil
		return a.writeTokens(w, d, format)
	}); err != nil {
		return err
	}
	return llmOutcome(ctx, d)
}

// llmModel returns the model that a person named, or the first that there is.
func (a *app) llmModel(ctx context.Context, f llmFlags, word string) (model.Model, error) {
	if f.runtime != model.Ollama {
		m, err := a.resolveModel(ctx, word, f.dirs, f.runtime, f.yes)
		if err == nil {
			m.Path, err = filepath.Abs(m.Path)
		}
		return m, err
	}
	// Ollama runs what it has itself, by its name. Its files, where they can be read,
	// say more of it than Ollama does.
	m, err := a.ollama().Find(ctx, word)
	if err != nil {
		return m, err
	}
	found, _ := model.Find(ctx, a.places(f.dirs))
	for _, here := range found {
		if here.Ref == m.Ref && slices.Contains(here.Runtimes, model.Ollama) {
			here.Path = here.Ref
			return here, nil
		}
	}
	return m, ctx.Err()
}

// ollama returns the Ollama that OLLAMA_HOST names.
func (a *app) ollama() *ollama.Runtime {
	return &ollama.Runtime{Host: a.env.models.ollama, CPU: host.CPU()}
}

// longPrompt is how many tokens prompt speed is measured with: llama-bench's pp512,
// and what llama.cpp computes in one batch.
const longPrompt = 512

// tokens returns an empty document about this machine, program and model.
func (a *app) tokens(ctx context.Context, m model.Model, f llmFlags) *report.Tokens {
	return &report.Tokens{
		Schema:  report.TokensSchema,
		Created: time.Now().UTC().Truncate(time.Second),
		Program: program(),
		Command: append([]string{"gpuplay"}, a.args...),
		Machine: host.Describe(ctx),
		Model:   m,
		Prompt:  f.prompt,
		Sweep:   f.sweep,
	}
}

// gpuRuntime is a runtime and whether it has a GPU, as far as is known before
// anything is loaded.
type gpuRuntime struct {
	llm.Runtime
	gpu bool
}

// languageRuntime returns what runs the model.
func (a *app) languageRuntime(ctx context.Context, f llmFlags, t *teller, d *report.Tokens) (gpuRuntime, error) {
	m := d.Model
	name := f.runtime
	if name == "" && m.Format == model.GGUF {
		name = model.LlamaCpp
	}
	if name == model.Ollama {
		return gpuRuntime{a.ollama(), true}, nil // it says where a model went
	}
	if name != model.LlamaCpp {
		rt, err := a.runtime(ctx, languageFlags{framework: name, python: f.python}, m)
		if err != nil {
			return gpuRuntime{}, err
		}
		return gpuRuntime{rt, true}, nil // its worker says whether there is one
	}
	rt, err := a.llamaCPP(ctx, f, d)
	if err != nil {
		return gpuRuntime{}, err
	}
	t.say("llama.cpp %s: %s", rt.Version, rt.Server)
	return gpuRuntime{rt, rt.GPU != nil}, nil
}

// llamaCPP finds llama.cpp and its GPU, and notes in the document why there is none.
func (a *app) llamaCPP(ctx context.Context, f llmFlags, d *report.Tokens) (*llamacpp.Runtime, error) {
	places := llamacpp.Places(a.env.folder)
	if a.env.own != "" {
		places = append(places, filepath.Join(a.env.own, "llama.cpp"))
	}
	found, err := llamacpp.Search{Dir: f.llamaCPP, Variable: a.env.llamaCPP, LookPath: exec.LookPath, Places: places}.Find(ctx)
	if err != nil {
		return nil, err
	}
	rt := &llamacpp.Runtime{Installation: found, CPU: host.CPU(), Env: a.env.children, Free: host.Free(), Bytes: d.Model.Bytes}
	if a.env.trace {
		rt.Trace = a.stderr
	}
	gpus, err := found.GPUs(ctx, a.env.children)
	if err != nil {
		return nil, err
	}
	rt.GPU, err = chooseGPU(gpus, f.device)
	if err != nil {
		return nil, err
	}
	if rt.GPU == nil {
		rt.NoGPU = noGPU(found)
		d.NotRaced = append(d.NotRaced, report.NotRaced{Engine: "llama.cpp", API: "gpu", Kind: hardware.GPU, Code: fault.Unavailable, Reason: rt.NoGPU, Remedies: fault.Advice("gpuplay setup llama.cpp gets a build for the GPU that is here; gpuplay doctor says which that is")})
	}
	return rt, nil
}

// noGPU says why llama.cpp has no GPU.
func noGPU(i llamacpp.Installation) string {
	if len(i.Backends) > 0 {
		return fmt.Sprintf("No GPU lane: llama.cpp %s has the backend %s and sees no GPU through it.", i.Version, strings.Join(i.Backends, ", "))
	}
	return fmt.Sprintf("No GPU lane: llama.cpp %s lists no GPU; it is probably a build for the CPU alone.", i.Version)
}

// chooseGPU returns the device of that name, or the first.
func chooseGPU(gpus []llamacpp.GPU, name string) (*llamacpp.GPU, error) {
	var names []string
	for i, g := range gpus {
		if name == "" || strings.EqualFold(g.Name, name) {
			return &gpus[i], nil
		}
		names = append(names, g.Name)
	}
	switch {
	case name == "":
		return nil, nil
	case len(names) == 0:
		return nil, &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("llama.cpp has no device %s: it lists none", name), Remedies: fault.Advice("gpuplay setup llama.cpp gets a build for the GPU that is here")}
	}
	return nil, &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("llama.cpp has no device %s", name), Remedies: fault.Advice(hintNear(name, names))}
}

// lanes returns what is measured. A GPU that is not there is left out unless its
// layers were asked for by name; then the lane says why it cannot be.
func (f *llmFlags) lanes(rt gpuRuntime, m model.Model) []llm.Contender {
	layers := f.layers
	if f.sweep {
		layers = sweepLayers(m.Layers)
	}
	context := f.context
	if context == 0 {
		// A token is rarely less than two bytes of a prompt.
		context = max(1024, (len(f.prompt)/2+f.tokens+64+255)/256*256)
		if m.Context > 0 {
			context = min(context, m.Context)
		}
	}
	var lanes []llm.Contender
	for _, n := range layers {
		name := "CPU"
		if n > 0 {
			if !rt.gpu && (f.sweep || f.usual()) {
				continue
			}
			name = fmt.Sprintf("GPU, --ngl %d", n)
			if n >= allLayers {
				name = "GPU"
			}
		}
		lanes = append(lanes, llm.Contender{Name: name, Runtime: rt.Runtime, Lane: llm.Lane{Layers: n, Threads: f.threads, Context: context}})
	}
	return lanes
}

// sweepLayers returns about six numbers of layers from none to all.
func sweepLayers(all int) []int {
	const steps = 5
	if all == 0 { // not known
		return []int{0, 4, 8, 16, 32, allLayers}
	}
	var list []int
	for i := range steps + 1 {
		if n := (all*i + steps/2) / steps; !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list
}

// together reports whether so many lanes have the model in memory side by side.
func together(m model.Model, lanes int) bool {
	free := host.Free()
	return free == 0 || float64(m.Bytes)*float64(lanes) < 0.7*float64(free)
}

// benchmark has llama-bench measure the same lanes, where it is there and the time
// that it takes is short or was asked for.
func (a *app) benchmark(ctx context.Context, f llmFlags, t *teller, rt *llamacpp.Runtime, m model.Model, lanes []llm.Contender, results []*llm.Result) {
	if f.bench == "never" || rt.Bench == "" {
		return
	}
	for i, res := range results {
		if ctx.Err() != nil || res.Error != nil || len(res.Samples) == 0 {
			continue
		}
		if would := benchTime(res, f.repeat); f.bench == "auto" && would > time.Minute {
			t.say("llama-bench left out for %s: it would take about %s (--bench always)", lanes[i].Name, unit.Seconds(would))
			continue
		}
		t.say("llama-bench: %s", lanes[i].Name)
		peer, err := rt.Benchmark(ctx, m.Path, lanes[i].Lane, f.repeat)
		if err != nil && ctx.Err() == nil {
			t.say("llama-bench: %v", err)
		}
		res.Peer = peer
	}
}

// benchTime estimates what llama-bench takes for a lane, with its warm-up.
func benchTime(r *llm.Result, repeat int) time.Duration {
	seconds := 0.0
	for m, tokens := range map[llm.Metric]float64{llm.Prompting: llamacpp.BenchPrompt, llm.Generating: llamacpp.BenchTokens} {
		if rates := r.Values(m); len(rates) > 0 {
			seconds += tokens / stats.Median(rates)
		}
	}
	return time.Duration(seconds * float64(repeat+1) * float64(time.Second))
}

// tokenFormats are the ways to write a measurement of tokens.
var tokenFormats = map[string]func(io.Writer, *report.Tokens) error{
	"line":  report.TokensLine,
	"json":  report.TokensJSON,
	"jsonl": report.TokensJSONL,
	"csv":   report.TokensCSV,
	"md":    report.TokensMarkdown,
}

func (a *app) writeTokens(w io.Writer, d *report.Tokens, format string) error {
	if format == "table" {
		return report.TokensTable(w, d, a.env.style(w))
	}
	return tokenFormats[format](w, d)
}

// llmOutcome is the error that a finished measurement exits with.
func llmOutcome(ctx context.Context, d *report.Tokens) error {
	if ctx.Err() != nil {
		return &reportedError{exitInterrupted}
	}
	for _, r := range d.Results {
		if r.Error != nil || r.Check != nil && !r.Check.Passed {
			return &reportedError{exitFailed}
		}
	}
	return nil
}
