// Package vulkan is an engine over the GPUs that Vulkan reaches, with gpuplay's own
// kernels in shaders: it needs nothing but the driver.
//
// It computes float32, and where the device can float64, float16 and bfloat16 with sums
// in float32, and int8 with sums and results in int32. Whatever a device has, the scalar
// kernels compute every size and layout; kernels for matrix units, and other sizes of
// tiles, are tried out against them while a product is prepared.
//
// Vulkan's loader loads every driver into the process, and a driver can hang or end it, so
// the engine belongs in a process of its own.
package vulkan

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	vk "github.com/gpuplay/gpuplay/internal/ffi/vulkan"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Options say how the engine works. The JSON form is what travels in a worker's hello.
type Options struct {
	Cache  string   `json:"cache,omitempty"` // a folder for what was found out about devices; empty: nothing is kept
	Rung   string   `json:"rung,omitempty"`  // of Ladder, whose kernel alone is used; empty: the fastest kernel is
	Layers []string `json:"-"`               // of Vulkan, for tests
}

// An Engine computes on GPUs. Its tasks take turns: Vulkan's queues are not for several
// threads at a time.
type Engine struct {
	options Options

	mu        sync.Mutex
	lib       *vk.Library
	instance  vk.Instance
	devices   []*device
	inventory *hardware.Inventory
	failed    error
}

var _ bench.Engine = (*Engine)(nil)

// New returns an engine that has not looked for devices yet.
func New(o Options) *Engine { return &Engine{options: o} }

// Name returns "vulkan".
func (e *Engine) Name() string { return "vulkan" }

// Devices lists the devices of all drivers, once. Software that runs on the CPU, such as
// llvmpipe and SwiftShader, comes last and is a hardware.SoftwareGPU. Without a loader or
// a driver the error is fault.Unavailable.
func (e *Engine) Devices(ctx context.Context) (hardware.Inventory, error) {
	if err := ctx.Err(); err != nil {
		return hardware.Inventory{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.find()
}

// find is Devices for those who hold the lock.
func (e *Engine) find() (hardware.Inventory, error) {
	if e.inventory == nil {
		e.inventory = &hardware.Inventory{}
		if e.failed = e.open(); e.failed == nil {
			software := 0
			for _, d := range e.devices {
				e.inventory.Devices = append(e.inventory.Devices, d.about)
				if d.about.Kind == hardware.SoftwareGPU {
					software++
				}
			}
			if software == len(e.devices) {
				e.inventory.Missing = []hardware.Missing{{API: "vulkan", Kind: hardware.GPU, Reason: "no driver for Vulkan lists a GPU", Remedies: diagnose}}
			}
		}
	}
	return *e.inventory, e.failed
}

// diagnose is what to do where Vulkan does not work: doctor finds out what is missing.
var diagnose = fault.Remedies{fault.Run("{} says what is missing", "gpuplay", "doctor")}

// open loads the loader and its drivers.
func (e *Engine) open() error {
	lib, err := vk.Open()
	if err != nil {
		return fault.Errorf(fault.Unavailable, "no Vulkan loader: %v", err).With(diagnose...)
	}
	version, r := lib.EnumerateInstanceVersion()
	if r < 0 {
		return fault.Errorf(fault.Unavailable, "vkEnumerateInstanceVersion: %s", r)
	}
	if version < vk.API_VERSION_1_1 {
		return fault.Errorf(fault.Unavailable, "Vulkan's loader has version %s, 1.1 is needed", version)
	}
	e.lib = lib
	if e.instance, r = lib.CreateInstance(min(version, vk.API_VERSION_1_3), e.options.Layers...); r == vk.ERROR_INCOMPATIBLE_DRIVER {
		return fault.Errorf(fault.Unavailable, "Vulkan's loader finds no driver that can be loaded (vkCreateInstance: %s)", r).With(diagnose...)
	} else if r != vk.SUCCESS {
		return fault.Errorf(fault.Unavailable, "vkCreateInstance: %s", r).With(diagnose...)
	}
	list, r := lib.EnumeratePhysicalDevices(e.instance)
	if r < 0 {
		return fault.Errorf(fault.Unavailable, "vkEnumeratePhysicalDevices: %s", r).With(diagnose...)
	}
	var old []string
	for _, p := range list {
		d := describe(lib, e.instance, p)
		if d == nil {
			old = append(old, lib.GetPhysicalDeviceProperties(p).Name())
			continue
		}
		d.choices = readChoices(e.options.Cache, d.about.ID, d.about.Versions["driver"])
		e.devices = append(e.devices, d)
	}
	e.devices = arrange(e.devices)
	if len(e.devices) == 0 && len(old) > 0 {
		return fault.Errorf(fault.Unavailable, "%s: needs Vulkan 1.1 and a queue that computes", strings.Join(old, ", "))
	}
	if len(e.devices) == 0 {
		return fault.Errorf(fault.Unavailable, "no driver for Vulkan lists a device").With(diagnose...)
	}
	return nil
}

// Prepare fills A of both sets and B from the seed, and tries out the kernels that can
// compute the product for up to two seconds, unless it is known which one won.
func (e *Engine) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := e.find(); err != nil {
		return nil, err
	}
	dev, err := e.device(d.ID)
	if err != nil {
		return nil, err
	}
	if err := dev.check(g); err != nil {
		return nil, err
	}
	if err := dev.open(); err != nil {
		return nil, err
	}
	list := dev.kernels(g)
	if e.options.Rung != "" {
		k, err := dev.rung(e.options.Rung, g)
		if err != nil {
			return nil, err
		}
		list = []kernel{k}
	}
	t, err := prepare(ctx, &e.mu, dev, g, seed, list, tell)
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (e *Engine) device(id string) (*device, error) {
	var has []string
	for _, d := range e.devices {
		if d.about.ID == id {
			return d, nil
		}
		has = append(has, d.about.ID)
	}
	return nil, invalid("no Vulkan device %q: there is %s", id, strings.Join(has, ", "))
}

// check refuses what there is no code for, what makes no sense, and what is larger than
// the device allows.
func (d *device) check(g bench.GEMM) error {
	want := bench.Square(1, g.In)
	if !d.types[g.In] || g.Acc != want.Acc || g.Out != want.Out || g.Sum {
		what := fmt.Sprintf("%s with sums in %s and results in %s", g.In, g.Acc, g.Out)
		if g.Sum {
			what += " followed by their sum"
		}
		return fault.Errorf(fault.Unsupported, "Vulkan on %s has no code for %s", d.about.Name, what).
			With(fault.Change("dtype", "{} can be "+d.typeNames()))
	}
	if g.M < 1 || g.N < 1 || g.K < 1 || max(g.M, g.N, g.K) > math.MaxInt32 {
		return invalid("%d×%d×%d: each size must be from 1 to %d", g.M, g.N, g.K, math.MaxInt32)
	}
	if !g.Data.Known() {
		return invalid("no inputs of the kind %q", g.Data)
	}
	in, out := float64(g.In.Size()), float64(g.Out.Size())
	m, n, k := float64(g.M), float64(g.N), float64(g.K)
	largest := max(m*k*in, k*n*in, m*n*out)
	if limit := d.largestMatrix(); largest > limit {
		return fault.Errorf(fault.OutOfMemory, "%s in %s has a matrix of %s: Vulkan on %s takes at most %s", unit.Cube(g.M, g.N, g.K), g.In, unit.Bytes(largest), d.about.Name, unit.Bytes(limit)).
			With(fault.Change("size", "a smaller {}"))
	}
	if need := g.Footprint(); d.about.Memory != nil && need > float64(*d.about.Memory) {
		return fault.Errorf(fault.OutOfMemory, "%s in %s takes %s of memory: %s has %s", unit.Cube(g.M, g.N, g.K), g.In, unit.Bytes(need), d.about.Name, unit.Bytes(float64(*d.about.Memory))).
			With(fault.Change("size", "a smaller {}"))
	}
	return nil
}

// typeNames lists the types that the device multiplies.
func (d *device) typeNames() string {
	var names []string
	for _, t := range matrix.DTypes {
		if d.types[t] {
			names = append(names, string(t))
		}
	}
	return unit.List(names)
}

func invalid(format string, args ...any) error {
	return fault.Errorf(fault.Invalid, format, args...)
}
