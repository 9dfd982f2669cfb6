package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/report"
)

func TestPick(t *testing.T) {
	c := contender{engine: engine{name: "torch"}, found: hardware.Inventory{
		Devices: []hardware.Device{
			{ID: "cpu", Kind: hardware.CPU, API: "cpu"},
			{ID: "cuda:GPU-a", Kind: hardware.GPU, API: "cuda"},
			{ID: "cuda:GPU-b", Kind: hardware.GPU, API: "cuda"},
		},
		Missing: []hardware.Missing{{API: "mps", Kind: hardware.GPU, Reason: "not a Mac", Remedies: fault.Advice("buy one")}},
	}}
	for want, id := range map[string]string{"cpu": "cpu", "gpu": "cuda:GPU-a", "cuda": "cuda:GPU-a", "cuda:0": "cuda:GPU-a", "cuda:1": "cuda:GPU-b", "cuda:GPU-b": "cuda:GPU-b"} {
		if d, err := pick(c, want); err != nil || d.ID != id {
			t.Errorf("--device %s picks %q, %v, want %s", want, d.ID, err, id)
		}
	}
	for want, says := range map[string]string{
		"mps":    "torch has no device mps: not a Mac",
		"vulkan": `torch has no device "vulkan"`,
		"cuda:2": `torch has no device "cuda:2"`,
	} {
		if _, err := pick(c, want); !errors.Is(err, fault.Unavailable) || err.Error() != says {
			t.Errorf("--device %s: error %v, want %s", want, err, says)
		}
	}
	// A GPU that is missing is never replaced by the CPU.
	c.found.Devices = c.found.Devices[:1]
	if _, err := pick(c, "gpu"); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "not a Mac") {
		t.Errorf("--device gpu without one: error %v", err)
	}
}

// A race takes every GPU, and each CPU library once.
func TestRacing(t *testing.T) {
	c := contender{found: hardware.Inventory{Devices: []hardware.Device{
		{ID: "openblas", Kind: hardware.CPU, API: "openblas"},
		{ID: "openblas-2", Kind: hardware.CPU, API: "openblas"},
		{ID: "mkl", Kind: hardware.CPU, API: "mkl"},
		{ID: "cuda:GPU-a", Kind: hardware.GPU, API: "cuda"},
		{ID: "cuda:GPU-b", Kind: hardware.GPU, API: "cuda"},
	}}}
	var ids []string
	for _, d := range c.racing() {
		ids = append(ids, d.ID)
	}
	if got, want := strings.Join(ids, " "), "openblas mkl cuda:GPU-a cuda:GPU-b"; got != want {
		t.Errorf("racing %s, want %s", got, want)
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "r.json")
	write := func(text string, err error) error {
		return writeFile(file, func(w io.Writer) error {
			io.WriteString(w, text)
			return err
		})
	}
	if err := write("first", nil); err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	if err := write("half of the sec", full); !errors.Is(err, full) {
		t.Errorf("error %v, want disk full", err)
	}
	if got, _ := os.ReadFile(file); string(got) != "first" {
		t.Errorf("a write that failed left %q, want the file as it was", got)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, ".gpuplay-*")); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}

// What was measured is printed when its file cannot be written.
func TestDeliverKeepsTheResult(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: &out}
	f := outputFlags{format: "json", output: filepath.Join(t.TempDir(), "gone", "r.json"), quiet: true}
	err := a.deliver(t.Context(), f, &report.Document{Schema: report.Schema})
	if err == nil || !strings.Contains(err.Error(), "no such file or directory") || !strings.Contains(out.String(), report.Schema) {
		t.Errorf("error %v, printed %q", err, out.String())
	}
}

func TestProgressIsPlainWhenPiped(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, false, report.Style{Width: 80, Unicode: true})
	p.say("starting %s", "things")
	p.race([]bench.Lane{{Device: hardware.Device{Library: "Lib", Version: "1", API: "cpu"}}})
	p.observe(bench.Event{Phase: bench.Preparing})
	p.observe(bench.Event{Phase: bench.Sampling, Done: 1, Total: 10})
	p.observe(bench.Event{Phase: bench.Finished, Result: &bench.Result{Error: &fault.Error{Message: "no room"}}})
	p.close()
	if got, want := out.String(), "starting things\nLib 1 cpu: no room\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestProgressIsSilentWhenQuiet(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, true, report.Style{})
	p.say("anything")
	p.close()
	if out.Len() > 0 {
		t.Errorf("printed %q", out.String())
	}
}

func TestProgressLine(t *testing.T) {
	l := laneProgress{name: "A library with a name that is far too long", event: bench.Event{Phase: bench.Sampling, Done: 5, Total: 10, Speed: 1.5e12}}
	if got, want := l.line(report.Style{Unicode: true}), "A library with a name that is~  █████░░░░░   5/10 samples  1.50 TFLOP/s"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	l.event = bench.Event{}
	if got := l.line(report.Style{}); !strings.HasSuffix(got, "waiting") {
		t.Errorf("a lane that has not begun is shown as %q", got)
	}
}
