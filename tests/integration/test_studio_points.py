"""The studio's page: a picture beside its sliders, the way back, names of directions, dropped recipes; at two widths."""

import base64
import json

import numpy as np
import pytest

from artgan.generation.direction_names import direction_names_path, read_direction_names
from artgan.generation.favourites import favourites_path
from artgan.generation.point import Point
from artgan.generation.sample import picture_metadata
from artgan.images import encode_picture
from tests.integration.studio_browser import DRAWN, WAIT, Visit, keep, pytestmark, until  # noqa: F401
from tests.integration.studio_server import studio


@pytest.fixture(scope="module")
def server(trained_model):
    with studio([trained_model.folder]) as running:
        yield running


@pytest.fixture(params=[400, 1280])
def visit(request, browser, server, trained_model):
    favourites_path(trained_model.folder).unlink(missing_ok=True)
    made = Visit(browser, server, request.param)
    yield made
    assert made.page.evaluate("document.documentElement.scrollWidth") <= request.param
    made.context.close()
    assert made.complaints == []


IN_SIGHT = """element => {
  const { left, top, width, height } = element.getBoundingClientRect();
  return [.1, .5, .9].every((share) => element.contains(document.elementFromPoint(left + width / 2, top + height * share)));
}"""


def open_directions(page) -> None:
    if page.locator("#directions[open]").count() == 0:
        page.click("#directions summary")


def test_the_picture_is_in_sight_beside_each_of_its_sliders(visit):
    page = visit.page
    open_directions(page)
    for slider in page.locator("#sliders input").all():
        slider.focus()
        page.keyboard.press("ArrowRight")
        assert slider.evaluate(IN_SIGHT)
        assert page.locator("#enlarge").evaluate(IN_SIGHT)
    before = visit.shown()
    page.keyboard.press("End")
    visit.changed(before)


def controls(page):
    """Return what the controls of the point say."""
    return page.evaluate(
        """() => [...document.querySelectorAll("#look :is(input, select), #sliders input[type=range], #seed")]
        .map(({ value }) => value).concat(document.querySelector("#grid [aria-pressed=true]")?.ariaLabel)"""
    )


def open_recipe(page, point: dict) -> None:
    if page.locator("#recipe-box[open]").count() == 0:
        page.click("#recipe-box summary")
    page.fill("#recipe-text", json.dumps(point))
    page.click("#recipe-open")


def test_every_control_has_a_way_back_and_forth(visit):
    page = visit.page
    if page.locator("#look[open]").count() == 0:
        page.click("#look summary")
    open_directions(page)
    first = page.locator("#picture").evaluate(DRAWN)
    assert page.is_disabled("#back")
    blended = {"seed": 1, "truncation": 0.8, "toward": {"seed": 2}, "amount": 0.5}
    mixed = {"seed": 1, "mixed": {"seed": 2}, "layers": [0, 1]}
    changes = [
        lambda: page.locator("#grid .tile").nth(3).click(),
        lambda: page.focus("#truncation") or page.keyboard.press("Home"),
        lambda: page.select_option("#centers", "24"),
        lambda: page.focus("#sliders input >> nth=0") or page.keyboard.press("End"),
        lambda: page.focus("#sliders input >> nth=7") or page.keyboard.press("Home"),
        lambda: page.select_option("#class-b", label="waves"),
        lambda: page.focus("#class-share") or page.keyboard.press("End"),
        lambda: page.fill("#seed", "40") or page.keyboard.press("Enter"),
        lambda: page.click("#reset"),
        lambda: open_recipe(page, blended),
        lambda: open_recipe(page, mixed),
    ]
    seen = [controls(page)]
    for change in changes:
        change()
        seen.append(controls(page))
    for before in reversed(seen[:-1]):
        page.keyboard.press("Control+z")
        assert controls(page) == before
    page.locator("#name", has_text="seed 0").wait_for(timeout=WAIT)
    until(page, f"async first => await ({DRAWN})(document.querySelector('#picture')) === first", arg=first)
    assert page.is_disabled("#back")
    for after in seen[1:-1]:
        page.keyboard.press("Control+Shift+z")
        assert controls(page) == after
    page.click("#forward")
    page.locator("#name", has_text="seed 1 with styles of 2").wait_for(timeout=WAIT)
    assert page.is_disabled("#forward")
    page.click("#back")
    page.locator("#name", has_text="seed 1 towards 2").wait_for(timeout=WAIT)
    page.locator("#grid .tile").nth(4).click()
    assert page.is_disabled("#forward")  # another way was taken


def test_a_slider_on_its_way_is_one_step_and_a_recipe_stays_exact(visit):
    page = visit.page
    open_directions(page)
    before = controls(page)
    page.focus("#sliders input >> nth=0")
    page.evaluate("""() => { for (const value of [1, 2, 3]) {
      document.activeElement.value = value;
      document.activeElement.dispatchEvent(new Event("input"));
    } }""")
    page.keyboard.press("Control+z")
    assert controls(page) == before
    exact = {"seed": 5, "truncation": 0.83, "centers": 12, "classes": [[0, 1], [1, 1], [0, 2]]}
    open_recipe(page, exact)
    page.locator("#name", has_text="seed 5").wait_for(timeout=WAIT)
    page.click("#share")
    page.locator("#messages p").first.wait_for(timeout=WAIT)
    assert json.loads(page.input_value("#recipe-text")) == exact


def test_under_kept_the_way_back_is_that_of_the_shelf(visit):
    page = visit.page
    keep(page, 3, 4)
    page.click("#tab-kept")
    page.locator(".kept-row").nth(1).wait_for(timeout=WAIT)
    page.get_by_label("Drop seed 3").last.click()
    page.locator("#kept-count", has_text="1").wait_for()
    for key, count in (
        ("Control+z", "2"),
        ("Control+z", "1"),
        ("Control+z", "0"),
        ("Control+Shift+z", "1"),
        ("Control+y", "2"),
    ):
        page.keyboard.press(key)
        page.locator("#kept-count", has_text=count).wait_for(timeout=WAIT)


DROPPED = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)), dropped = new DataTransfer();
  dropped.items.add(new File([bytes], name, { type: "image/png" }));
  const event = new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true });
  document.querySelector("#facts").dispatchEvent(event);
  return event.defaultPrevented;
}"""


def test_a_picture_that_is_dropped_opens_what_made_it(visit, trained_model):
    page = visit.page
    metadata = picture_metadata(trained_model, Point(seed=77, truncation=0.83, moves=(("sefa-1", 2.0),)))
    pixels = np.zeros((8, 8, 3), np.uint8)
    foreign = metadata | {"model": "another", "model_hash": "f" * 64}
    for name, said in (("own", metadata), ("foreign", foreign), ("plain", None)):
        data = base64.b64encode(encode_picture(pixels, "png", said)).decode()
        assert page.evaluate(DROPPED, [f"{name}.png", data])  # the browser does not open it instead of the page
        if name == "own":
            page.locator("#name", has_text="seed 77").wait_for(timeout=WAIT)
            assert page.text_content("#truncation-value") == "0.83"
            assert page.input_value("#sliders input >> nth=0") == "2"
        if name == "foreign":
            page.locator("#messages .bad", has_text="of another (ffffffffffff), a model").wait_for(timeout=WAIT)
        if name == "plain":
            page.locator("#messages", has_text="plain.png does not say what made it").wait_for(timeout=WAIT)
    page.locator("#name", has_text="seed 77").wait_for(timeout=WAIT)


def test_directions_get_names_of_ones_own_in_an_open_file(visit, trained_model):
    page, path = visit.page, direction_names_path(trained_model)
    path.unlink(missing_ok=True)
    open_directions(page)
    page.focus("#sliders input >> nth=1")
    page.keyboard.press("End")
    page.click("[aria-label='Rename Factor 2']")
    page.fill(".naming", "snow <b>")
    page.keyboard.press("Enter")
    page.locator(".rename", has_text="snow <b>").wait_for(timeout=WAIT)
    assert page.evaluate("document.activeElement.ariaLabel") == "Rename snow <b>"
    assert page.input_value("[aria-label='snow <b>']") == "6"  # the slider stays where it was
    named = read_direction_names(path)
    assert [(key, item.name, item.model_hash) for key, item in named.items()] == [("sefa-2", "snow <b>", trained_model.sha256)]
    page.click("[aria-label='Rename snow <b>']")
    page.fill(".naming", "gone")
    page.keyboard.press("Escape")
    page.locator(".rename", has_text="snow <b>").wait_for(timeout=WAIT)
    page.reload()
    page.locator("#picture[src^=blob]").wait_for(timeout=WAIT)
    open_directions(page)
    page.locator(".rename", has_text="snow <b>").wait_for(timeout=WAIT)
    page.click("[aria-label='Rename snow <b>']")
    page.fill(".naming", "")
    page.keyboard.press("Enter")
    page.locator(".rename", has_text="Factor 2").wait_for(timeout=WAIT)
    assert read_direction_names(path) == {}
