// Chapter Talk: the lanes of one language model, each token at the time at which it was made. What a model
// writes is text.
import { bytes, canvas, chip, color, dataTable, h, label, loop, median, num, play, showBadge, stat } from './util.js';
import { settings, told } from './client.js';

class Side {
  constructor(token, name) {
    this.token = token;
    this.text = h('div.txt');
    this.picture = h('canvas', { role: 'img', 'aria-label': `Tokens of the ${name} over time` });
    this.about = h('small');
    const stats = ['first token', 'tokens/s', 'tokens', 'memory'].map(stat), [first, rate, count, memory] = stats.map(s => s[1]);
    this.values = { first, rate, count, memory };
    this.element = h('article', { class: `c-${token} idle`, 'aria-label': name }, h('header', h('i.mark'), name, this.about), this.text, this.picture,
      h('div.stat', stats.map(s => s[0])));
    this.clear();
  }
  clear() {
    this.pieces = []; // {text, at} in ms since the request
    this.shown = 0;
    this.began = 0;
    this.text.textContent = '';
    this.about.textContent = '';
    for (const [k, b] of Object.entries(this.values)) b.textContent = k === 'count' ? '0' : '–';
  }
  get end() { return this.pieces.at(-1)?.at ?? 0; }
}

export async function talk(section, client) {
  const talkers = await client.get('llm').catch(() => []);
  const chosen = settings('talk', { prompt: 'Why do GPUs make training faster?', tokens: 64 });
  let mode = 'idle', began = 0, lanes = new Map();
  const cpu = new Side('cpu', 'CPU'), gpu = new Side('gpu', 'GPU'), sides = [cpu, gpu];
  const model = h('select', { 'aria-label': 'Language model' }, talkers.map(t => h('option', { value: t.id }, `${t.name}${t.quantization ? ', ' + t.quantization : ''}, ${bytes(t.bytes)}`)));
  const prompt = h('input', { type: 'text', 'aria-label': 'Prompt', maxlength: 1000, value: chosen.get().prompt, onchange: e => chosen.set({ prompt: e.target.value }) });
  const go = h('button.go', { id: 'talk-go' }, play(), h('span', 'Ask both')), again = h('button', { hidden: true }, 'Replay together');
  const table = dataTable('Data of the answers', ['token', 'CPU, ms', 'GPU, ms', 'text'], []);
  const same = chip('ok', 'same tokens on both'), badge = h('span.badge'), says = h('p.says', { role: 'status' });
  same.hidden = true;
  section.append(h('div.head', h('h2', 'Let it talk'), h('p', 'One model, with the same weights and the same prompt: only the speed differs.')),
    h('div.panel', h('div.prompt', prompt, model, same, badge, h('span.sp.acts', again, go)), says, h('div.talk', cpu.element, gpu.element)), h('div.foot', chip('', 'measured'), h('span', 'Each line is a token. Both sides have the same time axis.'), table));
  if (!talkers.length) {
    go.disabled = prompt.disabled = true;
    model.hidden = true;
    says.replaceChildren('There is no language model for llama.cpp on this machine. ', h('code', { tabindex: '0' }, 'gpuplay models get'), ' downloads a small one; ', h('code', { tabindex: '0' }, 'gpuplay setup llama.cpp'), ' installs the program that runs it.');
  }

  for (const side of sides) side.canvas = canvas(side.picture, (x, w, height) => draw(side, x, w, height));
  const shownTime = side => mode === 'replay' ? performance.now() - began : mode === 'idle' ? 0 : Infinity;

  function draw(side, x, w, height) {
    const end = Math.max(200, ...sides.map(s => s.end)) * 1.02, X = t => t / end * (w - 2), t = shownTime(side);
    x.fillStyle = color('grid'); x.fillRect(0, height - 17, w, 1);
    x.fillStyle = color(side.token);
    for (const p of side.pieces) if (p.at <= t) x.fillRect(X(p.at), 4, 1.5, height - 23);
    const step = [.1, .2, .5, 1, 2, 5, 10, 20, 60].find(q => end / 1000 / q <= 8) ?? 60;
    for (let q = 0; q * 1000 <= end; q += step) label(x, num(q) + (q ? '' : ' s'), X(q * 1000), height - 3, '500 11px', 'ink-3', q ? 'center' : 'left');
    if (mode === 'replay') { x.fillStyle = color('ink'); x.fillRect(X(Math.min(t, end)), 0, 1.5, height - 16); }
  }

  function show() {
    for (const side of sides) {
      const t = shownTime(side), n = side.pieces.findIndex(p => p.at > t), count = n < 0 ? side.pieces.length : n;
      if (count !== side.shown) { side.text.textContent = side.pieces.slice(0, count).map(p => p.text).join(''); side.shown = count; }
      side.values.count.textContent = count;
      if (count && side.values.first.textContent === '–') side.values.first.textContent = `${num(side.pieces[0].at)} ms`;
      if (count > 2 && mode === 'live') side.values.rate.textContent = num((count - 1) / (side.pieces[count - 1].at - side.pieces[0].at) * 1000);
      side.element.className = `c-${side.token} ` + (mode === 'idle' ? 'idle' : mode === 'done' || count === side.pieces.length && side.over ? 'done' : '');
      side.canvas.paint();
    }
    if (mode === 'done') table.fill(Array.from({ length: Math.max(...sides.map(s => s.pieces.length)) }, (_, i) => [String(i + 1), ...sides.map(s => s.pieces[i] ? num(s.pieces[i].at, 4) : '–'), (cpu.pieces[i] ?? gpu.pieces[i]).text]));
    showBadge(badge, mode);
    go.lastChild.textContent = mode === 'live' ? 'Stop' : 'Ask both';
    go.disabled = !talkers.length || Boolean(client.current) && client.current.kind !== 'llm';
    again.hidden = mode !== 'done' || sides.some(s => !s.pieces.length);
    section.dataset.mode = mode;
  }

  const replay = loop(() => {
    if (mode === 'replay' && performance.now() - began > Math.max(...sides.map(s => s.end)) + 300) { mode = 'done'; replay.stop(); }
    show();
  });

  /** What a lane came to: medians of its timed rounds, where there are any. */
  function result(r) {
    const side = lanes.get(r.lane);
    if (!side) return;
    side.over = true;
    const samples = r.samples ?? [];
    if (samples.length) {
      side.values.first.textContent = `${num(median(samples.map(q => q.first_ns)) / 1e6)} ms`;
      side.values.rate.textContent = num(median(samples.map(q => (q.tokens - 1) / (q.token_ns / 1e9))));
    }
    if (r.facts?.memory) side.values.memory.textContent = bytes(r.facts.memory);
    if (r.error) side.about.textContent = r.error.message;
  }

  client.on('llm', e => {
    switch (e.type) {
      case 'run': mode = 'live'; lanes = new Map(); same.hidden = true; says.textContent = ''; sides.forEach(s => { s.clear(); s.over = false; }); break;
      case 'note': if (mode === 'live') says.textContent = e.data.text; return;
      case 'loaded': {
        const kind = e.data.device?.kind, side = kind === 'cpu' || !kind ? cpu : gpu;
        lanes.set(e.lane, side);
        side.about.textContent = `${e.data.model}${e.data.layers != null ? `, ${e.data.layers} of ${e.data.total ?? '?'} layers on the GPU` : ''}${kind === 'software-gpu' ? ', a software GPU' : ''}`;
        if (e.data.memory) side.values.memory.textContent = bytes(e.data.memory);
        break;
      }
      case 'token': {
        const side = lanes.get(e.lane);
        if (side && !side.over) side.pieces.push({ text: e.data.text, at: e.data.at_ns / 1e6 });
        break;
      }
      case 'round': says.textContent = 'Both are being timed, without showing their text.'; break;
      case 'check': if (e.data.base && e.data.passed && !e.data.difference) same.hidden = false; break;
      case 'result': result(e.data); break;
      case 'end':
        mode = 'done';
        says.textContent = e.data.error ? told(e.data.error) : '';
        if (e.data.result) client.get('results/' + e.data.result).then(v => { if (v.headline?.Ratio) says.textContent = `${v.headline.Figure} ${v.headline.Claim}: ${v.headline.Detail}; ${v.headline.Proof}.`; }).catch(() => {});
        break;
      case 'idle': break;
      default: return;
    }
    show();
  });
  client.on('race', e => { if (e.type === 'run' || e.type === 'end') show(); });
  go.onclick = async () => {
    if (client.has('llm')) { client.stop(); return; }
    try { await client.start('llm', { model: model.value, prompt: prompt.value, tokens: chosen.get().tokens }); } catch (e) { says.textContent = told(e); }
  };
  again.onclick = () => { mode = 'replay'; began = performance.now(); for (const s of sides) s.shown = -1; replay.start(); };
  show();
}
