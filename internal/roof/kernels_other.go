//go:build noasm || (!amd64 && !arm64)

package roof

var kernels = portable

var chain func(rounds int) // the compiler would do better than one a cycle
