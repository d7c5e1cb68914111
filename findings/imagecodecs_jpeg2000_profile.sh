#!/bin/sh
# imagecodecs applies the ICC profile of a JP2 file as it decodes, so that who applies it after that converts twice.
#
# Seen with: imagecodecs 2026.3.6, NumPy 2.4.6, Linux x86_64.
# Expected:  jpeg2k_decode gives the samples that were written, as it does for a bare codestream, and as jpeg8_decode and
#            png_decode do for files with a profile.
# Seen:      the samples come converted to sRGB, at 8, 12 and 16 bits; nothing says so, and the profile still stands in the file.
# Way out:   give it the codestream alone (from FF4F FF51 on), and apply the profile yourself.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check imagecodecs==2026.3.6 numpy==2.4.6
"$dir/venv/bin/python" - <<'PYTHON'
import struct

import imagecodecs
import numpy as np


def profile() -> bytes:
    """Return a matrix profile (ICC.1:2001-04) of sRGB's primaries under D50, and gamma 1.8."""
    columns = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))

    def xyz(values) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))

    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 6) + b"plain\0" + bytes(78), b"wtpt": xyz((0.9642, 1.0, 0.8249))}
    for name, column in zip((b"r", b"g", b"b"), columns):
        tags[name + b"XYZ"], tags[name + b"TRC"] = xyz(column), b"curv\0\0\0\0" + struct.pack(">IH", 1, round(1.8 * 256)) + b"\0\0"
    place, table, body = 132 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", place + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s12x4s28x", place + len(body), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    white = struct.pack(">3i", 63190, 65536, 54061)
    return head + white + bytes(128 - len(head) - len(white)) + struct.pack(">I", len(tags)) + table + body


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


for bits in (8, 12, 16):
    full = 2**bits - 1
    ramp = np.tile(np.rint(np.linspace(0, full, 64)).astype(np.uint8 if bits == 8 else np.uint16), (32, 1))
    values = np.stack([ramp] * 3, -1)
    stream = imagecodecs.jpeg2k_encode(values, level=0, reversible=True, mct=False, bitspersample=bits, codecformat="j2k")
    header = box(b"ihdr", struct.pack(">IIHBBBB", 32, 64, 3, bits - 1, 7, 0, 0)) + box(b"colr", b"\2\0\0" + profile())
    file = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ") + box(b"jp2h", header) + box(b"jp2c", stream)
    whole, bare = imagecodecs.jpeg2k_decode(file), imagecodecs.jpeg2k_decode(stream)
    off = np.abs(whole.astype(float) - values).max() / full
    print(f"imagecodecs {imagecodecs.__version__}, {bits} bits: the codestream exact: {(bare == values).all()}; the file off by {off:.3f} of white")
    assert (bare == values).all(), "the codestream is sound"
    assert off > 0.02, "the profile is no longer applied"
PYTHON
