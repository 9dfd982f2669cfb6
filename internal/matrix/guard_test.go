package matrix

import (
	"context"
	"errors"
	"slices"
	"testing"
	"unsafe"
)

// Every byte of the zones is watched, and none of the matrix.
func TestGuarded(t *testing.T) {
	for _, n := range []int{1, 3, 16, 1000} {
		testGuarded[uint16](t, n, 1)
		testGuarded[float32](t, n, 1)
		testGuarded[float64](t, n, 1)
	}
}

func testGuarded[S uint16 | float32 | float64](t *testing.T, n int, value S) {
	g := NewGuarded[S](n)
	if len(g.Elements) != n || cap(g.Elements) != n || uintptr(unsafe.Pointer(&g.Elements[0]))%64 != 0 {
		t.Fatalf("%d elements: %d of %d at %p", n, len(g.Elements), cap(g.Elements), &g.Elements[0])
	}
	if len(g.before) < GuardBytes || len(g.after) < GuardBytes {
		t.Fatalf("zones of %d and %d bytes", len(g.before), len(g.after))
	}
	size := int(unsafe.Sizeof(value))
	if end := unsafe.Add(unsafe.Pointer(&g.before[0]), len(g.before)); end != unsafe.Pointer(&g.Elements[0]) {
		t.Fatal("the first zone does not end where the matrix starts")
	}
	if end := unsafe.Add(unsafe.Pointer(&g.Elements[0]), n*size); end != unsafe.Pointer(&g.after[0]) {
		t.Fatal("the second zone does not start where the matrix ends")
	}
	for i := range g.Elements {
		g.Elements[i] = value
	}
	if got := g.Overwritten(); got != "" {
		t.Fatalf("the matrix counts as %s", got)
	}
	for want, zone := range map[string][]byte{"before the start": g.before, "past the end": g.after} {
		for i := range zone {
			zone[i]++
			if got := g.Overwritten(); got != want {
				t.Fatalf("byte %d %s: said %q", i, want, got)
			}
			zone[i]--
		}
		for _, same := range []byte{0, 0xff} { // what libraries clear and fill with
			old := slices.Clone(zone)
			for i := range zone[:8] {
				zone[i] = same
			}
			if g.Overwritten() != want {
				t.Errorf("eight bytes of %#x %s go unnoticed", same, want)
			}
			copy(zone, old)
		}
	}
}

// Small and large matrices, by one thread and by all.
func TestPoisonAndSwap(t *testing.T) {
	for _, n := range []int{1, 1000, alone, alone + 1, 2*alone + 77} {
		a, b := make([]float32, n), make([]float32, n)
		if err := Poison(t.Context(), a, 1); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(a, func(x float32) bool { return x != 1 }) {
			t.Errorf("%d elements: some are not poisoned", n)
		}
		b[0], b[n-1] = 2, 3
		was := slices.Clone(b)
		Swap(a, b)
		if !slices.Equal(a, was) || slices.ContainsFunc(b, func(x float32) bool { return x != 1 }) {
			t.Errorf("%d elements: not swapped", n)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := Poison(ended, a, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("an ended context: %v", err)
		}
	}
}
