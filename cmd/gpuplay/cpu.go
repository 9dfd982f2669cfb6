package main

import (
	"context"
	"io"
	"runtime"
	"time"

	"github.com/klauspost/cpuid/v2"
	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/report"
	"github.com/gpuplay/gpuplay/internal/roof"
	"github.com/gpuplay/gpuplay/internal/topology"
)

// cpuFlags are cpu's.
type cpuFlags struct {
	outputFlags
	threads int
}

func newCPU(a *app) *cobra.Command {
	var f cpuFlags
	c := &cobra.Command{
		Use:   "cpu",
		Short: "What this CPU can do: clock, peak, caches and memory",
		Long: `cpu measures, with one thread and with all, the clock that is held under load, the
peak of multiply-adds in each type, and the bandwidth of every cache and of memory:
the roofs that no product on this CPU can break through. It takes some seconds.`,
		Example: `  gpuplay cpu
  gpuplay cpu --threads 4
  gpuplay cpu --output cpu.json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			// Threads that wait for each other's CPU would each seem to have one.
			if err := checkThreads(c.Flags(), f.threads, runtime.NumCPU(), "for one a core"); err != nil {
				return err
			}
			if err := f.outputFlags.checkAs(cpuFormatNames); err != nil {
				return err
			}
			return a.cpu(c.Context(), f)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.IntVar(&f.threads, "threads", 0, "threads beside one (default: one a core, of the fastest kind)")
	f.outputFlags.add(fl)
	fl.Lookup("format").Usage = "table, json or csv (default: by --output's ending, else table)"
	return c
}

// cpuFormats are the ways to write what a CPU can do.
var cpuFormats = map[string]func(io.Writer, *report.CPU) error{"json": report.CPUJSON, "csv": report.CPUCSV}

var cpuFormatNames = []string{"table", "json", "csv"}

// instructions are those that matter for matrix products, by architecture, and
// whether package gemm has kernels that use them.
var instructions = map[string][]struct {
	name    string
	ids     []cpuid.FeatureID
	kernels bool
}{
	"amd64": {
		{"AVX2 with FMA", []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C}, true},
		{"AVX-512", []cpuid.FeatureID{cpuid.AVX512F}, true},
		{"AVX-512-BF16", []cpuid.FeatureID{cpuid.AVX512BF16, cpuid.AVX512BW}, true},
		{"AVX-512-VNNI", []cpuid.FeatureID{cpuid.AVX512VNNI, cpuid.AVX512BW}, true},
		{"AVX-512-FP16", []cpuid.FeatureID{cpuid.AVX512FP16}, false},
		{"AVX-VNNI", []cpuid.FeatureID{cpuid.AVXVNNI}, true},
		{"AMX-BF16", []cpuid.FeatureID{cpuid.AMXBF16}, false},
		{"AMX-INT8", []cpuid.FeatureID{cpuid.AMXINT8}, false},
	},
	"arm64": {
		{"NEON", []cpuid.FeatureID{cpuid.ASIMD}, true},
		{"BF16", []cpuid.FeatureID{cpuid.BF16}, true},
		{"dot product", []cpuid.FeatureID{cpuid.ASIMDDP}, true},
		{"FP16", []cpuid.FeatureID{cpuid.ASIMDHP}, false},
		{"I8MM", []cpuid.FeatureID{cpuid.I8MM}, false},
		{"SVE", []cpuid.FeatureID{cpuid.SVE}, false},
	},
}

func (a *app) cpu(ctx context.Context, f cpuFlags) error {
	d := a.document(ctx)
	c := &report.CPU{
		Schema: report.CPUSchema, Created: d.Created, Program: d.Program, Command: d.Command, Machine: d.Machine,
		Topology: topology.Read(), Kernels: gemm.ISAs()[0].String(),
	}
	for _, i := range instructions[runtime.GOARCH] {
		c.Instructions = append(c.Instructions, report.Instruction{Name: i.name, Found: cpuid.CPU.Supports(i.ids...), Kernels: i.kernels})
	}
	all := f.threads
	if all == 0 {
		all = min(roof.Threads(), runtime.GOMAXPROCS(0)) // which heeds a container's quota
	}
	counts := []int{1}
	if all > 1 {
		counts = append(counts, all)
	}
	p := newProgress(a.stderr, f.quiet, a.env.style(a.stderr))
	start := time.Now()
	before, told := host.ReadLoad()
	err := measureCPU(ctx, c, counts, p)
	c.Elapsed = time.Since(start)
	if after, ok := host.ReadLoad(); ok && told {
		others := after.Others(before)
		c.Others = &others
	}
	p.close()
	c.Interrupted = ctx.Err() != nil
	if err != nil && !c.Interrupted {
		return err
	}
	write := func(w io.Writer, format string) error {
		if format == "table" {
			return report.CPUTable(w, c, a.env.style(w))
		}
		return cpuFormats[format](w, c)
	}
	err = a.deliverAs(f.outputFlags, write)
	if err == nil && c.Interrupted {
		return &reportedError{exitInterrupted}
	}
	return err
}

// peakSamples is how often each peak is measured.
const peakSamples = 5

// arithmetics are what peaks are measured of.
var arithmetics = []gemm.Arithmetic{gemm.Float64, gemm.Float32, gemm.BFloat16, gemm.Int8}

// measureCPU fills in what is measured, until ctx ends.
func measureCPU(ctx context.Context, c *report.CPU, counts []int, p *progress) error {
	p.say("measuring the clock")
	for _, n := range counts {
		hertz, err := roof.Clock(ctx, n)
		if len(hertz) > 0 {
			c.Clocks = append(c.Clocks, report.Clock{Threads: n, Hertz: hertz})
		}
		if err != nil {
			return err
		}
	}
	p.say("measuring multiply-adds")
	for _, n := range counts {
		if err := measurePeaks(ctx, c, n); err != nil {
			return err
		}
	}
	p.say("measuring caches and memory")
	for _, n := range counts {
		limit := int(host.Free() / 4) // 0 where it is not known: the package's own limit
		for _, place := range roof.Places(c.Topology, n, limit) {
			b, err := roof.Measure(ctx, place, n)
			if len(b.Triad) > 0 {
				c.Bandwidths = append(c.Bandwidths, report.Bandwidth{Place: place.Name, Bytes: place.Bytes, Threads: n, Read: b.Read, Triad: b.Triad})
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func measurePeaks(ctx context.Context, c *report.CPU, threads int) error {
	pool, err := gemm.NewPool(gemm.ISAs()[0], threads)
	if err != nil {
		return err
	}
	defer pool.Close()
	for _, arithmetic := range arithmetics {
		peak := report.Peak{DType: matrix.DType(arithmetic), Threads: threads}
		for range peakSamples {
			if err := ctx.Err(); err != nil {
				return err
			}
			if ops, ok := pool.Peak(arithmetic); ok {
				peak.Ops = append(peak.Ops, ops)
			}
		}
		if len(peak.Ops) > 0 {
			c.Peaks = append(c.Peaks, peak)
		}
	}
	return nil
}
