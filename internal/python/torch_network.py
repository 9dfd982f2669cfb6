"""Small networks in PyTorch, trained as internal/network trains them: the same weights,
rows and rules, in float32 or float64. Only the steps are timed."""

ACTIVATIONS = {"tanh": "Tanh", "relu": "ReLU", "sigmoid": "Sigmoid", "identity": "Identity"}
LOSSES = {"logistic": "BCEWithLogitsLoss", "softmax": "CrossEntropyLoss", "squares": "MSELoss"}


def optimizers_of(rule, rate, model):
    weights = list(model.parameters())
    o = torch.optim
    if rule == "muon":  # matrices; Adam moves the biases
        if not hasattr(o, "Muon"):
            raise Failure("unsupported", f"PyTorch {torch.__version__} has no Muon: 2.9 or newer is needed", pip_install("--upgrade", "torch"))
        return [o.Muon([w for w in weights if w.ndim == 2], lr=rate, weight_decay=0), o.Adam([w for w in weights if w.ndim != 2], lr=rate)]
    if rule in ("sgd", "momentum", "nesterov"):
        return [o.SGD(weights, lr=rate, momentum=0 if rule == "sgd" else 0.9, nesterov=rule == "nesterov")]
    return [{"rmsprop": o.RMSprop, "adam": o.Adam}[rule](weights, lr=rate)]


class Worker(Requests):
    """Holds at most one network."""

    operations = ("network", "steps", "losses", "close")

    def __init__(self, engine, framework):
        super().__init__(engine, framework)
        self.model = None

    def refuse(self, op, args):
        if op in ("steps", "losses") and self.model is None:
            raise Failure("invalid", f"{op} without a network")

    def network(self, device, inputs, hidden, outputs, activation, loss, optimizer, rate, dtype, x, y, weights, batch=0, u=None, v=None):
        if device not in self.devices:
            raise Failure("invalid", f"{self.engine} has no device {device!r}")
        nn, self.device = torch.nn, places[device]
        kind = dict(device=self.device, dtype=getattr(torch, dtype))
        widths, layers = [inputs, *hidden, outputs], []
        for i, o in zip(widths, widths[1:]):
            layers += [nn.Linear(i, o), getattr(nn, ACTIVATIONS[activation])()]
        self.model, self.widths = nn.Sequential(*layers[:-1]).to(**kind), widths
        self.start = torch.tensor(weights, **kind)
        nn.utils.vector_to_parameters(self.start, self.model.parameters())
        self.directions = [torch.tensor(d, **kind) for d in (u, v) if d]
        self.x, self.y = torch.tensor(x, **kind).reshape(-1, inputs), torch.tensor(y, **kind)
        self.y = self.y.long() if loss == "softmax" else self.y.unsqueeze(1)
        self.loss_of = getattr(nn, LOSSES[loss])()
        self.steppers = optimizers_of(optimizer, rate, self.model)
        synchronize(self.device)
        return {"loss": self.evaluate(), **({"gradient": self.gradient(batch)} if batch else {})}

    def gradient(self, batch):
        """That of the loss of the first rows."""
        with torch.enable_grad():
            self.loss_of(self.model(self.x[:batch]), self.y[:batch]).backward()
        found = torch.cat([p.grad.flatten() for p in self.model.parameters()]).tolist()
        self.model.zero_grad()
        return found

    def evaluate(self):
        loss = self.loss_of(self.model(self.x), self.y).item()
        return loss if -float("inf") < loss < float("inf") else None  # JSON has no NaN

    def steps(self, rows, batch, rate):
        rows = torch.tensor(rows, device=self.device).reshape(-1, batch)
        for s in self.steppers:
            for group in s.param_groups:
                group["lr"] = rate
        synchronize(self.device)
        with torch.enable_grad():
            start = time.perf_counter_ns()
            for some in rows:
                loss = self.loss_of(self.model(self.x[some]), self.y[some])
                for s in self.steppers:
                    s.zero_grad()
                loss.backward()
                for s in self.steppers:
                    s.step()
            synchronize(self.device)
            wall = time.perf_counter_ns() - start
        return {"wall_ns": wall, "loss": self.evaluate()}

    def losses(self, a, b, step, n):
        """The losses of n times n points of the plane through the weights, in one batch of
        products for each layer."""
        start = time.perf_counter_ns()
        place = torch.arange(n, device=self.device, dtype=self.start.dtype) * step
        u, v = self.directions
        weights = self.start + ((a + place)[None, :, None] * u + (b - place)[:, None, None] * v).reshape(n * n, -1)
        h, at = self.x.expand(n * n, *self.x.shape), 0
        for l, (i, o) in enumerate(zip(self.widths, self.widths[1:])):
            w, bias = weights[:, at : at + o * i].reshape(-1, o, i), weights[:, at + o * i : at + o * i + o]
            h, at = torch.baddbmm(bias[:, None, :], h, w.transpose(1, 2)), at + o * i + o
            if l + 2 < len(self.widths):
                h = self.model[1](h)
        z, t = h.squeeze(2), self.y.squeeze(1)
        found = torch.nn.functional.binary_cross_entropy_with_logits(z, t.expand_as(z), reduction="none").mean(1)
        found = torch.nan_to_num(found, nan=3e38, posinf=3e38).tolist()  # which waits for the device
        return {"wall_ns": time.perf_counter_ns() - start, "losses": found}

    def close(self):
        self.model = None
        return {}
