package encode

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/verdict"
)

// VersusSchema names the version of the JSON form of a comparison of two runs, which
// docs/compare.schema.json describes.
const VersusSchema = "gpuplay/compare/v1"

// VersusFormats are the formats of a comparison of two runs, beside the table.
var VersusFormats = []string{"json", "md"}

type versusDocument struct {
	Schema     string        `json:"schema"`
	A          versusRun     `json:"a"`
	B          versusRun     `json:"b"`
	Threshold  float64       `json:"threshold"`
	Confidence float64       `json:"confidence"` // of the ratios' intervals
	Rows       []versusRow   `json:"rows"`
	OnlyA      []string      `json:"only_a,omitempty"`
	OnlyB      []string      `json:"only_b,omitempty"`
	Changed    []versusShift `json:"changed,omitempty"`
	Sentences  []string      `json:"sentences"`
}

type versusRun struct {
	ID      string         `json:"id,omitempty"`
	Kind    record.Kind    `json:"kind"`
	Created time.Time      `json:"created"`
	Program record.Program `json:"program"`
	Machine string         `json:"machine,omitempty"` // its id
}

type versusRow struct {
	Lane    string          `json:"lane"`
	Device  string          `json:"device"`
	Task    string          `json:"task"`
	Unit    string          `json:"unit"`
	A       versusSide      `json:"a"`
	B       versusSide      `json:"b"`
	Ratio   *stats.Interval `json:"ratio"`   // of speeds, B's over A's; null where they are not compared
	Verdict *string         `json:"verdict"` // null where they are not compared
	Drift   float64         `json:"drift"`
	Spread  float64         `json:"spread"`
	Needed  int             `json:"samples_needed,omitempty"` // in each run, an estimate
	Why     string          `json:"why,omitempty"`            // there is no verdict, or an undecided one
	Doubts  []string        `json:"doubts,omitempty"`
}

type versusSide struct {
	Lane    string          `json:"lane"`
	Samples int             `json:"samples"`
	Speed   *stats.Interval `json:"speed"` // null without samples
}

type versusShift struct {
	What  string   `json:"what"`
	A     string   `json:"a"`
	B     string   `json:"b"`
	Lanes []string `json:"lanes,omitempty"` // absent: of the whole run
}

// VersusJSON writes a comparison of two runs as one indented object.
func VersusJSON(w io.Writer, v *judge.Versus) error {
	of := func(r *record.Run) versusRun { return versusRun{r.ID, r.Kind, r.Created, r.Program, r.Machine.ID} }
	d := versusDocument{
		Schema: VersusSchema, A: of(v.A), B: of(v.B), Threshold: v.Threshold, Confidence: verdict.Confidence,
		OnlyA: v.Alone[0], OnlyB: v.Alone[1], Sentences: v.Sentences(),
	}
	side := func(s judge.VersusSide) versusSide {
		out := versusSide{Lane: s.Lane, Samples: s.N}
		if s.N > 0 {
			out.Speed = finite(s.Speed)
		}
		return out
	}
	for _, r := range v.Rows {
		row := versusRow{Lane: r.Lane, Device: r.Place, Task: r.Task, Unit: r.Unit, A: side(r.A), B: side(r.B), Why: v.Why(r), Doubts: r.Doubts}
		if r.Compared() {
			said := r.Said()
			row.Ratio, row.Verdict, row.Drift, row.Spread, row.Needed = finite(r.Ratio), &said, r.Drift, r.Spread, r.More
		}
		d.Rows = append(d.Rows, row)
	}
	for _, c := range v.Changes {
		d.Changed = append(d.Changed, versusShift(c))
	}
	return Indented(w, d)
}

// VersusMarkdown writes a comparison of two runs as a table to paste, with what it means
// below.
func VersusMarkdown(w io.Writer, v *judge.Versus) error {
	var b strings.Builder
	for i := range 2 {
		fmt.Fprintf(&b, "- %s\n", plain.Line(v.Described(i)))
	}
	fmt.Fprintf(&b, "\n| device | lane | task | A | ± | B | ± | n | B ÷ A | at %.0f %% | verdict |\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|---|\n", 100*verdict.Confidence)
	for _, r := range v.Rows {
		fmt.Fprintf(&b, "| %s | %s | %s |", cell(r.Place), cell(r.Lane), cell(r.Task))
		for _, s := range []judge.VersusSide{r.A, r.B} {
			if s.N == 0 {
				b.WriteString(" – | – |")
				continue
			}
			fmt.Fprintf(&b, " %s | %s |", judge.Rate(s.Speed.Value, r.Unit), judge.Spread(s.Speed))
		}
		ratio, interval, said := "–", "–", r.Said()
		if r.Compared() {
			ratio = judge.Fine(r.Ratio.Value)
			if !r.Few() {
				interval = judge.FineRange(r.Ratio)
			}
		}
		if why := v.Why(r); why != "" {
			said += ": " + why
		}
		fmt.Fprintf(&b, " %d, %d | %s | %s | %s |\n", r.A.N, r.B.N, ratio, interval, cell(strings.Join(append([]string{said}, r.Doubts...), "; ")))
	}
	sentences(&b, v.Sentences())
	_, err := io.WriteString(w, b.String())
	return err
}
