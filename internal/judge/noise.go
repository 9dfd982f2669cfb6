package judge

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
	"github.com/gpuplay/gpuplay/internal/verdict"
)

// wrongAtMost is the share of comparisons of a lane with itself that may call it faster or
// slower.
const wrongAtMost = 0.01

// A SelfTest counts what comparing a lane with itself came to.
type SelfTest struct {
	Apart   int           // runs from one to the other: 1 for the next
	Time    time.Duration // that passes between them, on average
	N       int           // comparisons
	Wrong   int           // that call the lane faster or slower
	Same    int
	Unknown int // undecided
	// Sees is the difference that nine of ten comparisons would exclude, as a share: the
	// smallest threshold at which this machine gives verdicts. It is +Inf where they are
	// too noisy for any.
	Sees float64
}

// Later says which runs are compared: a run with the next, or with one further on.
func (t SelfTest) Later() string {
	if t.Apart > 1 {
		return fmt.Sprintf("the %dth after it", t.Apart)
	}
	return "the next"
}

// Visible returns Sees in words: "1.4 %", or "nothing".
func (t SelfTest) Visible() string {
	if math.IsInf(t.Sees, 0) {
		return "nothing"
	}
	return unit.Percent(t.Sees)
}

// SelfTestNotes explain the columns of a table of self-tests.
func SelfTestNotes() []string {
	return []string{
		"Nothing changed between the runs, so “different” is a false verdict. At most " + unit.Percent(wrongAtMost) + " of the comparisons may give one.",
		"“sees” is the difference that nine of ten comparisons would exclude.",
	}
}

// Rate returns the share of false verdicts.
func (t SelfTest) Rate() float64 { return float64(t.Wrong) / float64(max(1, t.N)) }

// SelfTests compares the results of a lane with each other: each with the next, and with
// those that are ten and a hundred later, by verdict.Threshold. There are none of fewer than two results.
func SelfTests(n *record.Noise) []SelfTest {
	whole := wholeRuns(n)
	var list []SelfTest
	for apart := 1; apart < len(whole); apart *= 10 {
		list = append(list, selfTest(whole, apart))
	}
	return list
}

// wholeRuns returns the results that can be compared: not one that was cut short.
func wholeRuns(n *record.Noise) []*bench.Result {
	if n == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(n.Results), func(x *bench.Result) bool {
		return len(x.Samples) == 0 || x.Error != nil || x.Has(measure.Interrupted) || slices.Min(x.Seconds()) <= 0
	})
}

func selfTest(whole []*bench.Result, apart int) SelfTest {
	t := SelfTest{Apart: apart}
	var needed []float64
	for i := range whole[apart:] {
		a, b := whole[i], whole[i+apart]
		v := verdict.Of(a.Seconds(), b.Seconds(), verdict.Threshold)
		t.N++
		t.Time += b.Samples[0].Start - a.Samples[0].Start
		switch v.Word {
		case verdict.Same:
			t.Same++
		case verdict.Undecided:
			t.Unknown++
		default:
			t.Wrong++
		}
		need := max(v.Ratio.High, 1/v.Ratio.Low) - 1
		if v.Few() || v.Noisy() {
			need = math.Inf(1)
		}
		needed = append(needed, need)
	}
	slices.Sort(needed)
	t.Time /= time.Duration(t.N)
	t.Sees = needed[(len(needed)*9-1)/10]
	return t
}

// A NoiseFigure is how far apart timings are at one of three scales.
type NoiseFigure struct {
	Name  string
	Share float64 // ±
	Idea  string
}

// Says returns the share in words: "± 1.4 %", or "unstable", as elsewhere.
func (f NoiseFigure) Says() string {
	if f.Share > 1 {
		return "unstable"
	}
	return "± " + unit.Percent(f.Share)
}

// NoiseFigures say how far apart samples of one run are, how well a run knows its median,
// and how far apart the medians of runs are; none of fewer than two results.
func NoiseFigures(n *record.Noise) []NoiseFigure {
	whole := wholeRuns(n)
	if len(whole) < 2 {
		return nil
	}
	var off, known, medians []float64
	for _, x := range whole {
		s := x.Seconds()
		m := stats.Median(s)
		medians = append(medians, m)
		known = append(known, stats.MedianInterval(s).Spread())
		for _, v := range s {
			off = append(off, math.Abs(v/m-1))
		}
	}
	of := stats.Median(medians)
	var apart []float64
	for _, m := range medians {
		apart = append(apart, math.Abs(m/of-1))
	}
	tenth := func(list []float64) float64 { // nine of ten are at most as large
		slices.Sort(list)
		return list[(len(list)*9-1)/10]
	}
	return []NoiseFigure{
		{"a sample", tenth(off), "nine of ten samples are that close to the median of their run"},
		{"a run", stats.Median(known), "what gpuplay prints behind ±: how well a typical run knows its median"},
		{"run to run", tenth(apart), "nine of ten runs are that close to the median of all runs; if this is much more than the line above, the machine changes between runs"},
	}
}

// NoiseLane returns the first result, which names the lane; nil if there is none.
func NoiseLane(n *record.Noise) *bench.Result {
	if n == nil || len(n.Results) == 0 {
		return nil
	}
	return n.Results[0]
}

// noiseSentences say whether verdicts hold on this machine.
func noiseSentences(r *record.Run) []string {
	tests := SelfTests(r.Noise)
	var out []string
	if x := NoiseLane(r.Noise); len(tests) == 0 && x != nil && x.Error != nil {
		out = append(out, "No comparison: "+x.Error.Message+".")
	}
	if len(tests) > 0 {
		out = append(out, holds(tests[0]))
		if tests[0].Wrong == 0 && !math.IsInf(tests[0].Sees, 0) {
			out = append(out, fmt.Sprintf("Nine of ten comparisons here exclude a difference of %s: with a threshold of that size or more, most lanes that did not change are called the same.", unit.Percent(tests[0].Sees)))
		}
		if last := tests[len(tests)-1]; last.Apart > 1 && last.Rate() > wrongAtMost {
			out = append(out, fmt.Sprintf("Runs that are %s apart are called different in %s of the comparisons: this machine changes meanwhile. Measure what you compare close in time, and twice.", unit.Seconds(last.Time), unit.Percent(last.Rate())))
		}
	}
	if r.Interrupted {
		out = append(out, interrupted)
	} else if n := r.Noise; n != nil && len(n.Results) > 0 && len(n.Results) < n.Runs && n.Results[len(n.Results)-1].Error == nil {
		out = append(out, fmt.Sprintf("There was time for %d of %d runs.", len(n.Results), n.Runs))
	}
	return out
}

// holds says how many verdicts on neighbouring runs are false.
func holds(t SelfTest) string {
	of := fmt.Sprintf("%d of %s of a lane with itself", t.Wrong, unit.Plural(t.N, "comparison"))
	switch {
	case t.Rate() > wrongAtMost:
		return fmt.Sprintf("Verdicts do not hold on this machine now: %s (%s) found a difference, where at most %s may.", of, unit.Percent(t.Rate()), unit.Percent(wrongAtMost))
	case t.Unknown*2 > t.N:
		return fmt.Sprintf("No false verdict, but few that say anything: %s found a difference, and %d are undecided, because of the noise.", of, t.Unknown)
	}
	return fmt.Sprintf("Verdicts hold on this machine: %s (%s) found a difference, and %d found that there is none.", of, unit.Percent(t.Rate()), t.Same)
}

// NoiseCheck is the line of a diagnosis on whether verdicts hold.
func NoiseCheck(n *record.Noise) record.Check {
	c := record.Check{Group: "Machine", Name: "Verdicts", Why: "gpuplay compare says faster or slower only where noise does not explain it; on a machine whose speed changes it cannot know"}
	tests := SelfTests(n)
	if len(tests) == 0 {
		c.Status, c.Seen = record.Unknown, "a CPU lane could not be compared with itself"
		return c
	}
	t := tests[0]
	c.Seen = fmt.Sprintf("%s of a CPU lane with itself: %d same, %d undecided, %d called different", unit.Plural(t.N, "comparison"), t.Same, t.Unknown, t.Wrong)
	c.Status = record.OK
	if t.Wrong > 0 || t.Unknown*2 > t.N {
		c.Status = record.Warning
		c.Remedies = append(fault.Advice("end other programs and wait until the machine is idle"), fault.Run("{} shows how noisy it is", "gpuplay", "learn", "noise"))
	}
	return c
}
