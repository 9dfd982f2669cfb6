// Package cpu is the lab of this machine's CPU: Run measures the roofs that every
// result on it is under, Climb one product in better and better ways.
package cpu

import (
	"context"
	"runtime"
	"time"

	"github.com/klauspost/cpuid/v2"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/roof"
	"github.com/gpuplay/gpuplay/internal/topology"
)

// Options say what is measured.
type Options struct {
	Threads int // that are measured beside one thread; 0: one per core, of the fastest kind
}

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
		{"AMX-BF16", []cpuid.FeatureID{cpuid.AMXTILE, cpuid.AMXBF16}, true},
		{"AMX-INT8", []cpuid.FeatureID{cpuid.AMXTILE, cpuid.AMXINT8}, true},
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

// Run measures, with one thread and with several, the clock under load, the peak of
// multiply-adds in each type, and the bandwidth of every cache and of memory.
func Run(ctx context.Context, d lab.Deps, o Options, s *event.Stream) (*record.Run, error) {
	if err := checkThreads(o.Threads); err != nil {
		return nil, err
	}
	r := d.Begin(ctx, s, record.CPUs)
	c := &record.CPU{Topology: topology.Read(), Kernels: gemm.ISAs()[0].String()}
	r.CPU, r.Threads = c, o.Threads
	for _, i := range instructions[runtime.GOARCH] {
		c.Instructions = append(c.Instructions, record.Instruction{Name: i.name, Found: cpuid.CPU.Supports(i.ids...), Kernels: i.kernels})
	}
	all := o.Threads
	if all == 0 {
		all = min(roof.Threads(), runtime.GOMAXPROCS(0)) // which heeds a container's quota
	}
	counts := []int{1}
	if all > 1 {
		counts = append(counts, all)
	}
	start := time.Now()
	before, known := host.ReadLoad()
	conditions := func() {
		c.Elapsed = time.Since(start)
		if after, ok := host.ReadLoad(); ok && known {
			others := after.Others(before)
			c.Others = &others
		}
	}
	err := measure(ctx, d, s, c, counts, func() {
		conditions()
		soFar := *c
		told := *r
		told.CPU = &soFar
		lab.Opened(s, &told)
	})
	conditions()
	if err != nil && ctx.Err() == nil {
		return nil, err
	}
	return d.Finish(ctx, s, r), nil
}

// checkThreads refuses a number of threads that would wait for each other's CPU: each
// would seem to have one.
func checkThreads(threads int) error {
	if most := runtime.NumCPU(); threads < 0 || threads > most {
		return fault.Errorf(fault.Invalid, "%d threads: at least 1 and at most %d, the CPUs that there are", threads, most).
			With(fault.Change("threads", "leave {} out for one per core"))
	}
	return nil
}

// measure fills in what is measured, until ctx ends, and calls each after every figure.
func measure(ctx context.Context, d lab.Deps, s *event.Stream, c *record.CPU, counts []int, each func()) error {
	lab.Note(s, "measuring the clock")
	for _, n := range counts {
		hertz, err := roof.Clock(ctx, n)
		if len(hertz) > 0 {
			c.Clocks = append(c.Clocks, record.Clock{Threads: n, Hertz: hertz})
			each()
		}
		if err != nil {
			return err
		}
	}
	lab.Note(s, "measuring multiply-adds")
	for _, n := range counts {
		if err := measurePeaks(ctx, c, n, each); err != nil {
			return err
		}
	}
	lab.Note(s, "measuring caches and memory")
	for _, n := range counts {
		limit := 0 // not known: the package's own
		if d.Free != nil {
			limit = int(d.Free() / 4)
		}
		for _, place := range roof.Places(c.Topology, n, limit) {
			b, err := roof.Measure(ctx, place, n)
			if len(b.Triad) > 0 {
				c.Bandwidths = append(c.Bandwidths, record.Bandwidth{Place: place.Name, Bytes: place.Bytes, Threads: n, Read: b.Read, Triad: b.Triad})
				each()
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// peakSamples is how often each peak is measured.
const peakSamples = 5

// arithmetics are what peaks are measured of.
var arithmetics = []gemm.Arithmetic{gemm.Float64, gemm.Float32, gemm.BFloat16, gemm.Int8}

func measurePeaks(ctx context.Context, c *record.CPU, threads int, each func()) error {
	pool, err := gemm.NewPool(gemm.ISAs()[0], threads)
	if err != nil {
		return err
	}
	defer pool.Close()
	for _, arithmetic := range arithmetics {
		peak := record.Peak{DType: matrix.DType(arithmetic), Threads: threads}
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
			each()
		}
	}
	return nil
}
