package main

import (
	"archive/zip"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
)

// A wheel is a package of Python's that a test makes.
type wheel struct {
	name, version string
	requires      []string          // as METADATA has them: "jaxlib; extra == 'cuda13'"
	files         map[string]string // by path below site-packages
}

// packages are what the fixes install, and what they are to mend. They hold what the
// doctor looks at, and nothing else of what the packages of these names hold.
var packages = []wheel{
	{"pip", "25.0", nil, map[string]string{"pip/__init__.py": ""}},
	{"numpy", "1.26.4", nil, map[string]string{"numpy/__init__.py": ""}},
	{"numpy", "2.1.3", nil, map[string]string{"numpy/__init__.py": ""}},
	{"jax", "0.10.2", []string{"jaxlib==0.10.2", "jax-cuda13-plugin==0.10.2; extra == 'cuda13'"}, map[string]string{"jax/__init__.py": ""}},
	{"jaxlib", "0.10.2", []string{"numpy"}, map[string]string{"jaxlib/__init__.py": ""}},
	{"jax-cuda13-plugin", "0.10.2", nil, map[string]string{"jax_cuda13/__init__.py": ""}},
	{"mlx", "0.32.4", []string{"mlx-cpu==0.32.4; extra == 'cpu'", "mlx-cuda-13==0.32.4; extra == 'cuda13'"}, map[string]string{"mlx/__init__.py": "", "mlx/core.py": ""}},
	{"mlx-cpu", "0.32.4", nil, map[string]string{"mlx/lib/libmlx.so": "cpu"}},
	{"mlx-cuda-13", "0.32.4", nil, map[string]string{"mlx/lib/libmlx.so": "cuda"}},
	{"tensorflow", "2.21.0", []string{"numpy", "nvidia-cuda-runtime-cu12; extra == 'and-cuda'"}, map[string]string{"tensorflow/__init__.py": "cuda"}},
	{"tensorflow-cpu", "2.21.0", []string{"numpy"}, map[string]string{"tensorflow/__init__.py": "cpu"}},
	{"tensorflow-cpu", "2.15.0", []string{"numpy"}, map[string]string{"tensorflow/__init__.py": "old"}},
	{"nvidia-cuda-runtime-cu12", "12.5.82", nil, map[string]string{"nvidia/cuda.py": ""}},
	{"torch", "2.15.0", nil, map[string]string{"torch/__init__.py": "", "torch/version.py": "cuda = '13.2'\nhip = None\n"}},
	{"torch", "2.15.0+cpu", nil, map[string]string{"torch/__init__.py": "", "torch/version.py": "cuda = None\nhip = None\n"}},
	{"torch", "2.6.0+cu124", nil, map[string]string{"torch/__init__.py": "", "torch/version.py": "cuda = '12.4'\nhip = None\n"}},
}

// stem is what the wheel's file and its folder of metadata begin with.
func (w wheel) stem() string { return strings.ReplaceAll(w.name, "-", "_") + "-" + w.version }

// all returns all files of a wheel.
func (w wheel) all() map[string]string {
	info := w.stem() + ".dist-info/"
	meta := fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", w.name, w.version)
	for _, r := range w.requires {
		meta += "Requires-Dist: " + r + "\n"
		if _, extra, ok := strings.Cut(r, "extra == "); ok {
			meta += "Provides-Extra: " + strings.Trim(extra, "'") + "\n"
		}
	}
	files := maps.Clone(w.files)
	files[info+"METADATA"] = meta
	files[info+"WHEEL"] = "Wheel-Version: 1.0\nGenerator: gpuplay\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
	record := info + "RECORD,,\n"
	for name := range files {
		record += name + ",,\n"
	}
	files[info+"RECORD"] = record
	return files
}

// write writes the wheel into a folder.
func (w wheel) write(t *testing.T, folder string) {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range w.all() {
		f, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, text)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	writeTo(t, filepath.Join(folder, w.stem()+"-py3-none-any.whl"), b.String(), 0o644)
}

func writeTo(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)); err != nil {
		t.Fatal(err)
	}
}

// A desk is a folder in which a person works, with an environment in it.
type desk struct {
	t            *testing.T
	folder, away string // with the environment; to work in, if that is another one
	programs     string // a folder of them, the first on PATH
	env          []string
}

// newDesk makes the folder, named as a shell would not like it, and a folder of programs
// with this test binary as gpuplay; nvidia, if there is one, is a script that is found as
// nvidia-smi.
func newDesk(t *testing.T, nvidia string) *desk {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the programs are written for Linux")
	}
	root := t.TempDir()
	b := &desk{t: t, folder: filepath.Join(root, `it's a "wörld" $HOME`), programs: filepath.Join(root, "bin")}
	home := filepath.Join(root, "home")
	self, err := os.Executable()
	if err := errors.Join(err, os.Mkdir(b.folder, 0o755), os.Mkdir(b.programs, 0o755), os.Symlink(self, filepath.Join(b.programs, "gpuplay"))); err != nil {
		t.Fatal(err)
	}
	if nvidia != "" {
		writeTo(t, filepath.Join(b.programs, "nvidia-smi"), "#!/bin/sh\n"+nvidia, 0o755)
	}
	b.env = append(os.Environ(), "PATH="+b.programs+":"+os.Getenv("PATH"), "HOME="+home, "XDG_DATA_HOME="+filepath.Join(home, "data"), "GPUPLAY_DATA=",
		"LANG=C.UTF-8", "LC_ALL=C.UTF-8", "VIRTUAL_ENV=", "PYTHONPATH=")
	return b
}

// run runs a program in the folder and returns what it prints.
func (b *desk) run(args ...string) (string, error) {
	cmd := exec.CommandContext(b.t.Context(), args[0], args[1:]...)
	cmd.Dir, cmd.Env = cmp.Or(b.away, b.folder), b.env
	if args[0] == "gpuplay" {
		cmd.Path, _ = os.Executable()
		cmd.Err = nil
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (b *desk) must(args ...string) string {
	b.t.Helper()
	out, err := b.run(args...)
	if err != nil {
		b.t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return out
}

// diagnosis is what the doctor says of a framework: its sign and all that it says, and the
// commands of its fixes.
func (b *desk) diagnosis(title string) (says string, fixes []string) {
	b.t.Helper()
	out, err := b.run("gpuplay", "doctor", "--timeout", "1m")
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	inside := false
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		if !strings.HasPrefix(line, "     ") {
			inside = strings.Contains(line, " "+title+" ")
		}
		if !inside {
			continue
		}
		says += strings.TrimSpace(line) + "\n"
		if _, fix, ok := strings.Cut(line, "→ "); ok {
			fix = strings.TrimPrefix(strings.TrimPrefix(fix, "first: "), "then: ")
			fixes = append(fixes, fix)
		}
	}
	if says == "" {
		b.t.Fatalf("the doctor says nothing of %s:\n%s", title, out)
	}
	return says, fixes
}

// mend runs the fixes as a person would, by copying them into a shell.
func (b *desk) mend(fixes []string) {
	b.t.Helper()
	if len(fixes) == 0 {
		b.t.Error("there is no fix")
	}
	for _, fix := range fixes {
		if out, err := b.run("sh", "-c", fix); err != nil {
			b.t.Errorf("%s: %v\n%s", fix, err, out)
		}
	}
}

// site empties the environment in the folder but for its pip, and puts packages into it.
func (b *desk) site(names ...string) {
	b.t.Helper()
	found, err := filepath.Glob(strings.NewReplacer("[", `\[`).Replace(filepath.Join(b.folder, ".venv", "lib")) + "/python*/site-packages")
	if err != nil || len(found) != 1 {
		b.t.Fatalf("site-packages: %q, %v", found, err)
	}
	entries, _ := os.ReadDir(found[0])
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "pip") {
			os.RemoveAll(filepath.Join(found[0], e.Name()))
		}
	}
	for _, name := range names {
		i := slices.IndexFunc(packages, func(w wheel) bool { return w.name+" "+w.version == name })
		if i < 0 {
			b.t.Fatalf("no package %s", name)
		}
		for path, text := range packages[i].all() {
			writeTo(b.t, filepath.Join(found[0], filepath.FromSlash(path)), text, 0o644)
		}
	}
}

const (
	h100    = `echo "NVIDIA H100 80GB HBM3, 580.95.05, 9.0, 81559, 0"`
	rtx5090 = `echo "NVIDIA GeForce RTX 5090, 575.57.08, 12.0, 32607, 0"`
)

// The doctor prints a fix, a shell runs it as it stands, and the doctor is content: with
// real environments in a folder with a space, quotes and an umlaut, and real installers,
// which find their packages in a folder.
func TestFixesMend(t *testing.T) {
	cases := []struct {
		name, title, nvidia string
		installed           []string
		finds, then         string // what the doctor says before and after
	}{
		{"jax without jaxlib", "JAX", "", []string{"jax 0.10.2"}, "✗ JAX", "✓ JAX"},
		{"mlx without its library", "MLX", "", []string{"mlx 0.32.4"}, "✗ MLX", "no optimised BLAS"},
		{"NumPy 2 beside an old TensorFlow", "TensorFlow", "", []string{"tensorflow-cpu 2.15.0", "numpy 2.1.3"}, "built for NumPy 1", "✓ TensorFlow   2.15.0"},
		{"two TensorFlows", "TensorFlow", "", []string{"tensorflow-cpu 2.15.0", "tensorflow 2.21.0", "numpy 1.26.4"}, "✗ TensorFlow", "✓ TensorFlow   2.21.0"},
		{"PyTorch for CPUs", "PyTorch", h100, []string{"torch 2.15.0+cpu"}, "a CPU-only build", "✓ PyTorch      2.15.0 for CUDA 13.2"},
		{"TensorFlow for CPUs", "TensorFlow", h100, []string{"tensorflow-cpu 2.21.0", "numpy 1.26.4"}, "there is no GPU lane", "✓ TensorFlow   2.21.0 for CUDA 12.5"},
		{"MLX for CPUs", "MLX", h100, []string{"mlx 0.32.4", "mlx-cpu 0.32.4"}, "there is no GPU lane", "✓ MLX          0.32.4 for CUDA 13"},
		{"JAX for CPUs", "JAX", h100, []string{"jax 0.10.2", "jaxlib 0.10.2"}, "no CUDA plug-in", "✓ JAX          0.10.2 for CUDA 13"},
	}
	find := t.TempDir()
	for _, w := range packages {
		if !strings.Contains(w.version, "+") { // PyTorch's own indices have those
			w.write(t, find)
		}
	}
	for _, tool := range []string{"uv", "pip"} {
		t.Run(tool, func(t *testing.T) {
			b := newDesk(t, "")
			b.env = append(b.env, "PIP_NO_INDEX=1", "PIP_FIND_LINKS="+find, "PIP_DISABLE_PIP_VERSION_CHECK=1", "UV_OFFLINE=1", "UV_FIND_LINKS="+find, "UV_CACHE_DIR="+t.TempDir())
			need(t, tool)
			if tool == "uv" {
				b.must("uv", "venv", "--quiet", ".venv")
				b.env = append(b.env, "VIRTUAL_ENV="+filepath.Join(b.folder, ".venv"))
				b.away = t.TempDir() // where its path is long and has to be quoted
			} else {
				b.must("python3", "-m", "venv", ".venv")
			}
			for i, tt := range cases {
				if tool == "pip" && i > 0 && !enginetest.AllCases() {
					break // pip takes seconds, and uv mends the same
				}
				t.Run(tt.name, func(t *testing.T) {
					b := *b
					b.t = t
					if tt.nvidia != "" {
						onlyFake(t)
						dir := t.TempDir()
						writeTo(t, filepath.Join(dir, "nvidia-smi"), "#!/bin/sh\n"+tt.nvidia, 0o755)
						b.env = append(b.env[:len(b.env):len(b.env)], "PATH="+dir+":"+pathOf(b.env))
					}
					b.site(tt.installed...)
					says, fixes := b.diagnosis(tt.title)
					if !strings.Contains(strings.Join(strings.Fields(says), " "), tt.finds) {
						t.Errorf("before: %s, want %s", says, tt.finds)
					}
					b.mend(fixes)
					if says, _ := b.diagnosis(tt.title); !strings.Contains(says, tt.then) {
						t.Errorf("after %q: %s, want %s", fixes, says, tt.then)
					}
				})
			}
		})
	}
}

// pathOf returns the last PATH of an environment.
func pathOf(env []string) string {
	for _, pair := range slices.Backward(env) {
		if path, ok := strings.CutPrefix(pair, "PATH="); ok {
			return path
		}
	}
	return ""
}

// need skips a test where a tool is missing.
func need(t *testing.T, tool string) {
	t.Helper()
	name, program := "python", "python3"
	if tool == "uv" {
		name, program = "uv", "uv"
	}
	if _, err := exec.LookPath(program); err != nil {
		enginetest.Require(t, name, program+" is not on PATH")
	}
}

// onlyFake skips a test that plays a GPU where there is a real one.
func onlyFake(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/proc/driver/nvidia"); err == nil {
		t.Skip("a real driver answers before nvidia-smi")
	}
}

// A wheel without code for the GPU is found, and the fix names the index that has it.
func TestWheelsWithoutCode(t *testing.T) {
	onlyFake(t)
	need(t, "python")
	for _, tt := range []struct{ name, smi, torch, finds, fix string }{
		{"RTX 50 with CUDA 12.4", rtx5090, "torch 2.6.0+cu124", "no code for NVIDIA GeForce RTX 5090, compute capability 12.0", "--force-reinstall torch --index-url https://download.pytorch.org/whl/cu128"},
		{"P100 with CUDA 13", `echo "Tesla P100-PCIE-16GB, 580.95.05, 6.0, 16384, 0"`, "torch 2.15.0", "no code for Tesla P100-PCIE-16GB, compute capability 6.0", "--force-reinstall torch --index-url https://download.pytorch.org/whl/cu126"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newDesk(t, tt.smi)
			b.must("python3", "-m", "venv", "--without-pip", ".venv")
			b.site(tt.torch)
			says, fixes := b.diagnosis("PyTorch")
			if words := strings.Join(strings.Fields(says), " "); !strings.Contains(words, tt.finds) || !strings.HasSuffix(strings.Join(fixes, "\n"), tt.fix) {
				t.Errorf("%s\nfixes %q; want %s and %s", says, fixes, tt.finds, tt.fix)
			}
		})
	}
}

// A framework that cannot be imported is installed again by the name of the package that
// brings it, with the tool that is there.
func TestBrokenImport(t *testing.T) {
	need(t, "python")
	b := newDesk(t, "")
	b.must("python3", "-m", "venv", "--without-pip", ".venv")
	b.site("tensorflow-cpu 2.15.0", "numpy 1.26.4") // whose module is no Python
	writeTo(t, filepath.Join(b.programs, "uv"), "#!/bin/sh\n", 0o755)
	for _, tt := range []struct{ with, want string }{{"numpy 1.26.4", "uv pip install --python "}, {"pip 25.0", " -m pip install "}} {
		b.site("tensorflow-cpu 2.15.0", tt.with)
		out, err := b.run("gpuplay", "matmul", "--engine", "tensorflow", "--size", "64", "--quiet")
		if err == nil || !strings.Contains(out, "TensorFlow is installed but cannot be imported") || !strings.Contains(out, tt.want) || !strings.Contains(out, " --force-reinstall tensorflow-cpu\n") {
			t.Errorf("with %s: %v\n%s", tt.with, err, out)
		}
	}
}

// The real packages from PyPI: MLX without its library is mended, in an environment of
// uv's without pip and in one of venv's, and the framework starts.
func TestFixesMendForReal(t *testing.T) {
	if !enginetest.Required("network") {
		t.Skip("it downloads packages: GPUPLAY_REQUIRE=network runs it")
	}
	c, err := net.DialTimeout("tcp", "pypi.org:443", 5*time.Second)
	if err != nil {
		enginetest.Require(t, "network", "PyPI cannot be reached: "+err.Error())
	}
	c.Close()
	t.Run("BLAS", func(t *testing.T) {
		need(t, "python")
		b := newDesk(t, "")
		says, fixes := b.diagnosis("BLAS")
		if strings.Contains(says, "✓") {
			t.Skip("this system has a BLAS library")
		}
		b.mend(slices.DeleteFunc(fixes, func(f string) bool { return strings.Contains(f, "apt") }))
		if says, _ := b.diagnosis("BLAS"); !strings.Contains(says, "✓ BLAS         OpenBLAS") {
			t.Errorf("after %q: %s", fixes, says)
		}
	})
	for _, tool := range []string{"uv", "pip"} {
		t.Run(tool, func(t *testing.T) {
			need(t, tool)
			b := newDesk(t, "")
			b.env = append(b.env, "UV_CACHE_DIR="+t.TempDir(), "PIP_CACHE_DIR="+t.TempDir())
			if tool == "uv" {
				b.must("uv", "venv", "--quiet", ".venv")
				b.must("uv", "pip", "install", "--quiet", "--python", ".venv/bin/python", "--no-deps", "mlx")
			} else {
				b.must("python3", "-m", "venv", ".venv")
				b.must(".venv/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "mlx")
			}
			says, fixes := b.diagnosis("MLX")
			if !strings.Contains(says, "✗ MLX") {
				t.Errorf("before: %s", says)
			}
			b.mend(fixes)
			if says, _ := b.diagnosis("MLX"); strings.Contains(says, "✗") {
				t.Errorf("after %q: %s", fixes, says)
			}
			b.must(".venv/bin/python", "-c", "import mlx.core")
		})
	}
}
