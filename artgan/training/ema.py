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
    """Move the average towards the network: a <- decay a + (1 - decay) w.

    The running statistics of batch norm are averaged as the weights are, since they describe them; counters are copied.
    """
    targets, sources = [*average.parameters(), *average.buffers()], [*network.parameters(), *network.buffers()]
    pairs = list(zip(targets, sources, strict=True))
    floats = [(target, source) for target, source in pairs if target.is_floating_point()]
    torch._foreach_lerp_([target for target, _ in floats], [source for _, source in floats], 1 - decay)
    for target, source in pairs:
        if not target.is_floating_point():
            target.copy_(source)
