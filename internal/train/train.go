// Package train is the domain of training: what is learned and how, the steps of a
// training with their losses, and the Runner that asks a model, trains it and asks it
// again. The frameworks that train are behind Model; package lora knows rows and
// adapters.
package train

import (
	"context"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/llm"
)

// A Model is a language model that can be trained.
type Model interface {
	llm.Session
	// About says what kind of model it is.
	About() llm.About
	// Tune gives the model an adapter. From then on it is the model that is trained.
	Tune(ctx context.Context, s Settings) (Plan, error)
	// Train trains the adapter for iters iterations and saves it, also when ctx ends
	// before the last: then stopped is true. A model that has not finished its
	// iteration and saved within grace is killed, and what was saved before is kept.
	// Each must not block.
	Train(ctx context.Context, iters int, grace time.Duration, each func(Step)) (t Trained, stopped bool, err error)
}

// Settings say how an adapter is trained. Files and folders are absolute.
type Settings struct {
	Train     string         `json:"train"`           // a .jsonl file of rows, checked
	Valid     string         `json:"valid,omitempty"` // likewise, rows that are not trained on; "" for none
	Adapter   string         `json:"adapter"`         // the folder, which is there, that gets the adapter
	Resume    bool           `json:"resume"`          // continue with the adapter that is there
	From      int            `json:"from"`            // iterations that it has had
	Batch     int            `json:"batch"`           // rows per iteration
	Layers    int            `json:"layers"`          // how many layers get an adapter, counted from the last; 0: all
	Rank      int            `json:"rank"`            // of the two matrices of an adapter
	Scale     float64        `json:"scale"`           // of what it adds: alpha/rank as peft has it
	Dropout   float64        `json:"dropout"`         // share of the adapter's inputs that are left out at random
	LR        float64        `json:"lr"`              // Adam's learning rate
	DoRA      bool           `json:"dora"`            // directions and lengths apart (arXiv 2402.09353)
	Seed      uint64         `json:"seed"`            // of the adapter's first values and the order of rows
	MaxLength int            `json:"max_length"`      // tokens per row; the rest is cut off
	SaveEvery int            `json:"save_every"`      // iterations
	EvalEvery int            `json:"eval_every"`      // iterations
	State     map[string]any `json:"state"`           // is kept beside the adapter, with its iterations
}

// A Form is how rows say what is to be learned, as mlx-lm has them.
type Form string

const (
	Text       Form = "text"              // {"text": …}
	Completion Form = "prompt/completion" // {"prompt": …, "completion": …}
	Chat       Form = "chat"              // {"messages": [{"role": …, "content": …}, …]}
)

// Data describes the rows to learn.
type Data struct {
	Folder string `json:"folder,omitempty"` // empty: those that are built in
	Form   Form   `json:"form"`
	Rows   int    `json:"rows"`
	Held   int    `json:"held"`   // rows to measure with that are not trained on
	Prompt string `json:"prompt"` // what the first row begins with
}

// A Plan is what will be trained.
type Plan struct {
	Rows      int   `json:"rows"`
	Longest   int   `json:"longest"`   // tokens of the longest row
	Padded    int   `json:"padded"`    // what the framework fills it up to
	Cut       int   `json:"cut"`       // rows that are longer than Settings.MaxLength
	Trainable int64 `json:"trainable"` // parameters of the adapter
	Layers    int   `json:"layers"`    // that have one
}

// Planned is a training that is about to begin, as it is told of.
type Planned struct {
	Plan
	Estimate int64    `json:"estimate"`       // bytes that it will take, the weights among them
	Free     int64    `json:"free,omitempty"` // bytes of available memory; 0 when not known
	Data     Data     `json:"data"`
	Settings Settings `json:"settings"`
	Iters    int      `json:"iters"` // of this run
}

// EventType says that a plan is told of as one.
func (Planned) EventType() event.Type { return event.TypePlan }

// A Step is something that happened in a training: an iteration with its loss, the
// loss on rows that are not trained on, or that the adapter was saved.
type Step struct {
	Iteration  int           `json:"iteration,omitempty"`         // the first is 1
	Loss       *float64      `json:"loss,omitempty"`              // of this iteration's rows, before it: cross entropy in nats per token
	Validation *float64      `json:"validation_loss,omitempty"`   // after Iteration iterations
	LR         float64       `json:"learning_rate,omitempty"`     //
	Speed      float64       `json:"tokens_per_second,omitempty"` // by the framework's clock
	Tokens     int64         `json:"trained_tokens,omitempty"`    // since the training began
	Peak       int64         `json:"peak,omitempty"`              // bytes, the most until now; 0 when not known
	Saved      int           `json:"saved,omitempty"`             // the iteration whose adapter is safe on disk
	At         time.Duration `json:"at_ns"`                       // on the runner's clock, since the run began, when it was told
}

// EventType says that a step is told of as one.
func (Step) EventType() event.Type { return event.TypeStep }

// A Trained is how a training ended, as the framework says it.
type Trained struct {
	Iterations int      `json:"iterations"` // all that the adapter has had
	Loss       *float64 `json:"loss"`       // of the last iteration; nil when there was none
	Peak       int64    `json:"peak"`       // bytes; 0 when not known
}
