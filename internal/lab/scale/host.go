package scale

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/process"
)

// A message is a line that a host or one of its ranks has written.
type message struct {
	from int // the number of the host
	kind string
	text []byte // JSON; of kind "gone" nil
}

// mark begins each of those lines: libraries write others.
const mark = "gpuplay-scale "

// A host is a machine on which torchrun starts ranks: this one, or one behind ssh.
type host struct {
	name   string // empty: this machine
	stdin  io.WriteCloser
	cmd    *exec.Cmd
	killed chan struct{}
	stderr *tail
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if most := 4096; len(t.text) > most {
		t.text = append(t.text[:0], t.text[len(t.text)-most:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// quote returns a word as a POSIX shell reads it: ssh hands its command to one.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// connect starts what starts ranks on a host. Its lines go to out, and in the end a
// message of kind "gone".
func connect(number int, name string, args []string, env []string, starter string, out chan<- message) (*host, error) {
	h := &host{name: name, killed: make(chan struct{}), stderr: &tail{}}
	if name == "" {
		h.cmd = exec.Command(args[0], args[1:]...)
	} else {
		words := make([]string, len(args))
		for i, a := range args {
			words[i] = quote(a)
		}
		// Whatever needs an answer, such as a password, fails: nobody is asked.
		h.cmd = exec.Command("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "--", name, "exec "+strings.Join(words, " "))
	}
	h.cmd.Env, h.cmd.Stderr = env, h.stderr
	h.cmd.WaitDelay = time.Second // for what ranks keep open
	var err error
	if h.stdin, err = h.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	process.Detach(h.cmd)
	wait, err := process.Start(h.cmd)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", h.cmd.Path, err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewReaderSize(stdout, 1<<16)
		for {
			line, err := lines.ReadString('\n')
			if text, ok := strings.CutPrefix(line, mark); ok {
				var head struct{ Kind string }
				if json.Unmarshal([]byte(text), &head) == nil {
					out <- message{number, head.Kind, []byte(text)}
				}
			}
			if err != nil {
				return
			}
		}
	}()
	go func() {
		select { // Wait closes stdout, so that what is in it has to be read before
		case <-read:
		case <-h.killed:
		}
		wait()
		out <- message{number, "gone", nil}
	}()
	h.tell(starter) // one that has ended says so by being gone
	return h, nil
}

// tell sends a line of JSON.
func (h *host) tell(what any) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	if _, err = h.stdin.Write(append(text, '\n')); err != nil {
		return fault.Errorf(fault.Crashed, "%s ended: %s", h.title(), lastLine(h.stderr.String()))
	}
	return nil
}

func (h *host) title() string {
	if h.name == "" {
		return "this machine's Python"
	}
	return "host " + h.name
}

// end has the ranks end: by the end of stdin, which reaches a host behind ssh too.
func (h *host) end() { h.stdin.Close() }

// kill ends what has not ended by then. Ranks end with what has started them. It is called
// once.
func (h *host) kill() {
	process.Kill(h.cmd.Process)
	close(h.killed)
}

// A group are the hosts that train together.
type group struct {
	hosts []*host
	out   chan message
	gone  map[int]bool
}

// patience is how long hosts may take to end their ranks.
const patience = 4 * time.Second

// next returns the next message, or an error when ctx ends or no message came for too
// long.
func (g *group) next(ctx context.Context, limit time.Duration) (message, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case m := <-g.out:
		if m.kind == "gone" {
			g.gone[m.from] = true
		}
		return m, nil
	case <-ctx.Done():
		return message{}, ctx.Err()
	case <-timer.C:
		return message{}, errSilent
	}
}

var errSilent = errors.New("no message came")

// close ends all hosts and their ranks. What they still say is passed to each.
func (g *group) close(each func(message)) {
	for _, h := range g.hosts {
		h.end()
	}
	deadline := time.Now().Add(patience)
	for len(g.gone) < len(g.hosts) {
		m, err := g.next(context.Background(), time.Until(deadline))
		if err != nil {
			break
		}
		each(m)
	}
	for i, h := range g.hosts {
		if !g.gone[i] {
			h.kill()
		}
	}
	for len(g.gone) < len(g.hosts) {
		if _, err := g.next(context.Background(), time.Second); err != nil {
			return // it hangs where no signal reaches it
		}
	}
}
