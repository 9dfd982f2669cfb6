package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/train"
)

// What the sensors said is a line, of what was measured alone.
func TestSensorLine(t *testing.T) {
	v := func(x float64) *float64 { return &x }
	zero := 0
	gpu, cpu := hardware.Device{Kind: hardware.GPU}, hardware.Device{Kind: hardware.CPU}
	watched := &record.Run{Telemetry: &record.Telemetry{Sources: []record.TelemetrySource{{Series: []record.TelemetrySeries{{Sensor: event.Sensor{Quantity: event.Throttle, Card: &zero}}}}}}}
	all := &measure.State{Utilization: v(98.2), Power: v(612.4), Clock: v(1755e6), Temperature: v(61)}
	energy := &measure.Energy{Joules: 1200, Span: 2 * time.Second, Work: 3000, Error: 0.1, Source: "NVML", Scope: "board", Counted: true}
	for name, tt := range map[string]struct {
		r    *record.Run
		d    hardware.Device
		s    *measure.Sensed
		what string
		want string
	}{
		"nobody asked":        {watched, gpu, nil, "", ""},
		"too brief":           {watched, gpu, &measure.Sensed{Card: &zero, Source: "NVML"}, "", ""},
		"all":                 {watched, gpu, &measure.Sensed{Card: &zero, During: all}, "", "GPU 0: 98 % busy, 612 W, 1,755 MHz, 61 °C, no throttling."},
		"a counter of energy": {watched, gpu, &measure.Sensed{Card: &zero, During: all, Energy: energy}, "2.50 tokens per joule", "GPU 0: 98 % busy, 600 W, 1,755 MHz, 61 °C, no throttling; 2.50 tokens per joule (± 10 %, board by NVML)."},
		"throttled":           {watched, gpu, &measure.Sensed{Card: &zero, During: &measure.State{Power: v(700)}, Throttle: []string{"heat", "power limit"}}, "", "GPU 0: 700 W, throttled (heat, power limit)."},
		"no such sensor":      {&record.Run{}, gpu, &measure.Sensed{Card: &zero, During: &measure.State{Utilization: v(100)}}, "", "GPU 0: 100 % busy."},
		"which GPU?":          {watched, gpu, &measure.Sensed{During: &measure.State{Utilization: v(100)}}, "", "GPU: 100 % busy."},
		"a CPU":               {watched, cpu, &measure.Sensed{During: all}, "", ""},
		"a CPU with RAPL":     {watched, cpu, &measure.Sensed{During: &measure.State{Utilization: v(100)}, Energy: &measure.Energy{Joules: 480, Span: 2 * time.Second, Work: 1, Error: 0.002, Source: "RAPL", Scope: "CPU packages"}}, "1.00 GFLOP/s per watt", "CPU: 100 % busy, 240 W; 1.00 GFLOP/s per watt (± 0.2 %, CPU packages by RAPL)."},
	} {
		if got := sensed(tt.r, tt.d, tt.s, tt.what); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	if tokens, ok := TokensPerJoule(&llm.Result{Sensors: &measure.Sensed{Energy: energy}}); !ok || tokens != 2.5 {
		t.Errorf("%v tokens per joule, %v", tokens, ok)
	}
	x := &bench.Result{GEMM: bench.GEMM{M: 10, N: 10, K: 10}, Sensors: &measure.Sensed{Energy: energy}}
	if flop, ok := FLOPPerJoule(x); !ok || flop != 5000 {
		t.Errorf("%v FLOP per joule, %v", flop, ok)
	}
	for _, x := range []*measure.Sensed{nil, {}, {Energy: &measure.Energy{Work: 1}}} {
		if _, ok := TokensPerJoule(&llm.Result{Sensors: x}); ok {
			t.Errorf("%+v has tokens per joule", x)
		}
	}
}

// The energy of a run is what a counter grew by, whatever it misses.
func TestEnergies(t *testing.T) {
	v := func(x float64) *float64 { return &x }
	series := func(values ...*float64) record.TelemetrySource {
		s := record.TelemetrySource{Name: "NVML", Series: []record.TelemetrySeries{{Sensor: event.Sensor{Quantity: event.Energy, Scope: "board"}, Values: values}}}
		for i := range values {
			s.At = append(s.At, time.Duration(i)*time.Second)
		}
		return s
	}
	r := &record.Run{Telemetry: &record.Telemetry{Sources: []record.TelemetrySource{
		series(nil, v(100), v(160), v(400), nil), series(nil, nil), series(v(5), v(1)), series(),
	}}}
	got := Energies(r)
	if len(got) != 1 || got[0] != (RunEnergy{Source: "NVML", Scope: "board", Joules: 300, Span: 2 * time.Second}) {
		t.Errorf("%+v", got)
	}
	if Energies(&record.Run{}) != nil {
		t.Error("a run without telemetry has an energy")
	}
}

// A fall is explained by what the sensors saw change, and by nothing where there are none.
func TestWhyThrottled(t *testing.T) {
	zero := 0
	x := &bench.Result{Device: hardware.Device{Kind: hardware.GPU, Card: &zero}, Block: &bench.Block{Samples: []bench.Sample{{Start: 10 * time.Second}}}}
	s := bench.Sustained{From: 40 * time.Second, To: 70 * time.Second}
	if got := whyThrottled(&record.Run{}, x, s); got != "" {
		t.Errorf("without sensors: %q", got)
	}
	source := record.TelemetrySource{At: []time.Duration{0, 10500e6, 50e9, 80e9}}
	for q, list := range map[event.Quantity][4]float64{event.Clock: {1e9, 2e9, 1.5e9, 9e9}, event.Power: {70, 700, 699, 0}, event.Throttle: {255, 0, float64(event.Heat), 255}} {
		x := record.TelemetrySeries{Sensor: event.Sensor{Quantity: q, Card: &zero}}
		for _, v := range list {
			x.Values = append(x.Values, &v)
		}
		source.Series = append(source.Series, x)
	}
	r := &record.Run{Telemetry: &record.Telemetry{Sources: []record.TelemetrySource{source}}}
	if got, want := whyThrottled(r, x, s), "Clock from 2,000 to 1,500 MHz; the driver's reason: heat."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	x.Device.Card = nil
	if got := whyThrottled(r, x, s); got != "" {
		t.Errorf("of a GPU that is not known: %q", got)
	}
	for v, want := range map[float64]string{0: "0", 999: "999", 1755: "1,755", -1234567: "-1,234,567", 1e20: "1e+20"} {
		if got := strings.TrimSpace(thousands(v)); got != want {
			t.Errorf("%v: %q", v, got)
		}
	}
}

// What a model generates or learns has its energy in tokens per joule.
func TestTokensPerJoule(t *testing.T) {
	busy, loss := 98.0, 1.5
	gpu := llm.Facts{Device: hardware.Device{Kind: hardware.GPU}}
	sensors := &measure.Sensed{During: &measure.State{Utilization: &busy}, Energy: &measure.Energy{Joules: 1200, Span: 2 * time.Second, Work: 3000, Error: 0.1, Source: "NVML", Scope: "board", Counted: true}}
	answered := &record.Run{Generation: &record.Generation{Facts: gpu, Answer: llm.Generation{Tokens: 11, TokenTime: time.Second}, Sensors: sensors}}
	trained := &record.Run{Training: &record.Training{Facts: gpu, Result: train.Result{Steps: []train.Step{{Iteration: 1, Loss: &loss}}}, Sensors: sensors}}
	for want, got := range map[string][]string{
		"GPU: 98 % busy, 600 W; 2.50 tokens generated per joule (± 10 %, board by NVML).": generationSentences(answered),
		"GPU: 98 % busy, 600 W; 2.50 tokens learned per joule (± 10 %, board by NVML).":   trainingSentences(trained),
	} {
		if len(got) != 2 || got[1] != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
