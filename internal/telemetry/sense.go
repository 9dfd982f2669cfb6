package telemetry

import (
	"math"
	"sort"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
)

const (
	// unresolved is the error of an energy, as a share, from which on it is not reported.
	unresolved = 0.2
	// inUse is the utilisation, in percent, from which on a GPU counts as busy beside a lane
	// on the CPU. A desktop takes less.
	inUse = 10
	// leastReadings are how many an average needs of a sensor that averages itself. A driver
	// renews such a reading as seldom as once in the time over which it averages, so that a
	// single one may still be of the time before the lane computed.
	leastReadings = 5
)

// Sense returns what the sensors of a device said while a lane used it; nil where nothing
// is read.
func (s *Sampler) Sense(d hardware.Device, u measure.Use) *measure.Sensed {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &measure.Sensed{}
	switch d.Kind {
	case hardware.GPU:
		out.Card, out.Alone, out.Large = d.Card, u.Alone, u.Large
		card := s.cardOf(d)
		if out.Card == nil {
			out.Card = card
		}
		for _, f := range s.feeds {
			if v := f.view(card, u); card != nil && v.has() {
				out.Source = f.source.Name()
				v.fill(out)
			}
		}
	case hardware.CPU:
		for _, f := range s.feeds {
			if v := f.view(nil, u); v.has() {
				if out.Source == "" {
					out.Source = f.source.Name()
				}
				v.fill(out)
			}
		}
		out.Others = s.busy(u)
	default:
		return nil
	}
	return out
}

// cardOf returns the number by which the sampler knows a device's card; nil if it does
// not. Of several cards, it knows none for a device without UUID and PCI address.
func (s *Sampler) cardOf(d hardware.Device) *int {
	if d.UUID == "" && d.PCI == "" && len(s.cards) == 1 {
		return &s.cards[0].Number
	}
	return hardware.CardOf(d, s.cards)
}

// busy returns the GPUs that were busy while a lane on the CPU computed.
func (s *Sampler) busy(u measure.Use) []measure.InUse {
	var list []measure.InUse
	for _, f := range s.feeds {
		for i, x := range f.past.sensors {
			if x.GPU == nil || x.Card == nil || x.Quantity != event.Utilization {
				continue
			}
			v := view{feed: f, use: u}
			if mean := v.settled(i); mean != nil && *mean >= inUse {
				list = append(list, measure.InUse{Card: *x.Card, Utilization: *mean})
			}
		}
	}
	return list
}

// view are the sensors that a feed has of one card, or with nil of the machine, and when
// a lane used it.
type view struct {
	*feed
	card *int
	use  measure.Use
}

func (f *feed) view(card *int, u measure.Use) view { return view{f, card, u} }

// sensor returns the index of the sensor of a quantity, -1 if there is none.
func (v view) sensor(q event.Quantity) int {
	for i, x := range v.past.sensors {
		same := (v.card == nil) == (x.Card == nil) && (v.card == nil || *v.card == *x.Card)
		if x.Quantity == q && x.CPU == nil && same && (x.GPU != nil) == (v.card != nil) {
			return i
		}
	}
	return -1
}

// has reports whether the feed has readings of the card.
func (v view) has() bool {
	if len(v.past.at) == 0 {
		return false
	}
	for _, q := range []event.Quantity{event.Utilization, event.Power, event.Energy, event.Memory, event.Clock, event.Temperature} {
		if v.sensor(q) >= 0 {
			return true
		}
	}
	return false
}

// fill fills in what the feed knows, without what another feed has said.
func (v view) fill(out *measure.Sensed) {
	at := func(when time.Duration, after bool) func(int) *float64 {
		return func(i int) *float64 { return v.reading(i, when, after) }
	}
	out.Before = v.state(out.Before, at(v.use.Start, false))
	out.After = v.state(out.After, at(v.use.End, true))
	out.During = v.state(out.During, v.settled)
	out.Rest = v.state(out.Rest, v.lowest)
	if out.Energy == nil {
		out.Energy = v.energy()
	}
	if out.Throttle == nil {
		out.Throttle = v.throttled()
	}
	for _, x := range v.past.sensors {
		if x.Card != nil && v.card != nil && *x.Card == *v.card && x.Quantity == event.Power && out.PowerLimit == nil {
			out.PowerLimit = x.Max
		}
	}
}

// state fills in the quantities that s lacks; it returns nil where nothing is known.
func (v view) state(s *measure.State, read func(sensor int) *float64) *measure.State {
	if s == nil {
		s = &measure.State{}
	}
	for q, to := range map[event.Quantity]**float64{
		event.Utilization: &s.Utilization, event.Power: &s.Power, event.Clock: &s.Clock,
		event.MemoryClock: &s.MemoryClock, event.Temperature: &s.Temperature, event.Memory: &s.Memory,
	} {
		if i := v.sensor(q); i >= 0 && *to == nil {
			*to = read(i)
		}
	}
	if *s == (measure.State{}) {
		return nil
	}
	return s
}

// reading returns the last value until a time, or the first one from then on; without one
// from then on, the last of all.
func (v view) reading(sensor int, when time.Duration, after bool) *float64 {
	var found *float64
	for i, at := range v.past.at {
		x := v.past.values[sensor][i]
		if math.IsNaN(x) {
			continue
		}
		if !after && at > when {
			break
		}
		found = rounded(x)
		if after && at >= when {
			break
		}
	}
	return found
}

// settled returns the mean of the readings that are of the lane's computing alone; nil
// where there are too few, because no window is much longer than what a reading averages
// over, or because the sensor gave no answer.
func (v view) settled(sensor int) *float64 {
	var values []float64
	for _, w := range v.use.Windows {
		_, in := v.within(sensor, w.Start+v.found.Settle, w.End)
		values = append(values, in...)
	}
	if len(values) == 0 || v.found.Settle > 0 && len(values) < leastReadings {
		return nil
	}
	return rounded(mean(values))
}

// within returns the readings of a sensor between two times.
func (v view) within(sensor int, from, to time.Duration) (at []time.Duration, values []float64) {
	first := sort.Search(len(v.past.at), func(i int) bool { return v.past.at[i] >= from })
	for i := first; i < len(v.past.at) && v.past.at[i] <= to; i++ {
		if x := v.past.values[sensor][i]; !math.IsNaN(x) {
			at, values = append(at, v.past.at[i]), append(values, x)
		}
	}
	return at, values
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, x := range values {
		sum += x
	}
	return sum / float64(len(values))
}

// lowest returns the lowest reading outside the windows. Where another lane is on the
// same card, what was before this lane does not count: the context of a driver alone
// takes power.
func (v view) lowest(sensor int) *float64 {
	lowest := math.NaN()
	for i, at := range v.past.at {
		if x := v.past.values[sensor][i]; !v.computing(at) && (v.use.Alone || at >= v.use.Start) && !(x >= lowest) && !math.IsNaN(x) {
			lowest = x
		}
	}
	if math.IsNaN(lowest) {
		return nil
	}
	return rounded(lowest)
}

func (v view) computing(at time.Duration) bool {
	list := v.use.Windows
	i := sort.Search(len(list), func(i int) bool { return list[i].End >= at })
	return i < len(list) && list[i].Start <= at
}

// throttled names the reasons for throttling in any window.
func (v view) throttled() []string {
	i := v.sensor(event.Throttle)
	if i < 0 {
		return nil
	}
	var bits event.Throttling
	for _, w := range v.use.Windows {
		_, values := v.within(i, w.Start, w.End)
		for _, x := range values {
			bits |= event.Throttling(x)
		}
	}
	return bits.Words()
}

// energy returns what was taken in the windows that are long enough for a counter of
// energy, or else for power, which is then averaged; nil if none is.
func (v view) energy() *measure.Energy {
	sensor, counted, settle := v.sensor(event.Energy), true, time.Duration(0)
	if sensor < 0 {
		sensor, counted, settle = v.sensor(event.Power), false, v.found.Settle
	}
	if sensor < 0 {
		return nil
	}
	e := measure.Energy{Source: v.source.Name(), Scope: v.past.sensors[sensor].Scope, Counted: counted}
	step := 2 * v.found.Step // at either end of a window
	windows := v.use.Counted
	if windows == nil {
		windows = v.use.Windows
	}
	for _, w := range windows {
		at, values := v.within(sensor, w.Start+settle, w.End)
		if len(at) < 2 {
			continue
		}
		last := len(at) - 1
		span := at[last] - at[0]
		joules := values[last] - values[0]
		if !counted {
			joules = mean(values) * span.Seconds()
		}
		if joules < 0 || step.Seconds() > unresolved*span.Seconds() { // a counter that runs backwards has started anew
			continue
		}
		e.Joules += joules
		e.Span += span
		e.Work += w.Work * float64(span) / float64(w.End-w.Start)
		e.Error += step.Seconds()
	}
	if e.Work <= 0 || e.Joules <= 0 {
		return nil
	}
	e.Error /= e.Span.Seconds()
	return &e
}
