"""Tries what generates with a cache of a fixed size, on the CPU: all but the graph.

It runs inside a worker of transformers, after its own files. The folder of a model is
in the variable FOLDER.
"""


def generated(limit, **how):
    counts = {}
    made = []
    for token, _, probable, counts in model.generate(prompt, limit, True, 3, how.get("eager", False)):
        made.append((token, [i for i, _ in probable]))
    return made, counts["graph"]


def refused(fixed):
    try:
        with torch.inference_mode():
            fixed.check()
    except ValueError as e:
        return str(e)


class Stuck(Fixed):
    """Goes on at the same position, as a graph does of a model that counts in Python."""

    def step(self):
        self.compute(self.token)
        for layer in self.cache.layers:
            layer.cumulative_length.sub_(1)
        self.position.sub_(1)
        return self.token


inventory("a CPU", 0)
prompt = list(b"What is a matrix?")
model = Model("cpu", FOLDER, load_tokenizer(FOLDER), "", 0, "float32", True)
said = {"unasked": model.fixed is None and model.notes == []}
eager, graph = generated(8)
said["eager"] = not graph

with torch.inference_mode():
    model.fixed = Fixed(model, len(prompt) + 8)
    model.fixed.check()
fixed, graph = generated(8)
said["fixed"] = graph and fixed == eager
said["fixed again"] = generated(8) == (eager, True)
said["forbidden"] = generated(8, eager=True) == (eager, False)
said["one token"] = generated(1) == (eager[:1], False)

with torch.inference_mode():
    said["stuck"] = refused(Stuck(model, 16)) == "its step 3 computes something else"

# A longer answer needs another graph, which cannot be recorded here.
torch.cuda.synchronize = torch.cuda.empty_cache = lambda *_: None
longer, graph = generated(16)
said["falls back"] = not graph and longer[:8] == eager and model.fixed is None and len(model.notes) == 1 and model.notes[0].startswith("no CUDA graph, every kernel is launched from Python: ")

out.write(json.dumps(said).encode())
out.flush()
os._exit(0)
