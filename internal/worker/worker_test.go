package worker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// The test's binary is also the worker: started under the name "worker" it
// plays the script that its argument names.
func TestMain(m *testing.M) {
	if os.Args[0] == "worker" {
		scripts[os.Args[1]]()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var scripts = map[string]func(){
	"honest":   func() { host(nil) },
	"ends":     func() {},
	"fails":    func() { fmt.Fprintln(os.Stderr, "ImportError: libfoo.so.1: no such file"); os.Exit(3) },
	"banner":   func() { fmt.Print("Welcome to libfoo\nhalf a line: "); host(nil) },
	"newer":    func() { answer(`{"id":1,"result":{"protocol":2,"engine":"fake","devices":[]}}`) },
	"other":    func() { answer(`{"id":1,"result":{"protocol":1,"engine":"duck","devices":[]}}`) },
	"nonsense": func() { answer(`{"id":1,"result":{"protocol":"one"}}`) },
	"neither":  func() { answer(`{"id":1}`, `{"id":7,"result":{}}`, `[1]`, `{"id":1,"result":1,"error":{}}`) },
	"endless":  func() { io.Copy(os.Stdout, zeros{}) },
	"deaf":     func() { select {} },
	"panics":   func() { host(at(fake.Run, func() { panic("index out of range [7]") })) },
	"memory":   func() { host(at(fake.Prepare, func() { die("fatal error: runtime: out of memory") })) },
	"escapes":  func() { host(at(fake.Run, func() { die("\x1b[2Jred \x1b[31malert\x07") })) },
	"exits":    func() { host(at(fake.MulVec, func() { os.Exit(7) })) },
	"prints":   func() { host(at(fake.Run, func() { fmt.Print("warning: slow path\n{\"id\":1}\n no newline") })) },
	"hangs":    func() { host(fake.HangAt(fake.Run, 2)) },
	"typed": func() {
		host(fake.FailAt(fake.Run, 1, &fault.Error{Code: fault.OutOfMemory, Message: "no room", Remedies: fault.Advice("buy some")}))
	},
}

func die(words string) {
	fmt.Fprintln(os.Stderr, words)
	os.Exit(2)
}

// at returns a hook that does something once at a stage.
func at(s fake.Stage, do func()) fake.Hook {
	return func(_ context.Context, stage fake.Stage, _ int) error {
		if stage == s {
			do()
		}
		return nil
	}
}

// host serves the fake engine.
func host(hook fake.Hook) {
	d := fake.NewDevice("one", hardware.CPU, 1e9)
	d.Hook = hook
	clock := &fake.Clock{}
	Serve(os.Stdin, os.Stdout, func(Hello) (bench.Engine, error) { return fake.New("fake", clock, nil, d), nil })
}

// answer waits for a request, prints the lines and stays.
func answer(lines ...string) {
	in := bufio.NewReader(os.Stdin)
	in.ReadString('\n')
	fmt.Println(strings.Join(lines, "\n"))
	io.Copy(io.Discard, in)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func client(t *testing.T, script string) *Client {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{Engine: "fake", Path: self, Args: []string{"worker", script}, Env: os.Environ()}
	t.Cleanup(c.Close)
	return c
}

// limit ends a test that hangs; nothing in it waits that long.
func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestConforms(t *testing.T) {
	enginetest.Run(t, client(t, "honest"), enginetest.Want{DTypes: func(hardware.Device) []matrix.DType { return matrix.DTypes }})
}

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
		{"newer", fault.Unavailable, "worker speaks protocol 2, this gpuplay speaks 1"},
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
				t.Errorf("error %v shows no way out", err)
			}
		})
	}
}

// work does all that a lane does.
func work(ctx context.Context, c *Client) error {
	task, err := prepare(ctx, c)
	if err != nil {
		return err
	}
	defer task.Close()
	if _, err := task.Run(ctx, 1); err != nil {
		return err
	}
	_, err = task.MulVec(ctx, []float64{1, math.Inf(1), math.NaN()})
	return err
}

func prepare(ctx context.Context, c *Client) (bench.Task, error) {
	return c.Prepare(ctx, hardware.Device{ID: "one"}, bench.Square(3, matrix.Float32), 1)
}

func TestSurvivesGarbage(t *testing.T) {
	if err := work(limit(t), client(t, "prints")); err != nil {
		t.Error(err)
	}
}

func TestKilledWorkerIsReplaced(t *testing.T) {
	ctx := limit(t)
	c := client(t, "honest")
	tk, err := prepare(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	tk.(*task).child.kill()
	_, err = tk.Run(ctx, 1)
	if !errors.Is(err, fault.Crashed) || !strings.HasPrefix(err.Error(), "was killed while computing") {
		t.Errorf("error %v, want killed while computing", err)
	}
	tk.Close()
	if err := work(ctx, c); err != nil {
		t.Errorf("the next task: %v", err)
	}
}

// Cancelling a product that does not end kills its worker and nothing else.
func TestCancelKills(t *testing.T) {
	c := client(t, "hangs")
	task, err := prepare(limit(t), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := task.Run(limit(t), 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(limit(t))
	oneOf(c).trace = cancelAt{`→ {"id":4,"op":"run"`, cancel}
	if _, err := task.Run(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	task.Close()
	if _, err := prepare(limit(t), c); err != nil {
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
		a, err := prepare(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		b, err := prepare(ctx, c)
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
		if ch.alive() {
			t.Error("a worker outlived Close")
		}
	}
}

// What a foreign worker may send must never be taken for a result.
func TestForeignResults(t *testing.T) {
	tests := []struct {
		reply string // to run
		says  string
	}{
		{`{"iters":2,"wall_ns":5}`, "2 products"},
		{`{"iters":1,"wall_ns":0}`, "1 products in 0s"},
		{`{"iters":1,"wall_ns":-3}`, "1 products in -3ns"},
		{`{"iters":"many"}`, "not understood"},
	}
	for _, tt := range tests {
		fromChild, child := io.Pipe()
		go fmt.Fprintf(child, "{\"id\":1,\"result\":%s}\n", tt.reply)
		ch := pipeChild(fromChild)
		tk := &task{client: &Client{}, child: ch, gemm: bench.Square(2, matrix.Float32)}
		if _, err := tk.Run(limit(t), 1); !errors.Is(err, fault.Internal) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want %q", tt.reply, err, tt.says)
		}
		child.Close()
	}
}

// pipeChild is a child without a process.
func pipeChild(out io.Reader) *child {
	ch := &child{requests: make(chan []byte, 8), responses: make(chan response, 1), exited: make(chan struct{}), log: &tail{}}
	go ch.pass(out)
	return ch
}

// Serve refuses what makes no sense and goes on.
func TestServeRefuses(t *testing.T) {
	const hello = `{"id":1,"op":"hello","protocol":1}`
	const prepare = `{"id":2,"op":"prepare","device":"one","gemm":{"m":1,"n":1,"k":1,"in":"float32","acc":"float32","out":"float32"}}`
	tests := []struct {
		requests string
		want     string // of the last answer
	}{
		{`garbage`, "request is not understood"},
		{`{"id":1,"op":"run","n":1}`, `"run" came before hello`},
		{`{"id":1,"op":"hello"}`, "hello without a protocol"},
		{`{"id":1,"op":"hello","protocol":9}`, "this worker speaks protocol 1, not 9"},
		{hello + "\n" + `{"id":2,"op":"dance"}`, `unknown operation "dance"`},
		{hello + "\n" + `{"id":2,"op":"run","n":1}`, `"run" without a prepared task`},
		{hello + "\n" + `{"id":2,"op":"prepare","device":"two","gemm":{}}`, `fake has no device "two"`},
		{hello + "\n" + `{"id":2,"op":"prepare","device":"one"}`, "prepare without gemm"},
		{hello + "\n" + prepare + "\n" + prepare, "prepare while another task is open"},
		{hello + "\n" + prepare + "\n" + `{"id":3,"op":"run"}`, "run without n"},
		{hello + "\n" + prepare + "\n" + `{"id":3,"op":"mulvec","x":"AA="}`, "request is not understood"},
	}
	for _, tt := range tests {
		h := &responder{open: func(Hello) (bench.Engine, error) {
			return fake.New("fake", &fake.Clock{}, nil, fake.NewDevice("one", hardware.CPU, 1e9)), nil
		}}
		var last response
		for line := range strings.SplitSeq(tt.requests, "\n") {
			last = response{}
			if err := json.Unmarshal(h.answer(context.Background(), []byte(line)), &last); err != nil {
				t.Fatal(err)
			}
		}
		if last.Error == nil || last.Error.Code != fault.Invalid || !strings.HasPrefix(last.Error.Message, tt.want) {
			t.Errorf("%s: answer %+v, want invalid: %s", tt.requests, last.Error, tt.want)
		}
	}
}

// Serve ends when its input does, even in the middle of a product.
func TestServeEndsWithItsInput(t *testing.T) {
	in, parent := io.Pipe()
	out := &signalWriter{seen: make(chan struct{}), mark: `"id":2`}
	running := make(chan struct{})
	d := fake.NewDevice("one", hardware.CPU, 1e9)
	var once sync.Once
	d.Hook = func(ctx context.Context, s fake.Stage, _ int) error {
		if s == fake.Run {
			once.Do(func() { close(running) })
			<-ctx.Done()
		}
		return ctx.Err()
	}
	go func() {
		fmt.Fprintln(parent, `{"id":1,"op":"hello","protocol":1}`)
		fmt.Fprintln(parent, `{"id":2,"op":"prepare","device":"one","gemm":{"m":1,"n":1,"k":1,"in":"float32","acc":"float32","out":"float32"}}`)
		<-out.seen
		fmt.Fprintln(parent, `{"id":3,"op":"run","n":1}`)
		<-running
		parent.Close()
	}()
	if err := Serve(in, out, func(Hello) (bench.Engine, error) { return fake.New("fake", &fake.Clock{}, nil, d), nil }); err != nil {
		t.Error(err)
	}
}

// signalWriter closes seen when a line has the mark in it.
type signalWriter struct {
	seen chan struct{}
	mark string
}

func (w *signalWriter) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.mark)) {
		close(w.seen)
	}
	return len(p), nil
}

func TestVectorTravels(t *testing.T) {
	for _, v := range []vector{{}, {1}, {0.1, math.Inf(-1), math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64}} {
		text, err := json.Marshal(product{v})
		if err != nil {
			t.Fatal(err)
		}
		var got product
		if err := json.Unmarshal(text, &got); err != nil || !cmp.Equal(v, got.Y) {
			t.Errorf("%v became %v, %v", v, got.Y, err)
		}
	}
	text, _ := vector{math.NaN()}.MarshalText()
	var got vector
	if err := got.UnmarshalText(text); err != nil || !math.IsNaN(got[0]) {
		t.Errorf("NaN became %v, %v", got, err)
	}
	for _, bad := range []string{"?", "AAAA", "A"} {
		if err := got.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is a vector", bad)
		}
	}
}

// Whatever a library prints, it must not bring the parent down or be taken for a
// response with neither or both of result and error.
func FuzzParseResponse(f *testing.F) {
	for _, s := range []string{`{"id":1,"result":{}}`, `{"id":2,"error":{"code":"invalid","message":"x"}}`, `{"id":1}`, "\x00", `{"id":1e99}`, `{`, `{"id":3,"result":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, ok := parseResponse(line)
		if ok && (r.ID <= 0 || (r.Result == nil) == (r.Error == nil)) {
			t.Errorf("%q is taken for %+v", line, r)
		}
	})
}

// Whatever comes in as a request, the answer is one valid response.
func FuzzServe(f *testing.F) {
	f.Add([]byte(`{"id":1,"op":"hello","protocol":1}`))
	f.Add([]byte(`{"id":2,"op":"prepare","device":"one","gemm":{"m":2,"n":2,"k":2,"in":"float32","acc":"float32","out":"float32"}}`))
	f.Add([]byte(`{"id":3,"op":"run","n":-1}`))
	f.Add([]byte(`{"id":4,"op":"mulvec","x":"AAAAAAAA8D8="}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		h := &responder{open: func(Hello) (bench.Engine, error) {
			return fake.New("fake", &fake.Clock{}, nil, fake.NewDevice("one", hardware.CPU, 1e9)), nil
		}}
		h.answer(context.Background(), []byte(`{"id":1,"op":"hello","protocol":1}`))
		if got := h.answer(context.Background(), line); !json.Valid(got) {
			t.Errorf("%q is answered with %q", line, got)
		}
	})
}

// BenchmarkPrepare shows what the protocol adds to preparing a task, and that a
// run costs the parent one round trip outside the sample.
func BenchmarkPrepare(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	c := &Client{Engine: "fake", Path: self, Args: []string{"worker", "honest"}, Env: os.Environ()}
	defer c.Close()
	ctx := context.Background()
	if _, err := c.Devices(ctx); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		t, err := prepare(ctx, c)
		if err != nil {
			b.Fatal(err)
		}
		t.Close()
	}
}
