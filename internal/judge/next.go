package judge

import (
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
)

// Next returns one thing to try next that was not tried and can be run here: a
// command, and what it brings; nil where nothing suggests itself.
func Next(r *record.Run) *fault.Remedy {
	switch {
	case r.Interrupted:
		return nil
	case r.Kind == record.Race:
		return raceNext(r)
	case r.Kind == record.LLM:
		return tokenNext(r)
	case r.Kind == record.Finetune:
		return trainingNext(r)
	}
	return nil
}

// possible reports whether an engine that is missing is worth having: one that is not
// installed. MLX is made for Apple's GPUs; on a CPU its Linux build has no fast products.
// Engines that compute on GPUs alone need one that was found.
func possible(r *record.Run, m record.Missing) bool {
	if m.API != "" || m.Code != fault.Unavailable {
		return false
	}
	switch m.Engine {
	case "mlx":
		return r.Machine.OS != "linux"
	case "cuda": // which lacks nothing but the driver
		return false
	case "cublaslt":
		return slices.ContainsFunc(r.Cards, func(c hardware.Card) bool { return c.Vendor == "NVIDIA" })
	case "vulkan":
		return len(r.Cards) > 0
	}
	return true
}

// Possible returns the names of the engines that a race could have had, as their makers
// write them.
func Possible(r *record.Run) []string {
	var names []string
	for _, m := range r.Missing {
		if possible(r, m) {
			names = append(names, engineName(m.Engine))
		}
	}
	return names
}

// engineName writes an engine as its makers do. Of BLAS libraries it names the one that
// every system can have.
func engineName(engine string) string {
	switch engine {
	case "blas":
		return "OpenBLAS"
	case "torch":
		return "PyTorch"
	case "tensorflow":
		return "TensorFlow"
	case "mlx", "jax":
		return strings.ToUpper(engine)
	case "cublaslt":
		return "cuBLASLt"
	case "vulkan":
		return "Vulkan"
	}
	return engine
}

func raceNext(r *record.Run) *fault.Remedy {
	if len(r.Results) == 0 {
		return nil
	}
	if !withGPU(r) {
		return &fault.Remedy{Command: []string{"gpuplay", "learn", "matmul"}, Text: "how matrix products become fast, step by step"}
	}
	for _, m := range r.Missing {
		if !possible(r, m) {
			continue
		}
		for _, fix := range m.Remedies {
			if len(fix.Command) > 2 && slices.Equal(fix.Command[:2], []string{"gpuplay", "setup"}) {
				fix.Text = "to have " + m.Engine + " in the race"
				return &fix
			}
		}
	}
	if DType(r.Results[0].GEMM) == matrix.Float32 {
		return &fault.Remedy{Command: []string{"gpuplay", "race"}, Param: "dtype", Value: string(matrix.BFloat16), Text: "what half the bits bring"}
	}
	return nil
}
