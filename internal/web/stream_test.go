package web

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
)

// sse is one message as a browser reads it.
type sse struct{ id, name, data string }

// read returns messages until one has that text in its data, or all are read.
func read(t *testing.T, body io.Reader, until string) (list []sse) {
	t.Helper()
	var m sse
	for lines := bufio.NewScanner(body); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		switch key {
		case "id":
			m.id = value
		case "event":
			m.name = value
		case "data":
			m.data = value
		case "":
			if m.name != "clock" {
				list = append(list, m)
			}
			if strings.Contains(m.data, until) {
				return list
			}
			m = sse{}
		}
	}
	t.Fatalf("the stream ended before %s: %v", until, list)
	return nil
}

// emit has the hub pass on notes of a run.
func emit(h *hub, from, to int) {
	for i := from; i < to; i++ {
		h.observe(event.Event{Run: "r1", Seq: uint64(i), At: time.Duration(i), Type: event.TypeNote, Data: event.Note{Text: fmt.Sprintf("n%d.", i)}})
	}
}

// A stream that was cut goes on behind the last event that the page has seen: nothing is
// missing, and nothing comes twice.
func TestResume(t *testing.T) {
	s := newServer(t)
	ts := httpServer(t, s)
	first := stream(t, ts, "")
	read(t, first, `"launch"`)
	emit(s.hub, 0, 10)
	list := read(t, first, "n9.")
	first.Close()
	last := list[len(list)-1].id
	emit(s.hub, 10, 20)
	for _, after := range []string{last, "after=" + last} {
		second := read(t, stream(t, ts, after), "n19.")
		if len(list) != 10 || len(second) != 11 || !strings.Contains(second[0].data, `"resumed":true`) {
			t.Fatalf("%s: %d and %d messages: %v", after, len(list), len(second), second)
		}
		for i, m := range second[1:] {
			if !strings.Contains(m.data, fmt.Sprintf("n%d.", 10+i)) {
				t.Errorf("%s: message %d is %v", after, i, m)
			}
		}
	}
}

// A page that was away for longer than the server remembers is told how many events it
// missed, and gets those that are left.
func TestGap(t *testing.T) {
	s := newServer(t)
	ts := httpServer(t, s)
	emit(s.hub, 0, 1)
	emit(s.hub, 1, ringEvents+101)
	list := read(t, stream(t, ts, s.hub.launch+".1"), fmt.Sprintf("n%d.", ringEvents+100))
	if len(list) != ringEvents+2 || list[1].name != "gap" || list[1].data != `{"missed":100}` || !strings.Contains(list[2].data, "n101.") {
		t.Errorf("%d messages, then %v", len(list), list[:3])
	}
}

// An id of another launch, or nonsense, is no place in this stream.
func TestForeignID(t *testing.T) {
	s := newServer(t)
	emit(s.hub, 0, 3)
	for id, want := range map[string]bool{"": false, "other.2": false, s.hub.launch + ".2": true, s.hub.launch + ".x": false, s.hub.launch + ".4": false, s.hub.launch: false} {
		if _, ok := s.hub.resume(id); ok != want {
			t.Errorf("%q: %v", id, ok)
		}
	}
}

// The memory for events is limited by their size, too.
func TestRing(t *testing.T) {
	h := newHub("x")
	large := []byte(strings.Repeat("x", ringBytes/4))
	for range 10 {
		h.add("", large)
	}
	if len(h.ring) != 4 || h.first != 7 || h.bytes != ringBytes {
		t.Errorf("%d messages from %d on, %d bytes", len(h.ring), h.first, h.bytes)
	}
	for range 3 * ringEvents {
		h.add("", []byte("x"))
	}
	if len(h.ring) != ringEvents || h.bytes != ringEvents {
		t.Errorf("%d messages, %d bytes", len(h.ring), h.bytes)
	}
}

// A page that is opened while something is measured gets the run from its beginning; one that
// is opened later gets nothing of it.
func TestLate(t *testing.T) {
	s := newServer(t)
	ts := httpServer(t, s)
	run := event.NewStream("r1", nil)
	emit(s.hub, 0, 5)
	s.hub.begin(run, "race")
	emit(s.hub, 5, 8)
	list := read(t, stream(t, ts, ""), "n7.")
	if len(list) != 5 || !strings.Contains(list[0].data, `"current":{"run":"r1","kind":"race"}`) || list[1].name != "begin" {
		t.Errorf("%v", list)
	}
	s.hub.end(ended{Run: "r1", Kind: "race"})
	late := stream(t, ts, "")
	read(t, late, `"launch"`)
	emit(s.hub, 8, 9)
	if list := read(t, late, "n8."); len(list) != 1 {
		t.Errorf("%v", list)
	}
}

// While something is measured, the runner's clock is told though nothing happens; it never
// passes what was told.
func TestClock(t *testing.T) {
	h := newHub("x")
	if _, ok := h.clock(); ok {
		t.Error("a clock without a run")
	}
	h.begin(event.NewStream("r1", func() time.Duration { return time.Second }), "race")
	if at, ok := h.clock(); !ok || at != time.Second-behind {
		t.Errorf("%s, %v", at, ok)
	}
	h.end(ended{})
	if _, ok := h.clock(); ok {
		t.Error("a clock after the run")
	}
}

// The record that ends a run is not passed on: it repeats all events.
func TestRecordIsNotSent(t *testing.T) {
	s := newServer(t, hold(make(chan string, 1)))
	ts := httpServer(t, s)
	body := stream(t, ts, "")
	read(t, body, `"launch"`)
	run, err := s.start(t.Context(), "hold", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.tell([]byte(`"end"`)); err != nil {
		t.Fatal(err)
	}
	list := read(t, body, `"result"`)
	var names []string
	for _, m := range list {
		names = append(names, m.name)
	}
	if got := strings.Join(names, ","); got != "begin,,end" {
		t.Errorf("messages %q: %v", got, list)
	}
}

// The number of open streams has a limit.
func TestReaders(t *testing.T) {
	h := newHub("x")
	for range maxReaders {
		if _, _, ok := h.enter(); !ok {
			t.Fatal("refused")
		}
	}
	if _, _, ok := h.enter(); ok {
		t.Error("one too many")
	}
	h.leave()
	if _, _, ok := h.enter(); !ok {
		t.Error("refused after one left")
	}
}
