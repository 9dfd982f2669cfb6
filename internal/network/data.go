package network

import (
	"fmt"
	"math"
	"slices"
)

// Data is what a network is to learn: rows of inputs and a target for each.
type Data struct {
	Name   string
	Inputs int
	// Classes is the number of classes; 0 if the targets are values.
	Classes int
	X       []float64 // rows × Inputs, about -1 to 1
	Y       []float64 // the class of each row, 0 to Classes-1, or its value
	// Held is how many rows, the last ones, are held out: a network is not trained on them, but
	// tested.
	Held int
	// Labels are the names of the classes, if they have any.
	Labels []string
}

// Rows returns the number of rows to learn from, which are the first ones.
func (d *Data) Rows() int { return len(d.Y) - d.Held }

// Loss returns the loss that fits the targets, and how many outputs it needs.
func (d *Data) Loss() (kind Loss, outputs int) {
	switch d.Classes {
	case 0:
		return Squares, 1
	case 2:
		return Logistic, 1
	}
	return Softmax, d.Classes
}

// Sets lists the data sets that Make knows: two classes of points in a plane, and then values
// over it.
var Sets = []string{"circle", "xor", "gauss", "spiral", "moons", "plane", "hills"}

// Make returns a data set of points in the plane: rows of them, drawn from the seed.
func Make(name string, rows int, seed uint64) (*Data, error) {
	if !slices.Contains(Sets, name) {
		return nil, fmt.Errorf("unknown data set %q", name)
	}
	if rows < 2 {
		return nil, fmt.Errorf("%d points: at least 2 are needed", rows)
	}
	d := &Data{Name: name, Inputs: 2, Classes: 2}
	if name == "plane" || name == "hills" {
		d.Classes = 0
	}
	r := random(seed, 2)
	uniform := func(low, high float64) float64 { return low + (high-low)*r.Float64() }
	for i := range rows {
		class := float64(i % 2)
		side := 2*class - 1
		var x, y, target float64
		switch target = class; name {
		case "circle":
			radius := uniform(0.66, 0.94)
			if class == 1 {
				radius = 0.46 * math.Sqrt(r.Float64())
			}
			y, x = math.Sincos(uniform(0, 2*math.Pi))
			x, y = radius*x, radius*y
		case "xor":
			x, y = uniform(0.05, 0.95), uniform(0.05, 0.95)
			if r.Float64() < 0.5 {
				x, y = -x, -y
			}
			x *= side
		case "gauss":
			x, y = 0.42*side+0.2*r.NormFloat64(), 0.38*side+0.2*r.NormFloat64()
		case "spiral":
			radius := 0.06 + 0.88*float64(i)/float64(rows)
			x, y = math.Sincos(2*math.Pi*1.6*radius + math.Pi*class)
			x, y = radius*x+0.018*r.NormFloat64(), radius*y+0.018*r.NormFloat64()
		case "moons":
			y, x = math.Sincos(uniform(0, math.Pi))
			x, y = -0.3+0.62*x, 0.62*y-0.24
			if class == 1 {
				x, y = -x, -y
			}
			x, y = x+0.07*r.NormFloat64(), y+0.07*r.NormFloat64()
		case "plane":
			x, y = uniform(-1, 1), uniform(-1, 1)
			target = (x + y) / 2
		case "hills":
			x, y, target = uniform(-1, 1), uniform(-1, 1), 0
			for _, top := range [][3]float64{{-0.5, 0.5, 1}, {0.5, -0.5, 1}, {0.5, 0.5, -1}, {-0.5, -0.5, -1}} {
				dx, dy := x-top[0], y-top[1]
				target += top[2] * math.Exp(-(dx*dx+dy*dy)/0.12)
			}
		}
		d.X, d.Y = append(d.X, x, y), append(d.Y, target)
	}
	return d, nil
}

// convert returns numbers in another type.
func convert[To, From Real](x []From) []To {
	to := make([]To, len(x))
	for i, v := range x {
		to[i] = To(v)
	}
	return to
}
