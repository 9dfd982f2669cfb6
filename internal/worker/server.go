package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// Serve answers requests from in on out with the engine that open makes once the
// parent has said hello. It returns at in's end, at once, even in the middle of a
// product: the process is expected to exit then.
//
// Where out is this process's standard output, that leads to the log from now on:
// what a library prints must not come between the bytes of a frame.
func Serve(in io.Reader, out io.Writer, open func(Hello) (bench.Engine, error)) error {
	s := &server{open: open, rest: rest}
	return s.answer(in, out)
}

// answer is Serve for a server that has been made.
func (s *server) answer(in io.Reader, out io.Writer) error {
	if f, ok := in.(*os.File); ok {
		in = pollable(f)
	}
	s.out = out
	if f, ok := out.(*os.File); ok {
		var err error
		if s.out, err = divert(f); err != nil {
			return fmt.Errorf("keeping standard output for the protocol: %w", err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	messages := make(chan message, 1)
	ended := make(chan error, 1)
	go func() { ended <- s.read(newWire(in), messages) }()
	go func() {
		for m := range messages {
			s.serve(ctx, m)
		}
	}()
	return <-ended
}

// server keeps an engine and at most one task.
type server struct {
	open    func(Hello) (bench.Engine, error)
	rest    func() bool // waits until no thread is busy any more
	engine  bench.Engine
	devices []hardware.Device
	task    bench.Task
	net     *netTask     // the small network that is trained; nil: there is none
	best    float64      // seconds per product of the task, of the fastest run; 0 before the first
	columns atomic.Int64 // of the task's C; 0 without a task

	mu      sync.Mutex // of what follows
	out     io.Writer
	current int // id of the request that is being answered: only it has events
}

// A message is a request with the frame behind it, or what is wrong with it.
type message struct {
	request
	frame []byte
	err   error
}

// read passes on requests. A frame is read when it has the length that the operation
// asks for; one of any other length is passed over.
func (s *server) read(in wire, messages chan<- message) error {
	defer close(messages)
	for {
		line, err := in.line()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case len(bytes.TrimSpace(line)) == 0:
			continue
		}
		var m message
		switch err := json.Unmarshal(line, &m.request); {
		case err != nil:
			m.err = invalid("request is not understood: %v", err)
		case m.Op == stop.name: // what this server does ends only with its process
			continue
		case m.Bytes < 0:
			m.err = invalid("%d bytes follow the request", m.Bytes)
		case m.Bytes > 0 && m.Op == mulvec.name && m.Bytes == elementSize*s.columns.Load():
			m.frame, err = in.frame(m.Bytes)
			if err != nil {
				return nil // the parent is gone
			}
		case m.Bytes > 0:
			if in.skip(m.Bytes) != nil {
				return nil
			}
		}
		if m.err == nil && m.ID < 1 {
			m.err = invalid("request without an id: they count from 1")
		}
		messages <- m
	}
}

// serve answers one request.
func (s *server) serve(ctx context.Context, m message) {
	s.begin(m.ID)
	var result any
	var frame []byte
	err := m.err
	if err == nil {
		result, frame, err = s.do(ctx, m)
	}
	r := response{ID: m.ID}
	if err == nil {
		r.Bytes = int64(len(frame))
		r.Result, err = json.Marshal(result)
	}
	if err != nil {
		r, frame = response{ID: m.ID, Error: fault.From(err)}, nil
	}
	s.send(r, frame)
}

// begin lets a request have events until it is answered.
func (s *server) begin(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = id
}

// send writes a response. An event of a request that is answered is dropped.
func (s *server) send(r response, frame []byte) {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // a response is made of strings and numbers
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Event != nil && r.ID != s.current {
		return
	}
	if r.Event == nil {
		s.current = 0
	}
	// The newline in front ends whatever half line was printed before.
	fmt.Fprintf(s.out, "\n%s\n", text)
	if len(frame) > 0 {
		s.out.Write(frame)
	}
}

// tell sends an event of an operation.
func tell[A, E, R any](s *server, o Operation[A, E, R], id int, e E) {
	text, err := json.Marshal(e)
	if err != nil {
		return // a number that JSON does not have: there is nothing to tell
	}
	s.send(response{ID: id, Event: &told{Type: o.event, Data: text}}, nil)
}

func (s *server) do(ctx context.Context, m message) (result any, frame []byte, err error) {
	if m.Op != hello.name && s.engine == nil {
		return nil, nil, invalid("%q came before hello", m.Op)
	}
	if (m.Op == run.name || m.Op == trip.name || m.Op == mulvec.name || m.Op == release.name) && s.task == nil {
		return nil, nil, invalid("%q without a prepared task", m.Op)
	}
	if m.Bytes != 0 && m.Op != mulvec.name {
		return nil, nil, invalid("%d bytes follow %q, which takes none", m.Bytes, m.Op)
	}
	switch m.Op {
	case hello.name:
		result, err = s.hello(ctx, m)
	case prepare.name:
		result, err = s.prepare(ctx, m)
	case run.name:
		result, err = s.run(ctx, m)
	case trip.name:
		result, err = s.roundTrip(ctx, m)
	case mulvec.name:
		frame, err = s.mulvec(ctx, m)
		result = None{}
	case describe.name:
		result, err = s.describe(ctx, m)
	case Network.name:
		result, err = s.network(ctx, m)
	case Steps.name:
		result, err = s.steps(ctx, m)
	case release.name:
		if _, err = release.arguments(m.Args); err == nil {
			err = s.task.Close()
			s.task = nil
			s.columns.Store(0)
		}
		result = None{}
	default:
		err = invalid("unknown operation %q", m.Op)
	}
	return result, frame, err
}

func (s *server) hello(ctx context.Context, m message) (w Welcome, err error) {
	var given struct{ Protocol int }
	_ = json.Unmarshal(m.Args, &given)
	if given.Protocol != Protocol { // its arguments may be others
		return w, invalid("this worker speaks protocol %d, not %d", Protocol, given.Protocol)
	}
	args, err := hello.arguments(m.Args)
	if err != nil {
		return w, err
	}
	e, err := s.open(args)
	if err != nil {
		return w, err
	}
	found, err := e.Devices(ctx)
	if err != nil {
		return w, err
	}
	s.rest()
	s.engine, s.devices = e, found.Devices
	can := []string{prepare.name, run.name, trip.name, mulvec.name, release.name}
	if _, ok := e.(bench.Describer); ok {
		can = append(can, describe.name)
	}
	if _, ok := e.(Networker); ok {
		can = append(can, Network.name, Steps.name)
	}
	return Welcome{Protocol: Protocol, Engine: e.Name(), Capabilities: can, Inventory: found}, nil
}

func (s *server) describe(ctx context.Context, m message) (d Described, err error) {
	args, err := describe.arguments(m.Args)
	if err != nil {
		return d, err
	}
	e, ok := s.engine.(bench.Describer)
	if !ok {
		return d, invalid("%s has no operation %s", s.engine.Name(), describe.name)
	}
	for _, device := range s.devices {
		if device.ID == args.Device {
			d.Description, err = e.Describe(ctx, device)
			s.rest()
			d.Error = fault.From(err) // beside what was measured before
			return d, nil
		}
	}
	return d, invalid("%s has no device %q", s.engine.Name(), args.Device)
}

func (s *server) prepare(ctx context.Context, m message) (f bench.Facts, err error) {
	args, err := prepare.arguments(m.Args)
	if err != nil {
		return f, err
	}
	if s.task != nil {
		return f, invalid("prepare while another task is open")
	}
	args.GEMM.Data = args.Data
	for _, d := range s.devices {
		if d.ID != args.Device {
			continue
		}
		task, err := s.engine.Prepare(ctx, d, args.GEMM, args.Seed, func(t bench.Tuning) { tell(s, prepare, m.ID, t) })
		if err != nil {
			return f, err
		}
		s.rest()
		s.task, s.best = task, 0
		s.columns.Store(int64(args.GEMM.N))
		return task.Facts(), nil
	}
	return f, invalid("%s has no device %q", s.engine.Name(), args.Device)
}

func (s *server) run(ctx context.Context, m message) (t Timing, err error) {
	args, err := run.arguments(m.Args)
	if err != nil {
		return t, err
	}
	sample, err := s.sample(ctx, args.N, args.Set)
	idle := s.rest()
	return Timing{Iters: sample.Iters, Wall: sample.Wall, Device: sample.Device, Busy: !idle}, err
}

func (s *server) roundTrip(ctx context.Context, m message) (t bench.RoundTrip, err error) {
	args, err := trip.arguments(m.Args)
	if err != nil {
		return t, err
	}
	t, err = s.task.RoundTrip(ctx, args.Set)
	s.rest()
	return t, err
}

func (s *server) mulvec(ctx context.Context, m message) ([]byte, error) {
	if _, err := mulvec.arguments(m.Args); err != nil {
		return nil, err
	}
	if n := s.columns.Load(); m.Bytes != elementSize*n {
		return nil, invalid("%d bytes are no x of %d elements, one for each column of C", m.Bytes, n)
	}
	y, err := s.task.MulVec(ctx, unpack(m.frame))
	s.rest()
	return pack(y), err
}

func invalid(format string, args ...any) error { return fault.Errorf(fault.Invalid, format, args...) }
