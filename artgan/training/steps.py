"""The two updates: the only places with zero_grad, backward and step."""

from dataclasses import dataclass

import torch
from torch import Tensor

from artgan import seeding
from artgan.augment.diffaugment import DiffAugment
from artgan.devices import autocast
from artgan.models.layers import step_power_iterations
from artgan.objectives.hinge import Hinge
from artgan.training.state import TrainState


@dataclass(frozen=True)
class StepContext:
    """What both steps need besides the state; constant through a run."""

    objective: Hinge
    augment: DiffAugment
    seed: int
    batch_size: int
    device: torch.device
    precision: torch.dtype


def discriminator_step(state: TrainState, context: StepContext, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Update the discriminator on real images `[N, 3, H, W]` and as many generated ones; return detached scalars."""
    network = state.discriminator
    step_power_iterations(network)
    with autocast(context.device, context.precision):
        with torch.no_grad():
            images_fake = state.generator(_latents(state, context, "latents/discriminator"), labels)
            seen_real = _augmented(state, context, images, "augment/real")
            seen_fake = _augmented(state, context, images_fake.float(), "augment/fake")
        features_real, features_fake = network.features(seen_real), network.features(seen_fake)
        logits_real = network.logits(features_real, labels).float()
        logits_fake = network.logits(features_fake, labels).float()
        auxiliary = network.auxiliary_loss(features_real, seen_real)
    loss = context.objective.discriminator_loss(logits_real, logits_fake)
    state.optimizer_discriminator.zero_grad()
    (loss + auxiliary).backward()
    state.optimizer_discriminator.step()
    return {
        "loss/discriminator": loss.detach(),
        "loss/auxiliary": auxiliary.detach(),
        "logits/real": logits_real.detach().mean(),
        "logits/fake": logits_fake.detach().mean(),
    }


def generator_step(state: TrainState, context: StepContext, labels: Tensor) -> dict[str, Tensor]:
    """Update the generator against the discriminator as it is; return detached scalars."""
    state.discriminator.requires_grad_(False)
    with autocast(context.device, context.precision):
        images = state.generator(_latents(state, context, "latents/generator"), labels)
        seen = _augmented(state, context, images.float(), "augment/generator")
        logits = state.discriminator.logits(state.discriminator.features(seen), labels).float()
    loss = context.objective.generator_loss(logits)
    state.optimizer_generator.zero_grad()
    loss.backward()
    state.optimizer_generator.step()
    state.discriminator.requires_grad_(True)
    return {"loss/generator": loss.detach()}


def _latents(state: TrainState, context: StepContext, stream: str) -> Tensor:
    values = seeding.normal(context.seed, stream, state.images_seen, context.batch_size, state.generator.latent_dim)
    return torch.from_numpy(values).to(context.device, non_blocking=True)


def _augmented(state: TrainState, context: StepContext, images: Tensor, stream: str) -> Tensor:
    draws = seeding.uniform(context.seed, stream, state.images_seen, context.batch_size, context.augment.num_draws)
    return context.augment(images, torch.from_numpy(draws).float().to(context.device, non_blocking=True))
