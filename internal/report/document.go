// Package report turns results into what people and programs read: a table with
// one plain sentence, the one-line form of tutorials, JSON, JSON lines, CSV and
// Markdown. It measures nothing and decides nothing about a figure; it refuses to
// print a ratio of what cannot be compared.
package report

import (
	"encoding/json"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/stats"
)

// Schema names the version of the JSON form; docs/result.schema.json describes it.
const Schema = "gpuplay/result/v1"

// A Document is a measurement with all that is needed to judge it.
type Document struct {
	Schema      string          `json:"schema"`
	Created     time.Time       `json:"created"`
	Program     Program         `json:"program"`
	Command     []string        `json:"command"`
	Machine     host.Machine    `json:"machine"`
	Threads     int             `json:"threads,omitempty"` // that were asked for; 0: left to the engines
	Results     []*bench.Result `json:"-"`
	NotRaced    []NotRaced      `json:"not_raced,omitempty"`
	Race        bool            `json:"-"` // every device was asked for: its absence is worth a sentence
	Interrupted bool            `json:"interrupted,omitempty"`
	Next        string          `json:"-"` // one thing to try next, for people
}

// Program is the gpuplay that measured.
type Program struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"` // of the binary's source; "+dirty" when that was changed
	Go      string `json:"go"`
}

// NotRaced is an engine or a device that is not there, why, and the way to it.
type NotRaced struct {
	Engine   string         `json:"engine"`
	API      string         `json:"api,omitempty"`  // the device that the engine looked for; empty: the engine itself is missing
	Kind     hardware.Kind  `json:"kind,omitempty"` // of that device
	Code     fault.Code     `json:"code"`
	Reason   string         `json:"reason"`
	Remedies fault.Remedies `json:"remedies,omitempty"`
}

// UnmarshalJSON also reads what versions before 0.2 wrote: a fix in words.
func (n *NotRaced) UnmarshalJSON(text []byte) error {
	type plain NotRaced
	in := struct {
		*plain
		Fix string `json:"fix"`
	}{plain: (*plain)(n)}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	if in.Fix != "" && len(n.Remedies) == 0 {
		n.Remedies = fault.Advice(in.Fix)
	}
	return nil
}

// A result as JSON has it: the samples and what follows from them.
type laneJSON struct {
	Lane string `json:"lane"` // engine/device, the name in comparisons
	*bench.Result
	Verified bool            `json:"verified"`
	Speed    *stats.Interval `json:"speed"` // FLOP/s; null without samples
}

// A comparison as JSON has it.
type comparisonJSON struct {
	Lane    string          `json:"lane"`
	Base    string          `json:"base"`
	Ratio   *stats.Interval `json:"ratio"` // how many times as fast; null when Differs is not empty
	Differs []string        `json:"differs,omitempty"`
}

func lane(r *bench.Result) laneJSON {
	l := laneJSON{Lane: laneName(r), Result: r, Verified: r.Verified()}
	if s, ok := r.Speed(); ok {
		l.Speed = &s
	}
	return l
}

func laneName(r *bench.Result) string { return r.Engine + "/" + r.Device.ID }

// best returns the fastest verified result of a kind, nil if there is none. When
// all of them were measured on products of different size, the largest counts.
func (d *Document) best(kind hardware.Kind) *bench.Result {
	var best *bench.Result
	for _, r := range d.Results {
		if r.Device.Kind != kind || !r.Verified() || r.Has(bench.WarnSmaller) {
			continue
		}
		if best == nil || speed(r) > speed(best) {
			best = r
		}
	}
	return best
}

func speed(r *bench.Result) float64 {
	s, _ := r.Speed()
	return s.Value
}

// base returns what other lanes are compared with: the fastest CPU lane, or the
// fastest GPU lane where no CPU was measured.
func (d *Document) base() *bench.Result {
	if b := d.best(hardware.CPU); b != nil {
		return b
	}
	return d.best(hardware.GPU)
}

func (d *Document) comparisons() []comparisonJSON {
	base := d.base()
	list := []comparisonJSON{}
	for _, r := range d.Results {
		if base == nil || r == base || len(r.Samples) == 0 {
			continue
		}
		c := bench.Compare(r, base)
		j := comparisonJSON{Lane: laneName(r), Base: laneName(base), Differs: c.Differs}
		if len(c.Differs) == 0 {
			j.Ratio = &c.Ratio
		}
		list = append(list, j)
	}
	return list
}
