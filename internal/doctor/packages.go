package doctor

import (
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
)

// A family of Linux distributions shares package names and the command that installs
// them.
type family string

const (
	debian family = "debian"
	fedora family = "fedora"
	arch   family = "arch"
	suse   family = "suse"
)

// familyOf returns the family of a system such as "ubuntu 24.04", "" where that is not
// known.
func familyOf(system string) family {
	name, _, _ := strings.Cut(system, " ")
	for f, names := range map[family][]string{
		debian: {"debian", "ubuntu", "linuxmint", "pop", "raspbian", "kali", "elementary", "zorin", "neon"},
		fedora: {"fedora", "rhel", "redhat", "centos", "rocky", "almalinux", "alma", "oracle", "amazon", "nobara"},
		arch:   {"arch", "manjaro", "endeavouros", "cachyos", "garuda"},
		suse:   {"opensuse", "opensuse-leap", "opensuse-tumbleweed", "suse", "sles", "sled"},
	} {
		if slices.Contains(names, name) {
			return f
		}
	}
	return ""
}

// installers are the commands that install packages.
var installers = map[family][]string{
	debian: {"sudo", "apt", "install"},
	fedora: {"sudo", "dnf", "install"},
	arch:   {"sudo", "pacman", "-S"},
	suse:   {"sudo", "zypper", "install"},
}

// installPackages is the remedy of installing packages of the distribution.
func (f Facts) installPackages(packages ...string) fault.Remedy {
	return fault.Run("", append(slices.Clone(installers[familyOf(f.System)]), packages...)...)
}

// packagesOf are the packages with the libraries that Vulkan may lack.
var packagesOf = map[string]map[family]string{
	"libvulkan.so.1":     {debian: "libvulkan1", fedora: "vulkan-loader", arch: "vulkan-icd-loader", suse: "libvulkan1"},
	"libGLdispatch.so.0": {debian: "libglvnd0", fedora: "libglvnd", arch: "libglvnd", suse: "libglvnd"},
	"libEGL.so.1":        {debian: "libegl1", fedora: "libglvnd-egl", arch: "libglvnd", suse: "libglvnd"},
	"libGLX.so.0":        {debian: "libglx0", fedora: "libglvnd-glx", arch: "libglvnd", suse: "libglvnd"},
	"libGL.so.1":         {debian: "libgl1", fedora: "libglvnd-glx", arch: "libglvnd", suse: "libglvnd"},
	"libX11.so.6":        {debian: "libx11-6", fedora: "libX11", arch: "libx11", suse: "libX11-6"},
	"libXext.so.6":       {debian: "libxext6", fedora: "libXext", arch: "libxext", suse: "libXext6"},
}

// libraries are the remedies of installing libraries, by the packages that have them
// where these are known.
func (f Facts) libraries(names []string) fault.Remedies {
	var packages, others []string
	for _, name := range names {
		if p := packagesOf[name][familyOf(f.System)]; p == "" {
			others = append(others, name)
		} else if !slices.Contains(packages, p) {
			packages = append(packages, p)
		}
	}
	var list fault.Remedies
	if len(packages) > 0 {
		list = append(list, f.installPackages(packages...))
	}
	if len(others) > 0 {
		list = append(list, advice("install what has "+strings.Join(others, ", ")))
	}
	return list
}

// mesa is the remedy of installing Mesa's Vulkan driver for the GPUs of a vendor.
func (f Facts) mesa(vendor string) fault.Remedies {
	name := map[string]string{vendorAMD: "radeon", vendorIntel: "intel"}[vendor]
	switch familyOf(f.System) {
	case debian, fedora:
		return fault.Remedies{f.installPackages("mesa-vulkan-drivers")}
	case arch:
		return fault.Remedies{f.installPackages("vulkan-" + name)}
	case suse:
		return fault.Remedies{f.installPackages("libvulkan_" + name)}
	}
	return fault.Advice("install Mesa's Vulkan driver for " + name)
}

// vulkanOfNVIDIA is the remedy of installing the part for Vulkan of NVIDIA's driver,
// which distributions leave out on servers.
func (f Facts) vulkanOfNVIDIA() fault.Remedies {
	branch, _, _ := strings.Cut(f.NVIDIA.Version, ".")
	switch name := f.distribution(); {
	case name == "ubuntu":
		return fault.Remedies{fault.Run("", "sudo", "apt", "install", "libnvidia-gl-"+branch),
			fault.Run("{} for a driver of the series for servers", "sudo", "apt", "install", "libnvidia-gl-"+branch+"-server")}
	case name == "debian":
		return fault.Remedies{f.installPackages("nvidia-vulkan-icd")}
	case familyOf(f.System) == arch:
		return fault.Remedies{f.installPackages("nvidia-utils")}
	}
	return fault.Advice("install the package of NVIDIA's driver " + f.NVIDIA.Version + " that has its Vulkan driver")
}
