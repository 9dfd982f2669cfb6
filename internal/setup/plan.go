// Package setup makes the virtual environments that the Python frameworks run in,
// one environment per framework, with the packages that fit the machine; and the
// folder of llama.cpp, from a wheel or from source. A Plan is what would be done, a
// pure function of the framework, the machine and the options; a Builder carries it
// out. An environment is complete or it is never used: see Builder.Make. The package
// installs into no environment that it has not made and removes none unless told to.
package setup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/nvidia"
	"github.com/gpuplay/gpuplay/internal/version"
)

// A GPU is a kind of GPU that frameworks have builds for.
type GPU string

const (
	None   GPU = ""
	Metal  GPU = "Metal"
	CUDA   GPU = "CUDA"    // of a machine
	CUDA12 GPU = "CUDA 12" // of builds
	CUDA13 GPU = "CUDA 13"
	ROCm   GPU = "ROCm"
)

// A Machine is what a plan depends on.
type Machine struct {
	OS, Arch string // as Go names them
	MacOS    string // "15.1"; empty elsewhere, or when it is not known
	GPU      GPU    // what there is a driver for
	NVIDIA   nvidia.Driver
	UV       string // the path of uv, if it is there and works
}

// Options are what a person can choose.
type Options struct {
	CPU, GPU bool // the build for the one or the other; neither: what fits the machine
	Full     bool // with torchvision and torchaudio
	Models   bool // with what language models need: transformers and peft for torch; mlx has mlx-lm anyway
}

// A Plan says what an environment will hold and where it comes from.
type Plan struct {
	Framework string
	Packages  []string
	Models    []string // for language models: from PyPI when Packages are there, also into an environment that is complete
	Oldest    int      // Python 3's minor version, both included
	Newest    int      //
	Sources   []Source // tried in this order
	Publisher string   // who put the packages there; not of those that they need
	Pin       *Pin     // the one file that Packages name, where its publisher could change it; else nil
	Notes     []string // what a person should know
	Build     *Build   // made from the source of its package; nil: packages in an environment
}

// A Source is a package index with what is installed from it.
type Source struct {
	Name     string   // "PyPI" or the index's address
	Args     []string // what the installer is told
	Download int64    // bytes, about
	Disk     int64    // bytes, about
}

// oldestPython is what every framework still has builds for.
const oldestPython = 10

// New plans an environment for the framework.
func New(framework string, m Machine, o Options) (*Plan, error) {
	want, seen := m.GPU, m.GPU != None
	switch {
	case o.CPU:
		want = None
	case o.GPU && !seen:
		want = CUDA // a driver may follow
	}
	var build nvidia.Build
	var misfit string // what keeps all builds from the GPUs
	if want == CUDA && framework != LlamaCpp {
		var ok bool
		if build, misfit, ok = nvidia.Choose(framework, m.Arch, m.NVIDIA); ok {
			want = GPU(fmt.Sprintf("CUDA %d", version.Numbers(build.CUDA)[0]))
		}
	}
	r, err := find(framework, m, want)
	if err != nil {
		return nil, err
	}
	p := &Plan{Framework: framework, Packages: slices.Clone(r.packages), Publisher: publishers[framework], Oldest: oldestPython, Newest: r.newest}
	if framework == LlamaCpp {
		p.Pin = &prebuiltLlama
	}
	switch {
	case slices.Contains(r.gpus, want):
		if o.GPU && !seen {
			p.note("no GPU driver was seen: without one %s computes on the CPU", framework)
		}
		for _, g := range build.Without(m.NVIDIA) {
			p.note("%s", build.NoCode(g))
		}
	default:
		why := misfit
		if r.why != "" || why == "" {
			why = fmt.Sprintf("no build of %s for %s on %s/%s is known%s", framework, want, m.OS, m.Arch, because(r.why))
		}
		if o.GPU {
			remedies := fault.Remedies{fault.Change("cpu", "{} takes the build without it")}
			if nvidia.TooOld(framework, m.Arch, m.NVIDIA) {
				remedies = append(fault.Advice("install a newer driver: https://www.nvidia.com/drivers"), remedies...)
			}
			return nil, fail(remedies, "%s", why)
		}
		p.note("%s computes on the CPU here: %s", framework, why)
		want = None
	}
	if d := m.NVIDIA; !d.Asked && d.Error != "" && !o.CPU {
		p.note("NVIDIA's driver could not be asked which GPUs there are: %s", d.Error)
	}
	if need, have := r.macOS, major(m.MacOS); have != 0 && have < need {
		return nil, fail(fault.Advice("update macOS"), "macOS %s is too old for %s: %d or newer is needed", m.MacOS, framework, need)
	}
	if o.Full && framework == "torch" {
		p.Packages = append(p.Packages, "torchvision", "torchaudio")
	}
	if o.Models && framework == "torch" {
		if slices.Contains(p.Packages, lastIntelTorch) {
			return nil, fail(fault.Remedies{fault.Change("llm", "leave out {}")}, "transformers needs a newer PyTorch than %s, the last one for Intel Macs", lastIntelTorch)
		}
		p.Models = []string{"transformers", "peft"}
	}
	pypi := Source{Name: "PyPI", Download: megabytes(r.download), Disk: megabytes(r.disk)}
	if framework == "torch" {
		if s, ok := pytorch(m, want, build); ok {
			p.Sources = append(p.Sources, s)
		}
	}
	if len(p.Sources) == 0 || want == None { // for another GPU PyPI has another build
		p.Sources = append(p.Sources, pypi)
	}
	for i := range p.Sources {
		if len(p.Models) > 0 {
			p.Sources[i].Download += modelsDownload
			p.Sources[i].Disk += modelsDisk
		}
	}
	return p, nil
}

// Of transformers and peft with what they stand on, beside torch.
const (
	modelsDownload = 32e6
	modelsDisk     = 120e6
)

// find returns the recipe for the GPU, or else the one without.
func find(framework string, m Machine, gpu GPU) (recipe, error) {
	var plain *recipe
	var builds []string
	for _, r := range recipes {
		if r.framework != framework {
			continue
		}
		if platform := r.os + "/" + r.arch; !slices.Contains(builds, platform) {
			builds = append(builds, platform)
		}
		if r.os != m.OS || r.arch != m.Arch {
			continue
		}
		if slices.Contains(r.gpus, gpu) {
			return r, nil
		}
		if slices.Contains(r.gpus, None) {
			plain = &r
		}
	}
	if plain == nil {
		return recipe{}, fail(fault.Advice("there are builds for "+strings.Join(builds, ", ")), "%s has no build for %s/%s", framework, m.OS, m.Arch)
	}
	return *plain, nil
}

// pytorch returns PyTorch's own index for the GPU, where it has what PyPI has not. The
// table of builds chooses for CUDA: uv would go by the driver alone, and not see that a
// build has no code for the GPU.
func pytorch(m Machine, gpu GPU, build nvidia.Build) (Source, bool) {
	i, ok := indices[m.OS+"/"+m.Arch][gpu]
	if !ok {
		return Source{}, false
	}
	s := Source{Download: megabytes(i.download), Disk: megabytes(i.disk)}
	const base = "https://download.pytorch.org/whl/"
	address, backend := base+i.name, i.name
	switch gpu {
	case CUDA12, CUDA13:
		if _, address = build.Install(m.OS); address == "" {
			return Source{}, false
		}
		backend = build.Index
	case ROCm:
		if m.UV != "" {
			address, backend = base+" (uv chooses for ROCm)", "auto"
		}
	}
	if s.Name = address; m.UV == "" {
		s.Args = []string{"--index-url", address}
	} else {
		s.Args = []string{"--torch-backend=" + backend}
	}
	return s, true
}

func (p *Plan) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}

// major returns the first number of a version, 0 for none.
func major(version string) int {
	first, _, _ := strings.Cut(version, ".")
	n, _ := strconv.Atoi(first)
	return n
}

func megabytes(n int) int64 { return int64(n) * 1e6 }

// fail makes an error with remedies.
func fail(remedies fault.Remedies, format string, args ...any) error {
	return fault.Errorf(fault.Unavailable, format, args...).With(remedies...)
}
