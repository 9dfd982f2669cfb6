package doctor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/record"
)

// facts reads a record.
func facts(t *testing.T, name string) Facts {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var f Facts
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if f.Source == "" {
		t.Errorf("%s does not say where it comes from", name)
	}
	return f
}

var records = []string{"container", "h200", "mac", "rosetta", "laptop", "volta", "windows"}

// The whole diagnosis of each machine: what was seen, why it matters, and how to fix it.
func TestChecks(t *testing.T) {
	for _, name := range records {
		var b strings.Builder
		group := ""
		for _, c := range Examine(facts(t, name)) {
			if c.Group != group {
				group = c.Group
				fmt.Fprintln(&b, group)
			}
			fmt.Fprintf(&b, "  %s, %s: %s\n", c.Name, c.Status, c.Seen)
			if c.Why != "" {
				fmt.Fprintf(&b, "      %s\n", c.Why)
			}
			for _, r := range c.Remedies {
				fmt.Fprintf(&b, "    > %s\n", fault.Remedies{r})
				if r.Text == "" && r.Param == "" && len(r.Command) == 0 {
					t.Errorf("%s: a remedy of %s says nothing", name, c.Name)
				}
			}
		}
		golden.Compare(t, name+".txt", b.String())
	}
}

// Every framework is judged, and none that is not on the list.
func TestRulesAreComplete(t *testing.T) {
	for _, f := range python.Frameworks {
		if rules[f.Name] == nil {
			t.Errorf("there is no rule for %s", f.Title)
		}
	}
	if len(rules) != len(python.Frameworks) {
		t.Errorf("%d rules for %d frameworks", len(rules), len(python.Frameworks))
	}
}

// A remedy is a command that can be run as it is: one word per argument, and nothing
// that only a shell would understand.
func TestCommands(t *testing.T) {
	for _, name := range records {
		for _, c := range Examine(facts(t, name)) {
			for _, r := range c.Remedies {
				for i, word := range r.Command {
					if word == "" || i == 0 && strings.ContainsAny(word, " ;&|") || strings.HasPrefix(word, "'") || slices.Contains([]string{"&&", "|", ";"}, word) {
						t.Errorf("%s: %s is fixed by %q", name, c.Name, r.Command)
					}
				}
			}
		}
	}
}

// The verdicts that must not change by rewriting golden files.
func TestExamine(t *testing.T) {
	want := map[string]string{ // the checks that are not in order
		"container": "MLX:warning Variable:warning",
		"h200":      "",
		"mac":       "Xcode tools:warning Memory:warning Power:warning Heat:warning TensorFlow:failed MLX:failed JAX:failed Variable:warning",
		"rosetta":   "System:warning gpuplay:failed Python:warning PyTorch:failed TensorFlow:failed",
		"laptop":    "Power:warning CPU clock:warning Heat:warning NVIDIA:failed Vulkan:warning Python:failed PyTorch:warning MLX:failed JAX:failed Variable:warning Variable:warning",
		"volta":     "NVIDIA:warning PyTorch:failed TensorFlow:warning JAX:warning",
		"windows":   "PyTorch:warning TensorFlow:warning",
	}
	for _, name := range records {
		var got []string
		for _, c := range Examine(facts(t, name)) {
			if c.Status == record.Warning || c.Status == record.Failed {
				got = append(got, c.Name+":"+string(c.Status))
				if c.Why == "" {
					t.Errorf("%s: %s says not why it matters", name, c.Name)
				}
			}
			if c.Seen == "" {
				t.Errorf("%s: %s saw nothing", name, c.Name)
			}
		}
		if d := cmp.Diff(want[name], strings.Join(got, " ")); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
	}
}

// Single facts changed, and what becomes of the check.
func TestRules(t *testing.T) {
	gpu := func(f *Facts) { f.NVIDIA = &NVIDIA{Driver: "580.65", GPUs: []GPU{{Name: "H100", Capability: "9.0"}}} }
	for _, test := range []struct {
		what, record string
		change       func(*Facts)
		check        string
		want         record.Status
		why          string // part of the diagnosis
	}{
		{"a container without its GPU", "container", func(f *Facts) { f.NVIDIA.Driver = "580.65" }, "NVIDIA", record.Failed, "every lane runs on the CPU"},
		{"driver updated under a running one", "volta", func(f *Facts) {
			f.NVIDIA = &NVIDIA{Driver: "580.65", Nodes: true, Error: "Failed to initialize NVML: Driver/library version mismatch"}
		}, "NVIDIA", record.Failed, "updated"},
		{"old driver", "h200", func(f *Facts) { f.NVIDIA.Driver = "535.183.01" }, "PyTorch", record.Failed, "needs 580 or newer"},
		{"driver just new enough", "h200", func(f *Facts) { f.NVIDIA.Driver = "580.65.06" }, "PyTorch", record.OK, ""},
		{"CUDA 12 on Volta", "volta", func(f *Facts) { f.Frameworks[0].CUDA = "12.6" }, "PyTorch", record.OK, ""},
		{"tensorflow-metal with 2.19", "mac", func(f *Facts) { f.Frameworks[1].Packages["tensorflow"] = "2.19.1" }, "TensorFlow", record.OK, ""},
		{"tensorflow-metal 1.1 with 2.18", "mac", func(f *Facts) {
			f.Frameworks[1].Packages = map[string]string{"tensorflow": "2.18.0", "tensorflow-metal": "1.1.0"}
		}, "TensorFlow", record.Failed, "2.18"},
		{"TensorFlow without metal", "mac", func(f *Facts) { delete(f.Frameworks[1].Packages, "tensorflow-metal") }, "TensorFlow", record.Warning, "no GPU lane"},
		{"jax-metal with 0.5.0", "mac", func(f *Facts) { f.Frameworks[3].Packages["jaxlib"] = "0.5.0" }, "JAX", record.OK, ""},
		{"PyTorch 2.9 on macOS 13", "rosetta", func(f *Facts) {
			f.Frameworks[0].Python.Machine, f.Frameworks[0].Packages["torch"] = "arm64", "2.9.1"
		}, "PyTorch", record.OK, ""},
		{"PyTorch 2.10 on macOS 13", "rosetta", func(f *Facts) { f.Frameworks[0].Python.Machine = "arm64" }, "PyTorch", record.Failed, "macOS 14"},
		{"CPU-only PyTorch beside a GPU", "container", func(f *Facts) { gpu(f); f.Frameworks[0].CUDA = "" }, "PyTorch", record.Warning, "CPU-only"},
		{"tensorflow-cpu beside a GPU", "container", gpu, "TensorFlow", record.Warning, "tensorflow-cpu"},
		{"mlx[cpu] beside a GPU", "container", gpu, "MLX", record.Warning, "no GPU lane"},
		{"jax without jaxlib", "container", func(f *Facts) { delete(f.Frameworks[3].Packages, "jaxlib") }, "JAX", record.Failed, "jaxlib"},
		{"a framework that sees no GPU", "mac", func(f *Facts) {
			e := f.engine("torch")
			e.Found.Devices = e.Found.Devices[:1]
			e.Found.Missing = append(e.Found.Missing, hardware.Missing{API: "mps", Reason: "built without MPS"})
		}, "PyTorch", record.Warning, "built without MPS"},
		{"powersave of intel_pstate", "volta", func(f *Facts) { f.Clock.Preference = "power" }, "CPU clock", record.Warning, "slow to raise"},
		{"no turbo", "volta", func(f *Facts) { f.Clock.NoTurbo = true }, "CPU clock", record.Warning, "highest"},
		{"an Intel Mac", "mac", func(f *Facts) { f.Apple.Silicon = false }, "Metal", record.Warning, "Apple silicon"},
		{"a virtual Mac", "mac", func(f *Facts) { f.Virtual = true }, "Metal", record.Warning, "MPS"},
		{"nothing known of memory", "mac", func(f *Facts) { f.Memory = nil }, "Memory", record.Unknown, ""},
		{"a BLAS that was named and is not there", "container", func(f *Facts) {
			f.engine("blas").Error = fault.Errorf(fault.Invalid, "GPUPLAY_BLAS names a library that cannot be used: a.so")
		}, "BLAS", record.Failed, "asked for by name"},
		{"no engine at all", "container", func(f *Facts) { f.Engines = nil }, "Race", record.Failed, "nothing to race"},
		{"no Python", "container", func(f *Facts) { f.Frameworks = nil }, "Python", record.Absent, "taken from it"},
		{"software Vulkan without a GPU", "container", func(f *Facts) { f.Vulkan.Drivers = []string{"lvp_icd.x86_64"} }, "Vulkan", record.Absent, "never for a comparison"},
		{"hidden GPUs", "h200", func(f *Facts) { f.Variables = map[string]string{"CUDA_VISIBLE_DEVICES": ""} }, "Variable", record.Warning, "hides"},
		{"hidden GPUs where there are none", "container", func(f *Facts) { f.Variables = map[string]string{"CUDA_VISIBLE_DEVICES": ""} }, "Variables", record.OK, ""},
		{"strict oneDNN", "container", func(f *Facts) { f.Variables = map[string]string{"ONEDNN_DEFAULT_FPMATH_MODE": "STRICT"} }, "Variables", record.OK, ""},
	} {
		f := facts(t, test.record)
		test.change(&f)
		found := false
		for _, c := range Examine(f) {
			if c.Name != test.check {
				continue
			}
			found = true
			if c.Status != test.want || !strings.Contains(c.Why, test.why) {
				t.Errorf("%s: %s is %s: %s: %s; want %s: …%s…", test.what, c.Name, c.Status, c.Seen, c.Why, test.want, test.why)
			}
		}
		if !found {
			t.Errorf("%s: no check %s", test.what, test.check)
		}
	}
}

// Nothing known must not be an accident.
func TestNothingKnown(t *testing.T) {
	for _, os := range []string{"linux", "darwin", "windows"} {
		list := Examine(Facts{OS: os, Engines: facts(t, "container").Engines})
		for _, c := range list {
			if c.Status == record.Failed || c.Status == record.Warning {
				t.Errorf("%s: a complaint about a machine that nothing is known of: %+v", os, c)
			}
		}
	}
}

func TestOlder(t *testing.T) {
	for _, test := range []struct {
		version, than string
		want          bool
	}{
		{"2.9.1", "2.10", true}, {"2.10.0", "2.10", false}, {"2.10", "2.10", false}, {"2.15.0+cu132", "2.15", false},
		{"2.10.0rc1", "2.9", false}, {"", "1", false}, {"unknown", "1", false}, {"535.183.01", "580", true}, {"15.1", "14", false}, {"9.0", "7.5", false},
	} {
		if got := older(test.version, test.than); got != test.want {
			t.Errorf("older(%q, %q) = %v", test.version, test.than, got)
		}
	}
}
