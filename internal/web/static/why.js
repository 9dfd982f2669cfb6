// Chapter Why: from which size the GPU wins, the roof over each device, and where the time of a product goes.
import { bytes, chip, color, dataTable, h, median, num, onWidth, play, rate, s, showBadge } from './util.js';
import { told } from './client.js';
import { mark, plot, ticks } from './plot.js';
import { History } from './race-history.js';
import { RaceRun } from './race-run.js';

const verified = r => r.verified ?? (!r.error && r.check?.passed !== false && (r.samples ?? []).length > 0);
const flop = g => 2 * g.m * g.n * g.k, square = g => g.m === g.n && g.n === g.k;
const speed = r => r.speed?.value ?? (r.samples?.length ? median(r.samples.map(x => flop(r.gemm) * x.iters / x.wall_ns * 1e9)) : NaN);
const sizesOf = { float64: 8, float32: 4, tf32: 4, float16: 2, bfloat16: 2, int8: 1 };

/** Operations for each byte of A, B and C. */
const intensity = g => flop(g) / ((g.m * g.k + g.k * g.n + g.m * g.n) * (sizesOf[g.in] ?? 4));

/** The fastest verified result of each kind of device at each size: {cpu: [[n, result], …], gpu: …}. */
function best(results) {
  const out = { cpu: new Map(), gpu: new Map() };
  for (const r of results) {
    const list = out[r.device.kind];
    if (!list || !verified(r) || !(r.samples ?? []).length || !square(r.gemm)) continue;
    const now = list.get(r.gemm.n);
    if (!now || speed(r) > speed(now)) list.set(r.gemm.n, r);
  }
  const sorted = m => [...m].sort((a, b) => a[0] - b[0]);
  return { cpu: sorted(out.cpu), gpu: sorted(out.gpu) };
}

/** Where the time of a result's round trips goes, as medians in ns; null where none was timed. */
function tripOf(r) {
  const list = r.round_trips ?? [], of = part => median(list.map(part));
  if (!list.length) return null;
  const split = list.every(t => t.device_ns > 0 && t.device_ns <= t.product_ns);
  return {
    split, in: of(t => t.in_ns), launch: split ? of(t => t.product_ns - t.device_ns) : 0, compute: of(t => split ? t.device_ns : t.product_ns), out: of(t => t.out_ns),
    total: of(t => t.in_ns + t.product_ns + t.out_ns),
  };
}

/** The GPU's shortest round trip at each size: [[n, result, trip], …]. */
function trips(results) {
  const out = new Map();
  for (const r of results) {
    const trip = r.device.kind === 'gpu' && verified(r) && square(r.gemm) ? tripOf(r) : null;
    if (trip && !(out.get(r.gemm.n)?.[2].total <= trip.total)) out.set(r.gemm.n, [r.gemm.n, r, trip]);
  }
  return [...out.values()].sort((a, b) => a[0] - b[0]);
}

/** The same of its samples, without copies, by the device's own clock; null where it has none. */
function clocked(r) {
  const list = r.samples.filter(x => x.device_ns > 0 && x.device_ns <= x.wall_ns);
  if (!list.length) return null;
  const total = median(list.map(x => x.wall_ns / x.iters)), compute = median(list.map(x => x.device_ns / x.iters));
  return { split: true, launch: total - compute, compute, total };
}

/** The library that computed a result. */
const by = r => [r.device.library, r.device.api].filter(Boolean).join(' ');

/** A time in ns, for people. */
const time = ns => ns < 1e6 ? `${num(ns / 1e3)} µs` : `${num(ns / 1e6)} ms`;

/** The power of ten below or above x: decade(Math.floor, x). */
const decade = (round, x) => 10 ** round(Math.log10(x));

/** The unit of an axis up to a speed, and how its ticks are written. */
function axis(most, op = 'FLOP') {
  const [unit, name] = most >= 1e12 ? [1e12, 'T'] : [1e9, 'G'];
  return [`${name}${op}/s`, v => num(v / unit)];
}

export function why(section, client) {
  let results = [], crossing = null, withCopies = null, copiesSay = '', head = null, roofs = null, race = null, live = false;

  const go = h('button.go', { id: 'why-go' }, play(), h('span', 'Sweep')), badge = h('span.badge');
  const roofGo = h('button', { id: 'roof-go' }, 'Measure the CPU’s roofline');
  const sweepBox = h('div.figure'), roofBox = h('div.figure'), splitBox = h('div.split');
  const sweepSay = h('p'), roofSay = h('p'), parts = h('div.panel.parts');
  const partsKey = h('span.key'), partsChip = chip('', ''), partsSay = h('p');
  const sweepTable = dataTable('Data of the sweep', ['n', 'CPU', 'by', 'GPU', 'by'], []), partsTable = dataTable('Data of the parts', ['n', 'copy in', 'launch and wait', 'compute', 'copy out', 'in all', 'by'], []), roofTable = dataTable('Data of the rooflines', ['what', 'operations per byte', 'speed'], []);
  const roofChips = h('span.acts');
  const stage = { run: null, at: () => stage.run.end }, sensors = new History(stage), watched = h('div.panel', { hidden: true }, sensors.element);
  section.append(
    h('div.head', h('h2', 'What makes the difference'), h('p', 'Two pictures explain most results: how large a product must be, and how often each number is used once it has been read from memory.'), h('div.acts', badge, go)),
    h('div.two',
      h('div.panel.plot', h('h3', 'From which size the GPU wins'), sweepSay, sweepBox, h('div.foot', chip('', 'measured'), sweepTable)),
      h('div.panel.plot', h('h3', 'The roofline of each device'), roofSay, roofBox, h('div.foot', roofChips, roofGo, roofTable))),
    parts, watched);
  parts.append(h('header', h('h3', 'Where the time of one product goes, on the GPU'), partsKey, partsChip), splitBox, h('div.foot', partsSay, partsTable));

  function drawSweep() {
    const width = sweepBox.clientWidth || 540, narrow = width < 420, { cpu, gpu } = best(results), all = [...cpu, ...gpu];
    sweepBox.classList.toggle('empty', !all.length);
    if (!all.length) {
      sweepBox.replaceChildren(h('p.empty', live ? 'The first size is being measured.' : 'A sweep measures products from small to large, on the CPU and on the GPU, until it is clear from which size one of them wins.'));
      sweepSay.textContent = '';
      sweepTable.fill([]);
      return;
    }
    const ns = all.map(([n]) => n), speeds = all.map(([, r]) => speed(r));
    const x0 = Math.min(...ns), x1 = Math.max(...ns, 2 * x0), y0 = decade(Math.floor, Math.min(...speeds)), y1 = decade(Math.ceil, Math.max(...speeds) * 1.01);
    const line = (token, list) => ({ token, dots: true, label: token.toUpperCase(), points: list.map(([n, r]) => [n, speed(r)]) });
    const op = results[0].gemm.in === 'int8' ? 'OP' : 'FLOP', [unit, tick] = axis(y1, op);
    sweepBox.replaceChildren(plot({
      width, height: narrow ? 300 : 372, right: 54, left: 44, label: 'Speed against size, CPU and GPU',
      x: [x0, x1, ticks(x0, x1, narrow ? 4 : 2), 'n, of n × n matrices', String], y: [y0, y1, ticks(y0, y1), `${unit}, ${results[0].gemm.in}`, tick],
      lines: [line('cpu', cpu), line('gpu', gpu)],
      extra(g, X, Y, text) {
        const from = (n, ink, dash, ...says) => {
          const x = X(n), left = x > width - 130; // the longest text has 120 pixels
          g.append(s('line', { x1: x, x2: x, y1: 20, y2: Y(y0), stroke: color(ink), 'stroke-width': 1.25, 'stroke-dasharray': dash }));
          for (const [y, what, look] of says) g.append(text(x + (left ? -7 : 7), y, what, { class: 'halo', 'text-anchor': left ? 'end' : 'start', fill: color('ink-2'), ...look }));
        };
        if (crossing?.from && crossing.below) g.append(s('rect', { x: X(crossing.below), width: X(crossing.from) - X(crossing.below), y: 20, height: Y(y0) - 20, fill: color('ink'), opacity: .05 }));
        if (withCopies?.from) from(withCopies.from, 'ink-3', '1.5 4', [32, `with copies: n = ${withCopies.from}`]);
        if (crossing?.from) from(crossing.from, 'ink', '3 3', [Y(y0) - 24, `n = ${crossing.from}`, { fill: color('ink'), 'font-size': 14, 'font-weight': 680 }], [Y(y0) - 9, 'from here on']);
      },
    }));
    sweepSay.textContent = head ? `${head.Figure}${head.Unit ? ' ' + head.Unit : ''}: ${head.Claim}.` : live ? 'Each size is a race of its own.' : '';
    sweepTable.fill([...new Set(ns)].sort((a, b) => a - b).map(n => {
      const c = cpu.find(p => p[0] === n)?.[1], g = gpu.find(p => p[0] === n)?.[1];
      return [String(n), c ? rate(speed(c), op).join(' ') : '–', c ? by(c) : '–', g ? rate(speed(g), op).join(' ') : '–', g ? by(g) : '–'];
    }));
  }

  /** The measured roofs of the CPU in float32, with all of its threads. */
  function cpuRoof() {
    if (!roofs) return null;
    const most = list => list.reduce((a, b) => b.threads > (a?.threads ?? 0) ? b : a, null);
    const peak = most(roofs.peaks.filter(p => p.dtype === 'float32')), memory = most(roofs.bandwidths.filter(b => b.place === 'memory'));
    if (!peak || !memory) return null;
    return { peak: Math.max(...peak.ops), bandwidth: Math.max(median(memory.read), median(memory.triad)), threads: peak.threads };
  }

  function drawRoof() {
    const width = roofBox.clientWidth || 540, narrow = width < 420, cpu = cpuRoof(), rows = [];
    const points = [...best(race?.results ?? []).cpu, ...best(race?.results ?? []).gpu, ...best(results).cpu, ...best(results).gpu].filter(([, r]) => r.gemm.in === 'float32')
      .map(([n, r]) => ({ name: `${n}³`, token: r.device.kind === 'cpu' ? 'cpu' : 'gpu', x: intensity(r.gemm), y: speed(r), published: r.facts?.published }));
    const published = Math.max(0, ...points.map(p => p.published ?? 0));
    roofGo.hidden = Boolean(cpu);
    roofChips.replaceChildren(...[points.length > 0 && chip('', 'points measured'), cpu && chip('', 'CPU roof measured'), published > 0 && chip('spec', 'dotted: GPU, published')].filter(Boolean));
    if (!cpu && !points.length) {
      roofBox.replaceChildren(h('p.empty', 'The roofline is the speed that multiply-adds alone and memory alone allow. Measuring it takes some seconds.'));
      roofSay.textContent = '';
      roofTable.fill([]);
      return;
    }
    const ys = [...points.map(p => p.y), cpu?.peak, published].filter(y => y > 0);
    const x0 = .1, x1 = Math.max(1000, ...points.map(p => p.x * 2)), y1 = decade(Math.ceil, Math.max(...ys) * 1.05), y0 = decade(Math.floor, Math.min(...ys, cpu ? x0 * cpu.bandwidth : Infinity));
    const lines = [], [unit, tick] = axis(y1);
    if (cpu) {
      const ridge = cpu.peak / cpu.bandwidth;
      lines.push({ token: 'cpu', area: true, points: [[x0, x0 * cpu.bandwidth], [ridge, cpu.peak], [x1, cpu.peak]] });
      rows.push(['CPU, multiply-adds alone', '–', rate(cpu.peak).join(' ')], ['CPU, memory alone', '–', bytes(cpu.bandwidth) + '/s']);
    }
    roofBox.replaceChildren(plot({
      width, height: narrow ? 300 : 372, right: 18, left: 44, label: 'Speed against operations per byte, with rooflines',
      x: [x0, x1, ticks(x0, x1), 'operations per byte of the matrices', v => num(v)], y: [y0, y1, ticks(y0, y1), `${unit}, float32`, tick], lines,
      extra(g, X, Y, text) {
        if (cpu) {
          g.append(text(X(x1), Y(cpu.peak) - 7, `CPU ${rate(cpu.peak).join(' ')}`, { 'text-anchor': 'end', fill: color('cpu-ink'), 'font-weight': 600, 'font-size': 12.5, class: 'halo' }));
          const a = X(.3), b = Y(.3 * cpu.bandwidth) - 9, turn = -Math.atan2(Y(1) - Y(10), X(10) - X(1)) * 180 / Math.PI;
          g.append(text(a, b, bytes(cpu.bandwidth) + '/s', { fill: color('cpu-ink'), 'font-weight': 600, 'font-size': 12.5, transform: `rotate(${turn} ${a} ${b})` }));
        }
        if (published > 0) g.append(s('line', { x1: X(1), x2: X(x1), y1: Y(published), y2: Y(published), stroke: color('gpu'), 'stroke-width': 1.5, 'stroke-dasharray': '1.5 4' }), text(X(1), Y(published) - 6, `GPU, published ${rate(published).join(' ')}`, { fill: color('gpu-ink') }));
        const named = new Set();
        for (const p of points.sort((a, b) => b.x - a.x || b.y - a.y)) {
          g.append(mark(p.token, X(p.x), Y(p.y), 5));
          rows.push([`${p.token.toUpperCase()}, ${p.name}`, num(p.x), rate(p.y).join(' ')]);
          if (named.has(p.token)) continue;
          named.add(p.token);
          g.append(text(X(p.x) + 6, Y(p.y) - 11, `${p.token.toUpperCase()} ${p.name}`, { fill: color('ink'), 'font-weight': 600, 'text-anchor': 'end', class: 'halo' }));
        }
      },
    }));
    roofSay.textContent = cpu ? `Left of the bend, at ${num(cpu.peak / cpu.bandwidth, 2)} operations per byte, memory limits this CPU; right of it, arithmetic does. A language model that generates text for one user is far to the left.` : 'Each point is a product: how often its numbers are used, and how fast it was.';
    roofTable.fill(rows);
  }

  /** A product's time as one bar, its parts to scale: [[what, ns, opacity], …]. */
  function bar(n, list, said) {
    const total = list.reduce((sum, [, ns]) => sum + ns, 0), percent = ns => Math.round(100 * ns / total);
    let x = 0;
    const pieces = list.map(([, ns, opacity], i) => {
      const at = x, wide = 300 * ns / total;
      x += wide;
      return s('rect', { x: at, width: Math.max(0, wide - (i < list.length - 1 ? .8 : 0)), height: 22, fill: color('gpu'), opacity });
    });
    return h('div', h('p', h('b', `${n}³`), h('span', said(percent))),
      s('svg', { viewBox: '0 0 300 22', preserveAspectRatio: 'none', height: 22, width: '100%', role: 'img', 'aria-label': list.map(([what, ns]) => `${what} ${percent(ns)} %`).join(', ') }, pieces));
  }

  function drawParts() {
    const carried = trips(results), copies = carried.length > 0;
    const list = copies ? carried : best([...results, ...(race?.results ?? [])]).gpu.map(([n, r]) => [n, r, clocked(r)]).filter(([, , t]) => t);
    const three = list.length > 3 ? [list[0], list[list.length >> 1], list.at(-1)] : list;
    parts.hidden = !list.length;
    partsKey.replaceChildren(...[['k1', 'copy in and out'], ['k2', 'launch and wait'], ['k3', 'compute']].slice(copies ? 0 : 1).map(([kind, text]) => h('span', h('i.' + kind), text)));
    partsChip.textContent = copies ? 'each part measured, each result checked' : 'measured by the device’s own clock';
    partsSay.textContent = copies ? copiesSay : '';
    splitBox.replaceChildren(...three.map(([n, , t]) => bar(n,
      [copies && ['copying in', t.in, .28], t.split && ['launching and waiting', t.launch, .55], ['computing', t.compute, 1], copies && ['copying out', t.out, .28]].filter(Boolean),
      percent => copies ? `copies ${percent(t.in + t.out)} % of ${time(t.total)}` : `computing ${percent(t.compute)} % of ${time(t.total)}`)));
    partsTable.fill(list.map(([n, r, t]) => [String(n), copies ? time(t.in) : '–', t.split ? time(t.launch) : 'in compute', time(t.compute), copies ? time(t.out) : '–', time(t.total), by(r)]));
  }

  function draw() {
    drawSweep();
    drawRoof();
    drawParts();
    watched.hidden = !stage.run?.sensors.size;
    if (!watched.hidden) sensors.canvas.paint();
  }

  function state() {
    section.dataset.mode = live ? 'live' : results.length ? 'done' : 'idle';
    showBadge(badge, section.dataset.mode);
    go.lastChild.textContent = live ? 'Stop' : results.length ? 'Sweep again' : 'Sweep';
    go.disabled = Boolean(client.current) && client.current.kind !== 'sweep';
    roofGo.disabled = Boolean(client.current);
  }

  async function sweep(id) {
    const v = await client.result('sweep', id);
    if (v) {
      results = v.run.results ?? [];
      [crossing, withCopies, head] = [v.run.crossing, v.run.crossing_with_copies, v.headline];
      stage.run = RaceRun.of(v.run);
      stage.run.phases = [];
      for (const r of results) if (r.samples?.length) size(r, r.samples[0].start_ns);
      copiesSay = withCopies ? v.run.sentences?.find(text => text.includes('copies')) ?? '' : '';
    }
    draw();
    state();
  }

  const size = ({ gemm }, ns) => stage.run.phase(`${gemm.n}³`, ns / 1e6);
  client.on('sweep', e => {
    if (e.at_ns && e.type !== 'phase') stage.run?.take(e);
    switch (e.type) {
      case 'prepared': if (stage.run) size(e.data, e.at_ns); return;
      case 'run': stage.run = new RaceRun(); results = []; crossing = withCopies = head = null; copiesSay = ''; live = true; break;
      case 'result': results = [...results, e.data]; break;
      case 'end':
        live = false;
        if (e.data.result) { sweep(e.data.result); return; }
        sweepSay.textContent = e.data.error?.message ?? '';
        break;
      default: return;
    }
    draw();
    state();
  });
  client.on('cpu', async e => {
    if (e.type === 'end') roofs = (await client.result('cpu', e.data.result))?.run.cpu ?? null;
    if (e.type === 'end' || e.type === 'run') { draw(); state(); }
    if (e.type === 'run') roofSay.textContent = 'Measuring the CPU, which takes some seconds.';
  });
  client.on('race', async e => {
    if (e.type === 'end' && e.data.result) { race = (await client.result('race', e.data.result))?.run; draw(); }
    if (e.type === 'run' || e.type === 'end' || e.type === 'idle') state();
  });
  const start = async (kind, settings, into) => {
    try { await client.start(kind, settings); } catch (e) { into.textContent = told(e); }
  };
  go.onclick = () => client.has('sweep') ? client.stop() : start('sweep', {}, sweepSay);
  roofGo.onclick = () => { if (!client.has('cpu')) start('cpu', {}, roofSay); };

  onWidth(sweepBox, draw);
  return Promise.all([sweep(), client.result('cpu').then(v => { roofs = v?.run.cpu ?? null; }), client.result('race').then(v => { race = v?.run ?? null; })]).then(() => { draw(); state(); });
}
