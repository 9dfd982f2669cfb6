"""The Python end of gpuplay's worker protocol: JSON lines on stdin and stdout.

Started by gpuplay with a framework's own file after it, in one namespace. What
computes products defines

    inventory(cpu, threads) -> {"devices": [...], "missing": [...]}
    Task(device_id, gemm, seed), with
        facts()      -> {"threads": ..., "notes": [...]}
        run(n)       compute n times and wait until the device has finished;
                     returns the device's own nanoseconds, or None
        mulvec(x)    y = C.x in float64; array('d') in and out
        close()

and raises Failure for what goes wrong. inventory imports the framework, and
before that sets what is read only once.
"""

import array
import base64
import gc
import importlib
import json
import os
import queue
import re
import sys
import threading
import time

PROTOCOL = 1

# Frameworks print to stdout: keep the real one for the protocol and let file
# descriptor 1 lead to the log.
out = os.fdopen(os.dup(1), "w", encoding="ascii")
os.dup2(2, 1)


class Failure(Exception):
    """An error with the protocol's code, words for people and a way out."""

    def __init__(self, code, message, hint=""):
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


def load(module, name, package, way_out=""):
    """The framework's module, imported; or what is wrong with it, for people."""
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as e:  # a broken wheel raises more than ImportError
        if isinstance(e, ModuleNotFoundError) and e.name == module.split(".")[0]:
            raise Failure("unavailable", f"{name} is not installed for {sys.executable}",
                          way_out or f"gpuplay setup {e.name}")
        raise Failure("unavailable", f"{name} is installed but cannot be imported: {type(e).__name__}: {first_line(e)}",
                      f"{sys.executable} -m pip install --force-reinstall {package}")


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


THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "PJRT_NPROC", "NPROC")


def thread_notes(threads, cpus, environment):
    """A note when a framework left to itself computes with other threads than the
    CPUs ask for. One thread for two CPUs is usual: two may share a core."""
    settings = [f"{name}={environment[name]}" for name in THREAD_VARIABLES if environment.get(name)]
    if threads == cpus or (threads < cpus <= 2 * threads and not settings):
        return []
    note = f"computes with {threads} thread{'s' if threads > 1 else ''} of {cpus} cores"
    return [note + f": {', '.join(settings)}" if settings else note]


def usable_cpus():
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def mix(z):
    """The output function of splitmix64."""
    mask = (1 << 64) - 1
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
    return z ^ (z >> 31)


def stream_key(seed, operand):
    """The key of an operand's stream of elements; operand is 0 for A, 1 for B."""
    return mix((2 * seed + operand) & ((1 << 64) - 1))


def shapes(gemm):
    """The shapes of A and B in memory."""
    m, n, k = gemm["m"], gemm["n"], gemm["k"]
    a = (k, m) if gemm.get("trans_a") else (m, k)
    b = (n, k) if gemm.get("trans_b") else (k, n)
    return a, b


def numpy_fill(seed, operand, shape, dtype):
    """A seeded operand as matrix.Stream makes it: a numpy array, of float64 for
    "float64", of int8 for "int8", and of float32 for all others, which the framework
    casts."""
    import numpy as np
    bits, kind = {"float64": (53, np.float64), "int8": (8, np.int8)}.get(dtype, (24, np.float32))
    whole = np.empty(shape, kind)
    flat, golden = whole.reshape(-1), np.uint64(0x9E3779B97F4A7C15)
    key, chunk = stream_key(seed, operand), 1 << 15  # fits a core's cache
    steps = np.arange(1, min(chunk, flat.size) + 1, dtype=np.uint64) * golden
    z, shifted = np.empty_like(steps), np.empty_like(steps)
    for at in range(0, flat.size, chunk):
        np.add(steps, np.uint64((key + at * int(golden)) & ((1 << 64) - 1)), out=z)
        for by, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
            np.right_shift(z, np.uint64(by), out=shifted)
            np.bitwise_xor(z, shifted, out=z)
            np.multiply(z, np.uint64(factor), out=z)
        np.right_shift(z, np.uint64(64 - bits), out=z)
        part = flat[at:at + chunk]
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


def rest():
    """Wait until this process uses no CPU time: a library's threads spin for a
    while after a call and would take their cores from the next lane."""
    window, limit = 0.005, time.monotonic() + 0.5
    before = time.process_time()
    while time.monotonic() < limit:
        time.sleep(window)
        now = time.process_time()
        if now - before < window / 5:
            return
        before = now


class Requests:
    """Answers one request at a time: the method of an operation's name returns its
    result."""

    operations = ("hello",)
    smaller = ""  # the way out when memory runs out

    def __init__(self, engine, framework):
        self.engine, self.framework = engine, framework
        self.devices = None
        self.threads = 0  # asked for

    def hello(self, request):
        if request.get("protocol") != PROTOCOL:
            raise Failure("invalid", f"this worker speaks protocol {PROTOCOL}, not {request.get('protocol')}")
        self.threads = request.get("threads", 0)
        found = self.framework["inventory"](request.get("cpu", ""), self.threads)
        driver = nvidia_driver()
        for device in found["devices"]:
            if driver and device["api"] == "cuda":
                device["versions"] = {**device["versions"], "driver": driver}
        self.devices = {d["id"] for d in found["devices"]}
        gc.collect()
        gc.freeze()  # a framework's thousands of objects need no second look
        return {"protocol": PROTOCOL, "engine": self.engine, **found}

    def refuse(self, op):
        """Raises Failure for an operation whose time has not come."""

    def answer(self, line):
        global current
        request = {}
        try:
            request = json.loads(line)
            op, current = request.get("op"), request.get("id", 0)
            if op not in self.operations:
                raise Failure("invalid", f"unknown operation {op!r}")
            self.refuse(op)
            result = {"result": getattr(self, op)(request)}
        except Failure as e:
            result = {"error": {"code": e.code, "message": e.message, "hint": e.hint}}
        except Exception as e:  # whatever a framework raises ends the request, not the worker
            if is_out_of_memory(e):
                result = {"error": {"code": "out_of_memory", "message": f"out of memory: {first_line(e)}", "hint": self.smaller}}
            else:
                result = {"error": {"code": "internal", "message": f"{type(e).__name__}: {first_line(e)}"}}
        if request.get("op") in ("hello", "run", "generate"):
            rest()
        return {"id": request.get("id", 0), **result}


class Worker(Requests):
    """Computes products; holds at most one task."""

    operations = ("hello", "prepare", "run", "mulvec", "close")
    smaller = "try a smaller --size"

    def __init__(self, engine, framework):
        super().__init__(engine, framework)
        self.task = None

    def refuse(self, op):
        if op in ("run", "mulvec", "close") and not self.task:
            raise Failure("invalid", f"{op} without a prepared task")

    def prepare(self, request):
        if self.devices is None:
            raise Failure("invalid", "prepare came before hello")
        if self.task:
            raise Failure("invalid", "prepare while another task is open")
        if request["device"] not in self.devices:
            raise Failure("invalid", f"{self.engine} has no device {request['device']!r}")
        gemm = request["gemm"]
        width = {"float64": 8, "float32": 4, "int8": 1, "int32": 4}
        operand = max(gemm["m"] * gemm["k"], gemm["k"] * gemm["n"]) * width.get(gemm["in"], 2)
        if max(operand, gemm["m"] * gemm["n"] * width.get(gemm["out"], 2)) > main_memory():  # many systems promise more than they have
            raise Failure("out_of_memory", f"size {gemm['m']}x{gemm['n']}x{gemm['k']}: one of its matrices is larger than this machine's memory", "try a smaller --size")
        if min(gemm["m"], gemm["n"], gemm["k"]) < 1:
            raise Failure("invalid", f"size {gemm['m']}x{gemm['n']}x{gemm['k']}: every dimension must be at least 1")
        self.task = self.framework["Task"](request["device"], gemm, request.get("seed", 0))
        facts = self.task.facts()
        if "threads" in facts and not self.threads:
            facts["notes"] += thread_notes(facts["threads"], usable_cpus(), os.environ)
        return facts

    def run(self, request):
        n = request["n"]
        if n < 1:
            raise Failure("invalid", f"run {n} times: want at least 1")
        gc.disable()
        try:
            start = time.perf_counter_ns()
            device = self.task.run(n)
            wall = time.perf_counter_ns() - start
        finally:
            gc.enable()
        sample = {"iters": n, "wall_ns": wall}
        if device is not None:
            sample["device_ns"] = device
        return sample

    def mulvec(self, request):
        x = array.array("d", base64.b64decode(request.get("x", "")))
        if len(x) != self.task.n:
            raise Failure("invalid", f"x has {len(x)} elements, C has {self.task.n} columns")
        return {"y": base64.b64encode(self.task.mulvec(x).tobytes()).decode()}

    def close(self, request):
        self.task.close()
        self.task = None
        return {}


def is_out_of_memory(e):
    """Frameworks say it in several ways, few by a type."""
    said = ("out of memory", "resource_exhausted", "oom when allocating", "can't allocate memory", "unable to allocate",
            "storage size calculation overflowed", "invalid buffer size", "maximum allowed buffer size")
    return isinstance(e, MemoryError) or any(words in str(e).lower() for words in said)


def first_line(e):
    text = str(e).strip()
    return text.splitlines()[0] if text else "no message"


current = 0  # the request that is being answered
stopped = 0  # the one that is to end early


def stopping():
    """Whether the request that is being answered is to end with what it has."""
    return stopped == current


def send(message):
    out.write("\n" + json.dumps(message) + "\n")
    out.flush()


def event(**what):
    """Tells of something before the request's answer."""
    send({"id": current, "event": what})


def stop_of(line):
    """The id of the request that a line asks to stop, 0 for any other line."""
    if b'"stop"' not in line:
        return 0
    try:
        request = json.loads(line)
        return request["id"] if request.get("op") == "stop" else 0
    except (ValueError, KeyError, AttributeError):  # its answer will say what it is
        return 0


def read_requests(lines, requests):
    global stopped
    for line in lines:
        stop = stop_of(line)
        if stop:
            stopped = stop
        else:
            requests.put(line)
    os._exit(0)  # the parent is gone or done: end at once, in the middle of a product too


def serve(engine, framework, stdin):
    requests = queue.Queue()
    threading.Thread(target=read_requests, args=(stdin, requests), daemon=True).start()
    worker = framework["Worker"](engine, framework)  # the last that a file has defined
    while True:
        send(worker.answer(requests.get()))
