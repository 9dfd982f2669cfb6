package cuda

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/cuda"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// ltOn returns an engine that uses stand-ins for the driver and for cuBLASLt, which lies where
// a wheel has it.
func ltOn(t *testing.T) (e *Lt, library string) {
	t.Helper()
	file, packages := standIn(t, none), filepath.Join(libraries, "site-packages")
	folder := filepath.Join(packages, "nvidia", "cu13", "lib")
	library = filepath.Join(folder, "libcublasLt.so.13")
	if _, err := os.Stat(library); err != nil {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(build(t, "cublaslt.c", "libcublasLt.so.13"), library); err != nil {
			t.Fatal(err)
		}
	}
	e = NewLt(Options{Dirs: []string{filepath.Join(libraries, "nowhere"), packages}})
	e.machine.open = func() (*cuda.Library, error) { return cuda.OpenFile(file) }
	return e, library
}

func TestLtConforms(t *testing.T) {
	e, library := ltOn(t)
	d := device(t, e)
	if d.Label() != "cuBLASLt 13.1.2 cuda" || d.File != library || d.UUID == "" {
		t.Errorf("%+v, %s", d, d.Label())
	}
	enginetest.Run(t, e, enginetest.Want{
		DTypes: func(hardware.Device) []matrix.DType {
			return []matrix.DType{matrix.Float32, matrix.Float64, matrix.TF32, matrix.Float16, matrix.BFloat16}
		},
		InUse: count(t, "in_use"),
	})
}

// The algorithms are tried in their order, one that does not work is passed over, and the note
// compares the fastest with the first. Whatever the library made for the product is destroyed.
func TestLtChooses(t *testing.T) {
	e, library := ltOn(t)
	lib, err := dl.Open(library)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := lib.Sym("standin_objects")
	if err != nil {
		t.Fatal(err)
	}
	before := dl.Call(objects)
	g := bench.Square(8, matrix.Int8)
	g.TransB = true
	var tried []string
	task, err := e.Prepare(t.Context(), device(t, e), g, 1, func(x bench.Tuning) {
		if x.Speed > 0 {
			tried = append(tried, x.Variant)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tried, []string{"algorithm 1", "algorithm 2"}) {
		t.Errorf("tried %q", tried)
	}
	if notes := task.Facts().Notes; len(notes) == 0 || !strings.Contains(notes[0], ", the fastest of 3 that cuBLASLt proposes") {
		t.Errorf("notes %q", notes)
	}
	if err := task.Close(); err != nil {
		t.Fatal(err)
	}
	if now := dl.Call(objects); now != before+1 { // the handle stays
		t.Errorf("%d objects are left", now-before)
	}
}

func TestLtNote(t *testing.T) {
	const fastest = "algorithm 2, the fastest of 8 that cuBLASLt proposes"
	for _, tt := range []struct {
		first float64
		want  string
	}{
		{1.03e-3, fastest + ": the first of them takes 1.03 times as long"},
		{1.0051e-3, fastest + ": the first of them takes 1.01 times as long"},
		{1.0049e-3, fastest}, // the digits would not show it
		{1e-3, fastest},
		{0, fastest}, // it did not work
	} {
		if got := ltNote("algorithm 2", found{tried: 8, first: tt.first}, 1e-3); got != tt.want {
			t.Errorf("%g s: %q, want %q", tt.first, got, tt.want)
		}
	}
}

func TestLtRefuses(t *testing.T) {
	e, _ := ltOn(t)
	_, err := e.Prepare(t.Context(), device(t, e), bench.Square(8, matrix.Int8), 1, ignore)
	if !errors.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "int8 needs a transposed B") {
		t.Errorf("%v", err)
	}
	if n := count(t, "in_use")(); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
	// A broken library is named.
	broken := filepath.Join(t.TempDir(), "site-packages")
	folder := filepath.Join(broken, "nvidia", "cublas", "lib")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "libcublasLt.so.12")
	if err := os.WriteFile(file, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = findLt([]string{broken})
	if err == nil {
		t.Skip("this machine has cuBLASLt")
	}
	if !strings.Contains(err.Error(), file) || len(fault.From(err).Remedies) == 0 {
		t.Errorf("%v", err)
	}
}
