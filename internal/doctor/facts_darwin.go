package doctor

import (
	"context"
	"errors"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

var platform = []func(context.Context, *Facts){gatherApple, gatherPower, gatherHeat}

// sysctl reports whether a number of the kernel's is there and 1.
func sysctl(name string) bool {
	n, err := unix.SysctlUint32(name)
	return err == nil && n == 1
}

func gatherApple(ctx context.Context, f *Facts) {
	f.Virtual = f.Virtual || sysctl("kern.hv_vmm_present")
	// Both are documented in "About the Rosetta translation environment",
	// developer.apple.com/documentation/apple-silicon.
	a := Apple{Silicon: sysctl("hw.optional.arm64"), Translated: sysctl("sysctl.proc_translated")}
	if folder, err := toolsFolder(ctx); err == nil || folder == "" {
		a.Tools = &folder
	}
	f.Apple = &a
}

var developer struct {
	once   sync.Once
	folder string
	err    error
}

// toolsFolder asks once where the command line tools are; xcode-select fails when
// there are none.
func toolsFolder(ctx context.Context) (string, error) {
	developer.once.Do(func() {
		out, err := output(ctx, "xcode-select", "-p")
		developer.folder, developer.err = strings.TrimSpace(out), err
	})
	return developer.folder, developer.err
}

// stub refuses macOS's own python3 while the command line tools are missing: it
// would open a window that offers to install them.
func stub(ctx context.Context, interpreter string) error {
	if interpreter != "/usr/bin/python3" {
		return nil
	}
	if _, err := toolsFolder(ctx); err != nil {
		return errors.New("it comes with the command line tools, which are not installed")
	}
	return nil
}

func gatherPower(ctx context.Context, f *Facts) {
	source, err := output(ctx, "pmset", "-g", "batt")
	if err != nil {
		return
	}
	settings, _ := output(ctx, "pmset", "-g")
	f.Power = parsePower(source, settings)
}

func gatherHeat(ctx context.Context, f *Facts) {
	if out, err := output(ctx, "pmset", "-g", "therm"); err == nil {
		f.Heat = parseHeat(out)
	}
}

// There is no Vulkan to be asked.
func manifests() []string { return nil }

func denied() string { return "" }
