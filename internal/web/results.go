package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"

	"github.com/gpuplay/gpuplay/internal/card"
	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/store"
)

// kept is a run of this server.
type kept struct {
	run  *record.Run
	name string // in the store; empty: it is not there
}

// machine is what this machine is, before anything was started on it.
type machine struct {
	host.Machine
	Cards []hardware.Card `json:"cards"`
}

func (s *Server) getMachine(w http.ResponseWriter, r *http.Request) {
	m, cards := s.o.Machine(r.Context())
	s.answer(w, http.StatusOK, machine{Machine: m, Cards: append([]hardware.Card{}, cards...)}, nil)
}

// finding is a line of a diagnosis.
type finding struct {
	record.Check
	Ways []string `json:"ways,omitempty"`
}

// getDoctor examines the machine once for each launch of the server.
func (s *Server) getDoctor(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if busy := s.current; busy != nil { // it would take time away from what is measured
		s.mu.Unlock()
		s.answer(w, 0, nil, busyError{busy.ID, busy.Kind})
		return
	}
	s.examining.Add(1) // a run that is started meanwhile waits
	s.mu.Unlock()
	defer s.examining.Done()
	list := []finding{}
	if s.o.Doctor == nil {
		s.answer(w, http.StatusOK, list, nil)
		return
	}
	run, err := s.doctor()
	if run != nil {
		for _, c := range run.Checks {
			f := finding{Check: c}
			for _, way := range c.Remedies {
				f.Ways = append(f.Ways, way.Words(s.o.Words))
			}
			list = append(list, f)
		}
	}
	s.answer(w, http.StatusOK, list, err)
}

// maxList is how many runs a list has at most.
const maxList = 200

// getResults lists the runs that are kept, the latest first: ?kind=race&limit=20.
func (s *Server) getResults(w http.ResponseWriter, r *http.Request) {
	limit := 50
	if text := r.FormValue("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxList {
			s.answer(w, 0, nil, fault.Errorf(fault.Invalid, "limit %q: 1 to %d", text, maxList))
			return
		}
		limit = n
	}
	kind := record.Kind(r.FormValue("kind"))
	list := []store.Entry{}
	s.mu.Lock()
	for _, k := range slices.Backward(s.recent) {
		if k.name == "" && (kind == "" || k.run.Kind == kind) {
			task, figure := judge.Summary(k.run)
			list = append(list, store.Entry{ID: k.run.ID, Name: k.run.ID, Kind: k.run.Kind, Created: k.run.Created, Task: task, Figure: figure})
		}
	}
	s.mu.Unlock()
	var err error
	if s.o.Store != nil {
		var st *store.Store
		if st, err = s.o.Store(); err == nil {
			var more []store.Entry
			more, _, err = st.List(store.Filter{Kind: kind, Limit: limit})
			list = append(list, more...)
			st.Close() //nolint:errcheck // it was read
		}
	}
	s.answer(w, http.StatusOK, list[:min(limit, len(list))], err)
}

// named is what names a run in the store: it is looked up, and is never a path.
var named = regexp.MustCompile(`^[\w.+-]{1,64}(~\d{1,6})?$`)

// result returns the run of an id, or of a name in the store.
func (s *Server) result(id string) (*record.Run, error) {
	s.mu.Lock()
	for _, k := range s.recent {
		if k.run.ID == id || k.name == id {
			defer s.mu.Unlock()
			return k.run, nil
		}
	}
	s.mu.Unlock()
	if !named.MatchString(id) || s.o.Store == nil {
		return nil, errNotFound
	}
	st, err := s.o.Store()
	if err != nil {
		return nil, err
	}
	defer st.Close() //nolint:errcheck // it was read
	e, err := st.Find(id)
	if errors.Is(err, fault.Invalid) {
		return nil, errNotFound
	}
	if err != nil {
		return nil, err
	}
	return st.Run(e)
}

// A form is a file format in which a result can be saved.
type form struct {
	content string
	ending  string
	write   func(s *Server, w io.Writer, r *record.Run, t card.Theme) error
}

var forms = map[string]form{
	"json":   {"application/json; charset=utf-8", ".json", encoded("json")},
	"csv":    {"text/csv; charset=utf-8", ".csv", encoded("csv")},
	"report": {"text/html; charset=utf-8", ".html", encoded("html")},
	"svg":    {"image/svg+xml", ".svg", drawn((*card.Drawing).SVG)},
	"png":    {"image/png", ".png", drawn((*card.Drawing).PNG)},
}

func encoded(format string) func(*Server, io.Writer, *record.Run, card.Theme) error {
	return func(s *Server, w io.Writer, r *record.Run, _ card.Theme) error {
		if !slices.Contains(encode.Formats(r.Kind), format) {
			return fault.Errorf(fault.Unsupported, "a run of %s has no %s", r.Kind, format)
		}
		return encode.Write(w, r, format, s.o.Words)
	}
}

func drawn(write func(*card.Drawing, io.Writer) error) func(*Server, io.Writer, *record.Run, card.Theme) error {
	return func(s *Server, w io.Writer, r *record.Run, t card.Theme) error {
		d, ok := card.New(r, t, s.repeating(r))
		if !ok {
			return fault.Errorf(fault.Unsupported, "a run of %s has no card", r.Kind)
		}
		return write(d, w)
	}
}

func (s *Server) repeating(r *record.Run) string {
	if s.o.Repeating == nil {
		return ""
	}
	return s.o.Repeating(r)
}

// view is a run as the page shows it, with its headline.
type view struct {
	Headline *judge.Headline `json:"headline,omitempty"`
	Command  string          `json:"command,omitempty"` // measures it again
	// Names are those of the lanes of products, by their ids.
	Names map[string]string `json:"names,omitempty"`
	Run   json.RawMessage   `json:"run"` // as encode.JSON writes it
}

// getResult returns a run: for the page, or with ?format=svg&theme=dark as a file.
func (s *Server) getResult(w http.ResponseWriter, r *http.Request) {
	run, err := s.result(r.PathValue("id"))
	if err != nil {
		s.answer(w, 0, nil, err)
		return
	}
	format := r.FormValue("format")
	if format == "" {
		var text bytes.Buffer
		if err := encode.JSON(&text, run, s.o.Words); err != nil {
			s.answer(w, 0, nil, err)
			return
		}
		v := view{Command: s.repeating(run), Run: text.Bytes()}
		if h, ok := judge.NewHeadline(run); ok {
			v.Headline = &h
		}
		if len(run.Results) > 0 {
			v.Names = map[string]string{}
		}
		for _, x := range run.Results {
			v.Names[x.Lane] = x.Label()
		}
		s.answer(w, http.StatusOK, v, nil)
		return
	}
	f, ok := forms[format]
	theme := card.Themes[0]
	if i := slices.IndexFunc(card.Themes, func(t card.Theme) bool { return t.Name == r.FormValue("theme") }); i >= 0 {
		theme = card.Themes[i]
	} else if r.FormValue("theme") != "" {
		ok = false
	}
	if !ok {
		s.answer(w, 0, nil, fault.Errorf(fault.Invalid, "format %q, theme %q: there is no such file", format, r.FormValue("theme")))
		return
	}
	var text bytes.Buffer // so that an error leaves no half of a file
	if err := f.write(s, &text, run, theme); err != nil {
		s.answer(w, 0, nil, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.content)
	// A card is shown; a report is a page with styles of its own, and must not be one of this origin.
	if format != "svg" || r.FormValue("save") != "" {
		h.Set("Content-Disposition", `attachment; filename="gpuplay-`+run.Created.Format("20060102-150405")+f.ending+`"`)
	}
	w.Write(text.Bytes()) //nolint:errcheck // nobody is left to tell
}
