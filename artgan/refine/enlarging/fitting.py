"""Fitting an enlarger from works to a sealed folder: what it will take, the steps, and what it is worth in the end."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

import artgan
from artgan import weights
from artgan.backbones import LIGHT_BACKBONES
from artgan.devices import describe_device, peak_host_bytes
from artgan.errors import ConfigError
from artgan.progress import Listener, Progress, silent
from artgan.refine.enlarging.crops import Crops
from artgan.refine.enlarging.folder import save_enlarger, verdict
from artgan.refine.enlarging.learner import EnlargerFitting, fit_steps, judge_of, trial_of, with_still_noise
from artgan.refine.enlarging.measure import ZOOM, Score, Trial
from artgan.refine.enlarging.network import EnlargingNetwork
from artgan.refine.enlarging.works import Works, gather_works
from artgan.refine.fit_state import STATE_FILE
from artgan.refine.recipe import Recipe
from artgan.storage import only_one
from artgan.targets import ENLARGER, output_folder

_TEXTURES = (0.0, 0.25, 0.5, 0.75, 1.0)
_HALVINGS = 5  # of the step in which the decibels that may be lost are used up
_MAY_LOSE_DB = 0.5  # of Lanczos's decibels, for the texture that is used by default
_PROBE_STEPS = 2


@dataclass(frozen=True)
class FitRequest:
    """A fit of an enlarger.

    Attributes:
        inputs: a collection; or pictures, folders and archives of them.
        out: the enlarger's folder: new, or with a fit that goes on.
        recipe: its section `enlarger` says how, its seed is that of all draws.
        device: where.
        factor: 2 or 4.
        sources: where a collection's originals are.
        samples: a model's own pictures, uint8 `[h, w, 3]` each.
        samples_sha256: of the model.
        minutes: stop after so long.
        max_steps: stop after so many steps in all.
        dry_run: say what it would take, and stop.
        force: fit a new enlarger in the place of a former one.
    """

    inputs: Sequence[Path]
    out: Path
    recipe: Recipe
    device: torch.device
    factor: int = 4
    sources: Sequence[Path] = ()
    samples: Sequence[np.ndarray] = field(default=(), repr=False)
    samples_sha256: str = ""
    minutes: float = 20.0
    max_steps: int | None = None
    dry_run: bool = False
    force: bool = False


def fit_enlarger(request: FitRequest, *, say: Callable[[str], None] = lambda _: None, on_progress: Listener = silent) -> None:
    """Fit an enlarger and write its folder; a stopped fit goes on exactly where it was.

    Raises:
        DataError: no works can be used.
        ConfigError: wrong values, or the folder holds another fit or other files.
        WeightsError: the backbone's weights are not available.
        StorageError: no space or not writable; what was saved stays.
    """
    values, seed = request.recipe.enlarger, request.recipe.seed
    backbone = values.backbone or weights.first_found(LIGHT_BACKBONES)
    values = values.model_copy(update={"backbone": backbone})
    going_on = (request.out / STATE_FILE).is_file()
    works = gather_works(request.inputs, request.sources, request.factor, values, seed, say, on_progress)
    values = values.model_copy(update={"crop_px": works.crop_px(values)})
    samples = _large_enough(request, works.crop_px(values), say)
    crops = Crops(works.fitted, samples, request.factor, works.least_px, works.crop_px(values), values, seed)
    fitting = EnlargerFitting(crops, request.factor, values, seed, request.device)
    identity = _identity(request, works, fitting)
    seconds = _seconds_of_a_step(crops, fitting)
    planned = f"{seconds:.2f} s a step, about {60 * request.minutes / seconds:,.0f} steps in {request.minutes:g} min"
    say(
        f"{len(works.fitted)} works to learn from, {len(works.held_out)} held out; crops of {crops.crop_px} px through "
        f"{backbone} on {describe_device(request.device)}: {planned}, {peak_host_bytes() / 1e9:.1f} GB of memory"
    )
    if request.dry_run:
        return
    if not going_on:
        output_folder(request.out, request.force, ENLARGER, [*request.inputs, *request.sources])
    busy = ConfigError(f"--out {request.out}: another process is fitting there; wait for it, or choose another folder")
    with only_one(request.out.with_name(f".{request.out.name}.lock"), busy):
        fitting.go_on(request.out, identity)
        trial, lanczos = trial_of(works.held_out, fitting)
        fit_steps(fitting, trial, request.out, identity, request.minutes, request.max_steps, say, on_progress)
        fitting.settle(trial)
        scores = {"lanczos": lanczos} | _scores(fitting, trial, _least_db(lanczos), on_progress)
        about = _about(request, works, fitting, identity, scores)
        save_enlarger(request.out, fitting.fidelity.state_dict(), fitting.texture.state_dict(), about)
    say(f"{request.out}: {verdict(about)}")


def _large_enough(request: FitRequest, crop_px: int, say: Callable[[str], None]) -> list[np.ndarray]:
    """Return the samples that have a crop, of which the small side is a factor less."""
    least_px = crop_px // request.factor
    samples = [sample for sample in request.samples if min(sample.shape[:2]) >= least_px]
    if len(samples) < len(request.samples):
        say(
            f"the model's samples are smaller than {least_px} px, which a crop of {crop_px} px is reduced to, and are left "
            f"out; --set enlarger.crop_px=N makes crops smaller"
        )
    return samples


def _seconds_of_a_step(crops: Crops, fitting: EnlargerFitting) -> float:
    """Return how long a step takes with all its losses, from steps of a fit that is then forgotten."""
    values = fitting.values.model_copy(update={"fidelity_steps": 0})
    probe = EnlargerFitting(crops, crops.factor, values, fitting.seed, fitting.device)
    probe.step()
    started = time.perf_counter()
    for _ in range(_PROBE_STEPS):
        probe.step()
    return (time.perf_counter() - started) / _PROBE_STEPS


def _scores(fitting: EnlargerFitting, trial: Trial, least_db: float, on_progress: Listener) -> dict[str, Score]:
    """Return the scores of textures by name: in even steps, then closer to where the decibels that may be lost are lost."""
    scores: dict[str, Score] = {}

    def is_near(texture: float) -> bool:
        score = scores[f"{texture:g}"] = trial.score(with_still_noise(_between(fitting, texture)))
        on_progress(Progress("judging", len(scores), len(_TEXTURES) + _HALVINGS, "textures"))
        return score.psnr_db >= least_db

    near = {texture: is_near(texture) for texture in _TEXTURES}
    inside = max((texture for texture in _TEXTURES if near[texture]), default=None)
    if inside is not None and inside < _TEXTURES[-1]:
        outside = _TEXTURES[_TEXTURES.index(inside) + 1]
        for _ in range(_HALVINGS):
            middle = round((inside + outside) / 2, 4)
            inside, outside = (middle, outside) if is_near(middle) else (inside, middle)
    return scores


def _between(fitting: EnlargerFitting, texture: float) -> EnlargingNetwork:
    values = fitting.values
    network = EnlargingNetwork(fitting.network.factor, values.width, values.blocks).to(fitting.device)
    ends = fitting.fidelity.state_dict(), fitting.texture.state_dict()
    network.load_state_dict({name: torch.lerp(value, ends[1][name], texture) for name, value in ends[0].items()})
    return network.eval().requires_grad_(False)


def _least_db(lanczos: Score) -> float:
    return lanczos.psnr_db - _MAY_LOSE_DB


def _best_texture(scores: dict[str, Score]) -> float:
    """Return the texture whose patches are nearest to works', of those that lose at most half a decibel to Lanczos."""
    least_db = _least_db(scores["lanczos"])
    near = [name for name, score in scores.items() if name != "lanczos" and score.psnr_db >= least_db]
    return float(min(near, key=lambda name: scores[name].patch_fd, default="0"))


def _about(
    request: FitRequest, works: Works, fitting: EnlargerFitting, identity: str, scores: dict[str, Score]
) -> dict[str, Any]:
    return {
        "version": artgan.__version__,
        "identity": identity,
        "factor": request.factor,
        "texture": _best_texture(scores),
        "steps": fitting.reached.step,
        "fit": fitting.values.model_dump(mode="json"),
        "seed": request.recipe.seed,
        "judge": judge_of(str(fitting.values.backbone)),
        "backbone_sha256": fitting.discriminator.weights_sha256,
        "samples_sha256": request.samples_sha256 or None,
        "works": {
            "name": works.name,
            "origin": works.origin,
            "fitted": len(works.fitted),
            "held_out": len(works.held_out),
            "sha256": hashlib.sha256("\n".join(works.identities).encode()).hexdigest(),
            "rights": list(works.rights),
        },
        "scores": {name: score.as_dict() for name, score in scores.items()},
    }


def _identity(request: FitRequest, works: Works, fitting: EnlargerFitting) -> str:
    parts = {
        "values": fitting.values.model_dump(mode="json"),
        "factor": request.factor,
        "seed": request.recipe.seed,
        "works": works.identities,
        "samples": request.samples_sha256,
        "backbone": fitting.discriminator.weights_sha256,
        "zoom": ZOOM,  # patch distances at another one do not compare
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
