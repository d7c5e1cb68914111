"""The engine `feedforward`: a small network fitted to one look, then a fraction of a second for a picture.

Johnson et al. (2016, arXiv 1603.08155, supplement). Departures: half the channels, so that two CPU cores do several pictures
a second; one halving more at 256 px, for larger strokes, and fewer for small pictures; the maps of each size added on the way
up, as a U-net does; replication in place of reflection padding (deterministic on GPUs, no mirrored frames); it adds a change to
its input, so that an untrained network is the identity; nearest upsampling and a convolution in place of transposed ones.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from artgan.devices import place
from artgan.errors import CheckpointError
from artgan.progress import Listener, silent
from artgan.refine.canvas import image_tensor
from artgan.refine.networks import Replicate
from artgan.refine.optimize import Iterate
from artgan.refine.recipe import Recipe, recipe_from_dict
from artgan.refine.stylist import OnIterate
from artgan.storage import check_format, file_sha256, misfits, read_sealed_json, verify_seal

FORMAT_VERSION = 1
WEIGHTS_FILE = "network.safetensors"
ABOUT_FILE = "network.json"
_WIDTH = 16
_MAX_HALVINGS = 3
# The deepest maps are so large at least, from 64 px on: a network that sees a whole picture at once paints one picture on all.
_DEEPEST_PX = 32
_NUM_RESIDUAL = 5
_CHANGE_GAIN = 0.1  # the last layer sums 1,296 inputs: without it the first Adam steps paint everything black or white


class _InstanceNorm(nn.InstanceNorm2d):
    """Instance normalisation (Ulyanov et al. 2016, arXiv 1607.08022)."""

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 1:
            return super().forward(x)
        # The same sums; torch's instance norm leaves the channels-last layout: a pass and its gradient took half as long again.
        return F.batch_norm(x, None, None, self.weight, self.bias, training=True, momentum=0.0, eps=self.eps)


class _Convolution(nn.Sequential):
    def __init__(self, channels_in: int, channels_out: int, side: int, stride: int = 1, *, active: bool = True) -> None:
        layers: list[nn.Module] = [
            Replicate(side // 2, side // 2),
            nn.Conv2d(channels_in, channels_out, side, stride, bias=False),
            _InstanceNorm(channels_out, affine=True),
        ]
        super().__init__(*layers, *([nn.ReLU()] if active else []))


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = _Convolution(channels, channels, 3), _Convolution(channels, channels, 3, active=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


class StyleNetwork(nn.Module):
    """Pictures `[B, 3, H, W]` in [-1, 1] to pictures in the look, of the same size; sides of 32 px and more.

    The result may leave the range: a network that is fitted behind a clamp gets no gradient where it is too bright, and stays.

    Args:
        halvings: how often its maps are halved.
    """

    def __init__(self, halvings: int = _MAX_HALVINGS) -> None:
        super().__init__()
        widths = [_WIDTH * 2**level for level in range(halvings + 1)]
        self.first = _Convolution(3, _WIDTH, 9)
        self.down = nn.ModuleList([_Convolution(wide, wider, 3, 2) for wide, wider in pairwise(widths)])
        self.middle = nn.Sequential(*[_Residual(widths[-1]) for _ in range(_NUM_RESIDUAL)])
        self.up = nn.ModuleList([_Convolution(wider, wide, 3) for wider, wide in pairwise(reversed(widths))])
        self.last = nn.Sequential(Replicate(4, 4), nn.Conv2d(_WIDTH, 3, 9))
        final = self.last[1]
        assert isinstance(final, nn.Conv2d)
        assert final.bias is not None
        nn.init.zeros_(final.weight)
        nn.init.zeros_(final.bias)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        whole = 2 ** len(self.down)
        maps = [self.first(F.pad(images, (0, -width % whole, 0, -height % whole), mode="replicate"))]
        for convolution in self.down:
            maps.append(convolution(maps[-1]))
        x = self.middle(maps.pop())
        for convolution in self.up:
            x = convolution(F.interpolate(x, scale_factor=2.0, mode="nearest")) + maps.pop()
        return images + _CHANGE_GAIN * self.last(x)[:, :, :height, :width]


def halvings_for(side_px: int) -> int:
    """Return how often a network for pictures of such a side halves its maps."""
    return max(1, min(_MAX_HALVINGS, (side_px // _DEEPEST_PX).bit_length() - 1))


@dataclass(frozen=True)
class Verdict:
    """Mean distances on held-out pictures, of the network and of `optimize`, and whether the network may stand in.

    It may when it goes at least `way` of the way to the style that `optimize` goes, and its content distance is at most
    `margin` times that of `optimize`. A way, not a ratio: `optimize` ends so near to the style that a multiple of what it
    leaves says nothing about pictures.
    """

    style_before: float
    style: float
    style_optimized: float
    content: float
    content_optimized: float
    pictures: int
    steps: int
    way: float
    margin: float

    @property
    def passed(self) -> bool:
        """Whether both distances are within the margin."""
        return self.way_gone >= self.way and self.content <= self.margin * self.content_optimized

    @property
    def way_gone(self) -> float:
        """The way to the style that the network goes, as a share of that of `optimize`."""
        return (self.style_before - self.style) / max(self.style_before - self.style_optimized, 1e-12)

    def __str__(self) -> str:
        return (
            f"on {self.pictures} held-out pictures after {self.steps:,} steps: style distance {self.style_before:.4f} before, "
            f"{self.style:.4f} after (optimize: {self.style_optimized:.4f}), {self.way_gone:.0%} of the way that optimize goes "
            f"({self.way:.0%} needed); content distance {self.content:.4f} (optimize: {self.content_optimized:.4f}, at most "
            f"{self.margin:g} times that): {'good enough' if self.passed else 'not good enough'}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


class NetworkStylist:
    """The style step by a fitted network.

    Args:
        network: fitted.
        strength: share of the network's change that is made.
        device: where.
    """

    def __init__(self, network: StyleNetwork, strength: float, device: torch.device) -> None:
        self.network = place(network, device).eval()
        self.strength = strength
        self.device = device

    def prepare(self, sizes: Sequence[tuple[int, int]], on_progress: Listener = silent) -> None:
        """Do nothing: a network fits all sizes."""

    @torch.inference_mode()
    def __call__(
        self,
        pictures: Sequence[np.ndarray],
        masks: Sequence[Sequence[np.ndarray]] = (),
        on_iterate: OnIterate = lambda _: None,
        *,
        starts: Sequence[np.ndarray] = (),
    ) -> list[np.ndarray]:
        """Return uint8 pictures of one size in the look, float32 in [0, 1]; where a mask is 0 they stay as they are."""
        content = image_tensor(pictures, self.device)
        change = self.strength * (self.network(content).clamp(-1, 1) - content)
        if any(masks):
            covered = torch.from_numpy(np.stack([np.max(of_picture, axis=0) for of_picture in masks]))
            change = change * covered[:, None].to(self.device)
        on_iterate(Iterate(min(content.shape[-2:]), 1.0, 0.0))
        return [((image.permute(1, 2, 0) + 1) / 2).cpu().numpy() for image in (content + change).clamp(-1, 1)]


def read_network(folder: Path) -> tuple[StyleNetwork, dict[str, Any]]:
    """Read a fitted network and what is known about it.

    Raises:
        CheckpointError: the folder is not one, or it is damaged.
    """
    _require_network(folder)
    verify_seal(folder)
    about = read_sealed_json(folder / ABOUT_FILE)
    check_format(about, FORMAT_VERSION, f"network {folder}", CheckpointError)
    try:
        state = load_file(folder / WEIGHTS_FILE)
    except Exception as error:  # whatever a damaged file makes the reader raise
        raise CheckpointError(f"{folder / WEIGHTS_FILE} cannot be read: {error}") from error
    halvings = len({name.split(".")[1] for name in state if name.startswith("down.")})
    network = StyleNetwork(min(halvings, _MAX_HALVINGS))  # a hostile file may name any number
    problem = misfits(network.state_dict(), state)
    if problem:
        raise CheckpointError(f"{folder / WEIGHTS_FILE} is no style network of this version: {problem}. Fit it again")
    network.load_state_dict(state)
    return network, about


def network_sha256(folder: Path) -> str:
    """Return the sha256 of a fitted network's weights.

    Raises:
        CheckpointError: the folder is no fitted network.
    """
    _require_network(folder)
    return file_sha256(folder / WEIGHTS_FILE)


def fitted_styles(folder: Path) -> list[tuple[str, str]]:
    """Return name and sha256 of each style that a network was fitted to.

    Raises:
        CheckpointError: the folder is no fitted network, or it does not say what it was fitted with.
    """
    return _fitted_styles(folder, read_network(folder)[1])


def _fitted_styles(folder: Path, about: dict[str, Any]) -> list[tuple[str, str]]:
    try:
        return [(str(style["name"]), str(style["sha256"])) for style in about["styles"]]
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / ABOUT_FILE}: does not say what it was fitted with; fit it again") from error


def measured_alike(recipe: Recipe, folder: Path) -> Recipe:
    """Return a recipe with the features that a network was fitted on, to measure its pictures by, and their content weight.

    Raises:
        CheckpointError: the folder is no fitted network, or it does not say what it was fitted with.
    """
    _, about = read_network(folder)
    try:
        fitted = about["recipe"]["style"]
        values = {f"style.{name}": fitted[name] for name in ("backbone", "style_layers", "content_layers", "content_weight")}
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / ABOUT_FILE}: does not say what it was fitted with; fit it again") from error
    return recipe_from_dict(recipe.as_dict(), str(folder / ABOUT_FILE), values)


def describe_network(folder: Path) -> str:
    """Return what a fitted network paints and how near it comes, in a line.

    Raises:
        CheckpointError: the folder is no fitted network, or it was found not to be good enough.
    """
    _, about = read_network(folder)
    names = ", ".join(name for name, _ in _fitted_styles(folder, about))
    return f"{folder}: fitted to {names} at {about.get('side_px')} px; {_passed_verdict(folder, about)}"


def load_network(folder: Path, strength: float, device: torch.device) -> NetworkStylist:
    """Return a fitted network as a style engine, if it was found to be good enough.

    Raises:
        CheckpointError: damaged, or its verdict says that it is not near enough to `optimize`.
    """
    network, about = read_network(folder)
    _passed_verdict(folder, about)
    return NetworkStylist(network, strength, device)


def _passed_verdict(folder: Path, about: dict[str, Any]) -> Verdict:
    try:
        verdict = Verdict(**about["verdict"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / ABOUT_FILE}: has no verdict; fit it again") from error
    if not verdict.passed:
        raise CheckpointError(f"--network {folder}: {verdict}. Fit it longer with --fit {folder}, or use --engine optimize")
    return verdict


def _require_network(folder: Path) -> None:
    if not ((folder / ABOUT_FILE).is_file() and (folder / WEIGHTS_FILE).is_file()):
        raise CheckpointError(
            f"--network {folder}: no fitted network; make one with: artgan refine SAMPLES --style PICTURE --fit {folder}"
        )


def about_text(about: dict[str, Any]) -> str:
    """Return what is known about a network as JSON text."""
    return json.dumps(about, indent=2) + "\n"
