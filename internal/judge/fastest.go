package judge

import (
	"fmt"
	"slices"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// fastestFacts are what a search for the fastest product of a GPU has found; none where there
// was no search.
func fastestFacts(g *record.GPU) [][2]string {
	f := g.Fastest
	if f == nil {
		return nil
	}
	name := "MAMF"
	if f.DType != "" {
		name += ", " + string(f.DType)
	}
	var facts [][2]string
	add := func(text string) {
		facts = append(facts, [2]string{name, text})
		name = "" // once is enough
	}
	best := bestOf(g)
	if best != nil {
		add(achieved(g, best))
	}
	for _, r := range f.Finals { // the same product through other engines
		if best != nil && r.Verified() && r.Engine != best.Engine {
			add(achieved(g, r))
		}
	}
	failed := []*fault.Error{f.Error}
	for _, r := range f.Finals {
		failed = append(failed, r.Error)
	}
	for _, t := range f.Tried {
		failed = append(failed, t.Error)
	}
	var said []string
	for _, e := range failed { // what a GPU has no code or no memory for is no failure
		if e != nil && e.Code != fault.Unsupported && e.Code != fault.OutOfMemory && !slices.Contains(said, e.Message) {
			said = append(said, e.Message)
			add("not measured: " + e.Message)
		}
	}
	if len(facts) == 0 && f.Error != nil {
		add("not measured: " + f.Error.Message)
	}
	if len(facts) == 0 {
		add("not measured: the search was interrupted")
	}
	if n := len(f.Sizes); n > 0 {
		facts = append(facts, [2]string{"products tried", fmt.Sprintf("%d of %d, from %d³ to %d³, in %s", len(f.Tried), n*n*n, f.Sizes[0], f.Sizes[n-1], unit.Seconds(f.Took))})
	}
	return facts
}

// bestOf returns the fastest product that was found on a GPU; nil: there is none.
func bestOf(g *record.GPU) *bench.Result {
	if g.Fastest == nil {
		return nil
	}
	return g.Fastest.Best()
}

// fastestName names a product with its type: "2048×2048×12288, bfloat16".
func fastestName(g bench.GEMM) string {
	return fmt.Sprintf("%s, %s", unit.Cube(g.M, g.N, g.K), dtypeOf(g))
}

// fastestSentences say what share of its published peak each GPU reaches.
func fastestSentences(r *record.Run) []string {
	var out []string
	for i := range r.GPUs {
		g := &r.GPUs[i]
		best := bestOf(g)
		if best == nil || g.Device.Kind != hardware.GPU {
			continue
		}
		speed, _ := best.Speed()
		text := fmt.Sprintf("%s reaches %s in %s with the fastest product found", g.Device.Name, best.GEMM.Rate(speed.Value), dtypeOf(best.GEMM))
		if share, ok := shareOfPeak(g, dtypeOf(best.GEMM), speed.Value); ok {
			text += ", " + share
		}
		out = append(out, text+".")
	}
	return out
}

// achieved is a measured product with its share of the GPU's published peak.
func achieved(g *record.GPU, r *bench.Result) string {
	speed, _ := r.Speed()
	text := r.GEMM.Rate(speed.Value)
	if speed.Firm() {
		text += " ±" + Spread(speed)
	}
	text += fmt.Sprintf(": %s through %s", unit.Cube(r.GEMM.M, r.GEMM.N, r.GEMM.K), r.Engine)
	if share, ok := shareOfPeak(g, dtypeOf(r.GEMM), speed.Value); ok {
		text += ", " + share
	}
	return text
}

// shareOfPeak is what share of the peak that its maker publishes a GPU reaches; ok is false
// where no peak is known.
func shareOfPeak(g *record.GPU, t matrix.DType, speed float64) (share string, ok bool) {
	for _, p := range g.Published {
		if p.DType == t && p.Ops > 0 && finite(speed/p.Ops) {
			return unit.Percent(speed/p.Ops) + " of the published peak", true
		}
	}
	return "", false
}

// dtypeOf is the type of a product as bench.Square means it.
func dtypeOf(g bench.GEMM) matrix.DType {
	if g.Acc == matrix.TF32 {
		return matrix.TF32
	}
	return g.In
}
