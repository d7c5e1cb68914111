"""The fits of the verb refine: a style network, an enlarger."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artgan import targets
from artgan.cli.terminal import hearing
from artgan.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from artgan.progress import Listener
    from artgan.refine.materials import Materials
    from artgan.refine.recipe import Recipe

_SAMPLES_TO_FIT = 256
_USUAL_FACTOR = 4


def fit_a_network(
    options: Any, inputs: list[Path], folder: Path, look: "Recipe", materials: "Materials", device_name: str, minutes: float
) -> None:
    """Fit a style network on pictures or a model's samples."""
    from artgan.devices import choose_device
    from artgan.generation.model_folder import is_model_or_run
    from artgan.refine.fitting import fit_network

    say: Callable[[str], None] = options.say
    device = choose_device(device_name)
    stands = f"the fit in {folder} is kept up to its last save, and the same command goes on from there"
    with hearing(quiet=options.quiet, if_stopped=stands) as listen:
        pictures = [_own_samples(path, folder, device, listen) if is_model_or_run(path) else path for path in inputs]
        verdict = fit_network(pictures, folder, look, materials, device, minutes, listen)
    say(verdict)


def fit_an_enlarger(
    options: Any,
    inputs: list[Path],
    sources: list[Path],
    out: Path,
    look: "Recipe",
    device_name: str,
    minutes: float,
    *,
    dry_run: bool,
    force: bool,
) -> None:
    """Fit an enlarger to works, and to a model's own samples where one is among the inputs."""
    from artgan.devices import choose_device
    from artgan.generation.model_folder import is_model_or_run, load_model
    from artgan.generation.sample import Look, points_of_seeds, render
    from artgan.refine.enlarging.fitting import FitRequest, fit_enlarger

    device = choose_device(device_name)
    models = [path for path in inputs if is_model_or_run(path)]
    works = [path for path in inputs if path not in models]
    if not works:
        raise ConfigError("--fit-enlarger needs works beside the model: a collection, pictures or folders of them")
    if len(models) > 1:
        raise ConfigError("--fit-enlarger takes one model: the enlarger learns how its samples look")
    factor = look.enlarge.factor if look.enlarge.acts else _USUAL_FACTOR
    request = FitRequest(works, out, look, device, factor, sources, minutes=minutes, dry_run=dry_run, force=force)
    if models:
        model = load_model(models[0], device)
        samples = list(render(model.space, points_of_seeds(model, range(_SAMPLES_TO_FIT), Look())))
        request = replace(request, samples=samples, samples_sha256=model.sha256)
    stands = f"the fit in {out} is kept up to its last step, and the same command goes on from there"
    with hearing(quiet=options.quiet, if_stopped=stands) as listen:
        fit_enlarger(request, say=options.say, on_progress=listen)


def _own_samples(model_path: Path, folder: Path, device: "torch.device", listen: "Listener") -> Path:
    """Return a folder with samples of a model, made beside the fit; when the fit goes on, they are there."""
    from artgan.generation.model_folder import load_model
    from artgan.generation.sample import Look, points_of_seeds, save_samples

    model = load_model(model_path, device)
    samples = folder / f"samples-{model.sha256[:12]}"
    if not (samples / "grid.png").is_file():  # written last
        targets.output_folder(samples, True, targets.SAMPLES)
        save_samples(model, samples, points_of_seeds(model, range(_SAMPLES_TO_FIT), Look()), on_progress=listen)
    return samples
