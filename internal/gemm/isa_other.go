//go:build noasm || (!amd64 && !arm64)

package gemm

var instructionSets = []instructionSet{portable}

// pause has nothing to do here: there is no way to say in Go that a loop waits.
func pause() {}
