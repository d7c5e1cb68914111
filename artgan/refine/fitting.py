"""Fitting a style network to a look, on a folder of pictures or a model's samples; resumable, and judged at the end."""

import copy
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import artgan
from artgan import seeding
from artgan.decode import decode_file
from artgan.devices import autocast, choose_precision, place, send
from artgan.errors import ConfigError, DataError
from artgan.images import to_float
from artgan.progress import Listener, Progress, silent
from artgan.refine.canvas import resized
from artgan.refine.feedforward import (
    ABOUT_FILE,
    FORMAT_VERSION,
    WEIGHTS_FILE,
    StyleNetwork,
    Verdict,
    about_text,
    halvings_for,
    network_sha256,
    read_network,
)
from artgan.refine.fit_state import STATE_FILE, HeldFit, make_fit_folder, save_fit, seed_weights, write_tensors
from artgan.refine.losses import mixture
from artgan.refine.materials import Materials
from artgan.refine.objective import Objective, Region
from artgan.refine.optimize import resize
from artgan.refine.recipe import Recipe
from artgan.refine.sources import find_pictures
from artgan.refine.steps.step import MIN_SIDE_PX
from artgan.refine.stylist import Stylist
from artgan.storage import file_sha256, seal

_log = logging.getLogger(__name__)
_MAX_DEFAULT_SIDE_PX = 256
_LEARNING_RATE = 1e-3  # 2e-3 was behind at equal minutes, 4e-3 far behind
_HALF_RATE_AT = 4000  # steps; a constant rate stood still from 6,000 on
_BETAS = (0.9, 0.99)
_MIN_ZOOM = 0.4  # of a crop's side
_AVERAGE_DECAY = 0.998  # steps of one picture are noisy
_HELD_OUT = 4
_MIN_PICTURES = 8
_SAVE_EVERY_SECONDS = 60.0
_WAY, _MARGIN = 0.8, 1.5  # what a network must reach; see Verdict


@dataclass
class _Fit:
    """The whole state of a fit; the average of the network's weights is what is judged and kept.

    It began from the network with the weights `first_sha256`, or from nothing where that is empty.
    """

    network: StyleNetwork
    average: StyleNetwork
    optimizer: torch.optim.Adam
    step: int
    first_sha256: str

    @property
    def networks(self) -> dict[str, torch.nn.Module]:
        return {"network": self.network, "average": self.average}

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"adam": self.optimizer}


def fit_network(
    inputs: Sequence[Path],
    folder: Path,
    recipe: Recipe,
    materials: Materials,
    device: torch.device,
    minutes: float,
    on_progress: Listener = silent,
    *,
    max_steps: int | None = None,
) -> str:
    """Fit a network to a recipe's style step, save it, and say how it compares with `optimize`.

    The last pictures (four, or fewer of few) are held out: the verdict is about them. A stopped fit goes on.

    Args:
        inputs: pictures and folders of pictures, eight at least.
        folder: where the network and the fit's state go.
        recipe: the look; its style step at full strength is what is fitted.
        materials: its styles; with a network, a fit that has no state yet begins from that one's weights, whatever its look.
        device: where.
        minutes: stop after so long.
        on_progress: told about every few steps.
        max_steps: stop after so many steps in all.

    Raises:
        DataError: too few pictures, or one is unreadable.
        ConfigError: the folder holds the fit of another look, or one that began from another network; the network to begin
            from is for pictures of another size.
        CheckpointError: the network to begin from is none, or damaged.
    """
    if materials.masks:
        raise ConfigError("--fit takes no --mask: masks apply when the network is used")
    if not materials.styles:
        raise ConfigError("--fit needs --style PICTURE|COLLECTION")
    look = recipe.style.model_copy(update={"strength": 1.0, "engine": "optimize", "tile_px": 0, "nearest": 0})
    recipe = recipe.model_copy(update={"style": look})
    first = read_network(materials.network)[0] if materials.network else None
    pictures, side = read_pictures(find_pictures(inputs), recipe.output.size_px)
    if first is not None and len(first.down) != halvings_for(side):
        raise ConfigError(f"--network {materials.network}: made for larger or smaller pictures than {side} px; leave it out")
    first_sha256 = network_sha256(materials.network) if materials.network else ""
    held_out, train = pictures[-_HELD_OUT:], pictures[:-_HELD_OUT]
    stylist = Stylist(recipe.style, materials.styles, materials.weights, device, recipe.seed)
    stylist.prepare([(side, side)], on_progress)
    identity = _identity(recipe, materials, side, pictures)
    fit = _begin(folder, identity, first or _seeded_network(recipe.seed, halvings_for(side)), first_sha256, device)
    _train(fit, train, side, stylist, folder, minutes, max_steps, identity, on_progress)
    verdict = _judge(fit, held_out, side, stylist, on_progress)
    _save_network(folder, fit, identity, recipe, materials, side, verdict)
    return f"fitted on {len(train)} pictures; {verdict}"


def _train(
    fit: _Fit,
    pictures: Sequence[np.ndarray],
    side: int,
    stylist: Stylist,
    folder: Path,
    minutes: float,
    max_steps: int | None,
    identity: str,
    on_progress: Listener,
) -> None:
    started = saved = time.monotonic()
    regions = _regions(stylist, side)
    try:
        while time.monotonic() - started < 60 * minutes and (max_steps is None or fit.step < max_steps):
            loss = _step(fit, send(_crop(pictures, side, stylist.seed, fit.step), stylist.device), regions, stylist)
            if fit.step % 10 == 0 or fit.step == 1:
                spent = (time.monotonic() - started) / 60
                on_progress(Progress("fitting", spent, minutes, "minutes", f"step {fit.step:,}, loss {loss.item():.4f}"))
            if time.monotonic() - saved > _SAVE_EVERY_SECONDS:
                _save_state(folder, fit, identity)
                saved = time.monotonic()
    finally:
        _save_state(folder, fit, identity)


def _step(fit: _Fit, content: Tensor, regions: Sequence[Region], stylist: Stylist) -> Tensor:
    """Take one step and return its loss, `[1]`; the gradient of the picture is that of the objective of `optimize`."""
    with autocast(stylist.device, choose_precision("auto", stylist.device)):
        output = fit.network(content)
    output = output.float()
    losses, gradient = Objective(content, regions, stylist.backbone, stylist.settings.weights).gradient(output)
    fit.step += 1
    if not bool(gradient.isfinite().all()):
        _log.warning("fitting: the gradient of step %d is not a number; the step is left out", fit.step)
        return losses
    fit.optimizer.param_groups[0]["lr"] = _LEARNING_RATE / (1 + fit.step / _HALF_RATE_AT)
    fit.optimizer.zero_grad(set_to_none=True)
    output.backward(gradient)
    torch.nn.utils.clip_grad_norm_(fit.network.parameters(), 1.0)
    fit.optimizer.step()
    share = 1 - min(_AVERAGE_DECAY, fit.step / (fit.step + 9))  # the first steps count for little in the end
    with torch.no_grad():
        torch._foreach_lerp_(list(fit.average.parameters()), list(fit.network.parameters()), share)
    return losses


def _crop(pictures: Sequence[np.ndarray], side: int, seed: int, step: int) -> Tensor:
    """Return a seeded square crop `[1, 3, side, side]` in [-1, 1]: a function of (seed, step) alone.

    Zoomed, mirrored, lighter or darker, with more or less contrast: a network learns few pictures by heart. One picture a
    step, for more steps in the same time: of batches of 4 and 2, 2 was ahead at equal minutes.
    """
    which, zoom, down, across, flip, contrast, shift = seeding.uniform(seed, "refine/fit", step, 1, 7)[0]
    picture = pictures[int(which * len(pictures))]
    share = int(side * (_MIN_ZOOM + (1 - _MIN_ZOOM) * zoom))
    top, left = int(down * (picture.shape[0] - share + 1)), int(across * (picture.shape[1] - share + 1))
    crop = picture[top : top + share, left : left + share]
    image = to_float(torch.from_numpy(np.array(crop[None, :, ::-1] if flip < 0.5 else crop[None])))
    return ((0.5 + 0.8 * contrast) * resize(image, (side, side)) + 0.6 * (shift - 0.5)).clamp(-1, 1)


def _regions(stylist: Stylist, side: int) -> list[Region]:
    cards = [cards.card(stylist.long_sides(side, side)[-1]) for cards in stylist.cards]
    return [Region({layer: mixture([card[layer] for card in cards], stylist.weights) for layer in cards[0]})]


def _judge(fit: _Fit, held_out: Sequence[np.ndarray], side: int, stylist: Stylist, on_progress: Listener) -> Verdict:
    """Compare the network with `optimize` on centers of pictures that the fit never saw."""
    regions, weights = _regions(stylist, side), stylist.settings.weights
    sums = np.zeros(6)
    for done, picture in enumerate(held_out):
        top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
        crop = np.array(picture[top : top + side, left : left + side])
        content = to_float(torch.from_numpy(crop[None]).to(stylist.device))
        optimized = to_float(torch.from_numpy((255 * stylist([crop])[0]).round().astype(np.uint8)[None]).to(stylist.device))
        objective = Objective(content, regions, stylist.backbone, weights)
        with torch.no_grad():
            for index, images in enumerate((content, fit.average(content).clamp(-1, 1), optimized)):
                features = stylist.backbone(images)
                sums[index] += objective.style_part(objective.measure(features)).item()
                sums[3 + index] += objective.content_part(features).item()
        on_progress(Progress("judging", done + 1, len(held_out), "pictures"))
    before, style, style_optimized, _, content_mean, content_optimized = (sums / len(held_out)).tolist()
    return Verdict(
        before, style, style_optimized, content_mean, content_optimized, len(held_out), fit.step, way=_WAY, margin=_MARGIN
    )


def _begin(folder: Path, identity: str, network: StyleNetwork, first_sha256: str, device: torch.device) -> _Fit:
    """Place the network and build its optimizer, and go on from the folder's state when it holds one."""
    place(network, device)
    optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE, betas=_BETAS)
    fit = _Fit(network, copy.deepcopy(network).requires_grad_(False), optimizer, 0, first_sha256)
    if not (folder / STATE_FILE).is_file():
        make_fit_folder("--fit", folder)
        return fit
    held = HeldFit(folder)
    if held.word("identity") != identity:
        raise ConfigError(f"--fit {folder}: holds the fit of another look or other pictures; choose another folder")
    began_from, fit.step = held.word("first"), int(held.number("step"))
    held.restore(fit.networks, fit.optimizers)
    if first_sha256 not in ("", began_from):
        raise ConfigError(f"--fit {folder}: began from another network than --network; leave --network out to go on")
    fit.first_sha256 = began_from
    return fit


def _seeded_network(seed: int, halvings: int) -> StyleNetwork:
    network = StyleNetwork(halvings)
    seed_weights(network, seed, "refine/network")
    return network


def _save_state(folder: Path, fit: _Fit, identity: str) -> None:
    words = {"identity": identity, "first": fit.first_sha256}
    save_fit(folder, fit.networks, fit.optimizers, words, {"step": fit.step})


def _save_network(
    folder: Path, fit: _Fit, identity: str, recipe: Recipe, materials: Materials, side: int, verdict: Verdict
) -> None:
    write_tensors(folder / WEIGHTS_FILE, fit.average.state_dict())
    about: dict[str, Any] = {
        "format": FORMAT_VERSION,
        "version": artgan.__version__,
        "identity": identity,
        "recipe": recipe.as_dict(),
        "styles": [{"name": style.name, "sha256": style.sha256} for style in materials.styles],
        "side_px": side,
        "verdict": verdict.as_dict(),
        "weights_sha256": file_sha256(folder / WEIGHTS_FILE),
    }
    (folder / ABOUT_FILE).write_text(about_text(about), encoding="utf-8")
    seal(folder)


def _identity(recipe: Recipe, materials: Materials, side: int, pictures: Sequence[np.ndarray]) -> str:
    parts = {
        "style": recipe.style.model_dump(mode="json"),
        "seed": recipe.seed,
        "side": side,
        "styles": [style.sha256 for style in materials.styles],
        "weights": list(materials.weights),
        "pictures": [hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def read_pictures(paths: Sequence[Path], size_px: int | None) -> tuple[list[np.ndarray], int]:
    """Return pictures and the side of the crops: `size_px`, or what is usual among the pictures, 256 at most.

    The run that uses the network shrinks its pictures to a size where there is one; so does this.

    Raises:
        DataError: too few pictures, or one is unreadable.
    """
    if len(paths) < _MIN_PICTURES:
        raise DataError(
            f"--fit needs {_MIN_PICTURES} pictures or more, got {len(paths)}; sample some: artgan sample RUN --out DIR"
        )
    if size_px is not None:
        return [scaled(decode_file(path).pixels, size_px, True) for path in paths], size_px
    pictures = [decode_file(path).pixels for path in paths]
    usual = int(np.median([min(picture.shape[:2]) for picture in pictures]))
    side = max(MIN_SIDE_PX, min(_MAX_DEFAULT_SIDE_PX, usual))
    return [scaled(picture, side, False) for picture in pictures], side


def scaled(picture: np.ndarray, side: int, shrink: bool) -> np.ndarray:
    """Return a picture whose short side is at least the crops': enlarged where it is shorter, reduced if it is to shrink."""
    short, long = min(picture.shape[:2]), max(picture.shape[:2])
    if short == side or (short > side and not shrink):
        return picture
    return resized(picture, max(MIN_SIDE_PX, int(np.ceil(long * side / short)) + 1))
