package recordtest

import (
	"fmt"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/topology"
)

// Roofs are examples of what a CPU can do.
func Roofs() map[string]*record.Run {
	series := func(x float64) []float64 { return []float64{x, 0.99 * x, 0.97 * x} }
	run := func() (*record.Run, *record.CPU) {
		r := Run(record.CPUs)
		r.CPU = &record.CPU{
			Kernels: "AVX2", Elapsed: 2340 * time.Millisecond, Others: ptr(0.4),
			Topology: topology.Topology{Kinds: []topology.Kind{{CPUs: 16, Caches: []topology.Cache{
				{Level: 1, Size: 48 << 10, Line: ptr(64), Ways: ptr(12), Shared: ptr(1)}, {Level: 2, Size: 1280 << 10}, {Level: 3, Size: 24 << 20, Shared: ptr(16)},
			}}}},
			Instructions: []record.Instruction{{Name: "AVX2 with FMA", Found: true, Kernels: true}, {Name: "AVX-VNNI", Found: true}, {Name: "AVX-512", Kernels: true}},
		}
		return r, r.CPU
	}
	whole, c := run()
	for _, n := range []int{1, 16} {
		c.Clocks = append(c.Clocks, record.Clock{Threads: n, Hertz: series(4.5e9 / float64(1+n/16))})
		c.Peaks = append(c.Peaks, record.Peak{DType: matrix.Float32, Threads: n, Ops: series(140e9 * float64(n))}, record.Peak{DType: matrix.Int8, Threads: n, Ops: series(280e9 * float64(n))})
		for i, place := range []string{"L1", "L2", "L3", "memory"} {
			c.Bandwidths = append(c.Bandwidths, record.Bandwidth{Place: place, Bytes: 1 << (14 + 4*i), Threads: n, Read: series(200e9 * float64(n) / float64(i+1)), Triad: series(250e9 * float64(n) / float64(i+1))})
		}
	}
	part, p := run()
	part.Interrupted, p.Others, p.Clocks = true, ptr(0.01), slices.Clone(c.Clocks[:1])
	nothing, n := run()
	nothing.Interrupted, n.Others, n.Instructions = true, nil, nil
	return map[string]*record.Run{"roofs": whole, "roofs.interrupted": part, "roofs.nothing": nothing}
}

// Descriptions are examples of what GPUs are.
func Descriptions() map[string]*record.Run {
	card := 0
	cuda := record.GPU{
		Engine: "cuda",
		Device: hardware.Device{ID: "cuda:GPU-a", Name: "NVIDIA H100 80GB HBM3", Kind: hardware.GPU, API: "cuda", Card: &card, Memory: ptr(int64(85e9)), Library: "gpuplay", Versions: map[string]string{"cuda": "13.0", "compute capability": "9.0"}},
		Description: hardware.Description{
			Processors: 132, Clock: 1.98e9, MemoryClock: 2.619e9, MemoryBus: 5120, Cache: 52428800,
			Features: []hardware.Feature{{Name: "wgmma", Found: true}, {Name: "TMA", Found: true}, {Name: "ECC memory"}},
			Copies: []hardware.Copy{
				{Route: hardware.OnDevice, Bytes: 1 << 28, Seconds: []float64{0.0002, 0.00021, 0.0002}},
				{Route: hardware.HostToDevice, Memory: "pinned", Bytes: 1 << 26, Seconds: []float64{0.0012, 0.00121, 0.00119}},
				{Route: hardware.DeviceToHost, Memory: "pageable", Bytes: 1 << 26, Seconds: []float64{0.006, 0.007, 0.0065}},
			},
		},
		Notes:  []string{"launched 32 at a time as a CUDA graph: 1.9 µs a product; launched one by one it takes 2.6 µs"},
		Launch: []float64{7.1e-6, 7e-6, 7.2e-6}, Launches: []float64{2.1e-6, 2.2e-6, 2.1e-6},
		Published: []record.Published{{DType: matrix.Float32, Ops: 67e12, Source: "NVIDIA H100 white paper, SXM5"}, {DType: matrix.BFloat16, Ops: 989.4e12, Source: "NVIDIA H100 white paper, SXM5"}, {DType: matrix.Int8, Ops: 1979e12, Source: "NVIDIA H100 white paper, SXM5"}},
	}
	searched := cuda
	searched.Fastest = fastest(cuda.Device)
	vulkan := record.GPU{
		Engine: "vulkan",
		Device: hardware.Device{ID: "vulkan:a", Name: "NVIDIA H100 80GB HBM3", Kind: hardware.GPU, API: "vulkan", Card: &card, Library: "gpuplay", Versions: map[string]string{"vulkan": "1.4.312", "driver": "NVIDIA 580.95.05"}},
		Error:  fault.Errorf(fault.Crashed, "ended by signal 6 (aborted) while copying"),
	}
	software := record.GPU{
		Engine: "vulkan",
		Device: hardware.Device{ID: "vulkan:b", Name: "llvmpipe (LLVM 19.1.7, 256 bits)", Kind: hardware.SoftwareGPU, API: "vulkan", Library: "gpuplay", Versions: map[string]string{"vulkan": "1.4.305"}},
		Description: hardware.Description{
			Features: []hardware.Feature{{Name: "float64", Found: true}},
			Copies:   []hardware.Copy{{Route: hardware.HostToDevice, Memory: "staging", Bytes: 1 << 24, Seconds: []float64{0.003, 0.0031, 0.0029}}},
		},
	}
	run := func(gpus ...record.GPU) *record.Run {
		r := Run(record.GPUs)
		r.GPUs = gpus
		return r
	}
	nothing, part := run(), run(cuda)
	nothing.Error = fault.Errorf(fault.Unavailable, "no GPU is reached (cuda: no libcuda.so.1)")
	part.Interrupted = true
	unsearched := software
	unsearched.Fastest = &record.Fastest{Took: 3e9, Tried: []record.Tried{{Engine: "vulkan", DType: matrix.Int8, M: 256, N: 256, K: 256, Error: fault.Errorf(fault.Wrong, "a product of 256³ in int8 is wrong")}},
		Error: fault.Errorf(fault.Wrong, "a product of 256³ in int8 is wrong")}
	unreached := run(software)
	unreached.Cards = []hardware.Card{{Name: "NVIDIA H100 80GB HBM3", PCI: "0000:19:00.0"}}
	unreached.Missing = []record.Missing{{Engine: "cuda", Code: fault.Unavailable, Reason: "NVIDIA's driver is not installed"}, {Engine: "vulkan", API: "vulkan", Kind: hardware.GPU, Code: fault.Unavailable, Reason: "no driver for Vulkan lists a GPU"}}
	return map[string]*record.Run{"gpus": run(cuda, vulkan), "gpus.fastest": run(searched, vulkan), "gpus.wrong": run(unsearched), "gpus.software": unreached, "gpus.interrupted": part, "gpus.nothing": nothing}
}

// fastest is an example of a search for the fastest product of a GPU.
func fastest(d hardware.Device) *record.Fastest {
	f := &record.Fastest{DType: matrix.BFloat16, Sizes: []int{1024, 2048, 3072, 4096, 6144, 8192, 12288, 16384}, Took: 28e9}
	for i, x := range []struct {
		engine  string
		m, n, k int
		ops     float64
	}{{"cublaslt", 2048, 2048, 12288, 790e12}, {"cublaslt", 2048, 4096, 8192, 780e12}, {"cuda", 2048, 2048, 12288, 750e12}} {
		d.API = "cuda"
		r := &bench.Result{Lane: fmt.Sprint(x.engine, "/", i), Engine: x.engine, Device: d, GEMM: bench.Square(1, matrix.BFloat16), Seed: 1, Protocol: bench.Steady, Check: &matrix.Check{Passed: true}}
		r.GEMM.M, r.GEMM.N, r.GEMM.K = x.m, x.n, x.k
		for j := range 10 {
			r.Samples = append(r.Samples, bench.Sample{Iters: 100, Wall: time.Duration(100e9 * r.GEMM.FLOP() / x.ops * (1 + float64(j%3)/1000))})
		}
		f.Finals = append(f.Finals, r)
		f.Tried = append(f.Tried, record.Tried{Engine: x.engine, DType: matrix.BFloat16, M: x.m, N: x.n, K: x.k, Speed: x.ops})
	}
	return f
}

// Ladders are examples of one product computed in better and better ways.
func Ladders() map[string]*record.Run {
	rungs := []record.Rung{
		{Name: "naive", Idea: "a row of A times a column of B, as the textbook has it", Threads: 1, Seconds: []float64{4.3}},
		{Name: "loop order", Idea: "the same sums in another order, so that memory is read along its lines", Threads: 1, Seconds: []float64{0.7, 0.8, 0.72}},
		{Name: "vector", Idea: "AVX2: several multiplications and additions per instruction, in assembly", Threads: 1, Seconds: []float64{0.024, 0.023, 0.025}, Peak: ptr(100e9)},
		{Name: "threads", Idea: "every core takes a share of the rows", Threads: 16, Seconds: []float64{0.002, 0.0021}, Peak: ptr(1500e9)},
	}
	run := func(size int, rungs ...record.Rung) *record.Run {
		r := Run(record.Learn)
		r.Ladder = &record.Ladder{Size: size, Rungs: slices.Clone(rungs)}
		return r
	}
	alone := run(1024, append(slices.Clone(rungs[:3]), record.Rung{Name: "threads", Idea: "every core takes a share of the rows", Threads: 1, Seconds: []float64{0.024}, Peak: ptr(100e9)})...)
	part, nothing := run(512, rungs[:2]...), run(64)
	part.Interrupted, nothing.Interrupted = true, true
	gpu := run(4096,
		record.Rung{Name: "coalesced", Idea: "neighbouring threads read neighbours in memory", Threads: 1, DType: "float32", Seconds: []float64{0.03, 0.029, 0.031}, Library: []float64{0.0027, 0.0026, 0.0027}, Global: 5, PerClock: 128},
		record.Rung{Name: "tiled", Idea: "tiles in shared memory", Threads: 1, DType: "float32", Seconds: []float64{0.015, 0.015, 0.016}, Library: []float64{0.0027, 0.0026, 0.0027}, Global: 0.25, Shared: 8, PerClock: 128},
		record.Rung{Name: "warpgroups", Idea: "instructions of four warps, which read shared memory", Threads: 1, DType: "bfloat16", Seconds: []float64{0.0002, 0.00021}, Global: 0.0234, Shared: 0.039, PerClock: 2048})
	gpu.Ladder.GPU, gpu.Ladder.SMs = "Example GPU 80GB", 132
	shaders := []record.Rung{
		{Name: "naive", Idea: "an invocation for each element of C", Threads: 1, DType: "float32", Seconds: []float64{0.2, 0.21, 0.2}, Global: 33},
		{Name: "blocked", Idea: "8×8 sums in registers", Threads: 1, DType: "float32", Seconds: []float64{0.003, 0.0031, 0.003}, Global: 0.125, Shared: 1},
		{Name: "matrix units", Idea: "matrices of a subgroup", Threads: 1, DType: "float16", Seconds: []float64{0.0005, 0.0005}, Global: 0.0312, Shared: 0.0625},
	}
	vulkan, software := run(4096, shaders...), run(512, shaders[:2]...)
	vulkan.Ladder.GPU, vulkan.Ladder.API = "Example GPU 8GB", "vulkan"
	software.Ladder.GPU, software.Ladder.API, software.Ladder.Software = "llvmpipe (LLVM 19.1.7, 256 bits)", "vulkan", true
	return map[string]*record.Run{"ladder": run(1024, rungs...), "ladder.gpu": gpu, "ladder.vulkan": vulkan, "ladder.software": software, "ladder.alone": alone, "ladder.interrupted": part, "ladder.nothing": nothing}
}

// Diagnoses are examples of what the doctor finds.
func Diagnoses() map[string]*record.Run {
	run := func(checks ...record.Check) *record.Run {
		r := Run(record.Doctor)
		r.Checks = checks
		return r
	}
	system := record.Check{Group: "Machine", Name: "System", Status: record.OK, Seen: "ubuntu 24.04 amd64, Example CPU 9000 with a name that is long, 16 cores", Why: "the system decides which libraries there are"}
	clock := record.Check{
		Group: "Machine", Name: "CPU clock", Status: record.Warning, Seen: "governor powersave (acpi-cpufreq)", Why: "the CPU stays at its lowest clock",
		Remedies: fault.Remedies{fault.Run("", "sudo", "cpupower", "frequency-set", "-g", "performance")},
	}
	heat := record.Check{Group: "Machine", Name: "Heat", Status: record.Unknown, Seen: "not known"}
	driver := record.Check{
		Group: "GPU", Name: "NVIDIA", Status: record.Failed, Seen: "a card is on the PCI bus, no driver is loaded", Why: "nothing can compute on it",
		Remedies: fault.Remedies{fault.Run("", "sudo", "ubuntu-drivers", "install"), fault.Run("", "sudo", "reboot")},
	}
	mlx := record.Check{Group: "Frameworks", Name: "MLX", Status: record.Absent, Seen: "not installed", Remedies: fault.Remedies{fault.Run("", "gpuplay", "setup", "mlx")}}
	blas := record.Check{Group: "Engines", Name: "BLAS", Status: record.Unknown, Seen: "did not start within 900ms", Remedies: fault.Remedies{fault.Change("timeout", "{} gives it longer")}}
	warm := clock
	warm.Name, warm.Seen, warm.Why, warm.Remedies = "Power", "battery, 41 %", "CPU and GPU are held to less power than on mains", fault.Advice("plug in the charger")
	return map[string]*record.Run{
		"doctor":         run(system, clock, heat, driver, blas, mlx),
		"doctor.warning": run(system, clock),
		"doctor.broken":  run(system, driver, mlx),
		"doctor.limited": run(system, clock, warm),
		"doctor.well":    run(system, mlx),
	}
}

// Imports are examples of what other tools have measured.
func Imports() map[string]*record.Run {
	bench, kernels := Run(record.Imported), Run(record.Imported)
	bench.Foreign = &record.Foreign{Tool: "llama-bench", Version: "b11434 (0123abc)", Series: []record.Series{
		{Name: "gemma3 270M Q4_K - Medium pp512, CUDA, 16 threads, ngl 99", Device: Card, Unit: "tokens/s", Values: []float64{20100, 20300, 19900, 20200, 20000, 20250}},
		{Name: "gemma3 270M Q4_K - Medium tg128, CUDA, 16 threads, ngl 99", Device: Card, Unit: "tokens/s", Values: []float64{410, 412, 409, 411, 413, 408}},
	}}
	kernels.Foreign = &record.Foreign{Tool: "nvbench", Version: "0.1.0", Series: []record.Series{
		{Name: "copy Device=0 T=I32 Elements=2^28", Device: Card, Unit: "s", Values: []float64{0.000712}, Of: 1402},
	}}
	for _, r := range []*record.Run{bench, kernels} {
		r.Command, r.Program, r.Elapsed = nil, record.Program{}, 0
	}
	return map[string]*record.Run{"llama-bench": bench, "nvbench": kernels}
}
