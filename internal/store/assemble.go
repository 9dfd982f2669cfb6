package store

import (
	"encoding/json"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/train"
)

// killed is what lanes say that had not ended when their process was killed.
const killed = "interrupted: the process was killed"

// An assembly is a run that is put together from the events of its journal: an
// interrupted one, unless the record itself was told.
type assembly struct {
	run      *record.Run
	products map[string]*bench.Result // by lane: what was not finished yet
	tokens   map[string]*llm.Result   // by lane
	whole    bool                     // the record itself was told: nothing is to be added
}

// add adds an event. An error means that the line is not an event.
func (a *assembly) add(line []byte) error {
	var e struct {
		At   time.Duration   `json:"at_ns"`
		Lane string          `json:"lane"`
		Type event.Type      `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return err
	}
	switch e.Type {
	case event.TypeOpened, event.TypeRecord:
		r, err := record.Parse(e.Data)
		if err != nil {
			return err
		}
		a.run, a.whole = r, e.Type == event.TypeRecord
		if !a.whole {
			r.Elapsed = e.At
		}
		a.products, a.tokens = map[string]*bench.Result{}, map[string]*llm.Result{}
		return nil
	}
	if a.run == nil {
		return nil
	}
	a.run.Elapsed = e.At
	switch {
	case a.run.Tokens != nil:
		return a.addTokens(e.Type, e.Lane, e.Data)
	case a.run.Training != nil:
		return a.addTraining(e.Type, e.Data)
	}
	return a.addProducts(e.Type, e.Lane, e.Data)
}

// addProducts adds what a lane of products told.
func (a *assembly) addProducts(t event.Type, lane string, data []byte) error {
	results := &a.run.Results
	if a.run.Noise != nil {
		results = &a.run.Noise.Results
	}
	x := a.products[lane]
	switch t {
	case event.TypePrepared:
		x = new(bench.Result)
		if err := json.Unmarshal(data, x); err != nil {
			return err
		}
		a.products[lane] = x
		*results = append(*results, x)
	case event.TypeResult:
		if x == nil { // it failed while it was prepared
			x = new(bench.Result)
			*results = append(*results, x)
		}
		*x = bench.Result{}
		delete(a.products, lane)
		return json.Unmarshal(data, x)
	case event.TypeSample:
		var s bench.Sample
		if err := json.Unmarshal(data, &s); err != nil || x == nil {
			return err
		}
		x.Samples = append(x.Samples, s)
	case event.TypeCheck:
		var c matrix.Check
		if err := json.Unmarshal(data, &c); err != nil || x == nil {
			return err
		}
		if x.Check == nil || x.Check.Passed { // a failed check is kept
			x.Check = &c
		}
	}
	return nil
}

// addTokens adds what a lane of a language model told.
func (a *assembly) addTokens(t event.Type, lane string, data []byte) error {
	x := a.tokens[lane]
	switch t {
	case event.TypeLane:
		var l event.Lane
		if err := json.Unmarshal(data, &l); err != nil {
			return err
		}
		x = &llm.Result{Lane: lane, Name: l.Name, Runtime: l.Engine, Samples: []llm.Sample{}}
		a.tokens[lane] = x
		a.run.Tokens.Results = append(a.run.Tokens.Results, x)
	case event.TypeLoaded:
		var l llm.Loaded
		if err := json.Unmarshal(data, &l); err != nil || x == nil {
			return err
		}
		x.Settings, x.Facts = l.Settings, l.Facts
	case event.TypeRound:
		var s llm.Sample
		if err := json.Unmarshal(data, &s); err != nil || x == nil {
			return err
		}
		x.Tokens = max(x.Tokens, s.Tokens)
		x.Samples = append(x.Samples, s)
	case event.TypeCheck:
		var c llm.Check
		if err := json.Unmarshal(data, &c); err != nil || x == nil {
			return err
		}
		x.Check = &c
	case event.TypeResult:
		if x == nil {
			return nil
		}
		delete(a.tokens, lane)
		*x = llm.Result{}
		return json.Unmarshal(data, x)
	}
	return nil
}

// addTraining adds what a training told.
func (a *assembly) addTraining(t event.Type, data []byte) error {
	r := &a.run.Training.Result
	switch t {
	case event.TypePlan:
		var p train.Planned
		if err := json.Unmarshal(data, &p); err != nil {
			return err
		}
		r.Plan, r.Estimate = &p.Plan, p.Estimate
	case event.TypeStep:
		var s train.Step
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		if len(r.Steps) > 0 {
			r.Wall = s.At - r.Steps[0].At
		}
		r.Steps = append(r.Steps, s)
		r.Saved, r.Peak = max(r.Saved, s.Saved), max(r.Peak, s.Peak)
	}
	return nil
}

// end returns the run: as it was told, or as an interrupted one; nil if nothing of it was
// measured.
func (a *assembly) end() *record.Run {
	if a.run == nil || a.whole {
		return a.run
	}
	a.run.Interrupted = true
	for _, x := range a.products {
		x.Warnings.Add(measure.Interrupted, killed)
		// The closing checks did not take place, without which there is no ratio.
		x.Warnings.Add(measure.Unchecked, "the process was killed before its last product was checked")
	}
	for _, x := range a.tokens {
		x.Warnings.Add(measure.Interrupted, killed)
	}
	if !a.run.Measured() {
		return nil
	}
	return a.run
}
