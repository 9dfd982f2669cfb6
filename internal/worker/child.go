package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/process"
)

// endLimit is how long a worker may take to end when asked to.
const endLimit = 2 * time.Second

// child is a worker process. It is asked one thing at a time, also where it holds the
// tasks of several lanes.
type child struct {
	cmd          *exec.Cmd
	trace        io.Writer
	log          *journal
	destroy      func()       // ends the process and what it has started, at once
	last         int          // id of the latest request
	capabilities []string     // operations that it does; nil before it has said so
	many         bool         // it holds several tasks at a time
	tasks        atomic.Int64 // number of the latest task of one that holds several
	turn         sync.Mutex   // held while it is asked something: lanes may share it

	out    chan []byte   // to its stdin
	ending chan struct{} // closed when its stdin is to end
	once   sync.Once     // closes ending
	exited chan struct{} // closed when the process is gone and its output is read
	killed atomic.Bool

	mu    sync.Mutex
	asked *question // that it is answering; nil: none
}

// A question is a request that waits for its answer.
type question struct {
	operation
	id     int
	bytes  int64       // of the frame behind its result
	tell   func(told)  // gets its events
	answer chan answer // has room for the one that there is
}

// An answer is a response with the frame that follows it, or why there can be none.
type answer struct {
	response
	frame []byte
	err   error
}

func startChild(c *Client) (*child, error) {
	ch := newChild(c.Trace)
	ch.cmd = &exec.Cmd{Path: c.Path, Args: c.Args, Env: c.Env}
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
	ch.destroy = func() { process.Kill(ch.cmd.Process) }
	go func() {
		ch.read(out)
		ch.cmd.Wait()
		close(ch.exited)
	}()
	go ch.write(in)
	if len(c.Source) > 0 {
		ch.out <- c.Source
	}
	return ch, nil
}

func newChild(trace io.Writer) *child {
	return &child{
		trace:  trace,
		log:    &journal{trace: trace},
		out:    make(chan []byte, 8), // more than a child that reads nothing is ever sent
		ending: make(chan struct{}),
		exited: make(chan struct{}),
	}
}

// write passes on what the child is told. A child may be too stuck to read; its end
// shows elsewhere.
func (ch *child) write(in io.WriteCloser) {
	defer in.Close()
	for {
		select {
		case b := <-ch.out:
			in.Write(b)
		case <-ch.ending:
			return
		case <-ch.exited:
			return
		}
	}
}

// read passes on what the child prints until it is gone.
func (ch *child) read(out io.Reader) {
	if err := ch.pass(newWire(out)); err != nil { // what follows cannot be understood
		fmt.Fprintf(ch.log, "output is no protocol: %v\n", err)
		ch.kill()
	}
}

// pass gives responses to whom they concern and logs the rest.
func (ch *child) pass(out wire) error {
	for {
		line, err := out.line()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case len(bytes.TrimSpace(line)) == 0: // the newline in front of a response
			continue
		}
		r, ok := parseResponse(line)
		var q *question
		if ok {
			q = ch.question(r)
		}
		if q == nil {
			ch.log.Write(append(bytes.Clone(line), '\n'))
			continue
		}
		if ch.trace != nil {
			fmt.Fprintf(ch.trace, "← %s\n", line)
		}
		if r.Event != nil {
			continue
		}
		a := answer{response: r}
		want := q.bytes
		if r.Error != nil {
			want = 0
		}
		if r.Bytes != want {
			a.err = fmt.Errorf("%d bytes follow the answer to %s where there must be %d", r.Bytes, q.name, want)
			ch.kill() // before whoever asked hears of it and asks something else
			q.answer <- a
			return a.err
		}
		switch a.frame, err = out.frame(want); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // it ended in the middle, and its log says why
			return nil
		case err != nil:
			return err
		}
		q.answer <- a
	}
}

// question returns the question that a response belongs to, nil if it belongs to none.
// An event has been told then; after a result or an error the question is closed.
func (ch *child) question(r response) *question {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	q := ch.asked
	switch {
	case q == nil || q.id != r.ID:
		return nil
	case r.Event != nil:
		q.tell(*r.Event)
	default:
		ch.asked = nil
	}
	return q
}

// listen opens a question, nil for none. Once it has returned, nobody is told anything
// of the one before.
func (ch *child) listen(q *question) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.asked = q
}

// kill ends the child and what it has started, at once.
func (ch *child) kill() {
	if !ch.killed.Swap(true) && !ch.gone() {
		ch.destroy()
	}
}

// usable reports whether the child can be asked something.
func (ch *child) usable() bool { return !ch.killed.Load() && !ch.gone() }

func (ch *child) gone() bool {
	select {
	case <-ch.exited:
		return true
	default:
		return false
	}
}

// An exchange is how a worker is asked.
type exchange[E any] struct {
	frame    []byte        // that follows the request
	bytes    int64         // of the frame that follows the result
	each     func(E)       // gets each event as it comes, on another goroutine; nil: nobody does
	patience time.Duration // how long a worker that was told to stop may take; 0: it is killed at once
}

// An outcome is what came of asking a worker.
type outcome[R any] struct {
	result  R
	frame   []byte
	stopped bool // the context ended, and the result is what there was by then
}

// ask has a worker do an operation.
func ask[A, E, R any](ctx context.Context, ch *child, o Operation[A, E, R], args A, x exchange[E]) (out outcome[R], err error) {
	ch.turn.Lock()
	defer ch.turn.Unlock()
	if err := ctx.Err(); err != nil {
		return out, err
	}
	if o.name != hello.name && !slices.Contains(ch.capabilities, o.name) {
		return out, fault.Errorf(fault.Unsupported, "worker has no operation %s: it has %s", o.name, strings.Join(ch.capabilities, ", "))
	}
	var broken error // written by events, which end before this function returns
	tell := func(e told) {
		if x.each == nil || e.Type != o.event {
			return
		}
		var data E
		if err := json.Unmarshal(e.Data, &data); err != nil {
			broken = fault.Errorf(fault.Internal, "worker's event %s is not understood: %v", e.Type, err)
			return
		}
		x.each(data)
	}
	ch.last++
	q := &question{operation: o.operation, id: ch.last, bytes: x.bytes, tell: tell, answer: make(chan answer, 1)}
	ch.log.turn()
	ch.listen(q)
	defer ch.listen(nil)
	if err := ch.send(q.id, o.name, args, x.frame); err != nil {
		return out, err
	}
	a, stopped, err := ch.await(ctx, q, x.patience)
	ch.listen(nil)
	out.frame, out.stopped = a.frame, stopped
	switch {
	case err != nil:
		return out, err
	case a.err != nil:
		return out, fault.Errorf(fault.Internal, "worker's answer is not understood: %v", a.err)
	case a.Error != nil:
		return out, a.Error
	}
	if err := json.Unmarshal(a.Result, &out.result); err != nil {
		return out, fault.Errorf(fault.Internal, "worker's answer to %s is not understood: %v", o.name, err)
	}
	return out, broken
}

// send sends a request.
func (ch *child) send(id int, op string, args any, frame []byte) error {
	text, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	line, err := json.Marshal(request{ID: id, Op: op, Args: text, Bytes: int64(len(frame))})
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if ch.trace != nil {
		fmt.Fprintf(ch.trace, "→ %s\n", line)
	}
	for _, part := range [][]byte{append(line, '\n'), frame} {
		if len(part) == 0 {
			continue
		}
		select {
		case ch.out <- part:
		case <-ch.ending: // await says so
		case <-ch.exited: // await says how
		}
	}
	return nil
}

// await waits for the answer to a question that was sent. When ctx ends first, the
// worker is asked to stop if it can and there is patience for it, and else killed: what
// it does cannot be taken back.
func (ch *child) await(ctx context.Context, q *question, patience time.Duration) (a answer, stopped bool, err error) {
	done := ctx.Done()
	var late <-chan time.Time
	for {
		select {
		case a := <-q.answer:
			return a, stopped, nil
		case <-ch.exited:
			select {
			case a := <-q.answer: // its last act
				return a, stopped, nil
			default:
				return a, stopped, ch.obituary(q.operation)
			}
		case <-done:
			done, stopped = nil, true
			if patience > 0 && slices.Contains(ch.capabilities, stop.name) {
				ch.last++
				if err := ch.send(ch.last, stop.name, StopArgs{q.id}, nil); err != nil {
					return a, stopped, err
				}
				timer := time.NewTimer(patience)
				defer timer.Stop()
				late = timer.C
				continue
			}
			ch.kill()
			return a, stopped, ctx.Err()
		case <-late:
			ch.kill()
			return a, stopped, ctx.Err()
		}
	}
}

// limited is the way out where the system refuses what a process needs.
var limited = fault.Advice("ulimit -a shows what this shell allows: -v of address space, -u of processes and threads, -n of open files")

// obituary says how the child ended and quotes its last words.
func (ch *child) obituary(o operation) error {
	select {
	case <-ch.ending:
		return fault.Errorf(fault.Interrupted, "was closed while %s", o.doing)
	default:
	}
	e := &fault.Error{Code: fault.Crashed}
	if o.name != hello.name { // whoever starts workers knows more of what keeps one from starting
		e.Remedies = fault.Advice("GPUPLAY_DEBUG=worker shows all that it said")
	}
	state := ch.cmd.ProcessState
	switch sig := process.Signal(state); {
	case sig == syscall.SIGKILL:
		e.Message = fmt.Sprintf("was killed while %s", o.doing)
		e.Remedies = fault.Remedies{{Text: "the system kills a process when memory runs out"}}
		if len(o.less) > 0 {
			e.Remedies = slices.Clone(o.less)
			e.Remedies[0].Text = "the system kills a process when memory runs out: try " + e.Remedies[0].Text
		}
	case sig != 0:
		e.Message = fmt.Sprintf("ended by signal %d (%v) while %s", int(sig), sig, o.doing)
	default:
		e.Message = fmt.Sprintf("ended with exit code %d while %s", state.ExitCode(), o.doing)
	}
	words := ch.log.words()
	switch {
	case strings.Contains(words, "out of memory") || strings.Contains(words, "cannot allocate memory"):
		e.Code, e.Remedies = fault.OutOfMemory, o.less
	case strings.Contains(words, "pthread_create failed") || strings.Contains(words, "newosproc"):
		e.Remedies = limited
	}
	if words != "" {
		e.Message += fmt.Sprintf(": “%s”", words)
	}
	return e
}

// end closes the child's stdin, at which a worker ends, and kills it if it does not.
// It returns when the process is gone.
func (ch *child) end() {
	ch.once.Do(func() { close(ch.ending) })
	if !ch.ends() {
		ch.kill()
		ch.ends()
	}
}

// ends waits until the child is gone and reports whether it is: one that is stuck in a
// driver, where no signal reaches it, may never be.
func (ch *child) ends() bool {
	timer := time.NewTimer(endLimit)
	defer timer.Stop()
	select {
	case <-ch.exited:
		return true
	case <-timer.C:
		return false
	}
}
