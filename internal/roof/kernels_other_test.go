//go:build noasm || !amd64

package roof

func kernelSets() []kernelSet { return []kernelSet{kernels, portable} }
