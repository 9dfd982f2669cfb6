package telemetry

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
)

// use is that of a lane that is alone on its card and computes ten products between two
// seconds.
func use(from, to float64) measure.Use {
	second := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	return measure.Use{Start: second(from), End: second(to), Alone: true, Windows: []measure.Window{{Start: second(from), End: second(to), Work: 10}}}
}

// filled returns a sampler that has read a source for a number of seconds; read says what
// it says at a second.
func filled(seconds int, found Found, read func(at float64, values []float64)) *Sampler {
	s := &Sampler{sink: event.Discard(func() time.Duration { return 0 }), cards: []hardware.Card{gpu0}}
	f := &feed{source: &scripted{name: "NVML"}}
	s.feeds = append(s.feeds, f)
	s.opened(f, found, nil)
	values := make([]float64, len(found.Sensors))
	for i := range 10 * seconds {
		read(float64(i)/10, values)
		s.took(f, time.Duration(i)*interval, values)
	}
	return s
}

func sensors(list ...event.Quantity) []Sensor {
	var out []Sensor
	for _, q := range list {
		out = append(out, Sensor{Sensor: event.Sensor{Quantity: q, Scope: "board"}, GPU: &gpu0})
	}
	return out
}

var onGPU = hardware.Device{Kind: hardware.GPU, PCI: gpu0.PCI}

// A card that is busy from second 4 to 8, as a driver reports it that averages over a
// second.
func TestSense(t *testing.T) {
	busy := func(at float64) bool { return at >= 4 && at < 8 }
	found := Found{Settle: time.Second, Step: 100 * time.Millisecond, Sensors: sensors(event.Utilization, event.Power, event.Energy, event.Memory, event.Clock, event.Temperature, event.Throttle)}
	found.Sensors[1].Max = pointer(600.0)
	joules := 1000.0
	s := filled(12, found, func(at float64, v []float64) {
		v[0], v[1], v[3], v[4], v[5], v[6] = 0, 70, 1e9, 345e6, 35, 0
		if busy(at) {
			v[0], v[1], v[4], v[5], v[6] = 100*min(1, at-4), 70+530*min(1, at-4), 1755e6, 60, float64(event.PowerCap)
			joules += 60
		} else {
			joules += 7
		}
		if at >= 3.5 {
			v[3] = 5e9
		}
		v[2] = joules
	})
	u := use(4, 7.9)
	u.Start = 3 * time.Second
	got := s.Sense(onGPU, u)
	want := &measure.Sensed{
		Card: pointer(0), Source: "NVML", Alone: true, Throttle: []string{"power limit"}, PowerLimit: pointer(600.0),
		Before: &measure.State{Utilization: pointer(0.0), Power: pointer(70.0), Clock: pointer(345e6), Temperature: pointer(35.0), Memory: pointer(1e9)},
		During: &measure.State{Utilization: pointer(100.0), Power: pointer(600.0), Clock: pointer(1755e6), Temperature: pointer(60.0), Memory: pointer(5e9)},
		After:  &measure.State{Utilization: pointer(100.0), Power: pointer(600.0), Clock: pointer(1755e6), Temperature: pointer(60.0), Memory: pointer(5e9)},
		Rest:   &measure.State{Utilization: pointer(0.0), Power: pointer(70.0), Clock: pointer(345e6), Temperature: pointer(35.0), Memory: pointer(1e9)},
		Energy: &measure.Energy{Joules: 39 * 60, Span: 3900 * time.Millisecond, Work: 10, Error: 0.2 / 3.9, Source: "NVML", Scope: "board", Counted: true},
	}
	if d := cmp.Diff(want, got, near); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got.Proof() != measure.Proven {
		t.Error(got.Proof())
	}
	if w := got.Energy.Watts(); math.Abs(w-600) > 1 {
		t.Errorf("%v W", w)
	}

	// Samples of 20 ms are too short for all of this.
	u = use(4, 4.02)
	if got := s.Sense(onGPU, u); got.During != nil || got.Energy != nil || got.Proof() != measure.Unresolved {
		t.Errorf("of 20 ms: %+v", got)
	}
	// So is a second for a counter that may stand still for a tenth of it, at both ends.
	u = use(4, 4.9)
	if got := s.Sense(onGPU, u); got.Energy != nil {
		t.Errorf("of 0.9 s: %+v", got.Energy)
	}

	// A lane on the CPU during that time had a busy GPU beside it, one before it did not.
	cpu := hardware.Device{Kind: hardware.CPU}
	if got := s.Sense(cpu, use(4, 7.9)); got.PowerLimit != nil || len(got.Others) != 1 || got.Others[0] != (measure.InUse{Card: 0, Utilization: 100}) {
		t.Errorf("others %+v", got.Others)
	}
	if got := s.Sense(cpu, use(0, 3.9)); len(got.Others) != 0 {
		t.Errorf("others %+v", got.Others)
	}
	if got := s.Sense(hardware.Device{Kind: hardware.GPU, PCI: "0000:99:00.0"}, use(4, 8)); got.Source != "" || got.Proof() != measure.NoSensor {
		t.Errorf("another card: %+v", got)
	}
	if got := s.Sense(hardware.Device{Kind: hardware.SoftwareGPU}, use(4, 8)); got != nil {
		t.Errorf("a software GPU: %+v", got)
	}
	if got := s.Block(); got != 2*time.Second {
		t.Errorf("a block of %s", got)
	}
}

var near = cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-6*math.Max(1, math.Abs(a)) })

// A counter that starts anew has no energy; power is averaged where there is no counter.
func TestEnergy(t *testing.T) {
	found := Found{Settle: time.Second, Step: 100 * time.Millisecond, Sensors: sensors(event.Energy)}
	s := filled(10, found, func(at float64, v []float64) { v[0] = 100 - at })
	if got := s.Sense(onGPU, use(2, 6)); got.Energy != nil {
		t.Errorf("%+v", got.Energy)
	}
	s = filled(10, found, func(at float64, v []float64) {
		if v[0] = 1000; at >= 4 {
			v[0] = 100 * at
		}
	})
	u := use(2, 6) // the counter starts anew in the first window alone
	u.Windows = append(u.Windows, measure.Window{Start: 7 * time.Second, End: 9 * time.Second, Work: 20})
	if got := s.Sense(onGPU, u).Energy; got == nil || math.Abs(got.Joules-200) > 1e-6 || got.Work != 20 {
		t.Errorf("%+v", got)
	}
	found.Sensors = sensors(event.Power)
	s = filled(10, found, func(at float64, v []float64) { v[0] = 250 })
	got := s.Sense(onGPU, use(2, 6)).Energy
	want := &measure.Energy{Joules: 750, Span: 3 * time.Second, Work: 7.5, Error: 0.2 / 3, Source: "NVML", Scope: "board"}
	if d := cmp.Diff(want, got, near); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	u = use(2, 6) // what was counted is not all that was computed
	u.Counted = []measure.Window{{Start: 4 * time.Second, End: 6 * time.Second, Work: 100}}
	if got := s.Sense(onGPU, u).Energy; got == nil || got.Span != time.Second || math.Abs(got.Work-50) > 1e-9 {
		t.Errorf("%+v", got)
	}
}

// A reading while the lane computed is none at rest, and neither is one before it began
// where another lane is on the card.
func TestRest(t *testing.T) {
	s := filled(10, Found{Sensors: sensors(event.Clock)}, func(at float64, v []float64) {
		switch {
		case at >= 2 && at <= 4, at >= 6 && at <= 8:
			v[0] = 100
		case at < 1:
			v[0] = 300
		case at < 7:
			v[0] = 500
		default:
			v[0] = 900
		}
	})
	u := use(2, 4)
	u.Windows = append(u.Windows, measure.Window{Start: 6 * time.Second, End: 8 * time.Second})
	for alone, want := range map[bool]float64{true: 300, false: 500} {
		u.Alone = alone
		if got := s.Sense(onGPU, u).Rest; got == nil || *got.Clock != want {
			t.Errorf("alone %v: %+v at rest, want %v", alone, got, want)
		}
	}
}

// Where the sensors cannot tell, a lane is not reported as one that did not use its GPU. In
// each row the lane computes from second 4 on, on a card whose sensors do not move.
func TestRuleSensorsCannotTell(t *testing.T) {
	all := sensors(event.Utilization, event.Power, event.Memory, event.Clock)
	still := func(at float64, v []float64) {
		for i := range v {
			v[i] = 100 * float64(i) // 0 % of utilisation
		}
	}
	for name, tt := range map[string]struct {
		sensors []Sensor
		read    func(at float64, v []float64)
		until   float64 // of the window
		device  hardware.Device
		want    measure.Proof
	}{
		"sensors that can tell":        {all, still, 6, onGPU, measure.Unmoved},
		"samples in turns":             {all, still, 4.02, onGPU, measure.Unresolved},
		"a window of a single reading": {all, still, 5.05, onGPU, measure.Unresolved},
		"no answer after a while": {all, func(at float64, v []float64) {
			if still(at, v); at > 5.2 {
				v[0] = math.NaN()
			}
		}, 6, onGPU, measure.NoSensor},
		"MIG":                        {sensors(event.Power, event.Memory, event.Clock), still, 6, onGPU, measure.NoSensor},
		"a MIG device":               {all, still, 6, hardware.Device{Kind: hardware.GPU, UUID: "MIG-1"}, measure.NoSensor},
		"utilisation alone":          {sensors(event.Utilization), still, 6, onGPU, measure.Unresolved},
		"another card":               {all, still, 6, hardware.Device{Kind: hardware.GPU, PCI: "0000:99:00.0"}, measure.NoSensor},
		"a card that is not known":   {all, still, 6, hardware.Device{Kind: hardware.GPU, Card: pointer(0)}, measure.NoSensor},
		"counters of energy at most": {sensors(event.Energy), still, 6, onGPU, measure.Unresolved},
	} {
		s := filled(8, Found{Settle: time.Second, Sensors: tt.sensors}, tt.read)
		s.cards = append(s.cards, hardware.Card{Number: 1, PCI: "0000:3b:00.0"})
		if got := s.Sense(tt.device, use(4, tt.until)).Proof(); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	s := filled(8, Found{Settle: time.Second, Sensors: all}, still)
	if got := s.Sense(hardware.Device{Kind: hardware.GPU}, use(4, 6)); got.Card == nil || *got.Card != 0 || got.Source != "NVML" {
		t.Errorf("of the only card: %+v", got)
	}
}
