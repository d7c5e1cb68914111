"""Which device, which precision, which memory layout."""

import ctypes
import gc
import logging
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import torch
from torch import Tensor, nn

from artgan.errors import ConfigError
from artgan.world import sees_every_gpu

Network = TypeVar("Network", bound=nn.Module)
_log = logging.getLogger(__name__)

# Of host and device; the last two where the allocator left nothing for a library.
_OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "_STATUS_ALLOC_FAILED", "could not create a primitive")


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Return the device for `auto`, `cpu`, `cuda` or `cuda:1`; without a number, the process's own of its machine.

    Some launchers, other than torchrun, let each process see its own GPU alone. A numbered GPU becomes the current one:
    page-locking memory would otherwise hold a part of the first GPU in every process.

    Raises:
        ConfigError: a CUDA device is asked for that this machine lacks, or one for several processes.
    """
    available = torch.cuda.device_count()
    if name == "auto":
        name = "cuda" if available else "cpu"
    sees_its_own = available == 1 and not sees_every_gpu()
    device = torch.device(f"cuda:{local_rank}" if name == "cuda" and local_rank and not sees_its_own else name)
    if local_rank and name.startswith("cuda:"):
        raise ConfigError(f"training.device = '{name}' is one GPU for several processes: give cuda, and each takes its own")
    if device.type == "cuda" and (device.index or 0) >= available:
        found = f"{available} CUDA device(s)" if available else "no CUDA device"
        raise ConfigError(f"training.device = '{name}': this machine has {found}; use auto or cpu")
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Return float32, bfloat16 or float64; `auto` takes bfloat16 where the hardware multiplies it faster.

    That is every CUDA GPU of compute capability 8 or higher, and CPUs with AVX512-BF16 or AMX.

    Raises:
        ConfigError: bfloat16 is asked for on a GPU that lacks it.
    """
    fast = _has_fast_bfloat16(device)
    if name == "auto":
        return torch.bfloat16 if fast else torch.float32
    if name == "bfloat16" and device.type == "cuda" and not fast:
        raise ConfigError(
            f"training.precision = 'bfloat16': {torch.cuda.get_device_name(device)} lacks it; use auto or float32"
        )
    return {"bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}[name]


def _has_fast_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    # torch before 2.12 cannot tell; float32 is then the safe answer.
    features = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(features.get("avx512_bf16") or features.get("amx_bf16"))


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager:
    """Return the context in which convolutions and matrix products run in `precision`."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)


def place(network: Network, device: torch.device) -> Network:
    """Move a network to a device with channels-last weights, the layout that convolutions are fastest in."""
    network.to(device)
    network.to(memory_format=torch.channels_last)
    return network


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that there is no memory left; for most of them there is no class of errors."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or (isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY))


class Pieces:
    """Cuts work on a batch of pictures into as many pieces as memory needs, and remembers how many pictures fit at a time.

    Args:
        doing: what is done to the pictures, for the message, such as "rendering".
        size: pictures at a time to begin with, or None for all at once.
    """

    def __init__(self, doing: str, size: int | None = None) -> None:
        self.doing, self.size = doing, size

    def __call__(self, work: Callable[[slice], Tensor], count: int) -> Tensor:
        """Return what `work` makes of the pictures of a slice, for all of 0..count-1 in order.

        Raises:
            ConfigError: there is no memory for one picture.
        """
        while True:
            size = min(self.size or count, count)
            try:
                made = [work(slice(start, min(start + size, count))) for start in range(0, count, size)]
                return made[0] if len(made) == 1 else torch.cat(made)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                lack = (str(error) or type(error).__name__).splitlines()[0][:120]
            self.size = self._halved(size, lack)  # the error is gone, and with it the tensors that its frames held

    def _halved(self, size: int, lack: str) -> int:
        if size == 1:
            raise ConfigError(
                f"out of memory while {self.doing} one picture at a time ({lack}): close other programs, or take a device with "
                f"more memory or pictures of fewer pixels"
            )
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        _log.warning("out of memory: going on %s %d pictures at a time, as before up to rounding", self.doing, size // 2)
        return size // 2


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the host on a device, without waiting for the device: a GPU reads page-locked memory on its own."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def peak_host_bytes() -> int:
    """Return the peak resident memory of this process so far."""
    if sys.platform == "win32":
        counters = _MemoryCounters(ctypes.sizeof(_MemoryCounters))
        kernel = ctypes.WinDLL("kernel32")
        kernel.K32GetProcessMemoryInfo(ctypes.c_void_p(-1), ctypes.byref(counters), counters.size)  # -1: this process
        return int(counters.peak_working_set)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class _MemoryCounters(ctypes.Structure):
    """`PROCESS_MEMORY_COUNTERS` of Windows."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("page_faults", ctypes.c_uint32),
        ("peak_working_set", ctypes.c_size_t),
        ("others", ctypes.c_size_t * 7),
    )


def describe_device(device: torch.device) -> str:
    """Return the device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"
