"""What every backbone is: a chain of frozen stages, cut after the deepest layer that is asked for."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from artgan import weights
from artgan.backbones import BACKBONES
from artgan.errors import ConfigError, WeightsError
from artgan.tables import nearest

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """A frozen chain of named stages.

    Its weights are buffers that no state dict holds: a checkpoint never carries a pretrained network, and no optimizer
    ever meets one.

    Args:
        name: the network's name in the table.
        stages: `(layer name, module)` in order, already cut to what is needed.
        layers: the layers to return, each a stage's name.
        mean, std: per-channel input normalisation for images in [0, 1].
        weights_sha256: identity of the weights, for metric protocols.

    Attributes:
        side_px: the side of the square that the network judges whole pictures at; None for any.
        takes_any_size: it can look at pictures of other sides too.
    """

    side_px: int | None = None
    takes_any_size = True

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        stages: "OrderedDict[str, nn.Module]",
        layers: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
        weights_sha256: str,
    ) -> None:
        super().__init__()
        self.name = name
        self.layers = tuple(layers)
        self.weights_sha256 = weights_sha256
        self.stages = nn.ModuleDict(stages)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        freeze(self)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the features of each asked layer.

        Args:
            images: `[N, 3, H, W]`, float in [-1, 1].

        Returns:
            `{layer: [N, C, h, w]}`, differentiable with respect to the images.
        """
        x = ((images + 1) / 2 - self.mean) / self.std
        features = {}
        for name, stage in self.stages.items():
            x = stage(x)
            if name in self.layers:
                features[name] = x
        return features


def freeze(network: nn.Module) -> None:
    """Turn every parameter and buffer below `network` into a non-persistent buffer; switch to evaluation mode, for good."""
    for module in list(network.modules()):
        module._non_persistent_buffers_set.update(name for name, _ in module.named_buffers(recurse=False))
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach(), persistent=False)
    network.eval()


def cut_stages(name: str, stages: Iterable[tuple[str, nn.Module]], layers: Sequence[str]) -> "OrderedDict[str, nn.Module]":
    """Return the stages up to the deepest asked layer.

    Raises:
        ConfigError: no layer is asked for, or a layer is unknown; the message lists the layers.
    """
    all_stages = OrderedDict(stages)
    if not layers:
        raise ConfigError(f"backbone '{name}': no layers asked for; it has {', '.join(all_stages)}")
    for layer in layers:
        if layer not in all_stages:
            raise ConfigError(
                f"backbone '{name}' has no layer '{layer}'{nearest(layer, all_stages)}; it has {', '.join(all_stages)}"
            )
    names = list(all_stages)
    deepest = max(names.index(layer) for layer in layers)
    return OrderedDict((stage, all_stages[stage]) for stage in names[: deepest + 1])


def fill_stages(
    name: str,
    stages: "OrderedDict[str, nn.Module]",
    state: Mapping[str, Tensor],
    source: Path,
    layers: Sequence[str],
    keys: Mapping[str, str] | None = None,
) -> None:
    """Load float32 weights into cut stages.

    Args:
        name: the network's name, for messages.
        stages: cut stages; their state-dict keys are `stage.rest`.
        state: the tensors of a weights file.
        source: that file, for messages.
        layers: what was asked for, for messages.
        keys: maps a stage's name to its key prefix in `state`; by default the stage's own name.

    Raises:
        WeightsError: the file lacks a tensor that a stage needs, or holds one of another shape; the message names the
            layer, the tensor and the file.
    """
    usable: list[str] = []
    for stage_name, stage in stages.items():
        prefix = keys[stage_name] if keys else stage_name
        for key, target in stage.state_dict(keep_vars=True).items():
            stored = state.get(f"{prefix}.{key}")
            if stored is None or stored.shape != target.shape:
                problem = "lacks" if stored is None else f"has with shape {tuple(stored.shape)}, not {tuple(target.shape)},"
                beyond = ", ".join(layer for layer in layers if layer not in usable)
                raise WeightsError(
                    f"layer {beyond} of {name}: {source} {problem} '{prefix}.{key}'; layers that it holds whole: "
                    f"{', '.join(usable) or 'none'}. Ask for one of those, or run: artgan weights fetch {name}"
                )
            target.data.copy_(stored)
        usable.append(stage_name)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file as float32 tensors.

    Raises:
        WeightsError: the file is not a readable safetensors file.
    """
    try:
        return {key: tensor.float() for key, tensor in load_file(path).items()}
    except Exception as error:
        raise WeightsError(f"{path} is not a readable safetensors file ({error}); fetch or copy it again") from error


def load_backbone(name: str, layers: Sequence[str], *, device: torch.device | str = "cpu") -> Backbone:
    """Build a backbone, cut after the deepest of `layers`, with its weights loaded and frozen.

    Weights are looked up as `artgan.weights.locate` describes; nothing is downloaded here.

    Raises:
        ConfigError: unknown backbone or layer.
        WeightsError: no weights are available, or the file lacks a layer.
    """
    build = BACKBONES.load(name)
    located = weights.locate(name) if weights.has_weights(name) else None
    return build(name, tuple(layers), located).to(device)
