"""Counts what a rank of FSDP allocates in a step: the ranks of gpuplay scale run, of which only the first is there."""

import gc
import json
import os
import sys
import tempfile
from types import SimpleNamespace

import torch
import torch.distributed as dist
from torch.profiler import ProfilerActivity, profile, record_function
from torch.testing._internal.distributed.fake_pg import FakeStore

program = {"__name__": "ranks"}
exec(compile(os.environ["PROGRAM"], "program", "exec"), program)
torch.set_num_threads(1)


def peak(config):
    gc.collect()
    program["WORLD"] = config["ranks"]
    dist.init_process_group("fake", rank=0, world_size=config["ranks"], store=FakeStore())
    s = SimpleNamespace(model=SimpleNamespace(**config), batch=config["batch"], seed=1, device=torch.device("cpu"), dtype=getattr(torch, config["dtype"]), learning_rate=1e-4, chunks=1)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as p:
        t = program["fsdp"](s, *program["data"](s))
        for _ in range(2):  # the first one has no moments
            t.step()
        with record_function("counted"):
            t.model.zero_grad()
            t.compute()
    held = t.held()
    dist.destroy_process_group()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "trace.json")
        p.export_chrome_trace(path)
        with open(path, encoding="utf-8") as f:
            events = json.load(f)["traceEvents"]
    counted = next(e for e in events if e.get("name") == "counted" and e.get("ph") == "X")
    memory = [e for e in events if e.get("name") == "[memory]"]
    first = min(memory, key=lambda e: e["ts"])["args"]
    before = first["Total Allocated"] - first["Bytes"]
    most = max(e["args"]["Total Allocated"] for e in memory if counted["ts"] <= e["ts"] <= counted["ts"] + counted["dur"])
    return {"between": held["weights"] + held["optimizer"], "peak": most - before}


print(json.dumps([peak(c) for c in json.loads(os.environ["CONFIGS"])]))
sys.stdout.flush()
os._exit(0)
