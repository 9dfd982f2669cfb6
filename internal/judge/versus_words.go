package judge

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
	"github.com/gpuplay/gpuplay/internal/verdict"
)

// Fine returns a ratio with three decimals where a change of a few per cent shows, which
// is what runs are compared for: "1.034"; unit.Times of what is far from 1.
func Fine(x float64) string {
	if x < 1.995 {
		return strconv.FormatFloat(x, 'f', 3, 64)
	}
	return unit.Times(x)
}

// FineRange returns the interval of a ratio: "1.030–1.038".
func FineRange(r stats.Interval) string { return Fine(r.Low) + "–" + Fine(r.High) }

// share returns a threshold as people write it: "2 %", "0.5 %".
func share(threshold float64) string {
	return strconv.FormatFloat(100*threshold, 'g', 3, 64) + " %"
}

// Said returns the verdict of a row in a word.
func (r VersusRow) Said() string {
	if !r.Compared() {
		return "not compared"
	}
	return string(r.Word)
}

// Why says what keeps a row from having one of the three other verdicts, and how many
// samples would help; empty where it has one.
func (v *Versus) Why(r VersusRow) string {
	switch {
	case !r.Compared():
		return strings.Join(r.Differs, "; ")
	case r.Word != verdict.Undecided:
		return ""
	}
	need := fmt.Sprintf("more than %d samples in each run would be needed (an estimate)", verdict.Bearable)
	if r.More > 0 {
		need = fmt.Sprintf("about %d samples in each run would decide (an estimate)", round(r.More))
	}
	there := fmt.Sprintf("there are %d and %d", r.A.N, r.B.N)
	switch {
	case r.Few():
		return fmt.Sprintf("a verdict needs at least %d samples in each run, %s", verdict.Least, there)
	case r.Noisy():
		return fmt.Sprintf("too noisy, a median is known to ± %s where ± %s is needed; %s, %s", unit.Percent(r.Spread), unit.Percent(measure.Noisy), need, there)
	}
	return fmt.Sprintf("a difference of %s is neither shown nor excluded; %s, %s", share(v.Threshold), need, there)
}

// round rounds an estimate up to two digits.
func round(n int) int {
	step := 1
	for n/step >= 100 {
		step *= 10
	}
	return (n + step - 1) / step * step
}

// Sentences say what the comparison comes to.
func (v *Versus) Sentences() []string {
	out := []string{v.headline()}
	a, _ := Server(v.A)
	b, _ := Server(v.B)
	served := a+b != ""
	switch {
	case served:
		out = append(out, "A server computed: how it is set up, and whether that changed, is not known.")
	case v.otherMachine():
		out = append(out, "A and B are two machines: all that they differ in is part of a difference.")
	}
	if text := v.changed(); text != "" && (!served || len(v.Changes) > 0) {
		out = append(out, text)
	}
	for i, lanes := range v.Alone {
		if len(lanes) > 0 {
			out = append(out, fmt.Sprintf("Only in %s: %s.", side(i), strings.Join(lanes, "; ")))
		}
	}
	if count := v.count(); count[verdict.Faster]+count[verdict.Slower] > 0 {
		out = append(out, "The runs were not measured in turns: before you rely on a difference, measure both again.")
	}
	return out
}

// headline is the verdict on a single lane with its ratio, and counts of several.
func (v *Versus) headline() string {
	if len(v.Rows) == 1 {
		r := v.Rows[0]
		figure := fmt.Sprintf("%s times as fast as A (%s at %.0f %% confidence)", Fine(r.Ratio.Value), FineRange(r.Ratio), 100*r.Ratio.Confidence)
		switch r.Word {
		case verdict.Faster, verdict.Slower:
			return fmt.Sprintf("B is %s: %s, a difference of more than %s.", r.Word, figure, share(v.Threshold))
		case verdict.Same:
			return fmt.Sprintf("B and A are the same: B is %s, so a difference of %s is excluded.", figure, share(v.Threshold))
		}
		return fmt.Sprintf("Undecided: B is %s.", figure)
	}
	count := v.count()
	var parts []string
	for _, w := range verdict.Words {
		if n := count[w]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s in %d", w, n))
		}
	}
	if n := len(v.Rows) - count[verdict.Faster] - count[verdict.Slower] - count[verdict.Same] - count[verdict.Undecided]; n > 0 {
		parts = append(parts, fmt.Sprintf("not compared in %d", n))
	}
	return fmt.Sprintf("B against A: %s of %d rows; a difference counts from %s on.", strings.Join(parts, ", "), len(v.Rows), share(v.Threshold))
}

// changed lists what changed.
func (v *Versus) changed() string {
	var parts []string
	for _, c := range v.Changes {
		text := c.String()
		if len(c.Lanes) > 0 {
			text += " (" + strings.Join(c.Lanes, "; ") + ")"
		}
		parts = append(parts, text)
	}
	switch {
	case len(parts) > 0:
		return "What changed from A to B: " + strings.Join(parts, "; ") + "."
	case v.sameMachine():
		return "The records name nothing that changed: the same machine, versions, settings and threads."
	}
	return ""
}

// Described names A (0) or B (1): "A is before: 2026-01-02 03:04:05 UTC, race, Example CPU".
func (v *Versus) Described(i int) string {
	name := side(i)
	if v.Names[i] != "" {
		name += " is " + v.Names[i]
	}
	return name + ": " + described([]*record.Run{v.A, v.B}[i])
}

// described says when a run was measured, and on what.
func described(r *record.Run) string {
	parts := []string{r.Created.Format(time.DateTime) + " UTC", string(r.Kind)}
	if address, _ := Server(r); address != "" {
		return strings.Join(append(parts, "server at "+address), ", ")
	}
	parts = append(parts, Processor(r, r.Machine.CPU))
	for _, c := range r.Cards {
		if c.Name != "" && !slices.Contains(parts, c.Name) {
			parts = append(parts, c.Name)
		}
	}
	return strings.Join(slices.DeleteFunc(parts, func(t string) bool { return t == "" }), ", ")
}

// Rate formats a speed in the unit of a row: "13.8 TFLOP/s", "93.8 tok/s".
func Rate(speed float64, of string) string {
	if op, ok := strings.CutSuffix(of, "OP/s"); ok {
		return unit.Rate(speed, op+"OP")
	}
	return unit.Digits3(speed) + " " + of
}
