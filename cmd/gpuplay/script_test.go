package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm/llamacpp"
	"github.com/gpuplay/gpuplay/internal/llm/llmtest"
	"github.com/gpuplay/gpuplay/internal/llm/ollama/ollamatest"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// The scripts run this test binary as gpuplay; it starts itself as its workers.
func TestMain(m *testing.M) {
	testscript.Main(apart{m}, map[string]func(){
		"gpuplay": func() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// apart are tests that keep their runs apart from the user's.
type apart struct{ *testing.M }

func (m apart) Run() int {
	dir, err := os.MkdirTemp("", "gpuplay-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	os.Setenv("GPUPLAY_DATA", dir)
	return m.M.Run()
}

func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	there := components(root)
	tiny := filepath.Join(t.TempDir(), "tiny.gguf")
	if err := os.WriteFile(tiny, model.Tiny(), 0o644); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: golden.Updating(),
		Setup: func(e *testscript.Env) error {
			e.Setenv("LANG", "C.UTF-8")
			e.Setenv("GPUPLAY_DATA", filepath.Join(e.WorkDir, ".tmp", "data"))
			e.Setenv("TINY_MODEL", filepath.Join(root, "internal", "llm", "framework", "frameworktest", "testdata", "tiny_model.py"))
			e.Setenv("CUDA_STANDIN", filepath.Join(root, "internal", "engine", "cuda", "testdata", "driver.c"))
			for name, path := range there {
				e.Setenv(strings.ToUpper(name), path)
			}
			e.Setenv("GPUPLAY_LLAMA_CPP", there["llama.cpp"])
			e.Setenv("LLAMA_VULKAN", there["llama.cpp-vulkan"])
			e.Setenv("TINY_GGUF", tiny)
			return nil
		},
		// [torch] is true where the component is; where GPUPLAY_REQUIRE names it and
		// it is missing, the script fails instead of being skipped.
		// [cases] is true where all cases are tried.
		Condition: func(name string) (bool, error) {
			path, known := there[name]
			switch {
			case name == "cases":
				return enginetest.AllCases(), nil
			case !known:
				return false, fmt.Errorf("unknown condition %q", name)
			case path == "" && enginetest.Required(name):
				return false, fmt.Errorf("%s is required here and missing", name)
			}
			return path != "", nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": code, "figures": figures, "ollama": serveOllama},
	})
}

// components returns where the real parts are that scripts need, "" for one that
// is missing: an interpreter for a framework, a file for a library.
func components(root string) map[string]string {
	there := map[string]string{"openblas": "", "nvidia": "", "ollama": ollamatest.Program()}
	if found, _ := filepath.Glob(filepath.Join(root, ".venv-blas", "lib", "python*", "site-packages", "scipy_openblas32", "lib", "libscipy_openblas.*")); len(found) > 0 {
		there["openblas"] = found[0]
	}
	if _, err := os.Stat("/dev/nvidia0"); err == nil {
		there["nvidia"] = "/dev/nvidia0"
	}
	there["vulkan"] = "" // Mesa's driver that runs on the CPU
	if found, _ := filepath.Glob("/usr/lib/*/libvulkan_lvp.so"); len(found) > 0 {
		there["vulkan"] = found[0]
	}
	there["gguf"] = llmtest.GGUF()
	for _, name := range []string{"llama.cpp", "llama-bench", "llama.cpp-gpu", "llama.cpp-vulkan"} {
		there[name] = ""
	}
	visible := append(os.Environ(), "GGML_VK_VISIBLE_DEVICES=0") // by which a software GPU counts
	gpus := func(dir string) (found llamacpp.Installation, gpus []llamacpp.GPU) {
		found, err := llamacpp.Search{Dir: dir}.Find(context.Background())
		if err == nil {
			gpus, _ = found.GPUs(context.Background(), visible)
		}
		return found, gpus
	}
	if dir := llmtest.LlamaCPP(); dir != "" {
		found, list := gpus(dir)
		there["llama.cpp"], there["llama-bench"] = found.Server, found.Bench
		if len(list) > 0 {
			there["llama.cpp-gpu"] = found.Server
		}
	}
	if dir := llmtest.LlamaVulkan(); dir != "" {
		if found, list := gpus(dir); len(list) > 0 && list[0].Device.Kind == hardware.SoftwareGPU {
			there["llama.cpp-vulkan"] = found.Server
		}
	}
	for _, f := range python.Frameworks {
		there[f.Name] = ""
		if f.Models != "" {
			there[f.Models] = ""
		}
		s := python.Search{Variable: os.Getenv(python.Variable(f.Name)), Folder: root, LookPath: exec.LookPath}
		found, err := s.Find(context.Background(), f.Name)
		if err != nil || !python.HasModule(context.Background(), found.Path, f.Name) {
			continue
		}
		there[f.Name] = found.Path
		if f.Models != "" && python.HasModule(context.Background(), found.Path, f.Models) {
			there[f.Models] = found.Path
		}
	}
	return there
}

// figures wants each speed and ratio in a JSON file to be in the table that the
// command before has printed, and the speeds to follow from the samples.
func figures(ts *testscript.TestScript, _ bool, args []string) {
	var d struct {
		Results []struct {
			Lane  string
			Speed stats.Interval
			bench.Result
		}
		Comparisons []struct{ Ratio *stats.Interval }
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &d))
	table := strings.Join(strings.Fields(ts.ReadFile("stdout")), " ")
	scale := 1e9
	if strings.Contains(table, "TFLOP/s ±") { // the head of the column; published figures have a unit of their own
		scale = 1e12
	}
	for _, r := range d.Results {
		again, _ := r.Result.Speed()
		if again != r.Speed {
			ts.Fatalf("%s: %+v does not follow from the samples: %+v", r.Lane, r.Speed, again)
		}
		if want := unit.Digits3(r.Speed.Value / scale); !strings.Contains(table, " "+want+" ") {
			ts.Fatalf("%s has %s in %s and not in the table", r.Lane, want, args[0])
		}
	}
	if len(d.Comparisons) != len(d.Results)-1 {
		ts.Fatalf("%d comparisons of %d lanes", len(d.Comparisons), len(d.Results))
	}
}

// serveOllama starts an Ollama with a tiny model for the rest of a script.
func serveOllama(ts *testscript.TestScript, _ bool, _ []string) {
	home := ts.MkAbs("ollama")
	ts.Check(os.Mkdir(home, 0o755))
	s, err := ollamatest.Serve(ollamatest.Program(), home)
	ts.Check(err)
	ts.Defer(s.Close)
	ts.Setenv("OLLAMA_HOST", s.Host)
	ts.Setenv("OLLAMA_MODELS", ollamatest.Models(home))
}

// code runs a command and wants exactly that exit code: code 2 gpuplay …
func code(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	}
	if want := args[0]; strconv.Itoa(got) != want {
		ts.Fatalf("%s ended with exit code %d, want %s", strings.Join(args[1:], " "), got, want)
	}
}
