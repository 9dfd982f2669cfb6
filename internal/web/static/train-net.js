// The pictures of chapter Train: what each neuron answers, the weights, and the boundary.
import { clamp, color, label, rgb } from './util.js';
import { MLP, softmax } from './mlp.js';

const GRID = 64; // places along each side at which a neuron is asked
/** Colours of more than two classes; each class also has a mark of its own. */
const CLASSES = ['gpu', 'cpu', 'pos', 'web', 'neg', 'good', 'warn', 'ink-2', 'line-2', 'ink-3'];

export const mix = (a, b, t) => [0, 1, 2].map(i => a[i] + (b[i] - a[i]) * t);

export class Pictures {
  /** started is what the server tells of the network. */
  constructor(started) {
    this.net = new MLP(started.shape);
    this.columns = this.net.widths;
    this.loss = started.loss;
    this.classes = started.classes;
    this.scratch = new OffscreenCanvas(GRID, GRID);
    this.context = this.scratch.getContext('2d');
    this.values = this.net.widths.map(n => Array.from({ length: n }, () => new Float32Array(GRID * GRID)));
    this.logits = new Float32Array(GRID * GRID); // of two classes: the boundary is where it is 0
  }

  /** Asks every neuron everywhere, with new weights. */
  learn(weights) {
    this.net.weights.set(weights);
    const { values, widths } = this.net, last = widths.length - 1;
    for (let j = 0, k = 0; j < GRID; j++) {
      for (let i = 0; i < GRID; i++, k++) {
        const out = this.net.forward([2 * (i + .5) / GRID - 1, 1 - 2 * (j + .5) / GRID]);
        for (let l = 0; l < last; l++) for (let n = 0; n < widths[l]; n++) this.values[l][n][k] = values[l][n];
        if (this.loss === 'logistic') {
          this.logits[k] = out[0];
          this.values[last][0][k] = Math.tanh(out[0] / 2); // twice the probability, less 1
        } else if (this.loss === 'squares') this.values[last][0][k] = clamp(out[0], -1, 1);
        else {
          const chances = softmax(out);
          for (let n = 0; n < widths[last]; n++) this.values[last][n][k] = chances[n];
        }
      }
    }
    // A neuron of ReLU is drawn to the scale of its largest answer.
    this.scale = this.values.map((layer, l) => layer.map(v => l === 0 || l === last ? 1 : Math.max(1e-6, v.reduce((t, x) => Math.max(t, Math.abs(x)), 0))));
  }

  classColour(i) { return this.classes > 2 ? color(CLASSES[i]) : color(i ? 'pos' : 'neg'); }

  /** Draws what a neuron answers. */
  draw(context, layer, neuron, x, y, size, strength = 1) {
    const image = this.context.createImageData(GRID, GRID), data = image.data, v = this.values[layer][neuron], scale = this.scale[layer][neuron];
    const mid = rgb(color('mid')), neg = rgb(color('neg')), pos = rgb(color('pos'));
    for (let k = 0, o = 0; k < v.length; k++, o += 4) {
      const a = v[k] / scale, c = mix(mid, a < 0 ? neg : pos, Math.min(1, Math.abs(a)) * strength);
      data.set([...c, 255], o);
    }
    this.put(context, image, x, y, size);
  }
  put(context, image, x, y, size) {
    this.context.putImageData(image, 0, 0);
    context.imageSmoothingQuality = 'high';
    context.drawImage(this.scratch, x, y, size, size);
  }

  /** Draws what the network answers: the class at each place, or the value. */
  drawAnswer(context, size) {
    const last = this.net.widths.length - 1;
    if (this.classes <= 2) {
      this.draw(context, last, 0, 0, 0, size, .78);
      if (this.classes === 2) this.boundary(context, size);
      return;
    }
    const image = this.context.createImageData(GRID, GRID), data = image.data, colours = Array.from({ length: this.classes }, (_, i) => rgb(this.classColour(i))), mid = rgb(color('mid'));
    for (let k = 0, o = 0; k < GRID * GRID; k++, o += 4) {
      let best = 0;
      for (let n = 1; n < this.classes; n++) if (this.values[last][n][k] > this.values[last][best][k]) best = n;
      data.set([...mix(mid, colours[best], .2 + .55 * this.values[last][best][k]), 255], o);
    }
    this.put(context, image, 0, 0, size);
  }

  /** The line where the logit is 0, by marching squares. */
  boundary(context, size) {
    const a = this.logits, q = size / GRID, at = (m, n) => m / (m - n);
    context.strokeStyle = color('ink');
    context.lineWidth = 2;
    context.lineCap = 'round';
    context.beginPath();
    for (let j = 0; j + 1 < GRID; j++) {
      for (let i = 0; i + 1 < GRID; i++) {
        const k = j * GRID + i, p = a[k], r = a[k + 1], t = a[k + GRID + 1], u = a[k + GRID], ends = [];
        if (p * r < 0) ends.push([i + at(p, r), j]);
        if (r * t < 0) ends.push([i + 1, j + at(r, t)]);
        if (u * t < 0) ends.push([i + at(u, t), j + 1]);
        if (p * u < 0) ends.push([i, j + at(p, u)]);
        for (let e = 0; e + 1 < ends.length; e += 2) {
          context.moveTo((ends[e][0] + .5) * q, (ends[e][1] + .5) * q);
          context.lineTo((ends[e + 1][0] + .5) * q, (ends[e + 1][1] + .5) * q);
        }
      }
    }
    context.stroke();
  }
}

/** The marks of classes; that of class 1 is round. */
const CORNERS = [[[-3.7, -3.7], [3.7, -3.7], [3.7, 3.7], [-3.7, 3.7]], , [[0, -5.3], [4.8, 3.5], [-4.8, 3.5]], [[0, -5.7], [5.7, 0], [0, 5.7], [-5.7, 0]], [[0, 5.3], [4.8, -3.5], [-4.8, -3.5]]];
/** Draws a point in the colour and with the mark of its class, or in that of its value. */
export function drawPoint(context, x, y, target, classes, colourOf) {
  context.strokeStyle = color('surface');
  context.lineWidth = 1.4;
  context.beginPath();
  if (classes === 0) {
    const c = mix(rgb(color('mid')), rgb(color(target < 0 ? 'neg' : 'pos')), Math.min(1, Math.abs(target)));
    context.fillStyle = `rgb(${c.map(Math.round).join(' ')})`;
    context.arc(x, y, 4.3, 0, 7);
  } else {
    context.fillStyle = colourOf(target);
    const corners = CORNERS[target % 5];
    if (corners) for (const [a, b] of corners) context.lineTo(x + a, y + b);
    else context.arc(x, y, 4.3, 0, 7);
    context.closePath();
  }
  context.fill();
  context.stroke();
}

/**
 * Draws the network. The inputs of digits are one large picture, and the neurons behind it stand in two
 * rows, so that theirs are larger. Returns the places of the neurons: [x, y, size, layer, neuron].
 */
export function drawNetwork(context, width, height, pictures, chosen, activation) {
  const { columns: widths, net: { weights, from } } = pictures, last = widths.length - 1, narrow = width < 520, digits = widths[0] === 1;
  const head = 34, tall = height - head - 14, gap = tall / Math.max(...widths), gaps = widths.map(n => digits ? Math.min(34, tall / n) : gap), margin = narrow ? 18 : 58;
  const sizes = gaps.map((gap, l) => digits && l === 0 ? narrow ? 64 : 128 : digits && l === 1 && last > 1 ? Math.min(40, 2 * gap - 4) : Math.max(9, Math.min(narrow ? 26 : 38, gap - (gap < 34 ? 3 : 9))));
  const x = l => margin + sizes[0] / 2 + (width - 2 * margin - (sizes[0] + sizes[last]) / 2) * l / last, aside = l => digits && l === 1 && last > 1 ? (sizes[1] + 4) / 2 : 0;
  const at = (l, j) => [x(l) + (j % 2 ? 1 : -1) * aside(l), head + (height - head - 10) / 2 + (j - (widths[l] - 1) / 2) * gaps[l]];
  const spots = [];
  context.lineCap = 'round';
  for (let l = 0; l < last; l++) {
    for (let j = 0, k = from[l]; j < widths[l + 1]; j++) {
      for (let i = 0; i < widths[l]; i++, k++) {
        const w = digits && !l ? 0 : weights[k], fade = chosen && !(chosen[0] === l + 1 && chosen[1] === j) && !(chosen[0] === l && chosen[1] === i);
        context.globalAlpha = fade ? .06 : Math.min(.92, .12 + Math.abs(w) * .5);
        context.strokeStyle = color(w < 0 ? 'neg' : 'pos');
        context.lineWidth = Math.min(7, .5 + 1.9 * Math.abs(w));
        const [[a, y0], [b, y1]] = [at(l, i), at(l + 1, j)], [x0, x1] = [a + sizes[l] / 2 + 2, b - sizes[l + 1] / 2 - 2], m = (x0 + x1) / 2;
        context.beginPath();
        context.moveTo(x0, y0);
        context.bezierCurveTo(m, y0, m, y1, x1, y1);
        context.stroke();
      }
    }
  }
  context.globalAlpha = 1;
  for (let l = 0; l <= last; l++) {
    for (let j = 0; j < widths[l]; j++) {
      const size = sizes[l], [cx, cy] = at(l, j), left = cx - size / 2, top = cy - size / 2, radius = Math.min(7, size / 4), mine = chosen && chosen[0] === l && chosen[1] === j;
      context.save();
      context.beginPath();
      context.roundRect(left, top, size, size, radius);
      context.clip();
      pictures.draw(context, l, j, left, top, size);
      context.restore();
      context.strokeStyle = color(mine ? 'ink' : 'line-2');
      context.lineWidth = mine ? 2.5 : 1;
      context.beginPath();
      context.roundRect(left, top, size, size, radius);
      context.stroke();
      spots.push([left, top, size, l, j]);
      if (l === 0 && !digits && !narrow) {
        context.fillStyle = color('ink-2');
        context.font = 'italic 500 15px Georgia, serif';
        context.textAlign = 'center';
        context.fillText('xy'[j], left - 14, cy + 5);
      }
    }
    const crowded = narrow || last > 4;
    label(context, l === 0 ? 'inputs' : l === last ? 'output' : crowded ? String(widths[l]) : `${widths[l]} neurons, ${activation}`, clamp(x(l), 22, width - 24), 20, `550 ${narrow ? 11 : 12}px`, 'ink-3', 'center');
  }
  return spots;
}
