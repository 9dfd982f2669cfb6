package roof

import "unsafe"

var portable = kernelSet{"portable Go", triadPortable, sumPortable}

func triadPortable(a, b, c *float64, n int, s float64, passes int) {
	x, y, z := unsafe.Slice(a, n), unsafe.Slice(b, n), unsafe.Slice(c, n)
	for range passes {
		for i := range x {
			x[i] = y[i] + s*z[i]
		}
	}
}

// sumPortable keeps four independent sums, so that an addition need not wait for
// the one before.
func sumPortable(x *float64, n, passes int) float64 {
	var s0, s1, s2, s3 float64
	for range passes {
		for v := unsafe.Slice(x, n); len(v) >= 4; v = v[4:] {
			s0 += v[0]
			s1 += v[1]
			s2 += v[2]
			s3 += v[3]
		}
	}
	return s0 + s1 + s2 + s3
}
