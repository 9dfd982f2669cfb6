package event

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sample is a payload that must never be lost.
type sample int

func (sample) EventType() Type { return TypeSample }

func TestOrderAndClock(t *testing.T) {
	at := time.Duration(0)
	s := NewStream("r1", func() time.Duration { at += time.Millisecond; return at })
	var got []string
	s.Subscribe(func(e Event) {
		got = append(got, fmt.Sprintf("%s %d %s %s %s", e.Run, e.Seq, e.At, e.Lane, e.Type))
	})
	s.Emit("", Begin{Kind: "race"})
	s.Emit("a", Phase{"preparing"})
	s.Emit("a", sample(3))
	s.Close()
	if got, want := strings.Join(got, ", "), "r1 1 1ms  begin, r1 2 2ms a phase, r1 3 3ms a sample"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if s.Run() != "r1" || s.Now() != 4*time.Millisecond {
		t.Errorf("run %s at %s", s.Run(), s.Now())
	}
}

// numbers returns a subscriber that counts what it is told of and reports events out
// of order and numbers that no event explains, which would be lost ones.
func numbers(t *testing.T, from uint64, lanes map[string]int) func(Event) {
	t.Helper()
	last, at := from, time.Duration(0)
	return func(e Event) {
		n := 1
		if d, ok := e.Data.(Dropped); ok {
			n = d.Count
		}
		if e.Seq != last+uint64(n) || e.At < at {
			t.Errorf("%s has number %d at %s after %d at %s", e.Type, e.Seq, e.At, last, at)
		}
		last, at = e.Seq, e.At
		lanes[string(e.Type)] += n
	}
}

// A subscriber that does not read delays nobody, loses progress and telemetry alone, and
// is told how much of them where they are missing.
func TestSlowReader(t *testing.T) {
	const samples = 3 * capacity
	s := NewStream("r1", nil)
	hold := make(chan struct{})
	slow, quick := map[string]int{}, map[string]int{}
	count, next := numbers(t, 0, slow), 0
	s.Subscribe(func(e Event) {
		<-hold
		count(e)
		if d, ok := e.Data.(sample); ok {
			if int(d) != next {
				t.Errorf("sample %d where %d is next", d, next)
			}
			next++
		}
	})
	s.Subscribe(numbers(t, 0, quick))
	for i := range samples {
		s.Emit("a", sample(i))
		if i%2 == 0 {
			s.Emit("a", Progress{Done: i})
		} else {
			s.Emit("", Telemetry{})
		}
	}
	close(hold)
	s.Close()
	if next != samples || slow["progress"]+slow["telemetry"]+slow["dropped"] != samples || slow["dropped"] < samples-capacity {
		t.Errorf("the slow subscriber got %v of %d each", slow, samples)
	}
	if quick["sample"] != samples || quick["progress"]+quick["telemetry"]+quick["dropped"] != samples {
		t.Errorf("the other one got %v of %d each", quick, samples)
	}
}

// The ring is as large as what must be kept, whatever progress there is, and what lies
// around its end when it grows stays in order.
func TestRingGrows(t *testing.T) {
	var got []sample
	r := &ring{events: make([]Event, capacity), each: func(e Event) {
		if d, ok := e.Data.(sample); ok {
			got = append(got, d)
		}
	}}
	r.more = sync.NewCond(&r.mu)
	seq := uint64(0)
	push := func(d Data) {
		seq++
		r.push(Event{Seq: seq, Type: d.EventType(), Data: d})
	}
	take := func(n int) {
		for range n {
			e, _ := r.next()
			r.each(e)
		}
	}
	for i := range capacity {
		push(sample(i))
	}
	for range 10 * capacity {
		push(Progress{})
	}
	if r.count != capacity || len(r.events) != capacity {
		t.Errorf("%d events in a ring of %d", r.count, len(r.events))
	}
	take(100) // then the oldest is in the middle
	for i := range 2 * capacity {
		push(sample(capacity + i))
	}
	take(r.count)
	if len(got) != 3*capacity || !slices.IsSorted(got) {
		t.Errorf("%d of %d samples in order %v", len(got), 3*capacity, slices.IsSorted(got))
	}
}

// What is dropped last, with nothing behind it, is told of too.
func TestDroppedAtTheEnd(t *testing.T) {
	s := NewStream("r1", nil)
	hold := make(chan struct{})
	got := map[string]int{}
	count := numbers(t, 0, got)
	s.Subscribe(func(e Event) { <-hold; count(e) })
	for range 2 * capacity {
		s.Emit("a", Progress{})
	}
	close(hold)
	s.Close()
	if got["progress"]+got["dropped"] != 2*capacity || got["dropped"] < capacity-1 {
		t.Errorf("%v of %d", got, 2*capacity)
	}
}

// Several senders, several readers: nobody misses an event, and all see them in one
// order.
func TestConcurrent(t *testing.T) {
	const senders, each = 4, 1000
	s := NewStream("r1", nil)
	var order [3][]string
	for i := range order {
		count := numbers(t, 0, map[string]int{})
		s.Subscribe(func(e Event) {
			count(e)
			order[i] = append(order[i], fmt.Sprint(e.Lane, e.Data))
		})
	}
	var wg sync.WaitGroup
	for lane := range senders {
		wg.Go(func() {
			for i := range each {
				s.Emit(fmt.Sprint(lane), sample(i))
			}
		})
	}
	wg.Wait()
	s.Close()
	for i, got := range order {
		if len(got) != senders*each || !slices.Equal(got, order[0]) {
			t.Errorf("reader %d got %d events of %d, in the first one's order: %v", i, len(got), senders*each, slices.Equal(got, order[0]))
		}
	}
}

// A subscriber may emit: what it emits comes after what it was told of, to all.
func TestReaderEmits(t *testing.T) {
	s := NewStream("r1", nil)
	echoed := make(chan struct{})
	var got []string
	s.Subscribe(func(e Event) {
		got = append(got, fmt.Sprintf("%d %s", e.Seq, e.Type))
		if e.Type == TypeSample {
			for range 2 * capacity { // more than its own ring holds
				s.Emit("", Note{Text: "echo"})
			}
			close(echoed)
		}
	})
	s.Emit("a", sample(0))
	<-echoed
	s.Close()
	if len(got) != 1+2*capacity || got[1] != "2 note" {
		t.Errorf("%d events, %.40q", len(got), got)
	}
}

// A subscriber that comes late gets what comes later, without being told that it
// missed something. One that comes after the end gets nothing.
func TestLateSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it ends when all goroutines have
		s := NewStream("r1", nil)
		s.Emit("a", sample(0))
		s.Emit("a", sample(1))
		got := map[string]int{}
		s.Subscribe(numbers(t, 2, got))
		s.Emit("a", sample(2))
		s.Close()
		s.Subscribe(func(e Event) { t.Errorf("event %d after the end", e.Seq) })
		s.Emit("a", sample(3))
		s.Close()
		if got["sample"] != 1 || len(got) != 1 {
			t.Errorf("got %v", got)
		}
	})
}

// Close while senders still emit: what was emitted before arrives, what comes later
// goes to nobody, and nobody waits for anybody.
func TestCloseWhileEmitting(t *testing.T) {
	s := NewStream("r1", nil)
	got := map[string]int{}
	s.Subscribe(numbers(t, 0, got))
	const before = 100
	for i := range before {
		s.Emit("a", sample(i))
	}
	var wg sync.WaitGroup
	begun := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for i := range 10_000 {
				s.Emit("b", sample(i))
				if i == 10 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range 4 {
		<-begun
	}
	wg.Go(s.Close) // a second one at the same time
	s.Close()
	arrived := got["sample"]
	wg.Wait()
	if arrived < before+4*10 || arrived != got["sample"] {
		t.Errorf("%d events until Close returned, %d later", arrived, got["sample"])
	}
}

// Telling something costs no allocation but the payload's.
func TestEmitAllocates(t *testing.T) {
	s := NewStream("r1", nil)
	defer s.Close()
	s.Subscribe(func(Event) {})
	var payload Data = Phase{"measuring"}
	if n := testing.AllocsPerRun(capacity/2, func() { s.Emit("a", payload) }); n != 0 {
		t.Errorf("%v allocations for an event", n)
	}
}

func TestDiscard(t *testing.T) {
	s := NewStream("r1", func() time.Duration { return 7 })
	s.Subscribe(func(e Event) { t.Errorf("event %d", e.Seq) })
	quiet := s.Quiet()
	quiet.Emit("a", sample(0))
	s.Close()
	if quiet.Now() != 7 {
		t.Errorf("its clock shows %d", quiet.Now())
	}
}

func TestJSON(t *testing.T) {
	text, err := json.Marshal(Event{Run: "r1", Seq: 7, At: time.Second, Lane: "gocpu/cpu", Type: TypeSize, Data: Size{1, 2, 3}})
	if want := `{"run":"r1","seq":7,"at_ns":1000000000,"lane":"gocpu/cpu","type":"size","data":{"m":1,"n":2,"k":3}}`; err != nil || string(text) != want {
		t.Errorf("%s, %v, want %s", text, err, want)
	}
}

// BenchmarkEmit is what telling something costs between two samples, with a payload
// that is made for it.
func BenchmarkEmit(b *testing.B) {
	for _, readers := range []int{0, 1, 3} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			s := NewStream("r1", nil)
			for range readers {
				s.Subscribe(func(Event) {})
			}
			b.ReportAllocs()
			for b.Loop() {
				s.Emit("a", Phase{"measuring"})
			}
			s.Close()
		})
	}
}
