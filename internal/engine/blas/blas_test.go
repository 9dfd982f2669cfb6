package blas

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// options lead to the libraries to test with: those in the folders of
// GPUPLAY_TEST_BLAS_DIRS, or of the checkout's virtual environment for BLAS,
// and the system's.
func options() Options {
	threads := min(2, runtime.GOMAXPROCS(0))
	if dirs := os.Getenv("GPUPLAY_TEST_BLAS_DIRS"); dirs != "" {
		return Options{Dirs: filepath.SplitList(dirs), Threads: threads}
	}
	dirs := []string{"../../../.venv-blas/lib", "../../../.venv-blas/Library/bin"}
	packages, _ := filepath.Glob("../../../.venv-blas/lib/python3*/site-packages")
	return Options{Dirs: append(dirs, packages...), Threads: threads}
}

// shared is one engine for all tests, since a process loads a library once.
var shared = sync.OnceValue(func() *Engine { return New(options()) })

// devices returns what there is to test. Kinds that GPUPLAY_REQUIRE names must
// be there.
func devices(t testing.TB) []hardware.Device {
	t.Helper()
	inv, err := shared().Devices(t.Context())
	for _, want := range strings.Split(os.Getenv("GPUPLAY_REQUIRE"), ",") {
		known := slices.ContainsFunc(kinds, func(k *kind) bool { return k.api == want })
		if known && !slices.ContainsFunc(inv.Devices, func(d hardware.Device) bool { return d.API == want }) {
			t.Fatalf("GPUPLAY_REQUIRE names %s, but: %+v", want, inv.Missing)
		}
	}
	if errors.Is(err, fault.Unavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return inv.Devices
}

// each runs a test on every library.
func each(t *testing.T, f func(t *testing.T, d hardware.Device)) {
	for _, d := range devices(t) {
		t.Run(d.ID, func(t *testing.T) { f(t, d) })
	}
}

func TestDevices(t *testing.T) {
	ids := map[string]bool{}
	each(t, func(t *testing.T, d hardware.Device) {
		t.Logf("%+v", d)
		if ids[d.ID] {
			t.Errorf("ID %s twice", d.ID)
		}
		ids[d.ID] = true
		if d.Name == "" || d.Kind != hardware.CPU || d.API == "" || d.Library == "" {
			t.Errorf("incomplete: %+v", d)
		}
		if d.Version == "" || strings.Trim(d.Version, "0123456789.") != "" && d.API != "accelerate" {
			t.Errorf("version %q is no version", d.Version)
		}
	})
}

// TestProducts compares every element with the sum in float64.
func TestProducts(t *testing.T) {
	each(t, func(t *testing.T, d hardware.Device) {
		for _, dtype := range []matrix.DType{matrix.Float32, matrix.Float64} {
			if shared().libraries[d.ID].products[dtype] == nil {
				continue
			}
			for _, s := range [][3]int{{1, 1, 1}, {1, 7, 3}, {5, 1, 9}, {3, 4, 1}, {17, 33, 65}, {130, 70, 200}} {
				for trans := range 4 {
					g := bench.Square(0, dtype)
					g.M, g.N, g.K = s[0], s[1], s[2]
					g.TransA, g.TransB = trans&1 != 0, trans&2 != 0
					if err := compare(t.Context(), d, g); err != nil {
						t.Errorf("%+v: %v", g, err)
					}
				}
			}
		}
	})
}

// compare computes g from both sets of operands and compares every element.
func compare(ctx context.Context, d hardware.Device, g bench.GEMM) error {
	const seed = 7
	task, err := shared().Prepare(ctx, d, g, seed, nil)
	if err != nil {
		return err
	}
	defer task.Close()
	for _, set := range []int{0, 1, 1, 0} {
		if _, err := task.Run(ctx, 2, set); err != nil {
			return err
		}
		if err := compareElements(ctx, task, g, seed, set); err != nil {
			return fmt.Errorf("set %d: %w", set, err)
		}
	}
	return nil
}

func compareElements(ctx context.Context, task bench.Task, g bench.GEMM, seed uint64, set int) error {
	a, b := matrix.NewStream(seed, matrix.OfA(set), g.In), matrix.NewStream(seed, matrix.B, g.In)
	for j := range g.N { // column j of C is C·e, with e all zeros but for a 1 at j
		e := make([]float64, g.N)
		e[j] = 1
		y, err := task.MulVec(ctx, e)
		if err != nil {
			return err
		}
		for i, got := range y {
			var want float64
			for k := range g.K {
				at, bt := i*g.K+k, k*g.N+j
				if g.TransA {
					at = k*g.M + i
				}
				if g.TransB {
					bt = j*g.K + k
				}
				want += a.At(at) * b.At(bt)
			}
			if bound := float64(g.K+1) * g.In.Unit(); !(math.Abs(got-want) <= bound) {
				return fmt.Errorf("C[%d,%d] = %v, want %v ± %v", i, j, got, want, bound)
			}
		}
	}
	return nil
}

type task32 = task[float32]

func TestThreads(t *testing.T) {
	want := shared().options.Threads
	each(t, func(t *testing.T, d hardware.Device) {
		task, err := shared().Prepare(t.Context(), d, bench.Square(8, matrix.Float32), 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer task.Close()
		if f := task.Facts(); f.Threads != want && len(f.Notes) == 0 {
			t.Errorf("%d threads without a note, want %d", f.Threads, want)
		}
	})
}

// A library that does not know this CPU must not pass for what it can be.
func TestGenericKernelsAreNoted(t *testing.T) {
	each(t, func(t *testing.T, d hardware.Device) {
		task, err := shared().Prepare(t.Context(), d, bench.Square(8, matrix.Float32), 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer task.Close()
		noted := slices.ContainsFunc(task.Facts().Notes, func(n string) bool { return strings.Contains(n, "generic kernels") })
		if generic := d.Detail == "generic kernels"; noted != generic {
			t.Errorf("kernels %q, notes %q", d.Detail, task.Facts().Notes)
		}
	})
}

func TestRefusals(t *testing.T) {
	g := func(m, n, k int, in, acc, out matrix.DType) bench.GEMM {
		return bench.GEMM{M: m, N: n, K: k, In: in, Acc: acc, Out: out}
	}
	const f32 = matrix.Float32
	each(t, func(t *testing.T, d hardware.Device) {
		for _, c := range []struct {
			gemm bench.GEMM
			want fault.Code
			says string
		}{
			{bench.Square(8, matrix.Float16), fault.Unsupported, "float16"},
			{bench.Square(8, matrix.BFloat16), fault.Unsupported, "bfloat16"},
			{bench.Square(8, matrix.TF32), fault.Unsupported, "tf32"},
			{g(8, 8, 8, f32, f32, matrix.Float64), fault.Unsupported, "float64"},
			{g(8, 8, 8, "int3", "int3", "int3"), fault.Unsupported, "int3"},
			{g(0, 8, 8, f32, f32, f32), fault.Invalid, "0×8"},
			{g(8, 8, -1, f32, f32, f32), fault.Invalid, "8×-1"},
			{g(1<<31, 1, 1, f32, f32, f32), fault.Invalid, "2147483647"},
			{g(math.MaxInt32, math.MaxInt32, math.MaxInt32, f32, f32, f32), fault.OutOfMemory, "is free"},
			{g(1<<20, 1<<20, 1, f32, f32, f32), fault.OutOfMemory, "is free"},
		} {
			_, err := shared().Prepare(t.Context(), d, c.gemm, 1, nil)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%+v: error %v, want %v that says %q", c.gemm, err, c.want, c.says)
			}
		}
	})
	devices(t) // skips where there are none
	_, err := shared().Prepare(t.Context(), hardware.Device{ID: "cray"}, bench.Square(8, f32), 1, nil)
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "cray") {
		t.Errorf("unknown device: error %v", err)
	}
}

func TestConforms(t *testing.T) {
	devices(t)
	enginetest.Run(t, shared(), enginetest.Want{DTypes: func(d hardware.Device) []matrix.DType {
		if d.API == "onednn" {
			return []matrix.DType{matrix.Float32}
		}
		return []matrix.DType{matrix.Float32, matrix.Float64}
	}})
}

// TestTogether has tasks of all libraries at work at once.
func TestTogether(t *testing.T) {
	var wg sync.WaitGroup
	for _, d := range devices(t) {
		for size := 20; size < 24; size++ {
			wg.Go(func() {
				if err := compare(t.Context(), d, bench.Square(size, matrix.Float32)); err != nil {
					t.Errorf("%s: %v", d.ID, err)
				}
			})
		}
	}
	wg.Wait()
}

func TestRunDoesNotAllocate(t *testing.T) {
	for _, d := range devices(t) {
		if d.API == "onednn" && !dl.HasFloats {
			continue // purego passes its floating-point arguments through reflect
		}
		task, err := shared().Prepare(t.Context(), d, bench.Square(4, matrix.Float32), 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		multiply := task.(*task32).multiply
		if n := testing.AllocsPerRun(100, func() { _ = multiply(2) }); n != 0 {
			t.Errorf("%s: %v allocations in a product", d.ID, n)
		}
		task.Close()
	}
}

func TestAligned(t *testing.T) {
	for n := 1; n < 100; n++ {
		s := aligned[float32](n)
		if len(s) != n || cap(s) != n || address(s)%64 != 0 {
			t.Errorf("%d elements: %d at %#x", n, len(s), address(s))
		}
	}
}

func TestFill(t *testing.T) {
	s := matrix.NewStream(3, matrix.B, matrix.Float64)
	for _, n := range []int{1, 2, 7, 200_000} {
		got := make([]float64, n)
		if err := fill(t.Context(), got, s); err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if got[i] != s.At(i) {
				t.Fatalf("element %d of %d is %v, want %v", i, n, got[i], s.At(i))
			}
		}
	}
}

// BenchmarkProduct reports the speed of every library with two threads; -cpu 1
// makes it one.
func BenchmarkProduct(b *testing.B) {
	for _, d := range devices(b) {
		for _, dtype := range []matrix.DType{matrix.Float32, matrix.Float64} {
			for _, size := range []int{64, 1024, 2048} {
				b.Run(fmt.Sprintf("%s/%s/%d", d.ID, dtype, size), func(b *testing.B) {
					g := bench.Square(size, dtype)
					task, err := shared().Prepare(b.Context(), d, g, 1, nil)
					if err != nil {
						b.Skip(err)
					}
					defer task.Close()
					if _, err := task.Run(b.Context(), 3, 0); err != nil {
						b.Fatal(err)
					}
					s, err := task.Run(b.Context(), b.N, 0)
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(g.FLOP()/s.Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}
