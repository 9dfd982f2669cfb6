"""Language models: what the workers of mlx-lm and transformers share.

The file after it defines

    inventory(cpu, threads) -> {"devices": [...], "missing": [...]}
    load_tokenizer(folder)
        the tokenizer of the model in a folder
    Model(device_id, folder, tokenizer, adapter, bits, dtype, graph)
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
                     gives the model its adapter, to be trained on rows of tokens;
                     returns what is trained
        train(training)
                     trains as many iterations as are left, each of them told to
                     training
        faulty()     the name of a weight that has values which are not numbers; None
        write(folder)
                     the adapter, as the framework itself would
        close()

Program code that comes with a model is never run: it could do whatever the user can.
"""

import contextlib
import itertools
import math
import shutil
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the model is a folder: no server is to be asked for anything
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def settings_in(folder, *names):
    """What is in JSON files of a model's folder, as far as they can be read."""
    for name in names:
        try:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                found = json.load(file)
        except (OSError, ValueError):
            continue
        if isinstance(found, dict):
            yield found


def own_program(folder, *keys):
    """The modules that a model's configuration names under these keys as its own."""
    named = set()
    for found in settings_in(folder, "config.json", "tokenizer_config.json"):
        for key in keys:
            entry = found.get(key)
            for value in entry.values() if isinstance(entry, dict) else [entry]:
                for word in value if isinstance(value, list) else [value]:  # of a tokenizer there are two
                    if isinstance(word, str):
                        named.add(word if word.endswith(".py") else word.rpartition(".")[0] + ".py")
    return sorted(named)


def needs_program(folder, program):
    return Failure("unsupported", f"{folder} needs program code of its own ({', '.join(program)}), which is never run here: it could do whatever you can",
                   advice("a model whose architecture the framework has itself"))


def unloadable(engine, folder, e):
    """The failure that says why a model's folder cannot be loaded."""
    program = own_program(folder, "auto_map", "model_file")
    if program and re.search("trust_remote_code|not supported|not recognize", str(e)):
        return needs_program(folder, program)
    return Failure("invalid", f"{engine} cannot load {folder}: {type(e).__name__}: {first_line(e)}",
                   advice("a folder as Hugging Face has it: config.json, *.safetensors, tokenizer.json, of an architecture that the framework knows"))


def has_module(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of what it is a part of
        return False


# What reads a tokenizer.model: a SentencePiece model in a protocol buffer.
SENTENCEPIECE = {"sentencepiece": "sentencepiece", "protobuf": "google.protobuf"}


def needs_sentencepiece(folder):
    """The failure for a vocabulary that lies in tokenizer.model alone where the packages
    that read it are missing; None where that is not so."""
    missing = [package for package, module in SENTENCEPIECE.items() if not has_module(module)]
    there = [name for name in ("tokenizer.json", "tokenizer.model") if os.path.exists(os.path.join(folder, name))]
    if not missing or there != ["tokenizer.model"]:
        return None
    return Failure("unavailable", f"{folder} has its vocabulary in tokenizer.model alone, which is read with {' and '.join(missing)}", pip_install(*missing))


def weight_files(folder):
    """The files with weights that transformers loads: model.safetensors, else those that
    the index names."""
    single = os.path.join(folder, "model.safetensors")
    if os.path.exists(single):
        return [single]
    for index in settings_in(folder, "model.safetensors.index.json"):
        return [os.path.join(folder, name) for name in sorted(set(index.get("weight_map", {}).values()))]
    return []


@contextlib.contextmanager
def blaming(adapter):
    """Makes an error in loading an adapter one that says so."""
    try:
        yield
    except Exception as e:
        if isinstance(e, Failure) or is_out_of_memory(e):
            raise
        why = next((line.strip() for line in str(e).splitlines() if "shape" in line), first_line(e))
        raise Failure("invalid", f"the adapter in {adapter} does not fit this model: {why}", advice("name the model that it was trained on"))


def rows_of(path):
    """The rows of a .jsonl file with the numbers of their lines."""
    with open(path, encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if line.strip(" \t\r\n"):
                yield number, json.loads(line)


def rendered(tokenizer, path):
    """The tokens of each row in a file. A row that the tokenizer or the chat template
    refuses, or of which nothing can be learned, is named by its line."""
    rows = []
    for number, row in rows_of(path):
        try:
            tokens = list(render(tokenizer, row))
        except Exception as e:  # templates raise what they like
            if is_out_of_memory(e):
                raise
            what = "the model's chat template" if messages_of(row) else "the model's tokenizer"
            raise Failure("invalid", f"{path}:{number}: {what} refuses this row: {first_line(e)}", advice("change the row, or take a model whose template has room for it"))
        if len(tokens) < 2:
            raise Failure("invalid", f"{path}:{number}: there is nothing to learn in {len(tokens)} token{'s' if not tokens else ''}: each is learned from those before it",
                          advice("a row of more text"))
        rows.append(tokens)
    return rows


def messages_of(row):
    """The messages that a row is written as by the chat template; None for plain text. A
    row that says more than one thing is taken for what gpuplay, as mlx-lm, takes it for:
    prompt and completion, then messages, then text."""
    if row.get("prompt") is not None and row.get("completion") is not None:
        return [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]
    return row.get("messages") or None


def render(tokenizer, row):
    """A row's tokens, as mlx-lm makes them: text with an end, or by the chat
    template."""
    messages = messages_of(row)
    if messages:
        return tokenizer.apply_chat_template(messages, tools=row.get("tools"), return_dict=False)
    tokens = tokenizer.encode(row["text"])
    end = tokenizer.eos_token_id
    return tokens if end is None or tokens[-1:] == [end] else tokens + [end]


def encode_prompt(tokenizer, prompt, chat):
    if chat:
        try:
            return tokenizer.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True, return_dict=False)
        except Exception as e:  # templates raise what they like
            if is_out_of_memory(e):
                raise
            raise Failure("unsupported", f"the model's chat template refuses a prompt alone: {first_line(e)}", advice("a model whose template takes one"))
    tokens = tokenizer.encode(prompt)
    if not tokens:
        raise Failure("invalid", "the prompt has no tokens", change("prompt", "{} with some words in it"))
    return tokens


def beginning(tokenizer, prompt, chat, limit):
    """The beginning of a prompt that takes at most limit tokens, or its first token."""
    over = len(encode_prompt(tokenizer, prompt, chat)) - limit
    if over <= 0:
        return prompt
    tokens = tokenizer.encode(prompt, add_special_tokens=False)
    for keep in range(max(1, len(tokens) - over), 0, -1):  # fewer if it is split otherwise where it ends
        text = tokenizer.decode(tokens[:keep], skip_special_tokens=True).rstrip("\ufffd")
        if text.strip() and len(encode_prompt(tokenizer, text, chat)) <= limit:
            break
    return text


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
        self.losses = []  # of these iterations

    @property
    def loss(self):
        return self.losses[-1] if self.losses else None

    def iteration(self, loss, learning_rate, tokens_per_second, trained):
        """An iteration has been done."""
        self.done += 1
        if not math.isfinite(loss):
            raise self.no_number("the loss", loss)
        self.losses.append(loss)
        event("step", iteration=self.done, loss=loss, learning_rate=learning_rate, tokens_per_second=tokens_per_second, trained_tokens=trained, peak=self.model.peak())
        if self.done % self.settings["save_every"] == 0:
            self.save()
        if stopping():
            raise Stopped

    def validation(self, loss):
        if not math.isfinite(loss):
            raise self.no_number("the validation loss", loss)
        event("step", iteration=self.done, validation_loss=loss)

    def no_number(self, what, loss):
        """The failure for a loss that is not a number: what was seen of its cause. A loss is
        computed before the weights are changed by it, so that the first one of a run, and
        one on rows that are not trained on before it, say nothing of the learning rate."""
        if self.losses:
            before = ", ".join(f"{x:.3g}" for x in self.losses[-4:])
            return Failure("internal", f"{what} became {loss} in iteration {self.done}, after {before}; {self.kept()}",
                           change("lr", "a smaller one", f"{self.settings['lr'] / 10:.0e}"))
        name, kind = self.model.faulty(), self.model.facts()["dtype"]
        if name and "lora" in name:
            return Failure("invalid", f"{what} is {loss} before anything was trained: {name} in the adapter holds values that are not numbers", change("adapter", "begin a new one with another {}"))
        if name:
            return Failure("invalid", f"{what} is {loss} before anything was trained: {name} in the model holds values that are not numbers", advice("another model, or download this one again"))
        return Failure("internal", f"{what} is {loss} before anything was trained: all weights are numbers, but what the model computes from them in {kind} is not",
                       *([change("device", "{} computes in float32", "cpu")] if kind in ("float16", "bfloat16") else []), advice("another model"))

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

    operations = ("rows", "load", "generate", "tune", "train", "close", "stop")

    def __init__(self, engine, framework):
        super().__init__(engine, framework)
        self.model = self.settings = None
        self.tokenizer = None, None  # and the folder that it is from
        self.rendered = {}  # rows of tokens by their file

    @property
    def smaller(self):
        return LESS_TRAINING if self.settings else (advice("a smaller model"),)

    def refuse(self, op, args):
        if op in ("generate", "tune", "train", "close") and not self.model:
            raise Failure("invalid", f"{op} without a model")
        if op == "train" and not self.settings:
            raise Failure("invalid", "train came before tune")

    def tokenizer_of(self, folder):
        """The tokenizer of a model. It takes seconds to load, so the latest is kept."""
        tokenizer, of = self.tokenizer
        if of != folder:
            try:
                tokenizer = self.framework["load_tokenizer"](folder)
            except Exception as e:  # the message of transformers names a package that does not help
                raise needs_sentencepiece(folder) or e
            self.tokenizer = tokenizer, folder
        return tokenizer

    @contextlib.contextmanager
    def loading(self, folder):
        try:
            yield
        except Exception as e:
            if isinstance(e, Failure) or is_out_of_memory(e):
                raise
            raise unloadable(self.engine, folder, e)

    def rows(self, model, train, prompt, limit, valid=None):
        """Makes tokens of the rows that are to be learned, before the model is loaded, and
        returns as much of the prompt as may be asked."""
        with self.loading(model):
            tokenizer = self.tokenizer_of(model)
        self.rendered = {path: rendered(tokenizer, path) for path in (train, valid) if path}
        chat = any(messages_of(row) for _, row in itertools.islice(rows_of(train), 1))
        return {"prompt": beginning(tokenizer, prompt, chat, limit) if prompt else ""}

    def load(self, device, model, adapter, bits, dtype, graph):
        if self.model:
            raise Failure("invalid", "load while another model is open")
        if device not in self.devices:
            raise Failure("invalid", f"{self.engine} has no device {device!r}")
        with self.loading(model):
            self.model = self.framework["Model"](device, model, self.tokenizer_of(model), adapter, bits, dtype, graph)
        return self.model.facts()

    def generate(self, prompt, chat, filler, tokens, ignore_end, candidates, eager):
        facts = self.model.facts()
        prompted = self.model.encode(prompt, chat) if not filler else filler_tokens(filler, facts["vocabulary"])
        room = facts["context"] - len(prompted)
        if facts["context"] and room < tokens:
            raise Failure("invalid", f"{len(prompted)} tokens of prompt and {tokens} to generate are more than the {facts['context']} that this model takes",
                          change("prompt", "a shorter {}"), *([change("tokens", "", str(room))] if room > 0 else []))
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
        rows, valid = ((self.rendered.get(path) or rendered(self.model.tokenizer, path)) if path else [] for path in (settings["train"], settings.get("valid")))
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
