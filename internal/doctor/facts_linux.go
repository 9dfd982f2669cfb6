package doctor

import (
	"context"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gpuplay/gpuplay/internal/disk"
)

var platform = []func(context.Context, *Facts){gatherContainer, gatherPower, gatherClock, gatherHeat, gatherPCI, gatherAMD}

// read returns a file's text without the space around it, "" if there is none.
func read(path ...string) string {
	text, _ := os.ReadFile(filepath.Join(path...))
	return strings.TrimSpace(string(text))
}

func gatherContainer(_ context.Context, f *Facts) {
	f.Container = container(read("/proc/1/cgroup"), disk.Exists)
	f.Virtual = f.Virtual || strings.Contains(read("/proc/cpuinfo"), " hypervisor ")
}

func gatherPower(_ context.Context, f *Facts) {
	const root = "/sys/class/power_supply"
	supplies, err := os.ReadDir(root)
	profile := read("/sys/firmware/acpi/platform_profile")
	if err != nil || len(supplies) == 0 && profile == "" {
		return
	}
	p := Power{Saving: profile == "low-power"}
	for _, s := range supplies {
		dir := filepath.Join(root, s.Name())
		if read(dir, "type") != "Battery" || read(dir, "scope") == "Device" { // a mouse's
			continue
		}
		if read(dir, "status") == "Discharging" {
			p.Battery = true
		}
		if n, err := strconv.Atoi(read(dir, "capacity")); err == nil {
			p.Charge = &n
		}
	}
	f.Power = &p
}

func gatherClock(_ context.Context, f *Facts) {
	const dir = "/sys/devices/system/cpu/cpu0/cpufreq"
	c := Clock{
		Driver:     read(dir, "scaling_driver"),
		Governor:   read(dir, "scaling_governor"),
		Preference: read(dir, "energy_performance_preference"),
		NoTurbo:    read("/sys/devices/system/cpu/intel_pstate/no_turbo") == "1",
	}
	if c.Governor != "" {
		f.Clock = &c
	}
}

// gatherHeat finds the thermal zone nearest to the point where the kernel cools
// it by slowing the CPU down (docs.kernel.org/driver-api/thermal/sysfs-api.html).
func gatherHeat(_ context.Context, f *Facts) {
	zones, _ := filepath.Glob("/sys/class/thermal/thermal_zone*")
	for _, zone := range zones {
		now, ok := degrees(zone, "temp")
		if !ok {
			continue
		}
		trips, _ := filepath.Glob(filepath.Join(zone, "trip_point_*_type"))
		for _, trip := range trips {
			kind := read(trip)
			limit, ok := degrees(strings.TrimSuffix(trip, "type") + "temp")
			if !ok || limit <= 0 || kind != "passive" && kind != "hot" && kind != "critical" {
				continue
			}
			if f.Heat == nil || limit-now < *f.Heat.Limit-*f.Heat.Celsius {
				f.Heat = &Heat{Celsius: &now, Limit: &limit}
			}
		}
	}
}

func degrees(path ...string) (float64, bool) {
	n, err := strconv.Atoi(read(path...))
	return float64(n) / 1000, err == nil
}

// gatherPCI lists display controllers (class 03) and accelerators (class 12).
func gatherPCI(_ context.Context, f *Facts) {
	const root = "/sys/bus/pci/devices"
	devices, err := os.ReadDir(root)
	if err != nil {
		return
	}
	f.PCI = []PCI{}
	for _, d := range devices {
		class := read(root, d.Name(), "class")
		if strings.HasPrefix(class, "0x03") || strings.HasPrefix(class, "0x12") {
			f.PCI = append(f.PCI, PCI{
				Vendor: strings.TrimPrefix(read(root, d.Name(), "vendor"), "0x"),
				Device: strings.TrimPrefix(read(root, d.Name(), "device"), "0x"),
			})
		}
	}
}

// gatherAMD looks at the device through which ROCm computes, which the amdgpu driver
// makes (rocm.docs.amd.com/projects/install-on-linux: "Configuring permissions").
func gatherAMD(_ context.Context, f *Facts) {
	const kfd = "/dev/kfd"
	a := AMD{Node: disk.Exists(kfd), Access: unix.Access(kfd, unix.R_OK|unix.W_OK) == nil, Group: owner(kfd)}
	if u, err := user.Current(); err == nil {
		a.User = u.Username
	}
	f.AMD = &a
}

// manifests lists the manifests of Vulkan's drivers in the loader's system folders
// (github.com/KhronosGroup/Vulkan-Loader/blob/main/docs/LoaderDriverInterface.md).
func manifests() []string {
	list := []string{}
	for _, dir := range []string{"/etc/vulkan/icd.d", "/usr/local/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/usr/share/vulkan/icd.d"} {
		for _, file := range disk.Match(dir, "*.json") {
			list = append(list, strings.TrimSuffix(filepath.Base(file), ".json"))
		}
	}
	return list
}

// denied returns the name of this user, and the number of the group that owns the device
// files, if there are GPUs and this user may open the device files of none; else "".
func denied() (name, group string) {
	nodes := disk.Match("/dev/dri", "renderD*")
	if len(nodes) == 0 || slices.ContainsFunc(nodes, func(node string) bool { return unix.Access(node, unix.R_OK|unix.W_OK) == nil }) {
		return "", ""
	}
	me, err := user.Current()
	if err != nil {
		return "", ""
	}
	return me.Username, owner(nodes[0])
}

// owner returns the number of the group that a file belongs to, empty where there is no
// such file.
func owner(file string) string {
	var s unix.Stat_t
	if unix.Stat(file, &s) != nil {
		return ""
	}
	return strconv.FormatUint(uint64(s.Gid), 10)
}
