package bench

import (
	"context"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// A Describer is an Engine that tells more about its GPUs, and times copies on them.
type Describer interface {
	// Describe returns what is known and measured of a device; with an error, what was
	// known and measured before it. A copy that did not arrive is fault.Wrong.
	Describe(ctx context.Context, d hardware.Device) (hardware.Description, error)
}

// A Copying copies the same bytes again and again.
type Copying struct {
	Route hardware.Route
	// Clear makes the destination differ from the source in every byte, or nearly.
	Clear func() error
	// Copy copies n times in succession and returns when the last copy is done.
	Copy func(n int) error
	// Same reports whether the destination holds what the source does.
	Same func() (bool, error)
}

const (
	copySamples = 7
	leastCopies = 10 * time.Millisecond // that a sample takes, so that waiting is a small part of it
	mostCopies  = 1 << 12               // in a sample, whatever the clock says
)

// Seconds returns how long a copy takes, once for each sample. The first copy, which may
// include what happens once, and the samples that find out how many copies a sample needs
// do not count. After each of them the destination is compared with the source.
func (c Copying) Seconds(ctx context.Context) ([]float64, error) {
	var seconds []float64
	for n, warm := 1, false; len(seconds) < copySamples; warm = true {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := c.Clear(); err != nil {
			return nil, err
		}
		start := time.Now()
		if err := c.Copy(n); err != nil {
			return nil, err
		}
		took := time.Since(start)
		same, err := c.Same()
		if err != nil {
			return nil, err
		}
		if !same {
			return nil, fault.Errorf(fault.Wrong, "copying %s: what arrived differs from what was copied", c.Route)
		}
		switch {
		case !warm:
		case len(seconds) == 0 && took < leastCopies && n < mostCopies:
			n = min(4*n, mostCopies)
		case took > 0:
			seconds = append(seconds, took.Seconds()/float64(n))
		}
	}
	return seconds, nil
}
