package e2e

import (
	"context"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/web"
)

// sweep is an example of a sweep, told at once, with a reading of a card at each result.
func (w *site) sweep(ctx context.Context, s *event.Stream) (*record.Run, error) {
	r := *recordtest.Sweeps()["copies"]
	r.ID = s.Run()
	_, r.Cards = machine(ctx)
	zero, source := 0, record.TelemetrySource{Name: "NVML", Series: []record.TelemetrySeries{{Sensor: event.Sensor{Quantity: event.Utilization, Card: new(int)}}}}
	for i, x := range r.Results {
		busy := float64(10 * i)
		s.Emit(x.Lane, bench.Prepared(*x))
		s.Emit("", event.Telemetry{Source: source.Name, Readings: []event.Reading{{Sensor: event.Sensor{Quantity: event.Utilization, Card: &zero}, Value: busy}}})
		s.Emit(x.Lane, x)
		source.At, source.Series[0].Values = append(source.At, s.Now()), append(source.Series[0].Values, &busy)
	}
	r.Telemetry = &record.Telemetry{Sources: []record.TelemetrySource{source}}
	s.Emit("", &r)
	return &r, nil
}

func talkers(context.Context) (any, error) {
	return []web.Talker{{ID: "0", Name: "Example 0.5B", Quant: "Q4_K_M", Bytes: 491e6}}, nil
}

// answer is what the scripted model says: some of it would be markup.
var answer = []string{"Training is", " mostly", " multiplying", " matrices.", " <img src=x", " onerror=window.hacked=1>", " A GPU", " has", " thousands", " of simple", " units", " that", " all", " do", " the same", " step."}

// talk has two lanes answer, one after the other.
func (w *site) talk(ctx context.Context, s *event.Stream) (*record.Run, error) {
	cpu := recordtest.Lane(recordtest.LlamaCPU, 0, 60, 300)
	gpu := recordtest.Lane(recordtest.LlamaGPU, 99, 340, 3000)
	r := recordtest.Language(cpu, gpu)
	r.ID = s.Run()
	for _, x := range r.Tokens.Results {
		s.Emit(x.Lane, event.Lane{Name: x.Name, Engine: "llama.cpp", Device: x.Facts.Device.Name})
		s.Emit(x.Lane, llm.Loaded{Model: r.Tokens.Model.Name, Settings: x.Settings, Facts: x.Facts})
		s.Emit(x.Lane, llm.Asked{Prompt: "Why?", Chat: true})
		pace := 16 * time.Millisecond
		if x.Facts.Device.Kind != "cpu" {
			pace = 4 * time.Millisecond
		}
		first := 10 * pace
		for i, text := range answer {
			s.Emit(x.Lane, llm.Piece{Text: text, At: first + time.Duration(i)*pace})
			time.Sleep(pace)
		}
		s.Emit(x.Lane, x)
	}
	s.Emit("", r)
	return r, ctx.Err()
}
