"""Language models: what the workers of mlx-lm and transformers share.

The file after it defines

    inventory(cpu, threads) -> {"devices": [...], "missing": [...]}
    Model(device_id, folder, adapter, bits, dtype, graph)
        a model in a folder, with an adapter if there is one, its weights cut to
        that many bits unless that is 0, on a GPU in the type dtype unless that is
        empty; graph: it is to generate, as fast as it can; it has tokenizer and
        facts()      -> {"parameters": ..., "bytes": ..., ...}
        encode(prompt, chat)
                     the prompt's tokens, by the chat template if that is asked for
        generate(tokens, limit, ignore_end, candidates, eager)
                     continues greedily; yields a token, its text, the most probable
                     candidates with the logarithms of their probabilities, None when
                     there are to be none, and the counts until then: prompt_tokens,
                     prompt_ns until the first token, tokens, token_ns since, finish,
                     graph where a step was one graph of kernels, which eager forbids
        peak()       the most memory since the model was loaded, in bytes
        tune(settings, rows, valid)
                     gives the model its adapter; returns what is trained
        train(training)
                     trains as many iterations as are left, each of them told to
                     training
        write(folder)
                     the adapter, as the framework itself would
        close()
"""

import math
import shutil
import tempfile


def rows_of(path):
    """The rows of a .jsonl file, which gpuplay has checked."""
    with open(path, encoding="utf-8-sig") as file:
        return [json.loads(line) for line in file if line.strip()]


def render(tokenizer, row):
    """A row's tokens, as mlx-lm makes them: text with an end, or by the chat
    template. A row that says more than one thing is taken for what gpuplay, as
    mlx-lm, takes it for: prompt and completion, then messages, then text."""
    if row.get("prompt") is not None and row.get("completion") is not None:
        messages = [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]
    elif row.get("messages"):
        messages = row["messages"]
    else:
        tokens = tokenizer.encode(row["text"])
        end = tokenizer.eos_token_id
        return tokens if end is None or tokens[-1:] == [end] else tokens + [end]
    return tokenizer.apply_chat_template(messages, tools=row.get("tools"), return_dict=False)


def encode_prompt(tokenizer, prompt, chat):
    if chat:
        return tokenizer.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True, return_dict=False)
    tokens = tokenizer.encode(prompt)
    if not tokens:
        raise Failure("invalid", "the prompt has no tokens", change("prompt", "{} with some words in it"))
    return tokens


def filler_tokens(count, vocabulary):
    """Tokens at random, always the same: what is timed is not what they say."""
    return [mix(i) % max(vocabulary, 1) for i in range(1, count + 1)]


def whole(path):
    """Whether a .safetensors file is as long as its head says: a library may not
    notice that the disk was full. The head is 8 bytes of its length, then JSON."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if length > size:
            return False
        head = json.loads(file.read(length))
    ends = [t["data_offsets"][1] for name, t in head.items() if name != "__metadata__"]
    return size == 8 + length + max(ends, default=0)


def save(folder, write):
    """Has write make files in a folder of their own and then puts each in its place
    in one step, the weights last: whoever looks finds the old file or the new
    one, also after a crash or when the disk was full."""
    temp = tempfile.mkdtemp(prefix=".saving-", dir=folder)
    try:
        write(temp)
        names = sorted(os.listdir(temp), key=lambda name: name.endswith(".safetensors"))
        for name in names:
            path = os.path.join(temp, name)
            if name.endswith(".safetensors") and not whole(path):
                raise OSError(f"{name} was cut off while it was written")
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
        for name in names:
            os.replace(os.path.join(temp, name), os.path.join(folder, name))
    finally:
        shutil.rmtree(temp, ignore_errors=True)


STATE = "gpuplay.json"  # stays beside an adapter for whoever continues its training


class Stopped(Exception):
    """Out of a framework's own loop."""


class Training:
    """What is told of a training while it runs, and when its adapter is saved."""

    def __init__(self, model, settings, iters):
        self.model, self.settings = model, settings
        self.folder = settings["adapter"]
        self.done = self.first = settings["from"]
        self.last = self.first + iters
        self.saved = settings.get("saved", self.first if settings["resume"] else 0)  # the iteration that is safe on disk
        self.seed = settings["seed"] + self.first  # a training that continues does not repeat the same batches
        self.loss = None

    def iteration(self, loss, learning_rate, tokens_per_second, trained):
        """An iteration has been done."""
        self.done += 1
        if not math.isfinite(loss):
            raise Failure("internal", f"the loss became {loss} in iteration {self.done}; {self.kept()}", change("lr", "a smaller one", f"{learning_rate / 10:.0e}"))
        self.loss = loss
        event("step", iteration=self.done, loss=loss, learning_rate=learning_rate, tokens_per_second=tokens_per_second, trained_tokens=trained, peak=self.model.peak())
        if self.done % self.settings["save_every"] == 0:
            self.save()
        if stopping():
            raise Stopped

    def validation(self, loss):
        if not math.isfinite(loss):
            raise Failure("internal", f"the validation loss became {loss} after iteration {self.done}; {self.kept()}", change("lr", "a smaller {}"))
        event("step", iteration=self.done, validation_loss=loss)

    def kept(self):
        return f"the adapter of iteration {self.saved} is kept in {self.folder}" if self.saved else "nothing was saved before"

    def save(self):
        """Saves unless it is saved already."""
        if self.saved == self.done:
            return
        try:
            save(self.folder, self.write)
        except Exception as e:  # a library's own types among them
            why = getattr(e, "strerror", None) or first_line(e)
            raise Failure("internal", f"the adapter of iteration {self.done} cannot be saved in {self.folder}: {why}; {self.kept()}", advice("free some space"),
                          change("resume", "{} continues from what is kept") if self.saved else change("adapter", "{} names another place"))
        self.saved = self.done
        event("step", saved=self.done)

    def write(self, folder):
        self.model.write(folder)
        with open(os.path.join(folder, STATE), "w", encoding="utf-8") as file:
            json.dump({**self.settings["state"], "iterations": self.done}, file, indent=2)


LESS_TRAINING = (change("batch", "a smaller {}"), change("layers", "fewer {}"), change("max-length", "a smaller {}"))


class Worker(Requests):
    """Generates and fine-tunes; holds at most one model."""

    operations = ("load", "generate", "tune", "train", "close", "stop")

    def __init__(self, engine, framework):
        super().__init__(engine, framework)
        self.model = self.settings = None

    @property
    def smaller(self):
        return LESS_TRAINING if self.settings else (advice("a smaller model"),)

    def refuse(self, op, args):
        if op in ("generate", "tune", "train", "close") and not self.model:
            raise Failure("invalid", f"{op} without a model")
        if op == "train" and not self.settings:
            raise Failure("invalid", "train came before tune")

    def load(self, device, model, adapter, bits, dtype, graph):
        if self.model:
            raise Failure("invalid", "load while another model is open")
        if device not in self.devices:
            raise Failure("invalid", f"{self.engine} has no device {device!r}")
        try:
            self.model = self.framework["Model"](device, model, adapter, bits, dtype, graph)
        except Failure:
            raise
        except Exception as e:
            if is_out_of_memory(e):
                raise
            raise Failure("invalid", f"{self.engine} cannot load {model}: {type(e).__name__}: {first_line(e)}",
                          advice("a folder as Hugging Face has it: config.json, *.safetensors, tokenizer.json, of an architecture that the framework knows"))
        return self.model.facts()

    def generate(self, prompt, chat, filler, tokens, ignore_end, candidates, eager):
        facts = self.model.facts()
        prompted = self.model.encode(prompt, chat) if not filler else filler_tokens(filler, facts["vocabulary"])
        if facts["context"] and len(prompted) + tokens > facts["context"]:
            raise Failure("invalid", f"{len(prompted)} tokens of prompt and {tokens} to generate are more than the {facts['context']} that this model takes",
                          change("prompt", "a shorter {}"), change("tokens", "fewer {}"))
        counts = {}
        for token, text, probable, counts in self.model.generate(prompted, tokens, ignore_end, candidates, eager):
            named = {"candidates": [{"id": i, "text": self.model.tokenizer.decode([i]), "logprob": p if math.isfinite(p) else None}
                                    for i, p in probable if p != -math.inf]} if probable else {}  # JSON has no NaN
            event("token", id=token, text=text, **named)
            if stopping():
                break
        return {**counts, "peak": self.model.peak()}

    def tune(self, **settings):
        if self.settings:
            raise Failure("invalid", "tune: this model has its adapter")
        rows = rows_of(settings["train"])
        valid = rows_of(settings["valid"]) if settings.get("valid") else []
        facts = self.model.tune(settings, rows, valid)
        self.settings = settings
        return facts

    def train(self, iters):
        training = Training(self.model, self.settings, iters)
        try:
            self.model.train(training)
        except Stopped:
            pass
        except Exception as e:
            if is_out_of_memory(e):  # what was trained is still there
                training.save()
                raise Failure("out_of_memory", f"memory ran out in iteration {training.done + 1}; {training.kept()}", *LESS_TRAINING)
            raise
        finally:  # training again continues from here
            self.settings = {**self.settings, "from": training.done, "saved": training.saved}
        training.save()
        self.settings["saved"] = training.saved
        return {"iterations": training.done, "loss": training.loss, "peak": self.model.peak()}

    def close(self):
        self.model.close()
        self.model = self.settings = None
        gc.collect()
        return {}
