package tokens

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/llm/llamacpp"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/record"
)

// chosen is what runs the model, with what is known before anything is loaded.
type chosen struct {
	llm.Runtime
	mayHaveGPU bool            // false: it has none for sure
	gpu        hardware.Device // as far as it is known
	host       string          // the address of another machine that computes; "": this one does
	bench      bencher         // its own benchmark; nil if it has none
}

// bencher is a runtime's own benchmark: llama-bench.
type bencher interface {
	Benchmark(ctx context.Context, model string, s llm.Settings, repeat int) ([]llm.PeerResult, error)
}

// runtimeFor returns what runs the model.
func runtimeFor(ctx context.Context, d lab.Deps, o Options, m model.Model, r *record.Run, s *event.Stream) (chosen, error) {
	name := o.Runtime
	if name == "" && m.Format == model.GGUF {
		name = model.LlamaCpp
	}
	if name != "" {
		if err := o.heeded(name); err != nil {
			return chosen{}, err
		}
	}
	switch name {
	case model.Ollama:
		rt := ollamaOf(d)
		return chosen{Runtime: rt, mayHaveGPU: true, host: rt.Remote(ctx)}, nil // it says where a model went
	case model.OpenAI:
		rt := openAIOf(d, o)
		return chosen{Runtime: rt, host: rt.Remote(ctx)}, nil
	case model.LlamaCpp:
		return llamaCPP(ctx, d, o, m, r, s)
	}
	rt, err := d.Framework(ctx, name, o.Python, m)
	if err != nil {
		return chosen{}, err
	}
	if err := o.heeded(rt.Name()); err != nil {
		return chosen{}, err
	}
	rt.GPU = o.Device
	if rt.Runtime == framework.Transformers && o.devices() > 1 {
		rt.DType = "float32" // as on the CPU; alone, the GPU computes in the 16 bits of most models
	}
	return chosen{Runtime: rt, mayHaveGPU: true}, nil // its worker says whether there is one
}

// heeded refuses what a runtime would ignore: nobody must take a figure for that of
// another device or another installation.
func (o Options) heeded(runtime string) error {
	framework := runtime == model.MLX || runtime == model.Torch
	server := runtime == model.OpenAI
	for _, x := range []struct {
		param string
		given bool
		heeds bool
		why   string
	}{
		{"url", o.URL != "", server, runtime + " does not use a server"},
		{"device", o.Device != "", !server && runtime != model.Ollama, runtime + " chooses the GPU itself"},
		{"sweep", o.Sweep, !framework && !server, runtime + " computes all layers on one device"},
		{"ngl", len(o.Layers) > 0, !server, "the server decides where the layers are"},
		{"threads", o.Threads > 0, !server, "the server decides on its threads"},
		{"ctx", o.Context > 0, !server, "the server decides on its context"},
		{"llama-cpp", o.LlamaCPP != "", runtime == model.LlamaCpp, runtime + " does not use llama.cpp"},
		{"bench", o.Bench == Always, runtime == model.LlamaCpp, runtime + " has no llama-bench"},
		{"python", o.Python != "", framework, runtime + " does not use Python"},
	} {
		if x.given && !x.heeds {
			return fault.Errorf(fault.Invalid, "%s", x.why).With(fault.Change(x.param, "leave {} out"))
		}
	}
	if server && o.URL == "" {
		return fault.Errorf(fault.Invalid, "which server? its address is missing").With(fault.Set("url", "http://127.0.0.1:8080/v1", "for example"))
	}
	return nil
}

// llamaCPP finds llama.cpp and its GPU, and notes in the record why there is none.
func llamaCPP(ctx context.Context, d lab.Deps, o Options, m model.Model, r *record.Run, s *event.Stream) (chosen, error) {
	env := d.Catalog.Env
	inherited, notes := llamacpp.Environment(d.Catalog.Environ())
	places := llamacpp.Places(env.Folder)
	if env.Own != "" {
		places = append(places, filepath.Join(env.Own, "llama.cpp"))
	}
	found, err := llamacpp.Search{Dir: o.LlamaCPP, Variable: env.LlamaCPP, LookPath: exec.LookPath, Places: places, Env: inherited}.Find(ctx)
	if err != nil {
		return chosen{}, err
	}
	rt := &llamacpp.Runtime{Installation: found, CPU: host.CPU(), Env: inherited, Notes: notes, Bytes: m.Bytes, Trace: env.Trace}
	if d.Free != nil {
		rt.Free = d.Free()
	}
	gpus, err := found.GPUs(ctx, rt.Env)
	if err != nil {
		return chosen{}, err
	}
	if rt.GPU, err = pick(gpus, o.Device, found); err != nil {
		return chosen{}, err
	}
	c := chosen{Runtime: rt, mayHaveGPU: rt.GPU != nil}
	if slices.Contains(m.Runtimes, model.Ollama) {
		c.Runtime = ollamasFile{rt}
	}
	if found.Bench != "" {
		c.bench = rt
	}
	if rt.GPU != nil {
		rt.GPU.Device.Card = card(rt.GPU.Device, r.Cards, rt.Env)
		c.gpu = rt.GPU.Device
	} else {
		rt.NoGPU = noGPU(found)
		r.Missing = append(r.Missing, record.Missing{Engine: rt.Name(), API: "gpu", Kind: hardware.GPU, Code: fault.Unavailable, Reason: rt.NoGPU.Message, Remedies: rt.NoGPU.Remedies})
	}
	lab.Note(s, fmt.Sprintf("llama.cpp %s: %s", rt.Version, rt.Server))
	return c, nil
}

// ollamasFile is llama.cpp with a model that Ollama keeps, perhaps in a form of its own.
type ollamasFile struct{ llm.Runtime }

// Load leads to Ollama where llama.cpp cannot load the file.
func (o ollamasFile) Load(ctx context.Context, path string, s llm.Settings) (llm.Session, error) {
	session, err := o.Runtime.Load(ctx, path, s)
	var e *fault.Error
	if errors.As(err, &e) && e.Code == fault.Crashed {
		e.Remedies = append(fault.Remedies{fault.Set("runtime", model.Ollama, "Ollama keeps some models in a form that only it can read")}, e.Remedies...)
	}
	return session, err
}

// noGPU says why llama.cpp has no GPU. A build that has a backend for GPUs does not need to
// be replaced: something keeps the backend from the GPU.
func noGPU(i llamacpp.Installation) *fault.Error {
	if len(i.Backends) > 0 {
		return fault.Errorf(fault.Unavailable, "No GPU lane: llama.cpp %s has the backend %s and sees no GPU through it.", i.Version, strings.Join(i.Backends, ", ")).
			With(fault.Run("{} says what is missing", "gpuplay", "doctor"))
	}
	return fault.Errorf(fault.Unavailable, "No GPU lane: llama.cpp %s lists no GPU; it is probably a build for the CPU alone.", i.Version).With(
		fault.Run("{} gets a build for the GPU that is here", "gpuplay", "setup", "llama.cpp"),
		fault.Run("{} says which that is", "gpuplay", "doctor"))
}

// pick returns the GPU of that name, or, for "", the first, nil if there is none.
func pick(gpus []llamacpp.GPU, name string, found llamacpp.Installation) (*llamacpp.GPU, error) {
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
		return nil, fault.Errorf(fault.Unavailable, "llama.cpp has no device %s: it lists none", name).With(noGPU(found).Remedies[0])
	}
	return nil, fault.Errorf(fault.Unavailable, "llama.cpp has no device %s", name).With(fault.DidYouMean(name, names))
}

// card returns the number of the card that llama.cpp's device is on, nil when that is
// not known. llama.cpp tells neither UUID nor PCI address: a name that only one card
// has will do, and so does CUDA's number among the cards of NVIDIA, which is in PCI
// order, unless some of them are hidden.
func card(d hardware.Device, cards []hardware.Card, env []string) *int {
	if d.Kind != hardware.GPU {
		return nil
	}
	var named, nvidia []hardware.Card
	for _, c := range cards {
		if strings.EqualFold(c.Name, d.Name) {
			named = append(named, c)
		}
		if strings.EqualFold(c.Vendor, "nvidia") {
			nvidia = append(nvidia, c)
		}
	}
	hidden := slices.ContainsFunc(env, func(pair string) bool { return strings.HasPrefix(pair, "CUDA_VISIBLE_DEVICES=") })
	switch {
	case len(named) == 1:
		return &named[0].Number
	case d.API == "cuda" && d.Index != nil && *d.Index < len(nvidia) && !hidden:
		return &nvidia[*d.Index].Number
	}
	return hardware.CardOf(d, cards)
}
