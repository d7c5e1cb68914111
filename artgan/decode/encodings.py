"""From numbers to light and back: primaries, transfer functions and tone, in closed form.

Sources: ITU-T H.273 (code points), IEC 61966-2-1 (sRGB), ITU-R BT.2100 (PQ, HLG), BT.2408 (203 cd/m2 is white on paper),
the PNG specification (gAMA, cHRM), Reinhard et al. 2002 (the shoulder).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Chromaticities = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]  # red to white

_D65, _DCI, _C = (0.3127, 0.3290), (0.314, 0.351), (0.310, 0.316)
SRGB: Chromaticities = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65)
_PRIMARIES: dict[int, tuple[str, Chromaticities]] = {
    1: ("BT.709", SRGB),
    4: ("BT.470 M", ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C)),
    5: ("BT.470 BG", ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65)),
    6: ("SMPTE 170M", ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65)),
    7: ("SMPTE 240M", ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65)),
    9: ("BT.2020", ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65)),
    11: ("DCI-P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI)),
    12: ("Display P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65)),
    22: ("EBU 3213", ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65)),
}
# Pictures tagged with a camera's curve (BT.709 and its kin) were graded on a display: they are taken as sRGB, as browsers do.
_LIKE_SRGB = (1, 2, 6, 13, 14, 15)
_TRANSFERS = {4: ("gamma 2.2", 2.2), 5: ("gamma 2.8", 2.8), 8: ("linear light", 1.0), 17: ("gamma 2.6", 2.6)}
_PQ, _HLG = 16, 18
_UNSPECIFIED = 2
_WHITE_NITS = 203.0
_HLG_PEAK_NITS, _HLG_SYSTEM_GAMMA = 1000.0, 1.2
_KNEE = 0.75
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_SAME = 2e-3
_GAMMA_OF_SRGB, _GAMMA_TOLERANCE = 2.2, 0.05
_BLOCK_PX = 1 << 18
_STEPS = 65535


@dataclass(frozen=True)
class Cicp:
    """Code points of ITU-T H.273, as PNG (cICP), AVIF and HEIF (nclx) carry them."""

    primaries: int
    transfer: int
    full_range: bool = True


@dataclass(frozen=True)
class Encoding:
    """What RGB numbers mean.

    Attributes:
        name: for notes.
        primaries: chromaticities of red, green, blue and white.
        transfer: `srgb`, `gamma`, `pq` or `hlg`.
        gamma: of `gamma`; 1 is linear light.
        narrow: whether black is 16 and white 235 of 255.
        unbounded: whether numbers above 1 are light, brighter than white.
    """

    name: str
    primaries: Chromaticities = SRGB
    transfer: str = "srgb"
    gamma: float = 1.0
    narrow: bool = False
    unbounded: bool = False

    @property
    def is_srgb(self) -> bool:
        same = np.abs(np.array(self.primaries) - np.array(SRGB)).max() <= _SAME
        return bool(same) and self.transfer == "srgb" and not self.narrow

    @property
    def is_high_range(self) -> bool:
        return self.unbounded or self.transfer in ("pq", "hlg")


def linear_light(primaries: Chromaticities = SRGB) -> Encoding:
    """Return the encoding of float files: linear light, where 1 is white and more is brighter."""
    return Encoding("linear light", primaries, "gamma", 1.0, unbounded=True)


def of_cicp(cicp: Cicp, *, range_done: bool = False) -> tuple[Encoding, list[str]]:
    """Return what code points mean, and notes on those that nothing here knows.

    Args:
        cicp: the code points.
        range_done: whether the reader has widened a narrow range.
    """
    notes = []
    label, primaries = _PRIMARIES.get(cicp.primaries, ("", SRGB))
    if not label and cicp.primaries != _UNSPECIFIED:
        notes.append(f"unknown primaries {cicp.primaries} taken as those of sRGB")
    transfer, gamma, curve = "srgb", 1.0, ""
    if cicp.transfer in (_PQ, _HLG):
        transfer = "pq" if cicp.transfer == _PQ else "hlg"
        curve = transfer.upper()
    elif cicp.transfer in _TRANSFERS:
        (curve, gamma), transfer = _TRANSFERS[cicp.transfer], "gamma"
    elif cicp.transfer not in _LIKE_SRGB:
        notes.append(f"unknown transfer function {cicp.transfer} taken as sRGB's")
    name = " ".join(part for part in (label, curve) if part)
    return Encoding(name, primaries, transfer, gamma, not (cicp.full_range or range_done)), notes


def of_gamma(exponent: float | None, primaries: Chromaticities | None) -> Encoding:
    """Return what PNG's gAMA (the encoding exponent, 0.45455 for 2.2) and cHRM mean.

    2.2 with the primaries of sRGB is how PNG has always written sRGB itself.
    """
    gamma = 1 / exponent if exponent else _GAMMA_OF_SRGB
    chosen = primaries or SRGB
    plain = np.abs(np.array(chosen) - np.array(SRGB)).max() <= _SAME
    near = abs(gamma / _GAMMA_OF_SRGB - 1) <= _GAMMA_TOLERANCE
    if plain and near:
        return Encoding("sRGB", SRGB)
    name = f"gamma {gamma:.3g}" + ("" if plain else ", primaries of its own")
    return Encoding(name, chosen, "gamma", gamma)


def to_srgb(values: np.ndarray, encoding: Encoding) -> tuple[np.ndarray, float]:
    """Convert RGB numbers to sRGB.

    Light brighter than white is brought in by a curve that leaves everything under three quarters of white as it is, and takes
    the brightest channel of the picture, in its own primaries, to white (`shoulder`).

    Args:
        values: `[H, W, 3]`; uint8 and uint16 reach white at their highest value, floats at 1.
        encoding: what they mean.

    Returns:
        uint8 `[H, W, 3]`, and the brightest light, 1 or more, in units of white.
    """
    decode = _lookup(values.dtype, encoding)
    matrix = _to_srgb_primaries(encoding.primaries)
    result = np.empty(values.shape, np.uint8)
    rows = max(1, _BLOCK_PX // max(1, values.shape[1]))
    blocks = [slice(top, top + rows) for top in range(0, values.shape[0], rows)]

    def light_of(block: slice) -> np.ndarray:
        return np.asarray(decode(values[block]) @ matrix.T, np.float32)

    peak = 1.0
    if encoding.is_high_range:
        peak = max(
            1.0, max(float(decode(values[block]).max()) for block in blocks)
        )  # what is only too colorful is not too bright
    table = np.rint(encode_srgb(np.arange(_STEPS + 1) / _STEPS) * 255).astype(np.uint8)
    for block in blocks:
        light = light_of(block)
        if peak > 1:
            brightest = light.max(-1, keepdims=True)
            light *= shoulder(brightest, peak) / np.maximum(brightest, 1e-6)
        result[block] = table[np.rint(light.clip(0, 1) * _STEPS).astype(np.intp)]
    return result, peak


def shoulder(light: np.ndarray, peak: float) -> np.ndarray:
    """Map 0 to `peak` onto 0 to 1: the identity up to the knee, then Reinhard's extended curve (2002, equation 4).

    With t = (x - k) / (1 - k) and T the same of the peak: k + (1 - k) t (1 + t / T^2) / (1 + t). It is smooth at the knee, and
    the identity when the peak is 1.
    """
    most = (peak - _KNEE) / (1 - _KNEE)
    t = np.maximum(light - _KNEE, 0) / (1 - _KNEE)
    return np.where(light <= _KNEE, light, _KNEE + (1 - _KNEE) * t * (1 + t / most**2) / (1 + t))


def encode_srgb(light: np.ndarray) -> np.ndarray:
    """Return sRGB numbers in 0..1 of linear light in 0..1."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)


def lab_to_srgb(lab: np.ndarray) -> np.ndarray:
    """Convert CIELAB under D50 (L in 0..100), float `[H, W, 3]`, to sRGB, uint8, clipped to its gamut; CIE 15:2004, 8.2.1."""
    white = np.array([0.9642, 1.0, 0.8249])
    matrix = np.linalg.inv(_to_xyz(SRGB)) @ _adapted(white, _xyz_of(_D65))
    fy = (lab[..., 0] + 16) / 116
    f = np.stack([fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * white
    return np.rint(encode_srgb((xyz @ matrix.T).clip(0, 1)) * 255).astype(np.uint8)


def _lookup(dtype: np.dtype, encoding: Encoding) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from numbers to light; whole numbers go through a table."""
    if dtype.kind == "f":
        return lambda values: _to_light(values.astype(np.float32), encoding).astype(np.float32)
    table = _to_light(np.linspace(0, 1, np.iinfo(dtype).max + 1), encoding).astype(np.float32)
    if encoding.transfer == "hlg":  # its last step needs all three channels
        return lambda values: _hlg_display(table[values])
    return lambda values: table[values]


def _to_light(values: np.ndarray, encoding: Encoding) -> np.ndarray:
    if encoding.narrow:
        values = (values * 255 - 16) / 219
    if encoding.transfer == "srgb":
        values = values.clip(0, 1)
        return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    if encoding.transfer == "pq":
        return _pq_nits(values.clip(0, 1)) / _WHITE_NITS
    if encoding.transfer == "hlg":
        return _hlg_scene(values.clip(0, 1))
    values = np.maximum(values, 0)
    return values if encoding.gamma == 1 else values**encoding.gamma


def _pq_nits(values: np.ndarray) -> np.ndarray:
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    powered = values ** (1 / m2)
    return 10000 * (np.maximum(powered - c1, 0) / (c2 - c3 * powered)) ** (1 / m1)


def _hlg_scene(values: np.ndarray) -> np.ndarray:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(values <= 0.5, values**2 / 3, (np.exp((np.maximum(values, 0.5) - c) / a) + b) / 12)


def _hlg_display(scene: np.ndarray) -> np.ndarray:
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593], np.float32)
    return scene * (_HLG_PEAK_NITS / _WHITE_NITS * np.maximum(luminance, 1e-6) ** (_HLG_SYSTEM_GAMMA - 1))[..., None]


def _to_srgb_primaries(primaries: Chromaticities) -> np.ndarray:
    white = _xyz_of(primaries[3])
    matrix = np.linalg.inv(_to_xyz(SRGB)) @ _adapted(white, _xyz_of(_D65)) @ _to_xyz(primaries)
    return matrix.astype(np.float32)


def _to_xyz(primaries: Chromaticities) -> np.ndarray:
    columns = np.array([_xyz_of(point) for point in primaries[:3]]).T
    return columns * np.linalg.solve(columns, _xyz_of(primaries[3]))


def _xyz_of(point: tuple[float, float]) -> np.ndarray:
    x, y = point
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adapted(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ target) / (_BRADFORD @ source)) @ _BRADFORD
