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
)

// A GPU is a kind of GPU that frameworks have builds for.
type GPU string

const (
	None   GPU = ""
	Metal  GPU = "Metal"
	CUDA12 GPU = "CUDA 12"
	CUDA13 GPU = "CUDA 13"
	ROCm   GPU = "ROCm"
)

// A Machine is what a plan depends on.
type Machine struct {
	OS, Arch string // as Go names them
	MacOS    string // "15.1"; empty elsewhere, or when it is not known
	GPU      GPU    // what there is a driver for
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
		want = CUDA13 // a driver may follow
	}
	r, err := find(framework, m, want)
	if err != nil {
		return nil, err
	}
	p := &Plan{Framework: framework, Packages: slices.Clone(r.packages), Oldest: oldestPython, Newest: r.newest}
	if !slices.Contains(r.gpus, want) {
		if o.GPU {
			return nil, fail(fault.Remedies{fault.Change("cpu", "{} takes the build without it")}, "no build of %s for %s on %s/%s is known%s", framework, want, m.OS, m.Arch, because(r.why))
		}
		p.note("%s computes on the CPU here: no build for %s on %s/%s is known%s", framework, want, m.OS, m.Arch, because(r.why))
		want = None
	} else if o.GPU && !seen {
		p.note("no GPU driver was seen: without one %s computes on the CPU", framework)
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
		if s, ok := pytorch(m, want, o.GPU && !seen); ok {
			p.Sources = append(p.Sources, s)
		}
	}
	p.Sources = append(p.Sources, pypi)
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
		return recipe{}, fail(fault.Advice("it can be had for "+strings.Join(builds, ", ")), "%s has no build for %s/%s", framework, m.OS, m.Arch)
	}
	return *plain, nil
}

// pytorch returns PyTorch's own index for the GPU, where it has what PyPI has not.
// With uv the choice among the indices is uv's, from the driver, unless there is
// no driver to ask or uv does not know that the GPU is too old for CUDA 13.
func pytorch(m Machine, gpu GPU, unseen bool) (Source, bool) {
	i, ok := indices[m.OS+"/"+m.Arch][gpu]
	if !ok {
		return Source{}, false
	}
	s := Source{Download: megabytes(i.download), Disk: megabytes(i.disk)}
	backend := i.name
	switch auto := m.UV != "" && gpu != None && gpu != CUDA12 && !unseen; {
	case auto:
		backend = "auto"
	case backend == "":
		return Source{}, false
	}
	const base = "https://download.pytorch.org/whl/"
	switch {
	case m.UV == "":
		s.Name, s.Args = base+backend, []string{"--index-url", base + backend}
	case backend == "auto":
		s.Name, s.Args = base+" (uv chooses for "+string(gpu)+")", []string{"--torch-backend=auto"}
	default:
		s.Name, s.Args = base+backend, []string{"--torch-backend=" + backend}
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
