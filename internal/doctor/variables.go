package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/record"
)

// A variable of the environment that changes what is measured.
type variable struct {
	name string
	// applies reports whether the value, which is set, changes results here.
	applies func(value string, f Facts) bool
	why     string
}

func is(values ...string) func(string, Facts) bool {
	return func(v string, _ Facts) bool { return slices.Contains(values, strings.ToLower(v)) }
}

func isNot(values ...string) func(string, Facts) bool {
	return func(v string, f Facts) bool { return !is(values...)(v, f) }
}

func always(string, Facts) bool { return true }

// noVulkan reports whether Vulkan was asked and has no device.
func noVulkan(_ string, f Facts) bool {
	return f.Vulkan != nil && !f.Vulkan.Slow && len(f.Vulkan.Devices) == 0
}

// fewer reports whether the value is a number of threads below the cores. Where it is
// not known which CPUs share one, there are at least half as many cores.
func fewer(v string, f Facts) bool {
	first, _, _ := strings.Cut(v, ",") // of nested parallel regions
	n, err := strconv.Atoi(strings.TrimSpace(first))
	return err != nil || n < cmp.Or(f.Cores, (f.CPUs+1)/2)
}

// hidesAll reports whether a list of GPUs, by number or UUID, names none that there is: it
// ends at the first entry that names none, such as -1 or NoDevFiles (CUDA Programming
// Guide, "CUDA Environment Variables").
func hidesAll(v string, f Facts) bool {
	first, _, _ := strings.Cut(v, ",")
	first = strings.TrimSpace(first)
	if n, err := strconv.Atoi(first); err == nil {
		known := f.NVIDIA != nil && len(f.NVIDIA.GPUs) > 0
		return n < 0 || known && n >= len(f.NVIDIA.GPUs)+len(f.NVIDIA.Lost)
	}
	return !strings.HasPrefix(first, "GPU-") && !strings.HasPrefix(first, "MIG-")
}

var table = []variable{
	{"PYTORCH_ENABLE_MPS_FALLBACK", is("1"), "what MPS lacks runs on the CPU, silently"},
	{"PYTORCH_MPS_HIGH_WATERMARK_RATIO", always, "lets MPS take more or less memory than is good: above it the Mac swaps"},
	{"NVIDIA_TF32_OVERRIDE", always, "forces TF32 on or off in all of NVIDIA's libraries, whatever a program asks for"},
	{"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", is("1"), "PyTorch computes float32 as TF32: 10 bits of mantissa instead of 23"},
	{"ONEDNN_DEFAULT_FPMATH_MODE", isNot("strict"), "oneDNN may compute float32 with fewer bits"},
	{"TF_ENABLE_ONEDNN_OPTS", is("0"), "TensorFlow leaves its faster CPU kernels out"},
	{"MLX_ENABLE_TF32", is("1"), "MLX computes float32 as TF32 where the GPU can"},
	{"OMP_NUM_THREADS", fewer, "CPU lanes that use OpenMP get fewer threads than there are cores"},
	{"MKL_NUM_THREADS", fewer, "MKL gets fewer threads than there are cores"},
	{"OPENBLAS_NUM_THREADS", fewer, "OpenBLAS gets fewer threads than there are cores"},
	{"VECLIB_MAXIMUM_THREADS", fewer, "Accelerate gets fewer threads than there are cores"},
	{"OPENBLAS_CORETYPE", always, "OpenBLAS uses that CPU's kernels, not the ones made for this CPU"},
	{"MKL_DEBUG_CPU_TYPE", always, "MKL uses another CPU's kernels"},
	{"BLIS_NUM_THREADS", fewer, "BLIS gets fewer threads than there are cores"},
	{"TF_NUM_INTRAOP_THREADS", fewer, "TensorFlow gets fewer threads than there are cores"},
	{"PJRT_NPROC", fewer, "JAX gets fewer threads than there are cores"},
	{"NPROC", fewer, "JAX gets fewer threads than there are cores"},
	{"GOMAXPROCS", fewer, "engines get fewer threads than there are cores"},
	{"OMP_PROC_BIND", isNot("false"), "OpenMP binds the threads that compute to CPUs"},
	{"GOMP_CPU_AFFINITY", always, "OpenMP binds the threads that compute to CPUs"},
	{"KMP_AFFINITY", isNot("none", "disabled"), "OpenMP binds the threads that compute to CPUs"},
	{"CUDA_VISIBLE_DEVICES", func(v string, f Facts) bool { return f.hasNVIDIA() && hidesAll(v, f) }, "it hides every NVIDIA GPU"},
	{"HIP_VISIBLE_DEVICES", always, "it may hide AMD's GPUs from ROCm"},
	{"ROCR_VISIBLE_DEVICES", always, "it may hide AMD's GPUs from ROCm"},
	{"JAX_PLATFORMS", always, "JAX uses no other devices"},
	{"JAX_DISABLE_JIT", isNot("0", "false", "no", "off"), "JAX compiles nothing; measurements compile all the same"},
	{"LD_PRELOAD", always, "a library is loaded into every engine"},
	{"XLA_FLAGS", always, "changes how JAX and TensorFlow compile"},
	{"VK_DRIVER_FILES", noVulkan, "only the Vulkan drivers that it names are loaded, and they have no device"},
	{"VK_ICD_FILENAMES", noVulkan, "only the Vulkan drivers that it names are loaded, and they have no device"},
	{"KMP_DUPLICATE_LIB_OK", is("1", "true"), "hides that two OpenMP libraries fight in one process: slow at best, wrong at worst"},
}

// Variables are the names of all that is looked at.
func Variables() []string {
	names := make([]string, len(table))
	for i, v := range table {
		names[i] = v.name
	}
	return names
}

// variables lists those that change results, and says when there are none.
func variables(f Facts) []record.Check {
	var list []record.Check
	for _, v := range table {
		value, set := f.Variables[v.name]
		if !set || !v.applies(value, f) {
			continue
		}
		list = append(list, one("Variable", record.Warning, fmt.Sprintf("%s=%s", v.name, cmp.Or(value, `""`)), v.why, f.unset(v.name))...)
	}
	if list == nil {
		return one("Variables", record.OK, "none is set that changes results", "")
	}
	return list
}
