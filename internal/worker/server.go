package worker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// Serve answers requests from in on out with the engine that open makes once the
// parent has said hello. It returns at in's end, at once, even in the middle of a
// product: the process is expected to exit then.
func Serve(in io.Reader, out io.Writer, open func(Hello) (bench.Engine, error)) error {
	if f, ok := in.(*os.File); ok {
		in = pollable(f)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	requests := make(chan []byte)
	ended := make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, maxLine)
		for lines.Scan() {
			requests <- append([]byte(nil), lines.Bytes()...)
		}
		ended <- lines.Err()
	}()
	go func() {
		h := &responder{open: open}
		for line := range requests {
			// The newline in front ends whatever half line a library has printed.
			fmt.Fprintf(out, "\n%s\n", h.answer(ctx, line))
		}
	}()
	return <-ended
}

// responder keeps an engine and at most one task.
type responder struct {
	open    func(Hello) (bench.Engine, error)
	engine  bench.Engine
	devices []hardware.Device
	task    bench.Task
}

// answer returns the response line to a request line.
func (h *responder) answer(ctx context.Context, line []byte) []byte {
	var req request
	var result any
	err := json.Unmarshal(line, &req)
	if err != nil {
		err = invalid("request is not understood: %v", err)
	} else {
		result, err = h.do(ctx, req)
	}
	resp := response{ID: req.ID}
	if err == nil {
		resp.Result, err = json.Marshal(result)
	}
	if err != nil {
		resp.Error = toError(err)
	}
	text, err := json.Marshal(resp)
	if err != nil {
		panic(err) // a response is made of strings and numbers
	}
	return text
}

func (h *responder) do(ctx context.Context, req request) (any, error) {
	if req.Op != "hello" && h.engine == nil {
		return nil, invalid("%q came before hello", req.Op)
	}
	if (req.Op == "run" || req.Op == "mulvec" || req.Op == "close") && h.task == nil {
		return nil, invalid("%q without a prepared task", req.Op)
	}
	switch req.Op {
	case "hello":
		return h.hello(ctx, req)
	case "prepare":
		return h.prepare(ctx, req)
	case "run":
		if req.N == nil {
			return nil, invalid("run without n")
		}
		s, err := h.task.Run(ctx, *req.N)
		rest()
		return s, err
	case "mulvec":
		y, err := h.task.MulVec(ctx, req.X)
		return product{y}, err
	case "close":
		err := h.task.Close()
		h.task = nil
		return struct{}{}, err
	}
	return nil, invalid("unknown operation %q", req.Op)
}

func (h *responder) hello(ctx context.Context, req request) (any, error) {
	if req.Hello == nil {
		return nil, invalid("hello without a protocol")
	}
	if req.Protocol != Protocol {
		return nil, invalid("this worker speaks protocol %d, not %d", Protocol, req.Protocol)
	}
	e, err := h.open(*req.Hello)
	if err != nil {
		return nil, err
	}
	found, err := e.Devices(ctx)
	if err != nil {
		return nil, err
	}
	rest()
	h.engine, h.devices = e, found.Devices
	return welcome{Protocol, e.Name(), found}, nil
}

func (h *responder) prepare(ctx context.Context, req request) (any, error) {
	if h.task != nil {
		return nil, invalid("prepare while another task is open")
	}
	if req.GEMM == nil {
		return nil, invalid("prepare without gemm")
	}
	for _, d := range h.devices {
		if d.ID != req.Device {
			continue
		}
		task, err := h.engine.Prepare(ctx, d, *req.GEMM, req.Seed)
		if err != nil {
			return nil, err
		}
		h.task = task
		return task.Facts(), nil
	}
	return nil, invalid("%s has no device %q", h.engine.Name(), req.Device)
}

func invalid(format string, args ...any) error {
	return &fault.Error{Code: fault.Invalid, Message: fmt.Sprintf(format, args...)}
}

// toError gives any error a code, so that it can travel.
func toError(err error) *fault.Error {
	var e *fault.Error
	if errors.As(err, &e) {
		return e
	}
	code := fault.Internal
	errors.As(err, &code)
	return &fault.Error{Code: code, Message: err.Error()}
}
