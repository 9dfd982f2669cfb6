package vulkan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	vk "github.com/gpuplay/gpuplay/internal/ffi/vulkan"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// shared is one engine for all tests.
var shared = sync.OnceValue(func() *Engine {
	var o Options
	if os.Getenv(validated) != "" {
		o.Layers = []string{"VK_LAYER_KHRONOS_validation"}
	}
	return New(o)
})

// validated is set in the environment of a process whose calls are checked.
const validated = "GPUPLAY_TEST_VULKAN_VALIDATED"

// Vulkan's validation layer has nothing to say of the calls that the other tests make. It
// writes to standard output, in a process of its own.
func TestValidation(t *testing.T) {
	if os.Getenv(validated) != "" {
		t.Skip("this is the process that is checked")
	}
	if !enginetest.AllCases() {
		t.Skip("takes half a minute: GPUPLAY_REQUIRE=cases runs it")
	}
	devices(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^(TestConforms|TestKernels|TestLadder|TestLost|TestDescribe)$", "-test.short", "-test.v")
	cmd.Env = append(os.Environ(), validated+"=1")
	out, err := cmd.CombinedOutput()
	text := string(out)
	if strings.Contains(text, "VK_ERROR_LAYER_NOT_PRESENT") {
		enginetest.Require(t, "vulkan", "Vulkan's validation layers (vulkan-validationlayers) are not installed")
	}
	if err != nil || strings.Contains(text, "VUID-") || strings.Contains(text, "Validation ") || !strings.Contains(text, "PASS: TestConforms") {
		t.Errorf("%v\n%s", err, text)
	}
}

// devices returns what there is to test: software at least, where Mesa's drivers are.
func devices(t testing.TB) []*device {
	t.Helper()
	_, err := shared().Devices(t.Context())
	if errors.Is(err, fault.Unavailable) {
		enginetest.Require(t, "vulkan", err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return shared().devices
}

func TestConforms(t *testing.T) {
	devices(t)
	enginetest.Run(t, shared(), enginetest.Want{DTypes: func(d hardware.Device) []matrix.DType {
		return []matrix.DType{matrix.Float32, matrix.Float64, matrix.Float16, matrix.BFloat16, matrix.Int8}
	}})
}

// Every kernel computes right, in every layout, at every kind of edge.
func TestKernels(t *testing.T) {
	for _, d := range devices(t) {
		t.Run(d.about.Name, func(t *testing.T) {
			for _, dtype := range matrix.DTypes {
				if !d.types[dtype] || os.Getenv(validated) != "" && dtype != matrix.Float32 {
					continue
				}
				t.Run(string(dtype), func(t *testing.T) { testKernels(t, d, dtype) })
			}
		})
	}
}

func testKernels(t *testing.T, d *device, dtype matrix.DType) {
	kernels := d.kernels(bench.Square(512, dtype))
	if d.about.Kind == hardware.SoftwareGPU { // whose compilers take minutes for large tiles
		kernels = slices.Clone(scalars[:1])
		if dtype == matrix.Float32 { // what it does besides is the same for all
			kernels = []kernel{scalars[0], scalar(32, 64, 16, 8, 8, 2)}
		}
		small := *d
		small.about.Kind = hardware.GPU
		kernels = append(kernels, small.matrixKernels(dtype, [][7]uint32{{32, 32, 16, 16, 16, 1, 1}, {32, 64, 32, 16, 32, 2, 0}}, [][4]uint32{{32, 64, 32, 128}})...)
	}
	t.Run("matrix units", func(t *testing.T) {
		if !slices.ContainsFunc(kernels, func(k kernel) bool { return k.shader != "scalar" }) && dtype == matrix.Float16 {
			enginetest.Require(t, "cooperative", d.about.Name+" has no cooperative matrices of float16")
		}
	})
	for _, k := range kernels {
		t.Run(k.name, func(t *testing.T) {
			for _, size := range [][3]int{{int(k.bm), int(k.bn) * 2, int(k.bk) * 3}, {int(k.bm) + 4, 12, int(k.bk) + 8}, {int(k.bm) + 3, int(k.bn) + 1, 5}} {
				for trans := range 4 {
					if testing.Short() && trans%3 != 0 {
						continue
					}
					g := bench.Square(1, dtype)
					g.M, g.N, g.K, g.TransA, g.TransB = size[0], size[1], size[2], trans&1 != 0, trans&2 != 0
					if k.shader == "coop" && !k.whole(g) {
						continue
					}
					if err := right(t, d, k, g); err != nil {
						t.Errorf("%d×%d×%d, layout %d: %v", g.M, g.N, g.K, trans, err)
					}
				}
			}
		})
	}
}

// right computes a product with a kernel and checks it; then again in pieces, in several
// submissions.
func right(t *testing.T, d *device, k kernel, g bench.GEMM) error {
	task, err := with(t, d, k, g)
	if err != nil {
		return err
	}
	defer task.Close()
	if err := enginetest.Verify(t.Context(), task, g, 7); err != nil {
		return err
	}
	task.plan = plan{together: 2}
	for i := range k.blocks(g) {
		task.plan.pieces = append(task.plan.pieces, piece{i, 1})
	}
	if s, err := task.Run(t.Context(), 3, 1); err != nil || s.Iters != 3 {
		return fmt.Errorf("in pieces: %+v %w", s, err)
	}
	return enginetest.Verify(t.Context(), task, g, 7)
}

// with prepares a product for a kernel.
func with(t *testing.T, d *device, k kernel, g bench.GEMM) (*task, error) {
	e := shared()
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := d.open(); err != nil {
		return nil, err
	}
	task := newTask(&e.mu, d, g, 7)
	err := task.fill(t.Context())
	if err == nil {
		err = task.use(t.Context(), k)
	}
	if err != nil {
		task.release()
		return nil, err
	}
	return task, nil
}

// A plan covers every block once, and no piece takes longer than systems and users wait.
func TestPlan(t *testing.T) {
	for _, c := range []struct {
		blocks           int
		takes            time.Duration
		pieces, together int
	}{
		{1, time.Microsecond, 1, 1024},
		{100, time.Millisecond, 1, 50},
		{100, 60 * time.Millisecond, 1, 1},
		{100, 249 * time.Millisecond, 1, 1},
		{100, time.Second, 5, 1},
		{103, time.Second, 5, 1},
		{7, time.Minute, 7, 1}, // a workgroup is the smallest piece
	} {
		p := newPlan(c.blocks, c.takes)
		if len(p.pieces) != c.pieces || p.together != c.together {
			t.Errorf("%d blocks in %v: %d pieces, %d together; want %d, %d", c.blocks, c.takes, len(p.pieces), p.together, c.pieces, c.together)
		}
		next := 0
		for _, x := range p.pieces {
			if x.first != next || x.count < 1 {
				t.Errorf("%d blocks in %v: %+v", c.blocks, c.takes, p.pieces)
			}
			next = x.first + x.count
		}
		if next != c.blocks {
			t.Errorf("%d blocks in %v: %d are computed", c.blocks, c.takes, next)
		}
	}
}

// What is larger than the device's limits is refused with the limit.
func TestLimits(t *testing.T) {
	d := &device{about: hardware.Device{Name: "Chip"}, types: map[matrix.DType]bool{matrix.Float32: true}, largest: 1 << 30}
	d.limits.MaxStorageBufferRange = 128 << 20
	if err := d.check(bench.Square(5000, matrix.Float32)); err != nil {
		t.Error(err)
	}
	err := d.check(bench.Square(6000, matrix.Float32))
	if !errors.Is(err, fault.OutOfMemory) || !strings.Contains(err.Error(), "6000³ in float32 has a matrix of 144 MB: Vulkan on Chip takes at most 134 MB") {
		t.Error(err)
	}
	err = d.check(bench.Square(5, matrix.Float16))
	if !errors.Is(err, fault.Unsupported) || fault.From(err).Remedies.String() != "dtype can be float32" {
		t.Errorf("%v (%v)", err, fault.From(err).Remedies)
	}
}

// A device whose driver gave up on it is opened anew for the next product; a product that was
// on it says so.
func TestLost(t *testing.T) {
	d := devices(t)[0]
	g := bench.Square(16, matrix.Float32)
	task, err := with(t, d, scalars[0], g)
	if err != nil {
		t.Fatal(err)
	}
	defer task.Close()
	if err := d.failed("vkQueueSubmit", vk.ERROR_DEVICE_LOST); !strings.Contains(err.Error(), "vkQueueSubmit: VK_ERROR_DEVICE_LOST: the driver gave up on") {
		t.Error(err)
	}
	if _, err := task.Run(t.Context(), 1, 0); err == nil || !strings.Contains(err.Error(), "gave up on "+d.about.Name) {
		t.Errorf("a product on a lost device: %v", err)
	}
	next, err := shared().Prepare(t.Context(), d.about, g, 7, func(bench.Tuning) {})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if err := enginetest.Verify(t.Context(), next, g, 7); err != nil {
		t.Error(err)
	}
	if _, err := task.Run(t.Context(), 1, 0); err == nil {
		t.Error("a product of the device that was lost is computed")
	}
}

// Cards are known by what other engines and the driver's tools know them by.
func TestAbout(t *testing.T) {
	p := &vk.PhysicalDeviceProperties{ApiVersion: vk.API_VERSION_1_3, DeviceType: 2}
	copy(p.DeviceName[:], "NVIDIA H100")
	id := &vk.PhysicalDeviceIDProperties{DeviceUUID: [16]byte{0x5d, 0x4b, 0xf5, 0xa4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}
	driver := &vk.PhysicalDeviceDriverProperties{DriverID: driverNVIDIA}
	pci := &vk.PhysicalDevicePCIBusInfoPropertiesEXT{PciBus: 0x3b}
	const uuid = "5d4bf5a4-0102-0304-0506-0708090a0b0c"
	if d := about(p, id, driver, pci); d.UUID != "GPU-"+uuid || d.PCI != "0000:3b:00.0" || d.ID != "vulkan:"+uuid || d.Kind != hardware.GPU || d.Label() != "gpuplay (Vulkan 1.3)" {
		t.Errorf("%+v", d)
	}
	if d := about(p, id, &vk.PhysicalDeviceDriverProperties{DriverID: 3}, pci); d.UUID != "" || d.PCI == "" { // RADV: a UUID of its own
		t.Errorf("%+v", d)
	}
	p.DeviceType = vk.PHYSICAL_DEVICE_TYPE_CPU
	if d := about(p, id, driver, pci); d.UUID+d.PCI != "" || d.Kind != hardware.SoftwareGPU {
		t.Errorf("%+v", d)
	}
	named := func(id, pci string, kind hardware.Kind) *device {
		return &device{about: hardware.Device{ID: id, PCI: pci, Kind: kind}}
	}
	var got []string
	for _, d := range arrange([]*device{named("s", "", hardware.SoftwareGPU), named("b", "0000:02:00.0", hardware.GPU), named("a", "0000:01:00.0", hardware.GPU), named("a", "0000:01:00.0", hardware.GPU)}) {
		got = append(got, d.about.ID)
	}
	if text := strings.Join(got, " "); text != "a a-2 b s" {
		t.Errorf("order %s", text)
	}
}

// What won is kept for the next process, and what is damaged is found out again.
func TestChoices(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "cache")
	g, other := bench.Square(4096, matrix.Float16), bench.Square(4096, matrix.Float32)
	c := readChoices(folder, "device", "driver 1")
	c.keep(g, scalars[1])
	again := readChoices(folder, "device", "driver 1")
	if again.won[product(g)] != scalars[1].name || again.won[product(other)] != "" {
		t.Errorf("%+v", again.won)
	}
	if another := readChoices(folder, "device", "driver 2"); len(another.won) != 0 {
		t.Errorf("another driver has %+v", another.won)
	}
	if err := os.WriteFile(c.file, []byte(`{"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if damaged := readChoices(folder, "device", "driver 1"); len(damaged.won) != 0 {
		t.Errorf("%+v", damaged.won)
	}
	readChoices("", "device", "driver 1").keep(g, scalars[0]) // nowhere
}

// On a GPU a product is computed by one of several kernels, on software by the smallest.
func TestKernelsFor(t *testing.T) {
	d := &device{about: hardware.Device{Kind: hardware.GPU}, subgroup: 32}
	d.limits.MaxComputeSharedMemorySize, d.limits.MaxComputeWorkGroupInvocations, d.limits.MaxComputeWorkGroupSize[0] = 32768, 256, 256
	d.shapes = []vk.CooperativeMatrixPropertiesKHR{{MSize: 16, NSize: 16, KSize: 16, AType: vk.COMPONENT_TYPE_FLOAT16_KHR, BType: vk.COMPONENT_TYPE_FLOAT16_KHR, CType: vk.COMPONENT_TYPE_FLOAT32_KHR, ResultType: vk.COMPONENT_TYPE_FLOAT32_KHR, Scope: vk.SCOPE_SUBGROUP_KHR}}
	shaders := func(g bench.GEMM) (out []string) {
		for _, k := range d.kernels(g) {
			if k.shared(g.In) > d.limits.MaxComputeSharedMemorySize {
				t.Errorf("%s takes %d bytes of shared memory", k.name, k.shared(g.In))
			}
			if out = append(out, k.shader); k.shader != "scalar" && !k.whole(g) {
				t.Errorf("%s does not compute %+v", k.name, g)
			}
		}
		return out
	}
	small := bench.Square(17, matrix.Float16)
	if got := shaders(small); !slices.Equal(got, []string{"scalar"}) {
		t.Errorf("17³: %q", got)
	}
	if got := shaders(bench.Square(4096, matrix.Float16)); got[0] != "coop" || got[len(got)-1] != "scalar" {
		t.Errorf("4096³: %q", got)
	}
	if got := shaders(bench.Square(4095, matrix.Float16)); slices.Contains(got, "coop") {
		t.Errorf("4095³: %q", got)
	}
	d.about.Kind = hardware.SoftwareGPU
	if got := d.kernels(bench.Square(4096, matrix.Float16)); len(got) != 1 || got[0].name != scalars[0].name {
		t.Errorf("software: %+v", got)
	}
}

// What was not computed does not look like the product before, and what was written beside
// C is noticed.
func TestUncomputed(t *testing.T) {
	d := devices(t)[0]
	for _, dtype := range []matrix.DType{matrix.Float32, matrix.Int8} {
		task, err := with(t, d, scalars[0], bench.Square(33, dtype))
		if err != nil {
			t.Fatal(err)
		}
		defer task.Close()
		if err := enginetest.Verify(t.Context(), task, task.gemm, 7); err != nil {
			t.Fatal(err)
		}
		if task.plan.pieces = []piece{{1, 3}}; task.kernel.blocks(task.gemm) != 4 {
			t.Fatalf("%d blocks", task.kernel.blocks(task.gemm))
		}
		ones := slices.Repeat([]float64{1}, 33)
		before, err := task.MulVec(t.Context(), ones)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := task.Run(t.Context(), 1, 0); err != nil { // of the same set
			t.Fatal(err)
		}
		if after, err := task.MulVec(t.Context(), ones); err != nil || after[0] == before[0] || after[32] != before[32] {
			t.Errorf("%s: the first block is not computed and looks like before: %v, %v (%v)", dtype, before, after, err)
		}
		task.plan = newPlan(4, time.Millisecond)
		for _, at := range []uint64{0, matrix.GuardBytes - 4, uint64(matrix.GuardBytes+task.sizeC()+3) &^ 3} {
			if _, err := task.Run(t.Context(), 1, 0); err != nil {
				t.Fatal(err)
			}
			if err := d.once(func(c vk.CommandBuffer) { d.lib.CmdFillBuffer(c, task.c.handle, at, 4, 1) }); err != nil {
				t.Fatal(err)
			}
			if _, err := task.MulVec(t.Context(), make([]float64, 33)); !errors.Is(err, fault.Wrong) || !strings.Contains(err.Error(), "scalar 32×32×8/4×4×1 wrote ") {
				t.Errorf("%s, byte %d: %v", dtype, at, err)
			}
		}
	}
}

// Several kernels are tried out once, and the fastest one computes.
func TestTune(t *testing.T) {
	e, d := shared(), devices(t)[0]
	e.mu.Lock()
	defer e.mu.Unlock()
	kind, all, kept := d.about.Kind, scalars, d.choices
	defer func() { d.about.Kind, scalars, d.choices = kind, all, kept }()
	d.about.Kind, d.choices = hardware.GPU, readChoices(t.TempDir(), "device", "driver")
	scalars = []kernel{scalar(32, 32, 8, 4, 4, 1), scalar(32, 64, 8, 4, 8, 1)} // quick to compile
	if err := d.open(); err != nil {
		t.Fatal(err)
	}
	g := bench.Square(64, matrix.Float32)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if began := d.compileAll(cancelled, scalars, g); len(began) != 0 {
		t.Errorf("compiled %d kernels after the end", len(began))
	}
	if began := d.compileAll(t.Context(), scalars, g); len(began) != 2 || errors.Join(began...) != nil || d.pipelines[scalars[1].key(g)] == 0 {
		t.Errorf("compiled %v", began)
	}
	for _, want := range []int{2, 0} { // tried out, then known
		var told []bench.Tuning
		task, err := prepare(t.Context(), &e.mu, d, g, 7, d.kernels(g), func(x bench.Tuning) { told = append(told, x) })
		if err != nil {
			t.Fatal(err)
		}
		if len(told) != want {
			t.Errorf("%d kernels tried out, want %d: %+v", len(told), want, told)
		}
		for i, x := range told {
			if x.Done != i+1 || x.Total != 2 || x.Speed <= 0 || x.Best < x.Speed {
				t.Errorf("tuning %d: %+v", i, x)
			}
			if x.Speed == told[len(told)-1].Best && task.kernel.name != x.Variant {
				t.Errorf("%s computes, %s was the fastest", task.kernel.name, x.Variant)
			}
		}
		if name := d.choices.won[product(g)]; name != task.kernel.name {
			t.Errorf("%s computes, %s is kept", task.kernel.name, name)
		}
		task.release()
	}
}
