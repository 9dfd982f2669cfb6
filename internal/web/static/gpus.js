// Chapter Many GPUs: what each card of a training holds and sends, and how long a step takes. Solid is measured,
// hatched is modelled. It is here once such a run is kept.
import { bytes, chip, choice, color, dataTable, h, isDark, median, num, onWidth, s } from './util.js';

/** What each of n cards sends so that all have the sum of the gradients. */
const allReduce = (held, n) => 2 * (n - 1) / n * held.gradients;
/** How the work is split, in words, and what a card sends in a step: bytes, by the messages that it takes. */
const ways = {
  dp: { name: 'Data, sum at the end', how: 'Each card holds the whole model and a part of the batch. After the backward pass, they sum their gradients.', what: 'gradients', send: allReduce },
  ddp: { name: 'Data', how: 'Each card holds the whole model and a part of the batch. During the backward pass, they sum the gradients that are ready.', what: 'gradients', send: allReduce },
  fsdp: { name: 'Sharded', how: 'Each card keeps a part of all weights, gradients and optimizer state, and fetches the rest of a block just before it is needed.', what: 'weights, gradients', send: (held, n) => 3 * (n - 1) * held.weights },
  tp: { name: 'Tensor', how: 'Each weight matrix is divided. All cards work on the same sequences, and sum their results after each half of a block.', what: 'activations' },
  pp: { name: 'Pipeline', how: 'Each card has some of the blocks. The batch passes through in microbatches; at its start and at its end, some cards wait.', what: 'activations' },
};
const parts = [['weights', 1], ['gradients', .74], ['optimizer', .5], ['activations', .3]];

/** The strategies of a run that have figures, in the world of most cards. */
function measured(scaling) {
  const world = (scaling.worlds ?? []).filter(w => w.ranks > 1 && w.steps?.length).sort((a, b) => b.ranks - a.ranks)[0];
  if (!world) return null;
  const list = world.steps.filter(x => ways[x.strategy] && !x.error && x.seconds?.length).map(x => {
    const held = { ...(x.held?.[0] ?? { weights: 0, gradients: 0, optimizer: 0 }) }, total = held.weights + held.gradients + held.optimizer;
    if (x.peak?.length) held.activations = Math.max(0, x.peak[0] - total);
    const step = median(x.seconds), way = ways[x.strategy], lived = x.timeline?.[0];
    return { strategy: x.strategy, way, held, step, send: way.send?.(held, world.ranks), exposed: lived ? Math.max(0, lived.communicate.busy - lived.hidden) : NaN };
  });
  return list.length ? { world, list } : null;
}

function draw(box, world, d, width) {
  const narrow = width < 600, height = narrow ? 344 : 372, n = Math.min(world.ranks, narrow ? 4 : 8), gap = narrow ? 10 : n > 4 ? 48 : 96, card = (width - gap * (n - 1)) / n, top = 34, base = height - 74;
  const held = parts.map(([name]) => [name, d.held[name] ?? 0]), total = held.reduce((sum, [, b]) => sum + b, 0), scale = (base - top) / Math.max(total * 1.08, d.send ?? 0, 1);
  const g = s('svg', { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': `${d.way.name}: each card holds ${bytes(total)}${d.send ? `, and sends ${bytes(d.send)} a step, modelled` : ''}; a step takes ${num(d.step * 1000)} ms` });
  const text = (x, y, t, more = {}) => s('text', { x, y, fill: color('ink-2'), 'font-size': narrow ? 10.5 : 12.5, 'font-weight': 500, 'text-anchor': 'middle', ...more }, t);
  const rect = (x, y, width, height, more) => s('rect', { x, y, width, height, rx: 4, fill: color('gpu'), ...more });
  g.append(s('defs', s('pattern', { id: 'hatch', width: 7, height: 7, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' }, s('rect', { width: 7, height: 7, fill: color('ink-2'), opacity: .1 }), s('rect', { width: 2.2, height: 7, fill: color('ink-2') }))));
  for (let i = 0; i < n; i++) {
    const x = i * (card + gap);
    let y = base;
    g.append(rect(x + .5, top - 4, card - 1, base - top + 8, { rx: 10, fill: color('sunken'), stroke: color('line-2') }), text(x + card / 2, top - 14, `${world.backend === 'gloo' ? 'rank' : 'GPU'} ${i}`, { fill: color('ink'), 'font-weight': 620, 'font-size': 13 }));
    held.forEach(([name, b], k) => {
      const tall = b * scale, opacity = parts[k][1];
      if (!(tall > 0)) return;
      y -= tall;
      g.append(rect(x + 4, y + 1, card - 8, Math.max(1, tall - 2), { opacity }));
      if (tall > 15) g.append(text(x + card / 2, y + tall / 2 + 4.5, narrow || card < 120 ? name : `${name}  ${bytes(b)}`, { fill: opacity > .9 ? (isDark() ? '#0a0c13' : '#ffffff') : color('ink'), 'font-weight': 600 }));
    });
    if (i < n - 1 && !narrow && d.send) { // what goes to the next card, its height to the same scale of bytes
      const tall = Math.max(2, d.send * scale), flare = tall > 24 ? 0 : 6, middle = (base + top) / 2, x0 = x + card, x1 = x0 + gap;
      g.append(s('path', { d: `M${x0 + 5} ${middle - tall / 2}H${x1 - 16}V${middle - tall / 2 - flare}L${x1 - 5} ${middle}L${x1 - 16} ${middle + tall / 2 + flare}V${middle + tall / 2}H${x0 + 5}Z`, fill: 'url(#hatch)', stroke: color('ink-2'), 'stroke-dasharray': '4 3' }), text(x0 + gap / 2, middle - tall / 2 - 14, bytes(d.send), { fill: color('ink'), 'font-weight': 650 }));
    }
  }
  const y = height - 40, all = d.step * 1.2, bar = width * d.step / all, exposed = d.exposed >= 0 ? width * Math.min(d.exposed, d.step) / all : 0;
  g.append(text(0, y - 8, 'one step', { 'text-anchor': 'start' }), rect(0, y, width, 18, { fill: color('sunken') }), rect(0, y, bar - exposed, 18));
  if (exposed > 1) g.append(rect(bar - exposed + 1, y, exposed - 1, 18, { fill: color('ink-2') }), text(bar, y + 34, 'sending, not hidden', { 'text-anchor': 'end' }));
  g.append(text(bar + 8, y + 14, `${num(d.step * 1000)} ms`, { 'text-anchor': 'start', fill: color('ink'), 'font-weight': 650 }));
  box.replaceChildren(g);
}

/** The chapter of a run's scaling part; headline is what judge says of the run. */
export function view(section, scaling, headline) {
  const m = measured(scaling);
  section.hidden = !m;
  if (!m) return;
  let now = m.list[0];
  const how = h('p'), box = h('div'), facts = h('div.facts');
  const fact = (figure, what, kind, source) => h('div', h('b', figure), what, h('br'), chip(kind, source));
  const { world } = m, table = dataTable('Data of the cards', ['split', 'step', 'weights', 'gradients', 'optimizer', 'activations', 'sent, modelled'],
    m.list.map(d => [d.way.name, `${num(d.step * 1000)} ms`, ...parts.map(([k]) => d.held[k] == null ? '–' : bytes(d.held[k])), d.send ? bytes(d.send) : '–']));
  function show() {
    draw(box, world, now, box.clientWidth || 1100);
    how.textContent = now.way.how;
    const total = parts.reduce((sum, [k]) => sum + (now.held[k] ?? 0), 0);
    facts.replaceChildren(...[
      fact(bytes(total), 'held by each card', '', 'measured'), now.send && fact(bytes(now.send), `sent by each in a step: ${now.way.what}`, 'modelled', 'modelled'),
      fact(`${num(now.step * 1000)} ms`, `a step of ${world.batch} sequences`, '', 'measured'),
      headline && fact(`${headline.Figure} ${headline.Unit}`, headline.Claim, ['', 'ok', 'bad'][headline.Trust], headline.Proof || 'measured'),
    ].filter(Boolean));
  }
  section.replaceChildren(h('div.head', h('h2', 'Many GPUs'), how, choice(m.list.map(d => [d.strategy, d.way.name]), now.strategy, k => { now = m.list.find(d => d.strategy === k); show(); }, 'How the work is split')),
    h('div.panel', h('div.pad', box), facts),
    h('div.foot', chip('', 'solid: measured'), chip('modelled', 'hatched: modelled'), scaling.rehearsal && chip('soft', 'a rehearsal: CPUs instead of GPUs'), h('span', `${scaling.model ? scaling.model + ', ' : ''}${scaling.dtype}, ${world.ranks} × ${world.devices?.[0] ?? 'card'}. Blocks and arrows are drawn to the same scale.`), table));
  onWidth(box, show);
}

export async function gpus(section, client) {
  section.hidden = true;
  const v = await client.result('scale');
  if (v?.run.scaling) view(section, v.run.scaling, v.headline);
}
