package recordtest

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
)

// Examples are the runs that golden files exist for, by name. Each call makes them
// anew. Their figures are made up: they exercise what is written about them, and say
// nothing of the speed of any device.
func Examples() map[string]*record.Run {
	all := map[string]*record.Run{}
	for _, some := range []map[string]*record.Run{Races(), Watched(), Sweeps(), Tokens(), Generations(), Trainings(), Roofs(), Descriptions(), Ladders(), Inputs(), Diagnoses(), Imports()} {
		maps.Copy(all, some)
	}
	for _, name := range []string{"noise.short", "noise.failed"} { // the others are long
		all[name] = Noises()[name]
	}
	return all
}

// Flags is the wording of a command line.
type Flags struct{}

// Param writes a parameter as a flag.
func (Flags) Param(name, value string) string { return strings.TrimSpace("--" + name + " " + value) }

// Command writes a command as it is typed.
func (Flags) Command(words []string) string { return strings.Join(words, " ") }

// Run returns a run of a kind on the example machine.
func Run(kind record.Kind, results ...*bench.Result) *record.Run {
	return &record.Run{
		Schema: record.Schema, ID: "019b7d10-7b00-7000-8000-000000000001", Kind: kind,
		Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Elapsed: 42 * time.Second,
		Program: record.Program{Version: "0.2.0", Commit: "0123abc", Go: "go1.26.0"}, Command: []string{"gpuplay", string(kind)},
		Machine: host.Machine{OS: "linux", Arch: "amd64", CPU: Chip, Cores: 16, Memory: ptr(uint64(64e9))},
		Results: results,
	}
}

// Result returns a lane that reached a speed in FLOP/s at 4096³ in float32, changed by
// change.
func Result(d hardware.Device, speed float64, change ...func(*bench.Result)) *bench.Result {
	g := bench.Square(4096, matrix.Float32)
	r := &bench.Result{
		Engine: "engine", Device: d, GEMM: g, Seed: 1, Protocol: bench.Steady,
		Start: 20 * time.Millisecond, Prepare: 30 * time.Millisecond, First: 15 * time.Millisecond,
		Check: &matrix.Check{Passed: true, Error: ptr(2.5e-6), Bound: 3.1e-5, Arithmetic: "float32"},
	}
	at := 400 * time.Millisecond
	for i := range 12 {
		wiggle := 1 + 0.004*float64(i*5%12-6)/6
		s := bench.Sample{Iters: 2, Wall: time.Duration(2 * g.FLOP() / speed * wiggle * 1e9), Start: at}
		at += s.Wall + 100*time.Microsecond
		s.End = at
		r.Samples = append(r.Samples, s)
	}
	for _, c := range change {
		c(r)
	}
	r.Lane = r.Engine + "/" + r.Device.ID
	return r
}

func ptr[T any](x T) *T { return &x }

// Engine names the engine of a result.
func Engine(name string) func(*bench.Result) { return func(r *bench.Result) { r.Engine = name } }

// Peak sets the FLOP/s that the device can reach.
func Peak(p float64) func(*bench.Result) { return func(r *bench.Result) { r.Facts.Peak = &p } }

// Start sets how long the engine took to start.
func Start(d time.Duration) func(*bench.Result) { return func(r *bench.Result) { r.Start = d } }

// First leaves the first n samples.
func First(n int) func(*bench.Result) { return func(r *bench.Result) { r.Samples = r.Samples[:n] } }

// Failed makes a result one that failed while it was prepared.
func Failed(code fault.Code, message string, remedies ...fault.Remedy) func(*bench.Result) {
	return func(r *bench.Result) {
		r.Samples, r.Check = []bench.Sample{}, nil
		r.Error, r.Stage = &fault.Error{Code: code, Message: message, Remedies: remedies}, bench.Preparing
	}
}

// Warned adds a warning.
func Warned(code measure.WarningCode, text string) func(*bench.Result) {
	return func(r *bench.Result) { r.Warnings.Add(code, "%s", text) }
}

// Integer makes a result one of int8.
func Integer(r *bench.Result) {
	r.GEMM = bench.Square(4096, matrix.Int8)
	if r.Check != nil {
		r.Check = &matrix.Check{Passed: true, Error: ptr(0.0), Arithmetic: "int32"}
	}
}

// Vector makes a result one of a matrix and a vector, at the speed that it had.
func Vector(r *bench.Result) {
	before := r.GEMM.FLOP()
	r.GEMM.N = 1
	for i := range r.Samples {
		r.Samples[i].Wall = time.Duration(float64(r.Samples[i].Wall) * r.GEMM.FLOP() / before)
	}
}

// Size makes a result one of another size, at the speed that it had.
func Size(m, n, k int) func(*bench.Result) {
	return func(r *bench.Result) {
		was := r.GEMM.FLOP()
		r.GEMM.M, r.GEMM.N, r.GEMM.K = m, n, k
		for i, s := range r.Samples {
			iters := 1 + int(1e9/r.GEMM.FLOP())
			r.Samples[i].Iters, r.Samples[i].Wall = iters, time.Duration(s.Seconds()*float64(iters)*r.GEMM.FLOP()/was*1e9)
		}
	}
}

// Trips gives a result round trips whose copies reach a speed in bytes per second, and whose
// products are launched in a time. It comes after what changes the size or the speed.
func Trips(speed float64, launch time.Duration) func(*bench.Result) {
	return func(r *bench.Result) {
		g := r.GEMM
		c := float64(g.M*g.N*g.Out.Size()) / speed
		in := g.Bytes()/speed - c
		for i := range 7 {
			wiggle := 1 + 0.01*float64(i*3%7-3)/3
			time := func(seconds float64) time.Duration { return 5*time.Microsecond + time.Duration(seconds*wiggle*1e9) }
			device := time(r.Samples[0].Seconds())
			r.RoundTrips = append(r.RoundTrips, bench.RoundTrip{In: time(in), Product: device + launch, Device: &device, Out: time(c)})
		}
	}
}

// Doubtful makes a result one that is not verified, if so.
func Doubtful(yes bool) func(*bench.Result) {
	return func(r *bench.Result) {
		if yes {
			r.Warnings.Add(measure.AbovePeak, "faster than this device can be: not believed")
		}
	}
}

// On says which GPU a result was measured on: its number on the machine, and in the
// process; -1 for one that is not known.
func On(card, index int) func(*bench.Result) {
	return func(r *bench.Result) {
		if card >= 0 {
			r.Device.Card = &card
			r.Device.UUID = fmt.Sprintf("GPU-%08d", card)
			r.Device.ID = r.Device.API + ":" + r.Device.UUID
		}
		if index >= 0 {
			r.Device.Index = &index
		}
	}
}

// Device returns a device of the example machine.
func Device(kind hardware.Kind, name, api, library, version, detail string) hardware.Device {
	return hardware.Device{ID: api + ":0", Name: name, Kind: kind, API: api, Library: library, Version: version, Detail: detail}
}

// The hardware of the example machine.
const (
	Chip = "Example CPU 9000"
	Card = "Example GPU X"
)

// Devices of the example machine.
var (
	BuiltIn  = Device(hardware.CPU, Chip, "cpu", "gpuplay", "", "built in, AVX-512")
	OpenBLAS = Device(hardware.CPU, Chip, "openblas", "OpenBLAS", "0.3.34.481.3", "Zen kernels")
	MKL      = Device(hardware.CPU, Chip, "mkl", "MKL", "2026.2", "sequential")
	TorchCPU = Device(hardware.CPU, Chip, "cpu", "PyTorch", "2.15.0", "eager")
	TorchGPU = Device(hardware.GPU, Card, "cuda", "PyTorch", "2.15.0", "eager")
	Own      = Device(hardware.GPU, Card, "cuda", "gpuplay", "", "built in, sm_90")
	JAX      = Device(hardware.GPU, Card, "gpu", "JAX", "0.10.2", "")
	Software = Device(hardware.SoftwareGPU, "llvmpipe", "vulkan", "Vulkan", "1.4", "")
)

// Races are examples of races, and of single products.
func Races() map[string]*record.Run {
	gpu := Run(record.Race,
		Result(TorchGPU, 25.1e12, Start(2200*time.Millisecond), Engine("torch")),
		Result(TorchCPU, 0.95e12, Start(2140*time.Millisecond), Engine("torch")),
		Result(BuiltIn, 1.01e12, Peak(1.1e12), Engine("gocpu")),
		Result(OpenBLAS, 0.97e12, Engine("blas")),
	)
	cpu := Run(record.Race,
		Result(TorchCPU, 95e9, Start(2140*time.Millisecond), Engine("torch")),
		Result(BuiltIn, 101e9, Peak(110e9), Engine("gocpu")),
		Result(OpenBLAS, 101.1e9, Engine("blas")),
	)
	cpu.Missing = []record.Missing{
		{Engine: "torch", API: "cuda", Kind: hardware.GPU, Code: fault.Unavailable, Reason: "PyTorch 2.15.0 is a CPU-only build", Remedies: fault.Remedies{fault.Run("", "gpuplay", "setup", "torch")}},
		{Engine: "blas", API: "mkl", Kind: hardware.CPU, Code: fault.Unavailable, Reason: "no libmkl_rt.so.3", Remedies: fault.Remedies{fault.Run("", "pip", "install", "mkl")}},
		{Engine: "jax", Code: fault.Unavailable, Reason: "JAX is not installed", Remedies: fault.Remedies{fault.Change("python", "{} names an interpreter that has it"), fault.Run("{} makes one", "gpuplay", "setup", "jax")}},
	}
	troubled := Run(record.Race,
		Result(BuiltIn, 1.01e12, Peak(1.1e12), Engine("gocpu"), Warned(measure.Noise, "noisy: something else uses this machine, or its clock changes")),
		Result(TorchCPU, 0.95e12, Failed(fault.Crashed, "ended by signal 6 (aborted) while preparing: “a library's last words, which can be quite long”")),
		Result(OpenBLAS, 0.97e12, Failed(fault.OutOfMemory, "too big: 32768³ in float32 needs 12.9 GB of memory, 9.00 GB is available", fault.Set("size", 27392, "the largest size that fits"))),
		Result(TorchGPU, 180e12, func(r *bench.Result) { r.Check.Passed, r.Check.Arithmetic = false, "tf32" },
			Warned(measure.Arithmetic, "computed as tf32, not float32: error 2.9e-04 where at most 3.1e-05 is expected")),
		Result(Software, 0.011e12, Warned(measure.SoftwareGPU, "a CPU does the work behind this GPU interface"), First(3), func(r *bench.Result) {
			r.GEMM = bench.Square(512, matrix.Float32)
			r.Warnings.Add(measure.FewSamples, "3 samples in 73.2 ms: there was time for no more")
		}),
	)
	integers := Run(record.Race,
		Result(TorchCPU, 0.2e12, Start(2140*time.Millisecond), Engine("torch"), Integer),
		Result(BuiltIn, 3.1e12, Peak(3.4e12), Engine("gocpu"), Integer),
		Result(OpenBLAS, 1, Failed(fault.Unsupported, "OpenBLAS multiplies float32 and float64, not int8 summed in int32 to int32"), Engine("blas"), Integer),
	)
	vector := Run(record.MatMul,
		Result(BuiltIn, 9.8e9, Peak(1.1e12), Engine("gocpu"), Vector),
		Result(TorchGPU, 1.6e12, Engine("torch"), Vector),
		Result(OpenBLAS, 9.7e9, Failed(fault.Crashed, "ended by signal 6 (aborted) while preparing"), Engine("blas"), Vector),
	)
	// A machine with four GPUs of one model; its process sees two of them, which it
	// numbers anew, and JAX says of its device neither address nor UUID.
	cards := Run(record.Race,
		Result(BuiltIn, 1.01e12, Peak(1.1e12), Engine("gocpu")),
		Result(TorchGPU, 48e12, Engine("torch"), On(3, 1)),
		Result(TorchGPU, 50e12, Engine("torch"), On(1, 0)),
		Result(Device(hardware.GPU, "Example GPU X (80 GB)", "vulkan", "Vulkan", "1.4", ""), 31e12, Engine("vulkan"), On(3, -1)),
		Result(JAX, 45e12, Engine("jax")),
	)
	for i := range 4 {
		cards.Cards = append(cards.Cards, hardware.Card{Number: i, Name: Card, UUID: fmt.Sprintf("GPU-%08d", i), PCI: fmt.Sprintf("0000:%02x:00.0", 16*i+10)})
	}
	// One lane, interrupted, timed by the loop of the tutorials.
	classic := Run(record.MatMul, Result(TorchCPU, 95e9, Engine("torch"), func(r *bench.Result) {
		r.Protocol, r.GEMM.Sum, r.GEMM.TransB = bench.Classic, true, true
		r.Warnings.Add(measure.Interrupted, "interrupted: 12 of 100 products")
	}))
	classic.Interrupted = true
	equal, all := equalCards()
	return map[string]*record.Run{"equal": equal, "equal.all": all, "gpu": gpu, "cpu": cpu, "troubled": troubled, "int8": integers, "vector": vector, "cards": cards, "classic": classic}
}

// equalCards are a race on a machine with many cores and four equal GPUs, of which one
// stands for the others, and one in which each is measured.
func equalCards() (equal, all *record.Run) {
	lanes := func(cards int) []*bench.Result {
		list := []*bench.Result{
			Result(BuiltIn, 2.28e12, Peak(7.8e12), Engine("gocpu"), Start(170*time.Millisecond)),
			Result(TorchCPU, 2.78e12, Engine("torch"), Start(5200*time.Millisecond)),
			Result(Device(hardware.CPU, Chip, "cpu", "JAX", "0.11.2", "jit"), 2.52e12, Engine("jax"), Start(13700*time.Millisecond)),
		}
		for i := range cards {
			list = append(list, Result(TorchGPU, (50.4-0.05*float64(i))*1e12, Engine("torch"), Start(5200*time.Millisecond), On(i, i)))
		}
		for i := range cards {
			d := JAX
			d.API, d.Detail = "cuda", "jit"
			list = append(list, Result(d, (49.7-0.05*float64(i))*1e12, Engine("jax"), Start(13700*time.Millisecond), On(i, i)))
		}
		for _, r := range list {
			Size(8192, 8192, 8192)(r)
		}
		return list
	}
	equal, all = Run(record.Race, lanes(1)...), Run(record.Race, lanes(4)...)
	for _, r := range []*record.Run{equal, all} {
		r.Budget = 10 * time.Second
		for i := range 4 {
			r.Cards = append(r.Cards, hardware.Card{Number: i, Name: Card, UUID: fmt.Sprintf("GPU-%08d", i), PCI: fmt.Sprintf("0000:%02x:00.0", i+1)})
		}
		r.LeftOut = []record.LeftOut{{Engine: "blas", Device: OpenBLAS, Why: record.NoTime, Start: 150 * time.Millisecond}}
	}
	for _, x := range all.Results {
		if x.Device.Card != nil && *x.Device.Card > 0 {
			equal.LeftOut = append(equal.LeftOut, record.LeftOut{Engine: x.Engine, Device: x.Device, Why: record.EqualCard, Start: x.Start, Instead: ptr(0)})
		}
	}
	return equal, all
}

// Reference returns a kept record of a card of another machine that reached a speed in
// FLOP/s at 4096³ in float32, changed by change.
func Reference(card string, speed float64, change ...func(*bench.Result)) *record.Run {
	d := TorchGPU
	d.ID, d.Name, d.Versions = "cuda", card, map[string]string{"torch": "2.15.0+cu130", "cuda": "13.0", "driver": "580.1"}
	r := Run(record.Race, Result(d, speed, append([]func(*bench.Result){Engine("torch")}, change...)...))
	r.Command, r.Machine.CPU = nil, "Another CPU"
	return r
}

// Sweeps are examples of sweeps.
func Sweeps() map[string]*record.Run {
	rising := Run(record.Sweep)
	for i, n := range []int{16, 64, 256, 1000, 4096} {
		share := []float64{0.4, 0.8, 0.93, 0.94, 0.95}[i]
		rising.Results = append(rising.Results,
			Result(BuiltIn, share*110e9, Engine("gocpu"), Peak(112e9-1e9*float64(i)), Size(n, n, n)),
			Result(OpenBLAS, share*105e9*(1+0.05*float64(i%3)), Engine("blas"), Size(n, n, n)),
			Result(MKL, 0.8*share*105e9, Engine("blas"), Size(n, n, n), Doubtful(n == 1000)),
		)
	}
	rising.Results = append(rising.Results,
		Result(BuiltIn, 30e9, Engine("gocpu"), Peak(112e9), Size(5, 4096, 4096)),
		Result(OpenBLAS, 20e9, Engine("blas"), Size(5, 4096, 4096), Failed(fault.Wrong, "wrong result: error 3.1e-02 where at most 6.0e-06 is expected")),
		Result(MKL, 25e9, Engine("blas"), Size(5, 4096, 4096), Warned(measure.Noise, "noisy")),
	)
	crossing := Run(record.Sweep)
	crossing.Crossover, crossing.Interrupted = true, true
	for i, n := range []int{64, 512, 4096} {
		crossing.Results = append(crossing.Results,
			Result(TorchCPU, 0.9e12, Engine("torch"), Size(n, n, n)),
			Result(TorchGPU, []float64{0.01e12, 1.2e12, 25e12}[i], Engine("torch"), Size(n, n, n)),
		)
	}
	copies := Run(record.Sweep)
	copies.Crossover = true
	for i, n := range []int{64, 512, 1024, 4096} {
		copies.Results = append(copies.Results,
			Result(TorchCPU, 0.9e12, Engine("torch"), Size(n, n, n)),
			Result(Own, []float64{0.01e12, 1.2e12, 8e12, 26e12}[i], Engine("cuda"), Size(n, n, n), Trips(20e9, 12*time.Microsecond)),
			Result(TorchGPU, []float64{0.01e12, 1.1e12, 7e12, 25e12}[i], Engine("torch"), Size(n, n, n)),
		)
	}
	several := Run(record.Sweep)
	for _, n := range []int{512, 4096} {
		several.Results = append(several.Results,
			Result(TorchGPU, 48e12, Engine("torch"), On(3, 1), Size(n, n, n)),
			Result(TorchGPU, 50e12, Engine("torch"), On(1, 0), Size(n, n, n)),
			Result(BuiltIn, 1e12, Engine("gocpu"), Size(n, n, n), func(r *bench.Result) { r.Facts.Threads = 16 }),
		)
	}
	several.Cards = Races()["cards"].Cards
	mixed := Run(record.Sweep)
	for i, n := range []int{64, 512, 4096} {
		mixed.Results = append(mixed.Results,
			Result(BuiltIn, []float64{80e9, 0.9e12, 1.1e12}[i], Engine("gocpu"), Peak(1.2e12), Size(n, n, n)),
			Result(OpenBLAS, []float64{60e9, 0.8e12, 1.2e12}[i], Engine("blas"), Size(n, n, n)),
			Result(TorchCPU, []float64{10e9, 0.7e12, 1.3e12}[i], Engine("torch"), Size(n, n, n)),
		)
		for card := range 2 {
			mixed.Results = append(mixed.Results, Result(TorchGPU, []float64{8e9, 9e12, 50e12}[i]*(1+0.01*float64(card)), Engine("torch"), On(card, card), Size(n, n, n)))
		}
	}
	late := Result(BuiltIn, 3e9, Engine("gocpu"), Size(8192, 8192, 8192), Failed(fault.Timeout, "left out: one product would take about 4.2 min", fault.Change("time", "{} allows more time")))
	slow := Run(record.Sweep, Result(BuiltIn, 50e9, Engine("gocpu"), Size(4096, 4096, 4096)), late)
	alone := Run(record.Sweep, Result(BuiltIn, 50e9, Engine("gocpu"), Size(64, 64, 64)))
	nothing := Run(record.Sweep)
	nothing.Interrupted = true
	return map[string]*record.Run{"sweep": rising, "crossing": crossing, "copies": copies, "several": several, "mixed": mixed, "slow": slow, "alone": alone, "nothing": nothing}
}
