package blas

import (
	"golang.org/x/sys/unix"

	"github.com/gpuplay/gpuplay/internal/fault"
)

var files = map[string][]string{
	"accelerate": {"/System/Library/Frameworks/Accelerate.framework/Accelerate"},
	"openblas": {
		"libopenblas.0.dylib", "libopenblas.dylib",
		"scipy_openblas32/lib/libscipy_openblas.dylib", "libscipy_openblas.dylib",
		"scipy_openblas64/lib/libscipy_openblas64_.dylib", "libscipy_openblas64_.dylib",
		"numpy/.dylibs/libscipy_openblas*.dylib", "scipy/.dylibs/libscipy_openblas*.dylib",
	},
	"onednn": {"libdnnl.3.dylib", "libdnnl.2.dylib"},
	"blis":   {"libblis.4.dylib", "libblis.dylib"},
}

// Homebrew's folders for Apple's and Intel's CPUs. It links OpenBLAS into
// neither lib, because macOS has a BLAS already.
var folders = []string{
	"/opt/homebrew/opt/openblas/lib", "/opt/homebrew/lib",
	"/usr/local/opt/openblas/lib", "/usr/local/lib",
}

var fixes = map[string]fault.Remedies{
	"openblas": {fault.Run("", "brew", "install", "openblas")},
	"onednn":   {fault.Run("", "brew", "install", "onednn")},
	"blis":     {fault.Run("", "brew", "install", "blis")},
}

const (
	intelOpenMP = "libiomp5.dylib"
	gnuOpenMP   = "libgomp.1.dylib"
)

func systemVersion() string {
	version, _ := unix.Sysctl("kern.osproductversion")
	return version
}

func confined(n int, _ func(int)) error {
	return fault.Errorf(fault.Unsupported, "TBB cannot be told to use %d threads on macOS", n).With(fault.Change("threads", "leave {} out"))
}
