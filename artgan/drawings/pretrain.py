"""Teach the network of `artgan.backbones.drawn_net` from a pool of drawings: seeded, resumable, with a log."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from artgan import seeding
from artgan.backbones.drawn_net import Learner, fold
from artgan.drawings.lessons import Heads, Weights
from artgan.drawings.pool import Pool
from artgan.drawings.textures import generator
from artgan.drawings.views import look
from artgan.errors import CheckpointError
from artgan.storage import building

_FIRST_DRAWINGS, _DRAWINGS_A_STEP = 4096, 32
_WARMUP_STEPS = 200
_DECAY_SHARE = 0.25
_AVERAGE_DECAY = 0.999
_MAX_NORM = 2.0
_MAY_CHANGE = ("steps", "batch", "groups")
_CHECKPOINT, _LOG, WEIGHTS_FILE = "checkpoint.safetensors", "log.jsonl", "drawn.safetensors"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is learned.

    Attributes:
        steps: in all; the learning rate is constant and falls to nothing over the last quarter.
        drawings: how many of the pool are used in the end: the first 4,096 from the start, and with every step 32 more, so
            that learning can begin while a second process still draws.
        batch: drawings that are told apart from each other, two views of each.
        groups: such batches in a step, each with batch statistics of its own.
    """

    steps: int = 4500
    drawings: int = 24576
    batch: int = 128
    groups: int = 1
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    seed: int = 0
    drawings_seed: int = 1
    weights: Weights = field(default_factory=Weights)


class _Pupil(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network, self.heads = Learner(), Heads()


def _rate(recipe: Recipe, step: int) -> float:
    """Return the learning rate of a step: a short rise, a plateau, a fall."""
    left = (recipe.steps - step) / max(1, recipe.steps * _DECAY_SHARE)
    return recipe.learning_rate * min(1.0, (step + 1) / _WARMUP_STEPS, left)


def _rows(recipe: Recipe, step: int) -> np.ndarray:
    """Return which drawings a step sees, none twice."""
    open_ = min(recipe.drawings, _FIRST_DRAWINGS + _DRAWINGS_A_STEP * step)
    return seeding.permutation(recipe.seed, "pretrain/order", step, open_)[: recipe.batch * recipe.groups]


def pretrain(
    pool: Pool,
    folder: Path,
    recipe: Recipe,
    *,
    device: torch.device,
    should_stop: Callable[[], bool] = lambda: False,
    log_every: int = 50,
    save_every: int = 250,
    say: Callable[[str], None] = print,
) -> int:
    """Train until the recipe's steps are done or somebody says stop; return the step that was reached.

    `folder` gets `checkpoint.safetensors`, from which the same call goes on, `log.jsonl`, and the weights as a backbone
    loads them, `drawn.safetensors`, at every save.
    """
    torch.manual_seed(recipe.seed)
    pupil = _Pupil().to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(pupil.parameters(), recipe.learning_rate, (0.9, 0.95), weight_decay=recipe.weight_decay)
    average = {key: value.detach().clone() for key, value in pupil.network.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    step = _resume(folder, recipe, pupil, optimizer, average)
    sums: dict[str, float] = {}
    since = step
    began, began_processor = time.perf_counter(), time.process_time()
    while step < recipe.steps and not should_stop():
        for group in optimizer.param_groups:
            group["lr"] = _rate(recipe, step)
        losses = _step(pupil, optimizer, pool, recipe, step, device)
        step += 1
        decay = min(_AVERAGE_DECAY, step / (step + 10))
        for key, value in pupil.network.state_dict().items():
            average[key].lerp_(value, 1 - decay) if value.is_floating_point() else average[key].copy_(value)
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value
        if step % log_every == 0:
            line = {"step": step, "lr": _rate(recipe, step)} | {
                name: round(total / (step - since), 4) for name, total in sums.items()
            }
            line |= {
                "seconds": round(time.perf_counter() - began, 1),
                "processor": round(time.process_time() - began_processor, 1),
            }
            with (folder / _LOG).open("a") as log:
                log.write(json.dumps(line) + "\n")
            say(json.dumps(line))
            sums, since = {}, step
        if step % save_every == 0 or step == recipe.steps:
            _save(folder, recipe, pupil, optimizer, average, step)
    _save(folder, recipe, pupil, optimizer, average, step)
    return step


def _step(
    pupil: _Pupil, optimizer: torch.optim.Optimizer, pool: Pool, recipe: Recipe, step: int, device: torch.device
) -> dict[str, float]:
    """Take one step and return the mean losses."""
    optimizer.zero_grad()
    graded = [_grade(pupil, pool, recipe, step, group, device) for group in range(recipe.groups)]
    nn.utils.clip_grad_norm_(pupil.parameters(), _MAX_NORM)
    optimizer.step()
    return {name: sum(losses[name].item() for losses in graded) / recipe.groups for name in graded[0]}


def _grade(pupil: _Pupil, pool: Pool, recipe: Recipe, step: int, group: int, device: torch.device) -> dict[str, Tensor]:
    """Show one group of a step its drawings, add its share to the gradients, and return its losses."""
    records = pool.read(_rows(recipe, step)[group * recipe.batch : (group + 1) * recipe.batch])
    random = generator(recipe.seed, f"pretrain/views/{group}" if group else "pretrain/views", step)
    views = [look(random, records) for _ in range(2)]
    images = torch.cat([view.images for view in views]).to(device, memory_format=torch.channels_last)
    parts = torch.cat([view.parts for view in views]).to(device)
    attributes = torch.from_numpy(np.tile(records["attributes"].astype(np.int64), (2, 1))).to(device)
    with torch.autocast(device.type, torch.bfloat16):
        features = pupil.network(images)
    losses = pupil.heads.losses(features, parts, attributes)
    weights = recipe.weights
    total = weights.contrast * losses["contrast"] + weights.parts * losses["parts"] + weights.whole * losses["whole"]
    (total / recipe.groups).backward()
    return {name: loss.detach() for name, loss in losses.items()}


def _save(
    folder: Path, recipe: Recipe, pupil: _Pupil, optimizer: torch.optim.Optimizer, average: dict[str, Tensor], step: int
) -> None:
    tensors = {f"pupil.{key}": value for key, value in pupil.state_dict().items()}
    tensors |= {f"average.{key}": value for key, value in average.items()}
    for index, entry in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in entry.items()}
    about = {"step": str(step), "recipe": json.dumps(asdict(recipe))}
    _write({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, folder / _CHECKPOINT, about)
    folded = {key: value.cpu().contiguous() for key, value in sorted(fold(average).items())}
    _write(folded, folder / WEIGHTS_FILE, {})


def _write(tensors: dict[str, Tensor], path: Path, about: dict[str, str]) -> None:
    with building(path) as partial:
        save_file(tensors, partial, about)


def _resume(folder: Path, recipe: Recipe, pupil: _Pupil, optimizer: torch.optim.Optimizer, average: dict[str, Tensor]) -> int:
    """Load the newest checkpoint, if there is one, and return its step.

    Raises:
        CheckpointError: it was made by another recipe; only the length and the size of the steps may change.
    """
    path = folder / _CHECKPOINT
    if not path.is_file():
        return 0
    with safe_open(path, "pt") as file:
        about = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    theirs, ours = json.loads(about["recipe"]), asdict(recipe)
    if different := [key for key in ours if key not in _MAY_CHANGE and theirs.get(key) != ours[key]]:
        raise CheckpointError(
            f"{path} was made with {different[0]} = {theirs.get(different[0])}, not {ours[different[0]]}: go on with the same "
            f"recipe, or name another folder"
        )
    pupil.load_state_dict({key.removeprefix("pupil."): value for key, value in tensors.items() if key.startswith("pupil.")})
    for key in average:
        average[key].copy_(tensors[f"average.{key}"])
    saved = optimizer.state_dict()
    entries: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            entries.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(saved | {"state": entries})
    return int(about["step"])
