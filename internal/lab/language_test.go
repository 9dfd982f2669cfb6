package lab

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/model"
)

// interpreter makes a program that passes for a Python with these modules.
func interpreter(t *testing.T, folder, environment string, modules ...string) {
	t.Helper()
	path := filepath.Join(folder, environment, "bin", "python")
	var found []string
	if slices.Contains(modules, "mlx") {
		modules = append(modules, "mlx.core")
	}
	for _, m := range modules {
		found = append(found, `"`+m+`": {"file": "/x.py"}`)
	}
	script := "#!/bin/sh\necho\necho 'gpuplay-environment {\"version\": \"3.12.0\", \"modules\": {" + strings.Join(found, ", ") + "}}'\n"
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(script), 0o755)); err != nil {
		t.Fatal(err)
	}
}

func TestLanguageFrameworks(t *testing.T) {
	got := LanguageFrameworks()
	first := "torch"
	if runtime.GOOS == "darwin" && runtime.GOARCH == "arm64" {
		first = "mlx"
	}
	if got[0] != first || len(got) != 2 || !slices.Contains(got, "torch") || !slices.Contains(got, "mlx") {
		t.Errorf("%v", got)
	}
}

// A framework that is there and can load the model is rather taken than the usual one.
func TestFramework(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("shell scripts are no programs on Windows")
	}
	both := []string{"mlx", "torch"}
	for name, tt := range map[string]struct {
		there map[string][]string // environments with their modules
		asked string
		model []string // what can load it
		want  string   // runtime; "": an error
		says  string
		how   string
	}{
		"both, the usual one":         {map[string][]string{".venv-torch": {"torch", "transformers"}, ".venv-mlx": {"mlx", "mlx_lm"}}, LanguageFrameworks()[0], both, map[string]string{"torch": "transformers", "mlx": "mlx_lm"}[LanguageFrameworks()[0]], "", ""},
		"asked for":                   {map[string][]string{".venv-torch": {"torch", "transformers"}, ".venv-mlx": {"mlx", "mlx_lm"}}, "mlx", both, "mlx_lm", "", ""},
		"the other one is there":      {map[string][]string{".venv-mlx": {"mlx", "mlx_lm"}}, "", both, "mlx_lm", "", ""},
		"the only one that can":       {map[string][]string{".venv-torch": {"torch", "transformers"}, ".venv-mlx": {"mlx", "mlx_lm"}}, "", []string{"mlx"}, "mlx_lm", "", ""},
		"without its other module":    {map[string][]string{".venv-torch": {"torch"}}, "torch", both, "transformers", "", ""},
		"the one that is complete":    {map[string][]string{".venv-torch": {"torch"}, ".venv-mlx": {"mlx", "mlx_lm"}}, "", both, "mlx_lm", "", ""},
		"none is there":               {nil, "torch", both, "", "no Python", "python names another interpreter; gpuplay setup torch llm makes one"},
		"one that cannot load it":     {nil, "torch", []string{"mlx"}, "", "torch cannot load 4-bit weights", "framework mlx"},
		"none can load it":            {nil, "", []string{"llama.cpp"}, "", strings.Join(LanguageFrameworks(), " or ") + " cannot load 4-bit weights", ""},
		"asked, and it is not there":  {map[string][]string{".venv-mlx": {"mlx", "mlx_lm"}}, "torch", both, "", "no Python", "gpuplay setup torch llm makes one"},
		"an environment by its name":  {map[string][]string{"mine": {"torch", "transformers"}}, "torch", both, "transformers", "", ""},
		"an interpreter that is none": {map[string][]string{}, "torch", both, "", "nowhere", "python names another interpreter"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", "")
			folder := t.TempDir()
			for environment, modules := range tt.there {
				interpreter(t, folder, environment, modules...)
			}
			asked := ""
			switch {
			case tt.there["mine"] != nil:
				asked = filepath.Join(folder, "mine")
			case tt.says == "nowhere":
				asked = "nowhere"
			}
			d := Deps{Catalog: &catalog.Catalog{Env: catalog.Environment{Folder: folder}}}
			rt, err := d.Framework(t.Context(), tt.asked, asked, model.Model{Runtimes: tt.model, Quantization: "4-bit"})
			if tt.want != "" {
				if err != nil || rt.Runtime != tt.want {
					t.Errorf("%+v, %v, want %s", rt, err, tt.want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(fault.From(err).Remedies.String(), tt.how) {
				t.Errorf("error %v (%s), want %s (%s)", err, fault.From(err).Remedies, tt.says, tt.how)
			}
		})
	}
}

// An environment that is broken is passed over, and whoever asks for the framework is told.
func TestFrameworkPassesOver(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("shell scripts are no programs on Windows")
	}
	t.Setenv("PATH", "")
	folder := t.TempDir()
	interpreter(t, folder, ".venv", "torch", "transformers")
	if err := errors.Join(os.MkdirAll(filepath.Join(folder, ".venv-torch", "bin"), 0o755), os.Symlink("/nowhere/python", filepath.Join(folder, ".venv-torch", "bin", "python"))); err != nil {
		t.Fatal(err)
	}
	d := Deps{Catalog: &catalog.Catalog{Env: catalog.Environment{Folder: folder}}}
	rt, err := d.Framework(t.Context(), "torch", "", model.Model{Runtimes: []string{"torch"}})
	if err != nil || len(rt.Notes) != 1 || !strings.Contains(rt.Notes[0], ".venv-torch was passed over: ") {
		t.Errorf("%+v, %v", rt, err)
	}
}

// A framework that never answers is given up after the limit, with the reason.
func TestLoadHasALimit(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("shell scripts are no programs on Windows")
	}
	folder := t.TempDir()
	interpreter(t, folder, ".venv-torch", "torch", "transformers")
	script := filepath.Join(folder, ".venv-torch", "bin", "python")
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	hangs := strings.Replace(string(text), "\n", "\ncase \"$*\" in *transformers.py*) exec sleep 1000;; esac\n", 1)
	if err := os.WriteFile(script, []byte(hangs), 0o755); err != nil {
		t.Fatal(err)
	}
	d := Deps{Catalog: &catalog.Catalog{Env: catalog.Environment{Folder: folder, Children: []string{"PATH=" + os.Getenv("PATH")}}}}
	o := Language{Model: model.Model{Format: model.Safetensors, Runtimes: []string{"torch"}}, Framework: "torch", Timeout: 300 * time.Millisecond}
	_, err = d.Load(t.Context(), event.NewStream("r1", nil), nil, o, framework.Options{})
	if !errors.Is(err, fault.Timeout) || err.Error() != "loading the model took longer than 300 ms" || fault.From(err).Remedies.String() != "timeout allows more time" {
		t.Errorf("error %v, %v", err, fault.From(err).Remedies)
	}
	// Nor is an interpreter waited for that does not say what it has.
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec sleep 1000\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	d.Catalog = &catalog.Catalog{Env: d.Catalog.Env}
	if _, err = d.Load(t.Context(), event.NewStream("r1", nil), nil, o, framework.Options{}); !errors.Is(err, fault.Timeout) || err.Error() != "loading the model took longer than 300 ms" {
		t.Errorf("an interpreter that hangs: error %v", err)
	}
	o.Timeout = -1
	if err := o.Check(); !errors.Is(err, fault.Invalid) {
		t.Errorf("a limit below 0: %v", err)
	}
}

// An adapter is loaded with what made it.
func TestMade(t *testing.T) {
	folder := t.TempDir()
	if _, _, err := Made(folder, ""); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "holds no adapter") {
		t.Errorf("an empty folder: %v", err)
	}
	if err := os.WriteFile(filepath.Join(folder, "adapter_model.safetensors"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, asked := range []string{"", "torch"} {
		if name, bits, err := Made(folder, asked); name != "torch" || bits != 0 || err != nil {
			t.Errorf("asked for %q: %q, %d, %v", asked, name, bits, err)
		}
	}
	if _, _, err := Made(folder, "mlx"); !errors.Is(err, fault.Invalid) || err.Error() != "framework mlx: "+folder+" was made with torch" {
		t.Errorf("asked for mlx: %v", err)
	}
	state := `{"schema": "gpuplay/adapter/v1", "runtime": "mlx_lm", "iterations": 3, "rank": 8, "layers": 1, "bits": 4}`
	if err := errors.Join(os.Rename(filepath.Join(folder, "adapter_model.safetensors"), filepath.Join(folder, "adapters.safetensors")), os.WriteFile(filepath.Join(folder, "gpuplay.json"), []byte(state), 0o644)); err != nil {
		t.Fatal(err)
	}
	if name, bits, err := Made(folder, ""); name != "mlx" || bits != 4 || err != nil {
		t.Errorf("with cut weights: %q, %d, %v", name, bits, err)
	}
}

func TestLoadable(t *testing.T) {
	m := model.Model{Ref: "m", Path: "/m", Format: model.Safetensors, Bytes: 1e9}
	for _, tt := range []struct {
		format model.Format
		free   int64
		code   fault.Code
		says   string
	}{
		{model.Safetensors, 2e9, "", ""},
		{model.Safetensors, 0, "", ""},
		{model.Safetensors, 5e8, fault.OutOfMemory, "m has 1.00 GB of weights, 500 MB of memory is free"},
		{model.GGUF, 2e9, fault.Unsupported, "/m is a GGUF file, which is llama.cpp's form"},
	} {
		m.Format = tt.format
		err := loadable(m, tt.free)
		if (err != nil) != (tt.says != "") || err != nil && (!errors.Is(err, tt.code) || err.Error() != tt.says || len(fault.From(err).Remedies) == 0) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}
