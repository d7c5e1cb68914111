"""Several processes as one: who takes which part of the work, sums over all of them, and one decision for all.

Plain `torch.distributed`, started by torchrun or by anything else that sets RANK, WORLD_SIZE, LOCAL_RANK and MASTER_*; no other
module reads these variables. In training every process holds the whole state and the same random streams, takes the positions
of a batch that are its own, and sums gradients, so that one process and several do the same mathematics. Samples and features
are shared in whole batches of fixed shape, so that a picture's features do not depend on the number of processes, to the bit
on equal hardware.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

from artgan.errors import ArtganError, ConfigError

# Long enough for what the first process does alone, such as writing checkpoints, while the others wait.
_PATIENCE_SECONDS = 1800.0
_PATIENCE = "ARTGAN_PATIENCE_SECONDS"


@dataclass(frozen=True)
class World:
    """The processes that work together; by default this one alone.

    Attributes:
        rank: this process, from 0.
        size: how many there are.
        local_rank: this process on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    @property
    def is_first_of_machine(self) -> bool:
        """Whether this process writes what each machine keeps for itself, such as a cache."""
        return self.local_rank == 0

    def total(self, value: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        if self.size == 1:
            return value
        value = value.clone()
        with self._together():
            distributed.all_reduce(value)
        return value

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace every gradient by its sum over all processes, in one message."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        with self._together():
            distributed.all_reduce(flat)
        for gradient, summed in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(summed.view(gradient.shape))

    def highest(self, number: int) -> int:
        """Return the largest of the processes' numbers, the same in all of them."""
        if self.size == 1:
            return number
        value = torch.tensor(number)
        with self._together():
            distributed.all_reduce(value, op=distributed.ReduceOp.MAX)
        return int(value)

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
        with self._together():
            distributed.all_gather(gathered, rows.contiguous())
        return gathered

    def all_same(self, digest: str, device: torch.device) -> bool:
        """Return whether all processes gave the same hexadecimal digest."""
        found = self.gather(torch.tensor(list(bytes.fromhex(digest)), dtype=torch.uint8, device=device))
        return all(torch.equal(other, found[0]) for other in found)

    def all_agree(self, flag: bool, device: torch.device) -> bool:
        """Return whether the flag is set everywhere, so that all go the same way."""
        return all(bool(answer) for answer in torch.cat(self.gather(torch.tensor([float(flag)], device=device))))

    def wait(self) -> None:
        """Return when all processes have come here."""
        self.highest(0)

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Say in one line where another process is gone or hangs.

        Raises:
            ArtganError: one of the others did not answer.
        """
        started = time.monotonic()
        try:
            yield
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:120]
            raise ArtganError(
                f"process {self.rank} of {self.size} waited {time.monotonic() - started:.0f} s for the others, and one of them "
                f"does not answer ({reason}): see what it said last; the same command goes on from the last checkpoint. "
                f"{_PATIENCE} says how long to wait"
            ) from error


def is_launched() -> bool:
    """Return whether a launcher started this process, which reads its exit code as a failure of all."""
    return "WORLD_SIZE" in os.environ


def starts_as_first() -> bool:
    """Return whether this process will be the first one, before it has joined the others."""
    return os.environ.get("RANK", "0") == "0"


def sees_every_gpu() -> bool:
    """Return whether each process sees all GPUs of its machine, as under torchrun, which sets LOCAL_WORLD_SIZE."""
    return "LOCAL_WORLD_SIZE" in os.environ


def _patience() -> timedelta:
    given = os.environ.get(_PATIENCE, "")
    try:
        seconds = float(given or _PATIENCE_SECONDS)
        if not 1 <= seconds <= 1e6:
            raise ValueError
    except ValueError:
        raise ConfigError(f"{_PATIENCE}={given}: expected seconds from 1 to 1,000,000") from None
    return timedelta(seconds=seconds)


@contextmanager
def join_world() -> Iterator[World]:
    """Join the processes that the environment names, or be one alone.

    Raises:
        ConfigError: the environment names several processes incompletely.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    missing = [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ConfigError(f"WORLD_SIZE = {size}, but {', '.join(missing)} not set: start several processes with torchrun")
    # Its functions have the process group of their import as a default. An optimizer's first step imports it, and the group
    # with its threads would then outlive its end: one that lets go of a tensor while the interpreter ends aborts the process.
    import torch.distributed.nn.functional

    world = World(int(os.environ["RANK"]), size, int(os.environ["LOCAL_RANK"]))
    patience = _patience()
    store, rank, size = next(distributed.rendezvous("env://", timeout=patience))
    # Restarted processes must not read what those before them left in torchrun's store (pytorch issue 135712).
    store = distributed.PrefixStore(f"artgan/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=patience)
    try:
        yield world
    finally:
        distributed.destroy_process_group()
