package blas

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// faults are those of testdata/shims/openblas.c that leave the process as it is.
var faults = []string{"SKIP", "SKIP2", "LATE", "DROPK", "DROPROW", "STALE", "MEMOISE", "ZERO1", "TRANSPOSE", "NANS", "BF16", "SIGN", "SCALE", "ACCUMULATE", "HALF2", "OVERRUN", "UNDERRUN"}

// shims returns an engine with a library for each fault, and their devices and files
// in that order.
func shims(t *testing.T, faults ...string) (*Engine, []hardware.Device, []string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the library is written for Unix")
	}
	var files []string
	for _, f := range faults {
		files = append(files, enginetest.SharedLibrary(t, filepath.Join("testdata", "shims", "openblas.c"), "libopenblas-"+f+".so", "-DFAULT="+f))
	}
	e := New(Options{Libraries: files, Threads: 1})
	inv, err := e.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var devices []hardware.Device
	for _, d := range inv.Devices {
		if d.Version == "0.3.999" { // not a real one that the system has
			devices = append(devices, d)
		}
	}
	if len(devices) != len(files) {
		t.Fatalf("%d libraries of %d: %+v", len(devices), len(files), inv.Missing)
	}
	for i, d := range devices {
		if d.File != files[i] {
			t.Errorf("%s is in %s, not in %s", d.ID, files[i], d.File)
		}
	}
	return e, devices, files
}

// inspect checks the products of a task as a race does: the first ones, a long run, and
// a pair of single products at the end. It returns the first that failed.
func inspect(t *testing.T, e *Engine, d hardware.Device, g bench.GEMM) (c matrix.Check, err error) {
	t.Helper()
	const seed = 11
	task, err := e.Prepare(t.Context(), d, g, seed, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer task.Close()
	for i, n := range []int{1, 1, 60, 61, 1, 1} {
		set := i % matrix.Sets
		if _, err := task.Run(t.Context(), n, set); err != nil {
			t.Fatal(err)
		}
		ref, err := matrix.NewReference(t.Context(), matrix.Problem{M: g.M, N: g.N, K: g.K, In: g.In, TransA: g.TransA, TransB: g.TransB, Seed: seed, Set: set})
		if err != nil {
			t.Fatal(err)
		}
		c, err = ref.CheckProduct(func(x []float64) ([]float64, error) { return task.MulVec(t.Context(), x) }, g.Acc, g.Out)
		if err != nil || !c.Passed {
			return c, err
		}
	}
	return c, nil
}

// No product of a library with a fault passes all checks, whatever the shape, and every
// product of the same library without one does. Both sets have their A at the same
// address: MEMOISE would otherwise be right each time, and only its speed would tell. A
// library that remembers results by what the operands hold cannot be told from a right
// one here; the measured peak of the CPU bounds it.
func TestFaultyLibraries(t *testing.T) {
	e, devices, _ := shims(t, append([]string{"NONE"}, faults...)...)
	for i, d := range devices {
		name := append([]string{"NONE"}, faults...)[i]
		t.Run(name, func(t *testing.T) {
			for _, dtype := range []matrix.DType{matrix.Float32, matrix.Float64} {
				for _, shape := range [][3]int{{40, 40, 40}, {33, 70, 20}, {9, 3, 50}} {
					for trans := range 4 {
						g := bench.Square(0, dtype)
						g.M, g.N, g.K = shape[0], shape[1], shape[2]
						g.TransA, g.TransB = trans&1 != 0, trans&2 != 0
						if name == "TRANSPOSE" && g.M != g.N {
							continue
						}
						c, err := inspect(t, e, d, g)
						side := map[string]string{"OVERRUN": "OpenBLAS wrote past the end of C", "UNDERRUN": "OpenBLAS wrote before the start of C"}[name]
						switch {
						case name == "NONE" && (err != nil || !c.Passed):
							t.Errorf("%+v: %+v, %v", g, c, err)
						case side != "" && (!errors.Is(err, fault.Wrong) || err.Error() != side):
							t.Errorf("%+v: %v, want %q", g, err, side)
						case name != "NONE" && side == "" && (err != nil || c.Passed):
							t.Errorf("%+v passed: %+v, %v", g, c, err)
						}
					}
				}
			}
		})
	}
}

// A sample of n products is n calls of the library, whatever the sizes of the parts
// they are done in, and as many sums where sums are asked.
func TestProductsAreCounted(t *testing.T) {
	e, devices, files := shims(t, "NONE")
	l, err := dl.Open(files[0]) // the one that the engine has loaded
	if err != nil {
		t.Fatal(err)
	}
	address, err := l.Sym("shim_calls")
	if err != nil {
		t.Fatal(err)
	}
	calls := func() int { return int(dl.Call(address)) }
	for _, sum := range []bool{false, true} {
		for _, dtype := range []matrix.DType{matrix.Float32, matrix.Float64} {
			g := bench.Square(100, dtype) // 500 of them are computed together
			g.Sum = sum
			prepared, err := e.Prepare(t.Context(), devices[0], g, 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			sums := func() int { return 0 }
			if sum {
				switch p := prepared.(type) {
				case *task[float32]:
					sums = countSums(t, p, calls)
				case *task[float64]:
					sums = countSums(t, p, calls)
				}
			}
			for set, n := range []int{1, 2} {
				runCounted(t, prepared, n, set, sum, calls, sums)
			}
			more := []int{7, 501}
			if sum {
				more = []int{7}
			}
			for _, n := range more {
				runCounted(t, prepared, n, 0, sum, calls, sums)
			}
			if err := prepared.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func runCounted(t *testing.T, task bench.Task, n, set int, sum bool, calls, sums func() int) {
	t.Helper()
	calledBefore, summedBefore := calls(), sums()
	s, err := task.Run(t.Context(), n, set)
	if err != nil {
		t.Fatal(err)
	}
	if got := calls() - calledBefore; got != n || s.Iters != n {
		t.Errorf("%d products asked, %d computed, %d reported", n, got, s.Iters)
	}
	if got := sums() - summedBefore; sum && got != n {
		t.Errorf("%d sums of %d products", got, n)
	}
}

// countSums counts the sums of a task, each of which must be of the whole of C, after a
// product of its own.
func countSums[T element](t *testing.T, task *task[T], calls func() int) func() int {
	t.Helper()
	if task.sum == nil {
		t.Fatal("no sum is computed")
	}
	real, count, last := task.sum, 0, calls()
	task.sum = func(ctx context.Context, c []T) error {
		if now := calls(); now != last+1 && count > 0 {
			t.Errorf("%d products before sum %d, want 1", now-last, count+1)
		}
		last = calls()
		if len(c) != task.gemm.M*task.gemm.N || &c[0] != &task.c.Elements[0] {
			t.Error("the sum is of something else")
		}
		count++
		return real(ctx, c)
	}
	return func() int { return count }
}

// The sum that a task computes is that of C.
func TestSumReadsC(t *testing.T) {
	e, devices, _ := shims(t, "NONE")
	g := bench.Square(8, matrix.Float64)
	g.Sum = true
	prepared, err := e.Prepare(t.Context(), devices[0], g, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer prepared.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	task := prepared.(*task[float64])
	if err := task.sum(t.Context(), task.c.Elements); err != nil {
		t.Error(err)
	}
	if err := task.sum(ended, task.c.Elements); !errors.Is(err, context.Canceled) {
		t.Errorf("a sum within an ended context: %v: nothing is added up", err)
	}
}

// C is full of NaN when a library is called for the first time in a run, and A is that of
// the set, at an address that does not change.
func TestReady(t *testing.T) {
	e, devices, _ := shims(t, "NONE")
	g := bench.Square(5, matrix.Float32)
	prepared, err := e.Prepare(t.Context(), devices[0], g, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer prepared.Close()
	task := prepared.(*task32)
	if _, err := task.MulVec(t.Context(), make([]float64, g.N)); !errors.Is(err, fault.Invalid) {
		t.Errorf("C·x before the first run: %v", err)
	}
	real, at := task.multiply, &task.a[0]
	for _, set := range []int{0, 0, 1, 1, 0, 1} {
		task.multiply = func(times int) error { // on the engine's goroutine, which must go on
			for _, x := range task.c.Elements {
				if !math.IsNaN(float64(x)) {
					return fmt.Errorf("C holds %v before a run", x)
				}
			}
			a := matrix.NewStream(3, matrix.OfA(set), g.In)
			for i, x := range task.a {
				if float64(x) != a.At(i) {
					return fmt.Errorf("element %d of A is %v in set %d", i, x, set)
				}
			}
			if &task.a[0] != at {
				return errors.New("A has moved")
			}
			return real(times)
		}
		if _, err := task.Run(t.Context(), 3, set); err != nil {
			t.Fatal(err)
		}
	}
	task.multiply = func(int) error { return errors.New("the library says no") }
	if _, err := task.Run(t.Context(), 1, 0); err == nil || !strings.Contains(err.Error(), "says no") {
		t.Errorf("a product that failed: %v", err)
	}
	if _, err := task.MulVec(t.Context(), make([]float64, g.N)); !errors.Is(err, fault.Invalid) {
		t.Errorf("C·x after a run that failed: %v", err)
	}
}
