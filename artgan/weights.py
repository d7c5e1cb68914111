"""Pretrained weights: one table, one look-up order.

Look-up: the folder in `ARTGAN_WEIGHTS` (or `--weights-dir`), then the package for what ships in it, then the cache, then an
error that says how to get them. A folder that the user points to is trusted as it is; what ships is held against its sha256
at every use; the file's sha256 travels into every metric protocol. Nothing here downloads: `artgan.fetching` does, when asked.
"""

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artgan.errors import WeightsError
from artgan.storage import file_sha256
from artgan.tables import nearest

DIRECTORY_VARIABLE = "ARTGAN_WEIGHTS"
CACHE_VARIABLE = "ARTGAN_CACHE"
OFFLINE_VARIABLE = "ARTGAN_OFFLINE"
_SHIPPED_FOLDER = Path(__file__).parent / "backbones"


@dataclass(frozen=True)
class Weights:
    """Where pretrained weights come from and who needs them.

    Attributes:
        url: the official file; None where it ships with artgan, in `artgan/backbones`.
        sha256: of that file, all 64 digits; None where its publisher states it beside the file (Git LFS).
        megabytes: its size, for people; 0 where it is not known before fetching.
        keep: key prefixes that are kept after verification; empty keeps a safetensors file whole.
        license: of the weights, as their publisher states it.
        used_by: the parts of artgan that ask for them.
    """

    url: str | None
    sha256: str | None
    megabytes: float
    keep: tuple[str, ...]
    license: str
    used_by: str

    @property
    def uses(self) -> tuple[str, ...]:
        """The verbs that ask for it."""
        return tuple(text.split()[0] for text in self.used_by.split(", "))


WEIGHTS = {
    "drawn": Weights(
        url=None,
        sha256="69dfea61762c0a8f33fbde1fed64f5039154eab5b10f707524975fb6a5d0246e",
        megabytes=2.3,
        keep=(),
        license="Apache-2.0; trained by artgan on pictures drawn by code, and on nothing else",
        used_by="train (projected discriminator), refine, demo",
    ),
    "inception_fid_2015": Weights(
        url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        megabytes=95.6,
        keep=("Conv2d_", "Mixed_"),
        license="Apache-2.0",
        used_by="evaluate (fid, kid, fd)",
    ),
    "squeezenet1_1": Weights(
        url="https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
        sha256="b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
        megabytes=5.0,
        keep=("features.",),
        license="BSD-3-Clause code; trained on ImageNet, whose terms may apply",
        used_by="train (projected discriminator), refine",
    ),
    "vgg16": Weights(
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        megabytes=553.4,
        keep=tuple(f"features.{index}." for index in range(29)),
        license="BSD-3-Clause code; trained on ImageNet, whose terms may apply",
        used_by="refine",
    ),
    "vgg19": Weights(
        url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        sha256="dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        megabytes=574.7,
        keep=tuple(f"features.{index}." for index in range(30)),
        license="BSD-3-Clause code; trained on ImageNet, whose terms may apply",
        used_by="refine",
    ),
}


HUB = "https://huggingface.co"
FAMILY = "timm/"


def has_weights(name: str) -> bool:
    """Return whether a network has weights to look up: one of the table, or one of timm's."""
    return name in WEIGHTS or name.startswith(FAMILY)


def ships(name: str) -> bool:
    """Return whether a network's weights come with artgan itself."""
    return name in WEIGHTS and WEIGHTS[name].url is None


def source_of(name: str) -> Weights:
    """Return where the weights `name` come from; those of timm's models are on the Hub, each under its own name.

    Raises:
        WeightsError: no such network, timm is not installed, or it has no weights for this one.
    """
    if name in WEIGHTS:
        return WEIGHTS[name]
    if not name.startswith(FAMILY):
        raise WeightsError(f"no weights named '{name}' in the table: it has {', '.join(sorted(WEIGHTS))}, {FAMILY}NAME")
    config = timm_config(name)
    if not config.hf_hub_id:
        raise WeightsError(
            f"timm has no pretrained weights for '{name.removeprefix(FAMILY)}': choose a name of timm's with a tag"
        )
    return Weights(
        url=f"{HUB}/{config.hf_hub_id}/resolve/main/model.safetensors",
        sha256=None,
        megabytes=0,
        keep=(),
        license=config.license or "not stated",
        used_by="evaluate, refine, train",
    )


def timm_config(name: str) -> Any:
    """Return timm's record of a model `timm/NAME`: its sizes, its normalisation and where its weights are.

    Only timm's own registry is asked: a name that would make timm read a folder or ask a server is refused.

    Raises:
        WeightsError: timm is not installed, or has no such model or tag.
    """
    try:
        import timm
    except ImportError as error:
        raise WeightsError(f"{name} needs the package timm, which is not installed: pip install 'artgan[eval]'") from error
    short = name.removeprefix(FAMILY)
    architecture, _, tag = short.partition(".")
    if not timm.is_model(architecture):
        raise WeightsError(f"timm has no model '{architecture}'{nearest(architecture, timm.list_models())}")
    try:
        return timm.get_pretrained_cfg(short, allow_unregistered=False)
    except RuntimeError as error:
        tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
        raise WeightsError(f"timm's {architecture} has no weights '{tag}'; it has {', '.join(tags) or 'none'}") from error


@dataclass(frozen=True)
class Located:
    """A weights file on this machine and the sha256 of its bytes."""

    path: Path
    sha256: str


def cache_dir() -> Path:
    """Return the folder for fetched weights and cached reference statistics: `ARTGAN_CACHE` or `~/.cache/artgan`."""
    override = os.environ.get(CACHE_VARIABLE)
    return Path(override) if override else Path.home() / ".cache" / "artgan"


def find(name: str) -> Path | None:
    """Return the file that holds the weights `name`, or None when there is none on this machine.

    In each place `NAME.safetensors` comes first, then `NAME.*.safetensors` (a file with only some of the layers). The weights
    of `timm/NAME` have the file name `NAME.safetensors` too.
    """
    if not has_weights(name):
        source_of(name)  # says which names there are
    stem = name.removeprefix(FAMILY)
    if "/" in stem or "\\" in stem:
        raise WeightsError(f"'{name}' cannot be the name of a model: it holds a slash")
    places = [Path(folder) for folder in [os.environ.get(DIRECTORY_VARIABLE)] if folder]
    for place in [*places, _SHIPPED_FOLDER if ships(name) else cache_dir() / "weights"]:
        for candidate in [place / f"{stem}.safetensors", *sorted(place.glob(f"{glob.escape(stem)}.*.safetensors"))]:
            if candidate.is_file():
                return candidate
    return None


def first_found(names: Sequence[str]) -> str:
    """Return the first network whose weights are on this machine; where none are, the last, whose loading then says so."""
    return next((name for name in names if find(name)), names[-1])


def locate(name: str) -> Located:
    """Find the weights `name` on this machine.

    Raises:
        WeightsError: they are not on this machine, or what ships is damaged; the message says how to get them.
    """
    path = find(name)
    if ships(name) and (path is None or path.parent == _SHIPPED_FOLDER):
        return _shipped(name, path)
    if path is None:
        size = f" ({source_of(name).megabytes:.0f} MB)" if name in WEIGHTS else ""
        raise WeightsError(
            f"no weights for {name} in {_named_folder()} or {cache_dir() / 'weights'}. Run: artgan weights fetch {name}"
            f"{size}, or put {name.removeprefix(FAMILY)}.safetensors into a folder and name it with --weights-dir"
            f"{_instead(name)}"
        )
    return Located(path, file_sha256(path))


def _instead(name: str) -> str:
    """Return which networks of the same use are on this machine, in words."""
    uses = set(WEIGHTS[name].uses) if name in WEIGHTS else set()
    there = [other for other, source in WEIGHTS.items() if uses & set(source.uses) and find(other)]
    return f". On this machine: {', '.join(there)}, taken with --backbone" if there else ""


def _shipped(name: str, path: Path | None) -> Located:
    expected, repair = str(WEIGHTS[name].sha256), "install it again: pip install --force-reinstall --no-deps artgan"
    if path is None:
        raise WeightsError(f"{_SHIPPED_FOLDER / f'{name}.safetensors'} is missing from this installation of artgan; {repair}")
    actual = file_sha256(path)
    if actual != expected:
        raise WeightsError(f"{path} is damaged: its sha256 is {actual[:16]}..., not {expected[:16]}...; {repair}")
    return Located(path, actual)


def _named_folder() -> str:
    """Return the folder that the user named for weights, in words."""
    return os.environ.get(DIRECTORY_VARIABLE) or f"a folder of --weights-dir (none was given, nor ${DIRECTORY_VARIABLE})"


def is_offline() -> bool:
    """Return whether the user forbade downloads (`--offline` or `ARTGAN_OFFLINE=1`)."""
    return os.environ.get(OFFLINE_VARIABLE, "") not in ("", "0")


def verify(name: str) -> str:
    """Check the weights on this machine tensor by tensor and return one line about them.

    A fetched file was verified against the official sha256 before it was cut; here every tensor must load and be finite.

    Raises:
        WeightsError: none on this machine, unreadable, or not finite.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    located = locate(name)
    try:
        tensors = load_file(located.path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{located.path} is not a readable safetensors file ({error}); fetch or copy it again") from error
    for key, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise WeightsError(f"{located.path}: tensor '{key}' holds values that are not finite; fetch or copy it again")
    return f"{name}: {located.path} ({len(tensors)} tensors, sha256 {located.sha256[:16]})"
