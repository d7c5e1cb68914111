"""Networks that style is seen through: pictures go on beyond their border, and every pixel is seen."""

from collections import OrderedDict

import pytest
import torch

from artgan.backbones import BACKBONES
from artgan.backbones.backbone import load_backbone
from artgan.backbones.timm_nets import TimmBackbone
from artgan.errors import ConfigError
from artgan.refine.networks import Replicate, _mirrored, pad_by_replication, pool_by_average, without_frame
from tests.conftest import needs_weights


def test_replication_continues_the_picture_at_its_border():
    """With zero padding the border of a constant picture shows in VGG's first features; with replication it does not."""
    backbone = load_backbone("random", ["stage1"])
    convolution = backbone.stages["stage1"][0]
    convolution.padding_mode = "zeros"
    backbone.stages["stage1"] = convolution
    images = torch.full((1, 3, 8, 8), 0.5)
    framed = backbone(images)["stage1"]
    assert framed.std((2, 3)).max() > 0.1
    assert pad_by_replication(backbone)(images)["stage1"].std((2, 3)).max() < 1e-5


@pytest.mark.parametrize("name", ["drawn", pytest.param("squeezenet1_1", marks=needs_weights("squeezenet1_1"))])
@pytest.mark.parametrize("size", [(64, 72), (65, 95)])
def test_a_surrounded_network_gives_the_features_of_the_picture_alone(name, size):
    """As many as it gives of the plain picture; of one that is flat they are flat but for what comes from far beyond it.

    Over a layer's channels together. Its loudest one alone may keep most of its border where it sees farther than the margin
    (drawn's relu4_1: 0.77 of what replication leaves).
    """
    row = BACKBONES.row(name)
    layers = [*row.style_layers, *row.content_layers]
    plain, surrounded = pad_by_replication(load_backbone(name, layers)), without_frame(load_backbone(name, layers))
    flat = torch.full((1, 3, *size), 0.3)
    for layer, features in surrounded(flat).items():
        framed = plain(flat)[layer]
        assert features.shape == framed.shape
        assert features.std((2, 3)).mean() < 0.6 * framed.std((2, 3)).mean() + 1e-5
        assert features.std((2, 3)).max() < 0.8 * framed.std((2, 3)).max() + 1e-5


def test_mirrors_are_those_of_torch_and_have_its_gradient():
    picture = torch.rand(2, 3, 9, 11, dtype=torch.float64, requires_grad=True)
    mirrored = _mirrored(_mirrored(picture, 2, 8), 3, 8)
    reference = torch.nn.functional.pad(picture, (8, 8, 8, 8), mode="reflect")
    assert torch.equal(mirrored, reference)
    slope = torch.rand_like(reference)
    (own,), (theirs,) = (torch.autograd.grad((x * slope).sum(), picture) for x in (mirrored, reference))
    assert torch.allclose(own, theirs, rtol=1e-12)
    edge = torch.nn.functional.pad(picture, (0, 0, 9, 9), mode="replicate")
    assert torch.equal(_mirrored(picture, 2, 9), edge)  # too small to be mirrored


@pytest.mark.parametrize("size", [(8, 8), (9, 8), (9, 9)])
def test_every_pixel_is_seen_by_a_strided_first_convolution(size):
    """Without a frame, 3x3 with stride 2 misses the last row and column of even sizes: they would keep the old picture."""
    backbone = load_backbone("random", ["stage1"])
    backbone.stages["stage1"] = torch.nn.Conv2d(3, 4, 3, stride=2)
    images = torch.rand(1, 3, *size, requires_grad=True)
    pad_by_replication(backbone)(images)["stage1"].square().sum().backward()
    assert images.grad.abs().amin((0, 1)).min() > 0


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
def test_models_of_timm_are_not_framed_either(name):
    timm = pytest.importorskip("timm", reason="needs the extra eval")
    model = timm.create_model(name, pretrained=False).eval()
    backbone = TimmBackbone(name, OrderedDict(model=model), ["stage1"], (0.5,) * 3, (0.5,) * 3, "")
    size = backbone(torch.zeros(1, 3, 64, 64))["stage1"].shape
    assert pad_by_replication(backbone)(torch.zeros(1, 3, 64, 64))["stage1"].shape == size
    first = next(module for module in backbone.modules() if isinstance(module, torch.nn.Sequential))
    assert isinstance(first[0], Replicate)
    assert first(torch.full((1, 3, 64, 64), 0.9)).std((2, 3)).max() < 1e-5


def test_average_pooling_needs_max_pooling_to_replace():
    with pytest.raises(ConfigError, match="random has no max pooling"):
        pool_by_average(load_backbone("random", ("stage1", "stage2")))
