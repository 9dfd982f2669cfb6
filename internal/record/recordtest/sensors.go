package recordtest

import (
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
)

// sensed says what the sensors of a lane's device said.
func sensed(s measure.Sensed) func(*bench.Result) {
	return func(r *bench.Result) {
		r.Device.Card = s.Card
		r.Sensors = &s
		s.Warn(r.Device.Kind, &r.Warnings)
	}
}

// load gives a lane a block after a pause, from a second on: it slows down by a share
// after 20 s.
func load(from time.Duration, long time.Duration, fall float64) func(*bench.Result) {
	return func(r *bench.Result) {
		s, _ := r.Speed()
		b := &bench.Block{Pause: 5 * time.Second}
		for at := from; at < from+long; {
			speed := s.Value
			if at > from+20*time.Second {
				speed *= 1 - fall
			}
			x := bench.Sample{Iters: 1 + int(0.25*s.Value/r.GEMM.FLOP()), Start: at}
			x.Wall = time.Duration(float64(x.Iters) * r.GEMM.FLOP() / speed * 1e9)
			at += x.Wall
			x.End = at
			b.Samples = append(b.Samples, x)
		}
		r.Block = b
	}
}

// Watched are examples of runs in which the sensors of the machine were read: one in which
// a GPU is throttled, and a lane that did not use it.
func Watched() map[string]*record.Run {
	zero := ptr(0)
	at := func(utilization, power, clock, temperature, memory float64) *measure.State {
		return &measure.State{Utilization: &utilization, Power: &power, Clock: &clock, MemoryClock: ptr(2619e6), Temperature: &temperature, Memory: &memory}
	}
	rest := at(0, 70, 345e6, 33, 1e9)
	idle := at(0, 118, 1980e6, 38, 4e9)
	r := Run(record.Race,
		Result(BuiltIn, 1.01e12, Peak(1.1e12), Engine("gocpu"), load(10*time.Second, 40*time.Second, 0), sensed(measure.Sensed{
			Source: "system", During: &measure.State{Utilization: ptr(99.7), Clock: ptr(3100e6), Memory: ptr(6e9)},
			Energy: &measure.Energy{Joules: 9600, Span: 40 * time.Second, Work: 294, Error: 0.0001, Source: "RAPL", Scope: "CPU packages", Counted: true},
		})),
		Result(TorchGPU, 50.2e12, Engine("torch"), load(60*time.Second, 60*time.Second, 0.1), sensed(measure.Sensed{
			Card: zero, Source: "NVML", Before: rest, Rest: rest, During: at(98.2, 612.4, 1755e6, 61, 5.2e9), After: at(97, 610, 1740e6, 63, 5.2e9),
			Energy:   &measure.Energy{Joules: 36744, Span: 60 * time.Second, Work: 20840, Error: 0.0033, Source: "NVML", Scope: "board", Counted: true},
			Throttle: []string{"power limit"}, PowerLimit: ptr(612.0),
			Large: true,
		})),
		Result(JAX, 0.9e12, Engine("jax"), sensed(measure.Sensed{Card: zero, Source: "NVML", Before: idle, Rest: idle, During: idle, After: idle, Large: true})),
	)
	r.Cards = []hardware.Card{{Name: Card, UUID: "GPU-00000000", PCI: "0000:0a:00.0", Vendor: "Example"}}
	series := func(q event.Quantity, scope string, values ...float64) record.TelemetrySeries {
		s := record.TelemetrySeries{Sensor: event.Sensor{Quantity: q, Card: zero, Scope: scope}}
		for _, v := range values {
			s.Values = append(s.Values, &v)
		}
		return s
	}
	clock := series(event.Clock, "", 345e6, 1980e6, 1975e6, 1755e6, 1750e6, 1980e6)
	clock.Values[5] = nil // no answer
	r.Telemetry = &record.Telemetry{Sources: []record.TelemetrySource{
		{Name: "NVML", At: []time.Duration{0, 60200e6, 60700e6, 95e9, 115e9, 121e9}, Series: []record.TelemetrySeries{
			series(event.Energy, "board", 1000, 6000, 6300, 27000, 39000, 42000),
			series(event.Power, "board", 70, 480, 690, 612, 612, 300),
			series(event.Temperature, "", 33, 40, 41, 61, 63, 60),
			series(event.Throttle, "", 0, 0, 0, 1, 1, 0), clock,
		}},
		{Name: "RAPL", At: []time.Duration{}, Series: []record.TelemetrySeries{}, Problem: "the energy of the CPUs can be read by root alone"},
	}}
	return map[string]*record.Run{"sensors": r}
}
