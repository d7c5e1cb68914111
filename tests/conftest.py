"""Shared fixtures: small real parts, made once."""

import io
import os
import platform
import shutil
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny networks: a second thread costs more than it gives

import pytest

from artgan.datasets.collection import Collection, open_collection
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.datasets.synthetic import draw_work, write_collection_sources

WEIGHTS = os.environ.get("ARTGAN_WEIGHTS")
ROOT = Path(__file__).parent.parent


_OF_THIS_MACHINE = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "", None)


def _stay(event, arguments):
    """Refuse to look up or to reach other machines, in this process; no hook can be taken out again."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in (*_OF_THIS_MACHINE, platform.node()):
        raise OSError(f"no test leaves this machine, and this one asked for {host}")


sys.addaudithook(_stay)


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also soak runs and long repeats of tests that run without it")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--long"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if not item.get_closest_marker("long")]


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory):
    """Keep fetched weights and cached features of tests away from the user's."""
    os.environ["ARTGAN_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["ARTGAN_DATA"] = str(tmp_path_factory.mktemp("data"))
    os.environ["ARTGAN_OFFLINE"] = "1"


@pytest.fixture
def no_weights(monkeypatch):
    """A machine without pretrained weights."""
    monkeypatch.delenv("ARTGAN_WEIGHTS", raising=False)


@pytest.fixture(scope="session")
def sources(tmp_path_factory) -> Path:
    """An untidy folder of drawn works in five classes, with a copy and a broken file."""
    folder = tmp_path_factory.mktemp("sources")
    write_collection_sources(folder, works_per_class=8)
    return folder


@pytest.fixture(scope="session")
def collection_folder(sources, tmp_path_factory) -> Path:
    """The drawn works, prepared at 32 px."""
    folder = tmp_path_factory.mktemp("collections") / "drawn"
    prepare([sources], folder, Recipe(32, 32, holdout=0.1))
    return folder


@pytest.fixture(scope="session")
def collection(collection_folder) -> Collection:
    return open_collection(collection_folder)


@pytest.fixture(scope="session")
def drawn_files() -> dict[str, bytes]:
    """Twelve drawn works in two folders, as the bytes of PNG files by relative name."""
    files = {}
    for manner in ("circles", "waves"):
        for index in range(6):
            buffer = io.BytesIO()
            draw_work(manner, 0, index, side_px=64).save(buffer, "PNG")
            files[f"{manner}/{index}.png"] = buffer.getvalue()
    return files


@pytest.fixture
def own_collection(collection_folder, tmp_path) -> Path:
    """A copy of the collection that a test may damage."""
    return Path(shutil.copytree(collection_folder, tmp_path / "collection"))


def needs_weights(*names: str) -> pytest.MarkDecorator:
    """Skip, with the reason, where a pretrained network is not available."""
    from artgan import weights

    missing = [name for name in names if not WEIGHTS or weights.find(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs pretrained weights of {', '.join(missing)} in ARTGAN_WEIGHTS")


@pytest.fixture(scope="session")
def trained_model(collection, tmp_path_factory):
    """A model folder of a small generator, as training writes it, loaded."""
    import numpy as np
    import torch

    from artgan.generation.model_folder import ModelCard, load_model, save_model
    from artgan.models.fastgan_generator import Generator

    sizes = {"height_px": 32, "width_px": 32, "width": 8, "latent_dim": 16, "mapping_layers": 2, "num_classes": 5}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        generator = Generator(**sizes).eval().requires_grad_(False)
        for name, parameter in generator.named_parameters():  # every branch is to matter, and pictures are to differ
            parameter.add_((1.0 if name.startswith("mapping") else 0.06) * torch.randn_like(parameter))
    about = {"name": collection.name, "pixel_hash": collection.pixel_hash, "count": len(collection.train_rows)}
    card = ModelCard("fastgan", sizes, collection.classes, 1000, about)
    folder = tmp_path_factory.mktemp("models") / "drawn"
    save_model(folder, generator, card, np.zeros((32, 32, 3), np.uint8))
    return load_model(folder)
