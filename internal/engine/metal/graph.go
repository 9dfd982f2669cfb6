package metal

import (
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/objc"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// prepareGraph makes a graph of one product. Its optimization level is 0, as in PyTorch:
// from level 1 on, MPSGraph may compute on the Neural Engine
// (MPSGraphOptimizationLevel1 in Apple's documentation).
func (t *task) prepareGraph() error {
	g := t.gemm
	dataType := dataTypes[g.In]
	graph, ok := t.own(create(objc.Class("MPSGraph")))
	if !ok {
		return fault.Errorf(fault.Internal, "MPSGraph makes no graph on %s", t.gpu.name)
	}
	operand := func(rows, columns int, transposed bool) (fed, used, size id) {
		size = shape(stored(rows, columns, transposed))
		fed = placeholder(graph, size, dataType, 0)
		if transposed {
			return fed, transpose(graph, fed, 0, 1, 0), size
		}
		return fed, fed, size
	}
	fedA, usedA, sizeA := operand(g.M, g.K, g.TransA)
	fedB, usedB, sizeB := operand(g.K, g.N, g.TransB)
	result := multiply(graph, usedA, usedB, 0)

	data := func(b buffer, size id) id {
		o, _ := t.own(initTensorData(alloc(objc.Class("MPSGraphTensorData")), b.object, size, dataType))
		return o
	}
	b, c := data(t.b, sizeB), data(t.c, shape(g.M, g.N))
	var feeds [matrix.Sets]id
	for set := range feeds {
		feeds[set], _ = t.own(retain(dictionary([]id{fedA, fedB}, []id{data(t.a[set], sizeA), b})))
	}
	results, _ := t.own(retain(dictionary([]id{result}, []id{c})))

	compilation, _ := t.own(create(objc.Class("MPSGraphCompilationDescriptor")))
	setLevel(compilation, optimizationLevel0)
	execution, _ := t.own(create(objc.Class("MPSGraphExecutionDescriptor")))
	setCompilation(execution, compilation) // copied: the level comes first
	t.encode = func(commands id, set int) { encodeGraph(graph, commands, feeds[set], 0, results, execution) }
	return nil
}
