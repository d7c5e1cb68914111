"""Our Inception against the graphs of torch-fidelity and pytorch-fid, with one random state dict: no weights, no network."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from artgan.backbones import backbone as backbone_module
from artgan.backbones.backbone import load_backbone
from artgan.datasets.collection import Collection
from artgan.evaluation.judge import Judge
from artgan.evaluation.resize import resize
from artgan.images import to_float

fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", reason="needs torch-fidelity")
interpolation = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow")
LAYERS = ("64", "192", "768", "2048")


def random_state() -> dict[str, torch.Tensor]:
    """A state dict with torch-fidelity's names, scaled so that signals keep their size to the last layer."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in _empty_peer().state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    state = {}
    for key, shape in shapes.items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.zeros(shape, dtype=torch.long)
        elif key.endswith("running_var") or key.endswith("bn.weight"):
            state[key] = torch.rand(shape, generator=generator) + 0.5
        else:
            fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 10
            state[key] = torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
    return state


def _empty_peer() -> torch.nn.Module:
    """torch-fidelity's class reads a file in its constructor; here it gets none and is filled after."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(torch.nn.Module, "load_state_dict", lambda *_, **__: None)
        return fidelity.FeatureExtractorInceptionV3("peer", list(LAYERS))


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    """torch-fidelity's network; its weights also lie in a folder as ours look for them."""
    folder = tmp_path_factory.mktemp("weights")
    network, state = _empty_peer(), random_state()
    network.load_state_dict(state)
    save_file(state, folder / "inception_fid_2015.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTGAN_WEIGHTS", str(folder))
        yield network


def pictures(side: int = 299, count: int = 2) -> torch.Tensor:
    """uint8 `[N, H, W, 3]` with structure at several scales."""
    rng = np.random.default_rng(side)
    small = [Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).resize((side, side), 3) for _ in range(count)]
    noise = rng.integers(-20, 21, (count, side, side, 3))
    return torch.from_numpy((np.stack([np.asarray(image) for image in small]) + noise).clip(0, 255).astype(np.uint8))


@torch.inference_mode()
def check_graph_parity(peer) -> None:
    ours = load_backbone("inception_fid_2015", LAYERS)
    images = pictures()
    wanted = dict(zip(LAYERS, peer(images.permute(0, 3, 1, 2)), strict=True))
    features = ours(to_float(images))
    for layer in LAYERS:
        actual = features[layer].mean((2, 3))
        error = (actual - wanted[layer]).abs().max() / wanted[layer].abs().max()
        assert error < 1e-5, f"layer {layer}: relative error {error:.1e}"


def test_features_equal_torch_fidelitys_to_1e_5(peer):
    check_graph_parity(peer)


@torch.inference_mode()
def test_legacy_torch_equals_pytorch_fid(peer):
    """Resize and normalisation as in pytorch-fid: 2 x / 255 - 1 after bilinear interpolation without antialiasing."""
    module = pytest.importorskip("pytorch_fid.inception", reason="needs pytorch-fid (extra bench)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda *_, **__: peer.state_dict())
        reference = module.InceptionV3([module.InceptionV3.BLOCK_INDEX_BY_DIM[2048]], normalize_input=True).eval()
    images = pictures(100)
    wanted = reference((images.permute(0, 3, 1, 2) / 255).float())[0][..., 0, 0]
    collection = Collection(None, "x", images.numpy(), (), np.zeros(2, int), np.arange(2), np.arange(0), "0" * 64)
    judge = Judge("inception-2048", collection, torch.device("cpu"), resize_mode="legacy-torch")
    bank = judge.extract(lambda rows: (images[row].numpy() for row in rows), 2, "x", lambda _: None)
    assert np.abs(bank[:] - wanted.numpy()).max() / wanted.abs().max() < 1e-5
    assert judge.feature_protocol.normalization == "(x - 127.5) / 127.5, x in 0..255"


@pytest.mark.parametrize(("height", "width"), [(32, 32), (299, 150), (512, 400)])
def test_legacy_tf_resize_equals_torch_fidelitys(height, width):
    images = torch.randint(0, 256, (1, height, width, 3), dtype=torch.uint8)
    raw = images.permute(0, 3, 1, 2).float()
    wanted = interpolation.interpolate_bilinear_2d_like_tensorflow1x(raw, size=(299, 299), align_corners=False)
    ours = (resize(to_float(images), 299, "legacy-tf") + 1) * 127.5
    assert (ours - wanted).abs().max() < 2e-3  # of 255: float32 at coordinates of several hundred


def test_the_three_resizes_differ():
    images = to_float(pictures(512, 1))
    results = [resize(images, 299, mode) for mode in ("clean", "legacy-torch", "legacy-tf")]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert (results[first] - results[second]).abs().max() > 0.01


def test_another_normalization_fails_the_parity_check(peer, monkeypatch):
    """Mutation: x / 127.5 - 1 in place of (x - 128) / 128."""
    init = backbone_module.Backbone.__init__

    def mutated(self, name, stages, layers, mean, std, sha256):
        init(self, name, stages, layers, (0.5,) * 3, (0.5,) * 3, sha256)

    monkeypatch.setattr(backbone_module.Backbone, "__init__", mutated)
    with pytest.raises(AssertionError, match="relative error"):
        check_graph_parity(peer)


def test_averages_that_count_the_padding_fail_the_parity_check(peer, monkeypatch):
    """Mutation: torchvision's pooling. torch-fidelity's goes by another name, so that only ours changes."""
    average = torch.nn.functional.avg_pool2d
    with torch.inference_mode():
        wanted = peer(pictures().permute(0, 3, 1, 2))[2]
        ours = load_backbone("inception_fid_2015", ("768",))
        monkeypatch.setattr(
            torch.nn.functional, "avg_pool2d", lambda x, *a, **k: average(x, *a, **(k | {"count_include_pad": True}))
        )
        mutated = ours(to_float(pictures()))["768"].mean((2, 3))
    assert (mutated - wanted).abs().max() / wanted.abs().max() > 1e-3
