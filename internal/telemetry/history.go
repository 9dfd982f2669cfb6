package telemetry

import (
	"math"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
)

const (
	kept     = 36_000 // rounds of readings that are kept apart: an hour
	recorded = 1200   // rounds in a record: two minutes
)

// history are the readings of a source.
type history struct {
	sensors []Sensor
	at      []time.Duration
	values  [][]float64 // one list for each sensor
}

// add appends a round. When there are too many, pairs are merged.
func (h *history) add(at time.Duration, values []float64) {
	if len(h.values) == 0 {
		h.values = make([][]float64, len(values))
	}
	if len(h.at) >= kept {
		*h = h.halved()
	}
	h.at = append(h.at, at)
	for i, v := range values {
		h.values[i] = append(h.values[i], v)
	}
}

// halved returns the history with every two rounds merged into one.
func (h *history) halved() history {
	half := history{sensors: h.sensors, values: make([][]float64, len(h.values))}
	for i := 0; i < len(h.at); i += 2 {
		j := min(i+1, len(h.at)-1)
		half.at = append(half.at, h.at[j])
		for k := range h.values {
			half.values[k] = append(half.values[k], merged(h.sensors[k].Quantity, h.values[k][i], h.values[k][j]))
		}
	}
	return half
}

// merged returns what stands for two readings, one after the other.
func merged(q event.Quantity, a, b float64) float64 {
	switch {
	case math.IsNaN(a), q.Counts() && !math.IsNaN(b):
		return b
	case math.IsNaN(b):
		return a
	case q == event.Throttle:
		return float64(uint(a) | uint(b))
	case q == event.Processes:
		return max(a, b)
	}
	return (a + b) / 2
}

// record returns the history as a record has it. Sensors of single CPUs are for those
// who watch, and what is of a card that is not among cards is of no use.
func (f *feed) record(cards []hardware.Card) record.TelemetrySource {
	h := f.past
	for len(h.at) > recorded {
		h = h.halved()
	}
	out := record.TelemetrySource{Name: f.source.Name(), At: make([]time.Duration, len(h.at)), Series: []record.TelemetrySeries{}, Problem: f.said}
	for i, at := range h.at {
		out.At[i] = at.Truncate(time.Millisecond)
	}
	for i, values := range h.values {
		x := h.sensors[i]
		if x.CPU != nil {
			continue
		}
		if x.GPU != nil {
			x.Card = hardware.CardOf(deviceOn(x.GPU), cards)
			if x.Card == nil {
				continue
			}
		}
		series := record.TelemetrySeries{Sensor: x.Sensor, Max: x.Max, Values: make([]*float64, len(values))}
		for j, v := range values {
			if !math.IsNaN(v) {
				series.Values[j] = rounded(v)
			}
		}
		out.Series = append(out.Series, series)
	}
	return out
}

// rounded returns a reading to a thousandth, which no sensor is more precise than.
func rounded(v float64) *float64 {
	v = math.Round(v*1000) / 1000
	return &v
}
