"""The memory that refine forecasts against what it took at its peak, for a photograph and a style:

    ./scripts/benchmark refine_memory CONTENT.jpg STYLE.jpg [NETWORK fitted to it]

Each run is a process of its own, with a few steps at each scale: the peak does not depend on their number.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

SQUEEZENET = ["--backbone", "squeezenet1_1"]
VGG = ["--style-layers", "relu1_1,relu2_1,relu3_1", "--content-layers", "relu3_3"]  # what weights that end early have, too
RUNS = [
    [*SQUEEZENET, "--size", "512"],
    [*SQUEEZENET, "--size", "1024"],
    *([*VGG, "--size", size, "--style-loss", loss] for size in ("256", "512") for loss in ("moments", "sliced")),
    [*VGG, "--size", "512", "--optimizer", "adam"],
    [*VGG, "--size", "768", "--tile", "256"],
    ["--engine", "none", "--color", "match"],
]


def measure(words: list[str], out: Path) -> tuple[float, float]:
    """Return the forecast and the peak of a run, in GB."""
    command = [sys.executable, "-m", "artgan", "refine", *words, "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    forecast = re.search(r"([\d.]+) GB of memory", said)
    if status or forecast is None:
        sys.exit(f"{' '.join(command)} failed: {said}")
    return float(forecast[1]), usage.ru_maxrss * 1024 / 1e9  # in kB on Linux


def main() -> None:
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    content, style, *networks = sys.argv[1:]
    fitted = [["--engine", "feedforward", "--network", name, "--size", size] for name in networks for size in ("256", "1024")]
    with TemporaryDirectory() as folder:
        for index, words in enumerate([*RUNS, *fitted]):
            forecast, peak = measure(
                [content, "--style", style, "--set", "style.iterations=3", *words], Path(folder, str(index))
            )
            print(f"{' '.join(words):90} forecast {forecast:.2f} GB, peak {peak:.2f} GB: {forecast / peak:.2f}", flush=True)


if __name__ == "__main__":
    main()
