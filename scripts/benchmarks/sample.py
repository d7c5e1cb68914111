"""Sampling against the bare generator; the studio: first picture after the page opens, slider to picture, server import.

./scripts/benchmark sample [RUN|MODEL]; without one, a small untrained generator at 64 px. The page needs Chromium.
"""

import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import torch

from artgan.generation.model_folder import load_model
from artgan.generation.point import Point
from artgan.generation.sample import chunk_size, render
from artgan.generation.space import Space
from artgan.models.fastgan_generator import Generator

COUNT, BATCH, ROUNDS = 512, 32, 5


def space_of(target: Path | None) -> Space:
    if target is not None:
        return load_model(target).space
    torch.manual_seed(0)
    sizes = {"height_px": 64, "width_px": 64, "width": 16, "latent_dim": 256, "mapping_layers": 2, "num_classes": 0}
    return Space(Generator(**sizes).eval().requires_grad_(False))


def throughput(space: Space) -> None:
    """Images per second of `render` and of forward passes at batch 32, in turns."""
    latents = torch.randn(BATCH, space.generator.latent_dim, device=space.device)
    labels = torch.zeros(BATCH, dtype=torch.int64, device=space.device)
    ours, bare = [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in render(space, (Point(seed) for seed in range(COUNT))):
            pass
        ours.append(COUNT / (time.perf_counter() - started))
        started = time.perf_counter()
        with torch.inference_mode():
            for _ in range(COUNT // BATCH):
                images = space.generator(latents, labels)
            images.cpu()
        bare.append(COUNT / (time.perf_counter() - started))
    ratios = [a / b for a, b in zip(ours, bare)]
    print(
        f"sampling {statistics.median(ours):,.0f} pictures/s in chunks of {chunk_size(space)}, the bare generator at batch "
        f"{BATCH} {statistics.median(bare):,.0f}: {statistics.median(ratios):.2f}x (of {min(ratios):.2f} to {max(ratios):.2f})"
    )


def importing() -> None:
    """Seconds that the studio's server adds to importing torch."""

    def seconds(program: str) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True)
        return time.perf_counter() - started

    pairs = [(seconds("import torch"), seconds("import torch, artgan.studio.serve")) for _ in range(ROUNDS)]
    added = [both - alone for alone, both in pairs]
    print(
        f"server import: {statistics.median(added):.2f} s more than torch's own {statistics.median(a for a, _ in pairs):.2f} s"
    )


def page(target: Path) -> None:
    """Seconds from opening the page to the first picture, and from a slider's key to the next picture."""
    from playwright.sync_api import sync_playwright

    from artgan.studio.serve import open_server
    from artgan.studio.session import Session

    chromium = os.environ.get("ARTGAN_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("page: skipped, there is no Chromium here")
        return
    session = Session([target], torch.device("cpu"))
    session.warm_up()
    server = open_server(session, 0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        first, slides = [], []
        for _ in range(ROUNDS):
            tab = browser.new_context().new_page()
            began = time.perf_counter()
            tab.goto(server.url, wait_until="commit")
            tab.locator("#picture[src^=blob]").wait_for()
            first.append(time.perf_counter() - began)
            tab.locator("#grid img").nth(31).wait_for()
            for _ in range(10):
                source = tab.get_attribute("#picture", "src")
                tab.focus("#sliders input >> nth=0")
                began = time.perf_counter()
                tab.keyboard.press("ArrowRight")
                tab.locator(f'#picture[src^=blob]:not([src="{source}"])').wait_for()
                slides.append(time.perf_counter() - began)
            tab.context.close()
        browser.close()
    server.server.should_exit = True
    thread.join()
    print(f"first picture after the page opens: {statistics.median(first):.2f} s (the first visit {first[0]:.2f} s)")
    print(
        f"slider to picture: {1000 * statistics.median(slides):.0f} ms (slowest of {len(slides)}: {1000 * max(slides):.0f} ms)"
    )


def main(target: Path | None) -> None:
    throughput(space_of(target))
    importing()
    if target is not None:
        page(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
