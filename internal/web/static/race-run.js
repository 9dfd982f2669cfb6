// What a race is, as the page knows it: lanes with their samples, sensors, and phases. It comes from the
// events of a run that is measured, or from a record.
import { median, upper } from './util.js';

/** A growing list of numbers. */
class Numbers {
  list = new Float64Array(64);
  length = 0;
  push(x) {
    if (this.length === this.list.length) {
      const larger = new Float64Array(2 * this.length);
      larger.set(this.list);
      this.list = larger;
    }
    this.list[this.length++] = x;
  }
  at(i) { return this.list[i]; }
  last() { return this.length ? this.list[this.length - 1] : 0; }
  /** How many are not above x; they are in order. */
  upper(x) { return upper(this.list, x, this.length); }
  values(length = this.length) { return this.list.subarray(0, length); }
}

/**
 * When products completed: samples have a start and an end in ms, and the products of one are evenly spaced
 * between them.
 */
class Timeline {
  start = new Numbers();
  end = new Numbers();
  cum = new Numbers(); // products until the end of each sample
  add(start, end, iters) {
    this.start.push(start);
    this.end.push(end);
    this.cum.push(this.cum.last() + iters);
  }
  /** The number of products until a time; of the one that is computed then, a part. */
  progress(t) {
    const k = this.end.upper(t), done = k ? this.cum.at(k - 1) : 0;
    if (k === this.end.length || t <= this.start.at(k)) return done;
    return done + (this.cum.at(k) - done) * (t - this.start.at(k)) / (this.end.at(k) - this.start.at(k));
  }
  /** The number of products that had completed at a time. */
  count(t) { return Math.floor(this.progress(t)); }
  /** The sample that a product was in. */
  sampleOf(product) { return this.cum.upper(product); }
  /** When a product completed. */
  completed(product) {
    const k = this.sampleOf(product), before = k ? this.cum.at(k - 1) : 0;
    return this.start.at(k) + (this.end.at(k) - this.start.at(k)) * (product + 1 - before) / (this.cum.at(k) - before);
  }
}

/** A lane: an engine on a device. */
class Lane {
  kind = ''; // cpu, gpu, software-gpu; empty until it is prepared
  flop = 0; // of a product
  live = new Timeline(); // on the runner's clock
  own = new Timeline(); // its samples one behind the other, as if it had had no turns: walls alone
  seconds = new Numbers(); // of a product, one value a sample
  phase = '';
  verified = null; // what the record says; null until there is one
  error = null;
  constructor(id) { this.id = id; }
  sample(d) {
    this.live.add(d.start_ns / 1e6, d.end_ns / 1e6, d.iters);
    this.own.add(this.own.end.last(), this.own.end.last() + d.wall_ns / 1e6, d.iters);
    this.seconds.push(d.wall_ns / 1e9 / d.iters);
  }
  /** The median speed in FLOP/s of the first samples, all by default: the figure that a record gives. */
  speed(samples = this.seconds.length) {
    if (this.known?.samples !== samples) this.known = { samples, speed: samples && this.flop ? median(this.seconds.values(samples).map(s => this.flop / s)) : NaN };
    return this.known.speed;
  }
  /** The same, of somewhat fewer samples, for what is drawn in each frame. */
  roughly() {
    if (!(this.seconds.length < 1.1 * this.rough?.samples)) this.rough = { samples: this.seconds.length, speed: this.speed() };
    return this.rough.speed;
  }
  /** Why there is no figure to quote; empty where there is one, or none yet. */
  get doubt() {
    if (this.error) return this.error.message;
    if (this.wrong) return 'the result is wrong';
    return this.verified === false && this.seconds.length ? 'not verified' : '';
  }
  describe({ device, gemm, facts }) {
    this.kind = device.kind;
    this.place = device.name;
    this.card = device.card;
    this.gemm = gemm;
    this.flop = 2 * gemm.m * gemm.n * gemm.k;
    this.op = gemm.in === 'int8' ? 'OP' : 'FLOP';
    this.threads = facts?.threads;
  }
}

const shortPhase = { preparing: 'prepare', checking: 'check', 'warming up': 'warm-up', measuring: 'measure', sustaining: 'watch sensors' };

export class RaceRun {
  lanes = [];
  phases = []; // {name, from}: what is done from then on, in ms
  sensors = new Map(); // of 'card:quantity', card empty for the machine: {at, values}
  size = null;
  dtype = '';
  note = '';
  events = 0;
  end = 0; // the time of the latest event
  missed = 0;

  lane(id) {
    let lane = this.lanes.find(l => l.id === id);
    if (!lane) this.lanes.push(lane = new Lane(id));
    return lane;
  }

  phase(name, at) {
    if (this.phases.at(-1)?.name !== name) this.phases.push({ name, from: at });
  }

  reading(r, at) {
    if (r.cpu != null) return;
    const key = `${r.card ?? ''}:${r.quantity}`;
    let series = this.sensors.get(key);
    if (!series) this.sensors.set(key, series = { at: new Numbers(), values: new Numbers() });
    series.at.push(at);
    series.values.push(r.value);
  }

  /** Takes an event of docs/event.schema.json. */
  take(e) {
    const at = e.at_ns / 1e6, d = e.data;
    this.events++;
    this.end = Math.max(this.end, at);
    switch (e.type) {
      case 'begin': this.phase('start', at); break;
      case 'opened': this.machine = d.machine; this.cards = d.cards; break;
      case 'note': this.note = d.text; break;
      case 'lane': Object.assign(this.lane(e.lane), { name: d.name, engine: d.engine, place: d.device, card: d.card, op: d.op }); break;
      case 'prepared': this.lane(e.lane).describe(d); this.size = d.gemm; break;
      case 'phase':
        this.lane(e.lane).phase = d.phase;
        if (shortPhase[d.phase]) this.phase(shortPhase[d.phase], at);
        break;
      case 'sample': this.lane(e.lane).sample(d); break;
      case 'check': if (!d.passed) this.lane(e.lane).wrong = d; break;
      case 'telemetry': for (const r of d.readings) this.reading(r, at); break;
      case 'result': if (d.error) this.lane(e.lane).error = d.error; break;
      case 'gap': this.missed += d.missed; break;
    }
  }

  /** Reads the record of a race; names are those of its lanes. */
  static of(record, names = {}) {
    const run = new RaceRun();
    for (const r of record.results ?? []) {
      const lane = run.lane(r.lane);
      lane.name = names[r.lane] ?? r.engine;
      lane.engine = r.engine;
      lane.describe(r);
      lane.verified = r.verified;
      lane.error = r.error ?? null;
      lane.warnings = r.warnings ?? [];
      lane.check = r.check;
      for (const s of r.samples ?? []) { lane.sample(s); run.end = Math.max(run.end, s.end_ns / 1e6); }
      run.size = r.gemm;
    }
    const first = Math.min(...run.lanes.filter(l => l.live.start.length).map(l => l.live.start.at(0)));
    const last = Math.max(...run.lanes.map(l => l.live.end.last()));
    if (Number.isFinite(first)) {
      run.phase('prepare', 0);
      run.phase('measure', first);
      run.phase('check', last);
    }
    for (const source of record.telemetry?.sources ?? []) {
      for (const series of source.series) {
        series.values.forEach((value, i) => { if (value != null) run.reading({ ...series, value }, source.at_ns[i] / 1e6); });
      }
    }
    run.end = Math.max(run.end, (record.elapsed_ns ?? 0) / 1e6);
    run.machine = record.machine;
    run.cards = record.cards;
    run.created = record.created;
    return run;
  }

  /** The lanes of a kind of device, the fastest verified first. */
  of(kind) {
    const rank = l => [l.verified === false || l.wrong || l.error ? 1 : 0, -(l.speed() || 0)];
    return this.lanes.filter(l => l.kind === kind).sort((a, b) => rank(a)[0] - rank(b)[0] || rank(a)[1] - rank(b)[1]);
  }

  /** The time in ms for which each of these lanes was measured at least: what may be shown side by side. */
  common(lanes) {
    const times = lanes.map(l => l.own.end.last()).filter(t => t > 0);
    return times.length ? Math.min(...times) : 0;
  }
}
