"""The transformer of internal/gpt in PyTorch: the same weights, sequences and AdamW, in float32
or float64. On a CUDA device a step is one CUDA graph. Only the steps are timed."""

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


def adamw(weights, rate, **more):
    groups = [{"params": [w for w in weights if w.ndim == 2], "weight_decay": 0.1}, {"params": [w for w in weights if w.ndim == 1], "weight_decay": 0}]
    try:
        return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99), fused=True, **more)  # faster, where a device has it
    except RuntimeError:
        return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99), **more)


class Eager:
    """Steps whose kernels are launched from Python, one by one."""

    detail = "eager"

    def __init__(self, loss, weights, rate):
        self.loss, self.optimizer = loss, adamw(weights, rate)

    def make(self, rows, rate):
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        for starts in rows:
            self.optimizer.zero_grad()
            self.loss(starts).backward()
            self.optimizer.step()


class Graph:
    """Steps that are launched as one CUDA graph each.

    A step of so small a network is more than a hundred kernels of a few microseconds, and Python
    takes longer to launch one than the GPU to compute it. A graph of them is recorded once. It does
    the same on the same memory each time, so what changes is kept there: a table of the sequences of
    many steps, the number of the step, and the learning rate.
    """

    detail = "CUDA graphs"
    table = 1024  # steps

    def __init__(self, loss, weights, rate, batch):
        self.loss, device = loss, weights[0].device
        self.rate = torch.tensor(rate, device=device)
        self.rows = torch.zeros(self.table, batch, dtype=torch.long, device=device)
        self.next = torch.zeros(1, dtype=torch.long, device=device)
        self.optimizer = adamw(weights, self.rate, capturable=True)
        before = [w.detach().clone() for w in weights]
        try:
            self.record(device)
        finally:  # as before the steps that recording needs
            with torch.no_grad():
                for w, was in zip(weights, before):
                    w.copy_(was)
        for state in self.optimizer.state.values():
            for tensor in state.values():
                tensor.zero_()

    def step(self):
        self.loss(self.rows[self.next].flatten()).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.next.add_(1)

    def record(self, device):
        """Makes a step a graph, after steps that make what is only made once
        (docs.pytorch.org/docs/stable/notes/cuda.html, "CUDA Graphs")."""
        # A recording that fails leaves its stream the current one: the outer context takes it back.
        with torch.cuda.device(device), torch.cuda.stream(torch.cuda.current_stream(device)):
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):
                    self.step()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.step()
            graph.replay()  # the first launch takes longer
        self.replay = graph.replay

    def make(self, rows, rate):
        self.rate.fill_(rate)
        for some in rows.split(self.table):
            self.rows[: len(some)] = some
            self.next.zero_()
            for _ in range(len(some)):
                self.replay()


class Worker(Requests):
    """Holds at most one network."""

    operations = ("gpt", "steps", "close")

    def __init__(self, engine, framework):
        super().__init__(engine, framework)
        self.model = None

    def refuse(self, op, args):
        if op == "steps" and self.model is None:
            raise Failure("invalid", f"{op} without a network")

    def gpt(self, device, vocabulary, context, layers, heads, width, rate, dtype, batch, eager, tokens, weights, held):
        if device not in self.devices:
            raise Failure("invalid", f"{self.engine} has no device {device!r}")
        self.device, kind = places[device], getattr(torch, dtype)
        self.tokens = numbers(tokens, torch.int16).long().to(self.device)
        self.model = network_of(vocabulary, context, layers, heads, width).to(device=self.device, dtype=kind)
        torch.nn.utils.vector_to_parameters(numbers(weights, torch.float32).to(device=self.device, dtype=kind), self.model.parameters())
        torch.set_float32_matmul_precision("highest")  # float32, not TF32
        notes = switch_notes({"cpu": FP32_ON_CPU, "cuda": FP32_ON_CUDA}.get(self.device.type, {}), os.environ) if dtype == "float32" else []
        self.place = torch.arange(context + 1, device=self.device)
        self.held = torch.tensor(held, device=self.device)
        with torch.enable_grad():  # the first pass loads and chooses kernels
            self.loss(self.held).backward()
            self.stepper = self.stepper_of(list(self.model.parameters()), rate, batch, eager)
        synchronize(self.device)
        return {"loss": self.evaluate(), "detail": ", ".join([self.stepper.detail, *notes])}

    def stepper_of(self, weights, rate, batch, eager):
        for w in weights:
            w.grad = None
        if eager or self.device.type != "cuda":
            return Eager(self.loss, weights, rate)
        try:
            return Graph(self.loss, weights, rate, batch)
        except Exception as e:  # whatever this PyTorch cannot record; the end of a recording that failed raises once more
            synchronize(self.device)
            stepper = self.stepper_of(weights, rate, batch, True)
            stepper.detail = f"without CUDA graphs: {first_line(e.__context__ or e)}"
            return stepper

    def loss(self, starts):
        some = self.tokens[starts[:, None] + self.place]
        return torch.nn.functional.cross_entropy(self.model(some[:, :-1]).flatten(0, 1), some[:, 1:].flatten())

    def evaluate(self):
        loss = self.loss(self.held).item()
        return loss if -float("inf") < loss < float("inf") else None  # JSON has no NaN

    def steps(self, rows, batch, rate):
        rows = torch.tensor(rows, device=self.device).reshape(-1, batch)
        synchronize(self.device)
        with torch.enable_grad():
            start = time.perf_counter_ns()
            self.stepper.make(rows, rate)
            synchronize(self.device)
            wall = time.perf_counter_ns() - start
        return {"wall_ns": wall, "loss": self.evaluate()}

    def close(self):
        self.model = self.stepper = None
        return {}
