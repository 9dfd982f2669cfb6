//go:build !noasm && (amd64 || arm64)

package roof

// total adds up the partial sums of a kernel.
func total(sum func(x *float64, n, passes int, sums *[8]float64)) func(x *float64, n, passes int) float64 {
	return func(x *float64, n, passes int) float64 {
		var sums [8]float64
		sum(x, n, passes, &sums)
		all := 0.0
		for _, s := range sums {
			all += s
		}
		return all
	}
}
