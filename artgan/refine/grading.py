"""The color step: keep, then white balance, match, contrast, saturation; fitted to a series, to a picture, or between.

Everything is fitted to samples of pixels and is then one function of a color, so that it can also be written as a `.cube`
table that other programs apply.
"""

import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from artgan.errors import DataError
from artgan.refine.color import Map, fit_histogram, fit_monge_kantorovich, fit_reinhard, fit_transport, keep_colors
from artgan.refine.oklab import linear_from_oklab, oklab_from_linear, oklab_from_srgb, srgb_from_oklab
from artgan.refine.steps.color import ColorLook

SAMPLES_PER_PICTURE = 16_384
_MAX_POOLED = 1_000_000
_GRAY_NORM = 6  # Finlayson & Trezzi 2004: p = 1 is gray world, infinity the brightest pixel
_MIN_BALANCE, _MAX_BALANCE = 0.5, 2.0
_CONTRAST_TAILS = (0.5, 99.5)
_MAX_STRETCH = 2.5
_VIVID = 0.25  # Oklab chroma from which vibrance leaves a color alone
CUBE_SIDE = 33
_MAX_TITLE = 200  # lines of the format have 250 bytes at most


def sample_pixels(pixels: np.ndarray) -> np.ndarray:
    """Return Oklab float32 `[n, 3]`, n about 16,384 at most, of a regular grid over a picture, uint8 or float in [0, 1]."""
    height, width = pixels.shape[:2]
    stride = max(1, int(np.ceil(np.sqrt(height * width / SAMPLES_PER_PICTURE))))
    chosen = pixels[stride // 2 :: stride, stride // 2 :: stride].reshape(-1, 3)
    chosen = chosen if len(chosen) else pixels.reshape(-1, 3)[:1]
    return oklab_from_srgb(chosen).astype(np.float32)


def samples_to_grade(content: np.ndarray, styled: np.ndarray | None, look: ColorLook) -> np.ndarray:
    """Return samples of a picture as its color map meets it: after `keep`, from the same places before and after style."""
    if styled is None:
        return content
    return keep_colors(styled, content, look.strength) if look.mode == "keep" else styled


def pool(samples: Sequence[np.ndarray]) -> np.ndarray:
    """Return the samples of a series together, evenly thinned to a million colors at most."""
    stride = max(1, -(-sum(map(len, samples)) // _MAX_POOLED))
    return np.concatenate([part[::stride] for part in samples])


def fit_grade(source: np.ndarray, palette: np.ndarray | None, look: ColorLook, seed: int) -> Map | None:
    """Fit all that is a function of a color to samples; None when nothing changes.

    Args:
        source: Oklab `[N, 3]` of what is to be changed.
        palette: Oklab `[M, 3]` to match, or None.
        look: what to do.
        seed: of the rotations of `sliced`.
    """
    steps: list[Map] = []
    current = source
    for fit in _fits(palette, look, seed):
        step = fit(current)
        current = step(current)
        steps.append(step)
    return _chain(steps) if steps else None


def between(series: Map | None, own: Map | None, share: float) -> Map | None:
    """Return the map that goes `share` of the way from the series' map to the picture's own."""
    if series is None or own is None or share == 0:
        return series
    if share == 1:
        return own

    def mixed(oklab: np.ndarray) -> np.ndarray:
        assert series is not None
        assert own is not None
        shared = series(oklab)
        return shared + share * (own(oklab) - shared)

    return mixed


def _fits(palette: np.ndarray | None, look: ColorLook, seed: int) -> list[Callable[[np.ndarray], Map]]:
    fits: list[Callable[[np.ndarray], Map]] = []
    if look.white_balance:
        fits.append(lambda samples: _partly(_white_balance(samples), look.white_balance))
    if look.mode == "match" and look.strength:
        assert palette is not None
        fits.append(lambda samples: _partly(_matching(samples, palette, look.method, seed), look.strength))
    if look.contrast:
        fits.append(lambda samples: _partly(_stretch(samples), look.contrast))
    if look.saturation or look.vibrance:
        fits.append(lambda samples: _saturation(look.saturation, look.vibrance))
    return fits


def _matching(samples: np.ndarray, palette: np.ndarray, method: str, seed: int) -> Map:
    if method == "sliced":
        return fit_transport(samples, palette, seed)
    fit = {"mkl": fit_monge_kantorovich, "reinhard": fit_reinhard, "histogram": fit_histogram}[method]
    return fit(samples, palette)


def _chain(steps: Sequence[Map]) -> Map:
    def chained(oklab: np.ndarray) -> np.ndarray:
        for step in steps:
            oklab = step(oklab)
        return oklab

    return chained


def _partly(color_map: Map, strength: float) -> Map:
    if strength == 1:
        return color_map
    return lambda oklab: oklab + np.asarray(strength, oklab.dtype) * (color_map(oklab) - oklab)


def _white_balance(samples: np.ndarray) -> Map:
    """Shades of gray (Finlayson & Trezzi 2004), in linear light: e = (mean I^p)^(1/p), gains mean(e) / e."""
    light = linear_from_oklab(samples.astype(np.float64)).clip(0, None)
    cast = np.power(np.power(light, _GRAY_NORM).mean(0), 1 / _GRAY_NORM).clip(1e-6)
    gains = (cast.mean() / cast).clip(_MIN_BALANCE, _MAX_BALANCE)
    return lambda oklab: oklab_from_linear(linear_from_oklab(oklab) * gains.astype(oklab.dtype))


def _stretch(samples: np.ndarray) -> Map:
    low, high = np.percentile(samples[:, 0], _CONTRAST_TAILS)
    gain = min(_MAX_STRETCH, 1 / max(high - low, 1e-6))
    middle = (low + high) / 2
    goal = min(max(middle, gain * (high - low) / 2), 1 - gain * (high - low) / 2)  # the range stays within black and white

    def stretched(oklab: np.ndarray) -> np.ndarray:
        moved = oklab.copy()
        moved[..., 0] = goal + gain * (oklab[..., 0] - middle)
        return moved

    return stretched


def _saturation(saturation: float, vibrance: float) -> Map:
    def saturated(oklab: np.ndarray) -> np.ndarray:
        moved = oklab.copy()
        chroma = np.hypot(oklab[..., 1], oklab[..., 2])
        gain = (1 + saturation) * (1 + vibrance * (1 - chroma / _VIVID).clip(0, 1))
        moved[..., 1:] *= gain[..., None].astype(oklab.dtype)
        return moved

    return saturated


def write_cube(path: Path, color_map: Map, title: str) -> None:
    """Write a map as a 33-point `.cube` table of gamma-coded sRGB, red fastest (the IRIDAS format).

    Its interpolation is an approximation; artgan itself applies the map. The title is cut to what every reader takes: one line
    of printable ASCII without quotes.
    """
    title = " ".join(unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().replace('"', "").split())
    axis = np.linspace(0, 1, CUBE_SIDE)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    colors = np.stack([red, green, blue], -1).reshape(-1, 3)
    mapped = srgb_from_oklab(color_map(oklab_from_srgb(colors)))
    lines = [
        f'TITLE "{title[:_MAX_TITLE]}"',
        f"LUT_3D_SIZE {CUBE_SIDE}",
        *(" ".join(f"{value:.6f}" for value in row) for row in mapped),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def parse_palette(text: str) -> np.ndarray:
    """Parse `#112233,#aabbcc` to uint8 `[1, N, 3]`.

    Raises:
        DataError: a word is not such a color.
    """
    words = [word.strip().removeprefix("#") for word in text.split(",") if word.strip()]
    try:
        colors = [bytes.fromhex(word) for word in words]
    except ValueError:
        colors = []
    if not colors or any(len(color) != 3 for color in colors):
        raise DataError(f"--palette {text}: expected a picture, a collection, or colors such as #1b2a49,#d8c9a3")
    return np.array([list(color) for color in colors], np.uint8)[None]
