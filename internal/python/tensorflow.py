"""TensorFlow: the CPU and the GPUs as TensorFlow lists them, run eagerly."""

tf = None  # imported by inventory
places = {}  # device id -> TensorFlow's own name: "GPU:0"

# What changes a float32 product on a CPU, past what TensorFlow is told.
TF_ON_CPU = {**FP32_ON_CPU, "TF_SET_ONEDNN_FPMATH_MODE": (("STRICT",), "oneDNN may compute float32 in a narrower type")}


def release(version):
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def metal_problem(version, metal):
    """Why TensorFlow of that version has no GPU on a Mac, and remedies; metal is
    tensorflow-metal's version, None where it is not installed."""
    install = [pip_install("tensorflow==2.18.*", "tensorflow-metal==1.2.0", text="with Python 3.12 or older")]
    if metal is None:
        return "tensorflow-metal, TensorFlow's way to Apple GPUs, is not installed", install
    if release(version) >= (2, 20):
        return f"tensorflow-metal {metal} cannot work with TensorFlow {version}: 2.18 and 2.19 are the last that it can", install
    return f"tensorflow-metal {metal} is installed and TensorFlow {version} sees no GPU", [advice("use a native arm64 Python, macOS 12 or newer")]


def gpu_problem(version, build):
    """The same elsewhere, from TensorFlow's build information."""
    if build.get("is_rocm_build"):
        return may_be_hidden(f"TensorFlow {version} is built for ROCm and sees no GPU that it can use", [command("rocminfo", text="{} shows whether AMD's driver sees one")], os.environ)
    if build.get("is_cuda_build"):
        return may_be_hidden(f"TensorFlow {version} is built for GPUs and sees none that it can use", [
            command("nvidia-smi", text="{} shows whether the driver sees one"), pip_install("tensorflow[and-cuda]", text="{} brings the CUDA libraries")], os.environ)
    return f"TensorFlow {version} is a CPU-only build", [build_for_gpu()]


def inventory(cpu, threads):
    global tf
    mac = sys.platform == "darwin"
    package, version = installed("tensorflow", "tensorflow-cpu", "tensorflow-macos", "tensorflow-intel")
    metal = installed("tensorflow-metal")[1]
    if mac and version and metal and release(version) >= (2, 20):  # the import would fail
        reason, remedies = metal_problem(version, metal)
        raise Failure("unavailable", reason, *remedies)
    tf = load("tensorflow", "TensorFlow", [package or "tensorflow"])
    version = tf.__version__
    config = tf.config
    if threads:
        config.threading.set_intra_op_parallelism_threads(threads)
        config.threading.set_inter_op_parallelism_threads(threads)
    config.set_soft_device_placement(False)  # what a GPU lacks is an error, not the CPU's work
    gpus = config.list_physical_devices("GPU")
    for gpu in gpus:
        config.experimental.set_memory_growth(gpu, True)

    build = tf.sysconfig.get_build_info()
    versions = {"python": sys.version.split()[0], "tensorflow": version}
    api = "metal" if mac else "rocm" if build.get("is_rocm_build") else "cuda"
    if gpus:
        versions.update({name: v for name, v in (("cuda", build.get("cuda_version")), ("tensorflow-metal", metal)) if v})

    def device(place, **fields):
        places[fields["id"]] = place
        return {"library": "TensorFlow", "version": version, "detail": "eager", "versions": versions, **fields}

    devices = [device("CPU:0", id="cpu", name=cpu, kind="cpu", api="cpu")]
    names = [cpu + " GPU" if mac else config.experimental.get_device_details(gpu).get("device_name", f"GPU {i}") for i, gpu in enumerate(gpus)]
    cards = nvidia_cards(names, os.environ) if api == "cuda" else [{}] * len(gpus)
    for i, (name, card) in enumerate(zip(names, cards)):
        which = cuda_fields(i, card) if api == "cuda" else {"id": f"{api}:{i}", "index": i}
        devices.append(device(f"GPU:{i}", name=name, kind="gpu", api=api, **which))
    missing = []
    if not gpus:
        reason, remedies = metal_problem(version, metal) if mac else gpu_problem(version, build)
        missing.append({"api": api, "kind": "gpu", "reason": reason, "remedies": remedies})
    return {"devices": devices, "missing": missing}


class Task:
    def __init__(self, device_id, gemm, seed):
        self.place, self.api = places[device_id], device_id.partition(":")[0]
        self.n = gemm["n"]
        kinds = {"float64": tf.float64, "float32": tf.float32, "float16": tf.float16, "bfloat16": tf.bfloat16, "int8": tf.int8}
        if self.api == "metal":
            del kinds["float64"]
        if self.api != "cpu":
            del kinds["int8"]
        dtype = element_type(gemm, f"TensorFlow on {self.api}", kinds, tf32=self.api == "cuda")
        tf.config.experimental.enable_tensor_float_32_execution(gemm["acc"] == "tf32")
        self.notes = []
        if dtype == tf.float32:
            self.notes += switch_notes({"cpu": TF_ON_CPU, "cuda": FP32_ON_CUDA}.get(self.api, {}), os.environ)
        if dtype == tf.float16 and self.api == "cuda":
            self.notes += switch_notes({"TF_FP16_MATMUL_USE_FP32_COMPUTE": (("1", "TRUE"), "float16 may be summed in float16")}, os.environ)
        self.sum = gemm.get("sum", False)
        self.options = {"transpose_a": gemm.get("trans_a", False), "transpose_b": gemm.get("trans_b", False)}
        if dtype == tf.int8:
            self.options["output_type"] = tf.int32
        if tf.config.get_soft_device_placement():
            raise Failure("internal", f"TensorFlow would compute on the CPU what {self.place} cannot, and not say so")
        self.all_a = [self.upload(numpy_fill(gemm, seed, operand), dtype) for operand in A_OF_SET]
        self.b = self.upload(numpy_fill(gemm, seed, 1), dtype)
        self.a = self.c = None

    def upload(self, matrix, dtype):
        with tf.device("CPU:0"):
            matrix = tf.cast(tf.constant(matrix), dtype)
        with tf.device(self.place):
            return tf.identity(matrix)

    def facts(self):
        facts = {"notes": self.notes}
        if self.api == "cpu":
            default = number_of(("TF_NUM_INTRAOP_THREADS",), os.environ) or CPUS
            facts["threads"] = tf.config.threading.get_intra_op_parallelism_threads() or default
        return facts

    def wait(self, matrix):
        """Brings an element to the host, which waits until the matrix is complete: a
        device works in order."""
        with tf.device(self.place):
            matrix[:1, :1].numpy()

    def ready(self, which):
        self.a, self.c = self.all_a[which], None  # each product makes its own C
        self.wait(self.a)
        self.wait(self.b)

    def run(self, n):
        with tf.device(self.place):
            for _ in range(n):
                self.c = tf.linalg.matmul(self.a, self.b, **self.options)
                if self.sum:
                    tf.reduce_sum(self.c).numpy()
            self.wait(self.c)

    def device_ns(self):
        return None

    def mulvec(self, x):
        for seen in (self.c.device, self.c.backing_device):
            if not seen.endswith(self.place):
                raise Failure("internal", f"the product is on {seen}, not on {self.place}")
        return numpy_mulvec(self.c.numpy(), x)

    def close(self):
        self.a = self.all_a = self.b = self.c = None
        gc.collect()
