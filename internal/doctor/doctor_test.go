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
	"github.com/gpuplay/gpuplay/internal/nvidia"
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
		"volta":     "NVIDIA:warning PyTorch:failed TensorFlow:warning MLX:failed JAX:warning",
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
	gpu := func(f *Facts) {
		f.NVIDIA = &nvidia.Driver{Version: "580.65", Asked: true, GPUs: []nvidia.GPU{{Name: "H100", Capability: "9.0"}}}
	}
	for _, test := range []struct {
		what, record string
		change       func(*Facts)
		check        string
		want         record.Status
		why          string // part of the diagnosis
	}{
		{"a container without its GPU", "container", func(f *Facts) { f.NVIDIA.Version = "580.65" }, "NVIDIA", record.Failed, "every lane runs on the CPU"},
		{"driver updated under a running one", "volta", func(f *Facts) {
			f.NVIDIA = &nvidia.Driver{Version: "580.65", Nodes: true, Error: "nvidia-smi: Failed to initialize NVML: Driver/library version mismatch"}
		}, "NVIDIA", record.Failed, "updated"},
		{"old driver", "h200", func(f *Facts) { f.NVIDIA.Version = "535.183.01" }, "PyTorch", record.Failed, "needs 580 or newer"},
		{"driver just new enough", "h200", func(f *Facts) { f.NVIDIA.Version = "580.65.06" }, "PyTorch", record.OK, ""},
		{"an RTX 50 with a wheel for CUDA 12.4", "h200", func(f *Facts) {
			f.NVIDIA.Version, f.NVIDIA.GPUs = "575.57.08", []nvidia.GPU{{Name: "NVIDIA GeForce RTX 5090", Capability: "12.0"}}
			f.Frameworks[0].CUDA, f.Frameworks[0].Packages = "12.4", map[string]string{"torch": "2.6.0+cu124"}
		}, "PyTorch", record.Failed, "no code for NVIDIA GeForce RTX 5090, compute capability 12.0"},
		{"a P100 with a wheel for CUDA 12.8", "h200", func(f *Facts) {
			f.NVIDIA.GPUs = []nvidia.GPU{{Name: "Tesla P100-PCIE-16GB", Capability: "6.0"}}
			f.Frameworks[0].CUDA, f.Frameworks[0].Packages = "12.8", map[string]string{"torch": "2.9.1+cu128"}
		}, "PyTorch", record.Failed, "no code for Tesla P100"},
		{"one of two GPUs without code", "h200", func(f *Facts) {
			f.NVIDIA.GPUs = append(f.NVIDIA.GPUs, nvidia.GPU{Name: "Tesla P100-PCIE-16GB", Capability: "6.0"})
		}, "PyTorch", record.Warning, "no code for Tesla P100"},
		{"driver 470", "h200", func(f *Facts) { f.NVIDIA.Version = "470.182.03" }, "NVIDIA", record.Warning, "too old"},
		{"a GPU that says little", "h200", func(f *Facts) { f.NVIDIA.GPUs = []nvidia.GPU{{Name: "NVIDIA GB10"}} }, "NVIDIA", record.OK, ""},
		{"a driver that is slow", "h200", func(f *Facts) {
			f.NVIDIA = &nvidia.Driver{Version: "535.183.01", Nodes: true, Slow: true, Error: "no answer within 0.9 s"}
		}, "NVIDIA", record.Unknown, "nothing follows"},
		{"a driver that cannot be asked", "h200", func(f *Facts) {
			f.NVIDIA = &nvidia.Driver{Version: "535.183.01", Nodes: true, Error: "NVML: Insufficient Permissions"}
		}, "NVIDIA", record.Warning, "could not be asked"},
		{"a driver that finds nothing", "h200", func(f *Facts) { f.NVIDIA = &nvidia.Driver{Version: "595.10", Nodes: true, Asked: true} }, "NVIDIA", record.Failed, "nothing can compute"},
		{"a driver without a card", "h200", func(f *Facts) { f.PCI, f.NVIDIA = []PCI{}, &nvidia.Driver{Version: "595.10", Nodes: true, Asked: true} }, "NVIDIA", record.Absent, ""},
		{"an NVML that finds no driver", "laptop", func(f *Facts) { f.NVIDIA.Error = "NVML: Driver Not Loaded" }, "NVIDIA", record.Failed, "nothing can compute"},
		{"ROCm on a machine with NVIDIA's GPU", "h200", func(f *Facts) { f.Frameworks[0].CUDA, f.Frameworks[0].ROCm = "", "7.2" }, "PyTorch", record.Warning, "AMD's ROCm"},
		{"ROCm without the kernel's device", "volta", func(f *Facts) {
			f.PCI, f.NVIDIA, f.AMD = []PCI{{Vendor: "1002", Device: "744c"}}, &nvidia.Driver{}, &AMD{}
			f.Frameworks[0].CUDA, f.Frameworks[0].ROCm = "", "7.2"
		}, "PyTorch", record.Warning, "/dev/kfd is missing"},
		{"ROCm without permission", "volta", func(f *Facts) {
			f.PCI, f.NVIDIA, f.AMD = []PCI{{Vendor: "1002", Device: "744c"}}, &nvidia.Driver{}, &AMD{Node: true, User: "ada"}
			f.Frameworks[0].CUDA, f.Frameworks[0].ROCm = "", "7.2"
		}, "PyTorch", record.Warning, "may not use /dev/kfd"},
		{"ROCm that works", "volta", func(f *Facts) {
			f.PCI, f.NVIDIA, f.AMD = []PCI{{Vendor: "1002", Device: "744c"}}, &nvidia.Driver{}, &AMD{Node: true, Access: true}
			f.Frameworks[0].CUDA, f.Frameworks[0].ROCm = "", "7.2"
		}, "PyTorch", record.OK, ""},
		{"TensorFlow 2.15 with NumPy 2", "container", func(f *Facts) {
			f.Frameworks[1].Packages = map[string]string{"tensorflow-cpu": "2.15.0", "numpy": "2.1.3"}
		}, "TensorFlow", record.Failed, "NumPy 1"},
		{"TensorFlow 2.18 with NumPy 2", "container", func(f *Facts) {
			f.Frameworks[1].Packages = map[string]string{"tensorflow-cpu": "2.18.0", "numpy": "2.1.3"}
		}, "TensorFlow", record.OK, ""},
		{"two TensorFlows", "container", func(f *Facts) { f.Frameworks[1].Packages["tensorflow"] = "2.21.0" }, "TensorFlow", record.Failed, "one folder"},
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
		{"Metal as it is known", "mac", func(f *Facts) { f.Metal = &Metal{Agree: 57} }, "Metal", record.OK, ""},
		{"another Metal", "mac", func(f *Facts) {
			f.Metal = &Metal{Agree: 56, Differ: []string{"-[MTLDevice name]: the protocol has no such method"}}
		}, "Metal", record.Warning, "the engine metal does not start"},
		{"Metal that cannot be loaded", "mac", func(f *Facts) { f.Metal = &Metal{Error: "no answer"} }, "Metal", record.Warning, "may not start"},
		{"a virtual Mac", "mac", func(f *Facts) { f.Virtual = true }, "Metal", record.Warning, "MPS"},
		{"a broken environment before the one that is used", "container", func(f *Facts) {
			f.Frameworks[0].Passed = []python.Candidate{{Why: ".venv-torch", Path: "/x/bin/python", Reason: "its interpreter was /opt/python3.9, which is not there"}}
			f.Frameworks[0].Python.Why = ".venv"
		}, "Python", record.Warning, "the next Python is used: .venv"},
		{"and no other", "container", func(f *Facts) {
			f.Frameworks[0] = Framework{Name: "torch", Python: Python{Path: "/usr/bin/python3", Why: "PATH", Version: "3.11.7"}, Passed: []python.Candidate{{Why: ".venv-torch", Path: "/x/bin/python", Reason: "no answer within 5s"}}}
		}, "Python", record.Failed, "what is installed in it cannot be used"},
		{"a framework that cannot be imported, and another that can", "container", func(f *Facts) {
			f.Frameworks[3].Passed = []python.Candidate{{Why: ".venv", Path: "/x/bin/python", Module: "jax", Reason: "jax without jaxlib"}}
		}, "JAX", record.Warning, "the next Python that has it is used: .venv-jax"},
		{"a framework that cannot be imported", "container", func(f *Facts) { f.Frameworks[0].Broken = "torch-2.1.0 is built for Python 3.9, this is 3.11.7" }, "PyTorch", record.Failed, "cannot be imported: torch-2.1.0 is built for Python 3.9"},
		{"a framework of a user's own", "container", func(f *Facts) { f.Frameworks[0].Source = "the user site" }, "PyTorch", record.Warning, "what else is in the user site comes with it"},
		{"half a CPU", "container", func(f *Facts) { f.Quota = &Quota{CPUs: 0.5, Machine: 2, Periods: 127, Throttled: 35} }, "CPU quota", record.Warning, "stopped whenever"},
		{"a container's memory", "container", func(f *Facts) { f.Memory.Machine = 64e9 }, "Memory", record.OK, ""},
		{"nothing known of memory", "mac", func(f *Facts) { f.Memory = nil }, "Memory", record.Unknown, ""},
		{"a BLAS that was named and is not there", "container", func(f *Facts) {
			f.engine("blas").Error = fault.Errorf(fault.Invalid, "GPUPLAY_BLAS names a library that cannot be used: a.so")
		}, "BLAS", record.Failed, "asked for by name"},
		{"no engine at all", "container", func(f *Facts) { f.Engines = nil }, "Race", record.Failed, "nothing to race"},
		{"no Python", "container", func(f *Facts) { f.Frameworks = nil }, "Python", record.Absent, "taken from it"},
		{"software Vulkan without a GPU", "container", func(f *Facts) {
			f.Vulkan = &Vulkan{Drivers: []string{"lvp_icd.x86_64"}, Devices: []VulkanDevice{{Name: "llvmpipe", Version: "1.3", CPU: true}}}
		}, "Vulkan", record.Absent, "never for a comparison"},
		{"hidden GPUs", "h200", func(f *Facts) { f.Variables = map[string]string{"CUDA_VISIBLE_DEVICES": ""} }, "Variable", record.Warning, "hides"},
		{"hidden GPUs by a word", "h200", func(f *Facts) { f.Variables = map[string]string{"CUDA_VISIBLE_DEVICES": "NoDevFiles"} }, "Variable", record.Warning, "hides"},
		{"hidden GPUs by a number", "h200", func(f *Facts) { f.Variables = map[string]string{"CUDA_VISIBLE_DEVICES": "-1,0"} }, "Variable", record.Warning, "hides"},
		{"hidden GPUs by one that is not there", "h200", func(f *Facts) { f.Variables = map[string]string{"CUDA_VISIBLE_DEVICES": "64"} }, "Variable", record.Warning, "hides"},
		{"a GPU beside one that is lost", "h200", func(f *Facts) {
			f.NVIDIA.GPUs, f.NVIDIA.Lost = f.NVIDIA.GPUs[:1], []string{"GPU 0: GPU is lost"}
			f.Variables = map[string]string{"CUDA_VISIBLE_DEVICES": "1"}
		}, "Variables", record.OK, ""},
		{"one of the GPUs", "h200", func(f *Facts) { f.Variables = map[string]string{"CUDA_VISIBLE_DEVICES": "0"} }, "Variables", record.OK, ""},
		{"a GPU by its UUID", "h200", func(f *Facts) { f.Variables = map[string]string{"CUDA_VISIBLE_DEVICES": "GPU-8a"} }, "Variables", record.OK, ""},
		{"nested threads", "container", func(f *Facts) { f.Variables = map[string]string{"OMP_NUM_THREADS": "2,1"} }, "Variables", record.OK, ""},
		{"threads that are no number", "container", func(f *Facts) { f.Variables = map[string]string{"NPROC": "auto"} }, "Variable", record.Warning, "threads"},
		{"bound threads", "container", func(f *Facts) { f.Variables = map[string]string{"OMP_PROC_BIND": "close"} }, "Variable", record.Warning, "binds"},
		{"hidden GPUs where there are none", "container", func(f *Facts) { f.Variables = map[string]string{"CUDA_VISIBLE_DEVICES": ""} }, "Variables", record.OK, ""},
		{"strict oneDNN", "container", func(f *Facts) { f.Variables = map[string]string{"ONEDNN_DEFAULT_FPMATH_MODE": "STRICT"} }, "Variables", record.OK, ""},
	} {
		f := facts(t, test.record)
		test.change(&f)
		found, seen := false, []record.Check(nil)
		for _, c := range Examine(f) {
			if c.Name == test.check {
				seen = append(seen, c)
				found = found || c.Status == test.want && strings.Contains(c.Why, test.why)
			}
		}
		if !found {
			t.Errorf("%s: %s is %+v; want %s: …%s…", test.what, test.check, seen, test.want, test.why)
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

// What lost GPUs and warnings say stands beside the GPUs that answer.
func TestAnswered(t *testing.T) {
	f := facts(t, "h200")
	f.NVIDIA.Lost, f.NVIDIA.Warnings = []string{"GPU 1: GPU is lost"}, []string{"WARNING: infoROM is corrupted"}
	var got []string
	for _, c := range nvidiaDriver(f) {
		got = append(got, string(c.Status)+": "+c.Seen)
	}
	want := []string{"ok: NVIDIA H200, 151 GB, compute capability 9.0, driver 580.159.04", "failed: GPU 1: GPU is lost", "warning: WARNING: infoROM is corrupted"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	f.NVIDIA.GPUs = nil
	if got := nvidiaDriver(f); len(got) != 2 || got[0].Status != record.Failed {
		t.Errorf("without another GPU: %+v", got)
	}
}

// What a build needs that does not run: a newer driver, another build, or neither.
func TestMisfit(t *testing.T) {
	const cu126 = "/home/ada/.venv-torch/bin/python -m pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu126"
	newer := "install it from https://www.nvidia.com/drivers, then restart"
	for _, tt := range []struct{ driver, capability, want string }{
		{"575.57.08", "8.9", newer + "; or, for the driver that is there: " + cu126},
		{"470.182.03", "8.9", newer},
		{"580.95.05", "6.0", cu126},
		{"575.57.08", "6.0", cu126},
		{"470.182.03", "6.0", newer},
		{"470.182.03", "3.7", "no build for CUDA has code for this GPU; the one for the CPU does without"},
	} {
		f := facts(t, "volta")
		f.System, f.NVIDIA = "another 1", &nvidia.Driver{Version: tt.driver, Asked: true, GPUs: []nvidia.GPU{{Name: "a GPU", Capability: tt.capability}}}
		_, found := torch(f, f.Frameworks[0]) // 2.15.0 for CUDA 13.2
		if len(found) != 1 || found[0].status != record.Failed || found[0].remedies.String() != tt.want {
			t.Errorf("driver %s, compute capability %s: %+v, want %s", tt.driver, tt.capability, found, tt.want)
		}
	}
}

// A fix that must be made outside the container says so, and each fix fits the operating
// system.
func TestFixesOutside(t *testing.T) {
	lost := nvidia.Driver{Version: "580.95.05", Asked: true, Lost: []string{"GPU 0: GPU is lost"}}
	mismatch := nvidia.Driver{Version: "580.95.05", Error: "NVML: Driver/library version mismatch", Nodes: true}
	for _, tt := range []struct {
		os, container string
		driver        nvidia.Driver
		want          string
	}{
		{"linux", "", lost, "sudo reboot"},
		{"linux", "docker", lost, "restart the machine that runs this container"},
		{"windows", "", lost, "restart the machine"},
		{"linux", "", mismatch, "sudo reboot"},
		{"linux", "docker", mismatch, "restart the machine that runs this container"},
	} {
		f := Facts{OS: tt.os, Container: tt.container, NVIDIA: &tt.driver}
		if fix := nvidiaDriver(f)[0].Remedies; len(fix) == 0 || fix[:1].String() != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.os, tt.container, fix, tt.want)
		}
	}
	for container, want := range map[string]string{
		"docker":     "start it with: docker run --device /dev/kfd --device /dev/dri",
		"podman":     "start it with: podman run --device /dev/kfd --device /dev/dri",
		"kubernetes": "let the pod ask for the resource amd.com/gpu",
		"lxc":        "give the container /dev/kfd and /dev/dri",
	} {
		f := Facts{OS: "linux", Container: container, PCI: []PCI{{Vendor: vendorAMD}}, AMD: &AMD{}}
		if found := f.rocm(Framework{Name: "torch", ROCm: "7.2"}); len(found) != 1 || found[0].remedies.String() != want {
			t.Errorf("%s: %+v, want %s", container, found, want)
		}
	}
}

// A fix goes where the framework is taken from, by the tool that is there, and leads to an
// environment that is then chosen.
func TestFixes(t *testing.T) {
	place := func(w *Framework, why, path string) { w.Python.Why, w.Python.Path = why, path }
	for _, tt := range []struct {
		what   string
		change func(*Facts, *Framework)
		want   string
	}{
		{"pip", func(*Facts, *Framework) {}, "/home/ada/.venv-jax/bin/python -m pip install jax==0.10.2"},
		{"uv", func(f *Facts, w *Framework) { f.UV, w.Python.Pip = true, false }, "uv pip install --python /home/ada/.venv-jax/bin/python jax==0.10.2"},
		{"pip beside uv", func(f *Facts, _ *Framework) { f.UV = true }, "/home/ada/.venv-jax/bin/python -m pip install jax==0.10.2"},
		{"neither", func(_ *Facts, w *Framework) { w.Python.Pip = false },
			"first: /home/ada/.venv-jax/bin/python -m ensurepip; then: /home/ada/.venv-jax/bin/python -m pip install jax==0.10.2"},
		{".venv", func(_ *Facts, w *Framework) { place(w, ".venv", "/home/ada/.venv/bin/python") }, "/home/ada/.venv/bin/python -m pip install jax==0.10.2"},
		{"gpuplay's own", func(_ *Facts, w *Framework) { place(w, "made by gpuplay", "/own/jax/bin/python") }, "gpuplay setup jax clear"},
		{"the system's", func(_ *Facts, w *Framework) { w.Python.Managed = true; place(w, "PATH", "/usr/bin/python3") }, "gpuplay setup jax"},
		{"the system's, by name", func(_ *Facts, w *Framework) {
			w.Python.Managed = true
			place(w, "GPUPLAY_JAX_PYTHON", "/usr/bin/python3")
		}, "unset GPUPLAY_JAX_PYTHON"},
		{"not installed", func(_ *Facts, w *Framework) { w.Installed = false; place(w, ".venv", "/home/ada/.venv/bin/python") }, "gpuplay setup jax"},
		{"not installed where it was asked for", func(_ *Facts, w *Framework) { w.Installed = false; place(w, "asked for", "/usr/bin/python3") }, "python names another interpreter"},
		{"does not run", func(_ *Facts, w *Framework) { w.Python.Error = "x"; place(w, ".venv", "/home/ada/.venv/bin/python") }, "gpuplay setup jax dir ."},
		{"cannot be imported", func(_ *Facts, w *Framework) { w.Packages["jaxlib"] = "0.10.2"; w.Broken = "x" }, "gpuplay setup jax"},
		{"cannot be imported, gpuplay's own", func(_ *Facts, w *Framework) {
			w.Packages["jaxlib"], w.Broken = "0.10.2", "x"
			place(w, "made by gpuplay", "/own/jax/bin/python")
		}, "gpuplay setup jax clear"},
		{"cannot be imported where it was named", func(_ *Facts, w *Framework) {
			w.Packages["jaxlib"], w.Broken = "0.10.2", "x"
			place(w, "GPUPLAY_JAX_PYTHON", "/usr/bin/python3")
		}, "unset GPUPLAY_JAX_PYTHON"},
		{"not installed beside gpuplay's own, which does not run", func(_ *Facts, w *Framework) {
			w.Installed = false
			w.Passed = []python.Candidate{{Why: "made by gpuplay", Path: "/own/jax/bin/python", Reason: "x"}}
			place(w, "PATH", "/usr/bin/python3")
		}, "gpuplay setup jax clear"},
		{"does not run, its own", func(_ *Facts, w *Framework) { w.Python.Error = "x" }, "remove .venv-jax, then: gpuplay setup jax dir ."},
	} {
		f := facts(t, "container")
		w := f.Frameworks[3]
		delete(w.Packages, "jaxlib")
		tt.change(&f, &w)
		f.Frameworks = []Framework{w}
		found := false
		for _, c := range Examine(f) {
			found = found || c.Group == "Frameworks" && c.Remedies.String() == tt.want
		}
		if !found {
			t.Errorf("%s: no fix %q in %+v", tt.what, tt.want, Examine(f))
		}
	}
}
