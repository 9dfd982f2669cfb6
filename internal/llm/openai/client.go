package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/plain"
)

// errNoSuchPath is a server's answer that it does not know a path.
var errNoSuchPath = errors.New("no such path")

const (
	answerLimit = 16 << 20 // bytes of a list of models
	errorLimit  = 64 << 10 // bytes of an error
	busyPause   = 200 * time.Millisecond
)

// get reads a JSON answer. A server that is still loading its model is waited for.
func (s *session) get(ctx context.Context, path string, into any) error {
	for {
		response, err := s.do(ctx, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		if response.StatusCode == http.StatusServiceUnavailable { // llama-server's, while it loads
			response.Body.Close()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(busyPause):
			}
			continue
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return s.refused(response)
		}
		text, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fault.Errorf(fault.Unavailable, "the answer of %s broke off: %v", s.url.Host, err)
		case isPage(response, text):
			return s.page()
		}
		if err := json.Unmarshal(text, into); err != nil {
			return fault.Errorf(fault.Unavailable, "%s does not answer in JSON: “%s”", s.url.Host, s.quote(text)).With(rightURL())
		}
		return nil
	}
}

// do sends a request. Its errors are about the connection.
func (s *session) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, method, s.url.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	// llama-server closes some connections just after an answer. With this key the
	// transport sends the request again on a new one; a key without a value is not sent.
	q.Header["X-Idempotency-Key"] = nil
	if s.key != "" {
		q.Header.Set("Authorization", "Bearer "+s.key)
	}
	response, err := s.client.Do(q)
	if err == nil {
		return response, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return nil, fault.Errorf(fault.Unavailable, "no server answers at %s: %s", s.url.Host, s.quote([]byte(err.Error()))).With(rightURL())
}

// rightURL is the remedy for what is no server of this kind.
func rightURL() fault.Remedy { return fault.Change("url", "is it running, and is {} right?") }

// isPage reports whether an answer is a web page.
func isPage(r *http.Response, text []byte) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") || bytes.HasPrefix(bytes.TrimSpace(text), []byte("<"))
}

func (s *session) page() error {
	return fault.Errorf(fault.Unavailable, "%s answers with a web page, not as a server of language models does", s.url.Host).With(rightURL())
}

// quote shortens a foreign text to a line, without the key, which some servers repeat.
func (s *session) quote(text []byte) string {
	const most = 200
	line := plain.Line(strings.Join(strings.Fields(string(text)), " "))
	if s.key != "" {
		line = strings.ReplaceAll(line, s.key, "…")
	}
	if runes := []rune(line); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return line
}

// apiError is an error as servers report it: an object with a message in most, a text in
// some.
type apiError struct {
	Message string `json:"message"`
}

func (e *apiError) UnmarshalJSON(text []byte) error {
	if json.Unmarshal(text, &e.Message) == nil {
		return nil
	}
	type object apiError // without this method
	return json.Unmarshal(text, (*object)(e))
}

// refused turns an answer that is no success into an error. Its code is fault.Invalid if
// the server does not like the request: a prompt longer than its context, say.
func (s *session) refused(r *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(r.Body, errorLimit)) // what there is of it
	var answer struct {
		Error   apiError `json:"error"`
		Message string   `json:"message"` // vLLM's, before 0.10
		Detail  string   `json:"detail"`  // FastAPI's
	}
	words := ""
	if json.Unmarshal(text, &answer) == nil {
		for _, w := range []string{answer.Error.Message, answer.Message, answer.Detail} {
			if words == "" {
				words = s.quote([]byte(w))
			}
		}
	}
	said := r.Status
	if words != "" {
		said = fmt.Sprintf("“%s” (%s)", words, r.Status)
	}
	switch {
	case r.StatusCode >= 300 && r.StatusCode < 400:
		e := fault.Errorf(fault.Unavailable, "%s sends requests on to another address, which gets neither prompt nor key unasked", s.url.Host)
		if to, err := r.Location(); err == nil && to.User == nil {
			to.RawQuery, to.Fragment = "", ""
			to.Path = strings.TrimSuffix(strings.TrimSuffix(to.Path, "/models"), "/chat/completions")
			e = e.With(fault.Set("url", to.String(), "if you trust it:"))
		}
		return e
	case r.StatusCode == http.StatusUnauthorized || r.StatusCode == http.StatusForbidden:
		if s.key == "" {
			return fault.Errorf(fault.Unavailable, "%s wants a key: %s", s.url.Host, said).With(fault.Advice("the variable OPENAI_API_KEY holds it")...)
		}
		return fault.Errorf(fault.Unavailable, "%s refuses the key: %s", s.url.Host, said).With(fault.Advice("the variable OPENAI_API_KEY holds another one than this server's")...)
	case r.StatusCode == http.StatusNotFound && (words == "" || r.Request.Method == http.MethodGet) || r.StatusCode == http.StatusMethodNotAllowed:
		return errNoSuchPath
	case isPage(r, text):
		return s.page()
	case r.StatusCode == http.StatusNotFound:
		return fault.Errorf(fault.Unavailable, "%s: %s", s.url.Host, said).With(rightURL())
	case r.StatusCode == http.StatusTooManyRequests || r.StatusCode == http.StatusServiceUnavailable:
		return fault.Errorf(fault.Unavailable, "%s is busy: %s", s.url.Host, said).With(fault.Advice("what others ask of it at the same time would be part of the figures: try again later")...)
	case r.StatusCode < 500:
		return fault.Errorf(fault.Invalid, "%s refuses the request: %s", s.url.Host, said)
	}
	return fault.Errorf(fault.Crashed, "%s failed: %s", s.url.Host, said).With(fault.Advice("its log says more")...)
}
