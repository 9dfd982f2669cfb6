// Chapter Race: the same product on every device, live, recorded, or replayed.
import { bytes, chip, choice, count, dataTable, h, loop, median, num, play, put, rate, showBadge } from './util.js';
import { settings } from './client.js';
import { RaceRun } from './race-run.js';
import { LaneView, kinds } from './race-lane.js';
import { History } from './race-history.js';
import { Browser } from './browser.js';

const sizes = [[0, 'auto'], [512, '512³'], [1024, '1024³'], [2048, '2048³'], [4096, '4096³']];
const dtypes = ['float32', 'float64', 'tf32', 'float16', 'bfloat16', 'int8'];

const phaseSays = {
  start: 'The engines start', prepare: 'The matrices are filled', check: 'Every result is checked',
  'warm-up': 'The lanes warm up', measure: 'The lanes take turns', 'watch sensors': 'The sensors are read for the fastest lanes',
};

/** The machine in three words each: CPU, GPUs, this browser. */
function machineStrip(machine, browser) {
  const cores = machine.cores ? `${machine.cores} cores` : `${machine.cpus} CPUs`, cards = machine.cards ?? [];
  return h('div.machine',
    h('div.c-cpu', h('b', machine.cpu), [cores, machine.memory && bytes(machine.memory)].filter(Boolean).join(', ')),
    h('div.c-gpu', h('b', cards.length ? (cards.length > 1 ? `${cards.length} × ` : '') + cards[0].name : 'No GPU listed'), cards.length ? cards[0].vendor || 'driver found' : 'the race looks for one'),
    h('div.c-web', h('b', 'This browser'), browser.available));
}

/** Lists what the doctor found wrong with the machine, each with the first command that fixes it. */
async function findings(client, into) {
  const list = await client.get('doctor').catch(() => []);
  const bad = list.filter(f => f.status === 'failed' || f.status === 'warning');
  if (!bad.length) return;
  into.append(h('details.findings', h('summary', `doctor found ${bad.length === 1 ? 'one thing' : bad.length + ' things'} that ${bad.length === 1 ? 'limits' : 'limit'} this machine`),
    h('ul', bad.map(f => h('li', h('b', f.name), ' ', f.seen, f.why && h('span', ' ' + f.why), (f.ways ?? []).slice(0, 1).map(w => h('code', { tabindex: '0' }, w)))))));
}

export function race(section, client) {
  const chosen = settings('race', { size: 0, dtype: 'float32', seconds: 10, run: '' });
  const browser = new Browser();
  let run = null, view = null, replayed = 0, began = 0, slow = 1, paced = false, result = null, failure = null, window_ = 0, ending = false;

  const stage = {
    mode: 'idle', top: 1, slow: 1,
    get run() { return run; },
    time: () => stage.mode === 'live' ? client.clock.shown() : stage.mode === 'replay' ? replayed : window_,
    timeline: lane => stage.mode === 'live' ? lane.live : lane.own,
    at: () => stage.mode === 'live' ? client.clock.shown() : Infinity,
  };

  const big = h('div.big'), sub = h('div.sub'), spoken = h('span.vh', { role: 'status' });
  const badge = h('span.badge'), goText = h('span', 'Race'), go = h('button.go', { id: 'race-go' }, play(), goText);
  const again = h('button', { id: 'race-again', hidden: true }, 'Replay together');
  const lanes = h('div.lanes'), more = h('details.more', { hidden: true }), moreTitle = h('summary'), moreLanes = h('div');
  more.append(moreTitle, moreLanes);
  const history = new History(stage);
  const table = dataTable('Data of the race', ['lane', 'device', 'n', 'type', 'samples', 'products', 'speed', 'spread', 'result'], []);
  // Views are made once and shown other lanes later, so that a page that stays open does not grow.
  const views = {}, viewOf = (kind, place = '') => views[kind + place] ??= new LaneView(stage, kind, place !== '');
  const main = { cpu: viewOf('cpu'), gpu: viewOf('gpu') };
  let folded = [];
  const noGPU = h('div', h('h3', 'No GPU found'), h('p'), h('code', 'gpuplay doctor'), ' says what is missing.');

  const size = choice(sizes, chosen.get().size, n => { chosen.set({ size: n }); idle(); }, 'Size');
  const dtype = h('select', { 'aria-label': 'Data type', onchange: e => { chosen.set({ dtype: e.target.value }); idle(); } }, dtypes.map(d => h('option', { value: d, selected: d === chosen.get().dtype }, d)));
  const pace = choice([[1, 'real time'], [10, '10× slower']], 1, x => { slow = x; paced = true; }, 'Pace of the replay');
  const stored = h('select', { 'aria-label': 'Stored races', onchange: e => { if (e.target.value) load(e.target.value); } });
  const doctor = h('div');

  section.append(
    h('div.hero', h('h1', 'Touch the gradient. Watch matrices fly.'), machineStrip(client.machine, browser)), doctor,
    h('div.panel', h('h2.vh', 'Race'),
      h('div.say', h('div', big, sub, spoken), h('div.acts', badge, again, go)),
      lanes, more, browser.element, history.element),
    h('div.foot', size, dtype, pace, stored, h('span', 'The lines below the lanes show speed, all on one scale.'), table));
  lanes.append(main.cpu.element, main.gpu.element);

  /** Gives every lane its place: the best of each device first, the others folded, 96 pixels each. */
  function arrange() {
    const rest = [];
    for (const kind of ['cpu', 'gpu']) {
      const list = run ? run.of(kind) : [];
      if (kind === 'gpu' && run) list.push(...run.of('software-gpu'));
      const first = list[0] ?? null;
      const now = viewOf(first?.kind ?? kind); // a software GPU stands where a GPU would
      if (now !== main[kind]) { main[kind].show(null); main[kind].element.replaceWith(now.element); }
      main[kind] = now;
      main[kind].why.replaceChildren();
      if (kind === 'gpu' && run && !first && stage.mode !== 'live') {
        noGPU.querySelector('p').textContent = view?.run.missing?.filter(m => m.kind === 'gpu').map(m => m.reason + '.')[0] ?? 'No engine reached one.';
        main.gpu.why.append(noGPU);
      }
      main[kind].show(first, kind === 'cpu' ? client.machine.cpu : client.machine.cards[0]?.name);
      rest.push(...list.slice(1));
    }
    const before = folded;
    folded = rest.map((lane, i) => viewOf(lane.kind, ':' + i));
    for (const v of before) if (!folded.includes(v)) { v.show(null); v.element.remove(); }
    folded.forEach((v, i) => { v.show(rest[i]); if (moreLanes.children[i] !== v.element) moreLanes.insertBefore(v.element, moreLanes.children[i] ?? null); });
    more.hidden = !rest.length;
    moreTitle.textContent = `${rest.length} more ${rest.length === 1 ? 'lane' : 'lanes'}: ` + rest.map(l => l.doubt ? `${l.name} ${l.doubt}` : l.speed() > 0 ? `${l.name} ${rate(l.speed(), l.op).join(' ')}` : l.name).join(' · ');
  }

  const shownLanes = () => [main.cpu, main.gpu, ...folded].filter(v => v.lane);

  /** How much a pile has to hold, in steps, so that cells keep their size for a while. */
  function capacity() {
    let top = 1;
    for (const { lane } of shownLanes()) {
      const line = stage.timeline(lane);
      top = Math.max(top, stage.mode === 'live' ? line.count(stage.time(lane)) : line.count(window_));
    }
    stage.top = stage.mode === 'live' ? 40 * 2 ** Math.ceil(Math.log2(Math.max(1, top / 40))) : top + 1;
  }

  function say(head, ...below) {
    big.replaceChildren(...[head].flat());
    sub.replaceChildren(...below.filter(Boolean));
  }
  const phaseNow = () => run.phases.findLast(p => p.from <= client.clock.shown())?.name ?? 'start';
  const first = text => text[0].toUpperCase() + text.slice(1);

  function headline() {
    if (failure) {
      say('Not measured', failure.message, ...(failure.ways ?? []).slice(0, 1).map(w => h('code', w)));
      return;
    }
    switch (stage.mode) {
      case 'live': {
        const name = phaseNow();
        say(run.lanes.length === 1 && name === 'measure' ? `The ${kinds[run.lanes[0].kind]?.name ?? 'lane'} multiplies` : phaseSays[name] ?? phaseSays.start, run.missed ? `${run.missed} events were lost on the way; the result will contain them all.` : name === 'start' && run.note ? run.note : run.lanes.length === 1 ? 'Only this lane was found.' : 'Lanes share power and memory and would slow each other down, so each computes while the others wait.');
        return;
      }
      case 'replay':
        say(['The same ', h('b', `${num(window_ / 1000)} s`), ' for each lane'], `The lanes were measured in turns. The replay shows their own times side by side${slow > 1 ? `, ${slow} times slower` : ''}.`);
        return;
      case 'done': {
        const hd = view.headline, none = hd.Figure === 'No ratio' || hd.Figure === 'No result', software = run.of('software-gpu').length > 0;
        const [claim, ...more] = hd.Ratio ? [hd.Claim] : hd.Claim.split(none ? ': ' : '; ');
        if (software && !none) more.push('A software GPU runs on the CPU: its figure enters no comparison');
        more.push(none ? hd.Subject : `${hd.Subject}: ${hd.Detail}`);
        say(none ? `${hd.Figure}: ${claim}` : [h('b', { class: 'is-' + hd.Winner }, `${hd.Figure} ${hd.Unit}`.trim()), ' ' + claim],
          more.map(c => first(c) + '.').join(' '), chip(['', 'ok', 'bad'][hd.Trust], hd.Proof), !none && chip('', 'measured'), software && chip('soft', 'software GPU'));
        return;
      }
      default: {
        const { size: n, dtype, seconds } = chosen.get();
        say(client.machine.cards.length ? 'How much faster is this GPU?' : 'How fast is this machine?', `Two ${n ? `${n} × ${n} ${dtype} matrices` : `${dtype} matrices of a size that suits this machine`}, multiplied on every device for about ${seconds} seconds.`);
      }
    }
  }

  function rows() {
    table.fill((run?.lanes ?? []).filter(l => l.gemm).map(l => {
      const list = l.seconds.values().slice().sort(), spread = list.length > 3 ? (list[Math.floor(list.length * .75)] - list[Math.floor(list.length * .25)]) / median(list) : NaN;
      return [l.name, l.place, `${l.gemm.n}`, l.gemm.in, `${list.length}`, count(l.own.cum.last()), l.doubt ? '–' : rate(l.speed(), l.op).join(' '), Number.isFinite(spread) ? `${num(spread * 100, 2)} % between quartiles` : '–', l.error ? l.error.message : l.verified ? 'verified' : l.verified === false || l.wrong ? 'not verified' : '–'];
    }));
  }

  let said = '', counted = 0;
  function sync(now = performance.now()) {
    const silent = stage.mode === 'live' ? client.clock.silent(now) : 0, stuck = silent > 1000;
    const key = [stage.mode, failure?.message, stage.mode === 'live' ? phaseNow() : '', run?.note, run?.missed, slow, view?.run.id, chosen.get().size, chosen.get().dtype].join('|');
    if (key !== said) { said = key; headline(); }
    if (now - counted > 90 || !frames.on) {
      counted = now;
      const most = Math.max(1e-9, ...shownLanes().map(v => v.lane.doubt ? 0 : v.lane.speed() || 0), browser.speed || 0);
      for (const v of shownLanes()) v.numbers(most);
      browser.bar(most);
    }
    if (stuck) showBadge(badge, 'replay', `NO EVENTS FOR ${(silent / 1000).toFixed(1)} s`);
    else if (stage.mode === 'replay' && slow > 1) showBadge(badge, 'replay', `↻ REPLAY, ${slow}× SLOWER`);
    else if (stage.mode === 'done') showBadge(badge, 'done', 'RECORDED' + (result?.created ? ' ' + result.created.slice(0, 10) : '') + (result?.machine?.id && client.machine.id && result.machine.id !== client.machine.id ? ', ANOTHER MACHINE' : ''));
    else showBadge(badge, stage.mode);
    put(goText, stage.mode === 'live' || stage.mode === 'replay' ? 'Stop' : stage.mode === 'done' ? 'Race again' : 'Race');
    go.disabled = Boolean(client.current) && client.current.kind !== 'race';
    go.title = go.disabled ? `Chapter ${client.current.kind} is measuring; only one measurement runs at a time` : '';
    again.hidden = stage.mode !== 'done' || window_ <= 0;
    put(again, shownLanes().length > 1 ? 'Replay together' : 'Replay');
    section.dataset.mode = stage.mode;
  }

  function draw() {
    capacity();
    for (const v of [main.cpu, main.gpu, ...folded]) v.canvas.paint();
  }

  let historyAt = 0;
  const frames = loop(now => {
    if (stage.mode === 'replay') {
      replayed = Math.min((now - began) / slow, window_ + 700 / slow + 200 / slow);
      if (replayed >= window_ + 700 / slow + 200 / slow) { enter('done'); return; }
    }
    if (ending && client.clock.shown(now) >= client.clock.known - 1) { finish(); return; }
    draw();
    if (now - historyAt > 100) { historyAt = now; history.canvas.paint(); }
    sync(now);
  });

  function enter(mode) {
    stage.mode = mode;
    stage.slow = mode === 'replay' ? slow : 1;
    for (const v of shownLanes()) { v.before = 0; v.fresh = 0; }
    if (mode === 'live' || mode === 'replay') { began = performance.now(); replayed = 0; frames.start(); }
    else frames.stop();
    arrange();
    draw();
    history.canvas.paint();
    sync();
  }

  function idle() {
    if (stage.mode === 'live') return;
    run = view = result = failure = null;
    chosen.set({ run: '' });
    enter('idle');
  }

  /** Shows a record. */
  function record(v) {
    view = v;
    result = v.run;
    run = RaceRun.of(v.run, v.names);
    failure = null;
    arrange();
    window_ = run.common([main.cpu, main.gpu].filter(x => x.lane && x.lane.own.end.length).map(x => x.lane));
    if (!paced) pace.set(slow = window_ < 1500 ? 10 : 1); // what is over in a second cannot be seen
    enter('done');
    rows();
    spoken.textContent = big.textContent;
  }
  async function load(id) {
    try { record(await client.get('results/' + id)); chosen.set({ run: id }); } catch (e) { failure = e; enter('idle'); }
  }
  async function list() {
    const kept = (await client.get('results?kind=race&limit=20').catch(() => [])).filter(e => e.figure);
    stored.hidden = !kept.length;
    stored.replaceChildren(h('option', { value: '' }, 'Stored races …'), ...kept.map(e => h('option', { value: e.name }, `${e.created.slice(0, 16).replace('T', ' ')} · ${e.figure}`)));
  }

  function finish() {
    const end = ending;
    ending = false;
    frames.stop();
    section.dataset.received = run.lanes.reduce((sum, l) => sum + l.live.cum.last(), 0); // products, for tests
    if (end.error && !end.result) { failure = end.error; enter('idle'); return; }
    if (!end.result) { failure = { message: 'It was stopped before anything was measured.' }; enter('idle'); return; }
    load(end.result).then(list);
  }

  client.on('race', e => {
    switch (e.type) {
      case 'run': run = new RaceRun(); view = result = failure = null; ending = false; enter('live'); break;
      case 'end': ending = e.data; if (!frames.on) finish(); break;
      case 'link': case 'idle': break;
      default:
        if (!run || stage.mode !== 'live') return;
        run.take(e);
        if (e.type === 'prepared' || e.type === 'lane') arrange();
    }
    if (!frames.on) sync(); // each frame does
  });

  go.onclick = async () => {
    if (stage.mode === 'replay') { enter('done'); return; }
    if (client.has('race')) { client.stop(); return; }
    const s = chosen.get();
    try {
      failure = null;
      await client.start('race', { size: s.size, dtype: s.dtype, seconds: s.seconds });
    } catch (e) { failure = e; enter('idle'); }
  };
  again.onclick = () => enter('replay');
  browser.onResult = () => sync();

  enter('idle');
  findings(client, doctor);
  list().then(() => { const id = chosen.get().run; if (id) load(id); });
  return { stage, record, enter };
}
