package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/event"
)

const (
	// ringEvents and ringBytes limit what a reader that was cut off can catch up on.
	ringEvents = 8192
	ringBytes  = 16 << 20
	// batch is how long events are collected before they are sent: 25 times a second.
	batch = 40 * time.Millisecond
	// alive is how often a stream without events sends a comment, so that both ends notice
	// when the other one is gone.
	alive = 20 * time.Second
	// behind is how far the clock in the stream is behind the runner's: it covers the time
	// that an event may take to reach the stream.
	behind = 60 * time.Millisecond
	// maxReaders is how many streams may be open at a time.
	maxReaders = 32
)

// A message is what one SSE message holds.
type message struct {
	name string // of the SSE event; empty: an event of a run
	text []byte // one line of JSON
}

// A hub passes the events of one run after the other on to every open page. It remembers the
// latest, so that a page whose stream was cut continues where it was.
type hub struct {
	launch string // stands before the number in SSE ids: those of another launch mean nothing here

	mu      sync.Mutex
	ring    []message
	first   uint64 // number of ring[0]; the first ever is 1
	bytes   int
	changed chan struct{} // closed when something was added
	now     func() time.Duration
	run     begin // that is measured; its Run is empty where none is
	readers int
	each    func(event.Event)
}

// begin reports that a run begins, and to a page that is opened meanwhile, that it is measured.
type begin struct {
	Run  string `json:"run"`
	Kind string `json:"kind"`
}

func newHub(launch string) *hub {
	h := &hub{launch: launch, first: 1, changed: make(chan struct{})}
	h.each, _ = encode.Events(lines{h})
	return h
}

// lines adds each line that is written to it.
type lines struct{ h *hub }

func (l lines) Write(line []byte) (int, error) {
	l.h.add("", line)
	return len(line), nil
}

// observe is given the events of a run, one at a time. The record, which ends every stream,
// is not passed on: it repeats all of them, and the page asks for it.
func (h *hub) observe(e event.Event) {
	if e.Type != event.TypeRecord {
		h.each(e)
	}
}

func (h *hub) begin(s *event.Stream, kind string) {
	h.mu.Lock()
	h.now, h.run = s.Now, begin{s.Run(), kind}
	h.mu.Unlock()
	h.say("begin", h.run)
}

func (h *hub) end(e ended) {
	h.say("end", e)
	h.mu.Lock()
	h.now, h.run = nil, begin{}
	h.mu.Unlock()
}

func (h *hub) say(name string, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // it is a plain struct
	}
	h.add(name, text)
}

func (h *hub) add(name string, line []byte) {
	m := message{name, []byte(strings.TrimSuffix(string(line), "\n"))}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring = append(h.ring, m)
	h.bytes += len(m.text)
	for len(h.ring) > ringEvents || h.bytes > ringBytes && len(h.ring) > 1 {
		h.bytes -= len(h.ring[0].text)
		h.ring[0] = message{}
		h.ring = h.ring[1:]
		h.first++
	}
	close(h.changed)
	h.changed = make(chan struct{})
}

// last returns the number of the latest message; the caller holds mu.
func (h *hub) last() uint64 { return h.first + uint64(len(h.ring)) - 1 }

// since returns what was added after a number, how many messages of it are gone, and what is
// closed when there is more.
func (h *hub) since(n uint64) (list []message, gone int, changed chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n+1 < h.first {
		gone = int(h.first - n - 1)
		n = h.first - 1
	}
	if n < h.last() {
		list = append(list, h.ring[n+1-h.first:]...)
	}
	return list, gone, h.changed
}

// resume returns the number of the last message that a reader has seen, by the id that it
// sends; ok is false for the id of another launch, or none.
func (h *hub) resume(id string) (n uint64, ok bool) {
	number, ours := strings.CutPrefix(id, h.launch+".")
	n, err := strconv.ParseUint(number, 10, 64)
	h.mu.Lock()
	defer h.mu.Unlock()
	return n, ours && err == nil && n <= h.last()
}

// clock returns the time until which the events of the current run have been passed on; ok is
// false where nothing is measured.
func (h *hub) clock() (at time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now == nil {
		return 0, false
	}
	return max(0, h.now()-behind), true
}

// enter counts a reader; ok is false if there are too many.
func (h *hub) enter() (current begin, last uint64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readers >= maxReaders {
		return begin{}, 0, false
	}
	h.readers++
	return h.run, h.last(), true
}

func (h *hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers--
}

// getEvents is the stream: events of runs as docs/event.schema.json has them, without a name,
// and messages of the server, with the names hello, begin, clock, gap and end.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) {
	h := s.hub
	current, last, ok := h.enter()
	if !ok {
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer h.leave()
	c := http.NewResponseController(w)
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		s.answer(w, 0, nil, err)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	// A stream that a browser opens again has the header; one that the page opens again, after the
	// browser gave up, has the parameter.
	seen, resumed := h.resume(cmp.Or(r.Header.Get("Last-Event-ID"), r.URL.Query().Get("after")))
	if !resumed {
		// A page that is opened in the middle of a run gets all of it that is there.
		if seen = last; current.Run != "" {
			seen = h.beginning()
		}
	}
	hello := struct {
		Launch  string `json:"launch"`
		Resumed bool   `json:"resumed"`
		Current *begin `json:"current,omitempty"`
	}{Launch: h.launch, Resumed: resumed}
	if current.Run != "" {
		hello.Current = &current
	}
	text, _ := json.Marshal(hello) // a plain struct
	fmt.Fprintf(w, "retry: 500\nevent: hello\ndata: %s\n\n", text)
	if c.Flush() != nil {
		return
	}
	for {
		at, measuring := h.clock()
		list, gone, changed := h.since(seen)
		if gone > 0 {
			seen += uint64(gone)
			fmt.Fprintf(w, "id: %s.%d\nevent: gap\ndata: {\"missed\":%d}\n\n", h.launch, seen, gone)
		}
		for _, m := range list {
			seen++
			write(w, h.launch, seen, m)
		}
		if measuring {
			fmt.Fprintf(w, "event: clock\ndata: {\"at_ns\":%d}\n\n", at)
		}
		if len(list)+gone > 0 || measuring {
			if c.Flush() != nil {
				return
			}
		}
		if !h.wait(r, w, c, changed, measuring) {
			return
		}
	}
}

// wait returns when there may be something to send: at the earliest after a batch, at the
// latest, while something is measured, when the clock is to be sent again. ok is false when
// the reader is gone.
func (h *hub) wait(r *http.Request, w io.Writer, c *http.ResponseController, changed chan struct{}, measuring bool) (ok bool) {
	limit := alive
	if measuring {
		limit = 2 * batch
	}
	select {
	case <-r.Context().Done():
		return false
	case <-changed:
	case <-time.After(limit):
		if !measuring {
			io.WriteString(w, ":\n\n") //nolint:errcheck // Flush fails then
			return c.Flush() == nil
		}
		return true
	}
	select {
	case <-r.Context().Done():
		return false
	case <-time.After(batch):
		return true
	}
}

// beginning returns the number before the first message of the current run that is left.
func (h *hub) beginning() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := len(h.ring) - 1; i >= 0; i-- {
		if h.ring[i].name == "begin" {
			return h.first + uint64(i) - 1
		}
	}
	return h.first - 1
}

func write(w io.Writer, launch string, n uint64, m message) {
	fmt.Fprintf(w, "id: %s.%d\n", launch, n)
	if m.name != "" {
		fmt.Fprintf(w, "event: %s\n", m.name)
	}
	fmt.Fprintf(w, "data: %s\n\n", m.text)
}
