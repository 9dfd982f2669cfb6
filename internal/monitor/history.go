// Package monitor shows what the sensors of a machine read: as a screen that people watch,
// as Prometheus text and as CSV. It is a subscriber of the stream of events that package
// telemetry emits, or of one that was recorded, and reads no sensor itself.
package monitor

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
)

const (
	// fine is the time of a slot of the recent history, of which ten minutes are kept, and
	// coarse that of the long one, of which a day is kept.
	fine   = 100 * time.Millisecond
	coarse = time.Second

	// growth is the time over which a rate is taken from what counts up: a counter of energy
	// may stand still for a tenth of a second.
	growth = 500 * time.Millisecond
	// stale is how old a reading may be that is still shown as the present one.
	stale = 3 * time.Second
)

// shown are the quantities whose history is kept. What counts up is shown as its growth.
var shown = map[event.Quantity]event.Quantity{
	event.Utilization: event.Utilization, event.Power: event.Power, event.Memory: event.Memory, event.Swap: event.Swap,
	event.Clock: event.Clock, event.Temperature: event.Temperature, event.Throttle: event.Throttle, event.Energy: event.Power,
	event.PCIeSent: event.PCIeSent, event.PCIeReceived: event.PCIeReceived, event.NVLinkSent: event.NVLinkSent, event.NVLinkReceived: event.NVLinkReceived,
}

// A History is what the sensors of a machine have read: for ten minutes ten times a second,
// for a day once a second. It is filled by events. Its methods may be called by several
// goroutines.
type History struct {
	mu      sync.Mutex
	devices []*device // the GPUs by number, then the CPU
	notes   []string
	now     time.Duration // of the latest event
	created time.Time     // when the run began; zero: not known

	processes map[string][]event.Process // by the source that lists them
	tracks    []*track                   // of the lanes of a run
}

// device is a GPU, or the CPU with the machine's memory.
type device struct {
	card     *int // nil: the CPU
	name     string
	series   map[event.Quantity]*series
	counters map[sensor]count
	cpus     []float64 // percent, of each logical CPU
	latest   map[sensor]latest
}

// latest is the latest reading of a sensor as it was read.
type latest struct {
	reading event.Reading
	at      time.Duration
}

// sensor names a sensor of a device.
type sensor struct {
	quantity event.Quantity
	scope    string
}

type count struct {
	value float64
	at    time.Duration
}

// series is the history of a quantity.
type series struct {
	scope    string
	most     float64 // that the sensor can read; 0: not known
	measured bool    // not derived from what counts up
	fine     ring
	coarse   ring // of links there is none
}

// NewHistory returns a history without readings.
func NewHistory() *History { return &History{} }

// Now returns the time of the latest event, since the run began.
func (h *History) Now() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// Observe takes an event. It may be given to event.Stream's Subscribe.
func (h *History) Observe(e event.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = max(h.now, e.At)
	h.observeLane(e)
	switch d := e.Data.(type) {
	case event.Begin:
		h.created = d.Created
	case event.Sensors:
		h.found(d)
	case event.Telemetry:
		for _, x := range d.Readings {
			h.read(e.At, x)
		}
	case event.ProcessList:
		if h.processes == nil {
			h.processes = map[string][]event.Process{}
		}
		h.processes[d.Source] = d.Processes
	case event.Note:
		if !d.Transient {
			h.notes = append(h.notes, d.Text)
			h.notes = h.notes[max(0, len(h.notes)-keptNotes):]
		}
	}
}

// keptNotes is how many notes are remembered: more than fit onto a screen.
const keptNotes = 100

// device returns the device with that number, nil for the CPU; it is made where it is new.
func (h *History) device(card *int) *device {
	order := func(d *device, card *int) int {
		switch {
		case d.card == nil && card == nil:
			return 0
		case d.card == nil:
			return 1
		case card == nil:
			return -1
		}
		return cmp.Compare(*d.card, *card)
	}
	i, ok := slices.BinarySearchFunc(h.devices, card, order)
	if !ok {
		d := &device{card: card, series: map[event.Quantity]*series{}, counters: map[sensor]count{}, latest: map[sensor]latest{}}
		h.devices = slices.Insert(h.devices, i, d)
	}
	return h.devices[i]
}

// found takes what a source has.
func (h *History) found(d event.Sensors) {
	for _, x := range d.Sensors {
		if x.CPU != nil {
			continue
		}
		dev := h.device(x.Card)
		dev.name = cmp.Or(x.Name, dev.name)
		q, ok := shown[x.Quantity]
		if !ok {
			continue
		}
		s := dev.of(q)
		s.measured = s.measured || !x.Quantity.Counts()
		if x.Max != nil && *x.Max > 0 && !math.IsInf(*x.Max, 0) {
			s.most = *x.Max
		}
	}
}

// of returns the series of a quantity.
func (d *device) of(q event.Quantity) *series {
	s := d.series[q]
	if s == nil {
		s = &series{fine: newRing(fine, 600, 11), coarse: ring{last: -1}}
		if !q.Counts() {
			s.coarse = newRing(coarse, 3600, 25)
		}
		d.series[q] = s
	}
	return s
}

// mostCPUs bounds the number of a CPU that a recording may name.
const mostCPUs = 4096

// read takes a reading.
func (h *History) read(at time.Duration, x event.Reading) {
	if math.IsNaN(x.Value) || math.IsInf(x.Value, 0) {
		return
	}
	d := h.device(x.Card)
	if x.CPU != nil {
		if i := *x.CPU; x.Quantity == event.Utilization && i >= 0 && i < mostCPUs {
			for len(d.cpus) <= i {
				d.cpus = append(d.cpus, math.NaN())
			}
			d.cpus[i] = x.Value
		}
		return
	}
	d.latest[sensor{x.Quantity, x.Scope}] = latest{x, at}
	q, ok := shown[x.Quantity]
	if !ok {
		return
	}
	s := d.of(q)
	if x.Quantity.Counts() {
		rate, ok := d.rate(x, at)
		if !ok || s.measured || x.Scope == "DRAM" { // which is beside the CPU packages
			return
		}
		x.Value = rate
	}
	s.scope = x.Scope
	s.add(at, x.Value, q)
}

// rate returns the growth of what counts up, per second; ok is false where it is not known
// yet. A counter that runs backwards has started anew.
func (d *device) rate(x event.Reading, at time.Duration) (perSecond float64, ok bool) {
	key := sensor{x.Quantity, x.Scope}
	before, known := d.counters[key]
	if known && x.Value >= before.value && at >= before.at && at-before.at < growth {
		return 0, false
	}
	d.counters[key] = count{x.Value, at}
	if !known || x.Value < before.value || at <= before.at {
		return 0, false
	}
	return (x.Value - before.value) / (at - before.at).Seconds(), true
}

func (s *series) add(at time.Duration, v float64, q event.Quantity) {
	merge := func(old, v float64, n int) float64 { return (old*float64(n) + v) / float64(n+1) }
	if q == event.Throttle {
		merge = func(old, v float64, _ int) float64 { return float64(uint(old) | uint(v)) }
	}
	s.fine.add(at, v, merge)
	if s.coarse.chunks != nil {
		s.coarse.add(at, v, merge)
	}
}

// between returns the mean and the highest of the readings in a stretch of time.
func (s *series) between(from, to time.Duration) (mean, high float64) {
	if s.coarse.chunks == nil || to-from < coarse || from >= time.Duration(s.fine.first())*fine {
		return s.fine.between(from, to)
	}
	return s.coarse.between(from, to)
}

// at returns the latest reading at a time; NaN where there is none.
func (s *series) at(when time.Duration) float64 {
	if s == nil {
		return math.NaN()
	}
	v, _ := s.fine.before(when, stale)
	if math.IsNaN(v) {
		v, _ = s.coarse.before(when, stale)
	}
	return v
}

// size returns the bytes that the history takes.
func (h *History) size() int {
	n := 0
	for _, d := range h.devices {
		for _, s := range d.series {
			n += s.fine.size() + s.coarse.size()
		}
	}
	return n
}
