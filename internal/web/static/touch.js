// Chapter Touch. A map of the loss of a real network over a plane of its weights; each tile appears when
// the engine has computed it. Balls roll on it by six rules, with the gradient of the network itself,
// which this page computes for two coordinates (mlp.js).
import { $, h, s, canvas, chip, choice, clamp, color, count, dataTable, disc, fix, isDark, label, line, loop, motion, num, play, put, whenSeen } from './util.js';
import { OWN, settings } from './client.js';
import { MLP, checked, floats, rules } from './mlp.js';
import { LossMap } from './touch-map.js';

const SEA = '#0b1130', SEA_LINE = '#1b2452', NIGHT = '#060922';
const EDGE = 6; // network.Edge: a ball that is farther away has diverged
const MOST = 200; // steps
const PACE = 70; // ms a step: slow enough to follow

/** Each rule with its colour on the map, its line, the shape of its mark as an SVG path around 0, and its formula. */
const RULES = [
  { id: 'sgd', name: 'SGD', fill: '#ffffff', dash: [], shape: 'M1 0A1 1 0 1 1-1 0 1 1 0 1 1 1 0z', formula: 'θ ← θ − η ∇L(θ)' },
  { id: 'momentum', name: 'Momentum', fill: '#ffd84a', dash: [7, 5], shape: 'M0-1.25L1.25 0 0 1.25-1.25 0z', formula: 'm ← 0.9 m + ∇L(θ),  θ ← θ − η m' },
  { id: 'nesterov', name: 'Nesterov', fill: '#ffa6e7', dash: [9, 4, 2, 4], shape: 'M-1-1H1V1H-1z', formula: 'm ← 0.9 m + ∇L(θ),  θ ← θ − η (∇L + 0.9 m)' },
  { id: 'rmsprop', name: 'RMSProp', fill: '#a8f06e', dash: [3, 4], shape: 'M0 1.3L1.2-.9H-1.2z', formula: 'θ ← θ − η ∇L(θ) / (√v + ε)' },
  { id: 'adam', name: 'Adam', fill: '#ff7a66', dash: [1.5, 4.5], shape: 'M0-1.3L1.2.9H-1.2z', formula: 'θ ← θ − η m̂ / (√v̂ + ε)' },
  { id: 'muon', name: 'Muon', fill: '#6fe3ff', dash: [12, 4], shape: 'M0-1.4L.36-.5 1.33-.43.59.19.82 1.13 0 .62-.82 1.13-.59.19-1.33-.43-.36-.5z', formula: 'θ ← θ − η NS₅(m),  |NS₅| ≈ 1' },
];

const ruleOf = id => RULES.find(r => r.id === id);

/** Draws a rule's mark on the map. */
function mark(context, rule, x, y, r) {
  const shape = new Path2D(rule.shape);
  context.save();
  context.translate(x, y);
  context.scale(r, r);
  Object.assign(context, { fillStyle: rule.fill, strokeStyle: NIGHT, lineWidth: 2.25 / r });
  context.fill(shape);
  context.stroke(shape);
  context.restore();
}
const icon = rule => s('svg', { viewBox: '-1.6 -1.6 3.2 3.2', 'aria-hidden': 'true' }, s('path', { d: rule.shape, fill: rule.fill, stroke: '#151929', 'stroke-width': .36 }));

const WAYS = [['minima', 'three minima', 'The plane goes through three minima, found by training from three starts. Crosses mark them.'],
  ['principal', 'one training', 'The plane lies along the two principal directions of one training. The dots are its steps.'],
  ['random', 'random', 'Two random directions around a minimum, scaled neuron by neuron.']];

export function touch(section, client) {
  const address = settings('touch', { directions: 'minima', seed: 22, a: 0, b: -.6, eta: .035, rule: 'sgd' });
  let { directions, seed, a, b, eta, rule } = address.get();
  if (!WAYS.some(w => w[0] === directions)) directions = 'minima';
  if (!ruleOf(rule)) rule = 'sgd';
  eta = clamp(eta, .003, 3);
  let start = [clamp(a, -2, 2), clamp(b, -1.7, 1.7)];

  // What was computed: by the server the map, here the loss of a point.
  let plane = null, map = null, net, data, weights, gradient, painted = false, asked = false;
  const waiting = []; // tiles that are told, until the clock shows their time
  // Who paints: this program, and PyTorch if it was asked to. at are the times of the tiles, in ms since the first began.
  let painters = {}, torch = false, replayed = null;
  const painterOf = lane => painters[lane === OWN ? 'cpu' : 'torch'];
  const place = (x, y) => {
    for (let i = 0; i < weights.length; i++) weights[i] = plane.center[i] + plane.scale * (x * plane.u[i] + y * plane.v[i]);
    return weights;
  };
  const lossAt = (x, y) => net.loss(data, place(x, y));
  const gradAt = (x, y) => {
    const l = net.loss(data, place(x, y), gradient);
    let ga = 0, gb = 0;
    for (let i = 0; i < weights.length; i++) { ga += gradient[i] * plane.u[i]; gb += gradient[i] * plane.v[i]; }
    return [plane.scale * ga, plane.scale * gb, l];
  };

  // The balls: where each rule goes follows from the start, the learning rate and the number of steps.
  let balls = [], steps = 0, direction = null, drag = null, running = false, hint = true, last = 0;
  const ballOf = id => balls.find(ball => ball.id === id);
  const position = () => ballOf(rule)?.path.at(-1) ?? start;
  function drop(at) {
    start = at;
    steps = 0;
    direction = null;
    roll();
  }
  function roll() {
    if (!plane) return;
    balls = RULES.map(({ id }) => ({ id, path: [start], losses: [lossAt(...start)], step: rules[id](), diverged: false }));
    for (let n = 0; n < steps; n++) for (const ball of balls) advance(ball);
  }
  function advance(ball) {
    if (ball.diverged) return;
    const p = [...ball.path.at(-1)];
    ball.step(p, gradAt(...p), eta);
    const l = lossAt(...p);
    if (!Number.isFinite(l) || !(Math.hypot(...p) <= EDGE)) ball.diverged = true;
    else { ball.path.push(p); ball.losses.push(l); }
  }
  function step() {
    steps++;
    for (const ball of balls) advance(ball);
    if (steps >= MOST || balls.every(ball => ball.diverged)) stop();
  }

  // --- the elements
  const mapCanvas = h('canvas', { tabindex: '0', role: 'application', 'aria-label': 'Loss map. Arrow keys move the ball, Enter makes one step, space starts and pauses.' });
  const figures = ['cpu', 'torch'].map(id => {
    const name = h('span', 'CPU'), told = h('p'), element = h('canvas', { role: 'img', 'aria-label': `Tiles that ${id === 'cpu' ? 'this program' : 'PyTorch'} has computed` });
    return { id, name, told, element, figure: h('figure.c-cpu', { hidden: id === 'torch' }, element, h('div', h('figcaption', h('i.mark'), name), told)) };
  });
  const torchButton = h('button', { onclick: () => { torch = true; request(); } }, 'Also with PyTorch');
  const replayButton = h('button', { hidden: true, onclick: () => replay() }, 'Replay both'), badge = h('span.badge.replay'), torchNote = h('p.note', { role: 'status' });
  const profileCanvas = h('canvas', { role: 'img', 'aria-label': 'Loss along the arrow, and where one step lands' });
  const tip = h('div.tip'), diverged = h('div.dv', { role: 'status' });
  const formula = h('div.eq'), profileNote = h('span');
  const slider = h('input', { type: 'range', id: 'touch-eta', min: '-2.5', max: '0.48', step: '0.01' });
  const etaOut = h('b');
  const playLabel = h('span', 'Let them roll'), playButton = h('button.go', play(), playLabel);
  const stepButton = h('button', 'One step'), anew = h('button', { title: 'Another network and another plane' }, 'New map');
  const lead = h('p'), footer = h('div.foot');
  const table = dataTable('Data of the balls', ['optimizer', 'steps', 'a', 'b', 'loss', 'ended'], []);
  const ways = choice(WAYS.map(w => w.slice(0, 2)), directions, chosen => { directions = chosen; torch = false; remember(); request(); }, 'Directions of the plane');
  const buttons = RULES.map(r => h('button', { 'data-rule': r.id, onclick: () => { rule = r.id; direction = null; remember(); paint(); } }, icon(r), h('span', r.name), h('b')));
  section.append(
    h('div.head', h('h2', 'Touch the gradient'), lead, h('div.acts', ways)),
    h('div.panel.touch',
      h('div.map', mapCanvas, diverged, tip),
      h('div.side',
        h('div.paint', figures.map(f => f.figure), h('div.acts', torchButton, replayButton, badge), torchNote),
        h('div', formula, h('div.lr', h('label', { for: 'touch-eta' }, 'learning rate ', h('i', 'η')), slider, etaOut)),
        h('div.prof', h('h3', 'Loss along the arrow ', profileNote), profileCanvas),
        h('div.opts', buttons),
        h('div.acts', playButton, stepButton, anew))),
    footer, table);

  const remember = () => address.set({ directions, seed, a: +start[0].toFixed(3), b: +start[1].toFixed(3), eta: +eta.toPrecision(3), rule });

  // --- the map, from the server
  async function request() {
    stop();
    asked = true;
    tip.textContent = 'The network is trained first, to find the plane.';
    try {
      await client.start('touch', { directions, seed, torch });
    } catch (e) {
      asked = e.status !== 409; // then it is asked again when what is measured has ended
      tip.textContent = e.status === 409 ? 'The map will be computed after the current measurement.' : e.message;
      if (e.status !== 409 && !plane) footer.replaceChildren(chip('bad', 'no map'), h('span', e.message));
    }
  }
  function begin(d) {
    plane = d;
    map = new LossMap(d);
    net = new MLP(d.shape);
    weights = new Float64Array(d.weights);
    gradient = new Float64Array(d.weights);
    data = { x: Float64Array.from(floats(d.x)), y: Float64Array.from(floats(d.y)), n: floats(d.y).length };
    waiting.length = 0;
    painted = false;
    figures[1].figure.hidden = true;
    torchNote.textContent = '';
    painters = { cpu: { map, at: [], from: 0 } };
    replayed = null;
    badge.textContent = '';
    lead.textContent = `A real network with ${d.weights} weights. Each point of this map is one setting of the weights; darker means a lower loss. Six optimizers start at the same point: will they end in the same valley?`;
    // What this page computes must be what the engine computes.
    const mine = gradAt(...d.at), far = Math.max(Math.abs(mine[2] - d.loss_at), Math.abs(mine[0] - d.gradient_at[0]), Math.abs(mine[1] - d.gradient_at[1]));
    const agree = far < 1e-5;
    footer.replaceChildren(
      checked(d.check),
      chip(agree ? 'ok' : 'bad', agree ? 'this page agrees with the engine' : `this page differs from the engine by ${num(far, 2)}`),
      h('span', WAYS.find(w => w[0] === d.directions)[2] + ' Loss and gradient are computed with the network, not read from the picture; the six optimizers move the two coordinates.'));
    table.fill([]);
    drop(start);
    waiter.start();
  }
  const waiter = loop(() => {
    const now = client.current ? client.clock.shown() : Infinity;
    let changed = false;
    while (waiting.length && waiting[0].at_ns / 1e6 <= now) {
      const { data: tile, at_ns: at, lane } = waiting.shift(), by = painterOf(lane);
      by.map.add(tile.index, floats(tile.losses));
      by.at.push([tile.index, (at - by.from) / 1e6]);
      changed = true;
    }
    if (map.complete && !painted) { // once more, with the relief across the borders of tiles
      painted = true;
      for (let i = 0; i < map.tiles; i++) map.paint(i, true);
      changed = true;
    }
    if (changed) paint();
    if (painted && !client.current && !waiting.length) waiter.stop();
  });
  /** Both maps again, each tile at its measured time. */
  function replay() {
    replayed = performance.now();
    badge.textContent = 'REPLAY';
    player.start();
  }
  const player = loop(() => {
    for (const f of figures) f.canvas.paint();
    if (Object.values(painters).every(by => performance.now() - replayed > by.at.at(-1)[1])) { player.stop(); replayed = null; badge.textContent = ''; }
  });
  client.on('touch', e => {
    if (e.type === 'plane') begin(e.data);
    else if (e.type === 'lane' && e.lane !== OWN) {
      const gpu = e.lane !== 'torch/cpu';
      painters.torch = { map: new LossMap(plane), at: [], from: 0 };
      figures[1].name.textContent = 'PyTorch';
      figures[1].name.title = e.data.name;
      figures[1].figure.className = gpu ? 'c-gpu' : 'c-cpu';
      figures[1].figure.hidden = false;
      waiter.start();
    } else if (e.type === 'phase' && e.data.phase === 'measuring') painterOf(e.lane).from = e.at_ns;
    else if (e.type === 'tile') waiting.push(e);
    else if (e.type === 'end') {
      if (e.data.error) { tip.textContent = e.data.error.message; torchNote.textContent = torch ? e.data.error.message : ''; torch = false; }
      if (plane && !map.complete && waiting.length + map.known.size < map.tiles && !e.data.error) tip.textContent = 'Stopped before the map was complete.';
    } else if (e.type === 'gap' && e.data.missed) asked = false;
    if ((e.type === 'idle' || e.type === 'link' && e.data === true) && seen && !asked && !client.current) request();
  });
  let seen = false;

  // --- geometry: one scale for both directions; the picture covers its box and is cut at its edges
  const reachX = () => -plane.left, reachY = () => plane.top, within = ([x, y]) => [clamp(x, -reachX(), reachX()), clamp(y, -reachY(), reachY())];
  const scale = () => Math.max(view.width / (2 * reachX()), view.height / (2 * reachY()));
  const onMap = ([x, y]) => [view.width / 2 + x * scale(), view.height / 2 - y * scale()];
  /** The arrow: three steps of plain descent long, or along the direction that a finger chose. */
  function arrow() {
    const p = position(), g = gradAt(...p), size = Math.hypot(g[0], g[1]) || 1e-9;
    const d = direction ?? [-g[0] / size, -g[1] / size], length = clamp(3 * eta * size, .24, 1.6);
    return { p, g, size, d, tip: [p[0] + d[0] * length, p[1] + d[1] * length] };
  }

  function drawMap(c, width, height) {
    c.fillStyle = SEA;
    c.fillRect(0, 0, width, height);
    if (!plane) return;
    const k = scale(), w = 2 * reachX() * k, t = 2 * reachY() * k;
    c.save();
    c.translate(width / 2 - w / 2, height / 2 - t / 2);
    map.draw(c, w, t, SEA, SEA_LINE);
    c.restore();
    if (isDark()) { c.fillStyle = 'rgb(6 9 30 / .07)'; c.fillRect(0, 0, width, height); }
    if (!map.complete) return;
    drawMarks(c);
    for (const r of RULES) drawPath(c, r);
    drawArrow(c, width);
    for (const r of [...RULES].sort((p, q) => (p.id === rule) - (q.id === rule))) {
      const ball = ballOf(r.id);
      if (!ball || ball.diverged || (r.id !== rule && steps === 0)) continue;
      mark(c, r, ...onMap(ball.path.at(-1)), r.id === rule ? 9.5 : 7);
    }
  }
  function drawMarks(c) {
    const few = plane.marks.length <= 3, ink = 'rgb(255 255 255 / .9)';
    for (const [x, y] of plane.marks.map(onMap)) {
      if (!few) { disc(c, x, y, 1.6, ink); continue; }
      line(c, [[x - 5, y], [x + 5, y]], ink, 1.5);
      line(c, [[x, y - 5], [x, y + 5]], ink, 1.5);
    }
  }
  function drawPath(c, r) {
    const ball = ballOf(r.id);
    if (!ball || ball.path.length < 2) return;
    const chosen = r.id === rule, points = ball.path.map(onMap);
    c.lineJoin = c.lineCap = 'round';
    line(c, points, 'rgb(6 9 34 / .62)', chosen ? 6 : 4);
    line(c, points, r.fill, chosen ? 3 : 1.75, r.dash);
    if (chosen) for (const [x, y] of points.slice(1, 60)) disc(c, x, y, 2.4, r.fill);
  }
  function drawArrow(c, width) {
    const { p, d, size, tip: end } = arrow(), from = onMap(p), [x, y] = onMap(end), angle = Math.atan2(y - from[1], x - from[0]);
    const back = (far, turn = 0) => [x - far * Math.cos(angle + turn), y - far * Math.sin(angle + turn)];
    line(c, [[x, y], back(Math.hypot(x - from[0], y - from[1]) - width * .52)], 'rgb(255 255 255 / .55)', 1.25, [3, 5]);
    c.lineCap = c.lineJoin = 'round';
    for (const [ink, thick, edge] of [['rgb(6 9 34 / .7)', 8, 4], ['#fff', 4, 1]]) {
      line(c, [from, back(12)], ink, thick);
      line(c, [[x, y], back(15, -.42), back(15, .42), [x, y]], ink, edge);
      c.fillStyle = ink;
      c.fill();
    }
    if (!direction) disc(c, ...onMap([p[0] + d[0] * eta * size, p[1] + d[1] * eta * size]), 3, NIGHT);
    c.strokeStyle = drag === 'tip' ? '#fff' : 'rgb(255 255 255 / .5)';
    c.lineWidth = 1.5;
    c.beginPath(); c.arc(x, y, 17, 0, 7); c.stroke();
  }

  function drawProfile(c, width, height) {
    if (!map?.complete) return;
    const { p, g, size, d } = arrow(), span = clamp(eta * size * 4, .5, 3.2), N = 90, losses = [];
    for (let i = 0; i <= N; i++) losses.push(lossAt(p[0] + d[0] * span * i / N, p[1] + d[1] * span * i / N));
    const low = Math.min(...losses), high = Math.max(...losses), bottom = 18, top = 12;
    const x = t => 2 + (width - 4) * t / span, y = l => height - bottom - (height - bottom - top) * (l - low) / (high - low || 1);
    c.fillStyle = color('grid');
    c.fillRect(0, height - bottom, width, 1);
    c.lineJoin = 'round';
    line(c, losses.map((l, i) => [x(span * i / N), y(l)]), color('ink'), 2);
    c.lineTo(width - 2, height - bottom); c.lineTo(2, height - bottom);
    c.fillStyle = color('ink');
    c.globalAlpha = .06; c.fill(); c.globalAlpha = 1;
    const slope = g[0] * d[0] + g[1] * d[1], tangent = Math.min(span * .3, .5);
    c.save();
    c.beginPath(); c.rect(0, 0, width, height - bottom); c.clip();
    line(c, [[x(0), y(losses[0])], [x(tangent), y(losses[0] + slope * tangent)]], color('ink-3'), 1.5, [4, 3]);
    c.restore();
    const one = eta * size, landing = lossAt(p[0] + d[0] * one, p[1] + d[1] * one), up = !(landing <= losses[0]), ink = up ? 'warn' : 'good', at = x(one);
    disc(c, x(0) + 5, y(losses[0]), 5, color('surface'));
    c.strokeStyle = color('ink');
    c.lineWidth = 2.5;
    c.stroke();
    line(c, [[at, y(landing)], [at, height - bottom]], color(ink), 1.25, [2, 3]);
    disc(c, clamp(at, 6, width - 6), clamp(y(landing), 6, height), 6, color(ink));
    label(c, up ? 'lands higher' : 'one step', clamp(at, 2, width - 2), height - 4, '500 11px', ink, at > width - 60 ? 'right' : at < 40 ? 'left' : 'center');
    if (at > 74) label(c, 'here', 1, height - 4, '500 11px', 'ink-3');
    profileNote.textContent = up ? 'this step is too long: it goes uphill' : direction ? `slope ${fix(slope)} this way` : `slope −${fix(size)}`;
    profileNote.className = up ? 'up' : '';
  }

  const view = canvas(mapCanvas, drawMap), profile = canvas(profileCanvas, drawProfile);
  for (const f of figures) {
    f.canvas = canvas(f.element, (c, width, height) => {
      const by = painters[f.id], elapsed = performance.now() - replayed;
      by?.map.draw(c, width, height, color('sunken'), color('line'), replayed ? new Set(by.at.filter(t => t[1] <= elapsed).map(t => t[0])) : by.map.known);
    });
  }

  function write() {
    for (const f of figures) {
      const by = painters[f.id];
      if (by) f.told.textContent = by.map.complete ? `${map.tiles} tiles in ${fix(Math.max(...by.at.map(t => t[1])) / 1000, 2)} s` : by.at.length || f.id === 'cpu' ? `${by.at.length} of ${map.tiles} tiles` : 'PyTorch starts';
    }
    figures[0].figure.title = `${count(map.tiles * plane.points ** 2 * plane.products)} matrix products on ${plane.threads} threads`;
    torchButton.hidden = Boolean(painters.torch);
    replayButton.hidden = !painters.torch?.map.complete;
    etaOut.textContent = num(eta, 2);
    slider.setAttribute('aria-valuetext', num(eta, 2));
    playLabel.textContent = running ? 'Pause' : 'Let them roll';
    if (!map.complete) { tip.textContent = 'Each tile appears as soon as its losses are computed.'; return; }
    const { g } = arrow(), q = position(), chosen = ruleOf(rule), ball = ballOf(rule);
    const pad = x => (x < 0 ? '−' : '\u2007') + Math.abs(x).toFixed(2), pair = v => h('b', `(${pad(v[0])}, ${pad(v[1])})`);
    const next = nextOf(ball), [before, after] = chosen.formula.split('η');
    formula.replaceChildren(
      h('div.sym', before, h('span.eta', 'η'), after),
      h('div', 'θ      ', pair(q)), h('div', '∇L(θ)  ', pair(g)),
      h('div', 'next   ', next ? pair(next) : h('b', 'diverged'), `  η = ${num(eta)}`));
    for (const button of buttons) {
      const of = ballOf(button.dataset.rule);
      button.setAttribute('aria-pressed', of.id === rule);
      $('b', button).textContent = fix(of.losses.at(-1), 3);
    }
    const off = balls.filter(o => o.diverged).map(o => ruleOf(o.id).name);
    put(diverged, off.length ? `${off.length === RULES.length ? 'All six' : off.join(', ')} diverged: lower the learning rate` : '');
    tip.textContent = hint ? 'Drag the ball, or the tip of its arrow. The arrow is three steps long.' : steps ? `${chosen.name} after ${ball.path.length - 1} steps: loss ${fix(ball.losses.at(-1), 3)}` : `loss ${fix(g[2], 3)} with these ${plane.weights} weights`;
    if (table.open) fillTable();
  }
  /** Where the chosen rule goes next, without going there. */
  function nextOf(ball) {
    if (ball.diverged) return null;
    const again = { id: ball.id, path: [start], losses: [0], step: rules[ball.id](), diverged: false };
    for (let i = 0; i < ball.path.length; i++) advance(again);
    return again.diverged ? null : again.path.at(-1);
  }
  const fillTable = () => table.fill(balls.map(ball => [ruleOf(ball.id).name, String(ball.path.length - 1), ...ball.path.at(-1).map(x => fix(x, 3)), fix(ball.losses.at(-1), 4), ball.diverged ? 'diverged' : '']));
  table.addEventListener('toggle', () => map?.complete && fillTable());

  function paint() {
    if (!plane) return;
    view.paint();
    for (const f of figures) f.canvas.paint();
    profile.paint();
    write();
  }
  // Many inputs may come within a frame.
  let due = false;
  const later = () => { if (!due) { due = true; requestAnimationFrame(() => { due = false; paint(); }); } };

  // --- hands
  const runner = loop(now => {
    if (now - last < (motion.reduced ? 0 : PACE)) return;
    last = now;
    for (let i = 0; i < (motion.reduced ? Math.round(500 / PACE) : 1) && running; i++) step();
    paint();
  });
  function stop() {
    running = false;
    runner.stop();
    playLabel.textContent = 'Let them roll';
  }
  playButton.onclick = () => {
    if (!map?.complete) return;
    hint = false;
    if (running) stop();
    else {
      if (steps >= MOST || balls.every(ball => ball.diverged)) drop(start);
      running = true;
      runner.start();
    }
    paint();
  };
  stepButton.onclick = () => { if (map?.complete) { hint = false; step(); paint(); } };
  anew.onclick = () => { torch = false; seed = seed % 1000 + 1; remember(); request(); };
  const setEta = value => { eta = clamp(value, 10 ** -2.5, 10 ** .48); slider.value = Math.log10(eta); roll(); later(); };
  slider.value = Math.log10(eta);
  slider.oninput = () => { eta = 10 ** +slider.value; roll(); later(); };
  slider.onchange = remember;

  const where = e => {
    const box = mapCanvas.getBoundingClientRect(), k = scale();
    return [(e.clientX - box.left - box.width / 2) / k, (box.height / 2 - e.clientY + box.top) / k];
  };
  mapCanvas.onpointerdown = e => {
    if (!map?.complete) return;
    const at = where(e), { tip: end } = arrow(), k = scale();
    hint = false;
    mapCanvas.setPointerCapture(e.pointerId);
    if (Math.hypot(at[0] - end[0], at[1] - end[1]) * k < 26) {
      drag = 'tip';
      if (steps) drop(position()); // the arrow is that of a ball that lies still
    } else {
      drag = 'ball';
      drop(at);
    }
    paint();
  };
  mapCanvas.onpointermove = e => {
    if (!drag) return;
    const at = where(e);
    if (drag === 'ball') drop(within(at));
    else {
      const { p, g, size } = arrow(), d = [at[0] - p[0], at[1] - p[1]], length = Math.hypot(...d) || 1e-9;
      // Near the line of steepest descent the tip sets the learning rate; elsewhere it turns the view.
      const along = -(d[0] * g[0] + d[1] * g[1]) / (size * length);
      if (along > .94) { direction = null; setEta(length / (3 * size)); } else direction = [d[0] / length, d[1] / length];
    }
    later();
  };
  mapCanvas.onpointerup = mapCanvas.onpointercancel = () => { if (drag) { drag = null; remember(); paint(); } };
  mapCanvas.onkeydown = e => {
    if (!map?.complete) return;
    const far = e.shiftKey ? .25 : .05, move = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, far], ArrowDown: [0, -far] }[e.key];
    if (move) { const p = position(); hint = false; drop(within([p[0] + move[0], p[1] + move[1]])); remember(); paint(); }
    else if (e.key === 'Enter') stepButton.onclick();
    else if (e.key === ' ') playButton.onclick();
    else return;
    e.preventDefault();
  };

  lead.textContent = 'The loss of a real network as a map. Six optimizers start at the same point: will they end in the same valley?';
  tip.textContent = 'The map is computed when this chapter is in view.';
  whenSeen(section, () => { seen = true; if (!client.current) request(); });
}
