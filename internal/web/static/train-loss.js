// What the trainings of chapter Train share: the history of a loss, its plot and its table, and files to save.
import { count, dataTable, fix, h, num } from './util.js';
import { decode } from './mlp.js';
import { plot, ticks } from './plot.js';

export const STARTS = 'Other engines take some seconds to start.';

/** A history, [seconds, steps, loss] each, with one more place, and with every other one if there are many. */
export function keep(history, now) {
  if (now.steps && !now.diverged) history.push([now.busy_ns / 1e9, now.steps, now.loss]);
  return history.length > 600 ? history.filter((_, i) => i % 2 || i === history.length - 1) : history;
}

/** Steps a second of what a lane has learned. */
export const perSecond = now => now.steps / (now.busy_ns / 1e9);

/** The table of a training. table.show(lanes) fills it while it is open, once a second at most: a training tells of itself 25 times. */
export function lossTable() {
  const table = dataTable('Data of the training', ['engine', 'steps', 'seconds', 'loss', 'steps/s'], []);
  let shown = -Infinity, later = 0;
  table.show = lanes => {
    clearTimeout(later);
    if (!table.open) return;
    const wait = shown + 1000 - performance.now();
    if (wait > 0) { later = setTimeout(table.show, wait, lanes); return; }
    shown = performance.now();
    table.fill(lanes.flatMap(({ name, history }) => history.map(([t, n, l]) => [name, count(n), t.toPrecision(4), fix(l, 4), num(n / t)])));
  };
  return table;
}

function save(name, content) {
  const url = URL.createObjectURL(new Blob([content]));
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
/** Buttons that save the weights and programs of get(), and the run; lanes() are [engine, history]. */
export function takeAlong(name, get, lanes, problem) {
  const take = (label, file, content) => h('button', { onclick: () => get().then(e => save(name + file, content(e))).catch(e => { problem.textContent = e.message; }) }, label);
  return h('div.acts.exports', h('span', 'Take it with you:'),
    take('Weights', '.safetensors', e => decode(e.safetensors)), take('PyTorch', '_torch.py', e => e.torch), take('MLX', '_mlx.py', e => e.mlx),
    h('button', { onclick: () => save('training.csv', 'engine,steps,seconds,loss\n' + lanes().flatMap(([engine, history]) => history.map(([t, n, loss]) => `${engine},${n},${t},${loss}\n`)).join('')) }, 'The run'));
}

/** Draws the loss over the time that the steps took: lanes are {name, history, gpu, dash, token}. */
export function drawLoss(box, lanes) {
  const all = lanes.flatMap(l => l.history), losses = all.map(p => p[2]), end = Math.max(.002, ...all.map(p => p[0]));
  const low = 10 ** Math.floor(Math.log10(Math.max(1e-4, losses.length ? Math.min(...losses) : .5))), high = 1.05 * Math.max(1, ...losses);
  const [unit, name] = end < .2 ? [1e3, 'ms'] : [1, 'seconds'], step = [.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 20, 50].find(d => end / d <= 6) ?? 100;
  box.replaceChildren(plot({
    width: Math.max(300, box.clientWidth || 700), height: 200, left: 52, right: lanes.length > 1 ? 100 : 20, label: 'Loss over the time that the steps took', linear: true,
    x: [0, end, Array.from({ length: Math.floor(end / step) + 1 }, (_, i) => i * step), `${name} of steps`, t => num(t * unit)],
    y: [low, high, high > 10 * low ? ticks(low, high) : [1, 1.5, 2, 3, 4, 5, 7].map(t => t * low).filter(t => t <= high), 'loss', t => num(t)],
    lines: lanes.map(l => ({ token: l.token ?? (l.gpu ? 'gpu' : 'cpu'), dash: l.dash, points: l.history.map(p => [p[0], Math.max(low, p[2])]), label: lanes.length > 1 && l.name })),
  }));
}
