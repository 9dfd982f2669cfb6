package hub

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/fetch"
)

// Ctrl-C in the middle, and the command once more.
func TestContinuesTheNextTime(t *testing.T) {
	h := stocked(t)
	c := client(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	h.Fault = func(w http.ResponseWriter, r *http.Request, data []byte) bool {
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		w.Write(data[:100_000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	}
	c.Observe = func(p Progress) {
		if p.Done == 100_000 {
			cancel()
		}
	}
	p, err := c.Plan(ctx, ggufRepo)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(ctx, p); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want canceled", err)
	}
	if _, err := os.Stat(c.Path(p)); err == nil {
		t.Error("a part of the file has the file's name")
	}
	h.Fault, c.Observe = nil, nil
	ranges(h)
	if p, err = c.Plan(t.Context(), ggufRepo); err != nil || p.Missing != 200_000 {
		t.Errorf("%d bytes are missing, %v; want 200000", p.Missing, err)
	}
	path, err := c.Get(t.Context(), p)
	if got, _ := os.ReadFile(path); err != nil || !bytes.Equal(got, h.Models[ggufRepo]["small-q4_k_m.gguf"]) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if d := cmp.Diff([]string{"bytes=100000-"}, ranges(h)); d != "" {
		t.Error(d)
	}
}

// faults are what a server can do to a file, with the error that names it. parts is how
// many bytes are kept for the next time.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault func(w http.ResponseWriter, r *http.Request, data []byte) bool
		says  string
		hint  string
		parts int64
		tries int
	}{
		{"other bytes", func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			w.Write(append(data[:299_999:299_999], data[299_999]^1))
			return true
		}, "small-q4_k_m.gguf of " + ggufRepo + " is damaged: its SHA-256 is ", "repeat the command", 0, 1},
		{"more bytes", func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			w.Write(append(data[:300_000:300_000], 0))
			return true
		}, "sends more of small-q4_k_m.gguf than its 300000 bytes", "HF_ENDPOINT", -1, 1},
		{"nothing at all, again and again", func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			panic(http.ErrAbortHandler)
		}, "cannot be reached: EOF", "gpuplay models", 0, fetch.Attempts},
		{"a part, and nothing after it", func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			if r.Header.Get("Range") == "" {
				w.Write(data[:1000])
			} else {
				w.Header().Set("Content-Range", "bytes 1000-299999/300000")
				w.WriteHeader(http.StatusPartialContent)
			}
			return true
		}, "small-q4_k_m.gguf: the connection ended early, 5 times in a row", "what has come is kept", 1000, fetch.Attempts},
		{"out of order", func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}, "answers 503 Service Unavailable", "status.huggingface.co", 0, fetch.Attempts},
		{"another part", func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			if r.Header.Get("Range") == "" {
				w.Write(data[:1000])
				return true
			}
			w.Header().Set("Content-Range", "bytes 0-1/300000")
			w.WriteHeader(http.StatusPartialContent)
			return true
		}, "sends another part of small-q4_k_m.gguf than was asked for", "", 1000, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := stocked(t)
			c := client(t, h)
			h.Fault = tt.fault
			_, err := get(t, c, ggufRepo)
			var e *fault.Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, tt.says) || !strings.Contains(e.Remedies.String(), tt.hint) {
				t.Fatalf("%v (%+v), want %q, %q", err, e, tt.says, tt.hint)
			}
			if n := len(ranges(h)); n != tt.tries {
				t.Errorf("%d requests, want %d", n, tt.tries)
			}
			p, _ := c.Plan(t.Context(), ggufRepo)
			if tt.parts >= 0 && p.Missing != 300_000-tt.parts {
				t.Errorf("%d bytes are missing, want all but %d", p.Missing, tt.parts)
			}
			if _, err := os.Stat(c.Path(p)); err == nil {
				t.Error("the file is there")
			}
			h.Fault = nil
			if _, err := c.Get(t.Context(), p); err != nil && tt.parts >= 0 {
				t.Errorf("trying again: %v", err)
			}
		})
	}
}
