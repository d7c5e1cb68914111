"""All of the studio's page by keyboard: Tab comes to every control and leaves each again, and the keys work there."""

import pytest

from tests.integration.studio_browser import WAIT, Visit, keep, pytestmark  # noqa: F401
from tests.integration.studio_server import studio

# Controls that stand on the page and can be used, each marked with its number; of a group of radio buttons Tab comes to one.
CONTROLS = """root => {
  document.querySelectorAll("[data-place]").forEach(one => { delete one.dataset.place; });
  const kinds = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  const usable = [...document.querySelector(root).querySelectorAll(kinds)].filter(one =>
    one.checkVisibility() && !one.disabled && one.tabIndex >= 0 && (one.type !== "radio" || one.checked));
  usable.forEach((one, place) => { one.dataset.place = place; });
  return usable.map(one => one.id || one.getAttribute("aria-label") || one.outerHTML.slice(0, 80));
}"""
LEFT = """() => [...document.querySelectorAll("[data-place]")]
  .filter(one => one.checkVisibility()).map(one => one.dataset.place)"""
WHERE = """root => {
  const one = document.activeElement;
  return document.querySelector(root).contains(one) ? one.dataset.place ?? "came later" : null;
}"""


def missed(page, root):
    """Return the controls within an element that Tab does not come to, from before the element until it is left."""
    names = page.evaluate(CONTROLS, root)
    assert names, f"{root} has no control"
    page.focus(f"{root} [data-place='0']")
    page.keyboard.press("Shift+Tab")  # to what stands before the element
    seen = []
    while len(seen) < 1000:
        page.keyboard.press("Tab")
        place = page.evaluate(WHERE, root)
        if place is None or place in seen[:1]:  # left, or a dialog from its beginning
            break
        seen.append(place)
    assert len(seen) < 1000, f"Tab does not leave {root}"
    still_there = page.evaluate(LEFT)
    return [name for place, name in enumerate(names) if str(place) in still_there and str(place) not in seen]


@pytest.fixture(scope="module")
def server(trained_model):
    with studio([trained_model.folder]) as running:
        yield running


@pytest.mark.parametrize("width", [400, 1280])
def test_every_control_is_reached_by_tab_and_left_again(browser, server, width):
    visit = Visit(browser, server, width)
    page = visit.page
    keep(page, 1, 2)
    closed = page.locator("#panel details:not([open]) > summary:visible")
    while closed.count():
        closed.first.focus()
        page.keyboard.press("Enter")
    assert missed(page, "#panel") == []
    assert missed(page, "footer") == []
    tabs = page.locator("#tabs [role=tab]")
    tabs.first.focus()
    for place in range(tabs.count()):
        if place:
            page.keyboard.press("ArrowRight")
        view = page.evaluate("() => document.activeElement.getAttribute('aria-controls')")
        page.locator(f"#{view}").wait_for(timeout=WAIT)
        assert missed(page, f"#{view}") == [], view
        tabs.nth(place).focus()
    assert visit.complaints == []
    visit.context.close()


@pytest.mark.parametrize("width", [400, 1280])
def test_controls_work_by_keyboard_and_dialogs_give_the_focus_back(browser, server, width):
    visit = Visit(browser, server, width)
    page = visit.page
    page.locator("#grid .tile").nth(3).focus()
    page.keyboard.press("Enter")
    page.locator("#name", has_text="seed 3").wait_for(timeout=WAIT)
    for opener, dialog in (("#enlarge", "#zoom"), ("#keys-open", "#keys")):
        page.focus(opener)
        page.keyboard.press("Enter")
        page.locator(f"{dialog}[open]").wait_for(timeout=WAIT)
        assert missed(page, dialog) == []
        page.keyboard.press("Escape")
        page.locator(f"{dialog}[open]").wait_for(state="detached", timeout=WAIT)
        assert page.evaluate("() => `#${document.activeElement.id}`") == opener
    if not page.evaluate("() => document.querySelector('#look').open"):
        page.focus("#look > summary")
        page.keyboard.press("Enter")
    page.focus("#truncation")
    page.keyboard.press("ArrowLeft")
    page.locator("#truncation-value", has_text="0.95").wait_for(timeout=WAIT)
    page.focus("#back")
    page.keyboard.press("Enter")
    page.locator("#truncation-value", has_text="1").wait_for(timeout=WAIT)
    assert visit.complaints == []
    visit.context.close()
