package doctor

import (
	"context"
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
	// Find chooses a framework's interpreter in the order in which a race does, and Ask
	// asks an interpreter about itself.
	Find func(ctx context.Context, framework string) (python.Interpreter, error)
	Ask  func(ctx context.Context, interpreter string, m python.Mode) python.Environment
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
	if quota := machine.ReadLimits().CPUs; quota > 0 && quota < float64(runtime.NumCPU()) {
		f.Quota = &Quota{CPUs: quota, Machine: runtime.NumCPU()}
		f.Quota.Periods, f.Quota.Throttled = machine.Throttled()
	}
	parts := append([]func(context.Context, *Facts){
		gatherSystem, gatherMemory,
		func(ctx context.Context, f *Facts) { f.Frameworks = frameworks(ctx, o) },
		func(ctx context.Context, f *Facts) { gatherVulkan(ctx, f, o.Probe) },
		func(ctx context.Context, f *Facts) { gatherMetal(ctx, f, o.Probe) },
	}, platform...) // each sets fields of its own
	if f.OS != "darwin" {
		parts = append(parts, func(ctx context.Context, f *Facts) {
			ctx, cancel := limited(ctx, programLimit)
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
	m := Memory{Total: uint64(machine.Total()), Available: uint64(machine.Free())}
	if m.Total < v.Total {
		m.Machine = v.Total
	}
	if s, err := mem.SwapMemoryWithContext(ctx); err == nil {
		m.SwapUsed = s.Used
	}
	f.Memory = &m
}

// limited gives another program that limit, unless there is one already.
func limited(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if _, there := ctx.Deadline(); there {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit)
}
