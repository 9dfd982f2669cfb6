package iokit

import (
	"errors"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
)

// The calls, with a library that has their functions; and all that was made is released.
func TestNumbers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the library is built for Linux")
	}
	file := enginetest.SharedLibrary(t, filepath.Join("testdata", "iokit.c"), "libiokit.so")
	l, err := open(file, file)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got := l.Numbers("IOAccelerator", "PerformanceStatistics", "Device Utilization %", "In use system memory", "a string", "nothing")
		if d := cmp.Diff(map[string]int64{"Device Utilization %": 73, "In use system memory": 1 << 33}, got); d != "" {
			t.Error(d)
		}
		if got := l.Numbers("IOAccelerator", "another property", "Device Utilization %"); len(got) != 0 {
			t.Errorf("%v", got)
		}
		if got := l.Numbers("another class", "PerformanceStatistics", "Device Utilization %"); len(got) != 0 {
			t.Errorf("%v", got)
		}
	}
	lib, err := dl.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	var held func() int32
	if err := lib.Register(&held, "stillHeld"); err != nil {
		t.Fatal(err)
	}
	if n := held(); n != 0 {
		t.Errorf("%d objects were not released", n)
	}
}

// Elsewhere there is none.
func TestOpen(t *testing.T) {
	if _, err := Open(); runtime.GOOS != "darwin" && !errors.Is(err, ErrMissing) {
		t.Errorf("%v", err)
	}
}
