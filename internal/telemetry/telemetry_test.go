package telemetry

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
)

// scripted is a source that reads what a function says of a round, from 0 on.
type scripted struct {
	name  string
	found Found
	err   error
	read  func(round int, values []float64)
	round int
}

func (s *scripted) Name() string         { return s.name }
func (s *scripted) Open() (Found, error) { return s.found, s.err }
func (s *scripted) Read(values []float64) {
	s.read(s.round, values)
	s.round++
}

// run reads sources for a time, by a clock that does not wait, and returns the history
// and all that was told.
func run(t *testing.T, long time.Duration, cards []hardware.Card, sources ...Source) (*record.Telemetry, []event.Event) {
	var told []event.Event
	s := event.NewStream("r1", nil)
	s.Subscribe(func(e event.Event) { told = append(told, e) })
	sampler := Start(s, cards, sources...)
	time.Sleep(long)
	history := sampler.Stop(cards)
	s.Close()
	return history, told
}

var gpu0 = hardware.Card{Number: 0, Name: "GPU", PCI: "0000:19:00.0"}

func pointer[T any](v T) *T { return &v }

// Ten rounds a second are kept and told of, with the runner's clock. A sensor without an
// answer has no value and no reading, and is not 0.
func TestRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &scripted{name: "driver", found: Found{Sensors: []Sensor{
			{Sensor: event.Sensor{Quantity: event.Power, Scope: "board"}, GPU: &hardware.Card{PCI: "00000000:19:00.0"}},
			{Sensor: event.Sensor{Quantity: event.Utilization, CPU: pointer(3)}},
		}}, read: func(round int, values []float64) {
			values[0], values[1] = 100+float64(round), 50
			if round == 1 {
				values[0] = math.NaN()
			}
		}}
		got, told := run(t, 350*time.Millisecond, []hardware.Card{gpu0}, src)
		want := &record.Telemetry{Sources: []record.TelemetrySource{{
			Name: "driver", At: []time.Duration{0, 100e6, 200e6, 300e6},
			Series: []record.TelemetrySeries{{
				Sensor: event.Sensor{Quantity: event.Power, Card: pointer(0), Scope: "board"},
				Values: []*float64{pointer(100.0), nil, pointer(102.0), pointer(103.0)},
			}},
		}}}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("history (-want +got):\n%s", d)
		}
		if len(told) != 5 {
			t.Fatalf("%d events", len(told))
		}
		sensors := event.Sensors{Source: "driver", Sensors: []event.FoundSensor{
			{Sensor: event.Sensor{Quantity: event.Power, Card: pointer(0), Scope: "board"}, Max: src.found.Sensors[0].Max, Name: gpu0.Name},
			{Sensor: event.Sensor{Quantity: event.Utilization, CPU: pointer(3)}},
		}}
		if d := cmp.Diff(event.Data(sensors), told[0].Data); d != "" {
			t.Errorf("the sensors (-want +got):\n%s", d)
		}
		told = told[1:]
		second := event.Telemetry{Source: "driver", Readings: []event.Reading{{Sensor: event.Sensor{Quantity: event.Utilization, CPU: pointer(3)}, Value: 50}}}
		if d := cmp.Diff(event.Data(second), told[1].Data); d != "" || told[1].At != 100*time.Millisecond || told[1].Type != event.TypeTelemetry {
			t.Errorf("at %s: %s", told[1].At, d)
		}
	})
}

// A driver that hangs is given up, with one note; its earlier readings are kept, the
// others go on, and nobody waits for it.
func TestDriverHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		sensors := []Sensor{{Sensor: event.Sensor{Quantity: event.Power}}}
		hangs := &scripted{name: "NVML", found: Found{Sensors: sensors}, read: func(round int, values []float64) {
			if round == 2 {
				<-never
			}
			values[0] = 1
		}}
		works := &scripted{name: "system", found: Found{Sensors: sensors}, read: func(_ int, values []float64) { values[0] = 2 }}
		got, told := run(t, 10*time.Second, nil, hangs, works)
		var notes []string
		for _, e := range told {
			if n, ok := e.Data.(event.Note); ok {
				notes = append(notes, fmt.Sprintf("%s %s", e.At.Round(100*time.Millisecond), n.Text))
			}
		}
		if want := []string{"2.3s NVML: no answer within 2 s (a round of readings): nothing more is read from it"}; !cmp.Equal(notes, want) {
			t.Errorf("notes %q, want %q", notes, want)
		}
		if s := got.Sources; len(s) != 2 || len(s[0].At) != 2 || s[0].Problem != "no answer within 2 s (a round of readings)" || len(s[1].At) < 99 || s[1].Problem != "" {
			t.Errorf("history of %+v", s)
		}
		close(never) // an answer after all is not taken
		synctest.Wait()
	})
}

// A driver that hangs while it starts, one that cannot be used, and a machine without
// one.
func TestOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		denied := &scripted{name: "RAPL", err: errors.New("permission denied")}
		absent := &scripted{name: "amdgpu"}
		got, told := run(t, 25*time.Second, nil, denied, absent, &opens{never})
		want := &record.Telemetry{Sources: []record.TelemetrySource{
			{Name: "RAPL", At: []time.Duration{}, Series: []record.TelemetrySeries{}, Problem: "permission denied"},
			{Name: "slow", At: []time.Duration{}, Series: []record.TelemetrySeries{}, Problem: "no answer within 20 s (starting)"},
		}}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if len(told) != 1 {
			t.Errorf("told %v", told)
		}
		close(never)
		synctest.Wait()
	})
	if s := Start(event.Discard(func() time.Duration { return 0 }), nil); s.Stop(nil) != nil || s.Block() != 0 {
		t.Error("there is something of no source")
	}
	var none *Sampler
	if none.Stop(nil) != nil || none.Block() != 0 || none.Sense(hardware.Device{Kind: hardware.GPU}, use(0, 1)) != nil {
		t.Error("there is something without a sampler")
	}
}

// opens is a source that does not start until it is told to.
type opens struct{ now chan struct{} }

func (o *opens) Name() string         { return "slow" }
func (o *opens) Open() (Found, error) { <-o.now; return Found{}, nil }
func (o *opens) Read([]float64)       {}

// Nothing is told once Stop has returned, whoever is in the middle of a round.
func TestNothingAfterStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		src := &scripted{name: "x", found: Found{Sensors: []Sensor{{}}}, read: func(round int, values []float64) {
			if round == 1 {
				<-hold
			}
		}}
		_, told := run(t, 150*time.Millisecond, nil, src)
		close(hold)
		synctest.Wait()
		if len(told) != 2 { // its sensors, and one round
			t.Errorf("%d events", len(told))
		}
	})
}

// Where the system lists no GPU, sources number them in the order of their addresses,
// whatever order they find them in; in the record they have the numbers of the run.
func TestNumbers(t *testing.T) {
	a, b := &hardware.Card{UUID: "GPU-a", PCI: "0000:3b:00.0"}, &hardware.Card{UUID: "GPU-b", PCI: "0000:19:00.0"}
	found := Found{Sensors: []Sensor{{Sensor: event.Sensor{Quantity: event.Power}, GPU: a}, {Sensor: event.Sensor{Quantity: event.Power}, GPU: b}}}
	s := filled(1, found, func(_ float64, v []float64) { v[0], v[1] = 100, 200 })
	s.cards = nil
	s.opened(s.feeds[0], found, nil)
	if got := s.feeds[0].found.Sensors; *got[0].Card != 1 || *got[1].Card != 0 {
		t.Errorf("numbers %d and %d", *got[0].Card, *got[1].Card)
	}
	first := &hardware.Card{PCI: "0000:01:00.0"} // of another source, which is open later
	s.feeds = append(s.feeds, &feed{source: &scripted{name: "amdgpu"}})
	s.opened(s.feeds[1], Found{Sensors: []Sensor{{GPU: first}}}, nil)
	if got := s.feeds[0].past.sensors; *got[0].Card != 2 || *got[1].Card != 1 || *s.feeds[1].past.sensors[0].Card != 0 {
		t.Errorf("numbers %d, %d and %d", *got[0].Card, *got[1].Card, *s.feeds[1].past.sensors[0].Card)
	}
	r := s.feeds[0].record([]hardware.Card{{Number: 0, UUID: "GPU-a"}}) // which the engines of the run know alone
	if len(r.Series) != 1 || *r.Series[0].Card != 0 || *r.Series[0].Values[0] != 100 {
		t.Errorf("in the record: %+v", r.Series)
	}
	d := hardware.Device{Kind: hardware.GPU, UUID: "GPU-a", Card: pointer(0)}
	if got := s.Sense(d, use(0, 1)); *got.Card != 0 || *got.Before.Power != 100 {
		t.Errorf("of a lane: card %d, %v W", *got.Card, *got.Before.Power)
	}
}

// A long history is merged: means of what is measured, last counts, all reasons.
func TestHistoryMerges(t *testing.T) {
	nan := math.NaN()
	for _, tt := range []struct {
		q          event.Quantity
		a, b, want float64
	}{
		{event.Power, 100, 200, 150},
		{event.Power, nan, 200, 200},
		{event.Power, 100, nan, 100},
		{event.Energy, 100, 200, 200},
		{event.Energy, 100, nan, 100},
		{event.Throttle, 1, 2, 3},
		{event.Processes, 3, 1, 3},
		{event.Utilization, nan, nan, nan},
	} {
		if got := merged(tt.q, tt.a, tt.b); got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
			t.Errorf("%s of %v and %v: %v, want %v", tt.q, tt.a, tt.b, got, tt.want)
		}
	}
	f := &feed{source: &scripted{name: "x"}}
	f.past.sensors = []Sensor{{Sensor: event.Sensor{Quantity: event.Power}}}
	const n = 3*recorded + 1
	for i := range n {
		f.past.add(time.Duration(i)*interval, []float64{float64(i)})
	}
	r := f.record(nil)
	if len(r.At) > recorded || len(r.At) < recorded/2 || r.At[len(r.At)-1] != (n-1)*interval || len(r.Series[0].Values) != len(r.At) {
		t.Errorf("%d rounds until %s", len(r.At), r.At[len(r.At)-1])
	}
	for range kept { // memory has a limit too
		f.past.add(n*interval, []float64{0})
	}
	if len(f.past.at) > kept {
		t.Errorf("%d rounds are kept", len(f.past.at))
	}
}

// The system says something on every machine on which gpuplay runs.
func TestSystem(t *testing.T) {
	s := System("/")
	found, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float64, len(found.Sensors))
	for end := time.Now().Add(5 * time.Second); ; { // the counters of CPU time go in steps
		s.Read(values)
		if !math.IsNaN(values[0]) || time.Now().After(end) {
			break
		}
	}
	for i, x := range found.Sensors {
		v := values[i]
		switch {
		case x.Quantity == event.Utilization && x.CPU == nil && !(v >= 0 && v <= 100),
			x.Quantity == event.Memory && !(v > 1<<20),
			x.Quantity == event.Clock && !(v > 1e8 && v < 1e10):
			t.Errorf("%s: %v", x.Quantity, v)
		}
	}
}

// BenchmarkRound is what a round of readings costs on this machine, ten times a second:
// the goal is 500 µs, half a percent of one CPU, which NVML's driver exceeds.
func BenchmarkRound(b *testing.B) {
	for _, src := range Sources(nil) {
		b.Run(strings.ReplaceAll(src.Name(), " ", "_"), func(b *testing.B) {
			found, err := src.Open()
			if err != nil || len(found.Sensors) == 0 {
				b.Skip("nothing here:", err)
			}
			s := event.NewStream("r1", nil)
			defer s.Close()
			sampler := &Sampler{sink: s}
			f := &feed{source: src}
			sampler.opened(f, found, nil)
			values := make([]float64, len(found.Sensors))
			for b.Loop() {
				at := sampler.begin(f, "", readLimit)
				src.Read(values)
				sampler.took(f, at, values)
			}
		})
	}
}

// Who watches is told why a source cannot be read, and which processes there are once a
// second; no history is kept.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := event.NewStream("r1", nil)
		var notes, lists, rounds int
		s.Subscribe(func(e event.Event) {
			switch d := e.Data.(type) {
			case event.Note:
				if d.Text != "RAPL: permission denied" {
					t.Errorf("%q", d.Text)
				}
				notes++
			case event.ProcessList:
				if len(d.Processes) != 1 || d.Processes[0].PID != 1<<30 || *d.Processes[0].Card != 0 {
					t.Errorf("%+v", d)
				}
				lists++
			case event.Telemetry:
				rounds++
			}
		})
		card := hardware.Card{UUID: "GPU-a"}
		src := &scripted{name: "NVML", found: Found{
			Sensors:   []Sensor{{Sensor: event.Sensor{Quantity: event.Power}, GPU: &card}},
			Processes: func() []Process { return []Process{{Process: event.Process{PID: 1 << 30}, GPU: &card}} },
		}, read: func(_ int, values []float64) { values[0] = 1 }}
		sampler := Watch(s, 200*time.Millisecond, nil, src, &scripted{name: "RAPL", err: errors.New("permission denied")})
		time.Sleep(3100 * time.Millisecond)
		sampler.Stop(nil)
		s.Close()
		if notes != 1 || lists != 4 || rounds != 16 {
			t.Errorf("%d notes, %d lists of processes, %d rounds", notes, lists, rounds)
		}
		if n := len(sampler.feeds[0].past.at); n != 0 {
			t.Errorf("%d rounds are kept", n)
		}
	})
}
