"""The studio as front door, in a real browser: from an empty folder to a saved picture, on a desk and on a phone."""

import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from artgan.datasets.synthetic import draw_work
from artgan.metadata import read_metadata
from artgan.studio.door import Door
from artgan.studio.serve import open_server
from artgan.studio.session import Session
from artgan.studio.workspace import open_workspace
from tests.integration.test_studio_page import CHROMIUM, QUIET, WAIT

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
LONG = 120_000
SHOTS = os.environ.get("ARTGAN_SHOTS")


@pytest.fixture(scope="module")
def paintings(tmp_path_factory) -> Path:
    """A folder of drawn works and a text file."""
    folder = tmp_path_factory.mktemp("mine") / "paintings"
    for manner in ("circles", "waves"):
        for index in range(7):
            (folder / manner).mkdir(parents=True, exist_ok=True)
            draw_work(manner, 0, index, side_px=72).save(folder / manner / f"{index}.png")
    (folder / "notes.txt").write_text("mine")
    return folder


class Studio:
    """A studio on a workspace, in a thread."""

    def __init__(self, root: Path) -> None:
        self.door = Door(open_workspace(root))
        self.server = open_server(Session([], torch.device("cpu"), self.door), 0)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.server.should_exit = True
        self.thread.join(20)


def shoot(page, name: str) -> None:
    """Look at the page as it is: it does not scroll sideways and is not blank."""
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    pixels = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 60, name
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}-{width}.png", full_page=True)


def test_from_an_empty_folder_to_a_saved_picture(paintings, tmp_path):
    studio = Studio(tmp_path / "work")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(studio.server.url)
        page.locator("#door-place", has_text="work").wait_for(timeout=WAIT)
        assert page.locator("[role=tab]").all_inner_texts() == ["Start"]
        assert not (tmp_path / "work").exists()
        shoot(page, "1-empty")
        page.set_input_files("#door-folder", paintings)
        page.locator("#door-source", has_text="paintings: 14 files").wait_for(timeout=WAIT)
        assert "notes.txt" in page.inner_text("#door-refused")
        page.select_option("#door-size", "64")
        page.click("#door-run-prepare")
        page.locator("#door-works .tile").nth(13).wait_for(timeout=LONG)
        assert "too few to learn from" in page.inner_text("#door-advice")
        assert "drawn" in page.inner_text("#door-backbone")
        page.locator("#door-works .tile").nth(3).click()
        shoot(page, "2-look")
        page.click("#door-leave-out")
        page.locator("#door-facts", has_text="13 works").wait_for(timeout=WAIT)
        page.locator("#door-forecast", has_text="thousand images").wait_for(timeout=LONG)
        page.fill("#door-minutes", "0.05")
        assert "each work some" in page.inner_text("#door-forecast")
        shoot(page, "3-train")
        page.click("#door-run-train")
        page.locator(".run", has_text="starting").wait_for(timeout=WAIT)
        page.close()
        studio.close()  # the page and the studio are gone; the training is not
        assert studio.door.training() == ["paintings"]
        again = Studio(tmp_path / "work")
        page = browser.new_page(viewport={"width": 400, "height": 800})
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(again.server.url)
        page.locator(".run", has_text="the minutes are over").wait_for(timeout=LONG)
        shoot(page, "4-after")
        page.click("#tab-watch")
        page.locator("#sheet[src*='/sheets/']").wait_for(timeout=WAIT)
        shoot(page, "5-watch")
        page.click("#tab-explore")
        page.locator("#grid img").nth(31).wait_for(timeout=LONG)
        page.locator("#grid .tile").nth(5).click()
        page.locator("#name", has_text="seed 5").wait_for(timeout=WAIT)
        with page.expect_download() as saved:
            page.click("#export")
        saved.value.save_as(tmp_path / "mine.png")
        shoot(page, "6-explore")
        browser.close()
        again.close()
    assert studio.door.training() == []
    assert read_metadata(tmp_path / "mine.png")["point"]["seed"] == 5
    assert complaints == []
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["collections", "pictures", "runs"]
    assert len(list(paintings.rglob("*.png"))) == 14
