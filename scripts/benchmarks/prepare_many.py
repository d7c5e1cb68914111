"""20,000 files, 1 % of them broken in every way: each must have its line; peak memory of each process."""

import collections
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from artgan.datasets.synthetic import MANNERS, draw_work

BROKEN = ("empty", "text", "truncated", "cut header", "bomb", "svg", "float", "tiny")
RESOLUTION, WORKERS = 64, 2


def encoded(image: Image.Image, file_format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format)
    return buffer.getvalue()


def broken(kind: str, good: bytes) -> bytes:
    bomb = bytearray(encoded(Image.new("L", (1, 1)), "TIFF"))
    return {
        "empty": b"",
        "text": b"no picture at all",
        "truncated": good[: len(good) // 2],
        "cut header": good[:8],
        "bomb": b"P6 60000 60000 255\n" + bytes(100),
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "float": encoded(Image.new("F", (64, 64), 0.5), "TIFF"),
        "tiny": bytes(bomb),
    }[kind]


def write_files(folder: Path, count: int) -> collections.Counter[str]:
    """Write pictures that all differ, and every hundredth broken, in turn in every way."""
    rng = np.random.default_rng(0)
    bases = [np.asarray(draw_work(manner, 0, index)).astype(np.int16) for manner in MANNERS for index in range(10)]
    written: collections.Counter[str] = collections.Counter()
    for index in range(count):
        base = bases[index % len(bases)]
        top, left = rng.integers(0, 128, 2)
        pixels = base[top : top + 128, left : left + 128] + rng.integers(-60, 60, 3)
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        data = encoded(image, ("JPEG", "PNG", "WEBP")[index % 3])
        kind = "good"
        if index % 100 == 99:
            kind = BROKEN[index // 100 % len(BROKEN)]
            data = broken(kind, data)
        path = folder / f"class{index % 8}" / f"{index:06}.jpg"  # two thirds have the wrong suffix
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        written[kind] += 1
    return written


def peak_bytes(process: subprocess.Popen) -> dict[int, int]:
    """Return the peak resident memory of a process and of each of its children, by process number."""
    peaks: dict[int, int] = {}
    while process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        numbers = [process.pid, *map(int, children.read_text().split())] if children.exists() else [process.pid]
        for number in numbers:
            try:
                status = Path(f"/proc/{number}/status").read_text()
            except OSError:
                continue
            high = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
            peaks[number] = max(peaks.get(number, 0), int(high[0]) * 1024 if high else 0)
        time.sleep(0.05)
    return peaks


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        sources, out = Path(temporary, "in"), Path(temporary, "out")
        sources.mkdir()
        written = write_files(sources, count)
        words = ["prepare", str(sources), "--out", str(out), "--resolution", str(RESOLUTION), "--workers", str(WORKERS)]
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "artgan", "--quiet", *words])
        peaks = sorted(peak_bytes(process).values(), reverse=True)
        spent = time.perf_counter() - started
        assert process.returncode == 0, process.returncode
        lines = [json.loads(line) for line in (out / "index.jsonl").open(encoding="utf-8")]
        fates = collections.Counter(line["status"] for line in lines)
        reasons = collections.Counter(line["reason"] for line in lines if line["status"] == "rejected")
    assert len(lines) == count, "a file without a line"
    assert fates["rejected"] == count - written["good"], "every broken file is rejected, no other"
    print(f"{count:,} files in {spent:.0f} s, {dict(fates)}; written: {dict(written)}")
    for reason, number in reasons.most_common():
        print(f"  {number} {reason}")
    print(f"peak memory, largest processes first: {', '.join(f'{peak / 1e6:.0f} MB' for peak in peaks)}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
