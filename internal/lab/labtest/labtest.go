// Package labtest watches what a lab tells while its tests run it, and compares that
// with the record that it returns. It is for tests alone.
package labtest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/record"
)

// A Watch collects the events of a stream.
type Watch struct {
	*event.Stream
	events []event.Event
}

// New returns a watched stream on a clock.
func New(clock *fake.Clock) *Watch {
	start := clock.Now()
	w := &Watch{Stream: event.NewStream("run-1", func() time.Duration { return clock.Now().Sub(start) })}
	w.Subscribe(func(e event.Event) { w.events = append(w.events, e) })
	return w
}

// Events ends the stream and returns all that was told.
func (w *Watch) Events() []event.Event {
	w.Close()
	return w.events
}

// Lines returns the events in short, one per line: what, in which lane, and of a note
// or a phase which. What comes several times in a row is one line.
func Lines(events []event.Event) string {
	var lines []string
	for _, e := range events {
		line := strings.TrimSpace(string(e.Type) + " " + e.Lane)
		switch d := e.Data.(type) {
		case event.Note:
			line += ": " + d.Text
		case event.Phase:
			line += ": " + d.Phase
		case event.Size:
			line += fmt.Sprintf(": %d×%d×%d", d.M, d.N, d.K)
		}
		if len(lines) == 0 || lines[len(lines)-1] != line {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// Agrees fails the test unless the events tell all that the record of a race or a
// sweep has measured, and nothing else: the record comes last, every lane was
// announced, and samples and results are the same.
func Agrees(t *testing.T, events []event.Event, r *record.Run) {
	t.Helper()
	if len(events) == 0 || events[len(events)-1].Data != event.Data(r) {
		t.Errorf("the last event is not the record that was returned")
	}
	announced := map[string]bool{}
	told, kept := map[string][]bench.Sample{}, map[string][]bench.Sample{}
	last := map[string]*bench.Result{}
	for i, e := range events {
		if e.Run != r.ID || e.Seq != uint64(i+1) {
			t.Errorf("event %d is number %d of run %q, not of %q", i+1, e.Seq, e.Run, r.ID)
		}
		switch d := e.Data.(type) {
		case event.Lane:
			announced[e.Lane] = true
		case bench.Sample:
			told[e.Lane] = append(told[e.Lane], d)
		case *bench.Result:
			last[e.Lane] = d
			if d.Lane != e.Lane {
				t.Errorf("a result of %q is told of in lane %q", d.Lane, e.Lane)
			}
		}
		if e.Lane != "" && e.Type != event.TypeResult && !announced[e.Lane] {
			t.Errorf("%s of a lane %q that was not announced", e.Type, e.Lane)
		}
	}
	for _, point := range r.Points() {
		var ids []string
		for _, x := range point {
			if slices.Contains(ids, x.Lane) || x.Lane == "" {
				t.Errorf("two results are of lane %q", x.Lane)
			}
			ids = append(ids, x.Lane)
			if len(x.Samples) > 0 {
				kept[x.Lane] = append(kept[x.Lane], x.Samples...)
			}
		}
	}
	if d := cmp.Diff(kept, told); d != "" {
		t.Errorf("samples in the record and in events (+) differ: %s", d)
	}
	final := r.Points()
	if len(final) > 0 {
		for _, x := range final[len(final)-1] {
			if last[x.Lane] != x {
				t.Errorf("the last result of %s that was told of is not the record's", x.Lane)
			}
		}
	}
}

// ReadsBack fails the test if the record that Write makes of r is not read as r.
func ReadsBack(t *testing.T, r *record.Run) {
	t.Helper()
	var text bytes.Buffer
	if err := record.Write(&text, r); err != nil {
		t.Fatal(err)
	}
	back, err := record.Parse(text.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, back, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("read back: %s", d)
	}
}
