package monitor

import (
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/screen"
	"github.com/gpuplay/gpuplay/internal/term"
)

func pointer[T any](v T) *T { return &v }

// at returns an event of a time.
func at(t time.Duration, d event.Data) event.Event {
	return event.Event{Run: "r1", At: t, Type: d.EventType(), Data: d}
}

// A machine is what histories of tests are of.
type machine struct {
	cards int
	mig   bool // GPU 0 has no utilisation
	long  time.Duration
}

// events are those of a machine whose GPUs compute at times, one after the other, and are
// then held down by their power limit.
func (m machine) events(each func(event.Event)) {
	each(at(0, event.Begin{Schema: event.Schema, Kind: "monitor"}))
	var found []event.FoundSensor
	for c := range m.cards {
		of := func(q event.Quantity, scope string, most float64) {
			x := event.FoundSensor{Sensor: event.Sensor{Quantity: q, Card: &c, Scope: scope}, Name: "NVIDIA H100 80GB HBM3"}
			if most > 0 {
				x.Max = &most
			}
			found = append(found, x)
		}
		of(event.Utilization, "", 0)
		of(event.Memory, "", 85520809984)
		of(event.Power, "board", 700)
		of(event.Clock, "", 1980e6)
		of(event.Temperature, "", 0)
		of(event.Throttle, "", 0)
	}
	each(at(0, event.Sensors{Source: "NVML", Sensors: found}))
	each(at(0, event.Sensors{Source: "system", Sensors: []event.FoundSensor{
		{Sensor: event.Sensor{Quantity: event.Utilization, Scope: "all CPUs"}, Name: "AMD EPYC 9355 32-Core Processor"},
		{Sensor: event.Sensor{Quantity: event.Memory}, Max: pointer(270e9)},
	}}))
	for t := time.Duration(0); t < m.long; t += 100 * time.Millisecond {
		m.round(t, each)
	}
	each(at(m.long, event.ProcessList{Source: "NVML", Processes: []event.Process{
		{Card: pointer(0), PID: 99},
		{Card: pointer(0), PID: 4711, Name: "python3 train.py", User: "ada", Busy: pointer(97.0), Memory: pointer(69e9), CPU: pointer(104.0), Resident: pointer(4.2e9)},
	}}))
}

// round are the readings at a time.
func (m machine) round(t time.Duration, each func(event.Event)) {
	var list []event.Reading
	for c := range m.cards {
		of := func(q event.Quantity, scope string, v float64) {
			list = append(list, event.Reading{Sensor: event.Sensor{Quantity: q, Card: &c, Scope: scope}, Value: v})
		}
		phase := math.Mod(t.Seconds()+5*float64(c), 20)
		busy, throttle, clock := 0.0, 0.0, 345e6
		if phase > 5 {
			busy, clock = 98, 1980e6
		}
		if phase > 12 {
			throttle, clock = float64(event.PowerCap), 1500e6
		}
		if !m.mig || c > 0 {
			of(event.Utilization, "", busy)
		}
		of(event.Memory, "", 1e9+busy*7e8)
		of(event.Power, "board", 70+busy*6)
		of(event.Clock, "", clock)
		of(event.Temperature, "", 35+busy/4)
		of(event.Throttle, "", throttle)
		of(event.PCIeSent, "", t.Seconds()*1.5e9)
		of(event.PCIeReceived, "", t.Seconds()*3e9)
	}
	each(at(t, event.Telemetry{Source: "NVML", Readings: list}))
	list = []event.Reading{
		{Sensor: event.Sensor{Quantity: event.Utilization, Scope: "all CPUs"}, Value: 50 + 40*math.Sin(t.Seconds()/3)},
		{Sensor: event.Sensor{Quantity: event.Memory}, Value: 60e9},
	}
	for i := range 8 {
		list = append(list, event.Reading{Sensor: event.Sensor{Quantity: event.Utilization, CPU: &i}, Value: float64(i) * 14})
	}
	each(at(t, event.Telemetry{Source: "system", Readings: list}))
	each(at(t, event.Telemetry{Source: "RAPL", Readings: []event.Reading{{Sensor: event.Sensor{Quantity: event.Energy, Scope: "CPU packages"}, Value: 120 * t.Seconds()}}}))
}

func (m machine) history() *History {
	h := NewHistory()
	m.events(h.Observe)
	return h
}

// seen draws a history on a terminal of a size, and returns what it shows.
func seen(t *testing.T, h *History, v View, columns, lines int) string {
	t.Helper()
	v.Style.Width, v.Style.Lines = columns, lines
	f := h.Frame(v)
	if len(f.Lines) > lines {
		t.Errorf("%d lines on a terminal of %d", len(f.Lines), lines)
	}
	for _, l := range f.Lines {
		if n := ansi.StringWidth(l); n > columns {
			t.Errorf("%d columns on a terminal of %d: %q", n, columns, l)
		}
		if !v.Style.Color && strings.Contains(l, "\x1b") {
			t.Errorf("a line without colour has %q", l)
		}
	}
	s := screen.New(columns, lines)
	io.WriteString(s, strings.Join(f.Lines, "\n"))
	if s.Above() > 0 {
		t.Errorf("%d lines have scrolled off", s.Above())
	}
	return s.Text()
}

// Screens of several sizes, as a terminal shows them.
func TestScreens(t *testing.T) {
	v := View{Style: term.Style{Unicode: true, Color: true}, Until: 60 * time.Second, Span: time.Minute, Chosen: -1, Keys: true}
	two := machine{cards: 2, long: time.Minute}.history()
	for name, tt := range map[string]struct {
		history        *History
		columns, lines int
		change         func(*View)
	}{
		"80":       {two, 80, 40, nil},
		"200":      {two, 200, 50, nil},
		"40":       {two, 40, 24, nil},
		"5-lines":  {two, 80, 5, nil},
		"2-lines":  {two, 80, 2, nil},
		"tiny":     {two, 3, 3, nil},
		"ascii":    {two, 80, 30, func(v *View) { v.Style.Unicode, v.Style.Color = false, false }},
		"one":      {two, 80, 24, func(v *View) { v.Chosen, v.Alone = 1, true }},
		"16-cards": {machine{cards: 16, long: time.Minute}.history(), 80, 24, nil},
		"mig":      {machine{cards: 1, mig: true, long: time.Minute}.history(), 80, 30, nil},
		"cpu":      {machine{long: time.Minute}.history(), 80, 24, nil},
		"empty":    {NewHistory(), 80, 24, nil},
		"earlier":  {two, 80, 30, func(v *View) { v.Until, v.State = 20*time.Second, "paused" }},
	} {
		t.Run(name, func(t *testing.T) {
			v := v
			if tt.change != nil {
				tt.change(&v)
			}
			golden.Compare(t, "screen-"+name+".txt", []byte(seen(t, tt.history, v, tt.columns, tt.lines)))
		})
	}
}

// Every size has a screen that fits.
func TestFitsEverySize(t *testing.T) {
	h := machine{cards: 3, long: 20 * time.Second}.history()
	for columns := 1; columns < 130; columns += 7 {
		for _, lines := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 23, 24, 40, 60} {
			v := View{Style: term.Style{Unicode: true, Color: lines%2 == 0}, Until: h.Now(), Span: time.Minute, Chosen: 1, Keys: true}
			seen(t, h, v, columns, lines)
		}
	}
}

// A sensor that gives no answer has no graph from then on, and no figure; nothing is drawn
// as 0.
func TestVanished(t *testing.T) {
	h := machine{cards: 1, long: 20 * time.Second}.history()
	for s := 20; s < 40; s++ {
		h.Observe(at(time.Duration(s)*time.Second, event.Telemetry{Source: "NVML", Readings: []event.Reading{{Sensor: event.Sensor{Quantity: event.Temperature, Card: pointer(0)}, Value: 40}}}))
	}
	h.Observe(at(22*time.Second, event.Note{Text: "NVML: no answer within 2 s (a round of readings): nothing more is read from it"}))
	v := View{Style: term.Style{Unicode: true}, Until: 40 * time.Second, Span: time.Minute, Chosen: -1}
	golden.Compare(t, "screen-vanished.txt", []byte(seen(t, h, v, 80, 30)))
}

// What comes from elsewhere commands no terminal.
func TestForeignText(t *testing.T) {
	h := NewHistory()
	h.Observe(at(0, event.Sensors{Source: "x", Sensors: []event.FoundSensor{{Sensor: event.Sensor{Quantity: event.Power, Card: pointer(0), Scope: "\x1b[2Jboard"}, Name: "\x1b[31mevil\u202e"}}}))
	h.Observe(at(0, event.Telemetry{Source: "x", Readings: []event.Reading{{Sensor: event.Sensor{Quantity: event.Power, Card: pointer(0), Scope: "\x1b[2Jboard"}, Value: 5}}}))
	h.Observe(at(0, event.ProcessList{Source: "x", Processes: []event.Process{{Card: pointer(0), PID: 1, Name: "a\nb\x1b[5m", User: "\x9b2J"}}}))
	h.Observe(at(0, event.Note{Text: "note\x1b[2J"}))
	for _, text := range []string{seen(t, h, View{Style: term.Style{Unicode: true}, Span: time.Minute, Chosen: -1}, 100, 40), h.Once(term.Style{Width: 100, Unicode: true}), h.Prometheus()} {
		if strings.ContainsAny(text, "\x1b\u009b\u202e") || !utf8.ValidString(text) {
			t.Errorf("%q", text)
		}
	}
}

// A day of a machine with 16 GPUs takes less than 64 MB, however fast its sensors are read.
func TestDayFits(t *testing.T) {
	m := machine{cards: 16}
	h := m.history()
	for t := time.Duration(0); t <= 25*time.Hour; t += 30 * time.Second {
		m.round(t, h.Observe)
	}
	if mb := float64(h.size()) / 1e6; mb > 64 || mb < 20 {
		t.Errorf("it takes %.1f MB", mb)
	}
	s := h.devices[0].series[event.Power]
	if v := s.at(2 * time.Hour); math.IsNaN(v) {
		t.Error("what was 23 hours ago is not known any more")
	}
	if v := s.at(10 * time.Minute); !math.IsNaN(v) {
		t.Error("what was more than a day ago takes memory")
	}
}

// Means of a slot, times of a clock that jumps, and gaps.
func TestRing(t *testing.T) {
	mean := func(old, v float64, n int) float64 { return (old*float64(n) + v) / float64(n+1) }
	r := newRing(time.Second, 4, 3)
	add := func(at time.Duration, v float64) { r.add(at, v, mean) }
	add(500*time.Millisecond, 1)
	add(700*time.Millisecond, 3)
	add(2*time.Second, 7)
	add(time.Second, 9) // the clock was set back: it counts as now
	want := func(from, to time.Duration, mean, high float64) {
		t.Helper()
		if m, h := r.between(from, to); fmt.Sprint(m, h) != fmt.Sprint(mean, high) {
			t.Errorf("from %s to %s: %v and %v, want %v and %v", from, to, m, h, mean, high)
		}
	}
	want(0, time.Second, 2, 2)
	want(time.Second, 2*time.Second, math.NaN(), math.NaN())
	want(0, 3*time.Second, 5, 8)
	if v, when := r.before(5*time.Second, 3*time.Second); v != 8 || when != 2*time.Second {
		t.Errorf("%v at %s", v, when)
	}
	if v, _ := r.before(9*time.Second, 3*time.Second); !math.IsNaN(v) {
		t.Errorf("%v is older than it may be", v)
	}
	add(100*24*time.Hour, 5) // it was set forward by far
	want(0, 3*time.Second, math.NaN(), math.NaN())
	want(100*24*time.Hour, 101*24*time.Hour, 5, 5)
	if n := r.size(); n != 4*3*4 {
		t.Errorf("%d bytes", n)
	}
}

// BenchmarkFrame is what drawing a screen takes; ten are drawn in a second.
func BenchmarkFrame(b *testing.B) {
	h := machine{cards: 8, long: time.Minute}.history()
	for _, size := range [][2]int{{80, 24}, {200, 50}} {
		b.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(b *testing.B) {
			v := View{Style: term.Style{Unicode: true, Color: true, Width: size[0], Lines: size[1]}, Until: h.Now(), Span: time.Minute, Chosen: -1, Keys: true}
			for b.Loop() {
				h.Frame(v)
			}
		})
	}
}
