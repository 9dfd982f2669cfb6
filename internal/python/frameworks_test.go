package python

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// witness is added to a framework's worker. It keeps every C that a task
// computes and answers C·x with the number of them that lie in memory of their
// own, in every element: a product that was skipped, merged with an equal one or
// put off has none.
const witness = `
class Task(Task):
    def __init__(self, *args):
        self.kept = []
        super().__init__(*args)

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name == "c" and value is not None:
            self.kept.append(value)

    def mulvec(self, x):
        if self.n > 1:
            return super().mulvec(x)
        return array.array("d", [materialised(self.kept)]) * self.c.shape[0]
`

// materialised counts arrays of numbers, in each framework's own words. MLX has
// none for it: what the others free when they go is counted.
var materialised = map[string]string{
	"tensorflow": `
def materialised(kept):
    import numpy
    return len({numpy.frombuffer(memoryview(c), numpy.float32).ctypes.data for c in kept})
`,
	"mlx": `
def materialised(kept):
    all = mx.get_active_memory()
    del kept[:-1]
    return (all - mx.get_active_memory()) // kept[-1].nbytes + 1
`,
	"jax": `
def materialised(kept):
    return len({c.unsafe_buffer_pointer() for c in kept})
`,
}

// traps are environment variables that change what a framework computes, and
// what it must say of them.
var traps = []struct {
	framework, library string
	detail             string // how it runs: eager, compiled
	env                []string
	asked, threads     int // by the user, of the framework
	notes              []string
}{
	{"torch", "PyTorch", "eager", []string{"OMP_NUM_THREADS=1", "ONEDNN_DEFAULT_FPMATH_MODE=BF16"}, 0, 1, []string{
		"ONEDNN_DEFAULT_FPMATH_MODE=BF16 is set: oneDNN may compute float32 in a narrower type",
		"computes with 1 thread of",
	}},
	{"tensorflow", "TensorFlow", "eager", []string{"TF_NUM_INTRAOP_THREADS=1", "TF_SET_ONEDNN_FPMATH_MODE=BF16"}, 0, 1, []string{
		"TF_SET_ONEDNN_FPMATH_MODE=BF16 is set: oneDNN may compute float32 in a narrower type",
		"computes with 1 thread of",
	}},
	{"mlx", "MLX", "lazy", nil, 1, 0, []string{"MLX has no setting for threads"}},
	{"jax", "JAX", "jit", []string{"JAX_DEFAULT_MATMUL_PRECISION=bfloat16"}, 1, 1, []string{
		"JAX_DEFAULT_MATMUL_PRECISION=bfloat16 is set: not used here",
	}},
}

// Each framework says who it is and what its environment makes of it, checks as
// what it says, and computes n products when n are asked for.
func TestFrameworks(t *testing.T) {
	for _, tt := range traps {
		t.Run(tt.framework, func(t *testing.T) {
			c := client(t, frameworkPython(t, tt.framework), tt.framework)
			c.Env = append(c.Env, tt.env...)
			c.Hello.Threads = tt.asked
			count, lazy := materialised[tt.framework]
			if lazy {
				extend(c, witness+count)
			}
			found, err := c.Devices(limit(t))
			if err != nil {
				t.Fatal(err)
			}
			d := found.Devices[0]
			if d.ID != "cpu" || d.Name != "a CPU" || d.Library != tt.library || d.Detail != tt.detail || d.Version == "" || d.Versions["python"] == "" || d.Versions[tt.framework] == "" {
				t.Errorf("first device is %+v", d)
			}
			if len(found.Devices) == 1 && len(found.Missing) == 0 {
				t.Error("no GPU, and nothing says why")
			}
			t.Run("traps", func(t *testing.T) { namesTraps(t, c, d, tt.threads, tt.notes) })
			if lazy {
				t.Run("n products", func(t *testing.T) { computesAll(t, c, d) })
			}
		})
	}
}

// extend adds to the end of a worker's program.
func extend(c *worker.Client, code string) {
	c.Source = append(slices.Clone(c.Source), code...)
	c.Args = slices.Clone(c.Args)
	c.Args[4] = strconv.Itoa(len(c.Source))
}

func namesTraps(t *testing.T, c *worker.Client, d hardware.Device, threads int, notes []string) {
	g := bench.Square(256, matrix.Float32)
	task, err := c.Prepare(limit(t), d, g, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer task.Close()
	f := task.Facts()
	if f.Threads != threads {
		t.Errorf("computes with %d threads, want %d", f.Threads, threads)
	}
	for _, n := range notes {
		if !slices.ContainsFunc(f.Notes, func(have string) bool { return strings.HasPrefix(have, n) }) {
			t.Errorf("notes %q, want %q", f.Notes, n)
		}
	}
	check := checked(t, task, g)
	t.Logf("%s %s: error %.2e, bound %.2e: %s", d.Library, d.Version, *check.Error, check.Bound, check.Arithmetic)
	if !check.Passed && !slices.Contains([]string{"bfloat16", "tf32"}, check.Arithmetic) {
		t.Errorf("the product is wrong and its arithmetic is called %q", check.Arithmetic)
	}
}

func checked(t *testing.T, task bench.Task, g bench.GEMM) matrix.Check {
	t.Helper()
	if _, err := task.Run(limit(t), 1, 0); err != nil {
		t.Fatal(err)
	}
	ref, err := matrix.NewReference(limit(t), matrix.Problem{M: g.M, N: g.N, K: g.K, In: g.In, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	check, err := ref.CheckProduct(func(x []float64) ([]float64, error) { return task.MulVec(limit(t), x) }, g.Acc, g.Out)
	if err != nil || check.Error == nil {
		t.Fatalf("check %+v, %v", check, err)
	}
	return check
}

func computesAll(t *testing.T, c *worker.Client, d hardware.Device) {
	const n = 5
	for _, sum := range []bool{false, true} {
		g := bench.Square(1, matrix.Float32)
		g.M, g.Sum = 1<<12, sum
		task, err := c.Prepare(limit(t), d, g, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := task.Run(limit(t), n, 1); err != nil {
			t.Fatal(err)
		}
		y, err := task.MulVec(limit(t), []float64{1})
		if err != nil {
			t.Fatal(err)
		}
		if y[0] != n {
			t.Errorf("%v products were computed, want %d (sum %v)", y[0], n, sum)
		}
		if err := task.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What the workers decide from facts alone, on machines that are not here.
func TestDecisions(t *testing.T) {
	tests := []struct{ framework, expression, want string }{
		{"torch", `thread_notes(2, 2, {})`, ``},
		{"torch", `thread_notes(2, 2, {"OMP_NUM_THREADS": "2"})`, ``},
		{"torch", `thread_notes(8, 16, {})`, ``}, // two threads a core
		{"torch", `thread_notes(1, 2, {"OMP_NUM_THREADS": "1"})`, `computes with 1 thread of 2 cores: OMP_NUM_THREADS=1`},
		{"torch", `thread_notes(4, 16, {})`, `computes with 4 threads of 16 cores`},
		{"torch", `thread_notes(64, 2, {})`, `computes with 64 threads of 2 cores`},

		{"torch", `switch_notes(FP32_ON_CPU, {})`, ``},
		{"torch", `switch_notes(FP32_ON_CPU, {"ONEDNN_DEFAULT_FPMATH_MODE": "strict"})`, ``},
		{"torch", `switch_notes(FP32_ON_CPU, {"DNNL_DEFAULT_FPMATH_MODE": "ANY"})`, `DNNL_DEFAULT_FPMATH_MODE=ANY is set: oneDNN may compute float32 in a narrower type`},
		{"torch", `switch_notes(FP32_ON_CUDA, {"NVIDIA_TF32_OVERRIDE": "0"})`, `NVIDIA_TF32_OVERRIDE=0 is set: it decides whether float32 is computed as TF32`},

		{"torch", `driver_in("580.159.04\n")`, `580.159.04`},
		{"torch", `driver_in("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 2025\nGCC version: gcc version 13.3.0")`, `580.95.05`},
		{"torch", `driver_in("no version")`, `<nil>`},

		{"torch", `is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 4 GiB"))`, `true`},
		{"torch", `is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"))`, `true`},
		{"tensorflow", `is_out_of_memory(RuntimeError("OOM when allocating tensor with shape[65536,65536]"))`, `true`},
		{"mlx", `is_out_of_memory(RuntimeError("[malloc] Unable to allocate 17179869184 bytes."))`, `true`},
		{"mlx", `is_out_of_memory(RuntimeError("[metal::malloc] Attempting to allocate 9 bytes which is greater than the maximum allowed buffer size"))`, `true`},
		{"jax", `is_out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4 bytes"))`, `true`},
		{"jax", `is_out_of_memory(RuntimeError("INTERNAL: ptxas exited with non-zero error code"))`, `false`},

		{"tensorflow", `metal_problem("2.18.1", None)[0]`, `tensorflow-metal, TensorFlow's way to Apple GPUs, is not installed`},
		{"tensorflow", `metal_problem("2.20.0", "1.2.0")[0]`, `tensorflow-metal 1.2.0 cannot work with TensorFlow 2.20.0: 2.18 and 2.19 are the last that it can`},
		{"tensorflow", `metal_problem("2.19.1", "1.2.0")[0]`, `tensorflow-metal 1.2.0 is installed and TensorFlow 2.19.1 sees no GPU`},
		{"tensorflow", `gpu_problem("2.21.0", {"is_cuda_build": False})[0]`, `TensorFlow 2.21.0 is a CPU-only build`},
		{"tensorflow", `gpu_problem("2.21.0", {"is_cuda_build": True})[0]`, `TensorFlow 2.21.0 is built for GPUs and sees none that it can use`},

		{"mlx", `why_no_gpu("linux", "x86_64")["reason"]`, `this MLX is a CPU-only build`},
		{"mlx", `why_no_gpu("darwin", "x86_64")["reason"]`, `this Python is built for x86_64: MLX's Metal needs Apple silicon`},
		{"mlx", `why_no_gpu("darwin", "arm64")["remedies"][0]["text"]`, `update macOS: 14 or newer`},
		{"mlx", `gpu_uuid("5d4bf5a4-1")`, `GPU-5d4bf5a4-1`},
		{"mlx", `gpu_uuid("GPU-5d4bf5a4-1")`, `GPU-5d4bf5a4-1`},
		{"mlx", `gpu_uuid(None)`, ``},

		// vendor 8086, product e20b, revision 0, domain 0, bus 03, device 0, function 0
		{"torch", `intel_address("86800be2-0000-0000-0300-000000000000", 0xe20b)`, `0000:03:00.0`},
		{"torch", `intel_address("86800be2000001008102010001000001", 0xe20b)`, `<nil>`}, // not zeros where there must be
		{"torch", `intel_address("86800be2000001008102010000000001", 0xe20b)`, `0001:81:02.1`},
		{"torch", `intel_address("86800be2-0000-0000-0300-000000000000", 0x56a0)`, `<nil>`}, // another product
		{"torch", `intel_address("12345678-0000-0000-0300-000000000000", 0x7856)`, `<nil>`},
		{"torch", `intel_address("", 0)`, `<nil>`},

		{"torch", `pip_install("torch", text="x")["command"][1:]`, `-m`},
		{"torch", `same_build("2.15.0+cpu")[-1]`, `https://download.pytorch.org/whl/cpu`},
		{"torch", `same_build("2.15.0+cu126")[-1]`, `https://download.pytorch.org/whl/cu126`},
		{"torch", `same_build("2.15.0+gitabc")[-1]`, `numpy`},
		{"torch", `same_build("2.15.0")[-1]`, `numpy`},
		{"torch", `same_build(None)[-1]`, `numpy`},
		{"mlx", `package("linux", None)`, `mlx[cpu]`},
		{"mlx", `package("linux", "mlx-cuda-13")`, `mlx[cuda13]`},
		{"mlx", `package("darwin", None)`, `mlx`},
		{"jax", `requirement("jax-cuda12-plugin")`, `jax[cuda12]`},
		{"jax", `requirement(None)`, `jax`},
		{"torch", `no_gpu("2.15.0", "13.2")["reason"]`, `PyTorch 2.15.0 is built for CUDA and sees no GPU that it can use`},
		{"torch", `no_gpu("2.15.0", None)["remedies"][0]["command"][0]`, `rocminfo`},
		{"tensorflow", `gpu_problem("2.18.0", {"is_rocm_build": True})[1][0]["command"][0]`, `rocminfo`},
		{"torch", `understood(b'{"id": 1, "bytes": true}')[1]`, `True is no number of bytes`},
		{"torch", `understood(b'{"id": 1, "bytes": -1}')[1]`, `-1 is no number of bytes`},
		{"torch", `understood(b'[1]')[1]`, `request is not understood: it is no object`},
		{"torch", `stop_of({"op": "stop", "args": {"request": 7}})`, `7`},
		{"torch", `stop_of({"op": "stop"})`, `0`},

		{"jax", `why_no("cuda", "cpu", {}, "Unknown backend cuda")[0]`, `JAX_PLATFORMS=cpu is set`},
		{"jax", `why_no("cuda", None, {}, "Unknown backend cuda")[0]`, `JAX is installed without its CUDA plugin`},
		{"jax", `why_no("metal", None, {}, "Unknown backend METAL")[0]`, `JAX has no Metal plugin`},
		{"jax", `why_no("cuda", None, {"jax-cuda13-plugin": "0.10.2"}, "no supported devices found for platform CUDA")[0]`, `jax-cuda13-plugin 0.10.2 is installed and finds no device: no supported devices found for platform CUDA`},
	}
	expressions := map[string][]string{}
	for _, tt := range tests {
		expressions[tt.framework] = append(expressions[tt.framework], tt.expression)
	}
	answers := map[string][]any{}
	for framework, list := range expressions {
		answers[framework] = evaluate(t, framework, list)
	}
	for _, tt := range tests {
		got := answers[tt.framework][slices.Index(expressions[tt.framework], tt.expression)]
		if list, ok := got.([]any); ok {
			got = ""
			if len(list) > 0 {
				got = list[0]
			}
		}
		if fmt.Sprint(got) != tt.want {
			t.Errorf("%s is %q, want %q", tt.expression, got, tt.want)
		}
	}
}

// evaluate returns what Python expressions are in a framework's worker, without
// the framework.
func evaluate(t *testing.T, framework string, expressions []string) []any {
	t.Helper()
	c := client(t, python3(t), framework)
	extend(c, "\nout.write(json.dumps(["+strings.Join(expressions, ",")+"]).encode())\nout.flush()\nos._exit(0)\n")
	cmd := exec.CommandContext(limit(t), c.Path, c.Args[1:]...)
	cmd.Stdin = bytes.NewReader(c.Source)
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	return got
}
