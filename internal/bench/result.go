package bench

import (
	"fmt"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Protocol is a way to time a GEMM.
type Protocol string

const (
	// Steady warms up, takes samples of at least 20 ms with one synchronisation
	// each, in turns with the other lanes, and stops by their noise.
	Steady Protocol = "steady"
	// Classic is the loop of many tutorials: 3 warm-ups, then repeat times
	// (a@b).sum().item(), all inside one clock.
	Classic Protocol = "classic"
)

// A Result is what one lane of a measurement came to. It never changes, and all
// figures are functions of its samples.
type Result struct {
	Engine   string          `json:"engine"`
	Device   hardware.Device `json:"device"`
	GEMM     GEMM            `json:"gemm"`
	Seed     uint64          `json:"seed"`
	Protocol Protocol        `json:"protocol"`
	Facts    Facts           `json:"facts"`
	Start    time.Duration   `json:"start_ns"`   // from starting the engine to knowing its devices
	Prepare  time.Duration   `json:"prepare_ns"` // allocation, fill, compilation, tuning
	First    time.Duration   `json:"first_ns"`   // the first product, which pays for what is left to load
	Samples  []Sample        `json:"samples"`    // sample i of every lane of a race was taken in the same round
	Check    *matrix.Check   `json:"check"`      // nil when the lane did not get that far
	Warnings []Warning       `json:"warnings,omitempty"`
	Error    *fault.Error    `json:"error,omitempty"` // why the lane stopped short; samples taken before stay
	Stage    Phase           `json:"stage,omitempty"` // where Error happened
}

// A Warning is a doubt about a result that a reader must see.
type Warning struct {
	Code WarningCode `json:"code"`
	Text string      `json:"text"`
}

// WarningCode is one of a closed list.
type WarningCode string

const (
	WarnFewSamples  WarningCode = "few_samples"  // fewer than the interval needs
	WarnSmaller     WarningCode = "smaller"      // measured on a smaller product than its neighbours
	WarnNoise       WarningCode = "noise"        // the interval stayed wide: more than 5 %
	WarnOutliers    WarningCode = "outliers"     // single samples far from the others
	WarnShort       WarningCode = "short"        // samples so short that waiting for the device counts
	WarnDrift       WarningCode = "drift"        // it became slower or faster while it was measured
	WarnArithmetic  WarningCode = "arithmetic"   // less precise than what was asked for
	WarnAbovePeak   WarningCode = "above_peak"   // faster than the device can be: not believed
	WarnInterrupted WarningCode = "interrupted"  // cut short by the user
	WarnSoftwareGPU WarningCode = "software_gpu" // a CPU behind a GPU's interface
)

// Seconds returns the wall time of one product, a value a sample.
func (r *Result) Seconds() []float64 {
	s := make([]float64, len(r.Samples))
	for i, x := range r.Samples {
		s[i] = x.Seconds()
	}
	return s
}

// Speed returns the median FLOP/s, or OP/s of integers, with its interval; ok is false without samples.
func (r *Result) Speed() (speed stats.Interval, ok bool) {
	if len(r.Samples) == 0 {
		return speed, false
	}
	rates := r.Seconds()
	for i, s := range rates {
		rates[i] = r.GEMM.FLOP() / s
	}
	return stats.MedianInterval(rates), true
}

// Bandwidth returns the median bytes a second of A, B and C, each read or written
// once a product; ok is false without samples and where arithmetic sets the pace.
func (r *Result) Bandwidth() (bytes float64, ok bool) {
	speed, ok := r.Speed()
	return speed.Value / r.GEMM.FLOP() * r.GEMM.Bytes(), ok && r.GEMM.MemoryBound()
}

// Ready returns the time from starting the engine to having the first product:
// what a person waits for.
func (r *Result) Ready() time.Duration { return r.Start + r.Prepare + r.First }

// Total returns how many products the samples hold and the time they took.
func (r *Result) Total() (iters int, wall time.Duration) {
	for _, s := range r.Samples {
		iters += s.Iters
		wall += s.Wall
	}
	return iters, wall
}

// Verified reports whether the figure may be compared with others: it was
// measured, its product is right in the arithmetic asked for, and it is
// plausible.
func (r *Result) Verified() bool {
	return r.Error == nil && len(r.Samples) > 0 && r.Check != nil && r.Check.Passed && !r.Has(WarnAbovePeak)
}

// Has reports whether the result carries that warning.
func (r *Result) Has(code WarningCode) bool {
	for _, w := range r.Warnings {
		if w.Code == code {
			return true
		}
	}
	return false
}

func (r *Result) warn(code WarningCode, format string, args ...any) {
	r.Warnings = append(r.Warnings, Warning{code, fmt.Sprintf(format, args...)})
}

// judge adds the warnings that follow from the samples. asked is the number that
// the user wanted, largest the largest product of the race.
func (r *Result) judge(asked int, largest GEMM) {
	speed, ok := r.Speed()
	if !ok {
		return
	}
	n := len(r.Samples)
	if g := r.GEMM; g.FLOP() < largest.FLOP() {
		would := time.Duration(largest.FLOP() / speed.Value * float64(time.Second))
		r.warn(WarnSmaller, "measured at %s: one product at %s would take %s", unit.Cube(g.M, g.N, g.K), unit.Cube(largest.M, largest.N, largest.K), unit.Seconds(would))
	}
	switch {
	case asked == 0 && n < minSamples && !r.Has(WarnInterrupted):
		r.warn(WarnFewSamples, "%s only: one product takes %s", plural(n, "sample"), unit.Seconds(time.Duration(r.GEMM.FLOP()/speed.Value*float64(time.Second))))
	case speed.Firm() && speed.Spread() > noisy:
		r.warn(WarnNoise, "noisy: something else uses this machine, or its clock changes")
	}
	seconds := r.Seconds()
	if asked > 0 && r.Protocol == Steady && stats.Median(seconds) < shortest.Seconds() {
		r.warn(WarnShort, "products timed one by one, as --repeat asks, pay for a wait each; without it they are timed in batches")
	}
	if k := stats.Outliers(seconds); k > 0 && n >= minSamples && !r.Has(WarnNoise) {
		r.warn(WarnOutliers, "some samples are far from the others: something else ran at times")
	}
	if change, certain := stats.Drift(seconds); certain && change > drifting {
		r.warn(WarnDrift, "became slower while it was measured: it is throttled, or something else began to run")
	} else if certain && change < -drifting {
		r.warn(WarnDrift, "became faster while it was measured: it was not warm yet, or something else ended")
	}
	if p := r.Facts.Peak; p != nil && speed.Value > *p*(1+peakMargin) {
		r.warn(WarnAbovePeak, "%s is above this device's peak of %s: not believed", r.GEMM.Rate(speed.Value), r.GEMM.Rate(*p))
	}
	if r.Device.Kind == hardware.SoftwareGPU {
		r.warn(WarnSoftwareGPU, "a CPU does the work behind this GPU interface")
	}
}

const (
	minSamples = 10
	// shortest is what a sample must last for a synchronisation, up to 0.2 ms
	// (pytorch#152199), to be less than a tenth of it.
	shortest = 2 * time.Millisecond
	noisy    = 0.05
	drifting = 0.03
	// peakMargin allows for a peak that was measured while the clock was lower.
	peakMargin = 0.10
)

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// A Comparison says how many times as fast as another a lane is.
type Comparison struct {
	Ratio stats.Interval // of speeds, from samples paired by round
	// Differs names what keeps the two from being compared: dtype, size, a check
	// that failed. The ratio means nothing unless it is empty.
	Differs []string
}

// Even reports whether the two cannot be told apart.
func (c Comparison) Even() bool { return c.Ratio.Low <= 1 && c.Ratio.High >= 1 }

// Compare returns how many times as fast as base a result is.
func Compare(r, base *Result) Comparison {
	var c Comparison
	differ := func(yes bool, format string, args ...any) {
		if yes {
			c.Differs = append(c.Differs, fmt.Sprintf(format, args...))
		}
	}
	a, b := r.GEMM, base.GEMM
	differ(a.M != b.M || a.N != b.N || a.K != b.K, "size %s against %s", unit.Cube(a.M, a.N, a.K), unit.Cube(b.M, b.N, b.K))
	differ(a.TransA != b.TransA || a.TransB != b.TransB, "transposes")
	differ(a.In != b.In, "dtype %s against %s", a.In, b.In)
	differ(a.In == b.In && a.Acc != b.Acc, "sums in %s against %s", a.Acc, b.Acc)
	differ(a.In == b.In && a.Out != b.Out, "results in %s against %s", a.Out, b.Out)
	differ(a.Sum != b.Sum || r.Protocol != base.Protocol, "protocol")
	differ(r.Seed != base.Seed, "seed")
	for _, x := range []*Result{r, base} {
		differ(!x.Verified(), "%s is not verified", x.Device.Library)
		differ(x.Device.Kind == hardware.SoftwareGPU, "%s is a software GPU", x.Device.Name)
	}
	if len(r.Samples) > 0 && len(base.Samples) > 0 {
		c.Ratio = stats.Ratio(base.Seconds(), r.Seconds()) // speeds divide the other way round
	}
	return c
}
