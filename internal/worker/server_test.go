package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

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
		{ok + strings.Replace(prepareLine, `"seed"`, `"data":"odd","seed"`, 1), `fake: no inputs of the kind "odd"`},
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
