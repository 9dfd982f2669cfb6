package judge

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Crossing is where the GPU begins to win: it is slower at Below, or level, and
// faster at From and at all larger sizes that were measured.
type Crossing struct {
	Below, From int  // n of n×n×n products; 0: none was measured that far
	Compared    bool // GPU and CPU were, at any size
}

// Crosses looks at the fastest verified lane of each kind at every square size of a
// sweep.
func Crosses(r *record.Run) Crossing {
	return crosses(r, func(results []*bench.Result) (measure.Comparison, bool) {
		cpu, gpu := Best(results, hardware.CPU), Best(results, hardware.GPU)
		if cpu == nil || gpu == nil {
			return measure.Comparison{}, false
		}
		return Compare(gpu, cpu), true
	})
}

// crosses looks at how the GPU compares with the CPU at every square size, where the two
// were compared.
func crosses(r *record.Run, compare func([]*bench.Result) (measure.Comparison, bool)) Crossing {
	var c Crossing
	squares := slices.DeleteFunc(r.Points(), func(p []*bench.Result) bool {
		g := p[0].GEMM
		return g.M != g.N || g.N != g.K
	})
	slices.SortFunc(squares, func(a, b []*bench.Result) int { return cmp.Compare(b[0].GEMM.N, a[0].GEMM.N) })
	for _, results := range squares { // from the largest down
		x, ok := compare(results)
		if !ok || len(x.Differs) > 0 {
			continue
		}
		c.Compared = true
		if x.Even() || x.Ratio.Value < 1 {
			c.Below = results[0].GEMM.N
			return c
		}
		c.From = results[0].GEMM.N
	}
	return c
}

// crossover says from which size on the GPU wins; empty where that was not asked for
// and cannot be said.
func crossover(r *record.Run) string {
	c := Crosses(r)
	switch {
	case !c.Compared && r.Crossover:
		return "No crossover: GPU and CPU do not both have verified results at any size."
	case !c.Compared:
		return ""
	case c.From == 0:
		return fmt.Sprintf("The CPU is as fast as the GPU or faster up to the largest size, %s.", unit.Cube(c.Below, c.Below, c.Below))
	case c.Below == 0:
		return fmt.Sprintf("The GPU wins at every size from %s on.", unit.Cube(c.From, c.From, c.From))
	}
	return fmt.Sprintf("The GPU wins from %s on; at %s it does not.", unit.Cube(c.From, c.From, c.From), unit.Cube(c.Below, c.Below, c.Below))
}
