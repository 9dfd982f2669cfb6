package nvidia

import (
	"cmp"
	"fmt"

	"github.com/gpuplay/gpuplay/internal/version"
)

// A Build is a line in the table of CUDA builds: a framework's packages for a version of
// CUDA, the GPUs that they have code for, and the driver that they need.
type Build struct {
	Framework    string // of python.Frameworks; empty: what holds for any program, by its CUDA alone
	From, Before string // the framework's versions from the one to before the other; empty: any
	CUDA         string // the oldest version that the line is for, of those with its first number: "12.6"
	Arch         string // GOARCH of the packages; empty: any
	Oldest       string // compute capability of the oldest GPU with code
	Newest       int    // its first number for the newest ones; 0: what is newer is served too
	Driver       string // the oldest that runs it
	Extra        string // of the package on PyPI, in brackets: "cuda12"
	Index        string // below download.pytorch.org/whl: "cu126"; Windows has CUDA there alone
	Choice       int    // 1 for the framework's newest packages; 0: nobody is offered it any more
}

// Builds are those of November 2026; within a framework the newest CUDA comes first.
//
// Which driver runs which CUDA: Table 1 of
// docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html. RTX 50 and
// the other Blackwell GPUs, compute capability 10 to 12, came with CUDA 12.8 and driver
// 570 (CUDA 12.8's release notes); Maxwell, Pascal and Volta, 5.0 to 7.0, left with CUDA
// 13.0 ("Deprecated Architectures" in the release notes of CUDA 12.9).
//
// PyTorch: "PyTorch CUDA Support Matrix" in RELEASE.md of github.com/pytorch/pytorch and
// the issues there that changed it: 147607 (2.7's CUDA 12.8 begins at 7.5), 157517 (2.8:
// at 7.0), 172352 (2.11: at 7.5), 178665 (2.12 has no CUDA 12.8), 190385 (2.15 has no
// CUDA 12.6; PyPI's wheels for Linux are for CUDA 13.2). Code for 8.6 serves 8.9, code
// for 12.0 serves 12.1; what is newer than the newest is only served where the wheel
// has PTX as well.
//
// JAX: "NVIDIA GPU" in docs.jax.dev/en/latest/installation.html. MLX: "CUDA" in
// ml-explore.github.io/mlx/build/html/install.html; 7.5 in place of 7.0 since 0.30.1
// (github.com/ml-explore/mlx/pull/2872). TensorFlow: HERMETIC_CUDA_COMPUTE_CAPABILITIES
// for cuda_clang in its .bazelrc, sm_50 until 2.17; its PTX fails on Blackwell
// (github.com/tensorflow/tensorflow/issues/97387 and 111958).
var Builds = []Build{
	{Framework: "torch", CUDA: "13", Arch: "amd64", Oldest: "7.5", Driver: "580", Index: "cu130", Choice: 1},
	{Framework: "torch", CUDA: "13", Arch: "arm64", Oldest: "8.0", Driver: "580", Choice: 1},
	{Framework: "torch", CUDA: "12.9", Before: "2.11", Arch: "amd64", Oldest: "7.0", Driver: "525"},
	{Framework: "torch", CUDA: "12.8", From: "2.11", Arch: "amd64", Oldest: "7.5", Newest: 12, Driver: "525", Index: "cu128", Choice: 3},
	{Framework: "torch", CUDA: "12.8", From: "2.8", Before: "2.11", Arch: "amd64", Oldest: "7.0", Newest: 12, Driver: "525"},
	{Framework: "torch", CUDA: "12.8", Before: "2.8", Arch: "amd64", Oldest: "7.5", Driver: "525"},
	{Framework: "torch", CUDA: "12.8", Arch: "arm64", Oldest: "8.0", Newest: 12, Driver: "525"},
	{Framework: "torch", CUDA: "12.6", Arch: "amd64", Oldest: "5.0", Newest: 9, Driver: "525", Index: "cu126", Choice: 2},
	{Framework: "torch", CUDA: "12", Arch: "amd64", Oldest: "5.0", Newest: 9, Driver: "525"},
	{Framework: "torch", CUDA: "12", Arch: "arm64", Oldest: "8.0", Newest: 9, Driver: "525"},

	{Framework: "tensorflow", CUDA: "12", From: "2.18", Arch: "amd64", Oldest: "6.0", Newest: 9, Driver: "525", Extra: "and-cuda", Choice: 1},
	{Framework: "tensorflow", CUDA: "12", Before: "2.18", Arch: "amd64", Oldest: "5.0", Newest: 9, Driver: "525"},

	{Framework: "mlx", CUDA: "13", Oldest: "7.5", Driver: "580", Extra: "cuda13", Choice: 1},
	{Framework: "mlx", CUDA: "12", From: "0.30.1", Arch: "amd64", Oldest: "7.5", Driver: "550.54.14", Extra: "cuda12", Choice: 2},
	{Framework: "mlx", CUDA: "12", Oldest: "7.0", Driver: "550.54.14"},

	{Framework: "jax", CUDA: "13", Oldest: "7.5", Driver: "580", Extra: "cuda13", Choice: 1},
	{Framework: "jax", CUDA: "12.8", Arch: "amd64", Oldest: "5.2", Driver: "525", Extra: "cuda12", Choice: 2},
	{Framework: "jax", CUDA: "12", Oldest: "5.2", Newest: 9, Driver: "525"},

	{CUDA: "13", Oldest: "7.5", Driver: "580"},
	{CUDA: "12.9", Oldest: "5.0", Driver: "525"},
	{CUDA: "12.8", Oldest: "5.0", Newest: 12, Driver: "525"},
	{CUDA: "12", Oldest: "5.0", Newest: 9, Driver: "525"},
	{CUDA: "11.8", Oldest: "3.5", Newest: 9, Driver: "450"},
	{CUDA: "11", Oldest: "3.5", Newest: 8, Driver: "450"},
}

// Installed returns the line of a build that is installed, by the framework, its release
// and the CUDA that it is built for, or else what holds for that CUDA; ok is false where
// nothing is known. arch is the GOARCH of the packages.
func Installed(framework, release, cuda, arch string) (b Build, ok bool) {
	built := version.Numbers(cuda)
	if len(built) == 0 {
		return Build{}, false
	}
	for _, of := range []string{framework, ""} {
		for _, b := range Builds {
			from := version.Numbers(b.CUDA)
			if b.Framework != of || from[0] != built[0] || len(built) > 1 && version.Older(cuda, b.CUDA) || b.Arch != "" && b.Arch != arch {
				continue
			}
			if version.Older(release, b.From) || b.Before != "" && len(version.Numbers(release)) > 0 && !version.Older(release, b.Before) {
				continue
			}
			if b.CUDA = cuda; len(built) == 1 { // whether it supports GPUs that a later 12.x introduced is not known
				b.Newest = 0
			}
			return b, true
		}
	}
	return Build{}, false
}

// Runs returns why a build does not run on any GPU of a driver, empty where it may. What
// is not known of a GPU does not speak against it.
func (b Build) Runs(d Driver) (why string) {
	if b.none(d) {
		return b.NoCode(d.GPUs[0])
	}
	if b.Old(d) {
		return fmt.Sprintf("driver %s is too old: CUDA %d needs %s or newer", d.Version, version.Numbers(b.CUDA)[0], b.Driver)
	}
	return ""
}

// Old reports whether the driver is too old for a build.
func (b Build) Old(d Driver) bool { return version.Older(d.Version, b.Driver) }

// Install returns what pip is told to install a build: what is required and, where PyPI
// has another one, the address of the index.
func (b Build) Install(os string) (requirement, index string) {
	requirement = b.Framework
	if b.Extra != "" {
		requirement += "[" + b.Extra + "]"
	}
	if b.Index != "" && (b.CUDA != onPyPI || os == "windows") {
		index = "https://download.pytorch.org/whl/" + b.Index
	}
	return requirement, index
}

// onPyPI is what PyTorch's wheels for Linux on PyPI are built for.
const onPyPI = "13"

// Without returns the GPUs that a build has no code for.
func (b Build) Without(d Driver) []GPU {
	var list []GPU
	for _, g := range d.GPUs {
		if numbers := version.Numbers(g.Capability); version.Older(g.Capability, b.Oldest) || b.Newest > 0 && len(numbers) > 0 && numbers[0] > b.Newest {
			list = append(list, g)
		}
	}
	return list
}

// NoCode says that a build has no code for a GPU, and which it has.
func (b Build) NoCode(g GPU) string {
	has := b.Oldest + " and newer"
	if b.Newest > 0 {
		has = fmt.Sprintf("%s to %d.x", b.Oldest, b.Newest)
	}
	return fmt.Sprintf("this build for CUDA %s has no code for %s, compute capability %s: it has code for %s", b.CUDA, cmp.Or(g.Name, "the GPU"), g.Capability, has)
}

// Choose returns the build of a framework that serves all GPUs, or else the one that
// serves most; ok is false where none runs, and why says what keeps the one from it that
// asks for least.
func Choose(framework, arch string, d Driver) (best Build, why string, ok bool) {
	var least Build
	for _, b := range Builds {
		switch {
		case b.Choice == 0 || b.Framework != framework || b.Arch != "" && b.Arch != arch:
		case b.Runs(d) != "":
			if least.Choice == 0 || least.none(d) || !b.none(d) && version.Older(b.Driver, least.Driver) {
				least = b
			}
		case !ok || b.serves(d) > best.serves(d) || b.serves(d) == best.serves(d) && b.Choice < best.Choice:
			best, ok = b, true
		}
	}
	switch {
	case ok:
	case least.Choice == 0:
		why = "there is no build of " + framework + " for CUDA on " + arch
	default:
		why = least.Runs(d)
	}
	return best, why, ok
}

// serves counts the GPUs that a build has code for.
func (b Build) serves(d Driver) int { return len(d.GPUs) - len(b.Without(d)) }

// none reports whether there are GPUs and a build has code for none of them.
func (b Build) none(d Driver) bool { return len(d.GPUs) > 0 && b.serves(d) == 0 }

// TooOld reports whether a newer driver would let a build of a framework run for which
// Choose finds none.
func TooOld(framework, arch string, d Driver) bool {
	_, _, now := Choose(framework, arch, d)
	d.Version = ""
	_, _, then := Choose(framework, arch, d)
	return then && !now
}
