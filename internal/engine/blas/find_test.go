package blas

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

func address[T element](s []T) uintptr { return uintptr(unsafe.Pointer(&s[0])) }

// write makes a file that is no library under the first name of OpenBLAS's.
func write(t *testing.T, dir string) (name string) {
	t.Helper()
	name = files["openblas"][0]
	if err := os.WriteFile(filepath.Join(dir, name), []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestBrokenFile(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "[odd] *")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Skip(err) // a name that this system does not allow
		}
		name := write(t, dir)
		_, missing, err := find(Options{Dirs: []string{dir}})
		if err != nil {
			t.Error(err)
		}
		if len(missing) == 0 || missing[0].API != "openblas" || !strings.Contains(missing[0].Reason, name) {
			t.Errorf("missing %+v, want %s first", missing, name)
		}
		if len(missing) > 0 && strings.Contains(missing[0].Reason, dir) {
			t.Errorf("reason %q tells of the folder", missing[0].Reason)
		}
	}
}

// No other library stands in for one that was named and is not there, or is none.
func TestNamedLibrary(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"no-such-library.so", filepath.Join(dir, write(t, dir)), dir} {
		e := New(Options{Libraries: []string{file}})
		inv, err := e.Devices(t.Context())
		if !errors.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), "GPUPLAY_BLAS names a library that cannot be used: "+file+": ") || len(fault.From(err).Remedies) == 0 || len(inv.Devices) > 0 {
			t.Errorf("%s: devices %+v, error %v", file, inv.Devices, err)
		}
		if _, again := e.Devices(t.Context()); again == nil || again.Error() != err.Error() {
			t.Errorf("%s: the second time, error %v", file, again)
		}
		if _, err := e.Prepare(t.Context(), hardware.Device{ID: "openblas"}, bench.Square(1, "float32"), 1, nil); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: Prepare: error %v", file, err)
		}
	}
}

// TestNothing hides every name that a library goes by.
func TestNothing(t *testing.T) {
	old, oldFolders := files, folders
	defer func() { files, folders = old, oldFolders }()
	folders = nil
	files = map[string][]string{"openblas": {"gpuplay-no-openblas.so"}, "mkl": {"gpuplay-no-mkl.so", "python/lib/*"}}

	dir := t.TempDir()
	broken := write(t, dir)
	files["openblas"] = append(files["openblas"], broken+"*") // in a folder only
	e := New(Options{Dirs: []string{dir}})
	inv, err := e.Devices(t.Context())
	var be *fault.Error
	if !errors.As(err, &be) || be.Code != fault.Unavailable || be.Remedies.String() != fixes["openblas"].String() {
		t.Fatalf("error %#v, want unavailable with a remedy", err)
	}
	if !strings.Contains(err.Error(), broken) || !strings.Contains(err.Error(), "gpuplay-no-mkl.so") {
		t.Errorf("%q does not name what was looked for", err)
	}
	if len(inv.Devices) != 0 || len(inv.Missing) != 2 {
		t.Errorf("inventory %+v, want two missing", inv)
	}
	if _, err := e.Prepare(t.Context(), hardware.Device{ID: "openblas"}, bench.Square(1, "float32"), 1, nil); !errors.Is(err, fault.Unavailable) {
		t.Errorf("Prepare: error %v, want unavailable", err)
	}
}

func TestVersionOfMKL(t *testing.T) {
	for in, want := range map[string]string{
		"Intel(R) oneAPI Math Kernel Library Version 2026.2-Product Build 20260915 for Intel(R) 64 architecture applications\x00": "2026.2",
		"Intel(R) Math Kernel Library Version 2019.0.4 Product Build 20190411\x00":                                                "2019.0.4",
		"\x00": "",
	} {
		if got := mklVersion(in); got != want {
			t.Errorf("%q: version %q, want %q", in, got, want)
		}
	}
}

// What keeps a library from being used knows better how to fix it than that it could be
// installed.
func TestRemedies(t *testing.T) {
	own := fmt.Errorf("oneDNN: %w", fault.Errorf(fault.Unsupported, "no such number of threads").With(fault.Change("threads", "leave {} out")))
	if got := remedies("onednn", own).String(); got != "leave threads out" {
		t.Errorf("remedies of %v: %s", own, got)
	}
	if got := remedies("openblas", errors.New("no ELF file")); got.String() != fixes["openblas"].String() || len(got) == 0 {
		t.Errorf("remedies of another error: %s", got)
	}
}
