"""Frameworks that compute nothing and record what they are asked for. This file stands
behind a worker's program, in its namespace, and counted() does what serve() would.

Time is made up: a product takes some nanoseconds of its device, a sum takes none,
and what does not belong between two readings of the clock, such as an allocation,
takes a second of the caller's. A device has a queue; a CPU makes its caller wait.
"""

import contextlib
import types
import weakref

SECOND = 10**9
takes = 1000  # nanoseconds for a product
log = []  # what was asked for, in order
held = []  # how many results of products were alive at each reading of the clock
results = weakref.WeakSet()
now = 0  # nanoseconds
ends = {}  # when the queue of a device is empty
stray = None  # where products end up if not where they are asked for


def slow(what):
    global now
    log.append(what)
    now += SECOND


def submit(place, ns):
    """Work for a device; returns when it will be complete."""
    global now
    place = str(place).lower()
    ends[place] = max(now, ends.get(place, 0)) + ns
    if place.startswith("cpu"):
        now = ends[place]
    return ends[place]


def wait(until):
    global now
    now = max(now, until)


class Clocks:
    """time, for the worker. busy lists for each wait what part of one CPU the process
    uses meanwhile; after it the process is idle."""

    busy, seconds, used = [], 0.0, 0.0

    def perf_counter_ns(self):
        log.append("clock")
        held.append(len(results))
        return now

    def monotonic(self):
        return self.seconds

    def process_time(self):
        return self.used

    def sleep(self, seconds):
        log.append("rest")
        self.seconds += seconds
        self.used += seconds * (self.busy.pop(0) if self.busy else 0)


class Collector:
    """gc, for the worker."""

    def collect(self):
        slow("collect")

    def freeze(self):
        pass

    def disable(self):
        log.append("gc off")

    def enable(self):
        log.append("gc on")


class Matrix:
    """What all the frameworks call by other names: an array on a device."""

    shape, nbytes = (4, 4), 64

    def __init__(self, name, place, done=0):
        self.name, self.place, self.done = name, place, done

    def __str__(self):
        return self.name


def product(a, b, kind, place, into=None):
    """a·b, into a matrix or into one that the framework makes."""
    log.append(f"{into.name + ' = ' if into else ''}{a}·{b} on {place}")
    done = submit(place, takes)
    if into:
        into.done = done
        return into
    c = kind("C", stray or place, done)
    results.add(c)
    return c


def names_of(*names):
    return types.SimpleNamespace(**{name: name for name in names})


TYPES = ("float64", "float32", "float16", "bfloat16", "int8", "int32")
A_NAMES = {0: "A", 1: "B", 2: "A'"}


# PyTorch

class TorchDevice:
    def __init__(self, type, index=None):
        self.type, self.index = type, index

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"


class Tensor(Matrix):
    @property
    def device(self):
        # A tensor's device has an index where the device that was asked for need not.
        kind, _, index = str(self.place).partition(":")
        return TorchDevice(kind, None if kind == "cpu" else int(index or 0))

    def to(self, place):
        slow(f"copy {self} to {place}")
        return Tensor(self.name, place)

    def __getitem__(self, rows):
        return self

    def __matmul__(self, x):
        return types.SimpleNamespace(tolist=lambda: [0.0])

    def t(self):
        return Tensor(self.name + "ᵀ", self.place)

    def fill_(self, value):
        slow(f"fill {self} with {value}")
        submit(self.place, takes)

    def sum(self):
        log.append(f"sum {self}")
        return Tensor("the sum", self.place, submit(self.place, 0))

    def item(self):
        log.append(f"{self} to the host")
        wait(self.done)


class Event:
    made = 0

    def __init__(self, enable_timing):
        Event.made += 1
        self.name = ("the end", "the start")[Event.made % 2]  # the order in which the worker makes them
        slow(f"make an event for {self.name}")

    def record(self, stream):
        log.append(f"record {self.name} on {stream}")
        self.at = submit(stream, 0)

    def elapsed_time(self, other):
        log.append("read the events")
        if now < other.at:
            raise RuntimeError("the device has not finished")
        return (other.at - self.at) / 1e6


def torch_stub(device):
    def matmul(a, b):
        return product(a, b, Tensor, a.place)

    def mm(a, b, out):
        return product(a, b, Tensor, a.place, out)

    def either(a, b, out=None):
        return mm(a, b, out) if out else matmul(a, b)

    def empty(m, n, dtype, device):
        slow("allocate C")
        return Tensor("C", device)

    def backend(kind):
        def synchronize(device=None):
            place = device or f"{kind}:0"  # the current device
            log.append(f"synchronize {place}")
            wait(ends.get(str(place), 0))

        def synchronize_mps():
            log.append("synchronize mps")
            wait(ends.get("mps", 0))

        properties = types.SimpleNamespace(name="a GPU", total_memory=3 << 30, major=9, minor=0, uuid="")
        return types.SimpleNamespace(
            is_available=lambda: device.startswith(kind), is_built=lambda: True, device_count=lambda: 2, get_device_properties=lambda i: properties,
            recommended_max_memory=lambda: 1 << 40, empty_cache=lambda: slow("clear the cache"), Event=Event,
            set_device=lambda place: None,  # a library may have made another device the current one since
            current_stream=lambda place: place, synchronize=synchronize_mps if kind == "mps" else synchronize)

    sys.platform = "darwin" if device.startswith("mps") else "linux"
    globals().update(fill=lambda gemm, seed, operand, dtype: Tensor(A_NAMES[operand], "cpu"))
    return types.SimpleNamespace(
        __version__="2.9.0", version=types.SimpleNamespace(cuda="13.0", hip=None), device=TorchDevice, **{name: name for name in TYPES},
        backends=types.SimpleNamespace(mps=backend("mps")), cuda=backend("cuda"), mps=backend("mps"), xpu=backend("xpu"), matmul=matmul, mm=mm, _int_mm=either,
        empty=empty, frombuffer=lambda x, dtype: x, set_grad_enabled=lambda on: None, set_num_threads=lambda n: None, get_num_threads=lambda: 1, set_float32_matmul_precision=lambda p: None)


# TensorFlow

class Eager(Matrix):
    @property
    def device(self):
        return f"/job:localhost/replica:0/task:0/device:{self.place.upper()}"

    backing_device = device

    def __getitem__(self, key):
        if key != (slice(None, 1), slice(None, 1)):
            raise IndexError(key)
        return Eager(f"an element of {self}", self.place, max(self.done, submit(self.place, 0)))

    def numpy(self):
        log.append(f"{self} to the host")
        wait(self.done)


def tensorflow_stub(device):
    places, soft = ["CPU:0"], [True]

    @contextlib.contextmanager
    def on(place):
        places.append(place)
        yield
        places.pop()

    def copy(matrix):
        slow(f"copy {matrix} to {places[-1]}")
        return Eager(matrix.name, places[-1])

    def matmul(a, b, **options):
        return product(a, b, Eager, places[-1])

    def reduce_sum(c):
        log.append(f"sum {c}")
        return Eager("the sum", c.place, max(c.done, submit(c.place, 0)))

    def place_softly(on):
        soft[0] = on or device == "soft"  # a TensorFlow that does not listen

    nothing = lambda *_: None
    config = types.SimpleNamespace(
        threading=types.SimpleNamespace(get_intra_op_parallelism_threads=lambda: 1), set_soft_device_placement=place_softly, get_soft_device_placement=lambda: soft[0],
        list_physical_devices=lambda kind: ["first", "second"], experimental=types.SimpleNamespace(
            set_memory_growth=nothing, get_device_details=lambda gpu: {}, enable_tensor_float_32_execution=nothing))
    globals().update(numpy_fill=lambda gemm, seed, operand: Eager(A_NAMES[operand], "host"))
    return types.SimpleNamespace(
        __version__="2.21.0", **{name: name for name in TYPES}, config=config, sysconfig=types.SimpleNamespace(get_build_info=lambda: {"is_cuda_build": True}),
        device=on, constant=lambda matrix: matrix, cast=lambda matrix, dtype: matrix, identity=copy, linalg=types.SimpleNamespace(matmul=matmul), reduce_sum=reduce_sum)


# MLX

class Lazy(Matrix):
    """An array that is complete when done is a time, and not yet begun when it is None."""

    def __init__(self, name, place, done=None, of=None):
        super().__init__(name, place, done)
        self.of = of

    T = property(lambda self: Lazy(self.name + "ᵀ", self.place, of=(self,)))

    def __matmul__(self, other):
        return Lazy("C", mlx_places[-1], of=(self, other))

    def begin(self):
        if self.done is not None:
            return
        for part in self.of:
            if part.done is None:
                part.begin()
        if len(self.of) == 2:
            log.append(f"{self.of[0]}·{self.of[1]} on {self.place}")
            results.add(self)
        elif self.name == "the sum":
            log.append("sum C")
        else:
            slow(f"turn {self}")
        self.done = submit(self.place, takes if len(self.of) == 2 else 0)

    def sum(self):
        return Lazy("the sum", mlx_places[-1], of=(self,))

    def item(self):
        self.begin()
        log.append(f"{self} to the host")
        wait(self.done)


mlx_places = ["the default device"]


def mlx_stub(device):
    @contextlib.contextmanager
    def stream(place):
        mlx_places.append(place)
        yield
        mlx_places.pop()

    def evaluate(*arrays):
        for a in arrays:
            if a is not None:
                a.begin()
                log.append(f"wait for {a}")
                wait(a.done)

    globals().update(fill=lambda gemm, seed, operand, dtype: Lazy(A_NAMES[operand], mlx_places[-1], 0))
    core = types.SimpleNamespace(
        __version__="0.32.4", **{name: name for name in TYPES}, cpu="cpu", gpu="gpu", Device=lambda kind, index: f"{kind}:{index}",
        metal=types.SimpleNamespace(is_available=lambda: False), is_available=lambda kind: True, device_count=lambda kind: 2,
        device_info=lambda place: {"device_name": "a GPU", "uuid": place.partition(":")[2]}, stream=stream, eval=evaluate, async_eval=lambda a: a.begin(),
        clear_cache=lambda: slow("clear the cache"))
    return core


# JAX

class Place:
    def __init__(self, platform, index):
        self.platform, self.local_hardware_id, self.device_kind = platform, index, "a GPU"

    def __str__(self):
        return f"{self.platform}:{self.local_hardware_id}"


class Array(Matrix):
    compiled = set()

    def astype(self, dtype):
        return self

    def devices(self):
        return {next(p for there in jax_places.values() for p in there if str(p) == str(self.place))}

    def block_until_ready(self):
        log.append(f"wait for {self}")
        wait(self.done)

    def sum(self):
        if "sum" not in self.compiled:
            slow("compile the sum")
            self.compiled.add("sum")
        log.append(f"sum {self}")
        return Array("the sum", self.place, max(self.done, submit(self.place, 0)))

    def item(self):
        log.append(f"{self} to the host")
        wait(self.done)


jax_places = {"cpu": [Place("cpu", 0)], "cuda": [Place("cuda", 0), Place("cuda", 1)]}


class Jit:
    """A function while it becomes a compiled one."""

    def __init__(self, function):
        pass

    def lower(self, *operands):
        return self

    def compile(self):
        slow("compile the product")
        return lambda a, b: product(a, b, Array, a.place)


def jax_stub(device):
    def local_devices(backend):
        if backend not in jax_places:
            raise RuntimeError(f"unknown backend {backend}")
        return jax_places[backend]

    def put(matrix, place):
        slow(f"copy {matrix} to {place}")
        return Array(str(matrix), place)

    def ready(arrays):
        for a in arrays:
            a.block_until_ready()

    globals().update(numpy_fill=lambda gemm, seed, operand: A_NAMES[operand])
    return types.SimpleNamespace(
        __version__="0.10.2", config=types.SimpleNamespace(update=lambda name, value: None, jax_default_matmul_precision=None), local_devices=local_devices,
        numpy=types.SimpleNamespace(**{name: name for name in TYPES}, zeros=lambda shape, dtype: "zeros"), jit=Jit, device_put=put, block_until_ready=ready,
        lax=types.SimpleNamespace(DotAlgorithmPreset=names_of("TF32_TF32_F32"), Precision=names_of("HIGHEST")))


def model(seen):
    """A language model that generates one token."""
    class Model:
        def __init__(self, *_):
            self.tokenizer = None

        def facts(self):
            return {"context": 0, "vocabulary": 4}

        def encode(self, prompt, chat):
            return [1]

        def generate(self, *_):
            yield 1, "a", None, {"prompt_tokens": 1, "prompt_ns": 1, "tokens": 1, "token_ns": 1, "finish": "length"}

        def peak(self):
            return 1

        def close(self):
            pass

    return Model


def counted(engine, device, astray, busy, slowly, requests):
    """Answers requests as serve() does and prints for each its answer, what was recorded
    meanwhile, and how many old results were alive at the readings of the clock. A
    request's bytes are zeros; busy and slowly, what a product takes if not the usual time,
    are for the requests one after the other."""
    global time, gc, nvidia_cards, nvidia_driver, main_memory, stray, send, takes
    time, gc, stray = Clocks(), Collector(), astray
    nvidia_driver = lambda: None
    nvidia_cards = lambda names, environment: [{"uuid": f"GPU-{i}"} for i, _ in enumerate(names)]
    main_memory = lambda: 1 << 30
    send = lambda *_: None  # of events
    stubs = {"torch": torch_stub, "tensorflow": tensorflow_stub, "mlx": mlx_stub, "jax": jax_stub}
    if engine in stubs:
        module = stubs[engine](device)
        for name in ("mlx", "mlx.core") if engine == "mlx" else (engine,):
            sys.modules[name] = module
    else:
        globals().update(Model=model(device), load_tokenizer=lambda folder: None, inventory=lambda cpu, threads: {"devices": [{"id": "cpu", "api": "cpu", "kind": "cpu"}], "missing": []})
    numpy = types.ModuleType("numpy")
    numpy.asarray = lambda matrix: matrix
    sys.modules["numpy"] = numpy
    globals().update(numpy_mulvec=lambda c, x: array.array("d", [0.0]))
    busy, slowly = busy or [], slowly or []
    worker, told = Worker(engine, globals()), []
    for request in requests:
        del log[:], held[:]
        time.busy = list(busy.pop(0) or []) if busy else []
        takes = slowly.pop(0) if slowly else 1000
        answer, frame = worker.answer(request, bytes(request.get("bytes", 0)))
        told.append({"answer": answer, "log": list(log), "held": list(held)})
    out.write(json.dumps(told, default=str).encode())
    out.flush()
    os._exit(0)
