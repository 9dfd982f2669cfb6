"""The transformer of internal/gpt in PyTorch: the same weights, sequences and AdamW, in float32
or float64. Only the steps are timed."""

import base64


def numbers(text, dtype):
    """Numbers that came in base64, little-endian."""
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=dtype)


def network_of(vocabulary, context, layers, heads, width):
    """The network; its parameters are in the order of internal/gpt."""
    nn, F = torch.nn, torch.nn.functional

    def norm():
        n = nn.LayerNorm(width)
        n.bias = None  # the argument bias=False came with PyTorch 2.1
        return n

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.qkv, self.proj = norm(), nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
            self.norm2, self.up, self.down = norm(), nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

        def forward(self, x):
            q, k, v = self.qkv(self.norm1(x)).unflatten(2, (3, heads, width // heads)).permute(2, 0, 3, 1, 4)
            x = x + self.proj(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
            return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
            self.blocks, self.norm = nn.ModuleList(Block() for _ in range(layers)), norm()

        def forward(self, x):
            x = self.tokens(x) + self.positions.weight
            for block in self.blocks:
                x = block(x)
            return F.linear(self.norm(x), self.tokens.weight)

    return Network()


def adamw(weights, rate):
    groups = [{"params": [w for w in weights if w.ndim == 2], "weight_decay": 0.1}, {"params": [w for w in weights if w.ndim == 1], "weight_decay": 0}]
    try:
        return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99), fused=True)  # faster, where a device has it
    except RuntimeError:
        return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99))


class Worker(Requests):
    """Holds at most one network."""

    operations = ("gpt", "steps", "close")

    def __init__(self, engine, framework):
        super().__init__(engine, framework)
        self.model = None

    def refuse(self, op, args):
        if op == "steps" and self.model is None:
            raise Failure("invalid", f"{op} without a network")

    def gpt(self, device, vocabulary, context, layers, heads, width, rate, dtype, tokens, weights, held):
        if device not in self.devices:
            raise Failure("invalid", f"{self.engine} has no device {device!r}")
        self.device, kind = places[device], getattr(torch, dtype)
        self.tokens = numbers(tokens, torch.int16).long().to(self.device)
        self.model = network_of(vocabulary, context, layers, heads, width).to(device=self.device, dtype=kind)
        torch.nn.utils.vector_to_parameters(numbers(weights, torch.float32).to(device=self.device, dtype=kind), self.model.parameters())
        self.optimizer = adamw(list(self.model.parameters()), rate)
        self.place = torch.arange(context + 1, device=self.device)
        self.held = torch.tensor(held, device=self.device)
        with torch.enable_grad():  # the first pass loads and chooses kernels
            self.loss(self.held).backward()
        self.optimizer.zero_grad()
        synchronize(self.device)
        return {"loss": self.evaluate()}

    def loss(self, starts):
        some = self.tokens[starts[:, None] + self.place]
        return torch.nn.functional.cross_entropy(self.model(some[:, :-1]).flatten(0, 1), some[:, 1:].flatten())

    def evaluate(self):
        loss = self.loss(self.held).item()
        return loss if -float("inf") < loss < float("inf") else None  # JSON has no NaN

    def steps(self, rows, batch, rate):
        rows = torch.tensor(rows, device=self.device).reshape(-1, batch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        synchronize(self.device)
        with torch.enable_grad():
            start = time.perf_counter_ns()
            for starts in rows:
                self.optimizer.zero_grad()
                self.loss(starts).backward()
                self.optimizer.step()
            synchronize(self.device)
            wall = time.perf_counter_ns() - start
        return {"wall_ns": wall, "loss": self.evaluate()}

    def close(self):
        self.model = None
        return {}
