package cuda

import (
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// A round trip whose copies do not arrive brings back a wrong product, though the operands
// were on the GPU before, and C in main memory from the round trip before.
func TestRoundTripIsVerified(t *testing.T) {
	e := on(standIn(t, none), Options{})
	d := device(t, e)
	for _, dtype := range matrix.DTypes {
		g := bench.Square(33, dtype)
		task, err := e.Prepare(t.Context(), d, g, 7, ignore)
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			fault standInFault
			right bool
		}{{none, true}, {losesUploads, false}, {none, true}, {losesDownloads, false}, {none, true}} {
			dl.Call(symbol(t, "break"), uintptr(tt.fault))
			_, err := task.RoundTrip(t.Context(), 1)
			dl.Call(symbol(t, "break"), uintptr(none)) // for the guard zones, which are copied too
			if err != nil {
				t.Fatal(err)
			}
			if err := enginetest.Inspect(t.Context(), task, g, 7, 1); (err == nil) != tt.right {
				t.Errorf("%s with fault %d: %v", dtype, tt.fault, err)
			}
		}
		if err := task.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
