// This browser as an engine of chapter Train: the same network, from the same weights, with the same rows,
// on its GPU. The server sends the program in WGSL (internal/network/wgsl.go); what is measured stays here.
import { openDevice } from './gpu.js';
import { MLP, decode, floats, full } from './mlp.js';
import { keep } from './train-loss.js';

const LONGEST = 80; // ms of a submission
const CHECKED = 256, LIMIT = 1e-5; // weights whose gradient is checked; the server's limit for float32

/** A network that learns on the GPU of this browser. */
export class GPUNetwork {
  steps = 0;
  busy = 0; // ms that all steps took
  /** started describes the network, and join has its weights, the rows to learn from and the programs. */
  static async open(started, join) {
    const n = new GPUNetwork(), gpu = n.gpu = await openDevice('maxComputeWorkgroupStorageSize'), { device } = gpu;
    try {
      n.net = new MLP(started.shape, started.loss);
      [n.x, n.y, n.batch] = [floats(join.x), floats(join.y), join.batch];
      const { code, floats: size } = join.shaders.find(s => s.shared <= device.limits.maxComputeWorkgroupStorageSize);
      n.pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module: device.createShaderModule({ code }) } });
      n.data = [new Float32Array(size), n.x, n.y].map(v => n.put(v));
      n.how = n.put(new Uint32Array(4));
      n.check = await n.compare(floats(join.weights));
    } catch (e) {
      gpu.close();
      throw e;
    }
    return n;
  }
  put(values) {
    const { STORAGE, UNIFORM, COPY_SRC, COPY_DST } = GPUBufferUsage, { device } = this.gpu;
    const buffer = device.createBuffer({ size: values.byteLength, usage: STORAGE | UNIFORM | COPY_SRC | COPY_DST });
    device.queue.writeBuffer(buffer, 0, values);
    return buffer;
  }
  /** The weights, and their last gradient. */
  async read() {
    const { device } = this.gpu, n = this.net.weights.length, size = 8 * n, back = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST }), e = device.createCommandEncoder();
    e.copyBufferToBuffer(this.data[0], 0, back, 0, size);
    device.queue.submit([e.finish()]);
    await back.mapAsync(GPUMapMode.READ);
    const values = new Float32Array(back.getMappedRange().slice());
    back.destroy();
    return [values.subarray(0, n), values.subarray(n)];
  }

  /** Makes a step with each batch of the rows. The clock counts from each submission until it is done. */
  async run(rows, rate) {
    const { device } = this.gpu, count = rows.length / this.batch;
    const more = [Uint32Array.from(rows), new Float32Array(Array.from({ length: count }, (_, i) => full(this.steps + 1 + i)).flat())].map(v => this.put(v));
    const group = device.createBindGroup({ layout: this.pipeline.getBindGroupLayout(0), entries: [...this.data, ...more, this.how].map((buffer, binding) => ({ binding, resource: { buffer } })) });
    for (let first = 0, steps; first < count; first += steps) {
      steps = Math.min(count - first, Math.max(1, Math.floor(LONGEST / this.step) || 1));
      device.queue.writeBuffer(this.how, 0, new Uint32Array([first, steps, ...new Uint32Array(new Float32Array([rate]).buffer)]));
      const e = device.createCommandEncoder(), pass = e.beginComputePass();
      pass.setPipeline(this.pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(1);
      pass.end();
      const commands = e.finish(), begun = performance.now();
      device.queue.submit([commands]);
      await device.queue.onSubmittedWorkDone();
      const took = performance.now() - begun;
      this.busy += took;
      this.step = took / steps;
    }
    for (const buffer of more) buffer.destroy();
    this.steps += count;
  }

  /** Sets the weights, after their gradient for the first rows was compared with central differences in float64. */
  async compare(weights) {
    const { net, batch } = this, set = () => this.gpu.device.queue.writeBuffer(this.data[0], 0, Float32Array.from({ length: 4 * weights.length }, (_, i) => weights[i] ?? 0));
    set();
    await this.run(Array.from({ length: batch }, (_, i) => i), 0);
    const [, gradient] = await this.read(), w = Float64Array.from(weights);
    set();
    this.steps = this.busy = 0;
    const loss = () => net.loss({ x: this.x, y: this.y, n: batch }, w);
    let worst = 0;
    for (let i = 0; i < w.length; i += Math.ceil(w.length / CHECKED)) {
      // The better one of two distances: the loss may have a kink of ReLU within the other.
      const off = [1e-5, 1e-7].map(h => {
        w[i] = weights[i] + h;
        const above = loss();
        w[i] = weights[i] - h;
        return Math.abs(gradient[i] - (above - loss()) / (2 * h));
      });
      w[i] = weights[i];
      worst = Math.max(worst, Math.min(...off));
    }
    worst /= gradient.reduce((most, g) => Math.max(most, Math.abs(g)), 0) || 1;
    return { worst, ok: worst <= LIMIT };
  }

  /** Makes the steps of a turn; what was learned is looked at outside the clock. */
  async turn({ steps, rows, rate }) {
    if (steps !== this.steps) throw new Error(`This page has made ${this.steps} steps, and the server ${steps}.`);
    this.gpu.hidden = document.hidden;
    await this.run(new Uint16Array(decode(rows)), rate);
    this.gpu.check();
    this.net.weights.set((await this.read())[0]);
    const loss = this.net.loss({ x: this.x, y: this.y, n: this.y.length });
    return { steps: this.steps, busy_ns: this.busy * 1e6, loss, diverged: !Number.isFinite(loss) };
  }
}

/** The lane of this browser: when it is its turn, it makes the steps that the server has made. */
export class BrowserLane {
  engine = 'browser';
  token = 'web';
  #last = Promise.resolve();
  /** changed() is called after each turn. */
  constructor(client, changed) {
    Object.assign(this, { client, changed });
    this.clear();
  }
  clear(started) {
    this.network?.gpu.close();
    Object.assign(this, { started, network: null, check: null, now: null, history: [], why: '' }); // why it no longer takes part
  }
  /** Takes an event of the types network, join, turn and left, one after the other. */
  take(e) { return this.#last = this.#last.then(() => this.#take(e)).then(this.changed); }
  async #take({ type, data }) {
    if (type === 'left') {
      this.why ||= data.why;
      this.network?.gpu.close();
    } else if (type === 'network') { if (!data.continued) this.clear(data); }
    else {
      const busy = this.network?.busy;
      try {
        if (this.why) throw new Error(this.why);
        if (type === 'turn' && !this.network) throw new Error('Another page has made the first steps.');
        if (type === 'join') {
          const { gpu, check } = this.network = await GPUNetwork.open(this.started, data);
          this.check = check;
          this.name = `this browser through WebGPU on ${gpu.name}${gpu.software ? ', a software GPU' : ''}`;
          if (!check.ok) throw new Error('Its gradients are wrong.');
        } else this.history = keep(this.history, this.now = await this.network.turn(data));
      } catch (e) {
        this.why = e.message;
        this.network?.gpu.close();
      }
      await this.client.tell({ turn: data.turn, leaves: Boolean(this.why), took_ns: Math.round((this.network?.busy - busy) * 1e6) || 0 });
    }
  }
}
