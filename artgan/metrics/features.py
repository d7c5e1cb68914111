"""Sets of features: what every metric takes, and a bank that keeps large ones out of memory."""

import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from artgan.errors import DataError

STANDARD_ERRORS = 1.96
GROUPS = 10
_BLOCK_ROWS = 1024
_LIMIT_BYTES = 48 << 20


class FeatureBank:
    """float32 rows `[N, d]`, appended in order; beyond some size they wait in a temporary file, not in memory.

    It is read by slices of rows, as an array is.

    Args:
        limit_bytes: how much stays in memory.

    Raises:
        DataError: on appending values that are not finite.
    """

    def __init__(self, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._rows: list[np.ndarray] = []
        self._file: IO[bytes] | None = None
        self.shape = (0, 1)

    def __len__(self) -> int:
        return self.shape[0]

    def append(self, rows: np.ndarray) -> None:
        """Add float32 rows `[n, d]`."""
        if not np.isfinite(rows).all():
            raise DataError("some features are not finite: a picture or a network output holds NaN or infinity")
        self._rows.append(np.ascontiguousarray(rows, dtype=np.float32))
        self.shape = (self.shape[0] + len(rows), rows.shape[1])
        if self._file is None and self.shape[0] * self.shape[1] * 4 > self._limit_bytes:
            self._file = tempfile.TemporaryFile(prefix="artgan-features-")  # noqa: SIM115 - it lives as long as the bank
            weakref.finalize(self, self._file.close)
        if self._file is not None:
            self._file.seek(0, 2)
            for waiting in self._rows:
                self._file.write(waiting.tobytes())
            self._rows = []

    def __getitem__(self, rows: slice) -> np.ndarray:
        if self._file is None:
            if len(self._rows) > 1:
                self._rows = [np.concatenate(self._rows)]
            return self._rows[0][rows] if self._rows else np.empty(self.shape, np.float32)
        start, stop, step = rows.indices(len(self))
        self._file.seek(start * self.shape[1] * 4)
        content = self._file.read(max(0, stop - start) * self.shape[1] * 4)
        return np.frombuffer(content, np.float32).reshape(-1, self.shape[1])[::step]


Rows = np.ndarray | FeatureBank


@dataclass(frozen=True)
class Estimate:
    """A value with a 95 % interval for the sampling error of the judged pictures; the reference is held fixed.

    Attributes:
        value: of all pictures.
        low, high: NaN where there are too few pictures to tell.
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")


def blocks(rows: Rows, size: int = _BLOCK_ROWS) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (first row, float64 block) over all rows."""
    for start in range(0, len(rows), size):
        yield start, rows[start : start + size].astype(np.float64)


def check_features(features: Rows) -> None:
    """Raise DataError for features that no metric is defined on."""
    if len(features.shape) != 2 or len(features) < 2:
        raise DataError(f"metrics need at least 2 images, got {len(features)}")
    if isinstance(features, np.ndarray) and not np.isfinite(features).all():
        raise DataError("some features are not finite: a picture or a network output holds NaN or infinity")


def jackknife_groups(count: int) -> int:
    """Return into how many groups the jackknife divides rows (row i is in group i modulo it); 0 when there are too few."""
    return GROUPS if count >= 2 * GROUPS else 0


def grouped_estimate(value: float, left_out: list[float]) -> Estimate:
    """Return the estimate of the jackknife over groups (Tukey 1958): `left_out[i]` is the value without group i.

    se^2 = (g - 1) / g * sum_i (d_i - mean d)^2

    A bias that all d_i share, such as that of the Fréchet distance at small N, stays in the value.
    """
    groups = len(left_out)
    if not groups:
        return Estimate(value)
    error = float(np.sqrt((groups - 1) / groups * np.square(np.array(left_out) - np.mean(left_out)).sum()))
    return Estimate(value, value - STANDARD_ERRORS * error, value + STANDARD_ERRORS * error)


def share_estimate(hits: np.ndarray) -> Estimate:
    """Return the share of true values with Wilson's (1927) interval, which is right at 0 and 1 too."""
    count, share, z = len(hits), float(np.mean(hits)), STANDARD_ERRORS
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return Estimate(share, float(max(0.0, min(share, middle - half))), float(min(1.0, max(share, middle + half))))


def mean_estimate(values: np.ndarray) -> Estimate:
    """Return a mean with its normal interval."""
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    value = float(np.mean(values))
    return Estimate(value, value - STANDARD_ERRORS * error, value + STANDARD_ERRORS * error)
