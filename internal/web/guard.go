package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
)

// maxBody is how many bytes the body of a request may have.
const maxBody = 64 << 10

// policy lets the page load nothing but its own files and talk to nobody but this server.
// No string becomes markup or code: the page has no trusted type.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' blob: data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// guard refuses what does not come from the page, and sets the headers that confine it.
//
// The Host header is checked first. A name that an attacker lets point to 127.0.0.1 (DNS
// rebinding) makes his page same-origin, so that no check of the origin notices it.
func (s *Server) guard(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	next = crossOrigin.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Embedder-Policy", "require-corp")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if !slices.Contains(s.o.Hosts, strings.ToLower(r.Host)) {
			http.Error(w, "this server answers to "+strings.Join(s.o.Hosts, ", ")+" alone", http.StatusMisdirectedRequest)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// cookieName is the name of the session's cookie. Cookies belong to a host with all of its
// ports, so that two servers on one machine need two names.
func cookieName(hosts []string) string {
	if len(hosts) > 0 {
		if _, port, err := net.SplitHostPort(hosts[0]); err == nil {
			return "gpuplay-" + port
		}
	}
	return "gpuplay"
}

// postSession exchanges the token, which the page finds behind # in its address, for a
// cookie that no script can read.
func (s *Server) postSession(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Token string `json:"token"`
	}
	if err := s.read(r, &in); err != nil {
		s.answer(w, 0, nil, err)
		return
	}
	if !same(in.Token, s.o.Token) {
		http.Error(w, "wrong token", http.StatusForbidden)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: s.cookie, Value: s.session, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.WriteHeader(http.StatusNoContent)
}

// private passes on only requests that belong to a session or carry the token.
func (s *Server) private(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie(s.cookie)
		bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if err == nil && same(c.Value, s.session) || ok && same(bearer, s.o.Token) {
			next(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "no session: open the address that the server printed", http.StatusUnauthorized)
	}
}

// same compares secrets in constant time. An empty one matches nothing.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return b != "" && subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// read reads a request's body, which is one JSON value with known fields.
func (s *Server) read(r *http.Request, into any) error {
	if t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(t) != "application/json" {
		return fault.Errorf(fault.Invalid, "content type %q: application/json is needed", r.Header.Get("Content-Type"))
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	return Decode(body, into)
}

// answer writes a value as JSON, or an error with its code, message and remedies.
func (s *Server) answer(w http.ResponseWriter, status int, v any, err error) {
	if err != nil {
		status, v = s.failure(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(append(text, '\n')) //nolint:errcheck // nobody is left to tell
}

// failed is an error as the API writes it.
type failed struct {
	Code    fault.Code `json:"code"`
	Message string     `json:"message"`
	Ways    []string   `json:"ways,omitempty"` // remedies, the best first
	Run     string     `json:"run,omitempty"`  // that is being measured
}

func (s *Server) failed(err error) *failed {
	e := fault.From(err)
	if e == nil {
		return nil
	}
	f := &failed{Code: e.Code, Message: e.Message}
	for _, r := range e.Remedies {
		f.Ways = append(f.Ways, r.Words(s.o.Words))
	}
	return f
}

func (s *Server) failure(err error) (int, *failed) {
	f := s.failed(err)
	var large *http.MaxBytesError
	var busy busyError
	switch {
	case errors.As(err, &large):
		f.Code, f.Message = fault.Invalid, fmt.Sprintf("the request is larger than %d bytes, the most that is accepted: send less", large.Limit)
		return http.StatusRequestEntityTooLarge, f
	case errors.As(err, &busy):
		f.Code, f.Run = fault.Unavailable, busy.run
		return http.StatusConflict, f
	case errors.Is(err, errNotFound):
		f.Code = fault.Invalid
		return http.StatusNotFound, f
	case errors.Is(err, fault.Invalid), errors.Is(err, fault.Unsupported):
		return http.StatusBadRequest, f
	case errors.Is(err, fault.Unavailable):
		return http.StatusServiceUnavailable, f
	}
	return http.StatusInternalServerError, f
}
