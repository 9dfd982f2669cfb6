package vulkan

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// The structures have the layout of vulkan_core.h, as its C compiler says it.
func TestLayout(t *testing.T) {
	var a ApplicationInfo
	var c InstanceCreateInfo
	var p PhysicalDeviceProperties
	ours := []struct {
		c    string
		size uintptr
	}{
		{"sizeof(VkApplicationInfo)", unsafe.Sizeof(a)},
		{"offsetof(VkApplicationInfo, pEngineName)", unsafe.Offsetof(a.EngineName)},
		{"offsetof(VkApplicationInfo, apiVersion)", unsafe.Offsetof(a.ApiVersion)},
		{"sizeof(VkInstanceCreateInfo)", unsafe.Sizeof(c)},
		{"offsetof(VkInstanceCreateInfo, pApplicationInfo)", unsafe.Offsetof(c.ApplicationInfo)},
		{"offsetof(VkInstanceCreateInfo, ppEnabledExtensionNames)", unsafe.Offsetof(c.EnabledExtensionNames)},
		{"sizeof(VkPhysicalDeviceProperties)", unsafe.Sizeof(p)},
		{"offsetof(VkPhysicalDeviceProperties, deviceType)", unsafe.Offsetof(p.DeviceType)},
		{"offsetof(VkPhysicalDeviceProperties, deviceName)", unsafe.Offsetof(p.DeviceName)},
		{"offsetof(VkPhysicalDeviceProperties, limits)", unsafe.Offsetof(p.Limits)},
		{"offsetof(VkPhysicalDeviceProperties, sparseProperties)", unsafe.Offsetof(p.SparseProperties)},
	}
	var source, want strings.Builder
	source.WriteString("#include <vulkan/vulkan_core.h>\n#include <stddef.h>\n#include <stdio.h>\nint main() {\n")
	for _, s := range ours {
		fmt.Fprintf(&source, "printf(\"%%s %%zu\\n\", %q, %s);\n", s.c, s.c)
		fmt.Fprintf(&want, "%s %d\n", s.c, s.size)
	}
	source.WriteString("}\n")
	dir := t.TempDir()
	file, program := filepath.Join(dir, "layout.c"), filepath.Join(dir, "layout")
	if err := os.WriteFile(file, []byte(source.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command("cc", "-o", program, file).CombinedOutput(); err != nil {
		t.Skipf("there is no C compiler, or there are no Vulkan headers (libvulkan-dev): %v %s", err, text)
	}
	got, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.String(), string(got)); d != "" {
		t.Error("ours and the header's:", d)
	}
}

// The real loader with the drivers that are here: Mesa's software device at least.
func TestDevices(t *testing.T) {
	l, err := Open()
	if err != nil {
		t.Skip("there is no Vulkan loader: ", err)
	}
	version, r := l.EnumerateInstanceVersion()
	if r != SUCCESS || version < API_VERSION_1_0 || !strings.HasPrefix(version.String(), "1.") {
		t.Fatalf("version %v: %v", version, r)
	}
	instance, r := l.CreateInstance(version)
	if r == ERROR_INCOMPATIBLE_DRIVER {
		t.Skip("there is a Vulkan loader, and no driver (mesa-vulkan-drivers has one for every CPU)")
	}
	if r != SUCCESS || instance == 0 {
		t.Fatal(r)
	}
	defer l.DestroyInstance(instance)
	devices, r := l.EnumeratePhysicalDevices(instance)
	if r != SUCCESS || len(devices) == 0 {
		t.Fatalf("%d devices: %v", len(devices), r)
	}
	for _, d := range devices {
		runtime.GC()
		p := l.GetPhysicalDeviceProperties(d)
		if p.Name() == "" || p.DeviceType > PHYSICAL_DEVICE_TYPE_CPU || p.ApiVersion < API_VERSION_1_0 || p.VendorID == 0 {
			t.Errorf("%q: %+v", p.Name(), *p)
		}
		if strings.Contains(p.Name(), "llvmpipe") && p.DeviceType != PHYSICAL_DEVICE_TYPE_CPU {
			t.Errorf("%s is of type %d", p.Name(), p.DeviceType)
		}
		t.Logf("%s, type %d, Vulkan %s", p.Name(), p.DeviceType, p.ApiVersion)
	}
}

func TestResult(t *testing.T) {
	for r, want := range map[Result]string{ERROR_INCOMPATIBLE_DRIVER: "VK_ERROR_INCOMPATIBLE_DRIVER", -1000069000: "VkResult -1000069000"} {
		if r.String() != want {
			t.Errorf("%d is %s, want %s", int32(r), r, want)
		}
	}
}
