package worker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	"restless": func() { restless(hooked(nil)) },
	"partial":  func() { serve(describer{hooked(nil), fault.Errorf(fault.Wrong, "copies differ")}) },
	"relay": func() {
		restless(&Client{Engine: "fake", Path: executable(), Args: []string{"worker", "restless"}, Env: os.Environ()})
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
func host(hook fake.Hook) { serve(hooked(hook)) }

func hooked(hook fake.Hook) bench.Engine {
	d := fake.NewDevice("one", hardware.CPU, 1e9)
	d.Hook = hook
	d.Tunings, d.CopyTime = 3, time.Second
	return fake.New("fake", &fake.Clock{}, nil, d)
}

func serve(e bench.Engine) {
	if err := Serve(os.Stdin, os.Stdout, func(Hello) (bench.Engine, error) { return e, nil }); err != nil {
		die(err.Error())
	}
}

// restless serves an engine without waiting for idle threads, which takes 5 ms for each of
// the conformance suite's ten thousand calls.
func restless(e bench.Engine) {
	s := &server{open: func(Hello) (bench.Engine, error) { return e, nil }, rest: func() bool { return true }}
	if err := s.answer(os.Stdin, os.Stdout); err != nil {
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
	return tallTask{gemm: g}, nil
}

type tallTask struct {
	bench.Task // nil: what is not below is not asked for
	gemm       bench.GEMM
}

func (tallTask) Facts() bench.Facts { return bench.Facts{} }

func (tallTask) Close() error { return nil }

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
	enginetest.Run(t, client(t, "restless"), enginetest.Want{DTypes: func(hardware.Device) []matrix.DType { return matrix.DTypes }})
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
		"round_trip": {&TripArgs{}, nil, &bench.RoundTrip{}},
		"mulvec":     {&TaskArgs{}, nil, &None{}}, "close": {&TaskArgs{}, nil, &None{}}, "stop": {&StopArgs{}, nil, nil},
		"describe": {&DescribeArgs{}, nil, &Described{}},
		"rows":     {&RowsArgs{}, nil, &Checked{}}, "load": {&LoadArgs{}, nil, &llm.About{}}, "generate": {&GenerateArgs{}, &llm.Token{}, &Generated{}},
		"tune": {&train.Settings{}, nil, &train.Plan{}}, "train": {&TrainArgs{}, &train.Step{}, &train.Trained{}},
		"network": {&NetworkArgs{}, nil, &Networked{}}, "gpt": {&GPTArgs{}, nil, &Networked{}}, "steps": {&StepsArgs{}, nil, &Stepped{}}, "losses": {&LossesArgs{}, nil, &Mapped{}},
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

// A process that was refused a thread says what to do.
func TestObituaryOfLimits(t *testing.T) {
	for _, words := range []string{"runtime/cgo: pthread_create failed: Resource temporarily unavailable\nSIGABRT: abort\nPC=0x7f5dd8089eec m=0 sigcode=18446744073709551610\n", "runtime: failed to create new OS thread (have 4 already; errno=11)\nfatal error: newosproc\n"} {
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
