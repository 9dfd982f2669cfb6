"""MLX: the CPU and the GPUs that its build reaches, Metal or CUDA.

MLX is lazy: a product that nobody evaluates is never computed. Its arrays lie in
memory that all devices share and belong to none: what computes is the stream that
an operation is given to, and MLX raises an error where that device cannot do it.
"""

mx = None  # imported by inventory
places = {}  # device id -> MLX's own device
threads_asked = 0


def why_no_gpu(platform, machine):
    """Why MLX has no GPU on such a machine, and the remedy."""
    if platform != "darwin":
        return {"api": "cuda", "kind": "gpu", "reason": "this MLX is a CPU-only build", "remedies": [build_for_gpu()]}
    if machine != "arm64":
        return {"api": "metal", "kind": "gpu", "reason": f"this Python is built for {machine}: MLX's Metal needs Apple silicon", "remedies": [advice("use a native arm64 Python")]}
    return {"api": "metal", "kind": "gpu", "reason": "MLX finds no Metal device", "remedies": [advice("update macOS: 14 or newer")]}


def package(platform, cuda):
    """What pip is to install on such a platform; cuda is the package for CUDA that is
    there."""
    if platform != "linux":
        return "mlx"
    return {None: "mlx[cpu]", "mlx-cuda-12": "mlx[cuda12]", "mlx-cuda-13": "mlx[cuda13]"}[cuda]


def gpu_uuid(said):
    """A GPU's UUID as its driver writes it: MLX leaves out the beginning."""
    return "GPU-" + said.removeprefix("GPU-") if said else ""


def inventory(cpu, threads):
    global mx, threads_asked
    threads_asked = threads
    os.environ.setdefault("MLX_ENABLE_TF32", "0")  # on unless told otherwise; read once
    mx = load("mlx.core", "MLX", [package(sys.platform, installed("mlx-cuda-13", "mlx-cuda-12")[0])])
    versions = {"python": sys.version.split()[0], "mlx": mx.__version__}

    def device(place, **fields):
        places[fields["id"]] = place
        return {"library": "MLX", "version": mx.__version__, "detail": "lazy", "versions": versions, **fields}

    devices = [device(mx.Device(mx.cpu, 0), id="cpu", name=cpu, kind="cpu", api="cpu")]
    if mx.metal.is_available():
        memory = mx.device_info().get("memory_size")
        devices.append(device(mx.Device(mx.gpu, 0), id="metal:0", index=0, name=cpu + " GPU", kind="gpu", api="metal", **({"memory": memory} if memory else {})))
    elif mx.is_available(mx.gpu):
        places_of = [mx.Device(mx.gpu, i) for i in range(mx.device_count(mx.gpu))]
        infos = [mx.device_info(place) for place in places_of]
        names = [info.get("device_name", f"GPU {i}") for i, info in enumerate(infos)]
        for i, (place, info, name, card) in enumerate(zip(places_of, infos, names, nvidia_cards(names, os.environ))):
            known = {"uuid": gpu_uuid(info.get("uuid")), "pci": info.get("pci_bus_id")}
            which = cuda_fields(i, {**card, **{key: value for key, value in known.items() if value}})
            memory = {"memory": info["total_memory"]} if info.get("total_memory") else {}
            devices.append(device(place, name=name, kind="gpu", api="cuda", **which, **memory))
    missing = [] if len(devices) > 1 else [why_no_gpu(sys.platform, os.uname().machine if hasattr(os, "uname") else "")]
    return {"devices": devices, "missing": missing}


def unsigned(*numbers):
    """An array of uint64: MLX takes no Python integer above int64."""
    return mx.array(memoryview(array.array("Q", numbers)))


def fill(gemm, seed, operand, dtype):
    """An operand, as matrix.Stream makes it. MLX needs no numpy, and casts
    float64 buffers to float32 unless they come as integers."""
    bits, wide, code = (53, mx.float64, "Q") if dtype == mx.float64 else (24, mx.float32, "f")
    shape = shape_of(gemm, operand)
    count = shape[0] * shape[1]
    whole = memoryview(bytearray(count * wide.size))  # a MemoryError where MLX itself would crash
    flat = whole.cast("d" if bits == 53 else "f")
    key, golden, chunk = stream_key(seed, operand), 0x9E3779B97F4A7C15, 1 << 16
    steps = mx.arange(1, min(chunk, count) + 1, dtype=mx.uint64) * unsigned(golden)
    by30, by27, by31, to_top = (unsigned(by) for by in (30, 27, 31, 64 - bits))
    first, second = unsigned(0xBF58476D1CE4E5B9), unsigned(0x94D049BB133111EB)
    numbers = pattern(gemm, operand)
    if numbers:
        numbers = array.array(flat.format, numbers * (chunk // len(numbers)))
    for at in range(0, count, chunk):
        if numbers:
            flat[at:at + chunk] = memoryview(numbers)[:count - at]
            continue
        z = steps + unsigned((key + at * golden) & ((1 << 64) - 1))
        z = (z ^ (z >> by30)) * first
        z = (z ^ (z >> by27)) * second
        z = z ^ (z >> by31)
        if gemm["data"] == "normal":
            total = sum((z >> unsigned(by)) & unsigned(0xFFFF) for by in (16, 32, 48)) + (z & unsigned(0xFFFF))
            part = (total.astype(wide) - float(NORMAL_MEAN)) * NORMAL_UNIT
        else:
            part = (z >> to_top).astype(wide) * 2.0 ** (1 - bits) - 1.0
        flat[at:at + chunk] = memoryview(part[:count - at])
    made = mx.array(whole.cast(code, shape))
    made = made.view(wide) if code == "Q" else made.astype(dtype)
    mx.eval(made)
    return made


class Task:
    def __init__(self, device_id, gemm, seed):
        self.place, api = places[device_id], device_id.partition(":")[0]
        self.n = gemm["n"]
        kinds = {"float64": mx.float64, "float32": mx.float32, "float16": mx.float16, "bfloat16": mx.bfloat16}
        if api != "cpu":
            del kinds["float64"]
        dtype = element_type(gemm, f"MLX on {api}", kinds)
        self.sum = gemm.get("sum", False)
        self.notes = []
        if api == "cpu" and sys.platform != "darwin":
            self.notes.append("MLX's CPU wheel has no optimised BLAS here: MLX is made for Apple GPUs")
        if api == "cpu" and threads_asked:
            self.notes.append("MLX has no setting for threads: the number that was asked for does not reach it")
        if api != "cpu" and dtype == mx.float32:
            self.notes += switch_notes({"MLX_ENABLE_TF32": (("0",), "float32 may be computed as TF32")}, os.environ)
        if api == "cuda" and dtype == mx.float32:
            self.notes += switch_notes(FP32_ON_CUDA, os.environ)
        with mx.stream(mx.cpu):
            all_a = [fill(gemm, seed, operand, dtype) for operand in A_OF_SET]
            b = fill(gemm, seed, 1, dtype)
        with mx.stream(self.place):
            self.lefts = [a.T if gemm.get("trans_a") else a for a in all_a]
            self.right = b.T if gemm.get("trans_b") else b
        self.left = self.c = None

    def facts(self):
        return {"notes": self.notes}

    def ready(self, which):
        self.left, self.c = self.lefts[which], None  # each product makes its own C
        with mx.stream(self.place):
            mx.eval(self.left, self.right)

    def run(self, n):
        with mx.stream(self.place):
            for _ in range(n):
                previous, self.c = self.c, self.left @ self.right
                if self.sum:
                    self.c.sum().item()
                mx.async_eval(self.c)
                mx.eval(previous)  # two on their way: no gap between them, no memory for more
            mx.eval(self.c)  # waits for the last product, on whatever stream it is

    def device_ns(self):
        return None

    def mulvec(self, x):
        y = array.array("d")
        with mx.stream(mx.cpu):
            x = mx.array(memoryview(x).cast("B").cast("Q")).view(mx.float64)
            rows = max(1, (1 << 22) // self.n)  # at a time, to keep the float64 copy small
            for i in range(0, self.c.shape[0], rows):
                y.extend((self.c[i:i + rows].astype(mx.float64) @ x).tolist())
        return y

    def close(self):
        self.c = self.lefts = self.left = self.right = None
        gc.collect()
        mx.clear_cache()
