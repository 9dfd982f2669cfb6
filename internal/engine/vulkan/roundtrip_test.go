package vulkan

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// A round trip whose copy of an operand is lost brings back a wrong product, though the
// operands were on the device before; and what is checked is the C in main memory.
func TestRoundTripIsVerified(t *testing.T) {
	d := devices(t)[0]
	for _, dtype := range []matrix.DType{matrix.Float32, matrix.Int8} {
		task, err := with(t, d, scalars[0], bench.Square(33, dtype))
		if err != nil {
			t.Fatal(err)
		}
		defer task.Close()
		trip := func() {
			t.Helper()
			if _, err := task.RoundTrip(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}
		right := func() bool {
			return enginetest.Inspect(t.Context(), task, task.gemm, 7, 1) == nil
		}
		if trip(); !right() {
			t.Fatalf("%s: a round trip is wrong", dtype)
		}
		h := &task.host
		for name, lost := range map[string]*[]byte{"A": &h.a[1], "B": &h.b} {
			whole := *lost
			*lost = whole[:0] // nothing is copied
			if trip(); right() {
				t.Errorf("%s: %s was not copied, and the product is right", dtype, name)
			}
			*lost = whole
		}
		if trip(); !right() {
			t.Errorf("%s: a later round trip is wrong", dtype)
		}
		clear(h.c)
		if right() {
			t.Errorf("%s: C in main memory is not what is checked", dtype)
		}
		if _, err := task.RoundTrip(&ending{t.Context(), 1}, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: cancelled between two copies: %v", dtype, err)
		}
		if _, err := task.Run(t.Context(), 1, 0); err == nil || !strings.Contains(err.Error(), "operands were lost") {
			t.Errorf("%s: a run without operands: %v", dtype, err)
		}
	}
}

// An ending context is cancelled after it was asked a number of times.
type ending struct {
	context.Context
	left int
}

func (c *ending) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}
