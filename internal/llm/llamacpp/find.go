// Package llamacpp runs language models with the user's llama.cpp: its server for
// what a person sees, its llama-bench for the figures that others publish. Figures
// come from the server's timings and llama-bench's JSON, never from a log.
package llamacpp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/process"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// An Installation is llama.cpp's programs on this machine.
type Installation struct {
	Server   string   // llama-server
	Bench    string   // llama-bench, empty where it did not come with it
	Version  string   // as llama-server --version writes it
	Backends []string // for GPUs, by the libraries beside the program: "Vulkan"; nil when not known
}

// serverNames are what llama-server is called, by itself and in the prebuilt wheels of
// PyPI.
var serverNames = []string{"llama-server", "llama-server-vulkan", "llama-server-cuda"}

// A Search says where to look for llama.cpp, in this order.
type Search struct {
	Dir      string                            // that a person named: nothing else counts then
	Variable string                            // GPUPLAY_LLAMA_CPP: likewise
	LookPath func(file string) (string, error) // the path
	Places   []string                          // folders: Homebrew's, gpuplay's own
	Env      []string                          // of the programs, as Environment returns it; nil: this process's own
}

// Places returns where llama.cpp lies when it is not on the path: Homebrew's
// folders and a source checkout's build folder in the working folder.
func Places(folder string) []string {
	places := []string{folder, filepath.Join(folder, "llama.cpp"), filepath.Join(folder, ".venv-llama.cpp")}
	switch runtime.GOOS {
	case "darwin":
		places = append(places, "/opt/homebrew", "/usr/local") // Apple silicon's, Intel's
	case "linux":
		places = append(places, "/home/linuxbrew/.linuxbrew", "/usr/local")
	}
	return places
}

// Find returns the first llama.cpp that there is.
func (s Search) Find(ctx context.Context) (Installation, error) {
	for _, named := range []struct{ by, dir string }{{"", s.Dir}, {"GPUPLAY_LLAMA_CPP: ", s.Variable}} {
		if named.dir == "" {
			continue
		}
		server := within(named.dir)
		if server == "" {
			return Installation{}, fault.Errorf(fault.Unavailable, "%sthere is no llama-server in %s, nor in its bin or build/bin", named.by, named.dir).
				With(fault.Change("llama-cpp", "{} names the folder with llama-server"), setup("{} gets one"))
		}
		return describe(ctx, server, s.Env)
	}
	for _, name := range serverNames {
		if path, err := s.LookPath(name); err == nil {
			return describe(ctx, path, s.Env)
		}
	}
	for _, dir := range s.Places {
		if server := within(dir); server != "" {
			return describe(ctx, server, s.Env)
		}
	}
	return Installation{}, fault.Errorf(fault.Unavailable, "llama.cpp was not found: no llama-server on the path").
		With(setup("{} gets it"), fault.Change("llama-cpp", "{} names the folder of one that is elsewhere"))
}

// setup is the remedy of getting llama.cpp; text says what for.
func setup(text string) fault.Remedy { return fault.Run(text, "gpuplay", "setup", "llama.cpp") }

// within returns the llama-server in a folder, or in the folders that a source
// checkout, a build or an environment has it in; "" if there is none. dir may be
// the program itself.
func within(dir string) string {
	if isProgram(dir) {
		return absolute(dir)
	}
	for _, sub := range []string{"", "bin", filepath.Join("build", "bin"), filepath.Join("build", "bin", "Release"), "Scripts"} {
		for _, name := range serverNames {
			if path := filepath.Join(dir, sub, name+suffix); isProgram(path) {
				return absolute(path)
			}
		}
	}
	return ""
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

var suffix = map[string]string{"windows": ".exe"}[runtime.GOOS]

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0)
}

// describe asks a llama-server for its version and looks at what lies beside it.
func describe(ctx context.Context, server string, env []string) (Installation, error) {
	found := Installation{Server: server}
	cmd := exec.Command(server, "--version")
	cmd.Env = env
	out, log, err := output(ctx, cmd)
	if known := (*fault.Error)(nil); ctx.Err() != nil || errors.As(err, &known) {
		return found, err
	}
	for line := range strings.Lines(log + "\n" + out) {
		if v, ok := strings.CutPrefix(line, "version: "); ok {
			found.Version = version(strings.TrimSpace(v))
		}
	}
	if found.Version == "" {
		why := "says no version"
		if err != nil {
			why = err.Error()
		}
		return found, fault.Errorf(fault.Unavailable, "%s --version: %s", server, why).With(setup("is it llama.cpp's server? {} gets one"))
	}
	real := server
	if path, err := filepath.EvalSymlinks(server); err == nil { // Homebrew links into its cellar
		real = path
	}
	for _, dir := range []string{filepath.Dir(server), filepath.Dir(real)} {
		if path := filepath.Join(dir, "llama-bench"+suffix); found.Bench == "" && isProgram(path) {
			found.Bench = path
		}
		found.Backends = append(found.Backends, backends(dir)...)
	}
	// A wheel's program lies apart from its libraries and is called by their backend.
	if _, named, ok := strings.Cut(strings.TrimSuffix(filepath.Base(server), suffix), "llama-server-"); ok && gpuBackends[named] != "" {
		found.Backends = append(found.Backends, gpuBackends[named])
	}
	slices.Sort(found.Backends)
	found.Backends = slices.Compact(found.Backends)
	return found, nil
}

// version shortens "4567 (abcdef12)", as most builds have it, to "b4567", the
// name of its release, and "0.6.0-dev (build 0, commit unknown)" to its first word.
func version(v string) string {
	word, _, _ := strings.Cut(v, " ")
	if strings.Trim(word, "0123456789") == "" {
		return "b" + word
	}
	return word
}

// gpuBackends are llama.cpp's backends for GPUs by what their library is called.
var gpuBackends = map[string]string{
	"cuda": "CUDA", "hip": "HIP", "musa": "MUSA", "metal": "Metal", "vulkan": "Vulkan", "sycl": "SYCL", "opencl": "OpenCL", "cann": "CANN", "webgpu": "WebGPU",
}

// backends returns the GPU backends whose libraries are in a folder, or in the
// lib folder beside it; a program that is linked into one file shows none.
func backends(dir string) []string {
	var list []string
	for _, folder := range []string{dir, filepath.Join(filepath.Dir(dir), "lib")} {
		files, _ := os.ReadDir(folder) // a folder that is not there holds no backend
		for _, f := range files {
			name := strings.TrimPrefix(f.Name(), "lib")
			rest, ok := strings.CutPrefix(name, "ggml-")
			if !ok {
				continue
			}
			word, _, _ := strings.Cut(rest, ".")
			if known, ok := gpuBackends[word]; ok {
				list = append(list, known)
			}
		}
	}
	return list
}

// A GPU is a device that llama.cpp can put layers on.
type GPU struct {
	Name   string // what --device calls it: "CUDA0"
	Device hardware.Device
	Free   *int64 // bytes when it was asked; nil when the backend does not say
}

// softwareGPUs are the names by which CPUs behind a GPU's interface call themselves.
var softwareGPUs = []string{"llvmpipe", "lavapipe", "swiftshader", "microsoft basic render"}

// GPUs asks a llama-server for its devices. llama.cpp leaves out a software GPU
// unless GGML_VK_VISIBLE_DEVICES names it, so one that is listed was asked for.
func (i Installation) GPUs(ctx context.Context, env []string) ([]GPU, error) {
	cmd := exec.Command(i.Server, "--list-devices")
	cmd.Env = env
	out, log, err := output(ctx, cmd)
	switch known := (*fault.Error)(nil); {
	case ctx.Err() != nil, errors.As(err, &known):
		return nil, err
	case err != nil:
		return nil, ended("listing devices", cmd.ProcessState, lastWords(log))
	}
	return parseDevices([]byte(out), i.Version), nil
}

// outputLimit is how long a program may take that only says something of itself. Starting
// the drivers of several GPUs takes seconds.
var outputLimit = time.Minute

// output runs a program that only says something of itself, and gives it up where it
// hangs, in a GPU's driver say. Its error is then a fault.Error.
func output(ctx context.Context, cmd *exec.Cmd) (stdout, stderr string, err error) {
	within, cancel := context.WithTimeout(ctx, outputLimit)
	defer cancel()
	stdout, stderr, err = process.Output(within, cmd)
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		err = fault.Errorf(fault.Timeout, "%s took longer than %s", strings.Join(cmd.Args, " "), unit.Seconds(outputLimit)).
			With(fault.Run("does a GPU's driver hang? {} says so", "gpuplay", "doctor"))
	}
	return stdout, stderr, err
}

// parseDevices reads what --list-devices prints, one line per device:
//
//	Vulkan0: AMD Radeon RX 7900 (RADV NAVI31) (24560 MiB, 24000 MiB free)
//
// (common_print_available_devices in llama.cpp's common/arg.cpp). Lines of another
// form are no devices. BLAS and RPC are listed too; neither is a GPU of this
// machine.
func parseDevices(text []byte, version string) []GPU {
	var list []GPU
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		name, rest, ok := strings.Cut(strings.TrimSpace(lines.Text()), ": ")
		open := strings.LastIndex(rest, " (")
		if !ok || open < 0 || strings.ContainsAny(name, " (") {
			continue
		}
		var total, free int64
		if n, err := fmt.Sscanf(rest[open:], " (%d MiB, %d MiB free)", &total, &free); n != 2 || err != nil {
			continue
		}
		api := strings.ToLower(strings.TrimRight(name, "0123456789"))
		if api == "blas" || api == "rpc" || api == "zdnn" {
			continue
		}
		if api == "mtl" {
			api = "metal"
		}
		g := GPU{Name: name, Device: hardware.Device{ID: name, Name: rest[:open], Kind: hardware.GPU, API: api, Library: "llama.cpp", Version: version}}
		if slices.ContainsFunc(softwareGPUs, func(s string) bool { return strings.Contains(strings.ToLower(g.Device.Name), s) }) {
			g.Device.Kind = hardware.SoftwareGPU
		}
		if i, err := strconv.Atoi(strings.TrimLeft(name, "CUDA")); api == "cuda" && err == nil { // the other interfaces have orders of their own
			g.Device.Index = &i
		}
		if total > 0 {
			bytes, unused := total<<20, free<<20
			g.Device.Memory, g.Free = &bytes, &unused
		}
		list = append(list, g)
	}
	return list
}
