"""mlx-lm: language models on MLX's devices, by the functions that its own command
line calls.

mlx-lm counts the time to the first token as the prompt's, and then all tokens, the
first among them, in the time since.
"""

import importlib.metadata
import pathlib

generation = models = tuner = trainer = callbacks = datasets = flat = None  # imported by inventory
arrays = inventory  # of mlx.py


def inventory(cpu, threads):
    global generation, models, tuner, trainer, callbacks, datasets, flat
    found = arrays(cpu, threads)
    generation, models, tuner, trainer, callbacks, datasets = (
        load("mlx_lm." + module, "mlx-lm", ["mlx-lm"], command("gpuplay", "setup", "mlx"))
        for module in ("generate", "utils", "tuner.utils", "tuner.trainer", "tuner.callbacks", "tuner.datasets"))
    flat = load("mlx.utils", "MLX", ["mlx"]).tree_flatten
    for device in found["devices"]:
        device["versions"] = {**device["versions"], "mlx-lm": importlib.metadata.version("mlx-lm")}
    return found


def load_tokenizer(folder):
    path = pathlib.Path(folder)
    return models.load_tokenizer(path, {"trust_remote_code": False}, eos_token_ids=models.load_config(path).get("eos_token_id"))


class Model:
    def __init__(self, device_id, folder, tokenizer, adapter, bits, dtype, graph):  # weights stay in their type
        self.place = places[device_id]
        mx.set_default_device(self.place)
        mx.reset_peak_memory()
        if program := own_program(folder, "model_file"):  # older versions of mlx-lm run it unasked
            raise needs_program(folder, program)
        model, self.config = models.load_model(pathlib.Path(folder), lazy=True)
        if bits and not self.config.get("quantization"):
            model, self.config = models.quantize_model(model, self.config, None, bits)
        if adapter:
            with blaming(adapter):
                model = tuner.load_adapters(model, adapter)
        mx.eval(model.parameters())
        model.eval()
        self.model, self.folder = model, folder
        self.tokenizer = tokenizer
        self.notes = []
        if device_id == "cpu" and sys.platform != "darwin":
            self.notes.append("MLX's CPU wheel has no optimised BLAS here: MLX is made for Apple GPUs")

    def facts(self):
        text = {**self.config, **self.config.get("text_config", {})}
        return {
            "parameters": models.get_total_parameters(self.model),
            "bytes": sum(a.nbytes for _, a in flat(self.model.parameters())),
            "dtype": self.dtype(),
            "layers": len(self.model.layers),
            "hidden": text.get("hidden_size", 0),
            "vocabulary": text.get("vocab_size", 0),
            "heads": text.get("num_attention_heads", 0),
            "context": text.get("max_position_embeddings", 0),
            "chat": self.tokenizer.has_chat_template,
            "notes": self.notes,
            "peak_of": "MLX",
        }

    def dtype(self):
        quantization = self.config.get("quantization")
        if quantization:
            return f"{quantization.get('bits', '?')} bit"
        kinds = {str(a.dtype).removeprefix("mlx.core."): a.size for _, a in flat(self.model.parameters())}
        return max(kinds, key=kinds.get)

    def peak(self):
        return mx.get_peak_memory()

    def encode(self, prompt, chat):
        return encode_prompt(self.tokenizer, prompt, chat)

    def generate(self, tokens, limit, ignore_end, candidates, eager):  # MLX has no other way
        self.model.eval()
        ends = self.tokenizer.eos_token_ids
        if ignore_end:
            self.tokenizer.eos_token_ids = None
        try:
            for r in generation.stream_generate(self.model, self.tokenizer, tokens, limit, stream=mx.default_stream(self.place)):
                probable = None
                if candidates:
                    best = mx.argsort(-r.logprobs)[:candidates]
                    probable = list(zip(best.tolist(), r.logprobs[best].tolist()))
                yield r.token, r.text, probable, {
                    "prompt_tokens": r.prompt_tokens, "prompt_ns": int(r.prompt_tokens / r.prompt_tps * 1e9),
                    "tokens": r.generation_tokens, "token_ns": int(r.generation_tokens / r.generation_tps * 1e9),
                    "finish": r.finish_reason or "",
                }
        finally:
            self.tokenizer.eos_token_ids = ends

    def tune(self, settings, rows, valid):
        self.settings = settings
        mx.random.seed(settings["seed"])
        self.lora = {"rank": settings["rank"], "scale": settings["scale"], "dropout": settings["dropout"]}
        self.layers = min(settings["layers"] or len(self.model.layers), len(self.model.layers))
        self.model.freeze()
        tuner.linear_to_lora_layers(self.model, self.layers, self.lora, use_dora=settings["dora"])
        if settings["resume"]:
            with blaming(settings["adapter"]):
                self.model.load_weights(os.path.join(settings["adapter"], "adapters.safetensors"), strict=False)
        mx.eval(self.model.parameters())
        self.rows, self.valid = (datasets.CacheDataset(Rows(r)) for r in (rows, valid))
        lengths = [len(row) for row in rows]
        padded = 1 + -(-max(lengths) // 32) * 32  # as mlx-lm fills up a batch
        return {"rows": len(rows), "longest": max(lengths), "padded": min(padded, settings["max_length"]), "cut": sum(n > settings["max_length"] for n in lengths),
                "trainable": sum(a.size for _, a in flat(self.model.trainable_parameters())), "layers": self.layers}

    def train(self, training):
        import mlx.optimizers
        import numpy
        numpy.random.seed(training.seed & 0xFFFFFFFF)  # which orders mlx-lm's batches
        mx.random.seed(training.seed)
        mx.reset_peak_memory()
        s, iters = self.settings, training.last - training.first

        class Report(callbacks.TrainingCallback):
            def on_train_loss_report(self, info):
                training.iteration(info["train_loss"], info["learning_rate"], info["tokens_per_second"], info["trained_tokens"])

            def on_val_loss_report(self, info):
                training.validation(info["val_loss"])

        with tempfile.TemporaryDirectory(prefix=".training-", dir=s["adapter"]) as scratch:  # for mlx-lm's own copy at the end
            trainer.train(
                self.model, mlx.optimizers.Adam(learning_rate=s["lr"]), self.rows, self.valid if len(self.valid) >= s["batch"] else None,
                trainer.TrainingArgs(batch_size=s["batch"], iters=iters, val_batches=-1, steps_per_report=1, steps_per_eval=s["eval_every"],
                                              steps_per_save=iters + 1, max_seq_length=s["max_length"], adapter_file=os.path.join(scratch, "adapters.safetensors")),
                training_callback=Report())

    def faulty(self):
        return next((name for name, a in flat(self.model.parameters()) if mx.issubdtype(a.dtype, mx.floating) and not mx.isfinite(a).all().item()), None)

    def write(self, folder):
        mx.save_safetensors(os.path.join(folder, "adapters.safetensors"), dict(flat(self.model.trainable_parameters())))
        with open(os.path.join(folder, "adapter_config.json"), "w", encoding="utf-8") as file:
            json.dump({"fine_tune_type": "dora" if self.settings["dora"] else "lora", "model": self.folder, "num_layers": self.layers, "lora_parameters": self.lora}, file, indent=2)

    def close(self):
        self.model = self.tokenizer = self.rows = self.valid = None
        gc.collect()
        mx.clear_cache()


class Rows:
    """Rows of tokens for mlx-lm, which asks for each with where to begin with the loss."""

    def __init__(self, rows):
        self.rows = rows

    def process(self, row):
        return row, 0

    def __getitem__(self, i):
        return self.rows[i]

    def __len__(self):
        return len(self.rows)
