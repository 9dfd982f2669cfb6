package store

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/record"
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
