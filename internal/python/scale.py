"""Training steps of a transformer, divided over the ranks that torchrun starts.

Each rank runs this program. The variable GPUPLAY_SCALE holds the settings as JSON. Rank 0
writes one JSON object per line to stdout, each behind a mark; a rank that fails leaves
its error in the file that torchrun names.

With one rank it trains on it alone, and also measures the part of the work that each rank
has when there are more: with no messages, on one device.
"""

import contextlib
import datetime
import faulthandler
import gc
import json
import math
import os
import signal
import sys
import threading
import time
from types import SimpleNamespace

import torch
import torch.distributed as dist
import torch.nn as nn
import torch.nn.functional as F
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.elastic.multiprocessing.errors import record
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, loss_parallel, parallelize_module

RANK = int(os.environ["RANK"])
LOCAL_RANK = int(os.environ["LOCAL_RANK"])
WORLD = int(os.environ["WORLD_SIZE"])
MARK = "gpuplay-scale "


def tell(kind, **fields):
    if RANK == 0:
        line = MARK + json.dumps({"kind": kind, "world": WORLD, **fields}) + "\n"
        sys.stdout.write(line)
        sys.stdout.flush()


# ---- the model -------------------------------------------------------------------------


class Input(nn.Module):
    """Tokens and their positions. vocabulary is the number of rows that this part has."""

    def __init__(self, model, parts):
        super().__init__()
        self.rows = model.vocab // parts
        self.token = nn.Embedding(self.rows, model.width)
        self.position = nn.Parameter(torch.randn(model.seq, model.width) * 0.02)

    def forward(self, tokens):
        return self.token(tokens) + self.position[: tokens.shape[1]]


class Block(nn.Module):
    """A pre-norm block. With several parts it has the heads and the columns of one of them."""

    def __init__(self, model, parts):
        super().__init__()
        d = model.width
        self.head = d // model.heads
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        # The rows of qkv are ordered [head][q, k, v], so that dividing them keeps heads whole.
        # One product for the three also means one all-reduce of their input's gradient.
        self.qkv, self.out = nn.Linear(d, 3 * d // parts), nn.Linear(d // parts, d)
        self.up, self.down = nn.Linear(d, 4 * d // parts), nn.Linear(4 * d // parts, d)

    def forward(self, x):
        q, k, v = self.qkv(self.norm1(x)).view(*x.shape[:2], -1, 3, self.head).unbind(3)
        a = F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in (q, k, v)), is_causal=True)
        x = x + self.out(a.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Output(nn.Module):
    def __init__(self, model, parts):
        super().__init__()
        self.norm = nn.LayerNorm(model.width)
        self.logits = nn.Linear(model.width, model.vocab // parts, bias=False)

    def forward(self, x):
        return self.logits(self.norm(x))


def build(s, parts=1):
    """Returns the whole model, the same on every rank, or what one of several parts has."""
    torch.manual_seed(s.seed)
    with torch.device(s.device):
        layers = [Input(s.model, parts), *(Block(s.model, parts) for _ in range(s.model.layers)), Output(s.model, parts)]
        return nn.Sequential(*layers).to(s.dtype)


def loss_of(logits, targets):
    return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def data(s):
    g = torch.Generator().manual_seed(s.seed)
    tokens = torch.randint(s.model.vocab, (s.batch, s.model.seq + 1), generator=g).to(s.device)
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


def stage_layers(layers, stages, stage):
    """Returns which layers of the whole a stage has: blocks in equal numbers, earlier stages one more."""
    begin, counts = 1, [layers // stages + (i < layers % stages) for i in range(stages)]
    begin += sum(counts[:stage])
    end = begin + counts[stage]
    return (0 if stage == 0 else begin), (layers + 2 if stage == stages - 1 else end)


class Adam:
    """AdamW over parameters of which some are distributed: one optimizer cannot hold both kinds."""

    def __init__(self, s, parameters):
        kinds = [[p for p in parameters if isinstance(p, DTensor) is kind] for kind in (False, True)]
        self.optimizers = [torch.optim.AdamW(ps, lr=s.learning_rate, foreach=True) for ps in kinds if ps]

    def step(self):
        for o in self.optimizers:
            o.step()

    def bytes(self):
        return sum(size(t) for o in self.optimizers for state in o.state.values() for t in state.values() if torch.is_tensor(t) and t.dim())


def size(t):
    """Returns the bytes that this rank has of a tensor."""
    if isinstance(t, DTensor):
        t = t.to_local()
    return t.numel() * t.element_size()


def full(t):
    return t.full_tensor() if isinstance(t, DTensor) else t


# ---- strategies ------------------------------------------------------------------------


class Trainer:
    """One rank's part of a step. compute is the forward and the backward pass, with what they send;
    it returns the loss, whose mean over ranks is that of the batch."""

    def __init__(self, s, model, compute):
        self.model, self.compute, self.optimizer = model, compute, Adam(s, list(model.parameters()))

    def step(self):
        self.model.zero_grad()
        loss = self.compute()
        self.optimizer.step()
        return loss

    def held(self):
        parameters = list(self.model.parameters())
        return {"weights": sum(map(size, parameters)), "gradients": sum(size(p.grad) for p in parameters if p.grad is not None), "optimizer": self.optimizer.bytes()}


def plain(s, model, x, y, chunks=1):
    """Trains on one device. The gradient of several chunks is that of the whole."""

    def compute():
        total = 0.0
        for part, target in zip(x.chunk(chunks), y.chunk(chunks)):
            loss = loss_of(model(part), target) / chunks
            loss.backward()
            total += loss.detach()
        return total

    return Trainer(s, model, compute)


def mine(t):
    return t.chunk(WORLD)[RANK].contiguous()


def dp(s, x, y):
    """Data parallel: every rank has the model and a part of the batch; one all-reduce of all gradients in the end."""
    model = build(s)
    alone = plain(s, model, mine(x), mine(y))

    def compute():
        loss = alone.compute()
        gradients = [p.grad for p in model.parameters()]
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        flat /= WORLD
        at = 0
        for g in gradients:
            g.copy_(flat[at : at + g.numel()].view_as(g))
            at += g.numel()
        return loss

    return Trainer(s, model, compute)


def ddp(s, x, y):
    """The same by DistributedDataParallel, which sends gradients in buckets during the backward pass."""
    model = build(s)
    wrapped = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    alone = plain(s, wrapped, mine(x), mine(y))
    return Trainer(s, model, alone.compute)


def fsdp(s, x, y):
    """Fully sharded: every rank keeps a part of each weight, and gathers one block's when it needs them."""
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(s.device.type, (WORLD,))
    model = build(s)
    for layer in model:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return plain(s, model, mine(x), mine(y))


def tensor_parallel(model, mesh):
    for layer in model:
        if isinstance(layer, Input):
            plan = {"token": RowwiseParallel(input_layouts=Replicate())}
        elif isinstance(layer, Block):
            plan = {"qkv": ColwiseParallel(), "out": RowwiseParallel(), "up": ColwiseParallel(), "down": RowwiseParallel()}
        else:
            plan = {"logits": ColwiseParallel(output_layouts=Shard(-1), use_local_output=False)}
        parallelize_module(layer, mesh, plan)


def tp(s, x, y, parts=1):
    """Tensor parallel: every rank has some heads and some columns of each block, and computes them for the whole batch."""
    model = build(s, parts)
    tensor_parallel(model, init_device_mesh(s.device.type, (WORLD,)))
    alone = plain(s, model, x, y)

    def compute():
        with loss_parallel():
            loss = alone.compute()
        return full(loss)

    return Trainer(s, model, compute)


def pp(s, x, y):
    """Pipeline parallel: every rank has some blocks, and microbatches pass through them, by the schedule 1F1B."""
    from torch.distributed.pipelining import PipelineStage, Schedule1F1B

    begin, end = stage_layers(s.model.layers, WORLD, RANK)
    model = build(s)[begin:end]  # which keeps the names that the layers have in the whole
    schedule = Schedule1F1B(PipelineStage(model, RANK, WORLD, s.device), n_microbatches=s.microbatches, loss_fn=loss_of)

    def compute():
        losses = []
        last = RANK == WORLD - 1
        schedule.step(*([x] if RANK == 0 else []), **({"target": y, "losses": losses} if last else {}))
        # Other ranks know no loss; the mean over ranks is that of the last one.
        return torch.stack(losses).detach().mean() * WORLD if last else torch.zeros((), device=s.device)

    return Trainer(s, model, compute)


STRATEGIES = {"dp": dp, "ddp": ddp, "fsdp": fsdp, "tp": tp, "pp": pp}


# ---- measuring -------------------------------------------------------------------------


def sync(s):
    if s.device.type == "cuda":
        torch.cuda.synchronize(s.device)


def slowest(s, values):
    """Returns the largest of each value over all ranks."""
    t = torch.tensor(values, dtype=torch.float64, device=s.device)
    if WORLD > 1:
        dist.all_reduce(t, op=dist.ReduceOp.MAX)
    return t.tolist()


def together(s):
    sync(s)
    if WORLD > 1:
        dist.barrier()
        sync(s)


def seconds(s, fn, repeat=1):
    together(s)
    begin = time.perf_counter()
    for _ in range(repeat):
        fn()
    sync(s)
    return (time.perf_counter() - begin) / repeat


def timed(s, fn, least=8, most=40):
    """Returns the seconds of each of several calls, each that of the slowest rank."""
    for _ in range(2):
        fn()
    once = slowest(s, [seconds(s, fn)])[0]
    n = min(most, max(least, int(s.budget / once)))
    return slowest(s, [seconds(s, fn) for _ in range(n)])


def peak(s, fn):
    """Returns the most bytes that were allocated during a call, or None where nothing counts them."""
    if s.device.type != "cuda":
        fn()
        return None
    sync(s)
    torch.cuda.reset_peak_memory_stats(s.device)
    fn()
    sync(s)
    return torch.cuda.max_memory_allocated(s.device)


def counted(peaks):
    """Returns peaks, none where a device does not count them."""
    return [p for p in peaks if p is not None]


def tidy(s):
    gc.collect()
    if s.device.type == "cuda":
        torch.cuda.empty_cache()


def gather(value):
    if WORLD == 1:
        return [value]
    values = [None] * WORLD
    dist.all_gather_object(values, value)
    return values


# ---- checking --------------------------------------------------------------------------


class Reference:
    """What one device computes: the loss of two steps and the gradients of the first, each rank for itself."""

    def __init__(self, s, x, y):
        self.losses, self.gradients = self.train(s, x, y)
        self.rounding = None
        if s.dtype != torch.float32:  # how far rounding alone moves the single process
            exact = SimpleNamespace(**{**vars(s), "dtype": torch.float32})
            losses, gradients = self.train(exact, x, y)
            self.rounding = {
                "loss": max(abs(a - b) / abs(b) for a, b in zip(self.losses, losses)),
                "gradient": difference({n: g.float() for n, g in self.gradients.items()}, gradients),
            }

    def train(self, s, x, y):
        t = plain(s, build(s), x, y, chunks=s.chunks)
        first = t.step()
        gradients = {n: p.grad.cpu() for n, p in t.model.named_parameters()}
        losses = [first.item(), t.step().item()]
        del t
        tidy(s)
        return losses, gradients


def difference(found, reference):
    """Returns the largest ‖g − r‖/‖r‖ of a tensor. The denominator has a floor, a thousandth of the model's largest
    root mean square: the bias of keys has the gradient 0, so that what is computed for it is noise of any size."""
    rms = {n: r.float().pow(2).mean().sqrt().item() for n, r in reference.items()}
    floor = 1e-3 * max(rms.values())
    worst = 0.0
    for name, g in found.items():
        r = reference[name]
        off = (g.cpu().float() - r.float()).pow(2).mean().sqrt().item()
        worst = max(worst, off / max(rms[name], floor), key=lambda v: v if v == v else float("inf"))
    return worst


def check(s, t, reference):
    """Trains two steps and compares them with the reference. It also prepares what is measured: the optimizer has its moments."""
    losses, error = [], 0.0
    for i in range(2):
        loss = t.step().detach().double().reshape(1)
        if i == 0 and reference:
            error = difference({n: full(p.grad) for n, p in t.model.named_parameters()}, reference.gradients)
        if WORLD > 1:
            dist.all_reduce(loss)
        losses.append(loss.item() / WORLD)
        if not math.isfinite(losses[i]):
            raise RuntimeError(f"the loss of step {i + 1} is {losses[i]}")
    if not reference:
        return {"losses": losses}
    return {"losses": losses, "reference": reference.losses, "gradient_error": slowest(s, [error])[0], "rounding": reference.rounding}


# ---- where the time goes ---------------------------------------------------------------


def timeline(s, fn, limit=200):
    """Returns when a rank computed and communicated in one step, [start, end] in seconds, from PyTorch's own profiler.

    On a GPU these are its kernels; on a CPU PyTorch's operators, and gloo's operations."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    cuda = s.device.type == "cuda"
    together(s)
    with profile(activities=[ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda) as p:
        fn()
        sync(s)
    spans = {"compute": [], "communicate": []}
    for e in p.events():
        note = getattr(e, "is_user_annotation", False)
        if cuda:
            kind = "communicate" if "nccl" in e.name.lower() else "compute"
            wanted = e.device_type == DeviceType.CUDA and not note and not e.name.startswith("nccl:")
        else:
            kind = "communicate" if note else "compute"
            wanted = e.name.startswith("gloo:" if note else "aten::")
        if wanted and e.time_range.end > e.time_range.start:
            spans[kind].append((e.time_range.start / 1e6, e.time_range.end / 1e6))
    begin = min((a for part in spans.values() for a, _ in part), default=0)
    return {kind: merge([(a - begin, b - begin) for a, b in part], limit) for kind, part in spans.items()}


def merge(spans, limit):
    """Joins spans that overlap, and then those with the smallest gaps between them until few are left."""
    joined = []
    for a, b in sorted(spans):
        if joined and a <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], b)
        else:
            joined.append([a, b])
    busy = sum(b - a for a, b in joined)
    gaps = sorted(b[0] - a[1] for a, b in zip(joined, joined[1:]))
    most = gaps[len(joined) - limit - 1] if len(joined) > limit else -1.0
    few = []
    for a, b in joined:
        if few and a - few[-1][1] <= most:
            few[-1][1] = b
        else:
            few.append([a, b])
    return {"busy": busy, "spans": [[round(a, 7), round(b, 7)] for a, b in few]}


def hidden(spans):
    """Returns for how many seconds communicating and computing went on at the same time."""
    compute, communicate = spans["compute"]["spans"], spans["communicate"]["spans"]
    total, i = 0.0, 0
    for a, b in communicate:
        while i < len(compute) and compute[i][1] <= a:
            i += 1
        j = i
        while j < len(compute) and compute[j][0] < b:
            total += min(b, compute[j][1]) - max(a, compute[j][0])
            j += 1
    return total


def look(s, fn):
    """Returns the timeline of one step on every rank, or nothing where the profiler does not work."""
    try:
        spans = timeline(s, fn, 100000)
        overlap = hidden(spans)
        spans = {kind: {"busy": v["busy"], "spans": merge(v["spans"], 200)["spans"]} for kind, v in spans.items()}
        own = {"hidden": overlap, **spans}
    except (RuntimeError, ValueError, AttributeError) as e:
        own = {"error": str(e)}
    all_ranks = gather(own)
    return None if any("error" in r or not r["compute"]["spans"] for r in all_ranks) else all_ranks


# ---- collectives -----------------------------------------------------------------------


def collectives(s):
    n = 1024
    while n <= s.largest:
        for op in ("all_reduce", "all_gather", "reduce_scatter", "send_recv"):
            count = n // 4 // WORLD * WORLD
            whole, part = torch.ones(count, device=s.device), torch.ones(count // WORLD, device=s.device)

            def ping():
                if RANK == 0:
                    dist.send(whole, 1)
                    dist.recv(whole, 1)
                elif RANK == 1:
                    dist.recv(whole, 0)
                    dist.send(whole, 0)

            fn = {
                "all_reduce": lambda: dist.all_reduce(whole),
                "all_gather": lambda: dist.all_gather_into_tensor(whole, part),
                "reduce_scatter": lambda: dist.reduce_scatter_tensor(part, whole),
                "send_recv": ping,
            }[op]
            ways = 2 if op == "send_recv" else 1
            for _ in range(3):
                fn()
            once = slowest(s, [seconds(s, fn, 2)])[0]
            # One after the other without waiting for each, as nccl-tests does: otherwise starting them is measured.
            repeat = int(min(50, max(2, 0.01 / once)))
            samples = [seconds(s, fn, repeat) / ways for _ in range(9)]
            tell("collective", op=op, bytes=count * 4, repeat=repeat, seconds=slowest(s, samples))
        n *= 4


def overlap(s, x, y):
    """Measures computing and messages each alone and both at once: they want the same cores and the same memory."""
    t = plain(s, build(s), mine(x), mine(y))
    buffers = [torch.ones(25 * 2**20 // 4, device=s.device) for _ in range(2)]

    def compute():
        t.model.zero_grad()
        t.compute()

    def send(n):
        return [dist.all_reduce(buffers[i % 2], async_op=True) for i in range(n)]

    def finish(works):
        for w in works:
            w.wait()

    for _ in range(2):
        compute()
        finish(send(2))
    alone, one = slowest(s, [seconds(s, compute), seconds(s, lambda: finish(send(4))) / 4])
    n = max(1, round(alone / one / 2))  # half as long as computing takes

    def both():
        works = send(n)
        compute()
        finish(works)

    tell("overlap", compute=timed(s, compute, least=6, most=20), messages=timed(s, lambda: finish(send(n)), least=6, most=20), both=timed(s, both, least=6, most=20))


# ---- one device alone ------------------------------------------------------------------


def shares(s, x, y):
    """Measures each strategy over one rank, with the work that a rank of several has: what the strategy itself costs
    is a part of that, messages are not."""
    for part in s.shares:
        try:
            share(s, part["strategy"], part["parts"], part["sequences"], x, y)
        except Exception as e:  # such as too little memory: one figure of the model is missing
            tell("share", strategy=part["strategy"], parts=part["parts"], failed=str(e).split("\n")[0], seconds=[], update=[])
        tidy(s)


def share(s, strategy, parts, n, x, y):
    """n is how many sequences are computed at once."""
    rows = torch.arange(n, device=s.device) % s.batch
    x, y = x[rows], y[rows]
    if strategy == "tp":
        vocabulary = s.model.vocab // parts
        measure_share(s, tp(s, x % vocabulary, y % vocabulary, parts), strategy=strategy, parts=parts)
    elif strategy == "pp":
        measured = set()
        for i in range(parts):
            begin, end = stage_layers(s.model.layers, parts, i)
            role = (i == 0, i == parts - 1, end - begin)
            if role not in measured:
                measured.add(role)
                measure_share(s, stage_alone(s, i, parts, begin, end, x, y), strategy=strategy, parts=parts, stage=i)
                tidy(s)
    else:
        measure_share(s, STRATEGIES[strategy](s, x, y), strategy=strategy, parts=parts)


def stage_alone(s, stage, stages, begin, end, x, y):
    model = build(s)[begin:end]
    if stage > 0:
        x = torch.randn(*x.shape, s.model.width, device=s.device, dtype=s.dtype, requires_grad=True)

    def compute():
        out = model(x)
        if stage < stages - 1:
            out.backward(torch.ones_like(out))
            return out
        loss = loss_of(out, y)
        loss.backward()
        return loss.detach()

    t = Trainer(s, model, compute)
    t.forward = lambda: model(x) if stage < stages - 1 else loss_of(model(x), y)
    return t


def measure_share(s, t, **fields):
    t.step()

    def compute():
        t.model.zero_grad()
        t.compute()

    tell(
        "share",
        seconds=timed(s, compute, least=6, most=20),
        update=timed(s, t.optimizer.step, least=6, most=20),
        peak=peak(s, compute),
        update_peak=peak(s, t.optimizer.step),
        kept=kept(s, t),
        held=t.held(),
        **fields,
    )


def kept(s, t):
    """Returns the bytes that a forward pass keeps for the backward pass, where they are counted."""
    if s.device.type != "cuda" or not hasattr(t, "forward"):
        return None
    before = torch.cuda.memory_allocated(s.device)
    result = t.forward()
    found = torch.cuda.memory_allocated(s.device) - before
    del result
    return found


# ---- the run ---------------------------------------------------------------------------


def settings():
    given = json.loads(os.environ["GPUPLAY_SCALE"])
    s = SimpleNamespace(**given)
    s.model = SimpleNamespace(**s.model)
    s.dtype = getattr(torch, s.dtype)
    cuda = s.device == "cuda"
    s.device = torch.device("cuda", LOCAL_RANK) if cuda else torch.device("cpu")
    return s


def leave_with_parent():
    """Ends this rank when the torchrun that started it has ended, in whatever way."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


@record  # which writes an exception to the file that torchrun names
def main():
    faulthandler.register(signal.SIGTERM, chain=True)  # a rank that hangs shows where
    threading.Thread(target=leave_with_parent, daemon=True).start()
    s = settings()
    cuda = s.device.type == "cuda"
    if cuda:
        torch.cuda.set_device(s.device)
        torch.backends.cuda.matmul.allow_tf32 = False
    dist.init_process_group("nccl" if cuda else "gloo", timeout=datetime.timedelta(seconds=s.timeout), **({"device_id": s.device} if cuda else {}))
    versions = gather({"torch": torch.__version__, "host": os.uname().nodename if hasattr(os, "uname") else ""})
    tell(
        "world",
        torch=torch.__version__,
        backend=dist.get_backend(),
        nccl=".".join(map(str, torch.cuda.nccl.version())) if cuda else "",
        threads=torch.get_num_threads(),
        devices=gather(torch.cuda.get_device_name(s.device) if cuda else "CPU"),
        memory=torch.cuda.mem_get_info(s.device)[1] if cuda else 0,
        told=versions,
    )
    different = sorted({v["torch"] for v in versions})
    if len(different) > 1:
        raise RuntimeError("the ranks have different versions of PyTorch: " + ", ".join(f"rank {i} on {v['host']} has {v['torch']}" for i, v in enumerate(versions)))
    try:
        run(s)
    finally:
        with contextlib.suppress(Exception):
            dist.destroy_process_group()


def single(s, x, y, reference):
    tell("phase", phase="single")
    try:
        t = plain(s, build(s), x, y, chunks=s.chunks)
        checked = check(s, t, reference)
        tell("step", strategy="single", seconds=timed(s, t.step), peak=counted([peak(s, t.step)]), held=[t.held()], timeline=look(s, t.step), **checked)
    except torch.OutOfMemoryError as e:
        tell("step", strategy="single", seconds=[], losses=[], error={"code": "out_of_memory", "message": str(e).split("\n")[0]})
    t = None
    tidy(s)


def run(s):
    x, y = data(s)
    tell("phase", phase="reference")
    try:
        reference = Reference(s, x, y)
    except torch.OutOfMemoryError:  # the model is too large for one device: nothing to check against
        reference = None
    tidy(s)
    if WORLD == 1:
        single(s, x, y, reference)
        tell("phase", phase="shares")
        shares(s, x, y)
    else:
        if s.collectives:
            tell("phase", phase="collectives")
            collectives(s)
            overlap(s, x, y)
            tidy(s)
        for name in s.strategies:
            tell("phase", phase=name)
            tidy(s)
            t = STRATEGIES[name](s, x, y)
            checked = check(s, t, reference)
            samples = timed(s, t.step)
            peaks = counted(gather(peak(s, t.step)))
            tell("step", strategy=name, seconds=samples, peak=peaks, held=gather(t.held()), timeline=look(s, t.step), **checked)
            del t
    tell("done")


if __name__ == "__main__":
    main()
