package encode

import (
	"encoding/json"
	"io"
	"math"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
)

// A document is a run with what follows from it. Its fields stand in for those of the
// run that have the same names; package record passes over the others when it reads
// the run back.
type document struct {
	*record.Run
	Results     []result          `json:"results,omitempty"`
	Comparisons []comparison      `json:"comparisons,omitempty"`
	Crossing    *crossing         `json:"crossing,omitempty"`
	WithCopies  *crossing         `json:"crossing_with_copies,omitempty"`
	Tokens      any               `json:"tokens,omitempty"`
	Generation  any               `json:"generation,omitempty"`
	Ready       *bool             `json:"ready,omitempty"`     // of a diagnosis: no check failed
	Energy      []judge.RunEnergy `json:"energy,omitempty"`    // of all of the run
	Sentences   []string          `json:"sentences,omitempty"` // what people are told
}

// A result is a lane of products: the samples and what follows from them.
type result struct {
	*bench.Result
	Verified     bool            `json:"verified"`
	Speed        *stats.Interval `json:"speed"`                    // FLOP/s, of integers OP/s; null without samples
	FLOPPerJoule *float64        `json:"flop_per_joule,omitempty"` // which is FLOP/s per watt
	Proof        measure.Proof   `json:"proof,omitempty"`          // of a GPU lane: what the sensors say of its being one
	Sustained    *sustained      `json:"sustained,omitempty"`
	Parts        *bench.Parts    `json:"parts,omitempty"` // of round trips
}

// sustained is what a lane does at first and in the long run.
type sustained struct {
	Burst     float64         `json:"burst"`  // FLOP/s, of integers OP/s
	Steady    *stats.Interval `json:"steady"` // likewise
	Throttled bool            `json:"throttled"`
}

// A comparison says how many times as fast as another a lane of products is.
type comparison struct {
	Lane    string          `json:"lane"`
	Base    string          `json:"base"`
	M       int             `json:"m,omitempty"` // of a sweep: the size
	N       int             `json:"n,omitempty"`
	K       int             `json:"k,omitempty"`
	Ratio   *stats.Interval `json:"ratio"` // of speeds; null when Differs is not empty
	Differs []string        `json:"differs,omitempty"`
}

// A crossing is where the GPU begins to win in a sweep, as judge.Crossing.
type crossing struct {
	Below int `json:"below,omitempty"`
	From  int `json:"from,omitempty"`
}

// derive adds to a run what follows from it.
func derive(r *record.Run) document {
	d := document{Run: r, Energy: judge.Energies(r), Sentences: judge.Sentences(r)}
	for _, x := range r.Results {
		j := result{Result: x, Verified: x.Verified()}
		if s, ok := x.Speed(); ok {
			j.Speed = finite(s)
		}
		if v, ok := judge.FLOPPerJoule(x); ok {
			j.FLOPPerJoule = &v
		}
		j.Proof = proof(x.Device, x.Sensors)
		if s, ok := x.Sustained(); ok && !math.IsNaN(s.Burst) && !math.IsInf(s.Burst, 0) {
			j.Sustained = &sustained{s.Burst, finite(s.Steady), s.Throttled()}
		}
		if p, ok := x.Parts(); ok {
			j.Parts = &p
		}
		d.Results = append(d.Results, j)
	}
	for _, c := range judge.Comparisons(r) {
		j := comparison{Lane: c.Lane, Base: c.Base, Differs: c.Differs}
		if c.Size != nil {
			j.M, j.N, j.K = c.Size[0], c.Size[1], c.Size[2]
		}
		if len(c.Differs) == 0 {
			j.Ratio = finite(c.Ratio)
		}
		d.Comparisons = append(d.Comparisons, j)
	}
	if r.Kind == record.Sweep {
		if c := judge.Crosses(r); c.Compared {
			d.Crossing = &crossing{c.Below, c.From}
		}
		if c := judge.CrossesWithCopies(r); c.Compared {
			d.WithCopies = &crossing{c.Below, c.From}
		}
	}
	if r.Tokens != nil {
		d.Tokens = derivedTokens(r)
	}
	if r.Generation != nil {
		d.Generation = derivedGeneration(r)
	}
	if r.Kind == record.Doctor {
		ready := judge.Outcome(r, false)
		d.Ready = &ready
	}
	return d
}

// proof returns what sensors prove of a lane; empty for those that are not on a GPU, and
// where nobody asked them.
func proof(d hardware.Device, s *measure.Sensed) measure.Proof {
	if d.Kind != hardware.GPU || s == nil {
		return ""
	}
	return s.Proof()
}

// finite returns an interval that can be quoted; nil for one that cannot, as of
// products that took no time by a clock of coarse steps: JSON has no infinity.
func finite(i stats.Interval) *stats.Interval {
	for _, x := range []float64{i.Value, i.Low, i.High, i.Confidence} {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil
		}
	}
	return &i
}

// JSON writes a run, with what follows from it, as one indented object;
// docs/run.schema.json describes it.
func JSON(w io.Writer, r *record.Run, _ fault.Wording) error { return Indented(w, derive(r)) }

// Indented writes a value as indented JSON.
func Indented(w io.Writer, v any) error {
	e := encoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// JSONL writes a line per lane, of a sweep per size, each a run of the same id with
// that part alone: lines can be kept, joined and read without the others.
func JSONL(w io.Writer, r *record.Run, _ fault.Wording) error {
	e := encoder(w)
	for _, part := range split(r) {
		if err := e.Encode(derive(part)); err != nil {
			return err
		}
	}
	return nil
}

func encoder(w io.Writer) *json.Encoder {
	e := json.NewEncoder(plain.JSON(w))
	e.SetEscapeHTML(false)
	return e
}

// split returns the parts of a run that have lines of their own.
func split(r *record.Run) []*record.Run {
	var parts []*record.Run
	add := func(part record.Run) {
		part.Missing = nil
		parts = append(parts, &part)
	}
	switch {
	case r.Kind == record.Sweep:
		for _, results := range r.Points() {
			part := *r
			part.Results = results
			add(part)
		}
	case r.Tokens != nil:
		for _, x := range r.Tokens.Results {
			part, tokens := *r, *r.Tokens
			tokens.Results, tokens.Peers = []*llm.Result{x}, nil
			for _, p := range r.Tokens.Peers {
				if p.Lane == x.Lane {
					tokens.Peers = append(tokens.Peers, p)
				}
			}
			part.Tokens = &tokens
			add(part)
		}
	default:
		for _, x := range r.Results {
			part := *r
			part.Results = []*bench.Result{x}
			add(part)
		}
	}
	return parts
}
