package worker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/process"
)

// endLimit is how long a worker may take to end when asked to.
const endLimit = 2 * time.Second

// child is a worker process.
type child struct {
	cmd       *exec.Cmd
	trace     io.Writer
	last      int         // id of the latest request
	requests  chan []byte // to stdin, which ends when this is closed
	responses chan response
	exited    chan struct{} // closed when the process is gone and its output is read
	log       *tail

	mu       sync.Mutex
	asked    int                       // id of the request whose events are listened to
	listener func(raw json.RawMessage) // nil: to none
}

func startChild(c *Client) (*child, error) {
	ch := &child{
		cmd:       &exec.Cmd{Path: c.Path, Args: c.Args, Env: c.Env},
		trace:     c.Trace,
		requests:  make(chan []byte, 8), // more than a child that reads nothing is ever sent
		responses: make(chan response, 1),
		exited:    make(chan struct{}),
		log:       &tail{trace: c.Trace},
	}
	ch.cmd.Stderr = ch.log
	ch.cmd.WaitDelay = endLimit // for what a dead child's own children keep open
	process.Detach(ch.cmd)
	in, err := ch.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := ch.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := ch.cmd.Start(); err != nil {
		return nil, err
	}
	go ch.read(out)
	go func() { // a child may be too stuck to read; its end shows elsewhere
		defer in.Close()
		for {
			select {
			case line, ok := <-ch.requests:
				if !ok {
					return
				}
				in.Write(line)
			case <-ch.exited:
				return
			}
		}
	}()
	if len(c.Source) > 0 {
		ch.requests <- c.Source
	}
	return ch, nil
}

// read passes on what the child prints until it is gone.
func (ch *child) read(out io.Reader) {
	if err := ch.pass(out); err != nil { // a line without end: it makes no sense to go on
		fmt.Fprintf(ch.log, "output is no protocol: %v\n", err)
		ch.kill()
	}
	ch.cmd.Wait()
	close(ch.exited)
}

// pass passes on what is a response and logs the rest.
func (ch *child) pass(out io.Reader) error {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		r, ok := parseResponse(lines.Bytes())
		if !ok {
			ch.log.Write(append(bytes.Clone(lines.Bytes()), '\n'))
			continue
		}
		if ch.trace != nil {
			fmt.Fprintf(ch.trace, "← %s\n", lines.Bytes())
		}
		if r.Event != nil {
			ch.tell(r)
			continue
		}
		select {
		case ch.responses <- r:
		default: // nobody asked
		}
	}
	return lines.Err()
}

// listen has f get the events of a request; with nil, nobody gets any more once it
// has returned.
func (ch *child) listen(id int, f func(raw json.RawMessage)) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.asked, ch.listener = id, f
}

// tell gives an event to whom it concerns, before the response that follows it.
func (ch *child) tell(r response) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.listener != nil && ch.asked == r.ID {
		ch.listener(r.Event)
	}
}

func (ch *child) alive() bool {
	select {
	case <-ch.exited:
		return false
	default:
		return true
	}
}

// call sends a request and decodes the result of its response. When ctx ends
// first the child is killed: what it does cannot be taken back.
func (ch *child) call(ctx context.Context, req request, result any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ch.last++
	req.ID = ch.last
	if err := ch.send(req); err != nil {
		return err
	}
	return ch.await(ctx, req, result)
}

// send sends a request with the id that it has.
func (ch *child) send(req request) error {
	line, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("%s: %w", req.Op, err)
	}
	if ch.trace != nil {
		fmt.Fprintf(ch.trace, "→ %s\n", line)
	}
	select {
	case ch.requests <- append(line, '\n'):
	case <-ch.exited: // await will say how it ended
	}
	return nil
}

// await decodes the result of the response to req, which was sent.
func (ch *child) await(ctx context.Context, req request, result any) error {
	for {
		select {
		case r := <-ch.responses:
			switch {
			case r.ID != req.ID:
				continue
			case r.Error != nil:
				return r.Error
			}
			if err := json.Unmarshal(r.Result, result); err != nil {
				return &fault.Error{Code: fault.Internal, Message: fmt.Sprintf("worker's answer to %s is not understood: %v", req.Op, err)}
			}
			return nil
		case <-ch.exited:
			select {
			case r := <-ch.responses: // its last act
				if r.ID == req.ID && r.Error != nil {
					return r.Error
				}
			default:
			}
			return ch.obituary(req.Op)
		case <-ctx.Done():
			ch.kill()
			return ctx.Err()
		}
	}
}

// doing says what a child was at.
var doing = map[string]string{
	"hello": "starting", "prepare": "preparing", "run": "computing", "mulvec": "being checked", "close": "closing",
	"load": "loading the model", "generate": "generating", "tune": "preparing", "train": "training",
}

// smaller says what takes less memory.
func smaller(op string) string {
	switch op {
	case "load", "generate":
		return "try a smaller model"
	case "tune", "train":
		return "try a smaller --batch, fewer --layers or a smaller --max-length"
	}
	return "try a smaller --size"
}

// obituary says how the child ended and quotes its last words.
func (ch *child) obituary(op string) error {
	e := &fault.Error{Code: fault.Crashed}
	if op != "hello" { // whoever starts workers knows more of what keeps one from starting
		e.Remedies = fault.Advice("GPUPLAY_DEBUG=worker shows all that it said")
	}
	state := ch.cmd.ProcessState
	switch sig := process.Signal(state); {
	case sig == syscall.SIGKILL:
		e.Message = fmt.Sprintf("was killed while %s", doing[op])
		e.Remedies = fault.Advice("the system kills a process when memory runs out: " + smaller(op))
	case sig != 0:
		e.Message = fmt.Sprintf("ended by signal %d (%v) while %s", int(sig), sig, doing[op])
	default:
		e.Message = fmt.Sprintf("ended with exit code %d while %s", state.ExitCode(), doing[op])
	}
	words := ch.log.words()
	if strings.Contains(words, "out of memory") || strings.Contains(words, "cannot allocate memory") {
		e.Code, e.Remedies = fault.OutOfMemory, fault.Advice(smaller(op))
	}
	if words != "" {
		e.Message += fmt.Sprintf(": “%s”", words)
	}
	return e
}

// kill ends the child and what it has started, at once.
func (ch *child) kill() {
	if ch.alive() {
		process.Kill(ch.cmd.Process)
	}
}

// end closes the child's stdin, at which a worker ends, and kills it if it does
// not.
func (ch *child) end() {
	close(ch.requests)
	select {
	case <-ch.exited:
	case <-time.After(endLimit):
		ch.kill()
	}
}

// tail keeps the last lines of a log.
type tail struct {
	trace io.Writer
	mu    sync.Mutex
	text  []byte
}

const tailSize = 64 << 10 // a Go program's stacks fit

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.trace != nil {
		t.trace.Write(p)
	}
	t.text = append(t.text, p...)
	if cut := len(t.text) - tailSize; cut > 0 {
		t.text = append(t.text[:0], t.text[cut:]...)
	}
	return len(p), nil
}

// words returns the line of the log that says most about an end: a Go program
// begins with it, before its stacks, others end with it.
func (t *tail) words() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := ""
	for line := range strings.Lines(string(t.text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "SIG") {
			return clip(line)
		}
		if line != "" {
			last = line
		}
	}
	return clip(last)
}

// clip shortens a line and takes out what would move a terminal's cursor.
func clip(line string) string {
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, strings.ToValidUTF8(line, "?"))
	if runes := []rune(line); len(runes) > 200 {
		line = string(runes[:200]) + "…"
	}
	return line
}
