"""The small grid that a generator starts from, and that a discriminator ends at: rectangles are rectangles from there on."""

from artgan.errors import ConfigError

MAX_DOUBLINGS = 8
_MIN, _MAX = 4, 12


def base_grid(height_px: int, width_px: int) -> tuple[int, int, int]:
    """Return (rows, columns, doublings) with height = rows * 2^doublings, and a shorter side of the grid of 4 to 7.

    Raises:
        ConfigError: there is no such grid.
    """
    for doublings in range(MAX_DOUBLINGS, 2, -1):
        rows, columns = height_px >> doublings, width_px >> doublings
        fits = rows << doublings == height_px and columns << doublings == width_px
        if fits and min(rows, columns) >= _MIN and max(rows, columns) <= _MAX:
            return rows, columns, doublings
    raise ConfigError(
        f"no generator of artgan can make {width_px}x{height_px} px: each side must be a small number ({_MIN} to {_MAX}) times "
        f"the same power of two, from 8 to 256, such as 256x256 or 320x256; prepare the collection again at such a size"
    )
