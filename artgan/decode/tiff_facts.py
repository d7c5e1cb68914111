"""What a TIFF says of its pages: which one is the work, and who reads it right.

TIFF 6.0, Adobe's supplements, and DNG 1.7. Nothing here touches pixels; a hostile file costs at most a bounded walk.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

_MAX_PAGES = 4096
_MAX_ENTRIES = 4096
_MAX_VALUES = 64
_SIZES = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, SEPARATED, YCBCR, CIELAB, ICCLAB = 0, 1, 2, 3, 4, 5, 6, 8, 9
_SENSOR = (32803, 34892)  # a color filter array, or what was made of one
_DNG_VERSION = 50706
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_PILLOW_COMPRESSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000)
_EXTRA_COMPRESSIONS = (1, 5, 8, 32773, 32946, 34925, 50000, 50001)
_COMPRESSIONS = {
    6: "old-style JPEG", 7: "JPEG", 9: "JBIG", 10: "JBIG", 32809: "ThunderScan", 33003: "JPEG 2000", 33004: "JPEG 2000",
    33005: "JPEG 2000", 34676: "SGI LogLuv", 34677: "SGI LogLuv", 34712: "JPEG 2000", 34887: "LERC", 34892: "lossy JPEG",
    34933: "PNG", 34934: "JPEG XR", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
_NO_CODE: Mapping[int, tuple[int, ...]] = {}


@dataclass(frozen=True)
class Page:
    """One directory of a TIFF, by its tags.

    Attributes:
        place: its first byte in the file.
        number: its place in the chain, from 1; 0 for a directory within another (SubIFD).
    """

    place: int
    number: int
    tags: Mapping[int, tuple[int, ...]] = field(default_factory=lambda: _NO_CODE)

    def _one(self, tag: int, default: int) -> int:
        return (self.tags.get(tag) or (default,))[0]

    @property
    def width(self) -> int:
        return self._one(256, 0)

    @property
    def height(self) -> int:
        return self._one(257, 0)

    @property
    def num_samples(self) -> int:
        return self._one(277, 1)

    @property
    def bits(self) -> tuple[int, ...]:
        return self.tags.get(258) or (1,)

    @property
    def compression(self) -> int:
        return self._one(259, 1)

    @property
    def photometric(self) -> int:
        return self._one(262, WHITE_IS_ZERO)

    @property
    def fill_order(self) -> int:
        return self._one(266, 1)

    @property
    def is_planar(self) -> bool:
        return self._one(284, 1) == 2 and self.num_samples > 1

    @property
    def extra_samples(self) -> tuple[int, ...]:
        return self.tags.get(338, ())

    @property
    def sample_format(self) -> int:
        formats = set(self.tags.get(339, (_UNSIGNED,)))
        return formats.pop() if len(formats) == 1 else 0

    @property
    def subsampling(self) -> tuple[int, ...]:
        return self.tags.get(530, (2, 2))

    @property
    def segment_pixels(self) -> int:
        """Pixels of one tile, or of one strip."""
        if 322 in self.tags:
            return self._one(322, 0) * self._one(323, 0)
        return self.width * min(self.height, self._one(278, self.height))

    @property
    def is_turned(self) -> bool:
        """Whether its rows run down the upright picture."""
        return self._one(274, 1) in range(5, 9)

    @property
    def is_reduced(self) -> bool:
        return bool(self._one(254, 0) & 1) or self._one(255, 1) == 2

    @property
    def is_mask(self) -> bool:
        return bool(self._one(254, 0) & 4) or self.photometric == MASK

    @property
    def is_sensor(self) -> bool:
        return self.photometric in _SENSOR

    @property
    def is_float(self) -> bool:
        return self.sample_format == _FLOAT

    @property
    def num_colors(self) -> int:
        return {RGB: 3, YCBCR: 3, CIELAB: 3, ICCLAB: 3, SEPARATED: 4}.get(self.photometric, 1)

    @property
    def alpha(self) -> str | None:
        """`straight`, `associated` or None, for the sample after the colors."""
        extra = self.extra_samples
        if self.num_samples <= self.num_colors or not extra:
            return None
        return {1: "associated", 2: "straight"}.get(extra[0])


@dataclass(frozen=True)
class TiffFacts:
    """The pages of a TIFF, in the order of the file, and those within others after them."""

    little: bool
    big: bool
    pages: tuple[Page, ...]

    @property
    def num_in_chain(self) -> int:
        return sum(page.number > 0 for page in self.pages)

    def is_raw(self, suffix: str) -> bool:
        """Return whether it is camera raw: it has a sensor's page, or is a DNG that begins with a preview.

        The main page of a DNG is never a finished picture, whatever it says (DNG 1.7, NewSubFileType); other TIFFs may begin
        with a preview and have a finished picture within, as cameras write that make TIFF themselves.
        """
        first = self.pages[0]
        is_dng = _DNG_VERSION in first.tags or suffix.lower() == ".dng"
        return any(page.is_sensor for page in self.pages) or (is_dng and first.is_reduced)

    @property
    def work(self) -> Page | None:
        """The largest full page, the first of several; None when there is only a reduced one, or masks.

        Where a program marked every page as reduced, none of them can be a copy of something larger than the largest.
        """
        shown = [page for page in self.pages if not (page.is_mask or page.is_sensor)]
        full = [page for page in shown if not page.is_reduced]
        if not full and len({(page.width, page.height) for page in shown}) > 1:
            full = shown
        return max(full, key=lambda page: page.width * page.height, default=None)

    @property
    def preview(self) -> Page | None:
        """The largest page that is a finished picture: within another, only one that is marked as reduced is."""
        shown = [page for page in self.pages if not (page.is_mask or page.is_sensor) and (page.number or page.is_reduced)]
        return max(shown, key=lambda page: page.width * page.height, default=None)

    def beginning_with(self, data: bytes, page: Page) -> bytes:
        """Return the file with another page as its first, which every reader can find."""
        order = "<" if self.little else ">"
        if self.big:
            return data[:8] + struct.pack(order + "Q", page.place) + data[16:]
        return data[:4] + struct.pack(order + "I", page.place) + data[8:]


def tiff_facts(data: bytes) -> TiffFacts:
    """Read the directories of a TIFF or BigTIFF.

    Raises:
        ValueError: there is none.
    """
    little = data[:2] == b"II"
    order = "<" if little else ">"
    big = 43 in data[2:4]
    pages: list[Page] = []
    seen: set[int] = set()
    try:
        place = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
        while place and place not in seen and len(pages) < _MAX_PAGES:
            seen.add(place)
            tags, place_after = _directory(data, place, order, big)
            pages.append(Page(place, len(pages) + 1, tags))
            place = place_after
    except struct.error:
        pass  # what came before counts
    for page in list(pages):
        for place in page.tags.get(330, ()):
            if place not in seen and len(pages) < _MAX_PAGES:
                seen.add(place)
                try:
                    pages.append(Page(place, 0, _directory(data, place, order, big)[0]))
                except struct.error:
                    continue
    if not pages:
        raise ValueError("the TIFF has no directory")
    return TiffFacts(little, big, tuple(pages))


def tiff_size(data: bytes) -> tuple[int, int] | None:
    """Return the height and width, upright, of the page that is the work; None where no page is.

    Raises:
        ValueError: there is no directory.
    """
    page = tiff_facts(data).work
    if page is None:
        return None
    return (page.width, page.height) if page.is_turned else (page.height, page.width)


def _directory(data: bytes, place: int, order: str, big: bool) -> tuple[dict[int, tuple[int, ...]], int]:
    head, width, offset = ("Q", 20, "Q") if big else ("H", 12, "I")
    count = struct.unpack_from(order + head, data, place)[0]
    start = place + struct.calcsize("<" + head)
    if count > _MAX_ENTRIES:
        raise struct.error("more entries than a directory has")
    tags: dict[int, tuple[int, ...]] = {}
    for entry in range(start, start + count * width, width):
        tag, kind, number = struct.unpack_from(order + "HH" + offset, data, entry)
        code = _SIZES.get(kind)
        if code is None or number == 0 or tag in tags:
            continue
        number = min(number, _MAX_VALUES)
        form = f"{order}{number}{code}"
        value_at = entry + (12 if big else 8)
        if struct.calcsize(form) > (8 if big else 4):
            value_at = struct.unpack_from(order + offset, data, value_at)[0]
        if value_at + struct.calcsize(form) <= len(data):
            tags[tag] = struct.unpack_from(form, data, value_at)
    after = start + count * width
    following = struct.unpack_from(order + offset, data, after)[0] if after + struct.calcsize(offset) <= len(data) else 0
    return tags, following


def pillow_is_right(page: Page, little: bool, big: bool) -> bool:
    """Return whether Pillow decodes such a page, and rightly (measured: docs/decisions.md)."""
    bits = page.bits[0]
    if big and not little:
        return False
    if page.compression not in _PILLOW_COMPRESSIONS or len(set(page.bits)) > 1:
        return False
    if page.sample_format != _UNSIGNED:
        # Pillow writes gray of 16 bits so; of 16 signed bits none reaches the white of 16 bits
        return page.sample_format == _SIGNED and bits == 32 and page.photometric == BLACK_IS_ZERO and page.num_samples == 1
    if page.fill_order == 2 and bits > 8:
        return False
    if page.num_samples == 1:
        return _one_sample_is_right(page, bits, little)
    extra = page.extra_samples
    if page.photometric == BLACK_IS_ZERO:
        return bits == 8 and page.num_samples == 2 and not page.is_planar and extra in ((0,), (1,), (2,))
    if page.photometric == PALETTE:
        return bits == 8 and page.num_samples == 2 and not page.is_planar and extra in ((0,), (2,))
    if page.photometric == YCBCR:
        whole = page.compression != 1 or page.subsampling == (1, 1)
        return bits == 8 and page.num_samples == 3 and whole
    if page.photometric == CIELAB:
        return bits == 8 and page.num_samples == 3 and not page.is_planar
    if page.photometric in (RGB, SEPARATED) and bits in (8, 16):
        return _several_samples_are_right(page, bits)
    return False


def _one_sample_is_right(page: Page, bits: int, little: bool) -> bool:
    if page.photometric == BLACK_IS_ZERO:
        return bits in (1, 2, 4, 8, 16) or (bits == 12 and little)
    if page.photometric == WHITE_IS_ZERO:
        return bits in (1, 2, 4, 8) or (bits == 16 and little)
    return bits in (1, 2, 4, 8) if page.photometric == PALETTE else bits == 8 and page.photometric == YCBCR


def _several_samples_are_right(page: Page, bits: int) -> bool:
    extra, colors = page.extra_samples, page.num_colors
    beyond = page.num_samples - colors
    if page.is_planar:  # associated alpha stays multiplied in, and uncompressed samples above 8 bits come out as noise
        known = beyond == 0 or (beyond == 1 and extra == (2,) and page.photometric == RGB)
        return known and (bits == 8 or page.compression != 1)
    if page.photometric == SEPARATED:
        return beyond == 0 or (bits == 8 and beyond <= 2 and not any(extra) and len(extra) == beyond)
    if bits == 16:
        return beyond == 0 or (beyond == 1 and extra in ((), (0,), (1,), (2,)))
    return beyond <= 3 and (len(extra) == beyond or (beyond == 1 and not extra)) and not any(extra[1:])


def extra_objection(page: Page) -> str | None:
    """Return why the extra's reader cannot decode a page rightly, or None."""
    if page.compression not in _EXTRA_COMPRESSIONS:
        return f"TIFF with {_COMPRESSIONS.get(page.compression, f'unknown ({page.compression})')} compression" + (
            "" if page.compression not in _PILLOW_COMPRESSIONS else f" of {page.bits[0]} bits in this layout"
        )
    if page.photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED, CIELAB, ICCLAB):
        words = {YCBCR: "uncompressed, subsampled YCbCr", 10: "ITU Lab", 32844: "LogL", 32845: "LogLuv"}
        return f"TIFF with {words.get(page.photometric, f'photometric interpretation {page.photometric}')}"
    if page.photometric == SEPARATED and (page._one(332, 1) != 1 or page.num_samples < 4):
        return "TIFF with inks that are not CMYK"
    if page.sample_format == _SIGNED and page.photometric not in (CIELAB, ICCLAB):
        return "TIFF with signed samples, whose white is unknown"
    if 0 in page.bits:
        return f"TIFF whose tags are damaged (samples of {' and '.join(map(str, page.bits))} bits)"
    if len(set(page.bits)) > 1:
        return f"TIFF with samples of {' and '.join(map(str, page.bits))} bits"
    if page.is_float and page.photometric == WHITE_IS_ZERO:
        return "TIFF in floating point with white at zero"
    if page.sample_format not in (_UNSIGNED, _SIGNED, _FLOAT):
        return "TIFF with samples of several kinds, or of one that is no number"
    if page.bits[0] > 32:
        return f"TIFF with {page.bits[0]}-bit samples"
    if page.num_samples > page.num_colors + 4:
        return f"TIFF with {page.num_samples} channels"
    return None
