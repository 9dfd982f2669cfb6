package learn

// The rungs in Go. Each is the previous one with one more idea. All compute C = A·B
// of row-major float32 matrices: A is m×k, B is k×n and C is m×n.

// naive is the definition, written down: each element of C is a row of A times a
// column of B. The inner loop walks down a column of B, whose numbers are n apart
// in memory, so each step fetches a cache line of 64 bytes to use 4 of them.
func naive(m, n, k int, a, b, c []float32) {
	for i := range m {
		for j := range n {
			sum := float32(0)
			for p := range k {
				sum += a[i*k+p] * b[p*n+j]
			}
			c[i*n+j] = sum
		}
	}
}

// reordered does the same multiplications in another order: it adds multiples of
// B's rows to a row of C, so that the inner loop reads memory sequentially.
func reordered(m, n, k int, a, b, c []float32) {
	clear(c[:m*n])
	for i := range m {
		for p := range k {
			addRow(c[i*n:][:n], b[p*n:][:n], a[i*k+p])
		}
	}
}

// addRow adds x times a row of B to a row of C, four numbers at a time to reduce
// the loop overhead.
func addRow(c, b []float32, x float32) {
	for len(c) >= 4 && len(b) >= 4 {
		c[0] += x * b[0]
		c[1] += x * b[1]
		c[2] += x * b[2]
		c[3] += x * b[3]
		c, b = c[4:], b[4:]
	}
	for j := range c {
		c[j] += x * b[j]
	}
}

// blockK and blockN are the size of a block of B: 126 KB, which fits into most
// second-level caches.
const blockK, blockN = 128, 252

// blocked divides B into blocks, each of which stays in a cache while all rows of A
// are multiplied by it: reordered fetches the whole of B for each row of C, blocked
// fetches it once.
func blocked(m, n, k int, a, b, c []float32) {
	clear(c[:m*n])
	for left := 0; left < n; left += blockN {
		right := min(left+blockN, n)
		for top := 0; top < k; top += blockK {
			bottom := min(top+blockK, k)
			for i := range m {
				for p := top; p < bottom; p++ {
					addRow(c[i*n+left:i*n+right], b[p*n+left:p*n+right], a[i*k+p])
				}
			}
		}
	}
}

// tileRows and tileCols are the size of a tile of C whose sums stay in registers.
// With two rows of four, Go's compiler keeps some of them in memory, and the tile
// is a third slower.
const tileRows, tileCols = 2, 3

// packed copies each block of B into panels of tileCols columns, in the order in
// which they are needed, and computes C in small tiles: their sums stay in
// registers over the whole of k, and each number that is loaded is used several
// times. On the previous rungs every multiplication also loads and stores an
// element of C.
func packed(m, n, k int, a, b, c []float32) {
	clear(c[:m*n])
	block := make([]float32, blockK*blockN)
	for left := 0; left < n; left += blockN {
		width := min(blockN, n-left)
		for top := 0; top < k; top += blockK {
			depth := min(blockK, k-top)
			pack(block, b[top*n+left:], width, depth, n)
			for j := 0; j < width; j += tileCols {
				panel := block[j*depth:][:tileCols*depth]
				for i := 0; i < m; i += tileRows {
					last := min(i+tileRows, m) - 1 // with an odd number of rows, the last one is computed twice
					sums := tile(a[i*k+top:][:depth], a[last*k+top:][:depth], panel)
					for row := i; row <= last; row++ {
						addRow(c[row*n+left+j:][:min(tileCols, width-j)], sums[row-i][:], 1)
					}
				}
			}
		}
	}
}

// pack copies depth rows of b, width numbers of each, to panels of tileCols
// columns, one panel after the other. Missing columns become zeros.
func pack(block, b []float32, width, depth, stride int) {
	for p := range depth {
		row := b[p*stride:][:width]
		for j, x := range row {
			block[j/tileCols*tileCols*depth+p*tileCols+j%tileCols] = x
		}
		for j := width; j%tileCols != 0; j++ {
			block[j/tileCols*tileCols*depth+p*tileCols+j%tileCols] = 0
		}
	}
}

// tile returns the products of two rows of A with the columns of a panel.
func tile(a0, a1, panel []float32) [tileRows][tileCols]float32 {
	var s00, s01, s02, s10, s11, s12 float32
	for p, x := range a0 {
		y := a1[p]
		b := (*[tileCols]float32)(panel[p*tileCols:])
		s00 += x * b[0]
		s10 += y * b[0]
		s01 += x * b[1]
		s11 += y * b[1]
		s02 += x * b[2]
		s12 += y * b[2]
	}
	return [tileRows][tileCols]float32{{s00, s01, s02}, {s10, s11, s12}}
}
