"""PyTorch: CPU, CUDA, MPS and XPU devices as torch itself reports them."""

torch = None  # imported by inventory
places = {}  # device id -> torch's own device

OLDEST = (2, 0)


def version_of(text):
    return tuple(int(part) for part in text.split("+")[0].split(".")[:2])


def same_build(version):
    """What pip is to install for the build that is there: PyTorch's own indices, not PyPI,
    have those with a label such as +cpu or +cu126."""
    label = (version or "").partition("+")[2]
    if re.fullmatch(r"cpu|cu\d+|rocm[\d.]+|xpu", label):
        return ["torch", "numpy", "--index-url", "https://download.pytorch.org/whl/" + label]
    return ["torch", "numpy"]


def inventory(cpu, threads):
    global torch
    torch = load("torch", "PyTorch", same_build(installed("torch")[1]))
    version = torch.__version__
    if version_of(version) < OLDEST:
        raise Failure("unavailable", f"PyTorch {version} is too old: {OLDEST[0]}.{OLDEST[1]} or newer is needed", pip_install("--upgrade", "torch"))
    torch.set_grad_enabled(False)
    if threads:
        torch.set_num_threads(threads)

    def device(*place, **fields):
        places[fields["id"]] = torch.device(*place)
        return {"library": "PyTorch", "version": version.split("+")[0], "detail": "eager", "versions": versions, **fields}

    versions = {"python": sys.version.split()[0], "torch": version}
    devices = [device("cpu", id="cpu", name=cpu, kind="cpu", api="cpu")]
    missing = []
    if torch.cuda.is_available():
        runtime = {"cuda": torch.version.cuda} if torch.version.cuda else {"rocm": torch.version.hip}
        gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        cards = nvidia_cards([p.name for p in gpus], os.environ)  # what an old PyTorch does not know
        for i, (p, card) in enumerate(zip(gpus, cards)):
            devices.append(device(
                "cuda", i, name=p.name, kind="gpu", api="cuda", memory=p.total_memory,
                **cuda_fields(i, {**card, **known_card(p)}), versions={**versions, **runtime, "compute capability": f"{p.major}.{p.minor}"}))
    elif torch.version.cuda or getattr(torch.version, "hip", None):
        missing.append(no_gpu(version, torch.version.cuda))
    elif sys.platform != "darwin":
        missing.append({"api": "cuda", "kind": "gpu", "reason": f"PyTorch {version} is a CPU-only build", "remedies": [build_for_gpu()]})
    if sys.platform == "darwin":
        mps = torch.backends.mps
        if mps.is_available():
            devices.append(device("mps", id="mps:0", index=0, name=cpu + " GPU", kind="gpu", api="mps", memory=torch.mps.recommended_max_memory()))
        elif mps.is_built():
            missing.append({"api": "mps", "kind": "gpu", "reason": "PyTorch is built with MPS, this macOS has no use for it", "remedies": [advice("update macOS: 14 or newer on Apple silicon")]})
        else:
            missing.append({"api": "mps", "kind": "gpu", "reason": f"PyTorch {version} is built without MPS", "remedies": [pip_install("--force-reinstall", "torch", text="with a native arm64 Python")]})
    xpu = getattr(torch, "xpu", None)
    if xpu and xpu.is_available():
        for i in range(xpu.device_count()):
            p = xpu.get_device_properties(i)
            uuid = str(getattr(p, "uuid", ""))  # since PyTorch 2.8
            card = {key: value for key, value in (("uuid", uuid), ("pci", intel_address(uuid, getattr(p, "device_id", 0)))) if value}
            devices.append(device("xpu", i, id=f"xpu:{uuid or i}", index=i, name=p.name, kind="gpu", api="xpu", memory=p.total_memory, **card))
    return {"devices": devices, "missing": missing}


def no_gpu(version, cuda):
    """What a build for GPUs is missing: for CUDA, or for ROCm."""
    if cuda:
        maker, tool = "CUDA", command("nvidia-smi", text="{} shows whether the driver sees one")
    else:
        maker, tool = "ROCm", command("rocminfo", text="{} shows whether AMD's driver sees one")
    reason, remedies = may_be_hidden(f"PyTorch {version} is built for {maker} and sees no GPU that it can use", [tool], os.environ)
    return {"api": "cuda", "kind": "gpu", "reason": reason, "remedies": remedies}


def known_card(p):
    """What PyTorch's properties of a CUDA device say of its card, fields that its
    version has. ROCm's uuid is none that its driver would write."""
    card = {}
    if getattr(p, "uuid", None) and torch.version.cuda:
        card["uuid"] = f"GPU-{p.uuid}"
    if hasattr(p, "pci_bus_id"):
        card["pci"] = f"{p.pci_domain_id:04x}:{p.pci_bus_id:02x}:{p.pci_device_id:02x}.0"
    return card


def intel_address(uuid, product):
    """The PCI address in the UUID of an Intel GPU, which most of its drivers make of
    vendor, product, revision, domain, bus, device, function, and four bytes of zeros
    (Device::generateUuidFromPciBusInfo in intel/compute-runtime). None for any other
    UUID: some chips have one of their own."""
    digits = uuid.replace("-", "")
    if not re.fullmatch(r"[0-9a-fA-F]{32}", digits):
        return None
    raw = bytes.fromhex(digits)
    if raw[:4] != b"\x86\x80" + (product & 0xFFFF).to_bytes(2, "little") or raw[9] > 31 or raw[10] > 7 or any(raw[11:15]):
        return None
    return f"{int.from_bytes(raw[6:8], 'little'):04x}:{raw[8]:02x}:{raw[9]:02x}.{raw[10]}"


def synchronize(device):
    """Waits until a device has finished. Unless it is told which one, PyTorch waits for
    the current device, which need not be the one that computes."""
    if device.type in ("cuda", "xpu"):
        getattr(torch, device.type).synchronize(device)
    elif device.type != "cpu":  # MPS, of which there is one
        getattr(torch, device.type).synchronize()


def signed(z):
    """A 64-bit pattern as int64, the type that has wrapping multiplication."""
    return z - (1 << 64) if z >= 1 << 63 else z


def fill(gemm, seed, operand, dtype):
    """An operand in main memory, as matrix.Stream makes it."""
    shape = shape_of(gemm, operand)
    count = shape[0] * shape[1]
    bits = {torch.float64: 53, torch.int8: 8}.get(dtype, 24)
    out = torch.empty(count, dtype=dtype)
    key, chunk = stream_key(seed, operand), 1 << 18
    numbers = pattern(gemm, operand)
    if numbers:
        numbers = torch.tensor(numbers, dtype=dtype).repeat(chunk // len(numbers))
        for at in range(0, count, chunk):
            out[at:at + chunk] = numbers[:count - at]
        return out.view(shape)
    steps = torch.arange(1, min(chunk, count) + 1).mul_(signed(0x9E3779B97F4A7C15))
    z, shifted = torch.empty_like(steps), torch.empty_like(steps)

    def xor_shift(by):  # >> keeps the sign: the mask makes it a logical shift
        torch.bitwise_right_shift(z, by, out=shifted)
        z.bitwise_xor_(shifted.bitwise_and_((1 << (64 - by)) - 1))

    for at in range(0, count, chunk):
        offset = signed((key + at * 0x9E3779B97F4A7C15) & ((1 << 64) - 1))
        torch.add(steps, offset, out=z)
        xor_shift(30)
        z.mul_(signed(0xBF58476D1CE4E5B9))
        xor_shift(27)
        z.mul_(signed(0x94D049BB133111EB))
        xor_shift(31)
        part = out[at:at + chunk]
        if gemm["data"] == "normal":
            total = sum(z[:len(part)] >> by & 0xFFFF for by in (0, 16, 32, 48)) - NORMAL_MEAN
            part.copy_(total >> 10 if bits == 8 else total.to(torch.float64 if bits == 53 else torch.float32).mul_(NORMAL_UNIT))
            continue
        torch.bitwise_right_shift(z, 64 - bits, out=shifted)
        shifted.bitwise_and_((1 << bits) - 1)
        if bits == 8:
            part.copy_(shifted[:len(part)].sub_(128))
            continue
        part.copy_(shifted[:len(part)].to(torch.float64 if bits == 53 else torch.float32).mul_(2.0 ** (1 - bits)).sub_(1.0))
    return out.view(shape)


class Task:
    def __init__(self, device_id, gemm, seed):
        self.device = places[device_id]
        self.m, self.n = gemm["m"], gemm["n"]
        kinds = {"float64": torch.float64, "float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, "int8": torch.int8}
        dtype = element_type(gemm, f"PyTorch on {self.device.type}", kinds, tf32=self.device.type == "cuda")
        if dtype == torch.float64 and self.device.type == "mps":
            raise Failure("unsupported", "MPS has no float64", change("dtype", "", "float32"))
        if dtype == torch.int8:
            self.check_int8(gemm)
        self.product, self.product_into = (torch._int_mm,) * 2 if dtype == torch.int8 else (torch.matmul, torch.mm)
        self.sum = gemm.get("sum", False)
        # "highest" is float32, also where oneDNN or cuBLAS would take less.
        torch.set_float32_matmul_precision("high" if gemm["acc"] == "tf32" else "highest")
        self.notes = []
        if dtype == torch.float32:
            self.notes += switch_notes({"cpu": FP32_ON_CPU, "cuda": FP32_ON_CUDA}.get(self.device.type, {}), os.environ)
        if self.device.type == "mps":
            self.notes += switch_notes({"PYTORCH_ENABLE_MPS_FALLBACK": (("0",), "what MPS lacks runs on the CPU")}, os.environ)
        if self.device.type == "cpu" and dtype == torch.float16:
            self.notes.append("float16 is slow in PyTorch on CPUs without float16 arithmetic")
        self.make_current()
        all_a = [fill(gemm, seed, operand, dtype).to(self.device) for operand in A_OF_SET]
        b = fill(gemm, seed, 1, dtype).to(self.device)
        self.lefts = [a.t() if gemm.get("trans_a") else a for a in all_a]
        self.left, self.right = None, b.t() if gemm.get("trans_b") else b
        self.c = torch.empty(self.m, self.n, dtype=torch.int32 if dtype == torch.int8 else dtype, device=self.device)
        self.poison = POISON if dtype == torch.int8 else float("nan")
        self.stream = self.before = self.after = None  # of CUDA, whose clock is read
        if self.device.type == "cuda" and not self.sum:
            self.stream = torch.cuda.current_stream(self.device)
        synchronize(self.device)

    def make_current(self):
        """Makes its device PyTorch's current one, or each product would switch to it and
        back. Another task may have made its own device current."""
        if self.device.type in ("cuda", "xpu"):
            getattr(torch, self.device.type).set_device(self.device)

    def check_int8(self, gemm):
        """_int_mm is PyTorch's only product of int8 with int32 sums."""
        if self.device.type not in ("cpu", "cuda") or not hasattr(torch, "_int_mm"):
            raise Failure("unsupported", f"PyTorch {torch.__version__} on {self.device.type} has no product of int8")
        if self.device.type == "cuda" and (self.m <= 16 or self.n % 8 or gemm["k"] % 8):
            raise Failure("unsupported", f"PyTorch multiplies int8 on CUDA only with m above 16 and n and k multiples of 8, not {self.m}x{self.n}x{gemm['k']}")

    def facts(self):
        facts = {"notes": self.notes}
        if self.device.type == "cpu":
            facts["threads"] = torch.get_num_threads()
        return facts

    def ready(self, which):
        self.make_current()
        self.left = self.lefts[which]
        if self.sum:
            self.c = None  # each product makes its own
        else:
            self.c.fill_(self.poison)
        if self.stream:
            self.before, self.after = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            for event in (self.before, self.after):  # an event is made when it is first recorded
                event.record(self.stream)
        synchronize(self.device)

    def run(self, n):
        if self.sum:
            for _ in range(n):
                self.c = self.product(self.left, self.right)
                self.c.sum().item()  # waits
            return
        if self.stream:
            self.before.record(self.stream)
        for _ in range(n):
            self.product_into(self.left, self.right, out=self.c)
        if self.stream:
            self.after.record(self.stream)
        synchronize(self.device)

    def device_ns(self):
        return int(self.before.elapsed_time(self.after) * 1e6) if self.stream else None

    def mulvec(self, x):
        if (self.c.device.type, self.c.device.index or 0) != (self.device.type, self.device.index or 0):
            raise Failure("internal", f"the product is on {self.c.device}, not on {self.device}")
        x = torch.frombuffer(x, dtype=torch.float64)
        rows = max(1, (1 << 22) // self.n)  # at a time, to keep the float64 copy small
        y = array.array("d")
        for i in range(0, self.m, rows):
            y.extend((self.c[i:i + rows].to("cpu").to(torch.float64) @ x).tolist())
        return y

    def close(self):
        self.c = self.lefts = self.left = self.right = None
        gc.collect()
        if self.device.type in ("cuda", "mps", "xpu"):
            getattr(torch, self.device.type).empty_cache()
