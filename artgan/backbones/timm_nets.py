"""Any model of timm by its name, `timm/vit_small_patch14_dinov2.lvd142m` say: DINOv2, ConvNeXt, ResNet, EVA, ...

Layers are `stage1` .. `stageK`, the feature maps at the ends of the model's stages (of its blocks, for transformers), and
`pool`, the vector `[N, C, 1, 1]` that its classifier would read: for DINOv2 the normalised class token, as in Oquab et al.
2023 (arXiv 2304.07193). Transformers take any size here: position embeddings are resampled and borders padded to whole
patches. The model is built by timm without weights; ours are found by `artgan.weights` and must fill it entirely.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from artgan.backbones.backbone import Backbone, read_weights
from artgan.errors import ConfigError, WeightsError
from artgan.tables import nearest
from artgan.weights import FAMILY, Located, timm_config

_POOL = "pool"
# Pictures are judged at 224 px wherever the network takes it: DINOv2 was trained up to 518 px, the field judges at 224
# (Stein et al. 2023, arXiv 2306.04675).
_JUDGE_PX = 224


class TimmBackbone(Backbone):
    """A model of timm that returns its stages and its pooled features."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the features of each asked layer; see `Backbone.forward`.

        Raises:
            ConfigError: the pictures have another size than the only one that this model takes.
        """
        model: Any = self.stages["model"]
        x = ((images + 1) / 2 - self.mean) / self.std
        stages = sorted({int(layer.removeprefix("stage")) - 1 for layer in self.layers if layer != _POOL})
        try:
            if _POOL not in self.layers:
                maps = model.forward_intermediates(x, indices=stages, intermediates_only=True, stop_early=True)
                return self._named(stages, maps)
            last, maps = model.forward_intermediates(x, indices=stages or [0])
        except AssertionError as error:  # timm's own check of the size
            raise ConfigError(
                f"{self.name} takes pictures of {self.side_px} px only, got {images.shape[-1]}x{images.shape[-2]}: {error}"
            ) from error
        pooled = model.forward_head(last, pre_logits=True).flatten(1)[:, :, None, None]
        return self._named(stages, maps) | {_POOL: pooled}

    def _named(self, stages: Sequence[int], maps: Sequence[Tensor]) -> dict[str, Tensor]:
        named = {f"stage{index + 1}": features for index, features in zip(stages, maps) if f"stage{index + 1}" in self.layers}
        return {layer: named[layer] for layer in self.layers if layer in named}


def build(name: str, layers: Sequence[str], located: Located) -> Backbone:
    """Build the model `timm/NAME` for `layers`.

    Raises:
        ConfigError: no layers, or layers that the model lacks.
        WeightsError: timm is not installed or has no such model, or the file does not fill it.
    """
    config = timm_config(name)
    model = _create(name.removeprefix(FAMILY))
    known = [f"stage{index + 1}" for index in range(len(model.feature_info))] + [_POOL]
    for layer in layers or [""]:
        if layer not in known:
            raise ConfigError(f"backbone '{name}' has no layer '{layer}'{nearest(layer, known)}; it has {', '.join(known)}")
    _fill(name, model, located)
    backbone = TimmBackbone(name, OrderedDict(model=model), layers, config.mean, config.std, located.sha256)
    backbone.takes_any_size = not config.fixed_input_size or _takes_any_size(model)
    backbone.side_px = _JUDGE_PX if backbone.takes_any_size else config.input_size[-1]
    return backbone


def strides(name: str) -> dict[str, int]:
    """Return the stages of the model `timm/NAME`, from fine to coarse, each with its pixels per cell.

    Raises:
        ConfigError: the model does not give its stages.
        WeightsError: timm is not installed or has no such model.
    """
    timm_config(name)
    stages = _create(name.removeprefix(FAMILY)).feature_info
    return {f"stage{index}": int(stage["reduction"]) for index, stage in enumerate(stages, start=1)}


def _create(short: str) -> Any:
    import timm

    try:
        model = timm.create_model(short, pretrained=False, num_classes=0, dynamic_img_size=True, dynamic_img_pad=True)
    except TypeError:  # only transformers know these two
        model = timm.create_model(short, pretrained=False, num_classes=0)
    if not hasattr(model, "forward_intermediates"):
        raise ConfigError(f"timm's {short} cannot serve as a backbone: it does not give its stages; choose another model")
    return model


def _takes_any_size(model: nn.Module) -> bool:
    return bool(getattr(getattr(model, "patch_embed", None), "dynamic_img_pad", False))


def _fill(name: str, model: nn.Module, located: Located) -> None:
    """Load every tensor that the model has; the file may hold more, such as a classifier."""
    state = read_weights(located.path)
    for key, target in model.state_dict(keep_vars=True).items():
        stored = state.get(key)
        if stored is None or stored.shape != target.shape:
            problem = "lacks" if stored is None else f"has with shape {tuple(stored.shape)}, not {tuple(target.shape)},"
            raise WeightsError(
                f"{name}: {located.path} {problem} '{key}'. Give the file of this model in timm's own format, "
                f"or run: artgan weights fetch {name}"
            )
        target.data.copy_(stored)
