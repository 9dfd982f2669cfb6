package ollama

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/plain"
)

// get reads a JSON answer.
func (s *session) get(ctx context.Context, path string, into any) error {
	response, err := s.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("what answers at %s is no Ollama: %v", s.url.Host, err), Remedies: fault.Advice("is OLLAMA_HOST right?")}
	}
	return nil
}

// ask sends a request to /api/generate and gives each line of the answer but the
// last, which it returns, to each.
func (s *session) ask(ctx context.Context, q request, each func(answer)) (last answer, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return last, err
	}
	response, err := s.do(ctx, http.MethodPost, "/api/generate", body)
	if err != nil {
		return last, err
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var a answer
			if broken := json.Unmarshal(line, &a); broken != nil && err == nil {
				return last, &fault.Error{Code: fault.Internal, Message: fmt.Sprintf("Ollama's answer is not understood: %v", broken), Remedies: fault.Advice("is OLLAMA_HOST right?")}
			} else if broken == nil {
				if a.Error != "" {
					return last, s.said(http.StatusOK, a.Error)
				}
				if each != nil && (!a.Done || a.Response != "" || len(a.LogProbs) > 0) {
					each(a)
				}
				if a.Done {
					return a, nil
				}
			}
		}
		switch {
		case ctx.Err() != nil:
			return last, ctx.Err()
		case errors.Is(err, io.EOF):
			err = errors.New("it ended early")
			fallthrough
		case err != nil:
			return last, &fault.Error{Code: fault.Crashed, Message: fmt.Sprintf("Ollama's answer broke off: %v", err), Remedies: fault.Advice("its log says more: https://docs.ollama.com/troubleshooting")}
		}
	}
}

// do sends a request; an answer that is an error is returned as one.
func (s *session) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, method, s.url.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(q)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("no Ollama answers at %s: %v", s.url.Host, err), Remedies: fault.Remedies{
			fault.Run("start it with {} or its app (https://ollama.com/download)", "ollama", "serve"), {Text: "OLLAMA_HOST says where it is"},
		}}
	}
	if response.StatusCode >= 400 {
		defer response.Body.Close()
		var a answer
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<16))
		if json.Unmarshal(text, &a) != nil || a.Error == "" {
			a.Error = response.Status
		}
		return nil, s.said(response.StatusCode, a.Error)
	}
	return response, nil
}

// said turns Ollama's words into an error.
func (s *session) said(status int, words string) error {
	e := &fault.Error{Code: fault.Internal, Message: "Ollama: " + plain.Line(words), Remedies: fault.Advice("its log says more: https://docs.ollama.com/troubleshooting")}
	switch lower := strings.ToLower(words); {
	case status == http.StatusNotFound:
		e.Code, e.Remedies = fault.Unavailable, fault.Remedies{pull(s.model)}
	case strings.Contains(lower, "context"):
		e.Code, e.Remedies = fault.Invalid, fault.Remedies{fault.Change("ctx", "{} allows a longer prompt")}
	case strings.Contains(lower, "memory"):
		e.Code, e.Remedies = fault.OutOfMemory, fault.Advice("a smaller model, or one with fewer bits per weight, fits")
	}
	return e
}
