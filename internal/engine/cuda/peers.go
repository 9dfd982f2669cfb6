package cuda

import (
	"context"
	"errors"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/ffi/cuda"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// peers times copies from a GPU to every other one; with an error, it returns those that were
// timed before.
func (e *Engine) peers(ctx context.Context, g *gpu) ([]hardware.Copy, error) {
	gpus, err := e.machine.find(ctx)
	if err != nil {
		return nil, err
	}
	var copies []hardware.Copy
	for _, o := range gpus {
		if o == g || o.device.PCI == g.device.PCI { // slices of a card are isolated from each other
			continue
		}
		c, err := peer(ctx, g, o)
		if err != nil {
			return copies, err
		}
		copies = append(copies, c)
	}
	return copies, nil
}

// peer times copies from a GPU to another, directly where one may access the other's memory.
// Without that the driver copies through the memory of the host.
func peer(ctx context.Context, g, o *gpu) (out hardware.Copy, err error) {
	from, to := &copier{gpu: g}, &copier{gpu: o}
	defer func() {
		ctx := context.WithoutCancel(ctx)
		err = errors.Join(err, g.do(ctx, from.free), o.do(ctx, to.free))
	}()
	if err := errors.Join(g.do(ctx, from.allocate), o.do(ctx, to.allocate)); err != nil {
		return out, err
	}
	size := min(len(from.pattern), len(to.pattern))
	from.pattern, to.pattern = from.pattern[:size], to.pattern[:size]
	out = hardware.Copy{Route: hardware.ToPeer, Peer: o.device.ID, Bytes: int64(size)}
	enabled := false
	err = g.do(ctx, func() error {
		var can int32
		if err := g.check("DeviceCanAccessPeer", g.lib.DeviceCanAccessPeer(&can, g.handle, o.handle)); err != nil || can == 0 {
			return err
		}
		r := g.lib.CtxEnablePeerAccess(o.context, 0)
		enabled = r == cuda.SUCCESS
		if out.Direct = enabled || r == cuda.ERROR_PEER_ACCESS_ALREADY_ENABLED; out.Direct {
			return nil
		}
		return g.check("CtxEnablePeerAccess", r)
	})
	if err != nil {
		return out, err
	}
	if enabled {
		defer func() {
			err = errors.Join(err, g.do(context.WithoutCancel(ctx), func() error {
				return g.check("CtxDisablePeerAccess", g.lib.CtxDisablePeerAccess(o.context))
			}))
		}()
	}
	once := from.copy(func() cuda.Result {
		return g.lib.MemcpyPeer(to.b, o.context, from.a, g.context, uintptr(size))
	})
	out.Seconds, err = bench.Copying{
		Route: hardware.ToPeer,
		Clear: func() error { return o.do(ctx, to.clear) },
		Copy:  func(n int) error { return g.do(ctx, func() error { return once(n) }) },
		Same: func() (same bool, err error) {
			err = o.do(ctx, func() (err error) { same, err = to.same(size); return err })
			return same, err
		},
	}.Seconds(ctx)
	return out, err
}
