//go:build linux && (amd64 || arm64)

package metal

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
)

// The kernel is compiled as C++, with a few definitions in the place of Metal's library,
// and computes products of every layout and kind of edge.
func TestKernel(t *testing.T) {
	cxx, err := exec.LookPath("c++")
	if err != nil {
		enginetest.Require(t, "c++", "there is no C++ compiler (c++) for the kernel")
	}
	for _, name := range []string{"float", "half", "bfloat"} {
		t.Run(name, func(t *testing.T) {
			run := compileKernel(t, cxx, name)
			for _, size := range [][3]int{{1, 1, 1}, {32, 32, 32}, {33, 70, 45}, {40, 5, 64}} {
				for trans := range 4 {
					if err := kernelRight(run, size[0], size[1], size[2], trans&1 != 0, trans&2 != 0); err != nil {
						t.Errorf("%d×%d×%d, layout %d: %v", size[0], size[1], size[2], trans, err)
					}
				}
			}
		})
	}
}

// compileKernel returns a function that computes a product: A, B, C, and the numbers of
// struct Product followed by the groups in x and y. Elements are stored as float32.
func compileKernel(t *testing.T, cxx, name string) func(a, b, c *float32, numbers *uint32) {
	t.Helper()
	dir := t.TempDir()
	include, err := filepath.Abs("testdata/cpp")
	if err != nil {
		t.Fatal(err)
	}
	call, err := os.ReadFile(filepath.Join(include, "run.cpp"))
	if err != nil {
		t.Fatal(err)
	}
	source, library := filepath.Join(dir, "kernel.cpp"), filepath.Join(dir, "kernel.so")
	text := "#include <metal_stdlib>\ntypedef " + name + " T;\n" + kernelSource + string(call)
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cxx, "-std=c++17", "-shared", "-fPIC", "-O2", "-Wno-attributes", "-pthread", "-I", include, "-o", library, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	l, err := dl.Open(library)
	if err != nil {
		t.Fatal(err)
	}
	var run func(a, b, c *float32, numbers *uint32)
	if err := l.Register(&run, "run"); err != nil {
		t.Fatal(err)
	}
	return run
}

// kernelRight computes a product of small integers, whose sums are exact.
func kernelRight(run func(a, b, c *float32, numbers *uint32), m, n, k int, transA, transB bool) error {
	at := func(i, j, columns, rows int, transposed bool) int {
		if transposed {
			return j*rows + i
		}
		return i*columns + j
	}
	const beyond = 64 * 64 // elements behind the end: NaN, which would spoil what reads them
	a, b := make([]float32, m*k+beyond), make([]float32, k*n+beyond)
	for i := range a {
		a[i] = float32(i*7%11 - 5)
	}
	for i := range b {
		b[i] = float32(i*5%13 - 6)
	}
	for i := range beyond {
		a[m*k+i], b[k*n+i] = float32(math.NaN()), float32(math.NaN())
	}
	c := make([]float32, m*n+beyond)
	for i := range c {
		c[i] = 12345
	}
	p := product(m, n, k, transA, transB)
	g := groups(m, n)
	numbers := append(p[:], uint32(g.Width), uint32(g.Height))
	run(unsafe.SliceData(a), unsafe.SliceData(b), unsafe.SliceData(c), unsafe.SliceData(numbers))
	for i := range m {
		for j := range n {
			var want float32
			for l := range k {
				want += a[at(i, l, k, m, transA)] * b[at(l, j, n, k, transB)]
			}
			if got := c[i*n+j]; got != want {
				return fmt.Errorf("element %d, %d is %v instead of %v", i, j, got, want)
			}
		}
	}
	for i, v := range c[m*n:] {
		if v != 12345 {
			return fmt.Errorf("element %d behind the end was written", i)
		}
	}
	return nil
}
