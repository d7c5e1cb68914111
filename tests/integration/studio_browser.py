"""A real browser on a studio's page, for tests; without Chromium they are skipped."""

import io
import os
import shutil
from contextlib import contextmanager
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("starlette")
CHROMIUM = os.environ.get("ARTGAN_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")
WAIT = 30_000
DRAWN = """async picture => {
  await picture.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: 32, height: 32 });
  canvas.getContext("2d").drawImage(picture, 0, 0, 32, 32);
  return canvas.toDataURL();
}"""


@contextmanager
def open_browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield opened
        opened.close()


def until(page, question, arg=None):
    """Wait until JavaScript answers with something true.

    Playwright's own wait asks again from within the page by `eval`, which the page's policy forbids: it passes only where the
    first answer is true.
    """
    for _ in range(WAIT // 50):
        if page.evaluate(question, arg):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {question}")


class Visit:
    """A page that is open, with all that it asked for and complained about."""

    def __init__(self, browser, server, width=1280, height=860, scheme="light"):
        self.context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.asked, self.complaints = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.host = urlsplit(server.url).netloc
        self.page.goto(server.url)
        self.page.locator("#grid img").nth(31).wait_for(timeout=WAIT)
        self.page.locator("#picture[src^=blob]").wait_for(timeout=WAIT)

    def shown(self, selector="#picture"):
        """Return the pixels of a picture as they stand on the page."""
        data = self.page.locator(selector).screenshot()
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)

    def changed(self, before, selector="#picture"):
        """Wait until a picture differs from before."""
        for _ in range(100):
            now = self.shown(selector)
            if now.shape != before.shape or np.abs(now - before).max() > 4:
                return now
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{selector} did not change")


def keep(page, *places):
    for number, place in enumerate(places, start=1):
        page.locator("#grid .tile").nth(place).click()
        page.locator("#name", has_text=f"seed {place}").wait_for(timeout=WAIT)
        page.keyboard.press("k")
        page.locator("#kept .tile img").nth(number - 1).wait_for(timeout=WAIT)
