package rungs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/engine/vulkan"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/learn"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
)

// onVulkan returns the ladder of package vulkan on the first GPU, or on a software GPU where
// there is no other, for a product of a size, 0 for the usual one. Each rung has a process of
// its own: a driver may end it.
func onVulkan(ctx context.Context, d lab.Deps, size int) (*climb, error) {
	first, err := startVulkan(ctx, d, "naive")
	if err != nil {
		return nil, err
	}
	defer first.Client.Close()
	device := first.Racing()[0]
	c := &climb{device: device, size: size}
	for _, r := range vulkan.Ladder(device.Kind) {
		c.rungs = append(c.rungs, rung{
			Rung: record.Rung{Name: r.Name, Idea: r.Idea, Threads: 1, DType: r.DType, Global: r.Global, Shared: r.Shared},
			open: func(ctx context.Context) (bench.Engine, func(), error) {
				e, err := startVulkan(ctx, d, r.Name)
				if err != nil {
					return nil, nil, err
				}
				return e.Client, e.Client.Close, nil
			},
		})
	}
	if size == 0 {
		c.size, err = usualSize(ctx, first.Client, device)
	}
	return c, err
}

// startLimit ends a driver that does not come back.
const startLimit = time.Minute

// startVulkan starts the engine with the kernel of a rung.
func startVulkan(ctx context.Context, d lab.Deps, rung string) (catalog.Contender, error) {
	list, err := catalog.Select([]string{"vulkan"})
	if err != nil {
		return catalog.Contender{}, err
	}
	e := d.Catalog.Discover(ctx, list, catalog.Options{Timeout: startLimit, Rung: rung}, nil)[0]
	if e.Err != nil {
		catalog.Close([]catalog.Contender{e})
		if errors.Is(e.Err, fault.Timeout) { // whose limit nobody can change
			e.Err = fault.Errorf(fault.Timeout, "%v", e.Err)
		}
	}
	return e, e.Err
}

// usualSize returns the largest n, a power of two up to Size, of which the first rung is
// expected to compute a product within half a second. Products of that many operations take
// longer on an integrated GPU, and minutes on software.
func usualSize(ctx context.Context, e bench.Engine, device hardware.Device) (n int, err error) {
	const probe, most = 256, 0.5
	task, err := e.Prepare(ctx, device, bench.Square(probe, matrix.Float32), learn.Seed, ignore)
	if err != nil {
		return 0, fmt.Errorf("a first product on %s: %w", device.Name, err)
	}
	defer func() { err = errors.Join(err, task.Close()) }()
	takes := 0.0
	for range 2 { // the first warms up
		s, err := task.Run(ctx, 1, 0)
		if err != nil {
			return 0, err
		}
		takes = seconds(s)
	}
	for n, takes = probe, takes*8; n < Size && takes <= most; takes *= 8 {
		n *= 2
	}
	return n, nil
}
