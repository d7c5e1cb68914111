"""Pictures of seeds."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import artgan
from artgan.errors import ConfigError
from artgan.generation.latents import latents_for_seeds, mean_style, truncate
from artgan.generation.model_folder import Model
from artgan.images import grid, save_png, to_uint8
from artgan.models.contract import GeneratorNetwork
from artgan.progress import Listener, Progress, silent
from artgan.tables import nearest

# Kernels may round differently for another batch size. Every batch therefore has this size, the last one padded: a seed
# then gives the same bytes alone and among others.
CHUNK = 8


def generate(
    generator: GeneratorNetwork, seeds: Sequence[int], labels: Sequence[int] | None = None, truncation: float = 1.0
) -> Iterator[np.ndarray]:
    """Yield the picture of each seed, in order.

    Args:
        generator: in evaluation mode, on its device; it runs in float32.
        seeds: one per picture.
        labels: the class of each picture; zeros by default.
        truncation: 1 keeps the model's whole variety, 0 gives the mean picture of the class.

    Yields:
        uint8 `[H, W, 3]`.
    """
    labels = [0] * len(seeds) if labels is None else list(labels)
    means: dict[int, Tensor] = {}
    if truncation != 1.0:
        means = {label: mean_style(generator, label) for label in set(labels)}
    for start in range(0, len(seeds), CHUNK):
        seeds_here, labels_here = list(seeds[start : start + CHUNK]), labels[start : start + CHUNK]
        missing = CHUNK - len(seeds_here)
        images = _run(generator, seeds_here + [0] * missing, labels_here + labels_here[:1] * missing, means, truncation)
        yield from images[: len(seeds_here)]


@torch.inference_mode()
def _run(
    generator: GeneratorNetwork, seeds: list[int], labels: list[int], means: dict[int, Tensor], truncation: float
) -> np.ndarray:
    device = next(generator.parameters()).device
    latents = latents_for_seeds(seeds, generator.latent_dim).to(device)
    styles = generator.mapping(latents, torch.tensor(labels, device=device))
    if means:
        styles = truncate(styles, torch.stack([means[label] for label in labels]), truncation)
    return to_uint8(generator.synthesis(styles)).cpu().numpy()


def class_label(model: Model, class_name: str | None) -> int:
    """Return the label of a class by its name; without a name, the first one.

    Raises:
        ConfigError: the model has no such class.
    """
    classes = model.card.classes
    if class_name is None:
        return 0
    if class_name not in classes:
        known = ", ".join(classes) or "none: the model is unconditional"
        raise ConfigError(f"--class {class_name}{nearest(class_name, classes)}: the model's classes are {known}")
    return classes.index(class_name)


def save_samples(
    model: Model,
    out: Path,
    seeds: Sequence[int],
    truncation: float,
    class_name: str | None = None,
    on_progress: Listener = silent,
) -> list[Path]:
    """Write `seed-NNNN.png` for each seed, with what reproduces it inside, and `grid.png`; return the pictures' paths.

    A conditional model without `class_name` takes its classes in turn: seed k has class k modulo their number.
    """
    num_classes = len(model.card.classes)
    fixed = class_label(model, class_name)
    labels = [seed % num_classes if num_classes and class_name is None else fixed for seed in seeds]
    paths, pictures = [], []
    for index, pixels in enumerate(generate(model.generator, seeds, labels, truncation)):
        path = out / f"seed-{seeds[index]:04d}.png"
        save_png(path, pixels, picture_metadata(model, seeds[index], labels[index], truncation))
        paths.append(path)
        pictures.append(pixels)
        on_progress(Progress("sampling", index + 1, len(seeds), "pictures"))
    save_png(out / "grid.png", grid(np.stack(pictures)))
    return paths


def picture_metadata(model: Model, seed: int, label: int, truncation: float) -> dict[str, object]:
    """Return what makes a picture again: the model's hash, seed, class and truncation, and the versions used."""
    return {
        "kind": "sample",
        "seed": seed,
        "class": model.card.classes[label] if model.card.classes else None,
        "truncation": truncation,
        "model": model.name,
        "model_hash": model.sha256,
        "version": artgan.__version__,
        "torch": str(torch.__version__),
    }
