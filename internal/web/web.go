// Package web serves the playground's page: static files, a small API, and one stream of
// events. It measures nothing itself: a chapter of the page asks for a Job, which calls a
// lab, and the lab's events are passed on as they happen.
//
// Nothing in a request becomes a path or an argument of a program: requests hold numbers,
// words of a fixed list, and text that is data. docs/PAGE.md describes the API and its
// protection.
package web

import (
	"context"
	"crypto/rand"
	"embed"
	"io/fs"
	"net/http"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/store"
)

//go:embed static
var static embed.FS

// openAPI describes the API for programs.
//
//go:embed openapi.json
var openAPI []byte

// Options are a server's.
type Options struct {
	Hosts []string // what the Host header of a request may be: "127.0.0.1:8080"; no other is served
	Token string   // opens a session; NewToken makes one

	Activities []Activity

	// Measure runs a measurement on a stream of its own, keeps its record, and returns it
	// with the name under which it is kept, "" where it is not. watch subscribes to the
	// stream before the first event.
	Measure func(ctx context.Context, measure Measurement, watch func(event.Event)) (r *record.Run, name string, err error)

	// Store opens the runs that are kept; nil: none are.
	Store func() (*store.Store, error)
	// Repeating returns the command that measures a run again; nil: none is shown.
	Repeating func(*record.Run) string
	// Words writes remedies for the readers of the page; nil: as they are named.
	Words fault.Wording

	// Machine says what this machine is and which GPUs its drivers list; nil: what package
	// host says.
	Machine func(context.Context) (host.Machine, []hardware.Card)
	// Doctor examines the machine, within seconds; nil: it is not examined.
	Doctor func(context.Context) (*record.Run, error)
}

// A Measurement is a lab with its options: it tells what happens and returns the record, nil
// for one that is not kept.
type Measurement func(context.Context, *event.Stream) (*record.Run, error)

// A Server serves the page. Its methods may be called concurrently.
type Server struct {
	o       Options
	session string // the cookie's value
	cookie  string // its name
	hub     *hub
	handler http.Handler
	doctor  func() (*record.Run, error)

	mu      sync.Mutex
	current *running
	recent  []kept         // the latest runs of this server, kept in the store or not
	done    sync.WaitGroup // what is measured
	// examining counts the calls of doctor. It grows only while current is nil, and only a
	// current run waits for it.
	examining sync.WaitGroup
}

// NewToken returns a token of 130 random bits.
func NewToken() string { return rand.Text() }

// New returns a server whose measurements end with ctx. The page is at /, and the API below
// /api/v1.
func New(ctx context.Context, o Options) *Server {
	if o.Machine == nil {
		o.Machine = func(ctx context.Context) (host.Machine, []hardware.Card) { return host.Describe(ctx), host.Cards() }
	}
	s := &Server{o: o, session: rand.Text(), hub: newHub(rand.Text()[:8])}
	s.cookie = cookieName(o.Hosts)
	s.doctor = sync.OnceValues(func() (*record.Run, error) { return o.Doctor(ctx) })
	s.handler = s.guard(s.routes(ctx))
	return s
}

// Handler returns what answers requests.
func (s *Server) Handler() http.Handler { return s.handler }

// Wait returns when nothing is measured any more; the caller has ended New's context.
func (s *Server) Wait() { s.done.Wait() }

// HTTP returns an HTTP server for the page. Its time limits leave room for the stream of
// events, which has no end.
func (s *Server) HTTP() *http.Server {
	return &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
}

func (s *Server) routes(ctx context.Context) http.Handler {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	mux := http.NewServeMux()
	page := http.FileServerFS(files)
	mux.Handle("GET /{$}", page)
	mux.Handle("GET /{file}", page)
	mux.HandleFunc("POST /api/v1/session", s.postSession)
	api := func(pattern string, h http.HandlerFunc) { mux.HandleFunc(pattern, s.private(h)) }
	api("GET /api/v1/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(openAPI) //nolint:errcheck // nobody is left to tell
	})
	api("GET /api/v1/machine", s.getMachine)
	api("GET /api/v1/doctor", s.getDoctor)
	api("GET /api/v1/events", s.getEvents)
	api("POST /api/v1/runs", func(w http.ResponseWriter, r *http.Request) { s.postRun(ctx, w, r) })
	api("GET /api/v1/runs/{id}", s.getRun)
	api("DELETE /api/v1/runs/{id}", s.deleteRun)
	api("POST /api/v1/runs/{id}/messages", s.postMessage)
	api("GET /api/v1/results", s.getResults)
	api("GET /api/v1/results/{id}", s.getResult)
	for _, a := range s.o.Activities {
		if a.Get != nil {
			api("GET /api/v1/"+a.Kind, func(w http.ResponseWriter, r *http.Request) {
				v, err := a.Get(r.Context())
				s.answer(w, http.StatusOK, v, err)
			})
		}
	}
	return mux
}
