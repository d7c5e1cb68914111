"""What a run takes on disk, and the limit that `training.max_disk_gb` sets to it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from artgan.errors import StorageError
from artgan.overview import SAMPLES, sample_sheets
from artgan.storage import remove
from artgan.training.checkpoint import delete_checkpoint, spare_checkpoints
from artgan.training.session import CHECKPOINTS
from artgan.training.state import TrainState, state_tensors

SHEET_PICTURES = 64
_SHEET_BYTES_PER_PIXEL = 2.0  # of a PNG of painted pictures, roughly


@dataclass(frozen=True)
class Sizes:
    """Bytes of one of each of the large things that a run writes.

    Attributes:
        checkpoint: with the optimizers' moments.
        model: a model folder, which has a sheet too.
        sheet: of samples, once as a file and once for TensorBoard.
    """

    checkpoint: int
    model: int
    sheet: int

    @property
    def save(self) -> int:
        """Bytes beside what is there while a checkpoint and the latest model are written."""
        return self.checkpoint + self.model


def sizes_of(state: TrainState) -> Sizes:
    """Return what a run's files take, by its state; the moments that Adam does not have yet in a new run included."""
    tensors = sum(tensor.nbytes for tensor in state_tensors(state).values())
    moments_to_come = sum(
        2 * parameter.nbytes
        for optimizer in state.optimizers().values()
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter not in optimizer.state
    )
    height, width = state.image_size
    sheet = int(SHEET_PICTURES * height * width * _SHEET_BYTES_PER_PIXEL)
    weights = sum(tensor.nbytes for tensor in state.ema.state_dict().values())
    return Sizes(tensors + moments_to_come, model=weights + sheet, sheet=2 * sheet)


def bytes_in(folder: Path) -> int:
    """Return what the files in a folder take, those of its folders included; what goes away meanwhile is left out."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += 0 if path.is_symlink() or path.is_dir() else path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def make_room(run: Path, limit_gb: float | None, needed: int) -> None:
    """Delete what a run can do without until so many more bytes stay within its limit: nothing where they do already.

    Checkpoints go first, the oldest first, all but the newest; then every second sheet of samples, so that those that stay
    still show the whole way; the first sheet and the newest one stay.

    Args:
        run: the run folder.
        limit_gb: `training.max_disk_gb`; None is no limit.
        needed: bytes that are to be written.

    Raises:
        StorageError: they do not fit; the newest checkpoint and the models are there.
    """
    if limit_gb is None:
        return
    over = bytes_in(run) + needed - int(limit_gb * 1e9)
    for path, delete in _spare(run) if over > 0 else ():
        freed = bytes_in(path) if path.is_dir() else path.stat().st_size
        delete(path)
        over -= 0 if path.exists() else freed
        if over <= 0:
            break
    if over > 0:
        raise StorageError(
            f"run {run}: training.max_disk_gb = {limit_gb:g} leaves no room for {needed / 1e6:,.1f} MB more, {over / 1e6:,.1f} "
            f"MB are lacking, and nothing is left there to delete. Give a larger training.max_disk_gb, and the same command "
            f"goes on from the newest checkpoint"
        )


def least_gb(run: Path, sizes: Sizes) -> float:
    """Return the limit, in GB, below which a run cannot save: two checkpoints and three models, with what cannot go."""
    replaced = (CHECKPOINTS, SAMPLES, "model")
    lasting = bytes_in(run) - sum(bytes_in(run / name) for name in replaced)
    return (2 * sizes.checkpoint + 3 * sizes.model + lasting) / 1e9


def _spare(run: Path) -> Iterator[tuple[Path, Callable[[Path], None]]]:
    """Yield what can go and how, in the order in which it goes."""
    for checkpoint in spare_checkpoints(run / CHECKPOINTS):
        yield checkpoint, delete_checkpoint
    sheets = [path for _, path in sample_sheets(run)]
    while thinned := sheets[1:-1:2]:
        for sheet in thinned:
            yield sheet, remove
        sheets = [*sheets[:-1:2], sheets[-1]]
