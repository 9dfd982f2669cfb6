package matrix

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// A Problem is a product C = op(A)·op(B) of seeded operands. A is m×k in memory, or
// k×m when TransA is set; B is k×n, or n×k when TransB is set.
type Problem struct {
	M, N, K        int
	In             DType
	TransA, TransB bool
	Data           Data
	Seed           uint64
	Set            int // of operands: 0 or 1
}

// A Reference holds the products of the correct C with a few vectors, computed in
// float64 without computing C: C·x = A·(B·x) takes m·k + k·n steps instead of m·n·k
// (Freivalds, Probabilistic Machines Can Use Less Running Time, IFIP 1977).
type Reference struct {
	p       Problem
	vectors [][]float64
	bx, bxx [][]float64 // what all sets share: B·x, and the same of the squares
	want    [][]float64
	scale   [][]float64
}

// NewReference computes the reference for p on all cores. There are two vectors:
// one of random signs, to which every element of C contributes, and one that
// selects a column of C, so that m elements are compared individually. If the
// context ends, it returns early with the context's error.
func NewReference(ctx context.Context, p Problem) (*Reference, error) {
	r := &Reference{p: p}
	signs, column := make([]float64, p.N), make([]float64, p.N)
	key := mix(p.Seed ^ golden)
	for j := range signs {
		signs[j] = 1 - 2*float64(mix(key+uint64(j)*golden)>>63)
	}
	column[key%uint64(p.N)] = 1
	r.vectors = [][]float64{signs, column}
	if p.Data.Patterned() {
		return r, r.repeat(ctx)
	}

	// Each row of op(B) yields one element of B·x, and one of the sum of squares
	// that the error of row i of C scales with: Σj (aip·bpj·xj)².
	b := p.Data.Stream(p.Seed, B, p.In)
	bx, bxx := grid(len(r.vectors), p.K), grid(len(r.vectors), p.K)
	err := parallel(ctx, p.K, func(l int) {
		i, step := l*p.N, 1
		if p.TransB {
			i, step = l, p.K
		}
		var sum, squares, at, at2 float64
		for j := range p.N {
			v := b.At(i)
			i += step
			sum += v * signs[j]
			squares += v * v
			at += v * column[j]
			at2 += v * v * column[j]
		}
		bx[0][l], bxx[0][l], bx[1][l], bxx[1][l] = sum, squares, at, at2
	})
	if err != nil {
		return nil, err
	}
	r.bx, r.bxx = bx, bxx
	return r, r.multiply(ctx)
}

// Other returns the reference for another set of operands, which shares B.
func (r *Reference) Other(ctx context.Context, set int) (*Reference, error) {
	o := &Reference{p: r.p, vectors: r.vectors, bx: r.bx, bxx: r.bxx}
	o.p.Set = set
	if o.p.Data.Patterned() {
		return o, o.repeat(ctx)
	}
	return o, o.multiply(ctx)
}

// multiply completes the reference with A·(B·x).
func (r *Reference) multiply(ctx context.Context) error {
	p, bx, bxx := r.p, r.bx, r.bxx
	a := p.Data.Stream(p.Seed, OfA(p.Set), p.In)
	r.want, r.scale = grid(len(r.vectors), p.M), grid(len(r.vectors), p.M)
	return parallel(ctx, p.M, func(row int) {
		i, step := row*p.K, 1
		if p.TransA {
			i, step = row, p.M
		}
		var y0, s0, y1, s1 float64
		for l := range p.K {
			v := a.At(i)
			i += step
			y0 += v * bx[0][l]
			s0 += v * v * bxx[0][l]
			y1 += v * bx[1][l]
			s1 += v * v * bxx[1][l]
		}
		r.want[0][row], r.scale[0][row] = y0, math.Sqrt(s0)
		r.want[1][row], r.scale[1][row] = y1, math.Sqrt(s1)
	})
}

// repeat completes the reference of operands that follow a pattern. Rows of op(A) that are
// period apart are equal, and so are columns of op(B), so that C repeats too: its few
// different elements are computed, each with an exact sum. The scale of a row is the root
// of the sum of the squares of the elements of C instead of the terms that these are sums
// of: rounding them is the only error that there may be.
func (r *Reference) repeat(ctx context.Context) error {
	p := r.p
	rows, cols := grid(min(p.M, period), p.K), grid(min(p.N, period), p.K)
	a, b := p.Data.Stream(p.Seed, OfA(p.Set), p.In), p.Data.Stream(p.Seed, B, p.In)
	for l := range p.K {
		for i := range rows {
			if p.TransA {
				rows[i][l] = a.At(l*p.M + i)
			} else {
				rows[i][l] = a.At(i*p.K + l)
			}
		}
		for j := range cols {
			if p.TransB {
				cols[j][l] = b.At(j*p.K + l)
			} else {
				cols[j][l] = b.At(l*p.N + j)
			}
		}
	}
	r.want, r.scale = grid(len(r.vectors), p.M), grid(len(r.vectors), p.M)
	return parallel(ctx, len(rows), func(i int) {
		c := make([]float64, len(cols))
		for j := range cols {
			for l, x := range rows[i] {
				c[j] += x * cols[j][l]
			}
		}
		for v, x := range r.vectors {
			var want, squares float64
			for j, xj := range x {
				term := c[j%period] * xj
				want += term
				squares += term * term
			}
			for row := i; row < p.M; row += period {
				r.want[v][row], r.scale[v][row] = want, math.Sqrt(squares)
			}
		}
	})
}

func grid(rows, cols int) [][]float64 {
	g := make([][]float64, rows)
	for i := range g {
		g[i] = make([]float64, cols)
	}
	return g
}

// Vectors returns the vectors to multiply C by. Each has n elements.
func (r *Reference) Vectors() [][]float64 { return r.vectors }

// A Check is the verdict on a product.
type Check struct {
	Passed bool `json:"passed"`
	// Error is the largest deviation from float64, divided by the root of the sum
	// of the squares of the terms, or of the elements of C where the inputs follow a
	// pattern, if that is more than 1. It is nil when C contains NaN or infinity.
	Error *float64 `json:"error"`
	// Bound is the largest Error that the requested arithmetic explains.
	Bound float64 `json:"bound"`
	// Arithmetic is the requested one when the check passed. Otherwise it is the
	// shortcut that explains the errors, or empty if none does; then the product is
	// wrong.
	Arithmetic string `json:"arithmetic"`
}

// deviations is how many standard deviations a correct result may be off. By
// Hoeffding's inequality, the chance that one of a million rows exceeds eight is
// below 10⁻⁷.
const deviations = 8

// bound returns the largest error of sums of k products that arithmetic a explains,
// in the unit of Check.Error. A rounding error is at most u times the partial sum
// at that point. With random operands of mean zero, the partial sums stay within
// the root of the sum of squares, in the mean square, and k independent errors add
// up as √k (Higham and Mary, A New Approach to Probabilistic Rounding Error
// Analysis, SIAM J. Sci. Comput. 2019): u·√k. Rounding C adds the u of its type
// once. Cutting both operands to a narrower type costs each product √2 times the u
// of that type, or twice that if it truncates instead of rounding. The last term is
// the float64 error of the reference and of the comparison itself.
//
// Integers are not rounded, so their bound is 0. The float64 arithmetic of the
// check is exact as long as all partial sums of the reference and of C·x, which are
// at most n·k·2¹⁴, stay within 2⁵³; beyond that B alone takes 550 GB. Nor do sums
// of seeded operands overflow int32: for k up to 10⁸ the chance is below 10⁻³⁰ by
// Hoeffding's inequality.
//
// Sums of a pattern are exact too (Data.MaxK), so that only a C of 16 bits is rounded. Eight
// roundings are allowed, as of random operands: some libraries add up a few sums of 16 bits.
func (p Problem) bound(a arithmetic) float64 {
	if p.Data.Patterned() {
		if a.out.Size() > 2 {
			return 0
		}
		return deviations * a.out.Unit()
	}
	if p.In == Int8 && float64(p.N)*float64(p.K) <= 1<<39 {
		return 0
	}
	k, n := math.Sqrt(float64(p.K)), math.Sqrt(float64(p.N))
	return deviations * (a.acc.Unit()*k + a.out.Unit() + 2*math.Sqrt2*a.operand + 2*Float64.Unit()*(k+n))
}

// CheckProduct checks a product C, given a function that multiplies it by a vector.
func (r *Reference) CheckProduct(mulVec func(x []float64) ([]float64, error), acc, out DType) (Check, error) {
	y := make([][]float64, len(r.vectors))
	for i, x := range r.vectors {
		var err error
		if y[i], err = mulVec(x); err != nil {
			return Check{}, err
		}
	}
	return r.Check(y, acc, out)
}

// Check compares y[i], which must be C·Vectors()[i], with the reference. acc and
// out are the requested types of the sums and of C.
func (r *Reference) Check(y [][]float64, acc, out DType) (Check, error) {
	if len(y) != len(r.vectors) {
		return Check{}, fmt.Errorf("check: %d vectors instead of %d", len(y), len(r.vectors))
	}
	asked := arithmetic{name: string(acc), acc: acc, out: out}
	if acc == TF32 {
		asked.acc, asked.operand = Float32, TF32.Unit()
	}
	c := Check{Bound: r.p.bound(asked)}
	// Errors below the smallest step of a narrow type are not relative any more.
	slack, least := 0.0, 1.0
	if !out.Integer() {
		slack = deviations / 2 * out.smallest() * math.Sqrt(float64(r.p.N))
		if !r.p.Data.Patterned() {
			least = 0
		}
	}
	var errors []float64
	worst := 0.0
	for v := range y {
		if len(y[v]) != r.p.M {
			return Check{}, fmt.Errorf("check: C·x has %d elements instead of %d", len(y[v]), r.p.M)
		}
		for i, got := range y[v] {
			off := math.Abs(got - r.want[v][i])
			if math.IsNaN(off) || math.IsInf(off, 0) {
				return c, nil
			}
			e := 0.0
			if off > slack {
				e = (off - slack) / max(r.scale[v][i], least)
			}
			worst = max(worst, e)
			errors = append(errors, e)
		}
	}
	c.Error = &worst
	if c.Passed = worst <= c.Bound; c.Passed {
		c.Arithmetic = asked.name
		return c, nil
	}
	if out.Integer() || r.p.Data.Patterned() { // no shortcut is known that makes integers inexact, and a pattern tells none
		return c, nil
	}
	c.Arithmetic = r.p.shortCut(asked, worst, middle(errors), y[len(y)-1])
	return c, nil
}

// shortCut returns the name of the arithmetic whose typical error is nearest to the
// median of the errors seen, provided that it explains the worst one too. A
// shortcut affects every row alike: a product that is mostly right and has some
// wrong elements matches none.
// A shortcut with a C of a narrower type does not match elements, those of the column
// that was picked, that this type does not have.
func (p Problem) shortCut(asked arithmetic, worst, middle float64, elements []float64) string {
	name, nearest := "", math.Log(8) // neighbours in the list differ by factors of eight
	for _, s := range shortCuts {
		if asked.out.Unit() > s.out.Unit() {
			s.out = asked.out
		}
		if s.out.Unit() > asked.out.Unit() && slices.ContainsFunc(elements, func(x float64) bool { return s.out.Round(x) != x }) {
			continue
		}
		far := math.Abs(math.Log(middle / p.typical(s)))
		if far < nearest && p.typical(s) > p.typical(asked) && worst <= p.bound(s) {
			name, nearest = s.name, far
		}
	}
	return name
}

// middle estimates the root mean square of the errors from their median, so that
// outliers do not affect it: half of all normally distributed errors are below 0.67
// standard deviations.
func middle(errors []float64) float64 {
	slices.Sort(errors)
	return errors[len(errors)/2] / 0.67
}

// smallest returns the smallest positive number of the type.
func (d DType) smallest() float64 {
	bits, _, emin := d.mantissa()
	return math.Ldexp(1, emin+1-bits)
}

// typical returns the root mean square of Check's errors for correct arithmetic:
// rounding a random number has an error of 0.42 u in the root mean square, and
// partial sums grow, so that the last errors count most.
func (p Problem) typical(a arithmetic) float64 {
	sums := 0.42 / math.Sqrt2 * a.acc.Unit() * math.Sqrt(float64(p.K))
	return math.Hypot(math.Hypot(sums, 0.42*a.out.Unit()), 0.42*math.Sqrt2*a.operand)
}

// An arithmetic is a way to compute a product: the types of the sums and of C, and
// the unit roundoff of the type to which operands are cut first, 0 for none.
type arithmetic struct {
	name     string
	acc, out DType
	operand  float64
}

// shortCuts lists the ways in which libraries are known to compute with less
// precision than requested, the most precise first.
var shortCuts = []arithmetic{
	{"float32", Float32, Float32, 0},
	{"tf32", Float32, Float32, TF32.Unit()},
	{"bfloat16", Float32, Float32, BFloat16.Unit()},
	{"float16 sums", Float16, Float16, 0},
	{"bfloat16 sums", BFloat16, BFloat16, 0},
}
