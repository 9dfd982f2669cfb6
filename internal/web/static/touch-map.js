// The map of chapter Touch as a picture: relief, contour lines and colours, one tile at a time.
import { clamp } from './util.js';

// Low is deep water, high is sand. Lightness rises all the way, so that it reads in grey too.
const RAMP = [[9, 13, 48], [26, 34, 102], [37, 66, 143], [35, 105, 158], [49, 144, 160], [98, 181, 158], [165, 211, 163], [224, 231, 182], [250, 243, 220]];
const LIGHT = [255, 250, 235], DARK_LINE = [20, 50, 80], LIGHT_LINE = [225, 245, 255];
const LEVELS = 13; // contour lines
const PIXELS = 72; // of a tile along each side

const colourOf = t => {
  t = clamp(t, 0, 1) * (RAMP.length - 1);
  const i = Math.min(RAMP.length - 2, t | 0), f = t - i;
  return RAMP[i].map((a, k) => a + (RAMP[i + 1][k] - a) * f);
};
const COLOURS = Array.from({ length: 1024 }, (_, i) => colourOf(i / 1023));

export class LossMap {
  /** plane is what the server tells before the first tile. */
  constructor(plane) {
    Object.assign(this, { columns: plane.columns, rows: plane.rows, cells: plane.points - 1 });
    this.width = this.columns * this.cells + 1;
    this.height = this.rows * this.cells + 1;
    this.z = new Float32Array(this.width * this.height).fill(NaN);
    this.low = Math.log(plane.low);
    this.high = Math.log(plane.high);
    this.known = new Set();
    this.picture = new OffscreenCanvas(this.columns * PIXELS, this.rows * PIXELS);
    this.context = this.picture.getContext('2d');
  }
  get tiles() { return this.columns * this.rows; }
  get complete() { return this.known.size === this.tiles; }

  /** Takes the losses of a tile and paints it. */
  add(index, losses) {
    const { cells, width } = this, x0 = index % this.columns * cells, y0 = Math.floor(index / this.columns) * cells;
    for (let y = 0; y <= cells; y++) for (let x = 0; x <= cells; x++) this.z[(y0 + y) * width + x0 + x] = Math.log(losses[y * (cells + 1) + x]);
    this.known.add(index);
    this.paint(index, false);
  }

  /** Paints a tile; whole: its neighbours are known, and its relief goes on into them. */
  paint(index, whole) {
    const { cells, width, height, z } = this, x0 = index % this.columns * cells, y0 = Math.floor(index / this.columns) * cells;
    const [left, right, top, bottom] = whole ? [0, width - 1, 0, height - 1] : [x0, x0 + cells, y0, y0 + cells];
    const at = (x, y) => {
      x = clamp(x, left, right);
      y = clamp(y, top, bottom);
      const i = Math.min(x | 0, right - 1), j = Math.min(y | 0, bottom - 1), f = x - i, k = y - j, o = j * width + i;
      return (z[o] * (1 - f) + z[o + 1] * f) * (1 - k) + (z[o + width] * (1 - f) + z[o + width + 1] * f) * k;
    };
    const image = this.context.createImageData(PIXELS, PIXELS), data = image.data, scale = cells / PIXELS, levels = LEVELS / (this.high - this.low);
    for (let py = 0, o = 0; py < PIXELS; py++) {
      for (let px = 0; px < PIXELS; px++, o += 4) {
        const x = x0 + (px + .5) * scale, y = y0 + (py + .5) * scale, h = at(x, y);
        const dx = (at(x + .8, y) - at(x - .8, y)) / 1.6, dy = (at(x, y + .8) - at(x, y - .8)) / 1.6, steep = Math.hypot(dx, dy);
        const height = clamp((h - this.low) / (this.high - this.low), 0, 1), lit = (dx * .8 + dy) * 9 / (1 + 9 * steep);
        const bright = clamp(lit, 0, 1) * .26, shade = 1 - clamp(-lit, 0, 1) * .3;
        const level = (h - this.low) * levels, near = Math.round(level);
        const line = clamp(1.05 - Math.abs(level - near) / (steep * scale * levels + 1e-6), 0, 1) * (near % 4 ? .26 : .5) * clamp(steep * 90, 0, 1);
        const colour = COLOURS[height * 1023 | 0], ink = height > .55 ? DARK_LINE : LIGHT_LINE;
        for (let c = 0; c < 3; c++) data[o + c] = (colour[c] * shade * (1 - bright) + LIGHT[c] * bright) * (1 - line) + ink[c] * line;
        data[o + 3] = 255;
      }
    }
    this.context.putImageData(image, index % this.columns * PIXELS, Math.floor(index / this.columns) * PIXELS);
  }

  /** Draws what is known, or some of it, into a box; other tiles in the two colours. */
  draw(context, width, height, empty, line, known = this.known) {
    context.drawImage(this.picture, 0, 0, width, height);
    const w = width / this.columns, h = height / this.rows;
    context.lineWidth = 1;
    for (let i = 0; i < this.tiles; i++) {
      if (known.has(i)) continue;
      const x = i % this.columns * w, y = Math.floor(i / this.columns) * h;
      context.fillStyle = empty;
      context.fillRect(x - .5, y - .5, w + 1, h + 1);
      context.strokeStyle = line;
      context.strokeRect(x + .5, y + .5, w, h);
    }
  }
}
