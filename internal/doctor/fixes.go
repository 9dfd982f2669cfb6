package doctor

import (
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/nvidia"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/record"
)

// replace is how to get another environment for a framework, one that is then chosen.
func (f Facts) replace(w Framework) fault.Remedies {
	if w.Python.Why == python.Variable(w.Name) {
		return fault.Remedies{f.unset(w.Python.Why)}
	}
	return w.interpreter().Replace(w.Name)
}

func (w Framework) interpreter() python.Interpreter {
	return python.Interpreter{Path: w.Python.Path, Why: w.Python.Why, Passed: w.Passed}
}

// install is how to have pip, or uv, install what args say where a framework is taken
// from.
func (f Facts) install(w Framework, args ...string) fault.Remedies {
	return f.exchange(w, nil, args...)
}

// exchange is install after removing packages whose files would be in the way. An
// environment that gpuplay has made is made anew. Nothing is installed into a Python that
// belongs to the system: an environment of gpuplay's comes before it.
func (f Facts) exchange(w Framework, remove []string, args ...string) fault.Remedies {
	p := w.Python
	if p.Managed || p.Why == python.Own {
		return f.replace(w)
	}
	pip := func(command string, words ...string) fault.Remedy {
		if !p.Pip && f.UV {
			return fault.Run("", slices.Concat([]string{"uv", "pip", command, "--python", p.Path}, words)...)
		}
		if command == "uninstall" {
			words = append([]string{"-y"}, words...)
		}
		return fault.Run("", slices.Concat([]string{p.Path, "-m", "pip", command}, words)...)
	}
	var steps fault.Remedies
	if !p.Pip && !f.UV {
		steps = append(steps, fault.Run("", p.Path, "-m", "ensurepip"))
	}
	if len(remove) > 0 {
		steps = append(steps, pip("uninstall", remove...))
	}
	steps = append(steps, pip("install", args...))
	if len(steps) > 1 {
		for i := range steps {
			steps[i].Text = "then"
		}
		steps[0].Text = "first"
	}
	return steps
}

// installed returns the packages of a framework that are there, of those names.
func (w Framework) installed(is func(name string) bool) []string {
	var list []string
	for name := range w.Packages {
		if is(name) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// driverOf is what the driver said; nothing where it was not asked.
func (f Facts) driverOf() nvidia.Driver {
	if f.NVIDIA == nil {
		return nvidia.Driver{}
	}
	return *f.NVIDIA
}

// cudaBuild is how to get the build for CUDA that fits the GPUs and their driver; ok is
// false where there is none, and why says what keeps it from them.
func (f Facts) cudaBuild(w Framework) (remedies fault.Remedies, why string, ok bool) {
	b, why, ok := nvidia.Choose(w.Name, f.Arch, f.driverOf())
	if !ok {
		return nil, why, false
	}
	requirement, index := b.Install(f.OS)
	args := []string{requirement}
	var remove []string
	switch w.Name {
	case "torch": // of the same version, which pip would keep
		args = []string{"--force-reinstall", requirement}
	case "tensorflow":
		remove = w.installed(func(name string) bool { return slices.Contains(tensorflows, name) })
	case "mlx":
		remove = w.installed(func(name string) bool { return strings.HasPrefix(name, "mlx-c") })
	case "jax":
		args = []string{"--upgrade", requirement}
		remove = w.installed(func(name string) bool { return strings.HasPrefix(name, "jax-cuda") })
	}
	if index != "" {
		args = append(args, "--index-url", index)
	}
	return f.exchange(w, remove, args...), "", true
}

// misfit looks for what keeps a build for CUDA from the GPUs that are there.
func (f Facts) misfit(w Framework, release string) []trouble {
	if w.CUDA == "" {
		return nil
	}
	d := f.driverOf()
	b, known := nvidia.Installed(w.Name, release, w.CUDA, f.Arch)
	if !known {
		return nil
	}
	why, without := b.Runs(d), b.Without(d)
	switch {
	case why == "" && len(without) == 0:
		return nil
	case why == "":
		return []trouble{bad(record.Warning, b.NoCode(without[0]))}
	}
	remedies, _, ok := f.cudaBuild(w)
	newer := b.Old(d) && (len(without) == 0 || len(without) < len(d.GPUs)) // a newer driver is enough
	switch {
	case newer && len(remedies) == 1:
		remedies[0].Text = "or, for the driver that is there"
		fallthrough
	case newer:
		remedies = append(fault.Remedies{driver(f)}, remedies...)
	case !ok && nvidia.TooOld(w.Name, f.Arch, d):
		remedies = fault.Remedies{driver(f)}
	case !ok:
		remedies = fault.Advice("no build for CUDA has code for this GPU; the one for the CPU does without")
	}
	return []trouble{bad(record.Failed, why, remedies...)}
}

// noGPULane is the trouble of a build without CUDA on a machine with an NVIDIA GPU; none
// where no build would serve it.
func (f Facts) noGPULane(w Framework, what string) []trouble {
	remedies, why, ok := f.cudaBuild(w)
	switch {
	case ok:
		return []trouble{bad(record.Warning, what+" on a machine with an NVIDIA GPU: there is no GPU lane", remedies...)}
	case nvidia.TooOld(w.Name, f.Arch, f.driverOf()):
		return []trouble{bad(record.Warning, what+", and none for the GPU runs: "+why, driver(f))}
	}
	return nil
}

// obtain is how to get a framework that is not installed. Where an interpreter was named,
// nothing else is looked at.
func (f Facts) obtain(w Framework) fault.Remedies {
	if w.Python.Why == python.Variable(w.Name) {
		return f.replace(w)
	}
	return w.interpreter().Obtain(w.Name)
}

// debian reports whether the distribution's packages are Debian's.
func (f Facts) debian() bool {
	return f.OS == "linux" && familyOf(f.System) == debian
}
