package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/probe"
	"github.com/gpuplay/gpuplay/internal/record"
)

// This test binary is its own probe.
func TestMain(m *testing.M) {
	if slices.Equal(os.Args[1:], []string{"probe", "vulkan"}) {
		if err := probe.Answer(os.Stdout, ProbeVulkan()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// broken are the states in which a machine with a GPU has no Vulkan device on it.
var broken = map[string]struct {
	record   string
	change   func(*Facts)
	status   record.Status
	seen     string // part of it
	why      string
	remedies string
}{
	"libraries are missing": {"h200", func(f *Facts) { // as it was on a machine with an H200
		f.Vulkan = &Vulkan{Drivers: []string{"nvidia_icd"}, Error: "vkCreateInstance: VK_ERROR_INCOMPATIBLE_DRIVER",
			Words: []string{"Could not get 'vkCreateInstance' via 'vk_icdGetInstanceProcAddr' for ICD libGLX_nvidia.so.0", "Found no drivers!"}, Missing: []string{"libEGL.so.1", "libGLX.so.0", "libGL.so.1", "libX11.so.6", "libXext.so.6"}}
	}, record.Failed, "Could not get 'vkCreateInstance' via 'vk_icdGetInstanceProcAddr' for ICD libGLX_nvidia.so.0",
		"llama.cpp's build for Vulkan finds no GPU: libEGL.so.1, libGLX.so.0, libGL.so.1, libX11.so.6 and libXext.so.6 are not installed",
		"sudo apt install libegl1 libglx0 libgl1 libx11-6 libxext6"},
	"on Fedora": {"h200", func(f *Facts) {
		f.System = "fedora 43"
		f.Vulkan = &Vulkan{Drivers: []string{"nvidia_icd.x86_64"}, Error: "vkCreateInstance: VK_ERROR_INCOMPATIBLE_DRIVER", Missing: []string{"libGLX.so.0", "libGL.so.1"}}
	}, record.Failed, "vkCreateInstance: VK_ERROR_INCOMPATIBLE_DRIVER", "libGLX.so.0 and libGL.so.1 are not installed", "sudo dnf install libglvnd-glx"},
	"on a system that is not known": {"h200", func(f *Facts) {
		f.System = "nixos 25.11"
		f.Vulkan = &Vulkan{Drivers: []string{"nvidia_icd"}, Error: "vkCreateInstance: VK_ERROR_INCOMPATIBLE_DRIVER", Missing: []string{"libX11.so.6"}}
	}, record.Failed, "vkCreateInstance", "libX11.so.6 is not installed", "install what has libX11.so.6"},
	"the driver is there without what others need": {"h200", func(f *Facts) { // these are missing, and nobody needs them
		f.Vulkan = &Vulkan{Drivers: []string{"lvp_icd"}, Devices: []VulkanDevice{{Name: "llvmpipe", Version: "1.4", CPU: true}}, Missing: []string{"libX11.so.6"}}
	}, record.Warning, "software only: llvmpipe, Vulkan 1.4", "this container was given the GPU for computing alone", "docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=all"},
	"in a pod": {"h200", func(f *Facts) {
		f.Container, f.Vulkan = "kubernetes", &Vulkan{Drivers: []string{"lvp_icd"}, Devices: []VulkanDevice{{Name: "llvmpipe", Version: "1.4", CPU: true}}}
	}, record.Warning, "software only: llvmpipe, Vulkan 1.4", "this container was given the GPU for computing alone", "start the container with NVIDIA_DRIVER_CAPABILITIES=all in its environment"},
	"no loader": {"h200", func(f *Facts) {
		f.Vulkan = &Vulkan{Drivers: []string{"nvidia_icd"}, Error: "libvulkan.so.1: cannot open shared object file: No such file or directory", Missing: []string{"libvulkan.so.1"}}
	}, record.Failed, "libvulkan.so.1: cannot open", "libvulkan.so.1 is not installed", "sudo apt install libvulkan1"},
	"a driver for servers": {"volta", func(f *Facts) {
		f.System = "ubuntu 24.04"
		f.Vulkan = &Vulkan{Drivers: []string{"radeon_icd.x86_64"}, Error: "vkCreateInstance: VK_ERROR_INCOMPATIBLE_DRIVER"}
	}, record.Failed, "VK_ERROR_INCOMPATIBLE_DRIVER", "without its part for Vulkan", "sudo apt install libnvidia-gl-"},
	"only the other GPU": {"volta", func(f *Facts) {
		f.Vulkan = &Vulkan{Drivers: []string{"intel_icd", "nvidia_icd"}, Devices: []VulkanDevice{{Name: "Intel(R) UHD Graphics", Version: "1.3", Vendor: vendorIntel}}}
	}, record.Warning, "Intel(R) UHD Graphics, Vulkan 1.3; not the NVIDIA GPU", "finds no GPU", "VK_LOADER_DEBUG=all"},
	"no driver for AMD": {"container", func(f *Facts) {
		f.PCI, f.System = []PCI{{Vendor: vendorAMD}}, "arch"
		f.Vulkan = &Vulkan{Drivers: []string{}, Error: "vkCreateInstance: VK_ERROR_INCOMPATIBLE_DRIVER"}
	}, record.Failed, "VK_ERROR_INCOMPATIBLE_DRIVER", "there is no driver", "sudo pacman -S vulkan-radeon"},
	"no permission": {"container", func(f *Facts) {
		f.PCI, f.Container = []PCI{{Vendor: vendorAMD}}, ""
		f.Vulkan = &Vulkan{Drivers: []string{"radeon_icd.x86_64"}, Devices: []VulkanDevice{{Name: "llvmpipe", Version: "1.3", CPU: true}}, Denied: "anna", Group: "992"}
	}, record.Warning, "software only", "anna may not open /dev/dri", "sudo usermod -aG render,video anna, then log in again"},
	"no permission in a container": {"container", func(f *Facts) {
		f.PCI = []PCI{{Vendor: vendorAMD}}
		f.Vulkan = &Vulkan{Drivers: []string{"radeon_icd.x86_64"}, Devices: []VulkanDevice{{Name: "llvmpipe", Version: "1.3", CPU: true}}, Denied: "anna", Group: "992"}
	}, record.Warning, "software only", "anna may not open /dev/dri", "docker run --group-add 992"},
	"a driver that hangs": {"h200", func(f *Facts) {
		f.Vulkan = &Vulkan{Drivers: []string{"nvidia_icd"}, Error: "no answer within 900ms", Slow: true}
	}, record.Warning, "no answer within 900ms", "slow to start, or hangs", "waits longer"},
	"hangs where there is no GPU": {"container", func(f *Facts) { f.Vulkan = &Vulkan{Error: "no answer within 900ms", Slow: true} }, record.Unknown, "not known", "", ""},
	"a driver that crashes": {"h200", func(f *Facts) {
		f.Vulkan = &Vulkan{Drivers: []string{"nvidia_icd"}, Error: "a driver ended the process: SIGSEGV: segmentation violation"}
	}, record.Failed, "SIGSEGV", "finds no GPU", ""},
}

func TestVulkan(t *testing.T) {
	for name, tt := range broken {
		f := facts(t, tt.record)
		tt.change(&f)
		list := vulkan(f)
		if len(list) != 1 {
			t.Fatalf("%s: %d checks", name, len(list))
		}
		if c := list[0]; c.Status != tt.status || !strings.Contains(c.Seen, tt.seen) || !strings.Contains(c.Why, tt.why) || !strings.Contains(c.Remedies.String(), tt.remedies) {
			t.Errorf("%s: %s: %s\n%s\n%s", name, c.Status, c.Seen, c.Why, c.Remedies)
		}
	}
}

// A variable that leaves Vulkan without any driver is named.
func TestVulkanVariable(t *testing.T) {
	f := facts(t, "container")
	for _, name := range []string{"VK_ICD_FILENAMES", "VK_DRIVER_FILES"} {
		f.Variables = map[string]string{name: "/none.json"}
		if c := variables(f)[0]; c.Status != record.Warning || !strings.HasPrefix(c.Seen, name) || c.Remedies.String() != "unset "+name {
			t.Errorf("%s: %+v", name, c)
		}
	}
	f.Vulkan.Devices = []VulkanDevice{{Name: "llvmpipe", CPU: true}}
	if c := variables(f)[0]; c.Status != record.OK {
		t.Errorf("with a device: %+v", c)
	}
}

func TestLoaderWords(t *testing.T) {
	const no = "Could not get 'vkCreateInstance' via 'vk_icdGetInstanceProcAddr' for ICD libGLX_nvidia.so.0"
	for log, want := range map[string][]string{
		"": nil,
		"ERROR:            loader_scanned_icd_add: " + no + "\nERROR:            loader_scanned_icd_add: " + no + "\nERROR:            vkCreateInstance: Found no drivers!\n": {no, "Found no drivers!"},
		"[Vulkan Loader] ERROR:          loader_scanned_icd_add: " + no + "\n":                                                                                                {no},
		"[Vulkan Loader] ERROR | DRIVER: libLLVM-15.so.1: cannot open shared object file: No such file or directory\nnoise\n":                                                 {"libLLVM-15.so.1: cannot open shared object file: No such file or directory"},
		"MESA: error: something else\n": nil,
	} {
		if d := cmp.Diff(want, loaderWords(log)); d != "" {
			t.Errorf("%q: %s", log, d)
		}
	}
}

// gathered asks the real loader for the devices of the drivers that a file names.
func gathered(t *testing.T, limit time.Duration, manifest string) *Vulkan {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("drivers are named in a variable of Linux's loader")
	}
	if slices.Contains(ProbeVulkan().Missing, "libvulkan.so.1") {
		enginetest.Require(t, "vulkan", "there is no Vulkan loader (libvulkan1)")
	}
	t.Setenv("VK_ICD_FILENAMES", manifest)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	f := Facts{OS: runtime.GOOS}
	gatherVulkan(ctx, &f, probe.Ask)
	return f.Vulkan
}

// manifestOf writes the manifest of a driver and returns its file.
func manifestOf(t *testing.T, library string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "icd.json")
	text := fmt.Sprintf(`{"file_format_version": "1.0.0", "ICD": {"library_path": %q, "api_version": "1.3.0"}}`, library)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// The real loader with drivers that fail in the ways in which they do.
func TestBrokenDrivers(t *testing.T) {
	build := func(fault string) func(*testing.T) string {
		return func(t *testing.T) string {
			return enginetest.SharedLibrary(t, filepath.Join("testdata", "icd.c"), "libGLX_nvidia.so.0", "-D"+fault)
		}
	}
	for name, tt := range map[string]struct {
		library func(*testing.T) string
		limit   time.Duration
		seen    string
		slow    bool
	}{
		"none":             {func(*testing.T) string { return "/no/such/driver.so" }, time.Minute, "/no/such/driver.so: cannot open shared object file", false},
		"a name":           {func(*testing.T) string { return "libno_such_driver.so.1" }, time.Minute, "libno_such_driver.so.1: cannot open shared object file", false},
		"no library":       {func(*testing.T) string { return "/etc/passwd" }, time.Minute, "invalid ELF header", false},
		"has no instance":  {build("EMPTY"), time.Minute, "libGLX_nvidia.so.0", false},
		"crashes":          {build("CRASH"), time.Minute, "a driver ended the process: SIGSEGV", false},
		"ends the process": {build("EXIT"), time.Minute, "exit status 3", false},
		"hangs":            {build("HANG"), 300 * time.Millisecond, "no answer within ", true},
	} {
		t.Run(name, func(t *testing.T) {
			v := gathered(t, tt.limit, manifestOf(t, tt.library(t)))
			if len(v.Devices) > 0 || !strings.Contains(v.reason(), tt.seen) || v.Slow != tt.slow {
				t.Errorf("%+v: %s, want %s", v, v.reason(), tt.seen)
			}
			if name == "a name" && !slices.Contains(v.Missing, "libno_such_driver.so.1") {
				t.Errorf("missing %q", v.Missing)
			}
		})
	}
}

// Mesa's software driver is software and no GPU.
func TestSoftwareVulkan(t *testing.T) {
	found, err := filepath.Glob("/usr/share/vulkan/icd.d/lvp_icd*.json")
	if err != nil || len(found) == 0 {
		enginetest.Require(t, "vulkan", "there is no lavapipe (mesa-vulkan-drivers)")
	}
	v := gathered(t, time.Minute, found[0])
	if len(v.Devices) != 1 || !v.Devices[0].CPU || v.gpu("") || !strings.Contains(v.shown(), "llvmpipe") {
		t.Errorf("%+v", v)
	}
	f := facts(t, "container")
	f.Vulkan = v
	if c := vulkan(f)[0]; c.Status != record.Absent || !strings.HasPrefix(c.Seen, "software only: llvmpipe") {
		t.Errorf("%+v", c)
	}
}
