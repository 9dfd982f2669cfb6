package judge

import (
	"fmt"
	"slices"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// ThreadCounts returns the numbers of threads that a CPU was measured with, in order.
func ThreadCounts(c *record.CPU) []int {
	var counts []int
	for _, x := range c.Clocks {
		counts = append(counts, x.Threads)
	}
	for _, x := range c.Peaks {
		counts = append(counts, x.Threads)
	}
	for _, x := range c.Bandwidths {
		counts = append(counts, x.Threads)
	}
	slices.Sort(counts)
	return slices.Compact(counts)
}

// Clock returns the median clock in hertz with a number of threads; ok is false where it
// was not measured.
func Clock(c *record.CPU, threads int) (hertz float64, ok bool) {
	for _, x := range c.Clocks {
		if x.Threads == threads && len(x.Hertz) > 0 {
			return stats.Median(x.Hertz), true
		}
	}
	return 0, false
}

// Peak returns the peak of a type in operations per second: the best of all samples,
// since a neighbour can only make them smaller.
func Peak(c *record.CPU, d matrix.DType, threads int) (ops float64, ok bool) {
	for _, x := range c.Peaks {
		if x.DType == d && x.Threads == threads && len(x.Ops) > 0 {
			return slices.Max(x.Ops), true
		}
	}
	return 0, false
}

// Bandwidth returns the median bandwidths of a place in bytes per second, NaN of no
// samples; ok is false where it was not measured.
func Bandwidth(c *record.CPU, place string, threads int) (read, triad float64, ok bool) {
	for _, x := range c.Bandwidths {
		if x.Place == place && x.Threads == threads {
			return stats.Median(x.Read), stats.Median(x.Triad), true
		}
	}
	return 0, 0, false
}

// cpuSentences say where the roofline bends.
func cpuSentences(r *record.Run) []string {
	var out []string
	if c := r.CPU; c != nil {
		if counts := ThreadCounts(c); len(counts) > 0 {
			all := counts[len(counts)-1]
			flops, known := Peak(c, matrix.Float32, all)
			read, _, measured := Bandwidth(c, "memory", all)
			if known && measured && read > 0 {
				out = append(out, fmt.Sprintf("With %s, float32 must do %s operations on each byte that it reads from memory to reach its peak (%s at %s GB/s). "+
					"A 4096³ product can do 683; a product with a vector, as a language model's every token needs, does 0.5 and waits for memory.",
					unit.Plural(all, "thread"), unit.Digits3(flops/read), bench.Square(1, matrix.Float32).Rate(flops), unit.Digits3(read/1e9)))
			}
		}
	}
	if r.Interrupted {
		out = append(out, interrupted)
	}
	return out
}
