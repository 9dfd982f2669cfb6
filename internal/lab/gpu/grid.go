package gpu

import (
	"cmp"
	"maps"
	"slices"
)

// multiples are the sizes of a grid of products, in units: M, N and K are each one of them.
var multiples = []int{1, 2, 3, 4, 6, 8, 12, 16}

// A point is a product of the grid: for each of M, N and K, which of multiples it is.
type point [3]int

// in reports whether the point is in the grid.
func (p point) in() bool { return min(p[0], p[1], p[2]) >= 0 && max(p[0], p[1], p[2]) < len(multiples) }

// middle is where a climb begins.
var middle = point{3, 3, 3}

// areas has, for every size that C can have, the C that is nearest to a square. The blocks of
// C are spread over the multiprocessors of a GPU, and those that are idle during the last
// round depend on how many blocks there are, which the size of C decides.
var areas = func() []point {
	at := map[int]point{}
	for i := range multiples {
		for j := range i + 1 {
			size := multiples[i] * multiples[j]
			if have, ok := at[size]; !ok || i-j < have[0]-have[1] {
				at[size] = point{i, j, 0}
			}
		}
	}
	var list []point
	for _, size := range slices.Sorted(maps.Keys(at)) {
		list = append(list, at[size])
	}
	return list
}()

// neighbours are the points that a climb tries near a fast one: another K, C transposed, C of
// another form, a smaller C.
func (p point) neighbours() []point {
	m, n, k := p[0], p[1], p[2]
	return []point{{m, n, k + 1}, {m, n, k - 1}, {n, m, k}, {m + 1, n - 1, k}, {m - 1, n + 1, k}, {m - 1, n, k}, {m, n - 1, k}}
}

// leaders is how many of the fastest points a climb tries the neighbours of.
const leaders = 5

// climb looks for the fastest point of the grid. It tries three values of K, then every size
// of C with the fastest of them, and then the neighbours of the fastest points, until these
// are known or done reports that there is no time for more. try returns the speed of a point;
// 0: it has none.
func climb(try func(point) float64, done func() bool) {
	tried := map[point]float64{}
	visit := func(p point) {
		if _, known := tried[p]; !known && !done() {
			tried[p] = try(p)
		}
	}
	k, fastest := middle[2], 0.0
	const clearly = 1.002 // by less, a longer K is not worth the time that it takes
	for _, longer := range []int{middle[2], 5, 7} {
		p := point{middle[0], middle[1], longer}
		if visit(p); tried[p] > clearly*fastest {
			k, fastest = longer, tried[p]
		}
	}
	for _, p := range areas {
		p[2] = k
		visit(p)
	}
	for !done() {
		best := slices.SortedFunc(maps.Keys(tried), func(a, b point) int {
			if tried[a] != tried[b] {
				return cmp.Compare(tried[b], tried[a])
			}
			return slices.Compare(a[:], b[:])
		})
		var next []point
		for _, p := range best[:min(leaders, len(best))] {
			for _, q := range p.neighbours() {
				if _, known := tried[q]; !known && q.in() {
					next = append(next, q)
				}
			}
		}
		if len(next) == 0 {
			return
		}
		visit(next[0])
	}
}
