package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Reference is what a card of another machine did with the product of a race on a
// machine without a GPU. It is no comparison: the two were not measured in turns, so
// that it has a factor without an interval, and no part in the record of the race.
type Reference struct {
	Run   *record.Run   // a kept record of gpuplay's own
	Lane  *bench.Result // of the card
	Base  *bench.Result // this machine's fastest CPU lane
	Times float64       // the speed of Lane over that of Base
}

// References returns what kept records say of the product of a race, the fastest card
// first. There are none where the machine has a GPU, or where a record differs from the
// race in anything that keeps two lanes of one race apart: size, types, inputs.
func References(r *record.Run, kept []*record.Run) []Reference {
	base := alone(r)
	if base == nil {
		return nil
	}
	var list []Reference
	for _, k := range kept {
		lane := Best(k.Results, hardware.GPU)
		if lane == nil || len(Compare(lane, base).Differs) > 0 {
			continue
		}
		list = append(list, Reference{k, lane, base, Speed(lane) / Speed(base)})
	}
	slices.SortStableFunc(list, func(a, b Reference) int { return cmp.Compare(b.Times, a.Times) })
	return list
}

// Sentence says what the card would bring.
func (r Reference) Sentence() string {
	g := r.Lane.GEMM
	each := func(x *bench.Result) string {
		return unit.Seconds(time.Duration(g.FLOP() / Speed(x) * float64(time.Second)))
	}
	return fmt.Sprintf("Reference: %s, measured with gpuplay on %s: %s, %s times this CPU; your %s would be %s.",
		r.Lane.Device.Name, r.Run.Created.Format(time.DateOnly), g.Rate(Speed(r.Lane)), unit.Times(r.Times), each(r.Base), each(r.Lane))
}

// Published says what the makers of GPUs for personal computers promise of the product
// of a race on a machine without a GPU; empty where they say nothing of its types.
func Published(r *record.Run) string {
	base := alone(r)
	if base == nil {
		return ""
	}
	g := base.GEMM
	var makers, figures []string
	for _, p := range hardware.PersonalPeaks(string(g.In), string(g.Acc)) {
		maker, _, _ := strings.Cut(p.Source, " ")
		if !slices.Contains(makers, maker) {
			makers = append(makers, maker)
		}
		figures = append(figures, p.Name+" "+strconv.FormatFloat(p.Speed/1e12, 'f', -1, 64)) // as it is published
	}
	if len(figures) == 0 {
		return ""
	}
	return fmt.Sprintf("Published peaks, not measured: %s T%s/s in %s (%s).", strings.Join(figures, ", "), g.Op(), DType(g), strings.Join(makers, ", "))
}

// alone returns the fastest CPU lane of a race on a machine without a GPU; nil for any other run.
func alone(r *record.Run) *bench.Result {
	if r.Kind != record.Race || r.Interrupted || withGPU(r) {
		return nil
	}
	return Best(r.Results, hardware.CPU)
}
