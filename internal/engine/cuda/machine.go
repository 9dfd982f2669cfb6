package cuda

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/cuda"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/ptx"
)

// oldestDriver is CUDA 11.0, of 2020, in the driver's way of writing: 1000·major + 10·minor.
// Older ones may lack functions and compile older PTX.
const oldestDriver = 11000

// A machine is the driver with its GPUs, which are looked for once.
type machine struct {
	open func() (*cuda.Library, error)

	mu    sync.Mutex
	done  bool
	gpus  []*gpu
	error error
}

// A gpu is one that the driver lets this process use.
type gpu struct {
	lib    *cuda.Library
	handle cuda.Device
	device hardware.Device // without what computes
	card   ptx.Card
	driver int // CUDA version of the driver: 13000
	thread dl.Thread

	// Known to the thread only.
	context cuda.Context // 0: not made yet
	stream  cuda.Stream
	modules map[string]cuda.Module // by their text
}

// find returns the GPUs, after asking the driver once. The same answer is given again.
func (m *machine) find(ctx context.Context) ([]*gpu, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !m.done {
		m.gpus, m.error = m.look()
		m.done = true
	}
	return m.gpus, m.error
}

// gpu returns the GPU of a device.
func (m *machine) gpu(ctx context.Context, id string) (*gpu, error) {
	gpus, err := m.find(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, g := range gpus {
		if g.device.ID == id {
			return g, nil
		}
		ids = append(ids, g.device.ID)
	}
	return nil, fault.Errorf(fault.Invalid, "no GPU %q on this machine: it has %s", id, strings.Join(ids, ", "))
}

func (m *machine) look() ([]*gpu, error) {
	doctor := fault.Run("{} says more about the driver", "gpuplay", "doctor")
	lib, err := m.open()
	if errors.Is(err, cuda.ErrMissing) {
		return nil, fault.Errorf(fault.Unavailable, "%v", err).With(fault.Advice("for an NVIDIA GPU: https://www.nvidia.com/drivers")...)
	}
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "NVIDIA's driver cannot be used: %v", err).With(doctor)
	}
	if err := lib.Check("Init", lib.Init(0)); err != nil {
		if cuda.ERROR_NO_DEVICE.Is(err) {
			return nil, fault.Errorf(fault.Unavailable, "NVIDIA's driver finds no GPU, or CUDA_VISIBLE_DEVICES hides it").With(doctor)
		}
		return nil, fault.Errorf(fault.Unavailable, "NVIDIA's driver does not start: %v", err).With(doctor)
	}
	var version, count int32
	if err := errors.Join(lib.Check("DriverGetVersion", lib.DriverGetVersion(&version)), lib.Check("DeviceGetCount", lib.DeviceGetCount(&count))); err != nil {
		return nil, fault.Errorf(fault.Unavailable, "NVIDIA's driver does not say what there is: %v", err).With(doctor)
	}
	if version < oldestDriver {
		return nil, fault.Errorf(fault.Unavailable, "NVIDIA's driver is of CUDA %s: at least %s is needed", cudaVersion(int(version)), cudaVersion(oldestDriver)).
			With(fault.Advice("update the NVIDIA driver")...)
	}
	if count == 0 {
		return nil, fault.Errorf(fault.Unavailable, "CUDA_VISIBLE_DEVICES hides every GPU").With(fault.Remedy{Text: "unset CUDA_VISIBLE_DEVICES"})
	}
	var gpus []*gpu
	for i := range int(count) {
		g, err := describe(lib, i, int(version))
		if err != nil {
			return nil, fault.Errorf(fault.Unavailable, "GPU %d: %v", i, err).With(doctor)
		}
		gpus = append(gpus, g)
	}
	return gpus, nil
}

// describe asks for what is known of a GPU.
func describe(lib *cuda.Library, index, version int) (*gpu, error) {
	g := &gpu{lib: lib, driver: version, thread: dl.NewThread(), modules: map[string]cuda.Module{}}
	if err := lib.Check("DeviceGet", lib.DeviceGet(&g.handle, int32(index))); err != nil {
		return nil, err
	}
	var name, pci [128]byte
	var memory uintptr
	if err := errors.Join(
		lib.Check("DeviceGetName", lib.DeviceGetName(&name[0], int32(len(name)), g.handle)),
		lib.Check("DeviceGetPCIBusId", lib.DeviceGetPCIBusId(&pci[0], int32(len(pci)), g.handle)),
		lib.Check("DeviceTotalMem", lib.DeviceTotalMem(&memory, g.handle)),
	); err != nil {
		return nil, err
	}
	var major, minor, sms, shared int32
	for _, a := range []struct {
		attribute cuda.DeviceAttribute
		value     *int32
	}{
		{cuda.DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &major},
		{cuda.DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &minor},
		{cuda.DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &sms},
		{cuda.DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, &shared},
	} {
		if err := lib.Check("DeviceGetAttribute", lib.DeviceGetAttribute(a.value, a.attribute, g.handle)); err != nil {
			return nil, err
		}
	}
	g.card = ptx.Card{CC: int(10*major + minor), SMs: int(sms), ISA: newestPTX(version), Shared: int(shared)}
	bytes := int64(memory)
	g.device = hardware.Device{
		ID: fmt.Sprintf("cuda:%d", index), Name: cuda.Text(name[:]), Kind: hardware.GPU, API: "cuda", Index: &index, PCI: strings.ToLower(cuda.Text(pci[:])), Memory: &bytes,
		Versions: map[string]string{"cuda": cudaVersion(version), "compute capability": fmt.Sprintf("%d.%d", major, minor)},
	}
	var id cuda.UUID
	if lib.DeviceGetUuid != nil && lib.DeviceGetUuid(&id, g.handle) == cuda.SUCCESS {
		text := fmt.Sprintf("%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:16])
		if strings.Contains(g.device.Name, " MIG ") { // a slice has a UUID of its own, and its card's address
			g.device.ID = "cuda:MIG-" + text
		} else {
			g.device.UUID = "GPU-" + text
			g.device.ID = "cuda:" + g.device.UUID
		}
	}
	return g, nil
}

// cudaVersion writes 12040 as "12.4".
func cudaVersion(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

// newestPTX returns the newest PTX version that a driver of a CUDA version compiles, as
// 10·major + minor. https://docs.nvidia.com/cuda/parallel-thread-execution, "Release Notes":
// 7.0 came with CUDA 11.0, 8.0 with 12.0, 9.0 with 13.0. Each minor version of CUDA has its
// own, except that 12.6 kept 8.5 of 12.5.
func newestPTX(driver int) int {
	major, minor := driver/1000, driver%1000/10
	if major == 12 && minor >= 6 {
		minor--
	}
	return 10*(major-4) + minor
}

// do runs f on the GPU's thread, with its context.
func (g *gpu) do(ctx context.Context, f func() error) error {
	return g.thread.Do(ctx, func() error {
		if err := g.start(); err != nil {
			return err
		}
		return f()
	})
}

// start makes the context and the stream, once.
func (g *gpu) start() error {
	if g.stream != 0 {
		return nil
	}
	if g.context == 0 {
		if err := g.check("DevicePrimaryCtxRetain", g.lib.DevicePrimaryCtxRetain(&g.context, g.handle)); err != nil {
			return err
		}
	}
	if err := g.check("CtxSetCurrent", g.lib.CtxSetCurrent(g.context)); err != nil {
		return err
	}
	return g.check("StreamCreate", g.lib.StreamCreate(&g.stream, cuda.STREAM_NON_BLOCKING))
}

// check returns the error of a function of the driver, with its code.
func (g *gpu) check(function string, r cuda.Result) error {
	err := g.lib.Check(function, r)
	switch {
	case err == nil:
		return nil
	case r == cuda.ERROR_OUT_OF_MEMORY:
		return fault.Errorf(fault.OutOfMemory, "%s: %v", g.device.Name, err).With(fault.Change("size", "a smaller {}"))
	}
	return fmt.Errorf("%s: %w", g.device.Name, err)
}
