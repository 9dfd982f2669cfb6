package network

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A Shader is a program in WGSL, WebGPU's language, that makes steps of a Trainer in float32. One
// workgroup of 256 threads makes as many steps as it is told to, one after the other.
//
// Its storage buffers are, from binding 0 on: the state, of Floats numbers, which begins with the
// weights, their last gradient, and two arrays of the optimizer that begin as zeros; the inputs of
// all rows; their targets; the rows of all steps as u32; and for each step the shares that Adam's
// two means have of full ones, 1 - β^t. Binding 5 is a uniform buffer: the first step, the number
// of steps, and the learning rate.
type Shader struct {
	Code   string `json:"code"`
	Floats int    `json:"floats"`
	// Shared is how many bytes of a workgroup's memory it needs: the state is kept there during
	// the steps. 0: it is kept in the buffer.
	Shared int `json:"shared"`
}

// The activations in WGSL. Near 0, tanh is its series, since the difference of two numbers near 1
// has lost digits there. WGSL's own tanh may be off by 1e-5
// (https://www.w3.org/TR/WGSL/#floating-point-accuracy).
var shaderActivations = map[Activation]string{
	Tanh: `let q = z * z; let e = exp(-2.0 * abs(z));
  return select(sign(z) * (1.0 - e) / (1.0 + e), z - z * q * (1.0 / 3.0 - q * (2.0 / 15.0 - q * 17.0 / 315.0)), q < 0.01);`,
	ReLU:     `return max(z, 0.0);`,
	Sigmoid:  `return logistic(z);`,
	Identity: `return z;`,
}

// Their derivatives by z, from their result y.
var shaderDerivatives = map[Activation]string{Tanh: `1.0 - y * y`, ReLU: `select(0.0, 1.0, y > 0.0)`, Sigmoid: `y * (1.0 - y)`, Identity: `1.0`}

// The derivative of the loss by the outputs of a row, which begin at o, goes to d.
var shaderLosses = map[Loss]string{
	Logistic: `s[d] = (logistic(s[o]) - want) / ROWS;`,
	Squares:  `s[d] = 2.0 * (s[o] - want) / ROWS;`,
	Softmax: `var most = s[o]; var sum = 0.0;
      for (var i = 1u; i < OUTPUTS; i++) { most = max(most, s[o + i]); }
      for (var i = 0u; i < OUTPUTS; i++) { sum += exp(s[o + i] - most); }
      for (var i = 0u; i < OUTPUTS; i++) { s[d + i] = (exp(s[o + i] - most) / sum - select(0.0, 1.0, i == u32(want))) / ROWS; }`,
}

// How weight k moves by its gradient g.
var shaderRules = map[Rule]string{
	SGD:      `s[k] -= rate * g;`,
	Momentum: `s[MEAN + k] = DECAY * s[MEAN + k] + g; s[k] -= rate * s[MEAN + k];`,
	Nesterov: `s[MEAN + k] = DECAY * s[MEAN + k] + g; s[k] -= rate * (g + DECAY * s[MEAN + k]);`,
	RMSProp:  `s[SQUARE + k] = ALPHA * s[SQUARE + k] + (1.0 - ALPHA) * g * g; s[k] -= rate * g / (sqrt(s[SQUARE + k]) + EPSILON);`,
	Adam: `s[MEAN + k] = BETA1 * s[MEAN + k] + (1.0 - BETA1) * g; s[SQUARE + k] = BETA2 * s[SQUARE + k] + (1.0 - BETA2) * g * g;
      s[k] -= rate * (s[MEAN + k] / full.x) / (sqrt(s[SQUARE + k] / full.y) + EPSILON);`,
}

// shaderConstants declares those of the optimizers, under their names here. WGSL computes with them
// in float64.
func shaderConstants() string {
	var b strings.Builder
	for _, c := range []struct {
		name  string
		value float64
	}{
		{"DECAY", Decay}, {"ALPHA", Alpha}, {"BETA1", Beta1}, {"BETA2", Beta2}, {"EPSILON", Epsilon},
		{"MUON_DECAY", MuonDecay}, {"MUON_A", MuonA}, {"MUON_B", MuonB}, {"MUON_C", MuonC}, {"MUON_EPSILON", MuonEpsilon},
	} {
		fmt.Fprintf(&b, "const %s = %g;\n", c.name, c.value)
	}
	return b.String()
}

// NewShader returns the program for a network whose steps have that many rows. If shared is
// true, the state is kept in the workgroup's memory.
func NewShader(s Shape, kind Loss, rule Rule, rows int, shared bool) Shader {
	g := shaderWriter{wait: "storageBarrier();"}
	if shared {
		g.wait = "workgroupBarrier();"
	}
	widths, tensors, weights := s.widths(), s.Tensors(), s.Weights()
	last := len(widths) - 1
	g.floats = 4 * weights
	values, deltas := make([]int, last+1), make([]int, last+1) // where those of each layer begin
	for l := 1; l <= last; l++ {
		values[l], deltas[l] = g.place(rows*widths[l]), g.place(rows*widths[l])
	}
	input := func(l int, row, column string) string {
		if l > 0 {
			return element(values[l], row, widths[l], column)
		}
		return fmt.Sprintf("x[rows[first + %s] * %du + %s]", row, widths[0], column)
	}
	for l := range last { // see Network.Forward
		w, bias, in, out := tensors[2*l].From, tensors[2*l+1].From, widths[l], widths[l+1]
		end := "z"
		if l+1 < last {
			end = "activate(z)"
		}
		g.product(rows, out, in, element(w, "j", in, "q")+" * "+input(l, "i", "q"), values[l+1], fmt.Sprintf("s[%du + j]", bias), end)
		g.barrier()
	}
	g.line("for (var r = t; r < %du; r += THREADS) {\n      let o = %du + r * OUTPUTS; let d = %du + r * OUTPUTS; let want = targets[rows[first + r]];\n      %s\n    }", rows, values[last], deltas[last], shaderLosses[kind])
	g.barrier()
	for l := last - 1; l >= 0; l-- { // see Network.Backward
		w, bias, in, out := tensors[2*l].From, tensors[2*l+1].From, widths[l], widths[l+1]
		d := deltas[l+1]
		g.product(out, in, rows, element(d, "q", out, "i")+" * "+input(l, "q", "j"), weights+w, "0.0", "z")
		g.product(1, out, rows, element(d, "q", out, "j"), weights+bias, "0.0", "z")
		if l > 0 {
			g.product(rows, in, out, element(d, "i", out, "q")+" * "+element(w, "q", in, "j"), deltas[l], "0.0", fmt.Sprintf("z * derivative(s[%du + k])", values[l]))
		}
		g.barrier()
	}
	if rule == Muon {
		g.muon(tensors)
	} else {
		g.move(rule, 0, weights)
	}
	g.barrier()

	state, local, load, store, bytes := "s", "", "", "", 0
	if shared {
		bytes = 4 * g.floats
		state, local = "state", fmt.Sprintf("var<workgroup> s: array<f32, %d>;\n", g.floats)
		load, store = each(0, 4*weights, "s[k] = state[k];")+"\n  "+g.wait, each(0, 4*weights, "state[k] = s[k];")
	}
	code := fmt.Sprintf(`const THREADS = 256u;
const ROWS = %d.0;
const OUTPUTS = %du;
const GRADIENT = %du;
const MEAN = %du;
const SQUARE = %du;
%sstruct How { first: u32, steps: u32, rate: f32 }
@group(0) @binding(0) var<storage, read_write> %s: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<u32>;
@group(0) @binding(4) var<storage, read> fulls: array<vec2f>;
@group(0) @binding(5) var<uniform> how: How;
%sfn logistic(z: f32) -> f32 { let e = exp(-abs(z)); return select(e, 1.0, z >= 0.0) / (1.0 + e); }
fn activate(z: f32) -> f32 { %s }
fn derivative(y: f32) -> f32 { return %s; }
@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) t: u32) {
  let rate = how.rate;
  %s
  for (var step = how.first; step < how.first + how.steps; step++) {
    let first = step * %du; let full = fulls[step];
%s  }
  %s
}
`, rows, widths[last], weights, 2*weights, 3*weights, shaderConstants(), state, local, shaderActivations[s.Activation], shaderDerivatives[s.Activation], load, rows, g.text.String(), store)
	return Shader{code, g.floats, bytes}
}

// A shaderWriter writes what a step does.
type shaderWriter struct {
	text   strings.Builder
	wait   string // for what all threads have written
	floats int    // of the state so far
}

// place returns where the next n numbers of the state begin.
func (g *shaderWriter) place(n int) int {
	g.floats += n
	return g.floats - n
}

func (g *shaderWriter) line(format string, args ...any) {
	fmt.Fprintf(&g.text, "    "+format+"\n", args...)
}

func (g *shaderWriter) barrier() { g.line("%s", g.wait) }

// each has the threads share the k from one number to another.
func each(from, to int, text string) string {
	return fmt.Sprintf("for (var k = %du + t; k < %du; k += THREADS) { %s }", from, to, text)
}

// element is that of a matrix of the state with that many columns.
func element(from int, row string, columns int, column string) string {
	return fmt.Sprintf("s[%du + %s * %du + %s]", from, row, columns, column)
}

// product computes a matrix into the state: each element is the sum z of begin and of a term for
// each q, or what end makes of it.
func (g *shaderWriter) product(rows, columns, depth int, term string, into int, begin, end string) {
	g.line("%s", each(0, rows*columns, fmt.Sprintf(
		"let i = k / %[1]du; let j = k %% %[1]du; var z = %[2]s; for (var q = 0u; q < %[3]du; q++) { z += %[4]s; } s[%[5]du + k] = %[6]s;", columns, begin, depth, term, into, end)))
}

// move moves a range of the weights by a rule.
func (g *shaderWriter) move(rule Rule, from, to int) {
	g.line("%s", each(from, to, "let g = s[GRADIENT + k]; "+shaderRules[rule]))
}

// muon makes Muon's step: see Optimizer.matrix.
func (g *shaderWriter) muon(tensors []Tensor) {
	most, side := 0, 0
	for _, t := range tensors {
		if len(t.Shape) == 2 {
			most, side = max(most, t.Len()), max(side, slices.Min(t.Shape))
		}
	}
	x, gram, both, moved := g.place(most), g.place(side*side), g.place(side*side), g.place(most)
	for _, t := range tensors {
		if len(t.Shape) == 1 {
			g.move(Adam, t.From, t.From+t.Len())
			continue
		}
		m, n, size := t.Shape[0], t.Shape[1], t.Len()
		least, tall := min(m, n), m > n
		row := func(i string) string { // an element of row i of X, or of column i of a tall one
			if tall {
				return element(x, "q", n, i)
			}
			return element(x, i, n, "q")
		}
		step := element(both, "i", least, "q") + " * " + element(x, "q", n, "j")
		if tall {
			step = element(x, "i", n, "q") + " * " + element(both, "q", least, "j")
		}
		g.line("%s", each(t.From, t.From+size, fmt.Sprintf(
			"let g = s[GRADIENT + k]; s[MEAN + k] += (1.0 - MUON_DECAY) * (g - s[MEAN + k]); s[%du + k - %du] = g + MUON_DECAY * (s[MEAN + k] - g);", x, t.From)))
		g.barrier()
		g.line("{ var z = 0.0; for (var q = 0u; q < %[1]du; q++) { z += s[%[2]du + q] * s[%[2]du + q]; } let norm = sqrt(z) + MUON_EPSILON;", size, x)
		g.barrier()
		g.line("%s }", each(x, x+size, "s[k] /= norm;"))
		g.barrier()
		g.line("for (var again = 0; again < %d; again++) {", MuonRounds)
		g.product(least, least, max(m, n), row("i")+" * "+row("j"), gram, "0.0", "z")
		g.barrier()
		g.product(least, least, least, element(gram, "i", least, "q")+" * "+element(gram, "q", least, "j"), both, "0.0", fmt.Sprintf("MUON_C * z + MUON_B * s[%du + k]", gram))
		g.barrier()
		g.product(m, n, least, step, moved, fmt.Sprintf("MUON_A * s[%du + k]", x), "z")
		g.barrier()
		g.line("%s", each(0, size, fmt.Sprintf("s[%du + k] = s[%du + k];", x, moved)))
		g.barrier()
		g.line("}")
		scale := strconv.FormatFloat(math.Sqrt(max(1, float64(m)/float64(n))), 'f', 9, 64)
		g.line("%s", each(t.From, t.From+size, fmt.Sprintf("s[k] -= rate * %s * s[%du + k - %du];", scale, x, t.From)))
		g.barrier()
	}
}
