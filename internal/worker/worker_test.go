package worker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/train"
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
	"newer":    func() { says(`{"id":1,"result":{"protocol":3,"engine":"fake","devices":[]}}`) },
	"other":    func() { says(`{"id":1,"result":{"protocol":2,"engine":"duck","devices":[]}}`) },
	"nonsense": func() { says(`{"id":1,"result":{"protocol":"one"}}`) },
	"neither":  func() { says(`{"id":1}`, `{"id":7,"result":{}}`, `[1]`, `{"id":1,"result":1,"error":{}}`) },
	"endless":  func() { io.Copy(os.Stdout, zeros{}) },
	"deaf":     func() { select {} },
	"panics":   func() { host(at(fake.Run, func() { panic("index out of range [7]") })) },
	"memory":   func() { host(at(fake.Prepare, func() { die("fatal error: runtime: out of memory") })) },
	"escapes":  func() { host(at(fake.Run, func() { die("\x1b[2Jred \x1b[31malert\x07") })) },
	"exits":    func() { host(at(fake.MulVec, func() { os.Exit(7) })) },
	"prints":   func() { host(prints) },
	"hangs":    func() { host(fake.HangAt(fake.Run, 2)) },
	"slow":     func() { host(fake.HangAt(fake.Prepare, 1)) },
	"stacks":   func() { host(at(fake.Run, func() { die("panic: index out of range [7]\n" + stacks) })) },
	"tall":     func() { serve(tall{}) },
	"relay": func() {
		serve(&Client{Engine: "fake", Path: executable(), Args: []string{"worker", "honest"}, Env: os.Environ()})
	},
	"speaker": speaker,
	"typed": func() {
		host(fake.FailAt(fake.Run, 1, &fault.Error{Code: fault.OutOfMemory, Message: "no room", Remedies: fault.Advice("buy some")}))
	},
}

func die(words string) {
	fmt.Fprintln(os.Stderr, words)
	os.Exit(2)
}

// stacks are more of a crash than is kept of a log.
var stacks = strings.Repeat("goroutine 1 [running]:\nmain.main()\n\t/src/main.go:7 +0x1d\n", 4*journalSize/50)

// prints is a hook that prints as libraries do, at every stage: whole lines, what looks
// like an answer, and a line without end.
func prints(context.Context, fake.Stage, int) error {
	fmt.Print("warning: slow path\n{\"id\":1}\n{\"id\":4,\"result\":{}}\n no newline")
	return nil
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
	d.Tunings = 3
	serve(fake.New("fake", &fake.Clock{}, nil, d))
}

func serve(e bench.Engine) {
	if err := Serve(os.Stdin, os.Stdout, func(Hello) (bench.Engine, error) { return e, nil }); err != nil {
		die(err.Error())
	}
}

// tall is an engine whose products are all zeros, so that C can have many rows without
// anybody waiting for it.
type tall struct{}

func (tall) Name() string { return "fake" }

func (tall) Devices(context.Context) (hardware.Inventory, error) {
	return hardware.Inventory{Devices: []hardware.Device{{ID: "one", Kind: hardware.CPU}}}, nil
}

func (tall) Prepare(_ context.Context, _ hardware.Device, g bench.GEMM, _ uint64, _ func(bench.Tuning)) (bench.Task, error) {
	if g.M > 1<<22 {
		return nil, fault.Errorf(fault.OutOfMemory, "%d rows", g.M)
	}
	return tallTask{g}, nil
}

type tallTask struct{ gemm bench.GEMM }

func (tallTask) Facts() bench.Facts { return bench.Facts{} }
func (tallTask) Close() error       { return nil }
func (tallTask) Run(_ context.Context, n, _ int) (bench.Sample, error) {
	return bench.Sample{Iters: n, Wall: 1}, nil
}

// MulVec returns the sum of x in the last element.
func (t tallTask) MulVec(_ context.Context, x []float64) ([]float64, error) {
	y := make([]float64, t.gemm.M)
	for _, v := range x {
		y[t.gemm.M-1] += v
	}
	return y, nil
}

// says waits for a request, prints the lines and stays.
func says(lines ...string) {
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

func executable() string {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return self
}

func client(t *testing.T, script string) *Client {
	c := &Client{Engine: "fake", Path: executable(), Args: []string{"worker", script}, Env: append(os.Environ(), "GORACE=atexit_sleep_ms=0")}
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

// A worker in another language is hosted by a package that has nothing but a Client.
func TestRelayConforms(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it is the same suite twice as slowly")
	}
	enginetest.Run(t, client(t, "relay"), enginetest.Want{DTypes: func(hardware.Device) []matrix.DType { return matrix.DTypes }})
}

// The conversations in the document for those who write a worker are what both ends
// understand.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/ADDING-AN-ENGINE.md")
	if err != nil {
		t.Fatal(err)
	}
	check := map[string]struct{ args, event, result any }{
		"hello": {&Hello{}, nil, &Welcome{}}, "prepare": {&PrepareArgs{}, &bench.Tuning{}, &bench.Facts{}}, "run": {&RunArgs{}, nil, &Timing{}},
		"mulvec": {&TaskArgs{}, nil, &None{}}, "close": {&TaskArgs{}, nil, &None{}}, "stop": {&StopArgs{}, nil, nil},
		"load": {&LoadArgs{}, nil, &llm.About{}}, "generate": {&GenerateArgs{}, &llm.Token{}, &Generated{}},
		"tune": {&train.Settings{}, nil, &train.Plan{}}, "train": {&TrainArgs{}, &train.Step{}, &train.Trained{}},
	}
	strict := func(line string, text []byte, into any) {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(into); into == nil || err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	ops := map[int]string{} // of this conversation, by id
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		said, answered := strings.CutPrefix(line, "← ")
		if sent, ok := strings.CutPrefix(line, "→ "); ok {
			var r request
			strict(line, []byte(sent), &r)
			if r.ID == 2 {
				clear(ops)
			}
			ops[r.ID], seen[r.Op] = r.Op, true
			strict(line, r.Args, check[r.Op].args)
			var given map[string]json.RawMessage
			json.Unmarshal(r.Args, &given)
			for _, name := range Arguments()[r.Op] {
				if _, ok := given[name]; !ok && !strings.HasSuffix(name, "?") {
					t.Errorf("%s: without %s", line, name)
				}
			}
		} else if answered {
			r, ok := parseResponse([]byte(said))
			op := ops[r.ID]
			switch {
			case !ok || op == "":
				t.Errorf("%s: no response to a request above it", line)
			case r.Event != nil:
				strict(line, r.Event.Data, check[op].event)
			case r.Result != nil:
				strict(line, r.Result, check[op].result)
			}
		}
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(Arguments())), slices.Sorted(maps.Keys(seen))); d != "" {
		t.Errorf("operations that the document leaves out: %s", d)
	}
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
		go func() {
			var asked, stopping request
			line, _ := p.in.line()
			json.Unmarshal(line, &asked)
			fmt.Fprintln(p.out, `{"id":1,"event":{"type":"token","data":{"id":7,"text":"a"}}}`)
			line, _ = p.in.line()
			json.Unmarshal(line, &stopping)
			if args, err := stop.arguments(stopping.Args); err != nil || args.Request != asked.ID || stopping.ID == asked.ID {
				t.Errorf("asked %+v, then %+v, %v", asked, stopping, err)
			}
			if obeys {
				fmt.Fprintln(p.out, `{"id":1,"result":{"tokens":1}}`)
			}
		}()
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
	}
}

// A process that was refused a thread says what to do.
func TestObituaryOfLimits(t *testing.T) {
	for _, words := range []string{"runtime/cgo: pthread_create failed: Resource temporarily unavailable\n", "runtime: failed to create new OS thread (have 4 already; errno=11)\nfatal error: newosproc\n"} {
		ch := newChild(nil)
		ch.cmd = exec.Command(os.Args[0], "-test.run=^$")
		if err := ch.cmd.Run(); err != nil {
			t.Fatal(err)
		}
		io.WriteString(ch.log, words)
		if e := fault.From(ch.obituary(run.operation)); !strings.Contains(e.Remedies.String(), "ulimit") {
			t.Errorf("%q: %v, %v", words, e, e.Remedies)
		}
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

const helloLine = `{"id":1,"op":"hello","args":{"protocol":2,"threads":0,"cpu":"","options":{}}}`
const prepareLine = `{"id":2,"op":"prepare","args":{"device":"one","seed":1,"gemm":{"m":1,"n":2,"k":1,"in":"float32","acc":"float32","out":"float32"}}}`

func scripted() bench.Engine {
	return fake.New("fake", &fake.Clock{}, nil, fake.NewDevice("one", hardware.CPU, 1e9))
}

// serveAll has a server answer requests and returns what it says.
func serveAll(t testing.TB, e bench.Engine, requests string) []response {
	var out bytes.Buffer
	s := &server{out: &out, rest: func() bool { return true }, open: func(Hello) (bench.Engine, error) { return e, nil }}
	messages := make(chan message)
	go s.read(newWire(strings.NewReader(requests)), messages)
	for m := range messages { // read one, answer one, as the protocol has it
		s.serve(context.Background(), m)
	}
	var all []response
	for in := newWire(&out); ; {
		line, err := in.line()
		if err != nil {
			return all
		}
		if len(line) == 0 {
			continue
		}
		r, ok := parseResponse(line)
		if !ok && !bytes.Contains(line, []byte(`"error"`)) { // a request without an id is answered without one
			t.Errorf("%q is no response", line)
		}
		if !ok {
			json.Unmarshal(line, &r)
		}
		if _, err := in.frame(r.Bytes); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		all = append(all, r)
	}
}

// Serve refuses what makes no sense and continues.
func TestServeRefuses(t *testing.T) {
	const ok = helloLine + "\n"
	const run1 = `{"id":3,"op":"run","args":{"n":1,"set":0}}` + "\n"
	tests := []struct {
		requests string
		want     string // of the last answer
	}{
		{`garbage`, "request is not understood"},
		{strings.Replace(helloLine, `"id":1`, `"id":0`, 1), "request without an id"},
		{`{"id":1,"op":"run","args":{"n":1,"set":0}}`, `"run" came before hello`},
		{`{"id":1,"op":"hello","args":{}}`, "this worker speaks protocol 2, not 0"},
		{`{"id":1,"op":"hello","args":{"protocol":9,"odd":1}}`, "this worker speaks protocol 2, not 9"},
		{`{"id":1,"op":"hello","args":{"protocol":2}}`, "hello without threads"},
		{`{"id":1,"op":"hello"}`, "this worker speaks protocol 2, not 0"},
		{strings.Replace(helloLine, `"cpu"`, `"odd":1,"cpu"`, 1), `hello has no argument "odd"`},
		{strings.Replace(helloLine, `"cpu"`, `"CPU"`, 1), `hello without cpu`},
		{ok + `{"id":2,"op":"dance","args":{}}`, `unknown operation "dance"`},
		{ok + `{"id":2,"op":"generate","args":{}}`, `unknown operation "generate"`},
		{ok + `{"id":2,"op":"run","args":{"n":1,"set":0}}`, `"run" without a prepared task`},
		{ok + strings.Replace(prepareLine, `"one"`, `"two"`, 1), `fake has no device "two"`},
		{ok + `{"id":2,"op":"prepare","args":{"device":"one","seed":1}}`, "prepare without gemm"},
		{ok + prepareLine + "\n" + prepareLine, "prepare while another task is open"},
		{ok + prepareLine + "\n" + `{"id":3,"op":"run","args":{}}`, "run without n"},
		{ok + prepareLine + "\n" + `{"id":3,"op":"run","args":{"n":1}}`, "run without set"},
		{ok + prepareLine + "\n" + `{"id":3,"op":"run","args":{"n":1.5,"set":0}}`, "the arguments of run are not understood"},
		{ok + prepareLine + "\n" + `{"id":3,"op":"run","args":[1]}`, "the arguments of run are not understood"},
		{ok + prepareLine + "\n" + run1 + `{"id":4,"op":"mulvec","args":{}}`, "0 bytes are no x of 2 elements"},
		{ok + prepareLine + "\n" + run1 + `{"id":4,"op":"mulvec","args":{},"bytes":-16}`, "-16 bytes follow"},
		{ok + prepareLine + "\n" + run1 + `{"id":4,"op":"mulvec","args":{},"bytes":3}` + "\nabc", "3 bytes are no x of 2 elements"},
		{ok + prepareLine + "\n" + run1 + `{"id":4,"op":"run","args":{"n":1,"set":0},"bytes":3}` + "\nabc", `3 bytes follow "run", which takes none`},
	}
	for _, tt := range tests {
		all := serveAll(t, scripted(), tt.requests+"\n")
		if len(all) == 0 {
			t.Errorf("%s: no answer", tt.requests)
			continue
		}
		last := all[len(all)-1]
		if last.Error == nil || last.Error.Code != fault.Invalid || !strings.HasPrefix(last.Error.Message, tt.want) {
			t.Errorf("%s: answer %+v, want invalid: %s", tt.requests, last.Error, tt.want)
		}
	}
	// A frame of the wrong length is passed over, and what follows it is understood.
	all := serveAll(t, scripted(), ok+prepareLine+"\n"+run1+`{"id":4,"op":"mulvec","args":{},"bytes":8}`+"\n12345678"+`{"id":5,"op":"mulvec","args":{},"bytes":16}`+"\n"+string(pack([]float64{1, 2})))
	if len(all) != 5 || all[3].Error == nil || all[4].Error != nil || all[4].Bytes != 8 {
		t.Errorf("answers %+v", all)
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
		fmt.Fprintln(parent, helloLine)
		fmt.Fprintln(parent, prepareLine)
		<-out.seen
		fmt.Fprintln(parent, `{"id":3,"op":"run","args":{"n":1,"set":0}}`)
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
	for _, v := range [][]float64{{}, {1}, {0.1, math.Inf(-1), math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64, math.NaN()}} {
		if got := unpack(pack(v)); !cmp.Equal(v, got, cmpopts.EquateNaNs()) {
			t.Errorf("%v became %v", v, got)
		}
	}
	if got := pack([]float64{1}); !bytes.Equal(got, []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x3f}) {
		t.Errorf("1 travels as %x", got)
	}
}

func TestWire(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	in := newWire(strings.NewReader("a\n\n" + long + "\nb\n\x00\n12c"))
	for _, want := range []string{"a", "", long, "b"} {
		if line, err := in.line(); err != nil || string(line) != want {
			t.Fatalf("%d bytes, %v, want %d", len(line), err, len(want))
		}
	}
	if frame, err := in.frame(4); err != nil || string(frame) != "\x00\n12" {
		t.Errorf("frame %q, %v", frame, err)
	}
	if line, err := in.line(); err != nil || string(line) != "c" {
		t.Errorf("line %q, %v", line, err)
	}
	if _, err := in.line(); !errors.Is(err, io.EOF) {
		t.Errorf("error %v at the end", err)
	}
	if _, err := newWire(zeros{}).line(); !errors.Is(err, errLine) {
		t.Errorf("error %v for a line without end", err)
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

// Whatever comes in, each answer is one valid response.
func FuzzServe(f *testing.F) {
	f.Add([]byte(`{"id":2,"op":"dance","args":{}}`))
	f.Add([]byte(`{"id":3,"op":"run","args":{"n":-1}}`))
	f.Add([]byte("{\"id\":4,\"op\":\"mulvec\",\"args\":{},\"bytes\":16}\n0123456789abcdef"))
	f.Add([]byte("{\"id\":4,\"op\":\"close\",\"args\":{},\"bytes\":1600000000000}\n0123"))
	f.Fuzz(func(t *testing.T, said []byte) {
		serveAll(t, tall{}, helloLine+"\n"+prepareLine+"\n"+`{"id":3,"op":"run","args":{"n":1,"set":0}}`+"\n"+string(said))
	})
}

// BenchmarkPrepare shows what the protocol adds to preparing a task, and that a
// run costs the parent one round trip outside the sample.
func BenchmarkPrepare(b *testing.B) {
	c := &Client{Engine: "fake", Path: executable(), Args: []string{"worker", "honest"}, Env: os.Environ()}
	defer c.Close()
	ctx := context.Background()
	if _, err := c.Devices(ctx); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		t, err := prepareOne(ctx, c)
		if err != nil {
			b.Fatal(err)
		}
		t.Close()
	}
}
