// The data set "text" of chapter Train: a GPT learns to write, character by character. What it writes is
// text, never markup. The clock of the loss counts only the steps.
import { chip, count, fix, h, num, onWidth, play, select, soon, stat } from './util.js';
import { OWN, settings } from './client.js';
import { checked } from './mlp.js';
import { STARTS, drawLoss, keep, lossTable, perSecond, takeAlong } from './train-loss.js';

const MOST_BODY = 64_000;
const SIZES = { layers: [1, 2, 3, 4, 6], width: [32, 64, 96, 128, 192, 256], context: [8, 16, 32, 64, 128], batch: [1, 4, 8, 16, 32, 64] };

/** The panel of the data set, which is shown while it is chosen. */
export function trainText(client) {
  const address = settings('text', { layers: 2, width: 128, context: 64, batch: 16, eta: .002, seed: 1, dtype: 'float32', torch: '' }), o = address.get();
  let pasted = '', started = null, running = false, lanes = new Map(); // {name, history: [seconds, steps, loss], now}
  let going = false; // whether the next run goes on from the last one

  const problem = h('p.problem', { role: 'status' }), label = h('span', 'Train');
  const go = h('button.go', { onclick: () => running ? client.stop() : begin() }, play(), label);
  const reset = h('button', { onclick: () => anew() }, 'Reset');
  const [stepsBox, steps] = stat('steps'), [lossBox, loss] = stat('loss'), [speedBox, speed] = stat('steps/s');
  const text = h('textarea', { rows: '3', spellcheck: 'false', 'aria-label': 'The text that is learned', placeholder: "Paste a text of 1,000 characters or more. While this is empty, Shakespeare's Coriolanus is learned." });
  const use = h('button', { onclick: () => { pasted = text.value; anew(); } }, 'Learn this text');
  const written = h('pre.written', { tabindex: '0', 'aria-label': 'What the network writes' });
  const picture = h('div'), big = h('div.big'), small = h('p'), chips = h('div.acts');
  const table = lossTable();
  const exports = takeAlong('gpt', () => client.get('text'), () => [...lanes].map(([id, l]) => [id, l.history]), problem);
  const set = (name, value) => { o[name] = value; address.set(o); anew(); };
  const element = h('div', h('div.panel',
    h('div.strip', h('div.acts', go, reset), h('div.stat.sp', stepsBox, lossBox, speedBox)),
    h('div.paste', text, h('div.acts', use)),
    h('div.strip.picks',
      ...Object.entries(SIZES).map(([name, sizes]) => select(name, sizes.includes(o[name]) ? sizes : [o[name], ...sizes], o[name], k => set(name, +k))),
      select('learning rate', [.0005, .001, .002, .004, .01], o.eta, k => set('eta', +k)),
      select('type', ['float32', 'float64'], o.dtype, k => set('dtype', k)),
      select('weights', [1, 2, 3, 4].map(k => [k, `seed ${k}`]), o.seed, k => set('seed', +k)),
      select('engines', [['', 'this program'], ['gpu', 'and PyTorch on the GPU'], ['cpu', 'and PyTorch on the CPU']], o.torch, k => set('torch', k))),
    problem, written,
    h('div.wall', picture, h('div.say2', big, small, chips)),
    h('div.strip.last', exports)), table);

  async function begin() {
    problem.textContent = '';
    const asked = { text: pasted, layers: o.layers, width: o.width, context: o.context, batch: o.batch, rate: o.eta, seed: o.seed, dtype: o.dtype, torch: o.torch !== '', device: o.torch, continue: going };
    const size = new TextEncoder().encode(JSON.stringify(asked)).length;
    if (size > MOST_BODY) { problem.textContent = `The text has ${count(size)} bytes: at most ${count(MOST_BODY)} are accepted here. gpuplay learn gpt FILE learns larger ones.`; return; }
    try {
      running = true;
      await client.start('text', asked);
    } catch (e) {
      running = false;
      problem.textContent = e.message;
    }
    words();
  }
  /** After a change of what is trained: from the first step on. */
  function anew() {
    going = false;
    started = null;
    lanes = new Map();
    written.textContent = '';
    if (client.has('text')) client.stop();
    words();
  }

  client.on('text', e => {
    const lane = lanes.get(e.lane);
    if (e.type === 'run') running = true;
    else if (e.type === 'text') {
      started = e.data;
      if (!started.steps) lanes = new Map();
    } else if (e.type === 'lane') lanes.set(e.lane, { history: [], now: null, ...lane, name: e.data.name });
    else if (e.type === 'learned' && lane) {
      lane.now = e.data;
      lane.history = keep(lane.history, e.data);
    } else if (e.type === 'written') written.textContent = e.data.text;
    else if (e.type === 'end') {
      running = false;
      going = started !== null && !e.data.error;
      if (e.data.error && !e.data.stopped) problem.textContent = e.data.error.message;
    }
    if (e.type === 'learned') later(); else words();
  });
  const later = soon(words);

  function words() {
    const now = lanes.get(OWN)?.now, [other] = [...lanes].filter(([id]) => id !== OWN);
    label.textContent = running ? 'Stop' : 'Train';
    steps.textContent = count(now?.steps ?? 0);
    loss.textContent = !now ? '–' : now.diverged ? 'NaN' : fix(now.loss, 3);
    speed.textContent = now?.steps ? num(perSecond(now)) : '–';
    if (now?.diverged) {
      big.textContent = 'It diverged: lower the learning rate.';
      small.textContent = '';
    } else if (now?.steps && other?.[1].now?.steps) {
      const [mine, its] = [perSecond(now), perSecond(other[1].now)], who = other[0] === 'torch/cpu' ? ['This program', 'PyTorch'] : ['The CPU', 'The GPU'];
      big.textContent = `${who[mine >= its ? 0 : 1]} is ${num(Math.max(mine / its, its / mine), 2)}× as fast here.`;
      small.textContent = `${num(mine)} steps a second by ${started.threads} thread${started.threads > 1 ? 's' : ''} of this program, ${num(its)} by ${other[1].name}. Both make the same steps, in turns; their losses are ${fix(now.loss, 3)} and ${fix(other[1].now.loss, 3)}.`;
    } else if (now?.steps) {
      big.textContent = `${num(perSecond(now))} steps a second.`;
      small.textContent = 'The loss is that of text held out from training, in nats per character.' + (running && o.torch && !other ? ' ' + STARTS : '');
    } else {
      big.textContent = 'Watch it learn to write.';
      small.textContent = running && o.torch && started ? STARTS : 'A transformer reads a play and guesses each next character. Press Train; every few seconds it shows what it would write.';
    }
    chips.replaceChildren(...started ? [checked(started.check), chip('', `${count(started.weights)} weights`), chip('', `${count(started.characters)} characters`)] : []);
    for (const b of exports.querySelectorAll('button')) b.disabled = !now?.steps;
    table.show([...lanes.values()]);
    draw();
  }
  table.addEventListener('toggle', words);

  const draw = () => drawLoss(picture, [...lanes].map(([id, l]) => ({ ...l, name: id === OWN ? 'this program' : 'PyTorch', gpu: id !== OWN && id !== 'torch/cpu', dash: id === 'torch/cpu' })));
  onWidth(picture, draw);
  words();
  return element;
}
