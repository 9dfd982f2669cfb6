"""Measures the strategies of scale_model.py, behind which this is: steps, messages, memory, and where the time goes."""


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
    """Returns the most bytes that were allocated during a call, or None where nothing counts them.

    Garbage is collected first: what a strategy replaced while it was prepared, such as whole weights, may still be
    part of reference cycles, and would be counted or not by chance."""
    if s.device.type != "cuda":
        fn()
        return None
    sync(s)
    tidy(s)
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


def busy(s, fn):
    """Returns in how many seconds of a call this rank's device did something, or None where the profiler does not
    work. The rest of the call's time, it waited for Python to launch something."""
    ranks = look(s, fn)
    return ranks and ranks[RANK]["compute"]["busy"] + ranks[RANK]["communicate"]["busy"] - ranks[RANK]["hidden"]


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
        seconds=timed(s, compute, least=6, most=12),
        update=timed(s, t.optimizer.step, least=6, most=12),
        busy=busy(s, compute),
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


def leave_with_parent(parent):
    """Ends this rank when the torchrun that started it has ended, in whatever way."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


@record  # which writes an exception to the file that torchrun names
def main():
    faulthandler.register(signal.SIGTERM, chain=True)  # a rank that hangs shows where
    parent = os.getppid()
    if sys.platform == "linux":  # where a rank ends even if none of its threads runs
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    threading.Thread(target=leave_with_parent, args=(parent,), daemon=True).start()
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
    run(s)
    together(s)
    # gloo's threads abort a process that is still ending when its peer has ended.
    sys.stdout.flush()
    os._exit(0)


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
