// Package tokens is the lab of language models: Run measures tokens per second in
// lanes that differ in where the model's layers are, Generate has one model continue
// one prompt.
package tokens

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/llm/ollama"
	"github.com/gpuplay/gpuplay/internal/llm/openai"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/record"
)

// Options say what is measured. Nonsense is refused; the zero value is nonsense.
type Options struct {
	Runtime string      // model.LlamaCpp, model.MLX, model.Torch, model.Ollama or model.OpenAI; "": what runs the model
	Model   model.Model // as package model finds it, with an absolute path; not used with Ollama and OpenAI
	Name    string      // what Ollama, or the server, calls the model; "": its first, or its only one
	URL     string      // of the server, with OpenAI

	Prompt string
	Tokens int   // that each answer has
	Layers []int // on the GPU, one lane each: 0 is the CPU alone, llm.AllLayers all. None: the CPU and all; no GPU is then no failure
	Sweep  bool  // about six lanes from no layer to all instead of Layers

	Repeat  int           // timed rounds
	Exact   bool          // Repeat was asked for: a slow lane has no fewer rounds
	Budget  time.Duration // about how long a lane may take otherwise
	Timeout time.Duration // for one step: loading, one answer
	Threads int           // CPU threads; 0: the runtime's own choice
	Context int           // tokens that prompt and answer may take together; 0: what is needed, at least 1024

	Device   string // the GPU, as llama.cpp calls it, or for MLX and PyTorch as hardware.Pick takes it; "": its first
	LlamaCPP string // a folder with llama-server; "": the first that is found
	Bench    Bench  // llama-bench's figures beside ours
	Python   string // interpreter, or environment, for MLX and PyTorch; "": the first that is found
}

// Check refuses what makes no sense, whatever the model.
func (o Options) Check() error {
	for _, n := range []struct {
		name       string
		value, min int
	}{{"tokens", o.Tokens, 1}, {"repeat", o.Repeat, 1}, {"threads", o.Threads, 0}, {"ctx", o.Context, 0}} {
		if n.value < n.min {
			return fault.Errorf(fault.Invalid, "%s %d: at least %d is needed", n.name, n.value, n.min).With(fault.Change(n.name, "leave {} out for the usual number"))
		}
	}
	for name, d := range map[string]time.Duration{"time": o.Budget, "timeout": o.Timeout} {
		if d <= 0 {
			return fault.Errorf(fault.Invalid, "%s %s: must be more than 0", name, d).With(fault.Set(name, "30s", "for example"))
		}
	}
	switch {
	case o.Prompt == "":
		return fault.Errorf(fault.Invalid, "the prompt is empty").With(fault.Set("prompt", "Say hello in Finnish.", "for example"))
	case o.Sweep && len(o.Layers) > 0:
		return fault.Errorf(fault.Invalid, "a sweep chooses the layers itself").With(fault.Change("ngl", "leave {} out"))
	case slices.ContainsFunc(o.Layers, func(n int) bool { return n < 0 }):
		return fault.Errorf(fault.Invalid, "layers on the GPU are 0 or more").With(fault.Set("ngl", "0,99", "for example"))
	case o.Runtime != "":
		return o.heeded(o.Runtime)
	}
	return nil
}

// usual reports whether nobody chose the lanes: a GPU that is missing is then worth a
// line and no failure.
func (o Options) usual() bool { return !o.Sweep && len(o.Layers) == 0 }

// devices returns how many devices the lanes compute on.
func (o Options) devices() int {
	if o.usual() || o.Sweep || slices.Contains(o.Layers, 0) && slices.ContainsFunc(o.Layers, func(n int) bool { return n > 0 }) {
		return 2
	}
	return 1
}

// Run measures tokens per second.
func Run(ctx context.Context, d lab.Deps, o Options, s *event.Stream) (*record.Run, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.remote(ctx, d) != "" {
		d.Sources = nil // the sensors here know nothing of that machine
	}
	r := d.Begin(ctx, s, record.LLM)
	m, err := o.find(ctx, d)
	if err != nil {
		return nil, err
	}
	rt, err := runtimeFor(ctx, d, o, m, r, s)
	if err != nil {
		return nil, err
	}
	measureLanes(ctx, d, o, m, rt, r, s)
	return d.Finish(ctx, s, r), nil
}

// find returns the model that is measured. A server with OpenAI's interface is asked for
// it. Ollama runs what it has itself, by its name;
// its files, where they are on this machine and can be read, say more of a model than
// Ollama does.
func (o Options) find(ctx context.Context, d lab.Deps) (model.Model, error) {
	switch o.Runtime {
	case model.OpenAI:
		return openAIOf(d, o).Find(ctx, o.Name)
	case model.Ollama:
	default:
		return o.Model, nil
	}
	rt := ollamaOf(d)
	m, err := rt.Find(ctx, o.Name)
	if err != nil || rt.Remote(ctx) != "" {
		return m, err
	}
	found, _ := model.Find(ctx, d.Models.Places)
	for _, here := range found {
		if here.Ref == m.Ref && slices.Contains(here.Runtimes, model.Ollama) {
			here.Path = here.Ref
			return here, nil
		}
	}
	return m, ctx.Err()
}

// remote returns the address of another machine that computes, "" if this one does.
func (o Options) remote(ctx context.Context, d lab.Deps) string {
	switch o.Runtime {
	case model.OpenAI:
		return openAIOf(d, o).Remote(ctx)
	case model.Ollama:
		return ollamaOf(d).Remote(ctx)
	}
	return ""
}

func ollamaOf(d lab.Deps) *ollama.Runtime {
	return &ollama.Runtime{Host: d.Models.Ollama, CPU: host.CPU()}
}

func openAIOf(d lab.Deps, o Options) *openai.Runtime {
	return &openai.Runtime{URL: o.URL, Key: d.Models.Key}
}

// longPrompt is how many tokens prompt speed is measured with: llama-bench's pp512,
// and what llama.cpp computes in one batch.
const longPrompt = 512

// measureLanes measures the lanes of a runtime and fills in the record.
func measureLanes(ctx context.Context, d lab.Deps, o Options, m model.Model, rt chosen, r *record.Run, s *event.Stream) {
	t := &record.Tokens{Model: m, Prompt: o.Prompt, Layers: o.Sweep, Results: []*llm.Result{}}
	now := *t // the record's goes on changing
	r.Tokens, r.Threads = &now, o.Threads
	lab.Opened(s, r)
	r.Tokens = t
	lanes := o.lanes(rt, m)
	plan := llm.Plan{
		Prompt: o.Prompt, Tokens: o.Tokens, Filler: longPrompt, Repeat: o.Repeat, Exact: o.Exact, Budget: o.Budget, Limit: o.Timeout,
	}
	if len(lanes) > 1 && !o.Sweep && rt.Name() != model.Ollama { // which has one lane in memory at a time
		if plan.Turns = together(m, len(lanes), d.Free); !plan.Turns {
			lab.Note(s, "one lane after the other: the model does not fit into memory twice")
		}
	}
	for _, l := range lanes {
		lane := event.Lane{Name: l.Name, Engine: rt.Name(), Device: r.Machine.CPU}
		switch {
		case rt.host != "":
			lane.Device = rt.host
		case rt.Name() == model.OpenAI: // this machine, but which of its devices is not known
			lane.Device = m.Place
		case l.Settings.Layers > 0:
			lane.Device, lane.Card = rt.gpu.Name, rt.gpu.Card
		}
		s.Emit(l.ID, lane)
	}
	runner := llm.Runner{Sink: s, Cards: r.Cards, Throttled: host.Throttled, Sensors: d.Sensors()}
	if rt.host != "" {
		runner.Throttled = nil // this machine's quota stops no other
	}
	results := runner.Run(ctx, m, lanes, plan)
	r.Cards = runner.Cards
	t.Limits = limits(ctx, s, o.Threads, results)
	for _, res := range results {
		if e := res.Error; o.usual() && res.OnGPU() && e != nil && e.Code == fault.Unavailable { // nobody asked for it by name
			r.Missing = append(r.Missing, record.Missing{
				Engine: res.Runtime, API: "gpu", Kind: hardware.GPU, Code: e.Code, Reason: "No GPU lane: " + e.Message + ".", Remedies: e.Remedies,
			})
			continue
		}
		t.Results = append(t.Results, res)
	}
	if rt.bench != nil && !o.Sweep {
		t.Peers = o.peers(ctx, s, rt.bench, m, lanes, results)
	}
}

// lanes returns what is measured. A GPU that is not there is left out unless its
// layers were asked for by name; then the lane says why it cannot be.
func (o Options) lanes(rt chosen, m model.Model) []llm.Contender {
	layers := o.Layers
	switch {
	case o.Sweep:
		layers = sweepLayers(m.Layers)
	case len(layers) == 0:
		layers = []int{0, llm.AllLayers}
	}
	settings := llm.Settings{Threads: cmp.Or(o.Threads, host.Threads()), Context: o.Context}
	if o.Context == 0 {
		// A token is rarely less than two bytes of a prompt.
		settings.Context = max(1024, (len(o.Prompt)/2+o.Tokens+64+255)/256*256)
		if m.Context > 0 {
			settings.Context = min(settings.Context, m.Context)
		}
	}
	var lanes []llm.Contender
	taken := map[string]bool{}
	if rt.Name() == model.OpenAI { // which decides on everything itself
		settings.Threads = 0
		return []llm.Contender{{ID: lab.ID(rt.Name(), "server", taken), Name: "server", Runtime: rt.Runtime, Settings: settings}}
	}
	for i, n := range layers {
		if slices.Contains(layers[:i], n) {
			continue
		}
		settings.Layers = n
		l := llm.Contender{Name: "CPU", Runtime: rt.Runtime, Settings: settings}
		device := "cpu"
		if n > 0 {
			if !rt.mayHaveGPU && (o.Sweep || o.usual()) {
				continue
			}
			device = fmt.Sprintf("gpu/%d", n)
			l.Name = fmt.Sprintf("GPU, %d layers", n)
			if n >= llm.AllLayers {
				l.Name = "GPU"
			} else if n == 1 {
				l.Name = "GPU, 1 layer"
			}
		}
		l.ID = lab.ID(rt.Name(), device, taken)
		lanes = append(lanes, l)
	}
	return lanes
}

// sweepLayers returns about six numbers of layers from none to all.
func sweepLayers(all int) []int {
	const steps = 5
	if all == 0 { // not known
		return []int{0, 4, 8, 16, 32, llm.AllLayers}
	}
	var list []int
	for i := range steps + 1 {
		if n := (all*i + steps/2) / steps; !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list
}

// together reports whether that many lanes have the model in memory side by side.
func together(m model.Model, lanes int, free func() int64) bool {
	if free == nil || free() == 0 {
		return true
	}
	return float64(m.Bytes)*float64(lanes) < 0.7*float64(free())
}
