package python

import (
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// operand is added to a framework's worker, whose C·x are then the elements of A in the set
// of which a product was computed.
const operand = `
class Task(Task):
    def mulvec(self, x):
        return array.array("d", elements(self))
`

// elements returns them, in each framework's own words.
var elements = map[string]string{
	"torch": `
def elements(task):
    return task.left.to(torch.float64).reshape(-1).tolist()
`,
	"tensorflow": `
def elements(task):
    return task.a.numpy().astype("float64").reshape(-1).tolist()
`,
	"mlx": `
def elements(task):
    with mx.stream(mx.cpu):
        return task.left.astype(mx.float64).reshape(-1).tolist()
`,
	"jax": `
def elements(task):
    import numpy
    return numpy.asarray(task.a).astype("float64").reshape(-1).tolist()
`,
}

// Rule 2: every framework makes the inputs that Go makes, to the last bit, of every kind and
// type.
func TestFills(t *testing.T) {
	for _, f := range Frameworks {
		t.Run(f.Name, func(t *testing.T) {
			c := client(t, frameworkPython(t, f.Name), f.Name)
			extend(c, elements[f.Name]+operand)
			types := []matrix.DType{matrix.Float64, matrix.Float32, matrix.Float16, matrix.BFloat16}
			if f.Name != "mlx" {
				types = append(types, matrix.Int8)
			}
			for _, d := range types {
				for _, data := range matrix.Kinds {
					g := bench.Square(1, d)
					g.M, g.Data = 1<<18+100, data // no framework fills that many elements at once
					task, err := c.Prepare(limit(t), hardware.Device{ID: "cpu"}, g, 7, func(bench.Tuning) {})
					if err != nil {
						t.Fatalf("%s, %s: %v", d, data, err)
					}
					for set := range matrix.Sets {
						if _, err := task.Run(limit(t), 1, set); err != nil {
							t.Fatal(err)
						}
						got, err := task.MulVec(limit(t), []float64{1})
						if err != nil {
							t.Fatal(err)
						}
						want := data.Stream(7, matrix.OfA(set), d)
						for i, x := range got {
							if x != want.At(i) {
								t.Errorf("%s, %s, set %d: element %d is %x, in Go %x", d, data, set, i, x, want.At(i))
								break
							}
						}
					}
					if err := task.Close(); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}
