"""The wall in a real browser: what is on disk, with its recipes, page by page; two compared; at two widths."""

import shutil

import numpy as np
import pytest

from artgan.generation.point import Point
from artgan.generation.sample import picture_metadata, render
from artgan.generation.video import encode_video
from artgan.images import save_picture
from tests.integration.studio_browser import WAIT, Visit, pytestmark, until  # noqa: F401
from tests.integration.studio_server import studio


@pytest.fixture(scope="module")
def run(trained_model, tmp_path_factory):
    """A run with thirty samples, one of another model, and a film."""
    run = tmp_path_factory.mktemp("shown") / "first"
    shutil.copytree(trained_model.folder, run / "model" / "latest")
    (run / "config.yaml").touch()
    (run / "mine").mkdir()
    points = [Point(seed=seed) for seed in range(100, 130)]
    for point, pixels in zip(points, render(trained_model.space, points), strict=True):
        save_picture(run / "mine" / f"seed-{point.seed:04d}.png", pixels, picture_metadata(trained_model, point))
    foreign = picture_metadata(trained_model, Point(seed=7)) | {"model": "another", "model_hash": "f" * 64}
    save_picture(run / "mine" / "foreign.png", pixels, foreign)
    frames = [np.full((32, 32, 3), shade, np.uint8) for shade in (0, 120)]
    (run / "mine" / "walk.webp").write_bytes(encode_video(frames, "webp", 10, '{"keys": [{"seed": 1}]}'))
    return run


@pytest.fixture(scope="module")
def server(run):
    with studio([run / "model" / "latest"]) as running:
        yield running


@pytest.mark.parametrize("width", [400, 1280])
def test_the_wall(browser, server, run, width):
    shutil.rmtree(run / "made", ignore_errors=True)
    visit = Visit(browser, server, width)
    page = visit.page
    page.click("#tab-wall")
    page.locator(".wall-box").nth(23).wait_for(timeout=WAIT)
    page.locator(".wall-box").nth(23).scroll_into_view_if_needed()
    page.locator(".wall-box").nth(31).wait_for(timeout=WAIT)  # the rest comes by itself
    page.locator("#wall-more").wait_for(state="hidden", timeout=WAIT)
    with page.expect_download():
        page.click("#export")
    page.locator(".wall-box:first-child b", has_text="seed 0").wait_for(timeout=WAIT)  # at once, at the front
    assert (run / "made" / "seed-0000.png").is_file()
    assert page.locator(".wall-box").count() == 33
    page.click("[aria-label='Open seed 105']")
    page.locator("#name", has_text="seed 105").wait_for(timeout=WAIT)
    page.click("[aria-label='Open seed 7']")
    page.locator("#messages .bad", has_text="that picture is of another (ffffffffffff)").wait_for(timeout=WAIT)
    page.click(".wall-box:has([aria-label='Open seed 105']) summary")
    assert '"seed": 105' in page.inner_text("[aria-label='Recipe of seed 105']")
    page.click("[aria-label='Compare seed 105']")
    page.click("[aria-label='Compare seed 110']")
    page.locator("#two[open]").wait_for(timeout=WAIT)
    assert page.inner_text("#compare-title-a") + page.inner_text("#compare-title-b") == "seed 105seed 110"
    beside = visit.shown("#compare-well")
    page.click("#compare-wipe")
    half = visit.changed(beside, "#compare-well")
    page.focus("#compare-line")
    page.keyboard.press("Home")
    visit.changed(half, "#compare-well")
    page.keyboard.press("Escape")
    page.locator("#two").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.ariaLabel") == "Compare seed 110"  # the focus is back where it was
    page.select_option("#wall-kind", "film")
    assert page.locator(".wall-box:visible").count() == 1
    page.click("[aria-label='Show walk.webp large']")
    until(page, "document.querySelector('#wall-large').naturalWidth === 32")
    page.keyboard.press("Escape")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    visit.context.close()
    assert visit.complaints == []
