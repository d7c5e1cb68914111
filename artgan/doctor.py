"""What this machine has and lacks: versions, device, memory, disk, weights, and which verb misses what."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

import artgan
from artgan import weights
from artgan.backbones import LIGHT_BACKBONES, STYLE_BACKBONES
from artgan.devices import choose_device, choose_precision, describe_device
from artgan.errors import ArtganError

_PACKAGES = ("torch", "torchvision", "numpy", "pillow", "scipy")
# What a verb does only with more packages: words, the module that is asked for, the extra that brings it.
_EXTRAS = (
    ("studio: the page in the browser", "uvicorn", "studio"),
    ("video: MP4 and WebM", "av", "video"),
    ("prepare: URLs and Parquet tables", "pyarrow", "cloud"),
    ("prepare: HEIC of phones", "pillow_heif", "formats"),
    ("prepare: deep TIFF, JPEG 2000", "imagecodecs", "formats"),
    ("evaluate: DINOv2 and other networks of timm", "timm", "eval"),
    ("model page, model export: ONNX", "onnx", "onnx"),
    ("model push, pull: the Hub", "huggingface_hub", "hub"),
    ("studio --osc: controllers", "pythonosc", "live"),
    ("--sign: C2PA", "c2pa", "c2pa"),
)
# What a verb does by a network: words, the networks best first, what happens without any of them.
_NETWORKS = (
    ("train", LIGHT_BACKBONES, "looks at pixels"),
    ("train, evaluate: the judge", ("inception_fid_2015",), "judge by --features random, an untrained network"),
    ("refine, video --style", STYLE_BACKBONES, "color and detail alone: --engine none"),
)
_TIGHT_GB = 2.0


def diagnose(folder: Path) -> Iterator[str]:
    """Yield what there is to say, a line each; what is missing has the line to type.

    Args:
        folder: where runs and collections would be written.
    """
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    yield f"artgan {artgan.__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield versions
    yield from _device()
    yield from _disk("here", folder)
    yield from _disk("cache of weights and references", weights.cache_dir())
    offline = weights.is_offline()
    yield f"downloads: {'forbidden (--offline or ARTGAN_OFFLINE)' if offline else 'only of what you name or agree to'}"
    for words, names, without in _NETWORKS:
        yield from _network(words, names, without, offline)
    for words, module, extra in _EXTRAS:
        if importlib.util.find_spec(module) is None:
            yield f"missing  {words}: pip install 'artgan[{extra}]'"
        else:
            yield f"ok       {words}"


def _device() -> Iterator[str]:
    try:
        device = choose_device("auto")
    except ArtganError as error:
        yield f"missing  a device: {error}"
        return
    precision = str(choose_precision("auto", device)).removeprefix("torch.")
    threads = f", {torch.get_num_threads()} of {os.cpu_count()} cores" if device.type == "cpu" else ""
    yield f"device: {describe_device(device)}{threads}, trains in {precision}"
    if device.type == "cpu":
        yield "  without a GPU: 64 px is what a CPU trains well (docs/guide.md has a table of times)"


def _disk(words: str, folder: Path) -> Iterator[str]:
    existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(existing).free / 1e9
    writable = os.access(existing, os.W_OK)
    state = "ok      " if free >= _TIGHT_GB and writable else "missing "
    needs = "" if free >= _TIGHT_GB else f"; a run of 256 px takes about {_TIGHT_GB:.0f} GB"
    yield f"{state} disk {words}, {folder}: {free:,.1f} GB free{'' if writable else ', not writable'}{needs}"


def _network(words: str, names: tuple[str, ...], without: str, offline: bool) -> Iterator[str]:
    best, there = names[0], [name for name in names if weights.find(name)]
    if there and there[0] == best:
        yield f"ok       {words}: {best} ({weights.find(best)})"
        return
    size = f"{weights.source_of(best).megabytes:.0f} MB"
    way = "put it into a folder of --weights-dir" if offline else f"artgan weights fetch {best}"
    instead = f"takes {there[0]} now" if there else without
    yield f"{'better' if there else 'missing':<8} {words}: {instead}; {best} ({size}): {way}"
