"""What a caller may give: pictures and collections, open or by their paths."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from artgan.api.works import open_collection
from artgan.datasets.collection import Collection
from artgan.decode import decode_file
from artgan.errors import DataError

Picture = Image.Image | np.ndarray | str | os.PathLike[str]


def opened(collection: Collection | str | os.PathLike[str]) -> Collection:
    """Return a collection that may be given by its folder."""
    return collection if isinstance(collection, Collection) else open_collection(collection)


def several(value: Any) -> Iterable[Any]:
    """Return the items of a value that may be one of them."""
    return [value] if isinstance(value, int | np.integer | np.ndarray | str | os.PathLike | Image.Image) else value


def pixels_of(picture: Picture) -> np.ndarray:
    """Return uint8 `[H, W, 3]`.

    Raises:
        DataError: an array of another kind or shape, or a file that cannot be read.
    """
    if isinstance(picture, str | os.PathLike):
        return decode_file(Path(picture)).pixels
    pixels = np.asarray(picture.convert("RGB") if isinstance(picture, Image.Image) else picture)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise DataError(f"a picture as an array is uint8 [H, W, 3], got {pixels.dtype} {list(pixels.shape)}")
    return pixels


def pixels_or_path(picture: Picture | None) -> np.ndarray | Path | None:
    """Return what a style or palette may be: a path as it is, because a folder or a collection has one too; or pixels."""
    if picture is None or isinstance(picture, str | os.PathLike):
        return None if picture is None else Path(picture)
    return pixels_of(picture)
