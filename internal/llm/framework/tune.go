package framework

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Settings say how an adapter is trained. Files and folders are absolute.
type Settings struct {
	Train     string         `json:"train"`           // a .jsonl file of rows, checked
	Valid     string         `json:"valid,omitempty"` // likewise, rows that are not trained on; "" for none
	Adapter   string         `json:"adapter"`         // the folder, which is there, that gets the adapter
	Resume    bool           `json:"resume"`          // go on with the adapter that is there
	From      int            `json:"from"`            // iterations that it has had
	Batch     int            `json:"batch"`           // rows an iteration
	Layers    int            `json:"layers"`          // the last so many get an adapter; 0: all
	Rank      int            `json:"rank"`            // of the two matrices of an adapter
	Scale     float64        `json:"scale"`           // of what it adds: alpha/rank as peft says it
	Dropout   float64        `json:"dropout"`         //
	LR        float64        `json:"lr"`              // Adam's learning rate
	DoRA      bool           `json:"dora"`            // directions and lengths apart (arXiv 2402.09353)
	Seed      uint64         `json:"seed"`            // of the adapter's first values and the order of rows
	MaxLength int            `json:"max_length"`      // tokens of a row; the rest is cut off
	SaveEvery int            `json:"save_every"`      // iterations
	EvalEvery int            `json:"eval_every"`      // iterations
	State     map[string]any `json:"state"`           // is kept beside the adapter, with its iterations
}

// A Tuning is what will be trained.
type Tuning struct {
	Rows      int   `json:"rows"`
	Longest   int   `json:"longest"`   // tokens of the longest row
	Padded    int   `json:"padded"`    // what the framework fills it up to
	Cut       int   `json:"cut"`       // rows that are longer than MaxLength
	Trainable int64 `json:"trainable"` // parameters of the adapter
	Layers    int   `json:"layers"`    // that have one
}

// Tune gives the model an adapter. From then on it is the model that is trained.
func (m *Model) Tune(ctx context.Context, s Settings) (t Tuning, err error) {
	_, err = m.link.Call(ctx, "tune", s, &t, nil, 0)
	return t, err
}

// A Step is an event of a training: an iteration with its loss, the loss on rows
// that are not trained on, or that the adapter was saved.
type Step struct {
	Iteration  int      `json:"iteration,omitempty"`         // the first is 1
	Loss       *float64 `json:"loss,omitempty"`              // of this iteration's rows, before it: cross entropy in nats a token
	Validation *float64 `json:"validation_loss,omitempty"`   // after Iteration iterations
	LR         float64  `json:"learning_rate,omitempty"`     //
	Speed      float64  `json:"tokens_per_second,omitempty"` // by the framework's clock
	Tokens     int64    `json:"trained_tokens,omitempty"`    // since the training began
	Peak       int64    `json:"peak,omitempty"`              // bytes, the most until now; 0 when not known
	Saved      int      `json:"saved,omitempty"`             // the iteration whose adapter is safe on disk
}

// A Trained is how a training ended.
type Trained struct {
	Iterations int      `json:"iterations"` // all that the adapter has had
	Loss       *float64 `json:"loss"`       // of the last iteration; nil when there was none
	Peak       int64    `json:"peak"`       // bytes; 0 when not known
}

// Train trains the adapter that Tune made for so many iterations and saves it, at
// the end too when ctx ends before: then stopped is true. One that has not finished
// its iteration and saved within grace is killed, and what was saved before is kept.
// Each must not block.
func (m *Model) Train(ctx context.Context, iters int, grace time.Duration, each func(Step)) (t Trained, stopped bool, err error) {
	var broken error
	stopped, err = m.link.Call(ctx, "train", map[string]int{"iters": iters}, &t, func(raw json.RawMessage) {
		var s Step
		if err := json.Unmarshal(raw, &s); err != nil {
			broken = fmt.Errorf("event %s is not understood: %w", raw, err)
			return
		}
		each(s)
	}, grace)
	if err == nil {
		err = broken
	}
	return t, stopped, err
}
