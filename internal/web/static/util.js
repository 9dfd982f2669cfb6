// What all chapters share: elements without markup from strings (the content policy allows none),
// canvases that fit their box, themes, and one way to draw frames.

function build(create, named, parts) {
  const [tag, ...classes] = named.split('.'), e = create(tag);
  if (classes.length) e.setAttribute('class', classes.join(' '));
  if (parts[0]?.constructor === Object) {
    for (const [name, value] of Object.entries(parts.shift())) {
      if (value === false || value == null) continue;
      if (name.startsWith('on')) e.addEventListener(name.slice(2), value);
      else e.setAttribute(name, value === true ? '' : value);
    }
  }
  e.append(...parts.flat(3).filter(c => c != null && c !== false));
  return e;
}

/** An HTML element: h('p.note', { onclick: f }, 'text', child); its attributes may be left out. */
export const h = (name, ...parts) => build(tag => document.createElement(tag), name, parts);
/** An SVG element. */
export const s = (name, ...parts) => build(tag => document.createElementNS('http://www.w3.org/2000/svg', tag), name, parts);
/** Sets the text of an element. The same text again costs nothing; set anyway, it would be laid out again. */
export const put = (element, text) => { if (element.textContent !== text) element.textContent = text; };
export const $ = (selector, root = document) => root.querySelector(selector);

export const clamp = (x, least, most) => x < least ? least : x > most ? most : x;

/** A seeded generator of numbers in [0, 1) (mulberry32). */
export const rng = seed => () => {
  seed = seed + 0x6d2b79f5 | 0;
  let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
  t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
  return ((t ^ t >>> 14) >>> 0) / 4294967296;
};

export function median(list) {
  if (!list.length) return NaN;
  const sorted = Float64Array.from(list).sort(), m = sorted.length >> 1;
  return sorted.length % 2 ? sorted[m] : (sorted[m - 1] + sorted[m]) / 2;
}

/** The number of elements of a sorted array that are not above x. */
export function upper(sorted, x, length = sorted.length) {
  let low = 0, high = length;
  while (low < high) {
    const m = low + high >> 1;
    if (sorted[m] <= x) low = m + 1; else high = m;
  }
  return low;
}

const minus = text => text.replace('-', '−');
/** A number for people: three significant digits. */
export const num = (x, digits = 3) => !Number.isFinite(x) ? '–' : x === 0 ? '0'
  : Math.abs(x) >= 10 ** digits ? count(x) : minus(String(+x.toPrecision(digits)));
/** A whole number for people. */
export const count = n => Math.round(n).toLocaleString('en');
export const fix = (x, decimals = 2) => Number.isFinite(x) ? minus(x.toFixed(decimals)) : '–';

/** A speed in FLOP/s as the command line writes it: ['1.54', 'TFLOP/s'], three significant digits. */
export function rate(speed, op = 'FLOP') {
  if (!(speed > 0) || !Number.isFinite(speed)) return ['–', `T${op}/s`];
  let [unit, name] = [1, ''];
  for (const [u, n] of [[1e3, 'k'], [1e6, 'M'], [1e9, 'G'], [1e12, 'T'], [1e15, 'P']]) if (speed >= u * .9995) [unit, name] = [u, n];
  const x = speed / unit;
  return [x >= 99.95 ? x.toFixed(0) : x >= 9.995 ? x.toFixed(1) : x.toFixed(2), `${name}${op}/s`];
}

/** Bytes with a decimal prefix. */
export function bytes(n) {
  for (const [u, name] of [[1e12, 'TB'], [1e9, 'GB'], [1e6, 'MB'], [1e3, 'kB']]) if (n >= u) return `${num(n / u)} ${name}`;
  return `${n} B`;
}

// Themes. What is drawn on a canvas or as SVG asks for colours by name and draws again.

const themed = new Set();
let colours = {};
/** The value of a design token: color('gpu'). */
export const color = name => colours[name] ??= getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
export const rgb = text => {
  const m = text.match(/^#(..)(..)(..)$/);
  return m ? m.slice(1).map(x => parseInt(x, 16)) : [128, 128, 128];
};
export const isDark = () => document.documentElement.dataset.theme === 'dark';
/** Calls draw now, and whenever the theme changes. */
export const onTheme = draw => { themed.add(draw); draw(); };
/** Calls draw now, and whenever the theme or the width of an element changes; drawing may change its height. */
export function onWidth(element, draw) {
  let width = 0;
  new ResizeObserver(([e]) => {
    if (e.contentRect.width === width) return;
    width = e.contentRect.width;
    requestAnimationFrame(draw);
  }).observe(element);
  onTheme(draw);
}
export function setTheme(name) {
  document.documentElement.dataset.theme = name;
  colours = {};
  for (const draw of themed) draw();
}

/** Reduced motion: two visual updates a second, nothing flies, the numbers are the same. */
export const motion = { reduced: matchMedia('(prefers-reduced-motion: reduce)').matches };

/**
 * A canvas whose pixels follow its box. draw(context, width, height) draws in CSS pixels; paint()
 * draws again.
 */
export function canvas(element, draw) {
  const context = element.getContext('2d');
  const c = {
    element, context, width: 0, height: 0, ratio: 1, resized: null,
    paint() {
      if (!c.width) return;
      context.setTransform(c.ratio, 0, 0, c.ratio, 0, 0);
      context.clearRect(0, 0, c.width, c.height);
      draw(context, c.width, c.height);
    },
  };
  new ResizeObserver(() => {
    const box = element.getBoundingClientRect();
    if (!box.width) return;
    c.ratio = Math.min(2, devicePixelRatio || 1);
    [c.width, c.height] = [box.width, box.height];
    element.width = Math.round(box.width * c.ratio);
    element.height = Math.round(box.height * c.ratio);
    c.resized?.();
    c.paint();
  }).observe(element);
  onTheme(() => c.paint());
  return c;
}

/** Draws a line through points. */
export function line(context, points, ink, width, dash = []) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  Object.assign(context, { strokeStyle: ink, lineWidth: width });
  context.setLineDash(dash);
  context.stroke();
  context.setLineDash([]);
}
/** Draws a disc, which stays the path. */
export function disc(context, x, y, radius, ink) {
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.fillStyle = ink;
  context.fill();
}
/** Writes a text in the page's font: label(context, 'text', x, y, '500 11px', 'ink-3', 'center'). */
export function label(context, text, x, y, font, ink, textAlign = 'left', textBaseline = 'alphabetic') {
  Object.assign(context, { font: `${font} ${color('font')}`, fillStyle: color(ink), textAlign, textBaseline });
  context.fillText(text, x, y);
}

/** What tests count: frames in which something was drawn, and what listens for the theme. */
export const frames = { drawn: 0, at: 0, get themed() { return themed.size; } };

const half = ms => Math.floor(ms / 500);
/** Calls draw(now) for each frame between start() and stop(); with reduced motion once in each half second, for all loops in the same frame. */
export function loop(draw) {
  let on = false, last = 0;
  const tick = now => {
    if (!on) return;
    requestAnimationFrame(tick);
    if (motion.reduced && half(now) === last) return;
    last = half(now);
    if (frames.at !== now) frames.drawn++;
    frames.at = now;
    draw(now);
  };
  return {
    start() { if (!on) { on = true; last = half(performance.now()); requestAnimationFrame(tick); } },
    stop() { on = false; },
    get on() { return on; },
  };
}

/** A function that has draw called once, in the next frame of a loop, however often it is called until then. */
export function soon(draw) {
  const once = loop(() => { once.stop(); draw(); });
  return once.start;
}

/** Calls f once, when an element reaches the middle third of the window, however tall it is. */
export const whenSeen = (element, f) => new IntersectionObserver((entries, o) => {
  if (entries.some(e => e.isIntersecting)) { o.disconnect(); f(); }
}, { rootMargin: '-33% 0px' }).observe(element);

// Controls.

/** A choice of a few: choice([[value, 'text'], …], value, chosen => …, 'Label'). Its set(value) shows another one. */
export function choice(items, current, chosen, label) {
  const group = h('div.seg', { role: 'group', 'aria-label': label });
  group.set = value => { for (const b of group.children) b.setAttribute('aria-pressed', b.dataset.value === String(value)); };
  for (const [value, text] of items) {
    group.append(h('button', { 'data-value': value, onclick: () => { group.set(value); chosen(value); } }, text));
  }
  group.set(current);
  return group;
}

/** A list to choose from, with its label; values are names, or [value, 'text']. */
export function select(label, items, current, chosen) {
  const list = h('select', { onchange: () => chosen(list.value) }, items.map(i => [i].flat()).map(([value, text = value]) => h('option', { value: String(value), selected: String(value) === String(current) }, text)));
  return h('label.pick', h('span', label), list);
}
/** A figure above its name: [the element, the element of the figure]. */
export function stat(name) {
  const figure = h('b', '–');
  return [h('div', figure, name), figure];
}

/** Where a number comes from: '' measured, 'modelled', 'spec', 'web', 'soft', 'bad', 'ok'. */
export const chip = (kind, text) => h('span', { class: 'chip ' + kind }, text);

/** Marks what is seen as measured now, or as a replay: mode is 'live', 'replay', or another for neither. */
export function showBadge(badge, mode, text = { live: '● LIVE', replay: '↻ REPLAY' }[mode] ?? '') {
  badge.className = `badge ${mode}`;
  put(badge, text);
}

export const play = () => s('svg', { viewBox: '0 0 16 16', 'aria-hidden': 'true' }, s('path', { d: 'M4 2.5v11l9-5.5z' }));

/** The table behind a picture, which can be opened: heads, and rows as arrays of strings. */
export function dataTable(title, heads, rows) {
  const body = h('tbody');
  const d = h('details.data', h('summary', title),
    h('div.scroll', { tabindex: '0', role: 'region', 'aria-label': title }, h('table', h('thead', h('tr', heads.map(t => h('th', { scope: 'col' }, t)))), body)));
  d.fill = list => body.replaceChildren(...list.map(row => h('tr', row.map((t, i) => i ? h('td', t) : h('th', { scope: 'row' }, t)))));
  d.fill(rows);
  return d;
}
