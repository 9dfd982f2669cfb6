package gemm

import "unsafe"

// portableTile is the micro-kernel in Go, 4×4. Two rows at a time, because the
// sums of four do not fit the registers of every processor.
func portableTile[T number](k int, a *T, lda int, b *T, c *T, ldc int, add bool) {
	const mr, nr = 4, 4
	as, bs, cs := unsafe.Slice(a, (mr-1)*lda+k), unsafe.Slice(b, k*nr), unsafe.Slice(c, (mr-1)*ldc+nr)
	for i := 0; i < mr; i += 2 {
		upper, lower := as[i*lda:][:k], as[(i+1)*lda:][:k]
		var s00, s01, s02, s03, s10, s11, s12, s13 T
		panel := bs
		for p := range upper {
			row := (*[nr]T)(panel)
			panel = panel[nr:]
			x, y := upper[p], lower[p]
			s00 += x * row[0]
			s01 += x * row[1]
			s02 += x * row[2]
			s03 += x * row[3]
			s10 += y * row[0]
			s11 += y * row[1]
			s12 += y * row[2]
			s13 += y * row[3]
		}
		out0, out1 := (*[nr]T)(cs[i*ldc:]), (*[nr]T)(cs[(i+1)*ldc:])
		if add {
			s00, s01, s02, s03 = s00+out0[0], s01+out0[1], s02+out0[2], s03+out0[3]
			s10, s11, s12, s13 = s10+out1[0], s11+out1[1], s12+out1[2], s13+out1[3]
		}
		*out0, *out1 = [nr]T{s00, s01, s02, s03}, [nr]T{s10, s11, s12, s13}
	}
}
