package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// C·x has no limit but memory: two million rows take more than any line may.
func TestTallProduct(t *testing.T) {
	c := client(t, "tall")
	g := bench.Square(8, matrix.Float32)
	g.M = 2_000_000
	task, err := c.Prepare(limit(t), hardware.Device{ID: "one"}, g, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // what follows a frame is understood
		y, err := task.MulVec(limit(t), []float64{1, 2, 3, 4, 5, 6, 7, 8})
		if err != nil {
			t.Fatal(err)
		}
		if len(y) != g.M || y[0] != 0 || y[g.M-1] != 36 {
			t.Errorf("%d elements, the last %v", len(y), y[g.M-1])
		}
	}
	// And so does x.
	g.M, g.N = 8, g.M
	if err := task.Close(); err != nil {
		t.Fatal(err)
	}
	if task, err = c.Prepare(limit(t), hardware.Device{ID: "one"}, g, 1, nil); err != nil {
		t.Fatal(err)
	}
	x := make([]float64, g.N)
	x[0], x[g.N-1] = 1, 2
	if y, err := task.MulVec(limit(t), x); err != nil || len(y) != 8 || y[7] != 3 {
		t.Errorf("y = %v, %v", y, err)
	}
}

// An engine in a worker tells of its tuning as one in this process does.
func TestTuningIsTold(t *testing.T) {
	var got []bench.Tuning
	task, err := client(t, "honest").Prepare(limit(t), hardware.Device{ID: "one"}, bench.Square(3, matrix.Float32), 1, func(b bench.Tuning) { got = append(got, b) })
	if err != nil {
		t.Fatal(err)
	}
	defer task.Close()
	want := []bench.Tuning{{Done: 1, Total: 3, Variant: "variant 1"}, {Done: 2, Total: 3, Variant: "variant 2"}, {Done: 3, Total: 3, Variant: "variant 3"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// What a foreign worker may send must never be taken for a result.
func TestForeignResults(t *testing.T) {
	tests := []struct {
		reply string // to run
		says  string
	}{
		{`"result":{"iters":2,"wall_ns":5}`, "2 products"},
		{`"result":{"iters":1,"wall_ns":0}`, "1 products in 0s"},
		{`"result":{"iters":1,"wall_ns":-3}`, "1 products in -3ns"},
		{`"result":{"iters":"many"}`, "not understood"},
		{`"result":{"iters":1,"wall_ns":5},"bytes":8`, "8 bytes follow the answer to run where there must be 0"},
		{`"error":{"code":"internal","message":"x"},"bytes":-8`, "-8 bytes follow the answer to run where there must be 0"},
	}
	for _, tt := range tests {
		p := newPeer(t)
		go p.answers(1, tt.reply)
		tk := &task{client: &Client{}, child: p.child, gemm: bench.Square(2, matrix.Float32)}
		if _, err := tk.Run(limit(t), 1, 0); !errors.Is(err, fault.Internal) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want %q", tt.reply, err, tt.says)
		}
	}
}

// A frame of another length than C has rows is refused before there is memory for it,
// and what it is in the way of ends.
func TestForeignFrames(t *testing.T) {
	for _, tt := range []struct {
		reply, says string
	}{
		{`"result":{},"bytes":1000000000000000`, "1000000000000000 bytes follow the answer to mulvec where there must be 16"},
		{`"result":{},"bytes":8`, "8 bytes follow"},
		{`"result":{},"bytes":-16`, "-16 bytes follow"},
		{`"result":{}`, "0 bytes follow"},
	} {
		p := newPeer(t)
		go p.answers(1, tt.reply)
		tk := &task{client: &Client{}, child: p.child, gemm: bench.Square(2, matrix.Float32)}
		if _, err := tk.MulVec(limit(t), []float64{1, 2}); !errors.Is(err, fault.Internal) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want %q", tt.reply, err, tt.says)
		}
		if p.child.usable() {
			t.Errorf("%s: the worker is used further", tt.reply)
		}
	}
}

// An operation that a worker does not have is not asked for.
func TestCapabilities(t *testing.T) {
	link, err := client(t, "speaker").Dial(limit(t))
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	_, _, err = Do(limit(t), link, Train, TrainArgs{Iters: 1}, nil, 0)
	if !errors.Is(err, fault.Unsupported) || err.Error() != "worker has no operation train: it has generate, stop" {
		t.Errorf("error %v", err)
	}
}

// A peer is the worker's end of a child without a process.
type peer struct {
	child *child
	in    wire           // what the parent says
	out   *io.PipeWriter // what the worker says
}

func newPeer(t *testing.T) *peer {
	ch := newChild(nil)
	ch.capabilities = slices.Sorted(maps.Keys(Arguments()))
	fromParent, toChild := io.Pipe()
	fromChild, toParent := io.Pipe()
	ch.destroy = func() { toParent.Close() }
	go func() {
		ch.read(fromChild)
		fromChild.Close()
		fromParent.Close()
		close(ch.exited)
	}()
	go ch.write(toChild)
	t.Cleanup(func() { toParent.Close() })
	return &peer{ch, newWire(fromParent), toParent}
}

// answers reads a request and answers it.
func (p *peer) answers(id int, reply string) {
	p.in.line()
	fmt.Fprintf(p.out, "{\"id\":%d,%s}\n", id, reply)
}

// A worker's answer may come while the user presses Ctrl-C, and the link be closed at
// the same time: whatever comes first, each ends, and nothing is sent that nobody takes.
func TestAnswerMeetsInterrupt(t *testing.T) {
	const rounds = 300
	stopped := 0
	for i := range rounds {
		p := newPeer(t)
		link := &Link{client: &Client{}, child: p.child}
		ctx, cancel := context.WithCancel(limit(t))
		go func() { // a worker that answers at once, whether it is told to stop or not
			for {
				line, err := p.in.line()
				if err != nil {
					p.out.Close() // as a worker ends with its input
					return
				}
				var r request
				if json.Unmarshal(line, &r) != nil || r.Op == stop.name {
					continue
				}
				fmt.Fprintf(p.out, "{\"id\":%d,\"event\":{\"type\":\"token\",\"data\":{\"id\":7}}}\n{\"id\":%d,\"result\":{}}\n", r.ID, r.ID)
			}
		}()
		var wg sync.WaitGroup
		begun := make(chan struct{})
		var once sync.Once
		wg.Go(func() {
			<-begun
			cancel()
		})
		if i%3 == 0 {
			wg.Go(func() {
				<-begun
				link.Close()
			})
		}
		if i%3 == 1 { // before the request, too
			once.Do(func() { close(begun) })
		}
		_, cut, err := Do(ctx, link, Generate, GenerateArgs{}, func(llm.Token) { once.Do(func() { close(begun) }) }, time.Minute)
		switch {
		case err == nil, errors.Is(err, context.Canceled), errors.Is(err, fault.Interrupted):
		default:
			t.Fatalf("round %d: %v", i, err)
		}
		if cut {
			stopped++
		}
		once.Do(func() { close(begun) })
		link.Close()
		wg.Wait()
		cancel()
	}
	t.Logf("%d of %d were asked to stop", stopped, rounds)
}

// speaker plays a worker of language models: every answer has as many tokens as are
// asked for.
func speaker() {
	in := newWire(os.Stdin)
	for {
		line, err := in.line()
		if err != nil {
			return
		}
		var r request
		if json.Unmarshal(line, &r) != nil {
			continue
		}
		if r.Op == hello.name {
			fmt.Printf("\n{\"id\":%d,\"result\":{\"protocol\":2,\"engine\":\"fake\",\"capabilities\":[\"generate\",\"stop\"],\"devices\":[]}}\n", r.ID)
			continue
		}
		args, err := Generate.arguments(r.Args)
		if err != nil {
			die(err.Error())
		}
		for i := range args.Tokens {
			fmt.Printf("\n{\"id\":%d,\"event\":{\"type\":\"token\",\"data\":{\"id\":%d}}}\n", r.ID, i+1)
		}
		fmt.Printf("\n{\"id\":%d,\"result\":{\"tokens\":%d}}\n", r.ID, args.Tokens)
	}
}

// A worker that can be told to stop is, and one that does not answer then is killed.
func TestStop(t *testing.T) {
	for _, obeys := range []bool{true, false} {
		p := newPeer(t)
		var wg sync.WaitGroup
		wg.Go(func() {
			var asked, stopping request
			line, _ := p.in.line()
			json.Unmarshal(line, &asked)
			fmt.Fprintln(p.out, `{"id":1,"event":{"type":"token","data":{"id":7,"text":"a"}}}`)
			line, err := p.in.line()
			if err != nil && !obeys { // it was killed before it could read
				return
			}
			json.Unmarshal(line, &stopping)
			if args, err := stop.arguments(stopping.Args); err != nil || args.Request != asked.ID || stopping.ID == asked.ID {
				t.Errorf("asked %+v, then %+v, %v", asked, stopping, err)
			}
			if obeys {
				fmt.Fprintln(p.out, `{"id":1,"result":{"tokens":1}}`)
			}
		})
		ctx, cancel := context.WithCancel(limit(t))
		patience := time.Minute
		if !obeys {
			patience = time.Millisecond
		}
		g, stopped, err := Do(ctx, &Link{child: p.child}, Generate, GenerateArgs{}, func(llm.Token) { cancel() }, patience)
		if !stopped || (err == nil) != obeys || obeys && g.Tokens != 1 || !obeys && !errors.Is(err, context.Canceled) {
			t.Errorf("obeys %t: %+v, stopped %t, %v", obeys, g, stopped, err)
		}
		if p.child.usable() != obeys {
			t.Errorf("obeys %t: usable %t", obeys, p.child.usable())
		}
		wg.Wait()
	}
}

// Whatever a library prints, it must not bring the parent down or be taken for a
// response with neither or both of result and error.
func FuzzParseResponse(f *testing.F) {
	for _, s := range []string{`{"id":1,"result":{}}`, `{"id":1,"result":{},"bytes":16}`, `{"id":2,"error":{"code":"invalid","message":"x"}}`, `{"id":2,"event":{"type":"token","data":{}}}`, `{"id":1}`, "\x00", `{"id":1e99}`, `{`, `{"id":3,"result":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, ok := parseResponse(line)
		says := 0
		for _, has := range []bool{r.Result != nil, r.Error != nil, r.Event != nil} {
			if has {
				says++
			}
		}
		if ok && (r.ID <= 0 || says != 1) {
			t.Errorf("%q is taken for %+v", line, r)
		}
	})
}

// Whatever a worker prints while it is asked for C·x, the call ends with what was asked
// for or with an error, and no more memory is taken than C·x needs.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("{\"id\":1,\"result\":{},\"bytes\":16}\n0123456789abcdef"))
	f.Add([]byte("noise {\n\n{\"id\":1,\"result\":{},\"bytes\":160000000000}\n0123456789abcdef"))
	f.Add([]byte("{\"id\":1,\"event\":{\"type\":\"token\"}}\n{\"id\":1,\"error\":{\"code\":\"x\"}}"))
	f.Fuzz(func(t *testing.T, said []byte) {
		ch := newChild(nil)
		ch.capabilities = []string{mulvec.name}
		ch.destroy = func() {}
		ch.out = make(chan []byte, 2)
		ch.ending = nil
		q := &question{operation: mulvec.operation, id: 1, bytes: 16, tell: func(told) {}, answer: make(chan answer, 1)}
		ch.listen(q)
		err := ch.pass(newWire(bytes.NewReader(said)))
		select {
		case a := <-q.answer:
			if a.err == nil && a.Error == nil && len(a.frame) != 16 {
				t.Errorf("%q is taken for %+v", said, a)
			}
			if a.err != nil && err == nil {
				t.Errorf("%q: continues after %v", said, a.err)
			}
		default:
		}
	})
}
