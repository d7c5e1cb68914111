"""The extra's readers for samples that Pillow has no mode for: TIFF, JPEG 2000 and Photoshop files of any depth.

Every size was checked by the file's header before; segments unpack into blocks of that size and no further.
"""

import io
import logging
import warnings
from typing import Any

import numpy as np

from artgan.decode.boxes import Jp2Facts
from artgan.decode.psd_facts import CMYK, INDEXED, LAB, PsdFacts
from artgan.decode.raster import FULL, Raster, Space, eight_bits, to_full_scale, unmultiplied
from artgan.decode.scene_light import light_raster
from artgan.decode.tiff_facts import CIELAB, ICCLAB, PALETTE, RGB, SEPARATED, WHITE_IS_ZERO, Page
from artgan.errors import DataError

_PROFILE_TAG, _COLORMAP_TAG, _ORIENTATION_TAG = 34675, 320, 274
_SRGB_YCC = 18


def read_tiff(data: bytes, page: Page, little: bool) -> Raster:
    """Read the first page of a TIFF with tifffile and imagecodecs.

    Raises:
        DataError: it is damaged.
    """
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it warns of is an error here, or no matter
    try:
        with tifffile.TiffFile(io.BytesIO(data), _multifile=False, _useframes=False) as file:
            first = file.pages.first
            values = np.asarray(first.asarray(maxworkers=1))
            tags = {tag: first.tags[tag].value for tag in (_PROFILE_TAG, _COLORMAP_TAG, _ORIENTATION_TAG) if tag in first.tags}
    except tifffile.TiffFileError as error:
        raise ValueError("tifffile finds no page") from error
    values = _with_channels_last(values, page)
    raster = _tiff_raster(values, page, tags.get(_COLORMAP_TAG))
    raster.profile = tags.get(_PROFILE_TAG) or None
    orientation = tags.get(_ORIENTATION_TAG, 1)
    raster.orientation = int(orientation) if orientation in range(1, 9) else 1
    return raster


def _with_channels_last(values: np.ndarray, page: Page) -> np.ndarray:
    """Return `[H, W, C]` of what tifffile gives, which leaves out sides of one pixel."""
    shape = (page.num_samples, page.height, page.width) if page.is_planar else (page.height, page.width, page.num_samples)
    values = values.reshape(shape)
    return np.moveaxis(values, 0, -1) if page.is_planar else values


def _tiff_raster(values: np.ndarray, page: Page, colormap: np.ndarray | None) -> Raster:
    bits, photometric = page.bits[0], page.photometric
    mode = f"{_name_of(photometric)};{bits}" + ("F" if page.is_float else "")
    if photometric in (CIELAB, ICCLAB):
        notes = [f"{bits}-bit scaled to 8"] if bits > 8 else []
        return Raster("TIFF", mode, page.width, page.height, _lab(values, photometric, bits), "LAB", notes=notes)
    colors, beyond = values[..., : page.num_colors], values[..., page.num_colors :]
    alpha = beyond[..., 0] if page.alpha else None
    if page.is_float:
        return light_raster("TIFF", mode, colors, alpha, associated=page.alpha == "associated")
    colors = _whole(colors, bits)
    if photometric == PALETTE and colormap is not None:
        return Raster("TIFF", mode, page.width, page.height, _looked_up(values[..., 0], colormap), "RGB")
    opacity = None if alpha is None else _whole(alpha, bits)
    if opacity is not None and page.alpha == "associated":
        colors = unmultiplied(np.array(colors), opacity)
    if photometric == WHITE_IS_ZERO:
        colors = FULL - colors
    space: Space = {RGB: "RGB", SEPARATED: "CMYK"}.get(photometric, "L")  # type: ignore[assignment]
    return Raster(
        "TIFF",
        mode,
        page.width,
        page.height,
        colors[..., 0] if space == "L" else np.ascontiguousarray(colors[..., : 4 if space == "CMYK" else 3]),
        space,
        None if opacity is None else eight_bits(opacity),
        notes=[f"{bits}-bit scaled to 8"] if bits > 8 else [],
    )


def _name_of(photometric: int) -> str:
    return {RGB: "RGB", SEPARATED: "CMYK", CIELAB: "LAB", ICCLAB: "LAB", PALETTE: "P"}.get(photometric, "L")


def _whole(values: np.ndarray, bits: int) -> np.ndarray:
    if bits <= 16:
        return to_full_scale(values, bits)
    return (values >> np.uint32(bits - 16)).astype(np.uint16)


def _looked_up(indices: np.ndarray, colormap: np.ndarray) -> np.ndarray:
    table = np.asarray(colormap, np.uint16)
    return np.ascontiguousarray(table[:, np.minimum(indices, table.shape[1] - 1)].transpose(1, 2, 0))


def _lab(values: np.ndarray, photometric: int, bits: int) -> np.ndarray:
    """Return float L in 0..100, a and b: TIFF 6.0 section 23 for CIELab, Adobe's technical note for ICCLab."""
    if values.dtype.kind == "f":
        return values[..., :3].astype(np.float32)
    share = float(1 << (bits - 8))
    lightness = values[..., :1].view(f"u{values.itemsize}").astype(np.float32)
    if photometric == ICCLAB:
        chroma = values[..., 1:3].view(f"u{values.itemsize}").astype(np.float32) / share - 128
        return np.concatenate([lightness * (100 / (255 * share)), chroma], -1)
    chroma = values[..., 1:3].view(f"i{values.itemsize}").astype(np.float32) / share
    return np.concatenate([lightness * (100 / ((1 << bits) - 1)), chroma], -1)


def read_jp2(data: bytes, facts: Jp2Facts) -> Raster:
    """Read a JPEG 2000 file above 8 bits with imagecodecs.

    Raises:
        DataError: it is damaged, or its channels have several sizes or a luma of their own.
    """
    import imagecodecs

    if facts.enumerated == _SRGB_YCC:
        raise DataError("JPEG 2000 in YCC above 8 bits cannot be read: save it in RGB")
    values = imagecodecs.jpeg2k_decode(data[facts.codestream :])  # of a whole file it would apply the profile itself
    values = values.reshape(*values.shape[:2], -1)
    count = values.shape[-1]
    if values.shape != (facts.height, facts.width, len(facts.depths)):
        raise DataError("JPEG 2000 with channels of several sizes cannot be read: save it as TIFF")
    full = np.stack([to_full_scale(values[..., k], facts.depths[k]) for k in range(count)], -1)
    is_cmyk = count == 4 and not facts.alpha and (facts.enumerated == 12 or (facts.profile or b"")[16:20] == b"CMYK")
    space: Space = "CMYK" if is_cmyk else "L" if count < 3 else "RGB"
    colors = 4 if is_cmyk else 1 if count < 3 else 3
    has_alpha = count > colors and facts.alpha is not False
    return Raster(
        "JPEG2000",
        f"{space}{'A' if has_alpha else ''};{max(facts.depths)}",
        facts.width,
        facts.height,
        full[..., 0] if space == "L" else np.ascontiguousarray(full[..., :colors]),
        space,
        eight_bits(full[..., colors]) if has_alpha else None,
        facts.profile,
        notes=[f"{max(facts.depths)}-bit scaled to 8"],
    )


def read_psd(data: bytes, facts: PsdFacts) -> Raster:
    """Read the composite of a PSD or PSB with psd-tools, which is not asked for its layers.

    Raises:
        DataError: it is damaged.
    """
    from psd_tools.compression import PSDDecompressionWarning
    from psd_tools.psd.header import FileHeader
    from psd_tools.psd.image_data import ImageData

    header = FileHeader.read(io.BytesIO(data[:26]))
    row = (facts.width * facts.depth + 7) // 8
    composite = ImageData.read(io.BytesIO(data[facts.image_data :]))
    logging.getLogger("psd_tools").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("error", PSDDecompressionWarning)  # otherwise damaged channels come as black
        try:
            planes: Any = composite.get_data(header, max_output_bytes=row * facts.height * facts.channels)
        except PSDDecompressionWarning as error:
            raise ValueError("the composite is shorter than its header says, truncated") from error
    wanted = facts.num_colors + facts.is_transparent
    stack = np.stack([_plane(planes[k], facts) for k in range(wanted)], -1)
    colors, alpha = stack[..., : facts.num_colors], stack[..., facts.num_colors] if facts.is_transparent else None
    mode = f"{ {3: 'RGB', CMYK: 'CMYK', LAB: 'LAB', INDEXED: 'P'}.get(facts.mode, 'L') };{facts.depth}"
    raster = _psd_raster(colors, alpha, mode, facts)
    raster.profile = facts.profile
    return raster


def _plane(plane: bytes, facts: PsdFacts) -> np.ndarray:
    shape = (facts.height, facts.width)
    if facts.depth == 1:
        bits = np.unpackbits(np.frombuffer(plane, np.uint8).reshape(facts.height, -1), axis=1)
        return (1 - bits[:, : facts.width]).astype(np.uint16) * np.uint16(FULL)
    if facts.depth == 32:
        return np.frombuffer(plane, ">f4").reshape(shape).astype(np.float32)
    values = np.frombuffer(plane, np.uint8 if facts.depth == 8 else ">u2").reshape(shape)
    return to_full_scale(values, facts.depth)


def _psd_raster(colors: np.ndarray, alpha: np.ndarray | None, mode: str, facts: PsdFacts) -> Raster:
    if facts.depth == 32:
        return light_raster("PSD", mode, colors, alpha, associated=False)
    notes = [f"{facts.depth}-bit scaled to 8"] if facts.depth > 8 else []
    if facts.mode == LAB:
        numbers = colors.astype(np.float32) / 257
        lab = np.concatenate([numbers[..., :1] * (100 / 255), numbers[..., 1:] - 128], -1)
        return Raster("PSD", mode, facts.width, facts.height, lab, "LAB", notes=notes)
    if facts.mode == INDEXED:
        raise DataError("an indexed PSB cannot be read: save it as PSD or PNG")
    space: Space = "CMYK" if facts.mode == CMYK else "RGB" if facts.num_colors == 3 else "L"
    if space == "CMYK":
        colors = FULL - colors  # Photoshop stores what is left of the paper
    samples = colors[..., 0] if space == "L" else np.ascontiguousarray(colors)
    opacity = None if alpha is None else eight_bits(alpha)
    return Raster("PSD", mode, facts.width, facts.height, samples, space, opacity, notes=notes)
