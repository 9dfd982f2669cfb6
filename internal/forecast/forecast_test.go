package forecast

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/record"
)

func gguf(name string, bytes int64) model.Model {
	return model.Model{Name: name, Quantization: "Q4_0", Bytes: bytes + 1e6, TokenBytes: bytes, Format: model.GGUF, Runtimes: []string{model.LlamaCpp, model.Ollama}}
}

// The tests of the rule in docs/MEASURING.md: a figure of the past comes first, then the
// bandwidth that the nearest model Reached, then the memory's.
func TestRuleForecast(t *testing.T) {
	small, large, other := gguf("small", 250e6), gguf("large", 5e9), gguf("other", 4e9)
	past := []Past{{small, model.LlamaCpp, false, 80, 0}, {large, model.LlamaCpp, false, 8, 0}, {large, model.LlamaCpp, false, 9, 0}, {large, model.LlamaCpp, false, 10, 0}, {large, model.LlamaCpp, true, 100, 0}, {other, model.MLX, false, 1, 0}}
	for what, tt := range map[string]struct {
		m         model.Model
		gpu       bool
		bandwidth float64
		past      []Past
		want      Forecast
	}{
		"from the memory's bandwidth":     {other, false, 100e9, nil, Forecast{Rate: 100 * Reached / 4, Bandwidth: 100e9}},
		"measured":                        {large, false, 100e9, past, Forecast{Rate: 9, Measured: true}},
		"from the nearest":                {other, false, 100e9, past, Forecast{Rate: 11.25, Bandwidth: 45e9, Of: "large"}},
		"from a small one":                {gguf("tiny", 200e6), false, 100e9, past, Forecast{Rate: 100, Bandwidth: 20e9, Of: "small"}},
		"on the GPU":                      {other, true, 100e9, past, Forecast{Rate: 125, Bandwidth: 500e9, Of: "large"}},
		"on a GPU without a past":         {other, true, 100e9, past[:2], Forecast{}},
		"from one that is too small":      {gguf("next", 120e6), false, 100e9, []Past{{gguf("tiny", 20e6), model.LlamaCpp, false, 1, 0}}, Forecast{Rate: 100e9 * Reached / 120e6, Bandwidth: 100e9}},
		"too small":                       {gguf("tiny", 20e6), false, 100e9, past, Forecast{}},
		"not known":                       {other, false, 0, nil, Forecast{}},
		"a model that does not say":       {model.Model{Name: "x", Runtimes: other.Runtimes}, false, 100e9, past, Forecast{}},
		"a folder, which computes in any": {model.Model{Name: "x", TokenBytes: 1e9, Runtimes: []string{model.Torch}}, false, 100e9, past, Forecast{}},
	} {
		f, ok := Of(tt.m, tt.gpu, tt.bandwidth, tt.past)
		if ok != (tt.want != Forecast{}) || math.Abs(f.Rate-tt.want.Rate) > 1e-9 || f.Measured != tt.want.Measured || f.Bandwidth != tt.want.Bandwidth || f.Of != tt.want.Of {
			t.Errorf("%s: %+v, want %+v", what, f, tt.want)
		}
	}
	// Each from the others: small from large's 45 GB/s, large from small's 20 GB/s.
	if got, want := Errors(false, 100e9, past[:4]), []float64{45e9/250e6/80 - 1, 20e9/5e9/9 - 1}; len(got) != 2 || math.Abs(got[0]-want[0]) > 1e-9 || math.Abs(got[1]-want[1]) > 1e-9 {
		t.Errorf("errors %v, want %v", got, want)
	}
	if got := Errors(true, 100e9, past); got != nil {
		t.Errorf("one model on the GPU: %v", got)
	}
}

// What was measured of models of random weights with llama.cpp's Vulkan backend on an H100
// (docs/MEASURING.md): a layer takes 69 µs, and the weights are read at 2.3 TB/s. Each is
// forecast within 1 % from the other two, and up to 28 % wrong from the nearest alone.
func TestRuleFit(t *testing.T) {
	of := func(name string, layers int, bytes int64, rate float64) Past {
		m := gguf(name, bytes)
		m.Layers = layers
		return Past{Model: m, Runtime: model.LlamaCpp, GPU: true, Rate: rate}
	}
	past := []Past{of("1B", 23, 1271013376, 468), of("2B", 25, 1781309440, 402), of("3B", 29, 3475212288, 286)}
	f, ok := Of(gguf("without layers", 2e9), true, 0, past)
	if !ok || f.Of != "2B" || f.Models != 0 {
		t.Errorf("a model whose layers are not known: %+v", f)
	}
	next := of("4B", 33, 4e9, 0).Model
	f, ok = Of(next, true, 0, past)
	if !ok || f.Models != 3 || f.Of != "" || math.Abs(f.Layer-69e-6) > 1e-6 || math.Abs(f.Bandwidth-2.33e12) > 0.01e12 || math.Abs(1/f.Rate-33*f.Layer-4e9/f.Bandwidth) > 1e-9 {
		t.Errorf("%+v", f)
	}
	errors := Errors(true, 0, past)
	for _, e := range errors {
		if math.Abs(e) > 0.01 {
			t.Errorf("errors %.3f", errors)
		}
	}
	if len(errors) != 3 {
		t.Errorf("errors %v", errors)
	}
	for what, list := range map[string][]Past{
		"a single model":                  past[:1],
		"one model twice":                 {past[0], past[0]},
		"as many bytes in each layer":     {of("a", 20, 1e9, 100), of("b", 40, 2e9, 50)},
		"the larger one is faster":        {of("a", 20, 1e9, 100), of("b", 20, 2e9, 200)},
		"layers that would take no time":  {of("a", 20, 1e9, 400), of("b", 21, 2e9, 100)},
		"measured on the CPU":             {{past[0].Model, model.LlamaCpp, false, 10, 0}, {past[2].Model, model.LlamaCpp, false, 4, 0}},
		"another runtime":                 {{past[0].Model, model.MLX, true, 10, 0}, {past[2].Model, model.MLX, true, 4, 0}},
		"models too small to tell of one": {of("a", 20, 1e7, 400), of("b", 21, 2e7, 300)},
	} {
		if f, _ := Of(next, true, 0, list); f.Models != 0 {
			t.Errorf("%s: %+v", what, f)
		}
	}
}

// Keys and values are read with the weights, those of the stated context for a forecast and
// those of the measurement for what it reached.
func TestRuleCache(t *testing.T) {
	with := func(m model.Model, cache int64, context int) model.Model {
		m.CacheBytes, m.Context = cache, context
		return m
	}
	long, short := with(gguf("long", 3e9), 250e3, 131072), with(gguf("short", 3e9), 1e6, 1000)
	past := []Past{{with(gguf("past", 2e9), 1e6, 0), model.LlamaCpp, false, 10, 500}}
	for what, tt := range map[string]struct {
		m    model.Model
		past []Past
		want Forecast
	}{
		"the memory's":            {long, nil, Forecast{Rate: Reached * 100e9 / (3e9 + 250e3*4096), Bandwidth: 100e9, Context: 4096}},
		"a shorter context":       {short, nil, Forecast{Rate: Reached * 100e9 / 4e9, Bandwidth: 100e9, Context: 1000}},
		"from what another model": {short, past, Forecast{Rate: 25. / 4, Bandwidth: 25e9, Context: 1000, Of: "past"}},
		"not known":               {gguf("x", 4e9), past, Forecast{Rate: 25. / 4, Bandwidth: 25e9, Of: "past"}},
	} {
		f, ok := Of(tt.m, false, 100e9, tt.past)
		if math.Abs(f.Rate-tt.want.Rate) > 1e-9 {
			t.Errorf("%s: %v tok/s, want %v", what, f.Rate, tt.want.Rate)
		}
		f.Rate = tt.want.Rate
		if !ok || f != tt.want {
			t.Errorf("%s: %+v, want %+v", what, f, tt.want)
		}
	}
	// A measurement is compared with a forecast for its own context.
	if got, want := Errors(false, 100e9, past), Reached*100e9/2.5e9/10-1; len(got) != 1 || math.Abs(got[0]-want) > 1e-9 {
		t.Errorf("error %v, want %v", got, want)
	}
}

// Only what was measured on this machine, on one device and without doubt, is a past.
func TestRulePast(t *testing.T) {
	here := host.Machine{ID: "a", CPU: "EPYC", Cores: 2}
	lane := func(change func(*llm.Result)) *llm.Result {
		r := &llm.Result{Runtime: model.LlamaCpp, Facts: llm.Facts{Device: hardware.Device{Kind: hardware.CPU}}, Tokens: 64, Shown: &llm.Generation{PromptTokens: 20}, Samples: []llm.Sample{{Tokens: 11, TokenTime: time.Second}}}
		if change != nil {
			change(r)
		}
		return r
	}
	run := func(machine host.Machine, m model.Model, results ...*llm.Result) *record.Run {
		return &record.Run{Machine: machine, Tokens: &record.Tokens{Model: m, Results: results}}
	}
	onGPU := func(layers int) func(*llm.Result) {
		return func(r *llm.Result) { r.Facts.Device.Kind, r.Settings.Layers = hardware.GPU, layers }
	}
	ollama := func(memory int64) func(*llm.Result) {
		return func(r *llm.Result) {
			onGPU(llm.AllLayers)(r)
			r.Runtime, r.Facts.Memory = model.Ollama, &memory
		}
	}
	m := gguf("m", 1e9)
	runs := []*record.Run{
		run(here, m, lane(nil), lane(onGPU(llm.AllLayers)), lane(ollama(m.Bytes))),
		run(here, m,
			lane(onGPU(12)),
			lane(ollama(m.Bytes-1)),
			lane(func(r *llm.Result) { r.Facts.Host = "elsewhere:1" }),
			lane(func(r *llm.Result) { r.Error = fault.Errorf(fault.Crashed, "crashed") }),
			lane(func(r *llm.Result) { r.Check = &llm.Check{} }),
			lane(func(r *llm.Result) { r.Samples = nil }),
			lane(func(r *llm.Result) { r.Settings.Layers = llm.AllLayers }),
			lane(func(r *llm.Result) { r.Facts.Device.Kind = hardware.SoftwareGPU }),
		),
		run(host.Machine{CPU: "EPYC", Cores: 4}, m, lane(nil)),
		run(host.Machine{CPU: "M4", Cores: 2}, m, lane(nil)),
		run(host.Machine{ID: "b", CPU: "EPYC", Cores: 2}, m, lane(nil)),
		run(here, model.Model{Name: "unknown"}, lane(nil)),
		{Machine: here},
	}
	got := Read(runs, here)
	if len(got) != 3 || got[0].GPU || !got[1].GPU || !got[2].GPU || got[1].Runtime != model.LlamaCpp || got[2].Runtime != model.Ollama || slices.ContainsFunc(got, func(p Past) bool {
		return p.Rate != 10 || p.Context != 52 || p.Model.Name != "m"
	}) {
		t.Errorf("%+v", got)
	}
}
