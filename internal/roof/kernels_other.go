//go:build noasm || (!amd64 && !arm64)

package roof

var kernels = portable

var chain func(rounds int) // in Go, the compiler might combine additions
