"""The studio's page in a real browser: every control used, nothing from elsewhere, no error, by keyboard and on a phone."""

import io
import json
import shutil
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from artgan.datasets.synthetic import draw_work
from artgan.generation.favourites import favourites_path, read_favourites
from artgan.metadata import read_metadata
from artgan.refine.recipe import load_recipe, shipped_looks
from tests.integration.studio_browser import DRAWN, WAIT, Visit, keep, pytestmark  # noqa: F401
from tests.integration.studio_server import studio
from tests.integration.test_cli import SET, artgan


@pytest.fixture(scope="module")
def run(collection_folder, tmp_path_factory) -> Path:
    """A run of a few steps, as the studio watches it."""
    folder = tmp_path_factory.mktemp("runs") / "watched"
    assert artgan("train", "--collection", collection_folder, "--run", folder, *SET, "--quiet") == 0
    return folder


@pytest.fixture(scope="module")
def server(trained_model, run):
    with studio([trained_model.folder, run]) as running:
        yield running


@pytest.fixture
def visit(browser, server, trained_model, run):
    for folder in (trained_model.folder, run):
        favourites_path(folder).unlink(missing_ok=True)
    made = Visit(browser, server)
    yield made
    foreign = [url for url in made.asked if not url.startswith("blob:") and urlsplit(url).netloc != made.host]
    made.context.close()
    assert foreign == []
    assert made.complaints == []


def test_sliders_change_the_picture_by_keyboard(visit):
    page = visit.page
    before = visit.shown()
    page.focus("#truncation")
    for _ in range(8):
        page.keyboard.press("ArrowLeft")
    low = visit.changed(before)
    assert page.inner_text("#truncation-value") == "0.60"
    page.focus("#sliders input >> nth=0")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    visit.changed(low)
    page.click("#reset")
    page.locator("#sliders .value >> nth=0").filter(has_text="0.0").wait_for()
    page.select_option("#centers", "8")
    page.select_option("#class-b", label="waves")
    moved = visit.shown()
    page.focus("#class-share")
    page.keyboard.press("End")
    visit.changed(moved)


def test_the_grid_by_keyboard_and_by_hand(visit):
    page = visit.page
    before = visit.shown()
    page.focus("#grid .tile >> nth=0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.locator("#name", has_text="seed 2").wait_for(timeout=WAIT)
    visit.changed(before)
    page.click("#more")
    page.locator("#grid img").nth(63).wait_for(timeout=WAIT)
    page.fill("#seed", "500")
    page.keyboard.press("Enter")
    page.locator("#grid .tile[aria-label='seed 531'] img").wait_for(timeout=WAIT)
    page.click("#shuffle")
    page.locator("#grid img").nth(31).wait_for(timeout=WAIT)
    assert page.input_value("#seed") != "500"


def test_what_is_saved_carries_what_makes_it(visit, trained_model, tmp_path):
    page = visit.page
    page.locator("#grid .tile").nth(7).click()
    page.locator("#name", has_text="seed 7").wait_for(timeout=WAIT)
    for image_format, suffix in (("png", ".png"), ("webp", ".webp")):
        page.select_option("#format", image_format)
        with page.expect_download() as saved:
            page.click("#export")
        path = tmp_path / saved.value.suggested_filename
        saved.value.save_as(path)
        assert path.name == f"seed-0007{suffix}"
        metadata = read_metadata(path)
        assert (metadata["point"]["seed"], metadata["model_hash"]) == (7, trained_model.sha256)
    page.select_option("#size", "1080")
    with page.expect_download() as saved:
        page.click("#export")
    with Image.open(saved.value.path()) as image:
        assert image.size == (1080, 1080)
    page.locator("#messages", has_text="1080 px along the longer side, from 32x32 px").wait_for(timeout=WAIT)
    page.select_option("#size", "")


def test_kept_pictures_stay_mix_and_move(visit):
    page = visit.page
    keep(page, 3, 8)
    page.reload()
    page.locator("#kept .tile img").nth(1).wait_for(timeout=WAIT)
    page.click("#tab-mix")
    page.locator("#matrix td img").nth(3).wait_for(timeout=WAIT)
    first = visit.shown("#matrix td:nth-of-type(2) img >> nth=0")
    page.check("input[name=band][value='2']")
    visit.changed(first, "#matrix td:nth-of-type(2) img >> nth=0")
    page.locator("#matrix td button").nth(1).click()
    page.locator("#name", has_text="with styles of").wait_for(timeout=WAIT)
    page.click("#tab-journey")
    page.fill("#steps", "4")
    page.select_option("#video-format", "webp")
    page.click("#film")
    page.locator("#film-result img").wait_for(timeout=WAIT)
    assert page.get_attribute("#film-result a", "download") == "journey.webp"
    page.locator("#kept .drop-it").first.click(force=True)
    page.locator("#kept-count", has_text="1").wait_for()
    page.click("#forget")
    page.locator("#kept-count", has_text="0").wait_for()
    page.locator("#messages button", has_text="Undo").last.click()
    page.locator("#kept .tile img").wait_for(timeout=WAIT)


@pytest.mark.parametrize("width", [400, 1280])
def test_kept_pictures_have_notes_tags_and_an_order_in_a_file(visit, browser, server, trained_model, tmp_path, width):
    page = visit.page
    keep(page, 3, 8, 5)
    path = favourites_path(trained_model.folder)
    page.set_viewport_size({"width": width, "height": 860})
    page.click("#tab-kept")
    page.fill(".kept-row .note >> nth=1", "for the wall")
    page.fill(".kept-row .tags >> nth=1", "sky, red")
    page.keyboard.press("Tab")
    page.locator("#kept-tag option", has_text="sky").wait_for(state="attached", timeout=WAIT)
    page.locator(".kept-row .tile img").nth(2).wait_for(timeout=WAIT)
    page.get_by_label("Earlier: seed 5").click()
    page.locator(".kept-row:nth-child(2) .tile[aria-label='seed 5']").wait_for(timeout=WAIT)
    (page.locator("#kept > div").nth(2)).drag_to(page.locator("#kept > div").nth(0))
    page.locator(".kept-row:nth-child(1) .tile[aria-label='seed 8']").wait_for(timeout=WAIT)
    listed = read_favourites(path)
    assert [item.point.seed for item in listed] == [8, 3, 5]
    assert (listed[0].note, listed[0].tags) == ("for the wall", ("sky", "red"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.select_option("#kept-tag", "sky")
    page.locator("#kept-count", has_text="1 of 3").wait_for()
    with page.expect_download() as saved:
        page.click("#kept-export")
    saved.value.save_as(tmp_path / "kept.zip")
    with zipfile.ZipFile(tmp_path / "kept.zip") as archive:
        assert archive.namelist() == ["kept-0001-seed-0008.png", "sheet.png", "favourites.json"]
    page.select_option("#kept-tag", "")
    page.get_by_label("Drop seed 3").last.click()
    page.locator("#kept-count", has_text="2").wait_for()
    page.locator("#messages button", has_text="Undo").last.click()
    page.locator(".kept-row:nth-child(2) .tile[aria-label='seed 3']").wait_for(timeout=WAIT)


def test_a_late_answer_takes_no_newer_change_off_the_page(visit):
    page = visit.page
    keep(page, 3)
    page.click("#tab-kept")
    page.evaluate("""() => {
      const ask = window.fetch;
      window.fetch = async (path, options) => {
        const answer = await ask(path, options);
        if (options?.body?.includes?.('"note":"first"')) {
          await new Promise((done) => setTimeout(done, 700));
          setTimeout(() => { document.body.dataset.late = "yes"; }, 200);
        }
        return answer;
      };
    }""")
    page.fill(".kept-row .note", "first")
    page.fill(".kept-row .tags", "sky")
    page.keyboard.press("Tab")
    page.locator("body[data-late]").wait_for(timeout=WAIT)
    page.locator("#kept-tag option", has_text="sky").wait_for(state="attached", timeout=WAIT)


def test_kept_pictures_are_those_of_the_model_that_is_open(visit):
    page, shown = visit.page, []
    page.evaluate("""async () => {
      for (const model of [0, 1]) {
        const { sha256 } = await (await fetch(`/api/models/${model}`)).json();
        localStorage.setItem(`kept ${sha256}`, '[{"seed": 3}]');
      }
    }""")
    page.reload()
    page.locator("#picture[src^=blob]").wait_for(timeout=WAIT)
    for model in ("0", "1", "0"):
        facts = page.inner_text("#facts")
        if shown:
            page.select_option("#model", model)
        for _ in range(WAIT // 50 if shown else 0):
            if page.inner_text("#facts") != facts:
                break
            page.wait_for_timeout(50)
        shown.append(page.locator("#kept .tile img").evaluate(DRAWN))
    assert shown[0] == shown[2] != shown[1]


def test_long_work_can_be_stopped(visit):
    page = visit.page
    keep(page, 1, 2)
    page.click("#tab-journey")
    page.fill("#steps", "240")
    page.select_option("#video-format", "webp")
    page.click("#film")
    page.locator("#film-job progress").wait_for(timeout=WAIT)
    page.locator("#film-job button").click()
    page.locator("#film-job").wait_for(state="hidden", timeout=WAIT)
    assert page.locator("#film-result img").count() == 0


def test_a_recipe_can_be_shared_and_opened(visit, server):
    page = visit.page
    page.locator("#grid .tile").nth(5).click()
    page.locator("#name", has_text="seed 5").wait_for(timeout=WAIT)
    page.focus("#sliders input >> nth=1")
    page.keyboard.press("End")
    page.click("#share")
    page.locator("#messages p").wait_for()
    recipe = json.loads(page.input_value("#recipe-text"))
    assert (recipe["seed"], recipe["moves"]) == (5, [["sefa-2", 6]])
    shared = page.url
    page.goto(server.url)
    page.goto(shared)
    page.reload()
    page.locator("#name", has_text="seed 5").wait_for(timeout=WAIT)
    assert page.input_value("#sliders input >> nth=1") == "6"
    page.click("#recipe-box summary")
    page.fill("#recipe-text", '{"seed": 77}')
    page.click("#recipe-open")
    page.locator("#name", has_text="seed 77").wait_for(timeout=WAIT)
    page.fill("#recipe-text", "nonsense")
    page.click("#recipe-open")
    page.locator("#messages .bad", has_text="that is no recipe").wait_for()


def test_refine_and_compare(visit, tmp_path):
    page = visit.page
    draw_work("waves", 5, 5, side_px=96).save(tmp_path / "style.png")
    page.click("#tab-refine")
    page.set_input_files("#style-file", tmp_path / "style.png")
    page.locator("#style-picture").wait_for(timeout=WAIT)
    page.click("#refine-controls summary")
    page.select_option("[name='look']", "soft_touch")
    assert page.input_value("[name='style.strength']") == str(load_recipe(shipped_looks()["soft_touch"]).style.strength)
    page.select_option("[name='style.backbone']", "random")
    page.fill("[name='style.iterations']", "3")
    page.fill("[name='output.size_px']", "64")
    page.click("#refine-run")
    page.locator("#refine-save").wait_for(timeout=WAIT)
    half = visit.shown("#compare")
    page.focus("#divider")
    page.keyboard.press("Home")
    whole = visit.changed(half, "#compare")
    box = page.locator("#compare").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 10, box["y"] + 40)
    page.mouse.up()
    visit.changed(whole, "#compare")
    with page.expect_download() as saved:
        page.click("#refine-save")
    saved.value.save_as(tmp_path / "refined.png")
    recipe = read_metadata(tmp_path / "refined.png")["refine"]["recipe"]
    assert recipe["style"]["iterations"] == 3
    assert recipe["description"] == load_recipe(shipped_looks()["soft_touch"]).description
    page.click("#tab-wall")  # where it stays
    page.locator(".wall-box b", has_text="refined").first.wait_for(timeout=WAIT)


def test_a_picture_of_ones_own_is_found(visit, tmp_path):
    page = visit.page
    draw_work("circles", 2, 2, side_px=64).save(tmp_path / "mine.png")
    page.click("#tab-project")
    page.set_input_files("#target-file", tmp_path / "mine.png")
    page.locator("#target-picture").wait_for(timeout=WAIT)
    page.check("input[name=space][value=w]")
    page.fill("#project-steps", "10")
    page.click("#project-run")
    page.locator("#found").wait_for(timeout=WAIT)
    page.locator("#name", has_text="projection").wait_for(timeout=WAIT)


def test_an_upload_that_is_no_picture_or_loses_something_is_a_line_on_the_page(browser, server, tmp_path):
    made = Visit(browser, server)
    (tmp_path / "page.html").write_text("<script>alert(1)</script>")
    made.page.click("#tab-refine")
    made.page.set_input_files("#style-file", tmp_path / "page.html")
    made.page.locator("#messages .bad", has_text="not a picture").wait_for(timeout=WAIT)
    shades = [Image.new("RGB", (40, 40), color) for color in ("navy", "teal")]
    shades[0].save(tmp_path / "two.gif", save_all=True, append_images=shades[1:])
    made.page.set_input_files("#style-file", tmp_path / "two.gif")
    made.page.get_by_text("two.gif has several pictures, of which one is used.").wait_for(timeout=WAIT)
    made.context.close()


def test_training_on_watch(visit, run):
    page = visit.page
    page.click("#tab-watch")
    page.locator("#curves svg[role=img]").first.wait_for(timeout=WAIT)
    assert "thousand images" in page.inner_text("#run-status")
    page.locator("#evaluations td").first.wait_for(timeout=WAIT)
    last = page.get_attribute("#sheet", "src")
    page.focus("#sheet-slider")
    page.keyboard.press("Home")
    page.locator("#sheet[src='/api/runs/0/sheets/0']").wait_for()
    assert last != "/api/runs/0/sheets/0"


def test_a_run_without_a_model_is_watched_until_it_has_one(browser, run, tmp_path):
    young = tmp_path / "young"
    shutil.copytree(run, young, ignore=shutil.ignore_patterns("model", "checkpoints", "samples"))
    with studio([young]) as running:
        page = browser.new_page()
        page.goto(running.url)
        page.locator("#run-status", has_text="thousand images").wait_for(timeout=WAIT)
        assert page.locator("[role=tab]").count() == 1
        shutil.copytree(run / "model", young / "model")
        page.reload()
        page.locator("#grid img").nth(31).wait_for(timeout=WAIT)
        page.close()


def test_tabs_by_keyboard_and_models_by_name(visit):
    page = visit.page
    page.focus("#tab-explore")
    page.keyboard.press("End")
    assert page.get_attribute("#tab-watch", "aria-selected") == "true"
    page.keyboard.press("Home")
    assert page.locator("#view-explore").is_visible()
    before = visit.shown()
    page.select_option("#model", "1")
    visit.changed(before)
    page.locator("#grid img").nth(31).wait_for(timeout=WAIT)


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1280, "light"),
        (400, "dark"),
        *(pytest.param(*case, marks=pytest.mark.long) for case in [(400, "light"), (1280, "dark")]),
    ],
)
def test_every_view_fits_and_is_not_blank(browser, server, width, scheme):
    made = Visit(browser, server, width, 860, scheme)
    names = {"explore", "kept", "wall", "mix", "journey", "refine", "project", "watch"}
    for name in names:
        made.page.click(f"#tab-{name}")
        made.page.wait_for_timeout(300)
        assert made.page.evaluate("document.documentElement.scrollWidth") <= width
        pixels = np.asarray(Image.open(io.BytesIO(made.page.screenshot())).convert("RGB"))
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100
        assert (pixels[2, 2].mean() > 128) == (scheme == "light")
    unnamed = made.page.evaluate(
        "[...document.querySelectorAll('button, input, select, textarea, a[href]')].filter("
        "e => !(e.textContent || e.labels?.length || e.getAttribute('aria-label') || e.title)).map(e => e.outerHTML)"
    )
    assert unnamed == []
    assert made.complaints == []
    made.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_reads_aloud_and_has_contrast(browser, server, scheme):
    """By axe, within WCAG 2.1 A and AA: names and roles for screen readers, contrast, labels, order of headings and focus."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    rules = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}}
    visit, found, passed = Visit(browser, server, scheme=scheme), {}, set()
    for tab in visit.page.get_by_role("tab").all():
        tab.click()
        name = tab.inner_text()
        answer = axe.run(visit.page, options=rules).response
        passed |= {rule["id"] for rule in answer["passes"]}
        for problem in answer["violations"]:
            found[f"{name}: {problem['id']}"] = [(node["target"], node["failureSummary"][:300]) for node in problem["nodes"]][
                :3
            ]
    visit.context.close()
    assert found == {}
    assert {"color-contrast", "button-name"} <= passed  # it did look
