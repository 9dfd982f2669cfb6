package doctor

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/cpuid/v2"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/mem"

	machine "github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/nvidia"
	"github.com/gpuplay/gpuplay/internal/probe"
	"github.com/gpuplay/gpuplay/internal/python"
)

// Options say what Gather cannot know by itself.
type Options struct {
	// Variables are those of the environment that are named in Variables and set.
	Variables map[string]string
	// Find chooses a framework's interpreter in the order in which a race does; has
	// tells whether an interpreter has a module.
	Find func(ctx context.Context, framework string, has func(ctx context.Context, interpreter, module string) bool) (python.Interpreter, error)
	// Probe asks drivers in processes of their own; nil leaves out what only they know.
	Probe probe.Asker
	// Limit is how long other programs may take to answer, together; 0: programLimit
	// each.
	Limit time.Duration
}

// programLimit is how long any other program may take to answer when nobody said
// otherwise. The whole diagnosis is meant to take a second.
const programLimit = 900 * time.Millisecond

// Gather describes this machine. All parts are asked side by side; what does not
// answer is left out.
func Gather(ctx context.Context, o Options) Facts {
	if o.Limit > 0 {
		limited, cancel := context.WithTimeout(ctx, o.Limit)
		defer cancel()
		ctx = limited
	}
	f := Facts{OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: machine.CPU(), Variables: o.Variables, Virtual: cpuid.CPU.VM()}
	f.Cores, _, f.CPUs = machine.Cores()
	_, err := exec.LookPath("uv")
	f.UV = err == nil
	parts := append([]func(context.Context, *Facts){
		gatherSystem, gatherMemory,
		func(ctx context.Context, f *Facts) { f.Frameworks = frameworks(ctx, o) },
		func(ctx context.Context, f *Facts) { gatherVulkan(ctx, f, o.Probe) },
	}, platform...) // each sets fields of its own
	if f.OS != "darwin" {
		parts = append(parts, func(ctx context.Context, f *Facts) {
			ctx, cancel := limited(ctx)
			defer cancel()
			d := nvidia.Ask(ctx, o.Probe)
			f.NVIDIA = &d
		})
	}
	var wg sync.WaitGroup
	for _, part := range parts {
		wg.Go(func() { part(ctx, &f) })
	}
	wg.Wait()
	return f
}

func gatherSystem(ctx context.Context, f *Facts) {
	info, err := host.InfoWithContext(ctx)
	if err != nil {
		return
	}
	f.System, f.Version = strings.TrimSpace(info.Platform+" "+info.PlatformVersion), info.PlatformVersion
	if f.OS == "darwin" {
		f.System = "macOS " + info.PlatformVersion
	}
}

func gatherMemory(ctx context.Context, f *Facts) {
	v, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return
	}
	m := Memory{Total: v.Total, Available: v.Available}
	if s, err := mem.SwapMemoryWithContext(ctx); err == nil {
		m.SwapUsed = s.Used
	}
	f.Memory = &m
}

// limited gives another program programLimit, unless there is a limit.
func limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, there := ctx.Deadline(); there {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, programLimit)
}

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
