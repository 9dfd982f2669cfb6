// Package telemetry reads the sensors of a machine while something is measured: how busy
// its GPUs and CPUs are, at which clocks, how hot, and what power they take. It keeps the
// history of a run, says what the sensors of a device meant for a lane, and emits each
// round of readings as an event.
//
// Sensors are read in this process, away from the workers in which lanes compute. Each
// source has a thread of its own, since a driver may hang in a call: then it is given up
// with a note, and nothing waits for it.
package telemetry

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
)

const (
	interval        = 100 * time.Millisecond // between two rounds of readings
	processInterval = time.Second            // between two lists of processes
	openLimit       = 20 * time.Second       // for a driver to start: one without persistence mode loads its GPUs' firmware
	readLimit       = 2 * time.Second        // for a round of readings
)

// A Source is a driver, or the system, with sensors. Its methods are called by one
// goroutine, which has a thread of its own.
type Source interface {
	// Name is the name of the source for people: "NVML".
	Name() string
	// Open finds the sensors. A machine that has nothing of the kind is no error.
	Open() (Found, error)
	// Read fills in a value for each sensor that Open found, in their order. One that
	// gives no answer is NaN, never 0.
	Read(values []float64)
}

// Found is what Open has found.
type Found struct {
	Sensors []Sensor
	// Settle is how far back a reading reaches: a driver may report an average.
	Settle time.Duration
	// Step is how long a counter of energy may stand still while energy is used.
	Step time.Duration
	// Processes lists the processes that use the source's GPUs; nil: it cannot.
	Processes func() []Process
}

// A Sensor is one that a source can read. Its number of a card is the Sampler's to fill
// in.
type Sensor struct {
	event.Sensor
	GPU *hardware.Card // by its UUID or PCI address; nil: not a GPU's
	// Max is the most that the sensor can read, such as the memory there is, or the watts
	// that a GPU may take, when the source was opened; nil: not known.
	Max       *float64
	Processor string // the name of the processor that is measured; empty: not known, or none is
}

// A Process uses a GPU. The Sampler fills in the number of the card.
type Process struct {
	event.Process
	GPU *hardware.Card
}

// A Sampler reads sources until it is stopped. Its methods may be called from several
// goroutines. A nil *Sampler reads nothing.
type Sampler struct {
	sink     event.Sink
	every    time.Duration // between two rounds of readings
	watching bool          // processes are listed, and no history is kept
	stop     chan struct{}

	mu      sync.Mutex
	stopped bool
	cards   []hardware.Card // those of the machine, and those of the sources
	feeds   []*feed
}

// feed is a source with what it said. The Sampler's lock guards all but source.
type feed struct {
	source Source
	found  Found
	open   bool
	gone   bool          // nothing more is taken from it
	began  time.Duration // when the call that it is in began; -1: it is in none
	doing  string        // what that call is for
	limit  time.Duration // of the call
	said   string        // why it is gone, or was never there
	past   history       // of all sensors
}

// Start begins to read the sources, ten times a second, on the clock of a sink, which is
// told of each round. cards are the GPUs of the machine by number; sources may add some.
func Start(sink event.Sink, cards []hardware.Card, sources ...Source) *Sampler {
	return start(&Sampler{sink: sink, every: interval, cards: cards}, sources)
}

// Watch is Start for somebody who watches: it reads the sources as often as that, lists
// processes too, and keeps no history.
func Watch(sink event.Sink, every time.Duration, cards []hardware.Card, sources ...Source) *Sampler {
	return start(&Sampler{sink: sink, every: every, watching: true, cards: cards}, sources)
}

func start(s *Sampler, sources []Source) *Sampler {
	s.stop = make(chan struct{})
	for _, src := range sources {
		s.feeds = append(s.feeds, &feed{source: src, began: -1})
	}
	for _, f := range s.feeds {
		go s.follow(f)
	}
	if len(s.feeds) > 0 {
		go s.watch()
	}
	return s
}

// Stop ends the reading and returns the history, with the numbers that cards have in
// the end; nil if there is none. It waits for no driver.
func (s *Sampler) Stop(cards []hardware.Card) *record.Telemetry {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.stopped = true
		close(s.stop)
	}
	t := &record.Telemetry{}
	for _, f := range s.feeds {
		if len(f.past.at) > 0 || f.said != "" {
			t.Sources = append(t.Sources, f.record(cards))
		}
	}
	if len(t.Sources) == 0 {
		return nil
	}
	return t
}

// follow opens a source and reads it. Its thread is never used for anything else.
func (s *Sampler) follow(f *feed) {
	runtime.LockOSThread()
	s.begin(f, "starting", openLimit)
	found, err := f.source.Open()
	if !s.opened(f, found, err) {
		return
	}
	values := make([]float64, len(found.Sensors))
	list := found.Processes
	if !s.watching {
		list = nil
	}
	var owners owners
	var listed time.Duration
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		at := s.begin(f, "a round of readings", readLimit)
		f.source.Read(values)
		if !s.took(f, at, values) {
			return
		}
		if list != nil && (at-listed >= processInterval || listed == 0) {
			listed = s.begin(f, "listing processes", readLimit)
			if !s.tookProcesses(f, owners.describe(list())) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-s.stop:
			return
		}
	}
}

// begin notes that a source is called.
func (s *Sampler) begin(f *feed, doing string, limit time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.began, f.doing, f.limit = s.sink.Now(), doing, limit
	return f.began
}

// opened takes what a source has found, and reports whether it is to be read.
func (s *Sampler) opened(f *feed, found Found, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.began = -1
	switch {
	case f.gone || s.stopped:
		return false
	case err != nil:
		f.gone, f.said = true, err.Error()
		if s.watching {
			s.sink.Emit("", event.Note{Text: f.source.Name() + ": " + f.said})
		}
		return false
	case len(found.Sensors) == 0:
		f.gone = true
		return false
	}
	for _, x := range found.Sensors {
		if x.GPU != nil && hardware.CardOf(deviceOn(x.GPU), s.cards) == nil {
			s.cards = hardware.Cards(append(s.cards[:len(s.cards):len(s.cards)], *x.GPU))
		}
	}
	f.found, f.open = found, true
	f.past.sensors = found.Sensors
	for _, f := range s.feeds { // by the numbers that all cards together have: a new one may come before others
		for i, x := range f.found.Sensors {
			if x.GPU != nil {
				f.found.Sensors[i].Card = hardware.CardOf(deviceOn(x.GPU), s.cards)
			}
		}
		if f.open {
			s.sink.Emit("", f.sensors(s.cards))
		}
	}
	return true
}

// sensors returns what the source has found, with the names of cards by number.
func (f *feed) sensors(cards []hardware.Card) event.Sensors {
	told := event.Sensors{Source: f.source.Name()}
	for _, x := range f.found.Sensors {
		y := event.FoundSensor{Sensor: x.Sensor, Max: x.Max, Name: x.Processor}
		if x.Card != nil {
			y.Name = cards[*x.Card].Name
		}
		told.Sensors = append(told.Sensors, y)
	}
	return told
}

// deviceOn returns a device by which the number of a card is found.
func deviceOn(c *hardware.Card) hardware.Device {
	return hardware.Device{Kind: hardware.GPU, UUID: c.UUID, PCI: c.PCI}
}

// took keeps a round of readings and tells of it, and reports whether another is wanted.
func (s *Sampler) took(f *feed, at time.Duration, values []float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock() // so that nothing is told once Stop has returned
	f.began = -1
	if f.gone || s.stopped {
		return false
	}
	told := event.Telemetry{Source: f.source.Name()}
	if !s.watching {
		f.past.add(at, values)
	}
	for i, v := range values {
		if !math.IsNaN(v) {
			told.Readings = append(told.Readings, event.Reading{Sensor: f.found.Sensors[i].Sensor, Value: v})
		}
	}
	s.sink.Emit("", told)
	return true
}

// tookProcesses tells which processes there are, and reports whether more is wanted.
func (s *Sampler) tookProcesses(f *feed, list []Process) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.began = -1
	if f.gone || s.stopped {
		return false
	}
	told := event.ProcessList{Source: f.source.Name()}
	for _, p := range list {
		p.Card = hardware.CardOf(deviceOn(p.GPU), s.cards)
		told.Processes = append(told.Processes, p.Process)
	}
	s.sink.Emit("", told)
	return true
}

// watch gives up sources that do not answer.
func (s *Sampler) watch() {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.stop:
			return
		}
		s.giveUp()
	}
}

// giveUp takes nothing more from sources whose call has taken longer than its limit, and
// says so.
func (s *Sampler) giveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.feeds {
		if s.stopped || f.gone || f.began < 0 || s.sink.Now()-f.began <= f.limit {
			continue
		}
		f.gone = true
		f.said = fmt.Sprintf("no answer within %.0f s (%s)", f.limit.Seconds(), f.doing)
		s.sink.Emit("", event.Note{Text: f.source.Name() + ": " + f.said + ": nothing more is read from it"})
	}
}

// Block returns how long a lane must compute without a break for the sensors to say
// something about it: as long as the slowest source of GPUs or of energy averages, and a
// second for its readings. It is 0 where there is no such source.
func (s *Sampler) Block() time.Duration {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var longest time.Duration
	for _, f := range s.feeds {
		if f.gone || !f.open {
			continue
		}
		for _, x := range f.found.Sensors {
			if x.GPU != nil || x.Quantity == event.Energy {
				longest = max(longest, f.found.Settle+time.Second)
			}
		}
	}
	return longest
}
