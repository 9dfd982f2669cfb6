"""Starts ranks on one host with torchrun, ends them with whoever started it, and says why they failed.

Each line of stdin is a JSON object that says what to do. Stdin stays open as long as ranks
may run: it ends with the process at its other end, also where that is behind an ssh.
"""

import glob
import json
import os
import queue
import shutil
import signal
import socket
import struct
import sys
import tempfile
import threading
import time

MARK = "gpuplay-scale "


def tell(kind, **fields):
    sys.stdout.write(MARK + json.dumps({"kind": kind, **fields}) + "\n")
    sys.stdout.flush()


class Commands:
    """What stdin says. When it ends, torchrun is told to end its ranks. What is left after that ends by
    itself: a rank looks for the process that started it."""

    def __init__(self, stdin):
        self.queue, self.running, self.folder = queue.Queue(), False, None
        threading.Thread(target=self.read, args=(stdin,), daemon=True).start()

    def read(self, stdin):
        for line in stdin:
            self.queue.put(json.loads(line))
        self.queue.put(None)
        if self.running:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
            shutil.rmtree(self.folder, ignore_errors=True)
            os._exit(143)


def look(wanted):
    """Tells what this host has to train on, and a port on which it can listen: the wanted one, or any if that is 0."""
    try:
        import torch
        import torch.distributed.run
    except ImportError as e:
        return tell("missing", message=str(e))
    cuda = torch.cuda.is_available()
    count = torch.cuda.device_count() if cuda else 0
    mps = getattr(torch.backends, "mps", None)
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as torchrun does: what has just been closed is free
        try:
            s.bind(("", wanted))
        except OSError as e:
            return tell("taken", message=e.strerror)
        port = s.getsockname()[1]
    tell(
        "host",
        torch=torch.__version__,
        gpus=[torch.cuda.get_device_name(i) for i in range(count)],
        memory=min((torch.cuda.get_device_properties(i).total_memory for i in range(count)), default=0),
        mps=bool(mps and mps.is_available()),
        cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        distributed=torch.distributed.is_available(),
        port=port,
    )


def interface(master):
    """Returns the network interface that leads to a host, or None. Without it gloo takes the one that this host's name
    stands for, which need not be the one that the other hosts can reach."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((master, 9))
        own = s.getsockname()[0]
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(s.fileno(), 0x8915, struct.pack("256s", name[:15].encode()))  # SIOCGIFADDR
            except OSError:
                continue
            if socket.inet_ntoa(answer[20:24]) == own:
                return name
    return None


def tail(path, most=4000):
    try:
        with open(path, errors="replace") as f:
            return f.read()[-most:]
    except OSError:
        return ""


def files_of(folder):
    """Returns what each rank of this host has left, by its local rank: its error, and the end of its stderr."""
    found = {}
    for stderr in glob.glob(os.path.join(folder, "logs", "*", "attempt_*", "*", "stderr.log")):
        message = ""
        try:
            with open(os.path.join(os.path.dirname(stderr), "error.json")) as f:
                message = json.load(f)["message"]
                if isinstance(message, dict):
                    message = message["message"]
        except (OSError, ValueError, KeyError):
            pass
        found[int(os.path.basename(os.path.dirname(stderr)))] = {"message": message, "stderr": tail(stderr)}
    return found


def run(request, folder):
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    program = os.path.join(folder, "scale.py")
    with open(program, "w") as f:
        f.write(request["program"])
    os.environ.update(request["environment"])
    # How long ranks have to end before they are killed; PyTorch before 2.15 always gives them 30 s.
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "3")
    try:
        if request["master"] and "GLOO_SOCKET_IFNAME" not in os.environ and (name := interface(request["master"])):
            os.environ["GLOO_SOCKET_IFNAME"] = name
        torchrun.main([*request["arguments"], "--max-restarts", "0", "--log-dir", os.path.join(folder, "logs"), "--redirects", "2", program])
    except ChildFailedError as e:
        files = files_of(folder)
        exits = {f.local_rank: f.exitcode for f in e.failures.values()}
        for local in sorted({*files, *exits}):
            tell("rank_failed", rank=request["first_rank"] + local, exit=exits.get(local), **files.get(local, {"message": "", "stderr": ""}))
    except Exception as e:  # a port that is taken, a host that does not answer
        tell("not_started", message=f"{type(e).__name__}: {e}")


def serve(stdin):
    commands = Commands(stdin)
    while (request := commands.queue.get()) is not None:
        if request["do"] == "look":
            look(request["port"])
            continue
        commands.folder, commands.running = tempfile.mkdtemp(prefix="gpuplay-scale-"), True
        try:
            run(request, commands.folder)
        finally:
            shutil.rmtree(commands.folder, ignore_errors=True)
            commands.running = False
        tell("ended")
