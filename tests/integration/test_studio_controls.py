"""The studio's page: blends, bands, mixtures of models, the large picture, keys, a run that has begun; at two widths."""

import copy
import json

import numpy as np
import pytest

from artgan.generation.favourites import favourites_path
from artgan.generation.model_folder import save_model
from tests.integration.studio_browser import WAIT, Visit, keep, pytestmark  # noqa: F401
from tests.integration.studio_server import studio


@pytest.fixture(scope="module")
def server(trained_model, tmp_path_factory):
    """A studio over a model, one that was trained on from it, one whose styles do nothing, and a run that has begun."""
    place = tmp_path_factory.mktemp("begun")
    later, deaf = copy.deepcopy(trained_model.generator), copy.deepcopy(trained_model.generator)
    for parameter in later.parameters():
        parameter.mul_(1.02)
    for name, parameter in deaf.named_parameters():
        parameter.mul_(1.0 if name.startswith("mapping") else 1e-3)
    sheet = np.zeros((32, 32, 3), np.uint8)
    save_model(place / "later", later, trained_model.card, sheet)
    save_model(place / "deaf", deaf, trained_model.card, sheet)
    run = place / "young"
    run.mkdir()
    (run / "config.yaml").touch()
    status = {"format": 1, "state": "training", "images_seen": 4000, "total_images": 400_000, "updated": 4e9, "host": "another"}
    (run / "status.json").write_text(json.dumps(status | {"minutes_left": 7.2, "ends_at": 8000}))
    with studio([trained_model.folder, place / "later", place / "deaf", run]) as running:
        yield running


@pytest.mark.parametrize("width", [400, 1280])
def test_blends_mixtures_and_bands(browser, server, trained_model, width):
    favourites_path(trained_model.folder).unlink(missing_ok=True)
    visit = Visit(browser, server, width)
    page = visit.page
    keep(page, 1, 2)
    page.click("#tab-mix")
    page.locator("#blend").wait_for(timeout=WAIT)
    before = visit.shown()
    page.focus("#blend-amount")
    page.keyboard.press("ArrowRight")
    page.locator("#name", has_text="seed 1 towards 2").wait_for(timeout=WAIT)
    visit.changed(before)
    page.select_option("#mix-second", "1")
    page.select_option("#mix-from", "16")
    page.click("#mix-run")
    page.locator("#mix-said", has_text="stays in").wait_for(timeout=WAIT)
    assert "likely to fail" not in page.inner_text("#mix-said")
    page.locator("#facts", has_text="+").wait_for(state="attached", timeout=WAIT)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.select_option("#model", "2")
    page.locator("#mix-why li", has_text="so this model does not mix").wait_for(timeout=WAIT)
    assert page.locator("#mix-matrix").is_hidden()
    assert "which nobody sees" in page.inner_text("#mix-why")
    assert visit.complaints == []
    visit.context.close()


@pytest.mark.parametrize("width", [400, 1280])
def test_the_large_picture_the_keys_and_a_run_that_has_begun(browser, server, width):
    visit = Visit(browser, server, width)
    page = visit.page
    page.keyboard.press("n")
    page.locator("#name", has_text="seed 1").wait_for(timeout=WAIT)
    page.click("#enlarge")
    page.locator("#zoom[open]").wait_for()
    page.click("#large-whole")
    assert page.evaluate("document.querySelector('#large').getBoundingClientRect().width") == 32
    page.keyboard.press("+")
    page.locator("#large-value", has_text="150 %").wait_for()
    fitted = page.locator("#large-fit")
    fitted.click()
    assert page.locator("#large").bounding_box()["width"] > 200
    page.keyboard.press("n")
    page.locator("#large[alt$='seed 2']").wait_for(timeout=WAIT)
    page.keyboard.press("f")
    page.locator("#large-well:fullscreen").wait_for(timeout=WAIT)
    page.keyboard.press("f")
    page.locator("#large-well:not(:fullscreen)").wait_for(timeout=WAIT)
    page.keyboard.press("z")
    page.locator("#zoom").wait_for(state="hidden")
    page.keyboard.press("?")
    assert "next seed" in page.inner_text("#keys-list")
    page.keyboard.press("Escape")
    page.locator("#keys").wait_for(state="hidden")
    page.click("#tab-watch")
    page.locator("#run-status", has_text="about 7 minutes left").wait_for(timeout=WAIT)
    assert page.inner_text("#run-standing").startswith("Early: 4.0 thousand images")
    assert page.evaluate("document.querySelector('#run-meter').style.width") == "50%"
    for hidden in ("#run-curves", "#evaluations-title", "#sheet"):
        assert page.locator(hidden).is_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert visit.complaints == []
    visit.context.close()
