package worker

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

func TestStarts(t *testing.T) {
	tests := []struct {
		script string
		code   fault.Code // "" for a worker that is fine
		says   string
	}{
		{"honest", "", ""},
		{"banner", "", ""},
		{"ends", fault.Crashed, "ended with exit code 0 while starting"},
		{"fails", fault.Crashed, "ended with exit code 3 while starting: “ImportError: libfoo.so.1: no such file”"},
		{"newer", fault.Unavailable, "worker speaks protocol 3, this gpuplay speaks 2"},
		{"other", fault.Unavailable, `worker is engine "duck", not "fake"`},
		{"nonsense", fault.Internal, "worker's answer to hello is not understood"},
	}
	for _, tt := range tests {
		t.Run(tt.script, func(t *testing.T) {
			found, err := client(t, tt.script).Devices(limit(t))
			if tt.code == "" {
				if err != nil || len(found.Devices) != 1 || found.Devices[0].ID != "one" {
					t.Fatalf("devices = %+v, %v", found, err)
				}
				return
			}
			if !errors.Is(err, tt.code) || !strings.HasPrefix(err.Error(), tt.says) {
				t.Errorf("error %v, want %s: %s", err, tt.code, tt.says)
			}
		})
	}
}

func TestStartNeedsAProgram(t *testing.T) {
	c := &Client{Engine: "fake", Path: "/no/such/program", Args: []string{"program"}}
	if _, err := c.Devices(limit(t)); !errors.Is(err, fault.Unavailable) {
		t.Errorf("error %v, want unavailable", err)
	}
}

// A worker that never gives a right answer costs no more than the caller's time
// limit, and its process is gone afterwards.
func TestStartEndsWithTheContext(t *testing.T) {
	for _, script := range []string{"deaf", "neither"} {
		ctx, cancel := context.WithCancel(limit(t))
		c := client(t, script)
		c.Trace = cancelAt{"→", cancel} // once the request is on its way
		if _, err := c.Devices(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v, want context.Canceled", script, err)
		}
	}
}

// cancelAt cancels when a trace line begins with a mark.
type cancelAt struct {
	mark   string
	cancel func()
}

func (c cancelAt) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), c.mark) {
		c.cancel()
	}
	return len(p), nil
}

func TestEndlessLineIsCut(t *testing.T) {
	_, err := client(t, "endless").Devices(limit(t))
	if !errors.Is(err, fault.Crashed) || !strings.Contains(err.Error(), "output is no protocol") {
		t.Errorf("error %v, want a crash for output without end", err)
	}
}

func TestEndsInMidWork(t *testing.T) {
	tests := []struct {
		script string
		code   fault.Code
		says   string
	}{
		{"stacks", fault.Crashed, "ended with exit code 2 while computing: “panic: index out of range [7]”"},
		{"panics", fault.Crashed, "ended with exit code 2 while computing: “panic: index out of range [7]”"},
		{"memory", fault.OutOfMemory, "ended with exit code 2 while preparing: “fatal error: runtime: out of memory”"},
		{"escapes", fault.Crashed, "ended with exit code 2 while computing: “[2Jred [31malert”"},
		{"exits", fault.Crashed, "ended with exit code 7 while being checked"},
		{"typed", fault.OutOfMemory, "no room"},
	}
	for _, tt := range tests {
		t.Run(tt.script, func(t *testing.T) {
			err := work(limit(t), client(t, tt.script))
			if !errors.Is(err, tt.code) || err.Error() != tt.says {
				t.Errorf("error %v, want %s: %s", err, tt.code, tt.says)
			}
			var e *fault.Error
			if !errors.As(err, &e) || len(e.Remedies) == 0 {
				t.Errorf("error %v has no remedy", err)
			}
		})
	}
}

// work does all that a lane does.
func work(ctx context.Context, c *Client) error {
	task, err := prepareOne(ctx, c)
	if err != nil {
		return err
	}
	defer task.Close()
	if _, err := task.Run(ctx, 1, 0); err != nil {
		return err
	}
	_, err = task.MulVec(ctx, []float64{1, math.Inf(1), math.NaN()})
	return err
}

func prepareOne(ctx context.Context, c *Client) (bench.Task, error) {
	return c.Prepare(ctx, hardware.Device{ID: "one"}, bench.Square(3, matrix.Float32), 1, func(bench.Tuning) {})
}

// What an engine's library prints to standard output goes into the log, on systems
// where that can be done, and is never taken for an answer.
func TestSurvivesGarbage(t *testing.T) {
	if err := work(limit(t), client(t, "prints")); err != nil {
		t.Error(err)
	}
}

// A worker that is killed while it prepares is not given to the next task, however
// soon that comes.
func TestKilledWhilePreparing(t *testing.T) {
	for range 20 {
		c := client(t, "slow")
		if err := c.Reserve(limit(t), 1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(limit(t))
		oneOf(c).trace = cancelAt{`→ {"id":2,"op":"prepare"`, cancel}
		if _, err := prepareOne(ctx, c); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v, want context.Canceled", err)
		}
		ch, err := c.take(limit(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ask(limit(t), ch, hello, Hello{Protocol: Protocol, Options: []byte("{}")}, exchange[None]{}); err != nil {
			t.Fatalf("the next worker: %v", err)
		}
		c.Close()
	}
}

func TestKilledWorkerIsReplaced(t *testing.T) {
	ctx := limit(t)
	c := client(t, "honest")
	tk, err := prepareOne(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	tk.(*task).child.kill()
	_, err = tk.Run(ctx, 1, 0)
	if !errors.Is(err, fault.Crashed) || !strings.HasPrefix(err.Error(), "was killed while computing") {
		t.Errorf("error %v, want killed while computing", err)
	}
	if e := fault.From(err); e.Remedies.String() != "the system kills a process when memory runs out: try a smaller size" || smallerSize[0].Text != "a smaller {}" {
		t.Errorf("remedies %s", e.Remedies)
	}
	tk.Close()
	if err := work(ctx, c); err != nil {
		t.Errorf("the next task: %v", err)
	}
}

// Cancelling a product that does not end kills its worker and nothing else.
func TestCancelKills(t *testing.T) {
	c := client(t, "hangs")
	task, err := prepareOne(limit(t), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := task.Run(limit(t), 1, 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(limit(t))
	oneOf(c).trace = cancelAt{`→ {"id":4,"op":"run"`, cancel}
	if _, err := task.Run(ctx, 1, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	task.Close()
	if _, err := prepareOne(limit(t), c); err != nil {
		t.Errorf("the next task: %v", err)
	}
}

func oneOf(c *Client) *child {
	for ch := range c.all {
		return ch
	}
	return nil
}

// A task keeps its worker to itself, and closing it gives the worker back.
func TestWorkersAreReused(t *testing.T) {
	ctx := limit(t)
	c := client(t, "honest")
	if err := c.Reserve(ctx, 2); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		a, err := prepareOne(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		b, err := prepareOne(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		if a.(*task).child == b.(*task).child {
			t.Fatal("two tasks share a worker")
		}
		a.Close()
		b.Close()
	}
	if len(c.all) != 2 {
		t.Errorf("%d workers were started, want 2", len(c.all))
	}
	all := c.all
	c.Close()
	for ch := range all {
		if !ch.gone() {
			t.Error("a worker outlived Close")
		}
	}
}

// Closing one link leaves its siblings alone, also in the middle of what they do.
func TestCloseLeavesSiblingsAlone(t *testing.T) {
	c := client(t, "speaker")
	var links [3]*Link
	for i := range links {
		var err error
		if links[i], err = c.Dial(limit(t)); err != nil {
			t.Fatal(err)
		}
	}
	idle, err := c.take(limit(t))
	if err != nil {
		t.Fatal(err)
	}
	c.release(idle)
	for i, l := range links[:2] { // the third speaks while the others are closed
		if _, _, err := Do(limit(t), links[2], Generate, GenerateArgs{Tokens: 3}, func(k llm.Token) {
			if k.ID == 1 {
				go l.Close()
			}
		}, 0); err != nil {
			t.Fatalf("closing link %d: %v", i, err)
		}
		l.Close()
		if !l.child.gone() {
			t.Errorf("link %d is closed and its process lives", i)
		}
		if _, _, err := Do(limit(t), l, Generate, GenerateArgs{}, nil, 0); !errors.Is(err, fault.Interrupted) {
			t.Errorf("a closed link: %v", err)
		}
	}
	if !idle.usable() {
		t.Error("an idle worker ended with a link")
	}
}

// Half a line that was printed before a response does not swallow it, and noise that
// looks like a response to what nobody asked is passed over.
func TestNoise(t *testing.T) {
	p := newPeer(t)
	go func() {
		p.in.line()
		io.WriteString(p.out, "half a line\n{\"id\":1,\"event\":{\"type\":\"token\",\"data\":{\"id\":7}}}\n"+
			"{\"id\":9,\"result\":{},\"bytes\":100}\n[1]\n{\"id\":1}\n{\"id\":1,\"event\":{\"type\":\"mood\",\"data\":{\"id\":\"good\"}}}\nhalf \n{\"id\":1,\"result\":{\"tokens\":1}}\n")
	}()
	var got []int
	g, _, err := Do(limit(t), &Link{child: p.child}, Generate, GenerateArgs{}, func(k llm.Token) { got = append(got, k.ID) }, 0)
	if err != nil || g.Tokens != 1 || !slices.Equal(got, []int{7}) {
		t.Errorf("%+v, tokens %v, %v", g, got, err)
	}
	p = newPeer(t)
	go func() {
		p.in.line()
		io.WriteString(p.out, "{\"id\":1,\"event\":{\"type\":\"token\",\"data\":{\"id\":\"x\"}}}\n{\"id\":1,\"result\":{}}\n")
	}()
	if _, _, err := Do(limit(t), &Link{child: p.child}, Generate, GenerateArgs{}, func(llm.Token) {}, 0); !errors.Is(err, fault.Internal) || !strings.HasPrefix(err.Error(), "worker's event token is not understood") {
		t.Errorf("an event that is no token: %v", err)
	}
}

// TestJournal: the line of a Go program's crash is kept however much follows it, in
// pieces of any size, and forgotten with the next request.
func TestJournal(t *testing.T) {
	for _, piece := range []int{1, 7, 4096, 1 << 20} {
		j := &journal{}
		for rest := "odd: but fine\nfatal error: out of luck\n" + stacks + "exit status 2\n"; rest != ""; {
			n := min(piece, len(rest))
			j.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		if got := j.words(); got != "fatal error: out of luck" {
			t.Errorf("pieces of %d: %q", piece, got)
		}
		if len(j.text) > 2*journalSize {
			t.Errorf("%d bytes are kept", len(j.text))
		}
		j.turn()
		if got := j.words(); got != "exit status 2" {
			t.Errorf("pieces of %d, after the next request: %q", piece, got)
		}
	}
}
