"""The child process that reads a StyleGAN2-ADA or StyleGAN3 .pkl: tensors and the name of their class out, nothing executed.

Such a file is a pickle that carries its own source code and asks to have it run. Here every name that the file may refer to
stands in one exact list, and each entry is code of ours or a container: the class it describes becomes an inert record,
its source text is dropped unread. Any other name ends the process. It runs apart, under limits on memory, time and file size,
since even a harmless-looking file may ask for terabytes.

    python -m artgan.importing.unpickle FILE OUT
"""

import io
import json
import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

_MEMORY_BYTES = 24 << 30
_SECONDS = 300
_FILE_BYTES = 8 << 30
_MAX_DEPTH = 20


class Refused(Exception):
    """The file asks for something that is not on the list, or is not of the kind that is read here."""


class Record:
    """An object of a class that is not built: its class's name and its attributes."""

    def __init__(self, class_name: str, state: dict[str, Any]) -> None:
        self.class_name, self.state = class_name, state


class Attributes(dict):
    """A dictionary that a file calls by another name."""


class Unread:
    """What stands for a NumPy scalar, its type, or a set: gains and names that a model of ours does not need."""

    def __init__(self, *description: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _record(description: Any) -> Record:
    if not isinstance(description, dict) or not isinstance(description.get("state"), dict):
        raise Refused("a class without a state")
    return Record(str(description.get("class_name")), description["state"])


def _bytes(text: Any, encoding: Any) -> bytes:
    """Return bytes as pickles before protocol 3 write them."""
    if not isinstance(text, str) or encoding != "latin1":
        raise Refused("bytes that are no latin1 text")
    return text.encode("latin1")


def _storage(content: Any) -> Any:
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Tensor:
    untyped, dtype = storage._untyped_storage, storage.dtype
    return torch.empty(0, dtype=dtype).set_(untyped, int(offset), tuple(size), tuple(stride)).clone()


def _parameter(data: Any, *rest: Any) -> Tensor:
    if not isinstance(data, Tensor):
        raise Refused("a parameter that is no tensor")
    return data


ALLOWED = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _record,
    ("dnnlib.util", "EasyDict"): Attributes,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch.storage", "_load_from_bytes"): _storage,
    # Layers of StyleGAN2-ADA keep NumPy scalars, such as `weight_gain`; older protocols spell out bytes and sets.
    ("numpy.core.multiarray", "scalar"): Unread,
    ("numpy._core.multiarray", "scalar"): Unread,
    ("numpy", "dtype"): Unread,
    ("_codecs", "encode"): _bytes,
    ("builtins", "set"): Unread,
    ("__builtin__", "set"): Unread,
}


class Reader(pickle.Unpickler):
    """Finds the names of the list and no other."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name.

        Raises:
            Refused: it is not on the list.
        """
        if (module, name) not in ALLOWED:
            raise Refused(f"it refers to {module}.{name}, which a generator does not need")
        return ALLOWED[module, name]

    def persistent_load(self, reference: Any) -> Any:
        """Refuse references to what lies outside the file."""
        raise Refused("it refers to something outside of the file")


def tensors_of(record: Any, prefix: str = "", depth: int = 0) -> dict[str, Tensor]:
    """Return the parameters and buffers below a record, by dotted names."""
    if not isinstance(record, Record) or depth > _MAX_DEPTH:
        raise Refused(f"'{prefix or 'G_ema'}' is no network")
    found: dict[str, Tensor] = {}
    for group in ("_parameters", "_buffers"):
        for name, tensor in dict(record.state.get(group, {})).items():
            if isinstance(tensor, Tensor):
                found[f"{prefix}{name}"] = tensor.detach().float().contiguous()
    for name, child in dict(record.state.get("_modules", {})).items():
        found |= tensors_of(child, f"{prefix}{name}.", depth + 1)
    return found


def main(source: Path, out: Path) -> None:
    """Write `tensors.safetensors` and `about.json` of the file's averaged generator into a folder."""
    with source.open("rb") as file:
        content = Reader(file).load()
    if not isinstance(content, dict) or not isinstance(content.get("G_ema"), Record):
        raise Refused("it holds no averaged generator 'G_ema'")
    generator = content["G_ema"]
    save_file(tensors_of(generator), out / "tensors.safetensors")
    (out / "about.json").write_text(json.dumps({"class_name": _plain(generator.class_name)}), encoding="utf-8")


def _plain(text: str) -> str:
    """Return what a file says as one short line that a terminal only shows."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:300])


def _live_under_limits() -> None:
    """Bound memory, time and what is written.

    Raises:
        Refused: this system has no such limits.
    """
    if sys.platform == "win32":
        raise Refused(
            "this system cannot bound what a reader takes; import the file on Linux or macOS, the model works everywhere"
        )
    import resource

    for kind, limit in (
        (resource.RLIMIT_AS, _MEMORY_BYTES),
        (resource.RLIMIT_CPU, _SECONDS),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
    ):
        allowed = resource.getrlimit(kind)[1]  # a job system may have set a lower one
        lower = limit if allowed == resource.RLIM_INFINITY else min(limit, allowed)
        resource.setrlimit(kind, (lower, lower))


if __name__ == "__main__":
    try:
        _live_under_limits()
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except Exception as error:  # whatever a hostile file brings about, the parent gets one line
        print(_plain(str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"), file=sys.stderr)
        sys.exit(1)
