"""Parts that several integration tests share."""

import shutil
from pathlib import Path

import pytest

from artgan.datasets.synthetic import draw_work
from tests.integration.test_cli import SET, artgan


@pytest.fixture(scope="session")
def trained(collection_folder, tmp_path_factory) -> Path:
    """A run of a few steps."""
    run = tmp_path_factory.mktemp("runs") / "first"
    assert artgan("train", "--collection", collection_folder, "--run", run, *SET, "--quiet") == 0
    return run


@pytest.fixture
def own_run(trained, tmp_path) -> Path:
    """A copy of the run that a test may damage."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def style(tmp_path) -> Path:
    draw_work("waves", 5, 5, side_px=64).save(tmp_path / "style.png")
    return tmp_path / "style.png"


@pytest.fixture(scope="module")
def browser():
    """A real browser, for the tests of a module."""
    from tests.integration.studio_browser import CHROMIUM, open_browser

    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with open_browser() as opened:
        yield opened
