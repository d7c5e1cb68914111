"""Several processes judge and sample together: each computes its share, all get all of it, in order.

Started by torchrun or anything that sets its variables. Shares are whole batches of fixed shape, so that a picture's
features do not depend on the number of processes, to the bit on equal hardware.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor
from torch import distributed as dist

_PATIENCE = timedelta(minutes=30)


@contextmanager
def process_group(device: torch.device) -> Iterator[bool]:
    """Join the other processes when there are any, and yield whether this is the one that writes and prints."""
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        yield True
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield dist.get_rank() == 0
    finally:
        dist.destroy_process_group()


def local_device(name: str) -> str:
    """Return the device of this process: `auto` and `cuda` become the GPU of its own number."""
    rank = os.environ.get("LOCAL_RANK")
    has_gpu = rank is not None and name in ("auto", "cuda") and torch.cuda.device_count() > int(rank)
    return f"cuda:{rank}" if has_gpu else name


class Team:
    """The processes that share the work; alone, a team of one.

    Args:
        shared: whether to work with the other processes of the group, if there is one. All of them must then judge the
            same things in the same order.
    """

    def __init__(self, shared: bool) -> None:
        together = shared and dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if together else 0
        self.size = dist.get_world_size() if together else 1
        self.first_of_machine = not together or os.environ.get("LOCAL_RANK", "0") == "0"

    def share(self, count: int) -> tuple[range, int]:
        """Return this process's part of 0..count-1, and the length that all parts are padded to for `gather`.

        Parts lie one after the other: the first `count` of what is gathered are in order.
        """
        length = -(-count // self.size)
        return range(count)[self.rank * length : (self.rank + 1) * length], length

    def gather(self, rows: Tensor) -> list[Tensor]:
        """Return what each process gave, by rank; all give the same shape."""
        if self.size == 1:
            return [rows]
        gathered = [torch.empty_like(rows) for _ in range(self.size)]
        dist.all_gather(gathered, rows.contiguous())
        return gathered

    def all_same(self, digest: str, device: torch.device) -> bool:
        """Return whether all processes gave the same hexadecimal digest."""
        found = self.gather(torch.tensor(list(bytes.fromhex(digest)), dtype=torch.uint8, device=device))
        return all(torch.equal(other, found[0]) for other in found)

    def all_agree(self, flag: bool, device: torch.device) -> bool:
        """Return whether the flag is set everywhere, so that all go the same way."""
        return all(bool(answer) for answer in torch.cat(self.gather(torch.tensor([float(flag)], device=device))))
