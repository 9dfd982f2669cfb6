package nvidia

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// smiSays puts a program for /bin/sh on PATH as nvidia-smi.
func smiSays(t *testing.T, script string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("a program for /bin/sh")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "nvidia-smi"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// refuse is how nvidia-smi answers to a field that it does not know.
func refuse(field string) string {
	return `case "$1" in *` + field + `*) echo 'Field "` + field + `" is not a valid field to query.'; echo; exit 2;; esac` + "\n"
}

func mib(n uint64) *uint64 { return pointer(n << 20) }

func TestSMI(t *testing.T) {
	t4 := GPU{Name: "Tesla T4", Capability: "7.5", Memory: mib(15360), Busy: pointer(3)}
	const row = "echo 'Tesla T4, 570.86.15, 7.5, 15360, 3'\n"
	for _, tt := range []struct {
		name, script string
		want         Driver
	}{
		{"a GPU", row, Driver{Version: "570.86.15", Asked: true, GPUs: []GPU{t4}}},
		{"two", row + row, Driver{Version: "570.86.15", Asked: true, GPUs: []GPU{t4, t4}}},
		{"a field that it does not know", refuse("compute_cap") + "echo 'Tesla T4, 470.182.03, 15360, 3'",
			Driver{Version: "470.182.03", Asked: true, GPUs: []GPU{{Name: "Tesla T4", Memory: t4.Memory, Busy: t4.Busy}}}},
		{"two fields that it does not know", refuse("compute_cap") + refuse("utilization.gpu") + "echo 'Tesla T4, 470.182.03, 15360'",
			Driver{Version: "470.182.03", Asked: true, GPUs: []GPU{{Name: "Tesla T4", Memory: t4.Memory}}}},
		{"nothing but names", refuse("compute_cap") + refuse("utilization.gpu") + refuse("driver_version") + refuse("memory.total") + "echo 'Tesla T4'",
			Driver{Asked: true, GPUs: []GPU{{Name: "Tesla T4"}}}},
		{"what it cannot say", "echo 'NVIDIA GB10, 580.126.09, 12.1, [N/A], [Not Supported]'",
			Driver{Version: "580.126.09", Asked: true, GPUs: []GPU{{Name: "NVIDIA GB10", Capability: "12.1"}}}},
		{"a driver's version that it cannot say", "echo 'Tesla T4, [Unknown Error], 7.5, 15360, 3'", Driver{Asked: true, GPUs: []GPU{t4}}},
		{"a warning and an exit code", row + "echo 'WARNING: infoROM is corrupted at gpu 0000:B3:00.0'; exit 14",
			Driver{Version: "570.86.15", Asked: true, GPUs: []GPU{t4}, Warnings: []string{"WARNING: infoROM is corrupted at gpu 0000:B3:00.0"}}},
		{"a warning on stderr", "echo 'WARNING: one' >&2; echo ' two' >&2\n" + row,
			Driver{Version: "570.86.15", Asked: true, GPUs: []GPU{t4}, Warnings: []string{"WARNING: one two"}}},
		{"an exit code alone", row + "exit 14", Driver{Version: "570.86.15", Asked: true, GPUs: []GPU{t4}, Warnings: []string{"nvidia-smi ended with exit status 14"}}},
		{"a lost one first", "echo 'Unable to determine the device handle for GPU0000:02:00.0: Unknown Error'\n" + row,
			Driver{Version: "570.86.15", Asked: true, GPUs: []GPU{t4}, Lost: []string{"Unable to determine the device handle for GPU0000:02:00.0: Unknown Error"}}},
		{"a sentence with four commas", "echo 'one, two, three, four, five'\n" + row,
			Driver{Version: "570.86.15", Asked: true, GPUs: []GPU{t4}, Warnings: []string{"one, two, three, four, five"}}},
		{"no GPU", "echo 'No devices were found'; exit 6", Driver{Asked: true}},
		{"another version of the driver", "echo 'Failed to initialize NVML: Driver/library version mismatch'; echo 'NVML library version: 535.183'; exit 18",
			Driver{Error: "nvidia-smi: Failed to initialize NVML: Driver/library version mismatch NVML library version: 535.183"}},
		{"a driver that is not loaded", "echo \"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\"; exit 9",
			Driver{Error: "nvidia-smi: NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."}},
		{"a program that fails silently", "exit 3", Driver{Error: "nvidia-smi: exit status 3"}},
		{"a program that says nothing", "", Driver{Error: "nvidia-smi says nothing"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			smiSays(t, tt.script)
			got := ask(t.Context(), nil)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestSMIHangs(t *testing.T) {
	smiSays(t, "sleep 1000")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if d := ask(ctx, nil); !d.Slow || d.Asked || d.Mismatched() {
		t.Errorf("%+v", d)
	}
}

// What NVML says is not lost if nvidia-smi hangs after it.
func TestSMIHangsAfterNVML(t *testing.T) {
	smiSays(t, "sleep 1000")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	d := ask(ctx, func(_ context.Context, _ string, answer any, _ ...string) (string, error) {
		*answer.(*Driver) = Driver{Error: "NVML: Driver/library version mismatch"}
		return "", nil
	})
	if d.Slow || !d.Mismatched() || !strings.Contains(d.Error, "; nvidia-smi: no answer within ") {
		t.Errorf("%+v", d)
	}
}

func TestMismatched(t *testing.T) {
	for text, want := range map[string]bool{"NVML: Driver/library version mismatch": true, "NVML: Driver Not Loaded": false, "": false} {
		if (Driver{Error: text}).Mismatched() != want {
			t.Errorf("%q", text)
		}
	}
}

// What the kernel says fills what the driver did not.
func TestKernel(t *testing.T) {
	root := t.TempDir()
	file := func(path, text string) {
		path = filepath.Join(root, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n")
	file("proc/driver/nvidia/gpus/0000:19:00.0/information", "Model: \t\t NVIDIA H100\nGPU UUID: \t GPU-a\nBus Location: \t 0000:19:00.0\nGPU Excluded:\t No\n")
	file("dev/nvidiactl", "")
	listed := []GPU{{Name: "NVIDIA H100", UUID: "GPU-a", PCI: "0000:19:00.0"}}
	for _, tt := range []struct{ driver, want Driver }{
		{Driver{Error: "x"}, Driver{Error: "x", Version: "580.65.06", Nodes: true, GPUs: listed}},
		{Driver{Asked: true, Version: "1.2"}, Driver{Asked: true, Version: "1.2", Nodes: true}},
	} {
		tt.driver.kernel(root)
		if d := cmp.Diff(tt.want, tt.driver); d != "" {
			t.Error(d)
		}
	}
	for text, want := range map[string]string{
		"NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC version: gcc 12.2.0\n":                "535.183.01",
		"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder@U22)  Sun Jul 27 07:16:10 UTC 2025": "580.65.06",
		"": "",
	} {
		if got := moduleVersion(text); got != want {
			t.Errorf("moduleVersion(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("Tesla T4, 570.86.15, 7.5, 15360, 3\nWARNING: x\n")
	f.Add("\"a, 1.2, , ,\n")
	f.Fuzz(func(t *testing.T, text string) {
		d := parse(fields, text)
		if d.Asked != (len(d.GPUs) > 0) {
			t.Errorf("%+v", d)
		}
	})
}
