"""Mixtures of two models of one ancestor: coarse layers from one and fine ones from the other, or weights in between.

Models that were trained on from a common one keep its coordinates, so that their layers still understand each other and their
weights may be averaged (Pinkney & Adler 2020, 2010.05334, section 3; Wortsman et al. 2022, 2203.05482). Between others the same
sums give mush: how much the weights have in common is measured, and said.
"""

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from artgan.errors import ConfigError
from artgan.generation.latents import mean_latents
from artgan.generation.model_folder import Model, ModelCard, load_model, save_model
from artgan.generation.point import Point
from artgan.generation.sample import render
from artgan.generation.space import Space
from artgan.images import captioned_grid
from artgan.models.contract import GeneratorNetwork

RELATED = 0.3  # models trained on from one another have more in common; those from other seeds have about 0
_SHEET_SEEDS = 8
_STATISTICS_BATCHES, _STATISTICS_BATCH = 32, 16


@dataclass(frozen=True)
class Mixture:
    """How two models are mixed.

    Attributes:
        share: of the second model, in the layers that it enters.
        from_px: it enters layers whose shorter side has so many pixels or more; None is every layer, and the mapping too.
    """

    share: float = 0.5
    from_px: int | None = None


def relation(first: Model, second: Model) -> float:
    """Return the correlation of the weights that both have, from 0 for strangers to 1 for equal ones."""
    ours, theirs = first.generator.state_dict(), second.generator.state_dict()
    names = [name for name, tensor in ours.items() if tensor.ndim > 1 and _fits(tensor, theirs.get(name))]
    cosines = [float(nn.functional.cosine_similarity(ours[name].flatten(), theirs[name].flatten(), dim=0)) for name in names]
    return float(np.median(cosines)) if cosines else 0.0


def warning(first: Model, second: Model) -> str | None:
    """Return why a mixture of two models is likely to fail; None where they have a common ancestor."""
    common = relation(first, second)
    if common >= RELATED:
        return None
    return (
        f"likely to fail: the weights of {first.name} and {second.name} have little in common (correlation {common:.2f}); "
        "mix models that were trained on from one another (train --init)"
    )


def _fits(tensor: Tensor, other: Tensor | None) -> bool:
    return other is not None and other.shape == tensor.shape


def mix_models(first: Model, second: Model, mixture: Mixture, out: Path) -> Model:
    """Write the model folder of a mixture and return it; its sheet has the same seeds of both and of the mixture.

    Args:
        first: gives the mapping and the classes where `from_px` is set, and every layer below.
        second: of the same architecture and sizes.
        mixture: what is taken from it.
        out: the folder, replaced when it exists.

    Raises:
        ConfigError: the models do not fit each other, or nothing would be taken.
        StorageError: the folder cannot be written.
    """
    generator = mixed_generator(first, second, mixture)
    card = _card(first, second, mixture)
    sheet = _sheet(first, second, generator, len(card.classes))
    save_model(out, generator, card, sheet)
    return load_model(out)


@torch.inference_mode()
def mixed_generator(first: Model, second: Model, mixture: Mixture) -> GeneratorNetwork:
    """Return the mixture's generator, in evaluation mode."""
    _check(first, second, mixture)
    generator = copy.deepcopy(first.generator)
    base = min(first.space.height_px, first.space.width_px) >> _last_level(generator)
    tensors, others = generator.state_dict(), second.generator.state_dict()
    misfits = []
    for name, tensor in tensors.items():
        level = generator.level_of(name)
        if mixture.from_px is not None and (level is None or base << level < mixture.from_px):
            continue
        if not _fits(tensor, others.get(name)):
            misfits.append(name)
        elif tensor.is_floating_point():
            tensor.copy_(others[name] if mixture.share == 1 else torch.lerp(tensor, others[name], mixture.share))
    if misfits:
        way = "; --from PX leaves the mapping and classes out" if mixture.from_px is None else ""
        raise ConfigError(
            f"{first.name} and {second.name} do not fit each other: {len(misfits)} tensors differ, first {misfits[0]}. They "
            f"need the same size, width and latents{way}"
        )
    if mixture.share > 0 and (mixture.share < 1 or mixture.from_px is not None):
        _measure_statistics(generator, len(first.card.classes))
    return generator.eval()


def _last_level(generator: GeneratorNetwork) -> int:
    return max(generator.level_of(name) or 0 for name in generator.state_dict())


def _check(first: Model, second: Model, mixture: Mixture) -> None:
    if first.card.architecture != second.card.architecture:
        raise ConfigError(
            f"{first.name} is a {first.card.architecture} generator, {second.name} a {second.card.architecture}: only models "
            "of one architecture can be mixed"
        )
    side = min(first.space.height_px, first.space.width_px)
    if mixture.from_px is not None and mixture.from_px > side:
        raise ConfigError(f"--from {mixture.from_px}: the models make {side} px; nothing of {second.name} would be taken")


def _measure_statistics(generator: GeneratorNetwork, num_classes: int) -> None:
    """Measure what batch norm divides by on the mixture's own pictures: the average of two models' is that of neither."""
    norms = [module for module in generator.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain average over all batches
    generator.train()
    latents = mean_latents(generator.latent_dim).to(next(generator.parameters()).device)
    for batch in range(_STATISTICS_BATCHES):
        rows = torch.arange(batch * _STATISTICS_BATCH, (batch + 1) * _STATISTICS_BATCH, device=latents.device)
        generator(latents[rows], rows % max(1, num_classes))
    generator.eval()


def _card(first: Model, second: Model, mixture: Mixture) -> ModelCard:
    about: dict[str, Any] = dict(first.card.collection)
    other = second.card.collection
    about["name"] = f"{about.get('name', 'model')}+{other.get('name', 'model')}"
    about["mixed_from"] = f"{first.name} ({first.sha256[:12]}) and {second.name} ({second.sha256[:12]})"
    layers = "all layers" if mixture.from_px is None else f"layers from {mixture.from_px} px on"
    about["mixed_by"] = f"{mixture.share:g} of the second in {layers}"
    rights = [*about.get("rights", ()), *other.get("rights", ())]
    if rights:
        about["rights"] = list(dict.fromkeys(map(str, rights)))
    seen = max(first.card.images_seen, second.card.images_seen)
    return replace(first.card, collection=about, images_seen=seen, metrics=None)


def _sheet(first: Model, second: Model, generator: GeneratorNetwork, num_classes: int) -> np.ndarray:
    """Return three rows of the same seeds: the first model, the second, the mixture."""
    pictures, captions = [], []
    spaces = {first.name: first.space, second.name: second.space, "mixture": Space(generator, num_classes)}
    for name, space in spaces.items():
        labels = [seed % max(1, space.num_classes) for seed in range(_SHEET_SEEDS)]
        points = [Point(seed, classes=((label, 1.0),)) for seed, label in enumerate(labels)]
        pictures += list(render(space, points))
        captions += [f"{name}, {seed}" for seed in range(_SHEET_SEEDS)]
    return captioned_grid(np.stack(pictures), captions, _SHEET_SEEDS)
