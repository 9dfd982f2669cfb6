package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/version"
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
				"no framework can be started with it", f.replace(w)...)...)
		case f.translated(p):
			list = append(list, one("Python", record.Warning, fmt.Sprintf("%s (%s) is an Intel build", p.Version, p.Why),
				"Rosetta translates it, and the frameworks' wheels for Apple's GPU do not fit it",
				append(fault.Advice("install an arm64 Python: https://www.python.org/downloads/macos/"), f.replace(w)...)...)...)
		case version.Older(p.Version, "3.10"):
			list = append(list, one("Python", record.Warning, fmt.Sprintf("%s (%s)", p.Version, p.Why),
				"current "+titles()+" need 3.10 or newer", f.replace(w)...)...)
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
	list = append(list, passedOver(f)...)
	if len(good) > 0 {
		list = append(one("Python", record.OK, strings.Join(good, "; "), ""), list...)
	}
	if list == nil {
		return one("Python", record.Absent, "none found", titles()+" are taken from it", installPython(f)...)
	}
	return list
}

// passedOver shows the interpreters that come before those that are used and do not run,
// each once.
func passedOver(f Facts) []record.Check {
	var list []record.Check
	seen := map[string]bool{}
	for _, w := range f.Frameworks {
		for _, p := range w.Passed {
			if p.Module != "" || seen[p.Path] {
				continue
			}
			seen[p.Path] = true
			status, why := record.Warning, "the next Python is used: "+w.Python.Why
			if !w.Installed {
				status, why = record.Failed, "what is installed in it cannot be used"
			}
			list = append(list, one("Python", status, fmt.Sprintf("%s does not run: %s", p.Why, p.Reason), why, f.obtain(w)...)...)
		}
	}
	return list
}

// installPython is how to get a Python that environments can be made with.
func installPython(f Facts) fault.Remedies {
	switch {
	case f.OS == "darwin":
		return fault.Remedies{fault.Run("", "xcode-select", "--install")}
	case f.OS == "windows":
		return fault.Remedies{fault.Run("", "winget", "install", "Python.Python.3.12")}
	case f.debian():
		return fault.Remedies{fault.Run("", "sudo", "apt", "install", "python3-venv")}
	}
	return fault.Advice("install uv, which brings its own Python: https://docs.astral.sh/uv/")
}

// translated reports whether a Python runs under Rosetta.
func (f Facts) translated(p Python) bool {
	return f.Apple != nil && f.Apple.Silicon && p.Machine == "x86_64"
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
// its release with what they found, the worst first.
var rules = map[string]func(Facts, Framework) (release string, found []trouble){
	"torch": torch, "tensorflow": tensorflow, "mlx": mlx, "jax": jax,
}

// frameworkChecks judges all frameworks.
func frameworkChecks(f Facts) []record.Check {
	var list []record.Check
	for _, known := range python.Frameworks {
		w := f.framework(known.Name)
		release, found := rules[known.Name](f, w)
		list = append(list, judge(f, w, known.Title, release, found)...)
	}
	return list
}

// judge makes a framework's check of its facts and of what its own rules found.
func judge(f Facts, w Framework, title, release string, found []trouble) []record.Check {
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
		return one(title, record.Absent, "not installed", "", f.obtain(w)...)
	case release == "":
		release = "version not known"
	}
	c := record.Check{Name: title, Status: record.OK, Seen: release}
	if w.CUDA != "" {
		c.Seen += " for CUDA " + w.CUDA
	}
	if w.ROCm != "" {
		c.Seen += " for ROCm " + w.ROCm
	}
	c.Seen += " (" + w.Python.Why
	if w.Source != "" {
		c.Seen += ", from " + w.Source
		found = append(found, trouble{record.Warning, "it is not installed in that Python: what else is in " + w.Source + " comes with it", f.obtain(w)})
	}
	c.Seen += ")"
	if w.Broken != "" {
		found = append(found, trouble{record.Failed, "it cannot be imported: " + w.Broken, f.obtain(w)})
	}
	if e := f.engine(w.Name); e != nil {
		switch {
		case e.Error != nil:
			found = append([]trouble{{record.Failed, "it does not start: " + e.Error.Message, e.Error.Remedies}}, found...)
		default:
			c.Seen += ", sees " + strings.Join(apis(e.Found.Devices), ", ")
			if m := e.Found.Missing; len(m) > 0 && f.hasGPU() && !slices.ContainsFunc(e.Found.Devices, isGPU) {
				found = append(found, trouble{record.Warning, "it does not see the GPU: " + m[0].Reason, elsewhere(m[0].Remedies)})
			}
		}
	}
	for _, s := range []record.Status{record.Failed, record.Warning} {
		if i := slices.IndexFunc(found, func(t trouble) bool { return t.status == s }); i >= 0 {
			c.Status, c.Why, c.Remedies = s, found[i].why, found[i].remedies
			break
		}
	}
	list := []record.Check{c}
	for _, p := range w.Passed {
		if p.Module != "" && w.Broken == "" {
			list = append(list, one(title, record.Warning, p.Why+" is broken: "+p.Reason, "the next Python that has it is used: "+w.Python.Why, advice("mend it or remove it"))...)
		}
	}
	return list
}

// elsewhere leaves out the advice to run this diagnosis.
func elsewhere(list fault.Remedies) fault.Remedies {
	return slices.DeleteFunc(slices.Clone(list), func(r fault.Remedy) bool { return slices.Equal(r.Command, []string{"gpuplay", "doctor"}) })
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
func torch(f Facts, w Framework) (release string, t []trouble) {
	release = w.Packages["torch"]
	if f.translated(w.Python) {
		t = append(t, bad(record.Failed, "an Intel Python has no MPS wheel: the GPU lane is impossible", f.replace(w)...))
	}
	if f.OS == "darwin" && version.Older(f.Version, "14") && !version.Older(release, "2.10") {
		t = append(t, bad(record.Failed, "its MPS needs macOS 14 or newer, this is "+f.Version, append(f.install(w, "torch<2.10"), advice("or update macOS"))...))
	}
	t = append(t, f.numpy2(w, release, "2.3")...)
	switch {
	case w.ROCm != "":
		t = append(t, f.rocm(w)...)
	case w.CUDA != "":
		t = append(t, f.misfit(w, release)...)
	case f.hasNVIDIA():
		t = append(t, f.noGPULane(w, "a CPU-only build")...)
	}
	return release, t
}

// rocm looks for what keeps a build for ROCm from the GPU: it computes through /dev/kfd,
// which belongs to the group render.
func (f Facts) rocm(w Framework) []trouble {
	switch {
	case f.card(vendorAMD) && f.AMD != nil && !f.AMD.Node && f.Container != "":
		return []trouble{bad(record.Warning, "this container was not given /dev/kfd, through which ROCm computes: there is no GPU lane",
			giveROCm(f.Container))}
	case f.card(vendorAMD) && f.AMD != nil && !f.AMD.Node:
		return []trouble{bad(record.Warning, "/dev/kfd is missing, through which ROCm computes: there is no GPU lane",
			fault.Run("{} loads AMD's driver", "sudo", "modprobe", "amdgpu"))}
	case f.card(vendorAMD) && f.AMD != nil && !f.AMD.Access:
		return []trouble{bad(record.Warning, "this user may not use /dev/kfd, through which ROCm computes: there is no GPU lane",
			f.join(f.AMD.User, f.AMD.Group))}
	case !f.card(vendorAMD) && f.hasNVIDIA():
		return f.noGPULane(w, "a build for AMD's ROCm")
	}
	return nil
}

// giveROCm says how a container is given the devices through which ROCm computes.
func giveROCm(container string) fault.Remedy {
	switch container {
	case "docker", "podman":
		return fault.Run("start it with", container, "run", "--device", "/dev/kfd", "--device", "/dev/dri")
	case "kubernetes": // github.com/ROCm/k8s-device-plugin
		return advice("let the pod ask for the resource amd.com/gpu")
	}
	return advice("give the container /dev/kfd and /dev/dri")
}

// numpy2 looks for NumPy 2 beside a release that was built for NumPy 1.
func (f Facts) numpy2(w Framework, release, first string) []trouble {
	n := w.Packages["numpy"]
	if n == "" || version.Older(n, "2") || !version.Older(release, first) {
		return nil
	}
	return []trouble{bad(record.Failed, fmt.Sprintf("%s was built for NumPy 1 and NumPy %s is installed: it cannot be imported, or not be given arrays", release, n), f.install(w, "numpy<2")...)}
}

// tensorflows are the packages that bring the module, the plain one first.
var tensorflows = []string{"tensorflow", "tensorflow-cpu", "tensorflow-macos", "tensorflow-intel"}

// tensorflow: Apple's plug-in tensorflow-metal 1.2.0 is the last; with TensorFlow
// 2.20 and newer it keeps TensorFlow itself from being imported, and 1.1.0 does so
// from 2.18 on (github.com/tensorflow/tensorflow/issues/84167). On Windows the GPU
// left with 2.11 (tensorflow.org/install/pip). NumPy 2 is possible since 2.18
// (RELEASE.md).
func tensorflow(f Facts, w Framework) (release string, t []trouble) {
	for _, name := range tensorflows {
		if release = w.Packages[name]; release != "" {
			break
		}
	}
	metal := w.Packages["tensorflow-metal"]
	limit := "2.20"
	if version.Older(metal, "1.2") {
		limit = "2.18"
	}
	gpu := f.Apple != nil && f.Apple.Silicon && !f.Virtual
	cpu, cpuOnly := w.Packages["tensorflow-cpu"]
	plain, both := w.Packages["tensorflow"]
	both = both && cpuOnly
	forMetal := func() fault.Remedies {
		if !version.Older(w.Python.Version, "3.13") {
			return f.replace(w)
		}
		return f.install(w, "tensorflow>=2.18,<2.20", "tensorflow-metal==1.2.0")
	}
	switch {
	case both:
		t = append(t, bad(record.Failed, fmt.Sprintf("tensorflow %s and tensorflow-cpu %s are installed into one folder, each over the other's files", plain, cpu), f.oneTensorflow(w)...))
	case metal != "" && !version.Older(release, limit):
		t = append(t, bad(record.Failed, fmt.Sprintf("with tensorflow-metal %s, TensorFlow %s and newer cannot even be imported", metal, limit), forMetal()...))
	case f.translated(w.Python):
		t = append(t, bad(record.Failed, "an Intel Python under Rosetta: TensorFlow needs AVX there and ends with an illegal instruction", f.replace(w)...))
	case gpu && metal == "":
		t = append(t, bad(record.Warning, "without tensorflow-metal there is no GPU lane; it works with TensorFlow 2.18 and 2.19 on Python up to 3.12", forMetal()...))
	case f.OS == "windows" && f.hasNVIDIA() && !version.Older(release, "2.11"):
		t = append(t, bad(record.Warning, "TensorFlow uses no GPU on Windows since 2.11", fault.Run("", "wsl", "--install"), fault.Run("then, inside it", "gpuplay", "setup", "tensorflow")))
	case f.hasNVIDIA() && cpuOnly:
		t = append(t, f.noGPULane(w, "tensorflow-cpu")...)
	case f.hasNVIDIA() && w.CUDA == "":
		if _, _, ok := f.cudaBuild(w); ok {
			t = append(t, bad(record.Warning, "installed without CUDA's libraries: it finds the GPU only if the system has them", f.install(w, "tensorflow[and-cuda]")...))
		}
	}
	t = append(t, f.numpy2(w, release, "2.18")...)
	t = append(t, f.misfit(w, release)...)
	if metal != "" {
		release += " with tensorflow-metal " + metal
	}
	return release, t
}

// oneTensorflow is how to have one TensorFlow in place of two.
func (f Facts) oneTensorflow(w Framework) fault.Remedies {
	if remedies, _, ok := f.cudaBuild(w); ok && f.reachesNVIDIA() {
		return remedies
	}
	return f.exchange(w, []string{"tensorflow", "tensorflow-cpu"}, "tensorflow-cpu")
}

// mlx: the wheels are for macOS 14 and newer on Apple silicon and for native
// Pythons from 3.10 on; on Linux the package alone has no library, which comes with
// the extra cpu or cuda (github.com/ml-explore/mlx/issues/2390).
func mlx(f Facts, w Framework) (release string, t []trouble) {
	release = w.Packages["mlx"]
	backends := w.installed(func(name string) bool { return strings.HasPrefix(name, "mlx-c") }) // mlx-cpu, mlx-cuda, mlx-cuda-13
	_, cpuOnly := w.Packages["mlx-cpu"]
	switch {
	case f.translated(w.Python):
		t = append(t, bad(record.Failed, "MLX needs a native arm64 Python, this one is translated by Rosetta", f.replace(w)...))
	case f.OS == "darwin" && version.Older(f.Version, "14"):
		t = append(t, bad(record.Failed, "it needs macOS 14 or newer, this is "+f.Version, advice("update macOS")))
	case version.Older(w.Python.Version, "3.10"):
		t = append(t, bad(record.Failed, "it needs Python 3.10 or newer", f.replace(w)...))
	case f.OS == "linux" && len(backends) == 0 && !version.Older(release, "0.28"):
		t = append(t, bad(record.Failed, "the package without its library: import fails with libmlx.so", f.mlxLibrary(w)...))
	case f.OS == "linux" && cpuOnly:
		if f.hasNVIDIA() {
			t = append(t, f.noGPULane(w, "the CPU build")...)
		}
		t = append(t, bad(record.Warning, "its Linux CPU wheel has no optimised BLAS: some GFLOP/s, which says nothing about MLX on a Mac"))
	}
	return release, append(t, f.misfit(w, release)...)
}

// mlxLibrary is how to add the library to the package.
func (f Facts) mlxLibrary(w Framework) fault.Remedies {
	if remedies, _, ok := f.cudaBuild(w); ok && f.reachesNVIDIA() {
		return remedies
	}
	return f.install(w, "mlx[cpu]")
}

// jax: GPUs are reached through plug-ins. Apple's jax-metal 0.1.1 is the last and
// fails with jaxlib above 0.5.0 (github.com/jax-ml/jax/issues/27062). NumPy 2 is possible
// since 0.4.26 (CHANGELOG.md).
func jax(f Facts, w Framework) (release string, t []trouble) {
	release = w.Packages["jax"]
	metal, lib := w.Packages["jax-metal"], w.Packages["jaxlib"]
	switch {
	case w.Installed && release != "" && lib == "":
		t = append(t, bad(record.Failed, "jax without jaxlib: it cannot be imported", f.install(w, "jax=="+release)...))
	case metal != "" && !version.Older(lib, "0.5.1"):
		t = append(t, bad(record.Failed, fmt.Sprintf("jax-metal %s fails with jaxlib %s: default_memory_space is not supported", metal, lib),
			append(f.install(w, "jax==0.5.0", "jaxlib==0.5.0"), advice("or uninstall jax-metal"))...))
	case f.hasNVIDIA() && w.CUDA == "":
		t = append(t, f.noGPULane(w, "no CUDA plug-in")...)
	}
	t = append(t, f.numpy2(w, release, "0.4.26")...)
	return release, append(t, f.misfit(w, release)...)
}
