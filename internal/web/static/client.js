// The connection to the server: requests, the stream of events, and the clock of what is measured.

const API = '/api/v1/';

/** An error that the server explained. */
class Refused extends Error {
  constructor(status, body) {
    super(body.message ?? 'the server answered with status ' + status);
    this.status = status;
    this.ways = body.ways ?? [];
    this.run = body.run;
  }
}

/**
 * How far behind the runner the page shows what happens, in ms: a sample is told when it has ended,
 * and its products are shown at the times at which they completed.
 */
const LAG = 250;

/**
 * The runner's clock as the page shows it. It never passes the time until which the server has told
 * everything, so that a stream that stops stops the page.
 */
class Clock {
  reset() { this.known = 0; this.offset = Infinity; this.heard = 0; }
  constructor() { this.reset(); }
  /** Everything until at (ms) has been told, now. */
  tell(at, now = performance.now()) {
    this.known = Math.max(this.known, at);
    this.offset = Math.min(this.offset, now - at); // the fastest way that a message took
    this.heard = now;
  }
  /** The time that is shown, in ms of the runner's clock. */
  shown(now = performance.now()) { return Math.max(0, Math.min(now - this.offset - LAG, this.known)); }
  /** For how long nothing was heard, in ms. */
  silent(now = performance.now()) { return this.heard ? now - this.heard : 0; }
}

export class Client {
  clock = new Clock();
  current = null; // {run, kind} of what is measured
  connected = false;
  #listeners = [];
  #asked = null; // {kind, answer} of a run, from the request for it to its end

  /** Exchanges the token in the address for a session; false if there is none. */
  async open() {
    const token = new URLSearchParams(location.hash.slice(1)).get('token');
    if (token) {
      history.replaceState(null, '', location.pathname);
      const answer = await fetch(API + 'session', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ token }) });
      if (!answer.ok) return false;
    }
    try {
      this.machine = await this.get('machine');
    } catch (e) {
      if (e.status === 401) return false;
      throw e;
    }
    this.#listen();
    return true;
  }

  async #ask(method, path, body) {
    const answer = await fetch(API + path, { method, headers: body === undefined ? {} : { 'Content-Type': 'application/json' }, body: body === undefined ? undefined : JSON.stringify(body) })
      .catch(() => { throw new Error('gpuplay does not answer. Is it still running?'); });
    const text = await answer.text();
    let value = {};
    try { value = JSON.parse(text); } catch { value = { message: text.trim() }; }
    if (!answer.ok) throw new Refused(answer.status, value);
    return value;
  }
  get(path) { return this.#ask('GET', path); }
  /** A stored result: the named one, or the latest of a kind; null where there is none. */
  async result(kind, name) {
    name ??= (await this.get(`results?kind=${kind}&limit=1`).catch(() => []))[0]?.name;
    return name ? this.get('results/' + name).catch(() => null) : null;
  }
  post(path, body) { return this.#ask('POST', path, body); }

  /** Has something measured; its events follow. */
  start(kind, settings) {
    const asked = { kind, answer: this.post('runs', { kind, settings }) };
    this.#asked ??= asked;
    asked.answer.catch(() => { if (this.#asked === asked) this.#asked = null; });
    return asked.answer;
  }
  /** Whether something of a kind is measured, or was asked for and will be. */
  has(kind) { return (this.current ?? this.#asked)?.kind === kind; }
  /** Stops what is measured, also if the server has not answered yet; its end follows as an event. */
  async stop() {
    const run = this.current?.run ?? (await this.#asked?.answer.catch(() => null))?.id;
    if (run) await this.#ask('DELETE', 'runs/' + run).catch(e => { if (e.status !== 404) throw e; }); // 404: it has ended
  }
  /** Gives what is measured a message; it may be over before that arrives. */
  async tell(message) { if (this.current) await this.post(`runs/${this.current.run}/messages`, message).catch(() => {}); }

  /**
   * Calls f(event) for the events of runs of a kind: those of docs/event.schema.json, and those of the
   * server with the types run (one begins), end (it ended; data has its result), gap (events are missing)
   * and link (data: whether the stream stands, or 'over' if the session is).
   */
  on(kind, f) { this.#listeners.push([kind, f]); }

  #say(event, kind = this.current?.kind) {
    for (const [k, f] of this.#listeners) if (k === kind || kind === undefined) f(event);
  }

  /** Has chapters know that what was measured has ended. */
  #ended(d) {
    const kind = this.current?.kind ?? d.kind;
    this.current = this.#asked = null;
    this.#say({ type: 'end', run: d.run, data: d }, kind);
    this.#say({ type: 'idle', data: d }, undefined);
  }

  /** Opens the stream, behind the message of an id. If it is refused, the next attempt is after wait ms. */
  #listen(after = '', wait = 1000) {
    const source = new EventSource(`${API}events?after=${after}`);
    const on = (name, f) => source.addEventListener(name, m => {
      after = m.lastEventId || after;
      f(m.data ? JSON.parse(m.data) : {});
    });
    on('hello', d => {
      this.connected = true;
      wait = 1000;
      if (!d.resumed && !d.current) this.#asked = null;
      if (this.current && d.current?.run !== this.current.run && !d.resumed) { // it ended while nobody listened
        this.#say({ type: 'gap', data: { missed: 0 } });
        this.#ended({ ...this.current, result: this.current.run });
      }
      this.current ??= d.current ?? null; // its begin may be among the events that are missing
      this.#say({ type: 'link', data: true }, undefined);
    });
    on('begin', d => {
      this.current = d;
      this.clock.reset();
      this.#say({ type: 'run', run: d.run, data: d });
    });
    on('clock', d => this.clock.tell(d.at_ns / 1e6));
    on('gap', d => this.#say({ type: 'gap', data: d }));
    on('end', d => this.#ended(d));
    source.onmessage = m => {
      after = m.lastEventId;
      const e = JSON.parse(m.data);
      this.clock.tell(e.at_ns / 1e6);
      this.#say(e);
    };
    source.onerror = () => {
      this.connected = false;
      this.#say({ type: 'link', data: false }, undefined);
      // After an answer other than 200 a browser gives up, and Firefox after other errors too.
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(async () => {
        if (await this.get('machine').then(() => false, e => e.status === 401)) {
          if (this.current) this.#ended({ ...this.current, error: { message: 'gpuplay was restarted during the run.' } });
          this.#say({ type: 'link', data: 'over' }, undefined);
        } else this.#listen(after, Math.min(2 * wait, 30_000));
      }, wait);
    };
  }
}

/** What is shown of an error: its message, and what can be done. */
export const told = e => [e.message, ...(e.ways ?? [])].join('. ');
/** The lane of this program's engine. */
export const OWN = 'gocpu/cpu';

// Settings live in the address, behind #, so that it can be shared: #train?race.size=4096&train.eta=0.1

let next = null; // what the address is about to become: Safari lets it be changed 100 times in 30 s, then throws
const read = () => {
  const [chapter, query] = (next ?? location.hash).slice(1).split('?');
  return { chapter, values: new URLSearchParams(query ?? '') };
};
const write = (chapter, values) => {
  if (next === null) setTimeout(() => { history.replaceState(null, '', next); next = null; }, 400);
  next = '#' + chapter + (values.size ? '?' + values : '');
};

/** The chapter that the address names. */
export const chapterNow = () => read().chapter;
export const showChapter = chapter => write(chapter, read().values);

/**
 * The settings of a chapter: settings('race', {size: 0}) has get() and set({size: 4096}). A value has the
 * type of its default; the default itself is not written.
 */
export function settings(chapter, defaults) {
  const get = () => {
    const { values } = read(), out = {};
    for (const [name, usual] of Object.entries(defaults)) {
      const text = values.get(`${chapter}.${name}`);
      out[name] = text === null ? usual : typeof usual === 'number' ? (Number.isFinite(+text) ? +text : usual) : typeof usual === 'boolean' ? text === 'true' : text;
    }
    return out;
  };
  return {
    get,
    set(some) {
      const { chapter: now, values } = read();
      for (const [name, value] of Object.entries({ ...get(), ...some })) {
        if (value === defaults[name]) values.delete(`${chapter}.${name}`);
        else values.set(`${chapter}.${name}`, String(value));
      }
      write(now || chapter, values);
    },
  };
}
