"""The two updates: the only places with zero_grad, backward and step.

A batch may be cut into pieces whose gradients add up: every loss is a mean over images, and each piece counts by its share of
the batch over all processes.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from artgan import seeding
from artgan.config import ResolvedConfig
from artgan.devices import autocast, send
from artgan.models.layers import step_power_iterations
from artgan.models.noise import KEY_BITS, keyed_noise
from artgan.objectives.contract import Objective
from artgan.objectives.terms.contract import Judged
from artgan.training.passes import Passes
from artgan.training.state import TrainState
from artgan.training.terms import StepTerms
from artgan.world import World

_PATH_LENGTH_EVERY = 4
_SHARES_EVERY = 8  # steps from one measurement of the terms' gradients to the next


@dataclass
class StepContext:
    """What both steps need besides the state; constant through a run, except `micro_batch`.

    Attributes:
        precision: of the networks' arithmetic; float64 only where the state is float64 as well.
        micro_batch: images that this process holds at a time.
    """

    config: ResolvedConfig
    objective: Objective
    passes: Passes
    world: World
    device: torch.device
    precision: torch.dtype
    micro_batch: int

    @property
    def batch_size(self) -> int:
        """Images per step, over all processes."""
        return self.config.training.batch_size

    @property
    def local_batch(self) -> int:
        """Images per step of this process."""
        return self.batch_size // self.world.size


@dataclass(frozen=True)
class _Inputs:
    """What the generator makes this process's images of: latents, the second ones to mix in and where, and noise keys."""

    latents: Tensor
    others: Tensor | None
    mixed: Tensor | None
    keys: Tensor


def discriminator_step(state: TrainState, context: StepContext, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Update the discriminator on this process's real images `[N, 3, H, W]` and as many generated ones.

    Returns:
        Scalars, detached; over all processes they add up to means over the batch.
    """
    step_power_iterations(state.discriminator)
    if (kimg := context.config.model.backbone_kimg) is not None and state.images_seen >= 1000 * kimg:
        state.discriminator.hold_features()
    state.optimizer_discriminator.zero_grad()
    inputs = _inputs(state, context, "discriminator")
    with torch.no_grad():
        images_fake = _precise(torch.cat([_generated(context, inputs, labels, part) for part in _wholes(context)]))
    draws_real, draws_fake = _draws(state, context, "augment/real"), _draws(state, context, "augment/fake")
    penalized = _is_due(state, context, context.config.objective.penalty_every)
    totals, terms = _Totals(), _terms(state, context, measured=False)
    for part in _pieces(context, slice(0, context.local_batch)):
        share = (part.stop - part.start) / context.batch_size
        with torch.no_grad():
            seen_real = state.augment(images[part], draws_real[part])
            seen_fake = state.augment(images_fake[part], draws_fake[part])
        with autocast(context.device, context.precision):
            logits_real, auxiliary, features = context.passes.judge(seen_real, labels[part], True)
            logits_fake, _, _ = context.passes.judge(seen_fake, labels[part], False)
        logits_real, logits_fake = _precise(logits_real), _precise(logits_fake)
        loss = context.objective.discriminator_loss(logits_real, logits_fake)
        penalties = _penalties(context, seen_real, seen_fake, labels[part]) if penalized else {}
        (share * (loss + auxiliary + context.config.objective.penalty_every * sum(penalties.values()))).backward()
        means = {"logits/real": logits_real.mean(), "logits/fake": logits_fake.mean()}
        signs = {"logits/sign_real": logits_real.sign().mean()}
        totals.add(share, {"loss/discriminator": loss, "loss/auxiliary": auxiliary} | penalties | means | signs)
        terms.add(Judged(images[part], seen_real, features, labels[part]))
    terms.observe("real")
    scalars = totals.values | {"skipped/discriminator": _update(state.optimizer_discriminator, context)}
    if state.augment.strength is not None:
        state.augment.observe(context.world.total(scalars["logits/sign_real"]), context.batch_size)
        scalars["augment/probability"] = state.augment.strength / context.world.size
    return scalars


def generator_step(state: TrainState, context: StepContext, images: Tensor | None, labels: Tensor) -> dict[str, Tensor]:
    """Update the generator against the discriminator as it is; a paired objective also takes real images `[N, 3, H, W]`.

    Returns:
        Scalars, detached; over all processes they add up to means over the batch.
    """
    state.optimizer_generator.zero_grad()
    inputs, draws = _inputs(state, context, "generator"), _draws(state, context, "augment/generator")
    draws_real = None if images is None else _draws(state, context, "augment/generator_real")
    totals, terms = _Totals(), _terms(state, context, measured=_is_due(state, context, _SHARES_EVERY))
    with _fixed(state.discriminator):
        for whole in _wholes(context):
            made = _generated(context, inputs, labels, whole)
            leaf = _precise(made).detach().requires_grad_()  # the discriminator's pieces meet here
            for part in _pieces(context, whole):
                share = (part.stop - part.start) / context.batch_size
                here = leaf[part.start - whole.start : part.stop - whole.start]
                seen = state.augment(here, draws[part])
                seen_real = None if images is None or draws_real is None else state.augment(images[part], draws_real[part])
                with autocast(context.device, context.precision):
                    logits_fake, _, features = context.passes.judge(seen, labels[part], False)
                    logits_real = None if seen_real is None else context.passes.judge(seen_real, labels[part], False)[0]
                loss = context.objective.generator_loss(
                    _precise(logits_fake), None if logits_real is None else _precise(logits_real)
                )
                judged = Judged(here, seen, features, labels[part])
                whole_loss, values = terms.added_to(loss, judged, leaf, share)
                (share * whole_loss).backward()
                totals.add(share, {"loss/generator": loss} | values)
                terms.add(judged)
            assert leaf.grad is not None
            made.backward(leaf.grad.to(made.dtype))
    totals.values |= terms.observe("fake")
    if context.config.objective.path_length_weight > 0 and _is_due(state, context, _PATH_LENGTH_EVERY):
        totals.values |= _path_length(state, context, labels)
    return totals.values | {"skipped/generator": _update(state.optimizer_generator, context)}


def kinds_of_steps(context: StepContext) -> dict[int, float]:
    """Return a place of each kind of step, by the lazy penalties that fall on it, with that kind's share of all steps.

    A place counts steps from the start of a run; all penalties fall on place 0.
    """
    penalty_every = (
        context.config.objective.penalty_every
        if max(context.config.objective.r1_gamma, context.config.objective.r2_gamma) > 0
        else 1
    )
    path_length_every = _PATH_LENGTH_EVERY if context.config.objective.path_length_weight > 0 else 1
    cycle = math.lcm(penalty_every, path_length_every)
    alike: dict[tuple[bool, bool], list[int]] = {}
    for place in range(cycle):
        alike.setdefault((place % penalty_every == 0, place % path_length_every == 0), []).append(place)
    return {places[0]: len(places) / cycle for places in alike.values()}


def _penalties(context: StepContext, seen_real: Tensor, seen_fake: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return gamma / 2 E[|grad D|^2] on real and generated images, those whose weight is not zero."""
    penalties = {}
    for name, gamma, seen in (
        ("r1", context.config.objective.r1_gamma, seen_real),
        ("r2", context.config.objective.r2_gamma, seen_fake),
    ):
        if gamma > 0:
            penalties[f"penalty/{name}"] = gamma / 2 * context.passes.slopes(seen, labels).mean()
    return penalties


def _path_length(state: TrainState, context: StepContext, labels: Tensor) -> dict[str, Tensor]:
    """Add the gradient of the path length penalty, on the images at even places of the batch."""
    inputs = _inputs(state, context, "path_length")
    first = context.world.rank * context.local_batch
    even = torch.arange(first % 2, context.local_batch, 2, device=context.device)
    mean_length = torch.zeros((), dtype=state.dtype, device=context.device)
    for here in even.split(context.micro_batch):
        if len(here) == 0:  # the one image of this process is at an odd place: it adds nothing, where a mean of none is NaN
            continue
        share = len(here) / ((context.batch_size + 1) // 2)
        keys = inputs.keys[here]
        with autocast(context.device, context.precision):
            styles = _precise(_styles(context, inputs, labels, here))
        lengths = context.passes.lengths(styles, keys, keyed_noise(keys, -1, (3, *state.image_size)).to(styles.dtype))
        penalty = state.path_length.penalty(_precise(lengths))
        (share * _PATH_LENGTH_EVERY * context.config.objective.path_length_weight * penalty).backward()
        mean_length = mean_length + share * lengths.detach().mean()
    state.path_length.observe(context.world.total(mean_length))
    return {"path_length": state.path_length.mean / context.world.size}


def _inputs(state: TrainState, context: StepContext, purpose: str) -> _Inputs:
    """Draw what this process's images of the step are made of."""
    generator = state.generator
    latents = _normal(state, context, f"latents/{purpose}", generator.latent_dim)
    keys = (_uniform(state, context, f"noise/{purpose}", 1)[:, 0] * 2**KEY_BITS).long()
    if context.config.model.style_mixing == 0:
        return _Inputs(latents, None, None, keys)
    # With probability `style_mixing`, the layers from a random one on take another latent's style (1812.04948, section 3.1).
    others = _normal(state, context, f"latents/{purpose}/mixed", generator.latent_dim)
    draws = _uniform(state, context, f"mixing/{purpose}", 2)
    crossover = 1 + torch.floor(draws[:, 1] * (generator.num_styles - 1))
    crossover = torch.where(draws[:, 0] < context.config.model.style_mixing, crossover, generator.num_styles)
    layers = torch.arange(generator.num_styles, device=context.device)
    return _Inputs(latents, others, layers[None] >= crossover[:, None], keys)


def _styles(context: StepContext, inputs: _Inputs, labels: Tensor, index: slice | Tensor) -> Tensor:
    """Map latents to styles, mixed where they are to be; inside autocast."""
    generator = context.passes.generator
    styles = generator.mapping(inputs.latents[index], labels[index])
    if inputs.others is None or inputs.mixed is None:
        return generator.per_layer(styles) if context.config.objective.path_length_weight > 0 else styles
    others = generator.mapping(inputs.others[index], labels[index])
    return torch.where(inputs.mixed[index][:, :, None], generator.per_layer(others), generator.per_layer(styles))


def _generated(context: StepContext, inputs: _Inputs, labels: Tensor, index: slice) -> Tensor:
    with autocast(context.device, context.precision):
        return context.passes.synthesize(_styles(context, inputs, labels, index), inputs.keys[index])


def _wholes(context: StepContext) -> list[slice]:
    """Cut the process's batch for the generator: not at all where batch norm couples its images."""
    everything = slice(0, context.local_batch)
    return [everything] if context.passes.generator.couples_batch else list(_pieces(context, everything))


def _pieces(context: StepContext, whole: slice) -> Iterator[slice]:
    """Cut a part of the process's batch into micro-batches."""
    for start in range(whole.start, whole.stop, context.micro_batch):
        yield slice(start, min(start + context.micro_batch, whole.stop))


def _terms(state: TrainState, context: StepContext, *, measured: bool) -> StepTerms:
    return StepTerms(state.terms, context.world, context.batch_size, state.images_seen, measured)


def _is_due(state: TrainState, context: StepContext, every_steps: int) -> bool:
    return state.images_seen // context.batch_size % every_steps == 0


class _Totals:
    """Detached scalars, weighted by each piece's share and added up."""

    def __init__(self) -> None:
        self.values: dict[str, Tensor] = {}

    def add(self, share: float, scalars: Mapping[str, Tensor]) -> None:
        for name, value in scalars.items():
            weighted = share * value.detach()
            self.values[name] = self.values[name] + weighted if name in self.values else weighted


def _update(optimizer: torch.optim.Optimizer, context: StepContext) -> Tensor:
    """Sum gradients over the processes and step, unless one of them is not finite; return 1 where the step was skipped.

    The optimizer decides on the device (`found_inf`, as under loss scaling), so that nothing waits for it.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    context.world.sum_gradients(parameters)
    norms = torch._foreach_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
    skipped = (~torch.stack(norms).sum().isfinite()).float()
    optimizer.found_inf = skipped  # type: ignore[attr-defined]
    optimizer.step()
    return skipped / context.world.size


@contextmanager
def _fixed(network: nn.Module) -> Iterator[None]:
    """Keep a network's parameters from collecting gradients."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def _precise(x: Tensor) -> Tensor:
    """Return a tensor in float32, or in float64 where it is already."""
    return x if x.dtype == torch.float64 else x.float()


def _first_position(state: TrainState, context: StepContext) -> int:
    return state.images_seen + context.world.rank * context.local_batch


def _normal(state: TrainState, context: StepContext, stream: str, width: int) -> Tensor:
    values = seeding.normal(context.config.seed, stream, _first_position(state, context), context.local_batch, width)
    return send(torch.from_numpy(values).to(state.dtype), context.device)


def _uniform(state: TrainState, context: StepContext, stream: str, width: int) -> Tensor:
    """Return uniforms in float64: a float32 would round some to 1."""
    values = seeding.uniform(context.config.seed, stream, _first_position(state, context), context.local_batch, width)
    return send(torch.from_numpy(values), context.device)


def _draws(state: TrainState, context: StepContext, stream: str) -> Tensor:
    return _uniform(state, context, stream, state.augment.num_draws).to(state.dtype)
