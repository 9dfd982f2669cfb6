package web

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/lab/cpu"
	"github.com/gpuplay/gpuplay/internal/lab/race"
	"github.com/gpuplay/gpuplay/internal/lab/sweep"
	"github.com/gpuplay/gpuplay/internal/lab/tokens"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/record"
)

// Limits of what a page may ask for.
const (
	maxSize    = 16384 // n of a product: 3 GB of float32
	maxSeconds = 120   // to measure
	maxTokens  = 512   // of an answer
	maxPrompt  = 4096  // bytes
)

// engineStart and answerLimit are how long an engine may take to start, and a language model
// to be loaded or to answer.
const (
	engineStart = time.Minute
	answerLimit = 10 * time.Minute
)

// dtypeOf returns the type of that name; none is float32.
func dtypeOf(name string) (matrix.DType, error) {
	d, err := matrix.ParseDType(cmp.Or(name, string(matrix.Float32)))
	if err != nil {
		return "", fault.Errorf(fault.Invalid, "%v", err)
	}
	return d, nil
}

// within refuses a number outside of its limits.
func within(name string, value, least, most int) error {
	if value < least || value > most {
		return fault.Errorf(fault.Invalid, "%s %d: %d to %d", name, value, least, most)
	}
	return nil
}

// settings are those of all measurements of products.
func settings(seconds int) lab.Settings {
	return lab.Settings{Options: catalog.Options{Timeout: engineStart}, Budget: time.Duration(seconds) * time.Second, Seed: 1}
}

// RaceSettings are what chapter Race asks for.
type RaceSettings struct {
	Size    int    `json:"size"`     // n of n×n×n; 0: chosen to suit the machine
	DType   string `json:"dtype"`    // float32, …; empty: float32
	Seconds int    `json:"seconds"`  // to measure; 10 by default
	AllGPUs bool   `json:"all_gpus"` // each of several equal ones
}

// Race is the activity of chapter Race. deps must have no Command: the command line of the
// server is not one that measures the race again.
func Race(deps lab.Deps) Activity {
	return Activity{Kind: string(record.Race), Job: func(text []byte) (Job, error) {
		in := RaceSettings{Seconds: 10}
		if err := Decode(text, &in); err != nil {
			return Job{}, err
		}
		dtype, err := dtypeOf(in.DType)
		if err == nil {
			err = within("size", in.Size, 0, maxSize)
		}
		if err == nil {
			err = within("seconds", in.Seconds, 1, maxSeconds)
		}
		o := race.Options{Settings: settings(in.Seconds), Size: in.Size, DType: dtype, AllGPUs: in.AllGPUs}
		return Job{Measure: func(ctx context.Context, s *event.Stream) (*record.Run, error) {
			return race.Run(ctx, deps, o, s)
		}}, err
	}}
}

// SweepSettings are what chapter Why asks for.
type SweepSettings struct {
	Most    int    `json:"most"`    // the largest n, at least 32; 2048 by default
	DType   string `json:"dtype"`   // empty: float32
	Seconds int    `json:"seconds"` // to measure each size; 2 by default
}

// Sweep is the activity of chapter Why.
func Sweep(deps lab.Deps) Activity {
	return Activity{Kind: string(record.Sweep), Job: func(text []byte) (Job, error) {
		in := SweepSettings{Most: 2048, Seconds: 2}
		if err := Decode(text, &in); err != nil {
			return Job{}, err
		}
		dtype, err := dtypeOf(in.DType)
		if err == nil {
			err = within("size", in.Most, 32, maxSize)
		}
		if err == nil {
			err = within("seconds", in.Seconds, 1, maxSeconds)
		}
		o := sweep.Options{Settings: settings(in.Seconds), DType: dtype, Crossover: true}
		for n := 32; n <= in.Most; n *= 2 {
			o.Shapes = append(o.Shapes, sweep.Shape{M: n, N: n, K: n})
		}
		return Job{Measure: func(ctx context.Context, s *event.Stream) (*record.Run, error) {
			return sweep.Run(ctx, deps, o, s)
		}}, err
	}}
}

// CPU is the activity that measures the roofline of this machine's CPU, for chapter Why.
func CPU(deps lab.Deps) Activity {
	return Activity{Kind: string(record.CPUs), Job: func(text []byte) (Job, error) {
		return Job{Measure: func(ctx context.Context, s *event.Stream) (*record.Run, error) {
			return cpu.Run(ctx, deps, cpu.Options{}, s)
		}}, Decode(text, &struct{}{})
	}}
}

// TalkSettings are what chapter Talk asks for.
type TalkSettings struct {
	Model  string `json:"model"` // an id of the list of models
	Prompt string `json:"prompt"`
	Tokens int    `json:"tokens"` // of the answer; 64 by default
}

// A Talker is a language model that chapter Talk can choose.
type Talker struct {
	ID    string `json:"id"` // of this launch of the server
	Name  string `json:"name"`
	Quant string `json:"quantization,omitempty"`
	Bytes int64  `json:"bytes"`
}

// Talk is the activity of chapter Talk. A request names a model by the number under which
// the server has listed it, never by a path.
func Talk(deps lab.Deps) Activity {
	var mu sync.Mutex
	var found []model.Model // by id
	list := func(ctx context.Context) ([]model.Model, error) {
		now, _ := model.Find(ctx, deps.Models.Places) // what cannot be used, gpuplay models explains
		mu.Lock()
		defer mu.Unlock()
		for _, m := range now {
			if !slices.ContainsFunc(found, func(f model.Model) bool { return f.Path == m.Path }) && slices.Contains(m.Runtimes, model.LlamaCpp) {
				found = append(found, m)
			}
		}
		return slices.Clone(found), ctx.Err()
	}
	return Activity{
		Kind: string(record.LLM),
		Get: func(ctx context.Context) (any, error) {
			models, err := list(ctx)
			talkers := []Talker{}
			for i, m := range models {
				talkers = append(talkers, Talker{strconv.Itoa(i), m.Name, m.Quantization, m.Bytes})
			}
			return talkers, err
		},
		Job: func(text []byte) (Job, error) {
			in := TalkSettings{Tokens: 64}
			if err := Decode(text, &in); err != nil {
				return Job{}, err
			}
			mu.Lock()
			known := slices.Clone(found)
			mu.Unlock()
			i, err := strconv.Atoi(in.Model)
			switch {
			case err != nil || i < 0 || i >= len(known):
				return Job{}, fault.Errorf(fault.Invalid, "unknown model %q", in.Model)
			case in.Prompt == "" || len(in.Prompt) > maxPrompt:
				return Job{}, fault.Errorf(fault.Invalid, "a prompt of %d bytes: 1 to %d", len(in.Prompt), maxPrompt)
			}
			if err := within("tokens", in.Tokens, 1, maxTokens); err != nil {
				return Job{}, err
			}
			o := tokens.Options{Model: known[i], Runtime: model.LlamaCpp, Prompt: in.Prompt, Tokens: in.Tokens, Repeat: 1, Exact: true, Budget: time.Minute, Timeout: answerLimit, Bench: tokens.Never}
			return Job{Measure: func(ctx context.Context, s *event.Stream) (*record.Run, error) {
				return tokens.Run(ctx, deps, o, s)
			}}, o.Check()
		},
	}
}
