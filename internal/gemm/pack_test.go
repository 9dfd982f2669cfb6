package gemm

import (
	"testing"
	"unsafe"
)

// TestTransposeStaysInside transposes into memory that ends with the last word. With
// the race detector, checkptr stops the test at a pointer beyond it, which the
// garbage collector could encounter at any time.
func TestTransposeStaysInside(t *testing.T) {
	const n, pad = 5, 7
	for rows := 1; rows <= transposed; rows++ {
		src := make([]uint32, rows*n)
		for i := range src {
			src[i] = uint32(i + 1)
		}
		dst := make([]uint32, (n-1)*(transposed+pad)+rows)
		transposeWords[uint32](unsafe.Pointer(&dst[0]), 4*(transposed+pad), unsafe.Pointer(&src[0]), 4*n, rows, n)
		for r := range rows {
			for i := range n {
				if got := dst[i*(transposed+pad)+r]; got != src[r*n+i] {
					t.Errorf("%d rows: word %d of row %d is %d, not %d", rows, i, r, got, src[r*n+i])
				}
			}
		}
	}
}
