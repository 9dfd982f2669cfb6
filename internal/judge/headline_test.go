package judge

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// The headlines of all examples are those of the golden file.
func TestHeadlines(t *testing.T) {
	var b strings.Builder
	all := recordtest.Examples()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		h, ok := NewHeadline(all[name])
		if !ok {
			continue
		}
		fmt.Fprintf(&b, "%s: %s\n  %s %s | %s | %s | %s (%d) | %s %.3g\n", name, h.Subject, h.Figure, h.Unit, h.Claim, h.Detail, h.Proof, h.Trust, h.Winner, h.Ratio)
		for _, e := range h.Entries {
			fmt.Fprintf(&b, "    %s %s | %s | %s %.3g %v\n", e.Kind, e.Name, e.By, e.Speed, e.Value, e.Verified)
		}
		for _, c := range h.Curves {
			fmt.Fprintf(&b, "    %s %s %d points\n", c.Kind, c.Name, len(c.Points))
		}
	}
	golden.Compare(t, "headlines.txt", b.String())
}

// A headline has a ratio where the sentences have the same one, of two entries that are
// verified, and never of a software GPU.
func TestHeadlineAgreesWithTheSentences(t *testing.T) {
	runs := recordtest.Examples()
	for _, kind := range []record.Kind{record.Race, record.MatMul, record.LLM} {
		for seed := range uint64(300) {
			runs[fmt.Sprint(kind, seed)] = recordtest.Random(kind, seed)
		}
	}
	ratios := 0
	for name, r := range runs {
		if r.Kind != record.Race && r.Kind != record.MatMul && r.Kind != record.LLM {
			continue
		}
		h, _ := NewHeadline(r)
		first := ""
		if said := Sentences(r); len(said) > 0 {
			first = said[0]
		}
		said := strings.Contains(first, "× as fast")
		if said != (h.Ratio > 0) {
			t.Errorf("%s: the ratio %g, and %q", name, h.Ratio, first)
		}
		if h.Ratio == 0 {
			continue
		}
		ratios++
		if !strings.Contains(first, h.Figure) || !strings.HasPrefix(strings.TrimPrefix(first, "The "), strings.ToUpper(string(h.Winner))) {
			t.Errorf("%s: %s of the %s, and %q", name, h.Figure, h.Winner, first)
		}
		if len(h.Entries) != 2 || h.Entries[0].Kind != h.Winner || h.Entries[0].Value < h.Entries[1].Value {
			t.Errorf("%s: %+v", name, h.Entries)
		}
		for _, e := range h.Entries {
			if e.Value <= 0 || e.Kind == hardware.SoftwareGPU || !e.Verified && r.Kind != record.LLM {
				t.Errorf("%s: a ratio of %+v", name, e)
			}
		}
	}
	if ratios < 5 {
		t.Errorf("only %d ratios", ratios)
	}
}

// Lanes on a GPU that no sensor proves are not called proven, one or several.
func TestHeadlineIsNotProven(t *testing.T) {
	lane := recordtest.Result(recordtest.TorchGPU, 25e12, func(r *bench.Result) { r.Warnings.Add(measure.Unproven, "not proven") })
	for _, r := range []*record.Run{recordtest.Run(record.MatMul, lane), recordtest.Run(record.Race, lane, lane)} {
		if h, _ := NewHeadline(r); h.Trust != Unproven || !strings.Contains(h.Proof, "not proven") {
			t.Errorf("%d lanes: %q (%d)", len(r.Results), h.Proof, h.Trust)
		}
	}
}

// No number of a headline is one that cannot be drawn, whatever a record holds.
func TestHeadlineIsFinite(t *testing.T) {
	for _, kind := range recordtest.Kinds {
		for seed := range uint64(100) {
			h, _ := NewHeadline(recordtest.Random(kind, seed))
			values := []float64{h.Ratio}
			for _, e := range h.Entries {
				values = append(values, e.Value)
			}
			for _, c := range h.Curves {
				if len(c.Points) == 0 {
					t.Errorf("%s %d: a curve without points", kind, seed)
				}
				for _, p := range c.Points {
					values = append(values, p.X, p.Y)
				}
			}
			for _, v := range append(values, h.Samples...) {
				if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
					t.Errorf("%s %d: %g", kind, seed, v)
				}
			}
		}
	}
}
