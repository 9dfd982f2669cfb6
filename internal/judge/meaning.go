package judge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// TrainingFLOP is the number of operations that it takes to train GPT-2 small on a
// hundred million tokens: 6·N·D with N = 124 million parameters and D = 10⁸ tokens, two
// operations per parameter and token forwards and four backwards (Kaplan et al., Scaling
// Laws for Neural Language Models, 2020, section 2.1).
const TrainingFLOP = 6 * 124e6 * 100e6

// meaning says what a ratio of two verified results means: in a minute, and in an
// estimate of a training run, which is labelled as one. It is empty where the GPU is not
// faster, or where the samples are too few for an interval.
func meaning(gpu, cpu *bench.Result) string {
	c := Compare(gpu, cpu)
	if len(c.Differs) > 0 || even(c) || c.Ratio.Value <= 1 || !c.Ratio.Firm() {
		return ""
	}
	text := fmt.Sprintf("What the CPU does in a minute, the GPU does in %s.", unit.Span(60/c.Ratio.Value))
	if gpu.GEMM.Data.Patterned() { // which nobody trains on
		return text
	}
	switch DType(gpu.GEMM) {
	case matrix.Float32, matrix.TF32, matrix.Float16, matrix.BFloat16:
		text += fmt.Sprintf(" Estimate from these speeds: GPT-2 small is trained on 100 M tokens in %s instead of %s, counting its matrix products alone.",
			unit.Span(TrainingFLOP/Speed(gpu)), unit.Span(TrainingFLOP/Speed(cpu)))
	}
	return text
}

// LeftOut says in a line what a race did not measure though it is there, why, and what
// would have it measured, in the words of a surface; and if starting an engine alone took
// longer than the race was to measure. It is empty where there is nothing to say.
func LeftOut(r *record.Run, words fault.Wording) string {
	var parts []string
	if names := leftOutNames(r); names != "" {
		parts = append(parts, fault.Change("time", "for lack of time (a longer {}) "+names).Words(words))
	}
	if names := equalNames(r); names != "" {
		parts = append(parts, fault.Change("all-gpus", names+" ({})").Words(words))
	}
	text := ""
	if len(parts) > 0 {
		text = "Left out: " + strings.Join(parts, "; ") + "."
	}
	if library, took := slowestStart(r); r.Budget > 0 && took > r.Budget {
		text += fmt.Sprintf(" Starting %s alone took %s.", library, unit.Seconds(took))
	}
	return strings.TrimSpace(text)
}

// leftOutNames lists the lanes that there was no time for, those of one name once, with
// the numbers of their GPUs.
func leftOutNames(r *record.Run) string {
	var names []string
	cards := map[string][]int{}
	for _, x := range r.LeftOut {
		if x.Why != record.NoTime {
			continue
		}
		name := x.Device.Label()
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		if x.Device.Card != nil && len(r.Cards) > 1 {
			cards[name] = append(cards[name], *x.Device.Card)
		}
	}
	for i, name := range names {
		if of := cards[name]; len(of) > 0 {
			names[i] += " on " + gpus(of)
		}
	}
	return strings.Join(names, ", ")
}

// equalNames lists the cards that others stand for: "GPU 1, 2 and 3, equal to GPU 0". Of
// cards whose numbers no engine knows it says how many there are at least.
func equalNames(r *record.Run) string {
	equal := map[int][]int{}
	unnumbered, most := map[string]int{}, 0 // by engine: several see the same cards
	for _, x := range r.LeftOut {
		switch {
		case x.Why != record.EqualCard:
		case x.Device.Card != nil && x.Instead != nil:
			equal[*x.Instead] = append(equal[*x.Instead], *x.Device.Card)
		default:
			unnumbered[x.Engine]++
			most = max(most, unnumbered[x.Engine])
		}
	}
	switch {
	case len(equal) > 0:
	case most == 1:
		return "1 more GPU, equal to one that was measured"
	case most > 1:
		return fmt.Sprintf("%d more GPUs, each equal to one that was measured", most)
	}
	var list []string
	for _, instead := range slices.Sorted(maps.Keys(equal)) {
		list = append(list, fmt.Sprintf("%s, equal to GPU %d", gpus(equal[instead]), instead))
	}
	return strings.Join(list, ", ")
}

// gpus lists numbers of cards: "GPU 1", "GPU 1, 2 and 3".
func gpus(cards []int) string {
	slices.Sort(cards)
	var texts []string
	for _, n := range slices.Compact(cards) {
		texts = append(texts, fmt.Sprint(n))
	}
	return "GPU " + unit.List(texts)
}

// slowestStart returns which engine took longest to start.
func slowestStart(r *record.Run) (library string, took time.Duration) {
	for _, x := range r.Results {
		if x.Start > took {
			library, took = x.Device.Library, x.Start
		}
	}
	for _, x := range r.LeftOut {
		if x.Start > took {
			library, took = x.Device.Library, x.Start
		}
	}
	return cmp.Or(library, "an engine"), took
}
