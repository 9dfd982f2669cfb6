package vulkan

import (
	"runtime"
	"strings"
	"testing"
)

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
