"""Mixtures of the studio's models, as folders of the workspace or of the user's own, so that they are there the next time."""

from pathlib import Path
from typing import Any

from artgan.errors import DataError
from artgan.generation.favourites import data_dir
from artgan.generation.mixing import Mixture, mix_models, warning
from artgan.generation.model_folder import Model
from artgan.progress import Listener, Progress
from artgan.studio.door import Door
from artgan.studio.workspace import new_folder

_SIDES_PX = [2**level for level in range(2, 11)]


def mixtures_of(door: Door | None) -> Path:
    """Return the folder that mixtures go into: of the workspace, where there is one."""
    return data_dir() / "models" if door is None else door.workspace.models


def mix(first: Model, second: Model, request: dict[str, Any], parent: Path, listen: Listener) -> tuple[Path, str | None]:
    """Write the folder of a mixture; return it, and why it is likely to fail, or None.

    Args:
        first: gives the coarse layers, and the classes.
        second: of the same architecture and sizes.
        request: `share` of the second, and `from_px`, the side from which on its layers are taken; null is every layer.
        parent: what it goes into.
        listen: told when it begins.

    Raises:
        DataError: a value is out of range.
        ConfigError: the models do not fit each other.
    """
    share, from_px = request.get("share"), request.get("from_px")
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise DataError(f"share: expected a number from 0 to 1, got {str(share)[:40]}")
    if from_px is not None and from_px not in _SIDES_PX:
        raise DataError(f"from_px: expected null or one of {', '.join(map(str, _SIDES_PX))}, got {str(from_px)[:40]}")
    if first.sha256 == second.sha256:
        raise DataError("these two are the same model: choose another to mix it with")
    listen(Progress("mixing", 0, None, "models"))
    out = new_folder(parent, f"{first.name}+{second.name}")
    mix_models(first, second, Mixture(float(share), from_px), out)
    return out, warning(first, second)
