//go:build !noasm && (amd64 || arm64)

package gemm

// inEights converts full vectors of 8 in assembly and the rest in Go.
func inEights[To, From any](whole, rest func([]To, []From)) func([]To, []From) {
	return func(dst []To, src []From) {
		n := len(dst) &^ 7
		if n > 0 {
			whole(dst[:n], src[:n])
		}
		if n < len(dst) {
			rest(dst[n:], src[n:])
		}
	}
}
