"""FastGAN's discriminator: self-supervised by reconstruction, in need of no pretrained weights.

Liu et al. 2021, "Towards faster and stabilized GAN training for high-fidelity few-shot image synthesis" (2101.04775),
section 3.2. Departures: layer norm in place of batch norm, so that an image's logits do not depend on its neighbours;
reconstruction by mean squared error instead of LPIPS, which would need weights; as many stages as the
resolution asks for; the decoded quadrant goes by the place in the batch, so that no draw is needed.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artgan.models.contract import DiscriminatorNetwork, Features
from artgan.models.layers import LEAKY_SLOPE, LogitConv, spectral_conv

_LAST_PX = 8
_PART_PX = 16
_STEM_MAX_PX = 256
_DECODED_MAX_PX = 128
_GATE_SPAN = 3
# Feature channels at each side length, as multiples of `width` (the paper's ndf).
_CHANNELS = {8: 16, 16: 8, 32: 4, 64: 2, 128: 1, 256: 0.5}


def _block(channels_in: int, channels_out: int, kernel: int, stride: int = 1, padding: int = 0) -> list[nn.Module]:
    """Return a convolution under spectral norm, layer norm (without it, signals fade from layer to layer), leaky ReLU."""
    convolution = spectral_conv(channels_in, channels_out, kernel, stride, padding)
    return [convolution, nn.GroupNorm(1, channels_out), nn.LeakyReLU(LEAKY_SLOPE)]


def _from_rgb(channels: int) -> nn.Sequential:
    return nn.Sequential(spectral_conv(3, channels, 3, 1, 1), nn.LeakyReLU(LEAKY_SLOPE))


class Down(nn.Module):
    """Halve the side: the mean of a convolved and a pooled path."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.main = nn.Sequential(*_block(channels_in, channels_out, 4, 2, 1), *_block(channels_out, channels_out, 3, 1, 1))
        self.direct = nn.Sequential(nn.AvgPool2d(2), *_block(channels_in, channels_out, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (self.main(x) + self.direct(x)) / 2


class Gate(nn.Module):
    """Skip-layer excitation: the channels of a small map are gated by a large one (paper, eq. 1)."""

    def __init__(self, channels_large: int, channels_small: int) -> None:
        super().__init__()
        self.squeeze = spectral_conv(channels_large, channels_small, 4)
        self.excite = spectral_conv(channels_small, channels_small, 1)

    def forward(self, large: Tensor, small: Tensor) -> Tensor:
        return small * self.excite(F.silu(self.squeeze(F.adaptive_avg_pool2d(large, 4)))).sigmoid()


class Decoder(nn.Module):
    """Rebuild an image from an 8 px map, by nearest upsampling and gated convolutions; tanh at the end."""

    def __init__(self, channels: int, width: int, side_px: int) -> None:
        super().__init__()
        widths = [channels, 2 * width, width, width, width // 2]
        doublings = (side_px // _LAST_PX).bit_length() - 1
        self.stages = nn.ModuleList(nn.Conv2d(widths[i], 2 * widths[i + 1], 3, padding=1) for i in range(doublings))
        self.to_rgb = nn.Conv2d(widths[doublings], 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            x = F.glu(stage(F.interpolate(x, scale_factor=2, mode="nearest")), dim=1)
        return torch.tanh(self.to_rgb(x))


class Discriminator(DiscriminatorNetwork):
    """Logits of two branches (the image, and the image at half its size), and decoders that keep the features honest.

    Layers are named by the side of what they take in, in pixels of a square: so they mean the same at every resolution, and a
    model for one can start from a model for another.

    Args:
        height_px, width_px: of the images.
        width: feature channels at 128 px; the paper's is 64.
        num_classes: 0 for unconditional.
    """

    batch_multiple = 4  # quadrants go by the place in the batch

    def __init__(self, *, height_px: int, width_px: int, width: int, num_classes: int) -> None:
        super().__init__()
        side = 1 << (min(height_px, width_px).bit_length() - 1)  # a rectangle counts as the square that fits into it
        stem_px = min(side, _STEM_MAX_PX)
        channels = {px: max(8, int(factor * width)) for px, factor in _CHANNELS.items()}
        stem: OrderedDict[str, nn.Module] = OrderedDict(from_rgb=_from_rgb(channels[stem_px]))
        while side > stem_px:
            stem[str(side)] = nn.Sequential(*_block(channels[stem_px], channels[stem_px], 4, 2, 1))
            side //= 2
        self.stem = nn.Sequential(stem)
        sides = [stem_px >> level for level in range((stem_px // _LAST_PX).bit_length())]  # stem_px .. 8
        self.downs = nn.ModuleDict({str(a): Down(channels[a], channels[b]) for a, b in pairwise(sides)})
        gated = zip(sides, sides[_GATE_SPAN:], strict=False)
        self.gates = nn.ModuleDict({str(large): Gate(channels[large], channels[small]) for large, small in gated})
        self.part_level = sides.index(_PART_PX)
        last = channels[_LAST_PX]
        self.head = nn.Sequential(*_block(last, last, 1))
        self.logit = LogitConv(last, 4, num_classes)
        small_sides = sides[1:]
        small: OrderedDict[str, nn.Module] = OrderedDict(from_rgb=_from_rgb(channels[small_sides[0]]))
        for a, b in pairwise(small_sides):
            small[str(a)] = nn.Sequential(*_block(channels[a], channels[b], 4, 2, 1))
        self.small_factor = (1 << (min(height_px, width_px).bit_length() - 1)) // small_sides[0]
        self.small = nn.Sequential(small)
        self.small_logit = LogitConv(last, 4, num_classes)
        self.decoded_px = min(stem_px, _DECODED_MAX_PX)
        self.decode_whole = Decoder(last, width, self.decoded_px)
        self.decode_small = Decoder(last, width, self.decoded_px)
        self.decode_part = Decoder(channels[_PART_PX], width, self.decoded_px)

    def features(self, images: Tensor) -> Features:
        """Map images `[N, 3, H, W]` to the 16 px map, the last map, and the small branch's last map."""
        maps = [self.stem(images)]
        for level, (side, down) in enumerate(self.downs.items(), start=1):
            x = down(maps[-1])
            large = str(int(side) << (_GATE_SPAN - 1))
            if large in self.gates:
                x = self.gates[large](maps[level - _GATE_SPAN], x)
            maps.append(x)
        half = F.avg_pool2d(images, self.small_factor)
        return maps[self.part_level], maps[-1], self.small(half)

    def logits(self, features: Features, labels: Tensor | None = None) -> Tensor:
        """Map features to logits `[N, K]` of both branches."""
        _, last, small = features
        return torch.cat([self.logit(self.head(last), labels), self.small_logit(small, labels)], 1)

    def stages(self) -> Sequence[nn.Module]:
        return [self.stem, *self.downs.values()]

    def auxiliary_loss(self, features: Features, images: Tensor) -> Tensor:
        """Return how badly the decoders rebuild `images`: whole, from the small branch, and one quadrant of each."""
        part_map, last, small = features
        whole = F.adaptive_avg_pool2d(images, self.decoded_px)
        quadrants = torch.arange(len(images), device=images.device) % 4
        part = F.adaptive_avg_pool2d(_quadrant(images, quadrants), self.decoded_px)
        rebuilt = [
            (self.decode_whole(F.adaptive_avg_pool2d(last, _LAST_PX)), whole),
            (self.decode_small(F.adaptive_avg_pool2d(small, _LAST_PX)), whole),
            (self.decode_part(F.adaptive_avg_pool2d(_quadrant(part_map, quadrants), _LAST_PX)), part),
        ]
        return torch.stack([F.mse_loss(ours.float(), target.float()) for ours, target in rebuilt]).sum()


def _quadrant(x: Tensor, which: Tensor) -> Tensor:
    """Cut one quadrant out of each `[N, C, H, W]`: 0 and 1 above, 2 and 3 below."""
    count, channels, height, width = x.shape
    blocks = x[:, :, : height // 2 * 2, : width // 2 * 2].reshape(count, channels, 2, height // 2, 2, width // 2)
    blocks = blocks.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)  # [N, 4, C, H/2, W/2]
    return blocks[torch.arange(count, device=x.device), which]
