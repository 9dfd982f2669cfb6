package blas

import "github.com/gpuplay/gpuplay/internal/fault"

// Wheels of MKL and oneDNN install into Library\bin of an environment.
var files = map[string][]string{
	"openblas": {
		"libopenblas.dll", "openblas.dll",
		"scipy_openblas32/lib/libscipy_openblas.dll", "libscipy_openblas.dll",
		"scipy_openblas64/lib/libscipy_openblas64_.dll", "libscipy_openblas64_.dll",
		"numpy.libs/libscipy_openblas*.dll", "scipy.libs/libscipy_openblas*.dll",
	},
	"mkl":    {"mkl_rt.3.dll", "mkl_rt.2.dll"},
	"onednn": {"dnnl.dll"},
	"blis":   {"libblis.dll", "AOCL-LibBlis-Win-MT-dll.dll"},
}

var folders []string

var fixes = map[string]fault.Remedies{
	"openblas": wheel("scipy-openblas32"),
	"mkl":      wheel("mkl"),
	"onednn":   wheel("onednn"),
	"blis":     fault.Advice("AMD's build of it: https://www.amd.com/en/developer/aocl.html"),
}

// wheel is how to install a library from PyPI, into an environment in which libraries are
// looked for.
func wheel(name string) fault.Remedies {
	return fault.Remedies{fault.Run("first", "python", "-m", "venv", ".venv-blas"), fault.Run("then", `.venv-blas\Scripts\python.exe`, "-m", "pip", "install", name)}
}

const (
	intelOpenMP = "libiomp5md.dll"
	gnuOpenMP   = "libgomp-1.dll"
)

func systemVersion() string { return "" }

func confined(n int, _ func(int)) error {
	return fault.Errorf(fault.Unsupported, "TBB cannot be told to use %d threads on Windows", n).With(fault.Change("threads", "leave {} out"))
}
