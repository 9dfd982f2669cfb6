// What the sensors read during a run, with its phases and, below, who computed when.
import { canvas, clamp, color, h, label, line } from './util.js';

const nice = x => { const p = 10 ** Math.floor(Math.log10(x)); for (const m of [1, 2, 2.5, 5, 10]) if (m * p >= x) return m * p; };

/** The picture under the lanes. stage.run is the race, stage.at() the time until which it is shown, in ms. */
export class History {
  constructor(stage) {
    this.stage = stage;
    this.picture = h('canvas', { role: 'img', 'aria-label': 'Utilisation and power over the run, with its phases' });
    this.title = h('b');
    this.key = h('span');
    this.chip = h('span.chip', 'measured, 10 times a second');
    this.element = h('div.hist', h('header', this.title, this.key, this.chip), this.picture);
    this.canvas = canvas(this.picture, (x, w, height) => this.draw(x, w, height));
  }

  /** The series of the card that the GPU lane is on, else of the machine. */
  series() {
    const { run } = this.stage, lane = run?.of('gpu')[0], card = lane?.card ?? (run?.cards?.length ? run.cards[0].number : null);
    const of = (c, q) => run?.sensors.get(`${c ?? ''}:${q}`);
    if (card != null && (of(card, 'utilization') || of(card, 'power'))) return { card, busy: of(card, 'utilization'), power: of(card, 'power') };
    return { card: null, busy: of(null, 'utilization'), power: of(null, 'power') };
  }

  draw(x, w, height) {
    const { stage } = this, { run } = stage, { card, busy, power } = this.series();
    const machine = card === null;
    this.title.textContent = machine ? 'Sensors of the machine' : `Sensors of GPU ${card}`;
    this.chip.hidden = !busy && !power;
    this.key.textContent = !busy && !power ? '' : power ? 'area: utilisation, line: power' : machine ? 'area: utilisation of all CPUs' : 'area: utilisation';
    const narrow = w < 500, left = narrow ? 0 : 40, right = narrow || !power ? 0 : 52, y0 = height - 32, y1 = 8, end = Math.max(1, run?.end ?? 1), at = stage.at();
    const X = t => left + (w - left - right) * t / end, Y = u => y0 - (y0 - y1) * u, token = machine ? 'cpu' : 'gpu';
    const most = power ? nice(Math.max(...power.values.values()) * 1.05 || 1) : 1;
    const empty = !run || !busy && !power;
    for (const u of empty ? [0, 1] : [0, .5, 1]) {
      x.fillStyle = color('grid'); x.fillRect(left, Math.round(Y(u)), w - left - right, 1);
      if (narrow) continue;
      label(x, u * 100 + (u === 1 ? ' %' : ''), left - 7, Y(u), '500 11px', 'ink-3', 'right', 'middle');
      if (power) label(x, u * most + (u === 1 ? ' W' : ''), w - right + 7, Y(u), '500 11px', 'ink-3', 'left', 'middle');
    }
    if (empty) label(x, run ? 'No sensor was read in this run.' : 'Utilisation and power appear here during a race.', w / 2, (y0 + y1) / 2, '500 13px', 'ink-2', 'center', 'middle');
    const points = s => Array.from(s.at.values(s.at.upper(at)), (t, i) => [X(t), s.values.at(i)]);
    if (busy?.at.length > 1) {
      let last = left, was = 0;
      x.beginPath(); x.moveTo(left, y0);
      for (const [at, u] of points(busy)) { x.lineTo(at, Y(was)); was = clamp(u / 100, 0, 1); x.lineTo(at, Y(was)); last = at; }
      x.lineTo(last, y0); x.fillStyle = color(token); x.globalAlpha = .2; x.fill(); x.globalAlpha = 1;
    }
    if (power?.at.length > 1) {
      x.lineJoin = 'round';
      line(x, points(power).map(([at, p]) => [at, Y(p / most)]), color(token), 1.75);
    }
    // Who computed when: one tick for each sample, and one for all that fall on the same half pixel.
    run?.lanes.forEach(lane => {
      const y = lane.kind === 'cpu' ? y0 + 4 : y0 + 9, n = lane.live.end.upper(at);
      x.fillStyle = color(lane.kind === 'cpu' ? 'cpu' : 'gpu');
      for (let i = 0, until = -1; i < n; i++) {
        const from = X(lane.live.start.at(i)), to = X(lane.live.end.at(i));
        if (to < until + .5) continue;
        x.fillRect(from, y, Math.max(.6, to - from), 4);
        until = to;
      }
    });
    const phases = run?.phases ?? [];
    let free = -Infinity;
    x.font = `500 11px ${color('font')}`;
    phases.forEach((p, i) => {
      const from = X(p.from), to = X(phases[i + 1]?.from ?? end), wide = x.measureText(p.name).width;
      x.fillStyle = color('line-2'); if (i) x.fillRect(from, y1, 1, y0 - y1 + 14);
      const at = clamp((from + to) / 2, left + wide / 2, w - wide / 2);
      if (at - wide / 2 < free + 6 || wide > to - from + 24) return;
      label(x, p.name, at, y0 + 22, '500 11px', 'ink-2', 'center', 'middle');
      free = at + wide / 2;
    });
    if (stage.mode === 'live') { x.fillStyle = color('ink'); x.fillRect(X(at) - .75, y1 - 4, 1.5, y0 - y1 + 8); }
  }
}
