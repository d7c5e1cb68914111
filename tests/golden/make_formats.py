"""Makes the kept files of `tests/golden/formats`: the kinds of files that got a format version after commit 4e9eb49.

    PYTHONPATH=. OMP_NUM_THREADS=1 python tests/golden/make_formats.py tests/golden/formats

They are made once and never again: later versions of artgan are to open these very bytes. A kind of file that gets another
format gets a kept file beside the one that is here.
"""

import shutil
import sys
from pathlib import Path

import torch

from artgan.generation.favourites import Favourite, write_favourites
from artgan.generation.point import Point
from artgan.refine.enlarging.folder import save_enlarger
from artgan.refine.enlarging.network import EnlargingNetwork
from artgan.refine.fit_state import save_fit
from artgan.training.status import write_status


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return weights that are a function of their names' order alone."""
    return {
        name: torch.linspace(-0.1, 0.1, value.numel()).view_as(value) * (1 + place)
        for place, (name, value) in enumerate(network.state_dict().items())
    }


def make(golden: Path) -> None:
    """Write one file or folder of each kind."""
    score = {"psnr_db": 25.0, "patch_fd": 0.5, "texture_ratio": 1.0}
    about = {
        "version": "0.2",
        "identity": "0" * 64,
        "factor": 2,
        "texture": 0.5,
        "steps": 3,
        "fit": {"crop_px": 16},
        "judge": "random",
        "works": {"name": "drawn", "origin": "drawn", "fitted": 8, "held_out": 2, "rights": []},
        "scores": {"lanczos": score, "0.5": score},
    }
    (golden / "enlarger").mkdir(parents=True)
    held = weights(EnlargingNetwork(2, 4, 1))
    save_enlarger(golden / "enlarger", held, {name: 0.5 * value for name, value in held.items()}, about)
    (golden / "fit").mkdir()
    save_fit(golden / "fit", {"network": torch.nn.Linear(2, 1)}, {}, {"identity": "drawn"}, {"step": 7})
    write_favourites(golden / "favourites.json", [Favourite(Point(seed=5, truncation=0.7), "drawn-0k", "0" * 64)])
    (golden / "run").mkdir()
    write_status(golden / "run", "finished", 48, 48)


if __name__ == "__main__":
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    make(Path(sys.argv[1]))
