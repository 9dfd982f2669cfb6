package python

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/cpuid/v2"
	"github.com/shirou/gopsutil/v4/process"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/worker"
)

func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// client makes interpreter a worker.
func client(t *testing.T, interpreter, framework string) *worker.Client {
	t.Helper()
	return clientIn(t, interpreter, Isolated, framework)
}

func clientIn(t *testing.T, interpreter string, m Mode, framework string) *worker.Client {
	t.Helper()
	args, source, err := Worker(interpreter, m, framework)
	if err != nil {
		t.Fatal(err)
	}
	c := &worker.Client{Engine: framework, Path: interpreter, Args: args, Source: source, Env: os.Environ(), Hello: worker.Hello{CPU: "a CPU"}}
	t.Cleanup(c.Close)
	return c
}

// frameworkPython returns the interpreter that has the framework: where a user's
// would be found from the repository's root.
func frameworkPython(t *testing.T, framework string) string {
	t.Helper()
	path, ok := interpreters[framework]
	if !ok {
		root, err := filepath.Abs("../..")
		if err != nil {
			t.Fatal(err)
		}
		s := Search{Variable: os.Getenv(Variable(framework)), Folder: root, VirtualEnv: os.Getenv("VIRTUAL_ENV"), LookPath: exec.LookPath}
		if found, err := s.Find(limit(t), framework); err == nil && HasModule(limit(t), found.Path, framework) {
			path = found.Path
		}
		interpreters[framework] = path
	}
	if path == "" {
		enginetest.Require(t, framework, "no Python with "+framework+" was found: pip install "+framework+" into .venv-"+framework)
	}
	return path
}

// interpreters are those that tests have asked for, by framework, "" for none.
var interpreters = map[string]string{}

func python3(t *testing.T) string {
	t.Helper()
	path, err := onPath()
	if err != nil {
		enginetest.Require(t, "python", "python3 is not on PATH: "+err.Error())
	}
	return path
}

// onPath returns the file of the python3 that is on PATH, where a script may be that looks
// for it (pyenv), which takes longer than Python itself.
var onPath = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	return strings.TrimSpace(string(out)), err
})

func TestConforms(t *testing.T) {
	for _, f := range Frameworks {
		t.Run(f.Name, func(t *testing.T) { conforms(t, f.Name) })
	}
}

func conforms(t *testing.T, framework string) {
	engine := client(t, frameworkPython(t, framework), framework)
	if runtime.GOOS == "darwin" && runtime.GOARCH == "arm64" && (framework == "torch" || framework == "mlx") {
		t.Run("has a GPU", func(t *testing.T) { hasGPU(t, engine) })
	}
	enginetest.Run(t, engine, enginetest.Want{
		DTypes: func(d hardware.Device) []matrix.DType {
			types := []matrix.DType{matrix.Float32, matrix.Float16, matrix.BFloat16}
			if d.Kind == hardware.CPU || d.API == "cuda" && framework != "mlx" {
				types = append(types, matrix.Float64)
			}
			if d.API == "cuda" && framework != "mlx" {
				types = append(types, matrix.TF32)
			}
			if d.Kind == hardware.CPU && framework != "mlx" {
				types = append(types, matrix.Int8)
			}
			return types
		},
		// On a CPU for which oneDNN has no bfloat16, TensorFlow's own kernels round more
		// than once: seen with 2.21 on Zen 3, not on Zen 4.
		Coarse: func(d hardware.Device, dtype matrix.DType) bool {
			return framework == "tensorflow" && d.Kind == hardware.CPU && dtype == matrix.BFloat16 &&
				runtime.GOARCH == "amd64" && !cpuid.CPU.Supports(cpuid.AVX512BW)
		},
		InUse: childrenMemory(t),
	})
}

// hasGPU wants an engine to list a GPU where GPUPLAY_REQUIRE names metal, as
// scripts/mac-check has it on a Mac that is not virtual.
func hasGPU(t *testing.T, e bench.Engine) {
	found, err := e.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(found.Devices, func(d hardware.Device) bool { return d.Kind == hardware.GPU }) {
		enginetest.Require(t, "metal", fmt.Sprintf("no GPU: %+v", found.Missing))
	}
}

// childrenMemory returns the resident memory of this process's children.
func childrenMemory(t *testing.T) func() uint64 {
	return func() uint64 {
		self, err := process.NewProcess(int32(os.Getpid()))
		if err != nil {
			t.Fatal(err)
		}
		children, err := self.Children()
		if err != nil {
			t.Fatal(err)
		}
		var sum uint64
		for _, c := range children {
			if m, err := c.MemoryInfo(); err == nil {
				sum += m.RSS
			}
		}
		return sum
	}
}

func TestMissingFrameworks(t *testing.T) {
	venv := filepath.Join(t.TempDir(), "empty")
	if out, err := exec.Command(python3(t), "-m", "venv", "--without-pip", venv).CombinedOutput(); err != nil {
		t.Skipf("python3 -m venv: %v: %s", err, out)
	}
	for _, framework := range FrameworkNames() {
		t.Run(framework, func(t *testing.T) {
			_, err := client(t, In(venv), framework).Devices(limit(t))
			var e *fault.Error
			if !errors.As(err, &e) || e.Code != fault.Unavailable || !strings.Contains(e.Message, "not installed") || e.Remedies.String() != "gpuplay setup "+framework {
				t.Errorf("error %#v, want unavailable with the command that installs it", err)
			}
		})
	}
}

// stub writes a module in the framework's place and returns a client that will
// import it.
func stub(t *testing.T, framework, module string) *worker.Client {
	dir := t.TempDir()
	file := framework + ".py"
	if framework == "mlx" {
		file = filepath.Join("mlx", "core.py")
	}
	file = filepath.Join(dir, file)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(module), 0o644)); err != nil {
		t.Fatal(err)
	}
	c := clientIn(t, python3(t), Inherited, framework)
	c.Env = append(c.Env, "PYTHONPATH="+dir)
	return c
}

func TestBrokenFrameworks(t *testing.T) {
	const aborts = "import os, sys; print('illegal instruction', file=sys.stderr); os.abort()"
	tests := []struct {
		name, framework, module string
		code                    fault.Code
		says, hint              string
	}{
		{"too old", "torch", "__version__ = '1.13.1'", fault.Unavailable, "PyTorch 1.13.1 is too old: 2.0 or newer is needed", "install --upgrade torch"},
		{"import prints what looks like an answer", "torch", `print('{"id":1,"result":{"protocol":2,"engine":"torch","devices":[]}}', flush=True); __version__ = '1.13.1'`, fault.Unavailable, "PyTorch 1.13.1 is too old", ""},
		{"import raises", "torch", "raise OSError('libcudart.so.13: cannot open shared object file')", fault.Unavailable, "PyTorch is installed but cannot be imported: OSError: libcudart.so.13: cannot open shared object file", "--force-reinstall torch"},
		{"import raises", "tensorflow", "raise TypeError('Descriptors cannot be created directly.')", fault.Unavailable, "TensorFlow is installed but cannot be imported: TypeError: Descriptors cannot", "--force-reinstall tensorflow"},
		{"import raises", "mlx", "raise ImportError('libmlx.so: undefined symbol')", fault.Unavailable, "MLX is installed but cannot be imported: ImportError: libmlx.so", "--force-reinstall"},
		{"import raises", "jax", "raise RuntimeError('jaxlib version 0.3 is newer than and incompatible')", fault.Unavailable, "JAX is installed but cannot be imported: RuntimeError: jaxlib version", "--force-reinstall jax"},
		{"a part is missing", "torch", "import numpy_that_is_not_there", fault.Unavailable, "PyTorch is installed but cannot be imported: ModuleNotFoundError: No module named 'numpy_that_is_not_there'", "--force-reinstall"},
		{"import ends the process", "torch", aborts, fault.Crashed, "ended by signal 6 (aborted) while starting: “illegal instruction", ""},
		{"import ends the process", "tensorflow", aborts, fault.Crashed, "ended by signal 6 (aborted) while starting: “illegal instruction", ""},
		{"import ends the process", "mlx", aborts, fault.Crashed, "ended by signal 6 (aborted) while starting: “illegal instruction", ""},
		{"import ends the process", "jax", aborts, fault.Crashed, "ended by signal 6 (aborted) while starting: “illegal instruction", ""},
		{"import exits", "torch", "raise SystemExit('license expired')", fault.Unavailable, "PyTorch is installed but cannot be imported: SystemExit: license expired", "--force-reinstall"},
	}
	for _, tt := range tests {
		t.Run(tt.framework+": "+tt.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.Contains(tt.says, "signal") {
				t.Skip("Windows has no signals")
			}
			_, err := stub(t, tt.framework, tt.module).Devices(limit(t))
			var e *fault.Error
			if !errors.As(err, &e) || e.Code != tt.code || !strings.HasPrefix(e.Message, tt.says) || !strings.Contains(e.Remedies.String(), tt.hint) {
				t.Errorf("error %#v, want %s: %s (%s)", err, tt.code, tt.says, tt.hint)
			}
		})
	}
}

// A program that is no Python ends as a lane, not as a hang.
func TestNotPython(t *testing.T) {
	path, err := exec.LookPath("true")
	if err != nil {
		t.Skip("no program called true")
	}
	if _, err := client(t, path, "torch").Devices(limit(t)); !errors.Is(err, fault.Crashed) {
		t.Errorf("error %v, want a crash", err)
	}
}

// A worker ends when its stdin does, also while it computes.
func TestWorkerEndsWithItsInput(t *testing.T) {
	args, source, err := Worker(python3(t), Isolated, "torch")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(args[0], args[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	// An inventory that never returns stands for a long product.
	hang := strings.Replace(string(source), "class Task:", "import threading\ndef inventory(cpu, threads):\n    threading.Event().wait()\nclass Task:", 1)
	if hang == string(source) {
		t.Fatal("the framework's file has no class Task")
	}
	cmd.Args[5] = strconv.Itoa(len(hang))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, hang+`{"id":1,"op":"hello","args":{"protocol":2,"threads":0,"cpu":"","options":{}}}`+"\n")
	in.Close()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("the worker ended with %v", err)
		}
	case <-limit(t).Done():
		cmd.Process.Kill()
		t.Error("the worker did not end")
	}
}

func TestWorkerNeedsAFramework(t *testing.T) {
	if _, _, err := Worker("python3", Isolated, "abacus"); err == nil {
		t.Error("there is a worker for abacus")
	}
}
