package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/record"
)

// pythons judges the interpreters that frameworks would be taken from.
func pythons(f Facts) []record.Check {
	var list []record.Check
	var good, seen []string
	for _, w := range f.Frameworks {
		p := w.Python
		if p.Path == "" || slices.Contains(seen, p.Path) {
			continue
		}
		seen = append(seen, p.Path)
		switch {
		case p.Error != "":
			list = append(list, one("Python", record.Failed, fmt.Sprintf("%s (%s) does not run: %s", p.Path, p.Why, p.Error),
				"no framework can be started with it", setup(w.Name))...)
		case f.translated(p):
			list = append(list, one("Python", record.Warning, fmt.Sprintf("%s (%s) is an Intel build", p.Version, p.Why),
				"Rosetta translates it, and the frameworks' wheels for Apple's GPU do not fit it", advice("install an arm64 Python: https://www.python.org/downloads/macos/"))...)
		case older(p.Version, "3.10"):
			list = append(list, one("Python", record.Warning, fmt.Sprintf("%s (%s)", p.Version, p.Why),
				"current "+titles()+" need 3.10 or newer", fault.Run("", "uv", "python", "install", "3.12"))...)
		case p.Version != "":
			if i := slices.IndexFunc(good, func(g string) bool { return strings.HasPrefix(g, p.Version+" ") }); i >= 0 {
				good[i] = strings.TrimSuffix(good[i], ")") + ", " + p.Why + ")"
			} else {
				good = append(good, fmt.Sprintf("%s (%s)", p.Version, p.Why))
			}
		default:
			list = append(list, unknown("Python")...)
		}
	}
	if len(good) > 0 {
		list = append(one("Python", record.OK, strings.Join(good, "; "), ""), list...)
	}
	if list == nil {
		return one("Python", record.Absent, "none found", titles()+" are taken from it", installPython(f.OS)...)
	}
	return list
}

func installPython(os string) fault.Remedies {
	return commandFor(os, map[string][]string{
		"darwin":  {"xcode-select", "--install"},
		"linux":   {"sudo", "apt", "install", "python3-venv"},
		"windows": {"winget", "install", "Python.Python.3.12"},
	})
}

// translated reports whether a Python runs under Rosetta.
func (f Facts) translated(p Python) bool {
	return f.Apple != nil && f.Apple.Silicon && p.Machine == "x86_64"
}

// pip is the remedy of installing packages for a framework's interpreter.
func (w Framework) pip(packages ...string) fault.Remedy {
	return fault.Run("", append([]string{w.Python.Path, "-m", "pip", "install"}, packages...)...)
}

// framework returns what is known of one.
func (f Facts) framework(name string) Framework {
	for _, w := range f.Frameworks {
		if w.Name == name {
			return w
		}
	}
	return Framework{Name: name}
}

// engine returns what became of starting one, nil if it was not started.
func (f Facts) engine(name string) *Engine {
	for i := range f.Engines {
		if f.Engines[i].Name == name {
			return &f.Engines[i]
		}
	}
	return nil
}

// trouble is what is wrong with a framework.
type trouble struct {
	status   record.Status // Warning or Failed
	why      string
	remedies fault.Remedies
}

func bad(status record.Status, why string, remedies ...fault.Remedy) trouble {
	return trouble{status, why, remedies}
}

// rules look for what is known to go wrong with a framework, by its name, and return
// its version with what they found, the worst first.
var rules = map[string]func(Facts, Framework) (version string, found []trouble){
	"torch": torch, "tensorflow": tensorflow, "mlx": mlx, "jax": jax,
}

// frameworkChecks judges all frameworks.
func frameworkChecks(f Facts) []record.Check {
	var list []record.Check
	for _, known := range python.Frameworks {
		w := f.framework(known.Name)
		version, found := rules[known.Name](f, w)
		list = append(list, judge(f, w, known.Title, version, found)...)
	}
	return list
}

// judge makes a framework's check of its facts and of what its own rules found.
func judge(f Facts, w Framework, title, version string, found []trouble) []record.Check {
	switch {
	case w.Error != "":
		remedies := []fault.Remedy{fault.Change("python", "{} names an interpreter")}
		if v := python.Variable(w.Name); strings.Contains(w.Error, v) {
			remedies = []fault.Remedy{f.unset(v), advice("name an interpreter that is there")}
		}
		return one(title, record.Failed, w.Error, "it was asked for by name", remedies...)
	case w.Python.Error != "":
		return unknown(title)
	case !w.Installed && w.Name == "mlx" && f.OS == "darwin" && f.Apple != nil && !f.Apple.Silicon:
		return one(title, record.Absent, "not for Intel Macs", "")
	case !w.Installed && w.Name == "mlx" && f.OS == "linux":
		return one(title, record.Absent, "not installed; it is made for Apple's GPUs", "")
	case !w.Installed:
		return one(title, record.Absent, "not installed", "", setup(w.Name))
	case version == "":
		version = "version not known"
	}
	c := record.Check{Name: title, Status: record.OK, Seen: version}
	if w.CUDA != "" {
		c.Seen += " for CUDA " + w.CUDA
	}
	if w.ROCm != "" {
		c.Seen += " for ROCm " + w.ROCm
	}
	c.Seen += " (" + w.Python.Why + ")"
	if e := f.engine(w.Name); e != nil {
		switch {
		case e.Error != nil:
			found = append([]trouble{{record.Failed, "it does not start: " + e.Error.Message, e.Error.Remedies}}, found...)
		default:
			c.Seen += ", sees " + strings.Join(apis(e.Found.Devices), ", ")
			if m := e.Found.Missing; len(m) > 0 && f.hasGPU() && !slices.ContainsFunc(e.Found.Devices, isGPU) {
				found = append(found, trouble{record.Warning, "it does not see the GPU: " + m[0].Reason, m[0].Remedies})
			}
		}
	}
	for _, s := range []record.Status{record.Failed, record.Warning} {
		if i := slices.IndexFunc(found, func(t trouble) bool { return t.status == s }); i >= 0 {
			c.Status, c.Why, c.Remedies = s, found[i].why, found[i].remedies
			break
		}
	}
	return []record.Check{c}
}

func isGPU(d hardware.Device) bool { return d.Kind == hardware.GPU }

func apis(devices []hardware.Device) []string {
	var list []string
	for _, d := range devices {
		if !slices.Contains(list, d.API) {
			list = append(list, d.API)
		}
	}
	return list
}

// torch: MPS needs macOS 14 from PyTorch 2.10 on (github.com/pytorch/pytorch/pull/163515),
// and PyPI's wheels for Linux have CUDA in them, those of a CPU-only index do not.
func torch(f Facts, w Framework) (version string, t []trouble) {
	version = w.Packages["torch"]
	if f.translated(w.Python) {
		t = append(t, bad(record.Failed, "an Intel Python has no MPS wheel: the GPU lane is impossible", setup("torch")))
	}
	if f.OS == "darwin" && older(f.Version, "14") && !older(version, "2.10") {
		t = append(t, bad(record.Failed, "its MPS needs macOS 14 or newer, this is "+f.Version, w.pip("torch<2.10"), advice("update macOS")))
	}
	if why := cudaMisfit(f, w.CUDA); why != "" {
		remedy := driver(f.System)
		if strings.Contains(why, "no code") {
			remedy = w.pip("torch<2.15", "--index-url", "https://download.pytorch.org/whl/cu126")
		}
		t = append(t, bad(record.Failed, why, remedy))
	}
	if f.hasNVIDIA() && w.CUDA == "" && w.ROCm == "" {
		t = append(t, bad(record.Warning, "a CPU-only build on a machine with an NVIDIA GPU: there is no GPU lane", setupGPU("torch")))
	}
	return version, t
}

// tensorflow: Apple's plug-in tensorflow-metal 1.2.0 is the last; with TensorFlow
// 2.20 and newer it keeps TensorFlow itself from being imported, and 1.1.0 does so
// from 2.18 on (github.com/tensorflow/tensorflow/issues/84167). On Windows the GPU
// left with 2.11 (tensorflow.org/install/pip).
func tensorflow(f Facts, w Framework) (version string, t []trouble) {
	for _, name := range []string{"tensorflow", "tensorflow-cpu", "tensorflow-macos", "tensorflow-intel"} {
		if version = w.Packages[name]; version != "" {
			break
		}
	}
	metal := w.Packages["tensorflow-metal"]
	limit := "2.20"
	if older(metal, "1.2") {
		limit = "2.18"
	}
	gpu := f.Apple != nil && f.Apple.Silicon && !f.Virtual
	_, cpuOnly := w.Packages["tensorflow-cpu"]
	switch {
	case metal != "" && !older(version, limit):
		t = append(t, bad(record.Failed, fmt.Sprintf("with tensorflow-metal %s, TensorFlow %s and newer cannot even be imported", metal, limit), setup("tensorflow")))
	case f.translated(w.Python):
		t = append(t, bad(record.Failed, "an Intel Python under Rosetta: TensorFlow needs AVX there and ends with an illegal instruction", setup("tensorflow")))
	case gpu && metal == "":
		t = append(t, bad(record.Warning, "without tensorflow-metal there is no GPU lane; it works with TensorFlow 2.18 and 2.19 on Python up to 3.12", setup("tensorflow")))
	case f.OS == "windows" && f.hasNVIDIA() && !older(version, "2.11"):
		inside := setup("tensorflow")
		inside.Text = "then, inside it"
		t = append(t, bad(record.Warning, "TensorFlow uses no GPU on Windows since 2.11", fault.Run("", "wsl", "--install"), inside))
	case f.hasNVIDIA() && cpuOnly:
		t = append(t, bad(record.Warning, "tensorflow-cpu on a machine with an NVIDIA GPU: there is no GPU lane", setupGPU("tensorflow")))
	case f.hasNVIDIA() && w.CUDA == "":
		t = append(t, bad(record.Warning, "installed without CUDA's libraries: it finds the GPU only if the system has them", w.pip("tensorflow[and-cuda]")))
	}
	if why := cudaMisfit(f, w.CUDA); why != "" {
		t = append(t, bad(record.Failed, why, driver(f.System)))
	}
	if metal != "" {
		version += " with tensorflow-metal " + metal
	}
	return version, t
}

// mlx: the wheels are for macOS 14 and newer on Apple silicon and for native
// Pythons from 3.10 on; on Linux the package alone has no library, which comes with
// the extra cpu or cuda (github.com/ml-explore/mlx/issues/2390).
func mlx(f Facts, w Framework) (version string, t []trouble) {
	version = w.Packages["mlx"]
	backends := 0
	for name := range w.Packages {
		if strings.HasPrefix(name, "mlx-c") { // mlx-cpu, mlx-cuda, mlx-cuda-13
			backends++
		}
	}
	_, cpuOnly := w.Packages["mlx-cpu"]
	switch {
	case f.translated(w.Python):
		t = append(t, bad(record.Failed, "MLX needs a native arm64 Python, this one is translated by Rosetta", setup("mlx")))
	case f.OS == "darwin" && older(f.Version, "14"):
		t = append(t, bad(record.Failed, "it needs macOS 14 or newer, this is "+f.Version, advice("update macOS")))
	case older(w.Python.Version, "3.10"):
		t = append(t, bad(record.Failed, "it needs Python 3.10 or newer", setup("mlx")))
	case f.OS == "linux" && backends == 0 && !older(version, "0.28"):
		t = append(t, bad(record.Failed, "the package without its library: import fails with libmlx.so", setup("mlx")))
	case f.OS == "linux" && f.hasNVIDIA() && cpuOnly:
		t = append(t, bad(record.Warning, "the CPU build on a machine with an NVIDIA GPU: there is no GPU lane", w.pip("mlx[cuda13]")))
	case f.OS == "linux" && cpuOnly:
		t = append(t, bad(record.Warning, "its Linux CPU wheel has no optimised BLAS: some GFLOP/s, which says nothing about MLX on a Mac"))
	}
	if why := cudaMisfit(f, w.CUDA); why != "" {
		t = append(t, bad(record.Failed, why, driver(f.System)))
	}
	return version, t
}

// jax: GPUs are reached through plug-ins. Apple's jax-metal 0.1.1 is the last and
// fails with jaxlib above 0.5.0 (github.com/jax-ml/jax/issues/27062).
func jax(f Facts, w Framework) (version string, t []trouble) {
	version = w.Packages["jax"]
	metal, lib := w.Packages["jax-metal"], w.Packages["jaxlib"]
	switch {
	case w.Installed && version != "" && lib == "":
		t = append(t, bad(record.Failed, "jax without jaxlib: it cannot be imported", setup("jax")))
	case metal != "" && !older(lib, "0.5.1"):
		t = append(t, bad(record.Failed, fmt.Sprintf("jax-metal %s fails with jaxlib %s: default_memory_space is not supported", metal, lib),
			w.pip("jax==0.5.0", "jaxlib==0.5.0"), advice("uninstall jax-metal")))
	case f.hasNVIDIA() && w.CUDA == "":
		t = append(t, bad(record.Warning, "no CUDA plug-in on a machine with an NVIDIA GPU: there is no GPU lane", setupGPU("jax")))
	}
	if why := cudaMisfit(f, w.CUDA); why != "" {
		t = append(t, bad(record.Failed, why, driver(f.System)))
	}
	return version, t
}
