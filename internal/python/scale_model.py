"""Training steps of a transformer, divided over the ranks that torchrun starts.

Each rank runs this program. The variable GPUPLAY_SCALE holds the settings as JSON. Rank 0
writes one JSON object per line to stdout, each behind a mark; a rank that fails leaves
its error in the file that torchrun names.

With one rank it trains on it alone, and also measures the part of the work that each rank
has when there are more: with no messages, on one device.
"""

import ctypes
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
