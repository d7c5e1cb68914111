"""The studio's page: a picture beside its sliders, the way back, names of directions, dropped recipes; at two widths."""

import pytest

from artgan.generation.favourites import favourites_path
from tests.integration.studio_server import studio
from tests.integration.test_studio_page import WAIT, Visit, browser, pytestmark  # noqa: F401


@pytest.fixture(scope="module")
def server(trained_model):
    with studio([trained_model.folder]) as running:
        yield running


@pytest.fixture(params=[400, 1280])
def visit(request, browser, server, trained_model):  # noqa: F811
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
