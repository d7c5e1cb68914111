"""Two ways down, each for a batch of pictures that never mix: Adam with averaged iterates, and L-BFGS.

A picture whose loss or gradient is not finite goes back to its last good average and stays there; one that stopped getting
better stays where it is.
"""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from artgan.refine.losses import total

_log = logging.getLogger(__name__)
_ADAM_BETAS = (0.9, 0.99)
_AVERAGE_DECAY = 0.97
_REPORT_EVERY = 10
_ENOUGH = 0.01  # a picture that gained less than this share over the patience stops
_HISTORY = 10
_CURVATURE = 1e-10

Gradient = Callable[[Tensor], tuple[Tensor, Tensor]]
Report = Callable[[int, float], None]


class _Frozen:
    """Which pictures of the batch still move."""

    def __init__(self, count: int, patience: int, device: torch.device) -> None:
        self.moving = torch.ones(count, dtype=torch.bool, device=device)
        self.patience = patience
        self.reference = torch.full((count,), torch.inf, device=device)
        self.sum = torch.zeros(count, device=device)
        self.warned = False

    def update(self, step: int, losses: Tensor, good: Tensor) -> None:
        self.moving &= good
        if not self.patience or step == 0:  # where L-BFGS begins: no stretch ends there
            return
        self.sum += losses
        if step % self.patience == 0:  # means over stretches: single losses jitter
            mean = self.sum / self.patience
            self.moving &= ~(mean > (1 - _ENOUGH) * self.reference)
            self.reference, self.sum = mean, torch.zeros_like(mean)

    def all_stopped(self, step: int) -> bool:
        """Ask the device only now and then: each question waits for it."""
        if step % _REPORT_EVERY:
            return False
        return not bool(self.moving.any())


def _good(losses: Tensor, gradient: Tensor) -> Tensor:
    return losses.isfinite() & gradient.flatten(1).isfinite().all(1)


def _column(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def adam(
    start: Tensor, gradient_of: Gradient, *, iterations: int, learning_rate: float, patience: int, report: Report
) -> Tensor:
    """Return the averaged iterate of Adam (Kingma & Ba 2015, alg. 1) on pictures `[B, 3, H, W]` in [-1, 1].

    Elementwise, so that a batch is exactly its pictures. The average is exponential and bias-corrected.

    Args:
        start: where it begins.
        gradient_of: images -> (losses `[B]`, gradient).
        iterations: steps at most.
        learning_rate: in units of the [0, 1] pixel range.
        patience: see `_Frozen`; 0 for never.
        report: called with (step, mean loss) every few steps.
    """
    images = start.clone()
    first, second = torch.zeros_like(start), torch.zeros_like(start)
    average = start.clone()  # bias-corrected below, so the start itself weighs nothing after the first step
    frozen = _Frozen(len(start), patience, start.device)
    weight = 0.0
    for step in range(1, iterations + 1):
        losses, gradient = gradient_of(images)
        good = _good(losses, gradient)
        frozen.update(step, losses, good)
        moving = _column(frozen.moving)
        gradient = torch.where(_column(good), gradient, 0.0)
        first.lerp_(gradient, 1 - _ADAM_BETAS[0])
        second.lerp_(gradient.square(), 1 - _ADAM_BETAS[1])
        rate = 2 * learning_rate / (1 - _ADAM_BETAS[0] ** step)
        step_taken = rate * first / ((second / (1 - _ADAM_BETAS[1] ** step)).sqrt() + 1e-8)
        images = torch.where(moving, (images - step_taken).clamp(-1, 1), images)
        # average_t = sum of d^(t-i) x_i / sum of d^(t-i)
        weight = _AVERAGE_DECAY * weight + 1
        average = torch.where(moving, average + (images - average) / weight, average)
        if step % _REPORT_EVERY == 0 or step == iterations:
            _tell(frozen, good, report, step, losses)
        if frozen.all_stopped(step):
            break
    return average


def lbfgs(
    start: Tensor, gradient_of: Gradient, *, iterations: int, learning_rate: float, patience: int, report: Report
) -> Tensor:
    """Return the best iterate of L-BFGS (Nocedal & Wright 2006, alg. 7.4) on pictures `[B, 3, H, W]` in [-1, 1].

    Each picture has its own history and its own inner products, so that a batch is exactly its pictures. In place of a line
    search, a step that made a picture's loss larger is taken back and halved (one evaluation per iteration); pixels are
    clipped at the end of a step.
    """
    images = start.clone()
    losses, gradient = gradient_of(images)
    frozen = _Frozen(len(start), patience, start.device)
    frozen.update(0, losses.nan_to_num(), _good(losses, gradient))
    pairs: list[tuple[Tensor, Tensor, Tensor]] = []
    step_size = torch.ones_like(losses)
    direction = _first_direction(gradient, learning_rate)
    for step in range(1, iterations + 1):
        trial = (images + _column(step_size) * direction).clamp(-1, 1)
        new_losses, new_gradient = gradient_of(trial)
        good = _good(new_losses, new_gradient)
        better = good & (new_losses < losses) & frozen.moving
        frozen.update(step, torch.where(better, new_losses, losses), torch.ones_like(good))
        accepted = _column(better)
        moved = torch.where(accepted, trial - images, 0.0)
        turned = torch.where(accepted, new_gradient - gradient, 0.0)
        curvature = _dot(moved, turned)
        inverse = torch.where(curvature > _CURVATURE, 1 / curvature.clamp_min(_CURVATURE), 0.0)
        images = torch.where(accepted, trial, images)
        gradient = torch.where(accepted, new_gradient, gradient)
        losses = torch.where(better, new_losses, losses)
        pairs = [*pairs, (moved, turned, inverse)][-_HISTORY:]
        direction = _two_loops(gradient, pairs, learning_rate)
        step_size = torch.where(better, torch.ones_like(step_size), step_size / 2)
        if step % _REPORT_EVERY == 0 or step == iterations:
            _tell(frozen, good, report, step, losses)
        if frozen.all_stopped(step):
            break
    return images


def _first_direction(gradient: Tensor, learning_rate: float) -> Tensor:
    """Go down by about the learning rate in each pixel."""
    size = (total(gradient.abs()) / gradient[0].numel()).clamp_min(1e-12)
    return -2 * learning_rate * gradient / _column(size)


def _two_loops(gradient: Tensor, pairs: list[tuple[Tensor, Tensor, Tensor]], learning_rate: float) -> Tensor:
    """Return minus the inverse Hessian times the gradient, from the history; a pair without curvature counts for nothing."""
    direction = -gradient
    shares: list[Tensor] = []
    for moved, turned, inverse in reversed(pairs):
        share = inverse * _dot(moved, direction)
        direction = direction - _column(share) * turned
        shares.append(share)
    scale, known = torch.ones_like(shares[0]), torch.zeros_like(shares[0], dtype=torch.bool)
    for _, turned, inverse in pairs:  # the last pair with curvature gives the scale
        has = inverse > 0
        scale = torch.where(has, 1 / (inverse * _dot(turned, turned)).clamp_min(1e-30), scale)
        known |= has
    direction = direction * _column(scale)
    for (moved, turned, inverse), share in zip(pairs, reversed(shares), strict=True):
        direction = direction + _column(share - inverse * _dot(turned, direction)) * moved
    return torch.where(_column(known), direction, _first_direction(gradient, learning_rate))


def _dot(first: Tensor, second: Tensor) -> Tensor:
    return total(first * second)


def _tell(frozen: _Frozen, good: Tensor, report: Report, step: int, losses: Tensor) -> None:
    if not frozen.warned and not bool(good.all()):
        _log.warning("style: a picture's loss was not a number at step %d; it goes back to its last good average", step)
        frozen.warned = True
    report(step, losses.nan_to_num().mean().item())
