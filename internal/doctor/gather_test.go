package doctor

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/record"
)

var recorded = flag.String("record", "", "write this machine's facts to a file")

func TestGather(t *testing.T) {
	search := func(ctx context.Context, framework string, has func(context.Context, string, string) bool) (python.Interpreter, error) {
		return python.Search{LookPath: exec.LookPath, Has: has}.Find(ctx, framework)
	}
	f := Gather(t.Context(), Options{Find: search, Variables: map[string]string{"XLA_FLAGS": "--x"}})
	if f.OS != runtime.GOOS || f.Arch != runtime.GOARCH || f.CPU == "" || f.Cores < 1 || f.Memory == nil || len(f.Frameworks) != len(python.Frameworks) {
		t.Errorf("facts of this machine lack something: %+v", f)
	}
	if len(Examine(f)) == 0 {
		t.Error("no checks")
	}
	if *recorded == "" {
		return
	}
	f.Variables = nil
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(*recorded, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What a program that is not there, or hangs, does to the rest: nothing.
func TestGatherCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	find := func(context.Context, string, func(context.Context, string, string) bool) (python.Interpreter, error) {
		return python.Interpreter{Path: "/no/such/python", Why: "PATH"}, nil
	}
	f := Gather(ctx, Options{Find: find})
	for _, w := range f.Frameworks {
		if w.Python.Error == "" || w.Installed {
			t.Errorf("%s: %+v", w.Name, w)
		}
	}
}

// No Python at all is no failure; one that was asked for and is not there is.
func TestNoPython(t *testing.T) {
	for variable, want := range map[string]record.Status{"": record.Absent, "/no/such/python": record.Failed} {
		find := func(ctx context.Context, framework string, has func(context.Context, string, string) bool) (python.Interpreter, error) {
			nowhere := func(file string) (string, error) { return "", &exec.Error{Name: file, Err: exec.ErrNotFound} }
			return python.Search{Variable: variable, Folder: t.TempDir(), Own: t.TempDir(), LookPath: nowhere, Has: has}.Find(ctx, framework)
		}
		for _, c := range Examine(Facts{Frameworks: frameworks(t.Context(), Options{Find: find})}) {
			if c.Group == "Frameworks" && c.Name != "Python" && c.Status != want {
				t.Errorf("GPUPLAY_…_PYTHON=%s: %s is %s: %s, want %s", variable, c.Name, c.Status, c.Seen, want)
			}
		}
	}
}

func TestPackages(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"torch", "torch-2.15.0.dist-info", "torchvision-0.30.0.dist-info", "nvidia_cuda_runtime_cu12-12.9.79.dist-info", "numpy-2.4.6.dist-info",
		"tensorflow_metal-1.2.0.dist-info", "tensorflow-2.19.1-py3.11.egg-info", "jax_cuda13_plugin-0.10.2.dist-info", "jax", "mlx_cuda_13-0.32.4.dist-info",
	} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	source := "cuda: Optional[str] = '13.2'\nhip: Optional[str] = None\n"
	if err := os.WriteFile(filepath.Join(dir, "torch", "version.py"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	e := environment{Path: []string{filepath.Join(dir, "none"), dir}}
	if !e.has("torch") || e.has("tensorflow") {
		t.Error("modules are not told apart from their metadata")
	}
	for framework, want := range map[string]struct {
		packages map[string]string
		cuda     string
	}{
		"torch":      {map[string]string{"numpy": "2.4.6", "torch": "2.15.0", "torchvision": "0.30.0", "nvidia-cuda-runtime-cu12": "12.9.79"}, "13.2"},
		"tensorflow": {map[string]string{"numpy": "2.4.6", "tensorflow": "2.19.1", "tensorflow-metal": "1.2.0", "nvidia-cuda-runtime-cu12": "12.9.79"}, "12.9"},
		"jax":        {map[string]string{"numpy": "2.4.6", "jax-cuda13-plugin": "0.10.2", "nvidia-cuda-runtime-cu12": "12.9.79"}, "12.9"},
	} {
		got := e.packages(framework)
		if d := cmp.Diff(want.packages, got); d != "" {
			t.Errorf("%s: %s", framework, d)
		}
		if cuda, rocm := e.builtFor(framework, got); cuda != want.cuda || rocm != "" {
			t.Errorf("%s is built for CUDA %q, ROCm %q, want CUDA %q", framework, cuda, rocm, want.cuda)
		}
	}
	for framework, alone := range map[string]string{"tensorflow": "tensorflow-cpu", "jax": "jaxlib", "mlx": "mlx-cpu"} {
		if cuda, _ := e.builtFor(framework, map[string]string{alone: "1.0", "nvidia-cuda-runtime": "13.2.86"}); cuda != "" {
			t.Errorf("%s takes another framework's CUDA %s for its own", alone, cuda)
		}
	}
	if cuda, _ := e.builtFor("mlx", map[string]string{"mlx": "0.32.4", "mlx-cuda-13": "0.32.4"}); cuda != "13" {
		t.Errorf("mlx-cuda-13 is built for CUDA %q", cuda)
	}
}

func TestParse(t *testing.T) {
	// apple.stackexchange.com/questions/407192: pmset -g therm of a throttled Mac.
	hot := "Note: No thermal warning level has been recorded\n2020-11-24 13:10:40 +0100 CPU Power notify\n\tCPU_Scheduler_Limit \t= 100\n\tCPU_Available_CPUs \t= 8\n\tCPU_Speed_Limit \t= 35\n"
	if h := parseHeat(hot); h == nil || *h.SpeedLimit != 35 {
		t.Errorf("heat: %+v", h)
	}
	if h := parseHeat("Note: No thermal warning level has been recorded\n"); h == nil || *h.SpeedLimit != 100 {
		t.Errorf("cool: %+v", h)
	}
	if h := parseHeat("pmset: unknown\n"); h != nil {
		t.Errorf("nonsense: %+v", h)
	}
	p := parsePower("Now drawing from 'Battery Power'\n -InternalBattery-0 (id=4653155)\t87%; discharging; 5:12 remaining present: true\n", "Currently in use:\n lowpowermode         1\n")
	if p == nil || !p.Battery || !p.Saving || p.Charge == nil || *p.Charge != 87 {
		t.Errorf("battery: %+v", p)
	}
	if p := parsePower("Now drawing from 'AC Power'\n", ""); p == nil || p.Battery || p.Saving || p.Charge != nil {
		t.Errorf("mains: %+v", p)
	}
	if p := parsePower("", ""); p != nil {
		t.Errorf("no answer: %+v", p)
	}
	for cgroup, want := range map[string]string{"0::/kubepods/burstable/x": "kubernetes", "1:cpu:/docker/abc": "docker", "0::/lxc.payload": "lxc", "0::/init.scope": ""} {
		if got := container(cgroup, func(string) bool { return false }); got != want {
			t.Errorf("container(%q) = %q, want %q", cgroup, got, want)
		}
	}
}
