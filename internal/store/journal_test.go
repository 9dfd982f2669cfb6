package store

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// samples is how many samples each run of the victim has.
const samples = 12

// victims are the ways in which a run is told: lanes in turns, one lane again and again,
// and steps that are not lanes. Each has as many figures as samples says.
var victims = []func() *record.Run{
	func() *record.Run {
		return race(func(r *record.Run) { r.Results = r.Results[:1]; r.Results[0].Samples = r.Results[0].Samples[:samples] })
	},
	func() *record.Run { return again(3, samples/3) },
	func() *record.Run {
		r := recordtest.Ladders()["ladder"]
		r.ID = record.NewID()
		for len(r.Ladder.Rungs) < samples {
			r.Ladder.Rungs = append(r.Ladder.Rungs, r.Ladder.Rungs[0])
		}
		return r
	},
}

// again returns a run of one lane that was measured several times.
func again(times, each int) *record.Run {
	r := recordtest.Noises()["noise"]
	r.ID = record.NewID()
	r.Noise.Results = r.Noise.Results[:times]
	for _, x := range r.Noise.Results {
		x.Samples = x.Samples[:each]
	}
	return r
}

// figures counts what a victim has measured.
func figures(r *record.Run) (n int) {
	results := r.Results
	switch {
	case r.Ladder != nil:
		return len(r.Ladder.Rungs)
	case r.Noise != nil:
		results = r.Noise.Results
	}
	for _, x := range results {
		n += len(x.Samples)
	}
	return n
}

// tell tells of a run as its lab would.
func tell(r *record.Run, each func(event.Event)) {
	n := uint64(0)
	emit := func(lane string, d event.Data) {
		n++
		each(event.Event{Run: r.ID, Seq: n, At: time.Duration(n) * time.Millisecond, Lane: lane, Type: d.EventType(), Data: d})
	}
	lanes := func(list ...*bench.Result) {
		for _, x := range list {
			p := bench.Prepared(*x)
			p.Samples, p.Check, p.Warnings = []bench.Sample{}, nil, nil
			emit(x.Lane, p)
			emit(x.Lane, bench.Checked{Check: *x.Check})
		}
		for _, x := range list {
			for i, s := range x.Samples {
				emit(x.Lane, s)
				emit(x.Lane, event.Progress{Done: i})
			}
		}
		for _, x := range list {
			emit(x.Lane, x)
		}
	}
	head := *r
	head.Results = nil
	emit("", event.Begin{Schema: event.Schema, Kind: string(r.Kind)})
	switch {
	case r.Ladder != nil:
		for i := range r.Ladder.Rungs {
			head := head
			head.Ladder = &record.Ladder{Size: r.Ladder.Size, Rungs: r.Ladder.Rungs[:i+1]}
			emit("", record.Opened{Run: &head})
		}
	case r.Noise != nil:
		head.Noise = &record.Noise{Runs: r.Noise.Runs, Results: []*bench.Result{}}
		emit("", record.Opened{Run: &head})
		for _, x := range r.Noise.Results {
			lanes(x)
		}
	default:
		emit("", record.Opened{Run: &head})
		lanes(r.Results...)
	}
	emit("", r)
}

// journal writes events into a journal as a process does that is then killed.
func journal(t *testing.T, dir string, r *record.Run, tag string, tell func(each func(event.Event))) {
	t.Helper()
	j, err := Begin(dir, r.ID, tag)
	if err != nil {
		t.Fatal(err)
	}
	tell(j.Observe)
	j.Close()
}

// only returns the one run of a store.
func only(t *testing.T, dir string) (*record.Run, Entry) {
	t.Helper()
	s := opened(t, dir)
	list, total, err := s.List(Filter{})
	if err != nil || total != 1 {
		t.Fatalf("%d runs, %v", total, err)
	}
	r, err := s.Run(list[0])
	if err != nil {
		t.Fatal(err)
	}
	return r, list[0]
}

// The line that was being written is passed over, and so is a journal of nonsense.
func TestTornJournal(t *testing.T) {
	r := race()
	dir := t.TempDir()
	journal(t, dir, r, "", func(each func(event.Event)) {
		tell(r, func(e event.Event) {
			if e.Type != event.TypeRecord && e.Type != event.TypeResult {
				each(e)
			}
		})
	})
	path := filepath.Join(dir, running, r.ID+".jsonl")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text[:len(text)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	for i, nonsense := range []string{"", "{", "null\n", "{}\n{}\n", "{\"tag\":\"x\"}\n{\"type\":\"opened\",\"data\":{}}\n", "\x00\xff\n\n\n"} {
		if err := os.WriteFile(filepath.Join(dir, running, strconv.Itoa(i)+".jsonl"), []byte(nonsense), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := only(t, dir)
	last := len(r.Results) - 1
	if n, all := len(got.Results[last].Samples), len(r.Results[last].Samples); n != all-1 {
		t.Errorf("%d samples of %d", n, all)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, running)); len(left) > 1 {
		t.Errorf("%v are left", left)
	}
}

// A journal that cannot be taken in yet keeps nobody from reading the store.
func TestJournalWaits(t *testing.T) {
	r := race()
	dir := t.TempDir()
	journal(t, dir, r, "", func(each func(event.Event)) { tell(r, each) })
	lock := filepath.Join(dir, running, r.ID+".lock")
	if err := os.Mkdir(lock, 0o700); err != nil { // it cannot be locked
		t.Fatal(err)
	}
	if _, total, err := opened(t, dir).List(Filter{}); total != 0 || err != nil {
		t.Fatalf("%d runs, %v", total, err)
	}
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	only(t, dir)
}

// The journal of a living process is left alone.
func TestLivingJournal(t *testing.T) {
	r := race()
	dir := t.TempDir()
	j, err := Begin(dir, r.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	tell(r, j.Observe)
	if _, total, err := opened(t, dir).List(Filter{}); total != 0 || err != nil {
		t.Fatalf("%d runs, %v", total, err)
	}
	if _, err := os.Stat(j.path); err != nil {
		t.Error(err)
	}
	j.Close()
	only(t, dir)
}
