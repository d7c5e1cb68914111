"""A run's sheets of samples as a film: the same 64 seeds, from the first sheet to the last, under a line that says how far."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from artgan.decode import decode_file
from artgan.errors import DataError
from artgan.overview import sample_sheets
from artgan.progress import Listener, silent, track

_LINE_SHARE = 1 / 24  # of a sheet's height: the line below it
_STAY, _FADE, _LAST = 0.35, 0.25, 2.0  # seconds that a sheet stays, that the next takes to come, that the last one stays
_MAX_SIDE_PX = 2048


def sheets_of(run: Path) -> list[Path]:
    """Return a run's sheets of samples, the earliest first.

    Raises:
        DataError: fewer than two: there is nothing that changes.
    """
    paths = [path for _, path in sample_sheets(run)]
    if len(paths) < 2:
        raise DataError(
            f"{run}: a time-lapse needs two sheets of samples or more, samples/ has {len(paths)}; give a run that has trained"
        )
    return paths


def time_lapse(sheets: Sequence[Path], fps: float, on_progress: Listener = silent) -> Iterator[np.ndarray]:
    """Yield the frames, uint8 `[H, W, 3]` of one size: each sheet stays a moment and fades into the next.

    Args:
        sheets: of `sheets_of`.
        fps: frames per second.
        on_progress: told after each sheet.

    Raises:
        DataError: a sheet cannot be read, or is of another size than the first.
    """
    stay, fade, last = (max(1, round(fps * seconds)) for seconds in (_STAY, _FADE, _LAST))
    before: np.ndarray | None = None
    for path in track(sheets, "putting sheets together", len(sheets), "sheets", on_progress):
        frame = _with_line(path)
        if before is not None and frame.shape != before.shape:
            raise DataError(f"{path} is of another size than the sheets before it: it is not of this run")
        if before is not None:
            shares = [step / (fade + 1) for step in range(1, fade + 1)]
            yield from (np.round(before * (1 - share) + frame * share).astype(np.uint8) for share in shares)
        yield from [frame] * stay
        before = frame
    yield from [frame] * (last - stay)


def _with_line(path: Path) -> np.ndarray:
    """Return a sheet, reduced to a side that films have, with the line below it; even sides, as films need them."""
    try:
        sheet = Image.fromarray(decode_file(path).pixels)
    except DataError as error:
        raise DataError(f"{error}; remove it, or restore it from a copy") from error
    sheet.thumbnail((_MAX_SIDE_PX, _MAX_SIDE_PX), Image.Resampling.LANCZOS)
    height = max(16, 2 * round(sheet.height * _LINE_SHARE / 2))
    frame = Image.new("RGB", (sheet.width // 2 * 2, sheet.height // 2 * 2 + height), "white")
    frame.paste(sheet, (0, 0))
    text = f"{int(path.stem.removeprefix('images-')) / 1000:,.1f} thousand images"
    font = ImageFont.load_default(round(height * 0.6))
    ImageDraw.Draw(frame).text((height // 4, sheet.height // 2 * 2 + height // 8), text, "#333333", font)
    return np.asarray(frame)
