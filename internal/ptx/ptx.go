// Package ptx writes gpuplay's own kernels for matrix products on NVIDIA GPUs, as PTX:
// the text of a virtual instruction set, which the driver compiles for the card that it
// finds. It needs no toolkit, calls no driver, and computes nothing; an engine launches
// what it returns.
//
// There are three families. Portable kernels (portable.go) use the ordinary arithmetic
// units: every type on every card. Those of mma.go use the tensor cores of a warp, from
// compute capability 7.5 on, and those of hopper.go what capability 9.0 has beyond that.
// Every kernel computes every shape; an operand in a layout that it cannot read is first
// copied (repack.go). Another kernel trains small networks (train.go). The PTX ISA manual is
// NVIDIA's "Parallel Thread Execution ISA", version 8.8.
//
// Its tests run the text in an interpreter (interpret_test.go) instead of comparing with
// the same loops in Go, since what goes wrong in such kernels is in the text: an address,
// a predicate, a lane's part of a fragment, a barrier. ptxas assembles it in another test.
// Neither shows how fast a kernel is, nor races that only the timing of a card brings out.
package ptx

import (
	"slices"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// A Card is what the choice of kernels depends on.
type Card struct {
	CC     int // compute capability, 10·major + minor: 90
	SMs    int // streaming multiprocessors that this process may use
	ISA    int // the newest PTX version that its driver compiles, 10·major + minor: 83
	Shared int // bytes of shared memory that a block may ask for
}

// A Problem is C = op(A)·op(B), all row-major without padding between rows. A is
// M×K in memory, or K×M with TransA; B is K×N, or N×K with TransB.
type Problem struct {
	M, N, K        int
	In, Acc, Out   matrix.DType
	TransA, TransB bool
}

// Layout names what is transposed, as BLAS does: "NT" means that B is.
func (p Problem) Layout() string {
	letter := map[bool]string{false: "N", true: "T"}
	return letter[p.TransA] + letter[p.TransB]
}

// A Kernel is one way to compute a Problem: a module of PTX, and what is launched
// from it, in this order and in one stream.
type Kernel struct {
	Name      string // short, for people, and stable
	Text      string // the module; no size or address is part of it
	Target    string // the .target of Text
	ISA       int    // the .version of Text, 10·major + minor
	Workspace int    // bytes of scratch memory that the launches share
	Launches  []Launch
}

// A Launch is one call of an entry of a kernel's module.
type Launch struct {
	Entry  string
	Grid   [3]int
	Block  [3]int
	Shared int // bytes of dynamic shared memory
	Params []Param
}

// A Param is one argument of an entry.
type Param struct {
	Kind   ParamKind
	Word   uint32     // of a Word
	Offset int        // bytes added to the address of A, B, C or Work
	Map    *TensorMap // of a Map
}

// A ParamKind says what a Param is, or which memory it points to.
type ParamKind int

// The kinds: a number of 32 bits, the addresses of the operands, of the result and
// of the workspace, and a tensor map, which takes 128 bytes.
const (
	Word ParamKind = iota
	A
	B
	C
	Work
	Map
)

// A TensorMap describes a row-major matrix to the unit that copies tiles (TMA): the
// arguments of cuTensorMapEncodeTiled. Elements are next to each other, nothing is
// interleaved, and what is outside reads as zero.
type TensorMap struct {
	Of               ParamKind // A, B, C or Work
	Offset           int       // bytes from its beginning
	DType            matrix.DType
	Rows, Cols       int // in elements
	Stride           int // bytes from row to row, a multiple of 16; 0: Cols elements
	BoxRows, BoxCols int // of one copy, in elements
	Swizzle          int // bytes: 0 or 128
}

// A design is a kernel that can be generated.
type design interface {
	name() string
	// needs returns the lowest target and PTX version that the module can have.
	needs(c Card, p Problem) (target string, isa int)
	fits(c Card, p Problem) bool
	// module writes the entries; the product's is the first.
	module(t *text, c Card, p Problem)
	tiling(p Problem) tiling
	// launches returns what is launched, and the bytes of workspace.
	launches(c Card, p Problem) ([]Launch, int)
}

// Candidates returns the kernels that are worth timing, at least one, the one that is
// expected to be the fastest first. The error has code fault.Unsupported.
func Candidates(c Card, p Problem) ([]Kernel, error) {
	fit, err := designs(c, p)
	if err != nil {
		return nil, err
	}
	kernels := make([]Kernel, len(fit))
	for i, d := range fit {
		kernels[i] = generate(d, c, p)
	}
	return kernels, nil
}

// generate writes the module of a design.
func generate(d design, c Card, p Problem) Kernel {
	k := Kernel{Name: d.name()}
	k.Target, k.ISA = d.needs(c, p)
	t := &text{}
	t.line("// gemm %s %s %s %s", p.In, p.Acc, p.Out, p.Layout())
	t.line(".version %d.%d\n.target %s\n.address_size 64", k.ISA/10, k.ISA%10, k.Target)
	d.module(t, c, p)
	k.Text = t.String()
	k.Launches, k.Workspace = d.launches(c, p)
	return k
}

// combination is the types of a product.
type combination struct{ in, acc, out matrix.DType }

// supported are the combinations of types that there is code for.
var supported = []combination{
	{matrix.Float64, matrix.Float64, matrix.Float64},
	{matrix.Float32, matrix.Float32, matrix.Float32},
	{matrix.Float32, matrix.TF32, matrix.Float32},
	{matrix.Float16, matrix.Float32, matrix.Float16},
	{matrix.BFloat16, matrix.Float32, matrix.BFloat16},
	{matrix.Int8, matrix.Int32, matrix.Int32},
}

// oldest is the oldest compute capability that the drivers of today run.
const oldest = 50

func designs(c Card, p Problem) ([]design, error) {
	switch {
	case c.CC < oldest:
		return nil, fault.Errorf(fault.Unsupported, "compute capability %d.%d is older than %d.%d", c.CC/10, c.CC%10, oldest/10, oldest%10)
	case !slices.Contains(supported, combination{p.In, p.Acc, p.Out}):
		return nil, fault.Errorf(fault.Unsupported, "no kernel for %s operands with sums in %s and results in %s", p.In, p.Acc, p.Out)
	case p.Acc == matrix.TF32 && c.CC < 80:
		return nil, fault.Errorf(fault.Unsupported, "TF32 needs compute capability 8.0; this card has %d.%d", c.CC/10, c.CC%10).
			With(fault.Set("dtype", "float32", "use float32"))
	}
	fit := preferred(c, p)
	if len(fit) == 0 {
		return nil, fault.Errorf(fault.Unsupported, "the driver compiles PTX up to version %d.%d, which is too old for the kernels", c.ISA/10, c.ISA%10).
			With(fault.Advice("update the NVIDIA driver")...)
	}
	return fit, nil
}

func ceil(n, by int) int { return (n + by - 1) / by }
