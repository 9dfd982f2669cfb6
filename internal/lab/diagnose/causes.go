package diagnose

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// causes are all that is looked for in a slow lane. Each returns nothing unless the
// run holds evidence.
var causes = []func(*record.Run, *bench.Result) []record.Cause{
	software, notOnGPU, classic, emulated, threads, kernels, small, memoryBound, quota, throttled, noise, fullPrecision, fewSamples, notes,
}

// examine is the remedy of asking the doctor, and deep of having it start every
// framework.
func examine(text string) fault.Remedy { return fault.Run(text, "gpuplay", "doctor") }

var deep = fault.Remedy{Command: []string{"gpuplay", "doctor"}, Param: "deep"}

func seconds(s float64) string { return unit.Seconds(time.Duration(s * float64(time.Second))) }

// software: a CPU behind a GPU's interface.
func software(_ *record.Run, l *bench.Result) []record.Cause {
	if l.Device.Kind != hardware.SoftwareGPU {
		return nil
	}
	return []record.Cause{{Code: "software_gpu", Claim: "a CPU does the work behind this GPU's interface",
		Evidence: "the device is " + l.Device.Name, Remedies: fault.Remedies{examine("")}, Factor: 1000}}
}

// notOnGPU: a GPU lane as slow as its engine's CPU lane looks like a GPU that does
// nothing.
func notOnGPU(r *record.Run, l *bench.Result) []record.Cause {
	if l.Device.Kind != hardware.GPU {
		return nil
	}
	for _, o := range r.Results {
		if o.Engine != l.Engine || o.Device.Kind != hardware.CPU || o.GEMM != l.GEMM || len(o.Samples) == 0 {
			continue
		}
		if ratio := rate(l) / rate(o); ratio > 0.7 && ratio < 1.4 {
			return []record.Cause{{Code: "not_on_gpu", Claim: "it may not run on the GPU at all",
				Evidence: fmt.Sprintf("%s, and the same engine's CPU lane %s", l.GEMM.Rate(rate(l)), o.GEMM.Rate(rate(o))),
				Remedies: fault.Remedies{deep}, Factor: 20}}
		}
	}
	return nil
}

// classic: the tutorial's loop times more than products.
func classic(r *record.Run, l *bench.Result) []record.Cause {
	if l.Protocol != bench.Classic {
		return nil
	}
	c := record.Cause{Code: "classic_loop", Claim: "the classic loop also times the sum of C, its way to the host and a wait after every product",
		Evidence: "protocol classic", Remedies: fault.Remedies{fault.Set("protocol", bench.Steady, "")}, Factor: 1.2}
	for _, o := range r.Results {
		if o.Engine == l.Engine && o.Device.ID == l.Device.ID && o.Protocol == bench.Steady && len(o.Samples) > 0 {
			c.Factor = rate(o) / rate(l)
			c.Evidence = fmt.Sprintf("steady: %s, classic: %s", o.GEMM.Rate(rate(o)), l.GEMM.Rate(rate(l)))
		}
	}
	return []record.Cause{c}
}

// emulated: a CPU without arithmetic for a narrow type converts it or computes it
// in software. Whether an Arm CPU has bfloat16 is not recorded.
func emulated(r *record.Run, l *bench.Result) []record.Cause {
	need := map[matrix.DType][]string{
		matrix.Float16:  {"avx512fp16", "asimdhp"},
		matrix.BFloat16: {"avx512bf16", "amxbf16"},
		matrix.Int8:     {"avx512vnni", "avxvnni", "amxint8", "asimddp"},
	}[l.GEMM.In]
	if l.Device.Kind != hardware.CPU || need == nil || len(r.Machine.Features) == 0 || r.Machine.Arch != "amd64" && l.GEMM.In == matrix.BFloat16 {
		return nil
	}
	if slices.ContainsFunc(need, func(f string) bool { return slices.Contains(r.Machine.Features, f) }) {
		return nil
	}
	return []record.Cause{{Code: "emulated", Claim: fmt.Sprintf("this CPU has no %s arithmetic: it is converted or emulated", l.GEMM.In),
		Evidence: fmt.Sprintf("neither %s is among its instruction sets (%s)", strings.Join(need, " nor "), strings.Join(r.Machine.Features, ", ")),
		Remedies: fault.Remedies{fault.Set("dtype", matrix.Float32, "")}, Factor: 10}}
}

// threads: fewer than there are cores. One thread on each is what products need: two
// threads of one core share its multipliers, and where cores are of several kinds, the
// slower ones would delay the others.
func threads(r *record.Run, l *bench.Result) []record.Cause {
	m, n := r.Machine, l.Facts.Threads
	cores := m.Cores
	switch {
	case m.Fast > 0:
		cores = m.Fast
	case cores == 0: // not known; the CPUs that are compared here have two threads to a core at most
		cores = (m.CPUs + 1) / 2
	}
	if l.Device.Kind != hardware.CPU || n == 0 || n >= cores {
		return nil
	}
	return []record.Cause{{Code: "threads", Claim: "it does not use all cores", Evidence: fmt.Sprintf("%s on %s", unit.Plural(n, "thread"), m.Processors()),
		Remedies: fault.Remedies{fault.Set("threads", cores, ""), examine("{} looks for OMP_NUM_THREADS and its like")}, Factor: float64(cores) / float64(n)}}
}

// kernels: a library that chose code for an older CPU.
func kernels(r *record.Run, l *bench.Result) []record.Cause {
	old := []string{"Haswell", "Zen", "Excavator", "Sandybridge", "Nehalem", "Prescott", "AVX2", "SSE"}
	if l.Device.Kind != hardware.CPU || !slices.Contains(r.Machine.Features, "avx512f") {
		return nil
	}
	for _, name := range old {
		if strings.HasPrefix(l.Device.Detail, name) {
			return []record.Cause{{Code: "old_kernels", Claim: "the library runs kernels for an older CPU: half the width",
				Evidence: fmt.Sprintf("%s, on a CPU with avx512f", l.Device.Detail), Remedies: fault.Remedies{fault.Run("{} if it is set", "unset", "OPENBLAS_CORETYPE"), {Text: "update the library"}}, Factor: 2}}
		}
	}
	return nil
}

// What starting a product costs, roughly: a kernel launch through a framework, or
// waking a CPU's threads.
var overhead = map[hardware.Kind]time.Duration{hardware.GPU: 20 * time.Microsecond, hardware.CPU: 10 * time.Microsecond}

// small: a product that is over before the device is busy. A GPU's kernels give a
// tile of 128×128 to a multiprocessor, and large GPUs have over 100 of those.
func small(_ *record.Run, l *bench.Result) []record.Cause {
	const tile, multiprocessors = 128, 100
	g := l.GEMM
	each := stats.Median(l.Seconds())
	cost := overhead[l.Device.Kind].Seconds()
	share := cost / each
	tiles := ((g.M + tile - 1) / tile) * ((g.N + tile - 1) / tile)
	evidence := fmt.Sprintf("one product is %s and takes %s; starting one costs about %s", work(g), seconds(each), seconds(cost))
	factor := 0.0
	if share > 0.02 {
		factor = 1 / (1 - min(share, 0.9))
	}
	if l.Device.Kind == hardware.GPU && tiles < multiprocessors {
		factor = max(factor, float64(multiprocessors)/float64(tiles))
		evidence += fmt.Sprintf("; C is %s of %d×%d where a large GPU has over %d multiprocessors", unit.Plural(tiles, "tile"), tile, tile, multiprocessors)
	}
	if factor == 0 {
		return nil
	}
	return []record.Cause{{Code: "too_small", Claim: "the product is too small to fill the device", Evidence: evidence,
		Remedies: fault.Remedies{fault.Set("size", max(4096, 2*max(g.M, g.N, g.K)), "")}, Factor: factor}}
}

// work prints how much a product is: "137 GFLOP".
func work(g bench.GEMM) string { return strings.TrimSuffix(g.Rate(g.FLOP()), "/s") }

// balance is, roughly, how many float32 operations a device can do while it loads a
// byte: a CPU does 0.5–2 TFLOP/s at 50–200 GB/s, a GPU 5–70 at 0.1–5 TB/s.
var balance = map[hardware.Kind]float64{hardware.CPU: 10, hardware.GPU: 20}

// memoryBound: a product that has too little arithmetic for what it loads, such as
// a matrix by a vector.
func memoryBound(_ *record.Run, l *bench.Result) []record.Cause {
	g := l.GEMM
	need := balance[l.Device.Kind] * 4 / float64(g.In.Size()) // narrower types compute as much faster
	intensity := g.FLOP() / g.Bytes()
	if need == 0 || intensity >= need {
		return nil
	}
	return []record.Cause{{Code: "memory_bound", Claim: "memory, not arithmetic, sets the pace",
		Evidence: fmt.Sprintf("%s operations for each byte of A, B and C, about %s are needed to keep the device busy; at this speed it moves %s/s",
			unit.Digits3(intensity), unit.Digits3(need), unit.Bytes(g.Bytes()/stats.Median(l.Seconds()))),
		Remedies: fault.Advice("a larger smallest dimension: batch more rows into one product"), Factor: need / intensity}}
}

// quota: a container that was stopped because it had used its share of the CPUs up.
func quota(_ *record.Run, l *bench.Result) []record.Cause {
	for _, w := range l.Warnings {
		if w.Code == measure.Throttled {
			return []record.Cause{{Code: "quota", Claim: "the container that gpuplay runs in has a CPU quota, and used it up", Evidence: w.Text,
				Remedies: fault.Advice("give the container more CPUs"), Factor: 2}}
		}
	}
	return nil
}

// throttled: it became slower, or was not warm.
func throttled(_ *record.Run, l *bench.Result) []record.Cause {
	s := l.Seconds()
	change, certain := stats.Drift(s)
	n := len(s) / 3
	if !certain || change < measure.Drifting && change > -measure.Drifting {
		return nil
	}
	evidence := fmt.Sprintf("a product took %s in the first third of the samples and %s in the last", seconds(stats.Median(s[:n])), seconds(stats.Median(s[len(s)-n:])))
	if change > 0 {
		return []record.Cause{{Code: "throttled", Claim: fmt.Sprintf("it became %s slower while it was measured: heat, or a power limit", unit.Percent(1-1/(1+change))),
			Evidence: evidence, Remedies: fault.Remedies{{Text: "let it cool, and plug it in"}, examine("{} looks at power, clock and heat")}, Factor: 1 + change}}
	}
	return []record.Cause{{Code: "not_warm", Claim: "it became faster while it was measured: it was not warm", Evidence: evidence, Remedies: fault.Remedies{fault.Set("time", "30s", "")}, Factor: 1 / (1 + change)}}
}

// noise: something else ran.
func noise(_ *record.Run, l *bench.Result) []record.Cause {
	speed, _ := l.Speed()
	if !speed.Firm() || speed.Spread() <= measure.Noisy {
		return nil
	}
	s := l.Seconds()
	fastest := l.GEMM.FLOP() / slices.Min(s)
	return []record.Cause{{Code: "noise", Claim: "it is noisy: something else ran, or the clock changed",
		Evidence: fmt.Sprintf("%s ± %s; the fastest of %d samples reached %s", l.GEMM.Rate(speed.Value), unit.Percent(speed.Spread()), len(s), l.GEMM.Rate(fastest)),
		Remedies: fault.Advice("end other programs and measure again"), Factor: fastest / speed.Value}}
}

// fullPrecision: CUDA's float32 without TF32 leaves the tensor cores out.
func fullPrecision(_ *record.Run, l *bench.Result) []record.Cause {
	if l.Device.API != "cuda" || l.GEMM.In != matrix.Float32 || l.GEMM.Acc != matrix.Float32 {
		return nil
	}
	evidence := "sums in float32 were asked for"
	if c := l.Check; c != nil && c.Error != nil {
		evidence += fmt.Sprintf(", and the result's error of %.1e shows them", *c.Error)
	}
	return []record.Cause{{Code: "tf32_off", Claim: "TF32 is off: float32 does not use the tensor cores", Evidence: evidence, Remedies: fault.Remedies{fault.Set("dtype", matrix.TF32, "{} where 10 bits of mantissa are enough")}, Factor: 1.1}}
}

// fewSamples: too few to believe a difference.
func fewSamples(_ *record.Run, l *bench.Result) []record.Cause {
	if !l.Has(measure.FewSamples) {
		return nil
	}
	return []record.Cause{{Code: "few_samples", Claim: "the figure itself is uncertain", Evidence: unit.Plural(len(l.Samples), "sample") + " only", Remedies: fault.Remedies{fault.Set("time", "60s", "")}, Factor: 1}}
}

// notes: what the engine itself said about this product, a converted type above
// all. What it says of the kernels is a cause of its own already.
func notes(r *record.Run, l *bench.Result) []record.Cause {
	var list []record.Cause
	for _, n := range l.Facts.Notes {
		if len(kernels(r, l)) > 0 && strings.HasPrefix(n, l.Device.Detail) {
			continue
		}
		list = append(list, record.Cause{Code: "engine_note", Claim: l.Device.Label() + " says so itself", Evidence: n, Factor: 1.5})
	}
	return list
}
