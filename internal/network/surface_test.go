package network

import (
	"math"
	"testing"
)

var testShape = Shape{Inputs: 2, Hidden: []int{6, 6}, Outputs: 1, Activation: Tanh}

func newSurface(t testing.TB, how Directions) *Surface {
	t.Helper()
	pool, d := newPool(t), makeData(t, "moons", 96)
	p, err := FindPlane(t.Context(), pool, testShape, d, how, 3)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSurface(pool, testShape, d, p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The directions have length 1 and are at right angles; marks lie within a distance of 1.
func TestPlanes(t *testing.T) {
	for _, how := range AllDirections {
		p := newSurface(t, how).Plane
		if u, v, uv := length(p.U), length(p.V), dot(p.U, p.V); math.Abs(u-1) > 1e-12 || math.Abs(v-1) > 1e-12 || math.Abs(uv) > 1e-9 {
			t.Errorf("%s: lengths %v and %v, product %v", how, u, v, uv)
		}
		for _, m := range p.Marks {
			if math.Hypot(m[0], m[1]) > 1+1e-9 {
				t.Errorf("%s: a mark at %v", how, m)
			}
		}
		if at := p.Locate(p.At(0.25, -0.5)); math.Hypot(at[0]-0.25, at[1]+0.5) > 1e-9 {
			t.Errorf("%s: %v instead of (0.25, -0.5)", how, at)
		}
	}
}

// A plane through three minima holds all of them: there its loss is that of the trained
// networks.
func TestMinimaAreOnThePlane(t *testing.T) {
	s := newSurface(t, Minima)
	if len(s.Plane.Marks) != 3 {
		t.Fatal(s.Plane.Marks)
	}
	for i, m := range s.Plane.Marks {
		n, err := New[float64](newPool(t), testShape)
		if err != nil {
			t.Fatal(err)
		}
		path, err := descend(t.Context(), n, s.Data, 3+uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		n.Weights = path[len(path)-1]
		want, err := n.Loss(t.Context(), Logistic, s.Data.X, s.Data.Y, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := s.At(t.Context(), m); err != nil || math.Abs(got-want) > 1e-9 {
			t.Errorf("loss %v at minimum %d, want %v (%v)", got, i, want, err)
		}
	}
}

// A random direction has, in each row of weights, the length of the trained neuron's row, up
// to a common factor: u is scaled as a whole.
func TestFilterNormalisation(t *testing.T) {
	p := newSurface(t, Random).Plane
	var ratio float64
	for _, tensor := range testShape.Tensors() {
		if len(tensor.Shape) != 2 {
			if l := length(part(p.U, tensor)); l != 0 {
				t.Errorf("%s has length %v", tensor.Name, l)
			}
			continue
		}
		in := tensor.Shape[1]
		for from := tensor.From; from < tensor.From+tensor.Len(); from += in {
			r := length(p.U[from:from+in]) / length(p.Center[from:from+in])
			if ratio == 0 {
				ratio = r
			}
			if math.Abs(r/ratio-1) > 1e-9 {
				t.Errorf("%s at %d: %v, others %v", tensor.Name, from, r, ratio)
			}
		}
	}
}

// No direction at right angles to the first one holds more of a training's path than the
// second, and the second no more than the first.
func TestPrincipal(t *testing.T) {
	s := newSurface(t, Principal)
	n, err := New[float64](newPool(t), testShape)
	if err != nil {
		t.Fatal(err)
	}
	path, err := descend(t.Context(), n, s.Data, 3)
	if err != nil {
		t.Fatal(err)
	}
	variance := func(d []float64) (sum float64) {
		for _, w := range path {
			along := dot(minus(w, s.Plane.Center), d)
			sum += along * along
		}
		return sum
	}
	u, v := variance(s.Plane.U), variance(s.Plane.V)
	if u < v {
		t.Errorf("variances %v and %v", u, v)
	}
	r := random(1, 8)
	for range 100 {
		d := make([]float64, len(s.Plane.U))
		for i := range d {
			d[i] = r.NormFloat64()
		}
		along := dot(d, s.Plane.U)
		for i, x := range s.Plane.U {
			d[i] -= along * x
		}
		scale(d, 1/length(d))
		if variance(d) > v*(1+1e-9) {
			t.Errorf("a direction with variance %v, more than the second with %v", variance(d), v)
		}
	}
}

// The gradient by the two coordinates agrees with differences, and the float32 of the map
// with the float64 of the ball.
func TestSurfaceGradient(t *testing.T) {
	s := newSurface(t, Minima)
	const h = 1e-5
	for _, at := range [][2]float64{{0, 0}, {-0.2, -1}, {1.5, 0.7}} {
		loss, g, err := s.At(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		for k := range g {
			direction := [2]float64{}
			direction[k] = 1
			from := at
			from[k] -= h
			l, err := s.Along(t.Context(), from, direction, 2*h, 2)
			if err != nil {
				t.Fatal(err)
			}
			if want := (l[1] - l[0]) / (2 * h); math.Abs(g[k]-want) > 1e-7 {
				t.Errorf("gradient %v at %v, want %v", g[k], at, want)
			}
		}
		tile, err := s.Losses(t.Context(), at[0], at[1], 0.01, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(tile) != 4 || math.Abs(float64(tile[0])-loss) > 1e-5 {
			t.Errorf("tile %v, loss %v", tile, loss)
		}
		below, _, err := s.At(t.Context(), [2]float64{at[0], at[1] - 0.01})
		if err != nil || math.Abs(float64(tile[2])-below) > 1e-5 {
			t.Errorf("second row %v, want %v (%v)", tile[2], below, err)
		}
	}
}

// A small rate goes down; a huge one diverges, and says so instead of returning NaN.
func TestRoll(t *testing.T) {
	s := newSurface(t, Minima)
	for _, rule := range Rules {
		p, err := s.Roll(t.Context(), rule, 0.01, [2]float64{-0.2, -1}, 60)
		if err != nil {
			t.Fatal(err)
		}
		if p.Diverged || len(p.Points) != 61 || p.Losses[60] >= p.Losses[0] {
			t.Errorf("%s: %d points, loss %v to %v", rule, len(p.Points), p.Losses[0], p.Losses[len(p.Losses)-1])
		}
		p, err = s.Roll(t.Context(), rule, 1e4, [2]float64{-0.2, -1}, 60)
		if err != nil {
			t.Fatal(err)
		}
		if !p.Diverged || len(p.Points) != len(p.Losses) {
			t.Errorf("%s at a huge rate: %d points, diverged %v", rule, len(p.Points), p.Diverged)
		}
		for _, l := range p.Losses {
			if math.IsNaN(l) || math.IsInf(l, 0) {
				t.Errorf("%s: loss %v", rule, l)
			}
		}
	}
}

func BenchmarkTile(b *testing.B) {
	s := newSurface(b, Minima)
	for b.Loop() {
		if _, err := s.Losses(b.Context(), 0, 0, 0.02, 17); err != nil {
			b.Fatal(err)
		}
	}
}
