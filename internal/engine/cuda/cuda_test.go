package cuda

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/ptx"
)

func TestConforms(t *testing.T) {
	file := standIn(t, none)
	enginetest.Run(t, on(file, Options{Cache: t.TempDir()}), enginetest.Want{
		DTypes: func(hardware.Device) []matrix.DType { return matrix.DTypes },
		InUse:  count(t, "in_use"),
	})
}

// The kernels of package ptx are launched as they say, with arguments of the right kinds and
// tensor maps that a driver takes.
func TestConformsWithOwnKernels(t *testing.T) {
	if testing.Short() {
		t.Skip("several kernels for each product take seconds")
	}
	file := standIn(t, none)
	e := on(file, Options{Cache: t.TempDir()})
	e.kernels = ptx.Candidates
	enginetest.Run(t, e, enginetest.Want{
		DTypes: func(hardware.Device) []matrix.DType { return matrix.DTypes },
		InUse:  count(t, "in_use"),
	})
}

// The real driver on a real GPU.
func TestConformsOnGPU(t *testing.T) {
	e := New(Options{Cache: t.TempDir()})
	onGPU(t, e, &e.machine, matrix.DTypes)
}

// cuBLASLt, in the folders of GPUPLAY_TEST_CUBLAS_DIRS or the system's.
func TestLtConformsOnGPU(t *testing.T) {
	e := NewLt(Options{Dirs: filepath.SplitList(os.Getenv("GPUPLAY_TEST_CUBLAS_DIRS"))})
	onGPU(t, e, &e.machine, []matrix.DType{matrix.Float64, matrix.Float32, matrix.TF32, matrix.Float16, matrix.BFloat16})
}

func onGPU(t *testing.T, e bench.Engine, m *machine, dtypes []matrix.DType) {
	if _, err := e.Devices(t.Context()); errors.Is(err, fault.Unavailable) {
		enginetest.Require(t, "nvidia", err.Error())
	}
	gpus, err := m.find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	enginetest.Run(t, e, enginetest.Want{
		DTypes: func(hardware.Device) []matrix.DType { return dtypes },
		InUse: func() uint64 {
			var free, total uintptr
			if err := gpus[0].do(t.Context(), func() error { return gpus[0].check("MemGetInfo", gpus[0].lib.MemGetInfo(&free, &total)) }); err != nil {
				t.Error(err)
			}
			return uint64(total - free)
		},
	})
}
