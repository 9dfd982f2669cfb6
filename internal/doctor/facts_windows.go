package doctor

import (
	"context"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

var platform = []func(context.Context, *Facts){gatherPower}

// powerStatus is SYSTEM_POWER_STATUS of winbase.h.
type powerStatus struct {
	acLine, batteryFlag, batteryPercent, systemFlag uint8
	batteryLife, batteryFullLife                    uint32
}

func gatherPower(_ context.Context, f *Facts) {
	var s powerStatus
	ok, _, _ := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetSystemPowerStatus").Call(uintptr(unsafe.Pointer(&s)))
	if ok == 0 || s.acLine > 1 { // 255: not known
		return
	}
	p := Power{Battery: s.acLine == 0, Saving: s.systemFlag == 1}
	if charge := int(s.batteryPercent); charge <= 100 {
		p.Charge = &charge
	}
	f.Power = &p
}

// manifests lists the manifests of Vulkan's drivers that are registered; the names of
// the values are their files.
func manifests() []string {
	list := []string{}
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Khronos\Vulkan\Drivers`, registry.QUERY_VALUE)
	if err != nil {
		return list
	}
	defer k.Close()
	files, _ := k.ReadValueNames(0)
	for _, file := range files {
		list = append(list, strings.TrimSuffix(filepath.Base(file), ".json"))
	}
	return list
}

func denied() (user, group string) { return "", "" }
