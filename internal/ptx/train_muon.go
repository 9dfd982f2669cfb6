package ptx

import (
	"math"

	"github.com/gpuplay/gpuplay/internal/network"
)

// A moved matrix is what Muon needs of a layer beside its gradient, in which the matrix X begins.
type moved struct {
	norms        int // of the rows of X, squared
	next         int // the other X, in the layout of the weights
	gram, square int // X·Xᵀ, or Xᵀ·X of a tall matrix: side × side, pitch apart
	side, pitch  int
	tall         bool
}

// layMuon decides where that is. take reserves numbers.
func (g *trainer) layMuon(take func(n int) int) {
	for _, l := range g.layers {
		m := moved{side: min(l.in, l.out), tall: l.out > l.in}
		m.pitch = m.side | 1
		m.norms, m.next = take(l.out), take(l.out*l.pitch)
		m.gram, m.square = take(m.side*m.pitch), take(m.side*m.pitch)
		g.moved = append(g.moved, m)
	}
}

// muon moves the matrices by their momentum, with all singular values brought close to 1, and the
// biases by Adam. All layers share the phases.
func (g *trainer) muon() {
	share := func(body func(i int, l dense, m moved)) {
		for i, l := range g.layers {
			body(i, l, g.moved[i])
		}
		g.barrier()
	}
	// cell declares the register slot, the number of element (row, column) within a layer.
	cell := func(l dense) { g.line("\t.reg .u32 slot;\n\tmad.lo.u32 slot, row, %d, column;", l.pitch) }
	for _, l := range g.layers {
		g.each(l.out, func() { // the last column
			g.line("\t.reg .u32 slot;\n\tmad.lo.u32 slot, i, %d, %d;", l.pitch, l.weights+l.in)
			g.move("slot", g.adam)
		})
	}
	share(func(_ int, l dense, _ moved) {
		g.each(l.out*l.in, func() {
			g.split(l.in)
			cell(l)
			g.address("at", l.weights, "slot", 1)
			g.line("\t.reg .%s d, m, off;", g.f)
			g.load("d", "at", g.grad)
			g.load("m", "at", g.slots)
			g.line("\tsub.%[1]s off, d, m;\n\tfma.rn.%[1]s m, off, %[2]s, m;\n\tsub.%[1]s off, m, d;\n\tfma.rn.%[1]s d, off, %[3]s, d;", g.f, g.number(1-network.MuonDecay), g.number(network.MuonDecay))
			g.store("at", g.slots, "m")
			g.store("at", g.grad, "d")
		})
	})
	share(func(_ int, l dense, m moved) {
		g.each(l.out, func() {
			g.address("a", g.grad+l.weights, "i", l.pitch)
			g.address("b", g.grad+l.weights, "i", l.pitch)
			g.dot(l.in, "a", 1, "b", 1)
			g.address("to", m.norms, "i", 1)
			g.store("to", 0, "sum")
		})
	})
	share(func(_ int, l dense, m moved) {
		g.each(l.out*l.in, func() {
			g.split(l.in)
			cell(l)
			g.line("\t.reg .%[1]s norm, part;\n\t.reg .u32 first;\n\tmov.%[1]s norm, %[2]s;\n\tmov.u32 first, 0;", g.f, g.number(0))
			g.address("norms", m.norms, "first", 1)
			for j := range l.out {
				g.load("part", "norms", j)
				g.line("\tadd.%[1]s norm, norm, part;", g.f)
			}
			g.line("\tsqrt.rn.%[1]s norm, norm;\n\tadd.%[1]s norm, norm, %[2]s;", g.f, g.number(network.MuonEpsilon))
			g.address("at", g.grad+l.weights, "slot", 1)
			g.load("part", "at", 0)
			g.line("\tdiv.rn.%[1]s part, part, norm;", g.f)
			g.store("at", 0, "part")
		})
	})
	for round := range network.MuonRounds {
		from := func(l dense, m moved) (x, next int) {
			if round%2 == 0 {
				return g.grad + l.weights, m.next
			}
			return m.next, g.grad + l.weights
		}
		share(func(_ int, l dense, m moved) {
			x, _ := from(l, m)
			length, along, across := l.in, 1, l.pitch
			if m.tall {
				length, along, across = l.out, l.pitch, 1
			}
			g.each(m.side*m.side, func() {
				g.split(m.side)
				g.address("a", x, "row", across)
				g.address("b", x, "column", across)
				g.dot(length, "a", along, "b", along)
				g.place(m.gram, m.pitch)
			})
		})
		share(func(_ int, l dense, m moved) {
			g.each(m.side*m.side, func() {
				g.split(m.side)
				g.address("a", m.gram, "row", m.pitch)
				g.address("b", m.gram, "column", 1)
				g.dot(m.side, "a", 1, "b", m.pitch)
				g.line("\t.reg .u32 same;\n\t.reg .%s x;\n\tmad.lo.u32 same, row, %d, column;", g.f, m.pitch)
				g.address("here", m.gram, "same", 1)
				g.load("x", "here", 0)
				g.line("\tmul.%[1]s sum, sum, %[2]s;\n\tfma.rn.%[1]s sum, x, %[3]s, sum;", g.f, g.number(network.MuonC), g.number(network.MuonB))
				g.place(m.square, m.pitch)
			})
		})
		share(func(_ int, l dense, m moved) {
			x, next := from(l, m)
			g.each(l.out*l.in, func() {
				g.split(l.in)
				if m.tall {
					g.address("a", x, "row", l.pitch)
					g.address("b", m.square, "column", 1)
					g.dot(m.side, "a", 1, "b", m.pitch)
				} else {
					g.address("a", m.square, "row", m.pitch)
					g.address("b", x, "column", 1)
					g.dot(m.side, "a", 1, "b", l.pitch)
				}
				cell(l)
				g.line("\t.reg .%s x;", g.f)
				g.address("here", x, "slot", 1)
				g.load("x", "here", 0)
				g.line("\tfma.rn.%[1]s sum, x, %[2]s, sum;", g.f, g.number(network.MuonA))
				g.place(next, l.pitch)
			})
		})
	}
	for i, l := range g.layers { // after an odd number of rounds
		g.each(l.out*l.in, func() {
			g.split(l.in)
			cell(l)
			g.line("\t.reg .%s w, d, rate;\n\tld.global.%[1]s rate, [factors+0];", g.f)
			g.address("at", l.weights, "slot", 1)
			g.address("from", g.moved[i].next, "slot", 1)
			g.load("w", "at", 0)
			g.load("d", "from", 0)
			g.line("\tmul.%[1]s rate, rate, %[2]s;\n\tneg.%[1]s rate, rate;\n\tfma.rn.%[1]s w, rate, d, w;", g.f, g.number(math.Sqrt(max(1, float64(l.out)/float64(l.in)))))
			g.store("at", 0, "w")
		})
	}
}
