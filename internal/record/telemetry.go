package record

import (
	"errors"
	"fmt"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
)

// Telemetry is the history of what the sensors of a machine said during a run.
type Telemetry struct {
	Sources []TelemetrySource `json:"sources"`
}

// A TelemetrySource is a driver, or the system, with its sensors. All of its series have
// one value for each of its times.
type TelemetrySource struct {
	Name string `json:"name"` // "NVML", "amdgpu", "RAPL", "system"
	// At are the times of the readings on the runner's clock, since the run began. Of a long
	// run several readings are merged into one, which has the time of the last: the mean of
	// what is measured, the last count of what counts up, and all reasons for throttling.
	At      []time.Duration   `json:"at_ns"`
	Series  []TelemetrySeries `json:"series"`
	Problem string            `json:"problem,omitempty"` // why there is nothing of it, or nothing more
}

// A TelemetrySeries is what a sensor said over time.
type TelemetrySeries struct {
	event.Sensor
	Max    *float64   `json:"max,omitempty"` // the most that the sensor can read: the memory there is, the power limit, the highest clock
	Values []*float64 `json:"values"`        // nil where there was no answer
}

// Find returns the source and the series of a quantity of a card, or with nil of the
// machine; ok is false if there is none.
func (t *Telemetry) Find(q event.Quantity, card *int) (s TelemetrySource, values []*float64, ok bool) {
	if t == nil {
		return s, nil, false
	}
	for _, s := range t.Sources {
		for _, x := range s.Series {
			if x.Quantity == q && x.CPU == nil && (card == nil) == (x.Card == nil) && (card == nil || *card == *x.Card) {
				return s, x.Values, true
			}
		}
	}
	return s, nil, false
}

// sound reports series that do not fit their times.
func (t *Telemetry) sound() error {
	if t == nil {
		return nil
	}
	for _, s := range t.Sources {
		for _, x := range s.Series {
			if len(x.Values) != len(s.At) {
				return fmt.Errorf("telemetry of %s: %d values of %s at %d times", s.Name, len(x.Values), x.Quantity, len(s.At))
			}
		}
		for i := range s.At {
			if s.At[i] < 0 || i > 0 && s.At[i] < s.At[i-1] {
				return errors.New("telemetry of " + s.Name + ": its times are not in order")
			}
		}
	}
	return nil
}
