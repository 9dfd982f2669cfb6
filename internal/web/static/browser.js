// This browser as a lane: WebGPU, with rules of its own. Submitting work is not completing it, so that a
// sample is several products and one wait, of at least 200 ms; no single submission is longer than 250 ms,
// which is when a system may end it; 64 elements are checked against float64; and a page that was hidden
// meanwhile has measured nothing.
import { missing, openDevice } from './gpu.js';
import { chip, h, median, num, rate, rng } from './util.js';

const N = 1024, SMALL = 128; // a software adapter is measured with SMALL
const SAMPLE = 200, LONGEST = 250; // ms
const AGREE = .03; // warm when the last three samples agree within this
const MOST = 12, CHECKED = 64;

/** Each workgroup computes 64×64 elements of C, each of its 256 threads 4×4, from tiles in shared memory. */
const shader = `
struct Size { n: u32 }
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
@group(0) @binding(3) var<uniform> size: Size;
var<workgroup> ta: array<f32, 1024>;
var<workgroup> tb: array<f32, 1024>;
@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) t: u32, @builtin(workgroup_id) g: vec3u) {
  let n = size.n;
  let row = g.y * 64u; let col = g.x * 64u;
  let ty = t / 16u * 4u; let tx = t % 16u * 4u;
  var sum: array<f32, 16>;
  for (var k = 0u; k < n; k += 16u) {
    for (var i = t; i < 1024u; i += 256u) {
      ta[i % 16u * 64u + i / 16u] = a[(row + i / 16u) * n + k + i % 16u];
      tb[i] = b[(k + i / 64u) * n + col + i % 64u];
    }
    workgroupBarrier();
    for (var q = 0u; q < 16u; q++) {
      let x = vec4f(ta[q * 64u + ty], ta[q * 64u + ty + 1u], ta[q * 64u + ty + 2u], ta[q * 64u + ty + 3u]);
      let y = vec4f(tb[q * 64u + tx], tb[q * 64u + tx + 1u], tb[q * 64u + tx + 2u], tb[q * 64u + tx + 3u]);
      for (var i = 0u; i < 4u; i++) { for (var j = 0u; j < 4u; j++) { sum[i * 4u + j] = fma(x[i], y[j], sum[i * 4u + j]); } }
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < 4u; i++) { for (var j = 0u; j < 4u; j++) { c[(row + ty + i) * n + col + tx + j] = sum[i * 4u + j]; } }
}`;

async function measure(tell) {
  const gpu = await openDevice(), { device, software, name } = gpu;
  try {
    const n = software ? SMALL : N, random = rng(1), usage = GPUBufferUsage;
    const matrix = () => Float32Array.from({ length: n * n }, () => Math.fround(random() * 2 - 1));
    const put = (data, kind) => { const b = device.createBuffer({ size: data.byteLength, usage: kind | usage.COPY_DST }); device.queue.writeBuffer(b, 0, data); return b; };
    const A = matrix(), B = matrix(), a = put(A, usage.STORAGE), b = put(B, usage.STORAGE), size = put(new Uint32Array([n, 0, 0, 0]), usage.UNIFORM);
    const c = device.createBuffer({ size: 4 * n * n, usage: usage.STORAGE | usage.COPY_SRC }), back = device.createBuffer({ size: 4 * n * n, usage: usage.MAP_READ | usage.COPY_DST });
    let t = performance.now();
    const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module: device.createShaderModule({ code: shader }), entryPoint: 'main' } });
    const compiled = performance.now() - t;
    const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: [a, b, c, size].map((buffer, binding) => ({ binding, resource: { buffer } })) });
    const submit = count => {
      const e = device.createCommandEncoder(), pass = e.beginComputePass();
      pass.setPipeline(pipeline); pass.setBindGroup(0, group);
      for (let i = 0; i < count; i++) pass.dispatchWorkgroups(n / 64, n / 64);
      pass.end();
      device.queue.submit([e.finish()]);
    };
    const timed = async (count, submissions) => {
      const start = performance.now();
      for (let i = 0; i < submissions; i++) submit(count);
      await device.queue.onSubmittedWorkDone();
      return performance.now() - start;
    };
    // How many products one submission may have, and how many submissions a sample needs.
    let count = 1, took = await timed(1, 1);
    while (took < LONGEST / 8 && count < 4096) { count *= 2; took = await timed(count, 1); }
    const samples = [];
    const warm = () => { const l = samples.slice(-3); return l.length === 3 && Math.max(...l) / Math.min(...l) < 1 + AGREE; };
    let steady = false, kept = [];
    for (let i = 0; i < MOST && kept.length < 5; i++) {
      const submissions = Math.max(1, Math.ceil(SAMPLE / Math.max(took, 1e-3)));
      const ms = await timed(count, submissions), seconds = ms / 1000 / (count * submissions);
      gpu.check();
      if (ms < SAMPLE * .9) { took = ms / submissions; continue; } // too short to be one
      samples.push(seconds);
      if (steady) kept.push(seconds); else if ((steady = warm())) kept = samples.slice(-3);
      tell(2 * n ** 3 / median(kept.length ? kept : samples));
    }
    const e = device.createCommandEncoder();
    e.copyBufferToBuffer(c, 0, back, 0, 4 * n * n);
    device.queue.submit([e.finish()]);
    await back.mapAsync(GPUMapMode.READ);
    const C = new Float32Array(back.getMappedRange()), pick = rng(7);
    let worst = 0;
    for (let q = 0; q < CHECKED; q++) {
      const i = pick() * n | 0, j = pick() * n | 0;
      let sum = 0, scale = 0;
      for (let k = 0; k < n; k++) { const p = A[i * n + k] * B[k * n + j]; sum += p; scale += Math.abs(p); }
      worst = Math.max(worst, Math.abs(C[i * n + j] - sum) / scale);
    }
    const list = kept.length ? kept : samples;
    return { n, speed: 2 * n ** 3 / median(list), samples: list.length, steady, worst, verified: worst < n * 2 ** -24, compiled, software, name };
  } finally {
    gpu.close();
  }
}

/** The slim row of the browser. */
export class Browser {
  speed = 0;
  onResult = () => {};
  constructor() {
    const lacks = missing();
    this.available = lacks || 'WebGPU: can join';
    this.says = h('p', lacks ? `${lacks}: this browser cannot take part.` : 'WebGPU. 64 elements are checked against float64; each sample lasts at least 200 ms.');
    this.rate = h('b.webrate');
    this.kind = chip('web', 'browser');
    this.join = h('button', { id: 'web-join', disabled: Boolean(lacks), onclick: () => this.run() }, 'Join');
    this.line = h('i');
    this.element = h('article.lane.slim.c-web', { 'aria-label': 'This browser' }, h('div.who', h('h3', h('i.mark'), 'This browser')), this.says, this.rate, this.kind, this.join, h('div.bar', this.line));
  }
  async run() {
    this.join.disabled = true;
    this.says.textContent = 'Compiling and warming up …';
    try {
      const r = await measure(speed => { this.rate.textContent = rate(speed).join(' '); });
      this.speed = r.verified ? r.speed : 0;
      this.rate.textContent = r.verified ? rate(r.speed).join(' ') : '';
      this.says.textContent = r.verified
        ? `${r.name}, float32, ${r.n}³, ${r.samples} samples${r.steady ? '' : ', which still differ'}, 64 elements right (worst ${num(r.worst, 2)}). Its size and its program differ from those of the lanes above, so there is no ratio.`
        : `${r.name}: the result is wrong (worst ${num(r.worst, 2)}), so there is no figure.`;
      this.kind.className = 'chip ' + (r.software ? 'soft' : 'web');
      this.kind.textContent = r.software ? 'software GPU' : 'browser';
    } catch (e) {
      this.says.textContent = e.message;
      this.rate.textContent = '';
    }
    this.join.disabled = false;
    this.join.textContent = 'Again';
    this.onResult();
  }
  /** Shows the speed to the scale of the others. */
  bar(most) { this.line.style.setProperty('--v', Math.min(1, this.speed / most)); }
}
