# The loop that docs/scaling/loop.jsonl is from: collective operations of PyTorch one after the
# other on one stream, timed with CUDA events. It prints a line of JSON for each operation and size:
#
#     torchrun --standalone --nproc-per-node 2 scripts/scaling/loop.py
import json
import os

import torch
import torch.distributed as dist

rank = int(os.environ["LOCAL_RANK"])
torch.cuda.set_device(rank)
dist.init_process_group("nccl", device_id=torch.device("cuda", rank))
ranks = dist.get_world_size()
n = 1024
while n <= 1 << 30:
    whole, part = torch.ones(n // 4, device="cuda"), torch.ones(n // 4 // ranks, device="cuda")
    for op, fn in {
        "all_reduce": lambda: dist.all_reduce(whole),
        "all_gather": lambda: dist.all_gather_into_tensor(whole, part),
        "reduce_scatter": lambda: dist.reduce_scatter_tensor(part, whole),
    }.items():
        for _ in range(5):
            fn()
        repeat = 20 if n <= 1 << 26 else 5
        samples = []
        for _ in range(9):
            torch.cuda.synchronize()
            dist.barrier()
            torch.cuda.synchronize()
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            for _ in range(repeat):
                fn()
            end.record()
            torch.cuda.synchronize()
            samples.append(begin.elapsed_time(end) / 1e3 / repeat)
        slowest = torch.tensor(samples, device="cuda", dtype=torch.float64)
        dist.all_reduce(slowest, op=dist.ReduceOp.MAX)
        seconds = sorted(slowest.tolist())[len(samples) // 2]
        share = (2 if op == "all_reduce" else 1) * (ranks - 1) / ranks
        if rank == 0:
            print(json.dumps({"op": op, "bytes": n, "seconds": seconds, "bus_GBps": n * share / seconds / 1e9}), flush=True)
    n *= 4
dist.destroy_process_group()
