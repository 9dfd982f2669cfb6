// Handwritten digits in chapter Train: the neurons, the pad to write on, and digits that are held out.
import { canvas, clamp, color, count, h, label, rgb } from './util.js';
import { MLP, floats, softmax } from './mlp.js';
import { mix } from './train-net.js';

const SIDE = 8, PIXELS = SIDE * SIDE;
const FINE = 32, WIDEST = 24, PEN = 3; // as the digits to learn from were made: 32×32 places, in blocks of 4×4
const CELL = 44, CELL_HIGH = 58; // of the digits to choose from, in CSS pixels

/** What the network gets of strokes, lists of [x, y]: as high as a digit to learn from, and as thick. */
function shrink(strokes) {
  const all = strokes.flat(), xs = all.map(p => p[0]), ys = all.map(p => p[1]), [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = Math.min((FINE - 2 * PEN) / Math.max(y1 - y0, 1e-9), (WIDEST - 2 * PEN) / Math.max(x1 - x0, 1e-9)), pixels = new Float32Array(PIXELS);
  const lines = strokes.flatMap(s => s.map((p, i) => [...p, ...s[Math.max(0, i - 1)]].map((v, k) => (v - (k % 2 ? y0 + y1 : x0 + x1) / 2) * scale + FINE / 2)));
  for (let j = 0; j < FINE; j++) {
    for (let i = 0; i < FINE; i++) {
      const x = i + .5, y = j + .5;
      const near = lines.some(([ax, ay, bx, by]) => {
        const dx = bx - ax, dy = by - ay, t = clamp(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1), 0, 1);
        return Math.hypot(x - ax - t * dx, y - ay - t * dy) <= PEN;
      });
      if (near) pixels[(j >> 2) * SIDE + (i >> 2)] += 1 / 16;
    }
  }
  return pixels;
}

const best = list => list.indexOf(Math.max(...list));

export class Digits {
  /** pad is the canvas to write on; changed() is called when another digit is shown. */
  constructor(pad, changed) {
    this.scratch = new OffscreenCanvas(SIDE, SIDE);
    this.context = this.scratch.getContext('2d');
    this.changed = changed;
    this.strokes = [];
    this.chosen = 0; // of the digits that are held out
    this.says = h('p');
    this.about = h('p');
    const picture = h('canvas', { tabindex: '0', role: 'img', 'aria-label': 'Digits that are held out, with the answers of the network. Arrow keys choose one.' });
    this.element = h('div.digits', { hidden: true },
      h('div.acts', this.says, h('button', { onclick: () => this.choose(this.chosen) }, 'Clear')), picture, this.about);
    this.gallery = canvas(picture, (c, width) => this.drawGallery(c, width));
    const across = () => Math.max(1, Math.floor(this.gallery.width / CELL));
    picture.onclick = e => {
      this.choose(Math.floor(e.offsetY / CELL_HIGH) * across() + Math.min(across() - 1, Math.floor(e.offsetX / CELL)));
    };
    picture.onkeydown = e => {
      const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across(), ArrowDown: across() }[e.key];
      if (by) { e.preventDefault(); this.choose(this.chosen + by); }
    };
    let writing = null;
    const at = e => { const b = pad.getBoundingClientRect(); return [(e.clientX - b.left) / b.width, (e.clientY - b.top) / b.height]; };
    pad.addEventListener('pointerdown', e => {
      if (this.element.hidden || !this.net) return;
      pad.setPointerCapture(e.pointerId);
      this.strokes.push(writing = [at(e)]);
      this.gallery.paint();
      this.look();
    });
    pad.addEventListener('pointermove', e => { if (writing) { writing.push(at(e)); this.look(); } });
    for (const end of ['pointerup', 'pointercancel']) pad.addEventListener(end, () => { writing = null; });
  }

  /** Takes what the server tells of a network. */
  take(started) {
    this.net = new MLP(started.shape);
    this.columns = [1, ...this.net.widths.slice(1)]; // the inputs are one picture
    [this.x, this.y, this.held] = [floats(started.x), floats(started.y), started.held];
    return this;
  }

  learn(weights) {
    this.net.weights.set(weights);
    this.answers = Array.from(this.y, (_, i) => best(this.net.forward(this.pixels(i))));
    const n = this.y.length, right = this.answers.filter((a, i) => a === this.y[i]).length;
    this.about.textContent = `${right} of these ${n} are right. They belong to ${count(this.held)} digits that are held out for the test, which other people wrote. Digits: E. Alpaydin and C. Kaynak, UCI, CC BY 4.0.`;
    this.fit();
    this.gallery.paint();
    this.look(false);
  }
  pixels(i) { return this.x.subarray(i * PIXELS, (i + 1) * PIXELS); }

  choose(i) {
    if (!(i >= 0 && i < this.y?.length)) return;
    this.chosen = i;
    this.strokes = [];
    this.gallery.paint();
    this.look();
  }

  /** Asks the network about what is written, or the chosen digit. */
  look(tell = true) {
    this.input = this.strokes.length ? shrink(this.strokes) : this.pixels(this.chosen);
    const chances = softmax(this.net.forward(this.input)), answer = best(chances), mine = this.strokes.length;
    this.values = [...this.net.values.slice(0, -1).map(v => [...v]), chances];
    this.says.textContent = `The network reads ${mine ? 'your digit' : `this ${this.y[this.chosen]}`} as ${answer} (${Math.round(100 * chances[answer])} %).${mine ? '' : ' Write one into the square, or choose another one below.'}`;
    if (tell) this.changed();
  }

  /** Draws a picture of 8×8 numbers, each as the colour that it is given. */
  picture(context, colourOf, x, y, size) {
    const image = this.context.createImageData(SIDE, SIDE);
    for (let k = 0; k < PIXELS; k++) image.data.set([...colourOf(k), 255], 4 * k);
    this.context.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.scratch, x, y, size, size);
  }
  ink(context, pixels, x, y, size) {
    const paper = rgb(color('surface')), dark = rgb(color('ink'));
    this.picture(context, k => mix(paper, dark, pixels[k]), x, y, size);
  }

  /** Draws a neuron: of the first layer its weights, one for each pixel, of the others what it answers. */
  draw(context, layer, neuron, x, y, size) {
    const { net } = this, last = net.widths.length - 1, mid = rgb(color('mid')), neg = rgb(color('neg')), pos = rgb(color('pos'));
    const shade = v => mix(mid, v < 0 ? neg : pos, Math.min(1, Math.abs(v)));
    if (layer === 0) { this.ink(context, this.input, x, y, size); return; }
    if (layer === 1 && last > 1) {
      const w = net.weights.subarray(neuron * PIXELS, (neuron + 1) * PIXELS), most = w.reduce((t, v) => Math.max(t, Math.abs(v)), 1e-9);
      this.picture(context, k => shade(w[k] / most), x, y, size);
      return;
    }
    const v = this.values[layer][neuron];
    context.fillStyle = `rgb(${shade(v).map(Math.round)})`;
    context.fillRect(x, y, size, size);
    if (layer < last) return;
    label(context, neuron, x + size / 2, y + size / 2 + 1, `${v > .5 ? 700 : 500} ${Math.max(10, size * .55)}px`, v > .5 ? 'surface' : 'ink', 'center', 'middle');
  }

  /** Draws the pad: what is written with what the network gets of it, or the chosen digit. */
  drawPad(context, size, chosen) {
    if (chosen) { this.draw(context, ...chosen, 0, 0, size); return; }
    if (!this.strokes.length) { this.ink(context, this.input, 0, 0, size); return; }
    context.strokeStyle = color('ink');
    context.lineWidth = size / 24;
    context.lineCap = context.lineJoin = 'round';
    for (const s of this.strokes) {
      context.beginPath();
      context.moveTo(s[0][0] * size, s[0][1] * size);
      for (const p of s) context.lineTo(p[0] * size, p[1] * size);
      context.stroke();
    }
    const small = size / 5;
    this.ink(context, this.input, 8, size - small - 8, small);
    context.lineWidth = 1;
    context.strokeStyle = color('line-2');
    context.strokeRect(8, size - small - 8, small, small);
  }

  /** Gives the gallery the height that its digits need. */
  fit() {
    const rows = Math.ceil(this.y.length / Math.max(1, Math.floor(this.gallery.element.clientWidth / CELL))), high = `${rows * CELL_HIGH}px`;
    if (this.gallery.element.clientWidth && this.gallery.element.style.height !== high) this.gallery.element.style.height = high;
  }
  drawGallery(context, width) {
    if (!this.answers) return;
    this.fit();
    const across = Math.max(1, Math.floor(width / CELL)), size = CELL - 8;
    this.answers.forEach((answer, i) => {
      const x = i % across * CELL + 4, y = Math.floor(i / across) * CELL_HIGH + 4, right = answer === this.y[i];
      this.ink(context, this.pixels(i), x, y, size);
      const mine = i === this.chosen && !this.strokes.length;
      context.lineWidth = mine ? 3 : right ? 1 : 2;
      context.strokeStyle = color(mine ? 'focus' : right ? 'line' : 'warn');
      context.strokeRect(x, y, size, size);
      label(context, right ? answer : `${answer}, is ${this.y[i]}`, x + size / 2, y + size + 13, `${right ? 450 : 700} 11px`, right ? 'ink-3' : 'warn', 'center');
    });
  }
}
