package playground

import (
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/network"
)

// A page gets some of the digits that are held out, and their share that is recognised; the
// program that it exports has all of them.
func TestDigits(t *testing.T) {
	var k Keeper
	o := options
	o.Set, o.Hidden, o.Steps = network.Digits, []int{16}, 500
	list := train(t, &k, o)
	started, learned := payloads[Started](list)[0], payloads[Learned](list)
	if len(started.X) != 4*64*heldDrawn || len(started.Y) != 4*heldDrawn || started.Rows != 3823 || started.Held != 1797 || started.Shape.Outputs != 10 {
		t.Errorf("%d bytes of pixels, %d of classes, %d and %d rows, %+v", len(started.X), len(started.Y), started.Rows, started.Held, started.Shape)
	}
	d := network.ReadDigits()
	for i, y := range floats(started.Y) {
		if row := d.Rows() + i; float64(y) != d.Y[row] || float64(floats(started.X)[64*i+20]) != d.X[64*row+20] {
			t.Fatalf("digit %d is not the first but %d of those held out", i, i)
		}
	}
	if last := learned[len(learned)-1]; last.Held < 0.85 || last.Right < last.Held {
		t.Errorf("%.2f and %.2f right", last.Right, last.Held)
	}
	e, err := k.Export()
	if err != nil || strings.Count(e.Torch, "\n") < 5620 || !strings.Contains(e.MLX, "test_x") {
		t.Errorf("%d bytes, %v", len(e.Torch), err)
	}
}
