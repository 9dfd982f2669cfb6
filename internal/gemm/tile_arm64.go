//go:build !noasm

package gemm

import "unsafe"

// wholeTiles makes a tileFunc of a kernel that computes only full tiles of mr×nr,
// with B packed and the elements of A's rows contiguous. Tiles that extend beyond C
// are computed in a buffer and copied.
func wholeTiles[T number](mr, nr int, whole func(k int, a *T, lda int, b *T, c *T, ldc int, add bool)) tileFunc {
	size := int(unsafe.Sizeof(T(0)))
	return func(t *tile) {
		edge := unsafe.Slice((*T)(unsafe.Pointer(&t.edge)), mr*nr)
		a, b, c := t.a, t.b, t.c
		for ; ; a, b, c = unsafe.Add(a, t.moveA), unsafe.Add(b, t.moveB), unsafe.Add(c, t.moveC) {
			if t.rows == mr && t.last == nr {
				whole(t.k, (*T)(a), t.rowA/size, (*T)(b), (*T)(c), t.rowC/size, t.add != 0)
			} else {
				whole(t.k, (*T)(a), t.rowA/size, (*T)(b), &edge[0], nr, false)
				for i := range t.rows {
					for j, x := range edge[i*nr:][:t.last] {
						to := (*T)(unsafe.Add(c, i*t.rowC+j*size))
						if t.add != 0 {
							x += *to
						}
						*to = x
					}
				}
			}
			if t.count--; t.count == 0 {
				return
			}
		}
	}
}
