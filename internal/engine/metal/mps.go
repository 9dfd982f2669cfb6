package metal

import (
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/objc"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// own keeps an object until the task is closed, and reports whether there is one.
func (t *task) own(o id) (id, bool) {
	t.owned = append(t.owned, o)
	return o, o != 0
}

// stored returns the rows and columns of an operand in memory.
func stored(rows, columns int, transposed bool) (int, int) {
	if transposed {
		return columns, rows
	}
	return rows, columns
}

// prepareMPS makes an MPSMatrixMultiplication and its matrices. Rows follow one another
// without a gap, as in every other engine.
func (t *task) prepareMPS() error {
	g := t.gemm
	matrixOf := func(b buffer, offset, rows, columns int, d matrix.DType) (id, bool) {
		descriptor := matrixDescriptor(objc.Class("MPSMatrixDescriptor"), uint(rows), uint(columns), uint(columns*d.Size()), dataTypes[d])
		return t.own(initMatrix(alloc(objc.Class("MPSMatrix")), b.object, uint(offset), descriptor))
	}
	var a [matrix.Sets]id
	made := true
	rows, columns := stored(g.M, g.K, g.TransA)
	for set := range a {
		var ok bool
		a[set], ok = matrixOf(t.a[set], 0, rows, columns, g.In)
		made = made && ok
	}
	rows, columns = stored(g.K, g.N, g.TransB)
	b, okB := matrixOf(t.b, 0, rows, columns, g.In)
	c, okC := matrixOf(t.c, t.front, g.M, g.N, g.Out)
	product, ok := t.own(initProduct(alloc(objc.Class("MPSMatrixMultiplication")), t.gpu.device, g.TransA, g.TransB, uint(g.M), uint(g.N), uint(g.K), 1, 0))
	if !made || !okB || !okC || !ok {
		return fault.Errorf(fault.Internal, "Metal Performance Shaders make no product of %d×%d×%d in %s", g.M, g.N, g.K, g.In)
	}
	t.encode = func(commands id, set int) { encodeProduct(product, commands, a[set], b, c) }
	return nil
}
