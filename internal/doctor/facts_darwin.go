package doctor

import (
	"context"
	"errors"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	child "github.com/gpuplay/gpuplay/internal/process" // process is a check here
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
	folder, err := output(ctx, "xcode-select", "-p")
	if exit := (*exec.ExitError)(nil); err == nil || errors.As(err, &exit) { // it fails when there are none
		folder = strings.TrimSpace(folder)
		a.Tools = &folder
	}
	f.Apple = &a
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

func denied() (user, group string) { return "", "" }

// output runs a program and returns what it prints.
func output(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := limited(ctx, programLimit)
	defer cancel()
	stdout, _, err := child.Output(ctx, exec.Command(name, args...))
	return stdout, err
}
