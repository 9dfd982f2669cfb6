// Package forecast says about how many tokens per second a language model will generate
// on this machine, before it is downloaded or run.
//
// Generation reads all weights that a token needs from memory, and the keys and values of
// all tokens before it, so its speed is a share of the memory's bandwidth divided by the
// bytes of these. Once a model has been measured here, its own figure takes the place of the
// forecast, and for other models the bandwidth that it reached is a better basis than that of
// a loop which only reads.
//
// A GPU reads so fast that launching the kernels of each layer takes as long or longer. Two
// measured models of different sizes tell the two apart.
package forecast

import (
	"math"
	"slices"

	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
)

// A Forecast is how fast a model generates.
type Forecast struct {
	Rate      float64 `json:"tokens_per_second"`
	Measured  bool    `json:"measured"`            // in the past, with this model on this machine
	Context   int     `json:"context,omitempty"`   // tokens of context that it is modelled at; 0 where the model does not say what they take
	Bandwidth float64 `json:"bandwidth,omitempty"` // bytes per second that it is modelled from; 0 where it was measured
	Of        string  `json:"of,omitempty"`        // the model whose generation reached that bandwidth; empty: it is the memory's own, or that of all models
	Models    int     `json:"models,omitempty"`    // how many measured models bandwidth and Layer are fitted to; 0: the bandwidth is not fitted
	Layer     float64 `json:"layer_s,omitempty"`   // seconds that each layer takes apart from reading
}

// Reached is the share of the memory's bandwidth that generation with llama.cpp is taken to
// reach on a CPU where nothing was measured; docs/MEASURING.md says how far off it was.
const Reached = 0.85

// least is how many bytes of weights a token has to read for a forecast to mean anything:
// below, what else is done for a token takes longer, and caches hold a part of them.
const least = 100e6

// A Past is how fast a model generated here.
type Past struct {
	Model   model.Model
	Runtime string
	GPU     bool // all of its layers were on it
	Rate    float64
	Context int // tokens of context at which the rate was measured, about; 0: not known
}

// Read takes from records what was measured on this machine: lanes with all layers on one
// device that were not found to be wrong.
func Read(runs []*record.Run, here host.Machine) []Past {
	var list []Past
	for _, r := range runs {
		other := r.Machine.CPU != here.CPU || r.Machine.Cores != here.Cores || r.Machine.ID != "" && here.ID != "" && r.Machine.ID != here.ID
		if other || r.Tokens == nil || r.Tokens.Model.TokenBytes <= 0 {
			continue
		}
		for _, x := range r.Tokens.Results {
			f := x.Facts
			gpu := f.Device.Kind == hardware.GPU
			rate, ok := x.Figure(llm.Generating)
			switch {
			case !ok, f.Host != "", x.Error != nil, x.Check != nil && !x.Check.Passed, x.Has(measure.NotOnGPU), x.Has(measure.Interrupted):
			case gpu && x.Settings.Layers < llm.AllLayers, !gpu && (f.Device.Kind != hardware.CPU || x.OnGPU()):
			case gpu && x.Runtime == model.Ollama && f.Memory != nil && *f.Memory < r.Tokens.Model.Bytes: // it leaves on the CPU what does not fit
			default:
				p := Past{Model: r.Tokens.Model, Runtime: x.Runtime, GPU: gpu, Rate: rate.Value}
				if x.Shown != nil {
					p.Context = x.Shown.PromptTokens + x.Tokens/2 // on the average
				}
				list = append(list, p)
			}
		}
	}
	return list
}

// same reports whether two models are the same one, wherever their files are.
func same(a, b model.Model) bool {
	return a.Name == b.Name && a.Quantization == b.Quantization && a.Bytes == b.Bytes
}

// reads returns the bytes that a model reads for a token after that many others.
func reads(m model.Model, context int) float64 {
	return float64(m.TokenBytes) + float64(m.CacheBytes)*float64(context)
}

// Of returns about how fast a model generates on the CPU, or on the GPU, at its
// UsualContext. bandwidth is that of the CPU's memory in bytes per second, 0 if it is not
// known; a GPU's is known from the past alone. ok is false where nothing is known.
func Of(m model.Model, gpu bool, bandwidth float64, past []Past) (f Forecast, ok bool) {
	return at(m.UsualContext(), m, gpu, bandwidth, past)
}

func at(context int, m model.Model, gpu bool, bandwidth float64, past []Past) (f Forecast, ok bool) {
	apart := func(p Past) float64 { return math.Abs(math.Log(float64(p.Model.TokenBytes) / float64(m.TokenBytes))) }
	var nearest *Past
	of := func(m model.Model, runtimes []string, figure func(Past) float64) (list []float64) {
		for _, p := range past {
			if p.GPU == gpu && slices.Contains(runtimes, p.Runtime) && same(p.Model, m) {
				list = append(list, figure(p))
			}
		}
		return list
	}
	for i, p := range past {
		if p.GPU == gpu && slices.Contains(m.Runtimes, p.Runtime) && m.TokenBytes >= least && p.Model.TokenBytes >= least && (nearest == nil || apart(p) < apart(*nearest)) {
			nearest = &past[i]
		}
	}
	own := of(m, m.Runtimes, func(p Past) float64 { return p.Rate })
	var line fit
	if gpu {
		line = fitted(m.Runtimes, past)
	}
	switch {
	case len(own) > 0:
		return Forecast{Rate: stats.Median(own), Measured: true}, true
	case m.TokenBytes < least:
		return f, false
	case line.models > 0 && m.Layers > 0:
		f.Models, f.Layer, f.Bandwidth = line.models, line.layer, line.bandwidth
		f.Rate = 1 / (line.layer*float64(m.Layers) + reads(m, context)/line.bandwidth)
	case nearest != nil:
		f.Of = nearest.Model.Name
		f.Bandwidth = stats.Median(of(nearest.Model, m.Runtimes, func(p Past) float64 { return p.Rate * reads(p.Model, p.Context) }))
		f.Rate = f.Bandwidth / reads(m, context)
	case !gpu && bandwidth > 0 && slices.Contains(m.Runtimes, model.LlamaCpp): // frameworks may compute in another type than the weights'
		f.Bandwidth = bandwidth
		f.Rate = Reached * bandwidth / reads(m, context)
	}
	if m.CacheBytes > 0 {
		f.Context = context
	}
	return f, f.Rate > 0
}

// fit is what a token takes on a GPU: a time for each layer, and one for reading.
type fit struct {
	models    int     // that it follows from; 0: none does
	layer     float64 // seconds
	bandwidth float64 // bytes per second
}

// fitted returns the times that come nearest to those of the models that were measured on
// the GPU: the relative errors have the least sum of squares. There is none of a single
// model, nor where layers and bytes do not tell which of them takes the time.
func fitted(runtimes []string, past []Past) fit {
	var ll, lb, bb, l, b float64 // sums of products of layers and bytes, each divided by the time
	var done []model.Model
	for _, p := range past {
		known := slices.ContainsFunc(done, func(m model.Model) bool { return same(m, p.Model) })
		if !p.GPU || known || !slices.Contains(runtimes, p.Runtime) || p.Model.TokenBytes < least || p.Model.Layers < 1 {
			continue
		}
		done = append(done, p.Model)
		var rates []float64
		for _, q := range past {
			if q.GPU && slices.Contains(runtimes, q.Runtime) && same(q.Model, p.Model) {
				rates = append(rates, q.Rate)
			}
		}
		rate := stats.Median(rates)
		x, y := float64(p.Model.Layers)*rate, reads(p.Model, p.Context)*rate
		ll, lb, bb, l, b = ll+x*x, lb+x*y, bb+y*y, l+x, b+y
	}
	// The determinant, relative to its terms, is 0 where all models have as many bytes in
	// each layer.
	det := ll*bb - lb*lb
	if len(done) < 2 || det < 1e-3*ll*bb {
		return fit{}
	}
	layer, each := (l*bb-b*lb)/det, (b*ll-l*lb)/det
	if layer < 0 || each <= 0 {
		return fit{}
	}
	return fit{len(done), layer, 1 / each}
}

// Errors returns by which factors less one the forecasts of the models that were measured
// miss what was measured, each forecast from all others and for the context of the
// measurement: 0.1 is a tenth too fast.
func Errors(gpu bool, bandwidth float64, past []Past) []float64 {
	var list []float64
	var done []model.Model
	for _, p := range past {
		if p.GPU != gpu || slices.ContainsFunc(done, func(m model.Model) bool { return same(m, p.Model) }) {
			continue
		}
		done = append(done, p.Model)
		m := p.Model
		m.Runtimes = []string{p.Runtime}
		others := slices.DeleteFunc(slices.Clone(past), func(q Past) bool { return same(q.Model, m) })
		measured, _ := Of(m, gpu, bandwidth, past)
		if f, ok := at(p.Context, m, gpu, bandwidth, others); ok {
			list = append(list, f.Rate/measured.Rate-1)
		}
	}
	return list
}
