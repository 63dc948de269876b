"""Two processes with a process group, copies of this one, which call a function each."""

import multiprocessing
import pickle
import tempfile
from pathlib import Path

import torch
from torch import distributed


def by_two(function):
    """What `function(rank)` gives in each of two processes; an error of the function is given too."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        processes = [context.Process(target=_work, args=(function, rank, Path(folder))) for rank in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
            process.kill()
        found = [pickle.loads((Path(folder) / str(rank)).read_bytes()) for rank in range(2)]
    return found


def _work(function, rank, folder):
    torch.set_num_threads(1)  # OpenMP's threads are not copied
    store = (folder / "store").as_uri()
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    try:
        found = function(rank)
    except Exception as error:
        found = error
    (folder / str(rank)).write_bytes(pickle.dumps(found))
    distributed.destroy_process_group()
