"""A sheet of drawings, to look at what the network learns from."""

from pathlib import Path

import numpy as np
from PIL import Image

from artgan.drawings.drawing import SIDE_PX, draw

_ROWS, _COLUMNS = 8, 15


def contact_sheet(path: Path, seed: int) -> Path:
    """Write the first 120 drawings of a seed as one PNG and return its path."""
    pictures = np.stack([draw(seed, index).image for index in range(_ROWS * _COLUMNS)])
    grid = pictures.reshape(_ROWS, _COLUMNS, SIDE_PX, SIDE_PX, 3).transpose(0, 2, 1, 3, 4)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grid.reshape(_ROWS * SIDE_PX, _COLUMNS * SIDE_PX, 3)).save(path)
    return path
