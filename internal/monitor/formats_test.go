package monitor

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/screen"
	"github.com/gpuplay/gpuplay/internal/term"
)

// What Prometheus and CSV get of a machine with two GPUs, one of which is in MIG mode.
func TestFormats(t *testing.T) {
	m := machine{cards: 2, mig: true, long: 14 * time.Second}
	h := m.history()
	golden.Compare(t, "prometheus.txt", h.Prometheus())
	var b bytes.Buffer
	each, failed := CSV(&b)
	n := 0
	m.events(func(e event.Event) {
		if _, ok := e.Data.(event.Telemetry); !ok || n < 6 || e.At == 13*time.Second {
			each(e)
			n++
		}
	})
	if err := failed(); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "readings.csv", b.Bytes())
}

// Readings that are too old are absent, never 0.
func TestPrometheusForgets(t *testing.T) {
	h := machine{cards: 1, long: time.Second}.history()
	h.Observe(at(10*time.Second, event.Telemetry{Source: "system", Readings: []event.Reading{{Sensor: event.Sensor{Quantity: event.Memory}, Value: 1}}}))
	if got := h.Prometheus(); strings.Contains(got, "gpu0") || !strings.Contains(got, "gpuplay_memory_used_bytes") {
		t.Errorf("%s", got)
	}
}

// A page in a browser that reaches the port by a name of its own gets nothing.
func TestServesThisMachineAlone(t *testing.T) {
	h := machine{long: time.Second}.history()
	for _, tt := range []struct {
		method, host, path string
		want               int
	}{
		{"GET", "127.0.0.1:9400", "/metrics", 200}, {"HEAD", "localhost:9400", "/metrics", 200}, {"GET", "evil.example:9400", "/metrics", 421},
		{"GET", "127.0.0.1:9400", "/", 404}, {"POST", "127.0.0.1:9400", "/metrics", 405},
	} {
		r := httptest.NewRequest(tt.method, tt.path, nil)
		r.Host = tt.host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%s %s%s: %d, want %d", tt.method, tt.host, tt.path, w.Code, tt.want)
		}
	}
}

// The history of a run, with what each lane did when: lanes take turns, and compute without
// a break in the end.
func TestWatch(t *testing.T) {
	h := machine{cards: 1, long: 20 * time.Second}.history()
	lane := func(id string, t time.Duration, d event.Data) {
		h.Observe(event.Event{Lane: id, At: t, Type: d.EventType(), Data: d})
	}
	lane("gpu", 0, event.Lane{Name: "PyTorch cuda"})
	lane("cpu", 0, event.Lane{Name: "gpuplay (built in)"})
	for _, id := range []string{"gpu", "cpu"} {
		lane(id, time.Second, event.Phase{Phase: string(bench.Preparing)})
		lane(id, 4*time.Second, event.Phase{Phase: string(bench.Sampling)})
	}
	for s := time.Duration(5); s < 13; s++ {
		id := []string{"gpu", "cpu"}[s%2]
		lane(id, (s+1)*time.Second, bench.Sample{Iters: 1, Start: s * time.Second, End: (s + 1) * time.Second})
	}
	lane("gpu", 14*time.Second, event.Phase{Phase: string(bench.InBlock)})
	lane("gpu", 16*time.Second, event.Phase{Phase: string(bench.Finished)})
	lane("cpu", 16*time.Second, event.Phase{Phase: string(bench.InBlock)}) // it goes on
	for name, s := range map[string]term.Style{
		"watch-80.txt":    {Width: 80, Lines: 24, Unicode: true, Color: true},
		"watch-ascii.txt": {Width: 100, Lines: 30},
		"watch-8.txt":     {Width: 80, Lines: 8, Unicode: true},
	} {
		lines := h.Watch(s, 20*time.Second)
		if len(lines) == 0 || len(lines) > s.Lines {
			t.Errorf("%s: %d lines", name, len(lines))
		}
		v := screen.New(s.Width, s.Lines)
		v.Write([]byte(strings.Join(lines, "\n")))
		golden.Compare(t, name, v.Text())
	}
	for _, s := range []term.Style{{Width: 40, Lines: 24}, {Width: 80, Lines: 3}, {}} {
		if lines := h.Watch(s, 20*time.Second); lines != nil {
			t.Errorf("%d columns, %d lines: %q", s.Width, s.Lines, lines)
		}
	}
}

// FuzzRead reads what is no recording without a crash, and draws what it has read.
func FuzzRead(f *testing.F) {
	for _, line := range []string{
		`{"run":"r","seq":1,"at_ns":0,"type":"begin","data":{"created":"2026-11-28T00:00:00Z"}}`,
		`{"at_ns":100,"type":"telemetry","data":{"source":"x","readings":[{"quantity":"power","card":-1,"value":1e308},{"quantity":"energy","value":-5},{"quantity":"throttle","card":0,"value":-1}]}}`,
		`{"at_ns":1,"type":"sensors","data":{"source":"x","sensors":[{"quantity":"memory","max":-1}]}}`,
		`{"at_ns":1,"type":"processes","data":{"source":"x","processes":[{"pid":1}]}}`,
		`{"at_ns":9000000000,"lane":"a","type":"sample","data":{"start_ns":5,"end_ns":1}}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h := NewHistory()
		Read(bytes.NewReader(text), h.Observe)
		s := term.Style{Width: 80, Lines: 30, Unicode: true}
		h.Frame(View{Style: s, Until: h.Now(), Span: time.Minute, Chosen: -1, Keys: true})
		h.Once(s)
		h.Watch(s, h.Now())
		h.Prometheus()
	})
}
