package vulkan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	vk "github.com/gpuplay/gpuplay/internal/ffi/vulkan"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// Every rung of every device computes right, whole tiles and others.
func TestLadder(t *testing.T) {
	for _, d := range devices(t) {
		for _, r := range Ladder(d.about.Kind) {
			t.Run(d.about.Name+"/"+r.Name, func(t *testing.T) {
				for _, size := range [][3]int{{128, 128, 64}, {35, 71, 19}} {
					g := bench.Square(1, r.DType)
					g.M, g.N, g.K = size[0], size[1], size[2]
					k, err := d.rung(r.Name, g)
					if errors.Is(err, fault.Unsupported) && r.DType == matrix.Float16 {
						if size[0] == 128 {
							enginetest.Require(t, "cooperative", err.Error())
						}
						continue // odd sizes
					}
					if err == nil {
						err = right(t, d, k, g)
					}
					if err != nil {
						t.Errorf("%d×%d×%d: %v", g.M, g.N, g.K, err)
					}
				}
			})
		}
	}
}

// An engine for a rung computes with its kernel alone.
func TestRung(t *testing.T) {
	d := devices(t)[0]
	for name, says := range map[string]string{"tiled": "kernel: tiled", "no rung": "has no rung \"no rung\""} {
		e := New(Options{Rung: name})
		if _, err := e.Devices(t.Context()); err != nil {
			t.Fatal(err)
		}
		task, err := e.Prepare(t.Context(), d.about, bench.Square(40, matrix.Float32), 7, func(bench.Tuning) {})
		if err != nil {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err := enginetest.Verify(t.Context(), task, bench.Square(40, matrix.Float32), 7); err != nil || task.Facts().Notes[0] != says {
			t.Errorf("%s: %v, %q", name, err, task.Facts().Notes)
		}
		_ = task.Close()
		e.devices[0].close()
	}
	if _, err := d.rung("tiled", bench.Square(40, matrix.Float64)); !errors.Is(err, fault.Invalid) {
		t.Errorf("another type: %v", err)
	}
}

// A GPU climbs as far as its limits and its matrix units allow.
func TestRungs(t *testing.T) {
	nvidia := vk.CooperativeMatrixPropertiesKHR{MSize: 16, NSize: 16, KSize: 16, AType: vk.COMPONENT_TYPE_FLOAT16_KHR, BType: vk.COMPONENT_TYPE_FLOAT16_KHR, CType: vk.COMPONENT_TYPE_FLOAT32_KHR, ResultType: vk.COMPONENT_TYPE_FLOAT32_KHR, Scope: vk.SCOPE_SUBGROUP_KHR}
	for _, c := range []struct {
		shared, invocations uint32
		shapes              []vk.CooperativeMatrixPropertiesKHR
		n                   int
		want                string
	}{
		{32768, 1024, []vk.CooperativeMatrixPropertiesKHR{nvidia}, 1024, "naive, coalesced, tiled, blocked, larger, matrix units"},
		{32768, 1024, []vk.CooperativeMatrixPropertiesKHR{nvidia}, 1000, "naive, coalesced, tiled, blocked, larger"},
		{16384, 256, nil, 1024, "naive, coalesced, tiled, blocked"},
		{16384, 128, nil, 1024, "naive, coalesced, blocked"}, // the least that Vulkan guarantees
	} {
		d := &device{about: hardware.Device{Name: "Chip", Kind: hardware.GPU}, subgroup: 32, shapes: c.shapes}
		d.limits.MaxComputeSharedMemorySize, d.limits.MaxComputeWorkGroupInvocations, d.limits.MaxComputeWorkGroupSize[0] = c.shared, c.invocations, c.invocations
		var has []string
		for _, r := range Ladder(hardware.GPU) {
			_, err := d.rung(r.Name, bench.Square(c.n, r.DType))
			if err == nil {
				has = append(has, r.Name)
			} else if !errors.Is(err, fault.Unsupported) {
				t.Errorf("%s: %v", r.Name, err)
			}
		}
		if got := strings.Join(has, ", "); got != c.want {
			t.Errorf("%d bytes, %d invocations, n = %d: %s, want %s", c.shared, c.invocations, c.n, got, c.want)
		}
	}
}

// The bytes of a rung are those of its kernel: counted for a subgroup of 32 invocations, as
// they stand in the shaders.
func TestRungTraffic(t *testing.T) {
	const subgroup, transfer = 32, 32
	sectors := func(address func(lane uint32) uint32) (bytes float64) {
		var all []uint32
		for lane := range uint32(subgroup) {
			all = append(all, address(lane)/transfer)
		}
		slices.Sort(all)
		return float64(len(slices.Compact(all)) * transfer)
	}
	const pitch = 4096 * 4 // bytes of a row
	for _, kind := range []hardware.Kind{hardware.GPU, hardware.SoftwareGPU} {
		for _, r := range Ladder(kind) {
			k, want := r.kernel, 0.
			switch r.Name {
			case "naive": // the rows and columns of ladder.comp
				want = sectors(func(lane uint32) uint32 { return lane % k.bm * pitch }) + sectors(func(lane uint32) uint32 { return lane / k.bm * 4 })
			case "coalesced":
				want = sectors(func(lane uint32) uint32 { return lane / k.bn * pitch }) + sectors(func(lane uint32) uint32 { return lane % k.bn * 4 })
			default: // the rows and columns of a tile, for each term
				rows, columns := k.bm, k.bn
				if k.shader == "" {
					rows, columns = max(r.subgroup[0], r.workgroup[0]), max(r.subgroup[1], r.workgroup[1])
				}
				want = float64(subgroup*r.DType.Size()) * (1/float64(rows) + 1/float64(columns))
			}
			if got := r.Global * subgroup; fmt.Sprintf("%.6f", got) != fmt.Sprintf("%.6f", want) {
				t.Errorf("%s, %s: %g bytes for %d multiplications, want %g", kind, r.Name, got, subgroup, want)
			}
		}
	}
}
