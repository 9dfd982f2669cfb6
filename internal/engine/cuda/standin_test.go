package cuda

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/ffi/cuda"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/ptx"
)

// libraries is the folder of what is built.
var libraries string

func TestMain(m *testing.M) {
	var err error
	if libraries, err = os.MkdirTemp("", "gpuplay-libraries-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(libraries)
	os.Exit(code)
}

// A fault of the stand-in, by its number in testdata/driver.c.
type standInFault int

const (
	none standInFault = iota
	noDevice
	hidden
	old
	refusesPTX
	aborts
	overwritesAfter
	overwritesBefore
	skips
	hangs
	launchFails
	launchAborts
	launchHangs
	refusesText
	losesCopies
	losesUploads
	losesDownloads
	twoGPUs
	losesPeerCopies // of two GPUs
	noPeerAccess    // between two GPUs
)

// library is the file of the stand-in, once it is built.
var library string

// standIn has the stand-in for the driver start anew, with a fault, and returns its file. It is
// built once.
func standIn(t testing.TB, f standInFault) string { return standInOf(t, f, 13000, 256<<20) }

// standInOf is standIn of a CUDA version, with as many bytes of memory.
func standInOf(t testing.TB, f standInFault, version, memory int) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the stand-in for the driver is written for Linux")
	}
	if library == "" {
		library = build(t, "driver.c", "libcuda.so.1")
	}
	dl.Call(symbol(t, "set"), uintptr(f), uintptr(version), uintptr(memory))
	return library
}

// build builds a library that outlives the test.
func build(t testing.TB, source, name string) string {
	t.Helper()
	built := enginetest.SharedLibrary(t, filepath.Join("testdata", source), name, "-Wall", "-Werror", "-Wl,--no-as-needed", "-lm")
	text, err := os.ReadFile(built)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(libraries, name)
	if err := os.WriteFile(file, text, 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// symbol returns a function of the stand-in's own.
func symbol(t testing.TB, name string) uintptr {
	t.Helper()
	lib, err := dl.Open(library)
	if err != nil {
		t.Fatal(err)
	}
	f, err := lib.Sym("standin_" + name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// on returns an engine that uses a stand-in and the reference's kernels.
func on(file string, o Options) *Engine {
	e := New(o)
	e.machine.open = func() (*cuda.Library, error) { return cuda.OpenFile(file) }
	e.kernels = reference(1)
	return e
}

// reference returns kernels without any code, of which the stand-in computes the product.
func reference(count int) func(ptx.Card, ptx.Problem) ([]ptx.Kernel, error) {
	return func(_ ptx.Card, p ptx.Problem) ([]ptx.Kernel, error) {
		var list []ptx.Kernel
		for i := range count {
			list = append(list, ptx.Kernel{
				Name: fmt.Sprint("reference ", i), ISA: 70, Target: "sm_50",
				Text: fmt.Sprintf("// gemm %s %s %s %s\n.version 7.0\n.target sm_50\n.visible .entry gemm(.param .u64 pA, .param .u64 pB, .param .u64 pC,\n .param .u32 pM, .param .u32 pN, .param .u32 pK)\n{\nret; // %d\n}\n", p.In, p.Acc, p.Out, p.Layout(), i),
				Launches: []ptx.Launch{{
					Entry: "gemm", Grid: [3]int{1, 1, 1}, Block: [3]int{32, 1, 1},
					Params: []ptx.Param{{Kind: ptx.A}, {Kind: ptx.B}, {Kind: ptx.C}, word(p.M), word(p.N), word(p.K)},
				}},
			})
		}
		return list, nil
	}
}

func word(n int) ptx.Param { return ptx.Param{Kind: ptx.Word, Word: uint32(n)} }

// count returns what the stand-in says of itself: in_use, products or compiled.
func count(t testing.TB, what string) func() uint64 {
	t.Helper()
	f := symbol(t, what)
	return func() uint64 { return uint64(dl.Call(f)) }
}
