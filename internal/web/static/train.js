// Chapter Train: a small network learns on the server, which tells its weights after each slice of steps. The
// clock of the loss counts the steps alone, so that the pace of watching changes nothing.
import { h, canvas, chip, choice, clamp, color, count, fix, label, num, onWidth, play, select, soon, stat, whenSeen } from './util.js';
import { OWN, settings } from './client.js';
import { checked, floats } from './mlp.js';
import { Pictures, drawNetwork, drawPoint } from './train-net.js';
import { Digits } from './train-digits.js';
import { missing } from './gpu.js';
import { BrowserLane } from './train-gpu.js';
import { trainText } from './train-text.js';
import { STARTS, drawLoss, keep, lossTable, perSecond, takeAlong } from './train-loss.js';

const SETS = ['circle', 'xor', 'gauss', 'spiral', 'moons', 'plane', 'hills', 'digits', 'draw', 'csv', 'text'];
const MOST_LAYERS = 6, MOST_NEURONS = 16, MOST_DRAWN = 600, MOST_TEXT = 60_000;
const ENGINES = { torch: 'PyTorch', cuda: 'gpuplay on CUDA', browser: 'this browser' }; // beside this program, by their settings
const PACES = [[100, '100 steps/s'], [2000, '2,000 steps/s'], [0, 'full speed']];

export function train(section, client) {
  const address = settings('train', { data: 'spiral', layers: '', activation: 'tanh', optimizer: 'adam', eta: .02, batch: 32, seed: 1, dtype: 'float32', pace: 2000, with: '' });
  const o = address.get();
  if (!SETS.includes(o.data)) o.data = 'spiral';
  const usual = () => o.data === 'digits' ? '16' : '8-6';
  let layers = (o.layers || usual()).split('-').map(Number).filter(n => n >= 1 && n <= MOST_NEURONS).slice(0, MOST_LAYERS);
  let drawn = [], pasted = '', drawClass = 1;
  let engines = []; // those of ENGINES that can take part here
  const others = new Set(o.with.split('-')); // those that are to

  // What the server has told.
  let lanes = new Map(); // of all engines: {engine, name, gpu, history, now}
  let weights = null, first = true; // that are not shown yet; whether no others are
  let started = null, pictures = null, points = null, chosen = null, spots = [], seen = false;
  // What is to be started as soon as nothing else runs: 'look', 'run' or 'step'.
  let wanted = null, running = false;
  const browser = new BrowserLane(client, () => later());
  let mine = false; // whether this page has started what runs: another one takes no part

  const asked = more => {
    const own = o.data === 'draw' || o.data === 'csv';
    return {
      set: own ? 'csv' : o.data, csv: own ? (o.data === 'draw' ? drawn.map(p => `${p[0].toFixed(4)},${p[1].toFixed(4)},${p[2]}`).join('\n') : pasted) : '',
      hidden: layers, activation: o.activation, optimizer: o.optimizer, rate: o.eta, batch: o.batch, seed: o.seed, dtype: o.dtype, pace: o.pace, ...Object.fromEntries(taking().map(e => [e, true])), ...more,
    };
  };
  const taking = () => engines.filter(e => others.has(e));
  const own = () => lanes.get(OWN)?.now;
  const forget = () => { for (const l of lanes.values()) { l.now = null; l.history = []; } };
  const ready = () => o.data === 'draw' ? new Set(drawn.map(p => p[2])).size === 2 : o.data === 'csv' ? pasted !== '' : true;
  const remember = () => { const text = layers.join('-') || '0'; address.set({ ...o, layers: text === usual() ? '' : text }); };

  async function want(mode) {
    wanted = mode;
    if (client.has('train')) { await client.stop(); return; } // its end starts what is wanted
    await begin();
  }
  let asking = null;
  const ask = () => asking ??= client.get('train').then(t => showEngines(t.engines), () => {});
  async function begin() {
    if (wanted !== 'look' && !client.current) await ask();
    const mode = wanted;
    if (!mode || client.current || o.data === 'text') return;
    wanted = null;
    if (!ready()) { empty(); return; }
    ask();
    const more = { look: { look: true }, run: { continue: true }, step: { continue: true, steps: 1, pace: 0 } }[mode];
    try {
      running = mode === 'run';
      mine = true;
      await client.start('train', asked(more));
      problem.textContent = '';
    } catch (e) {
      running = mine = false;
      if (e.status === 409 && mode === 'look') wanted = mode;
      problem.textContent = e.message;
    }
    words();
  }
  /** After a change of what is trained: from the first step on. */
  function anew() {
    remember();
    forget();
    want(running ? 'run' : 'look');
  }
  const drawnPoints = () => ({ x: drawn.flatMap(p => p.slice(0, 2)), y: drawn.map(p => p[2]) });
  function empty() {
    started = pictures = null;
    forget();
    points = o.data === 'draw' ? drawnPoints() : { x: [], y: [] };
    paint();
    words();
  }

  function showLearned() {
    if (weights && pictures) {
      pictures.learn(weights);
      weights = null;
      first = false;
      paint();
    }
    words();
  }
  const later = soon(showLearned); // once for all lanes

  client.on('train', e => {
    const l = lanes.get(e.lane);
    if (e.type === 'network' || mine && ['join', 'turn', 'left'].includes(e.type)) browser.take(e);
    if (e.type === 'join' && mine) lanes.set(e.lane, browser);
    if (e.type === 'network') {
      const d = e.data;
      started = d;
      if (!d.continued || !pictures) {
        lanes = new Map();
        pictures = d.set === 'digits' ? digits.take(d) : new Pictures(d);
        weights = null;
        first = true;
      }
      points = { x: floats(d.x), y: floats(d.y) };
      if (chosen && !(chosen[1] < (pictures.columns[chosen[0]] ?? 0))) chosen = null;
    } else if (e.type === 'lane') {
      lanes.set(e.lane, { history: [], now: null, ...l, ...e.data, gpu: !e.lane.endsWith('/cpu') });
    } else if (e.type === 'gradient' && l) l.check = e.data;
    else if (e.type === 'learned' && l) {
      l.now = e.data;
      l.history = keep(l.history, e.data);
      if (e.lane === OWN && !e.data.diverged) weights = floats(e.data.weights);
      if (first) showLearned(); else later();
    } else if (e.type === 'end') {
      running = mine = false;
      if (e.data.error && !e.data.stopped) problem.textContent = e.data.error.message;
    }
    if (e.type === 'idle' && (wanted || (seen && !started))) { wanted ??= 'look'; setTimeout(begin); }
    if (['network', 'end'].includes(e.type)) words();
  });

  // --- the elements
  const problem = h('p.problem', { role: 'status' });
  const runLabel = h('span', 'Train'), runButton = h('button.go', { onclick: () => { if (running || wanted === 'run') { wanted = null; client.stop(); } else want('run'); } }, play(), runLabel);
  const stepButton = h('button', { onclick: () => want('step') }, 'Step');
  const resetButton = h('button', { onclick: () => { forget(); want('look'); } }, 'Reset');
  const seedButton = h('button', { title: 'Start from other random weights', onclick: () => { o.seed = o.seed % 1000 + 1; anew(); } }, 'Other weights');
  const [stepsBox, stepsOut] = stat('steps'), [lossBox, lossOut] = stat('loss'), [rightBox, rightOut] = stat('right'), rightName = rightBox.lastChild;
  const pen = h('span.pen', choice([[1, '●'], [0, '■']], 1, k => { drawClass = +k; }, 'Class to draw'), h('button', { onclick: () => { drawn = []; empty(); } }, 'Clear'));
  const spoken = h('span.vh', { role: 'status' }); // the neuron that arrow keys have chosen
  const netCanvas = h('canvas', { tabindex: '0', role: 'application', 'aria-label': 'The network: a picture for each neuron, a line for each weight. Arrow keys choose a neuron.' });
  const answerCanvas = h('canvas', { role: 'img' });
  const digits = new Digits(answerCanvas, () => paint());
  const about = h('p'), plot = h('div'), big = h('div.big'), small = h('p'), chips = h('div.acts');
  const eta = h('input', { type: 'range', min: '-4', max: '1', step: '0.05', 'aria-label': 'learning rate' }), etaOut = h('b');
  const text = h('textarea', { rows: '5', spellcheck: 'false', 'aria-label': 'Points as CSV', placeholder: 'x, y, label\n0.2, 0.7, a\n…' });
  const file = h('input', { type: 'file', accept: '.csv,.tsv,.txt', class: 'vh', 'aria-label': 'A file of points' });
  const paste = h('div.paste', { hidden: true },
    h('p', 'One line per point: x, y and a label. Up to ten different labels are classes; if there are more, the labels are numbers to be learned. Columns with values beyond ±1 are scaled.'),
    text, h('div.acts', h('button.go', { onclick: () => usePasted(text.value) }, 'Use these points'), h('button', { onclick: () => file.click() }, 'Choose a file'), file));
  const table = lossTable();
  const sizes = h('div.sizes', { role: 'group', 'aria-label': 'Hidden layers' });
  const beside = h('div.seg', { role: 'group', 'aria-label': 'Engines beside this program' }), besideBox = h('div.pick', { hidden: true }, h('span', 'beside this program'), beside);
  const exports = takeAlong('network', () => client.get('train'), () => [...lanes.values()].map(l => [l.engine, l.history]), problem);

  const set = name => value => { o[name] = value; anew(); };
  const writer = trainText(client);
  section.append(
    h('div.head', h('h2', 'Train it'), about,
      h('div.acts', choice(SETS.map(k => [k, k === 'csv' ? 'CSV' : k]), o.data, chosenSet, 'Data set'))),
    h('div.panel',
      h('div.strip', h('div.acts', runButton, stepButton, resetButton, seedButton), pen, h('div.stat.sp', stepsBox, lossBox, rightBox)),
      paste,
      h('div.strip.picks', sizes,
        select('activation', ['tanh', 'relu', 'sigmoid', 'identity'], o.activation, set('activation')),
        select('optimizer', [['sgd', 'SGD'], ['momentum', 'momentum'], ['nesterov', 'Nesterov'], ['rmsprop', 'RMSProp'], ['adam', 'Adam'], ['muon', 'Muon']], o.optimizer, set('optimizer')),
        h('label.pick', h('span', 'learning rate η ', etaOut), eta),
        select('batch', [1, 4, 8, 16, 32, 64, 128], o.batch, k => set('batch')(+k)),
        select('type', ['float32', 'float64'], o.dtype, set('dtype')),
        select('watch at', PACES, o.pace, k => { o.pace = +k; remember(); if (running) client.tell({ pace: o.pace }); }),
        besideBox),
      problem,
      h('div.train', h('div.net', netCanvas, spoken), h('div.out', h('div.db', answerCanvas))),
      digits.element,
      h('div.wall', h('div', plot), h('div.say2', big, small, chips)),
      h('div.strip.last', exports)),
    table, writer);

  /** Shows what belongs to the data set. */
  function showSet() {
    writer.hidden = o.data !== 'text';
    section.querySelector('.panel').hidden = table.hidden = !writer.hidden;
    pen.hidden = o.data !== 'draw';
    paste.hidden = o.data !== 'csv';
    const written = o.data === 'digits';
    digits.element.hidden = !written;
    about.textContent = o.data === 'text' ? 'A small GPT learns to write a text, character by character.' : written ? 'Each neuron of the first layer shows its weights, one for each pixel. Point at one to enlarge it.' : 'Each neuron shows its output for every input. Point at one to enlarge it.';
    answerCanvas.setAttribute('aria-label', written ? 'A square to write a digit into with the mouse or a finger' : 'The output of the network at each place, with the points');
  }
  function chosenSet(k) {
    if ((k === 'digits') !== (o.data === 'digits')) {
      o.data = k;
      layers = usual().split('-').map(Number);
      showSizes();
    }
    o.data = k;
    showSet();
    if (client.has('text')) client.stop();
    running = false;
    anew();
  }
  function usePasted(value) {
    if (value.length > MOST_TEXT) { problem.textContent = `The points have more than ${count(MOST_TEXT)} characters, which are not accepted.`; return; }
    pasted = value;
    anew();
  }
  const textOf = f => f.slice(0, 4 * MOST_TEXT + 4).text(); // a character has up to four bytes
  file.onchange = async () => { const [f] = file.files; if (f) usePasted(text.value = await textOf(f)); };

  /** Shows which engines can take part beside this program. */
  function showEngines(list) {
    engines = [...list, ...missing() ? [] : ['browser']].filter(e => ENGINES[e]);
    besideBox.hidden = !engines.length;
    beside.replaceChildren(...engines.map(e => h('button', { 'data-value': e, 'aria-pressed': String(others.has(e)), onclick: () => {
      if (!others.delete(e)) others.add(e);
      o.with = taking().join('-');
      showEngines(list);
      anew();
    } }, ENGINES[e])));
  }
  function showSizes() {
    const change = (i, by) => { layers[i] = clamp(layers[i] + by, 1, MOST_NEURONS); showSizes(); anew(); };
    sizes.replaceChildren(
      ...layers.map((n, i) => h('span.size', { role: 'group', 'aria-label': `Hidden layer ${i + 1}` },
        h('button', { 'aria-label': `One neuron fewer in layer ${i + 1}`, disabled: n <= 1, onclick: () => change(i, -1) }, '−'), h('b', String(n)),
        h('button', { 'aria-label': `One more neuron in layer ${i + 1}`, disabled: n >= MOST_NEURONS, onclick: () => change(i, 1) }, '+'))),
      h('button', { 'aria-label': 'One layer fewer', disabled: !layers.length, onclick: () => { layers.pop(); showSizes(); anew(); } }, '− layer'),
      h('button', { 'aria-label': 'One more layer', disabled: layers.length >= MOST_LAYERS, onclick: () => { layers.push(layers.at(-1) ?? 4); showSizes(); anew(); } }, '+ layer'));
  }

  eta.value = Math.log10(o.eta);
  const showEta = () => { etaOut.textContent = num(o.eta, 2); eta.setAttribute('aria-valuetext', num(o.eta, 2)); };
  eta.oninput = () => { o.eta = +(10 ** +eta.value).toPrecision(2); showEta(); };
  eta.onchange = () => { remember(); if (running) client.tell({ rate: o.eta }); };

  // --- the pictures
  const net = canvas(netCanvas, (c, width, height) => { if (pictures && !first) spots = drawNetwork(c, width, height, pictures, chosen, o.activation); });
  const answer = canvas(answerCanvas, (c, width) => {
    if (pictures && first) return;
    if (pictures === digits) { digits.drawPad(c, width, chosen); return; }
    if (!points || (!pictures && !points.y.length)) {
      c.fillStyle = color('sunken');
      c.fillRect(0, 0, width, width);
      const lines = o.data === 'draw' ? ['Draw your own points here', 'Choose ● or ■ above. Five of each will do.'] : o.data === 'csv' ? ['Paste your points above', 'or drop a file here'] : [];
      lines.forEach((line, i) => label(c, line, width / 2, width / 2 - 6 + 26 * i, i ? '450 14px' : '600 17px', 'ink-2', 'center'));
      return;
    }
    if (pictures && chosen) pictures.draw(c, chosen[0], chosen[1], 0, 0, width, .78);
    else if (pictures) pictures.drawAnswer(c, width);
    else { c.fillStyle = color('sunken'); c.fillRect(0, 0, width, width); }
    const classes = started?.classes ?? 2, colourOf = k => pictures ? pictures.classColour(k) : color(k ? 'pos' : 'neg');
    for (let i = 0; i < points.y.length; i++) drawPoint(c, (points.x[2 * i] + 1) / 2 * width, (1 - points.x[2 * i + 1]) / 2 * width, points.y[i], classes, colourOf);
  });
  const paint = () => { net.paint(); answer.paint(); };

  const curves = () => [...lanes.values()].map(l => ({ ...l, about: l.name, name: ENGINES[l.engine] ?? 'this program', dash: l.engine === 'torch' }));
  function words() {
    const now = own(), speed = l => perSecond(l.now), ran = curves().filter(l => l.now?.steps).sort((a, b) => speed(b) - speed(a)), [first, second] = ran.filter(l => l.engine !== 'browser'), speeds = ran.map(l => `${count(+speed(l).toPrecision(3))} by ${l.about}`);
    runLabel.textContent = running ? 'Stop' : 'Train';
    stepsOut.textContent = now ? count(now.steps) : '0';
    lossOut.textContent = !now ? '–' : now.diverged ? 'NaN' : fix(now.loss, 3);
    rightOut.textContent = now && started?.classes && !now.diverged ? `${+((started.held ? now.held : now.right) * 100).toFixed(started.held ? 1 : 0)} %` : '–';
    rightName.textContent = started?.held ? 'test accuracy' : 'right';
    rightBox.hidden = started?.classes === 0;
    for (const b of exports.querySelectorAll('button')) b.disabled = !now?.steps;
    if (now?.diverged) {
      big.textContent = 'It diverged: lower the learning rate.';
      small.textContent = `After ${count(now.steps)} steps the loss is no longer a finite number. Reset starts again.`;
    } else if (ran.length > 1) {
      big.textContent = second ? `Here ${first.name} is ${num(speed(first) / speed(second), 2)}× as fast as ${second.name}.` : `${count(+speed(first).toPrecision(3))} steps a second by ${first.name}.`;
      small.textContent = `Steps a second: ${speeds.join('; ')}. All make the same steps, in turns. A network with only ${count(started.weights)} weights says little about larger ones.` +
        (browser.now ? ' The browser is timed by its own clock, submissions included, so it enters no ratio.' : '');
    } else if (now?.steps) {
      big.textContent = `${count(+perSecond(now).toPrecision(3))} steps a second.`;
      small.textContent = `${num(now.busy_ns / 1e6)} ms for ${count(now.steps)} steps of ${Math.min(o.batch, started.rows)} ${pictures === digits ? 'digits' : 'points'}, by ${ran[0].about}. ` +
        (o.pace ? 'They are shown more slowly than they are computed.' : 'It runs at full speed.');
    } else {
      big.textContent = 'Watch the loss fall.';
      small.textContent = 'Press Train. The clock counts only the time of the steps, not the time for showing them.';
    }
    chips.replaceChildren(...started ? [checked(started.check), ...curves().filter(l => l.check).map(l => checked(l.check, l.name + ': ')), chip('', `${count(started.weights)} weights`)] : []);
    if (browser.why) small.textContent += ` This browser no longer takes part: ${browser.why}`;
    if (running && taking().length >= (lanes.size || 1)) small.textContent = STARTS;
    drawPlot();
    table.show(curves());
  }
  table.addEventListener('toggle', words);

  const drawPlot = () => drawLoss(plot, curves());

  // --- hands
  const point = e => { const b = answerCanvas.getBoundingClientRect(); return [(e.clientX - b.left) / b.width * 2 - 1, 1 - (e.clientY - b.top) / b.height * 2]; };
  let lastPoint = null;
  const add = e => {
    const p = point(e);
    if (drawn.length >= MOST_DRAWN || Math.max(...p.map(Math.abs)) > 1 || (lastPoint?.length && Math.hypot(p[0] - lastPoint[0], p[1] - lastPoint[1]) < .07)) return;
    lastPoint = p;
    drawn.push([...p, e.shiftKey ? 1 - drawClass : drawClass]);
    points = drawnPoints();
    answer.paint();
  };
  answerCanvas.onpointerdown = e => { if (o.data !== 'draw') return; answerCanvas.setPointerCapture(e.pointerId); lastPoint = []; add(e); };
  answerCanvas.onpointermove = e => lastPoint && add(e);
  answerCanvas.onpointerup = answerCanvas.onpointercancel = () => { if (lastPoint) { lastPoint = null; anew(); } };
  answerCanvas.ondragover = e => e.preventDefault();
  answerCanvas.ondrop = async e => {
    e.preventDefault();
    const f = e.dataTransfer.files[0], dropped = f ? await textOf(f) : e.dataTransfer.getData('text');
    if (!dropped) return;
    o.data = 'csv';
    section.querySelector('.seg').set('csv');
    showSet();
    usePasted(text.value = dropped);
  };
  const choose = c => { if (String(c) !== String(chosen)) { chosen = c; paint(); } };
  netCanvas.onpointermove = e => {
    const { offsetX: x, offsetY: y } = e, spot = spots.find(q => x >= q[0] - 4 && x <= q[0] + q[2] + 4 && y >= q[1] - 4 && y <= q[1] + q[2] + 4);
    choose(spot ? spot.slice(3) : null);
  };
  netCanvas.onpointerleave = netCanvas.onblur = () => choose(null);
  netCanvas.onkeydown = e => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (!move || !pictures) return;
    e.preventDefault();
    const widths = pictures.columns, l = clamp((chosen?.[0] ?? 1) + (chosen ? move[0] : 0), 0, widths.length - 1);
    choose([l, clamp((chosen?.[1] ?? 0) + (chosen ? move[1] : 0), 0, widths[l] - 1)]);
    spoken.textContent = `${l === 0 ? 'Input' : l === widths.length - 1 ? 'Output' : `Hidden layer ${l}, neuron`} ${chosen[1] + 1} of ${widths[l]}`;
  };

  showSet();
  showSizes();
  showEta();
  onWidth(plot, drawPlot);
  words();
  whenSeen(section, () => { seen = true; if (client.current) wanted = 'look'; else want('look'); });
}
