//go:build !noasm && !linux

package gemm

// permitAMX reports whether this process may use AMX's tile registers. Only Linux has
// been tried.
func permitAMX() bool { return false }
