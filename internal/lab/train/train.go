// Package train is the lab of fine-tuning: a language model is asked, learns rows with
// a low-rank adapter, and is asked again.
package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/lora"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/train"
)

// Options say what a model is taught and how. Nonsense is refused; the zero value is
// nonsense.
type Options struct {
	lab.Language
	Data    string // a folder with train.jsonl, absolute; "": rows that are built in
	Adapter string // the folder that gets the adapter, absolute
	Resume  bool   // continue the adapter that is there, for Iters more
	// Chosen names those of Layers, Rank, Scale, Dropout, DoRA and QLoRA, in lower case,
	// that a person chose. An adapter that is continued must have been begun with them;
	// the others are taken from it.
	Chosen []string

	Iters     int     // iterations: steps of the optimizer
	Batch     int     // rows per iteration
	Layers    int     // how many get an adapter, counted from the last; 0: all
	Rank      int     // of the adapter
	LR        float64 // learning rate of Adam
	Scale     float64 // of what the adapter adds: alpha/rank
	Dropout   float64 // share of the adapter's inputs that are left out at random
	DoRA      bool    // directions and lengths apart
	QLoRA     bool    // the model's own weights cut to 4 bits, which MLX alone does
	Seed      uint64  // of the adapter's first values and the order of rows
	MaxLength int     // tokens per row; the rest is cut off
	SaveEvery int     // iterations
	EvalEvery int     // iterations

	Prompt string // asked before and after; "": what the first row begins with
	Tokens int    // of an answer, at most
}

// Check refuses what makes no sense, whatever the model and the rows.
func (o Options) Check() error {
	if err := o.Language.Check(); err != nil {
		return err
	}
	for _, n := range []struct {
		name       string
		value, min int
	}{{"iters", o.Iters, 1}, {"batch", o.Batch, 1}, {"layers", o.Layers, 0}, {"rank", o.Rank, 1}, {"tokens", o.Tokens, 1},
		{"max-length", o.MaxLength, 2}, {"save-every", o.SaveEvery, 1}, {"eval-every", o.EvalEvery, 1}} {
		if n.value < n.min {
			return fault.Errorf(fault.Invalid, "%s %d: at least %d", n.name, n.value, n.min).With(fault.Change(n.name, "leave {} out for the usual number"))
		}
	}
	for _, x := range []struct {
		name  string
		value float64
		max   float64
	}{{"lr", o.LR, 1}, {"scale", o.Scale, 1e4}} {
		if !(x.value > 0 && x.value <= x.max) {
			return fault.Errorf(fault.Invalid, "%s %g: more than 0, at most %g", x.name, x.value, x.max).With(fault.Change(x.name, "leave {} out for the usual value"))
		}
	}
	switch {
	case !(o.Dropout >= 0 && o.Dropout < 1):
		return fault.Errorf(fault.Invalid, "dropout %g: at least 0, less than 1", o.Dropout).With(fault.Change("dropout", "leave {} out for none"))
	case o.Adapter == "":
		return fault.Errorf(fault.Invalid, "no folder for the adapter").With(fault.Set("adapter", "adapters", "for example"))
	case o.QLoRA && o.Framework != "" && o.Framework != model.MLX:
		return fault.Errorf(fault.Invalid, "%s cannot cut weights to 4 bits: mlx alone can", o.Framework).With(fault.Change("qlora", "leave {} out"), fault.Set("framework", model.MLX, ""))
	}
	return nil
}

// Run trains. What was trained before an error is in the record, with the error.
func Run(ctx context.Context, d lab.Deps, o Options, s *event.Stream) (*record.Run, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	r := d.Begin(ctx, s, record.Finetune)
	r.Threads = o.Threads
	rows, remove, err := o.rows()
	defer remove()
	if err != nil {
		return nil, err
	}
	settings, state, err := o.settings(rows)
	if err != nil {
		return nil, err
	}
	if o.Framework, err = o.framework(); err != nil {
		return nil, err
	}
	check := &framework.Rows{Train: rows.Train, Valid: rows.Valid, Limit: o.room()}
	if o.Prompt == "" {
		check.Prompt = rows.Data.Prompt
	}
	m, err := d.Load(ctx, s, r.Cards, o.Language, framework.Options{Bits: state.Bits, Rows: check})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	r.Cards = m.Cards
	if m.Prompt != check.Prompt {
		lab.Note(s, fmt.Sprintf("the prompt is cut to %d tokens of the first row", check.Limit))
		rows.Data.Prompt = m.Prompt
	}
	if !o.Resume {
		base, err := model.Fingerprint(o.Model.Path)
		if err != nil {
			return nil, err
		}
		all := m.About().Layers
		state = lora.State{
			Schema: lora.StateSchema, Runtime: m.Runtime, Model: o.Model.Path, Weights: o.Model.Bytes, Base: base, Bits: state.Bits,
			Layers: min(settings.Layers, all), Rank: settings.Rank, Scale: settings.Scale, Dropout: settings.Dropout, DoRA: settings.DoRA,
		}
		if state.Layers == 0 {
			state.Layers = all
		}
	}
	if settings.State, err = state.Keep(); err != nil {
		return nil, err
	}
	j := train.Job{Data: rows.Data, Settings: settings, Iters: o.Iters, Prompt: o.Prompt, Tokens: o.Tokens, Floor: train.Floor(host.Total()), Free: d.Free}
	teach(ctx, s, r, m, o.Model, j)
	r.Training.Sensors = d.Sensors().Sense(m.Facts.Device, use(r.Training.Result.Steps))
	return d.Finish(ctx, s, r), nil
}

// room returns how many tokens a prompt may have that is the beginning of a row: as many as
// are learned of a row, and as the context has room for beside the answer.
func (o Options) room() int {
	room := o.MaxLength
	if o.Model.Context > 0 {
		room = min(room, o.Model.Context-o.Tokens)
	}
	return max(1, room)
}

// teach trains a model and fills in the record.
func teach(ctx context.Context, s *event.Stream, r *record.Run, m *lab.Loaded, found model.Model, j train.Job) {
	if j.Prompt == "" {
		j.Prompt = j.Data.Prompt
	}
	if j.Free == nil {
		j.Free = func() int64 { return 0 }
	}
	training := record.Training{
		Model: found.Path, Name: found.Name, Facts: m.Facts, About: m.About(), Data: j.Data, Settings: j.Settings, Iters: j.Iters,
		Result: train.Result{Prompt: j.Prompt, Steps: []train.Step{}, End: train.Interrupted},
	}
	opened := training
	r.Training = &opened
	lab.Opened(s, r)
	result, err := train.Run(ctx, m.Model, j, m.Lane, s)
	training.Result = result
	r.Training = &training
	if err != nil && ctx.Err() == nil {
		r.Error = fault.From(err)
	}
}

// use returns when a device was used for training: from the first iteration that was told to
// the last, with validating and saving between them.
func use(steps []train.Step) measure.Use {
	u := measure.Use{Alone: true, Large: true}
	var first, last *train.Step
	for i, s := range steps {
		if s.Loss != nil {
			last = &steps[i]
			if first == nil {
				first = last
			}
		}
	}
	if first != last {
		u.Start, u.End = first.At, last.At
		u.Windows = []measure.Window{{Start: first.At, End: last.At, Work: float64(last.Tokens - first.Tokens)}}
	}
	return u
}

// rows returns the checked rows and what removes what was written for them.
func (o Options) rows() (lora.Rows, func(), error) {
	if o.Data != "" {
		if info, err := os.Stat(o.Data); err != nil || !info.IsDir() {
			why := "it is a file, not a folder with train.jsonl"
			if cause := (*fs.PathError)(nil); errors.As(err, &cause) {
				why = cause.Err.Error()
			}
			return lora.Rows{}, func() {}, fault.Errorf(fault.Invalid, "data %s: %s", o.Data, why).
				With(fault.Change("data", "{} names a folder with train.jsonl; without it rows that are built in are learned"))
		}
		rows, err := lora.Read(o.Data, o.Model.Chat)
		return rows, func() {}, err
	}
	folder, err := os.MkdirTemp("", "gpuplay-rows-")
	if err != nil {
		return lora.Rows{}, func() {}, err
	}
	rows, err := lora.BuiltIn(folder)
	return rows, func() { os.RemoveAll(folder) }, err
}

// settings returns how the adapter is trained, as chosen or as it was begun, and claims
// its folder. Of the state of a new one only Bits is known yet.
func (o Options) settings(rows lora.Rows) (train.Settings, lora.State, error) {
	s := train.Settings{
		Train: rows.Train, Valid: rows.Valid, Adapter: o.Adapter,
		Batch: o.Batch, Layers: o.Layers, Rank: o.Rank, Scale: o.Scale, Dropout: o.Dropout, LR: o.LR, DoRA: o.DoRA,
		Seed: o.Seed, MaxLength: o.MaxLength, SaveEvery: o.SaveEvery, EvalEvery: o.EvalEvery,
	}
	if n := rows.Data.Rows; n < o.Batch {
		return s, lora.State{}, fault.Errorf(fault.Invalid, "batch %d: there are only %d rows", o.Batch, n).With(fault.Set("batch", n, ""))
	}
	bits := 0
	if o.QLoRA {
		bits = 4
	}
	if !o.Resume {
		return s, lora.State{Bits: bits}, lora.Claim(s.Adapter)
	}
	state, err := lora.Resume(s.Adapter)
	if err != nil {
		return s, state, err
	}
	if err := lora.Fits(s.Adapter, o.Model); err != nil {
		return s, state, err
	}
	for _, c := range []struct {
		name       string
		value, had any
	}{
		{"layers", o.Layers, state.Layers}, {"rank", o.Rank, state.Rank}, {"scale", o.Scale, state.Scale}, {"dropout", o.Dropout, state.Dropout},
		{"dora", o.DoRA, state.DoRA}, {"qlora", o.QLoRA, state.Bits > 0},
	} {
		if slices.Contains(o.Chosen, c.name) && c.value != c.had {
			return s, state, fault.Errorf(fault.Invalid, "%s %v: %s was begun with %v", c.name, c.value, o.Adapter, c.had).
				With(fault.Change(c.name, "leave {} out"), fault.Change("adapter", "begin a new one with another {}"))
		}
	}
	state.Apply(&s)
	return s, state, nil
}

// framework returns the framework to train with: the one that made the adapter that is
// continued, or MLX to cut weights.
func (o Options) framework() (string, error) {
	if o.Resume {
		name, _, err := lab.Made(o.Adapter, o.Framework)
		return name, err
	}
	if o.QLoRA {
		return model.MLX, nil
	}
	return o.Framework, nil
}
