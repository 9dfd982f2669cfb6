package doctor

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"sync"
	"time"

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

// output runs a program and returns what it prints, or its complaint as the error.
func output(ctx context.Context, name string, args ...string) (string, error) {
	start := time.Now()
	ctx, cancel := limited(ctx)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.WaitDelay = 100 * time.Millisecond // for what its own children keep open
	var out, complaint strings.Builder
	c.Stdout, c.Stderr = &out, &complaint
	err := c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		// nvidia-smi complains on stdout, Python ends its traceback with the reason.
		for _, text := range []string{complaint.String(), out.String()} {
			if lines := strings.Split(strings.TrimSpace(text), "\n"); lines[0] != "" {
				return out.String(), errors.New(strings.TrimSpace(lines[len(lines)-1]))
			}
		}
	}
	if ctx.Err() != nil {
		err = errors.New("no answer within " + time.Since(start).Round(100*time.Millisecond).String())
	}
	return out.String(), err
}
