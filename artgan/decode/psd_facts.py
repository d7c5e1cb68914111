"""What a Photoshop file says of its composite (Adobe Photoshop File Formats Specification, 2019): mode, depth, transparency."""

import struct
from dataclasses import dataclass

_BITMAP, GRAY, INDEXED, RGB, CMYK, _MULTICHANNEL, DUOTONE, LAB = 0, 1, 2, 3, 4, 7, 8, 9
_NUM_COLORS = {_BITMAP: 1, GRAY: 1, INDEXED: 1, RGB: 3, CMYK: 4, DUOTONE: 1, LAB: 3}
_PROFILE, _VERSION = 1039, 1057
_MAX_PROFILE = 16 << 20
_MAX_ITEMS = 10_000
_LONG_KEYS = (
    b"LMsk",
    b"Lr16",
    b"Lr32",
    b"Layr",
    b"Mt16",
    b"Mt32",
    b"Mtrn",
    b"Alph",
    b"FMsk",
    b"lnk2",
    b"FEid",
    b"FXid",
    b"PxSD",
)


@dataclass(frozen=True)
class PsdFacts:
    """What a PSD (or PSB) says of its composite.

    Attributes:
        channels, width, height, depth, mode: of its header.
        is_big: whether it is a PSB.
        layers: how many there are.
        is_transparent: whether the channel after the colors is the composite's opacity, and not a kept selection.
        has_composite: whether the program that wrote it says that the composite is real.
        profile: the embedded ICC profile, or None.
        image_data: where the composite begins.
    """

    channels: int
    width: int
    height: int
    depth: int
    mode: int
    is_big: bool
    layers: int
    is_transparent: bool
    has_composite: bool
    profile: bytes | None
    image_data: int

    @property
    def num_colors(self) -> int:
        return _NUM_COLORS.get(self.mode, 0)

    @property
    def objection(self) -> str | None:
        """Why the composite cannot be read rightly, or None."""
        if not self.num_colors:
            return "PSD in multichannel mode" if self.mode == _MULTICHANNEL else f"PSD of the unknown mode {self.mode}"
        if self.channels < self.num_colors:
            return f"damaged PSD with {self.channels} channels for {self.num_colors} colors"
        if not self.has_composite:
            return "PSD saved without its composite ('maximize compatibility' was off)"
        if self.depth not in (1, 8, 16, 32) or (self.depth == 1) != (self.mode == _BITMAP):
            return f"PSD of {self.depth} bits in this mode"
        return None

    @property
    def pillow_is_right(self) -> bool:
        return self.depth == 8 and not self.is_big


def psd_facts(data: bytes) -> PsdFacts:
    """Read the header, resources and the count of layers.

    Raises:
        ValueError: it ends early.
    """
    try:
        version, channels, height, width, depth, mode = struct.unpack_from(">H6xHIIHH", data, 4)
        is_big = version == 2
        place = 26 + 4 + struct.unpack_from(">I", data, 26)[0]
        size = struct.unpack_from(">I", data, place)[0]
        resources = _resources(data, place + 4, place + 4 + size)
        place += 4 + size
        size = struct.unpack_from(">Q" if is_big else ">I", data, place)[0]
        begin = place + (8 if is_big else 4)
        layers, is_transparent = _layers(data, begin, min(begin + size, len(data)), is_big)
    except struct.error as error:
        raise ValueError("the PSD ends early") from error
    told = resources.get(_VERSION, b"")
    return PsdFacts(
        channels,
        width,
        height,
        depth,
        mode,
        is_big,
        layers,
        is_transparent and channels > _NUM_COLORS.get(mode, channels),
        told[4:5] != b"\0",
        resources.get(_PROFILE) or None,
        begin + size,
    )


def _resources(data: bytes, place: int, end: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for _ in range(_MAX_ITEMS):
        if place + 12 > min(end, len(data)):
            break
        number, length = struct.unpack_from(">HB", data, place + 4)
        place += 6 + (length + 2) // 2 * 2
        size = struct.unpack_from(">I", data, place)[0]
        if number in (_PROFILE, _VERSION) and size <= _MAX_PROFILE:
            found[number] = data[place + 4 : place + 4 + size]
        place += 4 + size + size % 2
    return found


def _layers(data: bytes, place: int, end: int, is_big: bool) -> tuple[int, bool]:
    """Return the count of layers, and whether the composite's first extra channel is its opacity."""
    if place + 4 > end:
        return 0, False
    form, width = (">Q", 8) if is_big else (">I", 4)
    size = struct.unpack_from(form, data, place)[0]
    place += width
    if size >= 2:
        count = struct.unpack_from(">h", data, place)[0]
        return abs(count), count < 0
    place += size
    if place + 4 > end:
        return 0, False
    place += 4 + struct.unpack_from(">I", data, place)[0]
    for _ in range(_MAX_ITEMS):  # deep files keep their layers in a block of their own
        if place + 12 > end:
            break
        key = data[place + 4 : place + 8]
        long = is_big and key in _LONG_KEYS
        size = struct.unpack_from(">Q" if long else ">I", data, place + 8)[0]
        place += 16 if long else 12
        if key in (b"Lr16", b"Lr32", b"Layr") and size >= 2:
            count = struct.unpack_from(">h", data, place)[0]
            return abs(count), count < 0
        place += (size + 3) // 4 * 4
    return 0, False
