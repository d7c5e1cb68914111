"""The studio as front door, in a real browser: from an empty folder to a saved picture, on a desk and on a phone."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artgan.datasets.synthetic import draw_work
from artgan.metadata import read_metadata
from artgan.studio.door import Door
from artgan.studio.workspace import open_workspace
from tests.integration.studio_browser import CHROMIUM, QUIET, WAIT
from tests.integration.studio_server import studio

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
LONG = 300_000  # a guard: what is waited for is a state
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


def shoot(page, name: str) -> None:
    """Look at the page as it is: it does not scroll sideways and is not blank."""
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    pixels = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 60, name
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}-{width}.png", full_page=True)


class Tab:
    """A page of a studio, with what it complains about."""

    def __init__(self, browser, url: str, width: int) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 860})
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self.note)
        self.page.goto(url)
        self.page.locator("#door-place", has_text="All of it stays on this machine").wait_for(timeout=WAIT)

    def note(self, line) -> None:
        refused = "name=notes.txt" in line.location["url"]  # a browser also tells its console
        if line.type == "error" and not refused:
            self.complaints.append(line.text)


UNNAMED = """() => [...document.querySelectorAll("#view-door :is(button, input, select)")].filter(
  (e) => !(e.textContent || e.labels?.length || e.getAttribute("aria-label") || e.title)).map((e) => e.outerHTML)"""


def prepare_and_train(page, paintings: Path) -> None:
    assert page.locator("[role=tab]").all_inner_texts() == ["Start"]
    shoot(page, "1-empty")
    page.set_input_files("#door-folder", paintings)
    page.locator("#door-source", has_text="paintings: 14 files").wait_for(timeout=WAIT)
    assert "notes.txt" in page.inner_text("#door-refused")
    page.click("#door-run-prepare")
    page.locator("#door-works .tile").nth(13).wait_for(timeout=LONG)
    assert "too few to learn from" in page.inner_text("#door-advice")
    assert "drawn" in page.inner_text("#door-backbone")
    page.locator("#door-works .tile").nth(3).click()
    shoot(page, "2-look")
    page.click("#door-leave-out")
    page.locator("#door-facts", has_text="13 works").wait_for(timeout=WAIT)
    page.locator("#door-forecast", has_text="thousand images").wait_for(timeout=LONG)
    page.click("#door-choices button >> nth=0")
    assert page.input_value("#door-minutes") == "10"
    assert "10 minutes here" in page.inner_text("#door-forecast")
    shoot(page, "3-train")
    page.click("#door-run-train")
    page.locator(".run", has_text="starting").wait_for(timeout=WAIT)
    assert page.is_disabled("#door-run-train")
    assert page.evaluate(UNNAMED) == []


def watch_and_explore(page, saved_as: Path) -> None:
    page.locator(".run b", has_text="paintings").wait_for(timeout=WAIT)
    page.locator(".run", has_text="training").wait_for(timeout=LONG)
    page.locator(".run button", has_text="Stop and save").click()
    page.locator(".run", has_text="stopped and saved").wait_for(timeout=LONG)
    assert page.locator(".run button", has_text="Train on").is_visible()
    page.locator(".run button", has_text="Explore").wait_for(timeout=WAIT)  # the page has grown its tabs by itself
    shoot(page, "4-after")
    page.locator(".run button", has_text="Watch").click()
    page.locator("#sheet[src*='/sheets/']").wait_for(timeout=WAIT)
    shoot(page, "5-watch")
    page.click("#tab-explore")
    page.locator("#grid img").nth(31).wait_for(timeout=LONG)
    page.locator("#grid .tile").nth(5).click()
    page.locator("#name", has_text="seed 5").wait_for(timeout=WAIT)
    shoot(page, "6-explore")
    with page.expect_download() as saved:
        page.click("#export")
    saved.value.save_as(saved_as)


def test_from_an_empty_folder_to_a_saved_picture(paintings, tmp_path, no_weights):
    root = tmp_path / "work"
    first, second = Door(open_workspace(root)), Door(open_workspace(root))
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        with studio([], door=first) as server:
            desk = Tab(browser, server.url, 1280)
            assert not root.exists()
            prepare_and_train(desk.page, paintings)
            desk.page.close()
        assert second.training() == ["paintings"]  # the page and the studio are gone; the training is not
        with studio([], door=second) as server:
            phone = Tab(browser, server.url, 400)
            watch_and_explore(phone.page, tmp_path / "mine.png")
            browser.close()
    assert first.training() == []
    assert read_metadata(tmp_path / "mine.png")["point"]["seed"] == 5
    assert desk.complaints + phone.complaints == []
    assert sorted(path.name for path in root.iterdir()) == ["collections", "pictures", "runs"]
    assert len(list(paintings.rglob("*.png"))) == 14
