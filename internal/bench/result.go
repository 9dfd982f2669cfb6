package bench

import (
	"fmt"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Protocol is a way of timing a GEMM.
type Protocol string

const (
	// Steady warms up, takes samples of at least 20 ms with one synchronisation
	// each, in turns with the other lanes, and stops when they are precise enough.
	Steady Protocol = "steady"
	// Classic is the loop of many tutorials: 3 products to warm up, then
	// (a@b).sum().item() the given number of times, timed as a whole.
	Classic Protocol = "classic"
)

// A Result is the outcome of one lane. It does not change once it has been
// returned, and all figures are computed from its samples.
type Result struct {
	Lane       string           `json:"lane"` // ID of the lane, unique within its run
	Engine     string           `json:"engine"`
	Device     hardware.Device  `json:"device"`
	GEMM       GEMM             `json:"gemm"`
	Seed       uint64           `json:"seed"`
	Protocol   Protocol         `json:"protocol"`
	Facts      Facts            `json:"facts"`
	Start      time.Duration    `json:"start_ns"`              // from starting the engine to knowing its devices
	Prepare    time.Duration    `json:"prepare_ns"`            // allocation, fill, compilation, tuning
	First      time.Duration    `json:"first_ns"`              // the first product, which may include loading
	Samples    []Sample         `json:"samples"`               // sample i of every lane of a race was taken in the same round
	RoundTrips []RoundTrip      `json:"round_trips,omitempty"` // products timed with the copies of their matrices; each was checked
	Block      *Block           `json:"block,omitempty"`       // products without turns, for the sensors or to see what is sustained; nil: none were taken
	Sensors    *measure.Sensed  `json:"sensors,omitempty"`     // readings of the device meanwhile; nil: no sensors were read
	Check      *matrix.Check    `json:"check"`                 // nil if the lane failed before the check
	Warnings   measure.Warnings `json:"warnings,omitempty"`
	Error      *fault.Error     `json:"error,omitempty"` // why the lane stopped; samples taken before that are kept
	Stage      Phase            `json:"stage,omitempty"` // the phase in which Error happened
}

// Prepared is the event that reports what is known of a lane before its samples.
type Prepared Result

// EventType returns the type of the event.
func (Prepared) EventType() event.Type { return event.TypePrepared }

// Label names a lane for people: what computes and, where that is timed by the classic
// loop or on other inputs than random ones, this too, since a device may have lanes of
// either.
func (r *Result) Label() string { return label(r.Device, r.Protocol == Classic, r.GEMM.Data) }

// Label names a lane as that of its Result.
func (l Lane) Label() string { return label(l.Device, l.GEMM.Sum, l.GEMM.Data) }

func label(d hardware.Device, classic bool, data matrix.Data) string {
	text := d.Label()
	if classic {
		text += ", classic"
	}
	if data != matrix.Random {
		text += ", " + data.String()
	}
	return text
}

// Seconds returns the wall time of one product, one value per sample.
func (r *Result) Seconds() []float64 {
	s := make([]float64, len(r.Samples))
	for i, x := range r.Samples {
		s[i] = x.Seconds()
	}
	return s
}

// Speed returns the median FLOP/s, or OP/s of integers, with its interval. A wrong
// product has none, whenever it was found to be wrong; nor has what has no samples: ok is
// false if there are no samples.
func (r *Result) Speed() (speed stats.Interval, ok bool) {
	if len(r.Samples) == 0 || r.Error != nil && r.Error.Code == fault.Wrong {
		return speed, false
	}
	rates := r.Seconds()
	for i, s := range rates {
		rates[i] = r.GEMM.FLOP() / s
	}
	return stats.MedianInterval(rates), true
}

// Bandwidth returns the median bytes per second of A, B and C, each read or written
// once per product; ok is false if there are no samples, or if arithmetic limits
// the speed.
func (r *Result) Bandwidth() (bytes float64, ok bool) {
	speed, ok := r.Speed()
	return speed.Value / r.GEMM.FLOP() * r.GEMM.Bytes(), ok && r.GEMM.MemoryBound()
}

// Peak returns the FLOP/s that the device can reach, measured before the samples and after
// them; nil where they are not known, and for a lane that was not checked to the end: its
// peak was measured only once, when the device may have been busy with something else.
func (r *Result) Peak() *float64 {
	if r.Has(measure.Unchecked) {
		return nil
	}
	return r.Facts.Peak
}

// Ready returns the time from launching the engine to its first result.
func (r *Result) Ready() time.Duration { return r.Start + r.Prepare + r.First }

// Total returns how many products the samples contain and the time they took.
func (r *Result) Total() (iters int, wall time.Duration) {
	for _, s := range r.Samples {
		iters += s.Iters
		wall += s.Wall
	}
	return iters, wall
}

// Verified reports whether the result may be compared with others: it was measured,
// its product is right in the requested arithmetic, the speed is plausible, and a lane of
// a GPU is not one on which the sensors saw nothing.
func (r *Result) Verified() bool {
	return r.Error == nil && len(r.Samples) > 0 && r.Check != nil && r.Check.Passed && !r.Has(measure.AbovePeak) && !r.Has(measure.Unchecked) && !r.Has(measure.NotOnGPU)
}

// Has reports whether the result carries a warning with that code.
func (r *Result) Has(code measure.WarningCode) bool { return r.Warnings.Has(code) }

// EventType returns the type of the event that reports a result.
func (*Result) EventType() event.Type { return event.TypeResult }

// judge adds the warnings that follow from the samples. asked is the number of
// samples that the user requested, 0 for none, and largest is the largest product
// of the race.
func (r *Result) judge(asked int, largest GEMM) {
	speed, ok := r.Speed()
	if !ok {
		return
	}
	n := len(r.Samples)
	if g := r.GEMM; g.FLOP() < largest.FLOP() {
		would := time.Duration(largest.FLOP() / speed.Value * float64(time.Second))
		r.Warnings.Add(measure.Smaller, "measured at %s: one product at %s would take %s", unit.Cube(g.M, g.N, g.K), unit.Cube(largest.M, largest.N, largest.K), unit.Seconds(would))
	}
	switch {
	case asked == 0 && n < leastSamples && !r.Has(measure.Interrupted):
		_, wall := r.Total()
		r.Warnings.Add(measure.FewSamples, "%s in %s: there was time for no more", unit.Plural(n, "sample"), unit.Seconds(wall))
	case speed.Firm() && speed.Spread() > measure.Noisy && !r.Has(measure.Throttled):
		r.Warnings.Add(measure.Noise, "noisy: something else uses this machine, or its clock changes")
	}
	seconds := r.Seconds()
	if asked > 0 && r.Protocol == Steady && stats.Median(seconds) < shortest.Seconds() {
		r.Warnings.Add(measure.Short, "a fixed number of runs times products one by one, each with a wait for the device; without it they are timed in batches")
	}
	if asked == 0 && r.Protocol == Steady {
		var walls []float64
		for _, x := range r.Samples {
			walls = append(walls, x.Wall.Seconds())
		}
		if m := stats.Median(walls); m < sampleTime.Seconds() {
			r.Warnings.Add(measure.Short, "samples of %s: too short for a wait for the device not to count", unit.Seconds(time.Duration(m*float64(time.Second))))
		}
	}
	if k := stats.Outliers(seconds); k > 0 && n >= minSamples && !r.Has(measure.Noise) && !r.Has(measure.Throttled) {
		r.Warnings.Add(measure.Outliers, "some samples are far from the others: something else ran at times")
	}
	busy := 0
	for _, x := range r.Samples {
		if x.Busy {
			busy++
		}
	}
	if busy > 0 {
		r.Warnings.Add(measure.Busy, "its threads went on using the CPU after %d of %s: what ran next may be slower for it", busy, unit.Plural(n, "sample"))
	}
	if change, certain := stats.Drift(seconds); r.Has(measure.Throttled) {
		// It explains this too.
	} else if certain && change > measure.Drifting {
		r.Warnings.Add(measure.Drift, "became slower while it was measured: it is throttled, or another program began to run")
	} else if certain && change < -measure.Drifting {
		r.Warnings.Add(measure.Drift, "became faster while it was measured: it had not warmed up yet, or another program ended")
	}
	for _, limit := range []struct {
		what  string
		flops *float64
	}{{"peak", r.Facts.Peak}, {"published peak", r.Facts.Published}} {
		// A shortcut has another peak than what was asked for, and is in no ratio anyway.
		if p := limit.flops; p != nil && speed.Value > *p*(1+peakMargin) && !r.Has(measure.AbovePeak) && !r.Has(measure.Arithmetic) {
			r.Warnings.Add(measure.AbovePeak, "%s is above this device's %s of %s: not believed", r.GEMM.Rate(speed.Value), limit.what, r.GEMM.Rate(*p))
		}
	}
	if r.Device.Kind == hardware.SoftwareGPU {
		r.Warnings.Add(measure.SoftwareGPU, "a CPU does the work behind this GPU interface")
	}
}

const (
	minSamples = 10
	// shortest is the shortest sample in which a synchronisation, which takes up to
	// 0.2 ms (pytorch#152199), is less than a tenth.
	shortest = 2 * time.Millisecond
	// peakMargin allows for a peak that was measured at a lower clock frequency.
	peakMargin = 0.10
)

// busy returns how many cores of the CPU a lane computes on, 0 where that is not known:
// a second thread on a core adds none.
func (r *Result) busy() int { return min(r.Facts.Threads, r.Facts.Cores) }

// Compare returns how many times as fast as base a result is.
func Compare(r, base *Result) measure.Comparison {
	var c measure.Comparison
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
	differ(a.Data != b.Data, "inputs: %s against %s", a.Data, b.Data)
	differ(a.Sum != b.Sum || r.Protocol != base.Protocol, "protocol")
	differ(r.Seed != base.Seed, "seed")
	if x, y := r.busy(), base.busy(); x > 0 && y > 0 {
		differ(x != y, "cores: %s has %s, %s has %s", r.Device.Library, unit.Plural(r.Facts.Threads, "thread"), base.Device.Library, unit.Plural(base.Facts.Threads, "thread"))
	}
	for _, x := range []*Result{r, base} {
		doubt := "verified"
		if x.Has(measure.NotOnGPU) {
			doubt = "shown to have run on the GPU"
		}
		differ(!x.Verified(), "%s is not %s", x.Device.Library, doubt)
		differ(x.Device.Kind == hardware.SoftwareGPU, "%s is a software GPU", x.Device.Name)
	}
	if len(r.Samples) > 0 && len(base.Samples) > 0 {
		c.Ratio = stats.Ratio(base.Seconds(), r.Seconds()) // the ratio of speeds is the inverse of the ratio of times
	}
	return c
}
