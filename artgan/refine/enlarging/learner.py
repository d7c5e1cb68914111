"""What an enlarger learns by: first nearness, then texture, against the projected discriminator; resumable, judged as it goes.

Losses as in Wang et al. 2018 (ESRGAN, 1809.00219): pixels, features, and an adversarial part; both ends are kept, and weights
between them (its section 3.4) give what lies between. Departures: features and logits are those of the projected
discriminator (2111.01007), whose backbone is frozen, so one pass through it serves all three.
"""

import copy
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artgan import seeding
from artgan.backbones.backbone import load_backbone
from artgan.devices import autocast, choose_precision, place, send
from artgan.errors import ConfigError
from artgan.images import to_float
from artgan.models.contract import Features
from artgan.models.layers import step_power_iterations
from artgan.models.projected import Discriminator
from artgan.objectives.hinge import Hinge
from artgan.progress import Listener, Progress
from artgan.refine.enlarging.crops import Crops
from artgan.refine.enlarging.measure import ZOOM, Score, Trial
from artgan.refine.enlarging.network import NOISE_CHANNELS, EnlargingNetwork, lanczos, still_noise
from artgan.refine.fit_state import STATE_FILE, HeldFit, save_fit, seed_weights
from artgan.refine.steps.enlarge import EnlargerFit

_log = logging.getLogger(__name__)
_BETAS, _DISCRIMINATOR_BETAS = (0.9, 0.99), (0.0, 0.99)
_AVERAGE_DECAY = 0.998
_HEAD_WIDTH = 64
_CALIBRATION_CROPS = 64
_SAVE_EVERY_SECONDS = 60.0
_FITS = "enlarger/"
_LEAST_INPUT_PX = 64


@dataclass
class Progressing:
    """What a fit has reached.

    Attributes:
        step: steps done.
        best: the lowest patch distance on held-out works.
        best_step: where that was.
        worse: judgements since.
    """

    step: int = 0
    best: float = float("inf")
    best_step: int = 0
    worse: int = 0


class EnlargerFitting:
    """A fit on one device.

    Args:
        crops: gives the crops of a step.
        factor: 2 or 4.
        values: of the fit; its backbone is named.
        seed: of all draws.
        device: where.

    Attributes:
        fidelity, texture: the averages of the network at the two ends.
    """

    def __init__(self, crops: Crops, factor: int, values: EnlargerFit, seed: int, device: torch.device) -> None:
        assert values.backbone is not None
        self.crops, self.values, self.seed, self.device = crops, values, seed, device
        network = EnlargingNetwork(factor, values.width, values.blocks)
        seed_weights(network, seed, f"{_FITS}network")
        with torch.no_grad():
            network.first.weight[:, -NOISE_CHANNELS:] = 0  # until texture is learnt, noise is nothing
        self.network = place(network, device)
        self.average, self.fidelity, self.texture = (copy.deepcopy(self.network).requires_grad_(False) for _ in range(3))
        self.discriminator = place(_discriminator(crops, values, seed), device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), values.learning_rate, _BETAS)
        self.optimizer_discriminator = torch.optim.Adam(
            self.discriminator.parameters(), values.discriminator_rate, _DISCRIMINATOR_BETAS
        )
        self.objective, self.precision = Hinge(), choose_precision("auto", device)
        self.reached = Progressing()

    def step(self) -> dict[str, Tensor]:
        """Take one step, and return its losses."""
        place_in_fit, values = self.reached.step, self.values
        small, large, unpaired = (send(to_float(part), self.device) for part in self.crops.batch(place_in_fit))
        self.optimizer.param_groups[0]["lr"] = values.learning_rate * min(1.0, (place_in_fit + 1) / 100)
        for_texture = place_in_fit >= values.fidelity_steps
        with autocast(self.device, self.precision):
            given = torch.cat([small, unpaired]) if for_texture else small
            made = self.network(given, self._noise(given))
        made = made.float()
        losses = {"pixel": F.l1_loss(made[: len(small)], large)}
        if not for_texture:
            loss = losses["pixel"]
        else:
            if len(unpaired):
                again = F.avg_pool2d(made[len(small) :], self.network.factor)
                losses["pixel"] = losses["pixel"] + F.l1_loss(again, unpaired)
            losses |= self._seen(self._window(made), self._window(large))
            loss = (
                values.pixel_weight * losses["pixel"]
                + values.feature_weight * losses["feature"]
                + values.adversarial_weight * losses["adversarial"]
            )
        self._update(loss)
        return {name: value.detach() for name, value in losses.items()}

    def _noise(self, small: Tensor) -> Tensor:
        """Return the noise of a step: none where nearness alone is learnt, which noise can only spoil."""
        count, _, height, width = small.shape
        if self.reached.step < self.values.fidelity_steps:
            return small.new_zeros(count, NOISE_CHANNELS, height, width)
        values = seeding.normal(self.seed, f"{_FITS}noise", self.reached.step * count, count, NOISE_CHANNELS * height * width)
        return send(torch.from_numpy(values).view(count, NOISE_CHANNELS, height, width), self.device)

    def _window(self, images: Tensor) -> Tensor:
        """Return a window of images, elsewhere in each step: strides of the backbone would print a grid at a fixed place."""
        side = self.crops.crop_px // ZOOM
        draws = seeding.uniform(self.seed, f"{_FITS}window", self.reached.step, 1, 2)[0]
        down, across = (int(draw * (length - side + 1)) for draw, length in zip(draws, images.shape[-2:], strict=True))
        return images[:, :, down : down + side, across : across + side]

    def _seen(self, made: Tensor, large: Tensor) -> dict[str, Tensor]:
        """Update the discriminator, and return what it says of what was made."""
        discriminator = self.discriminator
        with autocast(self.device, self.precision):
            with torch.no_grad():
                features_real = discriminator.features(large)
            features = discriminator.features(made)
            step_power_iterations(discriminator)
            logits_real = discriminator.logits(features_real).float()
            logits_fake = discriminator.logits(tuple(x.detach() for x in features)).float()
        loss = self.objective.discriminator_loss(logits_real, logits_fake)
        self.optimizer_discriminator.zero_grad(set_to_none=True)
        loss.backward()
        if _is_finite(discriminator):
            self.optimizer_discriminator.step()
        discriminator.requires_grad_(False)
        with autocast(self.device, self.precision):
            logits = discriminator.logits(features).float()
        discriminator.requires_grad_(True)
        feature = _distance(tuple(x[: len(large)] for x in features), features_real)
        return {"feature": feature, "adversarial": self.objective.generator_loss(logits), "discriminator": loss.detach()}

    def _update(self, loss: Tensor) -> None:
        """Update the network and its averages."""
        reached = self.reached
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        reached.step += 1
        if not _is_finite(self.network):
            _log.warning("fitting: the gradient of step %d is not a number; the step is left out", reached.step)
            return
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        share = 1 - min(_AVERAGE_DECAY, reached.step / (reached.step + 9))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), share)
        if reached.step <= self.values.fidelity_steps:
            self.fidelity.load_state_dict(self.average.state_dict())

    def judge(self, trial: Trial) -> Score:
        """Judge the average on held-out works, and keep it where it is the best so far."""
        reached, score = self.reached, trial.score(with_still_noise(self.average))
        if reached.step <= self.values.fidelity_steps:
            return score
        if score.patch_fd < reached.best:
            reached.best, reached.best_step, reached.worse = score.patch_fd, reached.step, 0
            self.texture.load_state_dict(self.average.state_dict())
        else:
            reached.worse += 1
        return score

    def settle(self, trial: Trial) -> None:
        """Judge the average where no judgement fell on the last step; a fit that was stopped before texture has none."""
        if self.reached.step <= self.values.fidelity_steps:
            self.fidelity.load_state_dict(self.average.state_dict())
            self.texture.load_state_dict(self.average.state_dict())
        elif self.reached.step % self.values.check_every:
            self.judge(trial)

    def networks(self) -> dict[str, nn.Module]:
        """Return all that has weights, by the names in the state."""
        return {
            "network": self.network,
            "average": self.average,
            "fidelity": self.fidelity,
            "texture": self.texture,
            "discriminator": self.discriminator,
        }

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the optimizers, by the names in the state."""
        return {"adam": self.optimizer, "adam_discriminator": self.optimizer_discriminator}

    def save(self, folder: Path, identity: str) -> None:
        """Write the state.

        Raises:
            StorageError: there is no space.
        """
        save_fit(folder, self.networks(), self.optimizers(), {"identity": identity}, vars(self.reached))

    def go_on(self, folder: Path, identity: str) -> None:
        """Take the folder's state, where it holds one.

        Raises:
            ConfigError: it is that of another fit, or it cannot be read.
        """
        if not (folder / STATE_FILE).is_file():
            return
        held = HeldFit(folder)
        if held.word("identity") != identity:
            raise ConfigError(
                f"--out {folder}: holds the fit of an enlarger to other works or with other values; choose another folder"
            )
        held.restore(self.networks(), self.optimizers())
        whole = {name: int(held.number(name)) for name in ("step", "best_step", "worse")}
        self.reached = Progressing(best=held.number("best"), **whole)


def fit_steps(
    fitting: EnlargerFitting,
    trial: Trial,
    folder: Path,
    identity: str,
    minutes: float,
    max_steps: int | None,
    say: Callable[[str], None],
    on_progress: Listener,
) -> None:
    """Take steps until the minutes, the steps or the patience are used up; what was reached is saved whatever ends them."""
    started = saved = time.monotonic()
    reached, values = fitting.reached, fitting.values
    score = ""
    try:
        while time.monotonic() - started < 60 * minutes and (max_steps is None or reached.step < max_steps):
            if reached.worse >= values.patience:
                say(f"stopped at step {reached.step:,}: {values.patience} judgements in a row were no better than the best")
                return
            losses = fitting.step()
            if reached.step % values.check_every == 0:
                found = fitting.judge(trial)
                score = f", held out {found.psnr_db:.2f} dB, patches at {found.patch_fd:.3f}"
            if reached.step % 10 == 0 or reached.step == 1:
                spent = (time.monotonic() - started) / 60
                said = ", ".join(f"{name} {value.item():.3f}" for name, value in losses.items())
                on_progress(Progress("fitting", spent, minutes, "min", f"step {reached.step:,}, {said}{score}"))
            if time.monotonic() - saved > _SAVE_EVERY_SECONDS:
                fitting.save(folder, identity)
                saved = time.monotonic()
    finally:
        fitting.save(folder, identity)


def judge_of(backbone: str) -> str:
    """Return another network than the one that is trained against, which would praise what deceives it."""
    return "drawn" if backbone != "drawn" else "random"


def trial_of(works: Sequence[np.ndarray], fitting: EnlargerFitting) -> tuple[Trial, Score]:
    """Return what a fit is judged on, with the score of Lanczos."""
    values, factor, side = fitting.values, fitting.network.factor, fitting.crops.crop_px
    assert values.backbone is not None
    judge = judge_of(values.backbone)
    backbone = place(load_backbone(judge, Discriminator.taps(judge)), fitting.device)
    trial = Trial(works, factor, 2 * side, side // 2, backbone, fitting.device)
    return trial, trial.score(lambda images: lanczos(images, factor))


def with_still_noise(network: EnlargingNetwork) -> Callable[[Tensor], Tensor]:
    """Return a network as a function of pictures alone."""
    return lambda images: network(images, still_noise(*images.shape[-2:]).to(images.device))


def _discriminator(crops: Crops, values: EnlargerFit, seed: int) -> Discriminator:
    assert values.backbone is not None
    backbone = load_backbone(values.backbone, Discriminator.taps(values.backbone))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.stream_key(seed, f"{_FITS}discriminator") % 2**63)
        input_px = max(crops.crop_px, _LEAST_INPUT_PX)
        network = Discriminator(backbone=backbone, input_px=input_px, width=_HEAD_WIDTH, num_classes=0)
    side = crops.crop_px // ZOOM
    network.calibrate(to_float(crops.large(_CALIBRATION_CROPS))[:, :, -side:, -side:])
    return network.eval()


def _distance(first: Features, second: Features) -> Tensor:
    return torch.stack([F.l1_loss(x.float(), y.float()) for x, y in zip(first, second, strict=True)]).mean()


def _is_finite(network: nn.Module) -> bool:
    slopes = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return bool(torch.stack([slope.isfinite().all() for slope in slopes]).all())
