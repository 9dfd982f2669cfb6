package fetch

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Ask waits as long as a server says, within two minutes in all, and not for one that does
// not say.
func TestAsk(t *testing.T) {
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for name, tt := range map[string]struct {
		status int
		after  string
		times  int // that the server refuses
		pauses int
		works  bool
	}{
		"at once":               {http.StatusOK, "", 0, 0, true},
		"busy twice":            {http.StatusTooManyRequests, "7", 2, 2, true},
		"closed for a moment":   {http.StatusServiceUnavailable, "1", 1, 1, true},
		"a date":                {http.StatusTooManyRequests, in(30 * time.Second), 1, 1, true},
		"a date that is past":   {http.StatusTooManyRequests, in(-time.Hour), 1, 1, true},
		"busy for an hour":      {http.StatusTooManyRequests, "3600", 9, 0, false},
		"a date in an hour":     {http.StatusTooManyRequests, in(time.Hour), 9, 0, false},
		"busy for ever":         {http.StatusTooManyRequests, "30", 1 << 20, 4, false},
		"at once, and for ever": {http.StatusTooManyRequests, "0", 1 << 20, 4, false},
		"it does not say":       {http.StatusTooManyRequests, "", 1, 0, false},
		"not there":             {http.StatusNotFound, "7", 1, 0, false},
	} {
		refused, pauses, told := 0, 0, 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if refused++; refused <= tt.times {
				w.Header().Set("Retry-After", tt.after)
				w.WriteHeader(tt.status)
			}
		}))
		c := client()
		c.Pause = func(_ context.Context, d time.Duration) error { pauses++; return nil }
		response, err := c.Ask(t.Context(), server.URL, nil, func(why string, _ time.Duration) {
			if told++; !strings.Contains(why, "answers") {
				t.Errorf("%s: told %q", name, why)
			}
		})
		if err == nil {
			response.Body.Close()
		}
		if (err == nil) != tt.works || err != nil && !is[*Refusal](err) || pauses != tt.pauses || told != pauses {
			t.Errorf("%s: %v after %d pauses, of which %d were told", name, err, pauses, told)
		}
		server.Close()
	}
	c := client()
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer server.Close()
	c.Pause = pause
	if _, err := c.Ask(ctx, server.URL, nil, func(string, time.Duration) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted while it waits: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	untrusted := httptest.NewUnstartedServer(nil)
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	for address, want := range map[string]string{
		"http://nowhere.invalid": "nowhere.invalid cannot be reached: its name is not known here",
		closed.URL:               "cannot be reached: dial tcp",
		untrusted.URL:            "certificate",
	} {
		_, err := New().Get(t.Context(), address, nil)
		var u *Unreachable
		if !errors.As(err, &u) || !strings.Contains(err.Error(), want) || u.Certificate != (want == "certificate") {
			t.Errorf("%s: %v (%T), want %s", address, err, err, want)
		}
	}
	if _, err := New().Get(t.Context(), "http://a b/", nil); err == nil || is[*Unreachable](err) {
		t.Errorf("an address that is none: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New().Get(ctx, closed.URL, nil); !errors.Is(err, context.Canceled) || is[*Unreachable](err) {
		t.Errorf("cut off: %v", err)
	}
}

// A token goes to the host that it is for and to no other.
func TestRedirects(t *testing.T) {
	via := httptest.NewRequest("GET", "https://huggingface.co/x", nil)
	for to, keeps := range map[string]bool{"https://huggingface.co/y": true, "https://cdn.huggingface.co/y": false, "https://huggingface.co:444/y": false} {
		r := httptest.NewRequest("GET", to, nil)
		r.Header.Set("Authorization", "Bearer x")
		if err := redirected(r, []*http.Request{via}); err != nil || (r.Header.Get("Authorization") != "") != keeps {
			t.Errorf("redirected to %s with %q, %v", to, r.Header.Get("Authorization"), err)
		}
	}
	if err := redirected(httptest.NewRequest("GET", "http://huggingface.co/y", nil), []*http.Request{via}); err == nil {
		t.Error("a redirect to what is not encrypted is followed")
	}
	circle := httptest.NewServer(http.RedirectHandler("/", http.StatusFound))
	defer circle.Close()
	if _, err := New().Get(t.Context(), circle.URL, nil); err == nil || !strings.Contains(err.Error(), "redirects in circles") {
		t.Errorf("in circles: %v", err)
	}
}
