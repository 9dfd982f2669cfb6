// Plots as SVG elements: axes, lines with their labels at the line's end, marks.
import { color, s } from './util.js';

const log = Math.log10;

/** A mark of a lane: its shape says as much as its colour. */
export function mark(token, x, y, r) {
  const look = { fill: color(token), stroke: color('surface'), 'stroke-width': 1.5 };
  return token === 'gpu' ? s('circle', { cx: x, cy: y, r, ...look }) : token === 'web'
    ? s('path', { d: `M${x} ${y - r * 1.2}l${r * 1.2} ${r * 1.2}l${-r * 1.2} ${r * 1.2}l${-r * 1.2} ${-r * 1.2}z`, ...look })
    : s('rect', { x: x - r * .9, y: y - r * .9, width: r * 1.8, height: r * 1.8, ...look });
}

/** Powers of ten, or of four, between two values. */
export function ticks(least, most, base = 10) {
  const list = [];
  for (let e = Math.ceil(Math.log(least) / Math.log(base) - 1e-9); base ** e <= most * (1 + 1e-9); e++) list.push(base ** e);
  return list;
}

/**
 * A plot with logarithmic axes; that of x may be linear. x and y are [least, most, ticks, label, text of a tick]; lines have token,
 * points, and may have label, dots, thin, dash, area, opacity. extra(svg, X, Y, text) adds to it.
 */
export function plot({ width, height, x, y, label, lines, right = 90, left = 44, linear, extra }) {
  const bottom = 34, top = 20, [x0, x1] = x, [y0, y1] = y;
  const X = v => left + (width - left - right) * (linear ? (v - x0) / (x1 - x0) : log(v / x0) / log(x1 / x0)), Y = v => height - bottom - (height - bottom - top) * log(v / y0) / log(y1 / y0);
  const g = s('svg', { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': label });
  const text = (a, b, t, more = {}) => s('text', { x: a, y: b, fill: color('ink-3'), 'font-size': 11.5, 'font-weight': 500, ...more }, t);
  for (const t of y[2]) g.append(s('line', { x1: left, x2: width - right, y1: Y(t), y2: Y(t), stroke: color('grid') }), text(left - 8, Y(t) + 4, y[4](t), { 'text-anchor': 'end' }));
  for (const t of x[2]) g.append(text(X(t), height - bottom + 17, x[4](t), { 'text-anchor': 'middle' }));
  g.append(text(width - right, height - 3, x[3], { 'text-anchor': 'end', fill: color('ink-2') }), text(0, 10, y[3], { fill: color('ink-2') }));
  const ends = [];
  for (const l of lines) {
    const points = l.points.filter(p => p[1] >= y0);
    if (!points.length) continue;
    const d = points.map((p, i) => (i ? 'L' : 'M') + X(p[0]).toFixed(1) + ' ' + Y(p[1]).toFixed(1)).join('');
    if (l.area) g.append(s('path', { d: `${d}L${X(points.at(-1)[0])} ${height - bottom}L${X(points[0][0])} ${height - bottom}Z`, fill: color(l.token), opacity: .06 }));
    g.append(s('path', { d, fill: 'none', stroke: color(l.token), 'stroke-width': l.thin ? 1.5 : 2.75, 'stroke-linejoin': 'round', 'stroke-linecap': 'round', 'stroke-dasharray': l.dash ? '2 6' : false, opacity: l.opacity ?? 1 }));
    if (l.dots) for (const p of points) g.append(mark(l.token, X(p[0]), Y(p[1]), 3.4));
    if (l.label) ends.push({ x: X(points.at(-1)[0]) + 9, y: Y(points.at(-1)[1]) + 4, l });
  }
  ends.sort((a, b) => b.y - a.y).forEach((e, i) => {
    const under = ends[i - 1], wide = under && 8 * (under.x < e.x ? under : e).l.label.length; // about, in pixels
    if (under && under.y - e.y < 16 && Math.abs(e.x - under.x) < wide) e.y = under.y - 16;
    g.append(text(e.x, e.y, e.l.label, { fill: color(e.l.token + '-ink'), 'font-size': 13, 'font-weight': 620, class: 'halo' }));
  });
  extra?.(g, X, Y, text);
  return g;
}
