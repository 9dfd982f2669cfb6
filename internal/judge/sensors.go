package judge

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// FLOPPerJoule returns how many operations a lane of products does for a joule, which is
// its FLOP/s per watt; ok is false where energy was not measured.
func FLOPPerJoule(r *bench.Result) (flop float64, ok bool) {
	return perJoule(r.Sensors, r.GEMM.FLOP())
}

// TokensPerJoule returns how many tokens a lane generates for a joule; ok is false where
// energy was not measured.
func TokensPerJoule(r *llm.Result) (tokens float64, ok bool) { return perJoule(r.Sensors, 1) }

// perJoule returns the work per joule, where a unit of measure.Energy.Work is worth that many
// of the unit that is returned.
func perJoule(s *measure.Sensed, each float64) (work float64, ok bool) {
	if s == nil || s.Energy == nil || s.Energy.Joules <= 0 {
		return 0, false
	}
	work = s.Energy.Work / s.Energy.Joules * each
	return work, !math.IsInf(work, 0)
}

// Watts returns the power that a lane's device drew while it computed; ok is false where no
// sensor measured it.
func Watts(s *measure.Sensed) (watts float64, ok bool) {
	switch {
	case s == nil:
	case s.Energy != nil && s.Energy.Span > 0:
		return s.Energy.Watts(), true
	case s.During != nil && s.During.Power != nil:
		return *s.During.Power, true
	}
	return 0, false
}

// A RunEnergy is what a device took from the first reading of a run to the last: all of
// it, with preparing, checking and waiting, and with whatever else used the device.
type RunEnergy struct {
	Source string        `json:"source"`
	Card   *int          `json:"card,omitempty"`
	Scope  string        `json:"scope,omitempty"`
	Joules float64       `json:"joules"`
	Span   time.Duration `json:"span_ns"`
}

// Energies returns the energy of a run by each counter that was read.
func Energies(r *record.Run) []RunEnergy {
	if r.Telemetry == nil {
		return nil
	}
	var list []RunEnergy
	for _, s := range r.Telemetry.Sources {
		for _, x := range s.Series {
			first := slices.IndexFunc(x.Values, func(v *float64) bool { return v != nil })
			if x.Quantity != event.Energy || first < 0 {
				continue
			}
			last := len(x.Values) - 1
			for x.Values[last] == nil {
				last--
			}
			e := RunEnergy{Source: s.Name, Card: x.Card, Scope: x.Scope, Joules: *x.Values[last] - *x.Values[first], Span: s.At[last] - s.At[first]}
			if e.Joules > 0 && !math.IsInf(e.Joules, 0) {
				list = append(list, e)
			}
		}
	}
	return list
}

// sensed returns a line with what the sensors of a lane's device read while it computed,
// followed by its efficiency unless that is empty; an empty line where there are no readings.
func sensed(r *record.Run, d hardware.Device, s *measure.Sensed, efficiency string) string {
	if s == nil || s.During == nil || d.Kind == hardware.CPU && s.Energy == nil {
		return "" // that a lane on the CPU keeps the CPU busy goes without saying
	}
	var parts []string
	add := func(v *float64, format string, scale float64) {
		if v != nil && !math.IsInf(*v, 0) {
			parts = append(parts, fmt.Sprintf(format, thousands(*v/scale)))
		}
	}
	add(s.During.Utilization, "%s %% busy", 1)
	if watts, ok := Watts(s); ok {
		add(&watts, "%s W", 1)
	}
	add(s.During.Clock, "%s MHz", 1e6)
	add(s.During.Temperature, "%s °C", 1)
	switch _, _, known := r.Telemetry.Find(event.Throttle, s.Card); {
	case len(s.Throttle) > 0:
		parts = append(parts, "throttled ("+strings.Join(s.Throttle, ", ")+")")
	case known && s.Card != nil:
		parts = append(parts, "no throttling")
	}
	if len(parts) == 0 {
		return ""
	}
	what := "CPU"
	if d.Kind == hardware.GPU {
		what = "GPU"
		if s.Card != nil {
			what = fmt.Sprintf("GPU %d", *s.Card)
		}
	}
	line := what + ": " + strings.Join(parts, ", ")
	if efficiency != "" {
		line += fmt.Sprintf("; %s (± %s", efficiency, unit.Percent(s.Energy.Error))
		if s.Energy.Scope != "" {
			line += ", " + s.Energy.Scope
		}
		line += " by " + s.Energy.Source + ")"
	}
	return line + "."
}

// thousands writes a whole number with commas: 1,755.
func thousands(v float64) string {
	if math.Abs(v) >= 1e15 {
		return fmt.Sprintf("%.3g", v)
	}
	text := fmt.Sprintf("%.0f", v)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// SensorLines summarize what the sensors read during the fastest lane of products on the CPU
// and on a GPU; they are among the Sentences of a race.
func SensorLines(r *record.Run) []string {
	var out []string
	for _, kind := range []hardware.Kind{hardware.CPU, hardware.GPU} {
		x := Best(r.Results, kind)
		if x == nil {
			continue
		}
		efficiency := ""
		if flop, ok := FLOPPerJoule(x); ok {
			efficiency = unit.Rate(flop, x.GEMM.Op()) + " per watt"
		}
		if line := sensed(r, x.Device, x.Sensors, efficiency); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// sensedTokens are the lines of the fastest lanes of a language model.
func sensedTokens(r *record.Run, lanes ...*llm.Result) []string {
	var out []string
	for _, x := range lanes {
		if x == nil {
			continue
		}
		efficiency := ""
		if tokens, ok := TokensPerJoule(x); ok {
			efficiency = unit.Digits3(tokens) + " tokens per joule"
		}
		if line := sensed(r, x.Facts.Device, x.Sensors, efficiency); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// perTokens is the line of a device that generated, or learned, tokens; none where no sensor
// read anything.
func perTokens(r *record.Run, d hardware.Device, s *measure.Sensed, did string) []string {
	efficiency := ""
	if tokens, ok := perJoule(s, 1); ok {
		efficiency = unit.Digits3(tokens) + " tokens " + did + " per joule"
	}
	if line := sensed(r, d, s, efficiency); line != "" {
		return []string{line}
	}
	return nil
}

// sustained says of each lane that computed without a break what it did at first and in
// the long run.
func sustained(r *record.Run) []string {
	var out []string
	for _, x := range r.Results {
		s, ok := x.Sustained()
		if !ok || !x.Verified() {
			continue
		}
		what := x.Device.Label()
		if x.Device.Card != nil && len(r.Cards) > 1 {
			what += fmt.Sprintf(" on GPU %d", *x.Device.Card)
		}
		text := fmt.Sprintf("%s: burst %s, sustained %s (± %s) in the last %s", what,
			x.GEMM.Rate(s.Burst), x.GEMM.Rate(s.Steady.Value), Spread(s.Steady), unit.Seconds(s.To-s.From))
		if !s.Throttled() {
			out = append(out, text+": not throttled.")
			continue
		}
		text += fmt.Sprintf(": throttled, %s slower than at first. ", unit.Percent(s.Fall))
		if why := whyThrottled(r, x, s); why != "" {
			text += why
		} else {
			text += "No sensor says why."
		}
		out = append(out, text)
	}
	return out
}

// whyThrottled says what clock, power, heat and the driver have to do with a fall from
// burst to sustained; empty where no sensor says anything.
func whyThrottled(r *record.Run, x *bench.Result, s bench.Sustained) string {
	card := x.Device.Card
	if x.Device.Kind == hardware.GPU && card == nil {
		return ""
	}
	begin := x.Block.Samples[0].Start
	during := func(q event.Quantity, from, to time.Duration) (list []float64) {
		source, values, _ := r.Telemetry.Find(q, card)
		for i, v := range values {
			if at := source.At[i]; v != nil && at >= from && at <= to {
				list = append(list, *v)
			}
		}
		return list
	}
	average := func(list []float64) float64 {
		sum := 0.0
		for _, v := range list {
			sum += v
		}
		return sum / float64(len(list))
	}
	var parts []string
	change := func(q event.Quantity, what, of string, scale float64, least float64) {
		a, b := during(q, begin, begin+time.Second), during(q, s.From, s.To)
		if len(a) == 0 || len(b) == 0 {
			return
		}
		if from, to := average(a)/scale, average(b)/scale; math.Abs(to-from) >= least*math.Abs(from) {
			parts = append(parts, fmt.Sprintf("%s from %s to %s %s", what, thousands(from), thousands(to), of))
		}
	}
	change(event.Clock, "clock", "MHz", 1e6, 0.02)
	change(event.Power, "power", "W", 1, 0.02)
	change(event.Temperature, "temperature", "°C", 1, 0.02)
	var bits event.Throttling
	for _, v := range during(event.Throttle, s.From, s.To) {
		bits |= event.Throttling(v)
	}
	if words := bits.Words(); len(words) > 0 {
		parts = append(parts, "the driver's reason: "+strings.Join(words, ", "))
	}
	if len(parts) == 0 {
		return ""
	}
	text := strings.Join(parts, "; ")
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
