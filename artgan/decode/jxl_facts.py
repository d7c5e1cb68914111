"""What a JPEG XL file says of itself in the first bits of its codestream (ISO/IEC 18181-1, annex D)."""

from collections.abc import Callable
from dataclasses import dataclass

from artgan.decode.boxes import boxes_in

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_JXL_HEAD = 64


@dataclass(frozen=True)
class JxlFacts:
    """What a JPEG XL file says of itself: its sides, the bits of a sample, and whether these are floating-point numbers."""

    width: int
    height: int
    bits: int
    is_float: bool


def jxl_facts(data: bytes) -> JxlFacts:
    """Read the header of a JPEG XL file's codestream (ISO/IEC 18181-1, annex D).

    Raises:
        ValueError: there is no codestream.
    """
    stream = data[2:_JXL_HEAD] if data.startswith(b"\xff\x0a") else b""
    for kind, start, end in boxes_in(data) if not stream else ():
        if kind in (b"jxlc", b"jxlp"):
            begin = start + (4 if kind == b"jxlp" else 0)
            if data[begin : begin + 2] == b"\xff\x0a":
                stream = data[begin + 2 : min(begin + _JXL_HEAD, end)]
                break
    if not stream:
        raise ValueError("there is no JPEG XL codestream")
    left = int.from_bytes(stream, "little")

    def take(count: int) -> int:
        nonlocal left
        value, left = left & ((1 << count) - 1), left >> count
        return value

    def choose(*choices: tuple[int, int]) -> int:  # "U32": what is added, and how many bits it is added to
        added, count = choices[take(2)]
        return added + take(count)

    def sides(eighth: Callable[[], int], side: Callable[[], int]) -> tuple[int, int]:
        read = (lambda: 8 * eighth()) if take(1) else side
        height, ratio = read(), take(3)
        if ratio == 0:
            return read(), height
        across, down = _RATIOS[ratio - 1]
        return height * across // down, height

    def whole() -> tuple[int, int]:
        return sides(lambda: take(5) + 1, lambda: choose((1, 9), (1, 13), (1, 18), (1, 30)))

    width, height = whole()
    if take(1):  # all is as usual
        return JxlFacts(width, height, 8, False)
    if take(1):
        take(3)  # orientation
        if take(1):
            whole()  # the size that it is meant for
        if take(1):  # a preview
            sides(lambda: choose((16, 0), (32, 0), (1, 5), (33, 9)), lambda: choose((1, 6), (65, 8), (321, 10), (1345, 12)))
        if take(1):  # an animation: ticks, loops, time codes
            choose((100, 0), (1000, 0), (1, 10), (1, 30))
            choose((1, 0), (1001, 0), (1, 8), (1, 10))
            choose((0, 0), (0, 3), (0, 16), (0, 32))
            take(1)
    is_float = bool(take(1))
    bits = choose((32, 0), (16, 0), (24, 0), (1, 6)) if is_float else choose((8, 0), (10, 0), (12, 0), (1, 6))
    return JxlFacts(width, height, bits, is_float)
