package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

const vendorNVIDIA, vendorAMD, vendorIntel = "10de", "1002", "8086"

// card reports whether a card of that vendor is on the PCI bus.
func (f Facts) card(vendor string) bool {
	return slices.ContainsFunc(f.PCI, func(c PCI) bool { return c.Vendor == vendor })
}

// hasNVIDIA reports whether the machine has an NVIDIA GPU, whether it works or not.
func (f Facts) hasNVIDIA() bool {
	return f.card(vendorNVIDIA) || f.NVIDIA != nil && len(f.NVIDIA.GPUs) > 0
}

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
	case f.Virtual:
		return one("Metal", record.Warning, "a virtual Mac: its GPU is an Apple Paravirtual device", "Metal Performance Shaders, and so PyTorch's MPS, do not run on it")
	}
	return one("Metal", record.OK, f.CPU+" GPU", "")
}

// nvidia says whether an NVIDIA card can be used.
func nvidia(f Facts) []record.Check {
	n := f.NVIDIA
	const name = "NVIDIA"
	switch {
	case f.OS == "darwin":
		return nil
	case n == nil:
		return unknown(name)
	case len(n.GPUs) > 0:
		return gpus(n)
	case f.Container != "" && !n.Nodes && (f.card(vendorNVIDIA) || n.Driver != ""):
		return one(name, record.Failed, "the machine has an NVIDIA GPU, this container was not given it",
			"every lane runs on the CPU", fault.Run("start it with", "docker", "run", "--gpus", "all"), advice("Podman gives it the device nvidia.com/gpu=all"))
	case f.card(vendorNVIDIA) && n.Driver == "":
		return one(name, record.Failed, "a card is on the PCI bus, no driver is loaded", "nothing can compute on it", driver(f.System))
	case strings.Contains(n.Error, "version mismatch"):
		return one(name, record.Failed, "driver "+n.Driver+": "+n.Error, "the driver was updated while the old one was running", fault.Run("", "sudo", "reboot"))
	case n.Driver != "":
		return one(name, record.Failed, fmt.Sprintf("driver %s, no GPU: %s", n.Driver, n.Error), "nothing can compute on it", fault.Run("", "nvidia-smi"))
	case f.PCI != nil:
		return one(name, record.Absent, "no card on the PCI bus", "")
	}
	return one(name, record.Absent, "no driver found", "")
}

// gpus shows NVIDIA's GPUs, equal ones on one line.
func gpus(n *NVIDIA) []record.Check {
	var list []record.Check
	for i, g := range n.GPUs {
		if i > 0 && g.Name == n.GPUs[i-1].Name && g.Busy < idle && n.GPUs[i-1].Busy < idle {
			continue
		}
		same := 1
		for _, next := range n.GPUs[i+1:] {
			if next.Name != g.Name || g.Busy >= idle || next.Busy >= idle {
				break
			}
			same++
		}
		c := record.Check{Name: "NVIDIA", Status: record.OK, Seen: fmt.Sprintf("%s, %s, driver %s", g.Name, unit.Bytes(float64(g.MiB)*(1<<20)), n.Driver)}
		if same > 1 {
			c.Seen = fmt.Sprintf("%d × %s", same, c.Seen)
		}
		if g.Busy >= idle {
			c.Seen += fmt.Sprintf(", %d %% busy", g.Busy)
			c.Status, c.Why = record.Warning, "another program computes on it: what is measured is what it leaves"
			c.Remedies = fault.Remedies{fault.Run("{} shows which", "nvidia-smi")}
		}
		list = append(list, c)
	}
	return list
}

// idle is the share of time, in percent, below which a GPU counts as free: a
// desktop draws a little.
const idle = 20

// driver is the remedy of installing NVIDIA's driver.
func driver(system string) fault.Remedy {
	switch name, _, _ := strings.Cut(system, " "); name {
	case "ubuntu":
		return fault.Run("{}, then restart", "sudo", "ubuntu-drivers", "install")
	case "debian":
		return fault.Run("{} (with non-free in the sources), then restart", "sudo", "apt", "install", "nvidia-driver")
	case "arch":
		return fault.Run("{}, then restart", "sudo", "pacman", "-S", "nvidia-open")
	}
	return advice("https://www.nvidia.com/drivers")
}

// oldestDriver returns the first driver branch that runs programs built for a
// CUDA version, by Table 1 of
// docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html.
func oldestDriver(cuda string) string {
	switch {
	case older(cuda, "11"):
		return ""
	case older(cuda, "12"):
		return "450"
	case older(cuda, "13"):
		return "525"
	}
	return "580"
}

// cudaMisfit says what keeps a build for that CUDA version from running on the
// GPUs that are there: an old driver, or a GPU that CUDA dropped. CUDA 13 has no
// code for compute capability below 7.5 (github.com/pytorch/pytorch/issues/190385).
func cudaMisfit(f Facts, cuda string) string {
	if f.NVIDIA == nil || cuda == "" {
		return ""
	}
	if need := oldestDriver(cuda); f.NVIDIA.Driver != "" && older(f.NVIDIA.Driver, need) {
		return fmt.Sprintf("driver %s is too old: CUDA %s needs %s or newer", f.NVIDIA.Driver, cuda, need)
	}
	for _, g := range f.NVIDIA.GPUs {
		if !older(cuda, "13") && older(g.Capability, "7.5") {
			return fmt.Sprintf("CUDA %s has no code for %s (compute capability %s, at least 7.5 is needed)", cuda, g.Name, g.Capability)
		}
	}
	return ""
}

// vulkan looks at the drivers that are installed. Macs have Metal instead.
func vulkan(f Facts) []record.Check {
	const name = "Vulkan"
	switch {
	case f.OS == "darwin":
		return nil
	case f.Vulkan == nil:
		return unknown(name)
	}
	var real, soft []string
	for _, d := range f.Vulkan.Drivers {
		if strings.HasPrefix(d, "lvp") || strings.Contains(d, "swiftshader") {
			soft = append(soft, d)
		} else {
			real = append(real, d)
		}
	}
	gpu := f.card(vendorNVIDIA) || f.card(vendorAMD) || f.card(vendorIntel)
	remedy := fault.Run("", "sudo", "apt", "install", "mesa-vulkan-drivers")
	switch {
	case f.hasNVIDIA():
		remedy = driver(f.System)
	case f.OS == "windows":
		remedy = advice("install the GPU maker's driver")
	}
	switch {
	case gpu && len(real) == 0 && len(soft) > 0:
		return one(name, record.Warning, "software only: "+strings.Join(soft, ", "), "a CPU serves the interface, the GPU is not used", remedy)
	case gpu && len(real) == 0:
		return one(name, record.Absent, "no driver", "", remedy)
	case len(real) > 0:
		return one(name, record.OK, strings.Join(real, ", "), "")
	case len(soft) > 0:
		return one(name, record.Absent, "software only: "+strings.Join(soft, ", "), onlySoftware)
	}
	return one(name, record.Absent, "no driver", "")
}
