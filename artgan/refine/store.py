"""What the first pass of a run keeps for the second: in memory, or in a folder that outlives a stop."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from artgan.storage import write_whole

Samples = tuple[np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class Kept:
    """A picture after the first pass.

    Attributes:
        content_samples: Oklab `[n, 3]` of the picture before the first step.
        styled: sRGB float32 `[H, W, 3]` in [0, 1], or None where no step of the pass changed it.
        styled_samples: Oklab `[n, 3]` of `styled`, from the same places.
    """

    content_samples: np.ndarray
    styled: np.ndarray | None
    styled_samples: np.ndarray | None


class Store(Protocol):
    """Results of the first pass by the pictures' keys."""

    def put(self, key: str, kept: Kept) -> None:
        """Keep a result."""

    def samples(self, key: str) -> Samples:
        """Return the colors of a picture before the first step and after the pass, without reading the picture itself."""

    def styled(self, key: str) -> np.ndarray | None:
        """Return the picture after the pass, or None where the pass changed nothing."""


@dataclass(frozen=True)
class MemoryStore:
    """Results held by this process."""

    held: dict[str, Kept] = field(default_factory=dict)

    def put(self, key: str, kept: Kept) -> None:
        self.held[key] = kept

    def samples(self, key: str) -> Samples:
        return self.held[key].content_samples, self.held[key].styled_samples

    def styled(self, key: str) -> np.ndarray | None:
        return self.held[key].styled


@dataclass(frozen=True)
class FolderStore:
    """Results in files: processes and machines share them, and a run that was stopped finds them again."""

    folder: Path

    def has(self, key: str) -> bool:
        """Whether there is a result."""
        return self._file(key).is_file()

    def put(self, key: str, kept: Kept) -> None:
        arrays = {"content_samples": kept.content_samples}
        if kept.styled is not None and kept.styled_samples is not None:
            arrays |= {"styled": kept.styled.astype(np.float32), "styled_samples": kept.styled_samples}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        write_whole(self._file(key), buffer.getvalue())

    def samples(self, key: str) -> Samples:
        with np.load(self._file(key), allow_pickle=False) as held:
            return held["content_samples"], held.get("styled_samples")

    def styled(self, key: str) -> np.ndarray | None:
        with np.load(self._file(key), allow_pickle=False) as held:
            styled: np.ndarray | None = held.get("styled")
        return styled

    def put_failure(self, key: str, reason: str) -> None:
        """Note that a picture cannot be refined, and why: runs on other machines do not wait for it."""
        write_whole(self._note(key), reason.encode())

    def failure(self, key: str) -> str | None:
        """Return why a picture cannot be refined, where some run noted it and none succeeded."""
        note = self._note(key)
        return note.read_text(encoding="utf-8") if note.is_file() and not self.has(key) else None

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.npz"

    def _note(self, key: str) -> Path:
        return self.folder / f"{key}.failed"
