package ptx

import (
	"math"

	"github.com/gpuplay/gpuplay/internal/network"
)

// exponential declares the registers power and less1 and computes both e^v = power·(less1 + 1)
// and e^v - 1 = power·less1 + (power - 1) from them, to within a rounding or two: v = k·ln 2 + r
// with power = 2^k and less1 = e^r - 1, the beginning of its series. v is a register between
// the limits of exponents.
func (g *trainer) exponential(v string) {
	terms, bits, bias, shift := 8, 32, 127, 23
	// ln 2 in two parts, of which the first has zeros at its end, so that k times it is exact.
	high := float64(math.Float32frombits(math.Float32bits(math.Ln2) &^ 0xfff))
	if g.Double {
		terms, bits, bias, shift = 14, 64, 1023, 52
		high = math.Float64frombits(math.Float64bits(math.Ln2) &^ 0xffffffff)
	}
	g.line(`	.reg .%[1]s power, less1;
	{
	.reg .%[1]s r, k, square;
	.reg .s32 exponent;
	.reg .b%[2]d wide;
	mul.%[1]s k, %[3]s, %[4]s;
	cvt.rni.%[1]s.%[1]s k, k;
	cvt.rni.s32.%[1]s exponent, k;
	fma.rn.%[1]s r, k, %[5]s, %[3]s;
	fma.rn.%[1]s r, k, %[6]s, r;
	add.s32 exponent, exponent, %[7]d;`, g.f, bits, v, g.number(math.Log2E), g.number(-high), g.number(high-math.Ln2), bias)
	if g.Double {
		g.line("\tcvt.s64.s32 wide, exponent;\n\tshl.b64 wide, wide, %d;\n\tmov.b64 power, wide;", shift)
	} else {
		g.line("\tshl.b32 wide, exponent, %d;\n\tmov.b32 power, wide;", shift)
	}
	// r + r²·(1/2! + r/3! + …), term by term from the last one.
	factorial := 1.0
	for i := 2; i <= terms; i++ {
		factorial *= float64(i)
	}
	g.line("\tmov.%s less1, %s;", g.f, g.number(1/factorial))
	for i := terms; i > 2; i-- {
		factorial /= float64(i)
		g.line("\tfma.rn.%s less1, less1, r, %s;", g.f, g.number(1/factorial))
	}
	g.line("\tmul.%[1]s square, r, r;\n\tfma.rn.%[1]s less1, less1, square, r;\n\t}", g.f)
}

// most is how large an exponent can be.
func (g *trainer) most() float64 {
	if g.Double {
		return 708
	}
	return 87
}

// sigmoid declares the register to and computes 1 / (1 + e^-z) in it. NaN stays NaN.
func (g *trainer) sigmoid(to, z string) {
	g.line("\t.reg .%[1]s %[2]s;\n\t{\n\t.reg .%[1]s v;\n\t.reg .pred nan;\n\tneg.%[1]s v, %[3]s;\n\tmax.%[1]s v, v, %[4]s;\n\tmin.%[1]s v, v, %[5]s;", g.f, to, z, g.number(-g.most()), g.number(g.most()))
	g.exponential("v")
	g.line("\tfma.rn.%[1]s v, power, less1, power;\n\tadd.%[1]s v, v, %[2]s;\n\tdiv.rn.%[1]s %[3]s, %[2]s, v;", g.f, g.number(1), to)
	g.line("\tsetp.nan.%[1]s nan, %[2]s, %[2]s;\n\tselp.%[1]s %[3]s, %[2]s, %[3]s, nan;\n\t}", g.f, z, to)
}

// activate replaces sum by the activation of it.
func (g *trainer) activate(a network.Activation) {
	switch a {
	case network.ReLU: // not max, which makes 0 of NaN
		g.line("\t{\n\t.reg .pred below;\n\tsetp.lt.%[1]s below, sum, %[2]s;\n\tselp.%[1]s sum, %[2]s, sum, below;\n\t}", g.f, g.number(0))
	case network.Sigmoid:
		g.sigmoid("answer", "sum")
		g.line("\tmov.%s sum, answer;", g.f)
	case network.Tanh:
		// tanh |z| = -q / (2 + q) with q = e^(-2·|z|) - 1.
		g.line("\t{\n\t.reg .%[1]s v;\n\t.reg .pred below, nan;\n\tabs.%[1]s v, sum;\n\tmul.%[1]s v, v, %[2]s;\n\tmax.%[1]s v, v, %[3]s;", g.f, g.number(-2), g.number(-40))
		g.exponential("v")
		g.line("\tsub.%[1]s v, power, %[2]s;\n\tfma.rn.%[1]s v, power, less1, v;\n\tadd.%[1]s power, v, %[3]s;\n\tneg.%[1]s v, v;\n\tdiv.rn.%[1]s v, v, power;", g.f, g.number(1), g.number(2))
		g.line("\tneg.%[1]s power, v;\n\tsetp.lt.%[1]s below, sum, %[2]s;\n\tselp.%[1]s v, power, v, below;", g.f, g.number(0))
		g.line("\tsetp.nan.%[1]s nan, sum, sum;\n\tselp.%[1]s sum, sum, v, nan;\n\t}", g.f)
	}
}

// derive multiplies sum by the derivative of an activation whose result is at an address.
func (g *trainer) derive(a network.Activation, at string) {
	if a == network.Identity {
		return
	}
	g.line("\t{\n\t.reg .%s y, slope;\n\t.reg .pred flat;", g.f)
	g.load("y", at, 0)
	switch a {
	case network.Tanh: // 1 - y²
		g.line("\tneg.%[1]s slope, y;\n\tfma.rn.%[1]s slope, slope, y, %[2]s;\n\tmul.%[1]s sum, sum, slope;", g.f, g.number(1))
	case network.Sigmoid: // y·(1 - y)
		g.line("\tsub.%[1]s slope, %[2]s, y;\n\tmul.%[1]s slope, slope, y;\n\tmul.%[1]s sum, sum, slope;", g.f, g.number(1))
	case network.ReLU:
		g.line("\tsetp.le.%[1]s flat, y, %[2]s;\n\tselp.%[1]s sum, %[2]s, sum, flat;", g.f, g.number(0))
	}
	g.line("\t}")
}

// derivative replaces sum, the only output of row number row, by the derivative of the loss.
func (g *trainer) derivative() {
	g.address("aim", g.target, "row", 1)
	g.line("\t.reg .%s t;", g.f)
	g.load("t", "aim", 0)
	share := 1 / float64(g.Batch)
	if g.Loss == network.Squares {
		g.line("\tsub.%[1]s sum, sum, t;\n\tmul.%[1]s sum, sum, %[2]s;", g.f, g.number(2*share))
		return
	}
	// sigmoid(z) - t is sigmoid(z) for t = 0 and -sigmoid(-z) for t = 1: nothing cancels.
	g.line("\t.reg .%[1]s sign;\n\tfma.rn.%[1]s sign, t, %[2]s, %[3]s;\n\tmul.%[1]s sum, sum, sign;", g.f, g.number(-2), g.number(1))
	g.sigmoid("answer", "sum")
	g.line("\tmul.%[1]s sum, answer, sign;\n\tmul.%[1]s sum, sum, %[2]s;", g.f, g.number(share))
}

// softmax computes the derivative of the cross-entropy, a row in each thread: the share of each
// output, less 1 for that of the class, which is the share of all others with the other sign.
func (g *trainer) softmax() {
	l := g.layers[len(g.layers)-1]
	g.each(g.Batch, func() {
		g.address("out", l.y, "i", l.out+1)
		g.address("dy", l.dy, "i", l.out)
		g.address("aim", g.target, "i", 1)
		g.line("\t.reg .%[1]s t, z, largest, total, others;\n\t.reg .u32 class;\n\t.reg .pred mine;", g.f)
		g.load("t", "aim", 0)
		g.line("\tcvt.rni.u32.%s class, t;", g.f)
		g.load("largest", "out", 0)
		for j := 1; j < l.out; j++ {
			g.load("z", "out", j)
			g.line("\tmax.%[1]s largest, largest, z;", g.f)
		}
		g.line("\tmov.%[1]s total, %[2]s;\n\tmov.%[1]s others, %[2]s;", g.f, g.number(0))
		for j := range l.out {
			g.line("\t{\n\t.reg .%s v;\n\t.reg .pred nan;", g.f)
			g.load("z", "out", j)
			g.line("\tsub.%[1]s z, z, largest;\n\tmax.%[1]s v, z, %[2]s;", g.f, g.number(-g.most()))
			g.exponential("v")
			g.line("\tfma.rn.%[1]s v, power, less1, power;\n\tsetp.nan.%[1]s nan, z, z;\n\tselp.%[1]s v, z, v, nan;", g.f)
			g.store("dy", j, "v")
			g.line("\tadd.%[1]s total, total, v;\n\tsetp.eq.u32 mine, class, %[2]d;\n\t@!mine add.%[1]s others, others, v;\n\t}", g.f, j)
		}
		g.line("\tneg.%s others, others;", g.f)
		for j := range l.out {
			g.load("z", "dy", j)
			g.line("\tsetp.eq.u32 mine, class, %[2]d;\n\tselp.%[1]s z, others, z, mine;\n\tdiv.rn.%[1]s z, z, total;\n\tmul.%[1]s z, z, %[3]s;", g.f, j, g.number(1/float64(g.Batch)))
			g.store("dy", j, "z")
		}
	})
}

// optimize moves the weights.
func (g *trainer) optimize() {
	if g.Rule == network.Muon {
		g.muon()
		return
	}
	g.each(g.slots, func() { g.move("i", g.step) })
}

// move subtracts the learning rate times the register d from the weight in a slot, whose number is
// in a register. d holds the gradient until step replaces it by the optimizer's direction. step may
// use the registers m, s, first, second and root, and the address at.
func (g *trainer) move(slot string, step func()) {
	g.address("at", 0, slot, 1)
	g.line("\t.reg .%[1]s w, d, m, s, rate, first, second, root;\n\tld.global.%[1]s rate, [factors+0];", g.f)
	g.load("w", "at", 0)
	g.load("d", "at", g.grad)
	step()
	g.line("\tneg.%[1]s rate, rate;\n\tfma.rn.%[1]s w, rate, d, w;", g.f)
	g.store("at", 0, "w")
}

func (g *trainer) step() {
	switch g.Rule {
	case network.Momentum, network.Nesterov:
		g.load("m", "at", g.slots)
		g.line("\tfma.rn.%[1]s m, m, %[2]s, d;", g.f, g.number(network.Decay))
		g.store("at", g.slots, "m")
		if g.Rule == network.Momentum {
			g.line("\tmov.%[1]s d, m;", g.f)
		} else {
			g.line("\tfma.rn.%[1]s d, m, %[2]s, d;", g.f, g.number(network.Decay))
		}
	case network.RMSProp:
		g.squares(network.Alpha)
		g.divide()
	case network.Adam:
		g.adam()
	}
}

func (g *trainer) adam() {
	g.squares(network.Beta2)
	g.load("m", "at", g.slots)
	g.decay("m", network.Beta1, "d")
	g.store("at", g.slots, "m")
	g.line("\tld.global.%[1]s first, [factors+%[2]d];\n\tld.global.%[1]s second, [factors+%[3]d];\n\tdiv.rn.%[1]s d, m, first;\n\tdiv.rn.%[1]s s, s, second;", g.f, g.size, 2*g.size)
	g.divide()
}

// squares brings the mean of the squares up to date, in s.
func (g *trainer) squares(share float64) {
	g.load("s", "at", 2*g.slots)
	g.line("\tmul.%[1]s second, d, d;", g.f)
	g.decay("s", share, "second")
	g.store("at", 2*g.slots, "s")
}

// decay sets a mean to its share of itself and the rest of what is new.
func (g *trainer) decay(mean string, share float64, what string) {
	g.line("\tmul.%[1]s root, %[2]s, %[3]s;\n\tfma.rn.%[1]s %[4]s, %[4]s, %[5]s, root;", g.f, what, g.number(1-share), mean, g.number(share))
}

// divide divides d by the root of s.
func (g *trainer) divide() {
	g.line("\tsqrt.rn.%[1]s root, s;\n\tadd.%[1]s root, root, %[2]s;\n\tdiv.rn.%[1]s d, d, root;", g.f, g.number(network.Epsilon))
}
