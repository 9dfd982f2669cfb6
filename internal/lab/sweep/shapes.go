package sweep

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Shape is the size of a product: C is M×N, sums are K long.
type Shape struct{ M, N, K int }

// String writes it as people do: 512³, 5×4096×4096.
func (s Shape) String() string { return unit.Cube(s.M, s.N, s.K) }

// most is how many sizes a sweep may have: more are a mistake.
const most = 1000

// ParseSizes reads sizes of square products: "64:8192" with the powers of two
// times 64 between, "64:8192:+256" and "64:8192:*1.5" with steps, and lists of
// such and of single sizes, "16,17,64:1k". The order stays, repetitions go.
func ParseSizes(text string) ([]Shape, error) {
	var shapes []Shape
	for part := range strings.SplitSeq(text, ",") {
		sizes, err := parseRange(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		for _, n := range sizes {
			shapes = append(shapes, Shape{n, n, n})
		}
	}
	return unique(shapes)
}

// ParseShapes reads "5x4096x4096,64×64×100000": m, n and k.
func ParseShapes(text string) ([]Shape, error) {
	var shapes []Shape
	for part := range strings.SplitSeq(text, ",") {
		dims := strings.Split(strings.NewReplacer("×", "x", "X", "x").Replace(strings.TrimSpace(part)), "x")
		if len(dims) != 3 {
			return nil, fmt.Errorf("%q is not a shape: write m, n and k as in 5x4096x4096", part)
		}
		var d [3]int
		for i, text := range dims {
			n, err := parseSize(text)
			if err != nil {
				return nil, err
			}
			d[i] = n
		}
		shapes = append(shapes, Shape{d[0], d[1], d[2]})
	}
	return unique(shapes)
}

func unique(shapes []Shape) ([]Shape, error) {
	seen := map[Shape]bool{}
	var out []Shape
	for _, s := range shapes {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	if len(out) > most {
		return nil, fmt.Errorf("%d sizes are more than %d: take larger steps", len(out), most)
	}
	return out, nil
}

func parseSize(text string) (int, error) {
	n, err := unit.ParseSize(text)
	if err != nil {
		return 0, err
	}
	if n < 1 {
		return 0, fmt.Errorf("%d is not a size: at least 1 is needed", n)
	}
	return n, nil
}

// parseRange reads one size or first:last[:step].
func parseRange(text string) ([]int, error) {
	parts := strings.Split(text, ":")
	if len(parts) > 3 {
		return nil, fmt.Errorf("%q is not a range of sizes: write first:last:step as in 64:8192:+256", text)
	}
	first, err := parseSize(parts[0])
	if err != nil {
		return nil, err
	}
	if len(parts) == 1 {
		return []int{first}, nil
	}
	last, err := parseSize(parts[1])
	if err != nil {
		return nil, err
	}
	if last < first {
		return nil, fmt.Errorf("%q: the last size, %d, is smaller than the first, %d", text, last, first)
	}
	next := func(n int) int { return 2 * n }
	if len(parts) == 3 {
		if next, err = parseStep(parts[2]); err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
	}
	var sizes []int
	for n := first; n <= last && len(sizes) <= most; n = next(n) {
		sizes = append(sizes, n)
		if n > math.MaxInt32 {
			break
		}
	}
	return sizes, nil
}

// parseStep reads "+256", "256" and "*1.5".
func parseStep(text string) (next func(int) int, err error) {
	if factor, ok := strings.CutPrefix(text, "*"); ok {
		f, err := strconv.ParseFloat(factor, 64)
		if err != nil || !(f > 1) || f > 1e6 {
			return nil, fmt.Errorf("%q is not a step: a factor above 1 is needed, as in *1.5", text)
		}
		return func(n int) int { return max(n+1, int(math.Round(float64(n)*f))) }, nil
	}
	step, err := unit.ParseSize(strings.TrimPrefix(text, "+"))
	if err != nil || step < 1 {
		return nil, fmt.Errorf("%q is not a step: write +256 or *1.5", text)
	}
	return func(n int) int { return n + step }, nil
}
