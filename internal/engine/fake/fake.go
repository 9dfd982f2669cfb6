// Package fake is a bench.Engine that follows a script, on a clock that only it
// moves: tests of the runner, the worker protocol and the labs use it to see
// slow, noisy, wrong, hanging and crashing devices within milliseconds, the same
// way every time. It does compute its products, so that checks pass for honest
// reasons; how long they take is made up. It is for tests alone and never
// appears in the program's list of engines.
package fake

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// A Clock stands still until it is advanced. A test's event.Sink keeps its time by it.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now returns the time on the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A Stage is a call that a Hook can spoil.
type Stage string

const (
	Devices   Stage = "devices"
	Prepare   Stage = "prepare"
	Run       Stage = "run"
	RoundTrip Stage = "round trip"
	MulVec    Stage = "mulvec"
	Close     Stage = "close"
)

// A Hook is called before each call is served: number k from 1 on, counted per
// device for Prepare and per task for the stages after it. Its error is
// returned; it may also panic, end the process, or print garbage.
type Hook func(ctx context.Context, s Stage, k int) error

// FailAt returns a hook that returns err at call k of a stage.
func FailAt(s Stage, k int, err error) Hook {
	return func(_ context.Context, at Stage, n int) error {
		if at == s && n == k {
			return err
		}
		return nil
	}
}

// HangAt returns a hook that hangs at call k of a stage until the context ends.
func HangAt(s Stage, k int) Hook {
	return func(ctx context.Context, at Stage, n int) error {
		if at == s && n == k {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
}

// A Wrong element of C is off by Add, which may be NaN, from run From on.
type Wrong struct {
	Row, Col int
	Add      float64
	From     int
}

// A Device is scripted. The zero value of every field but the first two is a
// device that behaves.
type Device struct {
	hardware.Device
	Time        Timing
	PrepareTime time.Duration
	FillTime    time.Duration  // of preparing, for each MiB of matrices
	CheckTime   time.Duration  // of multiplying C by a vector, for each MiB of matrices
	Tunings     int            // variants that Prepare tells of
	DTypes      []matrix.DType // what it supports, as bench.Square's argument; nil: all
	Facts       bench.Facts
	DeviceClock bool          // samples carry the device's own time
	CopyTime    time.Duration // of round trips, for each MiB that is copied; 0: they are not supported
	LosesCopies bool          // what a round trip brings back was not computed
	Hook        Hook
	Skip        func(run, n int) bool // reports whether a run computes nothing, though it takes its time; nil: none
	Wrong       *Wrong
	// What it computes with when that is not what it is asked for: the type that
	// operands are cut to and that of the sums. Big products have exact sums.
	Operand, Acc matrix.DType
}

// NewDevice returns a device that behaves, with a speed in FLOP/s.
func NewDevice(id string, kind hardware.Kind, speed float64) Device {
	return Device{
		Device: hardware.Device{ID: id, Name: "Fake " + id, Kind: kind, API: "fake", Library: "Library " + id, Version: "1"},
		Time:   Speed(speed),
	}
}

// Engine is a bench.Engine.
type Engine struct {
	name    string
	clock   *Clock
	devices []Device
	hook    Hook

	mu    sync.Mutex
	calls map[string]int // of Devices under "", of Prepare under the device's ID
}

// New returns an engine with these devices. hook may spoil Devices; nil does not.
func New(name string, clock *Clock, hook Hook, devices ...Device) *Engine {
	return &Engine{name: name, clock: clock, devices: devices, hook: hook, calls: map[string]int{}}
}

// Name returns the name that New was given.
func (e *Engine) Name() string { return e.name }

func (e *Engine) call(ctx context.Context, h Hook, s Stage, of string) error {
	e.mu.Lock()
	e.calls[of]++
	k := e.calls[of]
	e.mu.Unlock()
	return call(ctx, h, s, k)
}

func call(ctx context.Context, h Hook, s Stage, k int) error {
	if h != nil {
		if err := h(ctx, s, k); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Devices lists the scripted devices.
func (e *Engine) Devices(ctx context.Context) (hardware.Inventory, error) {
	if err := e.call(ctx, e.hook, Devices, ""); err != nil {
		return hardware.Inventory{}, err
	}
	var found hardware.Inventory
	for _, d := range e.devices {
		found.Devices = append(found.Devices, d.Device)
	}
	return found, nil
}

// defaultMemory is what a device has that does not say; nothing is allocated.
const defaultMemory = 1 << 40

// Prepare refuses what a real engine would refuse.
func (e *Engine) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	i := slices.IndexFunc(e.devices, func(x Device) bool { return x.ID == d.ID })
	if i < 0 {
		return nil, &fault.Error{Code: fault.Invalid, Message: fmt.Sprintf("fake: no device %q", d.ID)}
	}
	device := &e.devices[i]
	if err := e.call(ctx, device.Hook, Prepare, d.ID); err != nil {
		return nil, err
	}
	if g.M < 1 || g.N < 1 || g.K < 1 {
		return nil, &fault.Error{Code: fault.Invalid, Message: fmt.Sprintf("fake: %d×%d×%d is no product", g.M, g.N, g.K)}
	}
	if !g.Data.Known() {
		return nil, &fault.Error{Code: fault.Invalid, Message: fmt.Sprintf("fake: no inputs of the kind %q", g.Data)}
	}
	if !device.supports(g) {
		return nil, &fault.Error{Code: fault.Unsupported, Message: fmt.Sprintf("fake: no %s with sums in %s to %s", g.In, g.Acc, g.Out)}
	}
	memory := int64(defaultMemory)
	if device.Memory != nil {
		memory = *device.Memory
	}
	if g.Bytes() > float64(memory) {
		return nil, &fault.Error{Code: fault.OutOfMemory, Message: "fake: out of memory"}
	}
	for i := range device.Tunings {
		tell(bench.Tuning{Done: i + 1, Total: device.Tunings, Variant: fmt.Sprintf("variant %d", i+1)})
	}
	e.clock.Advance(device.PrepareTime + per(device.FillTime, g))
	return &task{device: device, clock: e.clock, g: g, seed: seed, calls: map[Stage]int{}}, nil
}

// per returns the time for a product's matrices by that for a MiB.
func per(mib time.Duration, g bench.GEMM) time.Duration {
	return time.Duration(float64(mib) * g.Bytes() / (1 << 20))
}

func (d *Device) supports(g bench.GEMM) bool {
	known := d.DTypes
	if known == nil {
		known = matrix.DTypes
	}
	return slices.ContainsFunc(known, func(t matrix.DType) bool {
		s := bench.Square(1, t)
		return s.In == g.In && s.Acc == g.Acc && s.Out == g.Out
	})
}
