package nvidia

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/probe"
)

// The tests start this binary as the probe.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "probe" {
		if err := probe.Answer(os.Stdout, NVML()); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// install puts a library in the place of NVML, for the processes that are started from
// now on.
func install(t *testing.T, name string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the library is found by Linux's LD_LIBRARY_PATH")
	}
	file := enginetest.SharedLibrary(t, filepath.Join("testdata", "nvml.c"), "libnvidia-ml.so.1", "-DCASE="+name)
	t.Setenv("LD_LIBRARY_PATH", filepath.Dir(file))
}

func pointer[T any](v T) *T { return &v }

var (
	h100 = GPU{Name: "NVIDIA H100 80GB HBM3", Capability: "9.0", Memory: pointer(uint64(85520809984)), Busy: pointer(98), UUID: "GPU-a", PCI: "0000:19:00.0"}
	gb10 = GPU{Name: "NVIDIA GB10", Capability: "12.1", Busy: pointer(0), UUID: "GPU-b", PCI: "0000:3b:00.0"}
)

// A real library, loaded by the real loader in a process of its own.
func TestNVML(t *testing.T) {
	bare := func(g GPU) GPU { g.Capability, g.Busy, g.PCI = "", nil, ""; return g }
	for name, want := range map[string]Driver{
		"GOOD":       {Version: "580.95.05", CUDA: "13.0", Asked: true, GPUs: []GPU{h100, gb10}},
		"LOST":       {Version: "580.95.05", CUDA: "13.0", Asked: true, GPUs: []GPU{h100}, Lost: []string{"GPU 1: GPU is lost"}},
		"MISMATCH":   {Error: "NVML: Driver/library version mismatch"},
		"NOT_LOADED": {Error: "NVML: Driver Not Loaded"},
		"ABORT":      {Error: "NVML: probe nvml: libnvidia-ml: assertion failed; a driver ended the process: SIGABRT: abort"},
		"NONE":       {Version: "580.95.05", CUDA: "13.0", Asked: true},
		"OLD":        {Version: "580.95.05", Asked: true, GPUs: []GPU{bare(h100), bare(gb10)}},
		"PRINTS":     {Version: "580.95.05", CUDA: "13.0", Asked: true, GPUs: []GPU{h100, gb10}},
		"UNCOUNTED":  {Version: "580.95.05", CUDA: "13.0", Error: "NVML: counting the GPUs: Unknown Error"},
	} {
		t.Run(name, func(t *testing.T) {
			install(t, name)
			t.Setenv("PATH", t.TempDir()) // without nvidia-smi
			got := ask(t.Context(), probe.Ask)
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// A library that hangs costs the time that it was given, and nothing is concluded.
func TestNVMLHangs(t *testing.T) {
	install(t, "HANG")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	d := ask(ctx, probe.Ask)
	if !d.Slow || d.Asked || !strings.HasPrefix(d.Error, "no answer within ") {
		t.Errorf("%+v", d)
	}
}

// Whoever interrupts does not have a slow driver.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if d := ask(ctx, probe.Ask); d.Slow {
		t.Errorf("%+v", d)
	}
	var answer Driver
	if _, err := probe.Ask(ctx, Probe, &answer); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// A machine without the library is one without a driver; a file that cannot be loaded
// has a reason.
func TestNoNVML(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the library is found by Linux's LD_LIBRARY_PATH")
	}
	t.Setenv("PATH", t.TempDir())
	dir := t.TempDir()
	t.Setenv("LD_LIBRARY_PATH", dir)
	if d := ask(t.Context(), probe.Ask); !d.Asked && d.Error != "" { // a machine with a driver answers
		t.Errorf("without a library: %+v", d)
	}
	if err := os.WriteFile(filepath.Join(dir, "libnvidia-ml.so.1"), []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d := ask(t.Context(), probe.Ask); d.Asked || !strings.Contains(d.Error, "libnvidia-ml.so.1") {
		t.Errorf("a file that is no library: %+v", d)
	}
}
