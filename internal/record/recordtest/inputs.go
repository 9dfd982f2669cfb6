package recordtest

import (
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
)

// Data makes a result one of other inputs.
func Data(d matrix.Data) func(*bench.Result) { return func(r *bench.Result) { r.GEMM.Data = d } }

// Inputs are examples of comparisons of inputs, and of a race and a sweep on other inputs than
// random ones.
func Inputs() map[string]*record.Run {
	half := func(r *bench.Result) {
		data := r.GEMM.Data
		r.GEMM = bench.Square(8192, matrix.BFloat16)
		r.GEMM.Data = data
		for i := range r.Samples {
			r.Samples[i].Wall *= 8
		}
	}
	gpu := Run(record.Inputs)
	watts := []float64{698, 699, 552, 610, 655}
	for i, speed := range []float64{771e12, 748e12, 884e12, 861e12, 833e12} {
		power := func(r *bench.Result) {
			r.Sensors = &measure.Sensed{Source: "NVML", Alone: true, Large: true, During: &measure.State{Power: &watts[i]}}
		}
		gpu.Results = append(gpu.Results, Result(TorchGPU, speed, Engine("torch"), Start(2200*time.Millisecond), Data(matrix.Kinds[i]), half, power))
	}
	cpu := Run(record.Inputs)
	for i, d := range matrix.Kinds {
		cpu.Results = append(cpu.Results, Result(BuiltIn, 1.01e12+float64(i%2)*1e9, Engine("gocpu"), Peak(1.1e12), Data(d)))
	}
	for _, r := range []*record.Run{gpu, cpu} {
		for _, x := range r.Results {
			if d := x.GEMM.Data; d != matrix.Random {
				x.Lane += "#" + d.String()
			}
		}
	}
	zeros := Races()["gpu"]
	for _, x := range zeros.Results {
		x.GEMM.Data = matrix.Zeros
	}
	sweep := Run(record.Sweep)
	for _, n := range []int{512, 1024} {
		sweep.Results = append(sweep.Results, Result(BuiltIn, 1.01e12, Engine("gocpu"), Data(matrix.Ramp), Size(n, n, n)), Result(OpenBLAS, 0.97e12, Engine("blas"), Data(matrix.Ramp), Size(n, n, n)))
	}
	return map[string]*record.Run{"inputs": gpu, "inputs.even": cpu, "zeros": zeros, "ramps": sweep}
}
