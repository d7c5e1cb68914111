"""How pictures are made alike: the recipe of a collection, and the frame that every picture is brought to."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from artgan.decode import MAX_PIXELS, WHITE, Picture, decode

FITS = ("crop", "pad", "stretch", "smart")
FOCI = ("center", "top", "detail")
DUPLICATES = ("alike", "exact", "keep")
_SMART_MIN_SHARE = 0.8
_FOCUS_PROXY_PX = 128
_BORDER_TOLERANCE = 12
_BORDER_MIN_SHARE = 0.98
_BORDER_MAX_CUT = 0.25


@dataclass(frozen=True)
class Recipe:
    """How pictures are made alike.

    Attributes:
        height, width: of the collection.
        fit: `crop` fills the frame and cuts the rest; `pad` shows the whole work on the matte; `stretch` squeezes the whole
            work into the frame; `smart` crops where at least 80 % of the work stays, and pads elsewhere.
        focus: the part that a crop keeps: `center`, `top`, or `detail`, where the work has most of it.
        tiles: a large work gives up to this many crops along its longer side, none of them enlarged; 1 takes works whole.
        trim: cut borders of one color, such as mounts and scan margins, up to a quarter of each side.
        min_side_px: a file with a shorter side is rejected as too small.
        min_aspect, max_aspect: width / height outside of these is rejected.
        matte: color under transparency and around padded works.
        duplicates: `alike` keeps one of pictures that look the same, `exact` one of those with equal pixels, `keep` all;
            groups are found and recorded in any case.
        holdout: share of the kept pictures that stays out of training.
        max_reject: share of rejected files above which the run fails.
    """

    height: int
    width: int
    fit: str = "crop"
    focus: str = "center"
    tiles: int = 1
    trim: bool = False
    min_side_px: int = 0
    min_aspect: float = 0.0
    max_aspect: float = 1e6
    matte: tuple[int, int, int] = WHITE
    duplicates: str = "alike"
    holdout: float = 0.05
    max_reject: float = 0.5


Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Work:
    """A decoded work before it is fitted.

    Attributes:
        picture: what the decoder says.
        pixels: uint8 `[h, w, 3]`, without borders that were cut.
        extent: the box of them that the work covers.
        cut: how many pixels of border went: left, top, right, bottom.
    """

    picture: Picture
    pixels: np.ndarray
    extent: Box
    cut: tuple[int, int, int, int] = (0, 0, 0, 0)


def open_work(data: bytes, recipe: Recipe, max_pixels: int = MAX_PIXELS, suffix: str = "") -> Work:
    """Decode a picture file, with that suffix of its name, as the recipe wants it.

    Raises:
        DataError: as `artgan.decode.decode`.
    """
    enough_px = max(recipe.height, recipe.width) * recipe.tiles
    picture = decode(data, matte=recipe.matte, enough_px=enough_px, max_pixels=max_pixels, suffix=suffix)
    if not recipe.trim:
        return Work(picture, picture.grid, picture.box)
    pixels, cut = trim_borders(picture.grid)
    return Work(picture, pixels, trimmed_box(picture.box, cut, pixels), cut)


def fit_pixels(pixels: np.ndarray, recipe: Recipe, box: Box | None = None) -> np.ndarray:
    """Bring uint8 `[h, w, 3]`, or the part of it in a box, to the recipe's frame with an antialiased Lanczos filter."""
    box = box or (0, 0, pixels.shape[1], pixels.shape[0])
    fit = recipe.fit
    if fit == "smart":
        fit = "crop" if _share_kept(box, recipe) >= _SMART_MIN_SHARE else "pad"
    if fit == "stretch":
        return cut_tile(pixels, box, recipe)
    if fit == "crop":
        return cut_tile(pixels, _crop_box(pixels, box, recipe), recipe)
    return _padded(Image.fromarray(pixels), box, recipe)


def tile_boxes(height: float, width: float, recipe: Recipe) -> list[Box]:
    """Return the boxes (left, top, right, bottom) into which a work is cut, row by row; one box when it stays whole.

    Boxes have the shape of the frame and at least its size, do not overlap, and are spread evenly over the work.
    """
    frames_across, frames_down = width / recipe.width, height / recipe.height
    if min(frames_across, frames_down) < 1:
        return [(0, 0, width, height)]
    scale = min(max(max(frames_across, frames_down) / recipe.tiles, 1.0), frames_across, frames_down)
    across, down = (min(recipe.tiles, int(frames / scale + 1e-9)) for frames in (frames_across, frames_down))
    box_width, box_height = recipe.width * scale, recipe.height * scale
    return [
        (left, top, left + box_width, top + box_height)
        for top in _spread(height - box_height, down)
        for left in _spread(width - box_width, across)
    ]


def cut_tile(pixels: np.ndarray, box: Box, recipe: Recipe) -> np.ndarray:
    """Return one box of uint8 `[h, w, 3]` at the recipe's size."""
    size = (recipe.width, recipe.height)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, box=box))


def _spread(slack: float, count: int) -> list[float]:
    return [slack / 2] if count == 1 else [slack * index / (count - 1) for index in range(count)]


def trim_borders(pixels: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Cut borders of one color.

    Returns:
        The inner picture, and how many pixels went: left, top, right, bottom.
    """
    top, bottom = _uniform_lines(pixels), _uniform_lines(pixels[::-1])
    inner = pixels[top : pixels.shape[0] - bottom].swapaxes(0, 1)
    left, right = _uniform_lines(inner), _uniform_lines(inner[::-1])
    inner = inner[left : inner.shape[0] - right].swapaxes(0, 1)
    return inner, (left, top, right, bottom)


def _uniform_lines(pixels: np.ndarray) -> int:
    """Return how many first lines have the color of the edge; none when that would be most of the picture."""
    limit = int(pixels.shape[0] * _BORDER_MAX_CUT)
    edge = np.median(pixels[0], axis=0)
    lines = pixels[: limit + 1].astype(np.int16)
    same = np.abs(lines - edge).max(-1) <= _BORDER_TOLERANCE
    uniform = same.mean(1) >= _BORDER_MIN_SHARE
    count = len(uniform) if uniform.all() else int(uniform.argmin())
    return count if count <= limit else 0


def trimmed_box(box: Box, cut: tuple[int, int, int, int], pixels: np.ndarray) -> Box:
    """Return a box of a picture within what `trim_borders` left of it."""
    left, top, right, bottom = box
    height, width, _ = pixels.shape
    return max(left - cut[0], 0), max(top - cut[1], 0), min(right - cut[0], width), min(bottom - cut[1], height)


def _share_kept(box: Box, recipe: Recipe) -> float:
    ratio = ((box[2] - box[0]) / (box[3] - box[1])) / (recipe.width / recipe.height)
    return min(ratio, 1 / ratio)


def _crop_box(pixels: np.ndarray, within: Box, recipe: Recipe) -> Box:
    """Return the largest box of the frame's shape, placed by the focus: left, top, right, bottom."""
    width, height = within[2] - within[0], within[3] - within[1]
    scale = min(width / recipe.width, height / recipe.height)
    box_width, box_height = recipe.width * scale, recipe.height * scale
    across, down = 0.5, 0.0 if recipe.focus == "top" else 0.5
    if recipe.focus == "detail":
        energy = _detail(pixels)
        across, down = _best_place(energy.sum(0), box_width / width), _best_place(energy.sum(1), box_height / height)
    left, top = within[0] + (width - box_width) * across, within[1] + (height - box_height) * down
    return left, top, left + box_width, top + box_height


def _detail(pixels: np.ndarray) -> np.ndarray:
    """Return the gradient magnitude of a small gray copy, float64 `[h, w]`."""
    image = Image.fromarray(pixels).convert("L")
    image.thumbnail((_FOCUS_PROXY_PX, _FOCUS_PROXY_PX), Image.Resampling.BOX)
    gray = np.asarray(image, dtype=np.float64)
    rows = np.abs(np.diff(gray, axis=0, append=gray[-1:]))
    columns = np.abs(np.diff(gray, axis=1, append=gray[:, -1:]))
    return rows + columns


def _best_place(energy: np.ndarray, share: float) -> float:
    """Return where in its slack, from 0 to 1, a window over `share` of a line holds most; the middle when all are alike."""
    size = max(1, round(len(energy) * share))
    sums = np.convolve(energy, np.ones(size), "valid")
    if len(sums) == 1 or np.ptp(sums) <= 1e-9 * max(1.0, sums.max()):
        return 0.5
    return int(sums.argmax()) / (len(sums) - 1)


def _padded(image: Image.Image, box: Box, recipe: Recipe) -> np.ndarray:
    width, height = box[2] - box[0], box[3] - box[1]
    scale = min(recipe.width / width, recipe.height / height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = Image.new("RGB", (recipe.width, recipe.height), recipe.matte)
    offset = ((recipe.width - inner[0]) // 2, (recipe.height - inner[1]) // 2)
    canvas.paste(image.resize(inner, Image.Resampling.LANCZOS, box=box), offset)
    return np.asarray(canvas)
