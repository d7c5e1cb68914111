"""Downloads of pretrained weights: only when asked, announced, resumed, verified.

The full sha256 is checked before anything reads the file; the tensors that are needed are kept as safetensors, the rest is
dropped.
"""

import re
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

from artgan.errors import StorageError, WeightsError
from artgan.progress import Listener, Progress, silent
from artgan.storage import building, file_sha256, move
from artgan.weights import CACHE_VARIABLE, FAMILY, OFFLINE_VARIABLE, Weights, cache_dir, is_offline, locate, source_of

_CHUNK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 20
_LFS_POINTER_LIMIT = 1024


def fetch(name: str, on_progress: Listener = silent) -> Path:
    """Download, verify and cut the weights `name`; return the safetensors file in the cache.

    What ships with artgan is verified and left where it is.

    Raises:
        WeightsError: offline, unreachable, or the bytes are not the official ones (the file is deleted then).
        StorageError: the cache cannot be written.
    """
    source = source_of(name)
    url = source.url
    if url is None:
        return locate(name).path
    if is_offline():
        raise WeightsError(f"cannot fetch {name}: offline mode forbids downloads (--offline or ${OFFLINE_VARIABLE})")
    folder = cache_dir() / "weights"
    stem = name.removeprefix(FAMILY)
    official = folder / f"{stem}.download"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if source.sha256 is None:
            source = replace(source, sha256=_stated_sha256(name, url))
        _download(name, url, official, on_progress)
        _verify(name, source, official)
        target = folder / f"{stem}.safetensors"
        _convert(official, target, source.keep)
        official.unlink(missing_ok=True)
    except urllib.error.URLError as error:
        raise WeightsError(
            f"cannot fetch {name} from {source.url}: {error.reason}. Try again (it goes on where it stopped), or fetch it on "
            f"another machine and name its folder with --weights-dir"
        ) from error
    except OSError as error:
        raise StorageError(
            f"cannot store the weights {name} in {folder}: {error}. Free space or set ${CACHE_VARIABLE}"
        ) from error
    return target


def _download(name: str, url: str, target: Path, on_progress: Listener) -> None:
    done = target.stat().st_size if target.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the range starts at the end: the file is whole already
            return
        raise
    with response:
        resumed = response.status == 206
        total = int(response.headers.get("Content-Length") or 0) + (done if resumed else 0)
        with target.open("ab" if resumed else "wb") as file:
            written = done if resumed else 0
            while chunk := response.read(_CHUNK_BYTES):
                file.write(chunk)
                written += len(chunk)
                on_progress(Progress(f"fetching {name}", written, total or None, "B"))
    if written < total:
        raise WeightsError(
            f"the connection broke off at {written} of {total} bytes of {name}; run the same command again to go on from there"
        )


def _stated_sha256(name: str, url: str) -> str:
    """Return the sha256 in the Git LFS pointer beside a file on the Hub.

    It guards against damage on the way, not against a Hub that serves other weights: the sha256 of what was fetched
    therefore goes into every metric protocol.
    """
    with urllib.request.urlopen(url.replace("/resolve/", "/raw/"), timeout=_TIMEOUT_SECONDS) as response:
        pointer = response.read(_LFS_POINTER_LIMIT).decode("ascii", "replace")
    match = re.search(r"^oid sha256:([0-9a-f]{64})$", pointer, re.MULTILINE)
    if not match:
        raise WeightsError(f"cannot fetch {name}: its publisher states no sha256 for {url}; use --weights-dir")
    return match[1]


def _verify(name: str, source: Weights, path: Path) -> None:
    actual = file_sha256(path)
    assert source.sha256 is not None
    if actual != source.sha256:
        path.unlink()
        raise WeightsError(
            f"the file fetched for {name} from {source.url} has sha256 {actual[:16]}..., not {source.sha256[:16]}...; "
            f"it was deleted. Try again; if it happens twice, the address no longer serves the official file"
        )


def _convert(official: Path, target: Path, keep: tuple[str, ...]) -> None:
    import torch
    from safetensors.torch import save_file

    if not keep:  # a safetensors file of the Hub is kept as it is
        move(official, target)
        return
    # The bytes are the official ones (sha256 checked), and torch's weights-only reader builds tensors and nothing else.
    state = torch.load(official, map_location="cpu", weights_only=True)
    kept = {key: tensor.contiguous().clone() for key, tensor in state.items() if key.startswith(keep)}
    with building(target) as partial:
        save_file(kept, partial)
