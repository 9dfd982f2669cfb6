// Package measure is what all domains of measuring share: the order in which lanes
// take their turns, the limit of a step, warnings, and comparisons. Products, tokens
// and training steps have packages of their own.
package measure

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

const (
	// Noisy is the half width of a median's 95 % interval, as a share of the median,
	// above which a figure is called noisy.
	Noisy = 0.05
	// Drifting is the change from the first third of the samples to the last, as a
	// share, above which a figure is called drifting.
	Drifting = 0.03
)

// WarmTime is how long a device has to compute before it has reached the clock that it
// keeps. A GPU ramps up in steps (llama.cpp#21282 shows large variation without a warm-up),
// and an H100 that had nothing to do for half a second was seen to compute at its idle
// clock of 345 MHz for up to 0.4 s more; a CPU takes some tens of milliseconds.
func WarmTime(k hardware.Kind) time.Duration {
	if k == hardware.CPU {
		return 200 * time.Millisecond
	}
	return 500 * time.Millisecond
}

// A Warning is a doubt about a result that a reader must see.
type Warning struct {
	Code WarningCode `json:"code"`
	Text string      `json:"text"`
}

// A WarningCode is one of a closed list.
type WarningCode string

const (
	FewSamples  WarningCode = "few_samples"  // fewer than the interval needs
	Smaller     WarningCode = "smaller"      // measured on a smaller product than its neighbours
	Noise       WarningCode = "noise"        // the interval stayed wider than Noisy
	Throttled   WarningCode = "throttled"    // stopped again and again by a container's CPU quota
	Outliers    WarningCode = "outliers"     // single samples far from the others
	Short       WarningCode = "short"        // samples so short that waiting for the device counts
	Drift       WarningCode = "drift"        // it became slower or faster while it was measured
	Arithmetic  WarningCode = "arithmetic"   // less precise than what was asked for
	AbovePeak   WarningCode = "above_peak"   // faster than the device can be: not believed
	Interrupted WarningCode = "interrupted"  // cut short by the user
	SoftwareGPU WarningCode = "software_gpu" // a CPU behind a GPU's interface
	NotOnGPU    WarningCode = "not_on_gpu"   // meant for a GPU, which was not used
	Busy        WarningCode = "busy"         // its threads took CPU time from what was measured next
	Unchecked   WarningCode = "unchecked"    // its last product could not be checked
	Stalled     WarningCode = "stalled"      // samples were ended early because their threads were not given the CPUs
	Unproven    WarningCode = "unproven"     // no sensor shows that its GPU was used
	GPUInUse    WarningCode = "gpu_in_use"   // a GPU was busy while it computed on the CPU
	ShortAnswer WarningCode = "short_answer" // an answer that ended before its number of tokens
)

// Warnings are those of one result.
type Warnings []Warning

// Has reports whether there is a warning of that code.
func (list Warnings) Has(code WarningCode) bool {
	for _, w := range list {
		if w.Code == code {
			return true
		}
	}
	return false
}

// Add adds a warning.
func (list *Warnings) Add(code WarningCode, format string, args ...any) {
	*list = append(*list, Warning{code, fmt.Sprintf(format, args...)})
}

// A Quota counts the periods of a container's CPU quota in which a lane was measured.
type Quota struct {
	Periods   int64 // in which something ran
	Throttled int64 // in which it was stopped because the quota was used up
}

// Count reads the counts now, and again when stop is called, and adds the difference. It
// counts nothing if read is nil.
func (q *Quota) Count(read func() (periods, throttled int64)) (stop func()) {
	if read == nil {
		return func() {}
	}
	periods, throttled := read()
	return func() {
		p, t := read()
		q.Periods += p - periods
		q.Throttled += t - throttled
	}
}

// Warn adds the warning that follows from the count, if one does: then the quota is why
// a figure is low or uncertain, and nothing else needs to be looked for.
func (q Quota) Warn(list *Warnings) {
	if q.Throttled > 0 {
		list.Add(Throttled, "%d of %d periods were throttled: the CPU quota of this container is what was measured", q.Throttled, q.Periods)
	}
}

// A Comparison says how many times as fast as another a lane is.
type Comparison struct {
	Ratio stats.Interval // of speeds, from samples paired by round where lanes took turns
	// Differs names what keeps the two from being compared: dtype, size, a check
	// that failed. The ratio means nothing unless it is empty.
	Differs []string
}

// Even reports whether the two cannot be told apart.
func (c Comparison) Even() bool { return c.Ratio.Low <= 1 && c.Ratio.High >= 1 }

// Turns returns the indices of n lanes in the order in which they take their turn in
// a round: forwards and backwards by turns (A B B A), so that heat, clocks and
// neighbours are shared.
func Turns(n, round int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if round%2 == 1 {
				i = n - 1 - i
			}
			if !yield(i) {
				return
			}
		}
	}
}

// ticks are the parts of a limit that are counted one by one.
const ticks = 20

// Limit returns ctx with a limit for one step, 0 for none. Because turns an error of
// its end into one that names the limit, after words such as "no answer within".
//
// Time in which this program was stopped (Ctrl-Z) counts for at most one twentieth of the
// limit: what it waits for may have been stopped too, and its answer could not be read.
func Limit(ctx context.Context, limit time.Duration, exceeded string) (context.Context, context.CancelFunc) {
	if limit == 0 {
		return context.WithCancel(ctx)
	}
	cause := fault.Errorf(fault.Timeout, "%s %s", exceeded, unit.Seconds(limit)).With(fault.Change("timeout", "{} allows more time"))
	if limit < ticks*time.Millisecond { // nobody stops and continues it within that
		return context.WithTimeoutCause(ctx, limit, cause)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		tick := time.NewTicker(limit / ticks) // which drops those that nobody was there for
		defer tick.Stop()
		for range ticks {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
		cancel(cause)
	}()
	return ctx, func() { cancel(nil) }
}

// Because returns why ctx ended if that is what err says, else err.
func Because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return context.Cause(ctx)
	}
	return err
}
