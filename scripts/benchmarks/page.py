"""A model's page in headless Chromium, opened as a file with the network cut: seconds until it is ready, pictures a second, and
a second of processor time of all the browser's processes, which other work on the machine does not change.

./scripts/benchmark page [RUN|MODEL|PX ...]; without one, the default generator, untrained, at 64 and 256 px: speed does not
depend on what the weights have learned. Needs Chromium, and ONNX Runtime Web from npm (artgan model page says how).
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from playwright.sync_api import Browser, sync_playwright

from artgan.config.sections import ModelConfig
from artgan.generation.model_folder import Model, ModelCard, load_model, save_model
from artgan.modelpage.build import Look, write_page
from artgan.modelpage.runtime import load_runtime
from artgan.models import GENERATORS

ROUNDS, PICTURES, WARM_UP = 7, 10, 5
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")
MAKE = """async ([first, count]) => {
  const started = performance.now();
  for (let seed = first; seed < first + count; seed++) await page.picture({ seed });
  return count / (performance.now() - started) * 1000;
}"""


def model_of(word: str, folder: Path) -> Model:
    """Return the model that a word names, or an untrained one of so many pixels."""
    if not word.isdecimal():
        return load_model(Path(word))
    torch.manual_seed(0)
    config, side = ModelConfig(), int(word)
    arguments = {"height_px": side, "width_px": side, "width": config.width, "latent_dim": config.latent_dim}
    arguments |= {"mapping_layers": config.mapping_layers, "num_classes": 0, "padding": "mixed"}
    generator = GENERATORS.load(config.generator)(**arguments).eval().requires_grad_(False)
    card = ModelCard(config.generator, arguments, (), 0, {"name": f"untrained-{side}", "pixel_hash": "0" * 64, "count": 0})
    save_model(folder / word, generator, card, np.zeros((side, side, 3), np.uint8))
    return load_model(folder / word)


def processor_seconds(browser: Browser) -> float:
    """Return what all processes of the browser have taken so far."""
    session = browser.new_browser_cdp_session()
    found = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return sum(process["cpuTime"] for process in found)


def measure(browser: Browser, page: Path) -> tuple[float, list[float], list[float]]:
    """Return seconds until the page is ready, pictures a second of each round, and pictures a processor second."""
    tab = browser.new_context(offline=True).new_page()
    started = time.perf_counter()
    tab.goto(f"file://{page}/index.html")
    tab.locator("body[data-ready]").wait_for(timeout=300_000)
    opened = time.perf_counter() - started
    tab.evaluate(MAKE, [0, WARM_UP])  # the browser compiles again what runs often
    rates, of_processor = [], []
    for place in range(ROUNDS):
        before = processor_seconds(browser)
        rates.append(tab.evaluate(MAKE, [WARM_UP + PICTURES * place, PICTURES]))
        of_processor.append(PICTURES / (processor_seconds(browser) - before))
    return opened, rates, of_processor


def main(words: list[str]) -> None:
    chromium = os.environ.get("ARTGAN_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("there is no Chromium here: apt-get install chromium, or name one in ARTGAN_CHROMIUM")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        for word in words:
            model = model_of(word, Path(folder))
            page = Path(folder, f"page-{model.space.width_px}-{len(list(Path(folder).iterdir()))}")
            made = write_page(model, load_runtime(None, "wasm"), page, Look())
            browser = started.chromium.launch(executable_path=chromium, args=list(QUIET))
            opened, rates, of_processor = measure(browser, page)
            version = browser.version
            browser.close()
            size = f"{model.space.width_px}x{model.space.height_px} px"
            load = os.getloadavg()[0]  # of a minute
            print(f"{word}: {size}, {made.total / 1e6:.1f} MB, mean difference from sample {made.difference:.3f} of 255")
            print(f"  ready after {opened:.1f} s; {span(rates)} pictures/s; {span(of_processor)} a processor second")
            print(f"  {ROUNDS} rounds of {PICTURES}; Chromium {version}, one WebAssembly thread; load {load:.1f}", flush=True)


def span(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


if __name__ == "__main__":
    main(sys.argv[1:] or ["64", "256"])
