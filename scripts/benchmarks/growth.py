"""How preparing grows with the number of works: settling (look-alikes, hold-out, index, contact sheet) and opening.

    ./scripts/benchmark growth                      # 20,000, 40,000 and 80,000 works
    ./scripts/benchmark growth 50000 100000 200000

Works are random 8 px pictures with random hashes; one in a hundred has a twin. Each number runs in a process of its own, so
that its peak memory is its own. Printed: processor seconds, peak memory, and by which power of the number each grew.
"""

import argparse
import base64
import hashlib
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIDE_PX = 8
BYTES_PER_MB = 1e6


def journal_lines(count: int, folder: Path) -> list[dict]:
    """Write the pixels of works and return their index lines, as a preparation has them before it settles."""
    from artgan.datasets.journal import open_journal

    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**63, count, dtype=np.uint64)
    twins = count // 100
    hashes[-twins:] = hashes[:twins]
    journal = open_journal(folder, {"count": count}, (SIDE_PX, SIDE_PX, 3))
    for index, value in enumerate(hashes.tolist()):
        seed = index if index < count - twins else index - (count - twins)
        proxy = np.random.default_rng([1, seed]).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        pixels = np.random.default_rng([2, index]).integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
        digest = hashlib.sha256(pixels.tobytes()).hexdigest()
        line = {"name": f"{index:07d}.jpg", "source": f"paintings/{index % 997:03d}/{index:07d}.jpg", "status": "kept"}
        line |= {"reason": None, "label": None, "bytes": 100_000, "sha256": digest, "format": "JPEG", "mode": "RGB"}
        line |= {"width": 1024, "height": 1024, "profile": None, "orientation": 1, "notes": [], "pixels_sha256": digest}
        line |= {"perceptual_hash": f"{value:016x}", "proxy": base64.b64encode(proxy.tobytes()).decode()}
        journal.append([(line, pixels)])
    journal.close()
    return journal.lines


def measure(count: int) -> dict[str, float]:
    """Settle and open a collection of so many works."""
    from artgan.datasets.collection import open_collection
    from artgan.datasets.recipe import Recipe
    from artgan.datasets.settle import settle
    from artgan.devices import peak_host_bytes

    with tempfile.TemporaryDirectory() as place:
        folder, out = Path(place, "journal"), Path(place, "out")
        lines = journal_lines(count, folder)
        started = time.process_time()
        summary = settle(folder, lines, Recipe(SIDE_PX, SIDE_PX, holdout=0.05), True, [], out)
        settled = time.process_time()
        assert summary.duplicates == count // 100, f"{summary.duplicates} twins found, {count // 100} planted"
        open_collection(out)
        opened = time.process_time()
        index_mb = (out / "index.jsonl").stat().st_size / BYTES_PER_MB
    return {
        "settle s": settled - started,
        "open s": opened - settled,
        "peak MB": peak_host_bytes() / BYTES_PER_MB,
        "index MB": index_mb,
    }


def main() -> None:
    """Measure each number in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", type=int, nargs="*", default=[20_000, 40_000, 80_000])
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(measure(options.counts[0])))
        return
    found: dict[int, dict[str, float]] = {}
    for count in options.counts:
        words = [sys.executable, __file__, str(count), "--alone"]
        found[count] = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        print(f"{count:,} works: " + ", ".join(f"{name} {value:,.2f}" for name, value in found[count].items()), flush=True)
    first, last = min(found), max(found)
    if first < last:
        powers = {name: math.log(found[last][name] / found[first][name]) / math.log(last / first) for name in found[last]}
        print("grew as the number to the power of: " + ", ".join(f"{name} {power:.2f}" for name, power in powers.items()))


if __name__ == "__main__":
    main()
