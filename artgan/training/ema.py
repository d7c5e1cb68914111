"""Exponential moving average of the generator's weights."""

import torch
from torch import nn

_RAMP_SHARE = 0.05


def ema_decay(halflife_kimg: float, images_seen: int, batch_size: int) -> float:
    """Return the share of the old average that one step keeps.

    beta = 0.5^(batch / half-life), with half-life = min(half-life, 5 % of what was seen) (Karras et al. 2020, 2006.06676).
    """
    halflife = min(halflife_kimg * 1000, max(images_seen * _RAMP_SHARE, 1e-8))
    return 0.5 ** (batch_size / halflife)


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the average towards the network: a <- decay a + (1 - decay) w; buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
    for target, source in zip(average.buffers(), network.buffers(), strict=True):
        target.copy_(source)
