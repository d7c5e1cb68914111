"""What training adds to the weights of a frozen network, which themselves stay as they came."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class Difference(nn.Module):
    """A frozen weight plus what was learnt: w + rate * d, with d zero at the start.

    Adam's steps have one length whatever the scale of a gradient, so that the weight moves `rate` times as far in a step as
    the weights of other layers do, under one learning rate for all.

    Args:
        weight: the frozen one, of any shape.
        rate: that share.
    """

    def __init__(self, weight: Tensor, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.difference = nn.Parameter(torch.zeros_like(weight))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.rate * self.difference


@torch.no_grad()
def adapt(network: nn.Module, rate: float, images: Tensor) -> None:
    """Let the weights of a frozen network's convolutions and linear layers move; biases and norms stay.

    Args:
        network: frozen by `backbones.backbone.freeze`: its weights are buffers, which no state dict holds. That stays so, and
            the differences are parameters, which every state dict holds.
        rate: of `Difference`.
        images: it is called with them once: layers that it then does not use stay as they are, since no gradient would come.
    """
    used: list[nn.Module] = []
    candidates = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    hooks = [module.register_forward_pre_hook(lambda module, _: used.append(module)) for module in candidates]
    network(images)
    for hook in hooks:
        hook.remove()
    for module in dict.fromkeys(used):
        parametrize.register_parametrization(module, "weight", Difference(module.get_buffer("weight"), rate))
        module.get_submodule("parametrizations.weight")._non_persistent_buffers_set.add("original")
