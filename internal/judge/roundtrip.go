package judge

import (
	"fmt"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// WithCopies says how many times as fast as the products of a CPU lane the round trips of a
// GPU lane are; ok is false where none was timed. The two were not measured in turns, so
// that the interval is what those of the two medians allow.
func WithCopies(gpu, cpu *bench.Result) (c measure.Comparison, ok bool) {
	p, ok := gpu.Parts()
	if !ok {
		return c, false
	}
	c.Differs = Compare(gpu, cpu).Differs
	if len(c.Differs) > 0 {
		return c, true
	}
	trip, product := p.Total, stats.MedianInterval(cpu.Seconds())
	c.Ratio = stats.Interval{Value: product.Value / trip.Value, Low: product.Low / trip.High, High: product.High / trip.Low, Confidence: min(trip.Confidence, product.Confidence)}
	return c, true
}

// shortestTrip returns the index of the verified lane of a kind of device with the shortest
// round trip; -1 if there is none.
func shortestTrip(results []*bench.Result, kind hardware.Kind) int {
	best, least := -1, 0.0
	for i, r := range results {
		if r == nil || r.Device.Kind != kind || !r.Verified() || r.Has(measure.Smaller) {
			continue
		}
		if p, ok := r.Parts(); ok && (best < 0 || p.Total.Value < least) {
			best, least = i, p.Total.Value
		}
	}
	return best
}

// CrossesWithCopies is Crosses for products whose matrices are in main memory: the GPU lane
// with the shortest round trip against the fastest CPU lane.
func CrossesWithCopies(r *record.Run) Crossing {
	return crosses(r, func(results []*bench.Result) (measure.Comparison, bool) {
		gpu, cpu := shortestTrip(results, hardware.GPU), Best(results, hardware.CPU)
		if gpu < 0 || cpu == nil {
			return measure.Comparison{}, false
		}
		return WithCopies(results[gpu], cpu)
	})
}

// crossoverWithCopies says from which size on the GPU wins even if the matrices have to be
// copied; empty where no round trip was timed.
func crossoverWithCopies(r *record.Run) string {
	c := CrossesWithCopies(r)
	from, below := unit.Cube(c.From, c.From, c.From), unit.Cube(c.Below, c.Below, c.Below)
	switch {
	case !c.Compared:
		return ""
	case c.From == 0:
		return fmt.Sprintf("With the copies of matrices that are in main memory, the GPU does not win up to the largest size, %s.", below)
	case c.Below == 0:
		return fmt.Sprintf("From %s on, the GPU wins even with the copies of matrices that are in main memory.", from)
	}
	return fmt.Sprintf("From %s on, the GPU wins even with the copies of matrices that are in main memory; at %s it does not.", from, below)
}

// Trips is the table of where the time of one product goes whose matrices are in main
// memory: at each size of the GPU lane with the shortest round trip. There are no rows where
// none was timed. Launching and computing are told apart where the clocks of all these GPUs
// are known.
func (s *Sweep) Trips() (heads []string, rows [][]string) {
	split, compared := true, false
	for _, p := range s.Points {
		if p.Trip < 0 {
			continue
		}
		parts, _ := p.Results[p.Trip].Parts()
		split = split && parts.Launch != nil
		compared = compared || p.comparedWithCopies()
	}
	heads = []string{"one product", "copy in", "product", "copy out", "in all"}
	if split {
		heads = []string{"one product", "copy in", "launch", "compute", "copy out", "in all"}
	}
	if compared {
		heads = append(heads, "GPU ÷ CPU")
	}
	heads = append(heads, "by")
	took := func(i stats.Interval) string { return unit.Seconds(seconds(i.Value)) }
	for _, p := range s.Points {
		if p.Trip < 0 {
			continue
		}
		parts, _ := p.Results[p.Trip].Parts()
		row := []string{p.Cube(), took(parts.In)}
		if split {
			row = append(row, took(*parts.Launch), took(*parts.Compute))
		} else {
			row = append(row, took(parts.Product))
		}
		row = append(row, took(parts.Out), took(parts.Total))
		if compared {
			ratio := "–"
			if p.comparedWithCopies() {
				ratio = Ratio(p.WithCopies)
			}
			row = append(row, ratio)
		}
		rows = append(rows, append(row, s.Lanes[p.Trip].Name))
	}
	return heads, rows
}

// TripsNote says what Trips shows.
const TripsNote = "one product, from matrices in main memory to the result in main memory; each part is waited for, and the result is checked; medians"

func (p Point) comparedWithCopies() bool {
	return p.Trip >= 0 && p.WithCopies.Ratio.Value > 0 && len(p.WithCopies.Differs) == 0
}
