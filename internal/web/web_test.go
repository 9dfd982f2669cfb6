package web

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

const (
	here  = "127.0.0.1:7777"
	token = "a-token-of-a-test-that-nobody-guesses"
)

// hold is an activity whose run lasts until it is told to end.
func hold(told chan string) Activity {
	return Activity{Kind: "hold", Job: func(settings []byte) (Job, error) {
		in := struct {
			Size int `json:"size"`
		}{}
		if err := Decode(settings, &in); err != nil {
			return Job{}, err
		}
		if err := within("size", in.Size, 0, 10); err != nil {
			return Job{}, err
		}
		end := make(chan struct{})
		return Job{
			Measure: func(ctx context.Context, s *event.Stream) (*record.Run, error) {
				s.Emit("", event.Note{Text: "begun"})
				select {
				case <-ctx.Done():
				case <-end:
				}
				r := recordtest.Races()["gpu"]
				r.ID = s.Run()
				s.Emit("", r)
				return r, nil
			},
			Tell: func(message []byte) error {
				if string(message) == `"end"` {
					close(end)
					return nil
				}
				told <- string(message)
				return nil
			},
		}, nil
	}}
}

// measure is Options.Measure without a store.
func measure(ctx context.Context, m Measurement, watch func(event.Event)) (*record.Run, string, error) {
	s := event.NewStream(record.NewID(), nil)
	s.Subscribe(watch)
	r, err := m(ctx, s)
	s.Close()
	return r, "", err
}

func newServer(t *testing.T, activities ...Activity) *Server {
	ctx, cancel := context.WithCancel(t.Context())
	s := New(ctx, Options{Hosts: []string{here, "localhost:7777", "[::1]:7777"}, Token: token, Activities: activities, Measure: measure})
	t.Cleanup(func() { cancel(); s.Wait() })
	return s
}

// a request as the page sends it; change makes it another.
func request(method, path, body string, change func(*http.Request)) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = here
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if change != nil {
		change(r)
	}
	return r
}

func do(s *Server, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestProtection(t *testing.T) {
	s := newServer(t, hold(nil))
	run := `{"kind":"hold","settings":{"size":3}}`
	anonymous := func(r *http.Request) { r.Header.Del("Authorization") }
	from := func(headers ...string) func(*http.Request) {
		return func(r *http.Request) {
			for i := 0; i < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
		}
	}
	for _, c := range []struct {
		name         string
		method, path string
		body         string
		change       func(*http.Request)
		status       int
	}{
		{"the page needs no session", "GET", "/", "", anonymous, 200},
		{"its files neither", "GET", "/main.js", "", anonymous, 200},
		{"localhost", "GET", "/", "", func(r *http.Request) { r.Host = "LOCALHOST:7777" }, 200},
		{"IPv6", "GET", "/", "", func(r *http.Request) { r.Host = "[::1]:7777" }, 200},
		{"a name that was made to point here", "GET", "/", "", func(r *http.Request) { r.Host = "evil.example:7777" }, 421},
		{"its POST, same-origin for the browser", "POST", "/api/v1/runs", run, func(r *http.Request) {
			r.Host = "evil.example:7777"
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		}, 421},
		{"another port", "GET", "/", "", func(r *http.Request) { r.Host = "127.0.0.1:7778" }, 421},
		{"no port", "GET", "/", "", func(r *http.Request) { r.Host = "127.0.0.1" }, 421},
		{"no host", "GET", "/", "", func(r *http.Request) { r.Host = "" }, 421},
		{"POST from another site", "POST", "/api/v1/runs", run, from("Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"), 403},
		{"POST from another port of this host", "POST", "/api/v1/runs", run, from("Sec-Fetch-Site", "same-site", "Origin", "http://127.0.0.1:9999"), 403},
		{"POST with another origin, by an old browser", "POST", "/api/v1/runs", run, from("Origin", "https://evil.example"), 403},
		{"DELETE from another site", "DELETE", "/api/v1/runs/x", "", from("Sec-Fetch-Site", "cross-site"), 403},
		{"the machine without a session", "GET", "/api/v1/machine", "", anonymous, 401},
		{"events without a session", "GET", "/api/v1/events", "", anonymous, 401},
		{"results without a session", "GET", "/api/v1/results", "", anonymous, 401},
		{"a run without a session", "POST", "/api/v1/runs", run, anonymous, 401},
		{"a wrong token", "GET", "/api/v1/machine", "", from("Authorization", "Bearer wrong"), 401},
		{"an empty token", "GET", "/api/v1/machine", "", from("Authorization", "Bearer "), 401},
		{"a wrong cookie", "GET", "/api/v1/machine", "", func(r *http.Request) {
			r.Header.Del("Authorization")
			r.AddCookie(&http.Cookie{Name: "gpuplay-7777", Value: "wrong"})
		}, 401},
		{"the token is no cookie", "GET", "/api/v1/machine", "", func(r *http.Request) {
			r.Header.Del("Authorization")
			r.AddCookie(&http.Cookie{Name: "gpuplay-7777", Value: token})
		}, 401},
		{"the token in the address", "GET", "/api/v1/machine?token=" + token, "", anonymous, 401},
		{"a session for a wrong token", "POST", "/api/v1/session", `{"token":"wrong"}`, anonymous, 403},
		{"a session for none", "POST", "/api/v1/session", `{}`, anonymous, 403},
		{"a form, which needs no permission of the browser", "POST", "/api/v1/runs", run, from("Content-Type", "text/plain"), 400},
		{"a body without end", "POST", "/api/v1/runs", `{"kind":"` + strings.Repeat("x", maxBody) + `"}`, nil, 413},
		{"an unknown kind", "POST", "/api/v1/runs", `{"kind":"rm"}`, nil, 400},
		{"an unknown field", "POST", "/api/v1/runs", `{"kind":"hold","command":"rm"}`, nil, 400},
		{"an unknown setting", "POST", "/api/v1/runs", `{"kind":"hold","settings":{"python":"/bin/sh"}}`, nil, 400},
		{"a setting beyond its limit", "POST", "/api/v1/runs", `{"kind":"hold","settings":{"size":11}}`, nil, 400},
		{"two values", "POST", "/api/v1/runs", `{"kind":"hold"}{}`, nil, 400},
		{"no JSON", "POST", "/api/v1/runs", `{`, nil, 400},
		{"GET starts nothing", "GET", "/api/v1/runs", "", nil, 405},
		{"a run that there is not", "GET", "/api/v1/runs/x", "", nil, 404},
		{"a message to none", "POST", "/api/v1/runs/x/messages", `1`, nil, 404},
		{"a result that there is not", "GET", "/api/v1/results/x", "", nil, 404},
		{"a result that is a path", "GET", "/api/v1/results/..%2f..%2fetc%2fpasswd", "", nil, 404},
		{"a file outside", "GET", "/..%2fweb.go", "", nil, 404},
		{"a file that there is not", "GET", "/web.go", "", nil, 404},
		{"too many results", "GET", "/api/v1/results?limit=100000", "", nil, 400},
	} {
		w := do(s, request(c.method, c.path, c.body, c.change))
		if w.Code != c.status {
			t.Errorf("%s: status %d, want %d: %s", c.name, w.Code, c.status, w.Body)
		}
		if p := w.Header().Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") || !strings.Contains(p, "require-trusted-types-for 'script'") || !strings.Contains(p, "frame-ancestors 'none'") || strings.Contains(p, "unsafe") {
			t.Errorf("%s: policy %q", c.name, p)
		}
		if h := w.Header(); h.Get("Access-Control-Allow-Origin") != "" || h.Get("Cross-Origin-Resource-Policy") != "same-origin" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", c.name, h)
		}
	}
	if s.current != nil {
		t.Error("something is measured")
	}
}

// The token opens a session whose cookie no script and no other site can use.
func TestSession(t *testing.T) {
	s := newServer(t)
	w := do(s, request("POST", "/api/v1/session", `{"token":"`+token+`"}`, func(r *http.Request) { r.Header.Del("Authorization") }))
	cookies := w.Result().Cookies()
	if w.Code != 204 || len(cookies) != 1 {
		t.Fatalf("status %d, cookies %v", w.Code, cookies)
	}
	c := cookies[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.Value == token {
		t.Errorf("cookie %v", c)
	}
	w = do(s, request("GET", "/api/v1/machine", "", func(r *http.Request) {
		r.Header.Del("Authorization")
		r.AddCookie(c)
	}))
	var m machine
	if err := json.Unmarshal(w.Body.Bytes(), &m); w.Code != 200 || err != nil || m.CPU == "" || m.Cards == nil {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

// A server without a token opens to nobody, whatever is sent.
func TestNoToken(t *testing.T) {
	s := New(t.Context(), Options{Hosts: []string{here}})
	for _, r := range []*http.Request{
		request("POST", "/api/v1/session", `{"token":""}`, nil),
		request("GET", "/api/v1/machine", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }),
	} {
		if w := do(s, r); w.Code != 403 && w.Code != 401 {
			t.Errorf("%s: status %d", r.URL, w.Code)
		}
	}
}

func TestRuns(t *testing.T) {
	told := make(chan string, 1)
	s := newServer(t, hold(told))
	begin := func() (id string, w *httptest.ResponseRecorder) {
		w = do(s, request("POST", "/api/v1/runs", `{"kind":"hold"}`, nil))
		var out struct{ ID, Run string }
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			t.Fatal(err)
		}
		return out.ID + out.Run, w
	}
	id, w := begin()
	if w.Code != 202 || id == "" {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if other, w := begin(); w.Code != 409 || other != id {
		t.Fatalf("a second run: status %d: %s", w.Code, w.Body)
	}
	if w := do(s, request("GET", "/api/v1/runs/"+id, "", nil)); w.Code != 200 || !strings.Contains(w.Body.String(), `"kind":"hold"`) {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	if w := do(s, request("POST", "/api/v1/runs/"+id+"/messages", `{"eta":0.1}`, nil)); w.Code != 202 || <-told != `{"eta":0.1}` {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	if w := do(s, request("DELETE", "/api/v1/runs/"+id, "", nil)); w.Code != 202 {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	s.Wait()
	w = do(s, request("GET", "/api/v1/results/"+id, "", nil))
	var v struct {
		Headline struct{ Figure string }
		Run      struct{ Schema string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); w.Code != 200 || err != nil || v.Headline.Figure == "" || v.Run.Schema != record.Schema {
		t.Errorf("status %d, %v: %.300s", w.Code, err, w.Body)
	}
	for format, content := range map[string]string{"json": "application/json", "csv": "text/csv", "svg": "image/svg+xml", "png": "image/png", "report": "text/html"} {
		w := do(s, request("GET", "/api/v1/results/"+id+"?format="+format, "", nil))
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), content) || w.Body.Len() < 100 {
			t.Errorf("%s: status %d, %s, %d bytes", format, w.Code, w.Header().Get("Content-Type"), w.Body.Len())
		}
		// A report is a page: shown here, it would be one of this origin.
		if saved := strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment"); saved != (format != "svg") {
			t.Errorf("%s: saved %v", format, saved)
		}
	}
	if w := do(s, request("GET", "/api/v1/results/"+id+"?format=html", "", nil)); w.Code != 400 {
		t.Errorf("an unknown format: status %d", w.Code)
	}
	w = do(s, request("GET", "/api/v1/results", "", nil))
	if w.Code != 200 || !strings.Contains(w.Body.String(), id) {
		t.Errorf("the list: %s", w.Body)
	}
}

// A run that is started while the doctor examines the machine waits for it, since it would take
// time away from what is measured.
func TestRunAfterDoctor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		examined, measured := make(chan struct{}), false
		s := New(t.Context(), Options{
			Hosts: []string{here}, Token: token, Measure: measure,
			Doctor: func(context.Context) (*record.Run, error) { <-examined; return nil, nil },
			Activities: []Activity{{Kind: "short", Job: func([]byte) (Job, error) {
				return Job{Measure: func(context.Context, *event.Stream) (*record.Run, error) {
					measured = true
					return nil, nil
				}}, nil
			}}},
		})
		go do(s, request("GET", "/api/v1/doctor", "", nil))
		synctest.Wait()
		if w := do(s, request("POST", "/api/v1/runs", `{"kind":"short"}`, nil)); w.Code != 202 {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		synctest.Wait()
		if measured {
			t.Error("measured while the doctor examined the machine")
		}
		close(examined)
		s.Wait()
		if !measured {
			t.Error("not measured after the doctor")
		}
	})
}

// What is measured when the server ends is ended, and waited for.
func TestEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := New(ctx, Options{Hosts: []string{here}, Token: token, Activities: []Activity{hold(nil)}, Measure: measure})
	if w := do(s, request("POST", "/api/v1/runs", `{"kind":"hold"}`, nil)); w.Code != 202 {
		t.Fatal(w.Body)
	}
	cancel()
	s.Wait()
	if len(s.recent) != 1 || s.current != nil {
		t.Errorf("%d results", len(s.recent))
	}
}

// An error arrives with its code and its remedies in the words of the page's reader.
func TestErrors(t *testing.T) {
	s := newServer(t, Activity{Kind: "fails", Job: func([]byte) (Job, error) {
		return Job{}, fault.Errorf(fault.Unavailable, "no GPU").With(fault.Run("{} says why", "gpuplay", "doctor"))
	}})
	w := do(s, request("POST", "/api/v1/runs", `{"kind":"fails"}`, nil))
	if want := `{"code":"unavailable","message":"no GPU","ways":["gpuplay doctor says why"]}`; w.Code != 503 || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("status %d: %s, want %s", w.Code, w.Body, want)
	}
}

// The page stays within its budget, and refers to nothing elsewhere.
func TestPage(t *testing.T) {
	files, err := static.ReadDir("static")
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, f := range files {
		text, err := static.ReadFile("static/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(f.Name(), ".txt") && !strings.HasPrefix(f.Name(), "data-") { // data sets are loaded when used
			total += int64(len(text))
		}
		code := bytes.ReplaceAll(text, []byte("http://www.w3.org/2000/svg"), nil)
		for _, forbidden := range []string{"http://", "https://", "innerHTML", "insertAdjacentHTML", "document.write", "eval(", "style=", "<script>"} {
			if !strings.HasSuffix(f.Name(), ".woff2") && !strings.HasSuffix(f.Name(), ".txt") && bytes.Contains(code, []byte(forbidden)) {
				t.Errorf("%s has %q", f.Name(), forbidden)
			}
		}
	}
	if total > 250_000 {
		t.Errorf("the page has %d bytes, and may have 250,000", total)
	}
	t.Logf("%d bytes", total)
}

// httpServer serves over a real connection, as streams need.
func httpServer(t *testing.T, s *Server) *httptest.Server {
	ts := httptest.NewUnstartedServer(nil)
	ts.Config = s.HTTP()
	s.o.Hosts = append(s.o.Hosts, ts.Listener.Addr().String())
	ts.Start()
	t.Cleanup(ts.Close)
	return ts
}

// stream opens the stream of events where a page left it; after is an id, or a query.
func stream(t *testing.T, ts *httptest.Server, after string) io.ReadCloser {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", ts.URL+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if strings.HasPrefix(after, "after=") {
		r.URL.RawQuery = after
	} else if after != "" {
		r.Header.Set("Last-Event-ID", after)
	}
	res, err := ts.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("status %d, %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	return res.Body
}
