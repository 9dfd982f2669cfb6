package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/train"
)

// older reads files of versions before 0.2, by their schema. docs/v1 has the schemas.
// What those files do not hold stays empty: a run's id, the times of samples, names of
// lanes.
var older = map[string]func(text []byte) (*Run, error){
	"gpuplay/result/v1":     fromResult,
	"gpuplay/sweep/v1":      fromSweep,
	"gpuplay/tokens/v1":     fromTokens,
	"gpuplay/cpu/v1":        fromCPU,
	"gpuplay/generation/v1": fromGeneration,
	"gpuplay/finetune/v1":   fromFinetune,
}

// envelope is what all older files had in common.
type envelope struct {
	Created     time.Time    `json:"created"`
	Program     Program      `json:"program"`
	Command     []string     `json:"command"`
	Machine     host.Machine `json:"machine"`
	Threads     int          `json:"threads"`
	NotRaced    []Missing    `json:"not_raced"`
	Interrupted bool         `json:"interrupted"`
}

func (e envelope) run(k Kind) *Run {
	// What they called cores are logical CPUs; which of them share a core they do not say.
	e.Machine.Cores, e.Machine.CPUs = 0, e.Machine.Cores
	return &Run{
		Schema: Schema, Kind: k, Created: e.Created.UTC(), Program: e.Program, Command: e.Command, Machine: e.Machine,
		Threads: e.Threads, Missing: e.NotRaced, Interrupted: e.Interrupted,
	}
}

// unique returns id, with a number behind it if it is taken already.
func unique(id string, taken map[string]bool) string {
	one := id
	for n := 2; taken[one]; n++ {
		one = fmt.Sprintf("%s~%d", id, n)
	}
	taken[one] = true
	return one
}

// result is the form of race and matmul, and of one size of a sweep.
type result struct {
	envelope
	Results []*bench.Result `json:"results"`
}

// kind tells a race from a single product by the command, and without a command by
// the number of lanes.
func (r result) kind() Kind {
	for i, word := range r.Command {
		if k := Kind(word); i > 0 && (k == Race || k == MatMul || k == Sweep) {
			return k
		}
	}
	if len(r.Command) > 0 || len(r.Results) > 1 || len(r.NotRaced) > 0 {
		return Race // which needs no word of its own
	}
	return MatMul
}

// lanes names the lanes, which had no unique names.
func (r result) lanes() error {
	taken := map[string]bool{}
	for i, x := range r.Results {
		if x == nil {
			return fmt.Errorf("result %d is null", i)
		}
		x.Lane = unique(x.Engine+"/"+x.Device.ID, taken)
	}
	return nil
}

func fromResult(text []byte) (*Run, error) {
	var in result
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, err
	}
	if err := in.lanes(); err != nil {
		return nil, err
	}
	r := in.run(in.kind())
	r.Results = in.Results
	return r, nil
}

// fromSweep joins the sizes, each of which had an envelope of its own. They differ in
// when they were measured and, after a resumption, in the command; those of the first
// are kept.
func fromSweep(text []byte) (*Run, error) {
	var in struct {
		Interrupted bool     `json:"interrupted"`
		Points      []result `json:"points"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, err
	}
	if len(in.Points) == 0 {
		return nil, errors.New("it holds no size")
	}
	first := in.Points[0].envelope
	first.NotRaced = nil
	r := first.run(Sweep)
	r.Interrupted = in.Interrupted
	r.Crossover = has(r.Command, "crossover")
	for i, p := range in.Points {
		if err := p.lanes(); err != nil {
			return nil, fmt.Errorf("size %d: %w", i+1, err)
		}
		r.Results = append(r.Results, p.Results...)
		for _, m := range p.NotRaced {
			if !slices.ContainsFunc(r.Missing, func(have Missing) bool { return reflect.DeepEqual(have, m) }) {
				r.Missing = append(r.Missing, m)
			}
		}
	}
	return r, nil
}

// has reports whether a command line has a flag that takes no value.
func has(command []string, flag string) bool {
	return slices.ContainsFunc(command, func(word string) bool {
		return strings.HasPrefix(word, "-") && strings.TrimSuffix(strings.TrimLeft(word, "-"), "=true") == flag
	})
}

func fromTokens(text []byte) (*Run, error) {
	var in struct {
		envelope
		Model   model.Model `json:"model"`
		Prompt  string      `json:"prompt"`
		Results []*struct {
			llm.Result
			Peer   []llm.PeerResult `json:"peer"`
			Limits *llm.Limits      `json:"limits"`
		} `json:"results"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, err
	}
	r := in.run(LLM)
	t := &Tokens{Model: in.Model, Prompt: in.Prompt, Results: []*llm.Result{}}
	r.Tokens = t
	taken, apart := map[string]bool{}, true
	for i, x := range in.Results {
		if x == nil {
			return nil, fmt.Errorf("result %d is null", i)
		}
		one := x.Result
		if one.Lane == "" {
			one.Lane = one.Runtime
		}
		one.Lane = unique(one.Lane, taken)
		one.Name = contender(one.Settings.Layers)
		apart = apart && !one.Round
		t.Results = append(t.Results, &one)
		if len(x.Peer) > 0 {
			t.Peers = append(t.Peers, Peer{Lane: one.Lane, Name: "llama-bench", Results: x.Peer})
		}
		if t.Limits == nil && one.Facts.Device.Kind == hardware.CPU && !one.Has(measure.NotOnGPU) { // all lanes on the CPU had the same
			t.Limits = x.Limits
		}
	}
	// A sweep over layers had about six lanes, one after the other.
	t.Layers = has(r.Command, "sweep") || apart && len(t.Results) > 3
	return r, nil
}

// contender names a lane as it was called while it was measured.
func contender(layers int) string {
	switch {
	case layers == 0:
		return "CPU"
	case layers >= llm.AllLayers:
		return "GPU"
	case layers == 1:
		return "GPU, 1 layer"
	}
	return fmt.Sprintf("GPU, %d layers", layers)
}

func fromCPU(text []byte) (*Run, error) {
	var in struct {
		envelope
		CPU
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, err
	}
	r := in.run(CPUs)
	r.CPU = &in.CPU
	return r, nil
}

func fromGeneration(text []byte) (*Run, error) {
	var in struct {
		envelope
		Model  string    `json:"model"`
		Prompt string    `json:"prompt"`
		Facts  llm.Facts `json:"facts"`
		About  llm.About `json:"about"`
		llm.Generation
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, err
	}
	r := in.run(Generate)
	r.Generation = &Generation{Model: in.Model, Prompt: in.Prompt, Chat: in.About.Chat, Facts: in.Facts, About: in.About, Answer: in.Generation}
	return r, nil
}

func fromFinetune(text []byte) (*Run, error) {
	var in struct {
		envelope
		Model    string         `json:"model"`
		Facts    llm.Facts      `json:"facts"`
		About    llm.About      `json:"about"`
		Data     train.Data     `json:"data"`
		Settings train.Settings `json:"settings"`
		Iters    int            `json:"iters"`
		train.Result
		Tuning *train.Plan `json:"tuning"`
		Error  string      `json:"error"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, err
	}
	r := in.run(Finetune)
	if len(r.Command) > 0 { // the program was left out
		r.Command = append([]string{"gpuplay"}, r.Command...)
	}
	if in.Error != "" {
		code := fault.Internal
		if in.End == train.LowMemory {
			code = fault.OutOfMemory
		}
		r.Error = fault.Errorf(code, "%s", in.Error)
	}
	r.Interrupted = in.End == train.Interrupted
	in.Plan = in.Tuning
	r.Training = &Training{
		Model: in.Model, Name: in.Model[strings.LastIndexAny(in.Model, `/\`)+1:], Facts: in.Facts, About: in.About,
		Data: in.Data, Settings: in.Settings, Iters: in.Iters, Result: in.Result,
	}
	return r, nil
}
