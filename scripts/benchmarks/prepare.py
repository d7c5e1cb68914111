"""12-megapixel JPEGs to 512 px: artgan's way of one file against open, convert, crop, resize; and one process against two."""

import io
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe, fit_pixels
from artgan.decode import decode
from artgan.seeding import uniform

SIDE, WIDTH, HEIGHT = 512, 4000, 3000
REPEATS = 3


def photograph(seed: int) -> bytes:
    """Return a JPEG with structure at all scales, as scans have it."""
    total = np.zeros((HEIGHT, WIDTH, 3))
    for octave in range(2, 10):
        shape = (HEIGHT * 2**octave // 2**11 + 2, WIDTH * 2**octave // 2**11 + 2)
        noise = uniform(seed, f"benchmark/{octave}", 0, shape[0], shape[1] * 3).reshape(*shape, 3)
        image = [
            Image.fromarray(noise[..., c].astype(np.float32)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
            for c in range(3)
        ]
        total += np.stack([np.asarray(x) for x in image], -1) / 2**octave
    total -= total.min()
    buffer = io.BytesIO()
    Image.fromarray((total / total.max() * 255).astype(np.uint8)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def plain(data: bytes) -> np.ndarray:
    """What most tools do."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    left, side = (WIDTH - HEIGHT) // 2, HEIGHT
    return np.asarray(image.crop((left, 0, left + side, side)).resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def ours(data: bytes) -> np.ndarray:
    look = Recipe(SIDE, SIDE)
    return fit_pixels(decode(data, enough_px=SIDE).pixels, look)


def seconds(work, files) -> float:
    started = time.perf_counter()
    for data in files:
        work(data)
    return time.perf_counter() - started


def steady_rate(sources: list[Path], out: Path, workers: int) -> float:
    """Return files per second after the first ones, so that the start of processes does not count."""
    times: list[float] = []
    look = Recipe(SIDE, SIDE, duplicates="keep")
    prepare(sources, out, look, workers=workers, on_progress=lambda event: times.append(time.perf_counter()))
    warm = len(times) // 8
    return (len(times) - 1 - warm) / (times[-1] - times[warm])


def main(count: int) -> None:
    files = [photograph(seed) for seed in range(4)] * (count // 4)
    error = [np.mean((plain(data).astype(float) - ours(data)) ** 2) for data in files[:4]]
    print(f"PSNR against the plain way: {min(10 * np.log10(255**2 / value) for value in error):.1f} dB")
    ratios = [seconds(plain, files) / seconds(ours, files) for _ in range(REPEATS)]
    print(f"per core, against the plain way: {statistics.median(ratios):.2f}x (of {min(ratios):.2f} to {max(ratios):.2f})")
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder, "in")
        sources.mkdir()
        for index, data in enumerate(files * 8):
            (sources / f"{index}.jpg").write_bytes(data)
        rate = {workers: steady_rate([sources], Path(folder, f"out{workers}"), workers) for workers in (1, 2)}
    print(f"two processes against one, {len(files) * 8} files, once they run: {rate[2] / rate[1]:.2f}x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 16)
