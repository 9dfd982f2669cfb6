package lab

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/lora"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/train"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// LanguageFrameworks returns the names of the frameworks that run language models, the
// one to try first in front: MLX on Apple silicon, PyTorch elsewhere.
func LanguageFrameworks() []string {
	var names []string
	for _, f := range python.Frameworks {
		switch {
		case f.Models == "":
		case f.Name == "mlx" && runtime.GOOS == "darwin" && runtime.GOARCH == "arm64":
			names = slices.Insert(names, 0, f.Name)
		default:
			names = append(names, f.Name)
		}
	}
	return names
}

// Framework returns what runs a language model and the interpreter that has it: the
// framework of that name, or, for "", the first of LanguageFrameworks that is there and
// can load the model. interpreter is one that a person asked for, "" for the first that
// is found.
func (d Deps) Framework(ctx context.Context, name, interpreter string, m model.Model) (*framework.Runtime, error) {
	order := LanguageFrameworks()
	if name != "" {
		order = []string{name}
	}
	able := slices.DeleteFunc(slices.Clone(order), func(name string) bool { return !slices.Contains(m.Runtimes, name) })
	if len(able) == 0 {
		return nil, fault.Errorf(fault.Unsupported, "%s cannot load %s weights", strings.Join(order, " or "), m.Quantization).With(others(m)...)
	}
	var first *framework.Runtime
	var failed error
	for _, name := range able {
		f := python.Frameworks[slices.IndexFunc(python.Frameworks, func(f python.Framework) bool { return f.Name == name })]
		found, err := d.Catalog.Interpreter(ctx, f.Name, interpreter, f.Models)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		r := &framework.Runtime{Runtime: f.Models, Client: d.Catalog.Language(f.Models, found), Notes: found.Notes()}
		if found.Has {
			return r, nil
		}
		if first == nil {
			first = r
		}
	}
	if err := ctx.Err(); err != nil { // whatever the interpreters said, this is why
		return nil, err
	}
	if first == nil {
		return nil, fault.Errorf(fault.Unavailable, "%v", failed).With(another(able[0])...)
	}
	return first, nil // its worker says what is missing
}

// others are the remedies for a framework that cannot load a model.
func others(m model.Model) fault.Remedies {
	var list fault.Remedies
	for _, name := range LanguageFrameworks() {
		if slices.Contains(m.Runtimes, name) {
			list = append(list, fault.Set("framework", name, ""))
		}
	}
	return list
}

// another are the remedies for an interpreter that does not have what it takes.
func another(framework string) fault.Remedies {
	one := fault.Run("{} makes one", "gpuplay", "setup", framework)
	if framework == "torch" { // MLX has what language models need in any case
		one.Param = "llm"
	}
	return fault.Remedies{fault.Change("python", "{} names another interpreter"), one}
}

// Made returns the framework that made the adapter in a folder, since no other can read
// it, and to how many bits it wants the model's weights cut, 0 for not. asked is the
// framework that a person asked for, "" for none.
func Made(adapter, asked string) (name string, bits int, err error) {
	runtime, bits, err := lora.Made(adapter)
	if err != nil {
		return "", 0, err
	}
	for _, f := range python.Frameworks {
		if f.Models == runtime {
			name = f.Name
		}
	}
	if asked != "" && asked != name {
		return "", 0, fault.Errorf(fault.Invalid, "framework %s: %s was made with %s", asked, adapter, name).With(fault.Change("framework", "leave {} out"))
	}
	return name, bits, nil
}

// Language says which language model is loaded, by what and where.
type Language struct {
	Model     model.Model   // as package model finds it, with an absolute path
	Framework string        // mlx or torch; "": the first that is there and can load it
	Device    string        // as hardware.Pick takes it: cpu, gpu, cuda:1; "": the GPU if there is one
	Threads   int           // CPU threads; 0: the framework's own choice
	Python    string        // interpreter, or environment, that has the framework; "": the first that is found
	Generate  bool          // it is to generate, as fast as it can
	Timeout   time.Duration // how long loading may take; 0: no limit
}

// Check refuses what makes no sense, whatever the model.
func (o Language) Check() error {
	if o.Threads < 0 {
		return fault.Errorf(fault.Invalid, "%d threads: at least 1 is needed", o.Threads).With(fault.Change("threads", "leave {} out to use what the framework chooses"))
	}
	if o.Timeout < 0 {
		return fault.Errorf(fault.Invalid, "timeout %s: 0 or more, where 0 means no limit", o.Timeout).With(fault.Change("timeout", "leave {} out for the usual limit"))
	}
	return nil
}

// loadable refuses a model that no framework loads, or memory does not hold, before
// anything is started. free is 0 when it is not known.
func loadable(m model.Model, free int64) error {
	switch {
	case m.Format != model.Safetensors:
		return fault.Errorf(fault.Unsupported, "%s is a GGUF file, which is llama.cpp's form", m.Path).With(
			fault.Run("{} runs it", "gpuplay", "llm"),
			fault.Remedy{Text: "MLX and PyTorch need the model as its maker published it: config.json, *.safetensors, tokenizer.json"})
	case free > 0 && m.Bytes > free:
		return fault.Errorf(fault.OutOfMemory, "%s has %s of weights, %s of memory is free", m.Ref, unit.Bytes(float64(m.Bytes)), unit.Bytes(float64(free))).
			With(fault.Advice("a smaller model, or the same with 4-bit weights for MLX")...)
	}
	return nil
}

// A Loaded is a language model in a framework's memory, in the only lane of a run.
type Loaded struct {
	train.Model
	Runtime string          // framework.MLX or framework.Transformers
	Facts   llm.Facts       // with the card that it is on
	Cards   []hardware.Card // of this machine, with that one
	Lane    string          // the lane's id
	Prompt  string          // as much of framework.Rows.Prompt as may be asked
}

// Load starts a framework, loads a model and tells of both. Of with it takes the adapter,
// the bits and the rows. cards are those that are known.
func (d Deps) Load(ctx context.Context, s *event.Stream, cards []hardware.Card, o Language, with framework.Options) (*Loaded, error) {
	if err := loadable(o.Model, d.free()); err != nil {
		return nil, err
	}
	limited, cancel := measure.Limit(ctx, o.Timeout, "loading the model took longer than")
	defer cancel()
	r, err := d.Framework(limited, o.Framework, o.Python, o.Model)
	if err != nil {
		return nil, measure.Because(limited, err)
	}
	Note(s, fmt.Sprintf("starting %s, loading %s of weights", r.Name(), unit.Bytes(float64(o.Model.Bytes))))
	with.Device, with.Threads, with.Graph = o.Device, o.Threads, o.Generate
	m, err := r.Open(limited, o.Model.Path, with)
	if err != nil {
		err = measure.Because(limited, err)
		if e := (*fault.Error)(nil); errors.As(err, &e) && len(e.Remedies) == 0 {
			err = fault.Errorf(e.Code, "%s", e.Message).With(another(r.Name())...)
		}
		return nil, err
	}
	facts, about := m.Facts(), m.About()
	cards = hardware.Cards(cards, facts.Device)
	facts.Device.Card = hardware.CardOf(facts.Device, cards)
	l := &Loaded{Model: m, Runtime: r.Runtime, Facts: facts, Cards: cards, Lane: ID(r.Name(), facts.Device.ID, map[string]bool{}), Prompt: m.Prompt()}
	s.Emit(l.Lane, event.Lane{Name: facts.Runtime, Engine: r.Name(), Device: facts.Device.Name, Card: facts.Device.Card})
	s.Emit(l.Lane, llm.Loaded{Model: o.Model.Name, Settings: llm.Settings{Threads: o.Threads}, Facts: facts, About: &about})
	return l, nil
}

// free returns the bytes of available memory, 0 when that is not known.
func (d Deps) free() int64 {
	if d.Free == nil {
		return 0
	}
	return d.Free()
}
