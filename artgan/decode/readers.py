"""Which reader for which file: one truth for every kind, chosen by what the file says of itself, not by what is installed."""

import importlib.util

import PIL
from PIL import Image

from artgan.decode import with_pillow
from artgan.decode.boxes import jp2_facts
from artgan.decode.jxl_facts import jxl_facts
from artgan.decode.psd_facts import PsdFacts, psd_facts
from artgan.decode.raster import Raster, Wish, check_size, from_extra
from artgan.decode.tiff_facts import WHITE_IS_ZERO, Page, TiffFacts, extra_objection, pillow_is_right, tiff_facts
from artgan.errors import DataError

SUFFIXES = frozenset(
    ".apng .avif .bmp .dib .gif .j2c .j2k .jfif .jp2 .jpc .jpe .jpeg .jpf .jpg .jpx .mpo .pbm .pgm .png .pnm .ppm .tga .tif "
    ".tiff .webp .heic .heif .hif .jxl .psd .psb .exr .hdr .arw .cr2 .cr3 .dng .nef .orf .pef .raf .rw2".split()
)
_EXTRA_READERS = ("tifffile", "imagecodecs", "pillow_heif", "pillow_jxl", "psd_tools", "OpenEXR", "rawpy", "av")


def installed() -> list[str]:
    """Return which readers there are: which files can be read, and what they become, depends on them."""
    return [f"PIL {PIL.__version__}", *(name for name in _EXTRA_READERS if importlib.util.find_spec(name) is not None)]


def read(data: bytes, kind: str, wish: Wish) -> Raster:
    """Read a file of a kind that `kinds.kind_of` names.

    Raises:
        DataError: it cannot be read rightly; the reason is in words, and names the extra that could.
    """
    if kind == "PNG":
        return with_pillow.read_png(data, wish)
    if kind == "TIFF":
        return _read_tiff(data, wish)
    if kind == "JPEG2000":
        return _read_jp2(data, wish)
    if kind == "AVIF":
        return with_pillow.read_avif(data, wish)
    if kind == "PSD":
        return _read_psd(data, wish)
    if kind in ("HEIF", "JXL"):
        return _read_by_plugin(data, kind, wish)
    if kind in ("EXR", "HDR"):
        from artgan.decode import scene_light

        return scene_light.read(data, kind, wish)
    if kind == "RAW":
        from artgan.decode import camera_raw

        return camera_raw.read(data, None, wish)
    return with_pillow.read(data, kind, wish)


def _read_tiff(data: bytes, wish: Wish) -> Raster:
    facts = tiff_facts(data)
    page = facts.work
    if facts.is_raw(wish.suffix) or data[8:10] == b"CR":
        from artgan.decode import camera_raw

        return camera_raw.read(data, facts.preview, wish)
    if page is None:
        raise DataError(_only_a_preview(facts.preview))
    check_size(page.width, page.height, wish, page.num_samples)
    check_size(1, page.segment_pixels, wish)
    raster = _read_page(facts.beginning_with(data, page) if page is not facts.pages[0] else data, page, facts, wish)
    if len(facts.pages) > 1:
        raster.notes[:] = [note for note in raster.notes if not note.startswith("first of")]
        raster.notes.append(_note_on_pages(page, facts))
    return raster


def _read_page(data: bytes, page: Page, facts: TiffFacts, wish: Wish) -> Raster:
    if pillow_is_right(page, facts.little, facts.big):
        return with_pillow.read_tiff(data, page.bits[0], white_is_zero=page.photometric == WHITE_IS_ZERO, wish=wish)
    objection = extra_objection(page)
    if objection:
        raise DataError(f"{objection} cannot be read: save it as a plain TIFF or PNG of 8 or 16 bits")
    kind = f"floating-point pixels of {page.bits[0]} bits" if page.is_float else f"TIFF of {page.bits[0]} bits in this layout"
    from_extra("tifffile", kind)
    from_extra("imagecodecs", kind)
    from artgan.decode import deep_samples

    return deep_samples.read_tiff(data, page, facts.little)


def _note_on_pages(page: Page, facts: TiffFacts) -> str:
    full = [other for other in facts.pages if not (other.is_reduced or other.is_mask)]
    if page is facts.pages[0] and len(full) > 1:
        return f"first of {len(full)} frames"
    if page is facts.pages[0]:
        return f"{len(facts.pages) - 1} smaller copies or masks passed over"
    place = f"page {page.number} of {facts.num_in_chain}" if page.number else "a page within another"
    return f"{place} taken, the largest of {page.width}x{page.height}"


def _only_a_preview(page: Page | None) -> str:
    size = f" of {page.width}x{page.height}" if page else ""
    return f"holds only a preview{size}: it is marked as a reduced copy, save the picture itself"


def _read_jp2(data: bytes, wish: Wish) -> Raster:
    facts = jp2_facts(data)
    check_size(facts.width, facts.height, wish, len(facts.depths))
    deepest = max(facts.depths, default=0)
    if deepest <= 8 or (len(facts.depths) == 1 and deepest in range(10, 17) and not facts.signed):
        return with_pillow.read_jp2(data, facts, wish)
    if deepest > 16 or facts.signed or facts.has_palette or len(facts.depths) > 4:
        raise DataError(f"JPEG 2000 of {len(facts.depths)} channels of {deepest} bits cannot be read: save it with 16 bits")
    from_extra("imagecodecs", f"JPEG 2000 of {deepest} bits")
    from artgan.decode import deep_samples

    return deep_samples.read_jp2(data, facts)


def _read_psd(data: bytes, wish: Wish) -> Raster:
    facts: PsdFacts = psd_facts(data)
    check_size(facts.width, facts.height, wish, min(facts.channels, facts.num_colors + 1))
    if facts.objection:
        raise DataError(f"{facts.objection}: save it as TIFF or PNG")
    if facts.pillow_is_right:
        return with_pillow.read_psd(data, facts, wish)
    from_extra("psd_tools", f"PSD of {facts.depth} bits in this mode")
    from artgan.decode import deep_samples

    return deep_samples.read_psd(data, facts)


def _read_by_plugin(data: bytes, kind: str, wish: Wish) -> Raster:
    if kind == "HEIF":
        return with_pillow.read_by_plugin(data, from_extra("pillow_heif", "HEIC").HeifImageFile, kind, wish)
    plugin = from_extra("pillow_jxl.JpegXLImagePlugin", "JPEG XL").JXLImageFile
    facts = jxl_facts(data)
    check_size(facts.width, facts.height, wish)  # the plugin unpacks as it opens
    raster = with_pillow.read_by_plugin(data, plugin, kind, wish)
    if facts.is_float:
        raster.notes.append("floating-point light cut off at white and scaled to 8 bits")
    elif facts.bits > 8 and isinstance(raster.samples, Image.Image):
        raster.notes.append(f"{facts.bits}-bit scaled to 8")
    return raster
