package catalog

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/python"
)

// imports is as much of PyTorch as its worker needs to tell of its devices.
const imports = `__version__ = "2.9.0"
class cuda: is_available = lambda: False
class version: cuda = hip = None
class device:
    def __init__(self, *place): pass
def set_grad_enabled(yes): pass
`

// An interpreter in which a framework turns out not to start is passed over, if there is
// another that has it.
func TestFallsBack(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("environments have other folders on Windows")
	}
	base, err := exec.LookPath("python3")
	if err != nil {
		enginetest.Require(t, "python", "python3 is not on PATH")
	}
	out, err := exec.Command(base, "-I", "-c", "import sys; print(sys._base_executable, *sys.version_info[:2])").Output()
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(out))
	folder := t.TempDir()
	environment := func(name, module string) {
		site := filepath.Join(folder, name, "lib", "python"+words[1]+"."+words[2], "site-packages")
		link := python.In(filepath.Join(folder, name))
		for _, dir := range []string{site, filepath.Dir(link)} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for path, text := range map[string]string{filepath.Join(folder, name, "pyvenv.cfg"): "home = " + filepath.Dir(words[0]) + "\n", filepath.Join(site, "torch.py"): module} {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(words[0], link); err != nil {
			t.Skip(err)
		}
	}
	environment(".venv-torch", "import sys, os; print('Check failed: cpu has AVX', file=sys.stderr, flush=True); os.abort()")
	environment(".venv", imports)
	environment("strict", "import os\nif 'JAX_ENABLE_X64' in os.environ: raise ValueError('Invalid value for flag jax_enable_x64')\nif os.environ.get('CUDA_VISIBLE_DEVICES') == 'x': raise ValueError('CUDA_VISIBLE_DEVICES is not understood')\n"+imports)
	environment("active", "raise ImportError('libtorch_cpu.so: undefined symbol')")
	c := &Catalog{Env: Environment{Folder: folder, VirtualEnv: filepath.Join(folder, "active"), Children: os.Environ()}}
	list := c.Discover(t.Context(), entries(t, "torch"), Options{}, nil)
	defer Close(list)
	if got := list[0]; got.Err != nil || len(got.Found.Devices) != 1 || !strings.Contains(strings.Join(got.Notes, "; "), ".venv-torch was passed over: ended by signal 6 (aborted) while starting: “Check failed: cpu has AVX”") {
		t.Errorf("found %+v, notes %q, error %v", got.Found, got.Notes, got.Err)
	}
	// Where none works, the first says why.
	c = &Catalog{Env: Environment{VirtualEnv: filepath.Join(folder, "active"), Children: os.Environ()}}
	alone := c.Discover(t.Context(), entries(t, "torch"), Options{}, nil)
	defer Close(alone)
	if e := fault.From(alone[0].Err); e == nil || e.Code != fault.Unavailable || !strings.Contains(e.Message, "libtorch_cpu.so: undefined symbol") || len(e.Remedies) == 0 {
		t.Errorf("alone: %+v", alone[0].Err)
	}
	// Nor is one that was asked for by name passed over.
	asked := c.Discover(t.Context(), entries(t, "torch"), Options{Python: filepath.Join(folder, "active")}, nil)
	defer Close(asked)
	if asked[0].Err == nil || asked[0].Notes != nil {
		t.Errorf("asked for: %+v", asked[0])
	}
	// A value that a framework does not understand costs no lane.
	c = &Catalog{Env: Environment{VirtualEnv: filepath.Join(folder, "strict"), Children: append(os.Environ(), "JAX_ENABLE_X64=maybe", "JAX_OTHER=1")}}
	strict := c.Discover(t.Context(), entries(t, "torch"), Options{}, nil)
	defer Close(strict)
	if got := strict[0]; got.Err != nil || strings.Join(got.Notes, "; ") != "JAX_ENABLE_X64=maybe is left out: torch does not start with it" {
		t.Errorf("notes %q, error %v", got.Notes, got.Err)
	}
	// Except for one that chooses devices.
	c = &Catalog{Env: Environment{VirtualEnv: filepath.Join(folder, "strict"), Children: append(os.Environ(), "CUDA_VISIBLE_DEVICES=x")}}
	chosen := c.Discover(t.Context(), entries(t, "torch"), Options{}, nil)
	defer Close(chosen)
	if chosen[0].Err == nil {
		t.Errorf("it starts without the user's choice of devices: %q", chosen[0].Notes)
	}
}
