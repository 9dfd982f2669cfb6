package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/record"
)

// An Activity is a kind of run that a chapter of the page can start.
type Activity struct {
	// Kind names it in a request: "race". It is also the last part of the address that Get
	// answers.
	Kind string
	// Job reads settings and returns what computes with them. It checks everything, with
	// upper limits: settings hold numbers, words of a fixed list, and text that is data, and
	// nothing of them may become a path or an argument of a program. Decode reads them.
	Job func(settings []byte) (Job, error)
	// Get returns what the chapter can choose from, as JSON; nil: nothing. It changes nothing.
	Get func(ctx context.Context) (any, error)
}

// A Job is an activity with its settings.
type Job struct {
	// Measure computes until it is finished or its context ends.
	Measure Measurement
	// Tell is given messages while Measure runs, such as another learning rate. It is called
	// concurrently with Measure. nil: there are none.
	Tell func(message []byte) error
}

// Decode reads one JSON value that has no unknown field, as the settings of an activity are.
// No settings are those of an empty object.
func Decode(text []byte, into any) error {
	if len(bytes.TrimSpace(text)) == 0 {
		text = []byte("{}")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is something behind the value")
		}
	}
	if err != nil {
		return fault.Errorf(fault.Invalid, "not the JSON that is expected here: %v", err)
	}
	return nil
}

// running is what is measured now.
type running struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`

	tell   func([]byte) error
	cancel context.CancelFunc
}

// busyError is the error of a second run while one is measured: they would slow each other.
type busyError struct{ run, kind string }

func (e busyError) Error() string {
	return "a run of " + e.kind + " is being measured; another one at the same time would falsify both"
}

var errNotFound = errors.New("there is no such run")

// postRun begins a run: {"kind": "race", "settings": {…}}.
func (s *Server) postRun(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	var in struct {
		Kind     string          `json:"kind"`
		Settings json.RawMessage `json:"settings"`
	}
	if err := s.read(r, &in); err != nil {
		s.answer(w, 0, nil, err)
		return
	}
	run, err := s.start(ctx, in.Kind, in.Settings)
	s.answer(w, http.StatusAccepted, run, err)
}

// start begins a run and returns once it has an id.
func (s *Server) start(ctx context.Context, kind string, settings []byte) (*running, error) {
	i := slices.IndexFunc(s.o.Activities, func(a Activity) bool { return a.Kind == kind })
	if i < 0 || s.o.Activities[i].Job == nil {
		return nil, fault.Errorf(fault.Invalid, "unknown kind of run %q", kind)
	}
	job, err := s.o.Activities[i].Job(settings)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	now := &running{Kind: kind, tell: job.Tell, cancel: cancel}
	s.mu.Lock()
	if s.current != nil {
		defer s.mu.Unlock()
		cancel()
		return nil, busyError{s.current.ID, s.current.Kind}
	}
	s.current = now
	s.done.Add(1)
	s.mu.Unlock()

	begun := make(chan struct{})
	go func() {
		defer s.done.Done()
		s.measure(ctx, now, job, begun)
	}()
	<-begun
	return now, nil
}

// measure runs a job to its end and tells how it ended. begun is closed as soon as the run
// has an id.
func (s *Server) measure(ctx context.Context, now *running, job Job, begun chan struct{}) {
	defer now.cancel()
	r, name, err := s.o.Measure(ctx, func(ctx context.Context, stream *event.Stream) (*record.Run, error) {
		s.mu.Lock()
		now.ID = stream.Run()
		s.mu.Unlock()
		s.hub.begin(stream, now.Kind)
		close(begun)
		s.examining.Wait() // the doctor would take time away from what is measured
		return job.Measure(ctx, stream)
	}, s.hub.observe)
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.ID == "" { // it did not come to measuring
		now.ID = record.NewID()
		close(begun)
	}
	s.current = nil
	if r != nil {
		s.recent = append(s.recent, kept{r, name})
		if n := len(s.recent); n > 4 {
			s.recent = slices.Delete(s.recent, 0, n-4)
		}
	}
	end := ended{Run: now.ID, Kind: now.Kind, Error: s.failed(err), Stopped: ctx.Err() != nil}
	if r != nil {
		end.Result, end.Name = r.ID, name
		if end.Error == nil && r.Error != nil {
			end.Error = s.failed(r.Error)
		}
	}
	s.hub.end(end) // before another run can begin
}

// ended is how a run ended, as the stream reports it.
type ended struct {
	Run     string  `json:"run"`
	Kind    string  `json:"kind"`
	Result  string  `json:"result,omitempty"` // its id among the results; empty: it has no record
	Name    string  `json:"name,omitempty"`   // under which it is kept; empty: it is not
	Stopped bool    `json:"stopped,omitempty"`
	Error   *failed `json:"error,omitempty"`
}

// of returns the run of that id if it is measured now.
func (s *Server) of(id string) (*running, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.current.ID != id {
		return nil, errNotFound
	}
	return s.current, nil
}

func (s *Server) getRun(w http.ResponseWriter, r *http.Request) {
	run, err := s.of(r.PathValue("id"))
	s.answer(w, http.StatusOK, run, err)
}

// deleteRun stops a run; what was measured is kept. The stream tells when it has ended.
func (s *Server) deleteRun(w http.ResponseWriter, r *http.Request) {
	run, err := s.of(r.PathValue("id"))
	if err == nil {
		run.cancel()
	}
	s.answer(w, http.StatusAccepted, run, err)
}

// postMessage gives a run a message: any JSON that its activity understands.
func (s *Server) postMessage(w http.ResponseWriter, r *http.Request) {
	run, err := s.of(r.PathValue("id"))
	var message json.RawMessage
	switch {
	case err != nil:
	case run.tell == nil:
		err = fault.Errorf(fault.Invalid, "a run of %s takes no messages", run.Kind)
	default:
		if err = s.read(r, &message); err == nil {
			err = run.tell(message)
		}
	}
	s.answer(w, http.StatusAccepted, struct{}{}, err)
}
