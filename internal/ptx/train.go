package ptx

import (
	"fmt"
	"math"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/network"
)

// A Network is a small network of package network as a kernel trains it.
type Network struct {
	Shape  network.Shape
	Loss   network.Loss
	Rule   network.Rule
	Batch  int  // rows of a step
	Double bool // float64 instead of float32
}

// A Trainer is a kernel that makes steps of a training, many in one launch of one block. Its
// launch has these parameters:
//
//   - A, the data: the inputs of all rows, then their targets
//   - C, the memory of the kernel: first the state, Slots numbers each of weights, means and
//     mean squares, which are kept from launch to launch
//   - B, the turn: for each of up to MaxSteps steps the learning rate and Adam's two shares
//     (network.AdamShares); then, from byte Rows on, the numbers of the rows of each step, of 32
//     bits
//   - the number of steps
//
// The arithmetic is that of package network, whose comments say what each optimizer does.
type Trainer struct {
	Kernel
	Memory int   // bytes of C
	Slots  int   // numbers of each part of the state
	Slot   []int // for each weight of the network the number of its slot
	Rows   int   // the offset of the rows in B
	Size   int   // bytes of a number: 4 or 8
}

// MaxSteps is how many steps one launch makes at most.
const MaxSteps = 2048

// mostThreads is how many threads the block has at most: more would wait for one another
// longer than they save.
const mostThreads = 512

// NewTrainer generates the kernel of a network whose data have that many rows. The error has
// code fault.Unsupported.
//
// The phases of a step are separated by barriers: a forward pass for each layer, the
// derivative of the loss, a backward pass for each layer, and the optimizer. In each, the
// threads share out the numbers that are to be computed. What a step needs is in shared memory
// if it fits, and else in C.
func NewTrainer(c Card, n Network, rows int) (*Trainer, error) {
	if c.CC < oldest {
		return nil, fault.Errorf(fault.Unsupported, "compute capability %d.%d is older than %d.%d", c.CC/10, c.CC%10, oldest/10, oldest%10)
	}
	g := &trainer{text: &text{}, Network: n, size: 4, f: "f32"}
	if n.Double {
		g.size, g.f = 8, "f64"
	}
	g.lay()
	g.shared = g.total*g.size <= c.Shared
	for _, l := range g.layers {
		g.threads = max(g.threads, n.Batch*l.out, l.out*l.inputs, n.Batch*l.in)
	}
	g.threads = min(mostThreads, 32*ceil(g.threads, 32))
	g.module(rows)
	t := &Trainer{
		Kernel: Kernel{Name: "train", Text: g.String(), Target: "sm_50", ISA: 60},
		Memory: g.total * g.size, Slots: g.slots, Rows: 3 * MaxSteps * g.size, Size: g.size,
	}
	for _, l := range g.layers {
		for j := range l.out {
			for k := range l.in {
				t.Slot = append(t.Slot, l.weights+j*l.pitch+k)
			}
		}
		for j := range l.out {
			t.Slot = append(t.Slot, l.weights+j*l.pitch+l.in)
		}
	}
	launch := Launch{Entry: "train", Grid: [3]int{1, 1, 1}, Block: [3]int{g.threads, 1, 1}, Params: []Param{{Kind: A}, {Kind: C}, {Kind: B}, {Kind: Word}}}
	if g.shared {
		launch.Shared = t.Memory
	}
	t.Launches = []Launch{launch}
	return t, nil
}

// A trainer writes the kernel. Offsets and lengths are in numbers.
type trainer struct {
	*text
	Network
	f       string // type of a number
	size    int
	layers  []dense
	moved   []moved // of each layer, for Muon
	slots   int
	grad    int // the gradient, in the order of the slots
	target  int // of each row
	total   int
	threads int
	shared  bool
}

// A dense layer in the memory of the kernel. The biases are a last column of the weights, whose
// input is a column of ones. The distance of two rows of weights is odd, so that threads which
// read a column find each number in another bank of shared memory.
type dense struct {
	in, out    int
	inputs     int // in, and the one
	pitch      int // of two rows of weights
	weights    int // from the first slot on
	x, y, dy   int // batch × inputs of this layer and of the next one; batch × out
	activation network.Activation
}

// lay decides where everything is.
func (g *trainer) lay() {
	widths := append(append([]int{g.Shape.Inputs}, g.Shape.Hidden...), g.Shape.Outputs)
	for i := range len(widths) - 1 {
		l := dense{in: widths[i], out: widths[i+1], inputs: widths[i] + 1, weights: g.slots, activation: g.Shape.Activation}
		l.pitch = l.inputs | 1
		g.slots += l.out * l.pitch
		g.layers = append(g.layers, l)
	}
	g.layers[len(g.layers)-1].activation = network.Identity
	at := 3 * g.slots
	take := func(n int) int { at += n; return at - n }
	g.grad = take(g.slots)
	g.target = take(g.Batch)
	x := take(g.Batch * g.layers[0].inputs)
	for i := range g.layers {
		l := &g.layers[i]
		l.x = x
		x = take(g.Batch * (l.out + 1))
		l.y, l.dy = x, take(g.Batch*l.out)
	}
	if g.Rule == network.Muon {
		g.layMuon(take)
	}
	g.total = at
}

// number writes a constant.
func (g *trainer) number(x float64) string {
	if g.Double {
		return fmt.Sprintf("0d%016X", math.Float64bits(x))
	}
	return fmt.Sprintf("0f%08X", math.Float32bits(float32(x)))
}

// space and word are the memory of the kernel and the type of its addresses.
func (g *trainer) space() string {
	if g.shared {
		return "shared"
	}
	return "global"
}

func (g *trainer) word() string {
	if g.shared {
		return "u32"
	}
	return "u64"
}

// address declares a register with the address of number at + index·step, where index is a
// register of 32 bits.
func (g *trainer) address(name string, at int, index string, step int) {
	g.line("\t.reg .%s %s;", g.word(), name)
	if g.shared {
		g.line("\tmad.lo.u32 %s, %s, %d, base;\n\tadd.u32 %[1]s, %[1]s, %[4]d;", name, index, step*g.size, at*g.size)
		return
	}
	g.line("\tmul.wide.u32 %[1]s, %[2]s, %[3]d;\n\tadd.u64 %[1]s, %[1]s, base;\n\tadd.u64 %[1]s, %[1]s, %[4]d;", name, index, step*g.size, at*g.size)
}

func (g *trainer) load(to, address string, offset int) {
	g.line("\tld.%s.%s %s, [%s+%d];", g.space(), g.f, to, address, offset*g.size)
}

func (g *trainer) store(address string, offset int, what string) {
	g.line("\tst.%s.%s [%s+%d], %s;", g.space(), g.f, address, offset*g.size, what)
}

// each has the threads share out n numbers: body computes that of register i.
func (g *trainer) each(n int, body func()) {
	next, end := g.label("next"), g.label("end")
	g.line("\t{\n\t.reg .u32 i;\n\t.reg .pred more;\n\tmov.u32 i, thread;")
	g.line("%s:\n\tsetp.lt.u32 more, i, %d;\n\t@!more bra %s;\n\t{", next, n, end)
	body()
	g.line("\t}")
	if n > g.threads {
		g.line("\tadd.u32 i, i, %d;\n\tbra %s;", g.threads, next)
	}
	g.line("%s:\n\t}", end)
}

// split declares registers with the row and the column of number i of rows of some width.
func (g *trainer) split(width int) {
	g.line("\t.reg .u32 row, column;\n\tdiv.u32 row, i, %[1]d;\n\trem.u32 column, i, %[1]d;", width)
}

// place stores sum as element (row, column) of a matrix.
func (g *trainer) place(at, pitch int) {
	g.line("\tmad.lo.u32 row, row, %d, column;", pitch)
	g.address("to", at, "row", 1)
	g.store("to", 0, "sum")
}

func (g *trainer) barrier() { g.line("\tbar.sync 0;") }

// dot declares the register sum and adds up n products of numbers from the addresses a and b
// on, which it changes; aStep and bStep apart. Four sums are added side by side.
func (g *trainer) dot(n int, a string, aStep int, b string, bStep int) {
	const together = 8
	g.line("\t.reg .%s sum, sum0, sum1, sum2, sum3;", g.f)
	for i := range 4 {
		g.line("\tmov.%s sum%d, %s;", g.f, i, g.number(0))
	}
	products := func(n int) {
		g.line("\t{\n\t.reg .%s a<%d>, b<%[2]d>;", g.f, together)
		for i := range n {
			g.load(fmt.Sprint("a", i), a, i*aStep)
			g.load(fmt.Sprint("b", i), b, i*bStep)
		}
		for i := range n {
			g.line("\tfma.rn.%s sum%d, a%d, b%[3]d, sum%[2]d;", g.f, i%4, i)
		}
		g.line("\t}")
	}
	if times := n / together; times > 0 {
		next := g.label("products")
		g.line("\t{\n\t.reg .u32 left;\n\t.reg .pred more;\n\tmov.u32 left, %d;\n%s:", times, next)
		products(together)
		g.line("\tadd.%[1]s %[2]s, %[2]s, %[3]d;\n\tadd.%[1]s %[4]s, %[4]s, %[5]d;", g.word(), a, together*aStep*g.size, b, together*bStep*g.size)
		g.line("\tsub.u32 left, left, 1;\n\tsetp.ne.u32 more, left, 0;\n\t@more bra %s;\n\t}", next)
	}
	if rest := n % together; rest > 0 {
		products(rest)
	}
	g.line("\tadd.%[1]s sum0, sum0, sum1;\n\tadd.%[1]s sum2, sum2, sum3;\n\tadd.%[1]s sum, sum0, sum2;", g.f)
}

func (g *trainer) module(rows int) {
	g.line("// train %s %v %s %s, batch %d, %s", g.Shape.Activation, g.Shape.Hidden, g.Loss, g.Rule, g.Batch, g.f)
	g.line(".version 6.0\n.target sm_50\n.address_size 64")
	if g.shared {
		g.line(".extern .shared .align 16 .b8 arena[];")
	}
	g.begin(entry{name: "train", threads: g.threads, params: []string{".u64 pData", ".u64 pState", ".u64 pTurn", ".u32 pSteps"}})
	g.pointers(map[string]string{"pData": "data", "pState": "state", "pTurn": "turn"})
	g.words(map[string]string{"pSteps": "steps"})
	g.line("\t.reg .u32 thread, step;\n\t.reg .pred again;\n\t.reg .u64 factors, picked;\n\t.reg .%s base;\n\tmov.u32 thread, %%tid.x;", g.word())
	if g.shared {
		g.line("\tmov.u32 base, arena;")
		g.copyState(true)
	} else {
		g.line("\tmov.u64 base, state;")
	}
	g.line("\tmov.u64 factors, turn;\n\tadd.u64 picked, turn, %d;\n\tmov.u32 step, 0;", 3*MaxSteps*g.size)
	g.ones()
	g.gather(rows)
	g.barrier()
	g.line("loop:")
	for i := range g.layers {
		g.forward(i)
		g.barrier()
	}
	if g.Loss == network.Softmax {
		g.softmax()
		g.barrier()
	}
	for i := len(g.layers) - 1; i >= 0; i-- {
		g.backward(i)
		g.barrier()
	}
	g.optimize()
	g.line("\tadd.u32 step, step, 1;\n\tadd.u64 factors, factors, %d;\n\tadd.u64 picked, picked, %d;\n\tsetp.lt.u32 again, step, steps;\n\t@!again bra over;", 3*g.size, 4*g.Batch)
	g.gather(rows)
	g.barrier()
	g.line("\tbra loop;\nover:")
	if g.shared {
		g.barrier()
		g.copyState(false)
	}
	g.end()
}

// copyState copies the state to shared memory, or back.
func (g *trainer) copyState(in bool) {
	g.each(3*g.slots, func() {
		g.address("here", 0, "i", 1)
		g.line("\t.reg .u64 there;\n\t.reg .%s x;\n\tmul.wide.u32 there, i, %d;\n\tadd.u64 there, there, state;", g.f, g.size)
		if in {
			g.line("\tld.global.%s x, [there+0];", g.f)
			g.store("here", 0, "x")
			return
		}
		g.load("x", "here", 0)
		g.line("\tst.global.%s [there+0], x;", g.f)
	})
}

// ones sets the inputs of the biases, and the gradient of what is no weight.
func (g *trainer) ones() {
	g.each(g.slots, func() {
		g.address("at", g.grad, "i", 1)
		g.line("\t.reg .%[1]s x;\n\tmov.%[1]s x, %[2]s;", g.f, g.number(0))
		g.store("at", 0, "x")
	})
	for _, l := range g.layers {
		g.each(g.Batch, func() {
			g.address("at", l.x+l.in, "i", l.inputs)
			g.line("\t.reg .%[1]s x;\n\tmov.%[1]s x, %[2]s;", g.f, g.number(1))
			g.store("at", 0, "x")
		})
	}
}

// gather copies the rows of a step from the data.
func (g *trainer) gather(rows int) {
	first := g.layers[0]
	g.each(g.Batch*first.in, func() {
		g.split(first.in)
		g.pick("row", first.in)
		g.line(`	.reg .u64 over;
	mul.wide.u32 over, column, %[2]d;
	add.u64 at, at, over;
	ld.global.%[1]s x, [at+0];
	mad.lo.u32 row, row, %[3]d, column;`, g.f, g.size, first.inputs)
		g.address("to", first.x, "row", 1)
		g.store("to", 0, "x")
	})
	g.each(g.Batch, func() {
		g.pick("i", 1)
		g.line("\tld.global.%s x, [at+%d];", g.f, rows*first.in*g.size)
		g.address("to", g.target, "i", 1)
		g.store("to", 0, "x")
	})
}

// pick declares the register at, with the address in the data of the row that stands at a place of
// the step, in rows of some width, and the register x.
func (g *trainer) pick(place string, width int) {
	g.line(`	.reg .u64 at, which;
	.reg .u32 picks;
	.reg .%[1]s x;
	mul.wide.u32 which, %[2]s, 4;
	add.u64 which, which, picked;
	ld.global.u32 picks, [which+0];
	mul.wide.u32 at, picks, %[3]d;
	add.u64 at, at, data;`, g.f, place, width*g.size)
}

// forward computes the outputs of a layer, and for a single output the derivative of the loss.
func (g *trainer) forward(i int) {
	l := g.layers[i]
	g.each(g.Batch*l.out, func() {
		g.split(l.out)
		g.address("from", l.x, "row", l.inputs)
		g.address("weights", l.weights, "column", l.pitch)
		g.dot(l.inputs, "from", 1, "weights", 1)
		g.activate(l.activation)
		if i == len(g.layers)-1 && g.Loss != network.Softmax {
			g.derivative()
			g.address("to", l.dy, "i", 1)
			g.store("to", 0, "sum")
			return
		}
		g.place(l.y, l.out+1)
	})
}

// backward computes the gradient of a layer's weights, and the derivative by the sums of the
// layer below.
func (g *trainer) backward(i int) {
	l := g.layers[i]
	g.each(l.out*l.inputs, func() {
		g.split(l.inputs)
		g.address("dy", l.dy, "row", 1)
		g.address("from", l.x, "column", 1)
		g.dot(g.Batch, "dy", l.out, "from", l.inputs)
		g.place(g.grad+l.weights, l.pitch)
	})
	if i == 0 {
		return
	}
	below := g.layers[i-1]
	g.each(g.Batch*l.in, func() {
		g.split(l.in)
		g.address("dy", l.dy, "row", l.out)
		g.address("weights", l.weights, "column", 1)
		g.dot(l.out, "dy", 1, "weights", l.pitch)
		g.line("\tmad.lo.u32 row, row, %d, column;", l.inputs)
		g.address("at", l.x, "row", 1)
		g.derive(below.activation, "at")
		g.address("to", below.dy, "i", 1)
		g.store("to", 0, "sum")
	})
}
