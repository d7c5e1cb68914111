"""The projected discriminator on other backbones than the one it was tuned with."""

import pytest
import torch
from safetensors.torch import save_file

from artgan.backbones.backbone import load_backbone
from artgan.models.projected import Discriminator
from artgan.objectives.penalties import squared_slopes

timm = pytest.importorskip("timm", reason="needs the extra eval")
LITE, VIT = "timm/tf_efficientnet_lite0.in1k", "timm/vit_tiny_patch16_224.augreg_in21k"


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Both models with random weights, in a folder that is looked at first."""
    torch.manual_seed(0)
    for name in (LITE, VIT):
        short = name.removeprefix("timm/")
        model = timm.create_model(short.partition(".")[0], pretrained=False, num_classes=0)
        save_file({key: tensor.contiguous() for key, tensor in model.state_dict().items()}, tmp_path / f"{short}.safetensors")
    monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path))


def test_the_papers_backbone_is_tapped_where_the_paper_does(models):
    """Sauer et al. 2021, section 3.2: EfficientNet-lite0 at strides 4, 8, 16 and 32, with 24, 40, 112 and 320 channels."""
    assert Discriminator.taps(LITE) == ("stage2", "stage3", "stage4", "stage5")
    maps = load_backbone(LITE, Discriminator.taps(LITE))(torch.zeros(1, 3, 128, 128)).values()
    assert [x.shape[1] for x in maps] == [24, 40, 112, 320]
    assert [128 // x.shape[2] for x in maps] == [4, 8, 16, 32]


def test_a_transformer_is_tapped_evenly(models):
    assert Discriminator.taps(VIT) == ("stage3", "stage6", "stage9", "stage12")


@pytest.mark.parametrize("name", [LITE, VIT])
def test_slopes_on_any_backbone_can_be_penalised(models, name):
    """R1 needs the second derivative of all that the discriminator computes, attention included."""
    network = Discriminator(backbone=load_backbone(name, Discriminator.taps(name)), input_px=64, width=8, num_classes=0).eval()
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    network.calibrate(images)
    squared_slopes(lambda x: network(x, torch.zeros(2, dtype=torch.long)), images).mean().backward()
    assert sum(float(p.grad.abs().sum()) for p in network.parameters() if p.grad is not None) > 0


@pytest.mark.parametrize("name", [LITE, VIT, "random", "drawn"])
@pytest.mark.parametrize("size", [(64, 64), (64, 96)])
@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_it_judges_and_learns_on_any_backbone(models, name, size, rate):
    backbone = load_backbone(name, Discriminator.taps(name))
    network = Discriminator(backbone=backbone, input_px=128, width=8, num_classes=2, backbone_rate=rate).eval()
    images = (torch.rand(2, 3, *size) * 2 - 1).requires_grad_()
    network.calibrate(images.detach())
    logits = network(images, torch.tensor([0, 1]))
    assert logits.isfinite().all()
    logits.square().sum().backward()
    assert images.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert any("backbone" in key for key in network.state_dict()) == (rate > 0)
    assert not any("original" in key for key in network.state_dict() if "backbone" in key)
