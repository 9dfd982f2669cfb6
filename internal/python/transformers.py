"""transformers and peft: language models on PyTorch's devices.

Generation is a loop of its own, always greedy, so that each token can be timed and
shown; it counts as mlx-lm and llama.cpp do: the time to the first token is the
prompt's, and then all tokens, the first among them, in the time since.
"""

import inspect

hf = None  # imported by inventory
tensors = inventory  # of torch.py
# What makes an environment with transformers and peft: the parameter llm of the command.
INSTALL = {**command("gpuplay", "setup", "torch"), "param": "llm"}


def inventory(cpu, threads):
    global hf
    found = tensors(cpu, threads)
    hf = load("transformers", "transformers", ["transformers"], INSTALL)
    hf.utils.logging.disable_progress_bar()
    for device in found["devices"]:
        device["versions"] = {**device["versions"], "transformers": hf.__version__}
    return found


def load_tokenizer(folder):
    return hf.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


class Model:
    def __init__(self, device_id, folder, tokenizer, adapter, bits, dtype, graph):
        self.device, self.folder = places[device_id], folder
        if bits:
            raise Failure("unsupported", "PyTorch has no QLoRA here, an adapter on weights that are cut to 4 bits", change("framework", "{} has it", "mlx"), change("qlora", "leave {} out"))
        config = hf.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if getattr(config, "quantization", None) and not hasattr(config, "quantization_config"):
            raise Failure("unsupported", f"{folder} has weights in MLX's own {config.quantization.get('bits', '')}-bit form", change("framework", "", "mlx"), advice("the model as its maker published it"))
        self.notes = []
        kind = "auto"
        if self.device.type == "cpu":
            kind = torch.float32
            if has_half(folder):
                self.notes.append("computes in float32: 16 bits are slow on most CPUs")
        elif dtype:
            kind = getattr(torch, dtype)
            self.notes.append(f"computes in {dtype}, as the CPU does")
        self.tokenizer = tokenizer
        self.model = hf.AutoModelForCausalLM.from_pretrained(folder, dtype=kind, local_files_only=True, trust_remote_code=False)
        self.ends = self.end_tokens()
        if adapter:
            peft = self.peft()
            with blaming(adapter):
                self.model = peft.PeftModel.from_pretrained(self.model, adapter, local_files_only=True)
        self.model.to(self.device).eval()
        self.config = config.get_text_config()
        self.peak_seen = 0
        forward = inspect.signature(getattr(self.model, "get_base_model", lambda: self.model)().forward).parameters
        self.kept = "cache" if "cache" in forward else "past_key_values"  # its name before transformers 5
        self.positioned = "cache_position" in forward  # before transformers 5
        self.fixed = None
        if graph and self.device.type == "cuda":
            self.record(min(1024, getattr(self.config, "max_position_embeddings", 1024)))

    def peft(self):
        return load("peft", "peft", ["peft"], pip_install("peft"))

    def end_tokens(self):
        end = self.model.generation_config.eos_token_id
        ends = set(end if isinstance(end, list) else [end])
        return (ends | {self.tokenizer.eos_token_id}) - {None}

    def facts(self):
        text = self.config
        facts = {
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "bytes": sum(p.numel() * p.element_size() for p in self.model.parameters()),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "layers": getattr(text, "num_hidden_layers", 0),
            "hidden": getattr(text, "hidden_size", 0),
            "vocabulary": getattr(text, "vocab_size", 0),
            "heads": getattr(text, "num_attention_heads", 0),
            "context": getattr(text, "max_position_embeddings", 0) or 0,
            "chat": bool(self.tokenizer.chat_template),
            "notes": self.notes,
            "peak_of": "PyTorch" if self.device.type != "cpu" else "the process",
        }
        if self.device.type == "cpu":
            facts["threads"] = torch.get_num_threads()
        return facts

    def peak(self):
        kind = self.device.type
        if kind in ("cuda", "xpu"):
            return getattr(torch, kind).max_memory_allocated(self.device)
        if kind == "mps":  # which counts what is in use now, no peak
            self.peak_seen = max(self.peak_seen, torch.mps.driver_allocated_memory())
            return self.peak_seen
        try:
            import resource
        except ImportError:  # Windows
            return 0
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024

    def encode(self, prompt, chat):
        return encode_prompt(self.tokenizer, prompt, chat)

    def record(self, size):
        """Records a step of generation, for prompts and answers of that many tokens. What
        cannot be recorded is launched from Python, kernel by kernel, and the notes say so."""
        self.fixed = None  # its memory can be used again
        try:
            with torch.inference_mode(), torch.cuda.device(self.device):
                fixed = Fixed(self, size)
                fixed.record()
                fixed.check()
            self.fixed = fixed
        except Exception as e:  # whatever a model does that a graph cannot
            torch.cuda.synchronize(self.device)
            torch.cuda.empty_cache()
            self.notes.append(f"no CUDA graph, every kernel is launched from Python: {first_line(e)}")

    def steps(self, tokens, fixed):
        """Continues greedily: the logits of each position and the token chosen there."""
        if fixed:
            step = fixed.start(tokens)
            while True:
                yield fixed.logits, step.item()  # waits for the device
                step = fixed.step()
        step, cache = torch.tensor([tokens], device=self.device), None
        while True:
            answer = self.model(input_ids=step, use_cache=True, logits_to_keep=1, **{self.kept: cache})
            cache, step = getattr(answer, self.kept), answer.logits[:, -1:].argmax(-1)
            yield answer.logits[:, -1], step.item()

    def generate(self, tokens, limit, ignore_end, candidates, eager):
        self.model.eval()
        ends = set() if ignore_end else self.ends
        made, shown = [], Shown(self.tokenizer)
        longest = len(tokens) + limit
        if self.fixed and limit > 1 and not eager and longest > self.fixed.size:
            self.record(-(-longest // 256) * 256)
        fixed = None if eager or limit == 1 else self.fixed
        with torch.inference_mode():
            start = time.perf_counter_ns()
            for logits, token in self.steps(tokens, fixed):
                now = time.perf_counter_ns()
                if not made:
                    prompt, start = now - start, now
                made.append(token)
                finish = "stop" if token in ends else "length" if len(made) == limit else ""
                text = shown.end() if finish == "stop" else shown.add(token) + (shown.end() if finish else "")
                probable = None
                if candidates:
                    best = logits[0].float().log_softmax(-1).topk(candidates)
                    probable = list(zip(best.indices.tolist(), best.values.tolist()))
                yield token, text, probable, {"prompt_tokens": len(tokens), "prompt_ns": prompt, "tokens": len(made), "token_ns": max(1, time.perf_counter_ns() - start), "finish": finish, "graph": fixed is not None}
                if finish:
                    return

    def tune(self, settings, rows, valid):
        self.settings, self.fixed = settings, None  # the adapter adds kernels
        torch.manual_seed(settings["seed"])
        peft = self.peft()
        total, layers = self.facts()["layers"], settings["layers"]
        layers = min(layers or total, total)
        if settings["resume"]:
            with blaming(settings["adapter"]):
                self.model = peft.PeftModel.from_pretrained(self.model, settings["adapter"], is_trainable=True, local_files_only=True)
        else:
            names, pattern = linear_layers(self.model, total)
            self.model = peft.get_peft_model(self.model, peft.LoraConfig(
                task_type="CAUSAL_LM", r=settings["rank"], lora_alpha=settings["rank"] * settings["scale"], lora_dropout=settings["dropout"], use_dora=settings["dora"],
                target_modules=names, layers_to_transform=list(range(total - layers, total)), layers_pattern=pattern))
        self.rows, self.valid = ([row[:settings["max_length"] + 1] for row in r] for r in (rows, valid))
        lengths = [len(r) for r in self.rows]
        trainable = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        longest = min(max(lengths), settings["max_length"])
        return {"rows": len(rows), "longest": longest, "padded": longest, "cut": sum(n > settings["max_length"] for n in lengths), "trainable": trainable, "layers": layers}

    def batches(self, rows):
        """Rows of like length, a batch at a time, padded to the longest: tensors of
        tokens, of what counts, and how many tokens are predicted."""
        size = self.settings["batch"]
        rows = sorted((row[:self.settings["max_length"]] for row in rows), key=len)
        for at in range(0, len(rows) - size + 1, size):
            some = rows[at:at + size]
            longest = max(len(row) for row in some)
            tokens = torch.tensor([row + [0] * (longest - len(row)) for row in some])
            there = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in some])
            yield tokens.to(self.device), there.to(self.device), sum(len(row) - 1 for row in some)

    def loss(self, tokens, there):
        return self.model(input_ids=tokens, attention_mask=there, labels=tokens.masked_fill(there == 0, -100), use_cache=False).loss

    def validate(self, training):
        if len(self.valid) < self.settings["batch"]:
            return
        self.model.eval()
        with torch.no_grad():
            losses = [(self.loss(tokens, there).item(), count) for tokens, there, count in self.batches(self.valid)]
        training.validation(sum(loss * count for loss, count in losses) / sum(count for _, count in losses))
        self.model.train()

    def train(self, training):
        import random
        order = random.Random(training.seed)
        torch.manual_seed(training.seed)
        batches, trained, s = list(self.batches(self.rows)), 0, self.settings
        optimizer = torch.optim.Adam([p for p in self.model.parameters() if p.requires_grad], lr=s["lr"])
        self.model.train()
        queue = []
        with torch.enable_grad():
            for i in range(training.first, training.last):
                if i == training.first or (i - training.first) % s["eval_every"] == 0:
                    self.validate(training)
                queue = queue or order.sample(batches, len(batches))
                tokens, there, count = queue.pop()
                start = time.perf_counter()
                loss = self.loss(tokens, there)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                value = loss.item()  # waits for the device
                synchronize(self.device)
                trained += count
                training.iteration(value, s["lr"], count / (time.perf_counter() - start), trained)
            self.validate(training)

    def faulty(self):
        return next((name.removeprefix("base_model.model.") for name, p in self.model.named_parameters() if p.is_floating_point() and not p.isfinite().all()), None)

    def write(self, folder):
        self.model.save_pretrained(folder)
        os.remove(os.path.join(folder, "README.md"))  # an empty form

    def close(self):
        self.model = self.tokenizer = self.rows = self.valid = self.fixed = None
        gc.collect()
        if self.device.type in ("cuda", "mps", "xpu"):
            getattr(torch, self.device.type).empty_cache()


def has_half(folder):
    """Whether weights of a model have 16 bits; not every configuration says so."""
    import safetensors
    for path in weight_files(folder):
        with safetensors.safe_open(path, "pt") as file:
            if any(file.get_slice(name).get_dtype() in ("F16", "BF16") for name in file.keys()):
                return True
    return False


class Fixed:
    """Greedy decoding with a cache of a fixed size, a step of which can be one CUDA graph.

    A step of a small model is hundreds of kernels of a few microseconds each, and Python
    takes longer to launch one than the GPU to compute it. A graph of them is recorded once
    and launched as a whole. It does the same on the same memory each time, so what changes
    from step to step, the token and its position, is kept in tensors.
    """

    def __init__(self, of, size):
        self.of, self.size = of, size
        layers = hf.StaticCache(config=of.config, max_cache_len=size).layers
        kinds = {type(layer).__name__ for layer in layers}
        if not kinds <= {"StaticLayer", "StaticSlidingWindowLayer"}:
            raise ValueError(f"the model keeps {', '.join(sorted(kinds))}")
        # A layer with a sliding window counts its tokens in Python, which a graph does not
        # repeat. In a layer that keeps all tokens, the mask does what the window does.
        self.cache = hf.cache_utils.Cache(layers=[hf.cache_utils.StaticLayer(max_cache_len=size) for _ in layers])
        self.token = torch.zeros((1, 1), dtype=torch.long, device=of.device)
        self.position = torch.zeros(1, dtype=torch.long, device=of.device)
        self.graph = self.logits = None

    def compute(self, tokens):
        """Computes the logits of what follows some tokens, and chooses the next."""
        count, more = tokens.shape[1], {}
        if self.of.positioned:
            more["cache_position"] = torch.arange(count, device=self.of.device) + self.position
        self.logits = self.of.model(input_ids=tokens, use_cache=True, logits_to_keep=1, **{self.of.kept: self.cache}, **more).logits[:, -1]
        self.position.add_(count)
        self.token.copy_(self.logits.argmax(-1, keepdim=True))

    def start(self, tokens):
        """Forgets what was before and takes a prompt."""
        self.cache.reset()
        self.position.zero_()
        self.compute(torch.tensor([tokens], device=self.of.device))
        return self.token

    def step(self):
        """Continues with the token that was chosen last."""
        if self.graph:
            self.graph.replay()
            self.logits = self.recorded
        else:
            self.compute(self.token)
        return self.token

    def record(self):
        """Makes a step a graph, after steps that make what is only made once
        (docs.pytorch.org/docs/stable/notes/cuda.html, "CUDA Graphs")."""
        self.start([0])
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.compute(self.token)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.compute(self.token)
        self.graph, self.recorded = graph, self.logits

    def check(self):
        """Makes sure that steps compute what the model does without a fixed cache: one that
        counts in Python, unknown to Fixed, would go on at the same position."""
        tokens = filler_tokens(8, self.of.config.vocab_size)
        mine = self.of.steps(tokens, self)
        for i, (want, token) in zip(range(4), self.of.steps(tokens, None)):
            got, _ = next(mine)
            if not (got - want).float().norm() <= 0.1 * (want - want.mean()).float().norm():
                raise ValueError(f"its step {i + 1} computes something else")
            self.token.fill_(token)


def linear_layers(model, total):
    """The last parts of the names of the linear maps in a model's blocks, and the
    name of the list of these."""
    kinds = (torch.nn.Linear, hf.pytorch_utils.Conv1D)  # GPT-2 has its own
    for path, module in model.named_modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == total:
            names = {name.rpartition(".")[2] for name, part in module.named_modules() if isinstance(part, kinds)}
            return sorted(names), path.rpartition(".")[2]
    raise Failure("unsupported", f"{type(model).__name__} has no list of {total} layers", advice("another model"))


class Shown:
    """Text as its tokens come: a character that is not complete yet waits."""

    def __init__(self, tokenizer):
        self.tokenizer, self.tokens, self.done = tokenizer, [], ""

    def text(self):
        return self.tokenizer.decode(self.tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def add(self, token):
        self.tokens.append(token)
        text = self.text()
        if text.endswith("\ufffd"):
            return ""
        new, self.done = text[len(self.done):], text
        if len(self.tokens) > 32:  # the last ones decide how the next is joined to them
            self.tokens = self.tokens[-8:]
            self.done = self.text()
        return new

    def end(self):
        return self.text()[len(self.done):]
