#!/bin/sh
# Pillow scales 2- and 4-bit gray PNGs to 8 bits but not their transparent gray (tRNS), which then matches nothing or the wrong gray.
#
# Seen with: Pillow 13.0.0, NumPy 2.4.6, Linux x86_64.
# Expected:  in a 4-bit gray PNG whose tRNS says 5, the pixels of level 5 are transparent in convert("RGBA").
# Seen:      pixels of level 5 are 85 of 255, info["transparency"] stays 5, and every pixel comes opaque. 8-bit gray is right.
# Way out:   compare scaled samples with the key scaled alike.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6
"$dir/venv/bin/python" - <<'PYTHON'
import io
import struct
import zlib

import numpy as np
from PIL import Image, __version__


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def clear_pixels(bits: int) -> int:
    """Return how many pixels are transparent of a row of two: the key 5, and 6."""
    row = {4: bytes([0x56]), 8: bytes([5, 6])}[bits]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, bits, 0, 0, 0, 0)) + chunk(b"tRNS", struct.pack(">H", 5))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    return int((np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))[..., 3] == 0).sum())


found = {bits: clear_pixels(bits) for bits in (4, 8)}
print(f"Pillow {__version__}: transparent pixels of the one that should be, by bits: {found}")
assert found == {4: 0, 8: 1}, "that has changed"
PYTHON
