package python

// A Framework is a Python framework that computes on CPUs and GPUs.
type Framework struct {
	Name   string // of its engine, its worker's file and its module: "torch"
	Title  string // as its makers write it: "PyTorch"
	Models string // the module that runs language models on it, which also names their runtime: "transformers"; empty for none
}

// Frameworks are all that gpuplay knows, in the order in which it shows them. Every
// other list of frameworks is this one or is tested against it.
var Frameworks = []Framework{
	{Name: "torch", Title: "PyTorch", Models: "transformers"},
	{Name: "tensorflow", Title: "TensorFlow"},
	{Name: "mlx", Title: "MLX", Models: "mlx_lm"},
	{Name: "jax", Title: "JAX"},
}

// FrameworkNames returns the frameworks' names.
func FrameworkNames() []string {
	names := make([]string, len(Frameworks))
	for i, f := range Frameworks {
		names[i] = f.Name
	}
	return names
}
