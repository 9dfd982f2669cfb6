package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Vulkan is what Vulkan's loader and drivers say.
type Vulkan struct {
	Drivers []string       `json:"drivers"`           // manifests that are installed, file names without .json: radeon_icd.x86_64
	Devices []VulkanDevice `json:"devices,omitempty"` // that an instance lists
	Error   string         `json:"error,omitempty"`   // why it lists none: "vkCreateInstance: VK_ERROR_INCOMPATIBLE_DRIVER"
	Words   []string       `json:"words,omitempty"`   // errors that the loader reports
	Missing []string       `json:"missing,omitempty"` // libraries that the loader or a driver needs and that are not installed, where there is no GPU
	Slow    bool           `json:"slow,omitempty"`    // there was no answer in time, which Error says
	Denied  string         `json:"denied,omitempty"`  // this user, if it may open none of the GPUs' device files
	Group   string         `json:"group,omitempty"`   // number of the group that those files belong to, where Denied
}

// VulkanDevice is a physical device of Vulkan's.
type VulkanDevice struct {
	Name    string `json:"name"`
	Version string `json:"version"`          // of Vulkan, that it supports: "1.3"
	Vendor  string `json:"vendor,omitempty"` // hexadecimal, as PCI.Vendor
	CPU     bool   `json:"cpu,omitempty"`    // a CPU serves the interface
}

// gpu reports whether one of the devices is a GPU, of that vendor unless that is "".
func (v *Vulkan) gpu(vendor string) bool {
	return v != nil && slices.ContainsFunc(v.Devices, func(d VulkanDevice) bool { return !d.CPU && (vendor == "" || d.Vendor == vendor) })
}

// shown are the devices that are GPUs, or else those that are CPUs, equal ones in one
// part.
func (v *Vulkan) shown() string {
	var names []string
	count := map[string]int{}
	for _, d := range v.Devices {
		if d.CPU == v.gpu("") {
			continue
		}
		name := fmt.Sprintf("%s, Vulkan %s", d.Name, d.Version)
		if count[name]++; count[name] == 1 {
			names = append(names, name)
		}
	}
	for i, name := range names {
		if n := count[name]; n > 1 {
			names[i] = fmt.Sprintf("%d × %s", n, name)
		}
	}
	return strings.Join(names, "; ")
}

// vulkan says which GPUs Vulkan reaches. Macs have Metal instead.
func vulkan(f Facts) []record.Check {
	const name = "Vulkan"
	v := f.Vulkan
	card := f.hasNVIDIA() || f.card(vendorAMD) || f.card(vendorIntel)
	switch {
	case f.OS == "darwin":
		return nil
	case v == nil, v.Slow && !card:
		return unknown(name)
	case v.Slow:
		longer := fault.Set("timeout", "30s", "{} waits longer")
		longer.Command = []string{"gpuplay", "doctor"}
		return one(name, record.Warning, v.Error, "a driver is slow to start, or hangs; so will be every program that uses Vulkan", longer)
	case v.gpu(vendorNVIDIA), v.gpu("") && !f.hasNVIDIA():
		return one(name, record.OK, v.shown(), "")
	case !card && len(v.Devices) > 0:
		return one(name, record.Absent, "software only: "+v.shown(), onlySoftware)
	case !card && slices.Contains(v.Missing, "libvulkan.so.1"):
		return one(name, record.Absent, "no loader", "")
	case !card:
		return one(name, record.Absent, v.reason(), "")
	}
	status, seen := record.Failed, v.reason()
	switch {
	case v.gpu(""):
		status, seen = record.Warning, v.shown()+"; not the NVIDIA GPU"
	case len(v.Devices) > 0:
		status, seen = record.Warning, "software only: "+v.shown()
	case len(v.Drivers) == 0 && v.Error == "":
		status = record.Absent
	}
	why, remedies := f.vulkanCause()
	if len(v.Devices) > 0 && len(v.Words) > 0 {
		seen += "; " + v.reason()
	}
	return one(name, status, seen, why, remedies...)
}

// reason says why there is no device: the loader's own words, or else what became of
// asking it.
func (v *Vulkan) reason() string {
	follows := func(word string) bool {
		return strings.Contains(word, "Found no drivers") || strings.HasPrefix(word, "Failed loading library associated")
	}
	words := slices.DeleteFunc(slices.Clone(v.Words), follows)
	switch {
	case len(words) > 0:
		return strings.Join(words[:min(2, len(words))], "; ")
	case v.Error != "":
		return v.Error
	case len(v.Drivers) > 0:
		return "no device, with the drivers " + strings.Join(v.Drivers, ", ")
	}
	return "no driver"
}

// vulkanCause says why Vulkan does not reach the GPU that is here, and how it does.
func (f Facts) vulkanCause() (why string, remedies fault.Remedies) {
	const lost = "llama.cpp's build for Vulkan finds no GPU"
	v := f.Vulkan
	vendor, names := vendorIntel, []string{"intel"}
	switch {
	case f.hasNVIDIA():
		vendor, names = vendorNVIDIA, []string{"nvidia", "nv-vk"}
	case f.card(vendorAMD):
		vendor, names = vendorAMD, []string{"radeon", "amd"}
	}
	installed := slices.ContainsFunc(append(slices.Clone(v.Drivers), v.Words...), func(d string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return strings.Contains(strings.ToLower(d), n) })
	})
	switch missing := v.missing(installed && vendor == vendorNVIDIA); {
	case len(missing) > 0:
		return lost + ": " + agreeing(missing, "is", "are") + " not installed", f.libraries(missing)
	case f.OS == "windows":
		return lost, fault.Advice("install the GPU maker's driver")
	case vendor == vendorNVIDIA && !installed && f.Container != "":
		// docs.nvidia.com/datacenter/cloud-native/container-toolkit: without the
		// capability graphics, a container gets no driver for Vulkan.
		again := fault.Advice("start the container with NVIDIA_DRIVER_CAPABILITIES=all in its environment")
		if f.Container == "docker" {
			again = fault.Remedies{fault.Run("start it with", "docker", "run", "--gpus", "all", "-e", "NVIDIA_DRIVER_CAPABILITIES=all")}
		}
		return lost + ": this container was given the GPU for computing alone", again
	case vendor == vendorNVIDIA && !installed && f.NVIDIA != nil && f.NVIDIA.Version != "":
		return lost + ": NVIDIA's driver is installed without its part for Vulkan", f.vulkanOfNVIDIA()
	case vendor == vendorNVIDIA && !installed:
		return lost, fault.Remedies{driver(f)}
	case !installed:
		return lost + ": there is no driver", f.mesa(vendor)
	case v.Denied != "":
		return lost + ": " + v.Denied + " may not open /dev/dri/renderD*", fault.Remedies{f.join(v.Denied, v.Group)}
	}
	return lost, fault.Remedies{fault.Run("{} shows more of what the loader does", "env", "VK_LOADER_DEBUG=all", "vulkaninfo", "--summary")}
}

// join says how a user gets into the group that a GPU's device files belong to. A container
// has groups of its own, so there only the group's number counts, and only from the start
// (docs.docker.com/reference/cli/docker/container/run, docs.podman.io/en/latest/markdown/
// podman-run.1.html: --group-add).
func (f Facts) join(user, group string) fault.Remedy {
	switch {
	case f.Container == "docker" && group != "":
		return fault.Run("start it with", "docker", "run", "--group-add", group)
	case f.Container == "podman":
		return fault.Run("start it with", "podman", "run", "--group-add", "keep-groups")
	case f.Container != "":
		return advice("let the container run with the group that owns the GPU's device files")
	}
	return fault.Run("{}, then log in again", "sudo", "usermod", "-aG", "render,video", user)
}

// agreeing joins words and the verb that agrees with their number.
func agreeing(words []string, one, many string) string {
	if len(words) == 1 {
		return words[0] + " " + one
	}
	return unit.List(words) + " " + many
}

// missing are the libraries without which no GPU can be reached: those that the loader
// names, and, if NVIDIA's driver is there, those that it loads by itself. Its library can
// be loaded without them, and then has no vkCreateInstance.
func (v *Vulkan) missing(nvidia bool) []string {
	return slices.DeleteFunc(slices.Clone(v.Missing), func(library string) bool {
		named := func(text string) bool { return strings.Contains(text, library+":") }
		return !named(v.Error) && !slices.ContainsFunc(v.Words, named) && !(nvidia && slices.Contains(nvidiaNeeds, library))
	})
}

// nvidiaNeeds are the libraries of others that NVIDIA's driver for Vulkan loads, also
// where there is no screen.
var nvidiaNeeds = []string{"libGLdispatch.so.0", "libEGL.so.1", "libGLX.so.0", "libGL.so.1", "libX11.so.6", "libXext.so.6"}
