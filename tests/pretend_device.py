"""A pretend accelerator: tensors with real values on a device of their own, for machines without one.

As on a GPU, its tensors do not mix with the host's, none is read by NumPy, and a value that the host asks for is a wait; every
wait and every copy is noted with the line of artgan that caused it. It registers itself with torch for good: use it in a
process of its own, within `with pretend_device():`.
"""

import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

_NAME = "pretend"
_aten = torch.ops.aten
_COPIES = (_aten._to_copy.default, _aten.copy_.default)
# What a GPU can answer only when it has come so far: a value, or how large a result is.
_WAITING = {
    _aten._local_scalar_dense.default, _aten.equal.default, _aten.nonzero.default, _aten.masked_select.default,
    _aten._unique2.default, _aten.bincount.default, _aten.repeat_interleave.Tensor,
}  # fmt: skip
# What autocast runs in bfloat16.
_LOWERED = (
    _aten.conv2d.default, _aten.conv_transpose2d.input, _aten.linear.default, _aten.matmul.default, _aten.mm.default,
    _aten.bmm.default, _aten.addmm.default, _aten.baddbmm.default,
)  # fmt: skip
_INDEXING = {_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default}


class Notes:
    """What the device noted: waits of the host, and copies from the host, by the line of artgan that asked."""

    def __init__(self) -> None:
        self.waits: Counter[str] = Counter()
        self.uploads: Counter[str] = Counter()

    def clear(self) -> None:
        self.waits.clear()
        self.uploads.clear()


NOTES = Notes()


class _OnDevice(torch.Tensor):
    """A tensor that says it lies on the device; the host holds its values."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "_OnDevice":
        form = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        return torch.Tensor._make_wrapper_subclass(cls, held.size(), device=torch.device(_NAME, 0), **form)

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return _run(func, args, kwargs or {})

    def untyped_storage(self) -> Any:
        return self.held.untyped_storage()


class _Operations(TorchDispatchMode):
    """Sees what no tensor of the device takes part in: new ones, and copies to it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return _run(func, args, kwargs or {})


class _Functions(TorchFunctionMode):
    """Sees what torch does out of sight of the other mode."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor) and (device := kwargs.pop("device", None)) is not None:
            return func(*args, **kwargs).to(device)
        if func is torch.Tensor.tolist and isinstance(args[0], _OnDevice):
            NOTES.waits[_line()] += 1
            return args[0].held.tolist()
        return func(*args, **kwargs)


class _Module(_DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


@contextmanager
def pretend_device() -> Iterator[torch.device]:
    """Make the device; under autocast its convolutions and products take bfloat16, as on a GPU."""
    _setup_privateuseone_for_python_backend(_NAME, _Module())
    others = torch.library.Library("_", "IMPL", "AutocastPrivateUse1")
    others.fallback(torch.library.fallthrough_kernel)
    operations = torch.library.Library("aten", "IMPL", "AutocastPrivateUse1")
    for operation in _LOWERED:
        operations.impl(operation, _lowered(operation))
    with _Operations(), _Functions():
        yield torch.device(_NAME, 0)


def _lowered(operation: Any) -> Any:
    """Return an operation on what autocast makes of its arguments."""
    autocast = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)

    def cast(leaf: Any) -> Any:
        is_wide = isinstance(leaf, torch.Tensor) and leaf.dtype == torch.float32
        return leaf.to(torch.get_autocast_dtype(_NAME)) if is_wide else leaf

    def run(*args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(autocast):
            return operation(*tree_map(cast, args), **tree_map(cast, kwargs))

    return run


def _run(func: Any, args: tuple, kwargs: dict) -> Any:
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, _OnDevice)]
    here = [tensor for tensor in tensors if not isinstance(tensor, _OnDevice)]
    asked = kwargs.get("device")
    on_device = bool(there) if asked is None else torch.device(asked).type == _NAME
    inner = {key: value for key, value in kwargs.items() if not (key == "device" and on_device)}
    _note(func, args, there, here, on_device)
    mixed = [tuple(tensor.shape) for tensor in here if tensor.dim() > 0]  # a number of the host goes along, as on a GPU
    if there and mixed and func not in _COPIES:
        raise RuntimeError(f"{func}: tensors of the device, and of the host: {mixed}")
    found = func(*tree_map(_held, args), **tree_map(_held, inner))
    if func is _aten.copy_.default:
        return args[0]
    if not on_device:
        return found
    wrapped = tree_map(lambda leaf: _OnDevice(leaf) if isinstance(leaf, torch.Tensor) else leaf, found)
    return wrapped if func in _COPIES else return_and_correct_aliasing(func, args, kwargs, wrapped)


def _note(func: Any, args: tuple, there: list, here: list, on_device: bool) -> None:
    masks = func in _INDEXING and any(isinstance(x, _OnDevice) and x.dtype == torch.bool for x in tree_leaves(args[1]))
    down = func in _COPIES and there and not (on_device and isinstance(args[0], _OnDevice))
    if there and (func in _WAITING or masks or down):
        NOTES.waits[_line()] += 1
    if func in _COPIES and here and on_device:
        NOTES.uploads[_line()] += 1


def _held(leaf: Any) -> Any:
    return leaf.held if isinstance(leaf, _OnDevice) else leaf


def _line() -> str:
    """Return the innermost line of artgan on the stack, as `folder/file.py:function`."""
    frames = [frame for frame in traceback.extract_stack() if "/artgan/" in frame.filename and "/tests/" not in frame.filename]
    return f"{frames[-1].filename.rpartition('/artgan/')[2]}:{frames[-1].name}" if frames else "a test"
