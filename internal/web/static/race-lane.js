// One lane as it is seen: every card is a product that completed, flies at constant speed to its own cell of
// the pile, and stays there. All lanes have the same cell, so that the piles are bars to scale.
import { $, canvas, chip, clamp, color, count, h, isDark, label, line as drawLine, motion, onTheme, put, rate, rgb, rng } from './util.js';

const FLIGHT = 700; // ms
const FRAME = 1000 / 60; // ms; what completes within one flies as one card

/** The words and token of a kind of device. */
export const kinds = {
  cpu: { token: 'cpu', name: 'CPU' },
  gpu: { token: 'gpu', name: 'GPU' },
  'software-gpu': { token: 'gpu', name: 'Software GPU' },
};

/** Pictures of A, B and C: a real product of 7×7 matrices, so that the three belong together. */
let pictures = {};
function picturesOf(token) {
  if (pictures[token]) return pictures[token];
  const n = 7, size = 92, r = rng(token === 'cpu' ? 11 : 23);
  const A = Array.from({ length: n * n }, () => r() - .35), B = Array.from({ length: n * n }, () => r() - .35);
  const C = A.map((_, q) => { let sum = 0; for (let k = 0; k < n; k++) sum += A[Math.floor(q / n) * n + k] * B[k * n + q % n]; return sum; });
  const hue = rgb(color(token)), dark = isDark(), base = dark ? [255, 255, 255] : rgb(color('surface'));
  const mix = (a, b, f) => a.map((x, k) => Math.round(x + (b[k] - x) * f));
  const paper = mix(base, hue, dark ? .2 : .07), ink = dark ? hue.map(x => x * .5) : hue; // a card is a light object in the dark, too
  return pictures[token] = [A, B, C].map(M => {
    const c = new OffscreenCanvas(size, size), x = c.getContext('2d'), most = Math.max(...M), least = Math.min(...M), margin = 11, cell = (size - 2 * margin) / n;
    x.beginPath(); x.roundRect(1, 1, size - 2, size - 2, 13); x.clip();
    x.fillStyle = `rgb(${paper})`; x.fillRect(0, 0, size, size);
    M.forEach((z, i) => {
      x.fillStyle = `rgb(${mix(paper, ink, .12 + .88 * (z - least) / (most - least))})`;
      x.beginPath(); x.roundRect(margin + i % n * cell + .8, margin + Math.floor(i / n) * cell + .8, cell - 1.6, cell - 1.6, 2); x.fill();
    });
    x.strokeStyle = color('surface'); x.lineWidth = 5; x.beginPath(); x.roundRect(1, 1, size - 2, size - 2, 13); x.stroke();
    x.strokeStyle = color(token); x.lineWidth = 3.5; x.beginPath(); x.roundRect(5, 5, size - 10, size - 10, 10); x.stroke();
    return c;
  });
}
onTheme(() => { pictures = {}; });

/**
 * The view of a lane. stage says what is shown: stage.mode is idle, live, done or replay; stage.time(lane) the
 * time on the timeline stage.timeline(lane); stage.top the most products that any pile has to hold; stage.slow
 * by what a replay is slower.
 */
export class LaneView {
  constructor(stage, kind, small = false) {
    this.stage = stage;
    this.kind = kind;
    this.small = small;
    this.lane = null;
    this.before = 0; // products that the last frame showed
    const k = kinds[kind];
    this.where = h('small');
    this.number = h('b', '–');
    this.unit = h('i', 'TFLOP/s');
    this.count = h('div.n');
    this.bar = h('i');
    this.why = h('div.why');
    this.picture = h('canvas', { role: 'img' });
    this.tag = h('span');
    this.element = h('article', { class: `lane c-${k.token}${small ? ' small' : ''}` },
      h('div.who', h('h3', h('i.mark'), k.name), this.where, this.tag, h('div.rate.none', this.number, this.unit), this.count),
      h('div.fly', this.picture, this.why), h('div.bar', this.bar));
    this.canvas = canvas(this.picture, (x, w, height) => this.draw(x, w, height));
    this.canvas.resized = () => this.forget();
    onTheme(() => this.forget());
  }
  forget() { this.pile = null; this.painted = 0; }

  /** Shows a lane; place is the hardware where there is none yet. */
  show(lane, place = '') {
    if (lane !== this.lane) { // nothing of the one before stays
      this.forget();
      this.before = this.fresh = 0;
      this.tagged = this.count.textContent = '';
      this.tag.replaceChildren();
    }
    this.lane = lane;
    if (!lane) this.numbers(1);
    this.element.classList.toggle('off', !lane && this.why.childNodes.length > 0);
    this.where.replaceChildren(lane?.place ?? place, h('br'), lane?.name ?? '');
    const name = [kinds[this.kind].name, lane?.name].filter(Boolean).join(', ');
    this.element.ariaLabel = name;
    this.picture.ariaLabel = 'Completed products: ' + name;
  }

  /** Where the pile is, and how large a cell. */
  geometry() {
    const { width: w, height: height } = this.canvas, narrow = w < 500, flat = height < 120;
    const x0 = narrow ? Math.min(118, w * .33) : Math.min(350, w * .36), pad = narrow || flat ? 12 : 22, pw = w - x0 - pad, ph = height - 2 * pad;
    const top = Math.max(1, this.stage.top), want = narrow ? 420 : 1500, unit = top <= want ? 1 : 10 ** Math.ceil(Math.log10(top / want)), cells = Math.ceil(top / unit);
    let cell = Math.min(narrow ? 14 : 12, Math.floor(Math.sqrt(pw * ph / cells) * 2) / 2);
    if (flat) cell = Math.min(cell, 8);
    while (cell > 1.5 && Math.ceil(cells / Math.floor(ph / cell)) * cell > pw) cell -= .25;
    const rows = Math.max(1, Math.floor(ph / cell));
    return { x0, pad, unit, cell, rows, y0: pad + (ph - rows * cell) / 2, ex: narrow ? 34 : 166, ey: height / 2, card: narrow || flat ? 30 : 46, narrow };
  }

  draw(x, w, height) {
    const { stage, lane } = this, token = kinds[this.kind].token, pics = picturesOf(token), g = this.geometry();
    const idle = stage.mode === 'idle' || !lane, t = lane ? stage.time(lane) : 0, line = lane ? stage.timeline(lane) : null;
    const done = line ? line.count(t) : 0, flight = FLIGHT / stage.slow;
    const flies = line && !motion.reduced && (stage.mode === 'live' || stage.mode === 'replay');
    const landed = !flies ? done : line.count(t - flight);
    const resting = idle || stage.mode === 'live' && lane.phase !== 'measuring';
    x.globalAlpha = resting ? .5 : 1;
    if (!g.narrow) {
      const a = g.card, y = g.ey - a / 2;
      x.drawImage(pics[0], 29 - a / 2, y, a, a); x.drawImage(pics[1], 95 - a / 2, y, a, a);
      for (const [sign, at] of [['×', 62], ['=', 130]]) label(x, sign, at, g.ey, '500 15px', 'ink-2', 'center', 'middle');
      if (!flies) x.drawImage(pics[2], g.ex - a / 2, y, a, a);
      if (!this.small) for (const [name, at] of [['A', 29], ['B', 95], ...(flies ? [] : [['C', g.ex]])]) label(x, name, at, g.ey + 36, '600 11px', 'ink-3', 'center', 'middle');
    } else x.drawImage(pics[0], 12, g.ey - 15, 30, 30);
    x.globalAlpha = 1;
    if (line) {
      this.paint(line, landed, g, token);
      x.globalAlpha = lane.doubt ? .3 : 1;
      x.drawImage(this.pile, 0, 0, w, height);
      x.globalAlpha = 1;
      if (stage.mode === 'done' && g.unit === 1) { // the product that was not finished yet
        const part = line.progress(t) - done;
        if (part > .02) {
          const [cx, cy] = this.place(done, g), side = g.cell - 1.2;
          x.fillStyle = color(token); x.globalAlpha = .85; x.fillRect(cx, cy + side * (1 - part), side, side * part); x.globalAlpha = 1;
          x.strokeStyle = color(token); x.lineWidth = 1; x.strokeRect(cx + .5, cy + .5, side - 1, side - 1);
        }
      }
      if (flies) this.fly(x, line, t, flight, g, pics[2], token);
      const fresh = done - this.before;
      this.before = done;
      if (flies && fresh > 0) { this.fresh = fresh; this.freshAt = t; }
      if (flies && this.fresh && t - this.freshAt < 120) label(x, this.fresh > 1 ? `+${this.fresh} this frame` : '+1', 6, g.narrow || this.small ? 16 : 24, `600 ${g.narrow ? 11 : 13}px`, token + '-ink');
      if (g.unit > 1 && done) label(x, `one cell: ${count(g.unit)} products`, w - g.pad, g.narrow ? 12 : 16, '450 12px', 'ink-3', 'right');
    }
    this.picture.dataset.products = done; // for tests
    this.picture.dataset.at = t;
    if (stage.mode === 'idle') this.explain(x, g, token);
  }

  place(i, g) {
    const c = Math.floor(i / g.unit);
    return [g.x0 + Math.floor(c / g.rows) * g.cell, g.y0 + c % g.rows * g.cell];
  }

  /** Paints the cells that were added since the last frame. */
  paint(line, landed, g, token) {
    const key = [g.unit, g.cell, g.rows, g.x0, this.stage.mode === 'live'].join();
    const c = this.canvas;
    if (!this.pile || this.pile.width !== c.element.width || this.key !== key || landed < this.painted) {
      this.pile = new OffscreenCanvas(Math.max(1, c.element.width), Math.max(1, c.element.height));
      this.painted = 0;
      this.key = key;
    }
    if (landed === this.painted) return;
    const x = this.pile.getContext('2d'), hue = rgb(color(token)), paper = rgb(color('surface')), gap = g.cell >= 6 ? 1.2 : g.cell >= 4 ? .8 : .4;
    x.setTransform(c.ratio, 0, 0, c.ratio, 0, 0);
    const middle = this.lane.flop / this.lane.roughly();
    for (let i = Math.ceil(this.painted / g.unit) * g.unit; i < landed; i += g.unit) {
      const slow = this.lane.seconds.at(line.sampleOf(i)) / middle, f = clamp(1 - 3 * (slow - 1), .4, 1) * .94, [cx, cy] = this.place(i, g);
      x.fillStyle = `rgb(${hue.map((a, k) => Math.round(paper[k] + (a - paper[k]) * f))})`;
      x.fillRect(cx, cy, g.cell - gap, g.cell - gap);
    }
    this.painted = landed;
  }

  /** Draws what is in the air: one card for all that completed within one frame. */
  fly(x, line, t, flight, g, picture, token) {
    const slot = FRAME / this.stage.slow;
    for (let k = Math.ceil((t - flight) / slot); k * slot < t; k++) {
      const first = line.count((k - 1) * slot), after = Math.min(line.count(k * slot), line.count(t)), n = after - first;
      if (n <= 0) continue;
      const born = line.completed(after - 1), f = (t - born) / flight;
      if (f < 0 || f > 1) continue;
      const [tx, ty] = this.place(first, g), size = g.card + (g.cell - g.card) * f, cx = g.ex + (tx + g.cell / 2 - g.ex) * f, cy = g.ey + (ty + g.cell / 2 - g.ey) * f;
      if (n > 1 && size > 12) {
        x.globalAlpha = .35; x.strokeStyle = color(token); x.lineWidth = 1;
        for (let j = Math.min(3, n - 1); j > 0; j--) { x.beginPath(); x.roundRect(cx - size / 2 + j * 2.2, cy - size / 2 - j * 2.2, size, size, size * .13); x.stroke(); }
        x.globalAlpha = 1;
      }
      x.drawImage(picture, cx - size / 2, cy - size / 2, size, size);
    }
  }

  explain(x, g, token) {
    const says = this.kind === 'cpu' ? ['One card flies for each completed product,', 'and stays as one cell. A fainter cell took longer.'] : ['A cell is the same in all lanes,', 'so the piles are bars to scale.'];
    const left = g.narrow ? 58 : g.x0 + 34;
    if (!g.narrow) {
      x.fillStyle = color(token); x.fillRect(g.x0, g.ey - 14, 13, 13);
      drawLine(x, [[g.ex + 32, g.ey], [g.x0 - 10, g.ey - 9]], color('line-2'), 1.5, [2, 5]);
    }
    says.forEach((text, i) => label(x, text, left, g.ey - 9 + i * 20, `450 ${g.narrow ? 12 : 14}px`, 'ink-2', 'left', 'middle'));
  }

  /** Writes the numbers; most is the speed that the bar at full width stands for. */
  numbers(most) {
    const { stage, lane } = this;
    const t = lane ? stage.time(lane) : 0, line = lane ? stage.timeline(lane) : null;
    const samples = line ? line.end.upper(stage.mode === 'done' ? Infinity : t) : 0, speed = lane && !lane.doubt ? lane.speed(samples) : NaN, done = line ? line.count(t) : 0;
    const [number, unit] = rate(speed, lane?.op || 'FLOP');
    $('.rate', this.element).classList.toggle('none', !(speed > 0));
    put(this.number, number);
    put(this.unit, unit);
    this.element.dataset.speed = speed > 0 ? speed : ''; // for tests
    this.bar.style.setProperty('--v', speed > 0 ? speed / most : 0);
    if (!lane) return;
    const seconds = stage.mode === 'live' ? line.end.values(samples).reduce((sum, end, i) => sum + end - line.start.at(i), 0) / 1000 : Math.min(t, line.end.last()) / 1000;
    put(this.count, done || samples ? `${count(done)} ${done === 1 ? 'product' : 'products'} in ${seconds < 10 ? seconds.toFixed(2) : seconds.toFixed(1)} s` : lane.phase || 'no product yet');
    if (this.tagged !== lane.doubt) { this.tagged = lane.doubt; this.tag.replaceChildren(...(lane.doubt ? [chip('bad', lane.doubt)] : [])); }
  }
}
