package network

import "math"

// A Loss says how wrong the outputs are. All are means over the rows of a batch.
type Loss string

const (
	// Logistic is the cross-entropy of two classes and one output z, the logit of class 1:
	// PyTorch's BCEWithLogitsLoss.
	Logistic Loss = "logistic"
	// Softmax is the cross-entropy of as many classes as there are outputs: CrossEntropyLoss.
	Softmax Loss = "softmax"
	// Squares is the squared difference between the output and a value: MSELoss.
	Squares Loss = "squares"
)

// lossOf returns the mean loss over the rows of out, and its derivative by out in dy unless
// that is nil. y has one target for each row: the number of its class, or a value.
func lossOf[T Real](kind Loss, out, y []T, outputs int, dy []T) float64 {
	sum, share := 0.0, 1/float64(len(y)) // in float64, whatever T is
	for row, target := range y {
		t := float64(target)
		o := out[row*outputs : (row+1)*outputs]
		switch kind {
		case Logistic:
			z := float64(o[0])
			// log(1 + e^z) − t·z, written so that no exponential overflows
			sum += max(z, 0) - z*t + math.Log1p(math.Exp(-math.Abs(z)))
			if dy != nil {
				dy[row] = T((sigmoid(z) - t) * share)
			}
		case Softmax:
			most, total := float64(o[0]), 0.0
			for _, z := range o {
				most = max(most, float64(z))
			}
			for _, z := range o {
				total += math.Exp(float64(z) - most)
			}
			log := most + math.Log(total)
			sum += log - float64(o[int(t)])
			if dy != nil {
				for i, z := range o {
					p := math.Exp(float64(z) - log)
					if i == int(t) {
						p--
					}
					dy[row*outputs+i] = T(p * share)
				}
			}
		case Squares:
			d := float64(o[0]) - t
			sum += d * d
			if dy != nil {
				dy[row] = T(2 * d * share)
			}
		}
	}
	return sum * share
}

// right returns the share of rows whose class the outputs name, 0 to 1.
func right[T Real](kind Loss, out, y []T, outputs int) float64 {
	n := 0
	for row, t := range y {
		o, best := out[row*outputs:(row+1)*outputs], 0
		if kind == Logistic {
			if o[0] > 0 {
				best = 1
			}
		} else {
			for i, z := range o {
				if z > o[best] {
					best = i
				}
			}
		}
		if best == int(t) {
			n++
		}
	}
	return float64(n) / float64(len(y))
}
