"""Models of timm as backbones: the right numbers, no hidden download, clear errors."""

import hashlib
import http.server
import sys
import threading

import pytest
import torch
from safetensors.torch import save_file

from artgan import fetching, weights
from artgan.backbones.backbone import load_backbone
from artgan.errors import ConfigError, WeightsError
from artgan.storage import file_sha256

timm = pytest.importorskip("timm", reason="needs the extra eval")
RESNET, DINO = "timm/resnet18.a1_in1k", "timm/vit_small_patch14_dinov2.lvd142m"


@pytest.fixture
def weights_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path))
    return tmp_path


@pytest.fixture
def resnet(weights_folder):
    """Torchvision's ResNet-18 with random weights: timm's has the same graph and names, written apart."""
    from torchvision import models

    torch.manual_seed(0)
    peer = models.resnet18(weights=None).eval()
    for module in peer.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    save_file(peer.state_dict(), weights_folder / "resnet18.a1_in1k.safetensors")
    return peer


@torch.inference_mode()
def test_stages_and_pool_equal_those_of_torchvision(resnet, weights_folder):
    backbone = load_backbone(RESNET, ["stage2", "pool"])
    images = torch.rand(2, 3, 96, 64) * 2 - 1
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    seen = ((images + 1) / 2 - mean) / std
    first = resnet.layer1(resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(seen)))))
    pooled = resnet.avgpool(resnet.layer4(resnet.layer3(resnet.layer2(first))))
    features = backbone(images)
    assert list(features) == ["stage2", "pool"]
    torch.testing.assert_close(features["stage2"], first, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(features["pool"], pooled, rtol=1e-5, atol=1e-5)
    assert backbone.weights_sha256 == file_sha256(weights_folder / "resnet18.a1_in1k.safetensors")
    assert backbone.side_px == 224
    only_stage = load_backbone(RESNET, ["stage2"])(images)
    assert torch.equal(only_stage["stage2"], features["stage2"])


def test_gradients_reach_the_images_and_nothing_can_learn(resnet):
    backbone = load_backbone(RESNET, ["stage1", "stage3"])
    images = torch.rand(1, 3, 64, 64, requires_grad=True)
    sum(features.sum() for features in backbone(images).values()).backward()
    assert images.grad.abs().sum() > 0
    assert list(backbone.parameters()) == []
    assert backbone.state_dict() == {}


@torch.inference_mode()
def test_dinov2_gives_its_class_token_at_any_size(weights_folder):
    """At 518 px, where nothing is resampled, as timm's own way to the normalised class token; elsewhere finite."""
    torch.manual_seed(0)
    peer = timm.create_model(DINO.removeprefix("timm/"), pretrained=False, num_classes=0).eval()
    save_file(
        peer.state_dict() | {"head.weight": torch.zeros(3)}, weights_folder / "vit_small_patch14_dinov2.lvd142m.safetensors"
    )
    backbone = load_backbone(DINO, ["pool", "stage12"])
    assert backbone.side_px == 224
    images = torch.rand(1, 3, 518, 518) * 2 - 1
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    token = peer.forward_features(((images + 1) / 2 - mean) / std)[:, 0]
    torch.testing.assert_close(backbone(images)["pool"][..., 0, 0], token, rtol=1e-4, atol=1e-4)
    small = backbone(torch.rand(2, 3, 224, 224))
    assert small["pool"].shape == (2, 384, 1, 1)
    assert small["stage12"].shape == (2, 384, 16, 16)
    assert backbone(torch.rand(1, 3, 100, 60))["pool"].isfinite().all()


def test_a_model_of_one_size_says_so(weights_folder):
    name = "swin_tiny_patch4_window7_224"
    save_file(timm.create_model(name, pretrained=False).state_dict(), weights_folder / f"{name}.ms_in1k.safetensors")
    backbone = load_backbone(f"timm/{name}", ["pool"])
    assert backbone.side_px == 224
    with pytest.raises(ConfigError, match=r"timm/swin_tiny_patch4_window7_224 takes pictures of 224 px only, got 64x64"):
        backbone(torch.zeros(1, 3, 64, 64))


def test_what_cannot_be_a_backbone_is_one_clear_line(resnet, weights_folder):
    with pytest.raises(ConfigError, match=r"no layer 'stage9' \(did you mean 'stage.'\?\); it has stage1, .*, pool"):
        load_backbone(RESNET, ["stage9"])
    with pytest.raises(ConfigError, match=r"no layer ''; it has stage1"):
        load_backbone(RESNET, [])
    with pytest.raises(WeightsError, match=r"no weights for timm/resnet34.a1_in1k .* Run: artgan weights fetch timm/resnet34"):
        load_backbone("timm/resnet34.a1_in1k", ["pool"])
    (weights_folder / "resnet34.a1_in1k.safetensors").write_bytes(
        (weights_folder / "resnet18.a1_in1k.safetensors").read_bytes()
    )
    with pytest.raises(WeightsError, match=r"resnet34.a1_in1k.safetensors lacks 'layer1.2"):
        load_backbone("timm/resnet34.a1_in1k", ["pool"])
    (weights_folder / "nonsense.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"timm has no model 'nonsense'"):
        load_backbone("timm/nonsense", ["pool"])
    (weights_folder / "resnet18.x.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"timm's resnet18 has no weights 'x'; it has a1_in1k, "):
        load_backbone("timm/resnet18.x", ["pool"])


@pytest.mark.parametrize("name", ["timm/hf-hub:someone/model", "timm/../../etc/passwd", "timm/local-dir:x"])
def test_a_name_never_reads_a_folder_or_asks_a_server(name, weights_folder):
    with pytest.raises(WeightsError, match=r"no weights for|cannot be the name of a model|timm has no model"):
        load_backbone(name, ["pool"])
    with pytest.raises(WeightsError, match=r"timm has no model"):
        fetching.fetch(name)


def test_without_timm_the_extra_is_named(resnet, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(WeightsError, match=r"pip install 'artgan\[eval\]'"):
        load_backbone(RESNET, ["pool"])


class Hub(http.server.BaseHTTPRequestHandler):
    content, pointer = b"", b""

    def do_GET(self):
        body = self.pointer if "/raw/" in self.path else self.content
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(resnet, weights_folder, tmp_path, monkeypatch):
    Hub.content = (weights_folder / "resnet18.a1_in1k.safetensors").read_bytes()
    digest = hashlib.sha256(Hub.content).hexdigest()
    Hub.pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(Hub.content)}\n".encode()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setattr(weights, "HUB", f"http://127.0.0.1:{running.server_port}")
        monkeypatch.setenv("ARTGAN_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("ARTGAN_WEIGHTS")
        monkeypatch.setenv("ARTGAN_OFFLINE", "0")
        yield digest
        running.shutdown()


def test_a_fetched_model_is_checked_against_what_its_publisher_states(hub):
    path = fetching.fetch(RESNET)
    assert path.name == "resnet18.a1_in1k.safetensors"
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    assert load_backbone(RESNET, ["pool"]).weights_sha256 == hub
    path.unlink()
    Hub.content = Hub.content[:-1] + b"x"
    with pytest.raises(WeightsError, match=r"it was deleted"):
        fetching.fetch(RESNET)
    Hub.pointer = b"<html>moved</html>"
    with pytest.raises(WeightsError, match=r"states no sha256"):
        fetching.fetch(RESNET)
    assert not list(path.parent.iterdir())
