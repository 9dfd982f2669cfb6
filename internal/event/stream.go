package event

import (
	"sync"
	"time"
)

// capacity is how many events each subscriber's ring has room for from the start, and
// how many of them wait for a slow reader before progress and telemetry are dropped.
const capacity = 1024

// A Stream gives the events of a run to its subscribers, each in its own time. Its
// methods may be called from several goroutines at once, and by subscribers too,
// except for Close.
type Stream struct {
	run string
	now func() time.Duration

	mu     sync.Mutex // also keeps the order of events the same for all subscribers
	seq    uint64
	subs   []*ring
	closed bool
}

// NewStream returns the stream of the run with that id. now is the runner's clock; nil
// stands for the time since this call.
func NewStream(run string, now func() time.Duration) *Stream {
	if now == nil {
		start := time.Now()
		now = func() time.Duration { return time.Since(start) }
	}
	return &Stream{run: run, now: now}
}

// Run returns the run's id.
func (s *Stream) Run() string { return s.run }

// Now returns the time on the runner's clock.
func (s *Stream) Now() time.Duration { return s.now() }

// Emit puts an event into every subscriber's ring and waits for none of them. It
// allocates nothing unless the ring of a slow reader has to grow. What is emitted once
// Close was called goes to nobody.
func (s *Stream) Emit(lane string, d Data) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.seq++
	e := Event{Run: s.run, Seq: s.seq, At: s.now(), Lane: lane, Type: d.EventType(), Data: d}
	for _, r := range s.subs {
		r.push(e)
	}
}

// Subscribe has each called with all events from now on, one at a time and in their
// order, on a goroutine that ends with Close. A reader that falls behind by more than
// the ring's capacity loses progress and telemetry, which a Dropped event counts where
// they are missing, and nothing else.
func (s *Stream) Subscribe(each func(Event)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	r := &ring{run: s.run, each: each, done: make(chan struct{}), events: make([]Event, capacity), last: s.seq, read: s.seq}
	r.more = sync.NewCond(&r.mu)
	s.subs = append(s.subs, r)
	go r.drain()
}

// Close ends the stream and returns when every subscriber has seen all that was emitted
// before; so does a second call. A subscriber must not call it: it would wait for
// itself.
func (s *Stream) Close() {
	s.mu.Lock()
	s.closed = true
	subs := s.subs
	s.mu.Unlock()
	for _, r := range subs {
		r.end()
	}
	for _, r := range subs {
		<-r.done
	}
}

// Quiet returns a sink on the same clock that drops what it is told.
func (s *Stream) Quiet() Sink { return Discard(s.now) }

// Discard returns a sink that drops what it is told, on a clock.
func Discard(now func() time.Duration) Sink { return discard(now) }

type discard func() time.Duration

func (discard) Emit(string, Data)      {}
func (now discard) Now() time.Duration { return now() }

// ring is what waits for one subscriber.
type ring struct {
	run  string
	each func(Event)
	done chan struct{} // closed when each has seen everything

	mu     sync.Mutex
	more   *sync.Cond
	events []Event // count of them from first on, around the end
	first  int
	count  int
	last   uint64        // number of the latest event that was pushed, kept or not
	at     time.Duration // its time
	closed bool

	read uint64 // number of the latest event that each was told of; drain's alone
}

// push adds an event unless it may be dropped and the ring is full. What must not be
// lost makes the ring larger.
func (r *ring) push(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.at = e.Seq, e.At
	if (e.Type == TypeProgress || e.Type == TypeTelemetry || e.Type == TypeProcesses) && r.count >= capacity {
		return
	}
	if r.count == len(r.events) {
		larger := make([]Event, 2*len(r.events))
		n := copy(larger, r.events[r.first:])
		copy(larger[n:], r.events[:r.first])
		r.events, r.first = larger, 0
	}
	r.events[(r.first+r.count)%len(r.events)] = e
	r.count++
	r.more.Signal()
}

// end has drain return once the ring is empty.
func (r *ring) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.more.Signal()
}

// drain gives the events to the subscriber.
func (r *ring) drain() {
	defer close(r.done)
	for {
		e, ok := r.next()
		if !ok {
			r.missed(r.last, r.at) // nobody pushes any more
			return
		}
		r.missed(e.Seq-1, e.At)
		r.read = e.Seq
		r.each(e)
	}
}

// next waits for an event and takes it out of the ring; ok is false when none will
// come.
func (r *ring) next() (e Event, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.count == 0 {
		if r.closed {
			return e, false
		}
		r.more.Wait()
	}
	e, r.events[r.first] = r.events[r.first], Event{} // lets go of the payload
	r.first = (r.first + 1) % len(r.events)
	r.count--
	return e, true
}

// missed tells the subscriber of the events that were dropped since the one that it saw
// last, up to that number.
func (r *ring) missed(last uint64, at time.Duration) {
	if n := last - r.read; n > 0 {
		r.read = last
		r.each(Event{Run: r.run, Seq: last, At: at, Type: TypeDropped, Data: Dropped{int(n)}})
	}
}
