//go:build noasm || (!amd64 && !arm64)

package gemm

var instructionSets = []instructionSet{portable}

// pause does nothing: Go has no portable way to tell the CPU that code is spinning.
func pause() {}

// Fastest reports whether the best kernels for an arithmetic use the fastest instructions
// that this CPU has for it. Go code does not.
func Fastest(Arithmetic) bool { return false }
