package metal

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// These tests run on a Mac, and elsewhere against the stand-in.

func devices(t *testing.T, e *Engine) []hardware.Device {
	t.Helper()
	inv, err := e.Devices(t.Context())
	if errors.Is(err, fault.Unavailable) {
		enginetest.Require(t, "metal", err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return inv.Devices
}

func TestConforms(t *testing.T) {
	e := engine(t)
	devices(t, e)
	enginetest.Run(t, e, enginetest.Want{
		DTypes: func(d hardware.Device) []matrix.DType {
			if d.ID == "metal:mps" {
				return []matrix.DType{matrix.Float32, matrix.Float16}
			}
			return []matrix.DType{matrix.Float32, matrix.Float16, matrix.BFloat16}
		},
		InUse: inUse,
	})
}

// What was not computed does not look like the product before, and what was written beside
// C is noticed.
func TestUncomputed(t *testing.T) {
	e := engine(t)
	for _, d := range devices(t, e) {
		prepared, err := e.Prepare(t.Context(), d, bench.Square(33, matrix.Float32), 7, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer prepared.Close()
		task := prepared.(*task)
		encode := task.encode
		task.encode = func(id, int) {}
		if _, err := task.Run(t.Context(), 1, 0); err != nil {
			t.Fatal(err)
		}
		if y, err := task.MulVec(t.Context(), make([]float64, 33)); err != nil || y[0] == y[0] {
			t.Errorf("%s: C holds %v, not NaN, although nothing was computed (%v)", d.ID, y[:1], err)
		}
		task.encode = encode
		for _, zone := range task.zones() {
			for _, i := range []int{0, len(zone) - 1} {
				if len(zone) == 0 { // in front of MPSGraph's
					continue
				}
				if _, err := task.Run(t.Context(), 1, 0); err != nil {
					t.Fatal(err)
				}
				zone[i]++
				if _, err := task.MulVec(t.Context(), make([]float64, 33)); !errors.Is(err, fault.Wrong) || !strings.Contains(err.Error(), d.Library+" wrote ") {
					t.Errorf("%s, byte %d of a zone of %d: %v", d.ID, i, len(zone), err)
				}
				zone[i]--
			}
		}
	}
}

// A sample has as many products as it says, in however many command buffers.
func TestPieces(t *testing.T) {
	e := engine(t)
	for _, d := range devices(t, e) {
		prepared, err := e.Prepare(t.Context(), d, bench.Square(16, matrix.Float32), 7, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer prepared.Close()
		task := prepared.(*task)
		encode := task.encode
		for _, together := range []int{1, 3, 64} {
			var sets []int
			task.together = together
			task.encode = func(commands id, set int) {
				sets = append(sets, set)
				encode(commands, set)
			}
			s, err := task.Run(t.Context(), 7, 1)
			if err != nil || s.Iters != 7 || s.Device == nil || !slices.Equal(sets, []int{1, 1, 1, 1, 1, 1, 1}) {
				t.Errorf("%s, %d together: %+v, sets %d, %v", d.ID, together, s, sets, err)
			}
		}
	}
}

func TestChecks(t *testing.T) {
	u := &gpu{name: "Apple M2", mps: true, simdgroups: true, memory: 1 << 29, largest: 1 << 28}
	lanes, missing := u.lanes()
	if len(lanes) != 3 || len(missing) != 0 || slices.Contains(lanes[0].types, matrix.BFloat16) {
		t.Errorf("before macOS 14: %+v, missing %+v", lanes, missing)
	}
	for _, c := range []struct {
		g    bench.GEMM
		code fault.Code
		says string
	}{
		{bench.Square(5000, matrix.Float32), "", ""},
		{bench.Square(9000, matrix.Float32), fault.OutOfMemory, "9000³ in float32 has a matrix of 324 MB: Metal on Apple M2 takes at most 268 MB"},
		{bench.Square(6000, matrix.Float32), fault.OutOfMemory, "takes 576 MB of memory: Metal on Apple M2 can use 537 MB"},
		{bench.Square(8, matrix.BFloat16), fault.Unsupported, "MPSGraph on Apple M2 has no code for bfloat16"},
		{bench.GEMM{M: 8, N: -1, K: 8, In: matrix.Float32, Acc: matrix.Float32, Out: matrix.Float32}, fault.Invalid, "8×-1×8"},
	} {
		err := u.check(lanes[0], c.g)
		if c.code == "" && err != nil || c.code != "" && (!errors.Is(err, c.code) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%+v: %v, want %s that says %q", c.g, err, c.code, c.says)
		}
	}
}
