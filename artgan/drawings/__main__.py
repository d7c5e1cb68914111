"""Make the weights of `drawn` again: draw a pool of pictures, teach the network from it, write `drawn.safetensors`.

    ./scripts/train_backbone --out backbone

Everything lies in OUT: the pool of drawings, log.jsonl, the checkpoint and the weights. The same command goes on where it was
interrupted. Equal recipes, seeds and steps give an equal network, not equal bytes: sums differ from processor to processor.
Try the result with ARTGAN_WEIGHTS=OUT: what lies there is used in place of the weights that ship.
"""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from artgan.devices import choose_device
from artgan.drawings.contact import contact_sheet
from artgan.drawings.pool import Pool, fill_pool
from artgan.drawings.pretrain import WEIGHTS_FILE, Recipe, pretrain
from artgan.errors import ArtganError
from artgan.progress import PlainListener

_DEFAULTS = Recipe()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/train_backbone", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for everything")
    parser.add_argument("--steps", type=int, default=_DEFAULTS.steps, help="of training (default: %(default)s)")
    parser.add_argument(
        "--drawings", type=int, default=_DEFAULTS.drawings, help="in the pool (default: %(default)s; 30 KB each)"
    )
    parser.add_argument(
        "--batch", type=int, default=_DEFAULTS.batch, help="drawings told apart at a time (default: %(default)s)"
    )
    parser.add_argument("--groups", type=int, default=_DEFAULTS.groups, help="such batches in a step (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=_DEFAULTS.seed, help="of the network, order and views (default: %(default)s)"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes that draw (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: %(default)s)")
    parser.add_argument("--look", action="store_true", help="only write OUT/drawings.png, a sheet of 120 drawings, and stop")
    return parser.parse_args()


def _run(arguments: argparse.Namespace) -> None:
    out: Path = arguments.out
    chosen = {name: getattr(arguments, name) for name in ("steps", "drawings", "batch", "groups", "seed")}
    recipe = Recipe(**chosen)
    if arguments.look:
        print(contact_sheet(out / "drawings.png", recipe.drawings_seed))
        return
    stopped = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    fill_pool(
        out / "pool", recipe.drawings_seed, recipe.drawings, workers=arguments.workers, on_progress=PlainListener(sys.stderr)
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    pool = Pool(out / "pool", recipe.drawings_seed)
    step = pretrain(pool, out, recipe, device=choose_device(arguments.device), should_stop=lambda: stopped)
    if step < recipe.steps:
        print(f"stopped at step {step:,} of {recipe.steps:,}; the same command goes on from here")
    else:
        print(out / WEIGHTS_FILE)


def main() -> None:
    """Parse, make, say where the weights are."""
    try:
        _run(_arguments())
    except ArtganError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
