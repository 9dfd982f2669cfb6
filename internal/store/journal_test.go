package store

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/train"
)

var (
	kills = flag.Int("kills", 6, "how many times TestKill kills a process")
	seed  = flag.Uint64("seed", 0, "of TestKill's points in time; 0: another one each time")
)

// victim is the variable that has this binary measure into the store of a folder until
// it is killed.
const victim = "GPUPLAY_TEST_VICTIM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(victim); dir != "" {
		measureForEver(dir)
	}
	os.Exit(m.Run())
}

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

// measureForEver keeps one run after the other and says so: "sample ID" when the journal
// has another sample of a run, "kept ID" when the store has the run. After each word it
// waits for an answer.
func measureForEver(dir string) {
	answers := bufio.NewReader(os.Stdin)
	say := func(what, id string) {
		fmt.Println(what, id)
		answers.ReadByte()
	}
	fail := func(err error) {
		if err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
	}
	for i := rand.IntN(len(victims)); ; i++ {
		r := victims[i%len(victims)]()
		j, err := Begin(dir, r.ID, "victim")
		fail(err)
		say("began", r.ID)
		tell(r, func(e event.Event) {
			j.Observe(e)
			step, ok := e.Data.(record.Opened)
			if ok = ok && figures(step.Run) > 0; ok || e.Type == event.TypeSample {
				_, whole := j.Whole()
				if !whole {
					fail(fmt.Errorf("the journal of %s is not whole", r.ID))
				}
				say("sample", r.ID)
			}
		})
		s, err := Open(dir)
		fail(err)
		_, _, err = s.Keep(r, "victim", "")
		fail(err)
		fail(s.Close())
		say("kept", r.ID)
		j.Remove()
	}
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

// A process is killed at random points of measuring, keeping and cleaning up. After each
// of them the store opens, is sound, and has every run that was kept, and of the run in
// flight every sample that the journal had.
func TestKill(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d", *seed)
	random := rand.New(rand.NewPCG(*seed, 0))
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{} // runs, with the samples that they have at least
	for range *kills {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), victim+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		in, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		// A run has as many words as samples, one before and one after them. Half of the
		// processes are killed while they keep a run, the others anywhere.
		words, after := 1+random.IntN(2*(samples+2)), time.Duration(random.Int64N(int64(6*time.Millisecond)))
		if random.IntN(2) == 0 {
			words = 1 + samples
		}
		lines := bufio.NewScanner(out)
		note := func() {
			what, id, _ := strings.Cut(lines.Text(), " ")
			switch what {
			case "sample":
				want[id]++
			case "kept":
				want[id] = samples
			case "failed:":
				t.Errorf("seed %d: %s", *seed, lines.Text())
			}
		}
		for i := 0; i < words && lines.Scan(); i++ {
			note()
			in.Write([]byte{'\n'})
		}
		time.Sleep(after) // no event marks a point within a transaction
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			note()
		}
		cmd.Wait()

		s, err := Open(dir)
		if err != nil {
			t.Fatalf("seed %d: %v", *seed, err)
		}
		for id, n := range want {
			if n == 0 {
				continue
			}
			e, err := s.Find(id)
			if err != nil {
				t.Fatalf("seed %d: %v, with %d samples", *seed, err, n)
			}
			r, err := s.Run(e)
			if err != nil {
				t.Fatalf("seed %d: %v", *seed, err)
			}
			if got := figures(r); got < n || e.Tag != "victim" {
				t.Fatalf("seed %d: run %s has %d samples of at least %d, tag %q", *seed, e.Name, got, n, e.Tag)
			}
			delete(want, id) // it never changes
		}
		s.Close()
		if left, _ := filepath.Glob(filepath.Join(dir, running, "*.jsonl")); len(left) > 0 {
			t.Errorf("seed %d: %v are left", *seed, left)
		}
	}
	if err := check(dir); err != nil {
		t.Errorf("seed %d: %v", *seed, err)
	}
	_, total, err := opened(t, dir).List(Filter{})
	t.Logf("%d runs after %d kills, %v", total, *kills, err)
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

// A journal that ends anywhere gives what it has, and a whole one the record itself.
func TestAssemble(t *testing.T) {
	r := race()
	var all []event.Event
	tell(r, func(e event.Event) { all = append(all, e) })
	first := len(r.Results[0].Samples)
	for n := 0; n <= len(all); n++ {
		if n%4 != 0 && n < len(all)-len(r.Results)-2 { // one sample is like another
			continue
		}
		dir := t.TempDir()
		told, finished := map[string]int{}, map[string]bool{}
		journal(t, dir, r, "before", func(each func(event.Event)) {
			for _, e := range all[:n] {
				each(e)
				switch e.Data.(type) {
				case bench.Sample:
					told[e.Lane]++
				case *bench.Result:
					finished[e.Lane] = true
				}
			}
		})
		if len(told) == 0 {
			if _, total, err := opened(t, dir).List(Filter{}); total != 0 || err != nil {
				t.Errorf("%d events without a sample came to %d runs, %v", n, total, err)
			}
			continue
		}
		got, e := only(t, dir)
		if e.Tag != "before" || e.Origin != "" || got.ID != r.ID {
			t.Fatalf("%+v", e)
		}
		if n == len(all) {
			if d := cmp.Diff(r, got); d != "" {
				t.Errorf("a whole journal (-told +kept):\n%s", d)
			}
			continue
		}
		if !got.Interrupted || got.Machine.CPU != r.Machine.CPU || got.Elapsed == 0 {
			t.Errorf("%d events: %+v", n, got)
		}
		for _, x := range got.Results {
			if len(x.Samples) != told[x.Lane] {
				t.Errorf("%d events: %s has %d samples of %d", n, x.Lane, len(x.Samples), told[x.Lane])
			}
			if x.Verified() != finished[x.Lane] || x.Has(measure.Interrupted) == finished[x.Lane] {
				t.Errorf("%d events: %s is verified: %v, %v", n, x.Lane, x.Verified(), x.Warnings)
			}
		}
	}
	if first == 0 {
		t.Fatal("no samples")
	}
}

// What is not measured in lanes side by side is kept as far as it was told: the steps of a
// run, and the results of a lane that is measured again and again.
func TestAssembleSteps(t *testing.T) {
	for _, r := range []*record.Run{victims[1](), victims[2]()} {
		var all []event.Event
		tell(r, func(e event.Event) { all = append(all, e) })
		told, whole := 0, 0
		for i, e := range all[:len(all)-1] {
			switch d := e.Data.(type) {
			case record.Opened:
				told = figures(d.Run)
			case bench.Sample:
				told++
			case *bench.Result:
				whole++
			case event.Progress: // no journal has it
				continue
			}
			dir := t.TempDir()
			journal(t, dir, r, "", func(each func(event.Event)) {
				for _, e := range all[:i+1] {
					each(e)
				}
			})
			if told == 0 {
				if _, total, err := opened(t, dir).List(Filter{}); total != 0 || err != nil {
					t.Errorf("event %d: %d runs without a figure, %v", i, total, err)
				}
				continue
			}
			got, _ := only(t, dir)
			if n := figures(got); n != told || !got.Interrupted || got.Elapsed == 0 {
				t.Errorf("event %d: %d figures of %d, interrupted: %v, after %s", i, n, told, got.Interrupted, got.Elapsed)
			}
			if got.Noise == nil {
				continue
			}
			if d := cmp.Diff(r.Noise.Results[:whole], got.Noise.Results[:whole]); d != "" {
				t.Errorf("event %d: a result that was told (-told +kept):\n%s", i, d)
			}
			for _, x := range got.Noise.Results[whole:] {
				if x.Verified() || !x.Has(measure.Interrupted) {
					t.Errorf("event %d: the result in flight is verified: %v, %v", i, x.Verified(), x.Warnings)
				}
			}
		}
	}
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

// Rounds of a language model and steps of a training are kept too.
func TestAssembleOthers(t *testing.T) {
	for name, r := range recordtest.Tokens() {
		if !r.Measured() {
			continue
		}
		r.ID = record.NewID()
		dir := t.TempDir()
		journal(t, dir, r, "", func(each func(event.Event)) {
			emit := func(lane string, d event.Data) {
				each(event.Event{Run: r.ID, Seq: 1, At: time.Second, Lane: lane, Type: d.EventType(), Data: d})
			}
			head, tokens := *r, *r.Tokens
			tokens.Results = []*llm.Result{}
			head.Tokens = &tokens
			emit("", record.Opened{Run: &head})
			for _, x := range r.Tokens.Results {
				emit(x.Lane, event.Lane{Name: x.Name, Engine: x.Runtime})
				emit(x.Lane, llm.Loaded{Model: r.Tokens.Model.Name, Settings: x.Settings, Facts: x.Facts})
				for _, s := range x.Samples {
					emit(x.Lane, s)
				}
			}
		})
		got, _ := only(t, dir)
		for i, x := range got.Tokens.Results {
			want := r.Tokens.Results[i]
			if d := cmp.Diff(want.Samples, x.Samples); d != "" || x.Name != want.Name || x.Runtime != want.Runtime || !x.Has(measure.Interrupted) || !cmp.Equal(x.Facts, want.Facts) {
				t.Errorf("%s, %s: %+v\n%s", name, x.Lane, x, d)
			}
		}
	}
	for name, r := range recordtest.Trainings() {
		if r.Training == nil || len(r.Training.Result.Steps) == 0 {
			continue
		}
		r.ID = record.NewID()
		dir := t.TempDir()
		journal(t, dir, r, "", func(each func(event.Event)) {
			emit := func(d event.Data) {
				each(event.Event{Run: r.ID, Seq: 1, At: time.Second, Lane: "torch/cpu", Type: d.EventType(), Data: d})
			}
			head, training := *r, *r.Training
			training.Result = train.Result{Steps: []train.Step{}, End: train.Interrupted}
			head.Training = &training
			emit(record.Opened{Run: &head})
			emit(train.Planned{Plan: *r.Training.Result.Plan, Estimate: r.Training.Result.Estimate})
			for _, s := range r.Training.Result.Steps {
				emit(s)
			}
		})
		got, _ := only(t, dir)
		want := r.Training.Result
		if d := cmp.Diff(want.Steps, got.Training.Result.Steps); d != "" || !cmp.Equal(got.Training.Result.Plan, want.Plan) || got.Training.Result.End != train.Interrupted || !got.Interrupted {
			t.Errorf("%s:\n%s", name, d)
		}
	}
}
