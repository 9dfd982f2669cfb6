// The network of chapters Touch and Train, in float64: what a page needs to draw a neuron, and to know
// the gradient under a finger without asking. Its weights are in the order of the server's
// (internal/network): for each layer the matrix, a row for each neuron, and then the biases.
import { chip } from './util.js';

const activations = {
  tanh: [Math.tanh, y => 1 - y * y],
  relu: [z => Math.max(z, 0), y => y > 0 ? 1 : 0],
  sigmoid: [z => 1 / (1 + Math.exp(-z)), y => y * (1 - y)],
  identity: [z => z, () => 1],
};

/** The probabilities of classes, from their logits. */
export function softmax(logits) {
  const most = Math.max(...logits), powers = Array.from(logits, z => Math.exp(z - most)), sum = powers.reduce((a, b) => a + b);
  return powers.map(x => x / sum);
}

/** The loss of the outputs for one row, whose target is t. */
const losses = {
  logistic: ([z], t) => Math.max(z, 0) - z * t + Math.log1p(Math.exp(-Math.abs(z))),
  softmax: (out, t) => { const most = Math.max(...out); return most + Math.log(out.reduce((sum, z) => sum + Math.exp(z - most), 0)) - out[t]; },
  squares: ([z], t) => (z - t) ** 2,
};

export class MLP {
  /** shape is the server's: {inputs, hidden, outputs, activation}. */
  constructor(shape, loss = 'logistic') {
    this.cost = losses[loss];
    this.widths = [shape.inputs, ...shape.hidden, shape.outputs];
    [this.f, this.df] = activations[shape.activation];
    this.values = this.widths.map(n => new Float64Array(n));
    this.deltas = this.widths.map(n => new Float64Array(n));
    this.from = []; // where the weights of each layer begin
    let n = 0;
    for (let l = 0; l + 1 < this.widths.length; l++) {
      this.from.push(n);
      n += this.widths[l + 1] * (this.widths[l] + 1);
    }
    this.weights = new Float64Array(n);
  }

  /** The values of all neurons for one row of inputs; those of the last layer are returned. */
  forward(inputs, w = this.weights) {
    const { widths, values, from } = this, last = widths.length - 1;
    for (let i = 0; i < widths[0]; i++) values[0][i] = inputs[i];
    for (let l = 0; l < last; l++) {
      const n = widths[l], m = widths[l + 1], x = values[l], y = values[l + 1];
      for (let j = 0, k = from[l]; j < m; j++) {
        let z = w[from[l] + m * n + j];
        for (let i = 0; i < n; i++) z += w[k++] * x[i];
        y[j] = l + 1 < last ? this.f(z) : z;
      }
    }
    return values[last];
  }

  /** The mean loss over data {x, y, n}; the gradient of that of two classes goes into g if given. */
  loss(data, w = this.weights, g = null) {
    const { widths, values, deltas, from } = this, last = widths.length - 1;
    let sum = 0;
    g?.fill(0);
    for (let row = 0; row < data.n; row++) {
      const out = this.forward(data.x.subarray(row * widths[0]), w), t = data.y[row];
      sum += this.cost(out, t);
      if (!g) continue;
      deltas[last][0] = (1 / (1 + Math.exp(-out[0])) - t) / data.n;
      for (let l = last - 1; l >= 0; l--) {
        const n = widths[l], m = widths[l + 1], x = values[l], below = deltas[l];
        below.fill(0);
        for (let j = 0, k = from[l]; j < m; j++) {
          const d = deltas[l + 1][j];
          for (let i = 0; i < n; i++, k++) {
            g[k] += d * x[i];
            below[i] += d * w[k];
          }
          g[from[l] + m * n + j] += d;
        }
        if (l) for (let i = 0; i < n; i++) below[i] *= this.df(x[i]);
      }
    }
    return sum / data.n;
  }
}

/** The shares that Adam's two means have of full ones after t steps. */
export const full = t => [1 - .9 ** t, 1 - .999 ** t];
/** How each rule moves the two coordinates of a ball; the constants are the server's. */
export const rules = {
  sgd: () => (p, g, rate) => { for (const i of [0, 1]) p[i] -= rate * g[i]; },
  momentum() {
    const m = [0, 0];
    return (p, g, rate) => { for (const i of [0, 1]) p[i] -= rate * (m[i] = .9 * m[i] + g[i]); };
  },
  nesterov() {
    const m = [0, 0];
    return (p, g, rate) => { for (const i of [0, 1]) p[i] -= rate * (g[i] + .9 * (m[i] = .9 * m[i] + g[i])); };
  },
  rmsprop() {
    const v = [0, 0];
    return (p, g, rate) => { for (const i of [0, 1]) p[i] -= rate * g[i] / (Math.sqrt(v[i] = .99 * v[i] + .01 * g[i] * g[i]) + 1e-8); };
  },
  adam() {
    const m = [0, 0], v = [0, 0];
    let t = 0;
    return (p, g, rate) => {
      const [mean, square] = full(++t);
      for (const i of [0, 1]) {
        m[i] = .9 * m[i] + .1 * g[i];
        v[i] = .999 * v[i] + .001 * g[i] * g[i];
        p[i] -= rate * m[i] / mean / (Math.sqrt(v[i] / square) + 1e-8);
      }
    };
  },
  // Of a matrix of one row, Muon orthogonalizes by bringing its length near 1.
  muon() {
    const m = [0, 0];
    return (p, g, rate) => {
      const u = [0, 1].map(i => { m[i] += .05 * (g[i] - m[i]); return g[i] + .95 * (m[i] - g[i]); });
      let scale = 1 / (Math.hypot(...u) + 1e-7);
      for (let k = 0; k < 5; k++) {
        const a = (scale * scale) * (u[0] * u[0] + u[1] * u[1]);
        scale *= 3.4445 - 4.775 * a + 2.0315 * a * a;
      }
      for (const i of [0, 1]) p[i] -= rate * scale * u[i];
    };
  },
};

/** Bytes that the server sent in base64, and numbers as float32. */
export const decode = text => Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer;
export const floats = text => new Float32Array(decode(text));

/** A small number as 3·10⁻⁷. */
const power = x => x.toExponential(0).replace(/e-(\d+)/, (_, n) => '·10⁻' + [...n].map(c => '⁰¹²³⁴⁵⁶⁷⁸⁹'[c]).join('')).replace('e+0', '');
/** Whether the server found its gradients right. */
export const checked = ({ ok, worst }, who = '') => chip(ok ? 'ok' : 'bad', who + (ok ? `gradients checked: worst ${power(worst)}` : 'the gradients are wrong'));
