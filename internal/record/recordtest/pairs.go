package recordtest

import (
	"maps"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
)

// Versions sets the versions of what a lane's library stands on.
func Versions(pairs map[string]string) func(*bench.Result) {
	return func(r *bench.Result) { r.Device.Versions = maps.Clone(pairs) }
}

// Noise makes a lane's samples that much noisier than those of Result, which are within
// 0.4 %.
func Noise(times float64) func(*bench.Result) {
	return func(r *bench.Result) {
		for i := range r.Samples {
			s := &r.Samples[i]
			s.Wall += time.Duration((times - 1) * 0.004 * float64(i*5%12-6) / 6 * float64(s.Wall))
		}
	}
}

// Pairs are examples of two runs that can be compared.
func Pairs() map[string][2]*record.Run {
	race := func(id, driver string, lanes ...*bench.Result) *record.Run {
		r := Run(record.Race, lanes...)
		r.Machine.ID = id
		r.Cards = []hardware.Card{{Number: 0, Name: Card, UUID: "GPU-1"}}
		for _, x := range r.Results {
			if x.Device.Kind == hardware.GPU {
				Versions(map[string]string{"cuda": "13.0", "driver": driver})(x)
			}
		}
		return r
	}
	// The same machine before and after another driver.
	before := race("0123456789abcdef", "580.1",
		Result(BuiltIn, 1.01e12, Peak(1.1e12), Engine("gocpu")),
		Result(OpenBLAS, 0.95e12, Engine("blas")),
		Result(TorchCPU, 0.9e12, Engine("torch"), Noise(9)),
		Result(TorchGPU, 50e12, Engine("torch")),
		Result(Device(hardware.CPU, Chip, "mkl", "MKL", "2026.1", ""), 1.2e12, Engine("blas")),
	)
	after := race("0123456789abcdef", "595.2",
		Result(BuiltIn, 1.012e12, Peak(1.1e12), Engine("gocpu")),
		Result(OpenBLAS, 0.9e12, Engine("blas"), First(8)),
		Result(TorchCPU, 0.91e12, Engine("torch"), Noise(9), Warned(measure.Drift, "became slower while it was measured: it is throttled, or another program began to run")),
		Result(TorchGPU, 53e12, Engine("torch")),
	)
	after.Created = after.Created.Add(26 * time.Hour)
	after.Program = record.Program{Version: "0.3.0", Commit: "89abcdef01234567+dirty", Go: "go1.26.1"}

	// Two machines, of which one is interrupted in one lane.
	other := race("fedcba9876543210", "580.1",
		Result(BuiltIn, 1.6e12, Peak(1.8e12), Engine("gocpu"), func(r *bench.Result) { r.Facts.Threads = 24 }),
		Result(TorchGPU, 81e12, Engine("torch"), func(r *bench.Result) {
			r.Device.ID, r.Device.UUID, r.Device.Name = "cuda:GPU-2", "GPU-2", "Example GPU Y"
		}),
		Result(OpenBLAS, 1, Engine("blas"), Failed(fault.Crashed, "ended by signal 6 (aborted) while preparing")),
	)
	other.Machine.CPU, other.Machine.Cores = "Another CPU", 24
	other.Cards[0].Name = "Example GPU Y"

	sweep := func(shares ...float64) *record.Run {
		r := Run(record.Sweep)
		for i, n := range []int{64, 512, 4096} {
			r.Results = append(r.Results, Result(BuiltIn, shares[i]*1e12, Engine("gocpu"), Size(n, n, n)))
		}
		return r
	}
	short := sweep(0.1, 0.8, 0.9)
	short.Results = short.Results[:2]

	tokens := func(rate, prompt float64) *record.Run {
		return Language(Lane(LlamaCPU, 0, 40, 310), Lane(LlamaGPU, 99, rate, prompt))
	}
	newer := tokens(280, 9800)
	for _, x := range newer.Tokens.Results {
		x.Facts.Runtime, x.Facts.Device.Version = "llama.cpp b9100", "b9100"
	}
	alone := func(rate float64) *record.Run {
		return Language(Lane(LlamaCPU, 0, rate, 310, func(r *llm.Result) { r.Check = nil }))
	}
	one := func(lane *bench.Result) *record.Run {
		r := Run(record.MatMul, lane)
		r.Machine.ID = "0123456789abcdef"
		return r
	}
	return map[string][2]*record.Run{
		"driver":   {before, after},
		"machines": {before, other},
		"sweep":    {sweep(0.1, 0.8, 0.9), short},
		"tokens":   {tokens(245, 9800), newer},
		"alone":    {alone(40), alone(41)},
		"same":     {one(Result(BuiltIn, 1e12, Engine("gocpu"))), one(Result(BuiltIn, 1.004e12, Engine("gocpu")))},
		"slower":   {one(Result(BuiltIn, 1e12, Engine("gocpu"))), one(Result(BuiltIn, 0.8e12, Engine("gocpu")))},
		"few":      {one(Result(BuiltIn, 1e12, Engine("gocpu"), First(3))), one(Result(BuiltIn, 1.1e12, Engine("gocpu"), First(1)))},
	}
}

// again returns a run in which a lane was measured once for each speed, of the given
// noise.
func again(noise float64, speeds ...float64) *record.Run {
	r := Run(record.Learn)
	r.Noise = &record.Noise{Runs: len(speeds)}
	for i, speed := range speeds {
		x := Result(BuiltIn, speed, Engine("gocpu"), Size(512, 512, 512), Noise(noise))
		for k := range x.Samples {
			s := &x.Samples[k]
			shift := time.Duration(i) * 700 * time.Millisecond
			s.Start, s.End = s.Start+shift, s.End+shift
		}
		r.Noise.Results = append(r.Noise.Results, x)
	}
	return r
}

// Noises are examples of a lane that was measured again and again.
func Noises() map[string]*record.Run {
	var steady, wandering, alternating []float64
	for i := range 40 {
		steady = append(steady, 100e9*(1+0.001*float64(i*7%5-2)))
		wandering = append(wandering, 100e9*(1+0.004*float64(i)))
		alternating = append(alternating, 100e9*(1+0.1*float64(i%2)))
	}
	noisy := again(40, steady...)
	noisy.Noise.Runs, noisy.Interrupted = 201, true
	failed := Run(record.Learn)
	failed.Noise = &record.Noise{Runs: 201, Results: []*bench.Result{Result(BuiltIn, 1, Engine("gocpu"), Failed(fault.Crashed, "ended by signal 6"))}}
	short := again(1, steady[:4]...)
	short.Noise.Runs = 201
	return map[string]*record.Run{
		"noise": again(1, steady...), "noise.wandering": again(1, wandering...), "noise.wrong": again(1, alternating...),
		"noise.noisy": noisy, "noise.failed": failed, "noise.short": short,
	}
}
