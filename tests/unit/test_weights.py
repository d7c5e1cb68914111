"""Fetching weights from a real server on this machine: verified, resumed, cut, refused."""

import hashlib
import http.server
import threading
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file

from artgan import fetching, weights
from artgan.backbones.backbone import load_backbone
from artgan.backbones.inception import fold_batch_norm
from artgan.errors import ConfigError, WeightsError


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one file, with ranges; `cut` ends the connection half-way once."""

    content = b""
    cut = False
    ranges: ClassVar[list] = []

    def do_GET(self):
        asked = self.headers.get("Range")
        type(self).ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if start >= len(self.content) > 0:
            self.send_error(416)
            return
        body = self.content[start:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.cut:
            type(self).cut = False
            self.wfile.write(body[: len(body) // 2])
            return
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server with an official file of SqueezeNet's names, registered in the table under its sha256."""
    state = {
        "features.0.weight": torch.randn(64, 3, 3, 3),
        "features.0.bias": torch.randn(64),
        "classifier.weight": torch.randn(3),
    }
    torch.save(state, tmp_path / "official.pth")
    Handler.content, Handler.cut, Handler.ranges = (tmp_path / "official.pth").read_bytes(), False, []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        entry = replace(
            weights.WEIGHTS["squeezenet1_1"],
            url=f"http://127.0.0.1:{running.server_port}/official.pth",
            sha256=hashlib.sha256(Handler.content).hexdigest(),
        )
        monkeypatch.setitem(weights.WEIGHTS, "squeezenet1_1", entry)
        monkeypatch.setenv("ARTGAN_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("ARTGAN_WEIGHTS", raising=False)
        monkeypatch.setenv("ARTGAN_OFFLINE", "0")
        yield state
        running.shutdown()


def test_a_fetched_file_is_verified_cut_and_found(server):
    assert weights.find("squeezenet1_1") is None
    events = []
    path = fetching.fetch("squeezenet1_1", events.append)
    assert weights.find("squeezenet1_1") == path
    kept = load_file(path)
    assert set(kept) == {"features.0.weight", "features.0.bias"}
    assert torch.equal(kept["features.0.bias"], server["features.0.bias"])
    assert events[-1].done == events[-1].total == len(Handler.content)
    assert [item.name for item in path.parent.iterdir()] == ["squeezenet1_1.safetensors"]
    assert "squeezenet1_1" in weights.verify("squeezenet1_1")
    backbone = load_backbone("squeezenet1_1", ["relu1"])
    assert torch.equal(backbone.stages["conv1"].weight, server["features.0.weight"])


def test_a_broken_connection_is_resumed(server):
    Handler.cut = True
    with pytest.raises(WeightsError, match=r"broke off at \d+ of \d+ bytes of squeezenet1_1; run the same command again"):
        fetching.fetch("squeezenet1_1")
    assert fetching.fetch("squeezenet1_1").is_file()
    assert Handler.ranges == [None, f"bytes={len(Handler.content) // 2}-"]


def test_a_file_of_another_hash_is_deleted_and_never_read(server, monkeypatch):
    Handler.content = Handler.content[:-1] + b"x"
    read = []
    monkeypatch.setattr(torch, "load", lambda *_, **__: read.append(1))
    with pytest.raises(WeightsError, match=r"has sha256 .* it was deleted"):
        fetching.fetch("squeezenet1_1")
    assert not read
    assert not list((weights.cache_dir() / "weights").iterdir())


def test_an_unreachable_server_is_one_clear_line(server, monkeypatch):
    entry = replace(weights.WEIGHTS["squeezenet1_1"], url="http://127.0.0.1:9/none")
    monkeypatch.setitem(weights.WEIGHTS, "squeezenet1_1", entry)
    with pytest.raises(WeightsError, match=r"cannot fetch squeezenet1_1 from .*--weights-dir"):
        fetching.fetch("squeezenet1_1")


def test_offline_forbids_downloads(server, monkeypatch):
    monkeypatch.setenv("ARTGAN_OFFLINE", "1")
    with pytest.raises(WeightsError, match="offline mode forbids downloads"):
        fetching.fetch("squeezenet1_1")
    assert Handler.ranges == []


def test_the_users_folder_comes_before_the_cache(server, tmp_path, monkeypatch):
    fetching.fetch("squeezenet1_1")
    save_file({"features.0.bias": torch.zeros(64)}, tmp_path / "squeezenet1_1.mine.safetensors")
    monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path))
    assert weights.locate("squeezenet1_1").path.name == "squeezenet1_1.mine.safetensors"


def test_verify_finds_what_is_not_finite(tmp_path, monkeypatch):
    save_file({"features.0.bias": torch.tensor([1.0, float("nan")])}, tmp_path / "vgg19.safetensors")
    monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"tensor 'features.0.bias' holds values that are not finite"):
        weights.verify("vgg19")


def test_every_entry_is_complete():
    for name, entry in weights.WEIGHTS.items():
        assert len(entry.sha256) == 64, name
        if entry.url is None:
            continue  # it ships: the next test
        assert entry.url.startswith("https://"), name
        assert entry.url.rsplit("-", 1)[-1].removesuffix(".pth") == entry.sha256[:8], name
        assert entry.license, name


SHIPPED = weights._SHIPPED_FOLDER / "drawn.safetensors"


def test_what_ships_is_whole_and_small(no_weights):
    located = weights.locate("drawn")
    assert located.path == SHIPPED
    assert located.path.stat().st_size <= 3_000_000
    assert located.sha256 == weights.WEIGHTS["drawn"].sha256
    assert all(tensor.dtype == torch.float16 for tensor in load_file(located.path).values())
    assert "drawn" in weights.verify("drawn")
    assert fetching.fetch("drawn") == SHIPPED  # nothing to download, not even offline


@pytest.mark.parametrize(
    ("content", "words"), [(None, "is missing from this installation of artgan"), (b"half a file", "is damaged: its sha256 is")]
)
def test_what_ships_missing_or_damaged_is_one_clear_line(content, words, tmp_path, monkeypatch, no_weights):
    monkeypatch.setattr(weights, "_SHIPPED_FOLDER", tmp_path)
    if content is not None:
        (tmp_path / "drawn.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=rf"{tmp_path}/drawn.safetensors {words}.*pip install --force-reinstall") as raised:
        load_backbone("drawn", ["relu1_1"])
    assert "\n" not in str(raised.value)


def test_the_users_own_weights_come_before_what_ships(tmp_path, monkeypatch):
    save_file({"relu1_1.0.weight": torch.zeros(16, 3, 3, 3), "relu1_1.0.bias": torch.ones(16)}, tmp_path / "drawn.safetensors")
    monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path))
    assert (load_backbone("drawn", ["relu1_1"])(torch.zeros(1, 3, 8, 8))["relu1_1"] == 1).all()
    with pytest.raises(WeightsError, match=r"layer relu2_1 of drawn: .* lacks 'relu2_1.0.weight'"):
        load_backbone("drawn", ["relu2_1"])


def test_a_layer_that_drawn_has_not_is_refused_with_the_list():
    with pytest.raises(
        ConfigError, match=r"backbone 'drawn' has no layer 'relu4_3' \(did you mean 'relu4_\d'\?\); it has relu1_1, pool1"
    ):
        load_backbone("drawn", ["relu4_3"])


def test_the_first_that_is_found(tmp_path, monkeypatch, no_weights):
    assert weights.first_found(("vgg19", "squeezenet1_1", "drawn")) == "drawn"
    (tmp_path / "squeezenet1_1.safetensors").write_bytes(b"")
    monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path))
    assert weights.first_found(("vgg19", "squeezenet1_1", "drawn")) == "squeezenet1_1"


def test_folding_batch_norm_keeps_the_function():
    convolution, norm = torch.nn.Conv2d(3, 5, 3, bias=False), torch.nn.BatchNorm2d(5, eps=1e-3)
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        tensor.data.normal_()
    norm.running_var.uniform_(0.5, 2)
    state = {f"X.conv.{key}": value for key, value in convolution.state_dict().items()}
    state |= {f"X.bn.{key}": value for key, value in norm.state_dict().items()}
    folded = fold_batch_norm(state)
    images = torch.randn(2, 3, 8, 8)
    ours = torch.nn.functional.conv2d(images, folded["X.weight"], folded["X.bias"])
    assert torch.allclose(ours, norm.eval()(convolution(images)), atol=1e-5)
    assert set(fold_batch_norm({"Y.weight": torch.ones(1)})) == {"Y.weight"}


@pytest.mark.parametrize("layers", [[], ["stage9"]])
def test_layers_that_do_not_exist_are_refused_with_the_list(layers):
    with pytest.raises(ConfigError, match=r"it has stage1, stage2, stage3, stage4, stage5"):
        load_backbone("random", layers)


def test_random_features_are_the_same_on_every_machine_and_named_so():
    """The first filters come from a fixed stream of raw Philox words, so their sum is a constant of the design."""
    backbone = load_backbone("random", ["stage1", "stage5"])
    again = load_backbone("random", ["stage5"])
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    assert torch.equal(backbone(images)["stage5"], again(images)["stage5"])
    assert backbone.name == "random"
    assert {name: tuple(value.shape[1:]) for name, value in backbone(images).items()} == {
        "stage1": (32, 64, 64),
        "stage5": (512, 4, 4),
    }


def test_a_backbone_cannot_learn_and_is_not_saved():
    backbone = load_backbone("random", ["stage2"])
    assert list(backbone.parameters()) == []
    assert backbone.state_dict() == {}
    images = torch.rand(1, 3, 16, 16, requires_grad=True)
    backbone(images)["stage2"].sum().backward()
    assert images.grad.abs().sum() > 0


def test_the_users_home_is_the_last_place(monkeypatch):
    monkeypatch.delenv("ARTGAN_CACHE")
    assert weights.cache_dir() == Path.home() / ".cache" / "artgan"
