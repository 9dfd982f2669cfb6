package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/nvidia"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
	"github.com/gpuplay/gpuplay/internal/version"
)

const vendorNVIDIA, vendorAMD, vendorIntel = "10de", "1002", "8086"

// card reports whether a card of that vendor is on the PCI bus.
func (f Facts) card(vendor string) bool {
	return slices.ContainsFunc(f.PCI, func(c PCI) bool { return c.Vendor == vendor })
}

// hasNVIDIA reports whether the machine has an NVIDIA GPU, whether it works or not.
func (f Facts) hasNVIDIA() bool {
	return f.card(vendorNVIDIA) || f.NVIDIA != nil && len(f.NVIDIA.GPUs)+len(f.NVIDIA.Lost) > 0
}

// reachesNVIDIA reports whether NVIDIA's driver has a GPU that works.
func (f Facts) reachesNVIDIA() bool { return f.NVIDIA != nil && len(f.NVIDIA.GPUs) > 0 }

// hasGPU reports whether the machine has a GPU that frameworks are made for.
func (f Facts) hasGPU() bool {
	return f.hasNVIDIA() || f.Apple != nil && f.Apple.Silicon && !f.Virtual
}

// metal says whether a Mac has a GPU for AI. Virtual Macs show an "Apple
// Paravirtual device", on which Metal Performance Shaders do not run
// (developer.apple.com/documentation/virtualization).
func metal(f Facts) []record.Check {
	switch {
	case f.Apple == nil:
		return nil
	case !f.Apple.Silicon:
		return one("Metal", record.Warning, "an Intel Mac", "PyTorch's MPS wheels and MLX are made for Apple silicon; only CPU lanes are left")
	case f.Metal != nil && f.Metal.Error != "":
		return one("Metal", record.Warning, "not known: "+f.Metal.Error, "the engine metal may not start; frameworks are not affected")
	case f.Metal != nil && len(f.Metal.Differ) > 0:
		return one("Metal", record.Warning, fmt.Sprintf("%d of %d messages differ from those that gpuplay was written for: %s", len(f.Metal.Differ), f.Metal.Agree+len(f.Metal.Differ), strings.Join(f.Metal.Differ, "; ")),
			"the engine metal does not start, since its calls could be wrong; frameworks are not affected")
	case f.Virtual:
		return one("Metal", record.Warning, "a virtual Mac: its GPU is an Apple Paravirtual device", "Metal Performance Shaders, and so PyTorch's MPS, do not run on it")
	}
	return one("Metal", record.OK, f.CPU+" GPU", "")
}

// nvidiaDriver says whether NVIDIA's GPUs can be used. That the driver could not be
// asked does not mean that there is none.
func nvidiaDriver(f Facts) []record.Check {
	n := f.NVIDIA
	const name = "NVIDIA"
	switch {
	case f.OS == "darwin":
		return nil
	case n == nil:
		return unknown(name)
	case n.Asked && len(n.GPUs)+len(n.Lost) > 0:
		return answered(f)
	case f.Container != "" && !n.Nodes && (f.card(vendorNVIDIA) || n.Version != ""):
		return one(name, record.Failed, "the machine has an NVIDIA GPU, this container was not given it",
			"every lane runs on the CPU", giveGPU(f.Container))
	case n.Mismatched():
		return one(name, record.Failed, said(n), "the driver was updated while the old one was running: both are the same again after a restart",
			restart(f), advice("or unload NVIDIA's kernel modules and load them again while nothing uses the GPU"))
	case n.Slow:
		return one(name, record.Unknown, cmp.Or(listed(n), "not known yet")+": the driver gave "+n.Error,
			"it is slow to wake a GPU while no persistence daemon runs; nothing follows from it", fault.Change("timeout", "{} waits longer"))
	case f.card(vendorNVIDIA) && n.Version == "":
		return one(name, record.Failed, sentence("a card is on the PCI bus, no driver is loaded", n.Error), "nothing can compute on it", driver(f))
	case n.Error != "":
		return one(name, record.Warning, sentence(cmp.Or(listed(n), "not known"), said(n)), "the driver could not be asked, so it is not known whether the GPU can be used",
			fault.Run("{} asks it again", "nvidia-smi"))
	case n.Version != "" && f.card(vendorNVIDIA):
		remedies := []fault.Remedy{fault.Run("{} shows the kernel's reason", "sudo", "dmesg")}
		if !version.Older(n.Version, lastLegacy) {
			remedies = append(remedies, advice("a GPU from before Turing needs a driver before "+lastLegacy))
		}
		return one(name, record.Failed, "driver "+n.Version+" finds none of the cards on the PCI bus that it can use", "nothing can compute on them", remedies...)
	case f.PCI != nil:
		return one(name, record.Absent, "no card on the PCI bus", "")
	case n.Version != "":
		return one(name, record.Absent, "driver "+n.Version+" finds no card", "")
	}
	return one(name, record.Absent, "no driver found", "")
}

// lastLegacy is the first driver without Maxwell, Pascal and Volta: "Support for
// Maxwell, Pascal and Volta" in NVIDIA's Unix feature deprecation schedule,
// forums.developer.nvidia.com/t/60588.
const lastLegacy = "590"

// said is what the driver said instead of an answer, with its version.
func said(n *nvidia.Driver) string {
	if n.Version == "" {
		return n.Error
	}
	return "driver " + n.Version + ": " + n.Error
}

// sentence joins what is known with what was said, if anything was.
func sentence(known, said string) string {
	if said == "" {
		return known
	}
	return known + ": " + said
}

// listed names the GPUs that only the kernel lists.
func listed(n *nvidia.Driver) string {
	var names []string
	for _, g := range n.GPUs {
		names = append(names, cmp.Or(g.Name, g.PCI))
	}
	return strings.Join(names, ", ")
}

// restart is the remedy of restarting the machine, which a container cannot do.
func restart(f Facts) fault.Remedy {
	switch {
	case f.Container != "":
		return advice("restart the machine that runs this container")
	case f.OS == "linux":
		return fault.Run("", "sudo", "reboot")
	}
	return advice("restart the machine")
}

// giveGPU says how a container is given a GPU.
func giveGPU(container string) fault.Remedy {
	switch container {
	case "docker":
		return fault.Run("start it with {}, which needs NVIDIA's container toolkit", "docker", "run", "--gpus", "all")
	case "podman":
		return fault.Run("start it with", "podman", "run", "--device", "nvidia.com/gpu=all")
	case "kubernetes":
		return advice("let the pod ask for the resource nvidia.com/gpu")
	}
	return advice("give the container the GPU's device files and the driver's libraries")
}

// answered shows what the driver said of its GPUs: equal ones on one line, those that do
// not answer, and what it warns of.
func answered(f Facts) []record.Check {
	n := f.NVIDIA
	var list []record.Check
	for i, g := range n.GPUs {
		if i > 0 && same(g, n.GPUs[i-1]) {
			continue
		}
		count := 1
		for _, next := range n.GPUs[i+1:] {
			if !same(next, g) {
				break
			}
			count++
		}
		memory := "memory not known"
		if g.Memory != nil {
			memory = unit.Bytes(float64(*g.Memory))
		}
		c := record.Check{Name: "NVIDIA", Status: record.OK, Seen: fmt.Sprintf("%s, %s, compute capability %s, driver %s",
			cmp.Or(g.Name, "a GPU without a name"), memory, cmp.Or(g.Capability, "not known"), cmp.Or(n.Version, "not known"))}
		if n.CUDA != "" {
			c.Seen += " for CUDA up to " + n.CUDA
		}
		if count > 1 {
			c.Seen = fmt.Sprintf("%d × %s", count, c.Seen)
		}
		if _, why, _ := nvidia.Choose("torch", f.Arch, *n); nvidia.TooOld("torch", f.Arch, *n) {
			c.Status, c.Why, c.Remedies = record.Warning, "no current build of PyTorch runs on it: "+why, fault.Remedies{driver(f)}
		}
		if busy(g) {
			c.Seen += fmt.Sprintf(", %d %% busy", *g.Busy)
			c.Status, c.Why = record.Warning, "another program computes on it: what is measured is what it leaves"
			c.Remedies = fault.Remedies{fault.Run("{} shows which", "nvidia-smi")}
		}
		list = append(list, c)
	}
	for _, text := range n.Lost {
		list = append(list, one("NVIDIA", record.Failed, text, "this GPU does not answer; the others can be used",
			restart(f), advice("if it is lost again: check its power, its slot and its temperature"))...)
	}
	for _, text := range n.Warnings {
		list = append(list, one("NVIDIA", record.Warning, text, "the driver warns of it", fault.Run("{} says more", "nvidia-smi", "-q"))...)
	}
	return list
}

// same reports whether two GPUs can share a line.
func same(a, b nvidia.GPU) bool {
	return a.Name == b.Name && (a.Memory == nil) == (b.Memory == nil) && (a.Memory == nil || *a.Memory == *b.Memory) && !busy(a) && !busy(b)
}

func busy(g nvidia.GPU) bool { return g.Busy != nil && *g.Busy >= idle }

// idle is the share of time, in percent, below which a GPU counts as free: a
// desktop draws a little.
const idle = 20

// driver is the remedy of installing NVIDIA's driver, or a newer one.
func driver(f Facts) fault.Remedy {
	switch {
	case f.Container != "":
		return advice("the driver is the host's: install a newer one there")
	case f.OS == "linux" && f.distribution() == "ubuntu":
		return fault.Run("{}, then restart", "sudo", "ubuntu-drivers", "install")
	case f.OS == "linux" && f.distribution() == "debian":
		return fault.Run("{} (with non-free in the sources), then restart", "sudo", "apt", "install", "nvidia-driver")
	case f.OS == "linux" && f.distribution() == "arch":
		return fault.Run("{}, then restart", "sudo", "pacman", "-S", "nvidia-open")
	}
	return advice("install it from https://www.nvidia.com/drivers, then restart")
}

// distribution is the name in front of the system's version: "ubuntu".
func (f Facts) distribution() string {
	name, _, _ := strings.Cut(f.System, " ")
	return name
}
