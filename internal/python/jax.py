"""JAX: the CPU and the accelerators of its plugins, with the product compiled."""

jax = None  # imported by inventory
places = {}  # device id -> JAX's own device

# Platforms as JAX calls them, with gpuplay's name for them and the packages that
# bring them.
PLATFORMS = {"cuda": ("cuda", ("jax-cuda13-plugin", "jax-cuda12-plugin")), "rocm": ("rocm", ("jax-rocm7-plugin", "jax-rocm60-plugin")), "METAL": ("metal", ("jax-metal",))}


def plugins_of(packages):
    """Those of the packages that are there, with their versions."""
    return {name: version for name, version in (installed(package) for package in packages) if name}


def requirement(plugin):
    """What pip is to install for JAX with the plugin that is there."""
    extra = re.fullmatch(r"jax-(cuda\d+|rocm\d+)-plugin", plugin or "")
    return f"jax[{extra[1]}]" if extra else "jax"


def why_no(api, chosen, plugins, error):
    """Why JAX has no device of that kind, and remedies: chosen is JAX_PLATFORMS,
    plugins are the packages for it that are installed, error what JAX says."""
    if chosen:
        return f"JAX_PLATFORMS={chosen} is set", [advice("unset JAX_PLATFORMS")]
    if plugins:
        named = ", ".join(f"{name} {version}" for name, version in plugins.items())
        upgrade = pip_install("--upgrade", "jax", *plugins, text="the plugin's version must be jaxlib's")
        return may_be_hidden(f"{named} is installed and finds no device: {error}", [upgrade], os.environ)
    if api == "metal":
        return "JAX has no Metal plugin", [pip_install("jax-metal", text="experimental, for old versions of JAX")]
    return "JAX is installed without its CUDA plugin", [build_for_gpu()]


def inventory(cpu, threads):
    global jax
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # or it takes 75 % of a GPU's memory
    if threads:
        os.environ["PJRT_NPROC"] = os.environ["NPROC"] = str(threads)  # XLA's pool has no other setting
    jax = load("jax", "JAX", [requirement(installed(*PLATFORMS["cuda"][1])[0])])
    jax.config.update("jax_enable_x64", True)  # before the first array
    jax.config.update("jax_disable_jit", False)
    if hasattr(jax.config, "jax_cpu_enable_async_dispatch"):
        jax.config.update("jax_cpu_enable_async_dispatch", False)  # or 32 results wait in memory
    versions = {"python": sys.version.split()[0], "jax": jax.__version__}

    def device(place, **fields):
        places[fields["id"]] = place
        return {"library": "JAX", "version": jax.__version__, "detail": "jit", "versions": versions, **fields}

    devices, missing = [], []
    for platform, (api, packages) in {"cpu": ("cpu", ()), **PLATFORMS}.items():
        plugins = plugins_of(packages)
        try:
            there = jax.local_devices(backend=platform)
        except (RuntimeError, AssertionError) as e:  # the latter when no platform of JAX_PLATFORMS is there
            usual = "metal" if sys.platform == "darwin" else "cuda"
            if plugins or api in ("cpu", usual):
                reason, remedies = why_no(api, os.environ.get("JAX_PLATFORMS"), plugins, first_line(e))
                missing.append({"api": api, "kind": "cpu" if api == "cpu" else "gpu", "reason": reason, "remedies": remedies})
            continue
        if api == "cpu":
            devices.append(device(there[0], id="cpu", name=cpu, kind="cpu", api="cpu"))  # XLA_FLAGS can make one CPU into many devices
            continue
        there = sorted(there, key=lambda place: place.local_hardware_id)
        cards = nvidia_cards([place.device_kind for place in there], os.environ) if api == "cuda" else [{}] * len(there)
        for place, card in zip(there, cards):
            index = place.local_hardware_id
            which = cuda_fields(index, card) if api == "cuda" else {"id": f"{api}:{index}", "index": index}
            name = cpu + " GPU" if api == "metal" else place.device_kind
            devices.append(device(place, name=name, kind="gpu", api=api, versions={**versions, **plugins}, **which))
    return {"devices": devices, "missing": missing}


class Task:
    def __init__(self, device_id, gemm, seed):
        self.place, api = places[device_id], device_id.partition(":")[0]
        self.n = gemm["n"]
        numpy = jax.numpy
        kinds = {"float64": numpy.float64, "float32": numpy.float32, "float16": numpy.float16, "bfloat16": numpy.bfloat16, "int8": numpy.int8}
        if api == "metal":
            del kinds["float64"], kinds["int8"]
        dtype = element_type(gemm, f"JAX on {api}", kinds, tf32=api == "cuda")
        # Said in the product itself: past this no default and no variable counts.
        precision = jax.lax.DotAlgorithmPreset.TF32_TF32_F32 if gemm["acc"] == "tf32" else jax.lax.Precision.HIGHEST
        self.notes = switch_notes({"JAX_DISABLE_JIT": (("0", "FALSE", "NO", "OFF"), "not used here, the product is compiled")}, os.environ)
        if dtype == numpy.float32:
            self.notes += switch_notes({"cpu": FP32_ON_CPU, "cuda": FP32_ON_CUDA}.get(api, {}), os.environ)
            default = jax.config.jax_default_matmul_precision
            if default:
                self.notes.append(f"JAX_DEFAULT_MATMUL_PRECISION={default} is set: not used here, the product asks for its own precision")
            elif api == "cuda" and gemm["acc"] == "float32":
                self.notes.append("JAX's own default for float32 on this GPU is TF32: measured with precision highest")
        self.api, self.sum = api, gemm.get("sum", False)
        # XLA's GPU code for a product with a vector sums in the type of the result.
        sums = numpy.float32 if gemm["acc"] == "float32" and 1 in (gemm["m"], gemm["n"]) else None
        result = dtype
        if dtype == numpy.int8:
            sums = result = numpy.int32

        def product(a, b):
            a, b = a.T if gemm.get("trans_a") else a, b.T if gemm.get("trans_b") else b
            return numpy.matmul(a, b, precision=precision, preferred_element_type=sums).astype(result)

        def operand(number):
            return jax.device_put(numpy_fill(gemm, seed, number), self.place).astype(dtype)

        self.all_a = [operand(number) for number in A_OF_SET]
        self.a, self.b = self.all_a[0], operand(1)
        self.product = jax.jit(product).lower(self.a, self.b).compile()
        if self.sum:  # has it compiled, as the product is
            jax.device_put(numpy.zeros((gemm["m"], gemm["n"]), result), self.place).sum().item()
        self.c = None

    def facts(self):
        facts = {"notes": self.notes}
        if self.api == "cpu":
            facts["threads"] = number_of(("PJRT_NPROC", "NPROC"), os.environ) or CPUS
        return facts

    def ready(self, which):
        self.a, self.c = self.all_a[which], None  # each product makes its own C
        jax.block_until_ready((self.a, self.b))

    def run(self, n):
        for _ in range(n):  # in Python: within one compiled function XLA may merge equal products
            self.c = self.product(self.a, self.b)
            if self.sum:
                self.c.sum().item()
        self.c.block_until_ready()

    def device_ns(self):
        return None

    def mulvec(self, x):
        if self.c.devices() != {self.place}:
            raise Failure("internal", f"the product is on {self.c.devices()}, not on {self.place}")
        import numpy
        return numpy_mulvec(numpy.asarray(self.c), x)

    def close(self):
        self.a = self.all_a = self.b = self.c = self.product = None
        gc.collect()
