"""What `scripts/benchmark NAME --against COMMIT` times, by name: real work through the command line, which every commit has.

Each function makes its inputs in the working directory and returns the piece that is timed, of about a second or two.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from commands import made
from PIL import Image

Work = Callable[[], object]
_SMALL = ("--set=model.width=16", "--set=model.discriminator=fastgan", "--set=model.discriminator_width=16")
_JUDGED = ("--set=evaluation.features=random", "--set=evaluation.num_generated=8")


def _drawn(side_px: int) -> str:
    from artgan.datasets.synthetic import write_collection_sources

    write_collection_sources(Path("sources"), works_per_class=12)
    made("prepare", "sources", "--out", "drawn", "--resolution", side_px, "--workers", "1")
    return "drawn"


def _photographs(different: int, copies: int, width: int, height: int) -> Path:
    """Write JPEGs with structure at all scales, as scans have it."""
    folder = Path("photographs")
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(different):
        total = np.zeros((height, width, 3), np.float32)
        for octave in range(2, 9):
            coarse = random.random((height * 2**octave // 2**11 + 2, width * 2**octave // 2**11 + 2, 3), np.float32)
            layers = [Image.fromarray(coarse[..., c]).resize((width, height), Image.Resampling.BICUBIC) for c in range(3)]
            total += np.stack([np.asarray(layer) for layer in layers], -1) / 2**octave
        pixels = 255 * (total - total.min()) / np.ptp(total)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index}-0.jpg", quality=92)
        for copy in range(1, copies):
            shutil.copyfile(folder / f"{index}-0.jpg", folder / f"{index}-{copy}.jpg")
    return folder


def _train(collection: str, kimg: float) -> None:
    every = [f"--set=training.{name}_every_kimg={kimg}" for name in ("log", "sample", "evaluate", "checkpoint")]
    length = ("--set=training.device=cpu", "--set=training.batch_size=16", f"--set=training.total_kimg={kimg}", *every)
    made("train", "--collection", collection, "--run", "run", *_SMALL, *_JUDGED, *length)


def prepare() -> Work:
    """Six photographs of 12 megapixels to 512 px."""
    photographs = _photographs(2, 3, 4000, 3000)
    words = ("--resolution", "512", "--workers", "1", "--duplicates", "keep", "--force")
    return lambda: made("prepare", photographs, "--out", "prepared", *words)


def duplicates() -> Work:
    """Twins among 20,000 pictures."""
    from artgan.datasets.duplicates import Fingerprint, alike_pairs

    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**63, 20_000, dtype=np.uint64)
    proxies = random.integers(0, 256, (len(hashes), 16, 16, 3), dtype=np.uint8)
    prints = [Fingerprint(int(value), proxy) for value, proxy in zip(hashes, proxies, strict=True)]
    return lambda: list(alike_pairs(prints))


def train() -> Work:
    """Twenty steps at 64 px, with the preflight before and a judgement after."""
    collection = _drawn(64)

    def work() -> None:
        shutil.rmtree("run", ignore_errors=True)
        _train(collection, 0.32)

    return work


def sample() -> Work:
    """256 pictures of 64 px."""
    _train(_drawn(64), 0.032)
    return lambda: made("sample", "run", "--out", "samples", "--seeds", "0-255", "--device", "cpu", "--force")


def evaluate() -> Work:
    """Sixty-four samples in random features; the reference comes from the cache."""
    _train(_drawn(64), 0.032)
    words = ("--collection", "drawn", "--features", "random", "--num-generated", "64", "--device", "cpu")
    return lambda: made("evaluate", "run", *words, "--json", "metrics.json")


def refine() -> Work:
    """Two pictures of 256 px in the style of a third, in random features."""
    from artgan.datasets.synthetic import draw_work

    for index in range(3):
        draw_work("waves", 0, index).save(f"{index}.png")
    words = ("--style", "2.png", "--backbone", "random", "--iterations", "5", "--color", "match", "--device", "cpu")

    def work() -> None:
        shutil.rmtree("refined", ignore_errors=True)
        made("refine", "0.png", "1.png", "--out", "refined", *words)

    return work


WORKS: dict[str, Callable[[], Work]] = {work.__name__: work for work in (prepare, duplicates, train, sample, evaluate, refine)}
