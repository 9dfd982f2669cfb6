"""What shares of a GPU's peak and bandwidth the parts of a training step reach, in bfloat16."""
import json, os, sys, time
import torch
import torch.nn.functional as F

torch.manual_seed(1)
dev = torch.device("cuda")
props = torch.cuda.get_device_properties(dev)
out = {"device": props.name, "torch": torch.__version__, "cuda": torch.version.cuda, "memory": props.total_memory, "rows": []}
BF = torch.bfloat16


def samples(f, seconds=0.02, count=12):
    for _ in range(3):
        f()
    torch.cuda.synchronize()
    start = time.perf_counter(); f(); torch.cuda.synchronize()
    n = max(1, int(seconds / max(1e-6, time.perf_counter() - start)))
    list_ = []
    for _ in range(count):
        a, b = torch.cuda.Event(True), torch.cuda.Event(True)
        a.record()
        for _ in range(n):
            f()
        b.record()
        torch.cuda.synchronize()
        list_.append(a.elapsed_time(b) / 1e3 / n)
    return list_


def row(kind, what, f, flops=0.0, bytes_=0.0):
    try:
        s = samples(f)
    except Exception as e:
        out["rows"].append({"kind": kind, "what": what, "error": str(e)[:300]})
        print(kind, what, "ERROR", str(e)[:200], flush=True)
        return
    med = sorted(s)[len(s) // 2]
    out["rows"].append({"kind": kind, "what": what, "seconds": s, "flops": flops, "bytes": bytes_})
    print(f"{kind:10} {what:46} {med*1e3:9.3f} ms  {flops/med/1e12:7.1f} TFLOP/s  {bytes_/med/1e12:6.3f} TB/s", flush=True)


for m, k, n in [(1024,) * 3, (2048,) * 3, (4096,) * 3, (8192,) * 3, (4096, 4096, 6144), (8192, 4096, 6144), (8192, 4096, 4096), (8192, 4096, 28672), (8192, 14336, 4096), (8192, 4096, 128256),
                (8192, 4096, 768), (8192, 512, 4096), (8192, 4096, 3584), (8192, 1792, 4096), (8192, 8192, 57344), (16384, 4096, 28672)]:
    a, b = torch.randn(m, k, device=dev, dtype=BF), torch.randn(k, n, device=dev, dtype=BF)
    row("product", f"{m}x{k}x{n}", lambda: torch.mm(a, b), 2.0 * m * k * n)
    del a, b
for h, s, d in [(32, 2048, 128), (32, 4096, 128), (32, 8192, 128), (4, 8192, 128)]:
    q, k, v = (torch.randn(1, h, s, d, device=dev, dtype=BF, requires_grad=True) for _ in range(3))
    g = torch.randn(1, h, s, d, device=dev, dtype=BF)
    flops = 4.0 * s * s * d * h / 2
    row("attention", f"forward heads {h} seq {s}", lambda: F.scaled_dot_product_attention(q.detach(), k.detach(), v.detach(), is_causal=True), flops)
    def both():
        q.grad = k.grad = v.grad = None
        F.scaled_dot_product_attention(q, k, v, is_causal=True).backward(g)
    row("attention", f"forward and backward heads {h} seq {s}", both, 3.5 * flops)
x, y = torch.randn(8192, 14336, device=dev, dtype=BF), torch.randn(8192, 14336, device=dev, dtype=BF)
row("stream", "sum of two", lambda: x + y, bytes_=3 * 2 * x.numel())
row("stream", "copy", lambda: x.clone(), bytes_=2 * 2 * x.numel())
row("stream", "silu", lambda: F.silu(x), bytes_=2 * 2 * x.numel())
z, w = torch.randn(8192, 4096, device=dev, dtype=BF), torch.ones(4096, device=dev, dtype=BF)
row("stream", "rms_norm", lambda: F.rms_norm(z, (4096,), w), bytes_=2 * 2 * z.numel())
row("stream", "sum of two, width 4096", lambda: z + z, bytes_=3 * 2 * z.numel())
del x, y, z


class Block(torch.nn.Module):
    def __init__(self, h=4096, heads=32, kv=8, f=14336):
        super().__init__()
        self.h, self.heads, self.kv, self.d = h, heads, kv, h // heads
        L = lambda i, o: torch.nn.Linear(i, o, bias=False, device=dev, dtype=BF)
        self.q, self.k, self.v, self.o = L(h, h), L(h, kv * self.d), L(h, kv * self.d), L(h, h)
        self.gate, self.up, self.down = L(h, f), L(h, f), L(f, h)
        self.n1, self.n2 = torch.nn.RMSNorm(h, device=dev, dtype=BF), torch.nn.RMSNorm(h, device=dev, dtype=BF)

    def rotate(self, x, cos, sin):
        a, b = x.chunk(2, -1)
        return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)

    def forward(self, x, cos, sin):
        b, s, _ = x.shape
        y = self.n1(x)
        q = self.rotate(self.q(y).view(b, s, self.heads, self.d).transpose(1, 2), cos, sin)
        k = self.rotate(self.k(y).view(b, s, self.kv, self.d).transpose(1, 2), cos, sin)
        v = self.v(y).view(b, s, self.kv, self.d).transpose(1, 2)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.o(a.transpose(1, 2).reshape(b, s, self.h))
        y = self.n2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


s = 8192
t = torch.outer(torch.arange(s, device=dev), 500000.0 ** (-torch.arange(0, 64, device=dev) / 64))
cos, sin = t.cos().to(BF), t.sin().to(BF)
blocks = torch.nn.ModuleList(Block() for _ in range(4))
inp = torch.randn(1, s, 4096, device=dev, dtype=BF) * 0.02


def step(fs):
    x = inp.clone().requires_grad_()
    for f in fs:
        x = f(x, cos, sin)
    x.backward(inp)


torch.cuda.reset_peak_memory_stats()
row("block", "4 blocks of Llama 3 8B, 8192 tokens, eager", lambda: step(blocks))
out["peak_4_blocks"] = torch.cuda.max_memory_allocated()
json.dump(out, open(os.path.join(os.environ.get("OUT", "."), "shares.json"), "w"), indent=1)
try:
    compiled = [torch.compile(b) for b in blocks]
    row("block", "4 blocks of Llama 3 8B, 8192 tokens, compiled", lambda: step(compiled))
except Exception as e:
    print("no compile:", str(e)[:200])
json.dump(out, open(os.path.join(os.environ.get("OUT", "."), "shares.json"), "w"), indent=1)
