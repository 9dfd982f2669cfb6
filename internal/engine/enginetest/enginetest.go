// Package enginetest is the conformance suite: what package bench says of an
// engine, as tests that every engine passes, in this process or behind a worker.
// It measures no speed.
package enginetest

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// Want is what the caller knows of its engine.
type Want struct {
	// DTypes are those that a device must support, as bench.Square takes them, so
	// that what an engine can do does not shrink unseen. Nil: float32. Others that
	// the device takes are tested as well.
	DTypes func(d hardware.Device) []matrix.DType
	// Coarse reports whether a device is known to round more often than it is asked
	// to, in a type: the elements of its products are then not compared one by one.
	// Nil: none is.
	Coarse func(d hardware.Device, dtype matrix.DType) bool
	// InUse returns the bytes that the engine holds, wherever it holds them. Nil:
	// the heap of this process.
	InUse func() uint64
}

// checkLimit ends a check whose engine does not come back.
const checkLimit = 2 * time.Minute

// Run tests the engine and every device that it lists.
func Run(t *testing.T, e bench.Engine, want Want) {
	if want.DTypes == nil {
		want.DTypes = func(hardware.Device) []matrix.DType { return []matrix.DType{matrix.Float32} }
	}
	if want.InUse == nil {
		want.InUse = heap
	}
	var devices []hardware.Device
	t.Run("devices", func(t *testing.T) {
		within(t, func(ctx context.Context) (err error) {
			devices, err = list(ctx, e)
			return err
		})
	})
	for _, d := range devices {
		s := &subject{engine: e, device: d, dtypes: want.DTypes(d), inUse: want.InUse}
		t.Run(strings.ReplaceAll(d.ID, "/", "_"), func(t *testing.T) {
			if paravirtual(d) {
				t.Skipf("%s is an Apple Paravirtual device, which Metal Performance Shaders do not support", d.Name)
			}
			if len(s.dtypes) == 0 {
				t.Fatalf("nothing says what %s must support", d.Name)
			}
			for _, dtype := range matrix.DTypes {
				t.Run(string(dtype), func(t *testing.T) {
					within(t, func(ctx context.Context) error {
						supported, err := s.supports(ctx, dtype)
						if err != nil {
							return err
						}
						if !supported {
							t.Skipf("%s has no %s", d.Library, dtype)
						}
						return s.products(ctx, dtype, want.Coarse != nil && want.Coarse(d, dtype))
					})
				})
			}
			for _, c := range checks {
				t.Run(c.name, func(t *testing.T) {
					within(t, func(ctx context.Context) error { return c.run(s, ctx) })
				})
			}
		})
	}
}

// paravirtual reports whether a device is the GPU of a virtual Mac, such as those of
// hosted runners. Its name is made of the CPU's, "Apple M1 (Virtual)".
func paravirtual(d hardware.Device) bool {
	return d.Kind == hardware.GPU && strings.HasPrefix(d.Name, "Apple ") && strings.Contains(d.Name, "(Virtual)")
}

func within(t *testing.T, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), checkLimit)
	defer cancel()
	if err := check(ctx); err != nil {
		t.Error(err)
	}
}

// heap returns the bytes of this process's heap that are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// list returns the engine's devices after looking twice.
func list(ctx context.Context, e bench.Engine) ([]hardware.Device, error) {
	if e.Name() == "" || e.Name() != strings.ToLower(e.Name()) || strings.Contains(e.Name(), " ") {
		return nil, fmt.Errorf("engine name %q is not one lower-case word", e.Name())
	}
	var ids [2][]string
	var found hardware.Inventory
	for i := range ids {
		var err error
		if found, err = e.Devices(ctx); err != nil {
			return nil, err
		}
		for _, d := range found.Devices {
			ids[i] = append(ids[i], d.ID)
		}
	}
	if !slices.Equal(ids[0], ids[1]) {
		return nil, fmt.Errorf("device IDs changed from %q to %q", ids[0], ids[1])
	}
	if len(found.Devices) == 0 {
		return nil, fmt.Errorf("no devices; missing: %v", found.Missing)
	}
	for i, d := range found.Devices {
		switch {
		case d.ID == "" || d.Name == "" || d.API == "" || d.Library == "":
			return nil, fmt.Errorf("device lacks an ID, name, API or library: %+v", d)
		case slices.Contains(ids[0][:i], d.ID):
			return nil, fmt.Errorf("two devices have the ID %q", d.ID)
		case d.Kind != hardware.CPU && d.Kind != hardware.GPU && d.Kind != hardware.SoftwareGPU:
			return nil, fmt.Errorf("device %s is of kind %q", d.ID, d.Kind)
		case d.Memory != nil && *d.Memory <= 0:
			return nil, fmt.Errorf("device %s has %d bytes of memory", d.ID, *d.Memory)
		}
	}
	for _, m := range found.Missing {
		if m.API == "" || m.Kind == "" || m.Reason == "" {
			return nil, fmt.Errorf("missing device lacks an API, a kind or a reason: %+v", m)
		}
	}
	return found.Devices, nil
}

// Require skips a test for want of a real component, in plain words; it fails
// the test instead where GPUPLAY_REQUIRE, a list with commas, names the
// component, so that a machine that has it cannot skip the test unseen.
func Require(t testing.TB, name, why string) {
	t.Helper()
	if Required(name) {
		t.Fatalf("%s is required here: %s", name, why)
	}
	t.Skip(why)
}

// Required reports whether GPUPLAY_REQUIRE names a component.
func Required(name string) bool {
	return slices.Contains(strings.Split(os.Getenv("GPUPLAY_REQUIRE"), ","), name)
}

// AllCases reports whether a test with many cases tries all of them: where GPUPLAY_REQUIRE
// names cases, as in CI, unless -short is given. Elsewhere it tries some of each kind.
func AllCases() bool { return Required("cases") && !testing.Short() }
