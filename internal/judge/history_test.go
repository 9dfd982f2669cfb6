package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// Histories are of GPU after GPU, then of the machine, each from what was told.
func TestHistories(t *testing.T) {
	v := func(values ...float64) (list []*float64) {
		for _, x := range values {
			if x < 0 {
				list = append(list, nil)
				continue
			}
			list = append(list, &x)
		}
		return list
	}
	one, cpu := 1, 3
	r := recordtest.Run(record.Race, recordtest.Result(recordtest.TorchGPU, 1e12, recordtest.On(1, 1)), recordtest.Result(recordtest.BuiltIn, 1e11))
	r.Cards = []hardware.Card{{Number: 0}, {Number: 1}}
	r.Telemetry = &record.Telemetry{Sources: []record.TelemetrySource{
		{Name: "RAPL", At: []time.Duration{0, time.Second}, Series: []record.TelemetrySeries{
			{Sensor: event.Sensor{Quantity: event.Power, Scope: "CPU packages"}, Values: v(40, 90)},
			{Sensor: event.Sensor{Quantity: event.Utilization, CPU: &cpu}, Values: v(1, 2)},
			{Sensor: event.Sensor{Quantity: event.Energy}, Values: v(1, 2)},
		}},
		{Name: "NVML", At: []time.Duration{0, time.Second, 2 * time.Second}, Series: []record.TelemetrySeries{
			{Sensor: event.Sensor{Quantity: event.Clock, Card: &one}, Values: v(1.2e9, 1.98e9, -1)},
			{Sensor: event.Sensor{Quantity: event.Power, Card: &one}, Values: v(70, -1, 690)},
			{Sensor: event.Sensor{Quantity: event.Utilization, Card: new(int)}, Values: v(0, 0, 0)},
			{Sensor: event.Sensor{Quantity: event.Temperature, Card: new(int)}, Values: v(-1, 40, -1)},
		}},
	}}
	var got []string
	for _, h := range Histories(r) {
		got = append(got, h.Name+" "+h.Least+" to "+h.Most)
	}
	const want = "GPU 0: utilisation 0 % to 0 %; GPU 1: power 70 W to 690 W; GPU 1: clock 1.20 GHz to 1.98 GHz; power of the CPU packages 40 W to 90 W"
	if text := strings.Join(got, "; "); text != want {
		t.Errorf("%s\nwant %s", text, want)
	}
	h, _ := NewHeadline(r)
	if h.History == nil || h.History.Says() != "power up to 690 W" || len(h.History.Points) != 2 {
		t.Errorf("the headline has %+v", h.History)
	}
	r.Results[0].Device.Card = nil
	if h, _ := NewHeadline(r); h.History != nil {
		t.Errorf("of a card that is not known: %+v", h.History)
	}
	r.Telemetry = nil
	if h, _ := NewHeadline(r); h.History != nil || len(Histories(r)) > 0 {
		t.Error("a history of nothing")
	}
}
