"""The Python end of gpuplay's worker protocol: JSON lines on stdin and stdout, and
vectors as bytes behind them.

Started by gpuplay with a framework's own file after it, in one namespace. What
computes products defines

    inventory(cpu, threads) -> {"devices": [...], "missing": [...]}
    Task(device_id, gemm, seed), where gemm["data"] is the kind of inputs, with
        facts()      -> {"threads": ..., "notes": [...]}
        ready(which) select a set of operands, 0 or 1; see to it that the C of the
                     last run cannot pass for the next one's, by filling it with
                     poison or by dropping it; allocate what run needs; wait until
                     the device has finished
        run(n)       compute n times and wait until the device has finished, and
                     nothing else: this is what the clock sees
        device_ns()  what the latest run took by the device's own clock, or None
        mulvec(x)    y = C.x in float64; array('d') in and out
        close()

and raises Failure for what goes wrong. inventory imports the framework, and
before that sets what is read only once.
"""

import array
import gc
import glob
import importlib
import importlib.metadata
import importlib.util
import json
import os
import queue
import re
import shutil
import sys
import threading
import time
import traceback

PROTOCOL = 2

# The operations with the names of their arguments; a question mark follows one that
# may be left out. internal/worker/operations.go has the same list.
OPERATIONS = {
    "hello": ("protocol", "threads", "cpu", "options"),
    "prepare": ("task?", "device", "gemm", "seed", "data?"),
    "run": ("task?", "n", "set"),
    "round_trip": ("task?", "set"),
    "mulvec": ("task?",),  # a frame with x is answered by a frame with C.x
    "describe": ("device",),
    "rows": ("model", "train", "valid?", "prompt", "limit"),
    "load": ("device", "model", "adapter", "bits", "dtype", "graph"),
    "generate": ("prompt", "chat", "filler", "tokens", "ignore_end", "candidates", "eager"),
    "tune": ("train", "valid?", "adapter", "resume", "from", "batch", "layers", "rank", "scale", "dropout", "lr", "dora", "seed",
             "max_length", "save_every", "eval_every", "state"),
    "train": ("iters",),
    "network": ("device", "inputs", "hidden", "outputs", "activation", "loss", "optimizer", "rate", "dtype", "x", "y", "weights", "batch?", "u?", "v?"),
    "gpt": ("device", "vocabulary", "context", "layers", "heads", "width", "rate", "dtype", "batch", "eager", "tokens", "weights", "held"),
    "steps": ("rows", "batch", "rate"),
    "losses": ("a", "b", "step", "n"),
    "close": ("task?",),
    "stop": ("request",),
}

# Frameworks print to stdout: keep the real one for the protocol and let file
# descriptor 1 lead to the log.
out = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)


class Failure(Exception):
    """An error with the protocol's code, words for people, and remedies."""

    def __init__(self, code, message, *remedies):
        super().__init__(message)
        self.code, self.message, self.remedies = code, message, remedies


# Remedies name parameters as gpuplay's command line does, without dashes; how one is
# written is up to whoever shows it. Two braces in a text stand for the parameter or
# the command.

def advice(text):
    """A remedy in words alone."""
    return {"text": text}


def change(param, text, value=""):
    """The remedy of giving a parameter another value: the reader's choice if it is
    empty."""
    return {"text": text, "param": param, "value": value}


def command(*words, text=""):
    """The remedy of running a command."""
    return {"text": text, "command": list(words)}


def pip_install(*packages, text=""):
    """The remedy of installing packages for this interpreter, with uv where it has no pip."""
    if importlib.util.find_spec("pip") is None and shutil.which("uv"):
        return command("uv", "pip", "install", "--python", sys.executable, *packages, text=text)
    return command(sys.executable, "-m", "pip", "install", *packages, text=text)


def installed(*packages):
    """The name and the version of the first of these packages that is there, by its
    metadata: to ask what cannot be imported."""
    for package in packages:
        try:
            return package, importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return None, None


def build_for_gpu():
    """The remedy of a build for CPUs: which one for CUDA fits depends on the GPU and its
    driver, and what it has to replace on what is installed."""
    return command("gpuplay", "doctor", text="where there is an NVIDIA GPU, {} says how to get the build for it")


def load(module, name, packages, *remedies):
    """The framework's module, imported; or what is wrong with it, for people. The
    remedies are for a module that is not there; packages are what pip is to install again
    for one that is broken: those that are installed, not their like."""
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as e:  # a broken wheel raises more than ImportError
        if isinstance(e, ModuleNotFoundError) and e.name == module.split(".")[0]:
            raise Failure("unavailable", f"{name} is not installed for {sys.executable}",
                          *(remedies or [command("gpuplay", "setup", e.name)]))
        raise Failure("unavailable", f"{name} is installed but cannot be imported: {type(e).__name__}: {first_line(e)}",
                      pip_install("--force-reinstall", *packages))


def element_type(gemm, where, kinds, tf32=False):
    """The framework's type, out of kinds, for a product that it can compute: C of
    the operands' type, 16 bits summed in float32, TF32 where it can be asked for;
    int8 with sums and C of int32."""
    kind = gemm["in"]
    result = "int32" if kind == "int8" else kind
    sums = ["float32" if kind in ("float16", "bfloat16") else result]
    if tf32 and kind == "float32":
        sums.append("tf32")
    if kind not in kinds or gemm["out"] != result or gemm["acc"] not in sums:
        raise Failure("unsupported", f"{where} has no product of {kind} with {gemm['acc']} sums and {gemm['out']} result")
    return kinds[kind]


# Environment variables that change what a float32 product is, past what a
# framework is told: the values that do no harm, and what the others do.
FP32_ON_CPU = dict.fromkeys(("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"), (("STRICT",), "oneDNN may compute float32 in a narrower type"))
FP32_ON_CUDA = {"NVIDIA_TF32_OVERRIDE": ((), "it decides whether float32 is computed as TF32")}


def switch_notes(known, environment):
    """A note for each variable of a table such as FP32_ON_CPU that is set to harm."""
    return [f"{name}={environment[name]} is set: {effect}" for name, (harmless, effect) in known.items()
            if environment.get(name) and environment[name].upper() not in harmless]


# What hides GPUs from programs, of CUDA and of ROCm.
HIDING = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")


def may_be_hidden(reason, remedies, environment):
    """Why a framework that is built for GPUs has none, and remedies: a variable that may
    hide them comes first."""
    hiding = [name for name in HIDING if name in environment]
    named = [f'{name}={environment[name] or chr(34) * 2}' for name in hiding]
    return "; ".join([reason, *(f"{pair} is set, which may hide it" for pair in named)]), [advice(f"unset {name}") for name in hiding] + remedies


THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "PJRT_NPROC", "NPROC")


def thread_notes(threads, cpus, environment):
    """A note when a framework left to itself computes with other threads than the
    CPUs ask for. One thread for two CPUs is usual: two may share a core."""
    settings = [f"{name}={environment[name]}" for name in THREAD_VARIABLES if environment.get(name)]
    if threads == cpus or (threads < cpus <= 2 * threads and not settings):
        return []
    note = f"computes with {threads} thread{'s' if threads > 1 else ''} of {cpus} core{'s' if cpus > 1 else ''}"
    return [note + f": {', '.join(settings)}" if settings else note]


def usable_cpus():
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# Asked before a framework is imported: some OpenMP libraries bind the thread that
# imports them to a CPU.
CPUS = usable_cpus()

BINDING_VARIABLES = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")


def binding_notes(bound, cpus, environment):
    """A note when variables bind the thread that computes to fewer CPUs than there are."""
    settings = [f"{name}={environment[name]}" for name in BINDING_VARIABLES if environment.get(name)]
    return [f"threads are bound to CPUs: {', '.join(settings)}"] if settings and bound < cpus else []


def number_of(names, environment):
    """The first of the variables that is a number above 0, as its libraries read it; None
    if there is none."""
    for name in names:
        if re.fullmatch(r"[0-9]+", environment.get(name, "").strip()) and int(environment[name]):
            return int(environment[name])
    return None


def main_memory():
    """The bytes of main memory, through which every matrix goes; past what a
    framework can count where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return 1 << 60


def driver_in(text):
    """The version in what the NVIDIA driver says of itself."""
    found = re.search(r"\d+\.\d+(\.\d+)*", text)
    return found.group() if found else None


def nvidia_driver():
    """The version of the NVIDIA driver on Linux, None where there is none."""
    for path in ("/sys/module/nvidia/version", "/proc/driver/nvidia/version"):
        try:
            with open(path) as file:
                return driver_in(file.read())
        except OSError:
            pass
    return None


def driver_gpus(folder):
    """The GPUs that the NVIDIA driver lists on Linux, in the order of their PCI
    addresses."""
    gpus = []
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), "gpus", "*", "information"))):
        with open(path, encoding="utf-8", errors="replace") as file:
            said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in file)}
        if said.get("GPU Excluded") == "Yes":
            continue
        uuid = said.get("GPU UUID", "")
        gpus.append({"name": said.get("Model", ""), "uuid": "" if "?" in uuid else uuid, "pci": os.path.basename(os.path.dirname(path))})
    return gpus


def visible_gpus(gpus, environment):
    """Those of the driver's GPUs that CUDA numbers in this process, in its order; None
    where that is in doubt.

    CUDA_VISIBLE_DEVICES lists indices, or UUIDs or their beginnings, and ends at the
    first entry that names no GPU, such as -1 or NoDevFiles (CUDA Programming Guide,
    CUDA Environment Variables). What it makes of a mixture or of a GPU that is named
    twice is not written anywhere."""
    if len(gpus) > 1 and environment.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
        return None  # the fastest comes first
    if "CUDA_VISIBLE_DEVICES" not in environment:
        return gpus
    chosen, kinds = [], set()
    for entry in environment["CUDA_VISIBLE_DEVICES"].split(","):
        entry = entry.strip()
        if entry.startswith("MIG-"):
            return None  # a part of a GPU, which the driver lists elsewhere
        if re.fullmatch(r"[0-9]+", entry):
            kinds.add("index")
            found = gpus[int(entry):int(entry) + 1]
        elif entry.startswith("GPU-"):
            kinds.add("uuid")
            if not all(gpu["uuid"] for gpu in gpus):
                return None
            found = [gpu for gpu in gpus if gpu["uuid"].startswith(entry)]
        else:
            break
        if len(found) > 1 or len(kinds) > 1 or found and found[0] in chosen:
            return None
        if not found:
            break
        chosen += found
    return chosen


def nvidia_cards(names, environment, folder="/proc/driver/nvidia"):
    """The cards behind CUDA's devices, for a framework that does not know them: names
    are those that it gives its devices, in CUDA's order. The answer has for each what
    the driver knows of uuid and pci, and nothing at all unless the driver lists the
    same GPUs: a card that is not known is better than a wrong one."""
    parts = glob.glob(os.path.join(glob.escape(folder), "capabilities", "gpu*", "mig", "gi*"))
    try:
        gpus = None if parts else visible_gpus(driver_gpus(folder), environment)
    except OSError:
        gpus = None
    if gpus is None or [gpu["name"] for gpu in gpus] != list(names):
        return [{} for _ in names]
    return [{key: gpu[key] for key in ("uuid", "pci") if gpu[key]} for gpu in gpus]


def cuda_fields(index, card):
    """What says which GPU a CUDA device is: the id is its UUID where that is known."""
    return {"id": f"cuda:{card.get('uuid', index)}", "index": index, **card}


def mix(z):
    """The output function of splitmix64."""
    mask = (1 << 64) - 1
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
    return z ^ (z >> 31)


A_OF_SET = (0, 2)  # the operand that is A in each set; all sets share B, operand 1


def stream_key(seed, operand):
    """The key of an operand's stream of elements."""
    return mix((2 * seed + operand) & ((1 << 64) - 1))


def shape_of(gemm, operand):
    """The shape of an operand in memory."""
    m, n, k = gemm["m"], gemm["n"], gemm["k"]
    if operand == 1:
        return (n, k) if gemm.get("trans_b") else (k, n)
    return (k, m) if gemm.get("trans_a") else (m, k)


# The kinds of inputs, as matrix.Data has them.
DATA = ("random", "normal", "zeros", "ones", "ramp")

# What the sum of four uniform numbers of 16 bits is less, and times, to be normal: its mean,
# and the square root of 3 by 2^16.
NORMAL_MEAN, NORMAL_UNIT = 2 * 0xFFFF, float.fromhex("0x1.bb67ae8584caap-16")


def pattern(gemm, operand):
    """The numbers that an operand repeats; None where it is made from a seed. There are 1 or
    16 of them."""
    if gemm["data"] in ("zeros", "ones"):
        return [int(gemm["data"] == "ones")]
    if gemm["data"] == "ramp":
        step = (-1 if operand == 2 else 1) / (1 if gemm["in"] == "int8" else 8)
        return [step * (i - 8) for i in range(16)]
    return None


def numpy_fill(gemm, seed, operand):
    """An operand as matrix.Stream makes it: a numpy array, of float64 for "float64", of int8
    for "int8", and of float32 for all others, which the framework casts."""
    import numpy as np
    bits, kind = {"float64": (53, np.float64), "int8": (8, np.int8)}.get(gemm["in"], (24, np.float32))
    whole = np.empty(shape_of(gemm, operand), kind)
    flat, golden = whole.reshape(-1), np.uint64(0x9E3779B97F4A7C15)
    key, chunk = stream_key(seed, operand), 1 << 15  # fits a core's cache
    numbers = pattern(gemm, operand)
    if numbers:
        numbers = np.tile(np.array(numbers, kind), chunk // len(numbers))
        for at in range(0, flat.size, chunk):
            part = flat[at:at + chunk]
            part[:] = numbers[:part.size]
        return whole
    steps = np.arange(1, min(chunk, flat.size) + 1, dtype=np.uint64) * golden
    z, shifted = np.empty_like(steps), np.empty_like(steps)
    for at in range(0, flat.size, chunk):
        np.add(steps, np.uint64((key + at * int(golden)) & ((1 << 64) - 1)), out=z)
        for by, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
            np.right_shift(z, np.uint64(by), out=shifted)
            np.bitwise_xor(z, shifted, out=z)
            np.multiply(z, np.uint64(factor), out=z)
        part = flat[at:at + chunk]
        if gemm["data"] == "normal":
            total = sum(z[:part.size] >> np.uint64(by) & np.uint64(0xFFFF) for by in (0, 16, 32, 48)).astype(np.int64) - NORMAL_MEAN
            part[:] = total >> 10 if bits == 8 else total.astype(kind) * kind(NORMAL_UNIT)
            continue
        np.right_shift(z, np.uint64(64 - bits), out=z)
        if bits == 8:
            np.subtract(z[:part.size], np.uint64(128), out=part, casting="unsafe")
            continue
        np.multiply(z[:part.size], kind(2.0 ** (1 - bits)), out=part, casting="unsafe")
        np.subtract(part, kind(1), out=part)
    return whole


def numpy_mulvec(c, x):
    """C.x in float64 for a numpy array C, a few rows at a time to keep their copy
    small."""
    import numpy as np
    x, y = np.frombuffer(x), array.array("d")
    rows = max(1, (1 << 22) // c.shape[1])
    for i in range(0, c.shape[0], rows):
        y.frombytes((c[i:i + rows].astype(np.float64) @ x).tobytes())
    return y


# What a C of int32 is filled with before it is computed: no product has it in every
# element. Floating-point types have NaN.
POISON = 0x80808080 - (1 << 32)

# After these no thread may be busy when the answer is sent.
COMPUTING = ("hello", "prepare", "run", "mulvec", "load", "generate")


def rest():
    """Wait until this process uses no CPU time: a library's threads spin for a
    while after a call and would take their cores from the next lane. Returns whether
    it has come to rest; a process that never does is not waited for."""
    window, limit = 0.005, time.monotonic() + 0.5
    before = time.process_time()
    while time.monotonic() < limit:
        time.sleep(window)
        now = time.process_time()
        if now - before < window / 5:
            return True
        before = now
    return False


class Requests:
    """Answers one request at a time: the method of an operation's name takes its
    arguments and returns its result."""

    operations = ()  # beside hello
    many = False  # whether it holds several tasks at a time
    smaller = ()  # the remedies when memory runs out

    def __init__(self, engine, framework):
        self.engine, self.framework = engine, framework
        self.devices = None  # by their ids
        self.threads = 0  # asked for
        self.busy = False  # whether threads did not come to rest since the last sample

    def hello(self, protocol, threads, cpu, options):
        if options:
            raise Failure("invalid", f"{self.engine} has no option {sorted(options)[0]!r}")
        self.threads = threads
        os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # so that an index stays with its GPU
        found = self.framework["inventory"](cpu, threads)
        driver = nvidia_driver()
        for device in found["devices"]:
            if driver and device["api"] == "cuda":
                device["versions"] = {**device["versions"], "driver": driver}
        self.devices = {d["id"]: d for d in found["devices"]}
        gc.collect()
        gc.freeze()  # a framework's thousands of objects need no second look
        return {"protocol": PROTOCOL, "engine": self.engine, "capabilities": self.operations, "many": self.many, **found}

    def refuse(self, op, args):
        """Raises Failure for an operation whose time has not come."""

    def frame_size(self, op, args):
        """The bytes that must follow a request."""
        return 0

    def arguments(self, op, given):
        """The arguments of a request, checked against the list of operations."""
        if not isinstance(given, dict):
            raise Failure("invalid", f"the arguments of {op} are not understood")
        if op == "hello" and given.get("protocol") != PROTOCOL:  # whose arguments may be others
            raise Failure("invalid", f"this worker speaks protocol {PROTOCOL}, not {given.get('protocol')}")
        names = OPERATIONS[op]
        for name in names:
            if name not in given and not name.endswith("?"):
                raise Failure("invalid", f"{op} without {name}")
        for name in given:
            if name not in names and name + "?" not in names:
                raise Failure("invalid", f"{op} has no argument {name!r}")
        return given

    def do(self, request, frame):
        """The result of a request, and the frame that follows it."""
        op, size = request.get("op"), request.get("bytes", 0)
        if op != "hello" and op not in self.operations:
            raise Failure("invalid", f"unknown operation {op!r}")
        args = self.arguments(op, request.get("args", {}))
        if self.devices is None and op != "hello":
            raise Failure("invalid", f"{op} came before hello")
        self.refuse(op, args)
        if size != self.frame_size(op, args):
            raise Failure("invalid", f"{size} bytes follow {op} where there must be {self.frame_size(op, args)}")
        if op == "mulvec":
            return {}, self.mulvec(frame, **args)
        return getattr(self, op)(**args), b""

    def answer(self, request, frame, wrong=None):
        """The response to a request, and the frame that follows it. wrong is what was
        not understood of the request."""
        global current
        current = request.get("id", 0)
        answer, frame_out = {}, b""
        try:
            if wrong:
                raise Failure("invalid", wrong)
            answer["result"], frame_out = self.do(request, frame)
            if len(frame_out):
                answer["bytes"] = len(frame_out)
            json.dumps(answer, allow_nan=False)  # NaN is no JSON: better an error than a line that nobody can read
        except Failure as e:
            answer = {"error": {"code": e.code, "message": e.message, "remedies": e.remedies}}
        except Exception as e:  # whatever a framework raises ends the request, not the worker
            if is_out_of_memory(e):
                answer = {"error": {"code": "out_of_memory", "message": f"out of memory: {first_line(e)}", "remedies": self.smaller}}
            else:
                answer = {"error": {"code": "internal", "message": f"{type(e).__name__}: {first_line(e)}"}}
        if request.get("op") in COMPUTING and not rest():
            self.busy = True
        if self.busy and request.get("op") == "run" and "result" in answer:
            answer["result"]["busy"], self.busy = True, False
        return {"id": current, **answer}, frame_out if "result" in answer else b""


# A run on a CPU that takes this many times as long as planned, and at least this many
# nanoseconds, is ended after a 64th or an eighth of its products: other programs have
# the CPUs that its threads wait for. internal/worker/stall.go has the same limits.
STALLED, LEAST_WAIT = 10, 250_000_000


class Worker(Requests):
    """Computes products. It holds a task for each lane of its framework, by its number,
    so that the framework is started once."""

    operations = ("prepare", "run", "mulvec", "close")
    many = True
    smaller = (change("size", "a smaller {}"),)

    def __init__(self, engine, framework):
        super().__init__(engine, framework)
        self.tasks = {}  # by number: the task and the number of columns of its C
        self.best = {}  # by number, for a task on a CPU: nanoseconds for a product, in the fastest run

    def refuse(self, op, args):
        if op in ("run", "mulvec", "close") and args.get("task", 0) not in self.tasks:
            raise Failure("invalid", f"{op} without a prepared task")

    def frame_size(self, op, args):
        task = args.get("task", 0) if op == "mulvec" and isinstance(args, dict) else None
        return 8 * self.tasks[task][1] if isinstance(task, int) and task in self.tasks else 0

    def prepare(self, device, gemm, seed, task=0, data="random"):
        if task in self.tasks:
            raise Failure("invalid", "prepare while another task is open")
        if device not in self.devices:
            raise Failure("invalid", f"{self.engine} has no device {device!r}")
        if data not in DATA:
            raise Failure("invalid", f"no inputs of the kind {data!r}")
        gemm = {**gemm, "data": data}
        m, n, k = gemm["m"], gemm["n"], gemm["k"]
        width = {"float64": 8, "float32": 4, "int8": 1, "int32": 4}
        a, b, c = m * k * width.get(gemm["in"], 2), k * n * width.get(gemm["in"], 2), m * n * width.get(gemm["out"], 2)
        memory = main_memory()
        if max(a, b, c) > memory:  # many systems promise more than they have
            raise Failure("out_of_memory", f"size {m}x{n}x{k}: one of its matrices is larger than this machine's memory", *self.smaller)
        where = self.devices[device]
        own = where.get("memory") or (memory if where["kind"] == "cpu" else None)  # None: the framework will notice
        if own and len(A_OF_SET) * a + b + c > own:
            raise Failure("out_of_memory", f"size {m}x{n}x{k}: its matrices, with A for each of {len(A_OF_SET)} sets, are larger than the memory of {where['name']}", *self.smaller)
        if min(m, n, k) < 1:
            raise Failure("invalid", f"size {m}x{n}x{k}: every dimension must be at least 1")
        prepared = self.framework["Task"](device, gemm, seed)
        self.tasks[task] = prepared, n
        if where["kind"] == "cpu":
            self.best[task] = float("inf")
        facts = prepared.facts()
        if "threads" in facts and not self.threads:
            facts["notes"] += thread_notes(facts["threads"], CPUS, os.environ)
        if "threads" in facts:
            facts["notes"] += binding_notes(usable_cpus(), CPUS, os.environ)
        return facts

    def run(self, n, set, task=0):
        if n < 1:
            raise Failure("invalid", f"run {n} times: want at least 1")
        if set not in range(len(A_OF_SET)):
            raise Failure("invalid", f"set {set} of operands: there are {len(A_OF_SET)}")
        product, _ = self.tasks[task]
        planned = n * self.best.get(task, float("inf"))
        parts = (n // 64, n // 8, n) if planned < float("inf") and n >= 64 else (n,)
        product.ready(set)
        done = 0
        gc.disable()
        try:
            start = time.perf_counter_ns()
            for part in parts:
                product.run(part - done)
                wall = time.perf_counter_ns() - start
                done = part
                if wall > max(LEAST_WAIT, STALLED * planned):
                    break
        finally:
            gc.enable()
        if task in self.best:
            self.best[task] = min(self.best[task], wall / done)
        device = product.device_ns()
        sample = {"iters": done, "wall_ns": wall}
        if device is not None:
            sample["device_ns"] = device
        return sample

    def mulvec(self, frame, task=0):
        x = array.array("d", frame)
        if sys.byteorder == "big":
            x.byteswap()
        y = self.tasks[task][0].mulvec(x)
        if sys.byteorder == "big":
            y.byteswap()
        return y.tobytes()

    def close(self, task=0):
        self.best.pop(task, None)
        self.tasks.pop(task)[0].close()
        return {}


def is_out_of_memory(e):
    """Frameworks say it in several ways, few by a type."""
    said = ("out of memory", "resource_exhausted", "oom when allocating", "can't allocate memory", "unable to allocate",
            "storage size calculation overflowed", "invalid buffer size", "maximum allowed buffer size")
    return isinstance(e, MemoryError) or any(words in str(e).lower() for words in said)


def first_line(e):
    text = str(e).strip()
    if text:
        return text.splitlines()[0]
    for frame in reversed(traceback.extract_tb(e.__traceback__)):
        if frame.line:  # an assertion without words says what it asserts
            return f"no message, at “{frame.line}” in {frame.name}"
    return "no message"


current = 0  # the request that is being answered
stopped = 0  # the one that is to end early


def stopping():
    """Whether the request that is being answered is to end with what it has."""
    return stopped == current


def send(message, frame=b""):
    out.write(b"\n" + json.dumps(message, allow_nan=False).encode("ascii") + b"\n")
    out.write(frame)
    out.flush()


def event(kind, **data):
    """Tells of something before the request's answer."""
    send({"id": current, "event": {"type": kind, "data": data}})


def understood(line):
    """A line as a request, and what is wrong with it."""
    try:
        request = json.loads(line)
    except ValueError as e:
        return {}, f"request is not understood: {e}"
    if not isinstance(request, dict):
        return {}, "request is not understood: it is no object"
    size = request.get("bytes", 0)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        return {"id": request.get("id", 0)}, f"{size!r} is no number of bytes"
    return request, None


def stop_of(request):
    """The id of the request that is to end early, 0 for any other request."""
    args = request.get("args")
    return args.get("request", 0) if request.get("op") == "stop" and isinstance(args, dict) else 0


def frame_of(stdin, size, wanted):
    """The bytes that follow a request, if they are as many as are wanted: others are
    passed over, in pieces. None at the end of the input."""
    if size == wanted:
        frame = stdin.read(size)
        return frame if len(frame) == size else None
    while size:
        piece = len(stdin.read(min(size, 1 << 16)))
        if not piece:
            return None
        size -= piece
    return b""


def read_requests(stdin, worker, requests):
    global stopped
    while True:
        line = stdin.readline()
        if not line:
            break
        if not line.strip():
            continue
        request, wrong = understood(line)
        if request.get("op") == "stop":
            stopped = stop_of(request)
            continue
        frame = b""
        if not wrong:
            frame = frame_of(stdin, request.get("bytes", 0), worker.frame_size(request.get("op"), request.get("args")))
        if frame is None:
            break
        requests.put((request, frame, wrong))
    os._exit(0)  # the parent is gone or done: end at once, in the middle of a product too


def serve(engine, framework, stdin):
    requests = queue.Queue()
    worker = framework["Worker"](engine, framework)  # the last that a file has defined
    threading.Thread(target=read_requests, args=(stdin, worker, requests), daemon=True).start()
    while True:
        send(*worker.answer(*requests.get()))
