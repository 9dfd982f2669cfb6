//go:build noasm || (!amd64 && !arm64)

package gemm

var instructionSets = []instructionSet{portable}

// pause does nothing: Go has no portable way to tell the CPU that code is spinning.
func pause() {}
